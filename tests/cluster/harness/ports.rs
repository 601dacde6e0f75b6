//! Free loopback ports for servers that do not report which port they took.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::bail;

/// Below the range that outgoing connections use (32768 and up on Linux): a port stays free while its server is stopped.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// The place of the next port. It begins at random, so that test binaries side by side seldom choose the same.
static NEXT: LazyLock<AtomicU64> =
    LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(()) % u64::from(COUNT)));

/// A loopback port that nobody listens on. Tests beside each other never get the same: its server listens only later.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    for _ in 0..COUNT {
        let place = NEXT.fetch_add(1, Ordering::Relaxed) % u64::from(COUNT);
        let port = FIRST + u16::try_from(place)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free loopback port found in {FIRST}..{}", FIRST + COUNT)
}
