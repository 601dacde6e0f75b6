//! What a replica that begins to collect an account has from the one that collected it before: the values go on, and the
//! cloud is not asked twice in a row.

use std::sync::Arc;
use std::time::Duration;

use super::registry::Snapshot;

/// The last cycle of another replica.
#[derive(Debug, Clone)]
pub struct Inherited {
    /// The newest snapshot, without bodies.
    pub snapshot: Arc<Snapshot>,
    /// Whether everything was collected: any other outcome is known again after the next cycle.
    pub was_collected: bool,
    /// How long ago the last cycle ended that succeeded.
    pub since_success: Option<Duration>,
    /// How long ago the newest cycle started.
    pub since_start: Duration,
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::cloud::CloudError;
    use crate::collector::Health;
    use crate::collector::fake::{Fixture, account, kibana, memory};

    const SECOND: Duration = Duration::from_secs(1);

    /// What a replica leaves whose last cycle started and ended so long ago.
    async fn left(since: Duration) -> (Inherited, Arc<Snapshot>) {
        let fixture = Fixture::new(|_| (Duration::ZERO, Ok(kibana(7.0))));
        fixture.supervisor.put(account("uid-1"));
        let snapshot = fixture.until(|_| true).await;
        let left = Inherited {
            snapshot: Arc::clone(&snapshot),
            was_collected: true,
            since_success: Some(since),
            since_start: since,
        };
        (left, snapshot)
    }

    #[tokio::test(start_paused = true)]
    async fn the_values_go_on_and_the_cloud_is_asked_when_it_would_have_been_or_at_once() {
        for since in [Duration::ZERO, 10 * SECOND, 40 * SECOND] {
            let (left, before) = left(since).await;
            let fixture = Fixture::new(|_| (SECOND, Ok(kibana(8.0))));
            let begun = Instant::now();
            fixture.supervisor.put_inheriting(account("uid-1"), Some(left));
            let first = fixture.until(|_| true).await;
            assert_eq!(first.bodies.text.gzip, before.bodies.text.gzip, "the very body");
            assert_eq!(first.health, Health::Collected);
            let is_due = since > 30 * SECOND;
            assert!(is_due || fixture.clouds.started() == 0, "{since:?}: too early");
            fixture.until(|snapshot| memory(snapshot) == Some(8.0)).await;
            // The interval is 30 s, and a cycle takes one.
            let due = (30 * SECOND).saturating_sub(since) + SECOND;
            assert!((due..due + SECOND).contains(&begun.elapsed()), "{since:?}: after {:?}", begun.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_inherited_goes_stale_from_when_it_was_confirmed() {
        let (left, _) = left(50 * SECOND).await;
        let fixture = Fixture::new(|_| (SECOND, Err(CloudError::Status(500))));
        let begun = Instant::now();
        fixture.supervisor.put_inheriting(account("uid-1"), Some(left));
        fixture.until(|snapshot| memory(snapshot) == Some(7.0)).await;
        fixture.until(|snapshot| memory(snapshot).is_none()).await;
        let gone = begun.elapsed();
        assert!((39 * SECOND..=42 * SECOND).contains(&gone), "{gone:?}");
        assert!(fixture.clouds.started() > 0);
    }
}
