//! Several replicas: what one tells of its accounts, and what the others make of it.

use std::collections::BTreeMap;

use caas_operator::account::AccountId;
use caas_operator::exposition::Renderer;
use caas_operator::replicas::peers::ACCOUNTS_PATH;
use caas_operator::replicas::remote::{Reader, RemoteAccount};

use super::{ALL, get, started};

/// What is told under a path, received in pieces of this many bytes.
fn read(told: &[u8], piece: usize) -> BTreeMap<AccountId, RemoteAccount> {
    let mut reader = Reader::default();
    told.chunks(piece).for_each(|piece| reader.read(piece).unwrap());
    reader.accounts()
}

#[tokio::test]
async fn what_a_replica_tells_of_an_account_renders_to_the_very_same_bodies() {
    let (served, registry) = started(None).await;
    let id = AccountId::new("team-a", "acme");
    let told = get(&served, &format!("{ACCOUNTS_PATH}/team-a/acme")).await.bytes().await.unwrap();
    let before = registry.get(&id).unwrap().snapshot.unwrap();
    for piece in [1, 100, told.len()] {
        let account = read(&told, piece).remove(&id).unwrap();
        assert_eq!(account.uid(), Some("uid-of-team-a-acme"));
        let inherited = account.inherited(before.values.provider).unwrap();
        assert!(inherited.was_collected && inherited.since_start >= inherited.since_success.unwrap());
        assert_eq!(inherited.snapshot.values, before.values);
        let bodies = Renderer::default().render(&inherited.snapshot.values, &ALL).bodies;
        assert_eq!(bodies.text.gzip, before.bodies.text.gzip);
        assert_eq!(bodies.openmetrics.gzip, before.bodies.openmetrics.gzip);
    }
}

#[tokio::test]
async fn all_accounts_are_told_of_and_what_cannot_be_read_is_an_error() {
    let (served, _) = started(None).await;
    let told = get(&served, ACCOUNTS_PATH).await.bytes().await.unwrap();
    let accounts = read(&told, 1000);
    let names: Vec<_> = accounts.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["team-a/acme", "team-b/modern", "team-c/new", "team-d/broken", "team-d/resting"]);
    let new = accounts[&AccountId::new("team-c", "new")].clone();
    assert!(new.inherited("alauda").is_none(), "it has not been collected yet");

    for wrong in ["{}\n", "{\"service\":{\"facts\":{}}}\n", "x\n", "\"end\"\n"] {
        assert!(Reader::default().read(wrong.as_bytes()).is_err(), "{wrong}");
    }
    let endless = vec![b' '; 1 << 20];
    assert!(Reader::default().read(&endless).is_err());
}

#[tokio::test]
async fn an_account_that_is_not_told_to_its_end_is_unknown() {
    let (served, _) = started(None).await;
    let told = get(&served, ACCOUNTS_PATH).await.text().await.unwrap();
    let (first, _) = told.split_once("\"end\"").unwrap();
    assert!(read(first.as_bytes(), 1000).is_empty());
    // What another version knows besides costs nothing else.
    let newer = told
        .replace("\"facts\":{", "\"facts\":{\"moon\":\"full\",")
        .replace("\"state\":\"running\"", "\"state\":\"dancing\"");
    assert_eq!(read(newer.as_bytes(), 1000).len(), 5);
    let unknown = told.replace("MemoryUsage", "MoonPhase");
    assert_eq!(read(unknown.as_bytes(), 1000).len(), 5);
}
