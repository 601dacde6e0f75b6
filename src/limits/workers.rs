//! CPU work that a tenant or a cloud chooses: parsing, filtering, rendering. As much at once as the machine has cores, one
//! namespace after the other.
//!
//! It must not run on the threads that serve probes and scrapes as long as it takes: [`WorkerShare::run`] hands the other
//! tasks of its thread to another thread first. A panic of the work is one of the caller.
//!
//! Small work, which takes less than some milliseconds, has permits of its own: it never waits for another namespace's work
//! that takes seconds.

use std::num::NonZero;
use std::sync::Arc;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use super::shares::{Share, SharedPermit, Shares};

/// How much work runs at once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workers {
    large: Arc<Shares>,
    small: Arc<Shares>,
}

/// The workers as one namespace sees them.
#[derive(Debug, Clone)]
pub struct WorkerShare {
    large: Share,
    small: Share,
}

/// How long work takes, as far as can be told before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkSize {
    /// Less than some milliseconds.
    Small,
    /// Any time.
    Large,
}

impl Default for Workers {
    /// As many as the machine has cores.
    fn default() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, NonZero::get))
    }
}

impl Workers {
    /// So much large work at once, and as much small work.
    pub fn new(at_once: usize) -> Self {
        Self { large: Shares::in_turn(at_once), small: Shares::in_turn(at_once) }
    }

    /// The workers as this namespace sees them.
    pub fn of(&self, namespace: &str) -> WorkerShare {
        WorkerShare { large: self.large.of(namespace), small: self.small.of(namespace) }
    }
}

impl WorkerShare {
    /// Waits until more work may run. For work on a thread of its own, which holds the permit until it ends.
    pub async fn permit(&self, size: WorkSize) -> SharedPermit {
        let share = match size {
            WorkSize::Small => &self.small,
            WorkSize::Large => &self.large,
        };
        share.acquire(1).await
    }

    /// Waits until more large work may run and runs this to its end, while other tasks go on.
    pub async fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let _permit = self.permit(WorkSize::Large).await;
        aside(work)
    }

    /// The same for work of so many steps, each of some nanoseconds: where these are few, it runs at once.
    pub async fn run_steps<T>(&self, steps: usize, work: impl FnOnce() -> T) -> T {
        if steps < AT_ONCE { work() } else { self.run(work).await }
    }
}

/// Work of fewer steps is done where it comes up: it takes some milliseconds at most.
const AT_ONCE: usize = 1 << 20;

/// Runs work to its end, while other tasks go on. For a caller that holds a permit.
pub fn aside<T>(work: impl FnOnce() -> T) -> T {
    // A runtime of one thread, as tests have, has no other that could go on.
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => work(),
        _ => block_in_place(work),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use futures::FutureExt;

    use super::*;

    /// Keeps a core busy, as a hostile pattern would.
    fn busy(time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn other_tasks_go_on_while_work_runs() {
        let workers = Workers::new(2);
        let work = Duration::from_millis(300);
        let start = Instant::now();
        let busy_task = tokio::spawn(async move { workers.of("tenant").run(|| busy(work)).await });
        while start.elapsed() < Duration::from_millis(20) {
            tokio::task::yield_now().await;
        }
        let other = tokio::spawn(async { Instant::now() }).await.unwrap();
        assert!(other - start < work, "the other task waited for the work: {:?}", other - start);
        busy_task.await.unwrap();
    }

    #[tokio::test]
    async fn small_work_does_not_wait_for_large_work() {
        let workers = Workers::new(1);
        let _large = workers.of("tenant").permit(WorkSize::Large).await;
        let other = workers.of("team-a");
        assert!(other.permit(WorkSize::Large).now_or_never().is_none());
        let small = other.permit(WorkSize::Small).now_or_never().expect("a permit for small work");
        assert!(other.permit(WorkSize::Small).now_or_never().is_none(), "which is bounded as well");
        drop(small);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_more_work_runs_at_once_than_allowed() {
        let workers = Workers::new(2);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..20).map(|number| {
            let (share, running, most) =
                (workers.of(&format!("namespace-{number}")), running.clone(), most.clone());
            tokio::spawn(async move {
                share
                    .run(|| {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        busy(Duration::from_millis(2));
                        running.fetch_sub(1, Ordering::SeqCst);
                    })
                    .await;
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }
}
