//! What the tests of the client share: a server whose responses they choose, and an account at it.

mod account;
mod client;
mod log;
mod server;
mod virtual_time;

use std::time::Duration;

pub(crate) use account::*;
pub(crate) use client::*;
pub(crate) use log::*;
pub(crate) use server::*;
pub(crate) use virtual_time::*;

/// Waits until the condition holds. Panics after a generous deadline.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), waiting).await.expect(what);
}
