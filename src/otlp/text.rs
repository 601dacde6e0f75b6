//! Reads the text format 0.0.4 as this program itself writes it, line by line. Knows nothing of OTLP.

use std::borrow::Cow;
use std::io;

use bytes::Bytes;

use crate::exposition::gzip::Inflate;

/// How much text is unpacked at once.
const CHUNK_BYTES: usize = 32 << 10;

/// The lines of a text, of which only a piece is in memory.
pub(super) struct Lines {
    text: Inflate,
    piece: Vec<u8>,
    /// Where the next line begins.
    next: usize,
}

/// A line.
#[derive(Debug, PartialEq)]
pub(super) enum Line<'a> {
    /// What a family is about: its name, and a sentence.
    Help(&'a str, &'a str),
    /// What kind a family is of: its name, and `counter`, `gauge` or `histogram`.
    Type(&'a str, &'a str),
    /// A sample.
    Sample(Sample<'a>),
}

/// A sample as it is written.
#[derive(Debug, PartialEq)]
pub(super) struct Sample<'a> {
    pub(super) name: &'a str,
    /// The text between the braces; empty where there are none.
    pub(super) labels: &'a str,
    pub(super) value: f64,
    /// In milliseconds since the epoch.
    pub(super) time: Option<i64>,
}

impl Lines {
    /// Those of a compressed text.
    pub(super) fn of(gzip: Bytes) -> Self {
        Self { text: Inflate::new(gzip), piece: Vec::new(), next: 0 }
    }

    /// The next line that says something; `None` at the end. Costs CPU time: not for async threads.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let Some((start, end)) = self.next_line()? else { return Ok(None) };
        self.next = end + 1;
        let line = std::str::from_utf8(&self.piece[start..end]).map_err(io::Error::other)?;
        Ok(Some(parse(line).ok_or_else(|| io::Error::other("a line of the own text cannot be read"))?))
    }

    /// Where the next line begins and ends in the piece.
    fn next_line(&mut self) -> io::Result<Option<(usize, usize)>> {
        loop {
            let rest = &self.piece[self.next..];
            if let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
                return Ok(Some((self.next, self.next + length)));
            }
            let Some(chunk) = self.text.next_chunk(CHUNK_BYTES)? else { return Ok(None) };
            self.piece.drain(..self.next);
            self.next = 0;
            self.piece.extend_from_slice(&chunk);
        }
    }
}

fn parse(line: &str) -> Option<Line<'_>> {
    if let Some(comment) = line.strip_prefix("# ") {
        let (word, rest) = comment.split_once(' ')?;
        let (name, text) = rest.split_once(' ')?;
        return match word {
            "HELP" => Some(Line::Help(name, text)),
            "TYPE" => Some(Line::Type(name, text)),
            _ => None,
        };
    }
    let name_end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(name_end);
    let (labels, numbers) = match rest.strip_prefix('{') {
        Some(rest) => {
            let end = end_of_labels(rest)?;
            (&rest[..end], rest[end + 1..].strip_prefix(' ')?)
        }
        None => ("", rest.strip_prefix(' ')?),
    };
    let (value, time) = match numbers.split_once(' ') {
        Some((value, time)) => (value, Some(time.parse().ok()?)),
        None => (numbers, None),
    };
    Some(Line::Sample(Sample { name, labels, value: value.parse().ok()?, time }))
}

/// Where the brace is that ends the labels: one in a value ends nothing.
fn end_of_labels(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// The labels of a sample with their values, those that are not empty: an empty one is the same as none.
pub(super) fn labels(text: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (name, after) = rest.trim_start_matches(',').split_once("=\"")?;
        let end = end_of_value(after)?;
        rest = &after[end + 1..];
        Some((name, unescaped(&after[..end])))
    })
    .filter(|(_, value)| !value.is_empty())
}

fn end_of_value(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        byte => byte == b'"',
    })
}

fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let (mut plain, mut characters) = (String::with_capacity(text.len()), text.chars());
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => plain.push('\n'),
                Some(other) => plain.push(other),
                None => {}
            },
            other => plain.push(other),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_line_is_read() {
        for (line, expected) in [
            ("# HELP up Whether it is up.", Line::Help("up", "Whether it is up.")),
            ("# TYPE up gauge", Line::Type("up", "gauge")),
            ("up 1", Line::Sample(Sample { name: "up", labels: "", value: 1.0, time: None })),
            (
                "m{a=\"1\",b=\"}, {\\\"\"} 0.5 1480000000250",
                Line::Sample(Sample {
                    name: "m",
                    labels: "a=\"1\",b=\"}, {\\\"\"",
                    value: 0.5,
                    time: Some(1_480_000_000_250),
                }),
            ),
            ("m{le=\"+Inf\"} +Inf", {
                Line::Sample(Sample { name: "m", labels: "le=\"+Inf\"", value: f64::INFINITY, time: None })
            }),
        ] {
            assert_eq!(parse(line), Some(expected), "{line}");
        }
        for line in ["", "up", "up one", "m{a=\"1\" 1", "m{a=\"1\"}1", "# UNIT m seconds"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn labels_are_unescaped_and_empty_ones_left_out() {
        let text = r#"a="x",b="",c="back\\slash, \"quote\", new\nline},{",d="ü""#;
        let all: Vec<_> = labels(text).map(|(name, value)| (name, value.into_owned())).collect();
        let expected = [("a", "x"), ("c", "back\\slash, \"quote\", new\nline},{"), ("d", "ü")];
        assert_eq!(all, expected.map(|(name, value)| (name, value.to_owned())));
    }
}
