//! Accounts whose services a test makes by hand, served as the program serves them.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use caas_operator::account::{AccountId, Names, Problem};
use caas_operator::api::Reason;
use caas_operator::cloud::CloudError;
use caas_operator::cloud::model::{InstanceFacts, Measurement, Sample, Scale, ServiceFacts, State};
use caas_operator::collector::demanded::Demanded;
use caas_operator::collector::health::Health;
use caas_operator::collector::history::History;
use caas_operator::collector::registry::{Registry, Snapshot};
use caas_operator::exposition::Renderer;
use caas_operator::exposition::values::{AccountGauges, ServiceEntry};
use caas_operator::replicas::peers::Peers;
use caas_operator::server::{AccountCondition, AllowedHosts, Context, Limits, PageOptions, router};
use caas_operator::telemetry::Metrics;

use crate::accounts::{account, uncollected};
use crate::http_support::{Served, client, serve};
use crate::pages::{ALL, Filled, page};

/// What the status of an object says; only team-b has objects.
fn conditions(id: &AccountId) -> Vec<AccountCondition> {
    let condition = |name: &str, status: &str, reason: &str, message: &str| AccountCondition {
        name: name.into(),
        status: status.into(),
        reason: reason.into(),
        message: message.into(),
        since: now() - 3600.0,
    };
    let collected = "All services and instances were collected.";
    let missing =
        "ServiceMonitors are not installed: install Prometheus Operator, or set spec.serviceMonitor.mode.";
    let all = [
        condition("Collecting", "True", "Collected", collected),
        condition("Ready", "False", "CRDNotInstalled", missing),
    ];
    if &*id.namespace == "team-b" { all.into() } else { vec![] }
}

/// A served registry.
pub(crate) struct Clouds {
    pub(crate) registry: Arc<Registry>,
    pub(crate) served: Served,
}

impl Clouds {
    /// Without accounts.
    pub(crate) async fn none() -> Self {
        // Installs the TLS provider that the program's main installs.
        drop(client());
        let registry = Arc::new(Registry::default());
        let context = Context {
            registry: Arc::clone(&registry),
            metrics: Metrics::new(),
            append_account: None,
            allowed_hosts: AllowedHosts::default(),
            page: PageOptions {
                conditions: Some(Arc::new(conditions)),
                grafana: "https://grafana.example.com/".parse().ok(),
            },
            peers: Peers::none(),
        };
        Self { registry, served: serve(router(context), Limits::default()).await }
    }

    /// Two teams: one whose services do well, one with a bit of everything that can be ill.
    pub(crate) async fn two_teams() -> Self {
        let clouds = Self::none().await;
        let well = ["api", "billing", "checkout", "mailer", "search", "web"];
        clouds.publish("team-a", "acme", well.map(|name| service(name, 3)).into(), Health::Collected);
        let mut ill =
            vec![service("cache", 2), service("orders", 4), service("reports", 1), service("worker", 2)];
        ill[0].1[0].1 = Some(sample(0.2, 500e6, 0.97));
        ill[1].0.running_instances = Some(2);
        ill[1].1.truncate(2);
        ill[2].0.state = Some(State::Failed);
        ill[2].0.status = Some("Error".into());
        (ill[3].0.state, ill[3].0.running_instances) = (Some(State::Stopped), Some(0));
        ill[3].0.status = Some("Stopped".into());
        ill[3].1.clear();
        clouds.publish("team-b", "globex", ill, Health::Collected);
        clouds.publish("team-c", "initech", vec![], Health::Failed(CloudError::LoginRejected));
        let missing = Problem::new(Reason::SecretNotFound, "Secret team-c/hooli does not exist: create it.");
        clouds.registry.mark_uncollected(uncollected("team-c", "hooli", Names::Modern, missing));
        clouds
    }

    /// Accounts of team-a with so many services of so many instances each.
    pub(crate) async fn large(accounts: usize, services: usize, instances: usize) -> Self {
        let clouds = Self::none().await;
        for number in 0..accounts {
            let services = (0..services).map(|number| service(&format!("service-{number:04}"), instances));
            clouds.publish("team-a", &format!("account-{number:02}"), services.collect(), Health::Collected);
        }
        clouds
    }

    /// Publishes an account as a collection that has just ended would, with its last hour, which it has spent as it is now.
    pub(crate) fn publish(&self, namespace: &str, name: &str, services: Vec<Filled>, health: Health) {
        let account = account(namespace, name, Names::Modern);
        if self.registry.get(&account.id).is_none() {
            self.registry.put(Arc::clone(&account));
        }
        let up = health.is_up();
        let gauges = AccountGauges {
            up,
            last_collection: now(),
            last_success: up.then(now),
            last_duration: 0.4,
            interval: 30.0,
            request_budget: None,
        };
        let values = page(namespace, name, gauges, services);
        let rendered = Renderer::default().render(&values, &ALL);
        let history = (0..=60).rev().fold(History::default(), |history, minutes| {
            let minute = SystemTime::now() - Duration::from_secs(60 * minutes);
            history.next(&values.services, &wavy(&values.services, minutes), minute)
        });
        let snapshot = Snapshot {
            bodies: rendered.bodies,
            values,
            history,
            series: rendered.series,
            health,
            collected_at: SystemTime::now(),
            demanded: Demanded::default(),
        };
        self.registry.publish(&account, Arc::new(snapshot));
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.served.url(path)
    }
}

/// The same services with loads that rise and fall.
fn wavy(services: &[ServiceEntry], minutes: u64) -> Vec<ServiceEntry> {
    let factor = if minutes == 0 { 1.0 } else { 1.0 + 0.5 * (minutes as f64 / 5.0).sin() };
    let scaled = |sample: &Sample| {
        let values: Vec<_> =
            sample.values().map(|value| (value.measurement, value.scale, value.number * factor)).collect();
        Sample::at(sample.timestamp(), &values)
    };
    let mut services = services.to_vec();
    for instance in services.iter_mut().flat_map(|service| &mut service.instances) {
        instance.sample = instance.sample.as_ref().map(scaled);
    }
    services
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// A service that does well.
pub(crate) fn service(name: &str, instances: usize) -> Filled {
    let facts = ServiceFacts {
        name: name.into(),
        application: Some("shop".into()),
        status: Some("Running".into()),
        state: Some(State::Running),
        desired_instances: i64::try_from(instances).ok(),
        running_instances: i64::try_from(instances).ok(),
        image: Some(format!("registry.example.com/shop/{name}")),
        image_tag: Some("1.4".into()),
        size: Some("S".into()),
        region: Some("eu-central".into()),
        ..ServiceFacts::default()
    };
    let instance = |number: usize| {
        let facts = InstanceFacts {
            name: format!("{name}.{number}"),
            id: format!("{name}-{number}-0f7c"),
            started_at: Some(now() - 7200.0 - 60.0 * number as f64),
            ..InstanceFacts::default()
        };
        let load = 0.02 + 0.01 * ((name.len() * 7 + number) % 40) as f64;
        (facts, Some(sample(load, load * 1.2e9, 0.2 + load)))
    };
    (facts, (0..instances).map(instance).collect())
}

/// Measured just now.
pub(crate) fn sample(cores: f64, memory_bytes: f64, memory_ratio: f64) -> Sample {
    let values = [
        (Measurement::CpuUsageCores, Scale::Base, cores),
        (Measurement::MemoryUsage, Scale::Base, memory_bytes),
        (Measurement::MemoryUtilization, Scale::Base, memory_ratio),
        (Measurement::ReceiveRate, Scale::Base, 20_480.0),
        (Measurement::TransmitRate, Scale::Base, 4096.0),
        (Measurement::Restarts, Scale::Base, 0.0),
    ];
    Sample::at(now(), &values)
}
