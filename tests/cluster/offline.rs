//! The program's own admission, for manifests without a cluster, agrees with an API server's.

use std::collections::BTreeSet;

use caas_operator::account::admission::Admission;
use caas_operator::api::CaasAccount;
use caas_operator::cloud::Providers;
use serde_json::{Value, json};

use crate::admission::{server, with};
use crate::harness::ControlPlane;

/// Values by the JSON pointer that they are put at, valid and invalid ones of each kind.
#[allow(clippy::too_many_lines)] // a table
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
        ("/spec/metrics/names", strings(&["Modern", "Legacy", "Both", "modern", "MODERN"])),
        ("/spec/metrics/timestamps", strings(&["None", "Source", "none"])),
        ("/spec/metrics/maxSeries", numbers()),
        ("/spec/metrics/labels", values(&labels)),
        ("/spec/serviceMonitor", nothing()),
        ("/spec/serviceMonitor/enabled", nothing()),
        ("/spec/serviceMonitor/mode", strings(&["Auto", "Always", "Never", "auto", "Off"])),
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

/// Where the two differ: URLs that no client could request are refused offline alone, since Go's parser takes them.
fn known_differences() -> BTreeSet<(String, String, &'static str)> {
    let endpoint =
        |url: &str| ("/spec/provider/alauda/endpoint".to_owned(), json!(url).to_string(), OFFLINE_ALONE);
    [endpoint("https://host:65536/"), endpoint("https://1.2.3.4.5/"), endpoint("https://256.1.1.1/")].into()
}

const OFFLINE_ALONE: &str = "refused offline alone";
const ONLINE_ALONE: &str = "refused online alone";

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn manifests_are_judged_without_a_cluster_as_an_api_server_judges_them() -> anyhow::Result<()> {
    let namespace = ControlPlane::shared().await.namespace("corpus").await?;
    let admission = Admission::new(Providers::ALL);
    let (mut differ, mut taken, mut refused) = (BTreeSet::new(), 0, 0);
    for (pointer, values) in corpus() {
        for value in values {
            let document = with(pointer, value.clone());
            let difference = match (admission.admit(document.clone()), server(&namespace, &document).await) {
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
    let known = known_differences();
    println!("{taken} values taken by both, {refused} refused by both, {} differ", differ.len());
    assert_eq!(differ, known);
    assert!(taken > 100 && refused > 300, "the corpus has enough of both: {taken} {refused}");
    Ok(())
}
