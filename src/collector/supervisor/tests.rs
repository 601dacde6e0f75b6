//! Desired accounts against running tasks, under virtual time.

use std::time::Duration;

use crate::account::{Provider, Uncollected};
use crate::cloud::Credentials;
use crate::cloud::alauda::Settings;
use crate::collector::fake::{House, account, id, kibana, memory};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_same_account_again_changes_nothing() {
    let house = House::new(|_| (SECOND, Ok(kibana(1.0))));
    assert!(house.supervisor.put(account("uid-1")));
    house.until(|_| true).await;
    assert!(!house.supervisor.put(account("uid-1")));
    tokio::time::sleep(SECOND).await;
    assert_eq!(house.clouds.started(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_changed_account_is_collected_anew_and_keeps_its_values_meanwhile() {
    let house = House::new(|cycle| (20 * SECOND, Ok(kibana(f64::from(u32::try_from(cycle).unwrap())))));
    house.supervisor.put(account("uid-1"));
    house.until(|snapshot| memory(snapshot) == Some(0.0)).await;

    let mut changed = account("uid-1");
    changed.connection.credentials = Credentials::Token("rotated".into());
    assert!(house.supervisor.put(changed));
    assert_eq!(house.snapshot().as_deref().and_then(memory), Some(0.0));
    tokio::time::sleep(SECOND).await;
    assert_eq!(house.clouds.started(), 2, "the new credentials are used at once");
    house.until(|snapshot| memory(snapshot) == Some(1.0)).await;
}

#[tokio::test(start_paused = true)]
async fn a_removed_account_loses_its_series_at_once_and_its_cycle_is_cancelled() {
    let house = House::new(|_| (20 * SECOND, Ok(kibana(1.0))));
    house.supervisor.put(account("uid-1"));
    house.until(|_| true).await;
    tokio::time::sleep(45 * SECOND).await;

    house.supervisor.remove(&id());
    assert!(house.registry.get(&id()).is_none());
    let started = house.clouds.started();
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(house.clouds.started(), started);
    assert!(house.registry.get(&id()).is_none(), "nothing is written afterwards");
    assert!(!house.metrics.render().contains("team-a"), "{}", house.metrics.render());
}

#[tokio::test(start_paused = true)]
async fn removed_in_the_middle_of_a_cycle_nothing_of_it_is_published() {
    let house = House::new(|_| (20 * SECOND, Ok(kibana(1.0))));
    house.supervisor.put(account("uid-1"));
    tokio::time::sleep(10 * SECOND).await;
    house.supervisor.remove(&id());
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!((house.clouds.started(), house.clouds.ended()), (1, 0));
    assert!(house.registry.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn made_again_under_the_same_name_an_account_carries_no_state_over() {
    let house = House::new(|cycle| (20 * SECOND, Ok(kibana(f64::from(u32::try_from(cycle).unwrap())))));
    house.supervisor.put(account("uid-1"));
    house.until(|snapshot| memory(snapshot) == Some(0.0)).await;

    house.supervisor.put(account("uid-2"));
    assert!(house.snapshot().is_none(), "the new object starts without values");
    house.until(|snapshot| memory(snapshot) == Some(1.0)).await;

    house.supervisor.remove(&id());
    house.supervisor.put(account("uid-3"));
    assert!(house.snapshot().is_none());
    house.until(|snapshot| memory(snapshot) == Some(2.0)).await;
}

#[tokio::test(start_paused = true)]
async fn an_account_that_asks_another_cloud_account_serves_none_of_the_old_values() {
    let house = House::new(|cycle| (20 * SECOND, Ok(kibana(f64::from(u32::try_from(cycle).unwrap())))));
    let elsewhere = |change: fn(&mut Settings)| {
        let mut account = account("uid-1");
        let Provider::Alauda(settings) = &mut account.connection.provider;
        change(settings);
        account
    };
    house.supervisor.put(account("uid-1"));
    house.until(|snapshot| memory(snapshot) == Some(0.0)).await;

    house.supervisor.put(elsewhere(|settings| settings.namespace = "globex".into()));
    assert!(house.snapshot().is_none(), "they are another user's");
    house.until(|snapshot| memory(snapshot) == Some(1.0)).await;

    house.supervisor.put(elsewhere(|settings| settings.metrics_window = 200 * SECOND));
    assert!(house.snapshot().is_none(), "it asks as the first user again");
    house.until(|snapshot| memory(snapshot) == Some(2.0)).await;

    house.supervisor.put(account("uid-1"));
    assert_eq!(house.snapshot().as_deref().and_then(memory), Some(2.0), "how it asks is no matter");
}

#[tokio::test(start_paused = true)]
async fn exactly_the_given_accounts_are_collected() {
    let house = House::new(|_| (SECOND, Ok(kibana(1.0))));
    let other = || {
        let mut other = account("uid-2");
        other.id = crate::account::AccountId::new("team-b", "beta");
        other
    };
    house.supervisor.put_all(vec![account("uid-1"), other()], vec![]);
    house.supervisor.put_all(vec![other()], vec![]);
    assert_eq!(house.supervisor.ids(), [other().id]);
    assert_eq!(house.registry.all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_cannot_be_collected_is_listed_and_nothing_else_of_it_is_left() {
    let house = House::new(|_| (20 * SECOND, Ok(kibana(1.0))));
    let left_out = || Uncollected::without_secret(&account("uid-1"));
    house.supervisor.put(account("uid-1"));
    house.until(|_| true).await;
    tokio::time::sleep(45 * SECOND).await;

    house.supervisor.leave_out(left_out());
    assert!(house.registry.get(&id()).is_none());
    assert_eq!(house.registry.states(), [("SecretNotFound", 1)].into());
    let started = house.clouds.started();
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(house.clouds.started(), started);
    assert_eq!(house.registry.states(), [("SecretNotFound", 1)].into(), "its task says nothing more");
    assert!(!house.metrics.render().contains("team-a"), "{}", house.metrics.render());

    house.supervisor.put(account("uid-1"));
    assert!(house.snapshot().is_none(), "what it had is long gone");
    house.until(|_| true).await;

    house.supervisor.put_all(vec![], vec![left_out()]);
    assert_eq!(house.supervisor.ids(), [id()]);
    house.supervisor.put_all(vec![], vec![]);
    assert!(house.registry.all().is_empty());
    house.supervisor.leave_out(left_out());
    house.supervisor.remove(&id());
    assert!(house.registry.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_every_task_and_keeps_what_scrapes_may_still_ask_for() {
    let house = House::new(|_| (SECOND, Ok(kibana(1.0))));
    house.supervisor.put(account("uid-1"));
    house.until(|_| true).await;
    house.supervisor.stop().await;
    let started = house.clouds.started();
    tokio::time::sleep(300 * SECOND).await;
    assert_eq!(house.clouds.started(), started);
    assert!(house.snapshot().is_some());
}

#[tokio::test(start_paused = true)]
async fn two_accounts_of_one_cloud_account_both_work_and_know_of_each_other() {
    let house = House::new(|_| (SECOND, Ok(kibana(1.0))));
    let mut twin = account("uid-2");
    twin.id = crate::account::AccountId::new("team-b", "beta");
    house.supervisor.put(account("uid-1"));
    assert_eq!(house.supervisor.twin_of(&id()), None);
    house.supervisor.put(twin.clone());
    assert_eq!(house.supervisor.twin_of(&id()), Some(twin.id.clone()));
    house.until(|_| true).await;
    assert!(house.registry.get(&twin.id).unwrap().snapshot.is_some());

    house.supervisor.remove(&id());
    assert_eq!(house.supervisor.twin_of(&twin.id), None);
}
