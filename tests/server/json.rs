//! Accounts as JSON.

use std::sync::Arc;
use std::time::SystemTime;

use caas_operator::account::Names;
use caas_operator::cloud::model::{InstanceFacts, ServiceFacts};
use caas_operator::collector::health::Health;
use caas_operator::collector::registry::Snapshot;
use caas_operator::exposition::values::AccountGauges;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::accounts::account;
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
        series: 0,
        health: Health::Collected,
        collected_at: SystemTime::now(),
    };
    registry.publish(&account, Arc::new(snapshot));
    let json: Value = get(&served, "/accounts/team-b/modern").await.json().await.unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&json["services"]).unwrap());
}

#[tokio::test]
async fn a_large_accounts_json_is_produced_as_fast_as_it_is_read() {
    const SERVICES: usize = 5;
    const INSTANCES: usize = 1000;
    let (served, registry) = started(None).await;
    let account = account("team-b", "modern", Names::Modern);
    // With names so long that it does not fit into the buffers of two sockets.
    let instance = |number: usize| {
        let (name, id) = ("x".repeat(16 << 10), number.to_string());
        (InstanceFacts { name, id, ..InstanceFacts::default() }, None)
    };
    let service = |number: usize| {
        let facts = ServiceFacts { name: number.to_string(), ..ServiceFacts::default() };
        (facts, (0..INSTANCES).map(instance).collect())
    };
    let values =
        pages::page("team-b", "modern", AccountGauges::default(), (0..SERVICES).map(service).collect());
    let kept = Arc::new(Snapshot {
        bodies: bodies(&registry),
        values,
        series: 0,
        health: Health::Collected,
        collected_at: SystemTime::now(),
    });
    let account = registry.get(&account.id).expect("the account").account;
    registry.publish(&account, Arc::clone(&kept));
    let unused = Arc::strong_count(&kept);
    let mut client = TcpStream::connect(served.address).await.unwrap();
    client.write_all(b"GET /accounts/team-b/modern HTTP/1.0\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 100];
    client.read_exact(&mut answer).await.unwrap();

    assert_eq!(Arc::strong_count(&kept), unused + 1, "the rest is not produced before it is read");

    client.read_to_end(&mut answer).await.unwrap();
    let body = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    let json: Value = serde_json::from_slice(&answer[body..]).unwrap();
    assert_eq!((&json["account"]["services"], &json["account"]["instances"]), (&5.into(), &5000.into()));
    let services = json["services"].as_array().unwrap();
    assert_eq!(services.len(), SERVICES);
    for (number, service) in services.iter().enumerate() {
        assert_eq!(service["name"], number.to_string());
        let ids = service["instances"].as_array().unwrap().iter().map(|instance| instance["id"].clone());
        assert!(ids.eq((0..INSTANCES).map(|number| Value::from(number.to_string()))));
    }
    assert_eq!(Arc::strong_count(&kept), unused);
}
