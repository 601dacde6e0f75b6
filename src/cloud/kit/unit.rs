//! The words by which clouds name the unit of a value.
//!
//! A word that is not listed says nothing: its values are dropped and counted, not guessed. A word whose meaning differs
//! between clouds, such as `kbps`, belongs into the folder of its cloud.

/// Each word with the base unit, as [`Row::unit`](crate::cloud::model::measurement::Row::unit) names it (`None`: a count), and how many of the base
/// unit one of it is.
const WORDS: &[(&str, Option<&str>, f64)] = &[
    ("cpu", Some("cores"), 1.0),
    ("vCPU", Some("cores"), 1.0),
    ("cores", Some("cores"), 1.0),
    ("pct", Some("ratio"), 0.01),
    ("B", Some("bytes"), 1.0),
    ("bytes", Some("bytes"), 1.0),
    // As the International System of Units and IEC 80000-13 have them.
    ("KB", Some("bytes"), 1e3),
    ("MB", Some("bytes"), 1e6),
    ("GB", Some("bytes"), 1e9),
    ("KiB", Some("bytes"), 1024.0),
    ("MiB", Some("bytes"), 1024.0 * 1024.0),
    ("GiB", Some("bytes"), 1024.0 * 1024.0 * 1024.0),
    ("ms", Some("seconds"), 1e-3),
    ("s", Some("seconds"), 1.0),
    ("rps", Some("per_second"), 1.0),
    ("count", None, 1.0),
];

/// What a number in this unit is multiplied by to be in the base unit `base`. `None` where the word is not known, or names
/// a unit of something else, such as bytes where cores are measured.
pub fn factor(word: &str, base: Option<&str>) -> Option<f64> {
    let listed = WORDS.iter().find(|(listed, of, _)| *listed == word && *of == base);
    listed.map(|(_, _, factor)| *factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::model::measurement::{MEASUREMENTS, Measurement};

    #[test]
    fn a_number_in_each_unit_becomes_one_in_the_base_unit() {
        for (word, measurement, factor_to_base) in [
            ("vCPU", Measurement::CpuUsageCores, 1.0),
            ("MB", Measurement::MemoryUsage, 1e6),
            ("MiB", Measurement::MemoryUsage, 1_048_576.0),
            ("pct", Measurement::MemoryUtilization, 0.01),
            ("ms", Measurement::ServiceHttpDuration, 0.001),
            ("rps", Measurement::ServiceHttpRequests, 1.0),
            ("count", Measurement::Restarts, 1.0),
        ] {
            assert_eq!(factor(word, measurement.row().unit), Some(factor_to_base), "{word}");
        }
    }

    #[test]
    fn a_word_that_is_not_known_or_of_something_else_says_nothing() {
        let memory = Measurement::MemoryUsage.row().unit;
        for word in ["", "gb", "mb", "kbps", "unitless", "GB ", "cpu", "ms", "pct", "count"] {
            assert_eq!(factor(word, memory), None, "{word:?}");
        }
    }

    #[test]
    fn each_word_is_listed_once_and_leads_to_the_unit_of_some_measurement() {
        for (place, (word, base, _)) in WORDS.iter().enumerate() {
            assert!(WORDS[..place].iter().all(|(other, ..)| other != word), "{word}");
            assert!(MEASUREMENTS.iter().any(|row| row.unit == *base), "{word}");
        }
    }
}
