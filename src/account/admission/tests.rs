//! Each rule with its sentence, the defaults, and documents that somebody made to do harm.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn admit(document: Value) -> Result<CaasAccount, Refused> {
    of_all_providers().admit(document)
}

fn document() -> Value {
    json!({
        "apiVersion": "caas-operator.io/v1alpha1",
        "kind": "CaasAccount",
        "metadata": {"name": "acme"},
        "spec": {
            "provider": {"alauda": {"endpoint": "https://caas.example.com/v1/"}},
            "credentials": {"secretRef": {"name": "acme-alauda"}},
        },
    })
}

/// The document with one value set, at a JSON pointer whose last step may be new.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = document();
    let (parents, last) = pointer.rsplit_once('/').unwrap();
    let mut parent = &mut document;
    for step in parents.split('/').skip(1) {
        parent = &mut parent[step];
    }
    parent[last] = value;
    document
}

fn errors(document: Value) -> Vec<String> {
    admit(document).unwrap_err().0.iter().map(ToString::to_string).collect()
}

/// The only error of the document with one value set.
fn error(pointer: &str, value: Value) -> String {
    let mut errors = errors(with(pointer, value));
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors.remove(0)
}

#[test]
fn what_is_left_out_gets_its_default() {
    let account = admit(document()).unwrap();
    assert_eq!(account.spec.collection, api::spec::Collection::default());
    assert_eq!(account.spec.services, api::spec::Services::default());
    assert_eq!(account.spec.metrics, api::spec::Metrics::default());
    assert_eq!(account.spec.service_monitor, api::spec::ServiceMonitor::default());
    assert_eq!(account.metadata.namespace.as_deref(), Some("default"));
    assert_eq!(account.metadata.uid.as_deref(), Some("default/acme"));
}

#[test]
fn a_field_without_a_value_is_a_field_left_out() {
    let mut document = with("/spec/serviceMonitor", json!({"labels": null}));
    document["spec"]["collection"] = Value::Null;
    document["spec"]["tls"] = Value::Null;
    document["spec"]["metrics"] = json!({"labels": {"team": null}, "maxSeries": 7.0});
    let account = admit(document).unwrap();
    assert_eq!((account.spec.metrics.max_series, account.spec.metrics.labels.len()), (7, 0));
    assert!(account.spec.service_monitor.mode == api::spec::MonitorMode::Auto && account.spec.tls.is_none());
}

#[test]
fn a_copy_of_an_object_under_another_name_is_another_account() {
    let mut copy = with("/metadata/uid", json!("56ac6f38-4523-4078-9470-26ab85d4c638"));
    copy["metadata"]["name"] = json!("copy");
    assert_eq!(admit(copy).unwrap().metadata.uid.as_deref(), Some("default/copy"));
}

#[test]
fn a_provider_is_needed_and_only_one() {
    let provider = |provider| errors(with("/spec/provider", provider));
    assert_eq!(
        provider(json!({})),
        [format!("spec.provider: set exactly one provider: {}", Providers::ALL.names())]
    );
    let two = provider(json!({"alauda": {"cloud": "cn"}, "other": {"token": "x"}}));
    assert_eq!(
        two,
        ["spec.provider.other: is an unknown field: remove it, or correct its name or indentation"]
    );
}

#[test]
fn an_endpoint_or_a_cloud_is_needed_and_not_both() {
    for alauda in [json!({}), json!({"endpoint": "https://caas.example.com/", "cloud": "cn"})] {
        assert_eq!(
            error("/spec/provider/alauda", alauda),
            "spec.provider.alauda: set exactly one of endpoint (URL of the API) or cloud (cn or io, Alauda's own clouds)"
        );
    }
}

#[test]
fn an_endpoint_is_a_url_and_nothing_more() {
    for endpoint in [
        "caas.example.com",
        "ftp://caas.example.com/",
        "https://",
        "https:///v1/",
        "https://user@host/",
        "https://user:password@host/",
        "https://host/?query",
        "https://host/#fragment",
        "https://ho st/",
        "https://host/\u{1}",
        "https://host:port/",
        "https://evil.example\\@host/",
        "//host/",
        "https://host/ ",
        "https://host/%zz",
        "https://%41/",
    ] {
        let error = error("/spec/provider/alauda/endpoint", json!(endpoint));
        assert!(
            error.starts_with("spec.provider.alauda.endpoint: use an http:// or https:// URL with a host"),
            "{error}"
        );
    }
    for endpoint in ["http://127.0.0.1:8080", "https://[::1]:8443/v1/", "https://caas.example.com"] {
        assert!(admit(with("/spec/provider/alauda/endpoint", json!(endpoint))).is_ok(), "{endpoint}");
    }
}

#[test]
fn a_namespace_is_one_part_of_a_path() {
    for namespace in ["a/b", "..", ".", "a b", "a?b", "a%2fb"] {
        let error = error("/spec/provider/alauda/namespace", json!(namespace));
        assert!(
            error.starts_with("spec.provider.alauda.namespace: use the name of a user or organization"),
            "{error}"
        );
    }
}

#[test]
fn a_duration_is_written_with_units_and_lies_within_its_bounds() {
    for (field, bad, bounds) in
        [("interval", ["4s", "1h1s"], "5s to 1h"), ("requestTimeout", ["999ms", "6m"], "1s to 5m")]
    {
        let pointer = format!("/spec/collection/{field}");
        let expected = "use whole numbers with units, such as 30s, 1m30s or 500ms (units: h, m, s, ms)";
        assert_eq!(error(&pointer, json!("30")), format!("spec.collection.{field}: {expected}"));
        for value in bad {
            assert_eq!(
                error(&pointer, json!(value)),
                format!("spec.collection.{field}: set a duration from {bounds}")
            );
        }
    }
    for (field, bad, bounds) in [("metricsWindow", "2h", "1s to 1h"), ("metricsLag", "2h", "0s to 1h")] {
        assert_eq!(
            error(&format!("/spec/provider/alauda/{field}"), json!(bad)),
            format!("spec.provider.alauda.{field}: set a duration from {bounds}")
        );
    }
}

#[test]
fn values_do_not_go_stale_before_the_next_collection() {
    assert_eq!(
        error("/spec/collection", json!({"interval": "1m", "staleAfter": "59s"})),
        "spec: raise collection.staleAfter to at least collection.interval, or remove it: values would be dropped before the next collection"
    );
    assert!(admit(with("/spec/collection", json!({"interval": "1m", "staleAfter": "60s"}))).is_ok());
}

#[test]
fn a_scrape_ends_before_the_next_begins() {
    assert_eq!(
        error("/spec/serviceMonitor", json!({"scrapeTimeout": "31s"})),
        "spec: lower serviceMonitor.scrapeTimeout to at most collection.interval, or remove it"
    );
    let mut hourly = with("/spec/collection", json!({"interval": "1h"}));
    hourly["spec"]["serviceMonitor"] = json!({"scrapeTimeout": "61s"});
    assert_eq!(errors(hourly), ["spec.serviceMonitor.scrapeTimeout: set a duration from 1s to 1m"]);
    assert!(
        admit(with("/spec/collection", json!({"interval": "5s"}))).is_ok(),
        "a short interval needs no scrapeTimeout"
    );
}

#[test]
fn a_glob_has_only_stars_and_question_marks() {
    for glob in ["a[bc]", "{a,b}", "a\\*", "a b", "a\tb", "a\u{7f}"] {
        let error = error("/spec/services", json!({"include": ["ok-*", glob]}));
        assert!(
            error.starts_with("spec.services.include[1]: use a glob: * matches any text and ? one character"),
            "{error}"
        );
    }
}

#[test]
fn labels_have_names_that_prometheus_takes_and_nobody_else_sets() {
    for name in ["a-b", "1a", "", "ü", "a\nb", &"a".repeat(64)] {
        assert!(!api::cel::is_free_label_name(name), "{name}");
        let error = error("/spec/metrics", json!({"labels": {name: "x"}}));
        assert!(
            error.starts_with(
                "spec.metrics.labels: use label names of at most 63 letters, digits and underscores"
            ),
            "{error}"
        );
    }
    for name in api::cel::RESERVED_LABELS.into_iter().chain(["__address__"]) {
        assert!(!api::cel::is_free_label_name(name), "{name}");
        let error = error("/spec/metrics", json!({"labels": {name: "x"}}));
        assert!(error.starts_with("spec.metrics.labels: use other label names"), "{error}");
    }
    for name in ["team", "_a", "A1", &"a".repeat(63)] {
        assert!(api::cel::is_free_label_name(name), "{name}");
        assert!(admit(with("/spec/metrics", json!({"labels": {name: "checkout"}}))).is_ok(), "{name}");
    }
}

#[test]
fn labels_of_the_service_monitor_are_kubernetes_labels_and_not_the_operators() {
    for key in ["-a", "a/b/c", "A.com/x", "a b", "", &format!("{}/a", "a".repeat(316))] {
        let error = error("/spec/serviceMonitor", json!({"labels": {key: "x"}}));
        assert!(error.starts_with("spec.serviceMonitor.labels: use valid Kubernetes keys"), "{error}");
    }
    assert_eq!(
        error("/spec/serviceMonitor", json!({"labels": {"app.kubernetes.io/managed-by": "me"}})),
        "spec.serviceMonitor.labels: remove app.kubernetes.io/managed-by: the operator sets it to recognize its own ServiceMonitors"
    );
}

#[test]
fn a_name_leaves_room_for_the_service_monitors() {
    let name = vec!["a".repeat(60); 5].join(".");
    assert!(admit(with("/metadata/name", json!(name[..248]))).is_ok());
    assert_eq!(
        error("/metadata/name", json!(name[..249])),
        "shorten metadata.name to at most 248 characters: the ServiceMonitor is named caas-<name>"
    );
}

#[test]
fn fields_of_no_meaning_are_named() {
    for (pointer, path) in [
        ("/spec/colection", "spec.colection"),
        ("/spec/credentials/secretRef/namespace", "spec.credentials.secretRef.namespace"),
        ("/sepc", "sepc"),
        ("/metadata/nam", "metadata.nam"),
    ] {
        let error = error(pointer, json!("x"));
        assert!(error.starts_with(&format!("{path}: is an unknown field")), "{error}");
    }
}

#[test]
fn values_of_wrong_types_and_sizes_are_named() {
    for (pointer, value, expected) in [
        (
            "/spec/collection/requestsPerSecond",
            json!(0),
            "spec.collection.requestsPerSecond: must be at least 1",
        ),
        (
            "/spec/collection/maxConcurrentRequests",
            json!(257),
            "spec.collection.maxConcurrentRequests: must be at most 256",
        ),
        ("/spec/suspend", json!("yes"), r#"spec.suspend: the value is not of type "boolean""#),
        (
            "/spec/metrics/names",
            json!("modern"),
            r#"spec.metrics.names: must be one of ["Modern","Legacy","Both"]"#,
        ),
        ("/spec/credentials", json!({}), "spec.credentials.secretRef: is required: set it"),
        (
            "/spec/credentials/secretRef/name",
            json!("A"),
            "spec.credentials.secretRef.name: use the name of a Secret: lowercase letters",
        ),
        (
            "/spec/tls",
            json!({"caBundleSecretRef": {"name": "ca", "key": "ca crt"}}),
            "spec.tls.caBundleSecretRef.key: use a key of the Secret: letters",
        ),
        (
            "/spec/metrics/labels",
            json!({"team": "a\nb"}),
            "spec.metrics.labels.team: use values without line breaks",
        ),
        (
            "/spec/serviceMonitor/labels",
            json!({"team": "a b"}),
            "spec.serviceMonitor.labels.team: use valid Kubernetes label values",
        ),
    ] {
        let error = error(pointer, value);
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(error("/kind", json!("CaasAcount")), "kind: must be CaasAccount");
    assert_eq!(error("/metadata/namespace", json!("A")).split(':').next(), Some("metadata.namespace"));
}

#[test]
fn documents_made_to_do_harm_are_refused_with_few_short_words() {
    let huge = "x".repeat(1_000_000);
    let many: serde_json::Map<_, _> =
        (0..10_000).map(|i| (format!("l{i}\u{1b}[31m"), json!("a\nb"))).collect();
    let mut deep = json!("x");
    for _ in 0..100 {
        deep = json!([deep]);
    }
    for (pointer, value) in [
        ("/metadata/name", json!(huge)),
        ("/spec/provider/alauda/endpoint", json!(format!("https://{huge}"))),
        ("/spec/provider/alauda/namespace", json!(huge)),
        ("/spec/collection/interval", json!("1s".repeat(100_000))),
        ("/spec/services", json!({"include": vec![huge.clone(); 50]})),
        ("/spec/services", json!({"include": vec!["*"; 10_000]})),
        ("/spec/metrics", json!({"labels": many})),
        ("/spec/metrics", json!({"labels": {huge.clone(): "x"}, huge.clone(): 1})),
        ("/spec/serviceMonitor", json!({"annotations": many})),
        ("/spec/serviceMonitor", json!({"annotations": {"a": huge}})),
        ("/spec/tls", deep.clone()),
        ("/spec/unknown", deep),
        ("/spec/collection/requestsPerSecond", json!(1e300)),
        ("/spec/metrics/maxSeries", json!(i64::MAX)),
    ] {
        let text = admit(with(pointer, value)).unwrap_err().to_string();
        assert!(text.len() < 20_000, "{pointer}: {} bytes", text.len());
        assert!(!text.contains(char::is_control), "{pointer}: {text}");
    }
    for nonsense in [Value::Null, json!([]), json!("x"), json!({"metadata": []}), json!({"spec": 1})] {
        assert!(admit(nonsense).is_err());
    }
}

proptest! {
    #[test]
    fn a_glob_that_is_admitted_matches_itself_when_it_has_no_star(text in "[a-z0-9?._\\[\\]{} \\\\-]{1,8}") {
        let admitted = admit(with("/spec/services", json!({"include": [text]})));
        prop_assert_eq!(admitted.is_err(), text.contains(['[', ']', '{', '}', ' ', '\\']));
        if admitted.is_ok() {
            let filter = crate::cloud::ServiceFilter::new(&[&text], &[]);
            prop_assert!(filter.wants(&text.replace('?', "x")));
        }
    }
}
