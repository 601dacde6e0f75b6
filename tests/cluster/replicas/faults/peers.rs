//! Replicas do not reach each other.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use crate::harness::ControlPlane;
use crate::replicas::figures::{Figures, row};
use crate::replicas::group::{EXPIRY, Group, INTERVAL, Price, Start, passed};

/// An address at which nothing is answered, as behind a `NetworkPolicy`: the queue of connections that nobody accepts is full, so
/// the kernel drops what comes.
struct Silent {
    address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Silent {
    async fn new() -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        let listener = socket.listen(1)?;
        let (address, mut queued) = (listener.local_addr()?, Vec::new());
        while let Ok(connected) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            queued.push(connected?);
            ensure!(queued.len() < 10, "connections are not dropped");
        }
        Ok(Self { address, _listener: listener, _queued: queued })
    }
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn replicas_that_do_not_reach_each_other_go_on_and_tell_scrapes_so() -> anyhow::Result<()> {
    row("8, port between replicas blocked", async || {
        let silent = Silent::new().await?;
        let start = || Start { address: Some(silent.address), ..Start::default() };
        let replicas = ["a", "b", "c"].map(|name| (name, start())).into();
        let group = Group::with(ControlPlane::shared().await, "replicas-blocked", INTERVAL, replicas).await?;
        let (owners, moves, at) = (group.until_shared().await, group.moves().await?, Instant::now());
        passed(EXPIRY).await;
        ensure!(group.until_shared().await == owners, "accounts have moved");
        let (account, _) = owners.iter().find(|(_, owner)| **owner == "b").context("an account of b")?;
        let asked = Instant::now();
        let (code, body) = group.replicas["a"].scrape(&group.path(account)).await?;
        let answered = asked.elapsed();
        ensure!(
            code == 503 && body.contains("replica b collects this account and cannot be reached"),
            "{code} {body}"
        );
        let (code, _) = group.replicas["b"].scrape(&group.path(account)).await?;
        ensure!(code == 200, "{code}");
        let mut figures = Figures::default();
        figures.count("moves", group.moves().await? - moves, 0);
        figures.time("gap", group.longest_gap(group.accounts(), at), INTERVAL);
        figures.time("503 after", answered, Duration::from_secs(1));
        figures.count("cycles in an interval", group.most_cycles(at), 2);
        group.seen(&mut figures, at, Price::SCRAPES).await?;
        Ok(figures)
    })
    .await
}
