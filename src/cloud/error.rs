//! Why a cloud could not be queried: a closed set of errors that keep no byte of a response.
//!
//! Every text here is the operator's own, so an error may appear in a status, an event, a log or a metric. The one name that
//! an error may carry is that of the endpoint's host, which the account's status shows anyway.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::proxy::ProxyFault;

/// Why a request, or a whole cycle, failed.
///
/// `Display` is for logs and has the status number. Conditions use [`CloudError::summary`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CloudError {
    /// The endpoint must not be queried. Nothing was sent.
    #[error("the endpoint is refused: {0}")]
    EndpointRefused(#[from] Refusal),
    /// No connection, or it ended before a response was complete.
    #[error("the cloud cannot be reached: {0}")]
    Unreachable(#[from] Unreachable),
    /// The cloud rejects the user and password, or the token.
    #[error("the cloud rejects the credentials")]
    LoginRejected,
    /// The credentials are accepted, but may not do this (403); the scope or role that they need for it, in the cloud's
    /// own words.
    #[error("the credentials lack {0}, which this request requires (403)")]
    ScopeMissing(&'static str),
    /// The cloud limits the rate of requests.
    #[error("the cloud limits the rate of requests (429)")]
    RateLimited {
        /// How long the cloud wants no requests, where it says so.
        retry_after: Option<Duration>,
    },
    /// What the settings name does not exist, or the credentials may not see it.
    #[error("the cloud has no {0} with the configured name, or the credentials cannot access it")]
    NotVisible(&'static str),
    /// A response with another status than 2xx and 429.
    #[error("the cloud responded with status {0}")]
    Status(u16),
    /// A response of status 2xx that cannot be used.
    #[error("the cloud's response cannot be used: {0}")]
    Answer(#[from] AnswerProblem),
}

/// Why an endpoint or an address must not be queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Plain http, which the administrator does not allow.
    #[error(
        "it does not use https; the operator's administrator can allow plain http with --allow-http (chart: clouds.allowHttp)"
    )]
    NotHttps,
    /// Not the URL of an API: another scheme, no host, or a user or password in it.
    #[error(
        "it is not a base URL: use an http:// or https:// URL with a host and no user, query or fragment"
    )]
    NotAnEndpoint,
    /// A path that a proxy and a server may read differently.
    #[error(
        "its path has an empty segment, or a segment such as ..; or %2e%2e%2f that servers interpret differently: remove it"
    )]
    AmbiguousPath,
    /// Not below a prefix that the administrator allows.
    #[error(
        "it is not an allowed endpoint; the operator's administrator can allow it with --allow-endpoint (chart: clouds.allowedEndpoints)"
    )]
    NotAllowed,
    /// The name resolves only to internal addresses, such as loopback, private or link-local ones.
    #[error(
        "its address is private, local or reserved; the operator's administrator can allow its network with --allow-cidr (chart: clouds.allowedCIDRs)"
    )]
    PrivateAddress,
    /// The API names a login server to which credentials must not be sent unless the settings name it.
    #[error(
        "its API names a login server outside the API's own domain; if that is correct, set loginEndpoint to that server"
    )]
    ForeignLogin,
}

/// Why there was no complete response.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreachable {
    /// The host's name has no address: the name where it is the endpoint's, and none where the cloud gave it.
    #[error("{}", unresolved(.0.as_deref()))]
    Dns(Option<Arc<str>>),
    /// No TCP connection.
    #[error("the connection was refused or failed")]
    Connect,
    /// The TLS handshake failed.
    #[error(transparent)]
    Tls(#[from] TlsProblem),
    /// The administrator's proxy does not connect to it.
    #[error("the operator's proxy for clouds {0}")]
    Proxy(ProxyFault),
    /// There is no CA certificate to verify the endpoint's with.
    #[error(
        "this system has no CA certificates; mount them at /etc/ssl/certs, set SSL_CERT_FILE, or configure a CA bundle"
    )]
    NoRoots,
    /// No complete response before the deadline.
    #[error("no complete response within the request timeout")]
    Timeout,
    /// The connection ended in the middle of a response.
    #[error("the connection ended before the response was complete")]
    BrokeOff,
}

fn unresolved(host: Option<&str>) -> String {
    let host = host.map_or_else(|| "a host in its responses".to_owned(), |host| format!("its host {host}"));
    format!("{host} cannot be resolved (DNS)")
}

/// Why a TLS handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TlsProblem {
    /// No trusted CA signed the certificate.
    #[error(
        "its TLS certificate is signed by an unknown CA; add that CA's certificate in spec.tls.caBundleSecretRef"
    )]
    UnknownIssuer,
    /// The certificate is for other names.
    #[error("its TLS certificate is not valid for the endpoint's host name")]
    OtherName,
    /// The certificate is for no name. Its subject (CN) does not count.
    #[error("its TLS certificate contains no host name (subjectAltName)")]
    NoName,
    /// The certificate is not valid any more.
    #[error("its TLS certificate has expired")]
    Expired,
    /// The certificate will be valid later.
    #[error("its TLS certificate is not valid yet")]
    NotValidYet,
    /// The certificate is a CA's own.
    #[error(
        "its TLS certificate is a CA certificate, which is accepted only if spec.tls.caBundleSecretRef contains the same certificate"
    )]
    CaAsServer,
    /// The certificate cannot be used for another reason.
    #[error("its TLS certificate is not valid for a server")]
    Certificate,
    /// No common version or cipher, or something that is not TLS.
    #[error("the TLS handshake failed")]
    Handshake,
}

/// Why a response of status 2xx cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AnswerProblem {
    /// More bytes, after decompression, than the limit.
    #[error("it is larger than the limit")]
    TooLarge,
    /// A head of more than 64 KiB, or with more than 100 fields.
    #[error("its headers are larger than the limit")]
    HeadTooLarge,
    /// More informational (1xx) responses before it than the limit.
    #[error("too many informational responses (1xx) precede it")]
    Informational,
    /// JSON nested deeper than the limit.
    #[error("its JSON is nested too deeply")]
    TooDeep,
    /// Not JSON: HTML, say, or invalid UTF-8.
    #[error("it is not JSON")]
    NotJson,
    /// JSON of another shape than documented.
    #[error("its JSON has an unexpected structure")]
    Shape,
    /// The encoding of the body is broken or unknown.
    #[error("its content encoding is broken")]
    Encoding,
    /// The cloud says that it lacks what it should hold.
    #[error("it has no measurements because the cloud cannot read them at the moment")]
    NoMeasurements,
    /// A redirect, which is never followed.
    #[error("it is a redirect, and redirects are not followed")]
    Redirect,
    /// An error that the API reports inside an answer of status 200.
    #[error("it reports an error")]
    Reported,
    /// A page names one as the next that was read already.
    #[error("its pagination returns to an earlier page")]
    PageCycle,
    /// More pages than the limit.
    #[error("it has too many pages")]
    TooManyPages,
    /// A list that ends before it has as many entries as the cloud says it has.
    #[error("its list has fewer entries than it announces")]
    IncompleteList,
}

impl Refusal {
    /// As [`CloudError::action`].
    fn action(self) -> &'static str {
        match self {
            Self::NotHttps => "Use an https endpoint in spec.provider, or ask the administrator.",
            Self::NotAllowed | Self::PrivateAddress => {
                "Correct the endpoint in spec.provider, or ask the administrator."
            }
            Self::NotAnEndpoint | Self::AmbiguousPath | Self::ForeignLogin => {
                "Check the endpoint in spec.provider."
            }
        }
    }
}

impl Unreachable {
    /// As [`CloudError::action`].
    fn action(&self) -> &'static str {
        match self {
            Self::Dns(_) => {
                "Correct the host in spec.provider; if it is correct, ask the operator's administrator to check DNS."
            }
            Self::Connect => {
                "Check the host and port in spec.provider; if they are correct, ask the operator's administrator \
                 whether a network policy or firewall blocks the connection."
            }
            Self::Tls(problem) => problem.action(),
            Self::Proxy(ProxyFault::Unreachable | ProxyFault::NotTrusted | ProxyFault::Credentials) => {
                "Ask the operator's administrator to correct --cloud-proxy (chart: clouds.proxy) or the proxy itself."
            }
            Self::Proxy(ProxyFault::Forbidden | ProxyFault::NoTunnel) => {
                "Check the host and port in spec.provider; if they are correct, ask the operator's administrator \
                 whether the proxy, --cloud-proxy (chart: clouds.proxy), can reach them and allows the connection."
            }
            Self::NoRoots => "Ask the operator's administrator to do so, or set spec.tls.caBundleSecretRef.",
            Self::Timeout => {
                "Raise spec.collection.requestTimeout; if that does not help, ask the operator's administrator \
                 whether a network policy or firewall blocks the connection."
            }
            Self::BrokeOff => {
                "Check that the endpoint in spec.provider is the cloud's API, with the right scheme and port; if it \
                 is, contact the cloud's support."
            }
        }
    }
}

impl TlsProblem {
    /// As [`CloudError::action`].
    fn action(self) -> &'static str {
        match self {
            Self::UnknownIssuer => {
                "Before you trust that CA, check that the endpoint in spec.provider is the cloud's."
            }
            Self::OtherName => "In spec.provider, use a host name from the certificate.",
            Self::NoName | Self::Expired | Self::Certificate => {
                "Ask the cloud's support for another certificate."
            }
            Self::NotValidYet => {
                "Ask the operator's administrator to check the clock; if it is correct, ask the cloud's support for another certificate."
            }
            Self::CaAsServer => {
                "Ask the cloud's support for a server certificate, or add this certificate there."
            }
            Self::Handshake => {
                "Check that the endpoint in spec.provider has an https port; if it has, ask the cloud's support to \
                 enable TLS 1.2 or 1.3."
            }
        }
    }
}

impl AnswerProblem {
    /// As [`CloudError::action`].
    fn action(self) -> &'static str {
        match self {
            Self::NoMeasurements => "If this persists, contact the cloud's support.",
            Self::Reported => {
                "Check that the names in spec.provider exist and that the credentials in the Secret can access them."
            }
            Self::TooLarge | Self::TooManyPages => {
                "Select fewer services in spec.provider, or use a cloud account with access to fewer services."
            }
            Self::HeadTooLarge
            | Self::Informational
            | Self::TooDeep
            | Self::NotJson
            | Self::Shape
            | Self::Encoding
            | Self::Redirect
            | Self::PageCycle
            | Self::IncompleteList => {
                "Check that the endpoint in spec.provider is the base URL of the cloud's API; if it is, contact the \
                 cloud's support."
            }
        }
    }

    /// Whether the API may answer well in a moment: a proxy in front of it answered, such as with an HTML page of status 200,
    /// or corrupted the answer.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::NotJson | Self::Encoding | Self::HeadTooLarge | Self::Informational)
    }
}

impl CloudError {
    /// The error for conditions and events: without the number of a status, which may differ each cycle.
    pub fn summary(&self) -> String {
        match self {
            Self::Status(401) => "the cloud rejects the token for a request (401)".to_owned(),
            Self::Status(403) => "the cloud denies access (403)".to_owned(),
            Self::Status(404) => "the cloud did not find a requested resource (404)".to_owned(),
            Self::Status(500..) => "the cloud responded with a server error (5xx)".to_owned(),
            Self::Status(_) => "the cloud responded with an unexpected status".to_owned(),
            Self::EndpointRefused(_)
            | Self::Unreachable(_)
            | Self::LoginRejected
            | Self::ScopeMissing(_)
            | Self::RateLimited { .. }
            | Self::NotVisible(_)
            | Self::Answer(_) => self.to_string(),
        }
    }

    /// What the account's owner can do about it: a sentence that names what to change, or whom to ask.
    pub fn action(&self) -> &'static str {
        match self {
            Self::EndpointRefused(refusal) => refusal.action(),
            Self::Unreachable(how) => how.action(),
            Self::LoginRejected => {
                "Put a valid username and password, or a valid token, into the Secret in spec.credentials.secretRef."
            }
            Self::ScopeMissing(_) => {
                "Put credentials that have it into the Secret in spec.credentials.secretRef."
            }
            Self::RateLimited { .. } => {
                "Raise spec.collection.interval or lower spec.collection.requestsPerSecond."
            }
            Self::NotVisible(_) => "Correct the name in spec.provider, or give the credentials access to it.",
            Self::Status(401) => {
                "Check that the credentials in the Secret in spec.credentials.secretRef are still valid."
            }
            Self::Status(403) => {
                "Give the credentials read access in the cloud, or put other credentials into the Secret in \
                 spec.credentials.secretRef."
            }
            Self::Status(500..) => "If this persists, contact the cloud's support.",
            Self::Status(_) => {
                "Check that the endpoint in spec.provider is the cloud's API, and that the names there exist."
            }
            Self::Answer(problem) => problem.action(),
        }
    }

    /// Whether no other request of the account can succeed now, whatever it is for.
    pub fn concerns_account(&self) -> bool {
        match self {
            Self::EndpointRefused(_)
            | Self::LoginRejected
            | Self::RateLimited { .. }
            | Self::NotVisible(_) => true,
            // Other requests may need another scope.
            Self::ScopeMissing(_) | Self::Unreachable(_) | Self::Status(_) | Self::Answer(_) => false,
        }
    }

    /// The error as a word of a closed set, for metric labels and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::EndpointRefused(_) => "endpoint_refused",
            Self::Unreachable(Unreachable::Dns(_)) => "dns",
            Self::Unreachable(Unreachable::Connect) => "connect",
            Self::Unreachable(Unreachable::Tls(_)) => "tls",
            Self::Unreachable(Unreachable::Proxy(_)) => "proxy",
            Self::Unreachable(Unreachable::NoRoots) => "no_roots",
            Self::Unreachable(Unreachable::Timeout) => "timeout",
            Self::Unreachable(Unreachable::BrokeOff) => "broke_off",
            Self::LoginRejected => "login_rejected",
            Self::ScopeMissing(_) => "scope_missing",
            Self::RateLimited { .. } => "rate_limited",
            Self::NotVisible(_) => "not_visible",
            Self::Status(_) => "status",
            Self::Answer(AnswerProblem::TooLarge) => "too_large",
            Self::Answer(AnswerProblem::HeadTooLarge) => "head_too_large",
            Self::Answer(AnswerProblem::Informational) => "informational",
            Self::Answer(AnswerProblem::TooDeep) => "too_deep",
            Self::Answer(AnswerProblem::NotJson) => "not_json",
            Self::Answer(AnswerProblem::Shape) => "shape",
            Self::Answer(AnswerProblem::Encoding) => "encoding",
            Self::Answer(AnswerProblem::NoMeasurements) => "no_measurements",
            Self::Answer(AnswerProblem::Redirect) => "redirect",
            Self::Answer(AnswerProblem::Reported) => "reported",
            Self::Answer(AnswerProblem::PageCycle) => "page_cycle",
            Self::Answer(AnswerProblem::TooManyPages) => "too_many_pages",
            Self::Answer(AnswerProblem::IncompleteList) => "incomplete_list",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_the_same_whichever_server_error_it_was_and_a_log_has_the_number() {
        let [internal, gateway] = [CloudError::Status(500), CloudError::Status(502)];
        assert_eq!(internal.summary(), gateway.summary());
        assert_ne!(internal.summary(), CloudError::Status(404).summary());
        assert!(gateway.to_string().contains("502"));
    }

    #[test]
    fn a_summary_never_depends_on_how_long_a_cloud_wants_to_be_left_alone() {
        let limited = |seconds| CloudError::RateLimited { retry_after: Some(Duration::from_secs(seconds)) };
        assert_eq!(limited(7).summary(), limited(600).summary());
    }
}
