//! One service at one time: its state, and which of its instances are there.

use std::fmt::Write as _;

use super::instance::Instance;
use super::names;
use super::{WorldSettings, instance};
use crate::simulator::numbers::{below, between, floor, fraction, hash, hex};

/// Seconds that a service of a churning world is being deployed.
pub const DEPLOYING: f64 = 30.0;

/// What a service is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// All its instances are there.
    Running,
    /// Its instances start one after another.
    Deploying,
    /// It has no instance.
    Stopped,
}

/// What an instance of a size may use. XS is inferred from the API's samples, XXS from one of 2018
/// (256 MiB, 0.125 cores); the others double.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    /// The provider's name for it.
    pub name: &'static str,
    /// Memory in MiB.
    pub mebibytes: u32,
    /// CPU in cores.
    pub cores: f64,
}

/// All sizes, smallest first.
pub const SIZES: [Size; 6] = [
    Size { name: "XXS", mebibytes: 256, cores: 0.125 },
    Size { name: "XS", mebibytes: 512, cores: 0.25 },
    Size { name: "S", mebibytes: 1024, cores: 0.5 },
    Size { name: "M", mebibytes: 2048, cores: 1.0 },
    Size { name: "L", mebibytes: 4096, cores: 2.0 },
    Size { name: "XL", mebibytes: 8192, cores: 4.0 },
];

/// Region by infrastructure and name. Infrastructures are those that the names of sizes begin with; no other is documented.
const REGIONS: [(&str, &str); 3] = [("AWS", "BEIJING1"), ("AZURE", "SHANGHAI1"), ("AWS", "GUANGDONG1")];

/// How a service changes over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
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

/// Which generation of a slot it is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Generation {
    number: i64,
    /// Seconds since the epoch.
    since: f64,
    /// Seconds from one generation to the next.
    period: f64,
}

/// A slot of the world at one time: what there is to know before a service is built.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    number: usize,
    key: u64,
    course: Course,
    generation: Generation,
    now: f64,
}

impl Slot {
    /// The slot of this number at this time.
    pub(super) fn at(settings: &WorldSettings, number: usize, now: f64) -> Self {
        let key = hash(&[settings.seed, number as u64]);
        // Slot 0 is what people look at first: it stays as it is.
        let churns = number > 0 && fraction(hash(&[key, 1])) < settings.churn;
        let course = match hash(&[key, 2]) % 4 {
            _ if !churns => Course::Steady,
            0 => Course::ComesAndGoes,
            1 => Course::StopsAndStarts,
            2 => Course::Scales,
            _ => Course::Redeploys,
        };
        let period = between(hash(&[key, 3]), 240.0, 1200.0).floor();
        let phase = between(hash(&[key, 4]), 0.0, period).floor();
        let generation = floor((now + phase) / period);
        let since = (generation as f64).mul_add(period, -phase);
        Self { number, key, course, generation: Generation { number: generation, since, period }, now }
    }

    /// Whether there is a service in this slot.
    pub(super) fn exists(&self) -> bool {
        self.course != Course::ComesAndGoes || self.age() < 0.75 * self.generation.period
    }

    fn age(&self) -> f64 {
        self.now - self.generation.since
    }

    fn status(&self) -> Status {
        let deploying = self.age() < DEPLOYING;
        match self.course {
            Course::StopsAndStarts if self.age() >= 0.7 * self.generation.period => Status::Stopped,
            Course::Scales if deploying && self.scaled_up() => Status::Deploying,
            Course::Steady | Course::Scales => Status::Running,
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
        match self.course {
            Course::ComesAndGoes => (application, names::of_generation(&base, self.generation.number)),
            _ => (application, base),
        }
    }

    /// Builds the service.
    pub(super) fn service(&self, settings: &WorldSettings) -> Service {
        let (application, name) = self.names(settings);
        let generation = self.generation.number.cast_unsigned();
        let of_course = |when: Course, then: u64| if self.course == when { then } else { 0 };
        let key = hash(&[self.key, of_course(Course::ComesAndGoes, generation)]);
        let extra = match self.course {
            Course::Scales if self.scaled_up() => 1 + below(hash(&[key, 8, generation]), settings.instances),
            _ => 0,
        };
        let created_at = match self.course {
            Course::ComesAndGoes => self.generation.since,
            // Between June and December 2014, in milliseconds.
            _ => (between(hash(&[key, 5]), 1.402e9, 1.419e9) * 1e3).floor() / 1e3,
        };
        let steady = matches!(self.course, Course::Steady | Course::Scales);
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
            image_tag: match self.course {
                Course::Redeploys => format!("1.{}", self.generation.number.rem_euclid(1000)),
                _ if self.number == 0 => "4.1".to_owned(),
                _ => format!("{}.{}", 1 + hash(&[key, 10]) % 5, hash(&[key, 11]) % 20),
            },
            infrastructure,
            region,
            scales: self.course == Course::Scales,
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
            lot: if steady { 0 } else { generation },
            extra_lot: generation,
            since: if steady { None } else { Some(self.generation.since) },
            extra_since: self.generation.since,
            now: self.now,
            busy: settings.churn,
        };
        service.started = service.instance_numbers().count();
        service
    }
}

/// One service at one time, with all that the API tells of it.
#[derive(Debug, Clone)]
pub struct Service {
    /// The service's name, unique within its application.
    pub name: String,
    /// The application that it belongs to, if to any.
    pub application: Option<String>,
    /// The user or organization that it belongs to.
    pub namespace: String,
    /// The provider's identifier.
    pub uuid: String,
    /// What it is doing.
    pub status: Status,
    /// Seconds since the epoch.
    pub created_at: f64,
    /// What each instance may use.
    pub size: Size,
    /// The version of its image.
    pub image_tag: String,
    /// Whose machines it runs on.
    pub infrastructure: &'static str,
    /// Where it runs.
    pub region: &'static str,
    /// Whether the number of its instances changes by itself.
    pub scales: bool,
    /// How many instances it should have.
    pub target: usize,
    /// How many instances it has.
    pub started: usize,
    /// The port that it offers, if any.
    pub port: Option<u16>,
    key: u64,
    /// Instances below this number belong to `lot`, those from it on to `extra_lot`.
    base: usize,
    lot: u64,
    extra_lot: u64,
    /// When the lot began to start; `None` for instances that are there since the service was made.
    since: Option<f64>,
    extra_since: f64,
    now: f64,
    busy: f64,
}

impl Service {
    /// Its instances at that time, built one by one as they are asked for.
    pub fn instances(&self) -> impl Iterator<Item = Instance> + '_ {
        self.instance_numbers().map(|number| self.build(number))
    }

    /// The instance of this identifier, without building the others.
    pub fn instance(&self, uuid: &str) -> Option<Instance> {
        let number = self.hidden_number(uuid)?;
        let there = number < self.target && self.status != Status::Stopped && self.born(number) <= self.now;
        there.then(|| self.build(number)).filter(|instance| instance.uuid == uuid)
    }

    /// Numbers of the instances that are there: of each lot the first ones.
    fn instance_numbers(&self) -> impl Iterator<Item = usize> + use<> {
        let (base, extra) = if self.status == Status::Stopped {
            (0, 0)
        } else {
            let there = |number: usize| self.born(number) <= self.now;
            let extra = self.target - self.base;
            (first_not(self.base, there), first_not(extra, |nth| there(self.base + nth)))
        };
        (0..base).chain(self.base..self.base + extra)
    }

    /// When an instance was made, in seconds since the epoch: within 25 s after its lot, one after another.
    fn born(&self, number: usize) -> f64 {
        #[cfg(test)]
        BORN.with(|asked| asked.set(asked.get() + 1));
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
        Instance::new(instance::Birth {
            name: format!("{}.{number}", self.name),
            uuid: self.instance_uuid(number),
            service_uuid: self.uuid.clone(),
            service: self.key,
            key: self.instance_key(number),
            size: self.size,
            born: self.born(number),
            busy: self.busy,
        })
    }

    fn instance_key(&self, number: usize) -> u64 {
        let lot = if number < self.base { self.lot } else { self.extra_lot };
        hash(&[self.key, 20, lot, number as u64])
    }

    /// An identifier that hides the instance's number in its last eight digits, so that one is found among
    /// 100,000 without looking at the others.
    fn instance_uuid(&self, number: usize) -> String {
        let mut text = uuid(self.instance_key(number));
        text.truncate(28);
        // Writing to a String never fails.
        let _ = write!(text, "{:08x}", (number as u64 ^ self.mask()) & 0xffff_ffff);
        text
    }

    fn hidden_number(&self, uuid: &str) -> Option<usize> {
        let digits = u64::from_str_radix(uuid.get(28..)?, 16).ok()?;
        usize::try_from((digits ^ self.mask()) & 0xffff_ffff).ok()
    }

    fn mask(&self) -> u64 {
        hash(&[self.key, 21])
    }
}

/// The first number below `count` for which it is not so, else `count`; it is so up to some number and not from there on.
fn first_not(count: usize, is_so: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_so(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
thread_local! {
    /// How often it was asked when an instance was made: what it costs to find one.
    pub(super) static BORN: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Writes 128 bits made of `seed` as an identifier of the usual form.
fn uuid(seed: u64) -> String {
    let digits = hex(seed, 32);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}
