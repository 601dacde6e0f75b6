//! Renders snapshots on blocking threads, as one kind of the work that [`Workers`] limit.
//!
//! Rendering is CPU work, so more at once only costs memory: each needs buffers as large as its account's bodies. The
//! renderers, which keep their buffers, are shared by all accounts. A permit is held until its render has ended, even if
//! nobody waits for it any longer.

use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;

use crate::exposition::values::AccountValues;
use crate::exposition::{Options, Rendered, Renderer};
use crate::limits::{SharedPermit, WorkSize, Workers};

/// How values become bodies; tests put another function here.
type Render = dyn Fn(&mut Renderer, &AccountValues, &Options) -> Rendered + Send + Sync;

/// Rendering panicked, which is a bug, or the process is shutting down.
#[derive(Debug, Error)]
#[error("the metrics could not be rendered")]
pub(super) struct RenderFailed;

/// Limits how many renders run at once.
#[derive(Clone)]
pub(super) struct RenderPool {
    workers: Workers,
    idle: Arc<Mutex<Vec<Renderer>>>,
    render: Arc<Render>,
}

/// The right to render once.
pub(super) struct RenderPermit {
    pool: RenderPool,
    permit: SharedPermit,
}

impl RenderPool {
    /// A pool that renders on these workers.
    pub(super) fn new(workers: Workers) -> Self {
        Self::with(workers, Renderer::render)
    }

    /// The same with another function than the renderer's.
    pub(super) fn with(
        workers: Workers,
        render: impl Fn(&mut Renderer, &AccountValues, &Options) -> Rendered + Send + Sync + 'static,
    ) -> Self {
        Self { workers, idle: Arc::default(), render: Arc::new(render) }
    }

    /// Waits until another render of this namespace may start; a small one waits for no large one. What is to be rendered
    /// is best made afterwards, so that none waits in memory.
    pub(super) async fn permit(&self, namespace: &str, size: WorkSize) -> RenderPermit {
        RenderPermit { pool: self.clone(), permit: self.workers.of(namespace).permit(size).await }
    }
}

impl RenderPermit {
    /// Renders the values of one account.
    pub(super) async fn render(
        self,
        values: AccountValues,
        options: Options,
    ) -> Result<(AccountValues, Rendered), RenderFailed> {
        let Self { pool, permit } = self;
        let work = tokio::task::spawn_blocking(move || {
            let idle = || pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let mut tools = idle().pop().unwrap_or_default();
            let rendered = (pool.render)(&mut tools, &values, &options);
            idle().push(tools);
            drop(permit);
            (values, rendered)
        });
        work.await.map_err(|_| RenderFailed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::exposition::labels::LabelSet;
    use crate::exposition::values::AccountGauges;

    fn values() -> AccountValues {
        let labels = LabelSet::account("team-a", "acme");
        AccountValues {
            labels,
            gauges: AccountGauges::default(),
            provider: "alauda",
            status_words: &[],
            services: Vec::new(),
        }
    }

    const OPTIONS: Options =
        Options { modern: true, legacy: false, max_series: 100, source_timestamps: false };

    #[tokio::test]
    async fn never_more_renders_run_at_once_than_allowed() {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
        let pool = RenderPool::with(Workers::new(2), move |renderer, values, options| {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(5));
            let rendered = renderer.render(values, options);
            now.fetch_sub(1, Ordering::SeqCst);
            rendered
        });

        let renders = (0..20)
            .map(|_| async { pool.permit("team-a", WorkSize::Large).await.render(values(), OPTIONS).await });
        for rendered in futures::future::join_all(renders).await {
            assert!(rendered.is_ok());
        }

        assert_eq!((running.load(Ordering::SeqCst), most.load(Ordering::SeqCst)), (0, 2));
        assert!(pool.idle.lock().unwrap().len() <= 2, "renderers are used again");
    }

    #[tokio::test]
    async fn a_render_that_panics_gives_its_permit_back() {
        let pool = RenderPool::with(Workers::new(1), |_, _, _| panic!("a bug"));
        for _ in 0..3 {
            assert!(pool.permit("team-a", WorkSize::Large).await.render(values(), OPTIONS).await.is_err());
        }
    }
}
