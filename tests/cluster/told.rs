//! The status tells of the spec that its `observedGeneration` names, whatever becomes of the collection.

use anyhow::{Context, ensure};
use caas_operator::api::CaasAccountStatus;
use serde_json::json;

use crate::harness::until;
use crate::operator_fixture::{DEADLINE, OperatorFixture, login};

/// The status, which is of the newest spec.
async fn status(fixture: &OperatorFixture) -> anyhow::Result<CaasAccountStatus> {
    let account = fixture.accounts().get("acme").await?;
    let status = account.status.context("a status")?;
    ensure!(status.observed_generation == account.metadata.generation, "{status:?}");
    Ok(status)
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn endpoint_counts_and_last_success_are_those_of_the_spec_as_it_is() -> anyhow::Result<()> {
    let fixture = OperatorFixture::new("told").await?;
    let ours = fixture.cloud.url();
    let is_ours = |status: &CaasAccountStatus| {
        status.endpoint.as_deref().is_some_and(|it| it.trim_end_matches('/') == ours.trim_end_matches('/'))
    };
    fixture.put("acme", fixture.spec("acme")).await?;
    fixture.until_reason("acme", "Ready", "SecretNotFound").await;
    let missing = status(&fixture).await?;
    assert!(is_ours(&missing), "although its Secret is missing: {missing:?}");
    assert_eq!((missing.services, missing.last_success_time), (None, None));

    fixture.secret("acme", &login(&fixture.cloud)).await?;
    fixture.until_ready("acme").await;
    let collected = status(&fixture).await?;
    assert!(is_ours(&collected) && collected.services.is_some(), "{collected:?}");
    assert!(collected.last_success_time.is_some(), "{collected:?}");
    let table = fixture.namespace.kubectl(&["get", "caas", "acme"]).await?.expect_ok();
    let [header, row] = &table.lines().collect::<Vec<_>>()[..] else { panic!("{table}") };
    let column = header.find("LAST SUCCESS").context("a column")?;
    assert!(row[column..].starts_with(|first: char| first.is_ascii_digit()), "{table}");

    let elsewhere = "http://169.254.169.254/v1/";
    let endpoint = |url: &str| json!({"spec": {"provider": {"alauda": {"endpoint": url}}}});
    fixture.patch("acme", endpoint(elsewhere)).await?;
    fixture.until_reason("acme", "Ready", "EndpointRefused").await;
    let refused = status(&fixture).await?;
    assert_eq!(refused.endpoint.as_deref(), Some(elsewhere));
    assert_eq!((refused.services, refused.instances, refused.last_success_time), (None, None, None));

    fixture.patch("acme", endpoint(&ours)).await?;
    fixture.until_ready("acme").await;
    fixture.patch("acme", json!({"spec": {"suspend": true}})).await?;
    fixture.until_reason("acme", "Ready", "Suspended").await;
    until(DEADLINE, "the status of the suspended account", async || {
        let suspended = status(&fixture).await?;
        ensure!(is_ours(&suspended), "{suspended:?}");
        ensure!((suspended.services, suspended.instances) == (None, None), "{suspended:?}");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn the_page_of_an_account_shows_its_conditions_as_its_status_has_them() -> anyhow::Result<()> {
    let fixture = OperatorFixture::new("shown").await?;
    fixture.put("acme", fixture.spec("acme")).await?;
    let path = format!("/accounts/{}/acme?format=html", fixture.namespace.name());
    for reason in ["SecretNotFound", "Collected"] {
        if reason == "Collected" {
            fixture.secret("acme", &login(&fixture.cloud)).await?;
        }
        fixture.until_reason("acme", "Ready", reason).await;
        let conditions = status(&fixture).await?.conditions;
        assert!(conditions.len() >= 3, "{conditions:?}");
        // The page has it once the watch delivers it.
        until(DEADLINE, "the page", async || {
            let (_, page) = fixture.operator.scrape(&path).await?;
            for condition in &conditions {
                let row = page.split_once(&format!("<tr id=\"c-{}\">", condition.type_)).context("a row")?.1;
                let row = row.split("</tr>").next().unwrap_or_default();
                let since = condition.last_transition_time.0.to_string();
                let message =
                    condition.message.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
                for word in [&condition.status, &condition.reason, &message, &since] {
                    ensure!(row.contains(word.as_str()), "{word} is not in {row}");
                }
            }
            Ok(())
        })
        .await;
    }
    Ok(())
}
