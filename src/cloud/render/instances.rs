//! Which instances a service has, by the points of their metrics: the API lists instances for one service at a time only,
//! and an instance that has ended is still in the answers. Pure.

use std::collections::{BTreeMap, HashMap};

use super::metric::STEP;
use super::series::Answer;
use crate::cloud::kit::point::Point;

/// The instances of a service as the API listed them.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct InstanceList {
    /// When, in seconds since the epoch.
    pub(super) at: f64,
    /// When each of them was created, in seconds since the epoch. Only those that metrics were of when the list was asked for.
    pub(super) created: HashMap<String, Option<f64>>,
    /// Whether no other instance was in the list. One that could not be read ends none.
    pub(super) is_complete: bool,
}

/// The newest points of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct InstancePoints {
    pub(super) cpu: Option<Point>,
    pub(super) memory: Option<Point>,
}

impl InstancePoints {
    fn newest(&self) -> f64 {
        [self.cpu, self.memory].into_iter().flatten().map(|point| point.time).fold(f64::MIN, f64::max)
    }
}

/// The instances that a service has now, by id: those with a point in the last two steps before `newest`, the newest point
/// of the account. One that a complete list lacks has ended, unless it has a point from after the list was made, or the list has
/// none of them: then it does not call instances as the metrics do.
pub(super) fn present<'a>(
    service: &str,
    cpu: Option<&'a Answer>,
    memory: Option<&'a Answer>,
    newest: f64,
    list: Option<&InstanceList>,
) -> BTreeMap<&'a str, InstancePoints> {
    let mut instances: BTreeMap<&str, InstancePoints> = BTreeMap::new();
    for one in cpu.map(|cpu| cpu.of(service)).unwrap_or_default() {
        instances.entry(&one.name).or_default().cpu = Some(one.point);
    }
    for one in memory.map(|memory| memory.of(service)).unwrap_or_default() {
        instances.entry(&one.name).or_default().memory = Some(one.point);
    }
    let ended_before = newest - (2 * STEP) as f64;
    let list = list.filter(|list| list.is_complete);
    let list = list.filter(|list| instances.keys().any(|id| list.created.contains_key(*id)));
    instances.retain(|id, points| {
        let has_ended =
            list.is_some_and(|list| !list.created.contains_key(*id) && points.newest() <= list.at);
        points.newest() > ended_before && !has_ended
    });
    instances
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::kit::InventoryBudget;
    use crate::cloud::render::metric::Metric;
    use crate::cloud::render::series;

    /// 2026-11-27T10:00:00Z.
    const TEN: f64 = 1_795_773_600.0;

    /// An answer with these instances, each with its newest point at so many seconds past ten.
    fn answer(metric: Metric, unit: &str, instances: &[(&str, u32)]) -> Answer {
        let series: Vec<_> = instances
            .iter()
            .map(|(instance, second)| {
                serde_json::json!({
                    "labels": [{"field": "resource", "value": "srv-a"}, {"field": "instance", "value": instance}],
                    "unit": unit,
                    "values": [{"timestamp": format!("2026-11-27T10:{:02}:{:02}Z", second / 60, second % 60), "value": 1}],
                })
            })
            .collect();
        let body = serde_json::Value::from(series).to_string();
        series::newest(body.as_bytes(), metric, 0, i64::MAX, &mut { InventoryBudget::PER_CYCLE }).unwrap()
    }

    fn ids(cpu: &[(&str, u32)], newest: u32, list: Option<&InstanceList>) -> Vec<String> {
        let cpu = answer(Metric::Cpu, "cpu", cpu);
        let present = present("srv-a", Some(&cpu), None, TEN + f64::from(newest), list);
        present.into_keys().map(str::to_owned).collect()
    }

    #[test]
    fn an_instance_without_a_point_in_the_last_two_steps_has_ended() {
        assert_eq!(ids(&[("a", 180), ("b", 120), ("c", 60)], 180, None), ["a", "b"]);
        assert!(ids(&[("a", 180)], 420, None).is_empty(), "other services have newer points");
    }

    #[test]
    fn an_instance_that_the_list_lacks_has_ended_unless_it_is_newer_than_the_list() {
        let list =
            InstanceList { at: TEN + 150.0, created: [("a".to_owned(), None)].into(), is_complete: true };
        assert_eq!(ids(&[("a", 120), ("old", 120), ("new", 180)], 180, Some(&list)), ["a", "new"]);
        assert_eq!(ids(&[("old", 120)], 180, Some(&list)), ["old"], "the list may call instances otherwise");
    }

    #[test]
    fn either_metric_shows_that_an_instance_is_there() {
        let cpu = answer(Metric::Cpu, "cpu", &[("a", 60)]);
        let memory = answer(Metric::Memory, "bytes", &[("a", 120), ("b", 120)]);
        let present = present("srv-a", Some(&cpu), Some(&memory), TEN + 120.0, None);
        let has: Vec<_> =
            present.iter().map(|(id, points)| (*id, points.cpu.is_some(), points.memory.is_some())).collect();
        assert_eq!(has, [("a", true, true), ("b", false, true)]);
    }
}
