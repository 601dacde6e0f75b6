//! Accounts written by hand, as a manifest would resolve to.

use std::sync::Arc;
use std::time::Duration;

use caas_operator::account::{
    Account, AccountId, Connection, Exposition, Names, Origin, Problem, Schedule, Uncollected, targets,
};
use caas_operator::api::CaasAccountSpec;
use caas_operator::cloud::alauda::{self, AlaudaAccount};
use caas_operator::cloud::http::AccountLimits;
use caas_operator::cloud::{Credentials, Providers, ServiceFilter};
use serde_json::json;

/// An account at an endpoint that is never queried.
pub(crate) fn account(namespace: &str, name: &str, names: Names) -> Arc<Account> {
    Arc::new(Account {
        id: AccountId::new(namespace, name),
        uid: format!("uid-of-{namespace}-{name}"),
        connection: Connection {
            provider: Arc::new(AlaudaAccount {
                settings: alauda::Settings {
                    endpoint: "https://caas.example.com/v1/".parse().unwrap(),
                    namespace: name.into(),
                    metrics_window: Duration::from_secs(100),
                    metrics_lag: Duration::from_secs(30),
                },
                credentials: Credentials::Token("canary-token".to_owned().into()),
            }),
            ca_bundle: None,
            limits: AccountLimits {
                request_timeout: Duration::from_secs(10),
                max_concurrent: 32,
                requests_per_second: 50,
            },
        },
        schedule: Schedule { interval: Duration::from_secs(30), stale_after: Duration::from_secs(90) },
        selection: ServiceFilter::default(),
        exposition: Exposition { names, source_timestamps: false, max_series: 100_000 },
        targets: targets(Providers::ALL, &AccountId::new(namespace, name), &spec(names)),
        origin: Origin::default(),
    })
}

/// Its spec. One of its constant labels is reserved, as an object older than the rules may have it.
pub(crate) fn spec(names: Names) -> CaasAccountSpec {
    let names = match names {
        Names::Modern => "Modern",
        Names::Legacy => "Legacy",
        Names::Both => "Both",
    };
    serde_json::from_value(json!({
        "provider": {"alauda": {"endpoint": "https://caas.example.com/v1/"}},
        "credentials": {"secretRef": {"name": "acme-alauda"}},
        "metrics": {"names": names, "labels": {"team": "checkout", "job": "mine"}},
    }))
    .unwrap()
}

/// The same account when it cannot be collected.
pub(crate) fn uncollected(namespace: &str, name: &str, names: Names, problem: Problem) -> Uncollected {
    let Account { id, targets, .. } = &*account(namespace, name, names);
    Uncollected { id: id.clone(), provider: "alauda", problem, targets: targets.clone() }
}
