//! A cloud whose certificate is of an authority of one's own, which a Secret of the account's namespace holds.

use caas_operator::simulator::{AccountSettings, Settings};
use serde_json::json;

use crate::authority::Authority;
use crate::harness::ControlPlane;
use crate::stage::Stage;

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_cloud_of_ones_own_authority_is_collected_once_a_secret_holds_its_certificate() -> anyhow::Result<()>
{
    let authority = Authority::new()?;
    let settings = Settings {
        accounts: vec![AccountSettings { services: 2, instances: 1, ..AccountSettings::new("acme") }],
        tls: Some(authority.server("127.0.0.1")?),
        ..Settings::default()
    };
    let stage = Stage::with(ControlPlane::shared().await.namespace("own-ca").await?, settings).await?;
    let _operator = stage.operator().await?;

    stage.account("acme").await?;
    let told = stage.becomes("acme", "Collecting", "CloudUnreachable").await;
    assert!(told.contains("spec.tls"), "{told}");

    let reference = json!({"spec": {"tls": {"caBundleSecretRef": {"name": "authority"}}}});
    stage.change("acme", reference).await?;
    let told = stage.becomes("acme", "CredentialsReady", "SecretNotFound").await;
    assert!(told.contains(&format!("{}/authority", stage.namespace.name())), "{told}");

    let secret = |key: &str| {
        let data = json!({key: authority.pem});
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "authority"}, "stringData": data})
    };
    stage.namespace.apply(&secret("other").to_string()).await?.expect_ok();
    let told = stage.becomes("acme", "CredentialsReady", "SecretKeyMissing").await;
    assert!(told.contains("ca.crt"), "{told}");

    stage.namespace.apply(&secret("ca.crt").to_string()).await?.expect_ok();
    stage.ready("acme").await;
    Ok(())
}
