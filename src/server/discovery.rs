//! Prometheus' `http_sd`: every path of every account as a target group.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::views::legacy_metrics_path;
use crate::account::Account;
use crate::collector::registry::Entry;

/// The most that a scrape of a finished body may take; never more than the interval, which Prometheus refuses.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);

/// One element of the answer.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Group {
    targets: [String; 1],
    labels: BTreeMap<String, String>,
}

/// The target groups; `host` is this server as the asking Prometheus reaches it.
pub(super) fn targets(entries: &[Entry], host: &str) -> Vec<Group> {
    let groups = |entry: &Entry| {
        let account = &entry.account;
        let modern = group(account, host, account.id.metrics_path(), "caas");
        // A job of its own: with all labels equal, the two targets' `up` would be one series.
        let legacy = legacy_metrics_path(account).map(|path| group(account, host, path, "caas-legacy"));
        std::iter::once(modern).chain(legacy).collect::<Vec<_>>()
    };
    entries.iter().flat_map(groups).collect()
}

fn group(account: &Account, host: &str, path: String, job: &str) -> Group {
    let interval = account.collection.interval;
    let ours = [
        ("__metrics_path__", path),
        ("__scrape_interval__", duration(interval)),
        ("__scrape_timeout__", duration(interval.min(SCRAPE_TIMEOUT))),
        ("namespace", account.id.namespace.to_string()),
        ("instance", account.id.to_string()),
        ("job", job.to_owned()),
    ];
    // Ours come last: no constant label of an account may take their place.
    let labels = account.metrics.labels.iter().cloned();
    Group {
        targets: [host.to_owned()],
        labels: labels.chain(ours.map(|(label, value)| (label.to_owned(), value))).collect(),
    }
}

/// A duration as Prometheus reads it: whole numbers with a unit.
fn duration(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers() {
        assert_eq!(duration(Duration::from_secs(90)), "90s");
        assert_eq!(duration(Duration::from_millis(5500)), "5500ms");
    }
}
