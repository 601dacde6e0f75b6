//! Sends requests to the endpoint, one at a time: tells what became of each, and sends it again where the specification of
//! OTLP/HTTP says so (429, 502, 503, 504). Neither headers nor bodies are in any text.

use std::error::Error;
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;
use reqwest::redirect::Policy;
use thiserror::Error;
use tokio::time::{Instant, sleep};

use super::endpoint::Endpoint;
use super::round::Batch;
use crate::cloud::http::{ClientProblem, client_config, retry_after};

/// From the first packet of a request to the end of its answer: OpenTelemetry's default.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The wait before a request is sent again, where the endpoint asks for none. It doubles each time.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two requests that no endpoint asked for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The longest wait that an endpoint may ask for. A longer one is cut to it.
const LONGEST_REQUESTED: Duration = Duration::from_secs(15 * 60);
/// The most that is read of an answer, which says how many points were not taken.
const MAX_ANSWER: usize = 64 << 10;

/// Why there is no client.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The certificates cannot be used.
    #[error(transparent)]
    Certificates(#[from] ClientProblem),
    /// The HTTP client refuses its settings.
    #[error("cannot create an HTTP client for OTLP")]
    Http(#[from] reqwest::Error),
}

/// What an endpoint did with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It took all points but so many.
    Taken { rejected: usize },
    /// It refuses these points (400, 413, 415, 422), which says nothing of others.
    Refused(u16),
    /// It answers otherwise, as it would to any request: bad credentials, say, or too much load. `wait` is how long to leave
    /// it alone.
    Failed { status: u16, wait: Duration },
    /// It cannot be reached, or does not answer in time.
    Unreachable(&'static str),
}

/// A client of one endpoint.
pub struct Client {
    http: reqwest::Client,
    endpoint: Endpoint,
    headers: HeaderMap,
}

impl Client {
    /// A client that trusts this CA bundle (PEM) or, without one, the system's certificates. It follows no redirect, which
    /// could lead the headers elsewhere, and uses the proxy that the environment names.
    pub fn new(
        endpoint: Endpoint,
        headers: HeaderMap,
        ca_bundle: Option<&[u8]>,
    ) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(client_config(ca_bundle)?)
            .redirect(Policy::none())
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(1)
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, endpoint, headers })
    }

    /// Where it sends to.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a request, and once more and again as long as the endpoint asks for it and a further try begins before `until`;
    /// `each` is told every answer.
    pub(super) async fn send(&self, batch: &Batch, until: Instant, mut each: impl FnMut(Answer)) -> Answer {
        let mut backoff = FIRST_WAIT;
        loop {
            let answer = self.try_once(batch, backoff).await;
            each(answer);
            let Answer::Failed { status: 429 | 502..=504, wait } = answer else { return answer };
            if Instant::now() + wait >= until {
                return answer;
            }
            sleep(wait).await;
            backoff = (backoff * 2).min(LONGEST_WAIT);
        }
    }

    async fn try_once(&self, batch: &Batch, backoff: Duration) -> Answer {
        let request = self
            .http
            .post(self.endpoint.url().clone())
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"))
            .header(CONTENT_ENCODING, HeaderValue::from_static("gzip"))
            .body(batch.gzip.clone());
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Answer::Unreachable(cause(&error)),
        };
        let status = answer.status();
        if status.is_success() {
            return match rejected(answer).await {
                Ok(rejected) => Answer::Taken { rejected: rejected.min(batch.points()) },
                Err(error) => Answer::Unreachable(cause(&error)),
            };
        }
        if matches!(status.as_u16(), 400 | 413 | 415 | 422) {
            return Answer::Refused(status.as_u16());
        }
        let wait = retry_after(answer.headers(), SystemTime::now()).filter(|wait| !wait.is_zero());
        // Requests of several programs that failed together are spread.
        let wait =
            wait.map_or(backoff.mul_f64(0.5 + fastrand::f64() / 2.0), |wait| wait.min(LONGEST_REQUESTED));
        Answer::Failed { status: status.as_u16(), wait }
    }
}

/// How many points an answer says were not taken. One that cannot be read says nothing.
async fn rejected(mut answer: reqwest::Response) -> reqwest::Result<usize> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            return Ok(0);
        }
    }
    let answer = ExportMetricsServiceResponse::decode(&*body).unwrap_or_default();
    let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_data_points);
    Ok(usize::try_from(rejected).unwrap_or(0))
}

/// Why there is no answer, in a word for a label.
fn cause(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        return "timeout";
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.downcast_ref::<rustls::Error>().is_some() {
            return "tls";
        }
        source = cause.source();
    }
    if error.is_connect() { "connect" } else { "interrupted" }
}
