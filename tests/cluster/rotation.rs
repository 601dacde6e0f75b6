//! A Secret changes: when the new credentials are used.

use std::time::{Duration, Instant};

use anyhow::ensure;
use caas_operator::simulator::Running;

use crate::harness::until;
use crate::operator_fixture::{DEADLINE, OperatorFixture, cloud, login, spec};

/// Between two reads of the Secret of a healthy account.
const PERIOD: Duration = Duration::from_secs(60);

/// Gives the cloud's user another password and waits until somebody has logged in with it.
async fn rotate(
    fixture: &OperatorFixture,
    cloud: &Running,
    name: &str,
    password: &str,
) -> anyhow::Result<Duration> {
    let logins = cloud.counts()["login"];
    cloud.set_credentials("acme", password);
    fixture.secret(name, &login(cloud)).await?;
    let changed = Instant::now();
    until(DEADLINE, "a login with the new password", async || {
        let now = cloud.counts()["login"];
        ensure!(now > logins, "no login");
        Ok(())
    })
    .await;
    Ok(changed.elapsed())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn with_the_watch_a_changed_secret_is_used_at_once() -> anyhow::Result<()> {
    let fixture = OperatorFixture::with("watched", &["--watch-secrets"]).await?;
    fixture.account("acme").await?;
    fixture.until_ready("acme").await;

    // By the period each would wait for what is left of it; the third is two whole periods after the first.
    let mut took = Duration::ZERO;
    for password in ["one", "another", "a third"] {
        took += rotate(&fixture, &fixture.cloud, "acme", password).await?;
    }
    assert!(took < PERIOD * 2, "{took:?}");
    fixture.until_cycles(2).await;
    fixture.until_ready("acme").await;
    let (_, own) = fixture.operator.scrape("/metrics").await?;
    assert!(!own.contains("caas_operator_login_failures_total{"), "the old password was tried again: {own}");

    // A Secret that is created later is noticed as well.
    fixture.put("late", fixture.spec("late")).await?;
    fixture.until_reason("late", "CredentialsReady", "SecretNotFound").await;
    fixture.secret("late", &login(&fixture.cloud)).await?;
    fixture.until_ready("late").await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn without_the_watch_it_is_used_within_the_read_period_and_sooner_where_the_cloud_refuses()
-> anyhow::Result<()> {
    let fixture = OperatorFixture::new("unwatched").await?;
    let (failing, refusing) = (cloud().await?, cloud().await?);
    fixture.account("healthy").await?;
    fixture.secret("failing", &login(&failing)).await?;
    fixture.put("failing", spec(&failing, "failing")).await?;
    failing.set_credentials("acme", "not what the Secret says");
    failing.revoke_tokens();
    fixture.until_ready("healthy").await;
    fixture.until_reason("failing", "CredentialsReady", "LoginRejected").await;

    let healthy = rotate(&fixture, &fixture.cloud, "healthy", "a new password");
    let failing = async {
        let since = Instant::now();
        fixture.secret("failing", &login(&failing)).await?;
        fixture.until_ready("failing").await;
        anyhow::Ok(since.elapsed())
    };
    // Here the Secret is right before the cloud refuses the old password: read a moment ago, it is read again at once.
    let refusing = async {
        fixture.secret("refusing", &login(&refusing)).await?;
        fixture.put("refusing", spec(&refusing, "refusing")).await?;
        let mut took = Vec::new();
        for password in ["one", "another", "a third"] {
            fixture.until_ready("refusing").await;
            refusing.set_credentials("acme", password);
            fixture.secret("refusing", &login(&refusing)).await?;
            let before = refusing.counts()["login"];
            refusing.revoke_tokens();
            let logins = async |more: u64| {
                until(DEADLINE, "a login more", async || {
                    let now = refusing.counts()["login"];
                    ensure!(now >= before + more, "{now}");
                    Ok(Instant::now())
                })
                .await
            };
            let refused = logins(1).await;
            // Where the new Secret was read just before, the first login has the new password already.
            if let Ok(again) = tokio::time::timeout(PERIOD, logins(2)).await {
                took.push(again - refused);
            }
        }
        anyhow::Ok(took)
    };
    let (healthy, failing, refusing) = tokio::try_join!(healthy, failing, refusing)?;
    // The bounds tell each period from the next longer one, even on a busy machine.
    assert!(healthy < PERIOD * 2, "{healthy:?}");
    assert!(failing < PERIOD, "{failing:?}");
    assert!(refusing.iter().any(|took| *took < Duration::from_secs(8)), "{refusing:?}");
    fixture.until_ready("refusing").await;
    Ok(())
}
