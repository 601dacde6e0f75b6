//! The only place where a value is computed that a cloud did not give.
//!
//! A share of a limit and the use behind it follow from each other, so one is added where only the other is known and the
//! limit is that of the very instance. Pure.

use super::facts::Limits;
use super::measurement::{Measurement, Scale};
use super::sample::Sample;

type ReadLimit = fn(&Limits) -> Option<f64>;

/// Use and share of a limit.
const PAIRS: [(Measurement, Measurement, ReadLimit); 2] = [
    (Measurement::CpuUsageCores, Measurement::CpuLimitUtilization, |limits| limits.cpu_cores),
    (Measurement::MemoryUsage, Measurement::MemoryUtilization, |limits| limits.memory_bytes),
];

/// The sample with what follows from it and the limits.
pub fn derive(sample: Sample, limits: &Limits) -> Sample {
    let mut derived = Sample::builder();
    let mut any = false;
    for (usage, ratio, limit) in PAIRS {
        // Nothing follows from a limit of 0, which clouds use for "none".
        let Some(limit) = limit(limits).filter(|limit| *limit > 0.0) else { continue };
        let (measurement, number, time) = match (sample.get(usage), sample.get(ratio)) {
            (Some(usage), None) => (ratio, usage.base() / limit, usage.time),
            (None, Some(ratio)) => (usage, ratio.base() * limit, ratio.time),
            (Some(_), Some(_)) | (None, None) => continue,
        };
        derived.add(measurement, Scale::Base, number, time);
        any = true;
    }
    if any { sample.joined(std::iter::once(&derived.build())) } else { sample }
}

#[cfg(test)]
mod tests {
    use super::super::sample::Measured;
    use super::*;

    const LIMITS: Limits = Limits { cpu_cores: Some(2.0), memory_bytes: Some(200.0), disk_bytes: None };

    fn derived(values: &[(Measurement, Scale, f64)], limits: &Limits) -> Vec<(Measurement, f64)> {
        let given = Sample::at(9.0, values);
        let sample = derive(given.clone(), limits);
        assert!(given.values().eq(sample.values().take(given.len())), "what the cloud gave stays");
        sample
            .values()
            .skip(given.len())
            .map(|value: Measured<'_>| (value.measurement, value.base()))
            .collect()
    }

    #[test]
    fn the_share_follows_from_the_use_and_the_use_from_the_share() {
        assert_eq!(
            derived(
                &[
                    (Measurement::CpuLimitUtilization, Scale::Percent, 25.0),
                    (Measurement::MemoryUsage, Scale::Base, 50.0),
                ],
                &LIMITS,
            ),
            [(Measurement::CpuUsageCores, 0.5), (Measurement::MemoryUtilization, 0.25)]
        );
    }

    #[test]
    fn nothing_is_derived_without_a_limit_or_where_the_cloud_gives_both() {
        let memory = (Measurement::MemoryUsage, Scale::Base, 50.0);
        assert_eq!(derived(&[memory], &Limits::default()), []);
        let unlimited = Limits { memory_bytes: Some(0.0), ..LIMITS };
        assert_eq!(derived(&[memory], &unlimited), []);
        assert_eq!(derived(&[(Measurement::MemoryUtilization, Scale::Percent, 40.0)], &unlimited), []);
        assert_eq!(derived(&[memory, (Measurement::MemoryUtilization, Scale::Percent, 40.0)], &LIMITS), []);
        assert_eq!(derived(&[], &LIMITS), []);
        // An average over the life of an instance is no share of a limit.
        assert_eq!(derived(&[(Measurement::CpuUtilization, Scale::Percent, 40.0)], &LIMITS), []);
    }
}
