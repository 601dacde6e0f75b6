//! Credentials that would be recognised anywhere, and every place where they must not be.

use anyhow::ensure;
use k8s_openapi::ByteString;

use crate::harness::{ControlPlane, Operator, OperatorOptions, until};
use crate::operator_fixture::{DEADLINE, OperatorFixture, cloud};

/// Several lines, each of which would be recognised.
const PASSWORD: &str = "canary-password-5c1a\ncanary-second-line-77e0\ncanary-third-line-9b42";
const WRONG: &str = "canary-wrong-password-e310";
const TOKEN: &str = "canary-token-2f6d8e";
const BROKEN: &str = "canary broken token 41aa";
const BOUND: &str = "https://canary-endpoint-08d3.example/";
const ELSEWHERE: &str = "canary-other-key-6d15";

/// In base64, as in an object that the API server returns, or in an `Authorization: Basic` header.
fn base64(text: &str) -> String {
    let quoted = serde_json::to_string(&ByteString(text.as_bytes().to_vec())).unwrap();
    quoted.trim_matches(['"', '=']).to_owned()
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn credentials_appear_nowhere_even_at_trace_level() -> anyhow::Result<()> {
    let plane = ControlPlane::shared().await;
    let namespace = plane.namespace("canaries").await?;
    let kubeconfig = plane.admin()?;
    let options = OperatorOptions {
        namespaces: vec![namespace.name().to_owned()],
        kubeconfig: Some(kubeconfig.clone()),
        args: vec!["--watch-secrets".to_owned()],
        env: vec![
            ("RUST_LOG".to_owned(), "trace".to_owned()),
            ("RUST_BACKTRACE".to_owned(), "full".to_owned()),
        ],
    };
    let operator = Operator::start(plane, options).await?;
    let fixture = OperatorFixture { namespace, operator, cloud: cloud().await? };
    fixture.cloud.set_credentials("acme", PASSWORD);
    let user = ("username", "acme".to_owned());
    let cases = [
        (
            "healthy",
            "Collected",
            vec![user.clone(), ("password", PASSWORD.to_owned()), ("other", ELSEWHERE.to_owned())],
        ),
        ("wrong", "LoginRejected", vec![user.clone(), ("password", WRONG.to_owned())]),
        ("token", "LoginRejected", vec![("token", TOKEN.to_owned())]),
        ("broken", "SecretKeyInvalid", vec![("token", BROKEN.to_owned())]),
        (
            "bound",
            "EndpointMismatch",
            vec![user.clone(), ("password", PASSWORD.to_owned()), ("endpoint", BOUND.to_owned())],
        ),
        ("lacking", "SecretKeyMissing", vec![("password", PASSWORD.to_owned())]),
    ];
    for (name, _, keys) in &cases {
        fixture.secret(name, keys).await?;
        fixture.put(name, fixture.spec(name)).await?;
    }
    for (name, reason, _) in &cases {
        fixture.until_reason(name, "Ready", reason).await;
    }
    // A cloud that does harm, another token after a revocation, and a rotation.
    fixture.cloud.revoke_tokens();
    fixture.until_cycles(2).await;
    for fault in ["services:html", "metrics:wrong-json", "services:redirect"] {
        fixture.cloud.set_fault(fault.parse()?)?;
        fixture.until_cycles(2).await;
        fixture.cloud.clear_faults();
    }
    fixture.until_ready("healthy").await;

    let mut places = vec![("the log".to_owned(), fixture.operator.logs())];
    for kind in ["caas", "events", "servicemonitors"] {
        let yaml = fixture.namespace.kubectl(&["get", kind, "-o", "yaml", "--show-managed-fields"]).await?;
        places.push((kind.to_owned(), yaml.expect_ok()));
    }
    let account = format!("/accounts/{}/healthy", fixture.namespace.name());
    let (metrics, legacy) = (format!("{account}/metrics"), format!("{account}/metrics/legacy"));
    for path in ["/", "/metrics", "/accounts", "/sd", &account, &metrics, &legacy] {
        places.push((path.to_owned(), fixture.operator.scrape(path).await?.1));
    }
    for path in ["/livez", "/readyz"] {
        places.push((path.to_owned(), fixture.operator.health(path).await?.1));
    }

    let log = &places[0].1;
    assert!(log.contains("TRACE") && log.contains("hyper"), "the log is at its finest, of all libraries");
    assert!(
        places[1].1.contains("LoginRejected") && places[2].1.contains("LoginRejected"),
        "they speak of it"
    );
    let api_token = std::fs::read_to_string(kubeconfig.path())?;
    let api_token: serde_json::Value = serde_json::from_str(&api_token)?;
    let api_token = api_token["users"][0]["user"]["token"].as_str().unwrap_or_default().to_owned();
    let session = session_token(&fixture.cloud.url()).await?;
    let mut canaries = vec![api_token, session];
    for text in [PASSWORD, WRONG, TOKEN, BROKEN, BOUND, ELSEWHERE] {
        canaries.extend(text.lines().map(str::to_owned));
        canaries.push(base64(text));
    }
    for canary in canaries {
        assert!(canary.len() > 12, "{canary:?} would be found by chance");
        for (place, text) in &places {
            if let Some(at) = text.find(&canary) {
                let from = text[..at].rfind('\n').map_or(0, |end| end + 1);
                let line: String =
                    text[from..].lines().next().unwrap_or_default().chars().take(400).collect();
                panic!("{canary} is in {place}: {line}");
            }
        }
    }
    until(DEADLINE, "the operator to be healthy", async || {
        ensure!(fixture.operator.health("/readyz").await?.0 == 200, "it is not ready");
        Ok(())
    })
    .await;
    Ok(())
}

/// The token that the cloud gives its user: the same one until it is revoked.
async fn session_token(url: &str) -> anyhow::Result<String> {
    let form = [("username", "acme"), ("password", PASSWORD)];
    let answer = reqwest::Client::new().post(format!("{url}generate-api-token/")).form(&form).send().await?;
    let answer: serde_json::Value = answer.error_for_status()?.json().await?;
    Ok(answer["token"].as_str().unwrap_or_default().to_owned())
}
