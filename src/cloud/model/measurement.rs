//! The table of everything that is measured: one row a measurement.
//!
//! Families, units, JSON fields, legacy names, documentation and the tests' expectations derive from it, so that a new
//! measurement is one row here plus the provider that reads it. Knows no provider and no output format.

use serde::{Deserialize, Serialize};

/// What a measurement belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// One value a service.
    Service,
    /// One value an instance.
    Instance,
}

/// The unit in which a cloud gives a value. Values are kept as given and converted where they are exposed, so nothing is
/// lost to rounding on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum Scale {
    /// The base unit that the measurement's name ends in: seconds, bytes, cores, a ratio, or a count.
    Base,
    /// Percent of a ratio.
    Percent,
    /// Nanoseconds of a time in seconds.
    Nano,
}

impl Scale {
    /// How many of these make one of the base unit.
    pub const fn divisor(self) -> f64 {
        match self {
            Self::Base => 1.0,
            Self::Percent => 100.0,
            Self::Nano => 1e9,
        }
    }
}

/// The legacy gauge that has the same value in its own unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegacyGauge {
    /// The gauge's name.
    pub name: &'static str,
    /// The gauge's unit.
    pub scale: Scale,
    /// One sentence for people.
    pub help: &'static str,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// What is measured.
    pub measurement: Measurement,
    /// The metric's name: `caas_instance_…` or `caas_service_…`, with `_total` for counters.
    pub name: &'static str,
    /// One sentence for people.
    pub help: &'static str,
    /// Whether the value only grows, until it starts again at 0.
    pub is_counter: bool,
    /// The base unit, as the name ends in it before `_total`; `None` for counts.
    pub unit: Option<&'static str>,
    /// The label that tells several values of one owner apart, such as `code`.
    pub label: Option<&'static str>,
    /// The legacy gauge of the same value.
    pub legacy: Option<LegacyGauge>,
}

impl Row {
    /// What the measurement belongs to: the name says it.
    pub const fn owner(&self) -> Owner {
        // `caas_i…` or `caas_s…`; a test checks that each name starts with one of the two prefixes.
        if self.name.as_bytes()[5] == b'i' { Owner::Instance } else { Owner::Service }
    }

    const fn gauge(measurement: Measurement, name: &'static str, help: &'static str) -> Self {
        Self { measurement, name, help, is_counter: false, unit: None, label: None, legacy: None }
    }
}

macro_rules! measurements {
    ($($measurement:ident: $name:literal, $help:literal $(, $field:ident: $value:expr)*;)*) => {
        /// What can be measured of an instance or a service.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum Measurement {
            $(#[doc = concat!("`", $name, "`: ", $help)] $measurement,)*
        }

        /// All measurements, in the order in which they are exposed.
        pub const MEASUREMENTS: &[Row] = &[$(
            #[allow(clippy::needless_update)]
            Row { $($field: $value,)* ..Row::gauge(Measurement::$measurement, $name, $help) },
        )*];
    };
}

measurements! {
    CpuUsageSeconds: "caas_instance_cpu_usage_seconds_total",
        "CPU time used by the instance since it started.",
        is_counter: true, unit: Some("seconds"),
        legacy: Some(LegacyGauge {
            name: "cpu_cumulative_usage",
            scale: Scale::Nano,
            help: "CPU time used by the instance since it started, in nanoseconds.",
        });
    CpuUtilization: "caas_instance_cpu_utilization_ratio",
        "CPU time since the instance started, divided by its uptime, as reported by the cloud; 1 is one core. \
         Use rate(caas_instance_cpu_usage_seconds_total[5m]) for current usage.",
        unit: Some("ratio"),
        legacy: Some(LegacyGauge {
            name: "cpu_utilization",
            scale: Scale::Percent,
            help: "CPU time since the instance started, divided by its uptime, as reported by the cloud; 100 is one core.",
        });
    CpuUsageCores: "caas_instance_cpu_usage_cores",
        "CPU usage, averaged by the cloud over its own window; 1 is one core.",
        unit: Some("cores");
    CpuLimitUtilization: "caas_instance_cpu_limit_utilization_ratio",
        "CPU usage as a ratio of the instance's CPU limit.",
        unit: Some("ratio");
    CpuEntitlementUtilization: "caas_instance_cpu_entitlement_utilization_ratio",
        "CPU usage as a ratio of the instance's CPU entitlement; above 1, it uses spare CPU of other instances.",
        unit: Some("ratio");
    MemoryUsage: "caas_instance_memory_usage_bytes",
        "Memory usage.",
        unit: Some("bytes"),
        legacy: Some(LegacyGauge {
            name: "memory_usage",
            scale: Scale::Base,
            help: "Memory usage in bytes.",
        });
    MemoryUtilization: "caas_instance_memory_utilization_ratio",
        "Memory usage as a ratio of the instance's memory limit.",
        unit: Some("ratio"),
        legacy: Some(LegacyGauge {
            name: "memory_utilization",
            scale: Scale::Percent,
            help: "Memory usage in percent of the instance's memory limit.",
        });
    DiskUsage: "caas_instance_disk_usage_bytes",
        "Disk usage.",
        unit: Some("bytes");
    ReceiveBytes: "caas_instance_network_receive_bytes_total",
        "Bytes received by the instance since it started.",
        is_counter: true, unit: Some("bytes");
    ReceiveErrors: "caas_instance_network_receive_errors_total",
        "Receive errors of the instance since it started.",
        is_counter: true;
    TransmitBytes: "caas_instance_network_transmit_bytes_total",
        "Bytes sent by the instance since it started.",
        is_counter: true, unit: Some("bytes");
    TransmitErrors: "caas_instance_network_transmit_errors_total",
        "Transmit errors of the instance since it started.",
        is_counter: true;
    ReceiveRate: "caas_instance_network_receive_bytes_per_second",
        "Bytes received by the instance per second, averaged by the cloud over its own window.",
        unit: Some("bytes_per_second");
    TransmitRate: "caas_instance_network_transmit_bytes_per_second",
        "Bytes sent by the instance per second, averaged by the cloud over its own window.",
        unit: Some("bytes_per_second");
    Restarts: "caas_instance_restarts",
        "Restarts of the instance, as counted by the cloud.";
    ServiceHttpRequests: "caas_service_http_requests_per_second",
        "HTTP requests to the service per second, by status code (200) or class (2xx), whichever the cloud reports.",
        unit: Some("per_second"), label: Some("code");
    ServiceHttpDuration: "caas_service_http_request_duration_quantile_seconds",
        "Duration of the service's HTTP requests, by quantile.",
        unit: Some("seconds"), label: Some("quantile");
    ServiceTransmitRate: "caas_service_network_transmit_bytes_per_second",
        "Bytes sent by the service per second, averaged by the cloud over its own window.",
        unit: Some("bytes_per_second");
}

impl Measurement {
    /// The measurement's row of [`MEASUREMENTS`].
    pub const fn row(self) -> &'static Row {
        &MEASUREMENTS[self as usize]
    }
}

/// A set of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MeasurementSet(u32);

const _: () = assert!(MEASUREMENTS.len() < 32, "a MeasurementSet has 32 bits");

impl MeasurementSet {
    /// No measurement.
    pub const NONE: Self = Self(0);
    /// Every measurement.
    pub const ALL: Self = Self((1 << MEASUREMENTS.len()) - 1);

    /// Measurements of instances.
    pub const OF_INSTANCES: Self = Self::ALL.without(Self::OF_SERVICES);
    /// Measurements of services.
    pub const OF_SERVICES: Self = {
        let (mut set, mut at) = (Self::NONE, 0);
        while at < MEASUREMENTS.len() {
            if matches!(MEASUREMENTS[at].owner(), Owner::Service) {
                set.0 |= 1 << at;
            }
            at += 1;
        }
        set
    };
    /// Measurements that have a legacy gauge.
    pub const WITH_LEGACY_GAUGE: Self = {
        let (mut set, mut at) = (Self::NONE, 0);
        while at < MEASUREMENTS.len() {
            if MEASUREMENTS[at].legacy.is_some() {
                set.0 |= 1 << at;
            }
            at += 1;
        }
        set
    };

    /// These measurements.
    pub const fn of(measurements: &[Measurement]) -> Self {
        let mut set = Self::NONE;
        let mut at = 0;
        while at < measurements.len() {
            set.0 |= 1 << measurements[at] as u32;
            at += 1;
        }
        set
    }

    /// Whether it holds this measurement.
    pub const fn contains(self, measurement: Measurement) -> bool {
        self.0 & 1 << measurement as u32 != 0
    }

    /// Whether it holds none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The measurements of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The measurements of this one that are not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_at_its_measurements_index_and_is_named_after_its_owner() {
        for (index, row) in MEASUREMENTS.iter().enumerate() {
            assert_eq!(row.measurement as usize, index, "{}", row.name);
            assert_eq!(row.measurement.row(), row);
            let prefix = match row.owner() {
                Owner::Instance => "caas_instance_",
                Owner::Service => "caas_service_",
            };
            assert!(row.name.starts_with(prefix), "{}", row.name);
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set = MeasurementSet::of(&[Measurement::MemoryUsage, Measurement::ServiceTransmitRate]);
        let held: Vec<_> =
            MEASUREMENTS.iter().map(|row| row.measurement).filter(|one| set.contains(*one)).collect();
        assert_eq!(held, [Measurement::MemoryUsage, Measurement::ServiceTransmitRate]);
        assert!(MEASUREMENTS.iter().all(|row| MeasurementSet::ALL.contains(row.measurement)));
        assert_eq!(MeasurementSet::ALL.without(set).union(set), MeasurementSet::ALL);
        assert!(set.without(MeasurementSet::ALL).is_empty());
    }
}
