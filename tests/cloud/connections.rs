//! Connections between requests, and what comes before an answer's body: both are bounded.

use std::sync::atomic::Ordering;
use std::time::Duration;

use caas_operator::cloud::CloudError;
use caas_operator::cloud::error::{AnswerProblem, Unreachable};
use caas_operator::cloud::http::Capacity;
use futures::future::join_all;

use crate::support::{Account, Fake, ONE_PAGE, Reply, lenient, limits, until};

fn is_page(path: &str) -> bool {
    path == "/v1/services/acme/"
}

/// The page of services after this head, which ends before its length is named.
fn page_after(head: &str) -> Reply {
    Reply::Raw(format!("{head}content-length: {}\r\n\r\n{ONE_PAGE}", ONE_PAGE.len()).into_bytes())
}

/// What comes of a cycle whose page is answered like this, and the cloud.
async fn collect(reply: impl Fn() -> Reply + Send + Sync + 'static) -> (Option<CloudError>, Fake) {
    let fake = Fake::with(move |seen| is_page(&seen.path).then(&reply)).await;
    let collected = Account::at(&fake).collect().await;
    (collected.err(), fake)
}

/// The error of a cycle whose page is answered with a flood, which the client does not read to its end.
async fn flood(start: &'static str, piece: &str) -> Option<CloudError> {
    let piece = piece.repeat(100).into_bytes();
    let (failed, fake) = collect(move || Reply::Flood(start, piece.clone())).await;
    until("the connections of all attempts are closed", || fake.open() == 0).await;
    let (attempts, sent) = (fake.count("/services/acme/"), fake.sent.load(Ordering::Relaxed));
    assert_eq!(attempts, 4, "it is retried like a bad answer");
    assert!(sent < attempts * (8 << 20), "{sent} bytes: no more than what sockets hold");
    failed
}

#[tokio::test]
async fn three_informational_answers_may_come_before_an_answer_and_no_more() {
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n";
    let page = |count: usize| move || page_after(&(early.repeat(count) + "HTTP/1.1 200 X\r\n"));
    assert_eq!(collect(page(3)).await.0, None);
    assert_eq!(collect(page(4)).await.0, Some(AnswerProblem::Informational.into()));
}

#[tokio::test]
async fn informational_answers_without_end_are_not_read_until_the_deadline() {
    for piece in [
        "HTTP/1.1 103 Early Hints\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 199 x\r\na: b\r\n\r\n",
    ] {
        assert_eq!(flood("", piece).await, Some(AnswerProblem::Informational.into()), "{piece}");
    }
}

#[tokio::test]
async fn a_head_of_more_than_64_kib_is_refused() {
    let page =
        |length: usize| move || page_after(&format!("HTTP/1.1 200 X\r\nx-more: {}\r\n", "x".repeat(length)));
    assert_eq!(collect(page(60 << 10)).await.0, None);
    assert_eq!(collect(page(65 << 10)).await.0, Some(AnswerProblem::HeadTooLarge.into()));
    assert_eq!(
        flood("HTTP/1.1 200 X\r\nx-more: ", "xxxxxxxxxx").await,
        Some(AnswerProblem::HeadTooLarge.into())
    );
    assert_eq!(
        flood("HTTP/1.1 200 X\r\n", "x-more: xxx\r\n").await,
        Some(AnswerProblem::HeadTooLarge.into())
    );
}

#[tokio::test]
async fn idle_connections_of_all_accounts_are_bounded() {
    let http = lenient().with_capacity(Capacity { idle_connections: 5, ..Capacity::default() });
    // Eight instances are asked for at once, so that each cloud is left with several connections.
    let mut clouds = Vec::new();
    for _ in 0..8 {
        clouds.push(
            Fake::with(|seen| {
                let late = Duration::from_millis(100);
                seen.path.ends_with("/metrics").then(|| Reply::Late(late, crate::support::points()))
            })
            .await,
        );
    }
    let accounts: Vec<_> =
        clouds.iter().map(|fake| Account::in_namespace("team-a", &http, fake, limits())).collect();
    for _ in 0..3 {
        let collected = join_all(accounts.iter().map(Account::collect)).await;
        assert!(
            collected.iter().all(|one| one.as_ref().is_ok_and(|one| one.failures().0 == 0)),
            "{collected:?}"
        );
        let open = || clouds.iter().map(Fake::open).sum::<usize>();
        until("all but five are closed", || open() <= 5).await;
        assert!(open() > 0, "some are kept");
    }
}

#[tokio::test]
async fn a_namespace_with_many_idle_connections_takes_none_of_others() {
    let http = lenient().with_capacity(Capacity { idle_connections: 4, ..Capacity::default() });
    let ours = Fake::healthy().await;
    let account = Account::in_namespace("team-a", &http, &ours, crate::support::timeout_of(10_000));
    // One request at a time needs one connection.
    account.collect().await.unwrap();
    until("the pool is not full", || ours.open() <= 4).await;
    let kept = ours.open();
    assert!(kept > 0);

    for _ in 0..10 {
        let theirs = Fake::healthy().await;
        Account::in_namespace("tenant", &http, &theirs, limits()).collect().await.unwrap();
    }
    let before = ours.connected();
    account.collect().await.unwrap();
    assert!(
        ours.connected() < before + 3,
        "a connection was there for at least one of three requests at once"
    );
}

#[tokio::test]
async fn a_connection_is_used_again_and_one_that_the_cloud_closed_is_replaced() {
    let fake = Fake::healthy().await;
    let one_at_a_time = caas_operator::cloud::http::AccountLimits { max_concurrent: 1, ..limits() };
    let account = Account::limited(&fake, one_at_a_time);
    for _ in 0..3 {
        assert_eq!(account.collect().await.unwrap().failures(), (0, None));
    }
    assert_eq!(fake.connected(), 1);

    let port = fake.address;
    fake.go_away();
    drop(fake);
    let listener = loop {
        match tokio::net::TcpListener::bind(port).await {
            Ok(listener) => break listener,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let again = Fake::listening(listener, |_| None);
    assert_eq!(account.collect().await.unwrap().failures(), (0, None));
    assert_eq!(again.connected(), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_leaves_no_connection() {
    let (failed, fake) =
        collect(|| Reply::Raw(b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\n{".to_vec())).await;
    assert_eq!(failed, Some(Unreachable::BrokeOff.into()));
    // The login's connection is reused for the first attempt.
    assert_eq!(fake.connected(), 4);
}
