//! The instances of a process as the API sends them, with their newest measurements. Pure.
//!
//! Many zeros mean nothing here: an instance that was not measured yet has zeros in `usage` and no quotas.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::state::of_instance;
use crate::cloud::error::AnswerProblem;
use crate::cloud::http::body::{json_text, parse};
use crate::cloud::kit::InventoryBudget;
use crate::cloud::kit::list::for_each;
use crate::cloud::kit::loose::Scalar;
use crate::cloud::model::{
    Instance, InstanceFacts, Limits, Measurement, Overrides, Reading, Sample, Scale, State,
};

/// The most of any value. No instance has as much memory or as many cores; what exceeds it is another thing.
const LARGEST: f64 = 1e18;

/// The instances of one process.
#[derive(Debug, PartialEq)]
pub(super) struct Stats {
    pub(super) instances: Vec<Instance>,
    /// How many of them may get requests; `None` where the API does not say.
    pub(super) routable: Option<i64>,
    /// Whether the cloud could not read the measurements of a running instance.
    pub(super) lacks_measurements: bool,
}

/// What the instances of a process have in common.
pub(super) struct Process<'a> {
    pub(super) guid: &'a str,
    /// The name of its service.
    pub(super) service: &'a str,
    pub(super) limits: Limits,
}

/// Reads the instances of a process. `TooLarge` where they exceed the budget.
pub(super) fn stats(
    body: &[u8],
    process: &Process<'_>,
    mut budget: InventoryBudget,
) -> Result<Stats, AnswerProblem> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        resources: &'a RawValue,
    }
    let wire: Wire<'_> = parse(json_text(body)?)?;
    let mut stats = Stats { instances: Vec::new(), routable: None, lacks_measurements: false };
    let mut outcome = Ok(());
    for_each(wire.resources.get(), |entry: &RawValue| {
        outcome = add(&mut stats, entry, process, &mut budget);
        outcome.is_ok()
    })?;
    outcome.map(|()| stats)
}

fn add(
    stats: &mut Stats,
    entry: &RawValue,
    process: &Process<'_>,
    budget: &mut InventoryBudget,
) -> Result<(), AnswerProblem> {
    let wire = object::<WireInstance<'_>>(Some(entry)).ok_or(AnswerProblem::Shape)?;
    let usage = object::<WireUsage<'_>>(wire.usage);
    let facts = wire.facts(usage.as_ref(), process)?;
    budget.spend_instance(&facts)?;
    let runs = facts.state == Some(State::Running);
    if let Some(routable) = wire.routable.map(RawValue::get).filter(|text| matches!(*text, "true" | "false"))
    {
        *stats.routable.get_or_insert(0) += i64::from(runs && routable == "true");
    }
    let sample = usage.as_ref().and_then(|usage| usage.sample(&wire));
    stats.lacks_measurements |= runs && usage.as_ref().is_none_or(WireUsage::is_empty);
    let reading = match sample {
        Some(sample) => Reading::measured(sample),
        None if runs => Reading::no_data(),
        None => Reading::not_running(),
    };
    stats.instances.push(Instance { facts: Arc::new(facts), reading });
    Ok(())
}

/// Reads an object whose fields may be missing. `None` for anything else.
fn object<'a, T: Deserialize<'a>>(json: Option<&'a RawValue>) -> Option<T> {
    let text = json?.get();
    serde_json::from_str(text).ok().filter(|_| text.starts_with('{'))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireInstance<'a> {
    #[serde(borrow)]
    index: Scalar<'a>,
    #[serde(borrow)]
    instance_guid: Scalar<'a>,
    #[serde(borrow)]
    state: Scalar<'a>,
    #[serde(borrow)]
    uptime: Scalar<'a>,
    #[serde(borrow)]
    mem_quota: Scalar<'a>,
    #[serde(borrow)]
    disk_quota: Scalar<'a>,
    #[serde(borrow)]
    routable: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WireUsage<'a> {
    #[serde(borrow)]
    time: Scalar<'a>,
    #[serde(borrow)]
    cpu: Scalar<'a>,
    #[serde(borrow)]
    cpu_entitlement: Scalar<'a>,
    #[serde(borrow)]
    mem: Scalar<'a>,
    #[serde(borrow)]
    disk: Scalar<'a>,
}

impl WireInstance<'_> {
    /// An instance is named by its index, which stays, and identified by its guid, which is that of its container. One
    /// that no cell runs has none.
    fn facts(
        &self,
        usage: Option<&WireUsage<'_>>,
        process: &Process<'_>,
    ) -> Result<InstanceFacts, AnswerProblem> {
        let index = self.index.count().ok_or(AnswerProblem::Shape)?;
        let state = self.state.clone().into_text().map(|word| of_instance(&word));
        let runs = state == Some(State::Running);
        let started_at = usage
            .and_then(|usage| usage.time.epoch_seconds())
            .zip(self.uptime.number().filter(|uptime| *uptime >= 0.0))
            .map(|(now, uptime)| now - uptime)
            .filter(|start| runs && *start > 0.0);
        let own = Limits {
            memory_bytes: quota(&self.mem_quota),
            disk_bytes: quota(&self.disk_quota),
            cpu_cores: None,
        };
        // Nearly all instances have the limits of their process.
        let has_own = own.or(process.limits) != process.limits;
        Ok(InstanceFacts {
            name: format!("{}-{index}", process.service),
            id: self.instance_guid.clone().into_text().unwrap_or_else(|| format!("{}/{index}", process.guid)),
            state,
            started_at,
            overrides: has_own.then(|| Box::new(Overrides { limits: own, ..Overrides::default() })),
            ..InstanceFacts::default()
        })
    }
}

impl WireUsage<'_> {
    /// Whether nothing is said at all, as where the store of measurements fails.
    fn is_empty(&self) -> bool {
        [&self.time, &self.cpu, &self.mem, &self.disk].iter().all(|value| value.number().is_none())
    }

    /// The values, unless there are none yet: then memory is 0 and there is no quota.
    fn sample(&self, instance: &WireInstance<'_>) -> Option<Sample> {
        let memory = value(&self.mem);
        let is_measured = quota(&instance.mem_quota).is_some() || memory.is_some_and(|bytes| bytes > 0.0);
        let time = self.time.epoch_seconds().filter(|_| is_measured)?;
        let mut sample = Sample::builder();
        for (measurement, value) in [
            (Measurement::CpuUsageCores, value(&self.cpu)),
            (Measurement::CpuEntitlementUtilization, value(&self.cpu_entitlement)),
            (Measurement::MemoryUsage, memory),
            (Measurement::DiskUsage, value(&self.disk)),
        ] {
            if let Some(value) = value {
                sample.add(measurement, Scale::Base, value, time);
            }
        }
        Some(sample.build()).filter(|sample| !sample.is_empty())
    }
}

fn value(scalar: &Scalar<'_>) -> Option<f64> {
    scalar.number().filter(|number| (0.0..=LARGEST).contains(number))
}

fn quota(scalar: &Scalar<'_>) -> Option<f64> {
    value(scalar).filter(|bytes| *bytes > 0.0)
}

#[cfg(test)]
#[path = "stats_tests.rs"]
mod tests;
