//! JSON lists read entry by entry: a list of a million entries costs the memory of those that are kept, not of all.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::cloud::error::AnswerProblem;
use crate::cloud::http::limits::json_problem;

/// Hands each entry over until one is answered with `false`; the rest is only checked to be JSON.
pub(super) fn each<'a, T: Deserialize<'a>>(
    json: &'a str,
    take: impl FnMut(T) -> bool,
) -> Result<(), AnswerProblem> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let read = Each { take, entry: PhantomData }.deserialize(&mut deserializer);
    read.and_then(|()| deserializer.end()).map_err(|error| json_problem(&error))
}

struct Each<T, F> {
    take: F,
    entry: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> bool> DeserializeSeed<'de> for Each<T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T) -> bool> Visitor<'de> for Each<T, F> {
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
