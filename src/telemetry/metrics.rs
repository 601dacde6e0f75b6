//! The operator's own metrics, in a registry of their own (never the global one, so that tests stay apart).
//!
//! [`Metrics`] holds every family; [`AccountMeter`] is the handle that one account's work counts with.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, TextEncoder,
};

use super::registrar::{Described, Registered, Registrar};

/// The labels that name an account on every family about it.
const ACCOUNT: [&str; 2] = ["account_namespace", "account"];

/// All own metrics of this process.
pub struct Metrics {
    families: Registered,
    /// Requests answered or failed, by account, operation and status code (or the reason it has none).
    pub api_requests: IntCounterVec,
    /// How long a request took, by operation.
    pub api_request_duration: HistogramVec,
    /// Requests sent once more, by account and reason.
    pub api_retries: IntCounterVec,
    /// Times that a cloud said "slow down", by account.
    pub api_throttled: IntCounterVec,
    /// Requests under way.
    pub api_in_flight: IntGauge,
    /// Logins that the cloud refused, by account.
    pub login_failures: IntCounterVec,
    /// Answers and parts of answers that could not be used, by account and reason.
    pub collection_errors: IntCounterVec,
    /// Cycles that came while the one before still ran, by account.
    pub skipped_cycles: IntCounterVec,
    /// Series that are not exposed, by account and reason.
    pub dropped_series: IntCounterVec,
    /// Label values cut to the longest that is exposed, by account.
    pub cut_label_values: IntCounterVec,
    /// Reads of Secrets, by result.
    pub secret_reads: IntCounterVec,
    /// Bodies rendered, by format.
    pub renders: IntCounterVec,
    /// Bytes of rendered bodies, by format and encoding.
    pub body_bytes: IntCounterVec,
    /// Accounts by the state of their collection.
    accounts: IntGaugeVec,
    /// Reconciles by result: `ok`, or the reason of the failure.
    pub reconciles: IntCounterVec,
    /// How long a reconcile took.
    pub reconcile_duration: Histogram,
    /// Interruptions of watches, by what is watched.
    pub watch_errors: IntCounterVec,
}

/// Makes a family and registers it.
fn register<C: Collector + Clone + 'static>(registry: &Registrar, made: prometheus::Result<C>) -> C {
    // Names and labels are constants of this file, and the test below makes them all: this cannot fail.
    #[allow(clippy::expect_used)]
    let family = made.expect("a family of this file is well formed");
    #[allow(clippy::expect_used)]
    registry.register(Box::new(family.clone())).expect("each family of this file has a name of its own");
    family
}

/// A histogram of times in seconds, from what a loopback takes to the longest timeout that is usual.
fn durations(name: &str, help: &str) -> HistogramOpts {
    HistogramOpts::new(name, help)
        .buckets(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

fn accounts() -> prometheus::Result<IntGaugeVec> {
    let opts = Opts::new("caas_operator_accounts", "Accounts that this process looks after, by state.");
    IntGaugeVec::new(opts, &["state"])
}

fn in_flight() -> prometheus::Result<IntGauge> {
    IntGauge::new("caas_operator_api_requests_in_flight", "Requests to clouds that are under way.")
}

/// What is said of the program and its process, whatever it does.
fn register_process(registry: &Registrar) {
    let build = register(
        registry,
        IntGaugeVec::new(
            Opts::new("caas_operator_build_info", "Constant 1, labelled by the program's version."),
            &["version"],
        ),
    );
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    #[cfg(target_os = "linux")]
    {
        // Fails only if the families exist already, and this registry is new.
        let _ = registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()));
    }
}

/// The labels of an account and more.
fn account_and<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ACCOUNT.iter().chain(more).copied().collect()
}

/// Whether these labels are an account's.
fn is_of(pairs: &[prometheus::proto::LabelPair], namespace: &str, name: &str) -> bool {
    let has =
        |label: &str, value: &str| pairs.iter().any(|pair| pair.name() == label && pair.value() == value);
    has("account_namespace", namespace) && has("account", name)
}

impl Metrics {
    /// All families, at zero.
    pub fn new() -> Arc<Self> {
        let registry = Registrar::default();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let api_request_duration = register(
            &registry,
            HistogramVec::new(
                durations(
                    "caas_operator_api_request_duration_seconds",
                    "Time from sending a request to a cloud to the end of its answer.",
                ),
                &["operation"],
            ),
        );
        let reconcile_duration = register(
            &registry,
            Histogram::with_opts(durations(
                "caas_operator_reconcile_duration_seconds",
                "Time to reconcile a CaasAccount.",
            )),
        );
        register_process(&registry);
        Arc::new(Self {
            api_requests: counter(
                "caas_operator_api_requests_total",
                "Requests to clouds by account, operation and status code, or the reason there is no code.",
                &account_and(&["operation", "code"]),
            ),
            api_request_duration,
            api_retries: counter(
                "caas_operator_api_retries_total",
                "Requests to clouds that were sent once more, by account and reason.",
                &account_and(&["reason"]),
            ),
            api_throttled: counter(
                "caas_operator_api_throttled_total",
                "Answers in which a cloud asked to slow down (429), by account.",
                &ACCOUNT,
            ),
            api_in_flight: register(&registry, in_flight()),
            login_failures: counter(
                "caas_operator_login_failures_total",
                "Logins that a cloud refused, by account.",
                &ACCOUNT,
            ),
            collection_errors: counter(
                "caas_operator_collection_errors_total",
                "Failures inside and of collection cycles, by account and reason.",
                &account_and(&["reason"]),
            ),
            skipped_cycles: counter(
                "caas_operator_skipped_cycles_total",
                "Collection cycles left out because the one before was still running, by account.",
                &ACCOUNT,
            ),
            dropped_series: counter(
                "caas_operator_dropped_series_total",
                "Series left out of a rendered body, summed over the cycles, by account and reason (duplicate, max_series).",
                &account_and(&["reason"]),
            ),
            cut_label_values: counter(
                "caas_operator_cut_label_values_total",
                "Label values that a cloud made longer than is exposed, counted when first seen, by account.",
                &ACCOUNT,
            ),
            secret_reads: counter(
                "caas_operator_secret_reads_total",
                "Reads of Secrets by result (found, not_found, forbidden, error).",
                &["result"],
            ),
            renders: counter(
                "caas_operator_renders_total",
                "Bodies rendered, by format (text, openmetrics, legacy).",
                &["format"],
            ),
            body_bytes: counter(
                "caas_operator_body_bytes_total",
                "Bytes of rendered bodies, by format and encoding (identity, gzip).",
                &["format", "encoding"],
            ),
            accounts: register(&registry, accounts()),
            reconciles: counter(
                "caas_operator_reconciles_total",
                "Reconciles of CaasAccounts by result: ok, or why one failed.",
                &["result"],
            ),
            reconcile_duration,
            watch_errors: counter(
                "caas_operator_watch_errors_total",
                "Interruptions of watches on the API server, by resource.",
                &["resource"],
            ),
            families: registry.finish(),
        })
    }

    /// The handle for one account.
    pub fn account(self: &Arc<Self>, namespace: &str, name: &str) -> AccountMeter {
        AccountMeter { metrics: Arc::clone(self), namespace: namespace.into(), name: name.into() }
    }

    /// Says how many accounts are in each state; a state that is not named has none.
    pub fn set_accounts(&self, by_state: &BTreeMap<&'static str, i64>) {
        for series in self.accounts.collect().iter().flat_map(MetricFamily::get_metric) {
            for state in series.get_label().iter().map(prometheus::proto::LabelPair::value) {
                if !by_state.contains_key(state) {
                    self.accounts.with_label_values(&[state]).set(0);
                }
            }
        }
        for (state, count) in by_state {
            self.accounts.with_label_values(&[state]).set(*count);
        }
    }

    /// How many requests to clouds were made for one account.
    pub fn api_requests_of(&self, namespace: &str, name: &str) -> u64 {
        let families = self.api_requests.collect();
        let series = families.iter().flat_map(MetricFamily::get_metric);
        let of_account = series.filter(|series| is_of(series.get_label(), namespace, name));
        // Counts of requests stay far below 2^53.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        of_account.map(|series| series.get_counter().get_value() as u64).sum()
    }

    /// All families in Prometheus text format 0.0.4.
    pub fn render(&self) -> String {
        let mut body = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.families.registry.gather(), &mut body) {
            tracing::error!(%error, "own metrics cannot be rendered");
        }
        String::from_utf8_lossy(&body).into_owned()
    }

    /// What each family is, with or without series, in the order of their names.
    pub fn described(&self) -> &[Described] {
        &self.families.described
    }

    /// Removes all series of one account, so that a deleted account leaves none behind.
    pub fn forget_account(&self, namespace: &str, name: &str) {
        let gone = |pairs: &[prometheus::proto::LabelPair]| is_of(pairs, namespace, name);
        for family in [
            &self.api_requests,
            &self.api_retries,
            &self.api_throttled,
            &self.login_failures,
            &self.collection_errors,
            &self.skipped_cycles,
            &self.dropped_series,
            &self.cut_label_values,
        ] {
            for gathered in family.collect() {
                for series in gathered.get_metric().iter().filter(|series| gone(series.get_label())) {
                    let labels: HashMap<&str, &str> =
                        series.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
                    // Fails only where another call removed it just now, which is as good.
                    let _ = family.remove(&labels);
                }
            }
        }
    }
}

/// Counts what happens for one account.
#[derive(Clone)]
pub struct AccountMeter {
    metrics: Arc<Metrics>,
    namespace: Arc<str>,
    name: Arc<str>,
}

/// A request under way; counts until dropped.
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl AccountMeter {
    /// Counts a request as under way until the returned value is dropped.
    pub fn in_flight(&self) -> InFlight {
        self.metrics.api_in_flight.inc();
        InFlight(self.metrics.api_in_flight.clone())
    }

    /// Counts one request, sent and answered or failed; `code` is its status or the reason it has none.
    pub fn request(&self, operation: &'static str, code: &str, took: Duration) {
        self.metrics.api_requests.with_label_values(&[&*self.namespace, &*self.name, operation, code]).inc();
        self.metrics.api_request_duration.with_label_values(&[operation]).observe(took.as_secs_f64());
    }

    /// Counts a request sent once more.
    pub fn retry(&self, reason: &'static str) {
        self.metrics.api_retries.with_label_values(&[&*self.namespace, &*self.name, reason]).inc();
    }

    /// Counts an answer that asks us to slow down.
    pub fn throttled(&self) {
        self.metrics.api_throttled.with_label_values(&[&*self.namespace, &*self.name]).inc();
    }

    /// Counts a refused login.
    pub fn login_failure(&self) {
        self.metrics.login_failures.with_label_values(&[&*self.namespace, &*self.name]).inc();
    }

    /// Counts a failure of or inside a cycle.
    pub fn collection_error(&self, reason: &'static str) {
        self.metrics.collection_errors.with_label_values(&[&*self.namespace, &*self.name, reason]).inc();
    }

    /// Counts cycles left out.
    pub fn skipped_cycles(&self, count: u64) {
        self.metrics.skipped_cycles.with_label_values(&[&*self.namespace, &*self.name]).inc_by(count);
    }

    /// Counts series left out of a body.
    pub fn dropped_series(&self, reason: &'static str, count: u64) {
        if count > 0 {
            self.metrics
                .dropped_series
                .with_label_values(&[&*self.namespace, &*self.name, reason])
                .inc_by(count);
        }
    }

    /// Counts label values that were cut.
    pub fn cut_label_values(&self, count: u64) {
        if count > 0 {
            self.metrics.cut_label_values.with_label_values(&[&*self.namespace, &*self.name]).inc_by(count);
        }
    }

    /// Counts a rendered body and its bytes in each encoding.
    pub fn render(&self, format: &'static str, identity: usize, gzip: usize) {
        self.metrics.renders.with_label_values(&[format]).inc();
        self.metrics.body_bytes.with_label_values(&[format, "identity"]).inc_by(identity as u64);
        self.metrics.body_bytes.with_label_values(&[format, "gzip"]).inc_by(gzip as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_account_leaves_no_series_and_takes_none_of_its_neighbours() {
        let metrics = Metrics::new();
        let (gone, stays) = (metrics.account("team-a", "acme"), metrics.account("team-b", "acme"));
        for meter in [&gone, &stays] {
            meter.request("services", "200", Duration::from_millis(3));
            meter.retry("status");
            meter.dropped_series("duplicate", 2);
        }

        metrics.forget_account("team-a", "acme");

        let text = metrics.render();
        assert!(!text.contains("team-a"), "{text}");
        assert!(text.contains(r#"account_namespace="team-b",code="200",operation="services"} 1"#), "{text}");
    }
}
