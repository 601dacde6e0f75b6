//! The ServiceMonitor as text, what its values mean, and when an existing one is left alone.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::controller::service_monitor::written;

fn account(spec: &Value) -> CaasAccount {
    let mut document = json!({
        "apiVersion": "caas-operator.io/v1alpha1",
        "kind": "CaasAccount",
        "metadata": {"name": "acme", "namespace": "team-a", "uid": "56ac6f38"},
        "spec": {
            "provider": {"alauda": {"endpoint": "https://caas.example.com/v1/"}},
            "credentials": {"secretRef": {"name": "acme-alauda"}},
        },
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        document["spec"][field] = value.clone();
    }
    serde_json::from_value(document).unwrap()
}

fn monitor(spec: &Value) -> ServiceMonitor {
    let service = ScrapeService {
        namespace: "caas-system".into(),
        name: "caas-operator".into(),
        labels: BTreeMap::from([("caas-operator.io/service".into(), "caas-operator".into())]),
        port: 8080,
    };
    service_monitor(Providers::ALL, &account(spec), &AccountId::new("team-a", "acme"), &service)
}

fn yaml(monitor: &ServiceMonitor) -> String {
    serde_saphyr::to_string(monitor).unwrap()
}

#[test]
fn the_service_monitor_of_an_account_with_modern_names() {
    insta::assert_snapshot!(yaml(&monitor(&json!({}))));
}

#[test]
fn the_service_monitor_of_an_account_with_both_names_and_all_settings() {
    insta::assert_snapshot!(yaml(&monitor(&json!({
        "collection": {"interval": "45s"},
        "metrics": {"names": "Both", "labels": {"team": "checkout", "cost": "$1 a day"}},
        "serviceMonitor": {
            "labels": {"release": "kube-prometheus-stack"},
            "annotations": {"example.com/owner": "team-a"},
            "scrapeTimeout": "25s",
        },
    }))));
}

/// What the label `cost` is replaced with, where this is its value.
fn replacement(value: &str) -> String {
    let monitor = monitor(&json!({"metrics": {"labels": {"cost": value}}}));
    let mut rules = monitor.spec.endpoints[0].relabelings.iter();
    rules.find(|rule| rule.target_label.as_deref() == Some("cost")).unwrap().replacement.clone().unwrap()
}

/// What Prometheus makes of a replacement where nothing is matched: Go's `Regexp.Expand`.
fn expanded(mut rest: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut text = String::new();
    while let Some((before, after)) = rest.split_once('$') {
        text += before;
        let in_braces = after.strip_prefix('{').and_then(|name| name.split_once('}'));
        rest = if let Some(after) = after.strip_prefix('$') {
            text.push('$');
            after
        } else if let Some((name, after)) = in_braces
            && !name.is_empty()
            && name.chars().all(is_word)
        {
            after
        } else if after.starts_with(is_word) {
            after.trim_start_matches(is_word)
        } else {
            text.push('$');
            after
        };
    }
    text + rest
}

#[test]
fn a_dollar_in_a_label_means_itself() {
    for (value, expected) in [
        ("$1 or ${2}", "$$1 or $${2}"),
        ("$(POD_NAME)", "$$${_}(POD_NAME)"),
        ("$$(POD_NAME)", "$$$$${_}(POD_NAME)"),
    ] {
        assert_eq!(replacement(value), expected);
        assert_eq!(expanded(expected), value);
    }
}

proptest! {
    #[test]
    fn whatever_is_in_a_label_means_itself_and_is_no_variable_of_the_reloader(value in "[$(){}_1a ]{0,12}") {
        let replacement = replacement(&value);
        prop_assert!(!replacement.contains("$("), "{replacement}");
        prop_assert_eq!(expanded(&replacement), value);
    }
}

#[test]
fn a_short_interval_shortens_the_scrape() {
    let monitor = monitor(&json!({"collection": {"interval": "5s"}}));
    assert_eq!(monitor.spec.endpoints[0].interval, "5s");
    assert_eq!(monitor.spec.endpoints[0].scrape_timeout, "5s");
}

#[test]
fn an_account_collected_each_hour_is_scraped_each_minute() {
    let monitor = monitor(&json!({"collection": {"interval": "1h"}, "metrics": {"names": "Both"}}));
    for endpoint in &monitor.spec.endpoints {
        assert_eq!((&*endpoint.interval, &*endpoint.scrape_timeout), ("1m", "10s"));
    }
}

#[test]
fn what_others_add_is_theirs() {
    let wanted = monitor(&json!({"serviceMonitor": {"labels": {"release": "a"}}}));
    let mut document = serde_json::to_value(&wanted).unwrap();
    document["metadata"]["labels"]["theirs"] = json!("x");
    document["metadata"]["annotations"] = json!({"theirs": "x"});
    document["metadata"]["resourceVersion"] = json!("7");
    document["spec"]["sampleLimit"] = json!(5000);
    document["spec"]["jobLabel"] = json!("app");
    document["spec"]["targetLabels"] = json!(["team"]);
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": "other"});
    document["metadata"]["ownerReferences"].as_array_mut().unwrap().push(owner);
    document["metadata"]["managedFields"] = json!([ours(&json!({
        "f:labels": {"f:release": {}, "f:app.kubernetes.io/managed-by": {}},
        "f:ownerReferences": {},
    }))]);
    let existing: ServiceMonitor = serde_json::from_value(document).unwrap();
    assert_eq!(written(&existing), written(&wanted));
}

/// What the API server keeps of our having written these fields of the metadata.
fn ours(metadata: &Value) -> Value {
    json!({"manager": "caas-operator", "operation": "Apply", "apiVersion": "monitoring.coreos.com/v1",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": metadata}})
}

#[test]
fn a_key_that_we_wrote_and_want_no_longer_is_seen() {
    let wanted =
        monitor(&json!({"serviceMonitor": {"labels": {"release": "a"}, "annotations": {"owner": "a"}}}));
    let all = json!({
        "f:labels": {"f:release": {}, "f:app.kubernetes.io/managed-by": {}},
        "f:annotations": {"f:owner": {}},
    });
    let is_up_to_date = |field: &str, ours_too: bool| {
        let (mut document, mut metadata) = (serde_json::to_value(&wanted).unwrap(), all.clone());
        document["metadata"][field]["left"] = json!("x");
        if ours_too {
            metadata[format!("f:{field}")]["f:left"] = json!({});
        }
        document["metadata"]["managedFields"] = json!([ours(&metadata)]);
        let existing: ServiceMonitor = serde_json::from_value(document).unwrap();
        written(&existing) == written(&wanted)
    };
    for field in ["labels", "annotations"] {
        assert!(is_up_to_date(field, false), "{field} of somebody else");
        assert!(!is_up_to_date(field, true), "{field}");
    }
}

#[test]
fn an_edit_is_seen_wherever_it_is() {
    let wanted = monitor(&json!({
        "metrics": {"names": "Both"},
        "serviceMonitor": {"labels": {"release": "a"}, "annotations": {"owner": "a"}},
    }));
    let document = serde_json::to_value(&wanted).unwrap();
    let gone = Value::Null;
    for (pointer, value) in [
        ("/metadata/labels/release", json!("b")),
        ("/metadata/labels/app.kubernetes.io~1managed-by", json!("me")),
        ("/metadata/annotations/owner", json!("b")),
        ("/metadata/managedFields", json!([ours(&json!({"f:labels": {"f:release": {}}}))])),
        ("/metadata/ownerReferences", json!([])),
        ("/metadata/ownerReferences/0/controller", json!(false)),
        ("/metadata/ownerReferences/0/uid", json!("of another account")),
        ("/spec/endpoints/0/path", json!("/metrics")),
        ("/spec/endpoints/0/interval", json!("1m")),
        ("/spec/endpoints/1/honorLabels", json!(false)),
        ("/spec/endpoints/0/scheme", json!("https")),
        ("/spec/endpoints/0/relabelings/0/sourceLabels", json!(["job"])),
        ("/spec/endpoints/0/relabelings/0/replacement", json!("kube-system")),
        ("/spec/endpoints/0/relabelings/0/action", gone.clone()),
        ("/spec/endpoints", json!([])),
        ("/spec/selector/matchLabels", json!({})),
        ("/spec/selector/matchExpressions", json!([{"key": "app", "operator": "Exists"}])),
        ("/spec/namespaceSelector/matchNames", json!([])),
        ("/spec/namespaceSelector/any", json!(true)),
        ("/spec/keepDroppedTargets", gone),
    ] {
        let mut edited = document.clone();
        match edited.pointer_mut(pointer) {
            Some(place) if !value.is_null() => *place = value,
            place => {
                let removes = place.is_some();
                let (parent, field) = pointer.rsplit_once('/').unwrap();
                let parent = edited.pointer_mut(parent).unwrap().as_object_mut().unwrap();
                if removes {
                    parent.remove(field)
                } else {
                    parent.insert(field.into(), value)
                };
            }
        }
        let existing: ServiceMonitor = serde_json::from_value(edited).unwrap();
        assert_ne!(written(&existing), written(&wanted), "{pointer}");
    }
}
