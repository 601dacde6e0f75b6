//! What an account's collection keeps from one cycle to the next, and across changes of the account.
//!
//! The client of the cloud lives as long as the connection stays equal and the account is collected, so no other change
//! costs a login. What the cloud asked of the client lasts longer ([`ClientHistory`]). Values live as long as they are of the same account at the same cloud.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::connect::{ClientHistory, Connect};
use super::health::Health;
use super::inherited::Inherited;
use super::pace::Pace;
use super::report::LastReported;
use super::staleness::{RetainedValues, StalenessPolicy};
use crate::account::{Account, Exposition, Schedule};
use crate::cloud::{Cloud, CloudError};
use crate::exposition::Options;
use crate::exposition::values::{AccountGauges, AccountValues};
use crate::limits::Charge;

/// The state of one account's collection.
pub(super) struct CollectorState {
    /// The client, or why there is none.
    pub(super) cloud: Result<Arc<dyn Cloud>, CloudError>,
    /// How often the cloud's limits let it be collected.
    pub(super) pace: Pace,
    pub(super) values: RetainedValues,
    pub(super) gauges: AccountGauges,
    /// The outcome of the newest cycle, before the limit on series is considered.
    pub(super) health: Health,
    /// When the newest cycle ended.
    pub(super) collected_at: SystemTime,
    /// When the newest cycle confirmed values, and until when they wait for the next cycle to confirm them again.
    pub(super) grace_period: Option<(Instant, Instant)>,
    /// How the newest snapshot was rendered.
    pub(super) exposition: Exposition,
    /// When the newest values were rendered last: a render that fails leaves the bodies before it.
    pub(super) rendered_at: Option<Instant>,
    /// The memory that the values and the newest snapshot take; `None` without any.
    pub(super) kept: Option<Charge>,
    pub(super) last_reported: LastReported,
    /// The receiver of transitions could not take the last one.
    pub(super) unsent: bool,
    /// What another replica has left, until the values are published.
    pub(super) inherited: Option<Inherited>,
}

impl CollectorState {
    /// The state of an account that was never collected.
    pub(super) fn new(account: &Account, connect: &dyn Connect, history: &ClientHistory) -> Self {
        Self::with(account, connect.connect(account, history), Pace::new(connect.rate(account)))
    }

    fn with(account: &Account, cloud: Result<Arc<dyn Cloud>, CloudError>, pace: Pace) -> Self {
        Self {
            cloud,
            pace,
            values: RetainedValues::new(&account.id),
            gauges: AccountGauges::default(),
            health: Health::Pending,
            collected_at: UNIX_EPOCH,
            grace_period: None,
            exposition: account.exposition,
            rendered_at: None,
            kept: None,
            last_reported: LastReported::default(),
            unsent: false,
            inherited: None,
        }
    }

    /// The state of an account that another replica has collected so far.
    pub(super) fn inheriting(
        account: &Account,
        connect: &dyn Connect,
        history: &ClientHistory,
        from: Inherited,
    ) -> Self {
        history.go_on_from(account, from.snapshot.demanded.of(&account.origin));
        let services = from.snapshot.values.services.clone();
        let confirmed = from.since_success.and_then(|since| Instant::now().checked_sub(since));
        Self {
            values: confirmed.map_or_else(
                || RetainedValues::new(&account.id),
                |at| RetainedValues::confirmed(&account.id, services, at),
            ),
            gauges: from.snapshot.values.gauges,
            health: if from.was_collected { Health::Collected } else { Health::Pending },
            collected_at: from.snapshot.collected_at,
            inherited: Some(from),
            ..Self::new(account, connect, history)
        }
    }

    /// The state for `after`, an account that was `before`. Its next outcome is new, even if it is the same as the last.
    pub(super) fn after_change(
        self,
        before: &Account,
        after: &Account,
        connect: &dyn Connect,
        history: &ClientHistory,
    ) -> Self {
        let same_client = after.uid == before.uid && after.connection == before.connection;
        let (cloud, pace) = if same_client {
            (self.cloud, self.pace)
        } else {
            (connect.connect(after, history), Pace::new(connect.rate(after)))
        };
        if !after.inherits_state(before) {
            return Self::with(after, cloud, pace);
        }
        let mut state = Self { cloud, pace, health: Health::Pending, ..self };
        state.last_reported.restart();
        let now = Instant::now();
        state.grace_period = state.grace_period.map(|(confirmed, _)| grace_period(after, confirmed, now));
        state
    }

    /// Whether a cycle of this account has ended.
    pub(super) fn was_collected(&self) -> bool {
        self.collected_at != UNIX_EPOCH
    }

    /// How long values stay.
    pub(super) fn staleness(&self, account: &Account) -> StalenessPolicy {
        StalenessPolicy::new(self.stale_after(account)).with_grace_period(self.grace_period)
    }

    /// As the account says; where the cloud's limits make the interval longer, at least three of those intervals: neither a
    /// failed cycle ends the series, nor one that asks for more than others and takes longer than its interval.
    pub(super) fn stale_after(&self, account: &Account) -> Duration {
        let Schedule { interval, stale_after } = account.schedule;
        self.pace.stretched(interval).map_or(stale_after, |stretched| stale_after.max(3 * stretched))
    }

    /// Drops what is stale. Where nothing is left while the next cycle is under way, the last outcome no longer holds.
    pub(super) fn expire(&mut self, account: &Account, now: Instant) {
        self.values.expire(self.staleness(account), now);
        if self.values.are_gone() {
            self.gauges.up = false;
            if self.health.is_up() {
                self.health = Health::Overdue;
            }
        }
    }

    /// Drops all values, what the cloud keeps besides, and what they were charged.
    pub(super) fn drop_values(&mut self, account: &Account) {
        self.values = RetainedValues::new(&account.id);
        if let Ok(cloud) = &self.cloud {
            cloud.forget();
        }
        self.kept = None;
    }

    /// The newest values, ready to be rendered.
    pub(super) fn account_values(&self, account: &Account) -> AccountValues {
        AccountValues {
            labels: self.values.labels().clone(),
            gauges: self.gauges,
            provider: account.connection.provider.name(),
            status_words: account.connection.provider.provider().status_words(),
            services: self.values.entries(),
        }
    }
}

/// What a cycle confirmed when it ended must not be gone before the next one, due at `due`, has had its time, however
/// short `stale_after` is.
pub(super) fn grace_period(account: &Account, ended: Instant, due: Instant) -> (Instant, Instant) {
    let Account { connection, schedule, .. } = account;
    (ended, due.max(ended + schedule.interval) + connection.limits.request_timeout)
}

/// How an account's values are rendered.
pub(super) fn options(exposition: &Exposition) -> Options {
    Options {
        modern: exposition.names.modern(),
        legacy: exposition.names.legacy(),
        source_timestamps: exposition.source_timestamps,
        max_series: exposition.max_series,
    }
}
