//! When a status is written, and what it then contains.

use k8s_openapi::jiff::ToSpan;
use serde_json::json;

use super::*;

const HEALTHY: [Reason; 3] = [Reason::CredentialsFound, Reason::Collected, Reason::Applied];

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

fn input(findings: &[Finding], counts: Option<(usize, usize)>) -> StatusInput<'_> {
    StatusInput {
        findings,
        endpoint: Some("https://caas.example.com/v1/".into()),
        counts,
        last_success: None,
        due: Due { counts: true, success: true },
    }
}

/// Nothing may be written for itself.
const NOT_DUE: Due = Due { counts: false, success: false };

/// The status after these reasons were found at noon, with 2 services of 3 instances.
fn written(generation: i64, reasons: &[Reason]) -> CaasAccountStatus {
    let findings = findings(reasons);
    decide(&account(generation, None), &id(), &input(&findings, Some((2, 6))), noon()).write.unwrap()
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
fn everything_is_written_to_an_account_without_a_status() {
    let status = written(1, &HEALTHY);

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
    let mut before = read_back(written(1, &HEALTHY));
    before.conditions.reverse();
    let later = noon() + 1.hour();

    let findings = findings(&HEALTHY);
    let decision = decide(&account(1, Some(before)), &id(), &input(&findings, Some((2, 6))), later);

    assert_eq!(decision, Decision { write: None, counts_wait: false });
}

#[test]
fn somebody_elses_condition_is_left_alone_and_causes_no_write() {
    let mut before = read_back(written(1, &HEALTHY));
    let theirs =
        Condition { type_: "Approved".into(), reason: "ByHand".into(), ..before.conditions[0].clone() };
    before.conditions.insert(0, theirs);
    let now = account(1, Some(before));
    let healthy = findings(&HEALTHY);

    let decision = decide(&now, &id(), &input(&healthy, Some((2, 6))), noon() + 1.hour());
    assert_eq!(decision, Decision { write: None, counts_wait: false });

    // What is applied without it leaves it before: the list is merged by type, and it is not ours.
    let worse = findings(&[Reason::CredentialsFound, Reason::CloudError, Reason::Applied]);
    let status = decide(&now, &id(), &input(&worse, None), noon()).write.unwrap();
    let types: Vec<&str> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types, ["Collecting", "CredentialsReady", "Ready", "ServiceMonitorReady"]);
}

#[test]
fn a_condition_is_as_old_as_its_status_and_not_as_its_reason() {
    let failed = written(1, &[Reason::CredentialsFound, Reason::CloudError, Reason::Applied]);
    let later = noon() + 1.hour();
    let at = |status: &CaasAccountStatus| {
        let collecting = status.conditions.iter().find(|one| one.type_ == "Collecting").unwrap();
        collecting.last_transition_time.0
    };
    let before = at(&failed);
    assert_eq!(before, "2025-03-01T12:00:00Z".parse().unwrap(), "the API keeps whole seconds");

    let worse = findings(&[Reason::CredentialsFound, Reason::RateLimited, Reason::Applied]);
    let now = account(1, Some(failed));
    let status = decide(&now, &id(), &input(&worse, None), later).write.unwrap();
    assert_eq!(shown(&status, ConditionType::Collecting).1, "RateLimited");
    assert_eq!(at(&status), before);

    let status = decide(&now, &id(), &input(&findings(&HEALTHY), None), later).write.unwrap();
    assert_eq!(at(&status), "2025-03-01T13:00:00Z".parse().unwrap());
}

#[test]
fn counts_wait_for_their_time_and_ride_along_with_whatever_is_written() {
    let healthy = findings(&HEALTHY);
    let now = account(1, Some(written(1, &HEALTHY)));
    let early = StatusInput { due: NOT_DUE, ..input(&healthy, Some((2, 7))) };
    assert_eq!(decide(&now, &id(), &early, noon()), Decision { write: None, counts_wait: true });

    let due = decide(&now, &id(), &input(&healthy, Some((2, 7))), noon());
    assert_eq!(due.write.and_then(|status| status.instances), Some(7));
    assert!(!due.counts_wait);

    let partial = findings(&[Reason::CredentialsFound, Reason::PartiallyCollected, Reason::Applied]);
    let early = StatusInput { due: NOT_DUE, ..input(&partial, Some((2, 7))) };
    let along = decide(&now, &id(), &early, noon());
    assert_eq!(along.write.and_then(|status| status.instances), Some(7));
    assert!(!along.counts_wait);
}

#[test]
fn an_account_that_is_not_collected_has_no_counts_and_the_endpoint_of_its_spec() {
    for reasons in [
        &[Reason::SecretNotFound, Reason::Pending, Reason::Applied][..],
        &[Reason::CredentialsFound, Reason::EndpointRefused, Reason::Applied],
        &[Reason::Suspended, Reason::Disabled],
    ] {
        let problem = findings(reasons);
        for before in [None, Some(written(1, &HEALTHY))] {
            let input =
                StatusInput { endpoint: Some("https://new.example.com/".into()), ..input(&problem, None) };
            let status = decide(&account(2, before), &id(), &input, noon()).write.unwrap();
            assert_eq!((status.services, status.instances), (None, None), "{reasons:?}");
            assert_eq!(status.endpoint.as_deref(), Some("https://new.example.com/"), "{reasons:?}");
            assert_eq!(status.observed_generation, Some(2), "{reasons:?}");
        }
    }
}

#[test]
fn until_the_new_spec_was_collected_once_the_status_tells_of_the_former_one() {
    let mut before = written(1, &HEALTHY);
    before.last_success_time = Some(Time(second(0)));
    let applied = findings(&[Reason::Applied]);
    let edited = StatusInput { endpoint: Some("https://new.example.com/".into()), ..input(&applied, None) };
    let status = decide(&account(2, Some(before.clone())), &id(), &edited, noon()).write.unwrap();
    let told = |status: &CaasAccountStatus| {
        (
            status.observed_generation,
            status.endpoint.clone(),
            status.services,
            status.last_success_time.clone(),
        )
    };
    assert_eq!(told(&status), told(&before));

    let failed = findings(&[Reason::CredentialsFound, Reason::CloudUnreachable, Reason::Applied]);
    let tried = StatusInput { findings: &failed, ..edited };
    let status = decide(&account(2, Some(status)), &id(), &tried, noon()).write.unwrap();
    assert_eq!(told(&status), (Some(2), Some("https://new.example.com/".into()), None, None));
}

#[test]
fn after_a_restart_nothing_is_written_until_more_is_known() {
    let mut before = written(1, &HEALTHY);
    before.last_success_time = Some(Time(second(0)));
    let now = account(1, Some(before));
    let applied = findings(&[Reason::Applied]);
    assert_eq!(decide(&now, &id(), &input(&applied, None), noon()).write, None);

    // The cloud has gone meanwhile: the last success is that of the process before.
    let failed = findings(&[Reason::CredentialsFound, Reason::CloudUnreachable, Reason::Applied]);
    let status = decide(&now, &id(), &input(&failed, Some((0, 0))), noon()).write.unwrap();
    assert_eq!((status.services, status.last_success_time), (Some(0), Some(Time(second(0)))));
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_740_830_400 + second).unwrap()
}

#[test]
fn the_last_success_rides_along_with_whatever_is_written_and_is_written_alone_when_due() {
    let healthy = findings(&HEALTHY);
    let now = account(1, Some(written(1, &HEALTHY)));
    let at = |due| StatusInput { last_success: Some(second(7)), due, ..input(&healthy, Some((2, 6))) };
    let decided =
        |due| decide(&now, &id(), &at(due), noon()).write.and_then(|status| status.last_success_time);
    assert_eq!(decided(Due { success: false, counts: true }), None);
    assert_eq!(decided(Due { success: true, counts: false }), Some(Time(second(7))));

    let more = StatusInput { counts: Some((3, 9)), ..at(Due { success: false, counts: true }) };
    let status = decide(&now, &id(), &more, noon()).write.unwrap();
    assert_eq!((status.services, status.last_success_time), (Some(3), Some(Time(second(7)))));
}

/// How often the status of each of so many healthy accounts is written in this time, which passes a minute at a time: each
/// account is reconciled once a minute, and has been collected since.
async fn writes_of_healthy_accounts(accounts: usize, minutes: i64) -> Vec<usize> {
    let healthy = findings(&HEALTHY);
    let mut all: Vec<(CaasAccount, Written, usize)> =
        (0..accounts).map(|_| (account(1, Some(written(1, &HEALTHY))), Written::new(), 0)).collect();
    for minute in 1..=minutes {
        tokio::time::advance(Duration::from_secs(60)).await;
        for (account, writer, writes) in &mut all {
            let last_success = Some(second(60 * minute));
            let input = StatusInput { last_success, due: writer.due(), ..input(&healthy, Some((2, 6))) };
            if let Some(after) = decide(account, &id(), &input, noon()).write {
                writer.replaced(account.status.as_ref(), after.clone(), None);
                account.status = Some(after);
                *writes += 1;
            }
        }
    }
    all.into_iter().map(|(.., writes)| writes).collect()
}

#[tokio::test(start_paused = true)]
async fn healthy_accounts_are_written_once_in_five_minutes_and_no_more() {
    assert_eq!(writes_of_healthy_accounts(200, 4).await, [0; 200], "a start is no reason to write");
    assert_eq!(writes_of_healthy_accounts(200, 60).await, [12; 200]);
}

#[test]
fn a_status_of_an_older_generation_is_written_again() {
    let healthy = findings(&HEALTHY);
    let status =
        decide(&account(2, Some(written(1, &HEALTHY))), &id(), &input(&healthy, Some((2, 6))), noon());
    let status = status.write.unwrap();
    assert_eq!(status.observed_generation, Some(2));
    assert!(status.conditions.iter().all(|condition| condition.observed_generation == Some(2)));
}

#[test]
fn what_is_not_known_now_stays_as_it_is_and_ready_depends_on_it() {
    let before = written(1, &[Reason::CredentialsFound, Reason::Collected, Reason::NotOwned]);
    let two = findings(&[Reason::CredentialsFound, Reason::Collected]);

    let same = decide(&account(1, Some(before.clone())), &id(), &input(&two, Some((2, 6))), noon());
    assert_eq!(same.write, None);

    let status = decide(&account(2, Some(before)), &id(), &input(&two, None), noon()).write.unwrap();
    assert_eq!(shown(&status, ConditionType::ServiceMonitorReady), ("False", "NotOwned", Some(1)));
    assert_eq!(shown(&status, ConditionType::Ready), ("False", "NotOwned", Some(1)));
}

#[test]
fn ready_speaks_of_no_newer_spec_than_what_it_rests_on() {
    // The first cycle of the new spec has not ended: only the ServiceMonitor is known.
    let applied = findings(&[Reason::Applied]);
    let now = account(2, Some(written(1, &HEALTHY)));
    let status = decide(&now, &id(), &input(&applied, None), noon()).write.unwrap();
    assert_eq!(shown(&status, ConditionType::ServiceMonitorReady).2, Some(2));
    assert_eq!(shown(&status, ConditionType::Ready), ("True", "Collected", Some(1)));
}

#[test]
fn ready_is_not_set_before_all_its_parts_are_known() {
    let two = findings(&[Reason::CredentialsFound, Reason::Collected]);
    let status = decide(&account(1, None), &id(), &input(&two, None), noon()).write.unwrap();
    assert!(status.conditions.iter().all(|condition| condition.type_ != "Ready"), "{status:?}");
}

#[test]
fn a_message_is_no_longer_than_the_schema_allows() {
    let long = [Finding::new(Reason::Applied, "ü".repeat(100_000))];
    let status = decide(&account(1, None), &id(), &input(&long, None), noon()).write.unwrap();
    let message = &status.conditions[0].message;
    assert!(message.chars().count() <= 32_768 && message.ends_with("ü…"), "{}", message.len());
}

#[test]
fn a_suspended_account_is_ready_in_its_newest_generation_and_tells_nothing_of_its_secret() {
    let before = written(1, &[Reason::SecretNotFound, Reason::Pending, Reason::Applied]);
    let suspended = findings(&[Reason::Suspended, Reason::Disabled]);
    let status = decide(&account(2, Some(before)), &id(), &input(&suspended, None), noon()).write.unwrap();
    let types: Vec<&str> = status.conditions.iter().map(|condition| condition.type_.as_str()).collect();
    assert_eq!(types, ["Collecting", "Ready", "ServiceMonitorReady"]);
    assert_eq!(shown(&status, ConditionType::Ready), ("True", "Suspended", Some(2)));
    assert_eq!(shown(&status, ConditionType::Collecting), ("False", "Suspended", Some(2)));
    assert_eq!(
        status.observed_generation,
        Some(2),
        "those who wait for a rollout compare this with the generation"
    );
}

#[test]
fn until_the_watch_delivers_our_own_status_it_stands_all_the_same() {
    let account = |version: &str| -> CaasAccount {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "acme", "namespace": "team-a", "resourceVersion": version},
            "spec": {
                "provider": {"alauda": {"endpoint": "https://caas.example.com/v1/"}},
                "credentials": {"secretRef": {"name": "acme"}},
            },
        }))
        .unwrap()
    };
    let ours = CaasAccountStatus { services: Some(7), ..CaasAccountStatus::default() };
    // Two writes in a row: the watch delivers the first while the second is the current one.
    for (delivered, is_kept) in [("9", true), ("11", true), ("12", false), ("13", false), ("odd", false)] {
        let account = account(delivered);
        let seen = up_to_date(&account, Some((12, ours.clone())));
        assert_eq!(seen.status.is_some(), is_kept, "version {delivered}");
    }
}
