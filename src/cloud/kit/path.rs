//! Paths of an API, built from names that a cloud or a user chose.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::loose::is_complete;
use crate::schema::address::stays_in_place;

/// Everything but RFC 3986's unreserved characters is encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name as exactly one segment of a path, whatever characters it has.
///
/// `None` where it cannot be one: an empty name, one that a server may take for a step such as `..` or `..;` once it has
/// decoded it, and a name that may have been cut.
pub fn segment(name: &str) -> Option<Cow<'_, str>> {
    (!name.is_empty() && stays_in_place(name) && is_complete(name))
        .then(|| utf8_percent_encode(name, SEGMENT).into())
}

/// The endpoint with `path` appended. Its segments have to be encoded already.
pub fn below(endpoint: &Url, path: &str) -> Url {
    let mut url = endpoint.clone();
    url.set_path(&format!("{}/{path}", endpoint.path().trim_end_matches('/')));
    url
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cloud::model::LONGEST_TEXT;

    #[test]
    fn a_name_cannot_leave_its_segment() {
        for (name, expected) in [
            ("a/b", "a%2Fb"),
            ("a..b;c", "a..b%3Bc"),
            ("100%", "100%25"),
            ("a%2fb", "a%252fb"),
            ("a?b#c", "a%3Fb%23c"),
            ("é", "%C3%A9"),
        ] {
            assert_eq!(segment(name).as_deref(), Some(expected));
        }
        for step in ["", ".", "..", "..;", "../x", "..%2f", "%2e%2e", "a\\..\\b", "a/../b", "a\tb\n", ";"] {
            assert_eq!(segment(step), None, "{step}");
        }
    }

    #[test]
    fn a_name_that_may_have_been_cut_is_no_segment() {
        assert!(segment(&"n".repeat(LONGEST_TEXT - 1)).is_some());
        assert!(segment(&"n".repeat(LONGEST_TEXT)).is_none());
    }

    #[test]
    fn a_path_goes_below_the_endpoint_with_or_without_its_slash() {
        for endpoint in ["https://a.example/v1/", "https://a.example/v1"] {
            let url = below(&endpoint.parse().unwrap(), "services/x/");
            assert_eq!(url.as_str(), "https://a.example/v1/services/x/");
        }
    }

    proptest! {
        #[test]
        fn every_name_stays_one_segment(name in "\\PC{1,20}") {
            if let Some(segment) = segment(&name) {
                let url = below(&"https://a.example/v1/".parse().unwrap(), &format!("services/{segment}/instances"));
                let segments: Vec<_> = url.path_segments().unwrap().collect();
                prop_assert_eq!(segments.len(), 4);
                let decoded = percent_encoding::percent_decode_str(segments[2]).decode_utf8().unwrap();
                prop_assert_eq!(&*decoded, &name);
            }
        }
    }
}
