//! A million series: as a cloud returns them, as values to render, and in the `prometheus` crate.

use std::sync::Arc;

use anyhow::{Context, Result};
use caas_operator::cloud::alauda::STATUS_WORDS;
use caas_operator::cloud::model::measurement::Owner;
use caas_operator::cloud::model::{
    Collection, Instance, InstanceFacts, Measurement, Reading, Sample, Scale, Service, ServiceFacts,
};
use caas_operator::exposition::Options;
use caas_operator::exposition::families::{Reads, STATUS_LABEL, families};
use caas_operator::exposition::labels::LabelSet;
use caas_operator::exposition::values::{AccountGauges, AccountValues, InstanceEntry, ServiceEntry};
use prometheus::{GaugeVec, Opts, Registry};

/// Instances of a service.
const INSTANCES: usize = 12;
/// Series of a service and its instances: info, desired, running and four statuses; eleven an instance.
const SERIES: usize = 7 + 11 * INSTANCES;
const MILLION: usize = 1_000_000;

/// Renders all series.
pub(crate) const OPTIONS: Options =
    Options { modern: true, legacy: false, max_series: 10 * MILLION, source_timestamps: false };

/// A collection of as many services as make a million series.
pub(crate) fn collection() -> Collection {
    // The same numbers in every process.
    let mut dice = fastrand::Rng::with_seed(1);
    let services = (0..MILLION.div_ceil(SERIES)).map(|number| service(number, &mut dice)).collect();
    Collection { services, ..Collection::default() }
}

fn service(number: usize, dice: &mut fastrand::Rng) -> Service {
    let name = format!("service-{number:05}");
    let facts = ServiceFacts {
        application: Some(format!("application-{}", number / 10)),
        status: Some(STATUS_WORDS[0].to_owned()),
        desired_instances: Some(12),
        running_instances: Some(12),
        image: Some(format!("index.example.com/acme/{name}")),
        image_tag: Some(format!("1.{}", number % 40)),
        size: Some("XS".to_owned()),
        region: Some("BEIJING1".to_owned()),
        name: name.clone(),
        ..ServiceFacts::default()
    };
    let instance = |place: usize| {
        let facts = InstanceFacts {
            name: format!("{name}.{place}"),
            id: format!("{:08x}-{:04x}-4000-8000-{:012x}", dice.u32(..), dice.u16(..), dice.u64(..1 << 48)),
            started_at: Some(f64::from(dice.u32(1_400_000_000..1_480_000_000))),
            ..InstanceFacts::default()
        };
        let sample = Sample::at(
            f64::from(dice.u32(1_480_000_000..1_480_000_060)),
            &[
                (Measurement::CpuUsageSeconds, Scale::Nano, dice.u64(..1 << 50) as f64),
                (Measurement::CpuUtilization, Scale::Percent, dice.f64() * 100.0),
                (Measurement::MemoryUsage, Scale::Base, f64::from(dice.u32(..1 << 29))),
                (Measurement::MemoryUtilization, Scale::Percent, dice.f64() * 100.0),
                (Measurement::ReceiveBytes, Scale::Base, dice.u64(..1 << 40) as f64),
                (Measurement::ReceiveErrors, Scale::Base, 0.0),
                (Measurement::TransmitBytes, Scale::Base, dice.u64(..1 << 40) as f64),
                (Measurement::TransmitErrors, Scale::Base, 0.0),
            ],
        );
        Instance { facts: Arc::new(facts), reading: Reading::measured(sample) }
    };
    let instances = Ok((0..INSTANCES).map(instance).collect());
    Service { facts: Arc::new(facts), reading: Reading::default(), instances }
}

/// The same, as the collector hands it to the renderer.
pub(crate) fn values() -> AccountValues {
    let labels = LabelSet::account("bench", "account-0");
    let entry = |service: &Service| {
        let (labels, _) = labels.service(service.facts.application.as_deref(), &service.facts.name);
        let entry = |instance: &Instance| InstanceEntry {
            labels: labels.instance(&instance.facts.name, &instance.facts.id).0,
            facts: Arc::clone(&instance.facts),
            sample: instance.reading.sample.clone(),
        };
        let instances = service.instances.iter().flatten().map(entry).collect();
        ServiceEntry { labels, facts: Arc::clone(&service.facts), sample: None, instances }
    };
    let services = collection().services.iter().map(entry).collect();
    AccountValues {
        labels,
        gauges: AccountGauges::default(),
        provider: "alauda",
        status_words: STATUS_WORDS,
        services,
    }
}

/// The same series in the `prometheus` crate, as an exporter keeps them in gauges.
pub(crate) fn registry(values: &AccountValues) -> Result<Registry> {
    const SERVICE: [&str; 4] = ["account_namespace", "account", "application", "service_name"];
    const INSTANCE: [&str; 6] =
        ["account_namespace", "account", "application", "service_name", "instance_name", "instance_id"];
    let registry = Registry::new();
    for family in families() {
        let of_instance = match family.reads {
            Reads::Instance(_) | Reads::InstanceInfo | Reads::SampleTime => true,
            Reads::Measurement(measurement) => measurement.row().owner() == Owner::Instance,
            _ => false,
        };
        let mut names = if of_instance { INSTANCE.to_vec() } else { SERVICE.to_vec() };
        match family.reads {
            Reads::Account(_) => continue,
            Reads::ServiceInfo | Reads::InstanceInfo => names.extend(INFO),
            Reads::ServiceStatus => names.push(STATUS_LABEL),
            _ => {}
        }
        let gauges = GaugeVec::new(Opts::new(family.name, family.help), &names)?;
        for service in &values.services {
            fill(&gauges, family.reads, service)?;
        }
        registry.register(Box::new(gauges)).context("a family")?;
    }
    Ok(registry)
}

/// The labels of info families that the services here have.
const INFO: [&str; 4] = ["image", "image_tag", "region", "size"];

fn fill(gauges: &GaugeVec, reads: Reads, service: &ServiceEntry) -> Result<()> {
    let facts = &service.facts;
    let common = ["bench", "account-0", facts.application.as_deref().unwrap_or_default(), &facts.name];
    let info = [&facts.image, &facts.image_tag, &facts.region, &facts.size];
    let info = info.map(|value| value.as_deref().unwrap_or_default());
    let set = |labels: &[&str], value: Option<f64>| -> Result<()> {
        if let Some(value) = value {
            gauges.get_metric_with_label_values(labels)?.set(value);
        }
        Ok(())
    };
    match reads {
        Reads::Service(read) => set(&common, read(facts))?,
        Reads::ServiceInfo => set(&[&common[..], &info].concat(), Some(1.0))?,
        Reads::ServiceStatus => {
            for status in STATUS_WORDS {
                let holds = facts.status.as_deref() == Some(*status);
                set(&[&common[..], &[status]].concat(), Some(f64::from(u8::from(holds))))?;
            }
        }
        _ => {}
    }
    for instance in &service.instances {
        let labels = [&common[..], &[&instance.facts.name, &instance.facts.id]].concat();
        let sample = instance.sample.as_ref();
        match reads {
            Reads::Instance(read) => set(&labels, read(&instance.facts))?,
            Reads::InstanceInfo => set(&[&labels[..], &info].concat(), Some(1.0))?,
            Reads::SampleTime => set(&labels, sample.map(Sample::timestamp))?,
            Reads::Measurement(measurement) => {
                set(&labels, sample.and_then(|sample| sample.value(measurement)))?;
            }
            _ => {}
        }
    }
    Ok(())
}
