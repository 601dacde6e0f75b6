//! The installed CRD: what it refuses and with which message, which defaults it sets, how `kubectl` explains it.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::harness::{ControlPlane, Namespace, until};
use crate::operator_fixture::{DEADLINE, manifest};

const DURATION: &str = "use whole numbers with units, such as 30s, 1m30s or 500ms (units: h, m, s, ms)";
const ENDPOINT: &str = "use an http:// or https:// URL with a host and no user, password, query, fragment, \
                        percent escape, semicolon or empty path segment, such as https://caas.example.com/v1/";
const EITHER: &str = "set exactly one of endpoint (URL of the API) or cloud (cn or io, Alauda's own clouds)";
const SEGMENT: &str =
    "use the name of a user or organization, without slashes, semicolons, spaces, ?, # or %";
const GLOB: &str =
    "use a glob: * matches any text and ? one character; no spaces, brackets, braces or backslashes";
const LABELS: &str =
    "use label names of at most 63 letters, digits and underscores, not starting with a digit";
const RESERVED: &str = "use other label names: names starting with __ and these names are reserved: account, \
                        account_namespace, application, code, container, endpoint, image, image_tag, instance, \
                        instance_id, instance_name, job, kind, namespace, node, pod, provider, quantile, region, service, \
                        service_id, service_name, size, state, status";
const SECRET_NAME: &str = "use the name of a Secret: lowercase letters, digits, - and ., starting and ending with a letter or digit";
const SECRET_KEY: &str = "use a key of the Secret: letters, digits, -, _ and .";
const ONE_LINE: &str = "use values without line breaks or other control characters";
const LABEL_VALUE: &str = "use valid Kubernetes label values: letters, digits, -, _ and ., starting and ending with a \
                           letter or digit";
const KEYS: &str = "use valid Kubernetes keys: an optional DNS prefix and a slash, then at most 63 letters, digits, \
                    -, _ and .";
const MANAGED_BY: &str =
    "remove app.kubernetes.io/managed-by: the operator sets it to recognize its own ServiceMonitors";
const STALE: &str = "raise collection.staleAfter to at least collection.interval, or remove it: values would be \
                     dropped before the next collection";
const TIMEOUT: &str = "lower serviceMonitor.scrapeTimeout to at most collection.interval, or remove it";
const NAME: &str = "shorten metadata.name to at most 248 characters: the ServiceMonitor is named caas-<name>";

fn document() -> Value {
    let spec = json!({
        "provider": {"alauda": {"endpoint": "https://caas.example.com/v1/"}},
        "credentials": {"secretRef": {"name": "acme-alauda"}},
    });
    manifest("acme", &spec)
}

/// The document with a value at a JSON pointer, whose steps may be new.
pub(crate) fn with(pointer: &str, value: Value) -> Value {
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

/// What the API server makes of a CaasAccount that somebody creates with `kubectl`, or its refusal. Nothing is kept.
pub(crate) async fn server(namespace: &Namespace, document: &Value) -> Result<Value, String> {
    created(namespace, "/apis/caas-operator.io/v1alpha1", "caasaccounts", document).await
}

/// The same for a Secret.
pub(crate) async fn server_secret(namespace: &Namespace, document: &Value) -> Result<Value, String> {
    created(namespace, "/api/v1", "secrets", document).await
}

async fn created(
    namespace: &Namespace,
    version: &str,
    resource: &str,
    document: &Value,
) -> Result<Value, String> {
    let name = namespace.name();
    let path = format!("{version}/namespaces/{name}/{resource}?dryRun=All&fieldValidation=Strict");
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
        (format!("{provider}/endpoint"), json!("https://host/v1/..;/admin/"), ENDPOINT.to_owned()),
        (format!("{provider}/endpoint"), json!("https://host/v1/%2e%2e%3b/"), ENDPOINT.to_owned()),
        (format!("{provider}/endpoint"), json!("https://host/v1//admin/"), ENDPOINT.to_owned()),
        (format!("{provider}/cloud"), json!("cn"), EITHER.to_owned()),
        (provider.to_owned(), json!({}), EITHER.to_owned()),
        (format!("{provider}/namespace"), json!("a/b"), SEGMENT.to_owned()),
        (format!("{provider}/metricsWindow"), json!("2h"), bounds("1s", "1h")),
        (format!("{provider}/metricsLag"), json!("61m"), bounds("0s", "1h")),
        ("/spec/provider".to_owned(), json!({}), "set exactly one provider: alauda".to_owned()),
        ("/spec/collection/interval".to_owned(), json!("30"), DURATION.to_owned()),
        ("/spec/collection/interval".to_owned(), json!("4s"), bounds("5s", "1h")),
        ("/spec/collection/staleAfter".to_owned(), json!("25h"), bounds("5s", "24h")),
        ("/spec/collection/staleAfter".to_owned(), json!("29s"), STALE.to_owned()),
        ("/spec/collection/requestTimeout".to_owned(), json!("6m"), bounds("1s", "5m")),
        ("/spec/serviceMonitor/scrapeTimeout".to_owned(), json!("31s"), TIMEOUT.to_owned()),
        ("/spec/serviceMonitor/scrapeTimeout".to_owned(), json!("500ms"), bounds("1s", "1m")),
        ("/spec/serviceMonitor/labels".to_owned(), json!({"a b": "x"}), KEYS.to_owned()),
        (
            "/spec/serviceMonitor/labels".to_owned(),
            json!({"app.kubernetes.io/managed-by": "me"}),
            MANAGED_BY.to_owned(),
        ),
        ("/spec/serviceMonitor/annotations".to_owned(), json!({"-": "x"}), KEYS.to_owned()),
        ("/spec/services/include".to_owned(), json!(["ok-*", "a[bc]"]), GLOB.to_owned()),
        ("/spec/services/exclude".to_owned(), json!(["{a,b}"]), GLOB.to_owned()),
        ("/spec/credentials/secretRef/name".to_owned(), json!("Acme"), SECRET_NAME.to_owned()),
        (
            "/spec/tls/caBundleSecretRef".to_owned(),
            json!({"name": "ca", "key": "ca crt"}),
            SECRET_KEY.to_owned(),
        ),
        ("/spec/serviceMonitor/labels".to_owned(), json!({"team": "a b"}), LABEL_VALUE.to_owned()),
        ("/spec/metrics/labels".to_owned(), json!({"team": "a\nb"}), ONE_LINE.to_owned()),
        ("/spec/metrics/labels".to_owned(), json!({"a-b": "x"}), LABELS.to_owned()),
        ("/spec/metrics/labels".to_owned(), json!({"status": "x"}), RESERVED.to_owned()),
        ("/spec/metrics/labels".to_owned(), json!({"job": "x"}), RESERVED.to_owned()),
        ("/spec/metrics/labels".to_owned(), json!({"__address__": "x"}), RESERVED.to_owned()),
        (
            "/spec/serviceMonitor/mode".to_owned(),
            json!("Off"),
            "supported values: \"Auto\", \"Always\", \"Never\"".to_owned(),
        ),
        (
            "/spec/metrics/names".to_owned(),
            json!("modern"),
            "supported values: \"Modern\", \"Legacy\", \"Both\"".to_owned(),
        ),
        (
            "/spec/metrics/timestamps".to_owned(),
            json!("none"),
            "supported values: \"None\", \"Source\"".to_owned(),
        ),
        ("/metadata/name".to_owned(), json!("a.".repeat(124) + "a"), NAME.to_owned()),
    ];
    for (pointer, value, sentence) in cases {
        let refusal = server(&namespace, &with(&pointer, value.clone())).await.expect_err(&pointer);
        assert!(refusal.contains(&sentence), "{pointer} {value}: {refusal}");
        assert!(!refusal.contains("must validate"), "the schema says it too: {refusal}");
        let path = pointer[1..].replace('/', ".");
        // A rule is reported at the field whose parts it compares.
        let field = match sentence.as_str() {
            NAME => "<nil>",
            STALE | TIMEOUT => "spec: ",
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
        // With that check turned off the field is dropped.
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
    // What waits for a rollout takes an object without any status for one that is done.
    assert_eq!(taken["status"], json!({"observedGeneration": -1}));
    assert_eq!(
        taken["spec"].take(),
        json!({
            "provider": {"alauda": {
                "endpoint": "https://caas.example.com/v1/", "metricsWindow": "100s", "metricsLag": "30s",
            }},
            "credentials": {"secretRef": {"name": "acme-alauda"}},
            "suspend": false,
            "collection": {
                "requestTimeout": "10s", "maxConcurrentRequests": 32, "requestsPerSecond": 50,
            },
            "services": {"include": ["*"], "exclude": []},
            "metrics": {"names": "Modern", "timestamps": "None", "maxSeries": 100_000, "labels": {}},
            "serviceMonitor": {"mode": "Auto", "labels": {}, "annotations": {}},
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
        (
            "caas.spec.collection",
            &["from 5s to 1h", "Default: 30s (alauda), ", "from 1 to 1000. Default: 50."],
        ),
        ("caas.spec.services", &["Globs on the service's name", "Default: all services."]),
        ("caas.spec.metrics.maxSeries", &["from 1 to 10000000", "Default: 100000."]),
        (
            "caas.spec.serviceMonitor",
            &[
                "When the operator creates a ServiceMonitor for the account. Auto: if Prometheus Operator is installed",
            ],
        ),
        (
            "caas.status",
            &[
                "Base URL of the API in the spec, even while it is not queried.",
                "observedGeneration\t<integer>",
            ],
        ),
    ] {
        // The API server explains a CRD a moment after it serves it.
        let text = until(DEADLINE, "the CRD to be explained", async || {
            let ran = plane.kubectl(&["explain", field]).await?;
            ensure!(ran.ok, "{}", ran.stderr);
            Ok(ran.stdout)
        })
        .await;
        // Its lines are broken at 80 columns.
        let text = text.split([' ', '\n']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        for sentence in sentences {
            assert!(text.contains(sentence), "{field} lacks {sentence:?}: {text}");
        }
    }
    Ok(())
}
