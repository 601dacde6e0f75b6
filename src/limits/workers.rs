//! CPU work that a tenant or a cloud chooses: parsing, filtering, rendering. As much at once as the machine has cores and the
//! process memory for, one namespace after the other.
//!
//! It must not run on the threads that serve probes and scrapes as long as it takes: [`WorkerShare::run`] hands the other
//! tasks of its thread to another thread first. A panic of the work is one of the caller.
//!
//! Small work, which takes less than some milliseconds, has permits of its own: it never waits for another namespace's work
//! that takes seconds.
//!
//! What reading makes of an answer is charged to an account only when it is taken in. Until then the permit of the reading stays
//! with it ([`with_permit`]), so that no more results are in memory than work runs at once.

use std::cell::Cell;
use std::num::NonZero;
use std::sync::Arc;

use futures::FutureExt;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use super::shares::{Share, SharedPermit, Shares};

/// The most that one piece of work may make of what it is given before that is charged to an account, in bytes: enough for
/// 50,000 services or 100,000 instances with names of the usual length.
pub const LARGEST_RESULT: usize = 64 << 20;

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
        Self::new(cores())
    }
}

impl Workers {
    /// So much large work at once, and as much small work.
    pub fn new(at_once: usize) -> Self {
        Self { large: Shares::in_turn(at_once), small: Shares::in_turn(at_once) }
    }

    /// Those of a process that may use so much memory, in bytes: a quarter of it has room for what they make.
    pub fn within(memory: usize) -> Self {
        let cores = cores();
        let large = large_at_once(cores, memory);
        Self { large: Shares::in_turn(large), small: Shares::in_turn(cores) }
    }

    /// The workers as this namespace sees them.
    pub fn of(&self, namespace: &str) -> WorkerShare {
        WorkerShare { large: self.large.of(namespace), small: self.small.of(namespace) }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn large_at_once(cores: usize, memory: usize) -> usize {
    cores.min(memory / 4 / LARGEST_RESULT).max(1)
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

    /// The same for work whose result is large: where [`with_permit`] runs this, the permit stays with a result that is no error.
    pub async fn run_reading<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        // One that waits holds none.
        release();
        let permit = self.permit(WorkSize::Large).await;
        let result = aside(work);
        if result.is_ok() {
            // Else nobody keeps it.
            let _ = KEPT.try_with(|kept| kept.set(Some(permit)));
        }
        result
    }

    /// Runs work of so many steps, each of some nanoseconds, on the result of other work: where these are few, at once; else under
    /// the permit that came with the result, or in turn.
    pub async fn run_steps<T>(
        &self,
        steps: usize,
        permit: Option<SharedPermit>,
        work: impl FnOnce() -> T,
    ) -> T {
        if is_short(steps) {
            drop(permit);
            return work();
        }
        let _permit = match permit {
            Some(permit) => permit,
            None => self.permit(WorkSize::Large).await,
        };
        aside(work)
    }
}

tokio::task_local! {
    /// The permit of the large work that has run last in this future.
    static KEPT: Cell<Option<SharedPermit>>;
}

/// The output of a future, and the permit of the large work that has made it, if any has.
///
/// No `async` block, which would be twice as large as the future in it: a request is some KiB, and is moved into its queue.
pub fn with_permit<F: Future>(future: F) -> impl Future<Output = (F::Output, Option<SharedPermit>)> {
    KEPT.scope(Cell::new(None), future.map(|output| (output, KEPT.with(Cell::take))))
}

/// Gives back a permit that this future has kept: what it was kept for is of no use any more.
pub fn release() {
    // Outside of `with_permit` there is none.
    let _ = KEPT.try_with(Cell::take);
}

/// Whether work of so many steps is done where it comes up: it takes some milliseconds at most.
pub fn is_short(steps: usize) -> bool {
    steps < 1 << 20
}

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

    use super::*;

    /// Keeps a core busy, as a hostile pattern would.
    fn busy(time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn no_more_large_work_runs_at_once_than_a_quarter_of_the_memory_holds_the_results_of() {
        let at_once = |cores, mebibytes: usize| large_at_once(cores, mebibytes << 20);
        assert_eq!([at_once(64, 512), at_once(64, 1536), at_once(64, 32)], [2, 6, 1]);
        assert_eq!([at_once(4, 1536), at_once(1, 512)], [4, 1]);
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
    async fn the_permit_of_work_stays_with_its_result_until_that_is_taken_in_or_the_future_goes_on() {
        let workers = Workers::new(1);
        let (share, other) = (workers.of("tenant"), workers.of("team-a"));
        let is_free = || other.permit(WorkSize::Large).now_or_never().is_some();
        let (result, permit) = with_permit(share.run_reading(|| Ok::<_, ()>(7))).await;
        assert_eq!((result, permit.is_some(), is_free()), (Ok(7), true, false));
        drop(permit);
        assert!(is_free());
        let (_, permit) = with_permit(share.run_reading(|| Err::<(), _>("unreadable"))).await;
        assert!(permit.is_none() && is_free(), "an error holds nothing");
        assert!(share.run_reading(|| Ok::<_, ()>(())).await.is_ok() && is_free(), "nobody has asked for it");
        let twice = async {
            let _ = share.run_reading(|| Ok::<_, ()>(())).await;
            let _ = share.run_reading(|| Ok::<_, ()>(())).await;
            release();
            is_free()
        };
        assert!(with_permit(twice).await.0, "it does not wait for itself");
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
