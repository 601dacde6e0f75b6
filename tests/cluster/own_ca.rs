//! A cloud whose certificate is signed by a private CA, whose certificate a Secret in the account's namespace holds.

use caas_operator::simulator::{AccountSettings, Settings};
use serde_json::json;

use crate::authority::Authority;
use crate::fixture::Fixture;
use crate::harness::ControlPlane;

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_cloud_with_a_private_ca_is_collected_once_a_secret_holds_the_ca() -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let settings = Settings {
        accounts: vec![AccountSettings { services: 2, instances: 1, ..AccountSettings::new("acme") }],
        tls: Some(authority.server("127.0.0.1")?),
        ..Settings::default()
    };
    let fixture = Fixture::with(ControlPlane::shared().await.namespace("own-ca").await?, settings).await?;
    let _operator = fixture.start_operator().await?;

    fixture.account("acme").await?;
    let message = fixture.until_reason("acme", "Collecting", "CloudUnreachable").await;
    assert!(message.contains("spec.tls"), "{message}");

    let reference = json!({"spec": {"tls": {"caBundleSecretRef": {"name": "authority"}}}});
    fixture.patch("acme", reference).await?;
    let message = fixture.until_reason("acme", "CredentialsReady", "SecretNotFound").await;
    assert!(message.contains(&format!("{}/authority", fixture.namespace.name())), "{message}");

    let secret = |key: &str| {
        let data = json!({key: authority.pem});
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "authority"}, "stringData": data})
    };
    fixture.namespace.apply(&secret("other").to_string()).await?.expect_ok();
    let message = fixture.until_reason("acme", "CredentialsReady", "SecretKeyMissing").await;
    assert!(message.contains("ca.crt"), "{message}");

    fixture.namespace.apply(&secret("ca.crt").to_string()).await?.expect_ok();
    fixture.until_ready("acme").await;
    Ok(())
}
