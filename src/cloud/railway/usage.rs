//! The measurements of all instances of an environment as the API sends them. Pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::cloud::error::AnswerProblem;
use crate::cloud::http::body::parse;
use crate::cloud::kit::InventoryBudget;
use crate::cloud::kit::list::{for_each, try_for_each};
use crate::cloud::kit::loose::Scalar;
use crate::cloud::kit::point::{Newest, Point};
use crate::cloud::model::{Limits, Measurement, MeasurementSet, Overrides, Sample, Scale};

/// Seconds from one value to the next, as they are asked for.
pub(super) const RESOLUTION: u32 = 60;

/// The bytes of what the API calls GB. Assumed to be what the word says: whether 2^30 are meant is not documented.
const GIGABYTE: f64 = 1e9;

/// The largest value: no count of cores or GB exceeds it.
const LARGEST: f64 = 1e9;

/// What is measured. Network traffic is not: whether a value is that of a minute or a running total is not documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measured {
    /// CPU in use, in cores.
    Cpu,
    /// Memory in use, in GB.
    Memory,
    /// The instance's own disk in use, in GB. Volumes belong to services.
    Disk,
    /// CPU that it may use, in cores.
    CpuLimit,
    /// Memory that it may use, in GB.
    MemoryLimit,
}

impl Measured {
    /// All of them.
    pub(super) const ALL: [Self; 5] =
        [Self::Cpu, Self::Memory, Self::Disk, Self::CpuLimit, Self::MemoryLimit];

    /// The measurements that they become.
    pub(super) const MEASUREMENTS: MeasurementSet =
        MeasurementSet::of(&[Measurement::CpuUsageCores, Measurement::MemoryUsage, Measurement::DiskUsage]);

    /// The API's word.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU_USAGE",
            Self::Memory => "MEMORY_USAGE_GB",
            Self::Disk => "EPHEMERAL_DISK_USAGE_GB",
            Self::CpuLimit => "CPU_LIMIT",
            Self::MemoryLimit => "MEMORY_LIMIT_GB",
        }
    }
}

/// What was measured of one instance.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct InstanceUsage {
    newest: [Option<Point>; Measured::ALL.len()],
    region: Option<String>,
}

impl InstanceUsage {
    fn newest(&self, measured: Measured) -> Option<Point> {
        self.newest[measured as usize]
    }

    /// When the newest of its values was measured, in seconds since the epoch.
    pub(super) fn newest_time(&self) -> Option<f64> {
        self.newest.iter().flatten().map(|point| point.time).max_by(f64::total_cmp)
    }

    /// Its values. `None` where there are none.
    pub(super) fn sample(&self) -> Option<Sample> {
        let mut sample = Sample::builder();
        for (measured, measurement, factor) in [
            (Measured::Cpu, Measurement::CpuUsageCores, 1.0),
            (Measured::Memory, Measurement::MemoryUsage, GIGABYTE),
            (Measured::Disk, Measurement::DiskUsage, GIGABYTE),
        ] {
            if let Some(Point { time, value }) = self.newest(measured) {
                sample.add(measurement, Scale::Base, value * factor, time);
            }
        }
        let sample = sample.build();
        (!sample.is_empty()).then_some(sample)
    }

    /// Its own region and limits. A limit of 0 is none.
    pub(super) fn overrides(&self) -> Overrides {
        let limit = |measured, factor| {
            self.newest(measured).map(|point| point.value * factor).filter(|limit| *limit > 0.0)
        };
        let limits = Limits {
            cpu_cores: limit(Measured::CpuLimit, 1.0),
            memory_bytes: limit(Measured::MemoryLimit, GIGABYTE),
            disk_bytes: None,
        };
        Overrides { region: self.region.clone(), size: None, limits }
    }
}

/// What was measured of the instances of an environment, by their ids. Those that have ended are among them.
pub(super) type Usage = HashMap<String, InstanceUsage>;

/// Reads the newest values of each instance from `data`, of those that are not older than `oldest` (seconds since the epoch).
/// `TooLarge` where there are more than the budget allows.
pub(super) fn newest(data: &str, oldest: f64, budget: &mut InventoryBudget) -> Result<Usage, AnswerProblem> {
    #[derive(Deserialize)]
    struct WireData<'a> {
        #[serde(borrow)]
        metrics: &'a RawValue,
    }
    #[derive(Deserialize)]
    struct WireResult<'a> {
        #[serde(borrow, default)]
        measurement: Scalar<'a>,
        #[serde(borrow)]
        tags: WireTags<'a>,
        #[serde(borrow)]
        values: &'a RawValue,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct WireTags<'a> {
        #[serde(borrow, default)]
        deployment_instance_id: Scalar<'a>,
        #[serde(borrow, default)]
        region: Scalar<'a>,
    }
    let mut usage = Usage::new();
    try_for_each(parse::<WireData<'_>>(data)?.metrics.get(), |result: WireResult<'_>| {
        let measured = Measured::ALL
            .into_iter()
            .find(|one| matches!(&result.measurement, Scalar::Text(name) if name == one.name()));
        // A result without an instance is of its service as a whole.
        let (Some(measured), Some(id)) = (measured, result.tags.deployment_instance_id.into_text()) else {
            return Ok(());
        };
        let Some(point) = newest_of(result.values.get(), oldest)? else { return Ok(()) };
        add(&mut usage, id, measured, point, result.tags.region.into_text(), budget)
    })?;
    Ok(usage)
}

fn add(
    usage: &mut Usage,
    id: String,
    measured: Measured,
    point: Point,
    region: Option<String>,
    budget: &mut InventoryBudget,
) -> Result<(), AnswerProblem> {
    let instance = match usage.entry(id) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(new) => {
            budget.spend_entry::<InstanceUsage>(new.key().len() + region.as_ref().map_or(0, String::len))?;
            new.insert(InstanceUsage::default())
        }
    };
    instance.newest[measured as usize] = Some(point);
    // All results of an instance name its one region.
    if instance.region.is_none() {
        instance.region = region;
    }
    Ok(())
}

fn newest_of(values: &str, oldest: f64) -> Result<Option<Point>, AnswerProblem> {
    #[derive(Deserialize)]
    struct WireValue<'a> {
        #[serde(borrow, default)]
        ts: Scalar<'a>,
        #[serde(borrow, default)]
        value: Scalar<'a>,
    }
    let mut newest = Newest::since(oldest);
    for_each(values, |wire: WireValue<'_>| {
        let value = wire.value.number().filter(|value| (0.0..=LARGEST).contains(value));
        newest.offer(wire.ts.number(), value);
        true
    })?;
    Ok(newest.point())
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
