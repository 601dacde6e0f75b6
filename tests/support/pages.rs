//! Accounts' values filled by hand, as the collector would.

use std::sync::Arc;

use caas_operator::cloud::model::{InstanceFacts, Measurement, Sample, Scale, ServiceFacts};
use caas_operator::exposition::Options;
use caas_operator::exposition::labels::LabelSet;
use caas_operator::exposition::values::{AccountGauges, AccountValues, InstanceEntry, ServiceEntry};

/// Everything, without a limit that matters.
pub(crate) const ALL: Options =
    Options { modern: true, legacy: true, max_series: 100_000, source_timestamps: false };

/// A service with the instances' facts and samples.
pub(crate) type Filled = (ServiceFacts, Vec<(InstanceFacts, Option<Sample>)>);

/// Values with the labels that the collector would give.
pub(crate) fn page(
    namespace: &str,
    name: &str,
    gauges: AccountGauges,
    services: Vec<Filled>,
) -> AccountValues {
    let account = LabelSet::account(namespace, name);
    let entry = |(facts, instances): Filled| {
        let (labels, _) = account.service(facts.application.as_deref(), &facts.name);
        let entry = |(facts, sample): (InstanceFacts, Option<Sample>)| InstanceEntry {
            labels: labels.instance(&facts.name, &facts.id).0,
            facts: Arc::new(facts),
            sample,
        };
        ServiceEntry {
            instances: instances.into_iter().map(entry).collect(),
            labels: labels.clone(),
            facts: Arc::new(facts),
            sample: None,
        }
    };
    AccountValues {
        services: services.into_iter().map(entry).collect(),
        labels: account.clone(),
        gauges,
        status_words: &["Running", "Deploying", "Starting", "Stopped"],
    }
}

/// Two services: one with all that a cloud can say, one with next to nothing.
pub(crate) fn acme() -> AccountValues {
    let sample = Sample::at(
        1_480_000_020.0,
        &[
            (Measurement::CpuUsageSeconds, Scale::Nano, 1_234_567_890.0),
            (Measurement::CpuUtilization, Scale::Percent, 12.5),
            (Measurement::MemoryUsage, Scale::Base, 104_857_600.0),
            (Measurement::MemoryUtilization, Scale::Percent, 40.0),
            (Measurement::ReceiveBytes, Scale::Base, 1024.0),
            (Measurement::ReceiveErrors, Scale::Base, 0.0),
            (Measurement::TransmitBytes, Scale::Base, 2048.0),
            (Measurement::TransmitErrors, Scale::Base, 1.0),
        ],
    );
    let idle = Sample::at(1_480_000_020.0, &[(Measurement::CpuUtilization, Scale::Percent, 0.0)]);
    let kibana = ServiceFacts {
        name: "kibana".into(),
        application: Some("logging".into()),
        status: Some("Running".into()),
        desired_instances: Some(2),
        running_instances: Some(2),
        image: Some("index.example.com/elastic/kibana".into()),
        image_tag: Some("5.0".into()),
        size: Some("XS".into()),
        region: Some("BEIJING1".into()),
        ..ServiceFacts::default()
    };
    let instance = |name: &str, id: &str, started_at| InstanceFacts {
        name: name.into(),
        id: id.into(),
        started_at,
        ..InstanceFacts::default()
    };
    page(
        "team-a",
        "acme",
        AccountGauges {
            up: true,
            last_collection: 1_480_000_050.5,
            last_success: Some(1_480_000_050.5),
            last_duration: 0.25,
        },
        vec![
            (
                kibana,
                vec![
                    (instance("kibana.0", "0f7c", Some(1_479_990_000.0)), Some(sample)),
                    (instance("kibana.1", "1a2b", None), Some(idle)),
                ],
            ),
            (
                ServiceFacts {
                    name: "odd \"name\"\\\n".into(),
                    status: Some("Error".into()),
                    ..ServiceFacts::default()
                },
                vec![(instance("odd.0", "9z", None), None)],
            ),
        ],
    )
}
