//! When a status is written, and what then stands in it.

use k8s_openapi::jiff::ToSpan;
use serde_json::json;

use super::*;

const WELL: [Reason; 3] = [Reason::CredentialsFound, Reason::Collected, Reason::Applied];

fn account(generation: i64, status: Option<CaasAccountStatus>) -> CaasAccount {
    let mut account: CaasAccount = serde_json::from_value(json!({
        "apiVersion": "caas-operator.io/v1alpha1",
        "kind": "CaasAccount",
        "metadata": {"name": "acme", "namespace": "team-a", "uid": "u", "generation": generation},
        "spec": {
            "provider": {"alauda": {"endpoint": "https://caas.example.com/v1/"}},
            "credentials": {"secretRef": {"name": "acme-alauda"}},
        },
    }))
    .unwrap();
    account.status = status;
    account
}

fn id() -> AccountId {
    AccountId::new("team-a", "acme")
}

fn noon() -> Timestamp {
    "2025-03-01T12:00:00.123456789Z".parse().unwrap()
}

fn findings(reasons: &[Reason]) -> Vec<Finding> {
    reasons.iter().map(|reason| Finding::new(*reason, format!("About {reason}."))).collect()
}

fn news(findings: &[Finding], counts: Option<(usize, usize)>) -> News<'_> {
    News { findings, endpoint: Some("https://caas.example.com/v1/".into()), counts, counts_due: true }
}

/// What stands after these reasons were found at noon, with 2 services of 3 instances.
fn told(generation: i64, reasons: &[Reason]) -> CaasAccountStatus {
    let findings = findings(reasons);
    decide(&account(generation, None), &id(), &news(&findings, Some((2, 6))), noon()).write.unwrap()
}

/// As an API server hands a status out again.
fn read_back(status: CaasAccountStatus) -> CaasAccountStatus {
    serde_json::from_value(serde_json::to_value(status).unwrap()).unwrap()
}

fn shown(status: &CaasAccountStatus, condition: ConditionType) -> (&str, &str, Option<i64>) {
    let found = status.conditions.iter().find(|one| one.type_ == condition.as_str()).unwrap();
    (&found.status, &found.reason, found.observed_generation)
}

#[test]
fn all_is_told_of_an_account_without_a_status() {
    let status = told(1, &WELL);

    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(status.provider.as_deref(), Some("alauda"));
    assert_eq!(status.metrics_path.as_deref(), Some("/accounts/team-a/acme/metrics"));
    assert_eq!((status.services, status.instances), (Some(2), Some(6)));
    assert_eq!(shown(&status, ConditionType::Ready), ("True", "Collected", Some(1)));
    let types: Vec<&str> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types, ["Collecting", "CredentialsReady", "Ready", "ServiceMonitorReady"]);
}

#[test]
fn nothing_is_written_while_nothing_differs() {
    let mut standing = read_back(told(1, &WELL));
    standing.conditions.reverse();
    let later = noon() + 1.hour();

    let findings = findings(&WELL);
    let decision = decide(&account(1, Some(standing)), &id(), &news(&findings, Some((2, 6))), later);

    assert_eq!(decision, Decision { write: None, counts_wait: false });
}

#[test]
fn somebody_elses_condition_is_left_alone_and_causes_no_write() {
    let mut standing = read_back(told(1, &WELL));
    let theirs =
        Condition { type_: "Approved".into(), reason: "ByHand".into(), ..standing.conditions[0].clone() };
    standing.conditions.insert(0, theirs);
    let now = account(1, Some(standing));
    let well = findings(&WELL);

    let decision = decide(&now, &id(), &news(&well, Some((2, 6))), noon() + 1.hour());
    assert_eq!(decision, Decision { write: None, counts_wait: false });

    // What is applied without it leaves it standing: the list is merged by type, and it is not ours.
    let worse = findings(&[Reason::CredentialsFound, Reason::CloudError, Reason::Applied]);
    let status = decide(&now, &id(), &news(&worse, None), noon()).write.unwrap();
    let types: Vec<&str> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types, ["Collecting", "CredentialsReady", "Ready", "ServiceMonitorReady"]);
}

#[test]
fn a_condition_is_as_old_as_its_status_and_not_as_its_reason() {
    let standing = told(1, &[Reason::CredentialsFound, Reason::CloudError, Reason::Applied]);
    let later = noon() + 1.hour();
    let at = |status: &CaasAccountStatus| {
        let collecting = status.conditions.iter().find(|one| one.type_ == "Collecting").unwrap();
        collecting.last_transition_time.0
    };
    let before = at(&standing);
    assert_eq!(before, "2025-03-01T12:00:00Z".parse().unwrap(), "the API keeps whole seconds");

    let worse = findings(&[Reason::CredentialsFound, Reason::RateLimited, Reason::Applied]);
    let account_now = account(1, Some(standing));
    let status = decide(&account_now, &id(), &news(&worse, None), later).write.unwrap();
    assert_eq!(shown(&status, ConditionType::Collecting).1, "RateLimited");
    assert_eq!(at(&status), before);

    let status = decide(&account_now, &id(), &news(&findings(&WELL), None), later).write.unwrap();
    assert_eq!(at(&status), "2025-03-01T13:00:00Z".parse().unwrap());
}

#[test]
fn counts_wait_for_their_time_and_ride_along_with_whatever_is_written() {
    let well = findings(&WELL);
    let now = account(1, Some(told(1, &WELL)));
    let early = News { counts_due: false, ..news(&well, Some((2, 7))) };
    assert_eq!(decide(&now, &id(), &early, noon()), Decision { write: None, counts_wait: true });

    let due = decide(&now, &id(), &news(&well, Some((2, 7))), noon());
    assert_eq!(due.write.and_then(|status| status.instances), Some(7));
    assert!(!due.counts_wait);

    let partial = findings(&[Reason::CredentialsFound, Reason::PartiallyCollected, Reason::Applied]);
    let early = News { counts_due: false, ..news(&partial, Some((2, 7))) };
    let along = decide(&now, &id(), &early, noon());
    assert_eq!(along.write.and_then(|status| status.instances), Some(7));
    assert!(!along.counts_wait);
}

#[test]
fn counts_that_nobody_knows_keep_what_stands() {
    let problem = findings(&[Reason::SecretNotFound, Reason::Pending, Reason::Applied]);
    let now = account(1, Some(told(1, &WELL)));
    let status = decide(&now, &id(), &News { endpoint: None, ..news(&problem, None) }, noon()).write.unwrap();
    assert_eq!((status.services, status.instances), (Some(2), Some(6)));
    assert_eq!(status.endpoint.as_deref(), Some("https://caas.example.com/v1/"));
}

#[test]
fn a_status_of_an_older_generation_is_written_again() {
    let well = findings(&WELL);
    let status = decide(&account(2, Some(told(1, &WELL))), &id(), &news(&well, Some((2, 6))), noon());
    let status = status.write.unwrap();
    assert_eq!(status.observed_generation, Some(2));
    assert!(status.conditions.iter().all(|condition| condition.observed_generation == Some(2)));
}

#[test]
fn what_is_not_known_now_stays_as_it_stands_and_ready_rests_on_it() {
    let standing = told(1, &[Reason::CredentialsFound, Reason::Collected, Reason::NotOwned]);
    let two = findings(&[Reason::CredentialsFound, Reason::Collected]);

    let same = decide(&account(1, Some(standing.clone())), &id(), &news(&two, Some((2, 6))), noon());
    assert_eq!(same.write, None);

    let status = decide(&account(2, Some(standing)), &id(), &news(&two, None), noon()).write.unwrap();
    assert_eq!(shown(&status, ConditionType::ServiceMonitorReady), ("False", "NotOwned", Some(1)));
    assert_eq!(shown(&status, ConditionType::Ready), ("False", "NotOwned", Some(1)));
}

#[test]
fn ready_speaks_of_no_newer_spec_than_what_it_rests_on() {
    // The first cycle of the new spec has not ended: only the ServiceMonitor is known.
    let applied = findings(&[Reason::Applied]);
    let now = account(2, Some(told(1, &WELL)));
    let status = decide(&now, &id(), &news(&applied, None), noon()).write.unwrap();
    assert_eq!(shown(&status, ConditionType::ServiceMonitorReady).2, Some(2));
    assert_eq!(shown(&status, ConditionType::Ready), ("True", "Collected", Some(1)));
}

#[test]
fn ready_is_not_told_before_all_it_rests_on_is_known() {
    let two = findings(&[Reason::CredentialsFound, Reason::Collected]);
    let status = decide(&account(1, None), &id(), &news(&two, None), noon()).write.unwrap();
    assert!(status.conditions.iter().all(|condition| condition.type_ != "Ready"), "{status:?}");
}

#[test]
fn a_suspended_account_is_not_ready_for_that_reason_in_its_newest_generation() {
    let standing = told(1, &[Reason::SecretNotFound, Reason::Pending, Reason::Applied]);
    let suspended = findings(&[Reason::Suspended, Reason::Disabled]);
    let status = decide(&account(2, Some(standing)), &id(), &news(&suspended, None), noon()).write.unwrap();
    assert_eq!(shown(&status, ConditionType::CredentialsReady), ("False", "SecretNotFound", Some(1)));
    assert_eq!(shown(&status, ConditionType::Ready), ("False", "Suspended", Some(2)));
}
