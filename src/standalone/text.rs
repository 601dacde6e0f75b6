//! The text of a file -> its documents, or what is wrong with the text: one cause of a closed set, and where.
//!
//! Nothing that leaves this module about a broken text holds a byte of it, since it may be a Secret's.

use std::fmt;

use serde_json::Value;
use serde_json::error::Category;
use serde_saphyr::Error;
use serde_saphyr::granit_parser::ErrorKind as Kind;
use serde_saphyr::localizer::ExternalMessageSource;

/// What is wrong with a text, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {cause}")]
pub struct Broken {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What it is.
    pub cause: Cause,
}

/// What can be wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A key stands twice in a mapping.
    DuplicateKey,
    /// A tab indents a line.
    Tab,
    /// A no-break space, or another that is none to YAML.
    Space,
    /// A byte order mark within the text.
    ByteOrderMark,
    /// A control character.
    Control,
    /// A quote is not closed.
    Quote,
    /// A bracket or brace is not closed, or closed by another one.
    Bracket,
    /// A line does not stand below the lines that it belongs to.
    Indentation,
    /// A key stands where none can.
    Key,
    /// A backslash in double quotes has no meaning.
    Escape,
    /// An alias names no anchor.
    Anchor,
    /// Too many levels, or too much by aliases.
    TooDeep,
    /// Infinity, or no number.
    Infinite,
    /// Bytes that are no UTF-8.
    Encoding,
    /// Bytes of UTF-16.
    Utf16,
    /// It ends early.
    End,
    /// Anything else.
    Other,
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::DuplicateKey => "a key appears twice: remove one of the two",
            Self::Tab => "the line is indented with a tab: use spaces",
            Self::Space => "there is a no-break space or similar character: use a plain space",
            Self::ByteOrderMark => "there is a byte order mark (U+FEFF): remove it",
            Self::Control => {
                "there is a control character: remove it, or use an escape sequence in double quotes"
            }
            Self::Quote => "a quote is not closed",
            Self::Bracket => "a bracket or brace is not closed, or is closed by the wrong one",
            Self::Indentation => "the indentation does not match the lines above",
            Self::Key => {
                "a key is not allowed here: check the indentation, and put values with a colon in quotes"
            }
            Self::Escape => {
                "a backslash in double quotes must start a known escape sequence: use single quotes"
            }
            Self::Anchor => "an alias (*name) has no anchor (&name): put text that begins with * in quotes",
            Self::TooDeep => "it has too many levels, or aliases make it too large",
            Self::Infinite => "infinity is not a valid value: put it in quotes",
            Self::Encoding => "it is not UTF-8: save the file as UTF-8",
            Self::Utf16 => "it is UTF-16: save the file as UTF-8",
            Self::End => "it ends before a bracket, brace or quote is closed",
            Self::Other => "there is a syntax error here",
        })
    }
}

/// The text of a file's bytes.
pub fn decode(bytes: Vec<u8>) -> Result<String, Broken> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Broken { line: 1, column: 1, cause: Cause::Utf16 });
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        Broken::at(&before, before.len(), Cause::Encoding)
    })
}

/// The value of a JSON text.
pub(super) fn json(text: &str) -> Result<Value, Broken> {
    serde_json::from_str(text.strip_prefix('\u{feff}').unwrap_or(text)).map_err(|error| Broken {
        line: error.line(),
        column: error.column(),
        cause: match error.classify() {
            Category::Eof => Cause::End,
            _ if error.to_string().starts_with("recursion limit") => Cause::TooDeep,
            _ if error.to_string().starts_with("control character") => Cause::Control,
            _ => Cause::Other,
        },
    })
}

/// The YAML documents of a text with the line that each begins at, split before they are parsed, so that a broken one
/// leaves the others alone.
pub(super) fn documents(text: &str) -> Vec<(usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    let (mut begin, mut begin_line, mut offset) = (0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let end = offset + line.len();
        if line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
        {
            documents.push((begin_line, &text[begin..offset]));
            // What follows on the line of the dashes belongs to the document.
            (begin, begin_line) = (offset + "---".len(), index + 1);
        }
        offset = end;
    }
    documents.push((begin_line, &text[begin..]));
    documents
}

/// The value of a YAML document, or nothing where it holds nothing. Lines count within the document.
pub(super) fn yaml(document: &str) -> Result<Option<Value>, Broken> {
    if let Some((at, character)) = document.char_indices().find(|(_, character)| !is_of_yaml(*character)) {
        let cause = if character == '\u{feff}' { Cause::ByteOrderMark } else { Cause::Control };
        return Err(Broken::at(document, at, cause));
    }
    // Without the lines around an error, which only its text would show.
    let options = serde_saphyr::options! { with_snippet: false };
    let value = serde_saphyr::from_str_with_options::<Option<Value>>(document, options);
    value.map(|value| value.filter(|value| !value.is_null())).map_err(|error| of_yaml(&error, document))
}

/// What is wrong with a YAML text that could not be read.
fn of_yaml(error: &Error, text: &str) -> Broken {
    let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
    let [line, column] = [line, column].map(|number| usize::try_from(number).unwrap_or(usize::MAX).max(1));
    let cause = cause(error);
    if matches!(cause, Cause::Indentation | Cause::Key | Cause::Tab | Cause::Other)
        && let Some(hidden) = hidden(text, line)
    {
        return hidden;
    }
    Broken { line, column, cause }
}

/// The characters that a YAML text may hold; the rest is written as escapes.
fn is_of_yaml(character: char) -> bool {
    let is_control = character.is_control() && !matches!(character, '\t' | '\n' | '\r' | '\u{85}');
    !is_control && !matches!(character, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn cause(error: &Error) -> Cause {
    match error {
        Error::WithSnippet { error, .. } | Error::AliasError { error, .. } => cause(error),
        Error::DuplicateMappingKey { .. } => Cause::DuplicateKey,
        Error::UnknownAnchor { .. } => Cause::Anchor,
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => Cause::TooDeep,
        Error::NonFiniteFloat { .. } => Cause::Infinite,
        Error::Eof { .. } => Cause::End,
        Error::ExternalMessage { source, .. } => match &**source {
            ExternalMessageSource::Parser(error) => scanned(error.kind()),
            _ => Cause::Other,
        },
        _ => Cause::Other,
    }
}

fn scanned(kind: &Kind) -> Cause {
    match kind {
        Kind::TabNotAllowed
        | Kind::TabInBlockIndentation
        | Kind::TabInIndentation
        | Kind::TabAtBlockScalarStart
        | Kind::TabInPlainScalar => Cause::Tab,
        Kind::BomInsideDocument => Cause::ByteOrderMark,
        Kind::UnclosedQuotedScalar | Kind::DocumentIndicatorInQuotedScalar => Cause::Quote,
        Kind::UnexpectedEofFlowSequence
        | Kind::UnexpectedEofFlowMapping
        | Kind::UnexpectedEofImplicitFlowMapping
        | Kind::ExpectedFlowMappingSeparator
        | Kind::ExpectedFlowSequenceSeparator
        | Kind::MisplacedFlowCollectionEnd
        | Kind::MismatchedFlowCollectionEnd { .. }
        | Kind::UnclosedFlowCollection { .. } => Cause::Bracket,
        Kind::InvalidIndentation
        | Kind::ExpectedBlockMappingKey
        | Kind::ExpectedBlockSequenceEntry
        | Kind::InvalidBlockScalarIndent
        | Kind::InvalidQuotedScalarIndent
        | Kind::InvalidFlowScalarIndent
        | Kind::BlockSequenceEntryNotAllowed => Cause::Indentation,
        Kind::SimpleKeyExpected
        | Kind::InvalidSimpleKey
        | Kind::MappingKeyNotAllowed
        | Kind::MappingValueNotAllowed
        | Kind::InvalidColonPlacement
        | Kind::InvalidMappingValueWhitespace => Cause::Key,
        Kind::UnknownQuotedScalarEscape | Kind::InvalidQuotedScalarHexEscape | Kind::InvalidUnicodeEscape => {
            Cause::Escape
        }
        Kind::UnknownAnchor => Cause::Anchor,
        Kind::RecursionLimitExceeded => Cause::TooDeep,
        Kind::UnexpectedEof | Kind::UnexpectedEofBlockMapping | Kind::UnexpectedEofBlockSequence => {
            Cause::End
        }
        _ => Cause::Other,
    }
}

/// A character that nobody sees, in this line or beside it: a parser reports what comes before or after it.
fn hidden(text: &str, line: usize) -> Option<Broken> {
    let find = |line: usize| {
        let content = text.lines().nth(line.checked_sub(1)?)?;
        let indentation = content.chars().take_while(|character| character.is_whitespace()).count();
        let mut before = ' ';
        content.chars().enumerate().find_map(|(index, character)| {
            let separates = index < indentation || matches!(before, ':' | '-');
            before = character;
            let cause = match character {
                '\t' if index < indentation => Cause::Tab,
                ' ' | '\t' => return None,
                character if separates && character.is_whitespace() => Cause::Space,
                _ => return None,
            };
            Some(Broken { line, column: index + 1, cause })
        })
    };
    [line, line - 1, line + 1].into_iter().find_map(find)
}

impl Broken {
    /// At this byte of the text.
    fn at(text: &str, byte: usize, cause: Cause) -> Self {
        let before = &text[..byte];
        let line_begin = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        Self { line, column: before[line_begin..].chars().count() + 1, cause }
    }
}

#[cfg(test)]
mod tests;
