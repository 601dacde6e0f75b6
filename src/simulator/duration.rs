//! Durations as written for Go and Kubernetes: `50ms`, `1m30s`, `1.5s`.

use std::time::Duration;

use jiff::fmt::friendly::SpanParser;
use thiserror::Error;

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a duration; use a number and a unit (ns, us, ms, s, m, h), such as 50ms or 1m30s")]
pub struct DurationError(String);

/// Reads a duration such as `1m30s`. Only `0` needs no unit.
///
/// It also reads what [`Duration`] prints with `{:?}`.
pub(super) fn parse(text: &str) -> Result<Duration, DurationError> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    SpanParser::new().parse_unsigned_duration(text).map_err(|_| DurationError(text.to_owned()))
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
            ("1h0m0s", 3_600_000),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_an_example() {
        for text in ["", "5", "s", "-1s", "1x", "1s2", "1.2.3s", "99999999999999999999h"] {
            let error = parse(text).expect_err(text);
            assert!(error.to_string().contains("such as 50ms"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_duration_reads_back(nanoseconds in 0..u64::MAX / 2) {
            let duration = Duration::from_nanos(nanoseconds);
            prop_assert_eq!(parse(&format!("{duration:?}")), Ok(duration));
        }
    }
}
