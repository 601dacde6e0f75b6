//! Why a cloud could not be asked, as a closed enum: no byte of an answer is kept in it.
//!
//! Every text here is ours, so that an error may stand in a status, an event, a log and a metric.

use std::time::Duration;

use thiserror::Error;

/// What went wrong between us and a cloud.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CloudError {
    /// The endpoint may not be asked at all: nothing was sent.
    #[error("the endpoint is refused: {0}")]
    EndpointRefused(#[from] Refusal),
    /// No connection, or it broke before an answer was complete.
    #[error("the cloud cannot be reached: {0}")]
    Unreachable(#[from] Unreachable),
    /// The cloud refuses the user and password, or the token.
    #[error("the cloud rejects the credentials")]
    LoginRejected,
    /// The cloud asks us to slow down.
    #[error("the cloud limits the rate of requests (429)")]
    RateLimited {
        /// How long it asks us to wait, if it says.
        retry_after: Option<Duration>,
    },
    /// An answer with another status than 2xx.
    #[error("the cloud answered with status {0}")]
    Status(u16),
    /// An answer that cannot be used.
    #[error("the cloud's answer cannot be used: {0}")]
    Answer(#[from] AnswerProblem),
}

/// Why an endpoint or an address may not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Plain http without the administrator's leave.
    #[error("it is not https; allow plain http with --allow-http")]
    NotHttps,
    /// No URL that can be asked: other scheme, no host, with user or password in it.
    #[error("it is not a plain http(s) URL with a host and without user, query or fragment")]
    NotAnEndpoint,
    /// Not below a prefix that the administrator allows.
    #[error("it is not among the endpoints that --allow-endpoint lists")]
    NotAllowed,
    /// The name leads only to addresses inside, such as loopback, private or link-local ones.
    #[error("its address is private, local or reserved; allow its network with --allow-cidr")]
    PrivateAddress,
}

/// Why there was no complete answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unreachable {
    /// The host's name has no address.
    #[error("its name cannot be resolved")]
    Dns,
    /// No TCP connection.
    #[error("the connection was refused or failed")]
    Connect,
    /// The TLS handshake failed: certificate or protocol.
    #[error("its TLS certificate or handshake is not valid")]
    Tls,
    /// There is no CA certificate to check the endpoint's own with.
    #[error(
        "this system has no CA certificates; mount some at /etc/ssl/certs, set SSL_CERT_FILE or give a CA bundle"
    )]
    NoRoots,
    /// No complete answer before the deadline.
    #[error("no complete answer within the request timeout")]
    Timeout,
    /// The connection broke while the answer was read.
    #[error("the answer broke off")]
    BrokeOff,
}

/// Why a 2xx answer cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AnswerProblem {
    /// More bytes, after decompression, than we take.
    #[error("it is larger than the limit")]
    TooLarge,
    /// JSON nested deeper than we take.
    #[error("its JSON is nested too deeply")]
    TooDeep,
    /// Not JSON: HTML, say, or invalid UTF-8.
    #[error("it is not JSON")]
    NotJson,
    /// JSON of another shape than documented.
    #[error("its JSON has an unexpected shape")]
    Shape,
    /// The encoding of the body is broken or unknown.
    #[error("its content encoding is broken")]
    Encoding,
    /// A redirect, which is never followed.
    #[error("it is a redirect, and redirects are not followed")]
    Redirect,
    /// A page names a next page that was read already.
    #[error("its pages form a circle")]
    PageCycle,
    /// More pages than we take.
    #[error("its pages do not end")]
    TooManyPages,
}

impl CloudError {
    /// Whether no other request of the account can succeed now, whatever it is for.
    pub fn concerns_account(&self) -> bool {
        match self {
            Self::EndpointRefused(_) | Self::LoginRejected | Self::RateLimited { .. } => true,
            Self::Unreachable(_) | Self::Status(_) | Self::Answer(_) => false,
        }
    }

    /// A word of a closed set for metric labels and logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::EndpointRefused(_) => "endpoint_refused",
            Self::Unreachable(Unreachable::Dns) => "dns",
            Self::Unreachable(Unreachable::Connect) => "connect",
            Self::Unreachable(Unreachable::Tls) => "tls",
            Self::Unreachable(Unreachable::NoRoots) => "no_roots",
            Self::Unreachable(Unreachable::Timeout) => "timeout",
            Self::Unreachable(Unreachable::BrokeOff) => "broke_off",
            Self::LoginRejected => "login_rejected",
            Self::RateLimited { .. } => "rate_limited",
            Self::Status(_) => "status",
            Self::Answer(AnswerProblem::TooLarge) => "too_large",
            Self::Answer(AnswerProblem::TooDeep) => "too_deep",
            Self::Answer(AnswerProblem::NotJson) => "not_json",
            Self::Answer(AnswerProblem::Shape) => "shape",
            Self::Answer(AnswerProblem::Encoding) => "encoding",
            Self::Answer(AnswerProblem::Redirect) => "redirect",
            Self::Answer(AnswerProblem::PageCycle) => "page_cycle",
            Self::Answer(AnswerProblem::TooManyPages) => "too_many_pages",
        }
    }
}
