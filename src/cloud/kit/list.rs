//! Reads a JSON list entry by entry: a list of a million entries costs only the memory of those that are kept.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::cloud::error::AnswerProblem;
use crate::cloud::http::body::json_problem;

/// Calls `take` with each entry until it returns `false`. The rest of the list is only checked to be JSON.
pub fn for_each<'a, T: Deserialize<'a>>(
    json: &'a str,
    take: impl FnMut(T) -> bool,
) -> Result<(), AnswerProblem> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let read = ForEach { take, entry: PhantomData }.deserialize(&mut deserializer);
    read.and_then(|()| deserializer.end()).map_err(|error| json_problem(&error))
}

/// Calls `take` with each entry until it returns an error, which is returned. The rest of the list is only checked to be JSON.
pub fn try_for_each<'a, T: Deserialize<'a>>(
    json: &'a str,
    mut take: impl FnMut(T) -> Result<(), AnswerProblem>,
) -> Result<(), AnswerProblem> {
    let mut outcome = Ok(());
    for_each(json, |entry| {
        outcome = take(entry);
        outcome.is_ok()
    })?;
    outcome
}

/// Calls `take` with each entry of a list that may be left out where it is empty.
pub fn each<'a, T: Deserialize<'a>>(
    list: Option<&'a RawValue>,
    mut take: impl FnMut(T),
) -> Result<(), AnswerProblem> {
    for_each(list.map_or("[]", RawValue::get), |entry| {
        take(entry);
        true
    })
}

struct ForEach<T, F> {
    take: F,
    entry: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> bool> DeserializeSeed<'de> for ForEach<T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> bool> Visitor<'de> for ForEach<T, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        while let Some(entry) = list.next_element()? {
            if !(self.take)(entry) {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, most: usize) -> (Vec<u32>, Result<(), AnswerProblem>) {
        let mut entries = Vec::new();
        let outcome = for_each(json, |entry: u32| {
            entries.push(entry);
            entries.len() < most
        });
        (entries, outcome)
    }

    #[test]
    fn entries_are_read_until_enough_and_the_rest_is_still_checked() {
        assert_eq!(read("[1, 2, 3]", 9), (vec![1, 2, 3], Ok(())));
        assert_eq!(read(r#"[1, 2, "three", {"four": [4]}]"#, 2), (vec![1, 2], Ok(())));
        assert_eq!(read("[]", 9), (vec![], Ok(())));
        assert_eq!(read("[1, 2, nonsense]", 1), (vec![1], Err(AnswerProblem::NotJson)));
        assert_eq!(read("[1, 2] 3", 1), (vec![1], Err(AnswerProblem::NotJson)));
    }

    #[test]
    fn what_is_no_list_and_an_entry_of_another_type_are_another_shape() {
        for json in ["{}", "7", "null", r#"["one"]"#] {
            assert_eq!(read(json, 9).1, Err(AnswerProblem::Shape), "{json}");
        }
    }
}
