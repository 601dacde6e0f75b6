//! Writes what a watch brings into its store, and the objects of its first list as they come.
//!
//! kube's own reflector shows a list at its end, and its queue starts nothing before the first one. A namespace with
//! thousands of large accounts would delay the first collection of all others by the time that its pages take. A first list
//! finds an empty store, so each of its objects can be shown at once. Every list, the first one too where it had to be begun
//! anew, replaces the store at its end: what it does not name is gone then.

use std::hash::Hash;

use futures::stream::{Stream, TryStreamExt};
use kube::Resource;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Event};

/// The same events, each after it was written.
pub(super) fn written<K>(
    events: impl Stream<Item = watcher::Result<Event<K>>> + Send,
    mut writer: Writer<K>,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource + Clone + Send + Sync + 'static,
    K::DynamicType: Eq + Hash + Clone + Send + Sync,
{
    // An empty list: the queue waits for one.
    writer.apply_watcher_event(&Event::InitDone);
    let mut is_first = true;
    events.inspect_ok(move |event| {
        match event {
            Event::InitApply(object) if is_first => writer.apply_watcher_event(&Event::Apply(object.clone())),
            Event::InitDone => is_first = false,
            _ => {}
        }
        writer.apply_watcher_event(event);
    })
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::reflector;

    use super::*;

    fn object(name: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.name = Some(name.to_owned());
        object
    }

    #[test]
    fn a_first_list_is_shown_as_it_comes_and_a_later_one_at_its_end() {
        let (store, writer) = reflector::store();
        let list = |name| [Event::Init, Event::InitApply(object(name)), Event::InitDone];
        // The first one has to be begun anew, and does not have the same object then.
        let begun = [Event::Init, Event::InitApply(object("gone"))];
        let events = begun.into_iter().chain(list("first")).chain(list("second")).map(Ok);
        let mut events = written(futures::stream::iter(events), writer).boxed();
        assert!(store.wait_until_ready().now_or_never().is_some(), "the queue waits for nothing");
        let shown = std::iter::from_fn(|| {
            events.next().now_or_never().flatten()?.unwrap();
            let mut names: Vec<_> =
                store.state().iter().filter_map(|object| object.metadata.name.clone()).collect();
            names.sort();
            Some(names.join(" "))
        });
        let expected = ["", "gone", "gone", "first gone", "first", "first", "first", "second"];
        assert_eq!(shown.collect::<Vec<_>>(), expected);
    }
}
