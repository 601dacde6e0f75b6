//! Label sets, escaped and joined once, when an object is first seen.

use std::sync::Arc;

/// The longest label value that is exposed, in bytes before escaping: far above any name that a cloud
/// gives, and small enough that a hostile one costs little.
pub const MAX_VALUE_BYTES: usize = 512;

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

    /// The labels of a service of this account, and how many values had to be cut. No label says that a service belongs to
    /// no application, since Prometheus takes an empty one as absent.
    pub fn service(&self, application: Option<&str>, name: &str) -> (Self, u64) {
        match application.filter(|application| !application.is_empty()) {
            Some(application) => self.with(&[("application", application), ("service_name", name)]),
            None => self.with(&[("service_name", name)]),
        }
    }

    /// The labels of an instance of this service, and how many values had to be cut.
    pub fn instance(&self, name: &str, id: &str) -> (Self, u64) {
        self.with(&[("instance_name", name), ("instance_id", id)])
    }

    /// The text between the braces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn with(&self, more: &[(&str, &str)]) -> (Self, u64) {
        let mut joined = String::from(&*self.0);
        let cuts = more.iter().map(|(label, value)| push_next(&mut joined, label, value)).sum();
        (Self(joined.into()), cuts)
    }
}

/// Appends `label="value"`; 1 if the value had to be cut.
pub(super) fn push_pair(joined: &mut String, label: &str, value: &str) -> u64 {
    joined.push_str(label);
    joined.push_str("=\"");
    push_escaped(joined, cut(value));
    joined.push('"');
    u64::from(is_cut(value))
}

/// The same, after a comma.
pub(super) fn push_next(joined: &mut String, label: &str, value: &str) -> u64 {
    joined.push(',');
    push_pair(joined, label, value)
}

/// The part of a value that is exposed.
pub(super) fn cut(value: &str) -> &str {
    let mut end = value.len().min(MAX_VALUE_BYTES);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}

pub(super) fn is_cut(value: &str) -> bool {
    value.len() > MAX_VALUE_BYTES
}

/// Both formats escape backslash, quote and newline and take every other character, control ones too.
fn push_escaped(joined: &mut String, value: &str) {
    let mut rest = value;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        joined.push_str(&rest[..at]);
        joined.push_str(match rest.as_bytes()[at] {
            b'\n' => "\\n",
            b'"' => "\\\"",
            _ => "\\\\",
        });
        rest = &rest[at + 1..];
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
        assert_eq!(cuts, 0);
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
    fn backslash_quote_and_newline_are_escaped_and_control_characters_stay() {
        let (service, _) = LabelSet::account("n", "a").service(None, "a\\b\"c\nd\re\0f\u{7f}ü");
        assert!(service.as_str().ends_with("service_name=\"a\\\\b\\\"c\\nd\re\0f\u{7f}ü\""), "{service:?}");
    }

    #[test]
    fn a_value_longer_than_the_limit_is_cut_between_characters_and_counted() {
        let name = "a".repeat(MAX_VALUE_BYTES - 1) + "üüü";
        let (service, cuts) = LabelSet::account("n", "a").service(None, &name);
        assert!(service.as_str().ends_with(&format!("\"{}\"", "a".repeat(MAX_VALUE_BYTES - 1))));
        assert_eq!(cuts, 1);

        let (_, cuts) = service.instance(&name, &name);
        assert_eq!(cuts, 2);
        let (_, cuts) = service.instance(&"b".repeat(MAX_VALUE_BYTES), "id");
        assert_eq!(cuts, 0);
    }
}
