//! A Secret changes: when the new credentials are used.

use std::time::{Duration, Instant};

use anyhow::ensure;
use caas_operator::simulator::Running;

use crate::harness::until;
use crate::scene::{PATIENCE, Scene, cloud, login, spec};

/// Between two reads of a Secret for an account that is well.
const PERIOD: Duration = Duration::from_secs(60);

/// Gives the cloud's user another password and waits until somebody has logged in with it.
async fn rotate(scene: &Scene, cloud: &Running, name: &str, password: &str) -> anyhow::Result<Duration> {
    let logins = cloud.counts()["login"];
    cloud.set_credentials("acme", password);
    scene.secret(name, &login(cloud)).await?;
    let changed = Instant::now();
    until(PATIENCE, "a login with the new password", async || {
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
    let scene = Scene::with("watched", &["--watch-secrets"]).await?;
    scene.account("acme").await?;
    scene.until_ready("acme").await;

    // By the period each would wait for what is left of it; the third is two whole periods after the first.
    let mut took = Duration::ZERO;
    for password in ["one", "another", "a third"] {
        took += rotate(&scene, &scene.cloud, "acme", password).await?;
    }
    assert!(took < PERIOD * 2, "{took:?}");
    scene.until_cycles(2).await;
    scene.until_ready("acme").await;
    let (_, own) = scene.operator.scrape("/metrics").await?;
    assert!(!own.contains("caas_operator_login_failures_total{"), "the old password was tried again: {own}");

    // One that was not there is seen as well.
    scene.put("late", scene.spec("late")).await?;
    scene.until_reason("late", "CredentialsReady", "SecretNotFound").await;
    scene.secret("late", &login(&scene.cloud)).await?;
    scene.until_ready("late").await;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn without_the_watch_it_is_used_within_the_read_period_and_sooner_where_the_cloud_refuses()
-> anyhow::Result<()> {
    let scene = Scene::new("unwatched").await?;
    let (failing, refusing) = (cloud().await?, cloud().await?);
    scene.account("well").await?;
    scene.secret("failing", &login(&failing)).await?;
    scene.put("failing", spec(&failing, "failing")).await?;
    failing.set_credentials("acme", "not what the Secret says");
    failing.revoke_tokens();
    scene.until_ready("well").await;
    scene.until_reason("failing", "CredentialsReady", "LoginRejected").await;

    let well = rotate(&scene, &scene.cloud, "well", "a new password");
    let failing = async {
        let since = Instant::now();
        scene.secret("failing", &login(&failing)).await?;
        scene.until_ready("failing").await;
        anyhow::Ok(since.elapsed())
    };
    // Here the Secret is right before the cloud refuses the old password: read a moment ago, it is read again at once.
    let refusing = async {
        scene.secret("refusing", &login(&refusing)).await?;
        scene.put("refusing", spec(&refusing, "refusing")).await?;
        let mut took = Vec::new();
        for password in ["one", "another", "a third"] {
            scene.until_ready("refusing").await;
            refusing.set_credentials("acme", password);
            scene.secret("refusing", &login(&refusing)).await?;
            let before = refusing.counts()["login"];
            refusing.revoke_tokens();
            let logins = async |more: u64| {
                until(PATIENCE, "a login more", async || {
                    let now = refusing.counts()["login"];
                    ensure!(now >= before + more, "{now}");
                    Ok(Instant::now())
                })
                .await
            };
            let refused = logins(1).await;
            took.push(logins(2).await - refused);
        }
        anyhow::Ok(took)
    };
    let (well, failing, refusing) = tokio::try_join!(well, failing, refusing)?;
    // Each still tells its own time from the next longer one, however busy the machine is.
    assert!(well < PERIOD * 2, "{well:?}");
    assert!(failing < PERIOD, "{failing:?}");
    assert!(refusing.iter().min() < Some(&Duration::from_secs(8)), "{refusing:?}");
    scene.until_ready("refusing").await;
    Ok(())
}
