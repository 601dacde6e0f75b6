//! What Prometheus scrapes of an account, for a ServiceMonitor and for the list at `/sd`. Pure.
//!
//! Knows what is scraped, how often and with which labels, but no addresses, which differ between the two.

use super::AccountId;
use super::interval::interval;
use crate::api::spec::MetricNames;
use crate::api::{CaasAccountSpec, cel};
use crate::cloud::Providers;
use crate::schema::Duration;

/// The label `job` of accounts' targets.
const JOB: &str = "caas";

/// The label `job` of legacy targets: with all labels equal, the two targets' `up` would be one series.
const LEGACY_JOB: &str = "caas-legacy";

/// The longest from one scrape to the next. Prometheus takes a series without a sample for 5 minutes for ended, and
/// no alert lasts over the gap; a minute leaves room for scrapes that fail.
const AT_LEAST_EACH: Duration = Duration::from_secs(60);

/// The longest scrape where nothing else is set: a finished body takes far less.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The shortest timeout, as in the CRD's rule: 0 would mean Prometheus' own.
const LEAST_TIMEOUT: Duration = Duration::from_secs(1);

/// One path that Prometheus scrapes.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The path under which the series are served.
    pub path: String,
    /// Whether these are the legacy gauges, whose own labels are honored, since old dashboards select by them.
    pub legacy: bool,
    /// From one scrape to the next: as long as from one collection to the next, and at most a minute. Its printed form
    /// is one that Prometheus reads.
    pub interval: Duration,
    /// The longest that a scrape may take; never more than the interval, which Prometheus refuses.
    pub timeout: Duration,
    /// The target's labels, constant ones first and ours last: set in this order, ours win.
    pub labels: Vec<(String, String)>,
}

/// All that Prometheus scrapes of an account.
pub fn targets(providers: Providers, id: &AccountId, spec: &CaasAccountSpec) -> Vec<Target> {
    let path = id.metrics_path();
    let interval = Duration::from(interval(providers, spec)).min(AT_LEAST_EACH);
    let legacy = (spec.metrics.names != MetricNames::Modern)
        .then(|| target(id, spec, interval, format!("{path}/legacy"), true));
    std::iter::once(target(id, spec, interval, path, false)).chain(legacy).collect()
}

/// The constant labels that are not set, since the CRD refuses their names: the object may be older than that rule.
pub fn omitted_labels(spec: &CaasAccountSpec) -> impl Iterator<Item = &str> {
    spec.metrics.labels.keys().map(String::as_str).filter(|label| !cel::is_free_label_name(label))
}

fn target(id: &AccountId, spec: &CaasAccountSpec, interval: Duration, path: String, legacy: bool) -> Target {
    let timeout = spec.service_monitor.scrape_timeout.unwrap_or(TIMEOUT);
    let mut ours = vec![
        ("namespace", id.namespace.to_string()),
        ("instance", id.to_string()),
        ("job", if legacy { LEGACY_JOB } else { JOB }.to_owned()),
    ];
    if legacy {
        // Their own `instance` takes the place of ours, and two accounts of a namespace may each have a `kibana`.
        ours.push(("account", id.name.to_string()));
    }
    // What is left out is in `omitted_labels`.
    let constant = spec.metrics.labels.iter().filter(|(label, _)| cel::is_free_label_name(label));
    Target {
        path,
        legacy,
        interval,
        timeout: timeout.clamp(LEAST_TIMEOUT, interval),
        labels: constant
            .map(|(label, value)| (label.clone(), value.clone()))
            .chain(ours.into_iter().map(|(label, value)| (label.to_owned(), value)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What is scraped of `team-a/acme`. Its object is read as it is: it may be older than the rules.
    fn of(spec: &Value) -> Vec<Target> {
        of_account("acme", spec)
    }

    fn of_account(name: &str, spec: &Value) -> Vec<Target> {
        let mut document = json!({
            "provider": {"alauda": {"endpoint": "https://caas.example.com/v1/"}},
            "credentials": {"secretRef": {"name": "acme-alauda"}},
        });
        for (field, value) in spec.as_object().unwrap() {
            document[field] = value.clone();
        }
        targets(Providers::ALL, &AccountId::new("team-a", name), &serde_json::from_value(document).unwrap())
    }

    fn labels(target: &Target) -> Vec<(&str, &str)> {
        target.labels.iter().map(|(label, value)| (&**label, &**value)).collect()
    }

    #[test]
    fn each_path_is_a_target_of_its_own() {
        let path = "/accounts/team-a/acme/metrics";
        let legacy = format!("{path}/legacy");
        for (names, expected) in [
            ("Modern", vec![(path, false, "caas")]),
            ("Legacy", vec![(path, false, "caas"), (&legacy, true, "caas-legacy")]),
            ("Both", vec![(path, false, "caas"), (&legacy, true, "caas-legacy")]),
        ] {
            let targets = of(&json!({"metrics": {"names": names}}));
            let job = |target| labels(target).into_iter().find(|(label, _)| *label == "job").unwrap().1;
            let seen: Vec<_> = targets.iter().map(|it| (&*it.path, it.legacy, job(it))).collect();
            assert_eq!(seen, expected, "{names}");
        }
    }

    #[test]
    fn two_accounts_of_a_namespace_differ_although_series_have_their_own_instance() {
        let kept = |name| {
            let target = of_account(name, &json!({"metrics": {"names": "Legacy"}})).remove(1);
            target.labels.into_iter().filter(|(label, _)| label != "instance").collect::<Vec<_>>()
        };
        assert_ne!(kept("acme"), kept("globex"));
    }

    #[test]
    fn a_scrape_ends_before_the_next_begins_whatever_is_set() {
        for (interval, timeout, expected) in [
            ("30s", None, ("30s", "10s")),
            ("5s", None, ("5s", "5s")),
            ("5s", Some("4s"), ("5s", "4s")),
            ("10s", Some("30s"), ("10s", "10s")),
            ("1h", None, ("1m", "10s")),
            ("1h", Some("45s"), ("1m", "45s")),
            ("1h", Some("1h"), ("1m", "1m")),
            ("0s", Some("0s"), ("5s", "1s")),
        ] {
            let monitor = timeout.map_or(json!({}), |timeout| json!({"scrapeTimeout": timeout}));
            let spec = json!({"collection": {"interval": interval}, "serviceMonitor": monitor, "metrics": {"names": "Both"}});
            let targets = of(&spec);
            assert_eq!(targets.len(), 2);
            for target in targets {
                let seen = (target.interval.to_string(), target.timeout.to_string());
                assert_eq!((&*seen.0, &*seen.1), expected, "interval {interval}, timeout {timeout:?}");
            }
        }
    }

    #[test]
    fn names_that_the_crd_refuses_are_left_out_and_ours_come_last() {
        let mut constant = json!({"team": "checkout", "zone": "a"});
        for name in cel::RESERVED_LABELS.into_iter().chain(["__address__", "a-b", "1a", "", &"a".repeat(64)])
        {
            constant[name] = json!("mine");
        }
        let targets = of(&json!({"metrics": {"names": "Both", "labels": constant}}));
        let expected = |job| {
            [
                ("team", "checkout"),
                ("zone", "a"),
                ("namespace", "team-a"),
                ("instance", "team-a/acme"),
                ("job", job),
            ]
        };
        assert_eq!(labels(&targets[0]), expected("caas"));
        let account = [("account", "acme")];
        assert_eq!(labels(&targets[1]), [&expected("caas-legacy")[..], &account].concat());
    }
}
