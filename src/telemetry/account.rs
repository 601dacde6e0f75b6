//! Own metrics about accounts: each account counts for itself, and a scrape reads the accounts that are alive.
//!
//! An account's series exist for as long as its [`AccountMeter`] is held somewhere, so removing an account costs nothing
//! that depends on how many others there are. Counting takes that account's own lock only.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use prometheus::proto::{Counter, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{HistogramVec, IntCounterVec, IntGauge};

use super::registrar::Described;

/// A family of counters about accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    ApiRequests,
    ApiRetries,
    ApiThrottled,
    LoginFailures,
    CollectionErrors,
    SkippedCycles,
    DroppedSeries,
    CutLabelValues,
    ReplacedLabelValues,
    UnknownUnits,
}

/// Name, help and the labels after the account's own, in the order in which [`Family`] lists them.
const FAMILIES: [(Family, &str, &str, &[&str]); 10] = [
    (
        Family::ApiRequests,
        "caas_operator_api_requests_total",
        "Requests to clouds by account, operation and status code, or the reason if there is no status code.",
        &["operation", "code"],
    ),
    (
        Family::ApiRetries,
        "caas_operator_api_retries_total",
        "Retried requests to clouds, by account and reason.",
        &["reason"],
    ),
    (
        Family::ApiThrottled,
        "caas_operator_api_throttled_total",
        "Responses in which a cloud limits requests, usually with status code 429, by account.",
        &[],
    ),
    (
        Family::LoginFailures,
        "caas_operator_login_failures_total",
        "Logins rejected by the cloud, by account.",
        &[],
    ),
    (
        Family::CollectionErrors,
        "caas_operator_collection_errors_total",
        "Failed collections and failures within a collection, by account and reason.",
        &["reason"],
    ),
    (
        Family::SkippedCycles,
        "caas_operator_skipped_cycles_total",
        "Collections skipped because the previous one was still running, by account.",
        &[],
    ),
    (
        Family::DroppedSeries,
        "caas_operator_dropped_series_total",
        "Series dropped from the account's metrics, summed over collections, by account and reason (duplicate, max_series).",
        &["reason"],
    ),
    (
        Family::CutLabelValues,
        "caas_operator_cut_label_values_total",
        "Label values truncated because they were too long, counted when first seen, by account.",
        &[],
    ),
    (
        Family::ReplacedLabelValues,
        "caas_operator_replaced_label_values_total",
        "Label values in which control or direction characters were replaced with U+FFFD, counted when first seen, by account.",
        &[],
    ),
    (
        Family::UnknownUnits,
        "caas_operator_unknown_units_total",
        "Values not exposed because their unit is unknown to the operator, by account.",
        &[],
    ),
];

/// An account with so many series counts further status codes as one. Its cloud chooses them, and what is counted is charged
/// to nobody.
const MOST_SERIES: usize = 64;

/// Namespace and name.
pub(super) type Key = (Arc<str>, Arc<str>);

/// How many families there are.
pub(super) const FAMILY_COUNT: usize = FAMILIES.len();

/// What meters count without naming their account.
pub(super) struct Totals {
    /// How long a request took, by operation.
    pub(super) api_request_duration: HistogramVec,
    /// Requests under way.
    pub(super) api_in_flight: IntGauge,
    /// Bodies rendered, by format.
    pub(super) renders: IntCounterVec,
    /// Bytes of rendered bodies, by format and encoding.
    pub(super) body_bytes: IntCounterVec,
}

/// The accounts whose series exist.
pub(super) struct LiveAccounts {
    pub(super) totals: Totals,
    by_key: Mutex<BTreeMap<Key, Weak<Counters>>>,
    /// How many accounts were read, which tests hold against what an operation may cost.
    #[cfg(test)]
    read: std::sync::atomic::AtomicUsize,
}

/// What is counted for one account.
struct Counters {
    key: Key,
    live: Arc<LiveAccounts>,
    /// An account has few series, so looking through all of them is as good as a map.
    series: Mutex<Vec<Series>>,
}

struct Series {
    family: Family,
    /// The values of the family's labels, without the account's; a family with fewer than two leaves the rest empty.
    labels: (&'static str, Box<str>),
    count: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LiveAccounts {
    /// No accounts yet.
    pub(super) fn new(totals: Totals) -> Arc<Self> {
        Arc::new(Self {
            totals,
            by_key: Mutex::default(),
            #[cfg(test)]
            read: std::sync::atomic::AtomicUsize::default(),
        })
    }

    /// The counters of this account: those that somebody holds, or new ones.
    fn counters(self: &Arc<Self>, namespace: &str, name: &str) -> Arc<Counters> {
        let key: Key = (namespace.into(), name.into());
        let mut by_key = lock(&self.by_key);
        if let Some(counters) = by_key.get(&key).and_then(Weak::upgrade) {
            return counters;
        }
        let counters =
            Arc::new(Counters { key: key.clone(), live: Arc::clone(self), series: Mutex::default() });
        by_key.insert(key, Arc::downgrade(&counters));
        counters
    }
}

impl LiveAccounts {
    /// A family's series of the first accounts after this one, and the last of these accounts; `None` where none is left.
    pub(super) fn page(
        &self,
        family: usize,
        after: Option<&Key>,
        accounts: usize,
    ) -> (MetricFamily, Option<Key>) {
        let (_, name, help, _) = FAMILIES[family];
        let mut page = MetricFamily::default();
        page.set_name(name.to_owned());
        page.set_help(help.to_owned());
        page.set_field_type(MetricType::COUNTER);
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        // Held until the end and outside the lock: dropping the last holder takes that lock.
        let (accounts, last): (Vec<Option<Arc<Counters>>>, Option<Key>) = {
            let by_key = lock(&self.by_key);
            let range = by_key.range((start, Bound::Unbounded)).take(accounts);
            let last = range.clone().last().map(|(key, _)| key.clone());
            (range.map(|(_, counters)| counters.upgrade()).collect(), last)
        };
        for account in accounts.iter().flatten() {
            #[cfg(test)]
            self.read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            for series in lock(&account.series).iter().filter(|series| series.family as usize == family) {
                page.mut_metric().push(account.metric(series));
            }
        }
        (page, last)
    }
}

/// The families about accounts, for the list of all families.
pub(super) fn described() -> impl Iterator<Item = Described> {
    FAMILIES.iter().map(|(_, name, help, labels)| Described {
        name: (*name).to_owned(),
        kind: "counter",
        help: (*help).to_owned(),
        labels: ["account_namespace", "account"]
            .iter()
            .chain(*labels)
            .map(|label| (*label).to_owned())
            .collect(),
    })
}

impl Drop for Counters {
    fn drop(&mut self) {
        let mut by_key = lock(&self.live.by_key);
        // Since the last meter was dropped, another call may have made new counters, which stay.
        if by_key.get(&self.key).is_some_and(|counters| counters.strong_count() == 0) {
            by_key.remove(&self.key);
        }
    }
}

impl Counters {
    fn add(&self, family: Family, first: &'static str, second: &str, count: u64) {
        let mut series = lock(&self.series);
        let place = |second: &str| {
            let is_it = |known: &Series| {
                known.family == family && known.labels.0 == first && *known.labels.1 == *second
            };
            series.iter().position(is_it)
        };
        let (mut known, mut second) = (place(second), second);
        if known.is_none() && !second.is_empty() && series.len() >= MOST_SERIES {
            (known, second) = (place(AccountMeter::OTHER_CODE), AccountMeter::OTHER_CODE);
        }
        match known.map(|place| &mut series[place]) {
            Some(known) => known.count += count,
            None => series.push(Series { family, labels: (first, second.into()), count }),
        }
    }

    fn metric(&self, series: &Series) -> Metric {
        let (_, _, _, labels) = FAMILIES[series.family as usize];
        let values = [series.labels.0, &series.labels.1];
        let account = [("account_namespace", &*self.key.0), ("account", &*self.key.1)];
        let mut pairs: Vec<LabelPair> = account
            .into_iter()
            .chain(labels.iter().copied().zip(values))
            .map(|(name, value)| {
                let mut pair = LabelPair::default();
                pair.set_name(name.to_owned());
                pair.set_value(value.to_owned());
                pair
            })
            .collect();
        pairs.sort_by(|one, other| one.name().cmp(other.name()));
        let mut counter = Counter::default();
        counter.set_value(series.count as f64);
        let mut metric = Metric::from_label(pairs);
        metric.set_counter(counter);
        metric
    }
}

/// Counts what happens for one account; the account's series are exposed until its last meter is dropped.
#[derive(Clone)]
pub struct AccountMeter(Arc<Counters>);

/// A request under way; counts until dropped.
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl AccountMeter {
    /// The `code` of a request whose status is not counted by itself.
    pub const OTHER_CODE: &str = "other";

    pub(super) fn new(live: &Arc<LiveAccounts>, namespace: &str, name: &str) -> Self {
        Self(live.counters(namespace, name))
    }

    fn totals(&self) -> &Totals {
        &self.0.live.totals
    }

    /// How many requests to clouds were made for this account.
    pub fn api_requests(&self) -> u64 {
        let series = lock(&self.0.series);
        series.iter().filter(|series| series.family == Family::ApiRequests).map(|series| series.count).sum()
    }

    /// Counts a request as under way until the returned value is dropped.
    pub fn in_flight(&self) -> InFlight {
        self.totals().api_in_flight.inc();
        InFlight(self.totals().api_in_flight.clone())
    }

    /// Counts one request, sent and answered or failed; `code` is its status or the reason it has none.
    pub fn request(&self, operation: &'static str, code: &str, took: Duration) {
        self.0.add(Family::ApiRequests, operation, code, 1);
        self.totals().api_request_duration.with_label_values(&[operation]).observe(took.as_secs_f64());
    }

    /// Counts a request sent once more.
    pub fn retry(&self, reason: &'static str) {
        self.0.add(Family::ApiRetries, reason, "", 1);
    }

    /// Counts a response that asks us to slow down.
    pub fn throttled(&self) {
        self.0.add(Family::ApiThrottled, "", "", 1);
    }

    /// Counts a refused login.
    pub fn login_failure(&self) {
        self.0.add(Family::LoginFailures, "", "", 1);
    }

    /// Counts a failure of or inside a cycle.
    pub fn collection_error(&self, reason: &'static str) {
        self.0.add(Family::CollectionErrors, reason, "", 1);
    }

    /// Counts cycles left out.
    pub fn skipped_cycles(&self, count: u64) {
        self.0.add(Family::SkippedCycles, "", "", count);
    }

    /// Counts series left out of a body.
    pub fn dropped_series(&self, reason: &'static str, count: u64) {
        if count > 0 {
            self.0.add(Family::DroppedSeries, reason, "", count);
        }
    }

    /// Counts label values that were cut.
    pub fn cut_label_values(&self, count: u64) {
        if count > 0 {
            self.0.add(Family::CutLabelValues, "", "", count);
        }
    }

    /// Counts label values with characters that were replaced.
    pub fn replaced_label_values(&self, count: u64) {
        if count > 0 {
            self.0.add(Family::ReplacedLabelValues, "", "", count);
        }
    }

    /// Counts values in units that are not known.
    pub fn unknown_units(&self, count: u64) {
        if count > 0 {
            self.0.add(Family::UnknownUnits, "", "", count);
        }
    }

    /// Counts a rendered body and its bytes in each encoding.
    pub fn render(&self, format: &'static str, identity: usize, gzip: usize) {
        self.totals().renders.with_label_values(&[format]).inc();
        self.totals().body_bytes.with_label_values(&[format, "identity"]).inc_by(identity as u64);
        self.totals().body_bytes.with_label_values(&[format, "gzip"]).inc_by(gzip as u64);
    }
}

#[cfg(test)]
mod tests;
