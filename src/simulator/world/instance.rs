//! One instance: when it started, and its measurements at any time since.

use super::load::Load;
use super::size::Size;
use crate::simulator::numbers::{between, floor, hash, whole};

/// How many seconds old data is before the API returns it.
pub const LAG: f64 = 30.0;

/// The most points in one response. The documentation names no limit; a server needs one.
pub const MOST_POINTS: usize = 10_000;

/// The unit in which memory is allocated, in bytes.
const PAGE: u64 = 4096;

/// All measurements of an instance at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Seconds since the epoch.
    pub time: i64,
    /// CPU time since the instance started, in nanoseconds.
    pub cpu_nanoseconds: u64,
    /// CPU time in percent of one core over the time since the instance started.
    pub cpu_percent: f64,
    /// Memory usage in bytes.
    pub memory_bytes: u64,
    /// Memory usage in percent of the instance's memory limit.
    pub memory_percent: f64,
    /// Bytes received since the instance started.
    pub rx_bytes: u64,
    /// Errors while receiving since the instance started.
    pub rx_errors: u64,
    /// Bytes sent since the instance started.
    pub tx_bytes: u64,
    /// Errors while sending since the instance started.
    pub tx_errors: u64,
}

/// What a service knows about an instance before it is built.
pub(super) struct InstanceSpec {
    pub(super) name: String,
    pub(super) uuid: String,
    pub(super) service_uuid: String,
    pub(super) service: u64,
    pub(super) key: u64,
    pub(super) size: Size,
    pub(super) created_at: f64,
    pub(super) churn: f64,
}

/// One instance.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The instance's name, such as `kibana.0`.
    pub name: String,
    /// The provider's identifier; a redeployed instance has another one.
    pub uuid: String,
    /// The identifier of its service.
    pub service_uuid: String,
    /// What it may use.
    pub size: Size,
    /// When it was created, in seconds since the epoch; there is no data from before.
    pub created_at: f64,
    key: u64,
    load: Load,
    /// Seconds from one restart to the next.
    restarts_every: f64,
}

impl Instance {
    pub(super) fn new(spec: InstanceSpec) -> Self {
        let InstanceSpec { name, uuid, service_uuid, service, key, size, created_at, churn } = spec;
        // Six hours to three days; an hour at the most in a world that changes all the time.
        let slow = between(hash(&[key, 1]), 21_600.0, 259_200.0);
        let fast = between(hash(&[key, 1]), 600.0, 3600.0);
        Self {
            name,
            uuid,
            service_uuid,
            size,
            created_at,
            key,
            load: Load::new(service, key, size.cores),
            restarts_every: churn.mul_add(fast - slow, slow).floor(),
        }
    }

    /// When it last started before or at `time`, in seconds since the epoch. Counters begin at zero there.
    pub fn started_at(&self, time: f64) -> f64 {
        let phase = between(hash(&[self.key, 2]), 0.0, self.restarts_every).floor();
        let restart = ((time - phase) / self.restarts_every).floor().mul_add(self.restarts_every, phase);
        restart.max(self.created_at)
    }

    /// How often it was restarted from its creation to `time`.
    pub fn restarts(&self, time: f64) -> u64 {
        let phase = between(hash(&[self.key, 2]), 0.0, self.restarts_every).floor();
        let periods = |until: f64| ((until - phase) / self.restarts_every).floor();
        whole((periods(time) - periods(self.created_at)).max(0.0))
    }

    /// CPU cores in use at a time: the rate at which its counter grows.
    pub fn cores_in_use(&self, time: f64) -> f64 {
        self.load.at(time)
    }

    /// The measurements at a time; `None` before the instance was created.
    pub fn point(&self, time: i64) -> Option<Point> {
        let at = time as f64;
        if at < self.created_at {
            return None;
        }
        let start = self.started_at(at);
        let (uptime, cpu_seconds) = (at - start, self.load.total(start, at));
        let cpu_nanoseconds = whole(cpu_seconds * 1e9);
        let memory_bytes = self.memory(at, uptime);
        // Traffic follows the CPU load, and an idle instance has a little.
        let traffic = |n: u64, low: f64, high: f64| {
            let per_cpu_second = between(hash(&[self.key, n]), low, high);
            let idle = between(hash(&[self.key, n + 1]), 10.0, 100.0);
            whole(cpu_seconds.mul_add(per_cpu_second, uptime * idle))
        };
        // Most networks lose nothing.
        let errors = |n: u64| {
            let lossy = hash(&[self.key, n]).is_multiple_of(10);
            if lossy { whole(uptime / between(hash(&[self.key, n + 1]), 600.0, 7200.0)) } else { 0 }
        };
        Some(Point {
            time,
            cpu_nanoseconds,
            cpu_percent: if uptime > 0.0 { cpu_nanoseconds as f64 / 1e9 / uptime * 100.0 } else { 0.0 },
            memory_bytes,
            memory_percent: memory_bytes as f64 / (f64::from(self.size.mebibytes) * 1_048_576.0) * 100.0,
            rx_bytes: traffic(30, 2e3, 2e5),
            rx_errors: errors(32),
            tx_bytes: traffic(34, 1e3, 4e5),
            tx_errors: errors(36),
        })
    }

    /// What the API returns at `now` for a window, newest first: a point every `period` seconds, at offsets of the
    /// instance's own, none younger than [`LAG`], at most [`MOST_POINTS`].
    pub fn points(&self, start: i64, end: i64, period: i64, now: f64) -> impl Iterator<Item = Point> + '_ {
        let period = period.max(1);
        let offset = floor(between(hash(&[self.key, 40]), 0.0, period as f64));
        let newest = end.min(floor(now - LAG));
        let last = newest.saturating_sub((newest.saturating_sub(offset)).rem_euclid(period));
        (0..)
            .map_while(move |n: i64| last.checked_sub(n.checked_mul(period)?))
            .take_while(move |time| *time >= start)
            .map_while(|time| self.point(time))
            .take(MOST_POINTS)
    }

    /// Bytes in use: a share that moves with the day, a slow leak until the next restart, in whole pages.
    fn memory(&self, at: f64, uptime: f64) -> u64 {
        let of = |n: u64, low: f64, high: f64| between(hash(&[self.key, n]), low, high);
        let day = (at / 86_400.0 + of(52, 0.0, 1.0)).fract() * std::f64::consts::TAU;
        let share = of(50, 0.03, 0.6) + of(51, 0.0, 0.1) * (1.0 + day.sin())
            // At most three days pass between restarts.
            + of(53, 0.0, 0.15) * uptime.min(259_200.0) / 259_200.0;
        let bytes = whole(share * f64::from(self.size.mebibytes) * 1_048_576.0);
        bytes - bytes % PAGE
    }
}
