//! The lists of all accounts, read slowly.

use std::sync::Arc;

use caas_operator::account::Names;
use caas_operator::collector::Registry;
use caas_operator::replicas::peers::Peers;
use caas_operator::server::{AllowedHosts, Context, Limits, PageOptions, router};
use caas_operator::telemetry::Metrics;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::accounts::account;
use crate::http_support::{Served, serve};

/// So many that their lists do not fit into the buffers of two sockets.
const ACCOUNTS: usize = 8_000;

fn name(number: usize) -> String {
    format!("a{number:05}")
}

async fn started() -> (Served, Arc<Registry>, Arc<Metrics>) {
    let registry = Arc::new(Registry::default());
    for number in 0..ACCOUNTS {
        registry.put(account("team-a", &name(number), Names::Both));
    }
    let metrics = Metrics::new();
    let context = Context {
        registry: Arc::clone(&registry),
        metrics: Arc::clone(&metrics),
        append_account: None,
        allowed_hosts: AllowedHosts::default(),
        page: PageOptions::default(),
        peers: Peers::none(),
    };
    (serve(router(context), Limits::default()).await, registry, metrics)
}

/// Requests a path and reads the head and the beginning of the response.
async fn begun(served: &Served, path: &str) -> (TcpStream, Vec<u8>) {
    let mut client = TcpStream::connect(served.address).await.unwrap();
    client.write_all(format!("GET {path} HTTP/1.0\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = vec![0; 400];
    client.read_exact(&mut answer).await.unwrap();
    (client, answer)
}

/// The whole body.
async fn body((mut client, mut answer): (TcpStream, Vec<u8>)) -> String {
    client.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_list_is_made_as_it_is_read_and_follows_what_comes_and_goes() {
    let (served, registry, _) = started().await;
    let mut reading = Vec::new();
    for path in ["/accounts", "/sd"] {
        reading.push((path, begun(&served, path).await));
    }
    // Neither has come so far.
    registry.remove(&account("team-a", &name(ACCOUNTS - 1), Names::Both).id);
    registry.put(account("team-b", "late", Names::Both));

    for (path, reading) in reading {
        let list = body(reading).await;
        let count = |text: String| list.matches(&text).count();
        assert_eq!(count(format!("{}/metrics\"", name(ACCOUNTS - 1))), 0, "{path}: made before it was read");
        for there in ["/team-a/a00000", "/team-a/a04000", "/team-b/late"] {
            assert_eq!(count(format!("{there}/metrics\"")), 1, "{path}: {there}");
        }
        let groups = if path == "/accounts" {
            serde_json::from_str::<Value>(&list).unwrap()["accounts"].as_array().unwrap().len()
        } else {
            serde_json::from_str::<Vec<Value>>(&list).unwrap().len() / 2
        };
        assert_eq!(groups, ACCOUNTS, "{path}");
    }
}

#[tokio::test]
async fn own_metrics_are_made_as_they_are_read() {
    let (served, _, metrics) = started().await;
    let meters: Vec<_> = (0..ACCOUNTS).map(|number| metrics.account("team-a", &name(number))).collect();
    meters.iter().for_each(caas_operator::telemetry::AccountMeter::throttled);
    let reading = begun(&served, "/metrics").await;
    let last = meters.last().unwrap();
    last.throttled();
    let text = body(reading).await;
    let series = |number: usize, count: u8| {
        format!("throttled_total{{account=\"{}\",account_namespace=\"team-a\"}} {count}\n", name(number))
    };
    assert!(text.contains(&series(0, 1)));
    assert!(text.contains(&series(ACCOUNTS - 1, 2)), "made before it was read");
}
