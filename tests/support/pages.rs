//! Accounts' values filled by hand, as the collector would.

use std::sync::Arc;

use caas_operator::cloud::model::{
    InstanceFacts, Limits, Measurement, Overrides, Sample, Scale, ServiceFacts, State,
};
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
        provider: "alauda",
        status_words: &["Running", "Deploying", "Starting", "Stopped"],
    }
}

/// Two services as Alauda has them: one with all that Alauda can say, one with next to nothing.
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
        state: Some(State::Running),
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
            interval: 30.0,
            request_budget: None,
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
                    state: Some(State::Unknown),
                    ..ServiceFacts::default()
                },
                vec![(instance("odd.0", "9z", None), None)],
            ),
        ],
    )
}

/// A service with all that Alauda cannot say: other units, limits, values of the service as a whole, and their own times.
pub(crate) fn beyond_alauda() -> AccountValues {
    let web = ServiceFacts {
        name: "web".into(),
        application: Some("shop/production".into()),
        id: Some("srv-1".into()),
        status: Some("live".into()),
        state: Some(State::Degraded),
        kind: Some("web".into()),
        desired_instances: Some(2),
        ready_instances: Some(1),
        limits: Limits {
            cpu_cores: Some(0.5),
            memory_bytes: Some(536_870_912.0),
            disk_bytes: Some(1_073_741_824.0),
        },
        ..ServiceFacts::default()
    };
    let overrides = Overrides {
        region: Some("fra".into()),
        size: Some("L".into()),
        limits: Limits { cpu_cores: Some(2.0), ..Limits::default() },
    };
    let first = InstanceFacts {
        name: "web-0".into(),
        id: "i-0".into(),
        state: Some(State::Running),
        created_at: Some(1_479_990_000.0),
        overrides: Some(Box::new(overrides)),
        ..InstanceFacts::default()
    };
    let mut sample = Sample::builder();
    for (measurement, number, time) in [
        (Measurement::CpuUsageCores, 0.25, 1_480_000_060.0),
        (Measurement::CpuLimitUtilization, 0.125, 1_480_000_060.0),
        (Measurement::CpuEntitlementUtilization, 1.25, 1_480_000_060.0),
        (Measurement::MemoryUsage, 134_217_728.0, 1_480_000_000.5),
        (Measurement::DiskUsage, 4096.0, 1_480_000_000.0),
        (Measurement::ReceiveRate, 10.5, 1_480_000_060.0),
        (Measurement::TransmitRate, 20.0, 1_480_000_060.0),
        (Measurement::Restarts, 3.0, 1_480_000_060.0),
    ] {
        sample.add(measurement, Scale::Base, number, time);
    }
    sample.add(Measurement::MemoryUtilization, Scale::Percent, 25.0, 1_480_000_000.5);
    let filled = vec![(web, vec![(first, Some(sample.build()))])];
    let mut values = page(
        "team-a",
        "beyond",
        AccountGauges { up: true, request_budget: Some(0.5), ..AccountGauges::default() },
        filled,
    );
    values.provider = "render";
    values.status_words = &["live", "suspended"];
    values.services[0].sample = Some(
        Sample::builder()
            .add_labeled(Measurement::ServiceHttpRequests, "2xx", Scale::Base, 12.5, 1_480_000_060.0)
            .add_labeled(Measurement::ServiceHttpRequests, "5xx", Scale::Base, 0.5, 1_480_000_060.0)
            .add_labeled(Measurement::ServiceHttpDuration, "0.99", Scale::Base, 0.125, 1_480_000_060.0)
            .add(Measurement::ServiceTransmitRate, Scale::Base, 2048.0, 1_480_000_000.0)
            .build(),
    );
    values
}
