//! Desired accounts against running tasks, under virtual time.

use std::time::Duration;

use crate::account::{AccountId, Names, Target, Uncollected};
use crate::cloud::ServiceFilter;
use crate::cloud::alauda::AlaudaAccount;
use crate::collector::fake::{Fixture, account, id, kibana, memory, provider, rotated};
use crate::collector::registry::Elsewhere;
use crate::limits::{MemoryBudget, ProcessLimits};

const SECOND: Duration = Duration::from_secs(1);

fn target() -> Target {
    Target {
        path: id().metrics_path(),
        legacy: false,
        interval: crate::api::Duration::from_secs(30),
        timeout: crate::api::Duration::from_secs(10),
        labels: vec![("team".to_owned(), "checkout".to_owned())],
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_account_again_changes_nothing() {
    let fixture = Fixture::new(|_| (SECOND, Ok(kibana(1.0))));
    assert!(fixture.supervisor.put(account("uid-1")));
    fixture.until(|_| true).await;
    assert!(!fixture.supervisor.put(account("uid-1")));
    tokio::time::sleep(SECOND).await;
    assert_eq!(fixture.clouds.started(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_changed_account_is_collected_anew_and_keeps_its_values_meanwhile() {
    let fixture = Fixture::new(|cycle| (20 * SECOND, Ok(kibana(f64::from(u32::try_from(cycle).unwrap())))));
    fixture.supervisor.put(account("uid-1"));
    fixture.until(|snapshot| memory(snapshot) == Some(0.0)).await;

    let mut changed = account("uid-1");
    changed.connection.provider = rotated();
    assert!(fixture.supervisor.put(changed));
    assert_eq!(fixture.snapshot().as_deref().and_then(memory), Some(0.0));
    tokio::time::sleep(SECOND).await;
    assert_eq!(fixture.clouds.started(), 2, "the new credentials are used at once");
    fixture.until(|snapshot| memory(snapshot) == Some(1.0)).await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_account_loses_its_series_at_once_and_its_cycle_is_cancelled() {
    let fixture = Fixture::new(|_| (20 * SECOND, Ok(kibana(1.0))));
    fixture.supervisor.put(account("uid-1"));
    fixture.until(|_| true).await;
    tokio::time::sleep(45 * SECOND).await;

    fixture.supervisor.remove(&id());
    assert!(fixture.registry.get(&id()).is_none());
    let started = fixture.clouds.started();
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(fixture.clouds.started(), started);
    assert!(fixture.registry.get(&id()).is_none(), "nothing is written afterwards");
    assert!(!fixture.metrics.render().contains("team-a"), "{}", fixture.metrics.render());
}

#[tokio::test(start_paused = true)]
async fn removed_in_the_middle_of_a_cycle_nothing_of_it_is_published() {
    let fixture = Fixture::new(|_| (20 * SECOND, Ok(kibana(1.0))));
    fixture.supervisor.put(account("uid-1"));
    tokio::time::sleep(10 * SECOND).await;
    fixture.supervisor.remove(&id());
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!((fixture.clouds.started(), fixture.clouds.ended()), (1, 0));
    assert!(fixture.registry.ids().is_empty());
}

#[tokio::test(start_paused = true)]
async fn made_again_under_the_same_name_an_account_carries_no_state_over() {
    let fixture = Fixture::new(|cycle| (20 * SECOND, Ok(kibana(f64::from(u32::try_from(cycle).unwrap())))));
    fixture.supervisor.put(account("uid-1"));
    fixture.until(|snapshot| memory(snapshot) == Some(0.0)).await;

    fixture.supervisor.put(account("uid-2"));
    assert!(fixture.snapshot().is_none(), "the new object starts without values");
    fixture.until(|snapshot| memory(snapshot) == Some(1.0)).await;

    fixture.supervisor.remove(&id());
    fixture.supervisor.put(account("uid-3"));
    assert!(fixture.snapshot().is_none());
    fixture.until(|snapshot| memory(snapshot) == Some(2.0)).await;
}

#[tokio::test(start_paused = true)]
async fn an_account_that_queries_another_cloud_account_serves_none_of_the_old_values() {
    let fixture = Fixture::new(|cycle| (20 * SECOND, Ok(kibana(f64::from(u32::try_from(cycle).unwrap())))));
    let elsewhere = |change: fn(&mut AlaudaAccount)| {
        let mut account = account("uid-1");
        account.connection.provider = provider(change);
        account
    };
    fixture.supervisor.put(account("uid-1"));
    fixture.until(|snapshot| memory(snapshot) == Some(0.0)).await;

    fixture.supervisor.put(elsewhere(|account| account.settings.namespace = "globex".into()));
    assert!(fixture.snapshot().is_none(), "they are another user's");
    fixture.until(|snapshot| memory(snapshot) == Some(1.0)).await;

    fixture.supervisor.put(elsewhere(|account| account.settings.metrics_window = 200 * SECOND));
    assert!(fixture.snapshot().is_none(), "it queries as the first user again");
    fixture.until(|snapshot| memory(snapshot) == Some(2.0)).await;

    fixture.supervisor.put(account("uid-1"));
    assert_eq!(fixture.snapshot().as_deref().and_then(memory), Some(2.0), "other settings keep the values");
}

#[tokio::test(start_paused = true)]
async fn exactly_the_given_accounts_are_collected() {
    let fixture = Fixture::new(|_| (SECOND, Ok(kibana(1.0))));
    let other = || {
        let mut other = account("uid-2");
        other.id = crate::account::AccountId::new("team-b", "beta");
        other
    };
    fixture.supervisor.put_all(vec![account("uid-1"), other()], vec![]);
    fixture.supervisor.put_all(vec![other()], vec![]);
    assert_eq!(fixture.supervisor.ids(), [other().id]);
    assert_eq!(fixture.registry.ids().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_cannot_be_collected_is_listed_and_nothing_else_of_it_is_left() {
    let fixture = Fixture::new(|_| (20 * SECOND, Ok(kibana(1.0))));
    let uncollected = || Uncollected::without_secret(&account("uid-1"));
    fixture.supervisor.put(account("uid-1"));
    fixture.until(|_| true).await;
    tokio::time::sleep(45 * SECOND).await;

    fixture.supervisor.mark_uncollected(uncollected());
    assert!(fixture.registry.get(&id()).is_none());
    assert_eq!(fixture.registry.states(), [("SecretNotFound", 1)].into());
    let started = fixture.clouds.started();
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(fixture.clouds.started(), started);
    assert_eq!(fixture.registry.states(), [("SecretNotFound", 1)].into(), "its task publishes nothing more");
    assert!(!fixture.metrics.render().contains("team-a"), "{}", fixture.metrics.render());

    fixture.supervisor.put(account("uid-1"));
    assert!(fixture.snapshot().is_none(), "what it had is long gone");
    fixture.until(|_| true).await;

    fixture.supervisor.put_all(vec![], vec![uncollected()]);
    assert_eq!(fixture.supervisor.ids(), [id()]);
    fixture.supervisor.put_all(vec![], vec![]);
    assert!(fixture.registry.ids().is_empty());
    fixture.supervisor.mark_uncollected(uncollected());
    fixture.supervisor.remove(&id());
    assert!(fixture.registry.ids().is_empty());
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_every_task_and_keeps_the_snapshots_for_scrapes() {
    let fixture = Fixture::new(|_| (SECOND, Ok(kibana(1.0))));
    fixture.supervisor.put(account("uid-1"));
    fixture.until(|_| true).await;
    fixture.supervisor.stop().await;
    let started = fixture.clouds.started();
    tokio::time::sleep(300 * SECOND).await;
    assert_eq!(fixture.clouds.started(), started);
    assert!(fixture.snapshot().is_some());
}

#[tokio::test(start_paused = true)]
async fn two_accounts_of_one_cloud_account_both_work_and_are_found_as_duplicates_once_collected() {
    let fixture = Fixture::new(|_| (SECOND, Ok(kibana(1.0))));
    let another = |namespace: &str, name: &str| {
        let mut another = account(name);
        another.id = AccountId::new(namespace, name);
        another
    };
    let (first, foreign) = (account("uid-1"), another("another-team", "alpha"));
    let neighbor = another(&first.id.namespace, "zulu");
    fixture.supervisor.put(first);
    assert_eq!(fixture.supervisor.duplicate_of(&id()), None);
    fixture.supervisor.put(foreign.clone());
    assert_eq!(fixture.supervisor.duplicate_of(&id()), None, "it may have invented its credentials");
    fixture.until(|_| true).await;
    assert_eq!(fixture.supervisor.duplicate_of(&id()).as_ref(), Some(&foreign.id));

    fixture.supervisor.put(neighbor.clone());
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(
        fixture.supervisor.duplicate_of(&id()).as_ref(),
        Some(&neighbor.id),
        "its own namespace first"
    );
    fixture.supervisor.remove(&neighbor.id);
    fixture.supervisor.remove(&id());
    assert_eq!(fixture.supervisor.duplicate_of(&foreign.id), None);
}

#[tokio::test(start_paused = true)]
async fn only_a_change_of_the_connection_makes_another_client() {
    let fixture = Fixture::new(|_| (SECOND, Ok(kibana(1.0))));
    let mut edited = account("uid-1");
    fixture.supervisor.put(edited.clone());
    fixture.until(|_| true).await;

    edited.schedule.interval = 60 * SECOND;
    assert!(fixture.supervisor.put(edited.clone()));
    edited.selection = ServiceFilter::new(&["kib*"], &[]);
    assert!(fixture.supervisor.put(edited.clone()));
    edited.exposition.names = Names::Both;
    assert!(fixture.supervisor.put(edited.clone()));
    edited.targets = vec![target()];
    assert!(fixture.supervisor.put(edited.clone()));
    tokio::time::sleep(300 * SECOND).await;
    assert_eq!(fixture.clouds.connected(), 1);

    edited.connection.provider = rotated();
    fixture.supervisor.put(edited.clone());
    tokio::time::sleep(SECOND).await;
    assert_eq!(fixture.clouds.connected(), 2);
    edited.connection.limits.requests_per_second = 1;
    fixture.supervisor.put(edited.clone());
    tokio::time::sleep(SECOND).await;
    assert_eq!(fixture.clouds.connected(), 3);
    edited.uid = "uid-2".into();
    fixture.supervisor.put(edited);
    tokio::time::sleep(SECOND).await;
    assert_eq!(fixture.clouds.connected(), 4, "another object shares nothing with the one before");
}

#[tokio::test(start_paused = true)]
async fn a_change_of_how_values_are_exposed_leaves_the_cycle_under_way_alone() {
    let fixture = Fixture::new(|_| (20 * SECOND, Ok(kibana(1.0))));
    let mut edited = account("uid-1");
    fixture.supervisor.put(edited.clone());
    tokio::time::sleep(10 * SECOND).await;

    edited.exposition.names = Names::Both;
    fixture.supervisor.put(edited.clone());
    tokio::time::sleep(SECOND).await;
    edited.targets = vec![target()];
    fixture.supervisor.put(edited.clone());
    fixture.until(|snapshot| snapshot.bodies.legacy.is_some() && memory(snapshot) == Some(1.0)).await;

    assert_eq!((fixture.clouds.started(), fixture.clouds.ended()), (1, 1));
    assert_eq!(fixture.registry.get(&id()).unwrap().account.targets, [target()]);
    let reported = fixture.reported();
    edited.targets.clear();
    fixture.supervisor.put(edited);
    assert_eq!(fixture.reported(), reported, "its condition does not change either");
}

/// An account that is collected within this memory and then by another replica, when the collection here has ended; and
/// what it was charged.
async fn left_within(memory: &MemoryBudget) -> (Fixture, usize) {
    let limits = ProcessLimits { memory: memory.clone(), ..ProcessLimits::default() };
    let fixture = Fixture::within(limits, |_| (SECOND, Ok(kibana(1.0))));
    fixture.supervisor.put(account("uid-1"));
    fixture.until(|_| true).await;
    let held = memory.held();
    fixture.supervisor.mark_elsewhere(Elsewhere {
        id: id(),
        uid: "uid-1".to_owned(),
        provider: "alauda",
        targets: Vec::new(),
        is_suspended: false,
        is_coming: false,
        before: None,
        report: None,
    });
    tokio::time::sleep(SECOND).await;
    (fixture, held)
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_another_replicas_account_is_charged_until_it_is_stale_or_others_need_the_memory() {
    let is_kept = |fixture: &Fixture| fixture.registry.elsewhere(&id()).unwrap().before.is_some();
    let memory = MemoryBudget::new(1 << 20);
    let (fixture, held) = left_within(&memory).await;
    assert!(held > 0 && is_kept(&fixture));
    assert_eq!(memory.held(), held);
    tokio::time::sleep(90 * SECOND).await;
    assert!(!is_kept(&fixture));
    assert_eq!(memory.held(), 0);

    let memory = MemoryBudget::new(held + held / 2);
    let (fixture, _) = left_within(&memory).await;
    let mut charge = memory.holder("team-b", "smaller").charge();
    charge.resize(held - held / 4).unwrap();
    tokio::time::sleep(SECOND).await;
    assert!(!is_kept(&fixture));
    assert_eq!(memory.held(), charge.bytes());

    let (fixture, _) = left_within(&MemoryBudget::new(1 << 20)).await;
    fixture.supervisor.stop().await;
    assert!(is_kept(&fixture), "scrapes are answered until the process ends");
}
