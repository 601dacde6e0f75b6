//! Waiting, in ways that the runtime's timers do not have.

use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

/// Runs `work` and drops `held` when it ends, or after this time if that is sooner.
pub(super) async fn holding_for<T>(longest: Duration, held: impl Sized, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if let Ok(done) = timeout(longest, &mut work).await {
        return done;
    }
    drop(held);
    work.await
}

/// Runs `work` to its end while `awaited` goes on, and returns the output of that if it has come meanwhile. One that waits for a
/// permit alone might wait for ever: the other may have been granted it, and gives it back only where it goes on.
pub(super) async fn beside<T>(
    mut awaited: Pin<&mut impl Future<Output = T>>,
    work: impl Future,
) -> Option<T> {
    let (mut work, mut output) = (pin!(work), None);
    loop {
        tokio::select! {
            came = &mut awaited, if output.is_none() => output = Some(came),
            _ = &mut work => return output,
        }
    }
}

/// Sleeps until that moment; forever where there is none.
pub(super) async fn sleep_until_some(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Shares;

    #[tokio::test(start_paused = true)]
    async fn two_that_wait_for_one_permit_both_get_it_whoever_is_granted_it_first() {
        let permits = Shares::in_turn(1);
        let share = permits.of("team-a");
        let held = share.acquire(1).await;
        let mut awaited = pin!(async { drop(share.acquire(1).await) });
        // It stands in the queue before the other.
        assert!(timeout(Duration::ZERO, awaited.as_mut()).await.is_err());
        let other = async {
            let waits = share.acquire(1);
            drop(held);
            drop(waits.await);
        };
        let both = beside(awaited, other);
        assert_eq!(timeout(Duration::from_secs(60), both).await, Ok(Some(())));
    }
}
