//! Events on transitions, never on cycles: what changed between the status before and the one just written.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as EventObject;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use kube::runtime::events::{Event, EventType};
use kube::{Api, Client};
use serde_json::json;
use tokio::time::Instant;

use super::FIELD_MANAGER;
use super::api_call::{ApiError, call};
use crate::account::AccountId;
use crate::api::{API_VERSION, CaasAccountStatus, ConditionType, Finding, KIND, Reason, shortened};
use crate::limits::Shares;

/// Events that are written at once; one namespace may write a third of them.
const AT_ONCE: usize = 16;

/// An event that happens again within this time adds to the series of the one before.
const SERIES: Duration = Duration::from_secs(360);

/// The longest note of an event, in bytes: the API server refuses a longer one.
const MAX_NOTE_LENGTH: usize = 1024;

/// How many events are remembered for that. Beyond it the oldest are forgotten.
const REMEMBERED: usize = 4096;

/// Publishes events.
///
/// kube's `Recorder` has a cache of its own that it searches as a whole for each event, and it keeps whole objects: a start
/// with 10,000 accounts would cost it minutes of CPU time.
pub(super) struct EventPublisher {
    client: Client,
    /// The reporting instance, such as the pod's name.
    instance: String,
    permits: Arc<Shares>,
    recent: Mutex<RecentEvents>,
}

/// The names of recent events.
#[derive(Default)]
struct RecentEvents {
    events: HashMap<EventKey, Published>,
    /// In the order in which they are forgotten.
    order: VecDeque<(Instant, EventKey)>,
}

/// What makes two events the same: the object's UID and the reason.
type EventKey = (Option<String>, String);

struct Published {
    name: String,
    count: i32,
}

impl EventPublisher {
    /// A publisher that has published nothing.
    pub(super) fn new(client: Client, instance: Option<String>) -> Self {
        let instance = instance.unwrap_or_else(|| FIELD_MANAGER.to_owned());
        Self { client, instance, permits: Shares::thirds(AT_ONCE), recent: Mutex::default() }
    }

    /// Publishes events about an account. One that cannot be published is lost, and logged.
    pub(super) async fn publish(&self, account: &ObjectMeta, id: &AccountId, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let _permit = self.permits.of(&id.namespace).acquire(1).await;
        let regarding = ObjectReference {
            api_version: Some(API_VERSION.to_owned()),
            kind: Some(KIND.to_owned()),
            namespace: account.namespace.clone(),
            name: account.name.clone(),
            uid: account.uid.clone(),
            resource_version: account.resource_version.clone(),
            field_path: None,
        };
        for event in events {
            let reason = event.reason.clone();
            if let Err(error) = self.publish_one(&regarding, event).await {
                tracing::warn!(%error, reason, "an event could not be written");
            }
        }
    }

    async fn publish_one(&self, regarding: &ObjectReference, event: Event) -> Result<(), ApiError> {
        let api: Api<EventObject> =
            Api::namespaced(self.client.clone(), regarding.namespace.as_deref().unwrap_or("default"));
        let key = (regarding.uid.clone(), event.reason.clone());
        let now = Timestamp::now();
        if let Some((name, count)) = self.recent(|recent| recent.again(&key)) {
            let series = json!({"series": {"count": count, "lastObservedTime": MicroTime(now)}});
            call(api.patch(&name, &PatchParams::default(), &Patch::Merge(series))).await?;
            return Ok(());
        }
        let name = event_name(regarding.name.as_deref().unwrap_or_default(), now.as_nanosecond());
        let object = EventObject {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: regarding.namespace.clone(),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(now)),
            type_: Some(if event.type_ == EventType::Normal { "Normal" } else { "Warning" }.to_owned()),
            reason: Some(event.reason),
            action: Some(event.action),
            note: event.note,
            regarding: Some(regarding.clone()),
            reporting_controller: Some(FIELD_MANAGER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..EventObject::default()
        };
        call(api.create(&PostParams::default(), &object)).await?;
        self.recent(|recent| recent.published(key, name));
        Ok(())
    }

    fn recent<T>(&self, look: impl FnOnce(&mut RecentEvents) -> T) -> T {
        look(&mut self.recent.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl RecentEvents {
    /// The event of this key that is recent enough, and how often it has happened with this time.
    fn again(&mut self, key: &EventKey) -> Option<(String, i32)> {
        while let Some((at, oldest)) = self.order.front()
            && at.elapsed() >= SERIES
        {
            self.events.remove(oldest);
            self.order.pop_front();
        }
        let published = self.events.get_mut(key)?;
        published.count = published.count.saturating_add(1);
        Some((published.name.clone(), published.count))
    }

    fn published(&mut self, key: EventKey, name: String) {
        if self.order.len() >= REMEMBERED
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.events.remove(&oldest);
        }
        self.order.push_back((Instant::now(), key.clone()));
        self.events.insert(key, Published { name, count: 1 });
    }
}

/// A name for an event about this account. A name of Kubernetes has 253 characters at most.
fn event_name(account: &str, nanoseconds: i128) -> String {
    let begin = account.get(..account.len().min(220)).unwrap_or_default();
    format!("{}.{nanoseconds:x}", begin.trim_end_matches(['.', '-']))
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

/// Another account queries the same cloud account. It is named only to those who may read it: in its own namespace.
pub(super) fn shared_with(id: &AccountId, other: &AccountId) -> Event {
    let other = if other.namespace == id.namespace {
        format!("CaasAccount {other}")
    } else {
        "A CaasAccount of another namespace".to_owned()
    };
    Event {
        type_: EventType::Warning,
        reason: "SharedCloudAccount".into(),
        note: Some(format!(
            "{other} uses the same cloud account. Both are collected, so the cloud receives twice as many \
             requests. If this is not intended, delete or suspend one of them."
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
        note: Some(shortened(&finding.message, MAX_NOTE_LENGTH).into_owned()),
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

    #[test]
    fn another_account_of_the_same_cloud_account_is_named_in_its_own_namespace_only() {
        let [acme, beta, foreign] = [("team-a", "acme"), ("team-a", "beta"), ("team-b", "secret-plan")]
            .map(|(namespace, name)| AccountId::new(namespace, name));
        assert!(shared_with(&acme, &beta).note.unwrap().contains("team-a/beta"));
        let note = shared_with(&acme, &foreign).note.unwrap();
        assert!(
            note.contains("another namespace") && !note.contains("team-b") && !note.contains("secret"),
            "{note}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_happens_again_soon_adds_to_the_one_before_and_old_ones_are_forgotten() {
        let key = |number: usize| (Some(number.to_string()), "Collected".to_owned());
        let mut recent = RecentEvents::default();
        assert_eq!(recent.again(&key(0)), None);
        recent.published(key(0), "first".to_owned());
        assert_eq!(recent.again(&key(0)), Some(("first".to_owned(), 2)));
        assert_eq!(recent.again(&key(0)), Some(("first".to_owned(), 3)));
        tokio::time::advance(SERIES).await;
        assert_eq!(recent.again(&key(0)), None);
        for number in 0..3 * REMEMBERED {
            recent.published(key(number), String::new());
        }
        assert_eq!((recent.events.len(), recent.order.len()), (REMEMBERED, REMEMBERED));
        assert!(recent.again(&key(3 * REMEMBERED - 1)).is_some());
    }

    #[test]
    fn an_event_about_an_account_of_the_longest_name_has_a_name_that_kubernetes_takes() {
        let name = event_name(&"a.".repeat(124), i128::from(i64::MAX));
        assert!(name.len() <= 253 && name.ends_with("a.7fffffffffffffff"), "{name}");
        assert_eq!(event_name("acme", 255), "acme.ff");
    }

    fn shown(events: &[Event]) -> Vec<(&str, EventType)> {
        events.iter().map(|event| (event.reason.as_str(), event.type_)).collect()
    }

    #[test]
    fn the_note_of_an_event_is_no_longer_than_an_api_server_takes() {
        let long = [Finding::new(Reason::Collected, "ü".repeat(MAX_NOTE_LENGTH))];
        let note = transitions(None, &long).remove(0).note.unwrap();
        assert!(note.len() <= 1024 && note.ends_with("ü…"), "{}", note.len());
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
        let optional = [Finding::new(Reason::PrometheusOperatorNotInstalled, "None is needed.")];
        assert_eq!(
            shown(&transitions(None, &optional)),
            [("PrometheusOperatorNotInstalled", EventType::Normal)]
        );
        let suspended = [Finding::new(Reason::Suspended, "Suspended.")];
        assert_eq!(shown(&transitions(None, &suspended)), [("Suspended", EventType::Normal)]);
    }
}
