//! The words with which the API names units, and what a value in each of them is. Pure.
//!
//! The API documents the words but not which metric has which, so the word of each answer is read. What a word leaves
//! open is one constant here, and an assumption in the provider's page.

use crate::cloud::kit::unit;
use crate::cloud::model::Measurement;

/// Bytes of the memory unit `mb`. That it is 2^20 is inferred: a plan of "512 MB" is one of `ramResource: 512`, and plans
/// are what containers get as their limit.
pub(super) const MEGABYTE: f64 = 1_048_576.0;

/// Bytes a second of the network unit `kbps`, taken for 1,000 bits a second as the abbreviation is commonly used. The API
/// does not say whether it means bits or bytes.
const KILOBIT: f64 = 125.0;

/// What a metric measures: the measurement that it is, and the one that it is where it comes as a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quantity {
    pub(super) measurement: Measurement,
    /// `pct` is of what is not documented; of the plan is assumed.
    pub(super) share: Option<Measurement>,
}

impl Quantity {
    /// The measurement that a value in the unit of this word is, and what it is multiplied by to be in the base unit. `None`
    /// where the word is not known, or is a unit of something else.
    pub(super) fn in_unit(self, word: &str) -> Option<(Measurement, f64)> {
        let reads = |measurement: Measurement| {
            let base = measurement.row().unit;
            let factor = match (word, base) {
                ("mb", Some("bytes")) => MEGABYTE,
                ("kbps", Some("bytes_per_second")) => KILOBIT,
                _ => unit::factor(word, base)?,
            };
            Some((measurement, factor))
        };
        reads(self.measurement).or_else(|| reads(self.share?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_where_it_is_a_unit_of_the_quantity_and_nowhere_else() {
        let of = |measurement, share| Quantity { measurement, share };
        let cpu = of(Measurement::CpuUsageCores, Some(Measurement::CpuLimitUtilization));
        let memory = of(Measurement::MemoryUsage, Some(Measurement::MemoryUtilization));
        let sent = of(Measurement::TransmitRate, None);
        let requests = of(Measurement::ServiceHttpRequests, None);
        for (word, quantity, expected) in [
            ("vCPU", cpu, Some((Measurement::CpuUsageCores, 1.0))),
            ("pct", cpu, Some((Measurement::CpuLimitUtilization, 0.01))),
            ("mb", memory, Some((Measurement::MemoryUsage, 1_048_576.0))),
            ("pct", memory, Some((Measurement::MemoryUtilization, 0.01))),
            ("kbps", sent, Some((Measurement::TransmitRate, 125.0))),
            ("rps", requests, Some((Measurement::ServiceHttpRequests, 1.0))),
            ("count", requests, None),
            ("pct", sent, None),
            ("mb", cpu, None),
            ("mb", sent, None),
            ("vcpu", cpu, None),
            ("", cpu, None),
        ] {
            assert_eq!(quantity.in_unit(word), expected, "{word} {quantity:?}");
        }
    }
}
