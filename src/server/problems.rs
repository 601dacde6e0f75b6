//! What is ill now: the conditions that the alerts watch, judged on the newest values, each with what to do.
//!
//! An alert also waits before it fires; here a problem is shown at once. Thresholds are the defaults of `docs/alerts.md`. Pure.

use super::figures::Figures;
use crate::cloud::model::{Sample, ServiceFacts, State};
use crate::collector::registry::Listed;
use crate::exposition::values::ServiceEntry;

/// An instance is low on memory or CPU from this share on: `CaasInstanceMemoryHigh.ratio`.
const HIGH_RATIO: f64 = 0.9;
/// A measurement may be this old, in seconds: `CaasDataStale.seconds`.
const STALE_SECONDS: f64 = 900.0;
/// A service restarts too often from so many restarts in an hour on: `CaasInstanceRestarting.restarts`.
const RESTARTS: usize = 3;

/// How bad it is, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Nothing works.
    Critical,
    /// Something does not work, or soon will not.
    Warning,
}

impl Severity {
    /// The word for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        }
    }
}

/// One problem of an account or a service.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Problem {
    pub(super) severity: Severity,
    /// A few words.
    pub(super) what: String,
    /// Whole sentences.
    pub(super) advice: String,
    /// Since when, in seconds since the epoch, where that is known.
    pub(super) since: Option<f64>,
    /// The alert that watches the same, whose runbook says more.
    pub(super) alert: &'static str,
}

/// How bad the reason of an account's condition is; `None` where it is no problem.
pub(super) fn of_reason(reason: &str) -> Option<Severity> {
    match reason {
        "Collected" | "Pending" | "Suspended" => None,
        "PartiallyCollected" | "RateLimited" | "TooManySeries" | "Unknown" => Some(Severity::Warning),
        _ => Some(Severity::Critical),
    }
}

/// The place of an account with this problem, or with none, among all: the worst first.
pub(super) fn place(problem: Option<&Problem>) -> (bool, Option<Severity>) {
    (problem.is_none(), problem.map(|problem| problem.severity))
}

/// The problem of an account, if it has one, at `now` in seconds since the epoch.
pub(super) fn of_account(account: &Listed, now: f64) -> Option<Problem> {
    let gauges = account.snapshot().map(|snapshot| snapshot.values.gauges);
    let last_success = gauges.and_then(|gauges| gauges.last_success);
    let reason = account.reason();
    if reason == "Collected" {
        return stale(account, now);
    }
    let severity = of_reason(reason)?;
    let alert = match reason {
        "LoginRejected" => "CaasCredentialsRejected",
        "RateLimited" => "CaasCloudThrottling",
        "TooManySeries" => "CaasSeriesDropped",
        _ => "CaasAccountNotCollected",
    };
    let what =
        if severity == Severity::Critical { format!("not collected: {reason}") } else { reason.to_owned() };
    // A part is collected all the same, so the last success says nothing.
    let since = last_success.filter(|_| severity == Severity::Critical);
    Some(Problem { severity, what, advice: account.message(), since, alert })
}

/// A collected account whose data is old all the same.
fn stale(account: &Listed, now: f64) -> Option<Problem> {
    let values = &account.snapshot()?.values;
    let problem = |what: &str, since, advice: &str| Problem {
        severity: Severity::Warning,
        what: what.to_owned(),
        advice: advice.to_owned(),
        since: Some(since),
        alert: "CaasDataStale",
    };
    let gauges = values.gauges;
    if gauges.interval > 0.0 && now - gauges.last_collection > (2.0 * gauges.interval).max(30.0) {
        return Some(problem(
            "no collection has ended in time",
            gauges.last_collection,
            "The current collection takes longer than two intervals: the cloud responds slowly or not at all.",
        ));
    }
    let samples = values.services.iter().flat_map(|service| {
        service.sample.iter().chain(service.instances.iter().filter_map(|instance| instance.sample.as_ref()))
    });
    let newest = samples.map(Sample::timestamp).reduce(f64::max)?;
    (now - newest > STALE_SECONDS.max(2.0 * gauges.interval)).then(|| {
        problem(
            "old measurements",
            newest,
            "The account is collected, but the cloud's newest measurement is old. Check whether the provider's \
             console shows current graphs.",
        )
    })
}

/// The problems of a service, worst first; it has been ill since then, where that is known.
pub(super) fn of_service(service: &ServiceEntry, figures: &Figures, ill_since: Option<f64>) -> Vec<Problem> {
    let facts = &*service.facts;
    if matches!(facts.state, Some(State::Stopped | State::Sleeping)) {
        return Vec::new();
    }
    let mut problems: Vec<Problem> = [
        failed(facts).map(|problem| Problem { since: ill_since, ..problem }),
        missing(facts).map(|problem| Problem { since: ill_since, ..problem }),
        crashed(figures),
        restarting(figures),
        high(
            figures.memory_ratio,
            "memory",
            "CaasInstanceMemoryHigh",
            "If it needs more, the cloud may kill it.",
        ),
        high(
            figures.cpu_ratio,
            "CPU",
            "CaasInstanceCpuHigh",
            "It may be slow: add instances or choose a larger size.",
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    problems.sort_by_key(|problem| problem.severity);
    problems
}

fn failed(facts: &ServiceFacts) -> Option<Problem> {
    let (severity, what) = match facts.state? {
        State::Failed => (Severity::Critical, "has failed"),
        State::Degraded => (Severity::Warning, "is degraded"),
        _ => return None,
    };
    let what = match &facts.status {
        Some(word) => format!("{what}: {word}"),
        None => what.to_owned(),
    };
    // The count of instances says the same, better.
    if severity == Severity::Warning && missing(facts).is_some() {
        return None;
    }
    Some(Problem {
        severity,
        what,
        advice: "It has crashed or could not be deployed. Check its log in the provider's console; roll back if a new \
                 image is the cause."
            .into(),
        since: None,
        alert: "CaasServiceInstancesMissing",
    })
}

fn missing(facts: &ServiceFacts) -> Option<Problem> {
    let (desired, running) = (facts.desired_instances?, facts.running()?);
    (running < desired).then(|| Problem {
        severity: if running == 0 { Severity::Critical } else { Severity::Warning },
        what: format!("{running} of {desired} instances running"),
        advice: if facts.state == Some(State::Deploying) {
            "A deployment is in progress. If it does not finish, check the image, configuration and quota, or roll back."
        } else {
            "Check for restarting instances, the provider's capacity and the account's quota."
        }
        .into(),
        since: None,
        alert: "CaasServiceInstancesMissing",
    })
}

fn crashed(figures: &Figures) -> Option<Problem> {
    (figures.failed > 0).then(|| Problem {
        severity: Severity::Warning,
        what: format!(
            "{} crashed {}",
            figures.failed,
            if figures.failed == 1 { "instance" } else { "instances" }
        ),
        advice: "The program exits or a health check fails: check its log in the provider's console.".into(),
        since: None,
        alert: "CaasInstanceRestarting",
    })
}

/// The alert counts each instance by itself; here the service's instances count together.
fn restarting(figures: &Figures) -> Option<Problem> {
    let restarts = figures.restarts_last_hour.filter(|restarts| *restarts >= RESTARTS)?;
    Some(Problem {
        severity: Severity::Warning,
        what: format!("{restarts} restarts in the last hour"),
        advice: "If memory is near its limit before each restart, choose a larger size; otherwise check the log in \
                 the provider's console. After a deployment, restarts are expected."
            .into(),
        since: None,
        alert: "CaasInstanceRestarting",
    })
}

fn high(ratio: Option<f64>, of_what: &str, alert: &'static str, advice: &str) -> Option<Problem> {
    let ratio = ratio.filter(|ratio| *ratio > HIGH_RATIO)?;
    Some(Problem {
        severity: Severity::Warning,
        what: format!("{of_what} at {:.0} %", ratio * 100.0),
        advice: format!("An instance uses more than {:.0} % of its {of_what}. {advice}", HIGH_RATIO * 100.0),
        since: None,
        alert,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::exposition::labels::LabelSet;

    fn service(facts: ServiceFacts) -> ServiceEntry {
        let labels = LabelSet::account("team-a", "acme");
        ServiceEntry { labels, facts: Arc::new(facts), sample: None, instances: Vec::new() }
    }

    fn counts(desired: i64, running: i64, state: State) -> ServiceFacts {
        ServiceFacts {
            desired_instances: Some(desired),
            running_instances: Some(running),
            state: Some(state),
            ..ServiceFacts::default()
        }
    }

    fn alerts(facts: ServiceFacts, figures: Figures) -> Vec<(Severity, &'static str)> {
        let problems = of_service(&service(facts), &figures, None);
        problems.into_iter().map(|problem| (problem.severity, problem.alert)).collect()
    }

    #[test]
    fn a_service_has_the_problems_that_the_alerts_watch_worst_first() {
        let none = Figures::default;
        let high = Figures { memory_ratio: Some(0.95), cpu_ratio: Some(0.91), ..none() };
        let missing = "CaasServiceInstancesMissing";
        for (facts, figures, expected) in [
            (counts(3, 3, State::Running), none(), vec![]),
            (counts(3, 2, State::Running), none(), vec![(Severity::Warning, missing)]),
            (counts(3, 0, State::Running), none(), vec![(Severity::Critical, missing)]),
            (counts(3, 0, State::Stopped), high, vec![]),
            (counts(3, 0, State::Sleeping), none(), vec![]),
            (counts(1, 1, State::Failed), none(), vec![(Severity::Critical, missing)]),
            (counts(2, 2, State::Degraded), none(), vec![(Severity::Warning, missing)]),
            (counts(2, 1, State::Degraded), none(), vec![(Severity::Warning, missing)]),
            (
                counts(2, 1, State::Running),
                Figures { failed: 1, ..none() },
                vec![(Severity::Warning, missing), (Severity::Warning, "CaasInstanceRestarting")],
            ),
            (
                counts(2, 2, State::Running),
                high,
                vec![
                    (Severity::Warning, "CaasInstanceMemoryHigh"),
                    (Severity::Warning, "CaasInstanceCpuHigh"),
                ],
            ),
            (counts(2, 2, State::Running), Figures { memory_ratio: Some(0.9), ..none() }, vec![]),
            (counts(2, 2, State::Running), Figures { restarts_last_hour: Some(2), ..none() }, vec![]),
            (
                counts(2, 2, State::Running),
                Figures { restarts_last_hour: Some(3), ..none() },
                vec![(Severity::Warning, "CaasInstanceRestarting")],
            ),
        ] {
            assert_eq!(alerts(facts.clone(), figures), expected, "{facts:?}");
        }
    }

    #[test]
    fn instances_that_are_ready_count_where_the_cloud_does_not_say_how_many_run() {
        let facts =
            ServiceFacts { desired_instances: Some(2), ready_instances: Some(1), ..ServiceFacts::default() };
        assert_eq!(
            of_service(&service(facts), &Figures::default(), None)[0].what,
            "1 of 2 instances running"
        );
    }
}
