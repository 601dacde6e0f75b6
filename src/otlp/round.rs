//! One push: everything that is served at this time, as requests of a bounded size that are made one after the other.
//!
//! The series of an account are those of its body, the legacy one aside. Their target's labels, which a scrape would add, go
//! along: `job` and `instance` as the attributes of the resource that receivers make them of, all others on each point.
//! After the series of a target come those that ended since the push before ([`super::sent`]).
//!
//! A push that ends early is gone on with by the next one: an endpoint that takes too little in an interval gets each account
//! in turn, not always the same ones.
//!
//! Only accounts that this replica collects are pushed. When another one takes an account over, it goes on with the same
//! series, so none of them has ended.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use prost::Message;

use super::message::{Times, attribute};
use super::sent::{Key, Reading, Sent, TargetLabels};
use super::source::{SeriesSet, Source};
use crate::account::{Account, AccountId};
use crate::collector::Registry;
use crate::collector::registry::{Listed, Snapshot};
use crate::limits::Charge;
use crate::telemetry::Metrics;

/// The most points of a request.
pub(super) const MOST_POINTS: usize = 2_000;
/// About the most bytes of a request as a message: what receivers take by default is 4 MiB and more.
const MOST_BYTES: usize = 1 << 20;

/// How much of the own text is compressed at once.
const CHUNK_BYTES: usize = 32 << 10;
/// Of which receivers make the label `job`.
const SERVICE_NAME: &str = "service.name";
/// Of which receivers make the label `instance`.
const SERVICE_INSTANCE: &str = "service.instance.id";

/// What tells the own metrics of this process from those of another.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Which process it is: the pod's name, say.
    pub instance: String,
    /// When the process started.
    pub started: SystemTime,
}

/// A request that is ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    /// The message, compressed with gzip.
    pub(super) gzip: Bytes,
    /// What the message is made of, and how many points each of them has.
    parts: Vec<(ResourceMetrics, usize)>,
    /// The targets of which it has the last points: for [`Sent::answered`].
    pub(super) finished: Vec<(Key, Option<Reading>)>,
}

/// A push that is under way.
pub(super) struct Round {
    registry: Arc<Registry>,
    metrics: Arc<Metrics>,
    origin: Origin,
    sent: Sent,
    present: Option<Turn>,
    next: Next,
    /// The accounts begin after this one, and those up to it come last.
    first: Option<AccountId>,
    /// Whether those up to it have begun.
    is_wrapped: bool,
}

/// A target that is being sent.
struct Turn {
    key: Key,
    source: Source,
    /// What is served of it now.
    served: Option<Reading>,
    /// What was pushed of it last, until that is compared.
    before: Option<Reading>,
    /// The memory of the comparison.
    comparison: Option<Charge>,
}

/// What comes after the present target.
enum Next {
    /// The program's own metrics.
    Own,
    /// The account after this one.
    Account(Option<AccountId>),
    /// These accounts, of which something was pushed and which there are no longer.
    Gone(Vec<AccountId>),
}

impl Batch {
    fn new(parts: Vec<(ResourceMetrics, usize)>, finished: Vec<(Key, Option<Reading>)>) -> io::Result<Self> {
        let (resource_metrics, points): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let request = ExportMetricsServiceRequest { resource_metrics };
        let gzip = compressed([request.encode_to_vec()])?;
        Ok(Self { gzip, parts: request.resource_metrics.into_iter().zip(points).collect(), finished })
    }

    /// How many points it has.
    pub(super) fn points(&self) -> usize {
        self.parts.iter().map(|(_, points)| points).sum()
    }

    /// Whether it has points of several targets.
    pub(super) fn is_mixed(&self) -> bool {
        self.parts.len() > 1
    }

    /// A request for each target. Costs CPU time: not for async threads.
    pub(super) fn split(self) -> io::Result<Vec<Self>> {
        self.parts.into_iter().map(|part| Self::new(vec![part], Vec::new())).collect()
    }
}

impl Round {
    /// The accounts begin after `first`.
    pub(super) fn new(
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
        origin: Origin,
        sent: Sent,
        first: Option<AccountId>,
    ) -> Self {
        Self { registry, metrics, origin, sent, present: None, next: Next::Own, first, is_wrapped: false }
    }

    /// The last account of which there was something in a request.
    pub(super) fn reached(&self) -> Option<AccountId> {
        match &self.next {
            Next::Account(last) => last.clone(),
            Next::Own | Next::Gone(_) => None,
        }
    }

    /// The next request, to be made once the one before is answered; `None` at the end. Costs CPU time: not for async threads.
    pub(super) fn next_batch(&mut self) -> io::Result<Option<Batch>> {
        let (mut parts, mut points, mut bytes) = (Vec::new(), 0, 0);
        let mut finished = Vec::new();
        while points < MOST_POINTS && bytes < MOST_BYTES {
            if self.present.is_none() {
                self.present = self.next_turn()?;
            }
            let Some(mut turn) = self.present.take() else { break };
            let part = turn.source.next_part(MOST_POINTS - points, MOST_BYTES - bytes)?;
            if part.points > 0 {
                points += part.points;
                bytes += part.bytes;
                parts.push((part.metrics, part.points));
            }
            if !part.is_last {
                self.present = Some(turn);
            } else if let Some(before) = turn.before.take() {
                self.present = Some(turn.ended_since(before));
            } else {
                finished.push((turn.key, turn.served));
            }
        }
        if points == 0 {
            // All points of these were in requests before.
            self.sent.answered(finished);
            return Ok(None);
        }
        Batch::new(parts, finished).map(Some)
    }

    fn next_turn(&mut self) -> io::Result<Option<Turn>> {
        loop {
            let turn = match &mut self.next {
                Next::Own => {
                    self.next = Next::Account(self.first.clone());
                    let labels = Arc::new(self.own_labels());
                    let served = Reading { labels, gzip: self.own_text()?, series: 0 };
                    self.turn(Key::Own, Some(served), nanoseconds(self.origin.started))
                }
                Next::Account(before) => {
                    let listed = self.registry.after(before.as_ref(), 1).pop();
                    let is_next =
                        |listed: &Listed| !self.is_wrapped || Some(listed.id()) <= self.first.as_ref();
                    let Some(listed) = listed.filter(is_next) else {
                        if self.first.is_some() && !self.is_wrapped {
                            (self.is_wrapped, *before) = (true, None);
                            continue;
                        }
                        let mut gone = self.sent.accounts();
                        gone.retain(|id| self.registry.listed(id).is_none());
                        self.next = Next::Gone(gone);
                        continue;
                    };
                    *before = Some(listed.id().clone());
                    let key = Key::Account(listed.id().clone());
                    match listed {
                        // Without a snapshot a scrape finds nothing either.
                        Listed::Collected(entry) => {
                            let served = entry.snapshot.as_ref();
                            self.turn(key, served.and_then(|snapshot| reading(&entry.account, snapshot)), 0)
                        }
                        Listed::Uncollected(_) => self.turn(key, None, 0),
                        Listed::Elsewhere(_) => {
                            self.sent.forget(&key);
                            None
                        }
                    }
                }
                Next::Gone(gone) => match gone.pop() {
                    Some(id) => self.turn(Key::Account(id), None, 0),
                    None => return Ok(None),
                },
            };
            if turn.is_some() {
                return Ok(turn);
            }
        }
    }

    /// The turn of a target, where there is anything to send. `started` is the start of counters that have none of their own.
    fn turn(&self, key: Key, served: Option<Reading>, started: u64) -> Option<Turn> {
        let before = self.sent.get(&key);
        let times = Times::new(nanoseconds(SystemTime::now()), started);
        match (&served, before) {
            (Some(reading), before) => {
                let before = before.filter(|before| !before.is_the_same(reading));
                let compared = before.map(|before| (before, self.sent.charge_comparison(&key, reading)));
                let (before, comparison) = match compared {
                    Some((before, Ok(charge))) => (Some(before), charge),
                    // Where it does not fit, nobody says which series have ended.
                    Some((_, Err(_))) | None => (None, None),
                };
                let source = Source::served(reading.clone(), times, before.is_some());
                Some(Turn { key, source, served, before, comparison })
            }
            (None, Some(before)) => {
                let source = Source::ended(before, times, SeriesSet::default());
                Some(Turn { key, source, served, before: None, comparison: None })
            }
            (None, None) => None,
        }
    }

    fn own_labels(&self) -> TargetLabels {
        let resource = vec![
            attribute(SERVICE_NAME, env!("CARGO_PKG_NAME")),
            attribute(SERVICE_INSTANCE, &self.origin.instance),
            attribute("service.version", env!("CARGO_PKG_VERSION")),
        ];
        TargetLabels { resource, common: Vec::new() }
    }

    fn own_text(&self) -> io::Result<Bytes> {
        let mut pages = self.metrics.pages();
        compressed(std::iter::from_fn(|| pages.next_chunk(CHUNK_BYTES)))
    }
}

impl Turn {
    /// Goes on with what has ended since then: where the target had other labels, every series.
    fn ended_since(self, before: Reading) -> Self {
        let (noted, labels) = self.source.into_noted();
        let still_served = if before.labels == labels { noted } else { SeriesSet::default() };
        let times = Times::new(nanoseconds(SystemTime::now()), 0);
        Self {
            source: Source::ended(before, times, still_served),
            key: self.key,
            served: self.served,
            before: None,
            comparison: self.comparison,
        }
    }
}

/// The series of an account; none where a replica has told what they were, but they are not rendered here yet.
fn reading(account: &Account, snapshot: &Snapshot) -> Option<Reading> {
    let gzip = snapshot.bodies.text.gzip.clone();
    let series = snapshot.series;
    (!gzip.is_empty()).then(|| Reading { labels: Arc::new(target_labels(account)), gzip, series })
}

fn compressed(pieces: impl IntoIterator<Item = Vec<u8>>) -> io::Result<Bytes> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    for piece in pieces {
        gzip.write_all(&piece)?;
    }
    Ok(gzip.finish()?.into())
}

/// The labels of the account's target, as attributes of the resource and of each point.
fn target_labels(account: &Account) -> TargetLabels {
    let target = account.targets.iter().find(|target| !target.legacy);
    let (mut resource, mut common) = (Vec::new(), Vec::new());
    for (name, value) in target.iter().flat_map(|target| &target.labels) {
        match &**name {
            "job" => resource.push(attribute(SERVICE_NAME, value)),
            "instance" => resource.push(attribute(SERVICE_INSTANCE, value)),
            name => common.push(attribute(name, value)),
        }
    }
    TargetLabels { resource, common }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
