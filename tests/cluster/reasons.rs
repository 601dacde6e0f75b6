//! Each reason of `CredentialsReady` and `Collecting` on a real API server, set by its cause and cleared with it.

use anyhow::{Context, ensure};
use caas_operator::simulator::Running;
use serde_json::{Value, json};

use crate::harness::{ControlPlane, Operator, OperatorOptions, until};
use crate::operator_fixture::{self, DEADLINE, OperatorFixture, cloud, login, spec};

/// Keys of a Secret with their texts.
type Keys = Vec<(&'static str, String)>;

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_faulty_secret_is_reported_by_its_key_until_it_is_corrected() -> anyhow::Result<()> {
    let fixture = OperatorFixture::new("secrets").await?;
    let ours = fixture.cloud.url();
    // The right Secret under that name, but in another namespace than the account's.
    let elsewhere = ControlPlane::shared().await.namespace("elsewhere").await?;
    operator_fixture::secret(&elsewhere, "absent", &login(&fixture.cloud)).await?;
    let [(_, username), (_, password)] = login(&fixture.cloud);
    let user = ("username", username);
    let named =
        |key: &str, account: &str| format!("Key {key} of Secret {}/{account} ", fixture.namespace.name());
    let lacking =
        |account: &str| format!("Secret {}/{account} has no key password.", fixture.namespace.name());
    let cases: [(&str, &str, Option<Keys>, String); 6] = [
        (
            "absent",
            "SecretNotFound",
            None,
            format!("Secret {}/absent does not exist", fixture.namespace.name()),
        ),
        ("lacking", "SecretKeyMissing", Some(vec![user.clone()]), lacking("lacking")),
        (
            "empty",
            "SecretKeyEmpty",
            Some(vec![user.clone(), ("password", "\n".to_owned())]),
            named("password", "empty") + "is empty",
        ),
        (
            "elsewhere",
            "EndpointMismatch",
            Some(vec![
                user.clone(),
                ("password", password.clone()),
                ("endpoint", "https://other.example/".to_owned()),
            ]),
            named("endpoint", "elsewhere") + "allows its credentials for an endpoint other than",
        ),
        (
            "rejected",
            "LoginRejected",
            Some(vec![user.clone(), ("password", "wrong".to_owned())]),
            "The cloud rejects the credentials".to_owned(),
        ),
        (
            "bad-token",
            "LoginRejected",
            Some(vec![("token", "wrong".to_owned())]),
            "The cloud rejects the credentials".to_owned(),
        ),
    ];
    for (name, _, keys, _) in &cases {
        if let Some(keys) = keys {
            fixture.secret(name, keys).await?;
        }
        fixture.put(name, fixture.spec(name)).await?;
    }
    for (name, reason, _, start) in &cases {
        let message = fixture.until_reason(name, "CredentialsReady", reason).await;
        assert!(message.starts_with(start.as_str()), "{name}: {message}");
        assert_eq!(fixture.until_reason(name, "Ready", reason).await, message);
        fixture.until_reason(name, "Collecting", "Pending").await;
    }

    // As an editor leaves it, and bound to the right endpoint by another spelling.
    let endpoint = ours.trim_end_matches('/').to_owned();
    let right = [user, ("password", format!("{password}\n")), ("endpoint", endpoint)];
    for (name, ..) in &cases {
        fixture.secret(name, &right).await?;
    }
    for (name, ..) in &cases {
        fixture.until_ready(name).await;
        fixture.until_reason(name, "CredentialsReady", "CredentialsFound").await;
    }
    let logs = fixture.operator.logs();
    assert!(!logs.contains("panicked"), "{logs}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_account_that_cannot_be_collected_is_listed_with_its_reason_until_it_is_gone() -> anyhow::Result<()>
{
    let fixture = OperatorFixture::new("listed").await?;
    let listed = async || {
        let (_, all) = fixture.operator.scrape("/accounts").await?;
        let all: Value = serde_json::from_str(&all)?;
        let all = all["accounts"].as_array().context("a list")?.iter();
        let said =
            all.map(|one| ["name", "reason", "message"].map(|field| one[field].as_str().map(str::to_owned)));
        anyhow::Ok(said.collect::<Vec<_>>())
    };
    let entry = |reason: &str, message: &str| ["acme", reason, message].map(|text| Some(text.to_owned()));
    let is_target = async || anyhow::Ok(fixture.operator.scrape("/sd").await?.1.contains("/acme/metrics"));

    fixture.put("acme", fixture.spec("acme")).await?;
    let message = fixture.until_reason("acme", "Ready", "SecretNotFound").await;
    assert_eq!(listed().await?, [entry("SecretNotFound", &message)]);
    assert_eq!(fixture.metrics("acme").await?, (503, format!("{message}\n")));
    assert!(is_target().await?, "Prometheus is to see it fail");

    fixture.secret("acme", &login(&fixture.cloud)).await?;
    fixture.until_ready("acme").await;
    assert_eq!(fixture.metrics("acme").await?.0, 200);

    fixture.patch("acme", json!({"spec": {"suspend": true}})).await?;
    let message = fixture.until_reason("acme", "Ready", "Suspended").await;
    assert_eq!(listed().await?, [entry("Suspended", &message)]);
    assert_eq!(fixture.metrics("acme").await?, (503, format!("{message}\n")));
    assert!(!is_target().await?, "nor has it a ServiceMonitor");
    let (_, own) = fixture.operator.scrape("/metrics").await?;
    assert!(own.contains("caas_operator_accounts{state=\"Suspended\"} 1"), "{own}");

    fixture.delete("acme").await?;
    until(DEADLINE, "the account to be gone", async || {
        let (code, _) = fixture.metrics("acme").await?;
        ensure!(code == 404, "{code}");
        Ok(())
    })
    .await;
    assert!(listed().await?.is_empty());
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_forbidden_secret_is_reported_until_its_read_is_permitted() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("forbidden").await?;
    let cloud = cloud().await?;
    let role = |secrets: &str| {
        format!(
            "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: operator}}
rules:
- {{apiGroups: [caas-operator.io], resources: [caasaccounts, caasaccounts/status], verbs: [get, list, watch, patch]}}
- {{apiGroups: [monitoring.coreos.com], resources: [servicemonitors], verbs: [get, list, watch, create, patch]}}
- {{apiGroups: [events.k8s.io], resources: [events], verbs: [create, patch]}}
{secrets}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: operator}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: operator}}
subjects: [{{kind: ServiceAccount, name: operator, namespace: {}}}]
",
            namespace.name()
        )
    };
    let kubeconfig = namespace.service_account("operator").await?;
    namespace.apply(&role("")).await?.expect_ok();
    let options = OperatorOptions {
        namespaces: vec![namespace.name().to_owned()],
        kubeconfig: Some(kubeconfig),
        ..OperatorOptions::default()
    };
    let _operator = Operator::start(plane, options).await?;
    operator_fixture::secret(&namespace, "acme", &login(&cloud)).await?;
    operator_fixture::put(&namespace, "acme", spec(&cloud, "acme")).await?;

    let message =
        operator_fixture::until_reason(&namespace, "acme", "CredentialsReady", "SecretForbidden").await;
    let expected = format!(
        "Secret {0}/acme cannot be read: allow the operator's ServiceAccount to get Secrets in namespace {0}.",
        namespace.name()
    );
    assert_eq!(message, expected);

    namespace.apply(&role("- {apiGroups: [''], resources: [secrets], verbs: [get]}")).await?.expect_ok();
    operator_fixture::until_reason(&namespace, "acme", "Ready", "Collected").await;
    Ok(())
}

/// An account with a cloud of its own, on which something goes wrong.
struct Case {
    name: &'static str,
    reason: &'static str,
    says: &'static str,
    /// Set on its cloud, and cleared again.
    fault: Option<&'static str>,
    /// Merged into its spec, and the patch that fixes it.
    spec: Option<(Value, Value)>,
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn each_cause_of_a_failed_collection_is_reported_until_it_is_fixed() -> anyhow::Result<()> {
    let fixture = OperatorFixture::new("collecting").await?;
    let url = fixture.cloud.url();
    let endpoint = |endpoint: &str| json!({"provider": {"alauda": {"endpoint": endpoint}}});
    let fault = |name, reason, says, fault| Case { name, reason, says, fault: Some(fault), spec: None };
    let spec = |name, reason, says, wrong, right| Case {
        name,
        reason,
        says,
        fault: None,
        spec: Some((wrong, right)),
    };
    let cases = [
        fault("unreachable", "CloudUnreachable", "the cloud cannot be reached", "all:drop"),
        fault("error", "CloudError", "server error (5xx)", "services:500"),
        fault("limited", "RateLimited", "429", "services:429=none"),
        fault("partial", "PartiallyCollected", "A part of the collection failed", "metrics:status=404@0.5"),
        spec(
            "refused",
            "EndpointRefused",
            "private, local or reserved",
            endpoint("http://169.254.169.254/v1/"),
            endpoint(&url),
        ),
        spec(
            "too-many",
            "TooManySeries",
            "Raise spec.metrics.maxSeries",
            json!({"metrics": {"maxSeries": 10}}),
            json!({"metrics": {"maxSeries": 1000}}),
        ),
        spec(
            "suspended",
            "Suspended",
            "set spec.suspend to false",
            json!({"suspend": true}),
            json!({"suspend": false}),
        ),
    ];
    let mut clouds: Vec<Option<Running>> = Vec::new();
    for case in &cases {
        let own = match case.fault {
            Some(fault) => {
                let cloud = cloud().await?;
                cloud.set_fault(fault.parse()?)?;
                Some(cloud)
            }
            None => None,
        };
        let cloud = own.as_ref().unwrap_or(&fixture.cloud);
        fixture.secret(case.name, &login(cloud)).await?;
        let mut spec = operator_fixture::spec(cloud, case.name);
        if let Some((wrong, _)) = &case.spec {
            merge(&mut spec, wrong);
        }
        fixture.put(case.name, spec).await?;
        clouds.push(own);
    }
    for case in &cases {
        let message = fixture.until_reason(case.name, "Collecting", case.reason).await;
        assert!(message.contains(case.says) && message.ends_with('.'), "{}: {message}", case.name);
        assert_eq!(fixture.until_reason(case.name, "Ready", case.reason).await, message);
    }

    for (case, cloud) in cases.iter().zip(&clouds) {
        if let Some(cloud) = cloud {
            cloud.clear_faults();
        }
        if let Some((_, right)) = &case.spec {
            fixture.patch(case.name, json!({"spec": right})).await?;
        }
    }
    for case in &cases {
        fixture.until_ready(case.name).await;
        let message = fixture.until_reason(case.name, "Collecting", "Collected").await;
        assert_eq!(message, "All services and instances were collected.");
    }
    Ok(())
}

/// A JSON merge patch without removals.
fn merge(into: &mut Value, patch: &Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, patch) => *into = patch.clone(),
    }
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn before_the_first_collection_ends_the_account_is_pending() -> anyhow::Result<()> {
    let fixture = OperatorFixture::new("pending").await?;
    fixture.cloud.set_fault("all:hang".parse()?)?;
    fixture.secret("acme", &login(&fixture.cloud)).await?;
    let mut slow = fixture.spec("acme");
    slow["collection"] = json!({"interval": "1h", "requestTimeout": "5m"});
    fixture.put("acme", slow).await?;

    let message = fixture.until_reason("acme", "Collecting", "Pending").await;
    assert_eq!(message, "The first collection has not ended yet.");
    let (code, body) = fixture.metrics("acme").await?;
    assert_eq!(code, 503, "{body}");

    fixture.cloud.clear_faults();
    fixture.put("acme", fixture.spec("acme")).await?;
    fixture.until_ready("acme").await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn an_endpoint_that_the_administrator_does_not_list_gets_no_request() -> anyhow::Result<()> {
    let fixture = OperatorFixture::with("allowed", &["--allow-endpoint=https://caas.example.com/"]).await?;
    fixture.account("acme").await?;
    let message = fixture.until_reason("acme", "Collecting", "EndpointRefused").await;
    assert!(message.contains("--allow-endpoint"), "{message}");
    fixture.until_reason("acme", "CredentialsReady", "CredentialsFound").await;
    assert_eq!(fixture.cloud.counts().total, 0);
    Ok(())
}
