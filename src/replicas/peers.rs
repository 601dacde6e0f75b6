//! Asks other replicas over the pod network: for one answer to a client, or for what they know of their accounts.
//!
//! Nobody asks further: a request that comes from a replica is answered with what the asked one has itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use thiserror::Error;
use tokio::time::{Instant, timeout, timeout_at};

use super::remote::{Reader, RemoteAccount};
use super::{Member, Membership};
use crate::account::AccountId;
use crate::limits::{Charge, MemoryBudget};

/// Marks a request of a replica.
pub const FROM_REPLICA: HeaderName = HeaderName::from_static("caas-operator-from-replica");
/// Marks the answer of a replica that does not have what it was asked for.
pub const NOT_HERE: HeaderName = HeaderName::from_static("caas-operator-not-here");
/// The path under which a replica tells of its accounts.
pub const ACCOUNTS_PATH: &str = "/replicas/accounts";

/// A pod that is gone does not answer at all.
const CONNECT: Duration = Duration::from_secs(1);
/// A new owner waits no longer for what each of those before it knows: without it, it collects at once.
const ACCOUNT: Duration = Duration::from_secs(3);
/// Connections are kept open for less than the time after which the other side closes them, so that none is closed under a
/// request.
const IDLE: Duration = Duration::from_secs(4);
/// The holder of what is shown of the accounts of other replicas, which no account is called like.
const SHOWN: &str = "shown/";
/// A person waits for a page.
const ACCOUNTS: Duration = Duration::from_secs(5);

/// The other replicas. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    membership: Membership,
    http: Client<HttpConnector, Empty<Bytes>>,
    /// What is charged with what others have told, while that is kept.
    memory: MemoryBudget,
}

/// What the others have told of their accounts, and the memory that it takes.
#[derive(Debug, Default)]
pub struct Told {
    /// The accounts.
    pub accounts: BTreeMap<AccountId, RemoteAccount>,
    /// What they take, one charge a namespace.
    pub charges: Vec<Charge>,
}

/// Why no replica has answered.
#[derive(Debug, Error)]
pub enum PeerError {
    /// None is known that has the account.
    #[error("no replica collects this account yet")]
    Nobody,
    /// It does not have the account yet, or no longer.
    #[error("replica {0} does not have this account yet: handover in progress")]
    NotHere(Arc<str>),
    /// It does not answer.
    #[error("replica {0} collects this account and cannot be reached from this replica")]
    Unreachable(Arc<str>),
}

impl PeerError {
    /// A word of a closed set for the metric of forwarded scrapes.
    pub fn result(&self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::NotHere(_) => "not_here",
            Self::Unreachable(_) => "unreachable",
        }
    }
}

impl Peers {
    /// The others of this membership. What they tell is charged to the namespaces of its accounts.
    pub fn new(membership: Membership, memory: MemoryBudget) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let mut http = Client::builder(TokioExecutor::new());
        http.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        Self { membership, http: http.build(connector), memory }
    }

    /// Those of a process that has none.
    pub fn none() -> Self {
        Self::new(Membership::alone(), MemoryBudget::default())
    }

    /// The others of another membership, within the same memory.
    #[must_use]
    pub fn of(self, membership: Membership) -> Self {
        Self { membership, ..self }
    }

    /// Who the replicas are.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The answer of the first replica that has the account with this UID, to a request for this path and query; its head
    /// has come in by then. Where none has it, the error is that of the owner.
    pub async fn forward(
        &self,
        uid: &str,
        target: &str,
        headers: &HeaderMap,
        by: Instant,
    ) -> Result<Response<Incoming>, PeerError> {
        let mut failed = None;
        for member in self.membership.routes(uid) {
            match self.get(&member, target, headers.clone(), by).await {
                Some(response) if response.headers().contains_key(NOT_HERE) => {
                    failed.get_or_insert(PeerError::NotHere(member.name));
                }
                Some(response) => return Ok(response),
                None => {
                    failed.get_or_insert(PeerError::Unreachable(member.name));
                }
            }
        }
        Err(failed.unwrap_or(PeerError::Nobody))
    }

    /// What the replica that collected the account with this UID so far knows of it; one that still does is preferred.
    pub async fn account(&self, id: &AccountId, uid: &str) -> Option<RemoteAccount> {
        let target = format!("{ACCOUNTS_PATH}/{}/{}", id.namespace, id.name);
        let mut newest: Option<RemoteAccount> = None;
        for member in self.membership.routes(uid) {
            let mut charge = self.memory.holder(&id.namespace, &id.name).charge();
            let fits = |bytes| charge.resize(bytes).is_ok();
            let mut told = self.told(&member, &target, ACCOUNT, fits).await;
            let Some(account) = told.remove(id).filter(|account| account.uid() == Some(uid)) else {
                continue;
            };
            if charge.resize(account.bytes()).is_err() {
                continue;
            }
            let account = account.charged(charge);
            if account.is_collected() {
                return Some(account);
            }
            if newest.as_ref().is_none_or(|newest| newest.collected_at() < account.collected_at()) {
                newest = Some(account);
            }
        }
        newest
    }

    /// What all others know of the accounts that they collect. One that does not respond in time is left out, and so is
    /// what takes more than a quarter of the memory or than is free: nobody's account is cut for those who look at a page.
    pub async fn accounts(&self) -> Told {
        let members = self.membership.peers();
        let free = self.memory.bytes().saturating_sub(self.memory.held());
        let most = (self.memory.bytes() / 4).min(free) / members.len().max(1);
        let told = members
            .iter()
            .map(|member| self.told(member, ACCOUNTS_PATH, ACCOUNTS, move |bytes| bytes <= most));
        let mut accounts = BTreeMap::<AccountId, RemoteAccount>::new();
        let mut namespaces = BTreeMap::<Arc<str>, usize>::new();
        for (id, account) in join_all(told).await.into_iter().flatten() {
            *namespaces.entry(Arc::clone(&id.namespace)).or_default() += account.bytes();
            // While one is handed over, two replicas may know it.
            if accounts.get(&id).is_none_or(|known| known.collected_at() < account.collected_at()) {
                accounts.insert(id, account);
            }
        }
        let mut charges = Vec::with_capacity(namespaces.len());
        for (namespace, bytes) in namespaces {
            let free = self.memory.bytes().saturating_sub(self.memory.held());
            let mut charge = self.memory.holder(&namespace, SHOWN).charge();
            if bytes <= free && charge.resize(bytes).is_ok() {
                charges.push(charge);
            } else {
                accounts.retain(|id, _| id.namespace != namespace);
            }
        }
        Told { accounts, charges }
    }

    /// The accounts in a replica's answer, as far as it has come in this time and what it takes fits.
    async fn told(
        &self,
        member: &Member,
        target: &str,
        within: Duration,
        mut fits: impl FnMut(usize) -> bool,
    ) -> BTreeMap<AccountId, RemoteAccount> {
        let (mut reader, by) = (Reader::default(), Instant::now() + within);
        let read = async {
            let mut body = self.get(member, target, HeaderMap::new(), by).await?.into_body();
            while let Some(frame) = body.frame().await {
                let Ok(chunk) = frame.ok()?.into_data() else { continue };
                if let Err(problem) = reader.read(&chunk) {
                    tracing::warn!(replica = %member.name, problem, "another replica's accounts could not be read");
                    return None;
                }
                if !fits(reader.bytes()) {
                    return None;
                }
            }
            Some(())
        };
        // Those that have come in whole are known, however it ends.
        let _ = timeout(within, read).await;
        reader.accounts()
    }

    /// The head of a replica's answer.
    async fn get(
        &self,
        member: &Member,
        target: &str,
        mut headers: HeaderMap,
        by: Instant,
    ) -> Option<Response<Incoming>> {
        headers.insert(FROM_REPLICA, HeaderValue::from_static("1"));
        let mut request =
            Request::get(format!("http://{}{target}", member.address)).body(Empty::new()).ok()?;
        *request.headers_mut() = headers;
        let problem = match timeout_at(by, self.http.request(request)).await {
            Ok(Ok(response)) => return Some(response),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it takes too long".to_owned(),
        };
        tracing::debug!(replica = %member.name, problem, "another replica does not respond");
        None
    }
}
