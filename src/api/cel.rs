//! The rules that an API server applies with CEL, and the sentences it refuses with.
//!
//! Every list, map and string that a rule reads has a bound in the schema: the API server estimates a rule's
//! cost from the bounds and refuses a CRD whose rules may cost too much.

use crate::cloud::Providers;
use crate::schema::duration::is_duration;
use crate::schema::rule::matches;
use crate::schema::{Duration, Rule};

/// Labels that Prometheus, Prometheus Operator or the operator itself set on a target or a series: one of a target
/// would push aside the series' own.
pub const RESERVED_LABELS: [&str; 25] = [
    "account",
    "account_namespace",
    "application",
    "code",
    "container",
    "endpoint",
    "image",
    "image_tag",
    "instance",
    "instance_id",
    "instance_name",
    "job",
    "kind",
    "namespace",
    "node",
    "pod",
    "provider",
    "quantile",
    "region",
    "service",
    "service_id",
    "service_name",
    "size",
    "state",
    "status",
];

/// The label by which the operator knows what it wrote.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// The longest name of a CaasAccount: its ServiceMonitor is `caas-<name>`, and a name has at most 253 characters.
pub const MAX_NAME_LENGTH: usize = 253 - "caas-".len();

/// What a service glob looks like.
pub const GLOB_PATTERN: &str = r"^[^\[\]{}\\\x00-\x20\x7f]+$";

/// What Prometheus takes as a label's name, which for it may have any length.
const LABEL_NAME_PATTERN: &str = "^[a-zA-Z_][a-zA-Z0-9_]{0,62}$";

/// A key of Kubernetes labels and annotations.
const QUALIFIED_NAME_PATTERN: &str =
    r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";

/// What Kubernetes takes as the name of a Secret.
const DNS_SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// What Kubernetes takes as a key of a Secret.
const SECRET_KEY_PATTERN: &str = "^[-._a-zA-Z0-9]+$";

/// What Kubernetes takes as the value of a label.
const LABEL_VALUE_PATTERN: &str = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";

/// Text of one line.
const NO_CONTROL: &str = r"^[^\x00-\x1f\x7f]*$";

/// The longest key: a DNS prefix, a slash and a name.
const MAX_KEY_LENGTH: usize = 253 + 1 + 63;

/// On the root: the name leaves room for the ServiceMonitor's.
pub fn name() -> kube::core::Rule {
    let rule = Rule::new(
        format!("size(self.metadata.name) <= {MAX_NAME_LENGTH}"),
        format!(
            "shorten metadata.name to at most {MAX_NAME_LENGTH} characters: the ServiceMonitor is named caas-<name>"
        ),
    );
    kube::core::Rule::new(rule.rule).message(rule.message.as_str())
}

/// On the spec, where no other interval is set than the provider's own: the interval in CEL.
fn interval(providers: Providers) -> String {
    let default = providers.iter().fold("'30s'".to_owned(), |others, provider| {
        let own = Duration::from(provider.default_interval());
        format!("has(self.provider.{}) ? '{own}' : {others}", provider.name())
    });
    format!("(has(self.collection) && has(self.collection.interval) ? self.collection.interval : {default})")
}

/// On the spec: values live at least until the next cycle.
pub fn stale_after(providers: Providers) -> Rule {
    let (stale_after, interval) = ("self.collection.staleAfter", interval(providers));
    Rule::new(
        format!(
            "!has(self.collection) || !has({stale_after}) || !{} || !{} || duration({stale_after}) >= duration({interval})",
            is_duration(stale_after),
            is_duration(&interval)
        ),
        "raise collection.staleAfter to at least collection.interval, or remove it: values would be dropped before the next collection",
    )
}

/// On the spec: a scrape ends before the next begins, which is after a minute where the interval is longer.
pub fn scrape_timeout(providers: Providers) -> Rule {
    let (timeout, interval) = ("self.serviceMonitor.scrapeTimeout", interval(providers));
    Rule::new(
        format!(
            "!has(self.serviceMonitor) || !has({timeout}) || !{} || !{} || duration({timeout}) <= duration({interval})",
            is_duration(timeout),
            is_duration(&interval)
        ),
        "lower serviceMonitor.scrapeTimeout to at most collection.interval, or remove it",
    )
}

/// On the provider: one, and only one.
pub fn one_provider(providers: Providers) -> Rule {
    let given = providers.iter().map(|provider| format!("has(self.{})", provider.name()));
    Rule::new(
        format!("[{}].exists_one(given, given)", given.collect::<Vec<_>>().join(", ")),
        format!("set exactly one provider: {}", providers.names()),
    )
}

/// On the name of a Secret.
pub fn secret_name() -> Rule {
    Rule::new(
        matches("self", DNS_SUBDOMAIN),
        "use the name of a Secret: lowercase letters, digits, - and ., starting and ending with a letter or digit",
    )
}

/// On a key of a Secret.
pub fn secret_key() -> Rule {
    Rule::new(matches("self", SECRET_KEY_PATTERN), "use a key of the Secret: letters, digits, -, _ and .")
}

/// On a glob: only `*` and `?` mean something.
pub fn glob() -> Rule {
    Rule::new(
        matches("self", GLOB_PATTERN),
        "use a glob: * matches any text and ? one character; no spaces, brackets, braces or backslashes",
    )
}

/// On `metrics.labels`: names that Prometheus takes.
pub fn label_names() -> Rule {
    Rule::new(
        format!("self.all(name, {})", matches("name", LABEL_NAME_PATTERN)),
        "use label names of at most 63 letters, digits and underscores, not starting with a digit",
    )
}

/// On `metrics.labels`: names that nothing else sets.
pub fn free_label_names() -> Rule {
    let reserved = RESERVED_LABELS.map(|label| format!("'{label}'")).join(", ");
    Rule::new(
        format!("self.all(name, !name.startsWith('__') && !(name in [{reserved}]))"),
        format!(
            "use other label names: names starting with __ and these names are reserved: {}",
            RESERVED_LABELS.join(", ")
        ),
    )
}

/// Whether both rules on the names of `metrics.labels` let this one pass.
pub fn is_free_label_name(name: &str) -> bool {
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let goes_on = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let free = !name.starts_with("__") && !RESERVED_LABELS.contains(&name);
    starts && goes_on && name.len() <= 63 && free
}

/// On each value of `metrics.labels`.
pub fn one_line() -> Rule {
    Rule::new(matches("self", NO_CONTROL), "use values without line breaks or other control characters")
}

/// On each value of the ServiceMonitor's labels.
pub fn label_value() -> Rule {
    Rule::new(
        matches("self", LABEL_VALUE_PATTERN),
        "use valid Kubernetes label values: letters, digits, -, _ and ., starting and ending with a letter or digit",
    )
}

/// On labels and annotations of the ServiceMonitor: keys that Kubernetes takes.
pub fn qualified_names() -> Rule {
    Rule::new(
        format!("self.all(key, size(key) <= {MAX_KEY_LENGTH} && {})", matches("key", QUALIFIED_NAME_PATTERN)),
        "use valid Kubernetes keys: an optional DNS prefix and a slash, then at most 63 letters, digits, -, _ and .",
    )
}

/// On the ServiceMonitor's labels: the operator's own label stays the operator's.
pub fn managed_by() -> Rule {
    Rule::new(
        format!("!('{MANAGED_BY}' in self)"),
        format!("remove {MANAGED_BY}: the operator sets it to recognize its own ServiceMonitors"),
    )
}
