//! Answers that are bombs.

use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

use caas_operator::cloud::error::{AnswerProblem, Unreachable};
use caas_operator::cloud::http::Bounds;
use caas_operator::cloud::{CloudError, Credentials};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::{Account, Fake, POINTS, Reply, json, large_page, lenient, timeout_of, until};

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn encoded(encoding: &str, body: Vec<u8>) -> Reply {
    Reply::Http(200, vec![("content-encoding", encoding.to_owned())], body)
}

/// The first failure of a cycle in which one instance's sample is answered like this.
async fn failure(reply: impl Fn() -> Reply + Send + Sync + 'static) -> (Option<CloudError>, Fake) {
    let fake = Fake::with(move |seen| seen.path.contains("/w0/metrics").then(&reply)).await;
    let collection = Account::at(&fake).collect().await.unwrap();
    (collection.failures().1.cloned(), fake)
}

#[tokio::test]
async fn gzip_is_read_and_a_broken_or_unknown_encoding_is_an_error() {
    assert_eq!(failure(|| encoded("gzip", gzip(POINTS.as_bytes()))).await.0, None);
    for (encoding, body) in [
        ("gzip", b"not gzip at all".to_vec()),
        ("gzip", gzip(POINTS.as_bytes())[..20].to_vec()),
        ("br", POINTS.as_bytes().to_vec()),
        ("zstd, gzip", gzip(POINTS.as_bytes())),
    ] {
        let failed = failure(move || encoded(encoding, body.clone())).await.0;
        assert_eq!(failed, Some(AnswerProblem::Encoding.into()), "{encoding}");
    }
}

#[tokio::test]
async fn a_gzip_bomb_is_cut_off_at_the_limit() {
    let bomb = gzip(&vec![b' '; 16 << 20]);
    assert!(bomb.len() < 1 << 17, "16 MiB in {} bytes", bomb.len());
    assert_eq!(failure(move || encoded("gzip", bomb.clone())).await.0, Some(AnswerProblem::TooLarge.into()));
}

#[tokio::test]
async fn a_bomb_without_an_end_is_not_read_to_its_end() {
    // Stored blocks: each byte sent is one byte of the answer, so bytes sent bound the bytes read.
    let head = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut block = vec![0, 0xff, 0x0f, 0, 0xf0];
    block.resize(5 + 0x0fff, b' ');
    let (failed, fake) = failure(move || Reply::Endless(head.clone(), block.clone())).await;
    assert_eq!(failed, Some(AnswerProblem::TooLarge.into()));
    let sent = fake.sent.load(Ordering::Relaxed);
    assert!(sent < 16 << 20, "{sent} bytes: the limit of 1 MiB and what sockets hold");
}

#[tokio::test]
async fn an_announced_size_beyond_the_limit_is_not_read_at_all() {
    let reply = || Reply::Raw(b"HTTP/1.1 200 X\r\ncontent-length: 99999999999\r\n\r\n{".to_vec());
    assert_eq!(failure(reply).await.0, Some(AnswerProblem::TooLarge.into()));
}

#[tokio::test]
async fn json_nested_a_hundred_thousand_deep_is_refused_wherever_it_stands() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let unknown_field = format!(r#"{{"new": {deep}, "columns": [], "points": []}}"#);
    assert_eq!(failure(move || json(unknown_field.clone())).await.0, Some(AnswerProblem::TooDeep.into()));

    let page = format!(r#"{{"results": [{{"service_name": "a", "instances": {deep}}}]}}"#);
    let fake = Fake::with(move |seen| (seen.path == "/v1/services/acme/").then(|| json(page.clone()))).await;
    assert_eq!(Account::at(&fake).collect().await, Err(AnswerProblem::TooDeep.into()));
}

#[tokio::test]
async fn large_bodies_of_all_accounts_take_turns() {
    // Space is JSON as well.
    let page = format!("{}{}", " ".repeat(2 << 20), large_page(4));
    let fake = Fake::with(move |seen| (seen.path == "/v1/services/acme/").then(|| json(page.clone()))).await;
    let collect = async |bounds: Bounds, accounts: usize, millis| {
        let http = lenient().bounded(bounds);
        let account = || {
            let token = Credentials::Token("given".to_owned().into());
            Account::new(&http, &fake.endpoint(), timeout_of(millis), None, token)
        };
        let accounts: Vec<_> = std::iter::repeat_with(account).take(accounts).collect();
        futures::future::join_all(accounts.iter().map(Account::collect)).await
    };
    let one = Bounds { medium_bodies: 2, large_bodies: 1, ..Bounds::default() };
    let collected = collect(one, 8, 100_000).await;
    assert!(collected.iter().all(|one| one.as_ref().is_ok_and(|one| one.failures().0 == 0)), "{collected:?}");

    let none = Bounds { large_bodies: 0, ..Bounds::default() };
    assert_eq!(collect(none, 1, 500).await, [Err(Unreachable::Timeout.into())]);
}

#[tokio::test]
async fn clouds_that_drip_give_memory_back_when_others_need_it() {
    // Of medium and of large bodies all places are taken by one account.
    for (bytes, bounds) in [
        (100 << 10, Bounds { medium_bodies: 1, ..Bounds::default() }),
        (2 << 20, Bounds { large_bodies: 1, ..Bounds::default() }),
    ] {
        let http = lenient().bounded(bounds);
        let is_page = |path: &str| path == "/v1/services/acme/";
        let dripping = Fake::with(move |seen| is_page(&seen.path).then_some(Reply::Drip(bytes))).await;
        let page = format!("{}{}", " ".repeat(bytes), large_page(4));
        let fine = Fake::with(move |seen| is_page(&seen.path).then(|| json(page.clone()))).await;
        let account = |fake: &Fake| {
            let token = Credentials::Token("given".to_owned().into());
            Account::new(&http, &fake.endpoint(), timeout_of(600_000), None, token)
        };
        let (holds, waits) = (account(&dripping), account(&fine));
        let holding = holds.collect();
        tokio::pin!(holding);
        // Its cloud says so where the body lies with us and not in a socket's buffer.
        tokio::select! {
            _ = &mut holding => panic!("it drips"),
            () = until("it drips", || dripping.dripped.load(Ordering::Relaxed) > 10) => {}
        }
        let collecting = async { tokio::join!(waits.collect(), &mut holding) };
        let (collected, held) = tokio::time::timeout(Duration::from_secs(120), collecting)
            .await
            .expect("long before the deadline of the one that drips");
        assert_eq!(collected.unwrap().failures(), (0, None), "{bytes}");
        assert_eq!(held, Err(Unreachable::Timeout.into()), "{bytes}");
    }
}
