//! What an instance, and a service or an account as a whole, uses now: a service's figures are made of its instances', and an
//! account's of its services'.
//!
//! Base units: cores, bytes, bytes a second, ratios of what may be used, seconds since the epoch. What no cloud says is absent.

use crate::cloud::model::{Measurement, Sample, State};
use crate::collector::history::{Rates, ServiceHistory};
use crate::collector::registry::Listed;
use crate::exposition::values::{InstanceEntry, ServiceEntry};

/// How much is used.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Figures {
    /// CPU in use, in cores: the cloud's own figure, or what its counter grows by; before that is known, the average since
    /// the start.
    pub(super) cpu_cores: Option<f64>,
    /// CPU in use as a share of what may be used; of a service, that of the instance with most.
    pub(super) cpu_ratio: Option<f64>,
    /// Memory usage in bytes.
    pub(super) memory_bytes: Option<f64>,
    /// The same as a share of what may be used; of a service, that of the instance with most.
    pub(super) memory_ratio: Option<f64>,
    /// Bytes received a second.
    pub(super) receive: Option<f64>,
    /// Bytes sent a second.
    pub(super) transmit: Option<f64>,
    /// Restarts that the cloud has counted.
    pub(super) restarts: Option<f64>,
    /// Restarts in the last hour; not of instances, and only where the last hour is kept.
    pub(super) restarts_last_hour: Option<usize>,
    /// When the newest instance started.
    pub(super) started_at: Option<f64>,
    /// When the newest of the values was measured.
    pub(super) measured_at: Option<f64>,
    /// Instances that have failed.
    pub(super) failed: usize,
}

impl Figures {
    /// Of one instance.
    pub(super) fn of_instance(instance: &InstanceEntry) -> Self {
        let sample = instance.sample.as_ref();
        let value = |measurement| sample.and_then(|sample| sample.value(measurement));
        Self {
            cpu_cores: value(Measurement::CpuUsageCores).or_else(|| value(Measurement::CpuUtilization)),
            cpu_ratio: value(Measurement::CpuLimitUtilization),
            memory_bytes: value(Measurement::MemoryUsage),
            memory_ratio: value(Measurement::MemoryUtilization),
            receive: value(Measurement::ReceiveRate),
            transmit: value(Measurement::TransmitRate),
            restarts: value(Measurement::Restarts),
            restarts_last_hour: None,
            started_at: instance.facts.start_time(),
            measured_at: sample.map(Sample::timestamp),
            failed: usize::from(instance.facts.state == Some(State::Failed)),
        }
    }

    /// Of a service, with its last hour where that is kept.
    pub(super) fn of_service(service: &ServiceEntry, history: Option<&ServiceHistory>) -> Self {
        let instances = service.instances.iter().map(Self::of_instance);
        let mut all = instances.fold(Self::default(), Self::and);
        if let Some(history) = history {
            let Rates { cpu_cores, receive, transmit } = history.rates();
            all.cpu_cores = cpu_cores.map(f64::from).or(all.cpu_cores);
            all.receive = all.receive.or(receive.map(f64::from));
            all.transmit = all.transmit.or(transmit.map(f64::from));
            all.restarts_last_hour = Some(history.restarts());
        }
        if let Some(sample) = &service.sample {
            all.transmit = all.transmit.or_else(|| sample.value(Measurement::ServiceTransmitRate));
            all.measured_at = either(all.measured_at, Some(sample.timestamp()), f64::max);
        }
        all
    }

    /// Of all services of an account; of shares, that of the instance with most.
    pub(super) fn of_account(account: &Listed) -> Self {
        let Some(snapshot) = account.snapshot() else { return Self::default() };
        let services = snapshot.values.services.iter().enumerate();
        let services =
            services.map(|(index, service)| Self::of_service(service, snapshot.history.get(index)));
        services.fold(Self::default(), Self::and)
    }

    /// Two of a kind, or what is known of some and another one.
    fn and(self, other: Self) -> Self {
        let most = |one, two| either(one, two, f64::max);
        Self {
            cpu_cores: sum(self.cpu_cores, other.cpu_cores),
            cpu_ratio: most(self.cpu_ratio, other.cpu_ratio),
            memory_bytes: sum(self.memory_bytes, other.memory_bytes),
            memory_ratio: most(self.memory_ratio, other.memory_ratio),
            receive: sum(self.receive, other.receive),
            transmit: sum(self.transmit, other.transmit),
            restarts: sum(self.restarts, other.restarts),
            restarts_last_hour: either(self.restarts_last_hour, other.restarts_last_hour, |one, two| {
                one + two
            }),
            started_at: most(self.started_at, other.started_at),
            measured_at: most(self.measured_at, other.measured_at),
            failed: self.failed + other.failed,
        }
    }
}

/// Both together, or the one that is known.
pub(super) fn sum(one: Option<f64>, two: Option<f64>) -> Option<f64> {
    either(one, two, |one, two| one + two)
}

/// Both combined, or the one that is known.
fn either<T>(one: Option<T>, two: Option<T>, both: impl Fn(T, T) -> T) -> Option<T> {
    match (one, two) {
        (Some(one), Some(two)) => Some(both(one, two)),
        (one, two) => one.or(two),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_add_up_and_of_shares_and_times_the_most_counts() {
        let one = Figures {
            cpu_cores: Some(0.5),
            memory_bytes: Some(100.0),
            memory_ratio: Some(0.9),
            started_at: Some(10.0),
            failed: 1,
            ..Figures::default()
        };
        let other = Figures {
            cpu_cores: Some(0.25),
            memory_ratio: Some(0.1),
            receive: Some(7.0),
            started_at: Some(30.0),
            ..Figures::default()
        };
        let both = Figures {
            cpu_cores: Some(0.75),
            memory_bytes: Some(100.0),
            memory_ratio: Some(0.9),
            receive: Some(7.0),
            started_at: Some(30.0),
            failed: 1,
            ..Figures::default()
        };
        assert_eq!(one.and(other), both);
        assert_eq!(Figures::default().and(Figures::default()), Figures::default());
    }
}
