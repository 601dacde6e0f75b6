//! Answers that are bombs.

use std::io::Write;
use std::sync::atomic::Ordering;

use caas_operator::cloud::CloudError;
use caas_operator::cloud::error::AnswerProblem;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::{Account, Fake, Reply, json, points};

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
    let points = points();
    let (start, end) = points.as_bytes().split_at(20);
    let members = [gzip(start), gzip(b""), gzip(end)].concat();
    for (encoding, body) in [
        ("gzip", gzip(points.as_bytes())),
        ("x-gzip", gzip(points.as_bytes())),
        ("X-GZIP", gzip(points.as_bytes())),
        ("identity, gzip", gzip(points.as_bytes())),
        ("identity", points.as_bytes().to_vec()),
        ("gzip", members.clone()),
        ("identity", format!("\u{feff}{points}").into_bytes()),
    ] {
        assert_eq!(failure(move || encoded(encoding, body.clone())).await.0, None, "{encoding}");
    }
    for (encoding, body) in [
        ("gzip", b"not gzip at all".to_vec()),
        ("gzip", gzip(points.as_bytes())[..20].to_vec()),
        ("gzip", members[..members.len() - 4].to_vec()),
        ("gzip", [gzip(points.as_bytes()), b"rest".to_vec()].concat()),
        ("gzip, gzip", gzip(&gzip(points.as_bytes()))),
        ("br", points.as_bytes().to_vec()),
        ("zstd, gzip", gzip(points.as_bytes())),
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
async fn a_gzip_stream_of_empty_blocks_is_not_read_without_end() {
    let head = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let empty_blocks = [0, 0, 0, 0xff, 0xff].repeat(1_000);
    let (failed, _) = failure(move || Reply::Endless(head.clone(), empty_blocks.clone())).await;
    assert_eq!(failed, Some(AnswerProblem::TooLarge.into()));
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
