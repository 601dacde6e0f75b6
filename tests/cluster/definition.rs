//! The installed definition: what it refuses and with which sentence, what it fills in, how `kubectl` explains it, and that
//! the program's own admission, for manifests without a cluster, is of the same mind.

use std::collections::BTreeSet;

use caas_operator::account::admission::admit;
use caas_operator::api::CaasAccount;
use serde_json::{Value, json};

use crate::harness::{ControlPlane, Namespace};
use crate::scene::manifest;

const DURATION: &str =
    "write a duration as whole numbers with units, such as 30s, 1m30s or 500ms (units: h, m, s, ms)";
const ENDPOINT: &str = "write an http:// or https:// URL with a host and without user, password, query, fragment and \
                        escapes, such as https://caas.example.com/v1/";
const EITHER: &str =
    "set exactly one of endpoint (the URL of the API) and cloud (cn or io, Alauda's own clouds)";
const SEGMENT: &str = "write the name of a user or organization, without slashes, spaces, ?, # and %";
const GLOB: &str = "write a glob of * (any text), ? (one character) and the name's own characters: no spaces, brackets, \
                    braces or backslashes";
const LABELS: &str = "name labels with at most 63 letters, digits and underscores, not starting with a digit";
const RESERVED: &str = "choose other label names: names starting with __ and account, account_namespace, container, \
                        endpoint, instance, instance_id, instance_name, job, namespace, node, pod, service, \
                        service_name are set by Prometheus and the operator";
const KEYS: &str = "write keys as Kubernetes takes them: an optional DNS prefix and a slash, then at most 63 letters, \
                    digits, -, _ and .";
const MANAGED_BY: &str =
    "leave app.kubernetes.io/managed-by out: the operator sets it to know its own ServiceMonitors";
const STALE: &str = "raise staleAfter to at least interval, or leave it out: values would be dropped before the next \
                     collection";
const TIMEOUT: &str = "lower serviceMonitor.scrapeTimeout to at most collection.interval, or leave it out";
const NAME: &str =
    "shorten metadata.name to at most 248 characters: the ServiceMonitor is called caas-<name>";

fn document() -> Value {
    let spec = json!({
        "provider": {"alauda": {"endpoint": "https://caas.example.com/v1/"}},
        "credentials": {"secretRef": {"name": "acme-alauda"}},
    });
    manifest("acme", spec)
}

/// The document with a value at a JSON pointer, whose steps may be new.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = document();
    let mut place = &mut document;
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/");
        if !place.is_object() {
            *place = json!({});
        }
        place = place.as_object_mut().unwrap().entry(step).or_insert(Value::Null);
    }
    *place = value;
    document
}

/// What the API server makes of a document that somebody creates with `kubectl`, or its refusal. Nothing is kept.
async fn server(namespace: &Namespace, document: &Value) -> Result<Value, String> {
    let path = format!(
        "/apis/caas-operator.io/v1alpha1/namespaces/{}/caasaccounts?dryRun=All&fieldValidation=Strict",
        namespace.name()
    );
    let request = http::Request::post(path).body(serde_json::to_vec(document).unwrap()).unwrap();
    match namespace.client().request::<Value>(request).await {
        Ok(taken) => Ok(taken),
        Err(kube::Error::Api(status)) => Err(format!("{} ({})", status.message, status.code)),
        Err(other) => panic!("the API server does not answer: {other}"),
    }
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn what_cannot_be_is_refused_with_a_sentence_that_says_what_to_do() -> anyhow::Result<()> {
    let namespace = ControlPlane::shared().await.namespace("refused").await?;
    let provider = "/spec/provider/alauda";
    let bounds = |least: &str, greatest: &str| format!("set a duration from {least} to {greatest}");
    let cases = [
        (format!("{provider}/endpoint"), json!("ftp://caas.example.com/"), ENDPOINT.to_owned()),
        (format!("{provider}/endpoint"), json!("https://user:secret@host/"), ENDPOINT.to_owned()),
        (format!("{provider}/cloud"), json!("cn"), EITHER.to_owned()),
        (provider.to_owned(), json!({}), EITHER.to_owned()),
        (format!("{provider}/namespace"), json!("a/b"), SEGMENT.to_owned()),
        (format!("{provider}/metricsWindow"), json!("2h"), bounds("1s", "1h")),
        (format!("{provider}/metricsLag"), json!("61m"), bounds("0s", "1h")),
        (
            "/spec/provider".to_owned(),
            json!({}),
            "\"spec.provider\" must validate one and only one schema".to_owned(),
        ),
        ("/spec/collection/interval".to_owned(), json!("30"), DURATION.to_owned()),
        ("/spec/collection/interval".to_owned(), json!("4s"), bounds("5s", "1h")),
        ("/spec/collection/staleAfter".to_owned(), json!("25h"), bounds("5s", "24h")),
        ("/spec/collection/staleAfter".to_owned(), json!("29s"), STALE.to_owned()),
        ("/spec/collection/requestTimeout".to_owned(), json!("6m"), bounds("1s", "5m")),
        ("/spec/serviceMonitor/scrapeTimeout".to_owned(), json!("31s"), TIMEOUT.to_owned()),
        ("/spec/serviceMonitor/scrapeTimeout".to_owned(), json!("500ms"), bounds("1s", "1h")),
        ("/spec/serviceMonitor/labels".to_owned(), json!({"a b": "x"}), KEYS.to_owned()),
        (
            "/spec/serviceMonitor/labels".to_owned(),
            json!({"app.kubernetes.io/managed-by": "me"}),
            MANAGED_BY.to_owned(),
        ),
        ("/spec/serviceMonitor/annotations".to_owned(), json!({"-": "x"}), KEYS.to_owned()),
        ("/spec/services/include".to_owned(), json!(["ok-*", "a[bc]"]), GLOB.to_owned()),
        ("/spec/services/exclude".to_owned(), json!(["{a,b}"]), GLOB.to_owned()),
        ("/spec/metrics/labels".to_owned(), json!({"a-b": "x"}), LABELS.to_owned()),
        ("/spec/metrics/labels".to_owned(), json!({"job": "x"}), RESERVED.to_owned()),
        ("/spec/metrics/labels".to_owned(), json!({"__address__": "x"}), RESERVED.to_owned()),
        ("/metadata/name".to_owned(), json!("a.".repeat(124) + "a"), NAME.to_owned()),
    ];
    for (pointer, value, sentence) in cases {
        let refusal = server(&namespace, &with(&pointer, value.clone())).await.expect_err(&pointer);
        assert!(refusal.contains(&sentence), "{pointer} {value}: {refusal}");
        let path = pointer[1..].replace('/', ".");
        // A rule stands on the field whose parts it compares.
        let field = match sentence.as_str() {
            NAME => "<nil>",
            TIMEOUT => "spec: ",
            _ => path.rsplit_once('.').unwrap().0,
        };
        assert!(refusal.contains(field), "{pointer}: the field is named: {refusal}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_secret_of_another_namespace_cannot_be_named() -> anyhow::Result<()> {
    let namespace = ControlPlane::shared().await.namespace("secret-ref").await?;
    for reference in ["/spec/credentials/secretRef", "/spec/tls/caBundleSecretRef"] {
        let mut document = with(reference, json!({"name": "admin", "namespace": "kube-system"}));
        let refusal = server(&namespace, &document).await.unwrap_err();
        assert!(refusal.contains("unknown field") && refusal.contains("namespace"), "{refusal}");
        // Whoever turns that check off has the field dropped.
        let path = format!(
            "/apis/caas-operator.io/v1alpha1/namespaces/{}/caasaccounts?dryRun=All",
            namespace.name()
        );
        let request = http::Request::post(path).body(serde_json::to_vec(&document)?)?;
        let taken: Value = namespace.client().request(request).await?;
        let kept = taken.pointer(reference).unwrap();
        assert!(kept.get("namespace").is_none(), "{kept}");
        for name in ["kube-system/admin", "../kube-system/secrets/admin", "admin?x", "Admin", ""] {
            *document.pointer_mut(reference).unwrap() = json!({"name": name});
            assert!(server(&namespace, &document).await.is_err(), "{name:?} is no name of a Secret");
        }
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn what_is_left_out_is_filled_in() -> anyhow::Result<()> {
    let namespace = ControlPlane::shared().await.namespace("defaults").await?;
    let mut taken = server(&namespace, &document()).await.unwrap();
    assert_eq!(
        taken["spec"].take(),
        json!({
            "provider": {"alauda": {
                "endpoint": "https://caas.example.com/v1/", "metricsWindow": "100s", "metricsLag": "30s",
            }},
            "credentials": {"secretRef": {"name": "acme-alauda"}},
            "suspend": false,
            "collection": {
                "interval": "30s", "requestTimeout": "10s", "maxConcurrentRequests": 32, "requestsPerSecond": 50,
            },
            "services": {"include": ["*"], "exclude": []},
            "metrics": {"names": "modern", "timestamps": "none", "maxSeries": 100_000, "labels": {}},
            "serviceMonitor": {"enabled": true, "labels": {}, "annotations": {}},
        })
    );
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn each_field_is_explained_with_its_unit_and_default() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    for (field, sentences) in [
        (
            "caas",
            &["An account at a Container-as-a-Service cloud, whose services and instances become Prometheus"]
                [..],
        ),
        (
            "caas.spec",
            &[
                "provider\t<Object> -required-",
                "credentials\t<Object> -required-",
                "suspend\t<boolean>",
                "Default: false.",
            ],
        ),
        (
            "caas.spec.provider.alauda",
            &["Set this or cloud.", "enum: cn, io", "Default: the username in the Secret."],
        ),
        ("caas.spec.credentials.secretRef", &["name\t<string> -required-", "in the account's own namespace"]),
        ("caas.spec.collection", &["from 5s to 1h", "Default: 30s.", "from 1 to 1000. Default: 50."]),
        ("caas.spec.services", &["Globs on the service's name", "Default: all services."]),
        ("caas.spec.metrics.maxSeries", &["from 1 to 10000000", "Default: 100000."]),
        ("caas.spec.serviceMonitor", &["Whether there is a ServiceMonitor for the account. Default: true."]),
        ("caas.status", &["Base URL of the API that is asked.", "observedGeneration\t<integer>"]),
    ] {
        let text = plane.kubectl(&["explain", field]).await?.expect_ok();
        // Its lines are broken at 80 columns.
        let text = text.split([' ', '\n']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        for sentence in sentences {
            assert!(text.contains(sentence), "{field} lacks {sentence:?}: {text}");
        }
    }
    Ok(())
}

/// Values by the place that they are put at: right ones and wrong ones of each kind.
fn corpus() -> Vec<(&'static str, Vec<Value>)> {
    let nothing = || vec![json!(null), json!({}), json!([]), json!(""), json!(7), json!(true), json!("x")];
    let durations = || {
        let texts = [
            "0s",
            "1ms",
            "999ms",
            "1s",
            "4s999ms",
            "5s",
            "29s",
            "30s",
            "31s",
            "90s",
            "1m30s",
            "5m",
            "5m1ms",
            "1h",
            "60m",
            "1h1ms",
            "24h",
            "25h",
            "30",
            "1d",
            "-5s",
            "1.5s",
            "1s1s1s1s1s",
            "100000s",
            "99999h",
            " 5s",
            "5S",
            "٣s",
            "1h1s1ms",
        ];
        texts.iter().map(|text| json!(text)).chain(nothing()).collect::<Vec<_>>()
    };
    let numbers = || {
        let some = [
            json!(0),
            json!(1),
            json!(-1),
            json!(256),
            json!(257),
            json!(1000),
            json!(1001),
            json!(7.0),
            json!(7.5),
        ];
        let large = [json!(10_000_000), json!(10_000_001), json!(2_147_483_648_i64), json!("7"), json!(1e30)];
        some.into_iter().chain(large).chain(nothing()).collect::<Vec<_>>()
    };
    let endpoints = [
        "https://caas.example.com",
        "http://127.0.0.1:8080/",
        "https://[::1]:8443/v1/",
        "https://host:0/",
        "https://host:65535/",
        "https://host:65536/",
        "https://1.2.3.4.5/",
        "https://host:port/",
        "https://host/a/../b",
        "https://host//",
        "https:/host/",
        "https://",
        "https:///v1/",
        "//host/",
        "ftp://host/",
        "HTTPS://host/",
        "https://HOST/",
        "https://user@host/",
        "https://u:p@host/",
        "https://host/?q",
        "https://host/#f",
        "https://host/%zz",
        "https://%41/",
        "https://ho st/",
        "https://host/ ",
        " https://host/",
        "https://ho\nst/",
        "https://host/\u{1}",
        "https://host\\@evil/",
        "https://ünïcode.example/",
        "https://xn--nicode-2ya.example/",
        "https://1.2.3.4/",
        "https://256.1.1.1/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://host./",
        "https://-host/",
        "https://a_b/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://host/日本",
        "caas.example.com",
        "https://host:/",
    ];
    let texts = ["acme", "a/b", "..", ".", "a b", "a?b", "a%b", "a#b", "a\\b", "a\tb", "ü", "a:b", "@", "-"];
    let names = ["acme", "a.b", "A", "-a", "a-", "a..b", "a_b", "a/b", "ü", "a b", "1"];
    let globs = ["*", "a?", "a[b]", "{a}", "a\\*", "a b", "a\tb", "ü*", "a\u{7f}", "a/b", "**", ""];
    let labels = [
        json!({"team": "checkout"}),
        json!({"a-b": "x"}),
        json!({"1a": "x"}),
        json!({"_": "x"}),
        json!({"": "x"}),
        json!({"job": "x"}),
        json!({"__x": "x"}),
        json!({"ü": "x"}),
        json!({"a": "ü\u{1F600}"}),
        json!({"a": "b\nc"}),
        json!({"a": "\u{7f}"}),
        json!({"a": 7}),
        json!({"a": "x".repeat(256)}),
        json!({"a": "x".repeat(257)}),
        json!({"a".repeat(63): "x"}),
        json!({"a".repeat(64): "x"}),
        (0..32).map(|n| (format!("l{n}"), json!("x"))).collect(),
        (0..33).map(|n| (format!("l{n}"), json!("x"))).collect(),
    ];
    let keys = [
        json!({"a": "x"}),
        json!({"a/b": "x"}),
        json!({"a/b/c": "x"}),
        json!({"A.com/x": "x"}),
        json!({"a b": "x"}),
        json!({"-a": "x"}),
        json!({"a.b/c_d.e-f": "x"}),
        json!({"app.kubernetes.io/managed-by": "x"}),
        json!({"a": "b c"}),
        json!({"a": "-"}),
        json!({"a": ""}),
        json!({"a": "x".repeat(63)}),
        json!({"a": "x".repeat(64)}),
        json!({"a".repeat(64): "x"}),
        json!({"a": "x\ny"}),
    ];
    let strings = |texts: &[&str]| texts.iter().map(|text| json!(text)).chain(nothing()).collect::<Vec<_>>();
    let values = |values: &[Value]| values.iter().cloned().chain(nothing()).collect::<Vec<_>>();
    let one_each =
        |texts: &[&str]| texts.iter().map(|text| json!([text])).chain(nothing()).collect::<Vec<_>>();
    vec![
        ("/spec/provider/alauda/endpoint", strings(&endpoints)),
        ("/spec/provider/alauda/namespace", strings(&texts)),
        ("/spec/provider/alauda/metricsWindow", durations()),
        ("/spec/provider/alauda/metricsLag", durations()),
        (
            "/spec/provider/alauda",
            values(&[json!({"cloud": "cn"}), json!({"cloud": "io"}), json!({"cloud": "de"})]),
        ),
        (
            "/spec/provider",
            values(&[json!({"alauda": {"cloud": "cn"}, "other": {}}), json!({"alauda": null})]),
        ),
        ("/spec/credentials/secretRef/name", strings(&names)),
        ("/spec/credentials", nothing()),
        (
            "/spec/tls/caBundleSecretRef",
            values(&[json!({"name": "ca"}), json!({"name": "ca", "key": "a b"})]),
        ),
        ("/spec/tls", nothing()),
        ("/spec/suspend", nothing()),
        ("/spec/collection", nothing()),
        ("/spec/collection/interval", durations()),
        ("/spec/collection/staleAfter", durations()),
        ("/spec/collection/requestTimeout", durations()),
        ("/spec/collection/maxConcurrentRequests", numbers()),
        ("/spec/collection/requestsPerSecond", numbers()),
        ("/spec/services", nothing()),
        ("/spec/services/include", one_each(&globs)),
        ("/spec/services/exclude", one_each(&globs)),
        ("/spec/metrics", nothing()),
        ("/spec/metrics/names", strings(&["modern", "legacy", "both", "Modern"])),
        ("/spec/metrics/timestamps", strings(&["none", "source", "None"])),
        ("/spec/metrics/maxSeries", numbers()),
        ("/spec/metrics/labels", values(&labels)),
        ("/spec/serviceMonitor", nothing()),
        ("/spec/serviceMonitor/enabled", nothing()),
        ("/spec/serviceMonitor/labels", values(&keys)),
        ("/spec/serviceMonitor/annotations", values(&keys)),
        ("/spec/serviceMonitor/scrapeTimeout", durations()),
        ("/spec", nothing()),
        ("/spec/unknown", nothing()),
        ("/unknown", nothing()),
        ("/metadata/name", strings(&names)),
        ("/metadata/unknown", nothing()),
        ("/metadata/labels", vec![json!({"a": "b"}), json!({"a b": "x"})]),
        ("/metadata/annotations", vec![json!({"a": "b c"}), json!({"a b": "x"})]),
        ("/kind", strings(&["CaasAccount"])),
        ("/apiVersion", strings(&["caas-operator.io/v1alpha1", "caas-operator.io/v1"])),
    ]
}

/// Where the two differ: URLs that no client could ask are refused offline alone, since Go's parser takes them; labels and
/// annotations of the account itself are checked by an API server alone.
fn known_differences() -> BTreeSet<(String, String, &'static str)> {
    let endpoint =
        |url: &str| ("/spec/provider/alauda/endpoint".to_owned(), json!(url).to_string(), OFFLINE_ALONE);
    let metadata =
        |field: &str| (format!("/metadata/{field}"), json!({"a b": "x"}).to_string(), ONLINE_ALONE);
    [
        endpoint("https://host:65536/"),
        endpoint("https://1.2.3.4.5/"),
        endpoint("https://256.1.1.1/"),
        metadata("labels"),
        metadata("annotations"),
    ]
    .into()
}

const OFFLINE_ALONE: &str = "refused offline alone";
const ONLINE_ALONE: &str = "refused online alone";

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn manifests_are_judged_without_a_cluster_as_an_api_server_judges_them() -> anyhow::Result<()> {
    let namespace = ControlPlane::shared().await.namespace("corpus").await?;
    let (mut differ, mut taken, mut refused) = (BTreeSet::new(), 0, 0);
    for (pointer, values) in corpus() {
        for value in values {
            let document = with(pointer, value.clone());
            let difference = match (admit(document.clone()), server(&namespace, &document).await) {
                (Ok(offline), Ok(online)) => {
                    taken += 1;
                    let online: CaasAccount = serde_json::from_value(online)?;
                    assert_eq!(offline.spec, online.spec, "{pointer} {value}");
                    continue;
                }
                (Err(_), Err(_)) => {
                    refused += 1;
                    continue;
                }
                (Err(_), Ok(_)) => OFFLINE_ALONE,
                (Ok(_), Err(_)) => ONLINE_ALONE,
            };
            differ.insert((pointer.to_owned(), value.to_string(), difference));
        }
    }
    assert_eq!(differ, known_differences());
    assert!(taken > 100 && refused > 300, "the corpus has enough of both: {taken} {refused}");
    Ok(())
}
