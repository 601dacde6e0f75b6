//! The pipeline: dereference -> resolve -> collect -> apply -> status. Reads top to bottom.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use tokio::time::Instant;

use super::context::{Context, Error, Known, Scoped};
use super::dereference::{Dereferenced, Reading, dereference, standing};
use super::monitoring::Monitors;
use super::status::{COUNTS_EVERY, Decision, News};
use super::{apply, events, findings, status};
use crate::account::{AccountId, Problem, Uncollected, resolve};
use crate::api::{CaasAccount, CaasAccountStatus, ConditionType, Finding, Reason};
use crate::collector::Health;

/// The shortest time until somebody's mending of a ServiceMonitor is looked for, of which nothing tells.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// The shortest time until an account is looked at again that waits for nothing.
const REST: Duration = Duration::from_secs(60);

/// How many accounts are looked at in a second for no other reason than that time has passed.
const LOOKS_A_SECOND: u32 = 10;

/// The longest wait after a failure.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// What the watch delivers: an object, or one that cannot be read.
pub(super) type Guarded = DeserializeGuard<CaasAccount>;

/// Brings one account to what its object says.
pub(super) async fn reconcile(object: Arc<Guarded>, scoped: Arc<Scoped>) -> Result<Action, Error> {
    let context = &scoped.context;
    let account = match &object.0 {
        Ok(account) => account,
        Err(invalid) => {
            refuse(context, &invalid.metadata, &invalid.error);
            return Ok(Action::await_change());
        }
    };
    let id = resolve::id(account);
    let owned = account.metadata.uid.as_deref().is_some_and(|uid| (context.owns)(uid));
    if account.metadata.deletion_timestamp.is_some() || !owned {
        context.forget(&id);
        return Ok(Action::await_change());
    }
    if let Some(wait) = context.known().get(&id).and_then(not_yet) {
        return Ok(Action::requeue(wait));
    }
    let timer = context.metrics.reconcile_duration.start_timer();
    let written = context.known().get(&id).and_then(|known| known.written.clone());
    let outcome = bring(&scoped, &up_to_date(account, written), &id).await;
    timer.observe_duration();
    if !scoped.stands(account, &id) {
        // Deleted meanwhile: whatever was remembered or refused since is of no account.
        context.forget(&id);
        return Ok(Action::await_change());
    }
    let result = outcome.as_ref().map_or_else(Error::reason, |_| "ok");
    context.metrics.reconciles.with_label_values(&[result]).inc();
    if outcome.is_ok() {
        context.known().entry(id).or_default().failures = 0;
    }
    outcome
}

/// The account with the status that stands: while the watch has only delivered what was there before our own last
/// write, that one. Taking an older one for what stands would tell each event twice.
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

/// How long the API server does not want to be asked again on behalf of an account.
fn not_yet(known: &Known) -> Option<Duration> {
    known.not_before?.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero())
}

/// When to try again after an error: later each time, and not before the API server wants it.
pub(super) fn after_error(object: &Guarded, error: &Error, scoped: &Scoped) -> Action {
    let Ok(account) = &object.0 else { return Action::requeue(LONGEST_BACKOFF) };
    let id = resolve::id(account);
    let asked = error.retry_after().map(|wait| wait.min(LONGEST_BACKOFF));
    let failures = {
        let mut known = scoped.context.known();
        let known = known.entry(id.clone()).or_default();
        known.failures = known.failures.saturating_add(1);
        // Whatever else asks for a reconcile waits as long.
        known.not_before = asked.map(|wait| Instant::now() + wait);
        known.failures
    };
    let wait = backoff(failures, &id).max(asked.unwrap_or_default());
    tracing::warn!(account = %id, %error, ?wait, "the account could not be reconciled; it is tried again");
    Action::requeue(wait)
}

async fn bring(scoped: &Scoped, account: &CaasAccount, id: &AccountId) -> Result<Action, Error> {
    let context = &*scoped.context;
    let health = health(context, account, id);
    if health.credentials_rejected()
        && reason(account, ConditionType::CredentialsReady) != Some(Reason::LoginRejected)
    {
        // The cloud has just refused them: perhaps they were changed.
        context.known().entry(id.clone()).or_default().doubted = Some(Instant::now());
    }
    let failing = health.credentials_rejected() || fails_for_credentials(account);
    let secrets = if account.spec.suspend {
        context.forget_secrets(id);
        Dereferenced::default()
    } else {
        if scoped.stands(account, id) && context.registry.listed(id).is_none() {
            // Its turn may be far, or the API server ill: meanwhile nobody should take it for unknown.
            context.supervisor.mark_uncollected(Uncollected::unread(account));
        }
        dereference(context, account, id, failing).await?
    };
    if let (None, Some(turn)) = (&secrets.reading, secrets.turn) {
        // Nothing can be said of the account before. Who waits here keeps others from being reconciled.
        return Ok(Action::requeue(turn.saturating_duration_since(Instant::now())));
    }
    // Nothing is awaited between this look and the supervisor: what is deleted later takes its collector along.
    if !scoped.stands(account, id) {
        return Ok(Action::await_change());
    }
    let (problem, twin) = collect(context, account, id, secrets.reading.as_ref());
    let health = self::health(context, account, id);
    let mut known = findings::of_collection(problem.as_ref(), &health, |of| reason(account, of));

    // A finding about the ServiceMonitor must not keep the others from being written.
    let monitors = monitors(scoped).await;
    let applied = apply::apply(context, &monitors, account, id).await;
    if let Ok(Some(finding)) = &applied {
        known.push(finding.clone());
    }
    let counts_wait = tell(context, account, id, &known, twin).await?;
    applied?;

    let credentials = known.iter().find(|finding| finding.condition == ConditionType::CredentialsReady);
    let failing = credentials.map_or_else(|| fails_for_credentials(account), |finding| !finding.holds);
    // Someone has to act on a ServiceMonitor that cannot be, and nothing else tells that they did.
    let waits =
        known.iter().any(|finding| finding.condition == ConditionType::ServiceMonitorReady && !finding.holds);
    let read = secrets.turn.or_else(|| {
        let reading = secrets.reading.as_ref()?;
        Some(reading.at + context.turns.note(id, standing(account, failing)))
    });
    let accounts = context.known().len();
    let next =
        read.map_or_else(|| pause(REST, accounts), |read| read.saturating_duration_since(Instant::now()));
    let next = if waits { next.min(pause(LOOK_AGAIN, accounts)) } else { next };
    Ok(Action::requeue(if counts_wait { next.min(COUNTS_EVERY) } else { next }))
}

/// The time until an account is looked at again: longer than at best where there are many.
fn pause(at_best: Duration, accounts: usize) -> Duration {
    at_best.max(Duration::from_secs(1) * u32::try_from(accounts).unwrap_or(u32::MAX) / LOOKS_A_SECOND)
}

/// What is known of ServiceMonitors; after the start of the operator, discovery is given a moment to answer.
async fn monitors(scoped: &Scoped) -> Monitors {
    let mut monitors = scoped.monitors.clone();
    let answered = monitors.wait_for(|monitors| !matches!(monitors, Monitors::Unknown));
    let _ = tokio::time::timeout_at(scoped.discovery, answered).await;
    scoped.monitors.borrow().clone()
}

/// Hands the account to the supervisor, or tells it why it cannot be collected.
/// Returns the problem, and another account that asks the same cloud account where that is news.
fn collect(
    context: &Context,
    account: &CaasAccount,
    id: &AccountId,
    reading: Option<&Reading>,
) -> (Option<Problem>, Option<AccountId>) {
    let nothing = crate::account::SecretRead::NotFound;
    let credentials = reading.map_or(&nothing, |reading| &*reading.credentials);
    let ca_bundle = reading.and_then(|reading| reading.ca_bundle.as_deref());
    match resolve::resolve(account, credentials, ca_bundle, |url| context.policy.check_endpoint(url)) {
        Ok(resolved) => {
            let changed = context.supervisor.put(resolved);
            (None, changed.then(|| context.supervisor.duplicate_of(id)).flatten())
        }
        Err(problem) => {
            context.supervisor.mark_uncollected(Uncollected::new(account, problem.clone()));
            (Some(problem), None)
        }
    }
}

/// Writes the status where it differs, then tells of what changed. Returns whether counts wait for their time.
async fn tell(
    context: &Context,
    account: &CaasAccount,
    id: &AccountId,
    known: &[Finding],
    twin: Option<AccountId>,
) -> Result<bool, Error> {
    let entry = context.registry.get(id);
    let last = context.known().get(id).and_then(|known| known.counts_written);
    let news = News {
        findings: known,
        endpoint: entry.as_ref().map(|entry| entry.account.connection.provider.endpoint().to_string()),
        counts: entry.and_then(|entry| entry.snapshot).map(|snapshot| snapshot.counts()),
        counts_due: last.is_none_or(|last| last.elapsed() >= COUNTS_EVERY),
    };
    let Decision { write, counts_wait } = status::decide(account, id, &news, Timestamp::now());
    let mut told = Vec::new();
    if let Some(after) = write {
        let version = status::write(context, account, id, &after).await?;
        let mut memory = context.known();
        let of_this = memory.entry(id.clone()).or_default();
        let before = account.status.as_ref();
        if before.map(|before| (before.services, before.instances)) != Some((after.services, after.instances))
        {
            of_this.counts_written = Some(Instant::now());
        }
        of_this.written = version.map(|version| (version, after));
        drop(memory);
        told = events::transitions(before, known);
    }
    told.extend(twin.map(|twin| events::shared_with(&twin.to_string())));
    context.announcer.announce(account, told).await;
    Ok(counts_wait)
}

/// The condition of this type in the status.
fn stands(account: &CaasAccount, condition: ConditionType) -> Option<&Condition> {
    let conditions = account.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions.iter().find(|stands| stands.type_ == condition.as_str())
}

/// Its reason.
fn reason(account: &CaasAccount, condition: ConditionType) -> Option<Reason> {
    let word = &stands(account, condition)?.reason;
    Reason::ALL.iter().copied().find(|reason| reason.as_str() == word)
}

/// Whether the status says that the credentials are to blame.
fn fails_for_credentials(account: &CaasAccount) -> bool {
    stands(account, ConditionType::CredentialsReady).is_some_and(|stands| stands.status == "False")
}

/// The reported outcome of collecting this very object, as its spec and Secrets are now.
fn health(context: &Context, account: &CaasAccount, id: &AccountId) -> Health {
    let entry = context.registry.get(id);
    let entry = entry.filter(|entry| Some(&entry.account.uid) == account.metadata.uid.as_ref());
    entry.map_or(Health::Pending, |entry| entry.reported)
}

/// An object that the type cannot read costs itself only: it is not collected, and the log says why.
fn refuse(context: &Context, metadata: &kube::core::ObjectMeta, error: &str) {
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let name = metadata.name.as_deref().unwrap_or_default();
    tracing::error!(
        account = format!("{namespace}/{name}"),
        error,
        "the CaasAccount cannot be read and is not collected; install the CustomResourceDefinition of this version"
    );
    context.metrics.reconciles.with_label_values(&["unreadable"]).inc();
    context.forget(&AccountId::new(namespace, name));
}

/// 1 s, 2 s, 4 s, … with a quarter more or less, different for each account.
fn backoff(failures: u32, id: &AccountId) -> Duration {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (id, failures).hash(&mut hasher);
    let jitter =
        0.75 + 0.5 * f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    let doubled = Duration::from_secs(1) * 2_u32.saturating_pow(failures.saturating_sub(1).min(6));
    doubled.mul_f64(jitter).min(LONGEST_BACKOFF)
}

#[cfg(test)]
mod turn_tests;

#[cfg(test)]
mod tests {
    use super::*;

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
        // Two writes on end: the watch delivers the first while the second stands.
        for (delivered, stands) in [("9", true), ("11", true), ("12", false), ("13", false), ("odd", false)] {
            let account = account(delivered);
            let seen = up_to_date(&account, Some((12, ours.clone())));
            assert_eq!(seen.status.is_some(), stands, "version {delivered}");
        }
    }

    #[test]
    fn each_failure_waits_longer_up_to_a_minute_and_no_two_accounts_alike() {
        let acme = AccountId::new("team-a", "acme");
        let waits: Vec<Duration> = (1..=10).map(|failures| backoff(failures, &acme)).collect();
        assert!(
            waits[0] >= Duration::from_millis(750) && waits[0] <= Duration::from_millis(1250),
            "{waits:?}"
        );
        assert!(waits[..6].is_sorted(), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= LONGEST_BACKOFF));
        assert_ne!(backoff(3, &acme), backoff(3, &AccountId::new("team-b", "acme")));
    }
}
