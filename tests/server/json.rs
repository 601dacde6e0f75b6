//! Accounts as JSON.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use caas_operator::account::Names;
use caas_operator::cloud::model::{InstanceFacts, ServiceFacts};
use caas_operator::collector::demanded::Demanded;
use caas_operator::collector::health::Health;
use caas_operator::collector::history::History;
use caas_operator::collector::registry::{Registry, Snapshot};
use caas_operator::exposition::values::AccountGauges;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::accounts::account;
use crate::http_support::Served;
use crate::{bodies, get, pages, started};

/// Replaces the age of the data, which depends on the duration of the test.
fn without_age(mut json: Value) -> String {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                if let Some(age) = fields.get_mut("ageSeconds") {
                    assert!((0.0..60.0).contains(&age.as_f64().unwrap()));
                    *age = "[age]".into();
                }
                fields.values_mut().for_each(walk);
            }
            Value::Array(values) => values.iter_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut json);
    serde_json::to_string_pretty(&json).unwrap()
}

#[tokio::test]
async fn the_json_of_all_accounts_does_not_change() {
    let (served, _) = started(None).await;
    insta::assert_snapshot!(without_age(get(&served, "/accounts").await.json().await.unwrap()));
}

#[tokio::test]
async fn the_json_of_one_account_does_not_change() {
    let (served, _) = started(None).await;
    let account = get(&served, "/accounts/team-a/acme").await;
    insta::assert_snapshot!(without_age(account.json().await.unwrap()));

    let new: Value = get(&served, "/accounts/team-c/new").await.json().await.unwrap();
    assert_eq!((&new["account"]["reason"], &new["services"]), (&"Pending".into(), &Value::Array(vec![])));
}

#[tokio::test]
async fn the_json_of_what_alauda_cannot_say_has_the_tables_fields() {
    let (served, registry) = started(None).await;
    let account = registry.get(&account("team-b", "modern", Names::Modern).id).unwrap().account;
    let snapshot = Snapshot {
        bodies: bodies(&registry),
        values: pages::beyond_alauda(),
        history: History::default(),
        series: 0,
        health: Health::Collected,
        collected_at: SystemTime::now(),
        demanded: Demanded::default(),
    };
    registry.publish(&account, Arc::new(snapshot));
    let json: Value = get(&served, "/accounts/team-b/modern").await.json().await.unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&json["services"]).unwrap());
}

const SERVICES: usize = 5;
const INSTANCES: usize = 200;

/// A snapshot of these services, with names so long that its JSON does not fit into the buffers of two sockets.
fn large(registry: &Registry, services: impl Iterator<Item = usize>) -> Arc<Snapshot> {
    let instance = |number: usize| {
        let (name, id) = ("x".repeat(16 << 10), number.to_string());
        (InstanceFacts { name, id, ..InstanceFacts::default() }, None)
    };
    let service = |number: usize| {
        let facts = ServiceFacts { name: number.to_string(), ..ServiceFacts::default() };
        (facts, (0..INSTANCES).map(instance).collect())
    };
    let values = pages::page("team-b", "modern", AccountGauges::default(), services.map(service).collect());
    Arc::new(Snapshot {
        bodies: bodies(registry),
        values,
        history: History::default(),
        series: 0,
        health: Health::Collected,
        collected_at: SystemTime::now(),
        demanded: Demanded::default(),
    })
}

/// A connection that has read the head and the beginning of the account's JSON, which is returned with it.
async fn begun(served: &Served) -> (TcpStream, Vec<u8>) {
    let mut client = TcpStream::connect(served.address).await.unwrap();
    client.write_all(b"GET /accounts/team-b/modern HTTP/1.0\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 400];
    client.read_exact(&mut answer).await.unwrap();
    (client, answer)
}

/// The whole JSON of such a connection.
async fn to_end((mut client, mut answer): (TcpStream, Vec<u8>)) -> Value {
    client.read_to_end(&mut answer).await.unwrap();
    let body = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    serde_json::from_slice(&answer[body..]).unwrap()
}

/// Waits until the condition holds.
async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_large_accounts_json_is_produced_as_fast_as_it_is_read_and_holds_no_snapshot_meanwhile() {
    let (served, registry) = started(None).await;
    let account = registry.get(&account("team-b", "modern", Names::Modern).id).unwrap().account;
    let kept = large(&registry, 0..SERVICES);
    registry.publish(&account, Arc::clone(&kept));
    let reading = begun(&served).await;

    registry.publish(&account, large(&registry, 0..SERVICES));
    eventually("the snapshot is let go", || Arc::strong_count(&kept) == 1).await;

    let json = to_end(reading).await;
    let instances = SERVICES * INSTANCES;
    assert_eq!(
        (&json["account"]["services"], &json["account"]["instances"]),
        (&SERVICES.into(), &instances.into())
    );
    let services = json["services"].as_array().unwrap();
    assert_eq!(services.len(), SERVICES);
    for (number, service) in services.iter().enumerate() {
        assert_eq!(service["name"], number.to_string());
        let ids = service["instances"].as_array().unwrap().iter().map(|instance| instance["id"].clone());
        assert!(ids.eq((0..INSTANCES).map(|number| Value::from(number.to_string()))));
    }
}

#[tokio::test]
async fn a_slow_reader_of_an_accounts_json_goes_on_in_the_newest_snapshot() {
    let (served, registry) = started(None).await;
    let account = registry.get(&account("team-b", "modern", Names::Modern).id).unwrap().account;
    for (newest, expected) in [
        // The service that is being read has gone.
        (vec![1, 2, 3, 4, 5], vec!["0", "1", "2", "3", "4", "5"]),
        // One that is still to come has gone.
        (vec![0, 1, 3, 4], vec!["0", "1", "3", "4"]),
        (vec![], vec!["0"]),
    ] {
        registry.publish(&account, large(&registry, 0..SERVICES));
        let reading = begun(&served).await;
        registry.publish(&account, large(&registry, newest.iter().copied()));

        let json = to_end(reading).await;

        let services = json["services"].as_array().unwrap();
        let names: Vec<&str> = services.iter().map(|service| service["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{newest:?}");
        for service in services {
            let instances = service["instances"].as_array().unwrap();
            let ids: BTreeSet<&str> = instances.iter().map(|one| one["id"].as_str().unwrap()).collect();
            assert_eq!(ids.len(), instances.len(), "no instance twice");
            let stays = newest.contains(&service["name"].as_str().unwrap().parse().unwrap());
            assert_eq!(instances.len() == INSTANCES, stays, "{} of {newest:?}", service["name"]);
        }
    }
}
