//! Durations as people write them: `30s`, `1m30s`, `500ms`.
//!
//! The grammar is that of the Gateway API (GEP-2257): a subset of Go's, without fractions and signs, whose
//! printed form Prometheus takes too. kube's own `Duration` reads all of Go's grammar, but panics on
//! `1s-5s` and on numbers that overflow, and what is read here comes from tenants. jiff wants units in descending
//! order, while an API server takes `30s1m` by the same pattern: what one accepts and the other refuses would differ.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use super::rule::{Rule, matches};

/// The grammar as a regular expression, for the schema.
pub const PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms)){1,4}$";

/// The longest text that the grammar makes, in characters: four numbers of five digits with `ms` each.
const MAX_LENGTH: usize = 28;

/// A duration, to the millisecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(time::Duration);

/// A text that is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("use whole numbers with units, such as 30s, 1m30s or 500ms (units: h, m, s, ms)")]
pub struct NotADuration;

/// Whether a text is a duration, in CEL. Rules that compare durations test this first, since `duration()` of another
/// text ends in an error that explains nothing.
pub fn is_duration(value: &str) -> String {
    matches(value, PATTERN)
}

/// On a duration: its grammar.
pub fn rule() -> Rule {
    Rule::new(is_duration("self"), NotADuration.to_string())
}

/// On a duration: its grammar, and its least and greatest value.
pub fn between(least: &str, greatest: &str) -> [Rule; 2] {
    let bounds = format!(
        "!{} || (duration(self) >= duration('{least}') && duration(self) <= duration('{greatest}'))",
        is_duration("self")
    );
    [rule(), Rule::new(bounds, format!("set a duration from {least} to {greatest}"))]
}

impl Duration {
    /// A duration of whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(time::Duration::from_secs(seconds))
    }
}

impl From<Duration> for time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl From<time::Duration> for Duration {
    /// Cuts what is finer than a millisecond.
    fn from(duration: time::Duration) -> Self {
        Self(time::Duration::new(duration.as_secs(), duration.subsec_millis() * 1_000_000))
    }
}

impl FromStr for Duration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, NotADuration> {
        let mut rest = text;
        let mut milliseconds = 0;
        for part in 0.. {
            if rest.is_empty() && part > 0 {
                break;
            }
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            if !(1..=5).contains(&digits) || part == 4 {
                return Err(NotADuration);
            }
            let (number, tail) = rest.split_at(digits);
            let number: u64 = number.parse().map_err(|_| NotADuration)?;
            // `ms` before `m`, or its `s` would be left over.
            let units = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
            let (unit, factor) =
                units.into_iter().find(|(unit, _)| tail.starts_with(unit)).ok_or(NotADuration)?;
            milliseconds += number * factor;
            rest = &tail[unit.len()..];
        }
        Ok(Self(time::Duration::from_millis(milliseconds)))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut seconds, milliseconds) = (self.0.as_secs(), self.0.subsec_millis());
        if self.0.is_zero() {
            return formatter.write_str("0s");
        }
        for (unit, length) in [("h", 3_600), ("m", 60), ("s", 1)] {
            if seconds >= length {
                write!(formatter, "{}{unit}", seconds / length)?;
                seconds %= length;
            }
        }
        if milliseconds > 0 {
            write!(formatter, "{milliseconds}ms")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Duration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": MAX_LENGTH,
            "pattern": PATTERN,
            "x-kubernetes-validations": [rule()],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_usual_forms_are_read() {
        for (text, milliseconds) in [
            ("30s", 30_000),
            ("1m30s", 90_000),
            ("100s", 100_000),
            ("1h", 3_600_000),
            ("1s500ms", 1_500),
            ("0s", 0),
        ] {
            assert_eq!(text.parse(), Ok(Duration(time::Duration::from_millis(milliseconds))), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in
            ["", "30", "s", "-5s", "1s-5s", "1.5s", "30 s", "1d", "100000s", "1s1s1s1s1s", "٣s", "1e300h"]
        {
            assert_eq!(text.parse::<Duration>(), Err(NotADuration), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back_as_the_same(milliseconds in 0_u64..360_000_000) {
            let duration = Duration(time::Duration::from_millis(milliseconds));
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }

        #[test]
        fn the_parser_and_the_pattern_of_the_schema_take_the_same_texts(text in "[0-9hms.-]{0,12}|([0-9]{1,6}(h|m|s|ms|d)){0,5}") {
            let schema = serde_json::json!({"type": "string", "pattern": PATTERN, "maxLength": MAX_LENGTH});
            let by_schema = jsonschema::is_valid(&schema, &serde_json::json!(text));
            prop_assert_eq!(text.parse::<Duration>().is_ok(), by_schema);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = text.parse::<Duration>();
        }
    }
}
