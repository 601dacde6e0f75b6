//! The step that tells: conditions and counts, written only when they differ from what stands.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::FIELD_MANAGER;
use super::context::{Context, Error, within};
use crate::account::AccountId;
use crate::api::{API_VERSION, CaasAccount, CaasAccountStatus, ConditionType, Finding, KIND, Reason};

/// The shortest time between two writes of an account's counts.
pub(super) const COUNTS_EVERY: Duration = Duration::from_secs(60);

/// What the status should say, besides the counts.
pub(super) struct News<'a> {
    /// All conditions but `Ready`; one that is not known now keeps what stands.
    pub(super) findings: &'a [Finding],
    /// The endpoint that is asked, once it is known.
    pub(super) endpoint: Option<String>,
    /// Services and instances that are exposed, once there is a collection.
    pub(super) counts: Option<(usize, usize)>,
    /// Whether counts that differ may be written although nothing else does.
    pub(super) counts_due: bool,
}

/// What to write, and whether changed counts wait for their time.
#[derive(Debug, PartialEq)]
pub(super) struct Decision {
    /// The status to write, where it differs from what stands; without the conditions that are somebody else's.
    pub(super) write: Option<CaasAccountStatus>,
    /// Whether counts differ and are not written now.
    pub(super) counts_wait: bool,
}

/// Compares what stands with what should. Pure.
pub(super) fn decide(account: &CaasAccount, id: &AccountId, news: &News<'_>, now: Timestamp) -> Decision {
    let before = account.status.clone().unwrap_or_default();
    let generation = account.metadata.generation;
    let stands = |of: ConditionType| before.conditions.iter().find(|stands| stands.type_ == of.as_str());
    let known = |of: ConditionType| news.findings.iter().find(|finding| finding.condition == of);

    let (mut parts, mut conditions) = (Vec::new(), Vec::new());
    for part in ConditionType::PARTS {
        match (known(part), stands(part)) {
            (Some(finding), stands) => {
                parts.push(finding.clone());
                conditions.push(condition(finding, stands, generation, now));
            }
            (None, Some(stands)) => {
                parts.extend(told(part, stands));
                conditions.push(stands.clone());
            }
            (None, None) => {}
        }
    }
    match (Finding::ready(&parts), stands(ConditionType::Ready)) {
        (Some(ready), stands) => {
            let seen = seen(&ready, &conditions);
            conditions.push(condition(&ready, stands, seen, now));
        }
        (None, stands) => conditions.extend(stands.cloned()),
    }
    conditions.sort_by(|one, other| one.type_.cmp(&other.type_));

    let mut after = CaasAccountStatus {
        observed_generation: generation,
        provider: Some(account.spec.provider.name().to_owned()),
        endpoint: news.endpoint.clone().or_else(|| before.endpoint.clone()),
        services: before.services,
        instances: before.instances,
        metrics_path: Some(id.metrics_path()),
        conditions,
    };
    // Somebody else's conditions are not written, which leaves them to who wrote them, and so are no difference.
    let mut ours = before.clone();
    ours.conditions.retain(|stands| ConditionType::ALL.iter().any(|of| of.as_str() == stands.type_));
    ours.conditions.sort_by(|one, other| one.type_.cmp(&other.type_));
    let differs = ours != after;

    let count = |counted: usize| i64::try_from(counted).ok();
    let counts = news.counts.map_or((before.services, before.instances), |(services, instances)| {
        (count(services), count(instances))
    });
    let counts_differ = counts != (before.services, before.instances);
    // A write that happens anyway takes the counts along.
    if counts_differ && (differs || news.counts_due) {
        (after.services, after.instances) = counts;
    }
    let write = differs || (counts_differ && news.counts_due);
    Decision { write: write.then_some(after), counts_wait: counts_differ && !write }
}

/// What a standing condition says; nothing where another version of this program has written a reason unknown to this one.
fn told(of: ConditionType, stands: &Condition) -> Option<Finding> {
    let reason = Reason::ALL.iter().copied().find(|reason| reason.as_str() == stands.reason)?;
    Some(Finding { condition: of, holds: stands.status == "True", reason, message: stands.message.clone() })
}

/// The generation that `Ready` speaks of: that of the part that fails, else the oldest of those it rests on.
fn seen(ready: &Finding, parts: &[Condition]) -> Option<i64> {
    let decides =
        |part: &&Condition| ready.holds || (part.status == "False" && part.reason == ready.reason.as_str());
    parts.iter().filter(decides).map(|part| part.observed_generation).min().flatten()
}

fn condition(
    finding: &Finding,
    stands: Option<&Condition>,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let status = if finding.holds { "True" } else { "False" };
    let since =
        stands.filter(|stands| stands.status == status).map(|stands| stands.last_transition_time.clone());
    // The API keeps whole seconds; finer ones would differ from what is read back.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    Condition {
        type_: finding.condition.as_str().into(),
        status: status.into(),
        reason: finding.reason.as_str().into(),
        message: finding.message.clone(),
        observed_generation: generation,
        last_transition_time: since.unwrap_or(Time(now)),
    }
}

/// Writes a status to the very object that was looked at: one made again under its name is refused by its UID.
/// Returns the version that the object has by it; versions are numbers that grow.
pub(super) async fn write(
    context: &Context,
    account: &CaasAccount,
    id: &AccountId,
    status: &CaasAccountStatus,
) -> Result<Option<u64>, Error> {
    let api: Api<CaasAccount> = Api::namespaced(context.client.clone(), &id.namespace);
    let name = account.name_any();
    let patch = json!({
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "uid": account.uid()},
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let patch = Patch::Apply(patch);
    let written = within("writing the status", api.patch_status(&name, &params, &patch)).await?;
    Ok(written.resource_version().and_then(|version| version.parse().ok()))
}

#[cfg(test)]
mod tests;
