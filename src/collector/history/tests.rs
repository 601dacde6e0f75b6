use std::sync::Arc;

use super::*;
use crate::cloud::model::{InstanceFacts, Scale, ServiceFacts};
use crate::exposition::labels::LabelSet;

const START: u64 = 1_800_000_000 / 3600 * 3600;

/// An account's collection, minute by minute.
struct Account {
    at: u64,
    services: Vec<ServiceEntry>,
    history: History,
}

impl Account {
    fn new() -> Self {
        Self { at: START, services: Vec::new(), history: History::default() }
    }

    /// So many seconds later, these services are collected.
    fn later(&mut self, seconds: u64, services: Vec<ServiceEntry>) {
        self.at += seconds;
        let now = UNIX_EPOCH + Duration::from_secs(self.at);
        self.history = self.history.next(&self.services, &services, now);
        self.services = services;
    }

    fn history(&self, index: usize) -> &ServiceHistory {
        self.history.get(index).unwrap()
    }

    /// The known points of the CPU, with how many minutes ago they were.
    fn cpu(&self) -> Vec<(usize, f32)> {
        let points = self.history(0).cpu().enumerate();
        points.filter_map(|(index, value)| Some((59 - index, value?))).collect()
    }
}

fn service(name: &str, instances: Vec<InstanceEntry>) -> ServiceEntry {
    let labels = LabelSet::account("team-a", "acme").service(None, name).0;
    let facts = Arc::new(ServiceFacts { name: name.into(), ..ServiceFacts::default() });
    ServiceEntry { labels, facts, sample: None, instances }
}

fn instance(id: &str, started_at: f64, time: u64, values: &[(Measurement, f64)]) -> InstanceEntry {
    let values: Vec<_> = values.iter().map(|(one, value)| (*one, Scale::Base, *value)).collect();
    let facts = InstanceFacts {
        name: "web.0".into(),
        id: id.into(),
        started_at: Some(started_at),
        ..InstanceFacts::default()
    };
    InstanceEntry {
        labels: LabelSet::account("team-a", "acme"),
        facts: Arc::new(facts),
        sample: Some(Sample::at(time as f64, &values)),
    }
}

fn cores(cores: f64) -> Vec<ServiceEntry> {
    vec![service("web", vec![instance("a", 1.0, START, &[(Measurement::CpuUsageCores, cores)])])]
}

#[test]
fn a_service_takes_less_than_300_bytes() {
    const { assert!(SERVICE_BYTES < 300) }
    let mut account = Account::new();
    account.later(0, (0..10).map(|number| service(&number.to_string(), vec![])).collect());
    assert_eq!(account.history.bytes(), 10 * SERVICE_BYTES);
}

#[test]
fn each_minute_keeps_its_newest_value_and_one_without_a_collection_none() {
    let mut account = Account::new();
    for (seconds, value) in [(0, 0.5), (30, 1.0), (30, 2.0), (120, 4.0)] {
        account.later(seconds, cores(value));
    }
    assert_eq!(account.cpu(), [(3, 1.0), (2, 2.0), (0, 4.0)]);
}

#[test]
fn an_hour_is_kept_and_no_more_however_long_nothing_was_collected() {
    let mut account = Account::new();
    for minute in 0..100 {
        account.later(60, cores(f64::from(minute)));
    }
    let cpu = account.cpu();
    assert_eq!((cpu.len(), cpu[0], cpu[59]), (60, (59, 40.0), (0, 99.0)));
    account.later(59 * 60, cores(7.0));
    assert_eq!(account.cpu(), [(59, 99.0), (0, 7.0)]);
    account.later(10_000 * 60, cores(8.0));
    assert_eq!(account.cpu(), [(0, 8.0)]);
}

#[test]
fn points_are_precise_to_half_a_percent_from_milli_cores_to_terabytes() {
    let mut account = Account::new();
    for value in [0.0, 0.001_23, 0.333, 1.0, 97.3, 123_456_789.0, 7.7e12] {
        let values = [(Measurement::MemoryUsage, value)];
        account.later(60, vec![service("web", vec![instance("a", 1.0, START, &values)])]);
        let kept = f64::from(account.history(0).memory().last().flatten().unwrap());
        assert!((kept - value).abs() <= value * 0.005, "{value} is kept as {kept}");
    }
}

#[test]
fn counters_become_rates_also_after_they_began_anew_and_while_no_newer_value_comes() {
    let mut account = Account::new();
    let counted = |time, seconds: f64, bytes: f64| {
        let values = [(Measurement::CpuUsageSeconds, seconds), (Measurement::ReceiveBytes, bytes)];
        vec![service("web", vec![instance("a", 1.0, START + time, &values)])]
    };
    let seen = |account: &Account| {
        let rates = account.history(0).rates();
        (rates.cpu_cores, rates.receive, rates.transmit)
    };
    account.later(0, counted(0, 100.0, 1000.0));
    assert_eq!(seen(&account), (None, None, None));
    account.later(30, counted(30, 115.0, 4000.0));
    assert_eq!(seen(&account), (Some(0.5), Some(100.0), None));
    // The cloud has measured nothing new.
    account.later(30, counted(30, 115.0, 4000.0));
    assert_eq!(seen(&account), (Some(0.5), Some(100.0), None));
    account.later(30, counted(60, 6.0, 4000.0));
    assert_eq!(seen(&account), (Some(0.2), Some(0.0), None));
}

#[test]
fn restarts_of_the_last_hour_are_counted_by_start_by_name_and_by_the_clouds_own_count() {
    let mut account = Account::new();
    let started = |id, at| vec![service("web", vec![instance(id, at, START, &[])])];
    account.later(0, started("a", 1.0));
    account.later(60, started("a", 1.0));
    assert_eq!(account.history(0).restarts(), 0);
    account.later(60, started("a", 2.0));
    account.later(60, started("b", 3.0));
    assert_eq!(account.history(0).restarts(), 2, "another start, and another instance of the name");
    account.later(61 * 60, started("b", 3.0));
    assert_eq!(account.history(0).restarts(), 0, "an hour later");

    let counted =
        |count| vec![service("web", vec![instance("c", 4.0, START, &[(Measurement::Restarts, count)])])];
    let mut account = Account::new();
    for count in [5.0, 7.0, 7.0, 8.0] {
        account.later(60, counted(count));
    }
    assert_eq!(account.history(0).restarts(), 3);
}

#[test]
fn a_history_goes_on_by_the_services_labels_whatever_its_place() {
    let mut account = Account::new();
    account.later(0, [cores(3.0), vec![service("other", vec![])]].concat());
    account.later(60, [vec![service("new", vec![])], cores(4.0)].concat());
    let known: Vec<f32> = account.history(1).cpu().flatten().collect();
    assert_eq!(known, [3.0, 4.0]);
    assert_eq!(account.history(0).cpu().flatten().count(), 0);
}

#[test]
fn since_when_a_service_is_ill_is_known_where_it_was_seen_well() {
    let mut account = Account::new();
    let runs = |running| {
        let mut one = service("web", vec![]);
        let facts = ServiceFacts {
            name: "web".into(),
            desired_instances: Some(2),
            running_instances: Some(running),
            ..ServiceFacts::default()
        };
        one.facts = Arc::new(facts);
        vec![one]
    };
    account.later(0, runs(1));
    account.later(60, runs(1));
    assert_eq!(account.history(0).ill_since(), None, "nobody saw it begin");
    account.later(60, runs(2));
    assert_eq!(account.history(0).ill_since(), None);
    account.later(60, runs(1));
    account.later(600, runs(0));
    assert_eq!(account.history(0).ill_since(), Some((START + 180) as f64));
}
