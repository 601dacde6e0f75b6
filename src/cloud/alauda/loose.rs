//! Values whose type drifted between the years of the API: read what can be read, and call the rest absent.
//!
//! Each of these takes any JSON value, so that one odd field never costs the object it stands in.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::cloud::model::LONGEST_TEXT;

/// A value that is one of JSON's plain kinds, or something that is passed over.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Plain<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// A number.
    Number(f64),
    /// Null, a boolean, a list or a map.
    #[default]
    Nothing,
}

impl Plain<'_> {
    /// The string, or the number written out; an empty string says nothing. Whatever reaches [`LONGEST_TEXT`] is cut.
    pub(super) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => (!text.is_empty()).then(|| kept(text)),
            Self::Number(number) => Some(number.to_string()),
            Self::Nothing => None,
        }
    }

    /// The number, or the string read as one.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Number(number) => Some(*number),
            Self::Nothing => None,
        }
    }

    /// The number as a count: a whole one, not below 0.
    pub(super) fn count(&self) -> Option<i64> {
        // Beyond 2^53 not every whole number is an f64; nobody counts instances that far.
        let whole = self.number().filter(|number| (0.0..9e15).contains(number) && number.fract() == 0.0)?;
        format!("{whole:.0}").parse().ok()
    }
}

/// The part of a text that is kept: to the end of the character in which the longest one ends, so that a text which was
/// cut is never shorter than that.
fn kept(text: Cow<'_, str>) -> String {
    if text.len() <= LONGEST_TEXT {
        return text.into_owned();
    }
    let end = (LONGEST_TEXT..text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
    text[..end].to_owned()
}

impl<'de: 'a, 'a> Deserialize<'de> for Plain<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Plain<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Plain::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Plain::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Plain::Number(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Plain::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Plain::Number(number))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Plain::Nothing)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Plain::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Plain::Nothing)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Plain::Nothing)
    }
}

/// A name, written as a string or as an object that has a `name`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Named<'a>(pub(super) Plain<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Named<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamedVisitor)
    }
}

struct NamedVisitor;

impl<'de> Visitor<'de> for NamedVisitor {
    type Value = Named<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name or an object with a name")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Named(Plain::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Named(Plain::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Named::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Named::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Named::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Named::default())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Named::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        PlainVisitor.visit_seq(list).map(Named)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut name = Plain::Nothing;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == "name" {
                name = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Named(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(json: &str) -> Plain<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_number_is_read_from_a_number_and_from_a_string() {
        assert_eq!(plain("2").count(), Some(2));
        assert_eq!(plain("\" 2 \"").count(), Some(2));
        assert_eq!(plain("2.0").count(), Some(2));
        assert_eq!(plain("0.5").number(), Some(0.5));
        for nothing in ["null", "true", "[2]", "{\"a\": 2}", "\"two\"", "-1", "2.5", "1e300", "\"NaN\""] {
            assert_eq!(plain(nothing).count(), None, "{nothing}");
        }
    }

    #[test]
    fn a_text_is_read_from_a_string_and_from_a_number() {
        assert_eq!(plain("\"4.1\"").into_text().as_deref(), Some("4.1"));
        assert_eq!(plain("4.1").into_text().as_deref(), Some("4.1"));
        assert_eq!(plain(r#""a\nb""#).into_text().as_deref(), Some("a\nb"));
        for nothing in ["null", "\"\"", "false", "[\"a\"]", "{}"] {
            assert_eq!(plain(nothing).into_text(), None, "{nothing}");
        }
    }

    #[test]
    fn a_text_longer_than_is_kept_is_cut_behind_a_whole_character() {
        let kept = |text: String| plain(&format!("\"{text}\"")).into_text().unwrap();
        assert_eq!(kept("a".repeat(LONGEST_TEXT)).len(), LONGEST_TEXT);
        assert_eq!(kept("a".repeat(LONGEST_TEXT + 1)).len(), LONGEST_TEXT);
        let across = "a".repeat(LONGEST_TEXT - 1) + "üü";
        assert_eq!(kept(across.clone()), across[..=LONGEST_TEXT]);
        assert_eq!(kept("ü".repeat(1 << 20)).len(), LONGEST_TEXT);
    }

    #[test]
    fn a_name_stands_alone_or_in_an_object() {
        let named = |json| serde_json::from_str::<Named<'_>>(json).unwrap().0.into_text();
        assert_eq!(named("\"BEIJING1\"").as_deref(), Some("BEIJING1"));
        assert_eq!(named(r#"{"IaaS": {"x": [1]}, "name": "BEIJING1"}"#).as_deref(), Some("BEIJING1"));
        for nothing in ["null", "1", "-1", "1.5", "true", "[\"a\"]", "{}", r#"{"name": null}"#] {
            assert_eq!(named(nothing), None, "{nothing}");
        }
    }
}
