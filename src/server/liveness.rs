//! Whether the process is alive: its tasks still get to run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a task says that it runs.
const BEAT: Duration = Duration::from_secs(1);
/// How long none may run before a restart is better than waiting: far longer than any work that is done in one go, so that
/// load alone restarts nothing.
const LONGEST_SILENCE: Duration = Duration::from_secs(120);

/// When a task of the main runtime ran last. Clones share it, and a thread outside of that runtime can read it.
#[derive(Debug, Clone)]
pub struct Liveness {
    start: Instant,
    /// In milliseconds after the start.
    last: Arc<AtomicU64>,
    longest_silence: Duration,
}

impl Default for Liveness {
    fn default() -> Self {
        Self::new(LONGEST_SILENCE)
    }
}

impl Liveness {
    /// Alive now, and for as long as the time since the last beat is no longer than this.
    pub fn new(longest_silence: Duration) -> Self {
        Self { start: Instant::now(), last: Arc::default(), longest_silence }
    }

    /// Beats for as long as it is polled by the runtime that it speaks for.
    pub async fn beat(&self) {
        loop {
            let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.last.store(now, Ordering::Relaxed);
            tokio::time::sleep(BEAT.min(self.longest_silence / 4)).await;
        }
    }

    /// How long no task has run, if that is too long.
    pub(super) fn silent_for(&self) -> Option<Duration> {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        let silence = self.start.elapsed().saturating_sub(last);
        (silence > self.longest_silence).then_some(silence)
    }
}
