//! Notices that the version that a watch would go on from is of no use any more, and begins the watch anew.
//!
//! A watch goes on from the version that it saw last. Where that version was lost with its future, as after a restore of
//! etcd, the API server takes the watch, tells it of nothing until versions have caught up, and no error says so. Where
//! the version is too old, the API server says 410 Gone, in an event or as its answer; the second is seen to here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use kube::api::{Api, ListParams};
use kube::runtime::watcher;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::context::{Context, patiently, within};
use super::scope::Scope;
use crate::api::CaasAccount;

/// How often the API server is asked for its version.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The newest version that was seen, and how often the versions went back.
pub(super) struct History {
    newest: AtomicU64,
    restores: watch::Sender<u64>,
}

impl Default for History {
    fn default() -> Self {
        Self { newest: AtomicU64::new(0), restores: watch::Sender::new(0) }
    }
}

impl History {
    fn newest(&self) -> u64 {
        self.newest.load(Ordering::Relaxed)
    }

    /// Takes note of a version. One that is no number, which Kubernetes does not make, says nothing.
    fn saw(&self, version: Option<&str>) {
        if let Some(version) = version.and_then(|version| version.parse().ok()) {
            self.newest.fetch_max(version, Ordering::Relaxed);
        }
    }

    /// Compares what the API server calls its version now with what had been seen before it was asked.
    /// Returns whether it went back.
    fn compare(&self, before: u64, now: u64) -> bool {
        if now >= before {
            self.newest.fetch_max(now, Ordering::Relaxed);
            return false;
        }
        self.newest.store(now, Ordering::Relaxed);
        self.restores.send_modify(|restores| *restores += 1);
        true
    }
}

/// Looks from time to time, through one scope for all: versions are the API server's, not a kind's.
pub(super) async fn follow(context: Arc<Context>, scope: Scope) {
    let api = scope.api::<CaasAccount>(context.client.clone());
    let one = ListParams::default().limit(1);
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let before = context.history.newest();
        let listed = match within("asking for the newest version", api.list_metadata(&one)).await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::debug!(%error, "the newest version is not known");
                continue;
            }
        };
        let Some(now) = listed.metadata.resource_version.and_then(|version| version.parse().ok()) else {
            continue;
        };
        if context.history.compare(before, now) {
            tracing::warn!(
                before,
                now,
                "the API server went back to an older state; everything is listed again"
            );
            // An object may have its old version again, and not what was written to it since.
            context.known().values_mut().for_each(|known| known.written = None);
        }
    }
}

/// A watch that begins anew after the API server went back to an older state, or answered that it does not have the
/// version any more. The error is told all the same, so that whoever follows waits before the new list.
pub(super) fn watch<K>(
    context: Arc<Context>,
    api: Api<K>,
    config: watcher::Config,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let begin = move || patiently(watcher(api.clone(), config.clone())).boxed();
    let restores = context.history.restores.subscribe();
    let events = stream::unfold((restores, begin(), begin), |(mut restores, mut events, begin)| async move {
        loop {
            tokio::select! {
                Ok(()) = restores.changed() => events = begin(),
                event = events.next() => {
                    let event = event?;
                    if is_gone(&event) {
                        events = begin();
                    }
                    return Some((event, (restores, events, begin)));
                }
            }
        }
    });
    events.inspect(move |event| {
        if let Ok(
            watcher::Event::Apply(object)
            | watcher::Event::InitApply(object)
            | watcher::Event::Delete(object),
        ) = event
        {
            context.history.saw(object.resource_version().as_deref());
        }
    })
}

/// Whether the API server answered a watch with 410 Gone. The watcher would ask for the same version for ever; where an
/// event says so, or the answer to a list, it begins anew by itself.
fn is_gone<K>(event: &watcher::Result<watcher::Event<K>>) -> bool {
    let Err(watcher::Error::WatchStartFailed(kube::Error::Api(status))) = event else { return false };
    status.code == 410
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_version_before_one_that_was_seen_is_a_restore() {
        let history = History::default();
        let mut restores = history.restores.subscribe();
        history.saw(Some("500"));
        history.saw(Some("not a number"));
        assert!(!history.compare(history.newest(), 500));
        assert!(!history.compare(history.newest(), 600));
        // An event that overtook the answer is no restore.
        let before = history.newest();
        history.saw(Some("700"));
        assert!(!history.compare(before, 650));
        assert!(!restores.has_changed().unwrap());

        assert!(history.compare(history.newest(), 400));
        assert!(restores.has_changed().unwrap());
        restores.mark_unchanged();
        assert!(!history.compare(history.newest(), 401), "it is told once");
    }
}
