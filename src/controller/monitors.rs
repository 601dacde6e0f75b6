//! Whether the ServiceMonitor CRD is installed, and the ServiceMonitors of a scope once it is.
//!
//! The CRD may be missing, come later or go again. One task a process asks discovery for it; each scope then watches in a
//! task of its own, so trouble here never stops the watch of accounts.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource};
use tokio::sync::{Notify, mpsc, watch};

use super::api_call::{ApiError, call};
use super::build::account_name;
use super::charged_monitors::charged;
use super::outage::{Outage, UseOutage};
use super::relist::Relist;
use super::scope::Scope;
use super::service_monitor::{MANAGED_BY, ServiceMonitor, WatchedMonitor};
use super::watch::{Lists, cause, watch};
use crate::account::AccountId;
use crate::limits::MemoryBudget;

/// How often discovery is queried for the CRD.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// The shortest time between two queries, whatever asks for them.
const CHECK_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// What is known of the ServiceMonitors of one scope.
#[derive(Clone)]
pub(super) enum Monitors {
    /// Discovery has not answered since the start.
    Unknown,
    /// The CRD is not installed.
    NotInstalled,
    /// It is, and this store follows those that carry our label.
    Installed(Store<WatchedMonitor>),
}

impl Monitors {
    /// The ServiceMonitor of this name, if the store has it.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<WatchedMonitor>> {
        let Self::Installed(store) = self else { return None };
        store.get(&ObjectRef::new(name).within(namespace))
    }
}

/// Whether the CRD is installed, followed by one task for all scopes.
pub(super) struct CrdDiscovery {
    client: Client,
    installed: watch::Sender<Option<bool>>,
    check: Notify,
    api_server: Arc<Outage>,
}

impl CrdDiscovery {
    /// Nothing is known before [`Self::follow`] runs.
    pub(super) fn new(client: Client, api_server: Arc<Outage>) -> Self {
        Self { client, installed: watch::Sender::new(None), check: Notify::new(), api_server }
    }

    /// Has discovery queried soon: something suggests that the answer has changed.
    pub(super) fn check_soon(&self) {
        self.check.notify_one();
    }

    /// Queries discovery from time to time. Never ends.
    pub(super) async fn follow(&self) {
        let mut every = tokio::time::interval(CHECK_EVERY);
        let outage =
            UseOutage::new("cannot check whether the ServiceMonitor CRD is installed", &self.api_server);
        loop {
            tokio::select! {
                () = self.check.notified() => {}
                _ = every.tick() => {}
            }
            match self.query().await {
                Ok(now) => {
                    outage.healed();
                    if self.installed.send_if_modified(|before| before.replace(now) != Some(now)) {
                        tracing::info!(
                            installed = now,
                            "ServiceMonitor CRD; accounts are collected either way"
                        );
                    }
                }
                Err(error) => outage.failed(&error, error.cause()),
            }
            tokio::time::sleep(CHECK_AT_MOST_EVERY).await;
        }
    }

    /// Whether the API server knows ServiceMonitors. Only "not found" means no: everything else is an error.
    async fn query(&self) -> Result<bool, ApiError> {
        let group = ServiceMonitor::api_version(&());
        call(async {
            match self.client.list_api_group_resources(&group).await {
                Ok(list) => Ok(list.resources.iter().any(|resource| resource.kind == "ServiceMonitor")),
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }
}

/// Follows the ServiceMonitors of one scope.
pub(super) struct Follower {
    /// Whether there can be any.
    pub(super) discovery: Arc<CrdDiscovery>,
    /// Where to watch.
    pub(super) scope: Scope,
    /// How its watch lists.
    pub(super) lists: Lists,
    /// Receives what is known.
    pub(super) state: watch::Sender<Monitors>,
    /// Receives the accounts whose ServiceMonitor changed.
    pub(super) reconcile: mpsc::Sender<AccountId>,
    /// What the ServiceMonitors that are kept are charged to.
    pub(super) memory: MemoryBudget,
}

impl Follower {
    /// Watches while the CRD is installed. Never ends; dropping it ends the watch.
    pub(super) async fn follow(self) {
        let mut installed = self.discovery.installed.subscribe();
        loop {
            let now = *installed.borrow_and_update();
            match now {
                None => {}
                Some(false) => drop(self.state.send_replace(Monitors::NotInstalled)),
                Some(true) => {
                    tokio::select! {
                        () = self.watch() => {}
                        _ = installed.changed() => continue,
                    }
                }
            }
            if installed.changed().await.is_err() {
                return;
            }
        }
    }

    async fn watch(&self) {
        let (store, writer) = reflector::store::<WatchedMonitor>();
        let filled = async {
            // An account reconciled before the store is filled would think that its ServiceMonitor is missing.
            if tokio::time::timeout(CHECK_EVERY, store.wait_until_ready()).await.is_err() {
                tracing::warn!(
                    "ServiceMonitors could not be listed yet: permissions are missing or the API server is slow"
                );
            }
            self.state.send_replace(Monitors::Installed(store));
        };
        let api = self.scope.api::<WatchedMonitor>(self.discovery.client.clone());
        let config = watcher::Config::default().labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1));
        let before = writer.as_reader();
        let events = watch(api, config, self.lists.clone()).default_backoff();
        let mut events = charged(events, before.clone(), self.memory.clone()).reflect(writer).boxed();
        let follow = async {
            let mut list = Relist::default();
            let outage =
                UseOutage::new("the watch of ServiceMonitors is interrupted", &self.discovery.api_server);
            loop {
                let event = events.try_next().await;
                if matches!(&event, Ok(Some(event)) if !matches!(event, watcher::Event::Init)) {
                    outage.healed();
                }
                let changed = match event {
                    Ok(Some(watcher::Event::Apply(monitor) | watcher::Event::Delete(monitor))) => {
                        vec![monitor.meta().clone()]
                    }
                    Ok(Some(watcher::Event::Init)) => {
                        list = Relist::begin(&before);
                        continue;
                    }
                    Ok(Some(watcher::Event::InitApply(monitor))) => {
                        list.listed(monitor.meta());
                        continue;
                    }
                    // What happened while the watch was interrupted has no event of its own.
                    Ok(Some(watcher::Event::InitDone)) => std::mem::take(&mut list).end().collect(),
                    Ok(None) => return,
                    Err(error) => {
                        outage.failed(&error, cause(&error));
                        self.discovery.check_soon();
                        continue;
                    }
                };
                for account in changed.iter().filter_map(account) {
                    if self.reconcile.send(account).await.is_err() {
                        return;
                    }
                }
            }
        };
        tokio::join!(filled, follow);
    }
}

/// The account whose ServiceMonitor has this name, whatever object owns it by now.
fn account(meta: &kube::core::ObjectMeta) -> Option<AccountId> {
    Some(AccountId::new(meta.namespace.as_deref()?, account_name(meta.name.as_deref()?)?))
}
