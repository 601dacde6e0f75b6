//! Durations as people write them for Go and Kubernetes: `50ms`, `1m30s`, `1.5s`.

use std::time::Duration;

use thiserror::Error;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a duration; write a number and a unit (ns, us, ms, s, m, h), such as 50ms or 1m30s")]
pub struct DurationError(String);

/// Units and their length in nanoseconds; those that others begin with come last.
const UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration such as `1m30s`. A bare `0` is the only one that needs no unit.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let problem = || DurationError(text.to_owned());
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(problem)?;
        let (number, after) = rest.split_at(digits);
        let (unit, nanoseconds) =
            UNITS.into_iter().find(|(unit, _)| after.starts_with(unit)).ok_or_else(problem)?;
        total = total.checked_add(part(number, nanoseconds).ok_or_else(problem)?).ok_or_else(problem)?;
        rest = &after[unit.len()..];
    }
    if text.is_empty() { Err(problem()) } else { Ok(total) }
}

/// A number of units; whole numbers are kept exactly.
fn part(number: &str, nanoseconds: u64) -> Option<Duration> {
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(nanoseconds).map(Duration::from_nanos);
    }
    let seconds = number.parse::<f64>().ok()? * (nanoseconds as f64 / 1e9);
    Duration::try_from_secs_f64(seconds).ok()
}

/// Writes a duration so that [`parse`] reads it back: a whole number of the greatest unit that fits.
pub fn format(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    for (unit, length) in [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)] {
        if nanoseconds.is_multiple_of(length) {
            return format!("{}{unit}", nanoseconds / length);
        }
    }
    format!("{nanoseconds}ns")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_of_go_are_read() {
        for (text, milliseconds) in [
            ("50ms", 50),
            ("1s", 1000),
            ("1m30s", 90_000),
            ("1.5s", 1500),
            ("1h", 3_600_000),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in ["", "5", "s", "-1s", "1x", "1s2", "1.2.3s", "99999999999999h"] {
            let error = parse(text).expect_err(text);
            assert!(error.to_string().contains("such as 50ms"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_written_duration_reads_back(nanoseconds in 0..u64::MAX / 2) {
            let duration = Duration::from_nanos(nanoseconds);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }
    }
}
