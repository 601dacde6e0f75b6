//! Accounts as JSON, for people and scripts. Units as in the metrics; what is not known is left out.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::figures::Figures;
use super::json;
use super::list::Listing;
use super::sample::Values;
use super::selection::Selection;
use super::usage::Usage;
use crate::cloud::model::{Limits, State};
use crate::collector::registry::Listed;
use crate::exposition::values::{InstanceEntry, ServiceEntry};

/// `GET /accounts`: the list of all accounts.
pub(super) struct Accounts {
    now: SystemTime,
    selection: Selection,
    any: bool,
}

impl Accounts {
    /// The accounts that the selection takes, with the ages that their data has at `now`.
    pub(super) fn at(now: SystemTime, selection: Selection) -> Self {
        Self { now, selection, any: false }
    }
}

impl Listing for Accounts {
    fn begin(&mut self, chunk: &mut Vec<u8>) {
        chunk.extend_from_slice(br#"{"accounts":["#);
    }

    fn account(&mut self, account: &Listed, chunk: &mut Vec<u8>) -> io::Result<()> {
        if !self.selection.takes(account) {
            return Ok(());
        }
        if std::mem::replace(&mut self.any, true) {
            chunk.push(b',');
        }
        Ok(json::write(chunk, &summary(account, self.now))?)
    }

    fn end(&mut self, chunk: &mut Vec<u8>) {
        chunk.extend_from_slice(b"]}");
    }
}

/// The state of one account.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) provider: &'static str,
    /// The condition's reason and message.
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) services: usize,
    pub(super) instances: usize,
    /// Seconds since the end of the last collection that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) age_seconds: Option<f64>,
    #[serde(flatten)]
    pub(super) usage: Usage,
    pub(super) metrics_path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) legacy_metrics_path: Option<String>,
}

/// `GET /accounts/{namespace}/{name}` without its services, which may be many: [`super::detail`] adds them one by one.
#[derive(Debug, Serialize)]
pub(super) struct Detail {
    account: Summary,
    services: [(); 0],
}

/// A service without its instances, for the same reason.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Service<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    desired_instances: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    running_instances: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready_instances: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<LimitsView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<Values<'a>>,
    /// `None` where the list has no place for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    instances: Option<[(); 0]>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Instance<'a> {
    name: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<LimitsView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<Values<'a>>,
}

/// What an instance may use, where any of it is known.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LimitsView {
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_cores: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_bytes: Option<f64>,
}

impl LimitsView {
    fn of(limits: &Limits) -> Option<Self> {
        let Limits { cpu_cores, memory_bytes, disk_bytes } = *limits;
        (!limits.is_empty()).then_some(Self { cpu_cores, memory_bytes, disk_bytes })
    }
}

/// One account at `now`.
pub(super) fn detail(account: &Listed, now: SystemTime) -> Detail {
    Detail { account: summary(account, now), services: [] }
}

/// The state of one account at `now`.
pub(super) fn summary(account: &Listed, now: SystemTime) -> Summary {
    let id = account.id();
    let values = account.snapshot().map(|snapshot| &snapshot.values);
    let services = values.map(|values| &values.services[..]).unwrap_or_default();
    let legacy = account.targets().iter().find(|target| target.legacy);
    Summary {
        namespace: id.namespace.to_string(),
        name: id.name.to_string(),
        provider: account.provider(),
        reason: account.reason(),
        message: account.message(),
        services: services.len(),
        instances: services.iter().map(|service| service.instances.len()).sum(),
        age_seconds: values.and_then(|values| values.gauges.last_success).map(|at| age(at, now)),
        usage: Usage::from(&Figures::of_account(account)),
        metrics_path: id.metrics_path(),
        legacy_metrics_path: legacy.map(|target| target.path.clone()),
    }
}

/// Seconds from a time since the epoch to `now`, in milliseconds' steps; 0 if the clock has been set back since.
fn age(at: f64, now: SystemTime) -> f64 {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    ((now - at).max(0.0) * 1000.0).round() / 1000.0
}

/// A service with its newest values.
pub(super) fn service(entry: &ServiceEntry) -> Service<'_> {
    let facts = &entry.facts;
    Service {
        name: &facts.name,
        application: facts.application.as_deref(),
        id: facts.id.as_deref(),
        status: facts.status.as_deref(),
        state: facts.state.map(State::as_str),
        kind: facts.kind.as_deref(),
        desired_instances: facts.desired_instances,
        running_instances: facts.running_instances,
        ready_instances: facts.ready_instances,
        image: facts.image.as_deref(),
        image_tag: facts.image_tag.as_deref(),
        size: facts.size.as_deref(),
        region: facts.region.as_deref(),
        limits: LimitsView::of(&facts.limits),
        sample: entry.sample.as_ref().map(Values),
        instances: Some([]),
    }
}

/// The same without a place for its instances.
pub(super) fn service_alone(entry: &ServiceEntry) -> Service<'_> {
    Service { instances: None, ..service(entry) }
}

/// An instance with its newest values, and the facts that differ from its service's.
pub(super) fn instance(entry: &InstanceEntry) -> Instance<'_> {
    let facts = &entry.facts;
    let own = facts.overrides.as_deref();
    Instance {
        name: &facts.name,
        id: &facts.id,
        state: facts.state.map(State::as_str),
        start_time_seconds: facts.start_time(),
        size: own.and_then(|own| own.size.as_deref()),
        region: own.and_then(|own| own.region.as_deref()),
        limits: own.and_then(|own| LimitsView::of(&own.limits)),
        sample: entry.sample.as_ref().map(Values),
    }
}
