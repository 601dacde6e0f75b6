//! What a replica answers about accounts that another one collects.

use std::time::Duration;

use anyhow::{Context, ensure};

use super::group::Group;
use crate::harness::{ControlPlane, until};
use crate::operator_fixture::DEADLINE;

const ACCOUNTS: usize = 9;

/// Long enough that two scrapes see the same cycle.
const INTERVAL: Duration = Duration::from_secs(10);

/// Nine accounts, and the replicas `a` and `b`.
async fn of_two(hint: &str) -> anyhow::Result<Group> {
    let mut group = Group::new(ControlPlane::shared().await, hint, ACCOUNTS, INTERVAL).await?;
    for name in ["a", "b"] {
        group.start(name).await?;
    }
    Ok(group)
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn any_replica_answers_for_all_accounts() -> anyhow::Result<()> {
    let group = of_two("replicas-any").await?;
    let owners = group.until_shared().await;
    let namespace = group.namespace.name();
    for (name, owner) in &owners {
        let (owner, other) = (&group.replicas[owner], &group.replicas[if *owner == "a" { "b" } else { "a" }]);
        until(DEADLINE, "the same body from both", async || {
            let own = owner.scrape(&group.path(name)).await?;
            let others = other.scrape(&group.path(name)).await?;
            ensure!(own.0 == 200 && own == others, "{own:?} and {others:?}");
            Ok(())
        })
        .await;
        for format in ["", "?format=html"] {
            let path = format!("/accounts/{namespace}/{name}{format}");
            let (code, body) = other.scrape(&path).await?;
            assert!(code == 200 && body.contains("Collected"), "{path}: {code} {body}");
        }
    }
    for replica in group.replicas.values() {
        for path in ["/accounts", "/accounts?format=html", "/services?format=json", "/sd", "/?format=html"] {
            let (code, body) = replica.scrape(path).await?;
            assert_eq!(code, 200, "{path}");
            for name in owners.keys() {
                assert!(
                    body.contains(&format!("{name}\"")) || body.contains(&format!("/{name}")),
                    "{path} lacks {name}"
                );
            }
        }
        let (_, services) = replica.scrape("/services?format=json&limit=100").await?;
        let services: serde_json::Value = serde_json::from_str(&services)?;
        assert_eq!(services["services"].as_array().map(Vec::len), Some(2 * ACCOUNTS));
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the real servers: run make test"]
async fn a_scrape_gets_503_with_the_reason_while_the_owner_does_not_answer() -> anyhow::Result<()> {
    let mut group = of_two("replicas-unreached").await?;
    let owners = group.until_shared().await;
    let (name, _) = owners.iter().find(|(_, owner)| **owner == "b").context("an account of b")?;
    // Its Lease still counts for a while, but it answers nothing.
    group.replica("b")?.freeze().await?;
    let scrape = group.replicas["a"].scrape(&group.path(name)).await?;
    group.replica("b")?.thaw();
    assert_eq!(scrape.0, 503);
    assert!(scrape.1.contains("replica b collects this account and cannot be reached"), "{}", scrape.1);
    Ok(())
}
