//! A second provider is one folder: everything that depends on the list of providers works for one that only this test
//! knows, registered by passing a list. No file of `src` names it.

// Clippy allows unwrap in test functions, but not in helpers of an integration test.
#![allow(clippy::unwrap_used)]

#[path = "../support/http.rs"]
mod http_support;
#[path = "../../examples/reference/resource.rs"]
mod resource;
#[allow(dead_code)]
#[path = "../../examples/reference/table.rs"]
mod table;
mod toy;

use std::sync::Arc;
use std::time::Duration;

use caas_operator::account::admission::Admission;
use caas_operator::account::{Account, AccountId, Problem, SecretData, SecretRead, resolve};
use caas_operator::api::{self, Reason};
use caas_operator::cloud::alauda::AlaudaProvider;
use caas_operator::cloud::http::{Http, Policy};
use caas_operator::cloud::{Provider, Providers};
use caas_operator::collector::registry::Snapshot;
use caas_operator::collector::{HttpClouds, Registry, Supervisor};
use caas_operator::replicas::peers::Peers;
use caas_operator::server::{AllowedHosts, Context, Limits, PageOptions, router};
use caas_operator::telemetry::Metrics;
use http_support::{client, serve};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use toy::{Harbor, TOKEN};

/// The providers that this test has: one of the program's, and one of its own.
const PROVIDERS: Providers = Providers::new(&[&AlaudaProvider, &Harbor]);

fn manifest(name: &str, settings: &Value) -> Value {
    json!({
        "apiVersion": api::API_VERSION,
        "kind": api::KIND,
        "metadata": {"namespace": "team-a", "name": name},
        "spec": {"provider": settings, "credentials": {"secretRef": {"name": "harbor"}}},
    })
}

fn secret(pairs: &[(&str, &str)]) -> SecretRead {
    SecretRead::Found(SecretData::new(
        "team-a",
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())),
    ))
}

fn account(name: &str, settings: &Value, secret: &SecretRead) -> Result<Account, Problem> {
    let account = Admission::new(PROVIDERS).admit(manifest(name, settings)).unwrap();
    resolve(PROVIDERS, &account, secret, None, |_| Ok(()))
}

fn project(endpoint: &str) -> Value {
    json!({"harbor": {"endpoint": endpoint, "project": "sea"}})
}

/// Why a manifest with these settings is refused.
fn refusal(settings: &Value) -> String {
    Admission::new(PROVIDERS).admit(manifest("acme", settings)).unwrap_err().to_string()
}

#[test]
fn the_schema_and_its_rules_are_applied_with_sentences() {
    assert!(refusal(&json!({})).contains("set exactly one provider: alauda, harbor"));
    assert!(refusal(&json!({"harbor": {"project": "a/b"}})).contains("spec.provider.harbor.project: use"));
    assert!(refusal(&json!({"harbor": {"project": "sea", "endpoint": "x"}})).contains("use an http://"));
    assert!(refusal(&json!({"harbor": {}})).contains("spec.provider.harbor.project: is required"));
    assert!(
        refusal(&json!({"harbor": {"project": "sea", "bay": "x"}}))
            .contains("spec.provider.harbor.bay: is an unknown field")
    );
    let both = json!({"harbor": {"project": "sea"}, "alauda": {"cloud": "cn"}});
    assert!(refusal(&both).contains("set exactly one provider"));
    let without = Admission::new(Providers::ALL).admit(manifest("acme", &project("https://h.example/")));
    assert!(
        without.unwrap_err().to_string().contains("spec.provider.harbor"),
        "it is only in this test's list"
    );
}

#[test]
fn the_secret_needs_the_providers_own_key() {
    let settings = json!({"harbor": {"project": "sea"}});
    let account = account("acme", &settings, &secret(&[("projectToken", "x")])).unwrap();
    assert_eq!(account.connection.provider.endpoint().as_str(), "https://api.harbor.example/");
    assert_eq!(account.connection.provider.name(), "harbor");
    assert_eq!(account.schedule.interval, Duration::from_secs(120), "the provider's default");
    assert_eq!(account.targets[0].interval.to_string(), "1m", "a scrape each minute at least");

    for (pairs, reason, says) in [
        (&[("token", "x")][..], Reason::SecretKeyMissing, "none of the keys for Harbor: add projectToken."),
        (&[("projectToken", "")], Reason::SecretKeyEmpty, "Key projectToken"),
        (&[("projectToken", "two words")], Reason::SecretKeyInvalid, "Key projectToken"),
    ] {
        let problem = self::account("acme", &settings, &secret(pairs)).unwrap_err();
        assert_eq!(problem.reason, reason);
        assert!(problem.message.contains(says), "{problem}");
    }
}

#[test]
fn it_stands_in_the_crd_and_in_the_reference() {
    let crd = serde_json::to_value(api::crd(PROVIDERS)).unwrap();
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    let harbor = &spec["provider"]["properties"]["harbor"];
    assert_eq!(harbor["properties"]["project"]["description"], "The project whose services are collected.");
    assert_eq!(harbor["required"], json!(["project"]));
    let interval = spec["collection"]["properties"]["interval"]["description"].as_str().unwrap();
    assert!(interval.contains("30s (alauda)") && interval.contains("2m (harbor)"), "{interval}");

    let keys = spec["credentials"]["properties"]["secretRef"]["description"].as_str().unwrap();
    assert!(keys.contains("username and password (alauda); projectToken (harbor)"), "{keys}");

    let page = resource::page(PROVIDERS).unwrap();
    assert!(page.contains("spec.provider.harbor") && page.contains("The project whose services"), "{page}");
}

/// An HTTP client that may connect to this machine, and the collectors that use it.
fn collectors() -> (Supervisor, Arc<Registry>, Arc<Metrics>) {
    let policy =
        Policy { allow_cidrs: vec!["127.0.0.0/8".parse().unwrap()], allow_http: true, ..Policy::default() };
    let (registry, metrics) = (Arc::new(Registry::default()), Metrics::new());
    let clouds = Arc::new(HttpClouds::new(Http::new(policy), Arc::clone(&metrics)));
    let (transitions, _) = tokio::sync::mpsc::channel(1);
    (Supervisor::new(clouds, Arc::clone(&registry), Arc::clone(&metrics), transitions), registry, metrics)
}

/// The first snapshot of an account that a cycle has filled.
async fn collected(registry: &Registry, name: &str) -> Arc<Snapshot> {
    let id = AccountId::new("team-a", name);
    let snapshot = async {
        loop {
            match registry.get(&id).and_then(|entry| entry.snapshot) {
                Some(snapshot) => return snapshot,
                // The registry has no way to wait: it is asked again until the deadline.
                None => sleep(Duration::from_millis(5)).await,
            }
        }
    };
    timeout(Duration::from_secs(60), snapshot).await.unwrap()
}

#[tokio::test]
async fn it_is_collected_over_http_and_served() {
    let client = client();
    let (endpoint, api) = toy::start().await;
    let (supervisor, registry, metrics) = collectors();
    supervisor.put(account("acme", &project(&endpoint), &secret(&[("projectToken", TOKEN)])).unwrap());
    supervisor.put(account("again", &project(&endpoint), &secret(&[("projectToken", "wrong")])).unwrap());
    let ids = ["acme", "again"].map(|name| AccountId::new("team-a", name));
    assert_eq!(collected(&registry, "again").await.health.reason(), Reason::LoginRejected);
    assert_eq!(collected(&registry, "acme").await.health.reason(), Reason::Collected);
    assert_eq!(supervisor.duplicate_of(&ids[1]).as_ref(), Some(&ids[0]), "both query one project");
    assert_eq!(supervisor.duplicate_of(&ids[0]), None, "the other one has invented its token");

    let context = Context {
        registry,
        metrics,
        append_account: None,
        allowed_hosts: AllowedHosts::default(),
        page: PageOptions::default(),
        peers: Peers::none(),
    };
    let served = serve(router(context), Limits::default()).await;
    let get = async |path: &str| client.get(served.url(path)).send().await.unwrap().text().await.unwrap();
    let series = get("/accounts/team-a/acme/metrics").await;
    for expected in [
        r#"caas_service_status{account_namespace="team-a",account="acme",application="sea/north",service_name="ferry",status="sailing"} 1"#,
        r#"caas_service_status{account_namespace="team-a",account="acme",application="sea/north",service_name="ferry",status="docked"} 0"#,
        r#"caas_service_running_instances{account_namespace="team-a",account="acme",application="south",service_name="ferry"} 2"#,
        r#"caas_service_http_requests_per_second{account_namespace="team-a",account="acme",application="sea/north",service_name="ferry",code="2xx"} 12.5"#,
        r#"caas_instance_cpu_usage_cores{account_namespace="team-a",account="acme",application="south",service_name="ferry",instance_name="ferry-1",instance_id="s-2-1"} 0.25"#,
        r#"caas_instance_cpu_limit_utilization_ratio{account_namespace="team-a",account="acme",application="south",service_name="ferry",instance_name="ferry-1",instance_id="s-2-1"} 0.5"#,
        r#"caas_instance_memory_utilization_ratio{account_namespace="team-a",account="acme",application="sea/north",service_name="ferry",instance_name="ferry-0",instance_id="s-1-0"} 0.25"#,
    ] {
        assert!(series.lines().any(|line| line == expected), "{expected} is not in\n{series}");
    }

    let accounts: Value = serde_json::from_str(&get("/accounts").await).unwrap();
    assert_eq!(accounts["accounts"][0]["provider"], Harbor.name());
    let shown: Value = serde_json::from_str(&get("/accounts/team-a/acme").await).unwrap();
    assert_eq!(shown["services"][0]["name"], "ferry");
    assert!(get("/").await.contains("harbor"));
    assert!(!format!("{series}{accounts}{shown}").contains("canary"));

    served.stop.cancel();
    served.ended.await.unwrap();
    api.abort();
}
