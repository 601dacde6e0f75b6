//! JSON values whose type varies between versions of an API: what can be read is read, the rest is absent.
//!
//! Each of these types accepts any JSON value, so that one odd field never costs the object that it belongs to.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::cloud::model::LONGEST_TEXT;

/// A string or a number; any other value counts as nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Scalar<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// A number.
    Number(f64),
    /// Null, a boolean, a list or a map.
    #[default]
    Nothing,
}

impl Scalar<'_> {
    /// The string, or the number written out. An empty string is nothing; what exceeds [`LONGEST_TEXT`] is cut.
    pub fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => (!text.is_empty()).then(|| cut(text)),
            Self::Number(number) => Some(number.to_string()),
            Self::Nothing => None,
        }
    }

    /// The number, or the string read as one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Number(number) => Some(*number),
            Self::Nothing => None,
        }
    }

    /// The number as a count: whole, and not below 0.
    pub fn count(&self) -> Option<i64> {
        // Beyond 2^53 not every integer is an f64. No count of instances goes that far.
        let whole = self.number().filter(|number| (0.0..9e15).contains(number) && number.fract() == 0.0)?;
        format!("{whole:.0}").parse().ok()
    }

    /// A time in RFC 3339 as seconds since the epoch. `None` for any other text, and for times up to 1970.
    pub fn epoch_seconds(&self) -> Option<f64> {
        let Self::Text(text) = self else { return None };
        let time: jiff::Timestamp = text.parse().ok()?;
        Some(time.as_duration().as_secs_f64()).filter(|seconds| *seconds > 0.0)
    }
}

/// An object that may be missing or of another shape, which costs nothing but itself.
pub fn part<'a, T: Deserialize<'a> + Default>(json: Option<&'a RawValue>) -> T {
    json.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default()
}

/// Whether a text is certainly whole. One that was cut has at least [`LONGEST_TEXT`] bytes.
pub fn is_complete(text: &str) -> bool {
    text.len() < LONGEST_TEXT
}

/// Cuts a text behind the character that reaches [`LONGEST_TEXT`], so that a cut text is never shorter than that.
fn cut(text: Cow<'_, str>) -> String {
    if text.len() <= LONGEST_TEXT {
        return text.into_owned();
    }
    let end = (LONGEST_TEXT..text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
    text[..end].to_owned()
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Nothing)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nothing)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nothing)
    }
}

/// A name, written as a string or as an object with a `name`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Name<'a>(pub Scalar<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name or an object with a name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Name(Scalar::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Name(Scalar::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Name::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Name::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Name::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Name::default())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Name::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        ScalarVisitor.visit_seq(list).map(Name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut name = Scalar::Nothing;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == "name" {
                name = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Name(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(json: &str) -> Scalar<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_number_is_read_from_a_number_and_from_a_string() {
        assert_eq!(scalar("2").count(), Some(2));
        assert_eq!(scalar("\" 2 \"").count(), Some(2));
        assert_eq!(scalar("2.0").count(), Some(2));
        assert_eq!(scalar("0.5").number(), Some(0.5));
        for nothing in ["null", "true", "[2]", "{\"a\": 2}", "\"two\"", "-1", "2.5", "1e300", "\"NaN\""] {
            assert_eq!(scalar(nothing).count(), None, "{nothing}");
        }
    }

    #[test]
    fn a_text_is_read_from_a_string_and_from_a_number() {
        assert_eq!(scalar("\"4.1\"").into_text().as_deref(), Some("4.1"));
        assert_eq!(scalar("4.1").into_text().as_deref(), Some("4.1"));
        assert_eq!(scalar(r#""a\nb""#).into_text().as_deref(), Some("a\nb"));
        for nothing in ["null", "\"\"", "false", "[\"a\"]", "{}"] {
            assert_eq!(scalar(nothing).into_text(), None, "{nothing}");
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_behind_a_whole_character() {
        let read = |text: String| scalar(&format!("\"{text}\"")).into_text().unwrap();
        assert_eq!(read("a".repeat(LONGEST_TEXT)).len(), LONGEST_TEXT);
        assert_eq!(read("a".repeat(LONGEST_TEXT + 1)).len(), LONGEST_TEXT);
        let across = "a".repeat(LONGEST_TEXT - 1) + "üü";
        assert_eq!(read(across.clone()), across[..=LONGEST_TEXT]);
        assert_eq!(read("ü".repeat(1 << 20)).len(), LONGEST_TEXT);
    }

    #[test]
    fn a_text_that_was_cut_is_known_to_be_incomplete() {
        let text = |length: usize| scalar(&format!("\"{}\"", "a".repeat(length))).into_text().unwrap();
        assert!(is_complete(&text(LONGEST_TEXT - 1)) && !is_complete(&text(LONGEST_TEXT)));
        assert!(!is_complete(&text(LONGEST_TEXT + 1)));
    }

    #[test]
    fn a_time_is_read_as_rfc_3339_writes_it() {
        let seconds = |json| scalar(json).epoch_seconds();
        assert!((seconds("\"2015-04-14T09:47:26.895Z\"").unwrap() - 1_429_004_846.895).abs() < 1e-3);
        assert_eq!(seconds("\"1970-01-01T02:00:01+01:00\""), Some(3601.0));
        for nothing in ["null", "1429004846", "\"yesterday\"", "\"1969-12-31T23:59:59Z\"", "\"2015-04-14\""] {
            assert_eq!(seconds(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_name_is_read_from_a_string_and_from_an_object() {
        let name = |json| serde_json::from_str::<Name<'_>>(json).unwrap().0.into_text();
        assert_eq!(name("\"BEIJING1\"").as_deref(), Some("BEIJING1"));
        assert_eq!(name(r#"{"IaaS": {"x": [1]}, "name": "BEIJING1"}"#).as_deref(), Some("BEIJING1"));
        for nothing in ["null", "1", "-1", "1.5", "true", "[\"a\"]", "{}", r#"{"name": null}"#] {
            assert_eq!(name(nothing), None, "{nothing}");
        }
    }
}
