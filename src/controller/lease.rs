//! This replica's Lease, by which the replicas know each other: lists all, renews its own, and deletes those of the dead. What
//! follows from them is decided by the rules of [`replicas`](crate::replicas::rules).
//!
//! One list and one write a round, and no watch: a list is never older than the API server's answer, and a watch that has
//! stalled without an error would leave the accounts of a replica that has gone to nobody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams, Preconditions};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::FIELD_MANAGER;
use super::api_call::{ApiError, call_within};
use super::outage::Outage;
use crate::replicas::rules::{EXPIRY, FAREWELL, RENEW, View};
use crate::replicas::{Member, Membership, SeenLease};

/// The label of all Leases of one group of replicas; its value is the group's name.
const GROUP_LABEL: &str = "caas-operator.io/replicas-of";

/// Host and port at which the other replicas reach the holder.
const ADDRESS_ANNOTATION: &str = "caas-operator.io/address";

/// The longest that one request may take: a round of two is over before the next one is due.
const REQUEST: Duration = Duration::from_millis(1400);

/// From a round that failed to the next one, and from one list to the next after this replica has left.
const RETRY: Duration = Duration::from_secs(1);

/// This replica's Lease.
pub struct ReplicaLease {
    leases: Api<Lease>,
    namespace: String,
    group: String,
    me: Member,
    membership: Membership,
    outage: Outage,
    refused: watch::Sender<Option<String>>,
}

impl ReplicaLease {
    /// The Lease of this member in this namespace. Replicas with the same group share the accounts. `refused` is told where
    /// this replica has no Lease since it may not have one: nothing is collected then.
    pub fn new(
        client: Client,
        namespace: &str,
        group: &str,
        me: Member,
        membership: Membership,
        refused: watch::Sender<Option<String>>,
    ) -> Self {
        Self {
            namespace: namespace.to_owned(),
            refused,
            leases: Api::namespaced(client, namespace),
            group: group.to_owned(),
            me,
            membership,
            outage: Outage::new(
                "the replicas' Leases cannot be read or written; the accounts remain distributed as they are",
            ),
        }
    }

    /// Holds the Lease until `leave`, and then deletes it, so that others take over at once. Ends when nobody asks this replica
    /// any more for what it had.
    pub async fn hold(self, leave: CancellationToken) {
        if leave.run_until_cancelled(self.rounds()).await.is_none() {
            self.follow(Instant::now() + FAREWELL).await;
        }
    }

    /// Deletes the Lease. Returns whether it is gone.
    async fn delete(&self) -> bool {
        match request(self.leases.delete(&self.name(), &DeleteParams::default())).await {
            Err(error) if error.code() != Some(404) => {
                tracing::warn!(%error, "the replica's Lease could not be deleted; other replicas take over when it expires");
                false
            }
            _ => {
                // Scrapes that still come here are answered by the new owners as soon as they have something newer.
                self.membership.update(|view| view.left(Instant::now()));
                true
            }
        }
    }

    /// Deletes the Lease, once the API server lets it, and looks who the others are for as long as they or scrapes may still ask
    /// here: one that has left as well is not the owner.
    async fn follow(&self, until: Instant) {
        let mut is_gone = self.delete().await;
        while !self.membership.peers().is_empty() && Instant::now() < until {
            is_gone = is_gone || self.delete().await;
            match self.list().await {
                Ok(listed) => {
                    let seen = listed.iter().filter_map(seen).collect();
                    self.membership.update(|view| {
                        view.listed(seen, Instant::now());
                        view.succeeded(Instant::now());
                    });
                }
                Err(error) => tracing::debug!(%error, "the replicas' Leases cannot be read"),
            }
            sleep_until(until.min(Instant::now() + RETRY)).await;
        }
    }

    /// Never ends.
    async fn rounds(&self) {
        loop {
            let began = Instant::now();
            let next = match self.round().await {
                Ok(()) => {
                    self.membership.update(|view| view.succeeded(Instant::now()));
                    self.outage.healed();
                    self.refused.send_replace(None);
                    began + RENEW
                }
                Err(error) => {
                    self.membership.update(|view| view.failed(Instant::now()));
                    self.failed(&error);
                    Instant::now() + RETRY
                }
            };
            while Instant::now() < next {
                let wakes_at = self.membership.look(View::wakes_at).flatten();
                sleep_until(wakes_at.map_or(next, |at| at.min(next))).await;
                self.membership.update(|view| view.tick(Instant::now()));
                self.bury().await;
            }
        }
    }

    /// Says that a round has failed. Without a Lease of its own, what is refused is refused for good, and all that there is to
    /// know.
    fn failed(&self, error: &ApiError) {
        let is_member = self.membership.look(View::is_member).unwrap_or(true);
        if is_member || !matches!(error.code(), Some(401 | 403)) {
            self.outage.failed(&error.to_string());
            return;
        }
        let sentence = format!(
            "no account is collected: in namespace {} this program needs the verbs list, create, update and delete on leases of \
             coordination.k8s.io",
            self.namespace
        );
        if self.refused.send_replace(Some(sentence.clone())).is_none() {
            tracing::error!(%error, "{sentence}");
        }
    }

    /// Lists all Leases and writes this replica's.
    async fn round(&self) -> Result<(), ApiError> {
        let listed = self.list().await?;
        let own = listed.iter().find(|lease| lease.metadata.name.as_deref() == Some(&*self.name()));
        let seen = listed.iter().filter_map(seen).collect();
        let writes = self.membership.update(|view| view.listed(seen, Instant::now())).unwrap_or(false);
        if !writes {
            return Ok(());
        }
        let (name, params) = (
            self.name(),
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() },
        );
        match own {
            // With the version that was listed: where somebody has deleted it meanwhile, it is not made anew unseen.
            Some(own) => request(self.leases.replace(&name, &params, &self.lease(Some(own)))).await?,
            None => request(self.leases.create(&params, &self.lease(None))).await?,
        };
        self.membership.update(|view| view.renewed(Instant::now()));
        Ok(())
    }

    /// The Leases of all replicas.
    async fn list(&self) -> Result<Vec<Lease>, ApiError> {
        let label = format!("{GROUP_LABEL}={}", self.group);
        Ok(request(self.leases.list(&ListParams::default().labels(&label))).await?.items)
    }

    /// Deletes the Leases of the dead, unless they have changed meanwhile.
    async fn bury(&self) {
        let dead = self.membership.look(|view| view.dead(Instant::now())).unwrap_or_default();
        for lease in dead {
            let preconditions =
                Preconditions { uid: Some(lease.uid.clone()), resource_version: Some(lease.version.clone()) };
            let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            let deleted = request(self.leases.delete(&self.name_of(&lease.member.name), &params)).await;
            let now = Instant::now();
            match deleted.as_ref().map_err(ApiError::code) {
                Ok(_) | Err(Some(404)) => {
                    tracing::warn!(replica = %lease.member.name, "the replica has not renewed its Lease and is considered gone");
                    self.membership.update(|view| view.deleted(&lease, now));
                }
                Err(Some(409)) => {
                    self.membership.update(|view| view.is_alive(&lease, now));
                }
                Err(_) => {
                    self.membership.update(|view| view.failed(Instant::now()));
                }
            }
        }
    }

    fn name(&self) -> String {
        self.name_of(&self.me.name)
    }

    /// The name of a member's Lease.
    fn name_of(&self, member: &str) -> String {
        format!("{}-{member}", self.group)
    }

    /// This replica's Lease as it is to be, made of the one that is there.
    fn lease(&self, before: Option<&Lease>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let spec = before.and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let metadata = before.map(|lease| lease.metadata.clone());
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name()),
                labels: Some(BTreeMap::from([(GROUP_LABEL.to_owned(), self.group.clone())])),
                annotations: Some(BTreeMap::from([(
                    ADDRESS_ANNOTATION.to_owned(),
                    self.me.address.to_string(),
                )])),
                ..metadata.unwrap_or_default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.me.name.to_string()),
                lease_duration_seconds: i32::try_from(EXPIRY.as_secs()).ok(),
                acquire_time: spec.acquire_time.or_else(|| Some(now.clone())),
                renew_time: Some(now),
                ..spec
            }),
        }
    }
}

/// A Lease as the rules see it; `None` of one that no replica wrote.
fn seen(lease: &Lease) -> Option<SeenLease> {
    let Lease { metadata, spec } = lease;
    let name = spec.as_ref()?.holder_identity.as_deref()?;
    let address = metadata.annotations.as_ref()?.get(ADDRESS_ANNOTATION)?;
    Some(SeenLease {
        member: Member { name: Arc::from(name), address: Arc::from(address.as_str()) },
        uid: metadata.uid.clone()?,
        version: metadata.resource_version.clone()?,
    })
}

/// Makes one request.
async fn request<T>(made: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ApiError> {
    call_within(REQUEST, made).await
}

#[cfg(test)]
mod tests;
