//! A watch that recovers by itself: it begins anew with a list after 410 Gone, and every few minutes in any case.
//!
//! Lists come in small pages: kube holds a page as a whole, more than once, and each of its objects may have 1.5 MiB.
//!
//! The regular list finds what no event reports. After a restore of etcd the API server accepts the lost version of a
//! watch and sends nothing until the versions have caught up.

use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use kube::Resource;
use kube::api::Api;
use kube::runtime::watcher;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, sleep_until};

use super::client::{WATCH_SECONDS, retry_after};

/// The longest that the API server's `Retry-After` is honored.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Objects a page. The text of a page is there twice while it is received: 60 MiB at most, of the largest objects that
/// etcd takes. 10,000 accounts are 500 requests, which take the API server some seconds.
const PAGE: u32 = 20;

/// Watches a kind, with a new list every `relist`, a tenth more or less.
pub(super) fn watch<K>(
    api: Api<K>,
    config: watcher::Config,
    relist: Duration,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    // Each watch ends soon, so the client's read timeout can be short and notices one that stalls.
    let config = config.timeout(WATCH_SECONDS).page_size(PAGE);
    let begin = move || {
        let at = Instant::now() + relist.mul_f64(0.9 + 0.2 * fastrand::f64());
        (at, watcher(api.clone(), config.clone()).boxed())
    };
    stream::unfold((begin(), begin), |((mut relist, mut events), begin)| async move {
        loop {
            tokio::select! {
                () = sleep_until(relist) => (relist, events) = begin(),
                event = events.next() => {
                    let event = event?;
                    if let Some(wait) = wait(&event) {
                        sleep(wait).await;
                    }
                    // The watcher would ask for the same version for ever.
                    let next = if is_gone(&event) { begin() } else { (relist, events) };
                    return Some((event, (next, begin)));
                }
            }
        }
    })
}

/// How long the API server asks to wait, where it turned a watch away.
fn wait<T>(event: &watcher::Result<T>) -> Option<Duration> {
    let Err(watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = event
    else {
        return None;
    };
    retry_after(error).map(|wait| wait.min(LONGEST_WAIT))
}

/// Whether the API server answered a watch with 410 Gone. The watcher handles 410 as an event by itself.
fn is_gone<T>(event: &watcher::Result<T>) -> bool {
    let Err(watcher::Error::WatchStartFailed(kube::Error::Api(status))) = event else { return false };
    status.code == 410
}
