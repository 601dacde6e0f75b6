//! What an edit of an account costs at its cloud: only a change of the connection makes another client, which logs in
//! and knows nothing of pauses that the cloud asked for. A suspension ends the session and not those pauses.

use std::time::Duration;

use caas_operator::account::{Account, Names, Problem, Uncollected};
use caas_operator::api::Reason;
use caas_operator::cloud::ServiceFilter;

use crate::collected::{Collected, account, provider, samples};
use crate::process::until;

/// Four edits, one on top of the other, of what does not concern the connection.
const EDITS: [fn(&mut Account); 4] = [
    |account| account.exposition.names = Names::Modern,
    |account| account.schedule.interval = Duration::from_millis(150),
    |account| account.selection = ServiceFilter::new(&["*"], &["nothing"]),
    |account| account.schedule.stale_after = Duration::from_secs(3),
];

/// Makes the four edits and lets each one have its cycles; returns the account as it is then.
async fn edited(collected: &Collected) -> Account {
    let mut edited = account("acme", &collected.cloud);
    for edit in EDITS {
        edit(&mut edited);
        assert!(collected.runtime.supervisor.put(edited.clone()), "a change");
        collected.runtime.cycles("acme", 3).await;
    }
    edited
}

/// Stops collecting an account for this reason.
fn stopped(collected: &Collected, account: &Account, reason: Reason) {
    let problem = Problem::new(reason, "For a test.");
    let provider = account.connection.provider.name();
    let uncollected = Uncollected { id: account.id.clone(), provider, problem, targets: Vec::new() };
    collected.runtime.supervisor.mark_uncollected(uncollected);
}

#[tokio::test]
async fn a_rejected_password_is_not_sent_again_after_a_suspension_or_a_lost_secret() {
    let collected = Collected::with("reject-login", |_| {}).await;
    let mut account = account("acme", &collected.cloud);
    for reason in [Reason::Suspended, Reason::SecretNotFound] {
        collected.until_reason("LoginRejected").await;
        stopped(&collected, &account, reason);
        collected.runtime.supervisor.put(account.clone());
    }
    collected.until_reason("LoginRejected").await;
    collected.runtime.cycles("acme", 3).await;
    assert_eq!(collected.cloud.counts().total, 1, "requests, of which the first login is one");

    // Another password is another connection, and another object of this name has nothing to do with it.
    stopped(&collected, &account, Reason::Suspended);
    account.connection.provider = provider(&collected.cloud.url(), "rotated");
    collected.runtime.supervisor.put(account.clone());
    until("a login", async || (collected.cloud.counts()["login"] == 2).then_some(())).await;
    account.uid = "another".to_owned();
    collected.runtime.supervisor.put(account);
    until("a login", async || (collected.cloud.counts()["login"] == 3).then_some(())).await;
    collected.stop().await;
}

#[tokio::test]
async fn a_pause_that_the_cloud_asked_for_survives_a_suspension() {
    let collected = Collected::healthy(|_| {}).await;
    collected.fault("429=600");
    collected.until_reason("RateLimited").await;
    let before = collected.cloud.counts().total;

    collected.cloud.clear_faults();
    let account = account("acme", &collected.cloud);
    stopped(&collected, &account, Reason::Suspended);
    collected.runtime.supervisor.put(account);
    collected.until_reason("RateLimited").await;
    collected.runtime.cycles("acme", 3).await;
    assert_eq!(collected.cloud.counts().total, before, "nothing is sent while the cloud wants silence");
    collected.stop().await;
}

#[tokio::test]
async fn edits_with_a_rejected_password_make_no_further_login_and_another_password_logs_in_at_once() {
    let collected = Collected::with("reject-login", |_| {}).await;
    collected.until_reason("LoginRejected").await;

    let mut account = edited(&collected).await;
    collected.until_reason("LoginRejected").await;
    assert_eq!(collected.cloud.counts().total, 1, "requests, of which the first login is one");

    collected.cloud.clear_faults();
    collected.cloud.set_credentials("acme", "rotated");
    account.connection.provider = provider(&collected.cloud.url(), "rotated");
    collected.runtime.supervisor.put(account);
    assert_eq!(samples(&*collected.until_reason("Collected").await), 8);
    assert_eq!(collected.cloud.counts()["login"], 2);
    collected.stop().await;
}

#[tokio::test]
async fn a_pause_that_the_cloud_asked_for_survives_edits() {
    let collected = Collected::healthy(|_| {}).await;
    collected.fault("429=600");
    collected.until_reason("RateLimited").await;
    let before = collected.cloud.counts().total;

    collected.cloud.clear_faults();
    edited(&collected).await;
    collected.until_reason("RateLimited").await;
    assert_eq!(collected.cloud.counts().total, before, "nothing is sent while the cloud wants silence");
    collected.stop().await;
}
