//! Clients of the ports: half-open connections, readers that do not read, and hosts that are none.

use std::collections::VecDeque;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::MissedTickBehavior;

use crate::harness::{Target, account, scaled};

/// Opens connections from an address of its own, so many each 10 ms, that send this text and read nothing; keeps the newest
/// `kept`.
async fn open_and_leave(base: String, text: &'static str, each: usize, kept: usize) {
    let address = base.strip_prefix("http://").unwrap().parse().unwrap();
    let mut open = VecDeque::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for _ in 0..each {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
            let Ok(mut connection) = socket.connect(address).await else { continue };
            // The program may have closed it already.
            let _ = connection.write_all(text.as_bytes()).await;
            open.push_back(connection);
        }
        open.drain(..open.len().saturating_sub(kept));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_to_both_ports_delay_neither_probes_nor_scrapes() {
    const HALF: &str = "GET / HTTP/1.1\r\nhost: ";
    /// More than a port has at once.
    const OPEN: usize = 1_200;
    // This process holds the other ends.
    let files = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }).unwrap();
    let target = Target::start("").await;
    let attacks = [target.url(""), target.health_url("")]
        .map(|base| tokio::spawn(open_and_leave(base, HALF, 10, OPEN)));

    let damage = target.damage_after(Duration::from_secs(20)).await;

    assert!(attacks.iter().all(|attack| !attack.is_finished()), "an attack ended by itself");
    attacks.iter().for_each(tokio::task::JoinHandle::abort);
    damage.assert_bounded("1,000 half-open connections a second to each port");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_do_not_read_cost_little_memory_and_delay_neither_probes_nor_scrapes() {
    let labels: Vec<String> = (0..32).map(|number| format!("l{number}: {}", "x".repeat(250))).collect();
    let more = format!("  metrics: {{labels: {{{}}}}}", labels.join(", "));
    let accounts = scaled(1_000);
    // Their Secret does not exist.
    let manifests =
        (0..accounts).map(|number| account("tenant", &format!("a{number}"), "http://127.0.0.1:9/", &more));
    let target = Target::start(&manifests.collect::<String>()).await;
    target.until_reason("tenant", &format!("a{}", accounts - 1), &["SecretNotFound"]).await;
    let kilobytes = target.body("/sd").await.len() / 1_000;
    assert!(kilobytes >= 8 * accounts, "{kilobytes} KB");
    // In the end, more of them than there are connections.
    let request = "GET /sd HTTP/1.1\r\nhost: x\r\n\r\n";
    let attack = tokio::spawn(open_and_leave(target.url(""), request, 1, 600));

    let damage = target.damage_after(Duration::from_secs(20)).await;

    assert!(!attack.is_finished(), "the attack ended by itself");
    attack.abort();
    damage.assert_bounded(&format!("600 readers of a list of {kilobytes} KB that do not read"));
    // As many whole lists as there are connections would take a multiple.
    let most = (160 << 20) + (accounts as u64 * (200 << 10));
    assert!(damage.peak_memory < most, "{damage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_none_is_refused_and_echoed_nowhere() {
    let target = Target::start("").await;
    let address = target.url("").strip_prefix("http://").unwrap().to_owned();
    for host in ["host: a b/{{x}}", "host: a\r\nhost: b", "x: y"] {
        for path in ["/sd", "/", "/accounts"] {
            let mut connection = TcpStream::connect(&address).await.unwrap();
            let head = format!("GET {path} HTTP/1.1\r\n{host}\r\nconnection: close\r\n\r\n");
            connection.write_all(head.as_bytes()).await.unwrap();
            let mut response = String::new();
            connection.read_to_string(&mut response).await.unwrap();
            assert!(response.starts_with("HTTP/1.1 400"), "{path} {host}: {response}");
            assert!(!response.contains("{{x}}"), "{response}");
        }
    }
    let damage = target.damage_after(Duration::from_secs(6)).await;

    damage.assert_bounded("hosts that are none");
}
