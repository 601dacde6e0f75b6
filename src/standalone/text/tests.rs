//! Each cause with the place that it is reported at, and that no byte of a text is told.

use super::*;

/// What is told of a document.
fn broken(document: &str) -> Broken {
    yaml(document).expect_err(document)
}

#[test]
fn each_mistake_is_told_by_its_cause_with_line_and_column() {
    let deep = "[".repeat(100_000);
    for (document, line, column, cause) in [
        ("kind: Secret\nkind: Secret\n", 2, 1, Cause::DuplicateKey),
        ("metadata:\n  name: a\n  labels: {a: b, a: c}\n", 3, 18, Cause::DuplicateKey),
        ("metadata:\n\tname: a\n", 2, 1, Cause::Tab),
        ("metadata:\n  name: a\n\tnamespace: b\n", 3, 1, Cause::Tab),
        ("metadata:\n  name:\u{a0}a\n  namespace: b\n", 2, 8, Cause::Space),
        ("kind: a\u{feff}\n", 1, 8, Cause::ByteOrderMark),
        ("kind: a\u{1}\n", 1, 8, Cause::Control),
        ("kind: \"a\nmetadata: {}\n", 1, 7, Cause::Quote),
        ("kind: [a\n", 1, 7, Cause::Bracket),
        ("kind: [a}\n", 1, 7, Cause::Bracket),
        ("metadata:\n  name: a\n namespace: b\n", 3, 2, Cause::Indentation),
        ("kind: a: b\n", 1, 8, Cause::Key),
        ("kind: \"\\d\"\n", 1, 7, Cause::Escape),
        ("kind: *a\n", 1, 7, Cause::Anchor),
        (&deep, 1, 1, Cause::TooDeep),
        ("kind: .inf\n", 1, 7, Cause::Infinite),
    ] {
        let told = broken(document);
        let shown = &document[..document.len().min(60)];
        assert_eq!(told.cause, cause, "{shown:?}: {told}");
        assert!(cause == Cause::TooDeep || (told.line, told.column) == (line, column), "{shown:?}: {told}");
    }
}

#[test]
fn a_text_that_is_not_utf8_is_told_by_the_place_of_the_first_byte() {
    let told = decode(b"kind: Secret\nx: \xff\xfe".to_vec()).unwrap_err();
    assert_eq!(told, Broken { line: 2, column: 4, cause: Cause::Encoding });
    assert_eq!(decode(b"\xff\xfek\0".to_vec()).unwrap_err().cause, Cause::Utf16);
    assert_eq!(decode("ä".as_bytes().to_vec()).unwrap(), "ä");
}

#[test]
fn a_broken_json_text_is_told_with_line_and_column() {
    assert_eq!(json("{\"a\": ").unwrap_err().cause, Cause::End);
    let told = json("{\"a\":\n  canary}").unwrap_err();
    assert_eq!((told.line, told.cause), (2, Cause::Other));
    assert_eq!(json(&"[".repeat(100_000)).unwrap_err().cause, Cause::TooDeep);
}

#[test]
fn a_byte_order_mark_at_the_begin_of_a_file_is_no_part_of_it() {
    assert_eq!(documents("\u{feff}---\na: b\n").len(), 2);
    assert_eq!(json("\u{feff}{}").unwrap(), serde_json::json!({}));
}
