//! The fifth step: writes conditions and counts where they differ from the current status, and says which events that is.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::ObjectMeta;
use kube::runtime::events::Event;
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use thiserror::Error;
use tokio::time::Instant;

use super::FIELD_MANAGER;
use super::api_call::{ApiError, call};
use super::events;
use super::findings::known_reason;
use super::scope::WatchedAccount;
use crate::account::AccountId;
use crate::api::condition::MAX_MESSAGE_LENGTH;
use crate::api::{
    API_VERSION, CaasAccount, CaasAccountStatus, ConditionType, Finding, KIND, Reason, shortened,
};

/// The shortest time between two writes of an account's counts.
pub(super) const COUNTS_EVERY: Duration = Duration::from_secs(60);

/// The shortest time between two writes of the last success alone. With 10,000 accounts these are 33 writes a second at
/// most, and fewer, since accounts for which nothing happens are reconciled more rarely then.
const SUCCESS_EVERY: Duration = Duration::from_secs(300);

/// Why a status is not written.
#[derive(Debug, Error)]
pub(super) enum StatusError {
    /// The write failed.
    #[error("writing the status: {0}")]
    Write(#[source] ApiError),
}

/// What came of an update.
pub(super) struct Updated {
    /// The events of what changed, which are to be published.
    pub(super) events: Vec<Event>,
    /// Whether changed counts wait for the next write.
    pub(super) counts_wait: bool,
}

/// Writes statuses and remembers what it wrote.
pub(super) struct StatusWriter {
    client: Client,
    written: Mutex<HashMap<AccountId, Written>>,
}

/// What was written to one account, and when.
struct Written {
    /// The last status, with the version that the object got by it.
    status: Option<(u64, CaasAccountStatus)>,
    /// When counts were written last.
    counts: Option<Instant>,
    /// When the last success was written last, or the account was seen first: a start does not write it to all accounts.
    success: Instant,
}

impl Written {
    fn new() -> Self {
        Self { status: None, counts: None, success: Instant::now() }
    }

    /// What may be written although nothing else is.
    fn due(&self) -> Due {
        Due {
            counts: self.counts.is_none_or(|last| last.elapsed() >= COUNTS_EVERY),
            success: self.success.elapsed() >= SUCCESS_EVERY,
        }
    }

    /// Takes in that one status was replaced by another, which gave the object this version.
    fn replaced(
        &mut self,
        before: Option<&CaasAccountStatus>,
        after: CaasAccountStatus,
        version: Option<u64>,
    ) {
        let counts = |status: &CaasAccountStatus| (status.services, status.instances);
        if before.map(counts) != Some(counts(&after)) {
            self.counts = Some(Instant::now());
        }
        if before.map(|before| &before.last_success_time) != Some(&after.last_success_time) {
            self.success = Instant::now();
        }
        self.status = version.map(|version| (version, after));
    }
}

impl StatusWriter {
    /// A writer that has written nothing.
    pub(super) fn new(client: Client) -> Self {
        Self { client, written: Mutex::default() }
    }

    /// The account with its current status: the one written last, until the watch delivers an object that has it.
    /// Comparing with an older one would publish each event twice.
    pub(super) fn with_current_status<'a>(
        &self,
        account: &'a CaasAccount,
        id: &AccountId,
    ) -> Cow<'a, CaasAccount> {
        let written = self.written().get(id).and_then(|written| written.status.clone());
        up_to_date(account, written)
    }

    /// Writes the status where it differs.
    pub(super) async fn update(
        &self,
        account: &CaasAccount,
        id: &AccountId,
        observed: StatusInput<'_>,
    ) -> Result<Updated, StatusError> {
        let due = self.written().entry(id.clone()).or_insert_with(Written::new).due();
        let input = StatusInput { due, ..observed };
        let Decision { write, counts_wait } = decide(account, id, &input, Timestamp::now());
        let before = account.status.as_ref();
        let mut events = Vec::new();
        if let Some(after) = write {
            let version = write_status(&self.client, &account.metadata, id, &after)
                .await
                .map_err(StatusError::Write)?;
            let mut all = self.written();
            all.entry(id.clone()).or_insert_with(Written::new).replaced(before, after, version);
            drop(all);
            events = events::transitions(before, input.findings);
        }
        Ok(Updated { events, counts_wait })
    }

    /// Writes why an object is not kept, in place of all that its status said. Returns the events of that.
    pub(super) async fn refuse(
        &self,
        object: &ObjectMeta,
        id: &AccountId,
        finding: &Finding,
    ) -> Result<Vec<Event>, StatusError> {
        let ready = Finding { condition: ConditionType::Ready, ..finding.clone() };
        let condition = |finding| condition(finding, None, object.generation, Timestamp::now());
        let status = CaasAccountStatus {
            observed_generation: object.generation,
            conditions: vec![condition(finding), condition(&ready)],
            ..CaasAccountStatus::default()
        };
        self.remove(id);
        write_status(&self.client, object, id, &status).await.map_err(StatusError::Write)?;
        Ok(events::transitions(None, std::slice::from_ref(finding)))
    }

    /// The accounts that were updated so far.
    pub(super) fn ids(&self) -> Vec<AccountId> {
        self.written().keys().cloned().collect()
    }

    /// Takes what the watch delivers of these accounts for current again: after a list, even if the API server lost a write.
    pub(super) fn relisted(&self, is_listed: impl Fn(&AccountId) -> bool) {
        let mut all = self.written();
        all.iter_mut().filter(|(id, _)| is_listed(id)).for_each(|(_, written)| written.status = None);
    }

    /// Removes an account.
    pub(super) fn remove(&self, id: &AccountId) {
        self.written().remove(id);
    }

    fn written(&self) -> MutexGuard<'_, HashMap<AccountId, Written>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The account with the status written last, if its own is older.
fn up_to_date(account: &CaasAccount, written: Option<(u64, CaasAccountStatus)>) -> Cow<'_, CaasAccount> {
    let version =
        account.metadata.resource_version.as_deref().and_then(|version| version.parse::<u64>().ok());
    match (version, written) {
        (Some(version), Some((newer, status))) if version < newer => {
            Cow::Owned(CaasAccount { status: Some(status), ..account.clone() })
        }
        _ => Cow::Borrowed(account),
    }
}

/// What the status should say.
#[derive(Default)]
pub(super) struct StatusInput<'a> {
    /// All conditions but `Ready`; one that is not known now stays as it is.
    pub(super) findings: &'a [Finding],
    /// The endpoint that the spec names.
    pub(super) endpoint: Option<String>,
    /// Services and instances that are exposed, while the account is collected.
    pub(super) counts: Option<(usize, usize)>,
    /// When the last collection that succeeded ended, if this process has seen one.
    pub(super) last_success: Option<Timestamp>,
    /// What may be written although nothing else differs.
    pub(super) due: Due,
}

/// Which of the values that change by themselves may be written although nothing else differs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// Counts.
    pub(super) counts: bool,
    /// The time of the last success.
    pub(super) success: bool,
}

/// What to write, and whether changed counts wait for the next write.
#[derive(Debug, PartialEq)]
pub(super) struct Decision {
    /// The status to write, where it differs from the current one; without the conditions of other writers.
    pub(super) write: Option<CaasAccountStatus>,
    /// Whether counts differ and are not written now.
    pub(super) counts_wait: bool,
}

/// Compares the current status with what it should be. Pure.
pub(super) fn decide(
    account: &CaasAccount,
    id: &AccountId,
    input: &StatusInput<'_>,
    now: Timestamp,
) -> Decision {
    let before = account.status.clone().unwrap_or_default();
    let is_same_spec = before.observed_generation == account.metadata.generation;
    let generation = account.metadata.generation;
    let current = |of: ConditionType| before.conditions.iter().find(|current| current.type_ == of.as_str());
    let known = |of: ConditionType| input.findings.iter().find(|finding| finding.condition == of);

    // The Secrets of a suspended account are not read, so what was known of them is told no longer.
    let is_suspended = known(ConditionType::Collecting).is_some_and(|it| it.reason == Reason::Suspended);
    let (mut parts, mut conditions) = (Vec::new(), Vec::new());
    for part in ConditionType::PARTS {
        match (known(part), current(part)) {
            (None, Some(_)) if is_suspended && part == ConditionType::CredentialsReady => {}
            (Some(finding), current) => {
                parts.push(finding.clone());
                conditions.push(condition(finding, current, generation, now));
            }
            (None, Some(current)) => {
                parts.extend(finding_of(part, current));
                conditions.push(current.clone());
            }
            (None, None) => {}
        }
    }
    // Until each part is known for this spec, the status goes on telling of the former one.
    let is_settled = conditions.iter().all(|part: &Condition| part.observed_generation == generation);
    match (Finding::ready(&parts), current(ConditionType::Ready)) {
        (Some(ready), current) => {
            let generation = generation_of(&ready, &conditions);
            conditions.push(condition(&ready, current, generation, now));
        }
        (None, current) => conditions.extend(current.cloned()),
    }
    conditions.sort_by(|one, other| one.type_.cmp(&other.type_));

    let mut after = CaasAccountStatus { metrics_path: Some(id.metrics_path()), conditions, ..before.clone() };
    if is_settled {
        after.observed_generation = generation;
        after.provider = Some(account.spec.provider.name.clone());
        after.endpoint.clone_from(&input.endpoint);
    }
    // Other writers' conditions are not written, which leaves them as they are, so they are no difference.
    let mut ours = before.clone();
    ours.conditions.retain(|current| ConditionType::ALL.iter().any(|of| of.as_str() == current.type_));
    ours.conditions.sort_by(|one, other| one.type_.cmp(&other.type_));
    let differs = ours != after;

    let (mut counts, mut success) = ((before.services, before.instances), before.last_success_time.clone());
    // After a restart nothing is known of the collection until the first one ends.
    if is_settled && known(ConditionType::Collecting).is_some() {
        let count = |counted: usize| i64::try_from(counted).ok();
        counts =
            input.counts.map_or((None, None), |(services, instances)| (count(services), count(instances)));
        success = input.last_success.map(Time).or(success.filter(|_| is_same_spec));
    }
    let counts_differ = counts != (before.services, before.instances);
    let success_differs = success != before.last_success_time;
    let write = differs || (counts_differ && input.due.counts) || (success_differs && input.due.success);
    // Whatever is written, all of it is.
    (after.services, after.instances) = counts;
    after.last_success_time = success;
    Decision { write: write.then_some(after), counts_wait: counts_differ && !write }
}

/// The finding that a condition shows; none where another version of this program wrote a reason unknown to this one.
fn finding_of(of: ConditionType, current: &Condition) -> Option<Finding> {
    let reason = known_reason(&current.reason)?;
    Some(Finding { condition: of, holds: current.status == "True", reason, message: current.message.clone() })
}

/// The generation that `Ready` is about: that of the part that fails, else the oldest of its parts.
fn generation_of(ready: &Finding, parts: &[Condition]) -> Option<i64> {
    let decides =
        |part: &&Condition| ready.holds || (part.status == "False" && part.reason == ready.reason.as_str());
    parts.iter().filter(decides).map(|part| part.observed_generation).min().flatten()
}

fn condition(
    finding: &Finding,
    current: Option<&Condition>,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let status = if finding.holds { "True" } else { "False" };
    let since = current
        .filter(|current| current.status == status)
        .map(|current| current.last_transition_time.clone());
    // The API keeps whole seconds; fractions would differ from what is read back.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    Condition {
        type_: finding.condition.as_str().into(),
        status: status.into(),
        reason: finding.reason.as_str().into(),
        message: shortened(&finding.message, MAX_MESSAGE_LENGTH).into_owned(),
        observed_generation: generation,
        last_transition_time: since.unwrap_or(Time(now)),
    }
}

/// Writes a status to this very object: one created anew under its name is refused by its UID. Returns the version that
/// the object has by it; versions are numbers that grow.
async fn write_status(
    client: &Client,
    object: &ObjectMeta,
    id: &AccountId,
    status: &CaasAccountStatus,
) -> Result<Option<u64>, ApiError> {
    let api: Api<WatchedAccount> = Api::namespaced(client.clone(), &id.namespace);
    let patch = json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": &*id.name, "uid": object.uid},
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let patch = Patch::Apply(patch);
    let written = call(api.patch_status(&id.name, &params, &patch)).await?;
    Ok(written.resource_version().and_then(|version| version.parse().ok()))
}

#[cfg(test)]
mod tests;
