//! A watch whose events are given by hand, and the store that they are written into.

use futures::channel::mpsc as events;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Event};

use crate::controller::watched::{Kept, Watched};
use crate::limits::MemoryBudget;

type Events<K> = BoxStream<'static, watcher::Result<Event<Watched<K>>>>;
type Receiver<K> = events::UnboundedReceiver<watcher::Result<Event<Watched<K>>>>;

/// A watch of one kind.
pub(in crate::controller) struct Watch<K: Kept<DynamicType = ()> + Clone + 'static> {
    sender: events::UnboundedSender<watcher::Result<Event<Watched<K>>>>,
    written: Events<K>,
    pub(in crate::controller) store: Store<Watched<K>>,
    pub(in crate::controller) memory: MemoryBudget,
}

impl<K: Kept<DynamicType = ()> + Clone + Send + Sync + 'static> Watch<K> {
    /// A watch whose events are charged so to this budget, before they are written into the store.
    pub(in crate::controller) fn written_by(
        budget: usize,
        charged: impl FnOnce(Receiver<K>, Store<Watched<K>>, MemoryBudget) -> Events<K>,
    ) -> Self {
        let (sender, receiver) = events::unbounded();
        let (store, writer) = reflector::store();
        let memory = MemoryBudget::new(budget);
        let written = charged(receiver, store.clone(), memory.clone()).reflect(writer).boxed();
        Self { sender, written, store, memory }
    }

    /// Sends events; returns the objects that were written or deleted, but for those of a list.
    pub(in crate::controller) fn send(
        &mut self,
        events: impl IntoIterator<Item = Event<Watched<K>>>,
    ) -> Vec<Watched<K>> {
        events.into_iter().for_each(|event| self.sender.unbounded_send(Ok(event)).unwrap());
        let mut changed = Vec::new();
        while let Some(Some(event)) = self.written.next().now_or_never() {
            if let Event::Apply(object) | Event::Delete(object) = event.unwrap() {
                changed.push(object);
            }
        }
        changed
    }

    pub(in crate::controller) fn list(&mut self, objects: impl IntoIterator<Item = Watched<K>>) {
        let objects = objects.into_iter().map(Event::InitApply);
        self.send(std::iter::once(Event::Init).chain(objects).chain([Event::InitDone]));
    }
}
