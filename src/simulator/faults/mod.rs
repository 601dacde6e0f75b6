//! What a simulated cloud does wrong, on demand: which fault, on which requests. The wire effects lie in
//! `wire`, the grammar of the command line in [`parse`].

pub mod parse;
#[cfg(test)]
mod tests;
pub(super) mod wire;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

pub use parse::FaultError;

use super::numbers::{fraction, hash};

/// What a request asks for, as faults and counters tell requests apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A token.
    Login,
    /// A page of services, or one of them.
    Services,
    /// The instances of a service, or one of them.
    Instances,
    /// The measurements of an instance.
    Metrics,
}

/// When an answer of status 429 or 5xx says that one may ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// It does not say.
    Absent,
    /// In so many seconds.
    Seconds(u64),
    /// As an HTTP date, so many seconds from now.
    Date(u64),
}

/// When a token stops being taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// Before the request, which is refused.
    Before,
    /// After the request: the next one is refused.
    AfterUse,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// The answer comes this much later.
    Latency(Duration),
    /// The body comes at one byte a second.
    SlowBody,
    /// Status 429.
    TooManyRequests(RetryAfter),
    /// Another status from 400 on.
    Status(u16, RetryAfter),
    /// Status 200 with a web page.
    Html,
    /// Fewer bytes than `Content-Length` promises.
    TruncatedBody,
    /// JSON whose values have other types.
    WrongJson,
    /// JSON with bytes in its texts that are no UTF-8.
    InvalidUtf8,
    /// Status 200 and no byte.
    EmptyBody,
    /// All tokens are revoked.
    RevokedToken(Revocation),
    /// The right password is refused with this status.
    RejectLogin(u16),
    /// The last page names the first as its next.
    PageCycle,
    /// Every page names a next one.
    EndlessPages,
    /// 1 MiB of gzip that unpacks to 1 GiB.
    GzipBomb,
    /// JSON nested 100,000 deep where values are expected.
    DeepJson,
    /// Status 302 to this URL.
    Redirect(String),
    /// No answer ever.
    Hang,
    /// The connection is closed instead of an answer.
    Drop,
    /// Names with newlines and quotes, one service and one instance a page with this many bytes more.
    HugeLabel(usize),
}

/// A fault and the requests that it befalls.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// On which requests; `None` for all but logins, or for the only ones that the kind fits.
    pub operation: Option<Scope>,
    /// On which share of them, 0.0 to 1.0.
    pub share: f64,
    /// How often at most.
    pub times: Option<u64>,
    /// Only where the request names this service.
    pub service: Option<String>,
}

/// Requests by what they ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every request.
    All,
    /// Requests for one thing.
    Only(Operation),
}

impl Fault {
    /// A fault on all requests that its kind fits, save logins.
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, operation: None, share: 1.0, times: None, service: None }
    }

    /// The same on requests for one thing.
    #[must_use]
    pub fn on(self, operation: Operation) -> Self {
        Self { operation: Some(Scope::Only(operation)), ..self }
    }

    /// The same at most so many times.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    /// The same on a share of requests.
    #[must_use]
    pub fn share(self, share: f64) -> Self {
        Self { share, ..self }
    }

    /// The same where the request names this service.
    #[must_use]
    pub fn service(self, service: impl Into<String>) -> Self {
        Self { service: Some(service.into()), ..self }
    }

    /// Whether a request of this kind is meant at all.
    fn befalls(&self, operation: Operation, service: Option<&str>) -> bool {
        let meant = match (self.operation, &self.kind) {
            (Some(Scope::Only(only)), _) => only == operation,
            (Some(Scope::All), _) => true,
            (None, FaultKind::RejectLogin(_)) => operation == Operation::Login,
            (None, FaultKind::PageCycle | FaultKind::EndlessPages | FaultKind::HugeLabel(_)) => {
                operation == Operation::Services
            }
            (None, _) => operation != Operation::Login,
        };
        meant && self.service.as_deref().is_none_or(|wanted| service == Some(wanted))
    }
}

/// A fault that is set, with what it has done so far.
#[derive(Debug)]
struct Active {
    fault: Fault,
    seed: u64,
    met: AtomicU64,
    done: AtomicU64,
}

impl Active {
    /// Whether this request is hit. The nth request that is meant has the same fate in every run.
    fn hits(&self, operation: Operation, service: Option<&str>) -> bool {
        if !self.fault.befalls(operation, service) {
            return false;
        }
        let nth = self.met.fetch_add(1, Ordering::Relaxed);
        if fraction(hash(&[self.seed, nth])) >= self.fault.share {
            return false;
        }
        self.fault.times.is_none_or(|times| {
            self.done
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |done| (done < times).then_some(done + 1))
                .is_ok()
        })
    }
}

/// All faults that are set.
#[derive(Debug)]
pub(super) struct Faults {
    seed: u64,
    active: RwLock<Vec<Arc<Active>>>,
}

impl Faults {
    /// These faults; the seed decides which requests a share means.
    pub(super) fn new(seed: u64, faults: Vec<Fault>) -> Self {
        let all = Self { seed, active: RwLock::default() };
        for fault in faults {
            all.set(fault);
        }
        all
    }

    /// Sets one more.
    pub(super) fn set(&self, fault: Fault) {
        let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
        let seed = hash(&[self.seed, active.len() as u64]);
        active.push(Arc::new(Active { fault, seed, met: AtomicU64::new(0), done: AtomicU64::new(0) }));
    }

    /// Takes all away.
    pub(super) fn clear(&self) {
        self.active.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// All that are set, as written on the command line.
    pub(super) fn list(&self) -> Vec<String> {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        active.iter().map(|active| active.fault.to_string()).collect()
    }

    /// What befalls a request, in the order in which the faults were set.
    pub(super) fn hits(&self, operation: Operation, service: Option<&str>) -> Vec<FaultKind> {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        active
            .iter()
            .filter(|active| active.hits(operation, service))
            .map(|active| active.fault.kind.clone())
            .collect()
    }
}
