//! The accounts of all replicas, for lists and pages: those of this one, and what the others tell of theirs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::collector::registry::{Elsewhere, Listed, Registry};
use crate::replicas::peers::{Peers, Told};

/// So long is shown what was told once: many people who look at a page cost the other replicas as much as one.
const KEPT: Duration = Duration::from_secs(5);

/// The accounts of all replicas. Cheap to clone.
#[derive(Clone)]
pub(super) struct Everything {
    own: Arc<Registry>,
    peers: Peers,
    /// What was put together last. Held while the others are asked, so that nobody asks them twice at once.
    kept: Arc<Mutex<Option<Arc<Registry>>>>,
}

impl Everything {
    /// The accounts of this registry, and those of the others.
    pub(super) fn new(own: Arc<Registry>, peers: Peers) -> Self {
        Self { own, peers, kept: Arc::default() }
    }

    /// All accounts as they are known now. Without other replicas they are those of this one.
    pub(super) async fn registry(&self) -> Arc<Registry> {
        if self.peers.membership().peers().is_empty() {
            return Arc::clone(&self.own);
        }
        let mut kept = self.kept.lock().await;
        if let Some(kept) = &*kept {
            return Arc::clone(kept);
        }
        let registry = Arc::new(self.put_together().await);
        *kept = Some(Arc::clone(&registry));
        let forget = Arc::clone(&self.kept);
        tokio::spawn(async move {
            tokio::time::sleep(KEPT).await;
            *forget.lock().await = None;
        });
        registry
    }

    async fn put_together(&self) -> Registry {
        let Told { accounts: mut told, charges } = self.peers.accounts().await;
        let accounts = self.own.after(None, usize::MAX).into_iter().map(|account| match account {
            Listed::Elsewhere(account) => {
                let report = told.remove(&account.id).map(|told| told.report(account.provider));
                Listed::Elsewhere(Arc::new(Elsewhere { report, ..Elsewhere::clone(&account) }))
            }
            other => other,
        });
        Registry::of(accounts, charges)
    }
}
