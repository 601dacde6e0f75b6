//! Asks other replicas over the pod network: for one answer to a client, or for what they know of their accounts.
//!
//! Nobody asks further: a request that comes from a replica is answered with what the asked one has itself.

use std::collections::{BTreeMap, VecDeque};
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

/// Marks a request of a replica, to the owner of an account or, as [`BEFORE`] says, to one that owned it before.
pub const FROM_REPLICA: HeaderName = HeaderName::from_static("caas-operator-from-replica");
/// The value of [`FROM_REPLICA`] in any other request.
const OWNED: HeaderValue = HeaderValue::from_static("1");
/// The value of [`FROM_REPLICA`] in a request to an earlier owner: those after it have nothing.
pub const BEFORE: HeaderValue = HeaderValue::from_static("before");
/// Marks the answer of a replica that does not have what it was asked for.
pub const NOT_HERE: HeaderName = HeaderName::from_static("caas-operator-not-here");
/// The value of [`NOT_HERE`] where earlier owners are not to be asked either: what they have may be older than what this replica
/// has answered before it started anew.
pub const NOR_BEFORE: HeaderValue = HeaderValue::from_static("nor-before");
/// In an answer with [`NOR_BEFORE`]: for how many milliseconds this replica has been running. It has forgotten nothing of that time.
pub const AGE: HeaderName = HeaderName::from_static("caas-operator-age");
/// The value of [`NOT_HERE`] where this replica was asked as the owner and is not, and has what it had last as an earlier one.
pub const HAS_LAST: HeaderValue = HeaderValue::from_static("has-last");
/// The value of [`NOT_HERE`] where the member that is named as the owner is to be asked first, and then this replica as an earlier
/// one: it collects the account, and that one perhaps too.
pub const ASK_FIRST: HeaderValue = HeaderValue::from_static("ask-first");
/// In the answer of a replica that does not own the account: name and address of the owner, as far as it knows.
pub const OWNER: HeaderName = HeaderName::from_static("caas-operator-owner");
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

/// Where the newest body of an account is that any replica has.
pub enum Found {
    /// In this answer.
    There(Response<Incoming>),
    /// Here: it is the last one that this replica made.
    Here,
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
    /// has come in by then. `has_last` is whether this replica has one that it made before the account moved.
    ///
    /// An earlier owner is asked only where all after it say that they have nothing. Where one of them does not respond, what
    /// it has may be newer. The error is that of the first one asked.
    pub async fn forward(
        &self,
        uid: &str,
        target: &str,
        headers: &HeaderMap,
        by: Instant,
        has_last: bool,
    ) -> Result<Found, PeerError> {
        let Some(me) = self.membership.me() else { return Err(PeerError::Nobody) };
        let owner = self.membership.owner(uid).filter(|owner| owner.name != me.name);
        let before = self.membership.before(uid).into_iter().map(|(member, since)| (member, true, since));
        let owner = owner.map(|owner| (owner, false, None));
        let mut asked: VecDeque<_> = owner.into_iter().chain(before).collect();
        let (mut failed, mut asked_as_owner) = (None, Vec::new());
        while let Some((member, is_before, since)) = asked.pop_front() {
            if member.name == me.name {
                if has_last {
                    return Ok(Found::Here);
                }
                continue;
            }
            let role = if is_before { BEFORE } else { OWNED };
            let Some(response) = self.get(&member, target, headers.clone(), role, by).await else {
                return Err(failed.unwrap_or(PeerError::Unreachable(member.name)));
            };
            let Some(not_here) = response.headers().get(NOT_HERE) else { return Ok(Found::There(response)) };
            tracing::debug!(account = uid, replica = %member.name, is_before, ?not_here, "it is not there");
            failed.get_or_insert(PeerError::NotHere(Arc::clone(&member.name)));
            if not_here == NOR_BEFORE {
                let age = response.headers().get(AGE).and_then(|age| age.to_str().ok()?.parse().ok());
                // Where several leave at once, each may be taken for the owner for a moment, unnoticed by it.
                let has_never_had_it = is_before
                    && since
                        .zip(age)
                        .is_some_and(|(since, age)| since.elapsed() < Duration::from_millis(age));
                if has_never_had_it {
                    continue;
                }
                break;
            }
            let owner = response.headers().get(OWNER).and_then(|owner| owner.to_str().ok()?.split_once(' '));
            let owner = owner.map(|(name, address)| Member { name: name.into(), address: address.into() });
            // This replica is not the owner yet: anything it has is older than what that member has.
            let owner = owner.filter(|owner| owner.name != me.name);
            if not_here == ASK_FIRST {
                if let Some(owner) = owner
                    && let Some(response) = self.ask(&owner, target, headers, by).await
                {
                    return Ok(Found::There(response));
                }
                asked.push_front((member, true, None));
                continue;
            }
            if is_before {
                continue;
            }
            asked_as_owner.push(Arc::clone(&member.name));
            if not_here == HAS_LAST {
                asked.push_front((member, true, None));
            }
            // One of the two has not seen the newest change yet. Where several leave at once, some who are named have left too.
            if let Some(owner) = owner.filter(|owner| !asked_as_owner.contains(&owner.name)) {
                asked.push_front((owner, false, None));
            }
        }
        Err(failed.unwrap_or(PeerError::Nobody))
    }

    /// The answer of a replica that perhaps has the account; `None` where it does not, or does not respond at once.
    pub async fn ask(
        &self,
        member: &Member,
        target: &str,
        headers: &HeaderMap,
        by: Instant,
    ) -> Option<Response<Incoming>> {
        // What is left of the time is for asking the one that has it.
        let now = Instant::now();
        let within = CONNECT.min(by.saturating_duration_since(now) / 2);
        let response = self.get(member, target, headers.clone(), OWNED, now + within).await?;
        let is_there = response.status().is_success() && !response.headers().contains_key(NOT_HERE);
        is_there.then_some(response)
    }

    /// What the replica that collected the account with this UID so far knows of it; one that still does is preferred. Where
    /// one does not respond, none before it is asked: values would go back to older ones.
    pub async fn account(&self, id: &AccountId, uid: &str) -> Option<RemoteAccount> {
        let me = self.membership.me()?;
        let target = format!("{ACCOUNTS_PATH}/{}/{}", id.namespace, id.name);
        let mut newest: Option<RemoteAccount> = None;
        let before = self.membership.before(uid).into_iter().map(|(member, _)| member);
        let all = self.membership.owner(uid).into_iter().chain(before);
        for member in all.filter(|member| member.name != me.name) {
            let mut charge = self.memory.holder(&id.namespace, &id.name).charge();
            let fits = |bytes| charge.resize(bytes).is_ok();
            let mut told = self.told(&member, &target, ACCOUNT, fits).await;
            let Some(account) = told.remove(id).filter(|account| account.uid() == Some(uid)) else {
                break;
            };
            if charge.resize(account.bytes()).is_err() {
                break;
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
            let role = OWNED;
            let mut body = self.get(member, target, HeaderMap::new(), role, by).await?.into_body();
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
        role: HeaderValue,
        by: Instant,
    ) -> Option<Response<Incoming>> {
        headers.insert(FROM_REPLICA, role);
        let request = || {
            let mut request =
                Request::get(format!("http://{}{target}", member.address)).body(Empty::new()).ok()?;
            request.headers_mut().clone_from(&headers);
            Some(self.http.request(request))
        };
        let answer = async {
            match request()?.await {
                // The other side may close a connection that was kept open as it is used again.
                Err(error) if !error.is_connect() => Some(request()?.await),
                answer => Some(answer),
            }
        };
        let problem = match timeout_at(by, answer).await {
            Ok(Some(Ok(response))) => return Some(response),
            Ok(Some(Err(error))) => error.to_string(),
            Ok(None) => "its address is none".to_owned(),
            Err(_) => "it takes too long".to_owned(),
        };
        tracing::debug!(replica = %member.name, problem, "another replica does not respond");
        None
    }
}
