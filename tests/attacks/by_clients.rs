//! Clients of the ports: half-open connections, and readers that do not read.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::time::MissedTickBehavior;

use crate::harness::{Target, account};

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
    let target = Target::start("").await;
    let attacks =
        [target.url(""), target.health_url("")].map(|base| tokio::spawn(open_and_leave(base, HALF, 6, 300)));

    let damage = target.damage_after(Duration::from_secs(20)).await;

    attacks.iter().for_each(tokio::task::JoinHandle::abort);
    damage.assert_bounded("600 half-open connections a second to each port");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_do_not_read_cost_little_memory_and_delay_neither_probes_nor_scrapes() {
    /// With these labels, `/sd` takes a megabyte.
    const ACCOUNTS: usize = 100;
    /// Half of what as many whole lists as there are connections would take.
    const MOST_MEMORY: u64 = 192 << 20;
    let labels: Vec<String> = (0..32).map(|number| format!("l{number}: {}", "x".repeat(250))).collect();
    let more = format!("  metrics: {{labels: {{{}}}}}", labels.join(", "));
    // Their Secret does not exist.
    let accounts =
        (0..ACCOUNTS).map(|number| account("tenant", &format!("a{number}"), "http://127.0.0.1:9/", &more));
    let target = Target::start(&accounts.collect::<String>()).await;
    target.until_reason("tenant", "a99", &["SecretNotFound"]).await;
    // In the end, more of them than there are connections.
    let request = "GET /sd HTTP/1.1\r\nhost: x\r\n\r\n";
    let attack = tokio::spawn(open_and_leave(target.url(""), request, 1, 600));

    let damage = target.damage_after(Duration::from_secs(20)).await;

    attack.abort();
    damage.assert_bounded("600 readers of a list of a megabyte that do not read");
    assert!(damage.peak_memory < MOST_MEMORY, "{damage:?}");
}
