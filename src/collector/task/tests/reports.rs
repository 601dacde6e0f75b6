//! What is reported to the status: transitions, and nothing else.

use super::*;

#[tokio::test(start_paused = true)]
async fn only_transitions_are_reported_not_cycles() {
    let mut fixture = Fixture::new(|cycle| match cycle {
        0..=9 => (SECOND, Ok(kibana(f64::from(u32::try_from(cycle).unwrap())))),
        10..=19 => (SECOND, Err(timeout())),
        _ => (SECOND, Ok(kibana(1.0))),
    });
    fixture.supervisor.put(account("uid-1"));
    tokio::time::sleep(Duration::from_secs(30 * 40)).await;

    let reported = fixture.count_transitions();
    // Collected; failed; nothing left when the values went stale; services again; collected again, a cycle later.
    assert_eq!(reported, 5, "after {} cycles", fixture.clouds.started());
}

#[tokio::test(start_paused = true)]
async fn a_full_channel_loses_no_transition() {
    let mut fixture =
        Fixture::new(|cycle| (SECOND, if cycle < 60 { Ok(kibana(1.0)) } else { Err(timeout()) }));
    for other in 0..20 {
        let mut account = account(&format!("uid-{other}"));
        account.id = crate::account::AccountId::new("team-b", &format!("other-{other}"));
        fixture.supervisor.put(account);
    }
    fixture.supervisor.put(account("uid-acme"));
    tokio::time::sleep(Duration::from_secs(120)).await;

    let mut reported = std::collections::HashSet::new();
    while reported.len() < 21 {
        let transition = tokio::time::timeout(Duration::from_secs(600), fixture.transitions.recv()).await;
        reported.insert(transition.expect("reported in time").expect("open").id);
    }
}

#[tokio::test(start_paused = true)]
async fn more_series_than_allowed_are_reported_and_the_oldest_kept() {
    let fixture = Fixture::new(|_| (SECOND, Ok(kibana(1.0))));
    let mut account = account("uid-1");
    account.exposition.max_series = 7;
    fixture.supervisor.put(account);
    let snapshot = fixture.until(|_| true).await;
    assert_eq!(snapshot.health.reason(), Reason::TooManySeries);
    assert!(snapshot.values.gauges.up);
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_fails_every_second_time_is_reported_once_and_its_metrics_show_each_failure() {
    let mut fixture =
        Fixture::new(|cycle| (SECOND, if cycle % 2 == 0 { Ok(kibana(7.0)) } else { Err(timeout()) }));
    fixture.supervisor.put(account("uid-1"));
    for _ in 0..10 {
        let failed = fixture.until(|snapshot| !snapshot.values.gauges.up).await;
        assert_eq!(failed.health, Health::Failed(timeout()), "what is served is not damped");
        assert_eq!(fixture.reported(), Some(Health::Collected));
        fixture.until(|snapshot| snapshot.values.gauges.up).await;
    }
    assert_eq!(fixture.count_transitions(), 1, "after {} cycles", fixture.clouds.started());
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_lasts_is_reported_after_a_minute_however_far_the_next_cycle_is() {
    let fixture = Fixture::new(|cycle| (SECOND, if cycle == 0 { Ok(kibana(7.0)) } else { Err(timeout()) }));
    let mut account = account("uid-1");
    account.schedule.interval = 3600 * SECOND;
    account.schedule.stale_after = 10_000 * SECOND;
    fixture.supervisor.put(account);
    fixture.until(|snapshot| !snapshot.values.gauges.up).await;
    let failed = Instant::now();
    while fixture.reported() == Some(Health::Collected) && failed.elapsed() < 120 * SECOND {
        tokio::time::sleep(SECOND / 10).await;
    }
    assert_eq!(fixture.reported(), Some(Health::Failed(timeout())));
    assert!((59 * SECOND..=61 * SECOND).contains(&failed.elapsed()), "after {:?}", failed.elapsed());
}

#[tokio::test(start_paused = true)]
async fn two_services_that_only_an_id_tells_apart_are_reported_by_their_name() {
    let mut twice = kibana(1.0);
    let mut second = kibana(2.0).services.remove(0);
    let facts =
        |id: &str| ServiceFacts { name: "kibana".into(), id: Some(id.into()), ..ServiceFacts::default() };
    twice.services[0].facts = Arc::new(facts("1"));
    second.facts = Arc::new(facts("2"));
    twice.services.push(second);
    let fixture = Fixture::new(move |_| (SECOND, Ok(twice.clone())));
    fixture.supervisor.put(account("uid-1"));
    let snapshot = fixture.until(|_| true).await;
    assert!(snapshot.values.gauges.up);
    let reported = fixture.reported().unwrap();
    assert_eq!(reported.reason(), Reason::Collected);
    assert!(reported.message().contains("\"kibana\""), "{}", reported.message());
}
