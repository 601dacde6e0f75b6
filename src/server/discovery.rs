//! Prometheus' `http_sd`: every path of every account as a target group. Those of an account that cannot be collected are
//! among them, so that Prometheus sees them fail; those of one that is suspended are not.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::account::Target;
use crate::collector::registry::Listed;

/// One element of the answer.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Group {
    targets: [String; 1],
    labels: BTreeMap<String, String>,
}

/// The target groups; `host` is this server as the asking Prometheus reaches it.
pub(super) fn targets(accounts: &[Listed], host: &str) -> Vec<Group> {
    let scraped = |account: &&Listed| match account {
        Listed::Collected(_) => true,
        Listed::Uncollected(account) => !account.is_suspended(),
    };
    let all = accounts.iter().filter(scraped).flat_map(Listed::targets);
    all.map(|target| group(target, host)).collect()
}

fn group(target: &Target, host: &str) -> Group {
    let how = [
        ("__metrics_path__", target.path.clone()),
        ("__scrape_interval__", target.interval.to_string()),
        ("__scrape_timeout__", target.timeout.to_string()),
    ];
    let how = how.map(|(label, value)| (label.to_owned(), value));
    Group { targets: [host.to_owned()], labels: target.labels.iter().cloned().chain(how).collect() }
}
