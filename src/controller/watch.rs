//! A watch that recovers by itself: it begins anew with a list after 410 Gone, and every few minutes in any case.
//!
//! Lists come in small pages: kube holds a page as a whole, more than once, and each of its objects may have 1.5 MiB. Watches
//! of one kind in several namespaces list one after the other.
//!
//! The regular list finds what no event reports. After a restore of etcd the API server accepts the lost version of a
//! watch and sends nothing until the versions have caught up.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use kube::Resource;
use kube::api::Api;
use kube::runtime::watcher;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

use super::client::{WATCH_SECONDS, retry_after};

/// The longest that the API server's `Retry-After` is honored.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Objects a page. The text of a page is there twice while it is received: 60 MiB at most, of the largest objects that
/// etcd takes. 10,000 accounts are 500 requests, which take the API server some seconds.
const PAGE: u32 = 20;

/// How all watches of one kind list. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Lists {
    every: Duration,
    /// Held while a list is received.
    turn: Arc<Semaphore>,
}

impl Lists {
    /// A new list so long after the one before it, a tenth more or less, and one at a time.
    pub(super) fn every(time: Duration) -> Self {
        Self { every: time, turn: Arc::new(Semaphore::new(1)) }
    }

    /// When a watch that has just been listed is listed anew.
    fn next(&self) -> Instant {
        Instant::now() + self.every.mul_f64(0.9 + 0.2 * fastrand::f64())
    }
}

/// Watches a kind.
pub(super) fn watch<K>(
    api: Api<K>,
    config: watcher::Config,
    lists: Lists,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    // Each watch ends soon, so the client's read timeout can be short and notices one that stalls.
    let config = config.timeout(WATCH_SECONDS).page_size(PAGE);
    let begin = move || watcher(api.clone(), config.clone()).boxed();
    stream::unfold(
        (begin(), lists.next(), None, begin, lists),
        |(mut events, mut relist, mut listing, begin, lists)| async move {
            loop {
                tokio::select! {
                    // Never a list under way: one that takes longer than this would not come to its end.
                    () = sleep_until(relist), if listing.is_none() => {
                        (events, relist) = (begin(), lists.next());
                    }
                    event = events.next() => {
                        let event = event?;
                        match &event {
                            // Nothing is requested before the next event is asked for.
                            Ok(watcher::Event::Init) => {
                                // That of a list that did not come to its end.
                                drop(listing.take());
                                listing = Arc::clone(&lists.turn).acquire_owned().await.ok();
                            }
                            Ok(watcher::Event::InitDone) => (listing, relist) = (None, lists.next()),
                            Err(_) => listing = None,
                            Ok(_) => {}
                        }
                        if let Some(wait) = wait(&event) {
                            sleep(wait).await;
                        }
                        // The watcher would ask for the same version for ever.
                        if is_gone(&event) {
                            (events, relist) = (begin(), lists.next());
                        }
                        return Some((event, (events, relist, listing, begin, lists)));
                    }
                }
            }
        },
    )
}

/// How long the API server asks to wait, where it turned a watch away.
fn wait<T>(event: &watcher::Result<T>) -> Option<Duration> {
    let Err(watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = event
    else {
        return None;
    };
    retry_after(error).map(|wait| wait.min(LONGEST_WAIT))
}

/// The client's error in one of a watch, where there is one.
pub(super) fn cause(error: &watcher::Error) -> Option<&kube::Error> {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => Some(error),
        watcher::Error::WatchError(_) | watcher::Error::NoResourceVersion => None,
    }
}

/// Whether the API server answered a watch with 410 Gone. The watcher handles 410 as an event by itself.
fn is_gone<T>(event: &watcher::Result<T>) -> bool {
    let Err(watcher::Error::WatchStartFailed(kube::Error::Api(status))) = event else { return false };
    status.code == 410
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::{Request, Response};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Client;
    use kube::client::Body;
    use tower::service_fn;

    use super::*;

    /// How long a list takes to arrive.
    const LIST: Duration = Duration::from_secs(1);

    /// An API server whose lists are empty; `most` is how many were under way at once.
    fn api_server(most: Arc<AtomicUsize>) -> Client {
        let under_way = Arc::new(AtomicUsize::new(0));
        let answer = move |request: Request<Body>| {
            let (most, under_way) = (Arc::clone(&most), Arc::clone(&under_way));
            async move {
                if request.uri().query().is_some_and(|query| query.contains("watch=true")) {
                    std::future::pending::<()>().await;
                }
                most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                sleep(LIST).await;
                under_way.fetch_sub(1, Ordering::SeqCst);
                let list = r#"{"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": "1"}, "items": []}"#;
                Ok::<_, std::convert::Infallible>(Response::new(Body::from(list.as_bytes().to_vec())))
            }
        };
        Client::new(service_fn(answer), "default")
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_takes_longer_than_the_time_between_two_comes_to_its_end_and_so_does_the_next() {
        let api = Api::<ConfigMap>::namespaced(api_server(Arc::default()), "team-a");
        let begun = Instant::now();
        let ends = watch(api, watcher::Config::default(), Lists::every(LIST / 2))
            .filter(|event| std::future::ready(matches!(event, Ok(watcher::Event::InitDone))))
            .map(|_| begun.elapsed());
        let ends = tokio::time::timeout(10 * LIST, ends.take(2).collect::<Vec<_>>()).await;
        let ends = ends.expect("two lists");
        assert!(ends[0] == LIST && (LIST * 24 / 10..=LIST * 26 / 10).contains(&ends[1]), "{ends:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn watches_of_one_kind_list_one_after_the_other() {
        let most = Arc::new(AtomicUsize::new(0));
        let (client, lists) = (api_server(Arc::clone(&most)), Lists::every(Duration::from_secs(300)));
        let begun = Instant::now();
        let listed = ["team-a", "team-b", "team-c"].map(|namespace| {
            let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
            let events = watch(api, watcher::Config::default(), lists.clone());
            events.take_while(|event| {
                let is_end = matches!(event, Ok(watcher::Event::InitDone));
                std::future::ready(!is_end)
            })
        });
        futures::future::join_all(listed.map(|events| events.collect::<Vec<_>>())).await;
        assert_eq!((most.load(Ordering::SeqCst), begun.elapsed()), (1, 3 * LIST));
    }
}
