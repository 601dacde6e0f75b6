//! Rendering that fails, and settings of the exposition that change.

use super::*;

/// Renders as usual, but panics while `broken` and there are services whose values changed: the memory is not 7.
fn breakable(broken: &Arc<AtomicBool>) -> RenderPool {
    let broken = Arc::clone(broken);
    RenderPool::with(Workers::new(1), move |renderer: &mut Renderer, values, options| {
        let memory = values.services.first().and_then(memory_of);
        let has_new = memory.is_some_and(|bytes| bytes.to_bits() != 7_f64.to_bits());
        assert!(!(broken.load(Ordering::SeqCst) && has_new), "a bug");
        renderer.render(values, options)
    })
}

#[tokio::test(start_paused = true)]
async fn an_account_whose_values_cannot_be_rendered_is_down_keeps_its_last_ones_until_stale_and_heals() {
    let broken = Arc::new(AtomicBool::new(true));
    let fixture = Fixture::rendering(breakable(&broken), |cycle| {
        (SECOND, Ok(kibana(if cycle == 0 { 7.0 } else { 8.0 })))
    });
    fixture.supervisor.put(account("uid-1"));
    let healthy = fixture.until(|snapshot| snapshot.values.gauges.up).await;
    let collected = Instant::now();

    let failed = fixture.until(|snapshot| !snapshot.values.gauges.up).await;
    assert_eq!((failed.health.clone(), memory(&failed)), (Health::Panicked, Some(7.0)));
    assert_eq!(failed.values.gauges.last_success, healthy.values.gauges.last_success);
    assert!(fixture.metrics.render().contains(r#"reason="panic"} 1"#), "{}", fixture.metrics.render());

    let stale = fixture.until(|snapshot| snapshot.counts() == (0, 0)).await;
    let after = collected.elapsed();
    assert!((90 * SECOND..=(90 + 30 + 2) * SECOND).contains(&after), "gone after {after:?}");
    assert_eq!(stale.health, Health::Panicked);
    assert_eq!(fixture.reported(), Some(Health::Panicked));

    broken.store(false, Ordering::SeqCst);
    let healthy = fixture.until(|snapshot| snapshot.values.gauges.up).await;
    assert_eq!((healthy.health.clone(), memory(&healthy)), (Health::Collected, Some(8.0)));
}

#[tokio::test(start_paused = true)]
async fn another_exposition_is_rendered_at_once_without_another_cycle() {
    let fixture = Fixture::new(|_| (SECOND, Ok(kibana(7.0))));
    fixture.supervisor.put(account("uid-1"));
    fixture.until(|snapshot| snapshot.values.gauges.up && snapshot.bodies.legacy.is_none()).await;
    let change = Instant::now();

    let mut both = account("uid-1");
    both.exposition.names = Names::Both;
    assert!(fixture.supervisor.put(both.clone()));
    fixture.until(|snapshot| snapshot.bodies.legacy.is_some()).await;
    both.exposition.max_series = 7;
    fixture.supervisor.put(both);
    fixture.until(|snapshot| snapshot.health.reason() == Reason::TooManySeries).await;

    assert!(change.elapsed() < SECOND, "{:?}", change.elapsed());
    assert_eq!(
        fixture.reported().unwrap().reason(),
        Reason::TooManySeries,
        "a user's change is answered at once"
    );
    assert_eq!(fixture.clouds.started(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_exposition_that_changes_before_the_first_collection_publishes_nothing_yet() {
    let fixture = Fixture::new(|_| (20 * SECOND, Ok(kibana(7.0))));
    fixture.supervisor.put(account("uid-1"));
    tokio::time::sleep(SECOND).await;
    let mut both = account("uid-1");
    both.exposition.names = Names::Both;
    fixture.supervisor.put(both);
    tokio::time::sleep(SECOND).await;
    assert!(fixture.snapshot().is_none(), "nothing was collected, so there is nothing to expose");

    let first = fixture.until(|_| true).await;
    assert!(first.values.gauges.up && first.bodies.legacy.is_some());
    assert_eq!(fixture.clouds.started(), 1);
}
