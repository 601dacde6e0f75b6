//! Prometheus' `http_sd`: every path of every account as a target group.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::account::Target;
use crate::collector::registry::Entry;

/// One element of the answer.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Group {
    targets: [String; 1],
    labels: BTreeMap<String, String>,
}

/// The target groups; `host` is this server as the asking Prometheus reaches it.
pub(super) fn targets(entries: &[Entry], host: &str) -> Vec<Group> {
    let all = entries.iter().flat_map(|entry| &entry.account.targets);
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
