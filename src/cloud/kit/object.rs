//! Reads a JSON object field by field: one with a million fields costs only the memory of those that are used.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::cloud::error::AnswerProblem;
use crate::cloud::http::body::json_problem;

/// Calls `take` with the name and the value of each field. One that appears twice is taken twice.
pub fn for_each_field<'a>(json: &'a str, take: impl FnMut(&str, &'a RawValue)) -> Result<(), AnswerProblem> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let read = deserializer.deserialize_map(ForEachField(take));
    read.and_then(|()| deserializer.end()).map_err(|error| json_problem(&error))
}

struct ForEachField<F>(F);

impl<'de, F: FnMut(&str, &'de RawValue)> Visitor<'de> for ForEachField<F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        while let Some((Name(name), value)) = fields.next_entry()? {
            (self.0)(&name, value);
        }
        Ok(())
    }
}

/// A field's name, which is copied only where it has escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Vec<(String, &str)>, AnswerProblem> {
        let mut fields = Vec::new();
        for_each_field(json, |name, value| fields.push((name.to_owned(), value.get()))).map(|()| fields)
    }

    #[test]
    fn each_field_is_taken_with_its_name_and_its_value_as_it_is_written() {
        let fields = read(r#"{"a": [1, 2], "b\u0063": {"d": null}, "a": 7}"#).unwrap();
        assert_eq!(
            fields,
            [("a".to_owned(), "[1, 2]"), ("bc".to_owned(), r#"{"d": null}"#), ("a".to_owned(), "7")]
        );
        assert_eq!(read("{}"), Ok(vec![]));
    }

    #[test]
    fn what_is_no_object_and_what_is_no_json_are_told_apart() {
        for json in ["[]", "7", "null", "\"a\""] {
            assert_eq!(read(json), Err(AnswerProblem::Shape), "{json}");
        }
        for json in ["{", r#"{"a": nonsense}"#, r#"{"a": 1} 2"#] {
            assert_eq!(read(json), Err(AnswerProblem::NotJson), "{json}");
        }
    }
}
