//! Prometheus' `http_sd`: each metrics path of each account as a target group. Accounts that cannot be collected are
//! included, so Prometheus sees their targets fail; suspended accounts are not.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::account::Target;
use crate::collector::registry::Listed;

/// One target group.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Group {
    targets: [String; 1],
    labels: BTreeMap<String, String>,
}

/// The target groups; `host` is the address at which the requesting Prometheus reaches this server.
pub(super) fn targets(accounts: &[Listed], host: &str) -> Vec<Group> {
    let scraped = |account: &&Listed| match account {
        Listed::Collected(_) => true,
        Listed::Uncollected(account) => !account.is_suspended(),
    };
    let all = accounts.iter().filter(scraped).flat_map(Listed::targets);
    all.map(|target| group(target, host)).collect()
}

fn group(target: &Target, host: &str) -> Group {
    let settings = [
        ("__metrics_path__", target.path.clone()),
        ("__scrape_interval__", target.interval.to_string()),
        ("__scrape_timeout__", target.timeout.to_string()),
    ];
    let settings = settings.map(|(label, value)| (label.to_owned(), value));
    Group { targets: [host.to_owned()], labels: target.labels.iter().cloned().chain(settings).collect() }
}
