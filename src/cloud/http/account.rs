//! The HTTP client of one account: checks each request, waits until the rate allows it, sends it, bounds the answer,
//! counts it and retries where that helps. Knows no provider.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::StatusCode;
use http::response::Parts;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use url::Url;

use super::account_limits::AccountLimits;
use super::client_state::ClientState;
use super::clients::Client;
use super::global_limits::{AccountQuota, BodyPermit, RequestPermit};
use super::guard::Policy;
use super::request::ApiRequest;
use super::retry::{self, Decision};
use super::shared_rate::RateShare;
use super::{body, reset};
use crate::cloud::CloudError;
use crate::cloud::error::{AnswerProblem, Unreachable};
use crate::limits::{Charge, Holder, WorkerShare, workers};
use crate::telemetry::AccountMeter;

/// A body of at most this size is read at once, on the thread that received it: it takes microseconds.
const READ_AT_ONCE: usize = 16 << 10;

/// The client of one account. Shares connections with all accounts, and its rate with those of the same token or user
/// where their cloud publishes a limit.
///
/// A slowdown that the cloud asked for lasts as long as its [`ClientState`]: keep that while the account's connection is the
/// same.
pub struct AccountClient {
    pub(super) policy: Arc<Policy>,
    pub(super) namespace: Arc<str>,
    pub(super) client: Arc<Client>,
    pub(super) quota: AccountQuota,
    pub(super) workers: WorkerShare,
    pub(super) memory: Holder,
    pub(super) limits: AccountLimits,
    pub(super) state: Arc<ClientState>,
    /// What the accounts of one token or user may send together, where the cloud limits that.
    pub(super) rate: Option<RateShare>,
    /// The endpoint's host, the only one that an error may name.
    pub(super) endpoint_host: Option<Arc<str>>,
    pub(super) meter: AccountMeter,
}

/// A complete answer. Its memory stays accounted for until it is dropped.
struct Received<'a> {
    status: StatusCode,
    body: Bytes,
    _memory: BodyPermit<'a>,
}

/// A failed attempt, with what decides on the next one.
struct Failed {
    error: CloudError,
    /// The wait that the cloud asked for.
    requested_wait: Option<Duration>,
    /// The status of the answer, where there was one.
    status: Option<StatusCode>,
}

impl From<CloudError> for Failed {
    fn from(error: CloudError) -> Self {
        let requested_wait = match &error {
            CloudError::RateLimited { retry_after } => *retry_after,
            _ => None,
        };
        Self { error, requested_wait, status: None }
    }
}

impl AccountClient {
    /// The same client, which goes on with what an earlier one of the same connection knew.
    #[must_use]
    pub fn with_state(self, state: Arc<ClientState>) -> Self {
        Self { state, ..self }
    }

    /// What outlives this client.
    pub fn state(&self) -> &Arc<ClientState> {
        &self.state
    }

    /// What the administrator allows.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The account's limits.
    pub fn limits(&self) -> AccountLimits {
        self.limits
    }

    /// The same client, whose errors name the host of this endpoint. They name no other: it may come from a response.
    #[must_use]
    pub fn naming(self, endpoint: &Url) -> Self {
        Self { endpoint_host: endpoint.host_str().map(Arc::from), ..self }
    }

    /// The same client, which charges what its account keeps to this holder.
    #[must_use]
    pub fn charging(self, memory: Holder) -> Self {
        Self { memory, ..self }
    }

    /// Who does long work for the account.
    pub fn workers(&self) -> &WorkerShare {
        &self.workers
    }

    /// A charge of the account's memory, for what a cycle holds.
    pub fn charge(&self) -> Charge {
        self.memory.charge()
    }

    /// The account's own metrics.
    pub fn meter(&self) -> &AccountMeter {
        &self.meter
    }

    /// Sends the request until it succeeds, cannot succeed, or its time is over; `read` parses the body.
    ///
    /// `read` also judges errors that an API reports inside an answer of status 200: a [`CloudError`] from it is treated like
    /// the same error from a status. `NotJson` is retried, since proxies answer HTML with status 200.
    /// Dropping the future cancels the request and releases its permits.
    pub async fn fetch<T, E: Into<CloudError>>(
        &self,
        request: &ApiRequest,
        read: impl Fn(&[u8]) -> Result<T, E>,
    ) -> Result<T, CloudError> {
        self.policy.check_request(&request.url)?;
        if request.url.scheme() == "https" && !self.client.has_roots {
            return Err(Unreachable::NoRoots.into());
        }
        let (mut slot, mut permit) = self.enter(self.limits.request_timeout).await?;
        let deadline = Instant::now() + self.limits.request_timeout;
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut attempt = 1;
        loop {
            let sent = Instant::now();
            let Failed { error, requested_wait, .. } =
                match self.attempt(request, permit, left(), &read).await {
                    Ok(value) => return Ok(value),
                    Err(failed) => failed,
                };
            drop(slot);
            let dice = fastrand::f64();
            let is_limited = matches!(error, CloudError::RateLimited { .. });
            if is_limited {
                self.meter.throttled();
                let pause = retry::pause(requested_wait, attempt, dice);
                self.state.budget.throttle(sent, pause);
                self.rate_of(&request.url).inspect(|rate| rate.silence(pause));
            }
            match retry::decide(&error, requested_wait, attempt, left(), dice) {
                Decision::GiveUp => return Err(error),
                Decision::RetryAfter(wait) => {
                    // After a 429 the budget keeps the whole account silent.
                    if !is_limited {
                        sleep(wait).await;
                    }
                    // The deadline includes this wait: a limit that does not end makes it longer and longer.
                    match timeout_at(deadline, self.enter(left())).await {
                        Ok(Ok(entered)) => (slot, permit) = entered,
                        Ok(Err(_)) | Err(_) => return Err(error),
                    }
                    self.meter.retry(error.reason());
                    attempt += 1;
                }
            }
        }
    }

    /// Waits until the account may send one more request, then all accounts of its token or user, and then its namespace
    /// and the process.
    ///
    /// Fails at once while the cloud asks for silence for longer than `max_silence`.
    async fn enter(
        &self,
        max_silence: Duration,
    ) -> Result<(Option<SemaphorePermit<'_>>, RequestPermit), CloudError> {
        loop {
            let slot = self.state.budget.admit(max_silence).await?;
            if let Some(rate) = &self.rate {
                rate.admit(max_silence).await?;
            }
            let permit = self.quota.request().await;
            // The cloud may have asked for silence meanwhile.
            if !self.state.budget.is_silent() && !self.rate.as_ref().is_some_and(RateShare::is_silent) {
                return Ok((slot, permit));
            }
        }
    }

    /// Sends the request once and counts it.
    async fn attempt<T, E: Into<CloudError>>(
        &self,
        request: &ApiRequest,
        permit: RequestPermit,
        left: Duration,
        read: &impl Fn(&[u8]) -> Result<T, E>,
    ) -> Result<T, Failed> {
        // Nothing is held while a cloud is waited for.
        workers::release();
        let _in_flight = self.meter.in_flight();
        let started = Instant::now();
        let received = timeout(left, self.receive(request))
            .await
            .unwrap_or_else(|_| Err(CloudError::from(Unreachable::Timeout).into()));
        let took = started.elapsed();
        drop(permit);
        self.count(request.operation, &received, took);
        let received = received?;
        let read = || read(&received.body).map_err(|error| error.into().into());
        // What is read of an answer, and what filters do with it, is the cloud's choice and the tenant's.
        if received.body.len() > READ_AT_ONCE { self.workers.run_reading(read).await } else { read() }
    }

    /// Sends the request and receives its answer; every status but 2xx is a failure.
    async fn receive(&self, request: &ApiRequest) -> Result<Received<'_>, Failed> {
        let answer = self.client.send(request, &self.namespace).await;
        let mut answer = answer.map_err(|error| self.named(error, &request.url))?;
        let status = answer.head.status;
        if let (Some(rate), Some(limit)) = (self.rate_of(&request.url), reset::limit(&answer.head.headers)) {
            rate.learn(limit);
        }
        let received = match check_status(&answer.head) {
            Ok(()) => {
                let mut memory = self.quota.body();
                let headers = &answer.head.headers;
                match body::receive(headers, &mut answer.body, request.max_bytes, &mut memory).await {
                    Ok(body) => Ok(Received { status, body, _memory: memory }),
                    Err(error) => Err(Failed { status: Some(status), ..error.into() }),
                }
            }
            Err(failed) => Err(failed),
        };
        self.client.finish(answer, &self.namespace).await;
        received
    }

    /// The shared rate of which an answer from this URL tells.
    fn rate_of(&self, url: &Url) -> Option<&RateShare> {
        self.rate.as_ref().filter(|rate| rate.limits(url))
    }

    /// The error with the name of the host, where it may have it.
    fn named(&self, error: CloudError, url: &Url) -> CloudError {
        let host = self.endpoint_host.as_ref().filter(|host| url.host_str() == Some(host));
        match (error, host) {
            (CloudError::Unreachable(Unreachable::Dns(_)), Some(host)) => {
                Unreachable::Dns(Some(Arc::clone(host))).into()
            }
            (error, _) => error,
        }
    }

    /// Counts an attempt by its status, or by its error where no complete answer came.
    fn count(&self, operation: &'static str, received: &Result<Received<'_>, Failed>, took: Duration) {
        let status = match received {
            Ok(received) => received.status,
            Err(Failed { error, status, .. }) => match status {
                Some(status) if !matches!(error, CloudError::Unreachable(_)) => *status,
                _ => return self.meter.request(operation, error.reason(), took),
            },
        };
        // A cloud may answer with any number, and each would be a series of its own.
        let is_known = status.canonical_reason().is_some();
        let code = if is_known { status.as_str() } else { AccountMeter::OTHER_CODE };
        self.meter.request(operation, code, took);
    }
}

/// Turns every status but 2xx into a failure. The body of such an answer is not read.
fn check_status(head: &Parts) -> Result<(), Failed> {
    let status = head.status;
    if status.is_success() {
        return Ok(());
    }
    let is_limited = status == StatusCode::TOO_MANY_REQUESTS;
    let requested_wait = reset::requested_wait(is_limited, &head.headers, SystemTime::now());
    let error = if status.is_redirection() {
        AnswerProblem::Redirect.into()
    } else if is_limited {
        CloudError::RateLimited { retry_after: requested_wait.map(|wait| wait.min(retry::LONGEST_REQUESTED)) }
    } else {
        CloudError::Status(status.as_u16())
    };
    Err(Failed { error, requested_wait, status: Some(status) })
}

#[cfg(test)]
mod tests {
    use super::super::{Capacity, Http, Policy};
    use super::*;
    use crate::telemetry::Metrics;

    #[tokio::test(start_paused = true)]
    async fn a_silence_that_begins_while_a_request_waits_for_its_namespace_is_kept() {
        let limits = AccountLimits {
            request_timeout: Duration::from_secs(10),
            max_concurrent: 2,
            requests_per_second: 10,
        };
        let http =
            Http::new(Policy::default()).with_capacity(Capacity { requests: 1, ..Capacity::default() });
        let meter = Metrics::new().account("team-a", "acme");
        // A bundle of its own: the system's certificates do not matter here.
        let ca = rcgen::generate_simple_self_signed(vec!["a.example.com".to_owned()]).unwrap().cert.pem();
        let ca = ca.into_bytes().into();
        let account = http.account("team-a", limits, Some(&ca), meter).unwrap();

        let max_silence = limits.request_timeout;
        let first = account.enter(max_silence).await.unwrap();
        let start = Instant::now();
        let (second, ()) = tokio::join!(account.enter(max_silence), async {
            sleep(Duration::from_secs(1)).await;
            account.state.budget.throttle(start, Duration::from_secs(5));
            drop(first);
        });
        assert!(second.is_ok() && start.elapsed() >= Duration::from_secs(6), "{:?}", start.elapsed());
    }
}
