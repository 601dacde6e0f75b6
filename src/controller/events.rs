//! Events on transitions, never on cycles: what changed between the status before and the one just written.

use kube::Resource;
use kube::runtime::events::{Event, EventType, Recorder};

use super::api_call::call;
use crate::api::{CaasAccount, CaasAccountStatus, ConditionType, Finding, Reason};

/// Publishes events.
pub(super) struct EventPublisher(Recorder);

impl EventPublisher {
    /// Publishes through this recorder, of which there is one a process.
    pub(super) fn new(recorder: Recorder) -> Self {
        Self(recorder)
    }

    /// Publishes events about an account. One that cannot be published is lost, and logged.
    pub(super) async fn publish(&self, account: &CaasAccount, events: Vec<Event>) {
        let regarding = account.object_ref(&());
        for event in events {
            let (recorder, regarding, reason) = (self.0.clone(), regarding.clone(), event.reason.clone());
            // Each publication walks through all recent events. In a task of its own it does not hold up reconciles,
            // which share one task.
            let published = tokio::spawn(async move { call(recorder.publish(&event, &regarding)).await });
            if let Ok(Err(error)) = published.await {
                tracing::warn!(%error, reason, "an event is lost");
            }
        }
    }
}

/// The events of a change from the status before to what was found. Pure.
pub(super) fn transitions(before: Option<&CaasAccountStatus>, findings: &[Finding]) -> Vec<Event> {
    let reason_before = |condition: ConditionType| {
        let conditions = before.map(|status| status.conditions.as_slice()).unwrap_or_default();
        conditions
            .iter()
            .find(|current| current.type_ == condition.as_str())
            .map(|current| current.reason.as_str())
    };
    findings
        .iter()
        .filter(|finding| reason_before(finding.condition) != Some(finding.reason.as_str()))
        // Waiting is not a transition.
        .filter(|finding| finding.reason != Reason::Pending)
        .map(event)
        .collect()
}

/// Another account queries the same cloud account.
pub(super) fn shared_with(other: &str) -> Event {
    Event {
        type_: EventType::Warning,
        reason: "SharedCloudAccount".into(),
        note: Some(format!(
            "CaasAccount {other} queries the same account of the same cloud; both are collected, and the cloud \
             receives twice the requests."
        )),
        action: "Collect".into(),
        secondary: None,
    }
}

fn event(finding: &Finding) -> Event {
    let is_normal = finding.holds || finding.reason == Reason::Suspended;
    Event {
        type_: if is_normal { EventType::Normal } else { EventType::Warning },
        reason: finding.reason.as_str().into(),
        note: Some(finding.message.clone()),
        action: match finding.condition {
            ConditionType::CredentialsReady => "ReadCredentials",
            ConditionType::Collecting | ConditionType::Ready => "Collect",
            ConditionType::ServiceMonitorReady => "ApplyServiceMonitor",
        }
        .into(),
        secondary: None,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn status(reasons: &[(ConditionType, Reason)]) -> CaasAccountStatus {
        let condition = |(condition, reason): &(ConditionType, Reason)| Condition {
            type_: condition.as_str().into(),
            status: "False".into(),
            reason: reason.as_str().into(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        };
        CaasAccountStatus {
            conditions: reasons.iter().map(condition).collect(),
            ..CaasAccountStatus::default()
        }
    }

    fn shown(events: &[Event]) -> Vec<(&str, EventType)> {
        events.iter().map(|event| (event.reason.as_str(), event.type_)).collect()
    }

    #[test]
    fn only_a_changed_reason_is_an_event() {
        let before = status(&[
            (ConditionType::CredentialsReady, Reason::CredentialsFound),
            (ConditionType::Collecting, Reason::Pending),
        ]);
        let findings = [
            Finding::new(Reason::CredentialsFound, "Found."),
            Finding::new(Reason::CloudUnreachable, "Away."),
        ];
        assert_eq!(shown(&transitions(Some(&before), &findings)), [("CloudUnreachable", EventType::Warning)]);

        let after = status(&[
            (ConditionType::CredentialsReady, Reason::CredentialsFound),
            (ConditionType::Collecting, Reason::CloudUnreachable),
        ]);
        assert!(transitions(Some(&after), &findings).is_empty());
    }

    #[test]
    fn waiting_is_no_event_and_what_is_wanted_is_normal() {
        let findings = [
            Finding::new(Reason::CredentialsFound, "Found."),
            Finding::new(Reason::Pending, "Wait."),
            Finding::new(Reason::CRDNotInstalled, "Install it."),
        ];
        assert_eq!(
            shown(&transitions(None, &findings)),
            [("CredentialsFound", EventType::Normal), ("CRDNotInstalled", EventType::Warning)]
        );
        let suspended = [Finding::new(Reason::Suspended, "Suspended.")];
        assert_eq!(shown(&transitions(None, &suspended)), [("Suspended", EventType::Normal)]);
    }
}
