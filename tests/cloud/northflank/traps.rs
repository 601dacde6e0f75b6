//! What is easily read wrongly: units, what is left out, containers that have ended.

use std::collections::HashSet;
use std::time::Duration;

use caas_operator::cloud::model::{Measurement, State};
use caas_operator::cloud::northflank::Settings;
use caas_operator::simulator::{
    AccountSettings, CpuPercentOf, CpuUnit, HttpSeries, Kilo, Megabyte, MemoryUnit, NoValues, Northflank,
};

use super::{Account, Moving, all_instances, options, services, settings, start};
use crate::support::{instances, value};

/// All values of a measurement of containers.
async fn values(options: Northflank, measurement: Measurement) -> Vec<f64> {
    let cloud = start(options, services(20)).await;
    let collection = Account::at(&cloud).collected().await;
    let mut values: Vec<f64> =
        all_instances(&collection).filter_map(|instance| value(instance, measurement)).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Whether each of the values is so many times the other.
fn are_times(values: &[f64], factor: f64, others: &[f64]) -> bool {
    let pairs = values.iter().zip(others);
    values.len() == others.len()
        && !values.is_empty()
        && pairs.into_iter().all(|(value, other)| (value - other * factor).abs() < 1e-6 * value.abs() + 1e-9)
}

#[tokio::test]
async fn cpu_in_percent_is_a_share_from_which_no_cores_follow_whatever_it_is_a_share_of() {
    let measured = values(options(), Measurement::CpuUsageCores).await;
    assert_eq!(measured.len(), 40);
    for percent_of in [CpuPercentOf::Plan, CpuPercentOf::Core] {
        let percent = Northflank { cpu_unit: CpuUnit::Pct, cpu_percent_of: percent_of, ..options() };
        let cloud = start(percent.clone(), services(20)).await;
        let collection = Account::at(&cloud).collected_times(2).await;
        assert!(all_instances(&collection).all(|one| value(one, Measurement::CpuUsageCores).is_none()));
        assert!(collection.services.iter().all(|service| service.facts.limits.cpu_cores.is_none()));
        assert!(collection.services.iter().any(|service| service.facts.limits.memory_bytes.is_some()));
        let shares = values(percent, Measurement::CpuLimitUtilization).await;
        assert!(shares.len() == 40 && shares.iter().all(|share| (0.0..4.0).contains(share)));
        if percent_of == CpuPercentOf::Core {
            assert!(are_times(&shares, 1.0, &measured), "taken as it is given");
        }
    }
}

#[tokio::test]
async fn memory_is_read_in_the_unit_that_the_answer_names() {
    let bytes = values(options(), Measurement::MemoryUsage).await;
    let decimal = Northflank { megabyte: Megabyte::Decimal, ..options() };
    assert!(are_times(&values(decimal, Measurement::MemoryUsage).await, 1.048_576, &bytes), "taken for 2^20");
    let percent = Northflank { memory_unit: MemoryUnit::Pct, ..options() };
    assert!(values(percent.clone(), Measurement::MemoryUsage).await.is_empty());
    let shares = values(percent, Measurement::MemoryUtilization).await;
    assert!(shares.len() == 40 && shares.iter().all(|share| (0.0..1.0).contains(share)));
}

#[tokio::test]
async fn traffic_is_taken_for_kilobits() {
    let bits = values(options(), Measurement::ReceiveRate).await;
    let bytes = values(Northflank { kbps: Kilo::Bytes, ..options() }, Measurement::ReceiveRate).await;
    assert!(are_times(&bits, 8.0, &bytes), "an eighth, if it were kilobytes");
}

#[tokio::test]
async fn without_units_nothing_is_exposed_and_each_metric_is_counted() {
    let cloud = start(Northflank { no_metric_info: true, ..options() }, services(10)).await;
    let account = Account::at(&cloud);
    let collection = account.collected().await;
    assert!(all_instances(&collection).all(|instance| instance.reading.sample.is_none()));
    assert!(collection.services.iter().all(|service| service.reading.sample.is_none()));
    assert_eq!(all_instances(&collection).count(), 20, "containers are listed all the same");
    let counted = account.own("caas_operator_unknown_units_total{");
    assert!(
        (40.0..=80.0).contains(&counted),
        "{counted}: four of each container, and more of those with HTTP"
    );
}

#[tokio::test]
async fn a_metric_without_data_is_none_however_it_is_written() {
    for no_values in [NoValues::Empty, NoValues::Absent] {
        // Points come later than containers were created.
        let options =
            Northflank { metrics_delay: Duration::from_secs(1_000_000_000), no_values, ..options() };
        let cloud = start(options, services(10)).await;
        for instance in all_instances(&Account::at(&cloud).collected().await) {
            assert_eq!(instance.reading.sample, None);
            assert!(instance.reading.unread.is_empty(), "there is none, rather than that it was not read");
        }
    }
}

#[tokio::test]
async fn a_point_may_come_late_but_is_no_older_than_allowed() {
    let cloud =
        start(Northflank { metrics_delay: Duration::from_secs(300), ..options() }, services(10)).await;
    let token = &cloud.credentials()[0].password;
    for (max_age, is_there) in [(600, true), (180, false)] {
        let settings = Settings { metrics_max_age: Duration::from_secs(max_age), ..settings(&cloud) };
        let collection = Account::with(settings, token).collected().await;
        let sample = &instances(&collection.services[0])[0].reading.sample;
        assert_eq!(sample.is_some(), is_there, "{max_age} s: {sample:?}");
    }
}

#[tokio::test]
async fn requests_of_a_service_are_the_same_as_one_series_and_as_one_a_container() {
    let mut sums = Vec::new();
    for http_series in [HttpSeries::Container, HttpSeries::Service] {
        let cloud = start(Northflank { http_series, ..options() }, services(20)).await;
        let collection = Account::at(&cloud).collected().await;
        assert_eq!(all_instances(&collection).count(), 40, "a service is no container");
        let samples = collection.services.iter().filter_map(|service| service.reading.sample.as_ref());
        let of = |sample: &caas_operator::cloud::model::Sample| -> f64 {
            sample.of(Measurement::ServiceHttpRequests).map(|value| value.base()).sum()
        };
        sums.push(samples.map(of).collect::<Vec<_>>());
    }
    assert!(are_times(&sums[0], 1.0, &sums[1]), "{sums:?}");
}

#[tokio::test]
async fn containers_that_have_ended_are_no_instances_however_long_they_are_listed() {
    let account = AccountSettings { services: 80, instances: 4, ..AccountSettings::new("acme") };
    let options = Northflank { ended_containers: Duration::from_secs(3600), ..options() };
    let moving = Moving::start(options, account, 1.0).await;
    let collection = Account::at(&moving.cloud).collected_times(4).await;
    let world = moving.cloud.world("acme").unwrap();
    let running: usize = world.services(moving.cloud.now()).map(|service| service.started).sum();
    assert_eq!(all_instances(&collection).count(), running);
    let names: HashSet<_> = all_instances(&collection).map(|instance| &instance.facts.name).collect();
    assert_eq!(names.len(), running);
    let starting = all_instances(&collection).filter(|one| one.facts.state == Some(State::Deploying)).count();
    assert!(starting < running / 2, "{starting} of {running}");
}

#[tokio::test]
async fn a_paused_service_is_one_of_no_instances_where_the_api_does_not_say_so() {
    for no_pause_flag in [false, true] {
        let account = AccountSettings { services: 80, instances: 2, ..AccountSettings::new("acme") };
        let moving = Moving::start(Northflank { no_pause_flag, ..options() }, account, 1.0).await;
        let collection = Account::at(&moving.cloud).collected_times(4).await;
        let world = moving.cloud.world("acme").unwrap();
        let stopped =
            world.services(moving.cloud.now()).filter(|service| service.target > 0 && service.started == 0);
        let stopped: HashSet<String> = stopped.map(|service| service.name).collect();
        let found = collection.services.iter().filter(|one| one.facts.state == Some(State::Stopped));
        let found: HashSet<String> = found.map(|service| service.facts.name.clone()).collect();
        assert!(!found.is_empty() && found.is_subset(&stopped), "{found:?} {stopped:?}");
    }
}
