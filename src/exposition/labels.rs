//! Label sets, escaped and joined once, when an object is first seen.

use std::borrow::Cow;
use std::iter::Sum;
use std::ops::{Add, AddAssign};
use std::sync::Arc;

use crate::cloud::model::unprintable::is_unprintable;

/// The longest label value that is exposed, in bytes before escaping: far above any name that a cloud
/// gives, and small enough that a hostile one costs little.
pub const MAX_VALUE_BYTES: usize = 512;

/// Stands for a character that would change how the text around it is shown: Prometheus shows label values as they are.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// How many label values are exposed otherwise than a cloud gave them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Altered {
    /// Longer than is exposed.
    pub cut: u64,
    /// With characters that were replaced.
    pub replaced: u64,
}

impl Altered {
    /// Of one value.
    pub(super) fn of(value: &str) -> Self {
        let cut = cut(value);
        Self { cut: u64::from(cut.len() < value.len()), replaced: u64::from(cut.contains(is_replaced)) }
    }
}

impl Add for Altered {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { cut: self.cut + other.cut, replaced: self.replaced + other.replaced }
    }
}

impl AddAssign for Altered {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Altered {
    fn sum<I: Iterator<Item = Self>>(values: I) -> Self {
        values.fold(Self::default(), Add::add)
    }
}

/// A label set as it is written between the braces: `a="1",b="2"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelSet(pub(super) Arc<str>);

impl LabelSet {
    /// The labels on every series of an account.
    pub fn account(namespace: &str, name: &str) -> Self {
        let mut joined = String::new();
        push_pair(&mut joined, "account_namespace", namespace);
        push_next(&mut joined, "account", name);
        Self(joined.into())
    }

    /// The labels of a service of this account, and how many values were altered. No label says that a service belongs
    /// to no application, since Prometheus takes an empty one as absent.
    pub fn service(&self, application: Option<&str>, name: &str) -> (Self, Altered) {
        match application.filter(|application| !application.is_empty()) {
            Some(application) => self.with(&[("application", application), ("service_name", name)]),
            None => self.with(&[("service_name", name)]),
        }
    }

    /// The labels of an instance of this service, and how many values were altered.
    pub fn instance(&self, name: &str, id: &str) -> (Self, Altered) {
        self.with(&[("instance_name", name), ("instance_id", id)])
    }

    /// The text between the braces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn with(&self, more: &[(&str, &str)]) -> (Self, Altered) {
        let mut joined = String::from(&*self.0);
        for (label, value) in more {
            push_next(&mut joined, label, value);
        }
        (Self(joined.into()), more.iter().map(|(_, value)| Altered::of(value)).sum())
    }
}

/// Appends `label="value"`, altered where it has to be.
pub(super) fn push_pair(joined: &mut String, label: &str, value: &str) {
    joined.push_str(label);
    joined.push_str("=\"");
    push_escaped(joined, cut(value));
    joined.push('"');
}

/// The same, after a comma.
pub(super) fn push_next(joined: &mut String, label: &str, value: &str) {
    joined.push(',');
    push_pair(joined, label, value);
}

/// The value that is exposed, before escaping.
pub(super) fn exposed(value: &str) -> Cow<'_, str> {
    let value = cut(value);
    if value.contains(is_replaced) {
        Cow::Owned(value.replace(is_replaced, REPLACEMENT.encode_utf8(&mut [0; 4])))
    } else {
        Cow::Borrowed(value)
    }
}

/// The part of a value that is exposed.
pub(super) fn cut(value: &str) -> &str {
    let mut end = value.len().min(MAX_VALUE_BYTES);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}

/// A newline is escaped instead, as both formats have it.
fn is_replaced(character: char) -> bool {
    character != '\n' && is_unprintable(character)
}

/// Both formats escape backslash, quote and newline and take every other character.
fn push_escaped(joined: &mut String, value: &str) {
    let special = |character| matches!(character, '\\' | '"' | '\n') || is_replaced(character);
    let mut rest = value;
    while let Some(at) = rest.find(special) {
        let (plain, from) = rest.split_at(at);
        joined.push_str(plain);
        let mut after = from.chars();
        match after.next() {
            Some('\n') => joined.push_str("\\n"),
            Some('"') => joined.push_str("\\\""),
            Some('\\') => joined.push_str("\\\\"),
            _ => joined.push(REPLACEMENT),
        }
        rest = after.as_str();
    }
    joined.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_set_grows_from_account_to_service_to_instance() {
        let account = LabelSet::account("team-a", "acme");
        let (service, _) = account.service(None, "kibana");
        let (instance, cuts) = service.instance("kibana.0", "8d3f");
        assert_eq!(
            instance.as_str(),
            r#"account_namespace="team-a",account="acme",service_name="kibana",instance_name="kibana.0",instance_id="8d3f""#
        );
        assert_eq!(cuts, Altered::default());
    }

    #[test]
    fn a_service_has_the_label_of_its_application_where_it_has_one() {
        let account = LabelSet::account("team-a", "acme");
        let labels = |application| account.service(application, "web").0.as_str().to_owned();
        assert_eq!(
            labels(Some("shop")),
            r#"account_namespace="team-a",account="acme",application="shop",service_name="web""#
        );
        assert_eq!(labels(None), r#"account_namespace="team-a",account="acme",service_name="web""#);
        assert_eq!(labels(Some("")), labels(None), "Prometheus takes an empty label as absent");
    }

    #[test]
    fn backslash_quote_and_newline_are_escaped_and_what_is_not_shown_is_replaced() {
        let name = "a\\b\"c\nd\re\0f\u{7f}\u{202e}ü";
        let (service, altered) = LabelSet::account("n", "a").service(None, name);
        let expected = "a\\\\b\\\"c\\nd\u{fffd}e\u{fffd}f\u{fffd}\u{fffd}ü";
        assert!(service.as_str().ends_with(&format!("service_name=\"{expected}\"")), "{service:?}");
        assert_eq!(altered, Altered { cut: 0, replaced: 1 }, "a value counts once");
        assert_eq!(exposed(name), "a\\b\"c\nd\u{fffd}e\u{fffd}f\u{fffd}\u{fffd}ü");
    }

    #[test]
    fn a_value_longer_than_the_limit_is_cut_between_characters_and_counted() {
        let name = "a".repeat(MAX_VALUE_BYTES - 1) + "üüü";
        let (service, cuts) = LabelSet::account("n", "a").service(None, &name);
        assert!(service.as_str().ends_with(&format!("\"{}\"", "a".repeat(MAX_VALUE_BYTES - 1))));
        assert_eq!(cuts, Altered { cut: 1, replaced: 0 });

        let (_, cuts) = service.instance(&name, &name);
        assert_eq!(cuts, Altered { cut: 2, replaced: 0 });
        let (_, cuts) = service.instance(&"b".repeat(MAX_VALUE_BYTES), "id");
        assert_eq!(cuts, Altered::default());
    }
}
