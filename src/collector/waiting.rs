//! Waiting, in ways that the runtime's timers do not have.

use std::pin::pin;
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

/// Sleeps until that moment; forever where there is none.
pub(super) async fn sleep_until_some(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
