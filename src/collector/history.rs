//! The last hour of each service: CPU and memory in a point a minute, what follows from counters, and restarts.
//!
//! Made anew with each snapshot, from the one before it and the newest values, and never changed afterwards. A service takes
//! [`SERVICE_BYTES`], whatever happens to it. Pure.

use std::cell::LazyCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::cloud::model::{Measurement, Sample};
use crate::exposition::values::{InstanceEntry, ServiceEntry};

/// How many minutes are kept.
pub const MINUTES: u32 = 60;
/// What a service takes, in bytes.
pub const SERVICE_BYTES: usize = size_of::<ServiceHistory>();
/// Restarts are counted in parts of an hour of so many minutes.
const PART_MINUTES: u32 = 10;
const PARTS: u32 = MINUTES / PART_MINUTES;

/// The histories of an account's services, in the order of its values.
#[derive(Debug, Clone, Default)]
pub struct History(Arc<[ServiceHistory]>);

/// The last hour of one service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceHistory {
    cpu: Ring,
    memory: Ring,
    /// The minute of the newest points, since the epoch.
    minute: u32,
    rates: Rates,
    /// Restarts in each part of the hour; the part is the minute's, divided.
    restarts: [u16; PARTS as usize],
    /// Whether it was ill at last, and the minute since when, where it was seen well before.
    is_ill: bool,
    ill_since: Option<u32>,
}

/// What a service uses in a second, all instances together. From the cloud's own rates, or from its counters.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rates {
    /// CPU in cores.
    pub cpu_cores: Option<f32>,
    /// Bytes received.
    pub receive: Option<f32>,
    /// Bytes sent.
    pub transmit: Option<f32>,
}

impl History {
    /// The histories at `now` of these services, going on from this one, which is that of the services `entries`.
    #[must_use]
    pub fn next(&self, entries: &[ServiceEntry], services: &[ServiceEntry], now: SystemTime) -> Self {
        let minute = minute(now);
        // Nearly always the services are those before, and no map is needed.
        let known: LazyCell<HashMap<&str, usize>, _> = LazyCell::new(|| {
            entries.iter().enumerate().map(|(index, service)| (service.labels.as_str(), index)).collect()
        });
        let next = |(index, service): (usize, &ServiceEntry)| {
            let stays = entries.get(index).is_some_and(|before| before.labels == service.labels);
            let index = if stays { Some(index) } else { known.get(service.labels.as_str()).copied() };
            let history = index.and_then(|index| self.get(index));
            let entry = index.and_then(|index| entries.get(index));
            ServiceHistory::after(history, entry, service, minute)
        };
        Self(services.iter().enumerate().map(next).collect())
    }

    /// The histories of services in the order of the values.
    pub fn of(services: Vec<ServiceHistory>) -> Self {
        Self(services.into())
    }

    /// That of the service at this place of the values.
    pub fn get(&self, index: usize) -> Option<&ServiceHistory> {
        self.0.get(index)
    }

    /// What all of them take, in bytes.
    pub fn bytes(&self) -> usize {
        self.0.len() * SERVICE_BYTES
    }
}

fn minute(now: SystemTime) -> u32 {
    let minutes = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs() / 60;
    u32::try_from(minutes).unwrap_or(u32::MAX)
}

impl ServiceHistory {
    fn after(history: Option<&Self>, before: Option<&ServiceEntry>, now: &ServiceEntry, minute: u32) -> Self {
        let new = Self {
            cpu: Ring::EMPTY,
            memory: Ring::EMPTY,
            minute,
            rates: Rates::default(),
            restarts: [0; PARTS as usize],
            is_ill: now.facts.is_ill(),
            ill_since: None,
        };
        let mut next = history.cloned().unwrap_or(new);
        // A clock that is set back writes over the newest minute.
        let minute = minute.max(next.minute);
        next.advance(minute);
        let was_ill = std::mem::replace(&mut next.is_ill, now.facts.is_ill());
        next.ill_since = match (was_ill, next.is_ill) {
            (_, false) => None,
            (false, true) => Some(minute),
            (true, true) => next.ill_since,
        };
        let changes = Changes::between(before, now);
        next.rates = changes.rates(&next.rates);
        next.cpu.set(minute, next.rates.cpu_cores);
        let memory = sum(now.instances.iter().map(|instance| value(instance, Measurement::MemoryUsage)));
        // A ring has 8 bits of precision.
        #[allow(clippy::cast_possible_truncation)]
        next.memory.set(minute, memory.map(|bytes| bytes as f32));
        let part = &mut next.restarts[part(minute)];
        *part = part.saturating_add(changes.restarts);
        next
    }

    /// Forgets what is older than an hour at this minute, and goes there.
    fn advance(&mut self, minute: u32) {
        let skipped = minute.saturating_sub(self.minute).min(MINUTES);
        for at in minute - skipped..minute {
            self.cpu.set(at + 1, None);
            self.memory.set(at + 1, None);
        }
        let parts = (minute / PART_MINUTES).saturating_sub(self.minute / PART_MINUTES).min(PARTS);
        for back in 0..parts {
            self.restarts[part(minute.saturating_sub(back * PART_MINUTES))] = 0;
        }
        self.minute = minute;
    }

    /// CPU in cores, minute by minute, the oldest first.
    pub fn cpu(&self) -> impl Iterator<Item = Option<f32>> {
        self.cpu.until(self.minute)
    }

    /// Memory in bytes, likewise.
    pub fn memory(&self) -> impl Iterator<Item = Option<f32>> {
        self.memory.until(self.minute)
    }

    /// Since when it has been ill, in seconds since the epoch. `None` also where it was so from the first collection on.
    pub fn ill_since(&self) -> Option<f64> {
        self.ill_since.map(|minute| f64::from(minute) * 60.0)
    }

    /// What it uses now.
    pub fn rates(&self) -> Rates {
        self.rates
    }

    /// Restarts in the last hour, to ten minutes: of instances, and of those that replaced one of the same name.
    pub fn restarts(&self) -> usize {
        self.restarts.iter().map(|part| usize::from(*part)).sum()
    }
}

fn part(minute: u32) -> usize {
    (minute / PART_MINUTES % PARTS) as usize
}

/// A value for each of the last minutes, in 2 bytes: the upper bits of an `f32` without its sign, which keeps 8 bits of
/// precision for cores as for bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u16>", into = "Vec<u16>")]
struct Ring([u16; MINUTES as usize]);

impl From<Ring> for Vec<u16> {
    fn from(ring: Ring) -> Self {
        ring.0.into()
    }
}

impl TryFrom<Vec<u16>> for Ring {
    type Error = &'static str;

    fn try_from(values: Vec<u16>) -> Result<Self, Self::Error> {
        values.try_into().map(Self).map_err(|_| "an hour has 60 minutes")
    }
}

impl Ring {
    /// What no value has: it would be no number.
    const NONE: u16 = u16::MAX;
    const EMPTY: Self = Self([Self::NONE; MINUTES as usize]);

    fn set(&mut self, minute: u32, value: Option<f32>) {
        let value = value.filter(|value| value.is_finite()).map(|value| value.max(0.0));
        // Without the sign bit 16 bits are left.
        #[allow(clippy::cast_possible_truncation)]
        let bits = value.map_or(Self::NONE, |value| (value.to_bits() >> 15) as u16);
        self.0[(minute % MINUTES) as usize] = bits;
    }

    /// The values up to this minute, the oldest first.
    fn until(&self, minute: u32) -> impl Iterator<Item = Option<f32>> {
        let first = minute % MINUTES + 1;
        (0..MINUTES).map(move |index| {
            let bits = self.0[((first + index) % MINUTES) as usize];
            (bits != Self::NONE).then(|| f32::from_bits(u32::from(bits) << 15))
        })
    }
}

/// What happened to a service's instances between two snapshots.
struct Changes<'a> {
    /// Each instance, with its sample before.
    instances: Vec<(&'a InstanceEntry, Option<&'a Sample>)>,
    restarts: u16,
}

impl<'a> Changes<'a> {
    fn between(before: Option<&'a ServiceEntry>, now: &'a ServiceEntry) -> Self {
        let old = before.map(|before| &before.instances[..]).unwrap_or_default();
        let by_id: LazyCell<HashMap<&str, &InstanceEntry>, _> =
            LazyCell::new(|| old.iter().map(|instance| (&*instance.facts.id, instance)).collect());
        let by_name: LazyCell<HashMap<&str, &InstanceEntry>, _> =
            LazyCell::new(|| old.iter().map(|instance| (&*instance.facts.name, instance)).collect());
        let mut restarts = 0_u16;
        let mut instances = Vec::with_capacity(now.instances.len());
        for (index, instance) in now.instances.iter().enumerate() {
            let stays = old.get(index).filter(|before| before.facts.id == instance.facts.id);
            let same = stays.or_else(|| by_id.get(&*instance.facts.id).copied());
            // One that has taken the place of another counts as its restart.
            let earlier = same.or_else(|| by_name.get(&*instance.facts.name).copied());
            restarts = restarts.saturating_add(earlier.map_or(0, |earlier| restarts_of(earlier, instance)));
            instances.push((instance, same.and_then(|same| same.sample.as_ref())));
        }
        Self { instances, restarts }
    }

    /// The rates now; those before where no newer values have come.
    fn rates(&self, before: &Rates) -> Rates {
        let rate = |gauge, counter, before: Option<f32>| {
            let gauges = sum(self.instances.iter().map(|(instance, _)| value(instance, gauge)));
            // They are shown, not calculated with.
            #[allow(clippy::cast_possible_truncation)]
            match (gauges, self.counted(counter)) {
                (Some(gauge), _) => Some(gauge as f32),
                (None, Counted::Rate(rate)) => Some(rate as f32),
                (None, Counted::Nothing) => None,
                (None, Counted::NotYet) => before,
            }
        };
        Rates {
            cpu_cores: rate(Measurement::CpuUsageCores, Measurement::CpuUsageSeconds, before.cpu_cores),
            receive: rate(Measurement::ReceiveRate, Measurement::ReceiveBytes, before.receive),
            transmit: rate(Measurement::TransmitRate, Measurement::TransmitBytes, before.transmit),
        }
    }

    /// How fast a counter grows, all instances together.
    fn counted(&self, counter: Measurement) -> Counted {
        let (mut rate, mut any, mut new) = (0.0, false, 0);
        for (instance, before) in &self.instances {
            let Some(now) = instance.sample.as_ref().and_then(|sample| sample.get(counter)) else { continue };
            any = true;
            let Some(before) = before.and_then(|before| before.get(counter)) else {
                new += 1;
                continue;
            };
            let seconds = now.time - before.time;
            if seconds <= 0.0 {
                return Counted::NotYet;
            }
            // A counter that is less than before has begun anew.
            let grown = now.base() - before.base();
            rate += if grown < 0.0 { now.base() } else { grown } / seconds;
        }
        match any {
            false => Counted::Nothing,
            true if new == self.instances.len() => Counted::NotYet,
            true => Counted::Rate(rate),
        }
    }
}

/// What a counter says.
enum Counted {
    /// No instance has it.
    Nothing,
    /// There are no two values of different times yet.
    NotYet,
    Rate(f64),
}

/// How often an instance has restarted since: as the cloud counts, or once where its start has changed.
fn restarts_of(before: &InstanceEntry, now: &InstanceEntry) -> u16 {
    let counted = |instance| value(instance, Measurement::Restarts);
    if before.facts.id == now.facts.id
        && let (Some(before), Some(now)) = (counted(before), counted(now))
    {
        // As a cast does: what is below 0 is 0.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        return (now - before) as u16;
    }
    let started = before.facts.start_time().zip(now.facts.start_time());
    u16::from(started.is_some_and(|(before, now)| now > before))
}

fn value(instance: &InstanceEntry, measurement: Measurement) -> Option<f64> {
    instance.sample.as_ref()?.value(measurement)
}

/// The sum of those that are known; `None` if none is.
fn sum(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    values.flatten().reduce(|one, other| one + other)
}

#[cfg(test)]
mod tests;
