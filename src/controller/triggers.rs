//! What makes an account be reconciled: its object, its collector, its ServiceMonitor, its Secrets.
//!
//! Deletions are acted on here, at once, and a relist sweeps out what was deleted while nobody watched, be it made again
//! under its name or not.

use std::convert::Infallible;
use std::sync::Arc;

use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::Resource;
use kube::core::{ObjectMeta, PartialObjectMeta};
use kube::runtime::controller::ReconcileRequest;
use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::context::Context;
use super::history;
use super::monitoring::Monitors;
use super::reconcile::Guarded;
use super::scope::Scope;
use crate::account::AccountId;

/// A request to reconcile. The queue itself never fails: a watch that is interrupted begins again.
pub(super) type Request = Result<ReconcileRequest<Guarded>, Infallible>;

/// The requests that come from the accounts themselves. `synced` becomes true after the first complete list.
pub(super) fn accounts(
    context: Arc<Context>,
    scope: Scope,
    writer: Writer<Guarded>,
    synced: watch::Sender<bool>,
) -> impl Stream<Item = Request> + Send {
    let store = writer.as_reader();
    let api = scope.api::<Guarded>(context.client.clone());
    let events = history::watch(Arc::clone(&context), api, context.watch_config());
    events.default_backoff().reflect(writer).flat_map(move |event| {
        let requests: Vec<ObjectRef<Guarded>> = match event {
            Ok(watcher::Event::Apply(account)) => {
                // Its deletion and the creation of another may have been missed in between.
                if let Some(id) = id(account.meta())
                    && is_another(&context, &id, account.meta())
                {
                    context.forget(&id);
                }
                vec![ObjectRef::from_obj(&account)]
            }
            Ok(watcher::Event::Delete(account)) => {
                if let Some(id) = id(account.meta()) {
                    context.forget(&id);
                }
                Vec::new()
            }
            // The store takes a list over as a whole: before its end, what is new in it would not be found there.
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => Vec::new(),
            Ok(watcher::Event::InitDone) => {
                sweep(&context, &scope, &store);
                synced.send_replace(true);
                store.state().iter().map(|account| ObjectRef::from_obj(&**account)).collect()
            }
            Err(error) => {
                // It begins again by itself, later each time; until then collection goes on.
                tracing::warn!(%error, "the watch of CaasAccounts is interrupted");
                context.metrics.watch_errors.with_label_values(&["caasaccounts"]).inc();
                Vec::new()
            }
        };
        stream::iter(requests).map(|request| Ok(request.into()))
    })
}

/// Requests for accounts by their names.
pub(super) fn named(names: mpsc::Receiver<AccountId>) -> impl Stream<Item = Request> + Send {
    stream::unfold(names, |mut names| async move { names.recv().await.map(|id| (id, names)) }).map(|id| {
        let object = ObjectRef::<Guarded>::new(&id.name).within(&id.namespace);
        Ok(object.into())
    })
}

/// Requests for all accounts, each time that ServiceMonitors become possible or impossible.
pub(super) fn all_on_change(
    monitors: watch::Receiver<Monitors>,
    store: Store<Guarded>,
) -> BoxStream<'static, Request> {
    stream::unfold(
        monitors,
        |mut monitors| async move { monitors.changed().await.ok().map(|()| ((), monitors)) },
    )
    .flat_map(move |()| stream::iter(store.state()).map(|account| Ok(ObjectRef::from_obj(&*account).into())))
    .boxed()
}

/// Follows the versions of Secrets, never their data: each account that has read an older one is told to `touched`.
pub(super) async fn secrets(context: Arc<Context>, scope: Scope, touched: mpsc::Sender<AccountId>) {
    let api = scope.api::<PartialObjectMeta<Secret>>(context.client.clone());
    let mut events =
        history::watch(Arc::clone(&context), api, context.watch_config()).default_backoff().boxed();
    while let Some(event) = events.next().await {
        let (secret, version) = match event {
            Ok(watcher::Event::Apply(secret) | watcher::Event::InitApply(secret)) => {
                let version = secret.metadata.resource_version.clone();
                (secret, version)
            }
            Ok(watcher::Event::Delete(secret)) => (secret, None),
            Ok(watcher::Event::Init | watcher::Event::InitDone) => continue,
            Err(error) => {
                tracing::warn!(%error, "the watch of Secrets is interrupted; they are read by period meanwhile");
                context.metrics.watch_errors.with_label_values(&["secrets"]).inc();
                continue;
            }
        };
        let Some(changed) = id(&secret.metadata) else { continue };
        for account in context.references.outdated(&changed.namespace, &changed.name, version.as_deref()) {
            if let Some(known) = context.known().get_mut(&account) {
                known.doubted = Some(Instant::now());
            }
            if touched.send(account).await.is_err() {
                return;
            }
        }
    }
}

/// Whether what is collected under this name is of another object than this one, which was made after its deletion.
fn is_another(context: &Context, id: &AccountId, meta: &ObjectMeta) -> bool {
    context.supervisor.uid_of(id).is_some_and(|collected| meta.uid.as_ref() != Some(&collected))
}

/// Forgets the accounts of a scope that its complete list does not have, or has as another object of the same name.
fn sweep(context: &Context, scope: &Scope, store: &Store<Guarded>) {
    let known: Vec<AccountId> = {
        let mut known = context.known();
        // The list is what stands, even where the API server was set back to an older state.
        known.values_mut().for_each(|known| known.written = None);
        known.keys().cloned().collect()
    };
    let gone = |id: &AccountId| {
        let object = ObjectRef::<Guarded>::new(&id.name).within(&id.namespace);
        scope.covers(&id.namespace)
            && store.get(&object).is_none_or(|stands| is_another(context, id, stands.meta()))
    };
    for id in known.into_iter().chain(context.supervisor.ids()).filter(gone) {
        context.forget(&id);
    }
}

fn id(meta: &ObjectMeta) -> Option<AccountId> {
    Some(AccountId::new(meta.namespace.as_deref()?, meta.name.as_deref()?))
}
