//! What one replica tells another of its accounts: JSON, a line for an account, and one for each of its services and
//! instances, so that neither of them holds a second copy of a large account.
//!
//! A field or a measurement that another version does not know costs itself only. Pure.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::time::Instant;

use crate::account::{AccountId, Origin};
use crate::cloud::http::Demands;
use crate::cloud::model::{InstanceFacts, Measurement, Sample, Scale, ServiceFacts};
use crate::collector::Health;
use crate::collector::demanded::Demanded;
use crate::collector::history::ServiceHistory;
use crate::collector::registry::{Listed, Snapshot};
use crate::exposition::labels::LabelSet;
use crate::exposition::values::{AccountGauges, InstanceEntry, ServiceEntry};

/// No cloud asks for more that is complied with, so none is left alone for longer, whatever another replica says.
const LONGEST_DEMAND: Duration = Duration::from_secs(15 * 60);

/// A line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line<'a> {
    /// An account begins. Where one that began has not ended, its snapshot was replaced meanwhile, and it begins anew.
    Account(AccountLine),
    /// The next service of the account.
    Service(Box<ServiceLine<'a>>),
    /// The next instance of the service.
    Instance(InstanceLine<'a>),
    /// The account has ended.
    End,
}

/// An account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountLine {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The object's UID, of one that is collected.
    pub uid: Option<String>,
    /// The reason of its newest outcome.
    pub reason: String,
    /// The sentence for that reason.
    pub message: String,
    /// Whether this replica collects it at present.
    #[serde(default)]
    pub is_collected: bool,
    /// What its snapshot says besides its services; `None` without a snapshot.
    pub snapshot: Option<SnapshotLine>,
}

/// A snapshot without its services.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotLine {
    /// What the collector says of the account.
    pub gauges: AccountGauges,
    /// When the newest cycle ended, in seconds since the epoch.
    pub collected_at: f64,
    /// How many series the bodies hold.
    pub series: usize,
    /// Milliseconds since the end of the last cycle that succeeded: clocks are not compared.
    pub since_success: Option<u64>,
    /// Milliseconds since the start of the newest cycle.
    pub since_start: u64,
    /// What the cloud asks for; `None` where that is nothing.
    #[serde(default)]
    demands: Option<DemandsLine>,
}

/// What a cloud asks for, in milliseconds from now on, and of what the account was made.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DemandsLine {
    silence: Option<u64>,
    refusals: u32,
    no_login: Option<u64>,
    generation: Option<i64>,
    secret: Option<String>,
}

/// A service without its instances.
#[derive(Debug, Serialize, Deserialize)]
pub struct ServiceLine<'a> {
    facts: Cow<'a, ServiceFacts>,
    sample: Option<SampleLine>,
    history: Option<Cow<'a, ServiceHistory>>,
}

/// An instance.
#[derive(Debug, Serialize, Deserialize)]
pub struct InstanceLine<'a> {
    facts: Cow<'a, InstanceFacts>,
    sample: Option<SampleLine>,
}

/// A sample.
#[derive(Debug, Serialize, Deserialize)]
struct SampleLine {
    #[serde(with = "bits")]
    timestamp: f64,
    values: Vec<ValueLine>,
}

/// A value, with its age in milliseconds and its label.
#[derive(Debug, Serialize, Deserialize)]
struct ValueLine(
    #[serde(deserialize_with = "known")] Option<Measurement>,
    Scale,
    #[serde(with = "bits")] f64,
    u64,
    Option<String>,
);

/// A measurement; `None` where this version does not have it.
fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Measurement>, D::Error> {
    let name = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    Ok(Measurement::deserialize(StrDeserializer::<ValueError>::new(&name)).ok())
}

/// A number as the bits of it: in decimals it may come back as its neighbor, and a counter that is less by that much has
/// begun anew for Prometheus.
mod bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    // serde passes a field by reference.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(super) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        number.to_bits().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}

impl<'a> Line<'a> {
    /// The line of an account with the newest snapshot that this replica has of it. `now` is the time by the clock that
    /// the snapshot has its times from.
    pub fn account(listed: &Listed, snapshot: Option<&Snapshot>, now: SystemTime) -> Self {
        let id = listed.id();
        let health = snapshot.map(|snapshot| &snapshot.health);
        Self::Account(AccountLine {
            namespace: id.namespace.to_string(),
            name: id.name.to_string(),
            uid: listed.uid().map(str::to_owned),
            reason: health.map_or(listed.reason(), |health| health.reason().as_str()).to_owned(),
            message: health.map_or_else(|| listed.message(), Health::message),
            is_collected: matches!(listed, Listed::Collected(_)),
            snapshot: snapshot.map(|snapshot| SnapshotLine::of(snapshot, now)),
        })
    }

    /// The line of a service.
    pub fn service(service: &'a ServiceEntry, history: Option<&'a ServiceHistory>) -> Self {
        Self::Service(Box::new(ServiceLine {
            facts: Cow::Borrowed(&service.facts),
            sample: service.sample.as_ref().map(SampleLine::of),
            history: history.map(Cow::Borrowed),
        }))
    }

    /// The line of an instance.
    pub fn instance(instance: &'a InstanceEntry) -> Self {
        Self::Instance(InstanceLine {
            facts: Cow::Borrowed(&instance.facts),
            sample: instance.sample.as_ref().map(SampleLine::of),
        })
    }
}

impl AccountLine {
    /// Namespace and name.
    pub fn id(&self) -> AccountId {
        AccountId::new(&self.namespace, &self.name)
    }
}

impl SnapshotLine {
    fn of(snapshot: &Snapshot, now: SystemTime) -> Self {
        let gauges = snapshot.values.gauges;
        let now = seconds(now);
        Self {
            gauges,
            collected_at: seconds(snapshot.collected_at),
            series: snapshot.series,
            since_success: gauges.last_success.map(|at| millis(now - at)),
            since_start: millis(now - gauges.last_collection + gauges.last_duration),
            demands: DemandsLine::of(&snapshot.demanded),
        }
    }

    /// What the cloud asks for.
    pub fn demanded(&self) -> Demanded {
        self.demands.clone().map(DemandsLine::read).unwrap_or_default()
    }

    /// When the newest cycle ended.
    pub fn collected_at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::try_from_secs_f64(self.collected_at).unwrap_or_default()
    }
}

impl DemandsLine {
    fn of(demanded: &Demanded) -> Option<Self> {
        let Demanded { demands, origin } = demanded;
        let now = Instant::now();
        let left = |until: Instant| {
            let left = until.saturating_duration_since(now);
            (!left.is_zero()).then(|| millis(left.as_secs_f64()))
        };
        let line = Self {
            silence: demands.silent_until.and_then(left),
            refusals: demands.refusals,
            no_login: demands.no_login_until.and_then(left),
            generation: origin.generation,
            secret: origin.secret.as_deref().map(str::to_owned),
        };
        (line.silence.is_some() || line.refusals > 0).then_some(line)
    }

    fn read(self) -> Demanded {
        let now = Instant::now();
        let until = |left: u64| now.checked_add(Duration::from_millis(left).min(LONGEST_DEMAND));
        let demands = Demands {
            silent_until: self.silence.and_then(until),
            refusals: self.refusals,
            no_login_until: self.no_login.and_then(until),
        };
        Demanded {
            demands,
            origin: Origin { generation: self.generation, secret: self.secret.map(Arc::from) },
        }
    }
}

impl ServiceLine<'_> {
    /// The service without instances, and its last hour.
    pub fn read(self, account: &LabelSet) -> (ServiceEntry, Option<ServiceHistory>) {
        let facts = self.facts.into_owned();
        let (labels, _) = account.service(facts.application.as_deref(), &facts.name);
        let sample = self.sample.map(SampleLine::read);
        let entry = ServiceEntry { labels, facts: Arc::new(facts), sample, instances: Vec::new() };
        (entry, self.history.map(Cow::into_owned))
    }
}

impl InstanceLine<'_> {
    /// The instance of a service with these labels.
    pub fn read(self, service: &LabelSet) -> InstanceEntry {
        let facts = self.facts.into_owned();
        let (labels, _) = service.instance(&facts.name, &facts.id);
        InstanceEntry { labels, facts: Arc::new(facts), sample: self.sample.map(SampleLine::read) }
    }
}

impl SampleLine {
    fn of(sample: &Sample) -> Self {
        let timestamp = sample.timestamp();
        let values = sample.values().map(|value| {
            let age = millis(timestamp - value.time);
            ValueLine(Some(value.measurement), value.scale, value.number, age, value.label.map(str::to_owned))
        });
        Self { timestamp, values: values.collect() }
    }

    fn read(self) -> Sample {
        let mut sample = Sample::builder();
        for ValueLine(measurement, scale, number, age, label) in self.values {
            let Some(measurement) = measurement else { continue };
            let time = self.timestamp - Duration::from_millis(age).as_secs_f64();
            match label {
                Some(label) => sample.add_labeled(measurement, &label, scale, number, time),
                None => sample.add(measurement, scale, number, time),
            };
        }
        sample.build()
    }
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Seconds as whole milliseconds; 0 of what is below that.
fn millis(seconds: f64) -> u64 {
    // A float's cast to an integer saturates.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let millis = (seconds * 1000.0).round() as u64;
    millis
}
