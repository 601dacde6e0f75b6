//! Characters that change how text around them is shown, or end it, instead of being shown.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether the character is a control character (C0, DEL, C1) or sets the direction of text (Unicode's `Bidi_Control`).
pub fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// The text with such characters written out, such as `\u{202e}`, for people.
pub fn written_out(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_unprintable(character) {
            // Writing into a String does not fail.
            let _ = write!(shown, "{}", character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unprintable_characters_are_written_out() {
        assert!(matches!(written_out("naïve 名 👩‍💻 <b>"), Cow::Borrowed(_)));
        assert_eq!(written_out("a\u{202e}b\0\n\u{9b}c"), r"a\u{202e}b\u{0}\u{a}\u{9b}c");
    }
}
