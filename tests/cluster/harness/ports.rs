//! Free loopback ports for servers that do not report which port they took.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

use anyhow::bail;

/// Below the range that outgoing connections use (32768 and up on Linux): a port stays free while its server is stopped.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// A loopback port that nobody listens on, chosen at random so that test binaries side by side seldom choose the same.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    for attempt in 0..200_u32 {
        let random = RandomState::new().hash_one(attempt) % u64::from(COUNT);
        let port = FIRST + u16::try_from(random)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free loopback port found in {FIRST}..{}", FIRST + COUNT)
}
