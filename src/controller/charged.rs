//! Charges the CaasAccounts that a watch keeps to their namespaces, before they are kept. Stands between the watch and its
//! store.
//!
//! Each object is a holder of its own in the budget that inventories share, so all that a namespace makes the operator keep
//! is one sum. One that does not fit, or is cut later for a smaller namespace, goes into the store as [`Unusable`], and its
//! status says so. It is tried again with each of its versions and with each regular list. Its versions share one charge,
//! which is given back when the last copy of the last version is dropped; one that a list repeats is not kept twice.
//!
//! What is kept of an account's Secrets is charged to the same holder once they are read: a thousand accounts may name one
//! Secret, and each keeps its values.
//!
//! What stays of an object that is not kept is small and has one size. It is charged as well while that fits, so that the
//! names of a namespace's refused accounts take the place of its other ones first.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use futures::Stream;
use futures::future::Either;
use futures::stream::{self, StreamExt};
use kube::Resource;
use kube::core::ObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use tokio::sync::mpsc;

use super::scope::WatchedAccount;
use super::watched::{ObjectProblem, Unusable, lock};
use crate::account::{AccountId, Problem};
use crate::api::{CaasAccount, ConditionType, Reason};
use crate::limits::{Charge, Holder, MemoryBudget, Named, OverBudget};

/// What an object takes besides its spec: metadata, status, its places in the store, in lists and in the queue.
const OBJECT_BYTES: usize = 4 << 10;

/// A part of what an account takes as long as it is collected, whatever its cloud lists: its task, client, credentials and
/// counters, some 40 KiB in all. As many as fit into the budget with this part fit into the process with the whole.
const COLLECTED_BYTES: usize = 16 << 10;

/// What stays of an object that is not kept: its name and problem, in the store, in lists and in the queue.
const REFUSED_BYTES: usize = 2 << 10;

/// What a text takes besides its bytes: its place in a list or map, and what the allocator adds.
const TEXT_BYTES: usize = 48;

/// How often a spec and the values of its Secrets are there: as they were read, and in the account that is made of them.
pub(super) const COPIES: usize = 2;

/// The holders of objects, which no account is called like.
const HOLDER: &str = "object/";

/// Charges what these events carry. `store` is the one that they are written into afterwards.
pub(super) fn charged(
    events: impl Stream<Item = watcher::Result<Event<WatchedAccount>>> + Send,
    store: Store<WatchedAccount>,
    memory: MemoryBudget,
) -> impl Stream<Item = watcher::Result<Event<WatchedAccount>>> + Send {
    let (cuts, inputs) = with_cuts(events);
    let mut kept = KeptAccounts { store, listed: HashMap::new(), memory, cuts };
    inputs.flat_map(move |input| {
        stream::iter(match input {
            Either::Left(event) => vec![event.map(|event| kept.charge_event(event))],
            Either::Right(holder) => kept.drop_cut(&holder).into_iter().map(Ok).collect(),
        })
    })
}

/// The events of a watch, and among them the names of the holders that are cut, which report to the sender.
pub(super) fn with_cuts<E: Send>(
    events: impl Stream<Item = E> + Send,
) -> (mpsc::UnboundedSender<Named>, impl Stream<Item = Either<E, Named>> + Send) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let cuts =
        stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    (sender, stream::select(events.map(Either::Left), cuts.map(Either::Right)))
}

/// Who keeps an object; `None` where it is charged to nobody.
pub(super) fn holder(object: &WatchedAccount) -> Option<Holder> {
    object.charge.as_ref().map(|charge| lock(charge).holder().clone())
}

/// Waits until an object has to be dropped.
pub(super) async fn cut(object: &WatchedAccount) {
    match holder(object) {
        Some(holder) => holder.cut().await,
        None => std::future::pending().await,
    }
}

/// Why an account whose object needs so much is not collected.
pub(super) fn problem(id: &AccountId, over: OverBudget) -> Problem {
    let message = format!(
        "CaasAccount {id} needs {} KiB of memory and is not collected: the {} MiB that all accounts share are used \
         up, and its namespace uses most of them. Shorten its spec or the values in its Secret, delete other \
         accounts of the namespace, or ask the operator's administrator for a larger memory limit. Retrying every few minutes.",
        over.needed.div_ceil(1 << 10),
        over.budget >> 20
    );
    Problem::new(Reason::TooLarge, message)
}

/// The accounts of one watch.
struct KeptAccounts {
    store: Store<WatchedAccount>,
    /// What a list under way has brought, which is not in the store before the list ends.
    listed: HashMap<AccountId, WatchedAccount>,
    memory: MemoryBudget,
    cuts: mpsc::UnboundedSender<Named>,
}

impl KeptAccounts {
    fn charge_event(&mut self, event: Event<WatchedAccount>) -> Event<WatchedAccount> {
        match event {
            Event::Apply(object) => Event::Apply(self.charge(object)),
            Event::InitApply(object) => {
                let object = self.charge(object);
                self.listed.insert(id(&object), object.clone());
                Event::InitApply(object)
            }
            Event::Init | Event::InitDone => {
                self.listed = HashMap::new();
                event
            }
            Event::Delete(_) => event,
        }
    }

    /// The object with what it is charged with, or without its content.
    fn charge(&self, mut object: WatchedAccount) -> WatchedAccount {
        let id = id(&object);
        let before = self.listed.get(&id).cloned().or_else(|| self.stored(&id));
        let before = before.filter(|before| !before.is_cut());
        if let Some(before) = &before
            && before.object.is_ok()
            && (&before.meta().uid, &before.meta().resource_version)
                == (&object.meta().uid, &object.meta().resource_version)
        {
            return before.clone();
        }
        let name = format!("{HOLDER}{}", id.name);
        let holder = self.memory.reporting_holder(&id.namespace, &name, &self.cuts);
        let charge = before.and_then(|before| before.charge);
        let charge = charge.unwrap_or_else(|| Arc::new(Mutex::new(holder.charge())));
        object.charge = Some(Arc::clone(&charge));
        let Ok(account) = &object.object else {
            object.charge = Some(refused(&charge));
            return object;
        };
        let bytes = bytes(account);
        if holder.admit().and_then(|()| lock(&charge).resize(bytes)).is_err() {
            object = self.without_content(&object);
        }
        object
    }

    /// What the store has under this name.
    fn stored(&self, id: &AccountId) -> Option<WatchedAccount> {
        let name = ObjectRef::new(&id.name).within(&id.namespace);
        self.store.get(&name).map(|stored| (*stored).clone())
    }

    /// Replaces an object whose holder was cut, in the store and in the list under way.
    fn drop_cut(&mut self, (namespace, name): &Named) -> Vec<Event<WatchedAccount>> {
        let Some(name) = name.strip_prefix(HOLDER) else { return Vec::new() };
        let id = AccountId::new(namespace, name);
        let has_to_go = |object: &WatchedAccount| object.object.is_ok() && object.is_cut();
        let mut events = Vec::new();
        if let Some(stored) = self.stored(&id).filter(has_to_go) {
            events.push(Event::Apply(self.without_content(&stored)));
        }
        if let Some(listed) = self.listed.get(&id).filter(|listed| has_to_go(listed)) {
            let left = self.without_content(listed);
            self.listed.insert(id, left.clone());
            events.push(Event::InitApply(left));
        }
        events
    }

    /// What is kept of an object that does not fit.
    fn without_content(&self, object: &WatchedAccount) -> WatchedAccount {
        let Ok(account) = &object.object else { return object.clone() };
        // Its Secrets may need as much again.
        let cut = holder(object).and_then(|holder| holder.is_cut()).map_or(0, |cut| cut.needed);
        let over = OverBudget { needed: cut.max(bytes(account)), budget: self.memory.bytes() };
        let is_reported = is_reported(account, &problem(&id(object), over));
        let unusable = Unusable {
            metadata: ObjectMeta { owner_references: None, ..account.metadata.clone() },
            problem: ObjectProblem::TooLarge { over: Some(over), is_reported },
        };
        WatchedAccount { object: Err(unusable), charge: object.charge.as_ref().map(refused) }
    }
}

/// The charge of what stays of an object that was charged so. Where not even that fits it is empty, and keeps the holder, which
/// remembers that it was cut.
fn refused(charge: &Arc<Mutex<Charge>>) -> Arc<Mutex<Charge>> {
    let holder = Some(lock(charge)).filter(|charge| charge.is_cut()).map(|charge| charge.holder().clone());
    let charge = holder.map_or_else(|| Arc::clone(charge), |holder| Arc::new(Mutex::new(holder.charge())));
    let _ = lock(&charge).resize(REFUSED_BYTES);
    charge
}

/// Whether the status says so already.
fn is_reported(account: &CaasAccount, problem: &Problem) -> bool {
    let conditions = account.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| {
        condition.type_ == ConditionType::Collecting.as_str()
            && condition.reason == problem.reason.as_str()
            && condition.message == problem.message
    })
}

fn id(object: &WatchedAccount) -> AccountId {
    let metadata = object.meta();
    AccountId::new(
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default(),
    )
}

/// The memory that an account takes because of its object.
fn bytes(account: &CaasAccount) -> usize {
    let mut json = JsonSize::default();
    // Nothing in a spec fails to be written, and the sink takes everything.
    let _ = serde_json::to_writer(&mut json, &account.spec);
    let collected = if account.spec.suspend { 0 } else { COLLECTED_BYTES };
    OBJECT_BYTES + collected + COPIES * (json.bytes + TEXT_BYTES * json.quotes / 2)
}

/// Takes in JSON and keeps its size alone.
#[derive(Default)]
struct JsonSize {
    bytes: usize,
    /// Two for a text, and two more where a text has one in it.
    quotes: usize,
}

impl io::Write for JsonSize {
    fn write(&mut self, json: &[u8]) -> io::Result<usize> {
        self.bytes += json.len();
        self.quotes += json.split(|byte| *byte == b'"').count() - 1;
        Ok(json.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod by_hand;
#[cfg(test)]
mod tests;
