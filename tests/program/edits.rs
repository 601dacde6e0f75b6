//! What an edit of an account costs at its cloud: only a change of the connection makes another client, which logs in
//! and knows nothing of pauses that the cloud asked for.

use std::time::Duration;

use caas_operator::account::{Account, Names};
use caas_operator::cloud::ServiceFilter;

use crate::collected::{Collected, account, provider, samples};

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
