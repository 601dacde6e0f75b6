//! Prometheus' `http_sd`: each metrics path of each account as a target group. Accounts that cannot be collected are
//! included, so Prometheus sees their targets fail; suspended accounts are not.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use super::json;
use super::list::Listing;
use crate::account::Target;
use crate::collector::registry::Listed;

/// One target group.
#[derive(Debug, PartialEq, Serialize)]
struct Group<'a> {
    targets: [&'a str; 1],
    labels: BTreeMap<&'a str, &'a str>,
}

/// The list of target groups.
pub(super) struct Groups {
    host: String,
    any: bool,
}

impl Groups {
    /// `host` is the address at which the requesting Prometheus reaches this server.
    pub(super) fn new(host: String) -> Self {
        Self { host, any: false }
    }
}

impl Listing for Groups {
    fn begin(&mut self, chunk: &mut Vec<u8>) {
        chunk.push(b'[');
    }

    fn account(&mut self, account: &Listed, chunk: &mut Vec<u8>) -> io::Result<()> {
        let scraped = match account {
            Listed::Collected(_) => true,
            Listed::Uncollected(account) => !account.is_suspended(),
            Listed::Elsewhere(account) => !account.is_suspended,
        };
        for target in account.targets().iter().filter(|_| scraped) {
            if std::mem::replace(&mut self.any, true) {
                chunk.push(b',');
            }
            write(target, &self.host, chunk)?;
        }
        Ok(())
    }

    fn end(&mut self, chunk: &mut Vec<u8>) {
        chunk.push(b']');
    }
}

fn write(target: &Target, host: &str, chunk: &mut Vec<u8>) -> serde_json::Result<()> {
    let (interval, timeout) = (target.interval.to_string(), target.timeout.to_string());
    let settings = [
        ("__metrics_path__", &*target.path),
        ("__scrape_interval__", &*interval),
        ("__scrape_timeout__", &*timeout),
    ];
    let labels = target.labels.iter().map(|(label, value)| (&**label, &**value));
    json::write(chunk, &Group { targets: [host], labels: labels.chain(settings).collect() })
}
