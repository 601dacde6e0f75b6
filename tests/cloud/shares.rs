//! Clouds that hang or drip, and what they leave to other accounts.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use caas_operator::cloud::error::Unreachable;
use caas_operator::cloud::http::{Capacity, Http};
use caas_operator::cloud::{CloudError, Collection};
use futures::future::join_all;
use tokio::task::JoinSet;

use crate::support::{Account, Fake, Reply, json, large_page, lenient, limits, points, timeout_of, until};

/// Long after every deadline that a test waits for, long before those of clouds that hang.
const WATCHDOG: Duration = Duration::from_secs(120);
/// The deadline where a test ends before it.
const NEVER: u64 = 600_000;

fn is_page(path: &str) -> bool {
    path == "/v1/services/acme/"
}

/// A cloud that answers every page of services like this.
async fn cloud_with_page(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Fake {
    Fake::with(move |seen| is_page(&seen.path).then(&reply)).await
}

/// Collects as many accounts of the namespace `tenant` in the background, until the set is dropped.
fn tenants(http: &Http, fake: &Fake, accounts: usize) -> JoinSet<Result<Collection, CloudError>> {
    let account = || Account::in_namespace("tenant", http, fake, timeout_of(NEVER));
    std::iter::repeat_with(account)
        .take(accounts)
        .map(|account| async move { account.collect().await })
        .collect()
}

/// Collects a healthy account and expects all of it long before any deadline.
async fn is_collected(account: &Account) {
    let collected = tokio::time::timeout(WATCHDOG, account.collect()).await;
    assert_eq!(collected.expect("in time").unwrap().failures(), (0, None));
}

#[tokio::test]
async fn hung_clouds_of_one_namespace_leave_other_namespaces_their_requests() {
    let replies: [fn() -> Reply; 4] = [
        || Reply::Hang,
        || Reply::Drip(0),
        || Reply::DripHead("HTTP/1.1 200 X\r\n", "x-more: x\r\n"),
        || Reply::DripHead("", "HTTP/1.1 103 Early Hints\r\n\r\n"),
    ];
    for reply in replies {
        let http = lenient().with_capacity(Capacity { requests: 6, ..Capacity::default() });
        let (hung, healthy) = (cloud_with_page(reply).await, Fake::healthy().await);
        let _tenants = tenants(&http, &hung, 12);
        until("its share hangs", || hung.seen().len() >= 2).await;

        for namespace in ["team-a", "team-b"] {
            is_collected(&Account::in_namespace(namespace, &http, &healthy, limits())).await;
        }
        // Others follow the ones that have ended meanwhile.
        until("a third of six hangs, however many accounts the namespace has", || hung.open() == 2).await;
    }
}

#[tokio::test]
async fn an_account_waits_for_a_hung_neighbour_of_its_namespace_until_the_neighbours_deadline() {
    let http = lenient().with_capacity(Capacity { requests: 3, ..Capacity::default() });
    let (hung, healthy) = (cloud_with_page(|| Reply::Hang).await, Fake::healthy().await);
    let neighbour = Account::in_namespace("team-a", &http, &hung, timeout_of(300));
    let other = Account::in_namespace("team-a", &http, &healthy, limits());
    let hanging = async {
        assert_eq!(neighbour.collect().await, Err(Unreachable::Timeout.into()));
        assert_eq!(healthy.seen().len(), 0, "the only request of the namespace was the one that hung");
    };
    let waiting = async {
        until("it hangs", || hung.seen().len() == 1).await;
        is_collected(&other).await;
    };
    tokio::join!(hanging, waiting);
}

#[tokio::test]
async fn no_more_requests_are_in_flight_than_the_process_and_a_namespace_may_have() {
    let fake = Fake::with(|seen| match &*seen.path {
        "/v1/services/acme/" => Some(json(large_page(16))),
        path if path.contains("/metrics") => Some(Reply::Late(Duration::from_millis(20), points())),
        _ => None,
    })
    .await;
    for (namespaces, most) in [(["a", "b", "c", "d"], 4), (["a", "a", "a", "b"], 4), (["a"; 4], 2)] {
        let http = lenient().with_capacity(Capacity { requests: 4, ..Capacity::default() });
        let accounts =
            namespaces.map(|namespace| Account::in_namespace(namespace, &http, &fake, timeout_of(NEVER)));
        fake.most_at_once.store(0, Ordering::SeqCst);
        let collected = join_all(accounts.iter().map(Account::collect)).await;
        assert!(
            collected.iter().all(|one| one.as_ref().is_ok_and(|one| one.failures().0 == 0)),
            "{collected:?}"
        );
        assert_eq!(fake.most_at_once.load(Ordering::SeqCst), most, "{namespaces:?}");
    }
}

#[tokio::test]
async fn large_bodies_of_all_accounts_take_turns() {
    // Space is JSON as well.
    let page: Arc<str> = format!("{}{}", " ".repeat(2 << 20), large_page(4)).into();
    let fake = cloud_with_page(move || json(&*page)).await;
    let http =
        lenient().with_capacity(Capacity { medium_bodies: 2, large_bodies_kib: 1, ..Capacity::default() });
    let account = |number| Account::in_namespace(&format!("team-{number}"), &http, &fake, timeout_of(NEVER));
    let accounts: Vec<_> = (0..8).map(account).collect();
    let collected = join_all(accounts.iter().map(Account::collect)).await;
    assert!(collected.iter().all(|one| one.as_ref().is_ok_and(|one| one.failures().0 == 0)), "{collected:?}");
}

#[tokio::test]
async fn clouds_of_one_namespace_that_drip_leave_other_namespaces_their_memory() {
    // Medium and large bodies: a share is one body.
    for (bytes, capacity) in [
        (100 << 10, Capacity { medium_bodies: 3, ..Capacity::default() }),
        (2 << 20, Capacity { large_bodies_kib: 3, ..Capacity::default() }),
    ] {
        let http = lenient().with_capacity(capacity);
        let dripping = cloud_with_page(move || Reply::Drip(bytes)).await;
        let page: Arc<str> = format!("{}{}", " ".repeat(bytes), large_page(4)).into();
        let healthy = cloud_with_page(move || json(&*page)).await;
        let _tenants = tenants(&http, &dripping, 8);
        // Bodies beyond the share lie in the sockets' buffers: their cloud cannot send much of them.
        until("all have sent what they can", || dripping.seen().len() == 8).await;
        until("one drips", || dripping.dripped.load(Ordering::Relaxed) > 20).await;

        is_collected(&Account::in_namespace("team-a", &http, &healthy, timeout_of(NEVER))).await;

        let neighbour = Account::in_namespace("tenant", &http, &healthy, timeout_of(500));
        assert_eq!(neighbour.collect().await, Err(Unreachable::Timeout.into()), "{bytes}: its share is held");
    }
}
