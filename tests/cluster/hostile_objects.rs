//! Objects made to do harm: the API server refuses them, or they are accepted and harmless.

use anyhow::{Context, ensure};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ObjectMeta, PostParams};
use serde_json::{Value, json};

use crate::harness::{SOON, until};
use crate::operator_fixture::{DEADLINE, OperatorFixture, manifest};

/// Keys of a Secret with their bytes.
type Keys = Vec<(&'static str, Vec<u8>)>;

const MEGABYTE: usize = 1 << 20;

/// Posts an account; the answer's code.
async fn create(fixture: &OperatorFixture, document: &Value) -> anyhow::Result<u16> {
    let path =
        format!("/apis/caas-operator.io/v1alpha1/namespaces/{}/caasaccounts", fixture.namespace.name());
    let request = http::Request::post(path).body(serde_json::to_vec(document)?)?;
    match fixture.namespace.client().request::<Value>(request).await {
        Ok(_) => Ok(201),
        Err(kube::Error::Api(status)) => Ok(status.code),
        Err(other) => Err(other).context("the API server does not answer"),
    }
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn huge_and_broken_accounts_are_refused_and_the_others_are_collected() -> anyhow::Result<()> {
    let fixture = OperatorFixture::new("hostile").await?;
    let pairs = |count: usize| -> Value { (0..count).map(|n| (format!("l{n}"), json!("x"))).collect() };
    let huge = "a".repeat(MEGABYTE);
    let spec = |pointer: &str, value: Value| {
        let mut spec = fixture.spec("acme");
        let mut value_at = &mut spec;
        for step in pointer.split('/').skip(1) {
            if !value_at.is_object() {
                *value_at = json!({});
            }
            value_at = value_at.as_object_mut().unwrap().entry(step).or_insert(Value::Null);
        }
        *value_at = value;
        spec
    };
    for (pointer, value) in [
        ("/provider/alauda/endpoint", json!(format!("http://127.0.0.1/{huge}"))),
        ("/provider/alauda/endpoint", json!("http://127.0.0.1/\u{0}")),
        ("/provider/alauda/endpoint", json!("http://127.0.0.1/\r\nX: y")),
        ("/provider/alauda/namespace", json!(huge)),
        ("/provider/alauda/namespace", json!("a\u{1b}[31m")),
        ("/provider/alauda/metricsWindow", json!("9".repeat(MEGABYTE) + "s")),
        ("/credentials/secretRef/name", json!(huge)),
        ("/credentials/secretRef/name", json!("a\nb")),
        ("/collection/interval", json!("99999h99999h99999h99999h")),
        ("/collection/requestsPerSecond", json!(i64::MAX)),
        ("/services/include", json!(vec!["*"; 10_000])),
        ("/services/include", json!([huge])),
        ("/services/exclude", json!(["a\u{7}"])),
        ("/metrics/labels", pairs(10_000)),
        ("/metrics/labels", json!({"team": huge})),
        ("/metrics/labels", json!({"team": "a\nb"})),
        ("/serviceMonitor/labels", pairs(10_000)),
        ("/serviceMonitor/labels", json!({"release": "a\u{0}b"})),
        ("/serviceMonitor/annotations", pairs(10_000)),
        ("/serviceMonitor/annotations", json!({"note": huge})),
    ] {
        let code = create(&fixture, &manifest("acme", &spec(pointer, value))).await?;
        assert_eq!(code, 422, "{pointer}");
    }
    let mut labelled = manifest("acme", &fixture.spec("acme"));
    labelled["metadata"]["annotations"] = json!({"note": huge});
    assert_eq!(create(&fixture, &labelled).await?, 422, "annotations have 256 KiB together");
    let enormous = manifest("acme", &spec("/metrics/labels", json!({"team": "a".repeat(4 * MEGABYTE)})));
    assert_eq!(create(&fixture, &enormous).await?, 413);

    // What is taken: the longest name, 100 labels and all settings as far as they go in 64 KiB.
    fixture.secret("acme", &crate::operator_fixture::login(&fixture.cloud)).await?;
    let longest = format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(56));
    assert_eq!(longest.len(), 248);
    let mut most = spec("/metrics", json!({"names": "Both", "labels": {}}));
    most["metrics"]["labels"] = (0..32).map(|n| (format!("l{n:_>62}"), json!("$".repeat(256)))).collect();
    most["services"] =
        json!({"include": vec!["*".repeat(253); 40], "exclude": vec!["?*".repeat(126) + "b"; 40]});
    most["serviceMonitor"] = json!({"annotations": {"a": "\u{1b}\u{0}\n".repeat(1365)}});
    let mut largest = manifest(&longest, &most);
    largest["metadata"]["labels"] = pairs(100);
    assert_eq!(create(&fixture, &largest).await?, 201);
    most["services"] =
        json!({"include": vec!["*".repeat(253); 100], "exclude": vec!["?*".repeat(126) + "b"; 100]});
    let mut larger = manifest("larger", &most);
    larger["metadata"]["labels"] = pairs(1000);
    assert_eq!(create(&fixture, &larger).await?, 201);

    fixture.until_ready(&longest).await;
    let message = fixture.until_reason("larger", "Ready", "ObjectTooLarge").await;
    assert!(message.contains("larger than 64 KiB"), "{message}");
    assert_eq!(fixture.metrics("larger").await?.0, 503);
    fixture.patch("larger", json!({"metadata": {"labels": null}, "spec": {"services": null}})).await?;
    fixture.until_ready("larger").await;
    let logs = fixture.operator.logs();
    assert!(!logs.contains("panicked"), "{logs}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn accounts_of_10_000_labels_are_told_so_and_take_no_memory() -> anyhow::Result<()> {
    const ACCOUNTS: usize = 40;
    let mut fixture = OperatorFixture::new("labels").await?;
    fixture.account("bystander").await?;
    fixture.until_ready("bystander").await;
    let alone = fixture.operator.peak_resident_kib()?;
    assert_eq!(fixture.operator.stop(SOON).await?, 0);

    let labels: Value = (0..10_000).map(|n| (format!("label-{n}"), json!("x"))).collect();
    let mut spec = fixture.spec("none");
    spec["suspend"] = json!(true);
    for number in 0..ACCOUNTS {
        let mut document = manifest(&format!("large-{number}"), &spec);
        document["metadata"]["labels"] = labels.clone();
        assert_eq!(create(&fixture, &document).await?, 201);
    }
    fixture.operator = OperatorFixture::operator(&fixture.namespace, &["--relist-seconds=5"]).await?;
    until(DEADLINE, "all of them to be told", async || {
        let told = fixture.operator.scrape("/accounts").await?.1.matches("ObjectTooLarge").count();
        ensure!(told == ACCOUNTS, "{told} are");
        Ok(())
    })
    .await;
    fixture.until_reason("large-0", "Ready", "ObjectTooLarge").await;
    fixture.until_ready("bystander").await;
    fixture.until_cycles(3).await;
    let with = fixture.operator.peak_resident_kib()?;
    println!("{} MiB at most, {} MiB without them", with / 1024, alone / 1024);
    // A page of the list is half of them. Kept, all of them would take more than this.
    assert!(with < alone + (96 << 10), "{with} KiB, and {alone} KiB without them");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_secret_of_any_bytes_is_a_reason_and_no_crash() -> anyhow::Result<()> {
    let fixture = OperatorFixture::new("bytes").await?;
    let secrets: Api<Secret> = fixture.namespace.api();
    let user = || b"acme".to_vec();
    let cases: [(&str, Keys, &str); 7] = [
        ("no-text", vec![("username", user()), ("password", vec![0xff; 100])], "SecretKeyInvalid"),
        ("huge-token", vec![("token", vec![b'a'; MEGABYTE - 100])], "SecretKeyInvalid"),
        ("header", vec![("token", b"a\r\nX-Evil: b".to_vec())], "SecretKeyInvalid"),
        ("nul", vec![("username", b"a\0b".to_vec()), ("password", b"x".to_vec())], "SecretKeyInvalid"),
        ("no-keys", vec![], "SecretKeyMissing"),
        (
            "long-endpoint",
            vec![("username", user()), ("password", b"x".to_vec()), ("endpoint", vec![b'h'; MEGABYTE / 2])],
            "SecretKeyInvalid",
        ),
        (
            "bad-endpoint",
            vec![("username", user()), ("password", b"x".to_vec()), ("endpoint", b"no url".to_vec())],
            "EndpointMismatch",
        ),
    ];
    for (name, keys, _) in &cases {
        let data = keys.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.clone()))).collect();
        let metadata = ObjectMeta { name: Some((*name).to_owned()), ..ObjectMeta::default() };
        let secret = Secret { metadata, data: Some(data), ..Secret::default() };
        secrets.create(&PostParams::default(), &secret).await?;
        fixture.put(name, fixture.spec(name)).await?;
    }
    fixture.account("healthy").await?;
    fixture.until_ready("healthy").await;
    until(DEADLINE, "a reason each", async || {
        for (name, _, reason) in &cases {
            let status = crate::operator_fixture::status(&fixture.namespace, name).await?;
            let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready");
            let ready = ready.with_context(|| format!("{name}: not said yet"))?;
            ensure!(ready.reason == *reason, "{name}: {} {}", ready.reason, ready.message);
        }
        Ok(())
    })
    .await;
    let logs = fixture.operator.logs();
    assert!(!logs.contains("panicked"), "{logs}");
    Ok(())
}
