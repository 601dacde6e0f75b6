//! When the program is ready: once its first accounts were collected, or failed to be.

use std::cell::Cell;

use caas_operator::simulator::Settings;

use crate::process::{Process, program, until};
use crate::support::{account, account_is, ask, cloud_with, logged, secret, served, standalone};

#[tokio::test]
async fn the_program_is_ready_once_its_first_accounts_were_collected() {
    let faults = vec!["latency=2s".parse().unwrap()];
    let slow = cloud_with("secret", 2, 2, Settings { faults, ..Settings::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    // Another account has no Secret, which nothing waits for.
    let manifests = secret("acme", "secret")
        + &account("acme", "acme", &slow.url(), "")
        + &account("other", "none", &slow.url(), "");
    std::fs::write(folder.path().join("accounts.yaml"), manifests).unwrap();
    let arguments = [&standalone(folder.path())[..], &["--listen-health", "127.0.0.1:0"]].concat();
    let mut process = Process::start(program(&arguments));
    let (health, base) = (logged(&mut process, "/livez").await, served(&mut process).await);

    let waited_for = Cell::new(false);
    until("ready", async || {
        let (code, body) = ask(&format!("{health}/readyz")).await?;
        waited_for.set(waited_for.get() || body.contains("waiting for the first collections to end"));
        (code == 200).then_some(())
    })
    .await;
    let (code, body) = ask(&format!("{base}/accounts/team-a/acme/metrics")).await.unwrap();
    assert_eq!(code, 200, "{body}");
    assert!(waited_for.get(), "it was ready before its account was collected");

    slow.clear_faults();
    slow.set_fault("services:500".parse().unwrap()).unwrap();
    account_is(&base, "acme", |account| account["reason"] == "CloudError").await;
    assert_eq!(ask(&format!("{health}/readyz")).await.unwrap().0, 200, "a cloud makes nothing unready");
    process.signal("TERM");
    assert_eq!(process.ended().await.code(), Some(0));
    slow.stop().await;
}
