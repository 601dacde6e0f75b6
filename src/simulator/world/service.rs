//! One service at one time: its state, and which of its instances are there.

use std::fmt::Write as _;

use super::instance::{Instance, InstanceSpec};
use super::names;
use super::settings::WorldSettings;
use super::size::{SIZES, Size};
use crate::simulator::numbers::{below, between, floor, fraction, hash, hex};

/// How many seconds a deployment takes in a world with churn.
pub const DEPLOYING: f64 = 30.0;

/// The state of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// All its instances exist.
    Running,
    /// Its instances start one after another.
    Deploying,
    /// It has no instance.
    Stopped,
}

/// Regions by infrastructure and name. The names of sizes begin with these infrastructures; no other is documented.
const REGIONS: [(&str, &str); 3] = [("AWS", "BEIJING1"), ("AZURE", "SHANGHAI1"), ("AWS", "GUANGDONG1")];

/// How a service changes over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChangePattern {
    /// Always the same instances.
    Steady,
    /// A service of another name each generation, and none in between.
    ComesAndGoes,
    /// The same service, stopped for a part of each generation.
    StopsAndStarts,
    /// More instances in every second generation.
    Scales,
    /// Other instances and another image in each generation.
    Redeploys,
}

/// A generation of a slot: the time from one change to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Generation {
    number: i64,
    /// Seconds since the epoch.
    since: f64,
    /// Seconds from one generation to the next.
    period: f64,
}

/// A slot of the world at one time: what is known before its service is built.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    number: usize,
    key: u64,
    pattern: ChangePattern,
    generation: Generation,
    now: f64,
}

impl Slot {
    /// The slot of this number at this time.
    pub(super) fn at(settings: &WorldSettings, number: usize, now: f64) -> Self {
        let key = hash(&[settings.seed, number as u64]);
        // A demo shows slot 0 first: it never changes.
        let churns = number > 0 && fraction(hash(&[key, 1])) < settings.churn;
        let pattern = match hash(&[key, 2]) % 4 {
            _ if !churns => ChangePattern::Steady,
            0 => ChangePattern::ComesAndGoes,
            1 => ChangePattern::StopsAndStarts,
            2 => ChangePattern::Scales,
            _ => ChangePattern::Redeploys,
        };
        let period = between(hash(&[key, 3]), 240.0, 1200.0).floor();
        let phase = between(hash(&[key, 4]), 0.0, period).floor();
        let generation = floor((now + phase) / period);
        let since = (generation as f64).mul_add(period, -phase);
        Self { number, key, pattern, generation: Generation { number: generation, since, period }, now }
    }

    /// Whether there is a service in this slot.
    pub(super) fn exists(&self) -> bool {
        self.pattern != ChangePattern::ComesAndGoes || self.age() < 0.75 * self.generation.period
    }

    fn age(&self) -> f64 {
        self.now - self.generation.since
    }

    fn status(&self) -> Status {
        let deploying = self.age() < DEPLOYING;
        match self.pattern {
            ChangePattern::StopsAndStarts if self.age() >= 0.7 * self.generation.period => Status::Stopped,
            ChangePattern::Scales if deploying && self.scaled_up() => Status::Deploying,
            ChangePattern::Steady | ChangePattern::Scales => Status::Running,
            _ if deploying => Status::Deploying,
            _ => Status::Running,
        }
    }

    fn scaled_up(&self) -> bool {
        self.generation.number.rem_euclid(2) == 1
    }

    /// Application and name, without building the service.
    pub(super) fn names(&self, settings: &WorldSettings) -> (Option<String>, String) {
        let first_member = settings.services.saturating_sub(settings.applications);
        let (application, base) = match self.number.checked_sub(first_member) {
            Some(nth) => {
                let (application, name) = names::member(nth);
                (Some(application), name.to_owned())
            }
            None => (None, names::standalone(self.number)),
        };
        match self.pattern {
            ChangePattern::ComesAndGoes => (application, names::of_generation(&base, self.generation.number)),
            _ => (application, base),
        }
    }

    /// Builds the service.
    pub(super) fn service(&self, settings: &WorldSettings) -> Service {
        let (application, name) = self.names(settings);
        let generation = self.generation.number.cast_unsigned();
        let of_generation = if self.pattern == ChangePattern::ComesAndGoes { generation } else { 0 };
        let key = hash(&[self.key, of_generation]);
        let extra = match self.pattern {
            ChangePattern::Scales if self.scaled_up() => {
                1 + below(hash(&[key, 8, generation]), settings.instances)
            }
            _ => 0,
        };
        let created_at = match self.pattern {
            ChangePattern::ComesAndGoes => self.generation.since,
            // Between June and December 2014, in milliseconds.
            _ => (between(hash(&[key, 5]), 1.402e9, 1.419e9) * 1e3).floor() / 1e3,
        };
        let steady = matches!(self.pattern, ChangePattern::Steady | ChangePattern::Scales);
        let (infrastructure, region) = REGIONS[below(hash(&[key, 6]), REGIONS.len())];
        let mut service = Service {
            uuid: uuid(hash(&[key, 9])),
            namespace: settings.namespace.clone(),
            status: self.status(),
            created_at,
            // The first service is the one of the API's sample; most others are small, too.
            size: if self.number == 0 {
                SIZES[1]
            } else {
                SIZES[below(hash(&[key, 7]), 12).saturating_sub(6)]
            },
            image_tag: match self.pattern {
                ChangePattern::Redeploys => format!("1.{}", self.generation.number.rem_euclid(1000)),
                _ if self.number == 0 => "4.1".to_owned(),
                _ => format!("{}.{}", 1 + hash(&[key, 10]) % 5, hash(&[key, 11]) % 20),
            },
            infrastructure,
            region,
            scales: self.pattern == ChangePattern::Scales,
            target: settings.instances + extra,
            started: 0,
            port: (!hash(&[key, 12]).is_multiple_of(3)).then_some(match name.as_str() {
                "kibana" => 5601,
                "redis" => 6379,
                _ => 80,
            }),
            application,
            name,
            key,
            base: settings.instances,
            batch: if steady { 0 } else { generation },
            extra_batch: generation,
            since: if steady { None } else { Some(self.generation.since) },
            extra_since: self.generation.since,
            now: self.now,
            churn: settings.churn,
        };
        service.started = service.instance_numbers().count();
        service
    }
}

/// One service at one time, with everything that APIs report about it.
#[derive(Debug, Clone)]
pub struct Service {
    /// The service's name, unique within its application.
    pub name: String,
    /// The application that it belongs to, if any.
    pub application: Option<String>,
    /// The user or organization that it belongs to.
    pub namespace: String,
    /// The provider's identifier.
    pub uuid: String,
    /// Its state.
    pub status: Status,
    /// Seconds since the epoch.
    pub created_at: f64,
    /// What each instance may use.
    pub size: Size,
    /// The version of its image.
    pub image_tag: String,
    /// The infrastructure provider whose machines it runs on.
    pub infrastructure: &'static str,
    /// Where it runs.
    pub region: &'static str,
    /// Whether the number of its instances is scaled automatically.
    pub scales: bool,
    /// How many instances it should have.
    pub target: usize,
    /// How many instances it has.
    pub started: usize,
    /// The port that it offers, if any.
    pub port: Option<u16>,
    key: u64,
    /// Instances below this number belong to `batch`, the others to `extra_batch`.
    base: usize,
    batch: u64,
    extra_batch: u64,
    /// When the batch started; `None` for instances that are as old as the service.
    since: Option<f64>,
    extra_since: f64,
    now: f64,
    churn: f64,
}

impl Service {
    /// Its instances at that time; the iterator builds them one by one.
    pub fn instances(&self) -> impl Iterator<Item = Instance> + '_ {
        self.instance_numbers().map(|number| self.build(number))
    }

    /// The instance of this identifier, without building the others.
    pub fn instance(&self, uuid: &str) -> Option<Instance> {
        let number = self.encoded_number(uuid)?;
        let exists = number < self.target
            && self.status != Status::Stopped
            && self.instance_created_at(number) <= self.now;
        exists.then(|| self.build(number)).filter(|instance| instance.uuid == uuid)
    }

    /// The numbers of the instances that exist: the first ones of each batch.
    fn instance_numbers(&self) -> impl Iterator<Item = usize> + use<> {
        let (base, extra) = if self.status == Status::Stopped {
            (0, 0)
        } else {
            let exists = |number: usize| self.instance_created_at(number) <= self.now;
            let extra = self.target - self.base;
            (first_not(self.base, exists), first_not(extra, |nth| exists(self.base + nth)))
        };
        (0..base).chain(self.base..self.base + extra)
    }

    /// When an instance was created, in seconds since the epoch: within 25 s after its batch, one after another.
    fn instance_created_at(&self, number: usize) -> f64 {
        #[cfg(test)]
        CREATED_AT_CALLS.with(|calls| calls.set(calls.get() + 1));
        let (since, nth, of) = if number < self.base {
            match self.since {
                Some(since) => (since, number, self.base),
                // As long after its service as in the API's sample.
                None => return self.created_at + 47.438,
            }
        } else {
            (self.extra_since, number - self.base, self.target - self.base)
        };
        since + 5.0 + (20.0 * nth as f64 / of as f64).floor()
    }

    fn build(&self, number: usize) -> Instance {
        Instance::new(InstanceSpec {
            name: format!("{}.{number}", self.name),
            uuid: self.instance_uuid(number),
            service_uuid: self.uuid.clone(),
            service: self.key,
            key: self.instance_key(number),
            size: self.size,
            created_at: self.instance_created_at(number),
            churn: self.churn,
        })
    }

    fn instance_key(&self, number: usize) -> u64 {
        let batch = if number < self.base { self.batch } else { self.extra_batch };
        hash(&[self.key, 20, batch, number as u64])
    }

    /// An identifier whose last eight digits encode the instance's number, so that one of 100,000 is found without
    /// building the others.
    fn instance_uuid(&self, number: usize) -> String {
        let mut text = uuid(self.instance_key(number));
        text.truncate(28);
        // Writing to a String never fails.
        let _ = write!(text, "{:08x}", (number as u64 ^ self.mask()) & 0xffff_ffff);
        text
    }

    fn encoded_number(&self, uuid: &str) -> Option<usize> {
        let digits = u64::from_str_radix(uuid.get(28..)?, 16).ok()?;
        usize::try_from((digits ^ self.mask()) & 0xffff_ffff).ok()
    }

    fn mask(&self) -> u64 {
        hash(&[self.key, 21])
    }
}

/// The first number below `count` that does not meet the condition, else `count`. Found by bisection: all numbers up
/// to some point meet it, and none after that.
fn first_not(count: usize, condition: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if condition(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
thread_local! {
    /// How often the creation time of an instance was computed: what it costs to find one.
    pub(super) static CREATED_AT_CALLS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// An identifier in the usual form of a UUID, derived from `seed`.
fn uuid(seed: u64) -> String {
    let digits = hex(seed, 32);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}
