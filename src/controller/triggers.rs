//! What requests a reconcile: an account's object, its collector, its ServiceMonitor, its Secrets.
//!
//! Deletions are acted on here, at once. A list removes what was deleted while the watch was interrupted, also where
//! another object has its name by now.

use std::convert::Infallible;
use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::core::{ObjectMeta, PartialObjectMeta};
use kube::runtime::controller::ReconcileRequest;
use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource};
use tokio::sync::{mpsc, watch};

use super::charged::charged;
use super::first_list::written;
use super::monitors::Monitors;
use super::outage::UseOutage;
use super::reconcile::Reconciler;
use super::relist::Relist;
use super::scope::{Scope, WatchedAccount};
use super::watch::{Lists, cause, watch};
use crate::account::AccountId;
use crate::limits::MemoryBudget;

/// A request to reconcile. The queue itself never fails: a watch that is interrupted begins again.
pub(super) type Request = Result<ReconcileRequest<WatchedAccount>, Infallible>;

/// The requests that come from the accounts of a scope themselves.
pub(super) fn accounts(
    reconciler: Arc<Reconciler>,
    client: Client,
    scope: Scope,
    writer: Writer<WatchedAccount>,
    lists: Lists,
    memory: MemoryBudget,
) -> impl Stream<Item = Request> + Send {
    let store = writer.as_reader();
    let events = watch(scope.api::<WatchedAccount>(client), watcher::Config::default(), lists);
    let (mut is_first_list, mut list) = (true, Relist::default());
    let outage = UseOutage::new("the watch of CaasAccounts is interrupted", &reconciler.api_server);
    let events = charged(events.default_backoff(), store.clone(), memory);
    written(events, writer).flat_map(move |event| {
        // The beginning of a list is told before anything is asked.
        if matches!(&event, Ok(event) if !matches!(event, watcher::Event::Init)) {
            outage.healed();
        }
        let requests: Vec<ObjectRef<WatchedAccount>> = match event {
            Ok(watcher::Event::Apply(account)) => {
                // Its deletion and the creation of another may have been missed in between.
                if let Some(id) = id(account.meta())
                    && is_another(&reconciler, &id, account.meta())
                {
                    reconciler.remove(&id);
                }
                vec![ObjectRef::from_obj(&account)]
            }
            Ok(watcher::Event::Delete(account)) => {
                if let Some(id) = id(account.meta()) {
                    reconciler.remove(&id);
                }
                Vec::new()
            }
            Ok(watcher::Event::Init) => {
                if !is_first_list {
                    list = Relist::begin(&store);
                }
                Vec::new()
            }
            Ok(watcher::Event::InitApply(account)) if is_first_list => vec![ObjectRef::from_obj(&account)],
            // The store takes over a later list as a whole: before its end, what is new in it would not be found there.
            Ok(watcher::Event::InitApply(account)) => {
                // Whether there is memory for it may have changed.
                let before = store.get(&ObjectRef::from_obj(&account));
                if account.lacks_memory() || before.is_some_and(|before| before.lacks_memory()) {
                    list.changed(account.meta());
                } else {
                    list.listed(account.meta());
                }
                Vec::new()
            }
            Ok(watcher::Event::InitDone) => {
                sweep(&reconciler, &scope, &store);
                if std::mem::take(&mut is_first_list) {
                    let listed = store.state();
                    let listed = listed.iter().filter_map(|account| id(account.meta()));
                    reconciler.initial.listed(&scope, listed);
                }
                let changed = std::mem::take(&mut list).end().filter_map(|metadata| id(&metadata));
                changed.map(|id| ObjectRef::new(&id.name).within(&id.namespace)).collect()
            }
            Err(error) => {
                // It begins again by itself, later each time; collection goes on meanwhile.
                outage.failed(&error, cause(&error));
                reconciler.metrics.watch_errors.with_label_values(&["caasaccounts"]).inc();
                Vec::new()
            }
        };
        stream::iter(requests).map(|request| Ok(request.into()))
    })
}

/// Requests for accounts by their names.
pub(super) fn named(names: mpsc::Receiver<AccountId>) -> impl Stream<Item = Request> + Send {
    stream::unfold(names, |mut names| async move { names.recv().await.map(|id| (id, names)) }).map(|id| {
        let object = ObjectRef::<WatchedAccount>::new(&id.name).within(&id.namespace);
        Ok(object.into())
    })
}

/// Requests for all accounts, each time that ServiceMonitors become possible or impossible.
pub(super) fn all_on_change(
    monitors: watch::Receiver<Monitors>,
    store: Store<WatchedAccount>,
) -> BoxStream<'static, Request> {
    stream::unfold(
        monitors,
        |mut monitors| async move { monitors.changed().await.ok().map(|()| ((), monitors)) },
    )
    .flat_map(move |()| stream::iter(store.state()).map(|account| Ok(ObjectRef::from_obj(&*account).into())))
    .boxed()
}

/// Requests for the accounts that are not listed as their share is, each time that shares have changed.
pub(super) fn moved(
    reconciler: Arc<Reconciler>,
    store: Store<WatchedAccount>,
) -> BoxStream<'static, Request> {
    let changes = reconciler.peers.membership().changes();
    stream::unfold(changes, |mut changes| async move { changes.changed().await.ok().map(|()| ((), changes)) })
        .flat_map(move |()| {
            let mut moved = store.state();
            moved.retain(|account| is_moved(&reconciler, account.meta()));
            stream::iter(moved).map(|account| Ok(ObjectRef::from_obj(&*account).into()))
        })
        .boxed()
}

fn is_moved(reconciler: &Reconciler, meta: &ObjectMeta) -> bool {
    let (Some(id), Some(uid)) = (id(meta), meta.uid.as_deref()) else { return false };
    let membership = reconciler.peers.membership();
    match reconciler.collection.registry.elsewhere(&id) {
        Some(elsewhere) => membership.collects(uid) || elsewhere.is_coming != membership.would_own(uid),
        None => !membership.collects(uid),
    }
}

/// Follows the versions of Secrets, never their data. Sends each account that has read another version to `reconcile`.
pub(super) async fn secrets(
    reconciler: Arc<Reconciler>,
    client: Client,
    scope: Scope,
    lists: Lists,
    reconcile: mpsc::Sender<AccountId>,
) {
    let api = scope.api::<PartialObjectMeta<Secret>>(client);
    let mut events = watch(api, watcher::Config::default(), lists).default_backoff().boxed();
    let outage = UseOutage::new(
        "the watch of Secrets is interrupted; they are read periodically until it recovers",
        &reconciler.api_server,
    );
    while let Some(event) = events.next().await {
        if matches!(&event, Ok(event) if !matches!(event, watcher::Event::Init)) {
            outage.healed();
        }
        let (secret, version) = match event {
            Ok(watcher::Event::Apply(secret) | watcher::Event::InitApply(secret)) => {
                let version = secret.metadata.resource_version.clone();
                (secret, version)
            }
            Ok(watcher::Event::Delete(secret)) => (secret, None),
            Ok(watcher::Event::Init | watcher::Event::InitDone) => continue,
            Err(error) => {
                outage.failed(&error, cause(&error));
                reconciler.metrics.watch_errors.with_label_values(&["secrets"]).inc();
                continue;
            }
        };
        let Some(changed) = id(&secret.metadata) else { continue };
        for account in reconciler.secrets.outdated(&changed.namespace, &changed.name, version.as_deref()) {
            reconciler.secrets.request(&account);
            if reconcile.send(account).await.is_err() {
                return;
            }
        }
    }
}

/// Whether another object than this one is collected under its name: one that was deleted before it was created.
fn is_another(reconciler: &Reconciler, id: &AccountId, meta: &ObjectMeta) -> bool {
    reconciler.collection.uid(id).is_some_and(|collected| meta.uid.as_ref() != Some(&collected))
}

/// Removes the accounts of a scope that its complete list does not have, or has as another object of the same name.
fn sweep(reconciler: &Reconciler, scope: &Scope, store: &Store<WatchedAccount>) {
    reconciler.status.relisted(|id| scope.covers(&id.namespace));
    let gone = |id: &AccountId| {
        let object = ObjectRef::<WatchedAccount>::new(&id.name).within(&id.namespace);
        scope.covers(&id.namespace)
            && store.get(&object).is_none_or(|listed| is_another(reconciler, id, listed.meta()))
    };
    let known = reconciler.status.ids().into_iter().chain(reconciler.secrets.ids());
    for id in known.chain(reconciler.collection.ids()).filter(gone) {
        reconciler.remove(&id);
    }
}

fn id(meta: &ObjectMeta) -> Option<AccountId> {
    Some(AccountId::new(meta.namespace.as_deref()?, meta.name.as_deref()?))
}
