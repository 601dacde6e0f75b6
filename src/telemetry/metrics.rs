//! The operator's own metrics, in a registry of their own (never the global one, so that tests stay apart).
//!
//! [`Metrics`] holds the families about the process; those about accounts are in [`account`](super::account).

use std::collections::BTreeMap;
use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use super::account::{self, AccountMeter, LiveAccounts, Totals};
use super::otlp::OtlpCounts;
use super::pages::Pages;
use super::registrar::{Described, Registered, Registrar, counter, register};

/// All own metrics of this process.
pub struct Metrics {
    families: Registered,
    live_accounts: Arc<LiveAccounts>,
    /// Reads of Secrets, by result.
    pub secret_reads: IntCounterVec,
    /// Accounts by the state of their collection.
    accounts: IntGaugeVec,
    /// Reconciles by result: `ok`, or the reason of the failure.
    pub reconciles: IntCounterVec,
    /// How long a reconcile took.
    pub reconcile_duration: Histogram,
    /// Interruptions of watches, by what is watched.
    pub watch_errors: IntCounterVec,
    /// Accounts that this replica took over from another, by why: a replica `joined`, `left` or `died`.
    pub account_moves: IntCounterVec,
    /// Scrapes of accounts of other replicas, by result: `answered`, or why they were not.
    pub forwarded_scrapes: IntCounterVec,
    replicas: IntGauge,
    accounts_owned: IntGauge,
    accounts_known: IntGauge,
    /// Pushes by OTLP.
    otlp: OtlpCounts,
    memory_held: IntGauge,
    memory_budget: IntGauge,
}

/// A histogram of times in seconds, from what loopback takes to the longest usual timeout.
fn durations(name: &str, help: &str) -> HistogramOpts {
    HistogramOpts::new(name, help)
        .buckets(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

fn accounts() -> prometheus::Result<IntGaugeVec> {
    let opts = Opts::new("caas_operator_accounts", "Accounts of this process by state.");
    IntGaugeVec::new(opts, &["state"])
}

/// Registers what describes the program and its process.
fn register_process(registry: &Registrar) {
    let build = register(
        registry,
        IntGaugeVec::new(
            Opts::new("caas_operator_build_info", "Constant 1, labeled with the program's version."),
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

/// A count as the library takes it.
fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(0)
}

/// A gauge without labels.
fn gauge(registry: &Registrar, name: &str, help: &str) -> IntGauge {
    register(registry, IntGauge::new(name, help))
}

/// Registers what is counted for accounts; returns what their series are read from.
fn register_accounts(registry: &Registrar) -> Arc<LiveAccounts> {
    let duration = durations(
        "caas_operator_api_request_duration_seconds",
        "Time from sending a request to a cloud to the end of its response.",
    );
    let in_flight = IntGauge::new("caas_operator_api_requests_in_flight", "Requests to clouds in flight.");
    let live = LiveAccounts::new(Totals {
        api_request_duration: register(registry, HistogramVec::new(duration, &["operation"])),
        api_in_flight: register(registry, in_flight),
        renders: counter(
            registry,
            "caas_operator_renders_total",
            "Rendered metrics bodies, by format (text, openmetrics, legacy).",
            &["format"],
        ),
        body_bytes: counter(
            registry,
            "caas_operator_body_bytes_total",
            "Bytes of rendered metrics bodies, by format and encoding (identity, gzip).",
            &["format", "encoding"],
        ),
    });
    account::described().for_each(|family| registry.describe(family));
    live
}

impl Metrics {
    /// All families, at zero.
    pub fn new() -> Arc<Self> {
        let registry = Registrar::default();
        let reconcile_duration = register(
            &registry,
            Histogram::with_opts(durations(
                "caas_operator_reconcile_duration_seconds",
                "Time to reconcile a CaasAccount.",
            )),
        );
        register_process(&registry);
        let live_accounts = register_accounts(&registry);
        Arc::new(Self {
            live_accounts,
            secret_reads: counter(
                &registry,
                "caas_operator_secret_reads_total",
                "Reads of Secrets by result (found, not_found, forbidden, error).",
                &["result"],
            ),
            accounts: register(&registry, accounts()),
            reconciles: counter(
                &registry,
                "caas_operator_reconciles_total",
                "Reconciles of CaasAccounts by result: ok, or the reason of the failure.",
                &["result"],
            ),
            reconcile_duration,
            watch_errors: counter(
                &registry,
                "caas_operator_watch_errors_total",
                "Interruptions of watches on the API server, by resource.",
                &["resource"],
            ),
            account_moves: counter(
                &registry,
                "caas_operator_account_moves_total",
                "Accounts that this replica took over from another, by reason: a replica joined, left or died.",
                &["reason"],
            ),
            forwarded_scrapes: counter(
                &registry,
                "caas_operator_forwarded_scrapes_total",
                "Scrapes forwarded to other replicas, by result (answered, not_here, unreachable, nobody).",
                &["result"],
            ),
            replicas: gauge(
                &registry,
                "caas_operator_replicas",
                "Replicas that share the accounts, as known to this replica; 0 if it shares them with none.",
            ),
            accounts_owned: gauge(
                &registry,
                "caas_operator_accounts_owned",
                "Accounts that this replica collects.",
            ),
            accounts_known: gauge(
                &registry,
                "caas_operator_accounts_known",
                "Accounts known to this replica, including those that other replicas collect.",
            ),
            otlp: OtlpCounts::registered(&registry),
            memory_held: gauge(
                &registry,
                "caas_operator_memory_held_bytes",
                "Memory charged to accounts: their inventories, values and bodies.",
            ),
            memory_budget: gauge(
                &registry,
                "caas_operator_memory_budget_bytes",
                "Memory that all accounts may use together; above it, the accounts that use most are not collected (TooLarge).",
            ),
            families: registry.finish(),
        })
    }

    /// The handle for one account.
    pub fn account(&self, namespace: &str, name: &str) -> AccountMeter {
        AccountMeter::new(&self.live_accounts, namespace, name)
    }

    /// Sets how many accounts are in each state; a state that is not named has none.
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

    /// Sets how many replicas share the accounts.
    pub fn set_replicas(&self, members: usize) {
        self.replicas.set(number(members));
    }

    /// Sets how many accounts are this replica's, and how many it knows.
    pub fn set_shares(&self, owned: usize, known: usize) {
        self.accounts_owned.set(number(owned));
        self.accounts_known.set(number(known));
    }

    /// Sets what all accounts hold in memory and what they may hold, in bytes. Without a limit the second is 0.
    pub fn set_memory(&self, held: usize, budget: usize) {
        self.memory_held.set(number(held));
        self.memory_budget.set(number(budget));
    }

    /// Counts an answer of the OTLP endpoint, by its status or why there is none.
    pub fn otlp_requested(&self, code: &str) {
        self.otlp.requests.with_label_values(&[code]).inc();
    }

    /// Counts points that were sent by OTLP, by what became of them: `accepted`, `rejected` or `lost`.
    pub fn otlp_points(&self, result: &str, points: usize) {
        self.otlp.points.with_label_values(&[result]).inc_by(points as u64);
    }

    /// Sets when everything was last pushed by OTLP, in seconds since the epoch; 0 before the first time.
    pub fn otlp_succeeded(&self, time: f64) {
        self.otlp.last_success.with_label_values::<&str>(&[]).set(time);
    }

    /// How many bodies of this format were rendered.
    pub fn renders(&self, format: &str) -> u64 {
        self.live_accounts.totals.renders.with_label_values(&[format]).get()
    }

    #[cfg(test)]
    pub(super) fn live_accounts(&self) -> &LiveAccounts {
        &self.live_accounts
    }

    /// All families in Prometheus text format 0.0.4, page by page.
    pub fn pages(&self) -> Pages {
        Pages::new(self.families.registry.clone(), Arc::clone(&self.live_accounts))
    }

    /// All of it at once.
    pub fn render(&self) -> String {
        let text = self.pages().next_chunk(usize::MAX).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// What each family is, with or without series, in the order of their names.
    pub fn described(&self) -> &[Described] {
        &self.families.described
    }
}
