//! A fault: what goes wrong, and on which requests. Plain values; knows no provider.

use std::time::Duration;

use thiserror::Error;

use crate::simulator::duration::DurationError;
use crate::simulator::operation::{self, Operation, Role};

/// When a response of status 429 or 5xx allows the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// It does not say.
    Absent,
    /// After this many seconds.
    Seconds(u64),
    /// An HTTP date, this many seconds from now.
    Date(u64),
}

/// When tokens are revoked.
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
    /// The response comes this much later.
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
    /// JSON with values of other types.
    WrongJson,
    /// Status 200 with an error inside, in the API's form; a right answer where the API has no such form.
    ReportedError,
    /// JSON whose texts contain bytes that are not UTF-8.
    InvalidUtf8,
    /// Status 200 without a body.
    EmptyBody,
    /// All tokens are revoked.
    RevokedToken(Revocation),
    /// A login with the right password is refused with this status.
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
    /// No response ever.
    Hang,
    /// The connection is closed instead of a response.
    Drop,
    /// Names contain newlines and quotes; one service and one instance a page are this many bytes longer.
    HugeLabel(usize),
}

impl FaultKind {
    /// The role of the only operations that it fits, with its name; `None` if it fits all.
    pub(super) fn only_fits(&self) -> Option<(Role, &'static str)> {
        match self {
            Self::RejectLogin(_) => Some((Role::Login, "reject-login")),
            Self::PageCycle => Some((Role::Inventory, "page-cycle")),
            Self::EndlessPages => Some((Role::Inventory, "endless-pages")),
            Self::HugeLabel(_) => Some((Role::Inventory, "huge-label")),
            _ => None,
        }
    }
}

/// A fault and the requests that it affects.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// On which requests; `None` means all but logins, or the only ones that the kind fits.
    pub scope: Option<Scope>,
    /// On which share of them, 0.0 to 1.0.
    pub share: f64,
    /// How often at most.
    pub times: Option<u64>,
    /// Only where the request names this service.
    pub service: Option<String>,
}

/// Requests by what they ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Every request.
    All,
    /// Requests for the operations of this name.
    Only(String),
}

/// A text that is not a fault, or a fault that the cloud cannot have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FaultError {
    /// No fault has this name.
    #[error(
        "there is no fault named {0:?}; the names are: latency, slow-body, 429, 500, 502, 503, 504, status, html, empty-body, truncated-body, wrong-json, reported-error, invalid-utf8, deep-json, gzip-bomb, revoked-token, reject-login, page-cycle, endless-pages, huge-label, redirect, hang, drop"
    )]
    Name(String),
    /// The cloud has no operation of this name.
    #[error("there is no operation named {name:?}; write {} or all", known.join(", "))]
    Operation {
        /// What was given.
        name: String,
        /// The names of its operations.
        known: Vec<&'static str>,
    },
    /// A selector that cannot be read.
    #[error(
        "{0:?} selects nothing; write a share from 0 to 1 such as @0.1, a count such as @x3, or @service=NAME"
    )]
    Selector(String),
    /// A value where none belongs.
    #[error("{0} takes no value")]
    NoValue(&'static str),
    /// A value is missing or cannot be read.
    #[error("{name} cannot use {value:?}; write {wanted}")]
    Value {
        /// The fault's name.
        name: &'static str,
        /// What was given.
        value: String,
        /// An example.
        wanted: &'static str,
    },
    /// A duration that cannot be read.
    #[error("latency: {0}")]
    Duration(#[from] DurationError),
    /// A fault on requests that it does not fit.
    #[error("{name} fits requests for {} only", fits.join(" or "))]
    Misfit {
        /// The fault's name.
        name: &'static str,
        /// The operations that it fits.
        fits: Vec<&'static str>,
    },
    /// A fault that fits no operation of the cloud.
    #[error("{0} fits no request to this cloud; choose another fault")]
    Unfit(&'static str),
}

impl Fault {
    /// A fault on all requests that its kind fits, except logins.
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, scope: None, share: 1.0, times: None, service: None }
    }

    /// Limits it to the operations of this name.
    #[must_use]
    pub fn on(self, operation: impl Into<String>) -> Self {
        Self { scope: Some(Scope::Only(operation.into())), ..self }
    }

    /// Limits it to this many requests.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Limits it to a share of requests.
    #[must_use]
    pub fn share(self, share: f64) -> Self {
        Self { share, ..self }
    }

    /// Limits it to requests that name this service.
    #[must_use]
    pub fn service(self, service: impl Into<String>) -> Self {
        Self { service: Some(service.into()), ..self }
    }

    /// Refuses a fault that names what a cloud with these operations does not have.
    pub fn check(&self, operations: &[Operation]) -> Result<(), FaultError> {
        if let Some(Scope::Only(name)) = &self.scope
            && !operations.iter().any(|operation| operation.name == name)
        {
            return Err(FaultError::Operation { name: name.clone(), known: operation::names(operations) });
        }
        let Some((role, name)) = self.kind.only_fits() else { return Ok(()) };
        let fitting: Vec<Operation> =
            operations.iter().filter(|operation| operation.role == role).copied().collect();
        let fits = operation::names(&fitting);
        match &self.scope {
            _ if fits.is_empty() => Err(FaultError::Unfit(name)),
            Some(Scope::Only(only)) if !fits.contains(&only.as_str()) => {
                Err(FaultError::Misfit { name, fits })
            }
            _ => Ok(()),
        }
    }

    /// Whether it is meant for a request, before share and count are looked at.
    pub(super) fn applies_to(&self, operation: &Operation, service: Option<&str>) -> bool {
        let in_scope = match (&self.scope, self.kind.only_fits()) {
            (Some(Scope::Only(name)), _) => name == operation.name,
            (Some(Scope::All), _) => true,
            (None, Some((role, _))) => operation.role == role,
            (None, None) => operation.role != Role::Login,
        };
        in_scope && self.service.as_deref().is_none_or(|wanted| service == Some(wanted))
    }
}
