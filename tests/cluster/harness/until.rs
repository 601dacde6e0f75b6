//! Waiting for a condition. Knows nothing of what is waited for.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// Long enough for anything that happens by itself on a busy machine; a condition that holds ends the wait at once.
pub(crate) const SOON: Duration = Duration::from_secs(120);

const PAUSE: Duration = Duration::from_millis(50);

/// Repeats `check` until it says `Ok`, and returns its value. `Err` holds what was seen instead: `bail!` and `ensure!`
/// make it, and so does a call that fails for now.
///
/// # Panics
/// After `deadline`, with what was awaited and what was seen last.
pub(crate) async fn until<T>(
    deadline: Duration,
    awaited: &str,
    mut check: impl AsyncFnMut() -> anyhow::Result<T>,
) -> T {
    let started = Instant::now();
    let end = started + deadline;
    let mut seen = String::from("nothing: the first look did not return");
    loop {
        match timeout_at(end, check()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(other)) => seen = format!("{other:#}"),
            Err(_) => {}
        }
        assert!(Instant::now() < end, "waited {deadline:?} for: {awaited}\nlast seen: {seen}");
        sleep(PAUSE).await;
    }
}
