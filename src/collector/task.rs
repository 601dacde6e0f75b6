//! One account's loop: wake, ask the cloud, merge, render, publish. Whatever it waits for, values that go stale
//! meanwhile leave the registry.
//!
//! Cycles follow one another, never two at once. Cancelling ends the loop wherever it is, and nothing is
//! published afterwards.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connect::Connect;
use super::health::Health;
use super::registry::{Registry, Snapshot};
use super::schedule::Schedule;
use super::staleness::{RetainedValues, StalenessPolicy};
use super::supervisor::Transition;
use crate::account::Account;
use crate::cloud::{Cloud, CloudError};
use crate::exposition::values::{AccountGauges, AccountValues};
use crate::exposition::{Options, Rendered, Renderer};
use crate::telemetry::{AccountMeter, Metrics};

/// What an account's loop works with.
pub(super) struct Task {
    pub(super) account: Arc<Account>,
    pub(super) connect: Arc<dyn Connect>,
    pub(super) registry: Arc<Registry>,
    pub(super) meter: AccountMeter,
    pub(super) transitions: mpsc::Sender<Transition>,
    pub(super) cancel: CancellationToken,
}

/// What one cycle leaves to the next, and a task to the one that replaces it after a change of the account.
pub(super) struct Memory {
    values: RetainedValues,
    gauges: AccountGauges,
    health: Health,
    /// When the newest cycle ended.
    collected_at: SystemTime,
    /// The same moment, and until when what that cycle confirmed waits for the next one.
    spared: Option<(Instant, Instant)>,
    renderer: Renderer,
    told: Told,
}

/// What the receiver of transitions knows.
#[derive(Clone)]
struct Told {
    health: Health,
    services: usize,
    instances: usize,
}

impl Memory {
    /// Of an account that was never collected.
    pub(super) fn new(account: &Account) -> Self {
        Self {
            values: RetainedValues::new(&account.id),
            gauges: AccountGauges::default(),
            health: Health::Pending,
            collected_at: UNIX_EPOCH,
            spared: None,
            renderer: Renderer::default(),
            told: Told { health: Health::Pending, services: 0, instances: 0 },
        }
    }

    /// Nothing is left of the last cycle, and the one after it has not ended: what that one came to holds no longer.
    fn overdue(&mut self) {
        self.gauges.up = false;
        if self.health.is_up() {
            self.health = Health::Overdue;
        }
    }
}

impl Task {
    /// Runs until cancelled; returns what the next task of this account should know.
    pub(super) async fn run(self, mut memory: Memory) -> Memory {
        // The outcome of the first cycle is news, also where it is the one that the task before this one had; until
        // then nothing is known of this account.
        memory.health = Health::Pending;
        memory.told.health = Health::Pending;
        memory.spared = memory.spared.map(|(confirmed, _)| self.spared(confirmed, Instant::now()));
        let cancel = self.cancel.clone();
        cancel.run_until_cancelled(self.cycles(&mut memory)).await;
        memory
    }

    async fn cycles(&self, memory: &mut Memory) {
        let cloud = self.connect.connect(&self.account);
        let schedule = Schedule::new(&self.account.uid, self.account.schedule.interval, Instant::now());
        loop {
            let started = Instant::now();
            // A bug that panics on one account's data must not end its collection silently.
            let ended = AssertUnwindSafe(self.cycle(cloud.as_deref(), memory)).catch_unwind().await;
            if ended.is_err() {
                tracing::error!(account = %self.account.id, "a collection cycle panicked; the next one follows");
                self.meter.collection_error("panic");
            }
            let (due, skipped) = schedule.next(started, Instant::now());
            if skipped > 0 {
                tracing::warn!(
                    account = %self.account.id, skipped,
                    "the collection took longer than its interval; raise spec.collection.interval"
                );
                self.meter.skipped_cycles(skipped);
            }
            memory.spared = ended.ok().map(|ended| self.spared(ended, due));
            self.meanwhile(memory, tokio::time::sleep_until(due)).await;
        }
    }

    /// Runs one cycle; returns when it had its answer.
    async fn cycle(&self, cloud: Result<&dyn Cloud, &CloudError>, memory: &mut Memory) -> Instant {
        let started = Instant::now();
        let result = match cloud {
            Ok(cloud) => self.meanwhile(memory, cloud.collect(&self.account.selection)).await,
            Err(error) => Err(error.clone()),
        };
        let ended = Instant::now();

        let collected = result.map(|collection| {
            memory.values.merge(&collection, ended);
            self.count_errors(collection.errors());
            let (failures, first) = collection.failures();
            (failures, first.cloned())
        });
        if let Err(error) = &collected {
            self.count_errors(std::iter::once(error));
        }
        memory.values.expire(StalenessPolicy::new(self.account.schedule.stale_after), ended);
        self.meter.cut_label_values(memory.values.take_cut_labels());

        let judge = |dropped| match &collected {
            Ok((failures, first)) => {
                Health::of_collection(*failures, first.as_ref(), dropped, self.account.exposition.max_series)
            }
            Err(error) => Health::Failed(error.clone()),
        };
        let now = SystemTime::now();
        memory.collected_at = now;
        memory.gauges.up = judge(0).is_up();
        memory.gauges.last_collection = seconds(now);
        memory.gauges.last_duration = ended.duration_since(started).as_secs_f64();
        if memory.gauges.up {
            memory.gauges.last_success = Some(seconds(now));
        }
        self.publish(memory, judge).await;
        self.tell(memory);
        ended
    }

    /// Waits for something; values that go stale while it keeps us waiting leave the registry meanwhile.
    async fn meanwhile<T>(&self, memory: &mut Memory, awaited: impl Future<Output = T>) -> T {
        let mut awaited = pin!(awaited);
        let policy = StalenessPolicy::new(self.account.schedule.stale_after).with_grace_period(memory.spared);
        while let Some(expiry) = memory.values.next_expiry(policy) {
            tokio::select! {
                // What comes at the last moment comes in time.
                biased;
                result = &mut awaited => return result,
                () = tokio::time::sleep_until(expiry) => {}
            }
            memory.values.expire(policy, Instant::now());
            if memory.values.are_gone() {
                memory.overdue();
            }
            let health = memory.health.clone();
            self.publish(memory, |_| health.clone()).await;
            self.tell(memory);
        }
        awaited.await
    }

    /// What a cycle confirmed when it ended must not be gone before the next one, due at `due`, has had its time,
    /// however short `stale_after` is.
    fn spared(&self, ended: Instant, due: Instant) -> (Instant, Instant) {
        let Account { connection, schedule, .. } = &*self.account;
        (ended, due.max(ended + schedule.interval) + connection.limits.request_timeout)
    }

    /// Renders what is known now and puts it into the registry.
    async fn publish(&self, memory: &mut Memory, judge: impl Fn(u64) -> Health) {
        let values = AccountValues {
            labels: memory.values.labels().clone(),
            gauges: memory.gauges,
            status_words: self.account.connection.provider.status_words(),
            services: memory.values.entries(),
        };
        let exposition = &self.account.exposition;
        let options = Options {
            modern: exposition.names.modern(),
            legacy: exposition.names.legacy(),
            source_timestamps: exposition.source_timestamps,
            max_series: exposition.max_series,
        };
        let mut tools = std::mem::take(&mut memory.renderer);
        let work = tokio::task::spawn_blocking(move || {
            let rendered = tools.render(&values, &options);
            (tools, values, rendered)
        });
        // The runtime ends a blocking task early only when it shuts down itself.
        let Ok((tools, values, rendered)) = work.await else {
            tracing::error!(account = %self.account.id, "the metrics could not be rendered");
            return;
        };
        memory.renderer = tools;
        self.count_rendered(&rendered);
        memory.health = judge(rendered.over_limit);
        let snapshot = Snapshot {
            bodies: rendered.bodies,
            values,
            series: rendered.series,
            health: memory.health.clone(),
            collected_at: memory.collected_at,
        };
        self.registry.publish(&self.account, Arc::new(snapshot));
    }

    /// Tells of a transition: another health, or other counts. A full channel is tried again after the next cycle.
    fn tell(&self, memory: &mut Memory) {
        let entry = self.registry.get(&self.account.id);
        let ours = entry.filter(|entry| Arc::ptr_eq(&entry.account, &self.account));
        let Some(snapshot) = ours.and_then(|entry| entry.snapshot) else { return };
        let (services, instances) = snapshot.counts();
        let news = Told { health: memory.health.clone(), services, instances };
        let health_changed = news.health.differs_from(&memory.told.health);
        if !health_changed && news.services == memory.told.services && news.instances == memory.told.instances
        {
            return;
        }
        if health_changed {
            self.log(&news);
        }
        let transition = Transition { id: self.account.id.clone(), uid: self.account.uid.clone() };
        // Where nobody listens, as without a cluster, there is nobody to tell again.
        if !matches!(self.transitions.try_send(transition), Err(mpsc::error::TrySendError::Full(_))) {
            memory.told = news;
        }
    }

    fn log(&self, news: &Told) {
        let (account, reason) = (&self.account.id, news.health.reason());
        if news.health == Health::Collected {
            tracing::info!(%account, services = news.services, instances = news.instances, "collected");
        } else {
            tracing::warn!(%account, reason, "{}", news.health.message());
        }
    }

    fn count_errors<'a>(&self, errors: impl Iterator<Item = &'a CloudError>) {
        for error in errors {
            self.meter.collection_error(error.reason());
        }
    }

    fn count_rendered(&self, rendered: &Rendered) {
        self.meter.dropped_series("duplicate", rendered.duplicates);
        self.meter.dropped_series("max_series", rendered.over_limit);
        for (format, body) in rendered.bodies.each() {
            self.meter.render(format, body.plain_bytes(), body.gzip.len());
        }
    }
}

/// Runs one cycle of an account and nothing more: what it would publish first.
pub async fn collect_once(
    connect: Arc<dyn Connect>,
    account: Arc<Account>,
    metrics: &Arc<Metrics>,
) -> Option<Arc<Snapshot>> {
    let registry = Arc::new(Registry::default());
    registry.put(Arc::clone(&account));
    let task = Task {
        meter: metrics.account(&account.id.namespace, &account.id.name),
        account: Arc::clone(&account),
        connect,
        registry: Arc::clone(&registry),
        transitions: mpsc::channel(1).0,
        cancel: CancellationToken::new(),
    };
    let cloud = task.connect.connect(&account);
    task.cycle(cloud.as_deref(), &mut Memory::new(&account)).await;
    registry.get(&account.id)?.snapshot
}

/// Seconds since the epoch, as Prometheus takes them.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}

#[cfg(test)]
mod tests;
