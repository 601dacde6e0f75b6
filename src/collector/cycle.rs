//! One account's cycles: query the cloud, merge, render, publish, report. Whatever they wait for, values that go stale
//! meanwhile leave the registry.
//!
//! Cycles follow one another, never two at once. Dropping the future ends them wherever they are, and nothing is
//! published afterwards.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::connect::{ClientHistory, Connect};
use super::health::Health;
use super::history::History;
use super::registry::{Registry, Snapshot};
use super::rendering::{RenderFailed, RenderPool};
use super::report::Report;
use super::schedule::{Overruns, Schedule};
use super::staleness::StalenessPolicy;
use super::state::{CollectorState, grace_period, options};
use super::transition::Transition;
use super::waiting::{beside, holding_for, sleep_until_some};
use crate::account::{Account, Exposition};
use crate::cloud::CloudError;
use crate::exposition::Rendered;
use crate::exposition::values::{AccountGauges, AccountValues};
use crate::limits::workers::aside;
use crate::limits::{Holder, OverBudget, ProcessLimits, Shares, WorkSize};
use crate::telemetry::{AccountMeter, Metrics};

/// How many first cycles are under way at once. Later ones are spread over the interval; the first ones would all
/// start together, which takes 60 % more memory for 1,000 accounts. At 200 ms a cycle 10,000 accounts take 42 s.
const FIRST_CYCLES: usize = 48;

/// So many services and instances are small work: they are merged on the thread that received them, within a millisecond,
/// and rendered before large ones.
const AT_ONCE: usize = 256;

/// How long a first cycle keeps others waiting: clouds that hang must not delay those that respond.
const FIRST_CYCLE_COUNTS_FOR: Duration = Duration::from_secs(2);

/// What all accounts' cycles share.
pub(super) struct Shared {
    pub(super) connect: Arc<dyn Connect>,
    pub(super) registry: Arc<Registry>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) transitions: mpsc::Sender<Transition>,
    pub(super) renders: RenderPool,
    pub(super) first_cycles: Arc<Shares>,
    pub(super) limits: ProcessLimits,
    /// Cancelled when all tasks are to end.
    pub(super) ending: CancellationToken,
}

impl Shared {
    pub(super) fn new(
        limits: ProcessLimits,
        connect: Arc<dyn Connect>,
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
        transitions: mpsc::Sender<Transition>,
    ) -> Self {
        let (renders, first_cycles) =
            (RenderPool::new(limits.workers.clone()), Shares::in_turn(FIRST_CYCLES));
        let ending = CancellationToken::new();
        Self { connect, registry, metrics, transitions, renders, first_cycles, limits, ending }
    }
}

/// The cycles of one account as it is now.
pub(super) struct Cycles<'a> {
    pub(super) shared: &'a Shared,
    pub(super) account: &'a Account,
    /// The account as it is wanted, which differs from `account` at most in what does not concern its collection.
    pub(super) desired: watch::Receiver<Arc<Account>>,
    /// What its clients know.
    pub(super) history: &'a ClientHistory,
    pub(super) meter: AccountMeter,
    /// What the account's memory is charged to.
    pub(super) memory: Holder,
}

impl Cycles<'_> {
    /// Collects at once, and then on the account's own schedule.
    pub(super) async fn run(&self, state: &mut CollectorState) -> Infallible {
        let wanted = self.account.schedule.interval;
        let mut interval = state.pace.interval(wanted);
        let mut schedule = Schedule::new(&self.account.uid, interval, Instant::now());
        let mut permit = None;
        if let Some(since_start) = state.inherited.as_ref().map(|inherited| inherited.since_start) {
            let now = Instant::now();
            let last = now.checked_sub(since_start).unwrap_or(now);
            schedule = Schedule::going_on(last, interval);
            if !self.keep(state, 0) {
                state.health = self.cut(state);
                state.gauges.up = false;
            }
            Box::pin(self.publish(state)).await;
            // At once where the time has passed while nobody collected it.
            self.meanwhile(state, sleep_until(last + interval)).await;
        } else if !state.was_collected() {
            let share = self.shared.first_cycles.of(&self.account.id.namespace);
            permit = Some(self.meanwhile(state, share.acquire(1)).await);
        }
        let mut overruns = Overruns::default();
        loop {
            let started = Instant::now();
            // In a box: an account is idle for most of the time, and its task would be larger by the whole cycle.
            let cycle = Box::pin(self.cycle(state));
            let ended = match permit.take() {
                Some(permit) => holding_for(FIRST_CYCLE_COUNTS_FOR, permit, cycle).await,
                None => cycle.await,
            };
            if state.pace.interval(wanted) != interval {
                interval = state.pace.interval(wanted);
                schedule = Schedule::new(&self.account.uid, interval, started);
            }
            let (due, skipped) = schedule.next(started, Instant::now());
            if skipped > 0 {
                self.meter.skipped_cycles(skipped);
                overruns.warn(&self.account.id, skipped);
            }
            state.grace_period = Some(grace_period(self.account, ended, due));
            self.meanwhile(state, sleep_until(due)).await;
        }
    }

    /// Runs one cycle; returns when the cloud's response was complete.
    pub(super) async fn cycle(&self, state: &mut CollectorState) -> Instant {
        let started = Instant::now();
        let requests_before = self.meter.api_requests();
        // A bug that panics on one account's data must not end its collection silently.
        let outcome = AssertUnwindSafe(self.collect(state)).catch_unwind().await;
        let ended = Instant::now();
        state.health = outcome.unwrap_or_else(|_| {
            tracing::error!(account = %self.account.id, "a collection panicked; the next one starts as scheduled");
            self.meter.collection_error("panic");
            Health::Panicked
        });

        let wanted = self.account.schedule.interval;
        let requests = self.meter.api_requests() - requests_before;
        state.pace.cycle_ended(requests, state.health.is_up(), wanted);
        state.gauges.interval = state.pace.interval(wanted).as_secs_f64();
        state.gauges.request_budget = state.pace.ratio();
        let now = SystemTime::now();
        state.collected_at = now;
        state.gauges.up = state.health.is_up();
        state.gauges.last_collection = seconds(now);
        state.gauges.last_duration = ended.duration_since(started).as_secs_f64();
        if state.gauges.up {
            state.gauges.last_success = Some(seconds(now));
        }
        if let Some((health, counts)) = self.publish(state).await {
            let report = state.last_reported.cycle_ended(&health, counts, Instant::now());
            self.report(state, &report, counts);
        }
        ended
    }

    /// Queries the cloud, merges what it returned, and drops what is stale. Nothing is asked while what came of it would
    /// not fit into the memory.
    async fn collect(&self, state: &mut CollectorState) -> Health {
        if let Err(over) = self.memory.admit() {
            return Health::TooLarge(over);
        }
        let result = match state.cloud.clone() {
            Ok(cloud) => {
                let collecting = cloud.collect(&self.account.selection);
                let collecting = async {
                    tokio::select! {
                        result = collecting => Some(result),
                        // Dropped, what the cycle has listed so far is gone as well.
                        () = self.memory.cut() => None,
                    }
                };
                match self.meanwhile(state, collecting).await {
                    Some(result) => result,
                    None => return self.cut(state),
                }
            }
            Err(error) => Err(error),
        };
        let health = match result {
            Ok(collection) => {
                self.count_errors(collection.errors());
                let (failures, first) = collection.failures();
                let health = Health::of_collection(failures, first);
                let mut merge = || state.values.merge(&collection, Instant::now());
                if collection.len() > AT_ONCE {
                    self.shared.limits.workers.of(&self.account.id.namespace).run(merge).await;
                } else {
                    merge();
                }
                drop(collection);
                if !self.keep(state, 0) {
                    return self.cut(state);
                }
                health
            }
            Err(error) => {
                self.count_errors(std::iter::once(&error));
                Health::Failed(error)
            }
        };
        state.values.expire(StalenessPolicy::new(state.stale_after(self.account)), Instant::now());
        let altered = state.values.take_altered_labels();
        self.meter.cut_label_values(altered.cut);
        self.meter.replaced_label_values(altered.replaced);
        health
    }

    /// Charges what is kept between cycles, with bodies of so many bytes. `false` where it does not fit.
    fn keep(&self, state: &mut CollectorState, bodies: usize) -> bool {
        let by_cloud = state.cloud.as_ref().map_or(0, |cloud| cloud.kept_bytes());
        let bytes = state.values.bytes() + bodies + by_cloud;
        let fits = state.kept.get_or_insert_with(|| self.memory.charge()).resize(bytes).is_ok();
        let memory = &self.shared.limits.memory;
        self.shared.metrics.set_memory(memory.held(), memory.bytes());
        fits
    }

    /// Drops what does not fit into the memory.
    fn cut(&self, state: &mut CollectorState) -> Health {
        state.drop_values(self.account);
        let budget = self.shared.limits.memory.bytes();
        Health::TooLarge(self.memory.is_cut().unwrap_or(OverBudget { needed: budget, budget }))
    }

    /// Waits for something. What is due meanwhile is done: stale values are dropped, and all where others need the memory, a
    /// changed exposition is rendered, an outcome that has lasted is reported.
    async fn meanwhile<T>(&self, state: &mut CollectorState, awaited: impl Future<Output = T>) -> T {
        let mut awaited = pin!(awaited);
        loop {
            let expiry = state.values.next_expiry(state.staleness(self.account));
            let wake = expiry.into_iter().chain(state.last_reported.due()).min();
            let has_changed = tokio::select! {
                // What comes at the last moment comes in time.
                biased;
                result = &mut awaited => return result,
                () = self.memory.cut(), if state.kept.is_some() => {
                    state.health = self.cut(state);
                    state.gauges.up = false;
                    true
                }
                exposition = self.exposition_changed(state.exposition) => {
                    // Without anything to render, the first cycle renders it this way.
                    if state.was_collected() { state.last_reported.restart() } else { state.exposition = exposition }
                    state.was_collected()
                }
                () = sleep_until_some(wake) => {
                    let now = Instant::now();
                    let has_expired = expiry.is_some_and(|expiry| expiry <= now);
                    if has_expired {
                        state.expire(self.account, now);
                    }
                    has_expired
                }
            };
            if has_changed && let Some(result) = beside(awaited.as_mut(), Box::pin(self.publish(state))).await
            {
                return result;
            }
            if let Some((health, counts)) = self.published() {
                let report = state.last_reported.time_passed(&health, counts, Instant::now());
                self.report(state, &report, counts);
            }
        }
    }

    /// The exposition that is wanted, once it differs from this one.
    async fn exposition_changed(&self, rendered: Exposition) -> Exposition {
        let changed = |desired: &Arc<Account>| desired.exposition != rendered;
        let mut desired = self.desired.clone();
        if let Ok(desired) = desired.wait_for(changed).await {
            return desired.exposition;
        }
        // The account is gone, and with it soon this future.
        std::future::pending().await
    }

    /// Renders what is known now and puts it into the registry; returns what is published then.
    async fn publish(&self, state: &mut CollectorState) -> Option<(Health, (usize, usize))> {
        let size = if state.values.len() <= AT_ONCE { WorkSize::Small } else { WorkSize::Large };
        let permit = self.shared.renders.permit(&self.account.id.namespace, size).await;
        let exposition = self.desired.borrow().exposition;
        let inherited = state.inherited.take().map(|inherited| inherited.snapshot);
        let published = self.shared.registry.get(&self.account.id).and_then(|entry| entry.snapshot);
        let before = published.or(inherited);
        let values = || {
            catch_unwind(AssertUnwindSafe(|| {
                let values = state.account_values(self.account);
                let is_kept = !self.shared.limits.without_history;
                let history = is_kept.then(|| Snapshot::next_history(before.as_deref(), &values.services));
                (values, history.unwrap_or_default())
            }))
        };
        let values = if size == WorkSize::Small { values() } else { aside(values) };
        let (mut rendered, mut history) = match values {
            Ok((values, history)) => (permit.render(values, options(&exposition)).await, history),
            Err(_) => (Err(RenderFailed), History::default()),
        };
        if let Ok((_, made)) = &rendered
            && state.kept.is_some()
            && !self.keep(
                state,
                history.bytes() + made.bodies.each().map(|(_, body)| body.gzip.len()).sum::<usize>(),
            )
        {
            drop(rendered);
            history = History::default();
            state.health = self.cut(state);
            state.gauges.up = false;
            let own = state.account_values(self.account);
            rendered = self
                .shared
                .renders
                .permit(&self.account.id.namespace, WorkSize::Small)
                .await
                .render(own, options(&exposition))
                .await;
        }
        // Not before: a change of the account may cancel the rendering, and what is not rendered is still wanted.
        state.exposition = exposition;
        if rendered.is_ok() {
            state.rendered_at = Some(Instant::now());
        } else {
            tracing::error!(account = %self.account.id, "the metrics could not be rendered");
            self.meter.collection_error("panic");
            rendered = self.render_without_new_values(state).await;
            // That of the values that are rendered again, if they are.
            history = match (&rendered, &before) {
                (Ok((values, _)), Some(before)) if !values.services.is_empty() => before.history.clone(),
                _ => History::default(),
            };
        }
        // Without a single body that can be rendered, what is published stays.
        if let Ok((values, rendered)) = rendered {
            self.count_rendered(&rendered);
            let health = state
                .health
                .clone()
                .rendered(rendered.over_limit, state.exposition.max_series, rendered.first_duplicate)
                .paced(state.pace.stretched(self.account.schedule.interval));
            let snapshot = Snapshot {
                bodies: rendered.bodies,
                values,
                history,
                series: rendered.series,
                health,
                collected_at: state.collected_at,
                demanded: self.history.demanded(&self.desired.borrow()),
            };
            self.shared.registry.publish(self.account, Arc::new(snapshot));
        }
        self.published()
    }

    /// Marks the cycle as failed; renders the values published before, if they are not stale, else the account's own
    /// gauges alone.
    async fn render_without_new_values(
        &self,
        state: &mut CollectorState,
    ) -> Result<(AccountValues, Rendered), RenderFailed> {
        let before = self.shared.registry.get(&self.account.id).and_then(|entry| entry.snapshot);
        let last_success = before.as_ref().and_then(|before| before.values.gauges.last_success);
        state.health = Health::Panicked;
        state.gauges = AccountGauges { up: false, last_success, ..state.gauges };
        let own = AccountValues { services: Vec::new(), ..state.account_values(self.account) };
        let stale_after = state.stale_after(self.account);
        let fresh = |at: Instant| at.elapsed() < stale_after;
        if let Some(before) = before.filter(|_| state.rendered_at.is_some_and(fresh)) {
            let values = AccountValues { services: before.values.services.clone(), ..own.clone() };
            let rendered = self
                .shared
                .renders
                .permit(&self.account.id.namespace, WorkSize::Large)
                .await
                .render(values, options(&state.exposition))
                .await;
            if rendered.is_ok() {
                return rendered;
            }
        }
        self.shared
            .renders
            .permit(&self.account.id.namespace, WorkSize::Small)
            .await
            .render(own, options(&state.exposition))
            .await
    }

    /// Health and counts of what this task has published, if the account is still collected this way.
    fn published(&self) -> Option<(Health, (usize, usize))> {
        let entry = self.shared.registry.get(&self.account.id)?;
        let snapshot = entry.snapshot.filter(|_| entry.account.is_collected_like(self.account))?;
        Some((snapshot.health.clone(), snapshot.counts()))
    }

    /// Reports a transition. One that the full channel did not take is sent again after the next cycle.
    fn report(&self, state: &mut CollectorState, report: &Report, counts: (usize, usize)) {
        if *report == Report::Health {
            let health = state.last_reported.health();
            self.shared.registry.report(self.account, health.clone());
            self.log(health, counts);
        }
        if *report == Report::Nothing && !state.unsent {
            return;
        }
        let transition = Transition { id: self.account.id.clone(), uid: self.account.uid.clone() };
        // Without a receiver, as in standalone, there is nothing to send again.
        let sent = self.shared.transitions.try_send(transition);
        state.unsent = matches!(sent, Err(mpsc::error::TrySendError::Full(_)));
    }

    fn log(&self, health: &Health, (services, instances): (usize, usize)) {
        let account = &self.account.id;
        if *health == Health::Collected {
            tracing::info!(%account, services, instances, "collected");
        } else {
            tracing::warn!(%account, reason = %health.reason(), "{}", health.message());
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

/// Seconds since the epoch, as Prometheus takes them.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}
