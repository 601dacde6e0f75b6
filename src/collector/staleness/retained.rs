//! The last values of one instance or service, each with the moment that confirmed it.
//!
//! Values that the newest reading could not confirm are kept and age on their own. Pure.

use tokio::time::Instant;

use crate::cloud::model::derive::derive;
use crate::cloud::model::{Limits, MeasurementSet, Reading, Sample};

/// Values by the moment that confirmed them; no two parts have a measurement in common.
#[derive(Debug, Default)]
pub(super) struct RetainedSample {
    newest: Option<Confirmed>,
    /// The others: what later readings did not confirm, or confirmed beside newer values. Empty, and without memory, as long as readings are whole.
    older: Box<[Confirmed]>,
}

/// Values that were read at one moment.
#[derive(Debug)]
struct Confirmed {
    sample: Sample,
    at: Instant,
}

impl RetainedSample {
    /// Values that were confirmed at this moment.
    pub(super) fn confirmed(sample: Option<Sample>, at: Instant) -> Self {
        Self { newest: sample.map(|sample| Confirmed { sample, at }), older: Box::default() }
    }

    /// Merges what a cycle read: its values replace the last ones, those of what it could not read stay, and those that are
    /// current are confirmed.
    pub(super) fn merge(&mut self, reading: &Reading, now: Instant) {
        let measured = reading.sample.as_ref().map_or(MeasurementSet::NONE, Sample::measured);
        let current = reading.current.without(measured);
        let unread = reading.unread.without(measured.union(current));
        if unread == MeasurementSet::ALL {
            return;
        }
        let before = self.newest.take().into_iter().chain(std::mem::take(&mut self.older));
        let read = reading.sample.clone().map(|sample| Confirmed { sample, at: now });
        let mut parts: Vec<Confirmed> = read.into_iter().collect();
        for Confirmed { sample, at } in before {
            let kept = [(current, now), (unread, at)];
            parts.extend(kept.into_iter().filter(|(which, _)| !which.is_empty()).filter_map(
                |(which, at)| {
                    let sample = sample.only(which)?;
                    Some(Confirmed { sample, at })
                },
            ));
        }
        let mut parts = parts.into_iter();
        self.newest = parts.next();
        self.older = parts.collect();
    }

    /// Drops the values that are no longer fresh; true if any was dropped.
    pub(super) fn expire(&mut self, fresh: impl Fn(Instant) -> bool) -> bool {
        let before = self.parts().count();
        self.newest = self.newest.take().filter(|part| fresh(part.at));
        if self.older.iter().any(|part| !fresh(part.at)) {
            let older = std::mem::take(&mut self.older);
            self.older = older.into_iter().filter(|part| fresh(part.at)).collect();
        }
        self.parts().count() < before
    }

    /// When the oldest of the values was confirmed.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.parts().map(|part| part.at).min()
    }

    /// The values together with what follows from them and the limits; shares them where that adds nothing.
    pub(super) fn sample(&self, limits: &Limits) -> Option<Sample> {
        let mut parts = self.parts().map(|part| &part.sample);
        let first = parts.next()?;
        let whole = if self.parts().nth(1).is_some() { first.joined(parts) } else { first.clone() };
        Some(if limits.is_empty() { whole } else { derive(whole, limits) })
    }

    /// The memory of the values on the heap, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.parts().map(|part| part.sample.heap_bytes()).sum()
    }

    fn parts(&self) -> impl Iterator<Item = &Confirmed> {
        self.newest.iter().chain(&self.older)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cloud::CloudError;
    use crate::cloud::model::{Measurement, Scale};

    const CPU: Measurement = Measurement::CpuUsageCores;
    const MEMORY: Measurement = Measurement::MemoryUsage;
    const DISK: Measurement = Measurement::DiskUsage;

    fn read(values: &[(Measurement, f64)], time: f64) -> Reading {
        let values: Vec<_> = values.iter().map(|(one, number)| (*one, Scale::Base, *number)).collect();
        Reading::measured(Sample::at(time, &values))
    }

    fn partly(values: &[(Measurement, f64)], time: f64, unread: &[Measurement]) -> Reading {
        Reading {
            unread: MeasurementSet::of(unread),
            error: Some(CloudError::Status(500)),
            ..read(values, time)
        }
    }

    fn shown(retained: &RetainedSample) -> Vec<(Measurement, f64, f64)> {
        let sample = retained.sample(&Limits::default());
        let mut values: Vec<_> = sample
            .iter()
            .flat_map(Sample::values)
            .map(|value| (value.measurement, value.number, value.time))
            .collect();
        values.sort_by_key(|(measurement, ..)| *measurement);
        values
    }

    #[test]
    fn what_could_not_be_read_keeps_its_last_value_and_time_until_that_is_stale() {
        let (mut retained, start) = (RetainedSample::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        retained.merge(&read(&[(CPU, 0.5), (MEMORY, 7.0), (DISK, 1.0)], 100.0), at(0));
        retained.merge(&partly(&[(CPU, 0.6)], 130.0, &[MEMORY]), at(30));
        // The disk was read and has no value any more.
        assert_eq!(shown(&retained), [(CPU, 0.6, 130.0), (MEMORY, 7.0, 100.0)]);
        assert_eq!(retained.sample(&Limits::default()).unwrap().timestamp().to_bits(), 130f64.to_bits());
        assert_eq!(retained.oldest(), Some(at(0)));

        retained.merge(&partly(&[(CPU, 0.7)], 160.0, &[MEMORY]), at(60));
        assert_eq!(shown(&retained), [(CPU, 0.7, 160.0), (MEMORY, 7.0, 100.0)]);
        assert!(retained.expire(|since| since > at(0)));
        assert_eq!(shown(&retained), [(CPU, 0.7, 160.0)], "only the memory is stale");
    }

    #[test]
    fn each_part_ages_on_its_own_and_a_whole_reading_replaces_all() {
        let (mut retained, start) = (RetainedSample::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        retained.merge(&read(&[(CPU, 1.0), (MEMORY, 1.0), (DISK, 1.0)], 1.0), at(1));
        retained.merge(&partly(&[(CPU, 2.0), (MEMORY, 2.0)], 2.0, &[DISK]), at(2));
        retained.merge(&partly(&[(CPU, 3.0)], 3.0, &[DISK, MEMORY]), at(3));
        assert_eq!(shown(&retained), [(CPU, 3.0, 3.0), (MEMORY, 2.0, 2.0), (DISK, 1.0, 1.0)]);
        retained.merge(&Reading::failed(CloudError::Status(500)), at(4));
        assert_eq!(shown(&retained).len(), 3, "a failure of all changes nothing");
        retained.expire(|since| since > at(1));
        assert_eq!(shown(&retained), [(CPU, 3.0, 3.0), (MEMORY, 2.0, 2.0)]);
        retained.merge(&read(&[(DISK, 5.0)], 5.0), at(5));
        assert_eq!(shown(&retained), [(DISK, 5.0, 5.0)]);
        retained.merge(&Reading::not_running(), at(6));
        assert_eq!(retained.sample(&Limits::default()), None);
    }

    #[test]
    fn a_reading_of_nothing_keeps_only_what_it_could_not_read() {
        let (mut retained, now) = (RetainedSample::default(), Instant::now());
        retained.merge(&read(&[(CPU, 1.0), (MEMORY, 1.0)], 1.0), now);
        let unread = MeasurementSet::of(&[MEMORY]);
        retained.merge(&Reading { unread, ..Reading::default() }, now);
        assert_eq!(shown(&retained), [(MEMORY, 1.0, 1.0)]);
    }

    #[test]
    fn what_is_current_is_confirmed_without_being_read_and_what_fails_beside_it_ages() {
        let (mut retained, start) = (RetainedSample::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        retained.merge(&read(&[(CPU, 0.5), (MEMORY, 7.0)], 100.0), at(0));
        let of = |current: &[Measurement], unread: &[Measurement]| Reading {
            current: MeasurementSet::of(current),
            unread: MeasurementSet::of(unread),
            ..Reading::default()
        };
        retained.merge(&of(&[CPU, MEMORY], &[]), at(30));
        assert_eq!(shown(&retained), [(CPU, 0.5, 100.0), (MEMORY, 7.0, 100.0)], "the times stay the cloud's");
        assert_eq!((retained.oldest(), retained.older.len()), (Some(at(30)), 0));
        retained.merge(&of(&[CPU], &[MEMORY]), at(60));
        assert!(retained.expire(|since| since > at(30)));
        assert_eq!(shown(&retained), [(CPU, 0.5, 100.0)]);
        retained.merge(&read(&[(DISK, 1.0)], 130.0), at(90));
        assert_eq!(shown(&retained), [(DISK, 1.0, 130.0)]);
    }

    #[test]
    fn whole_readings_are_shared_and_need_no_further_memory() {
        let (mut retained, now) = (RetainedSample::default(), Instant::now());
        for cycle in 0..3 {
            retained.merge(&read(&[(CPU, 1.0), (MEMORY, 1.0)], f64::from(cycle)), now);
        }
        assert!(retained.older.is_empty());
        assert_eq!(size_of::<RetainedSample>(), 64);
        let limits = Limits { cpu_cores: Some(2.0), ..Limits::default() };
        assert_eq!(retained.sample(&limits).unwrap().value(Measurement::CpuLimitUtilization), Some(0.5));
    }
}
