//! JSON in which no character of a cloud's names does anything but stand for itself.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter};

use crate::cloud::model::unprintable::is_unprintable;

/// Appends a value. Characters that a terminal or browser would obey rather than show are escaped.
pub(super) fn write(chunk: &mut Vec<u8>, value: &impl Serialize) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(chunk, Escaping(CompactFormatter)))
}

/// Escapes what JSON itself leaves as it is: it escapes control characters below U+0020 only.
struct Escaping(CompactFormatter);

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        // What most names consist of. JSON's own escapes are no part of a fragment.
        if fragment.is_ascii() && !fragment.contains('\u{7f}') {
            return self.0.write_string_fragment(writer, fragment);
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(is_unprintable) {
            let (shown, from) = rest.split_at(at);
            self.0.write_string_fragment(writer, shown)?;
            let mut after = from.chars();
            // All of them are in the basic plane, where one escape is one character.
            if let Some(hidden) = after.next() {
                write!(writer, "\\u{:04x}", u32::from(hidden))?;
            }
            rest = after.as_str();
        }
        self.0.write_string_fragment(writer, rest)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn json(value: &impl Serialize) -> String {
        let mut chunk = Vec::new();
        write(&mut chunk, value).unwrap();
        String::from_utf8(chunk).unwrap()
    }

    #[test]
    fn control_and_direction_characters_are_escaped_in_keys_and_values() {
        let value = BTreeMap::from([("a\u{202e}b", "x\0\n\u{7f}\u{9b}\u{200f}\u{2066}ü\"\\")]);
        assert_eq!(json(&value), r#"{"a\u202eb":"x\u0000\n\u007f\u009b\u200f\u2066ü\"\\"}"#);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_and_holds_nothing_unprintable(text in any::<String>()) {
            let json = json(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            prop_assert!(!json.contains(is_unprintable), "{}", json);
        }
    }
}
