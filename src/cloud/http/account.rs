//! One account's way to its cloud: each request is checked, budgeted, sent, limited, counted and, where that helps,
//! sent once more. Knows no provider.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::{Response, StatusCode};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::budget::Budget;
use super::clients::Client;
use super::guard::Policy;
use super::places::{Held, Own, Place, Places};
use super::pool::PATIENCE;
use super::request::ApiRequest;
use super::retry::{self, Decision};
use super::{limits, reset};
use crate::cloud::CloudError;
use crate::cloud::error::{AnswerProblem, Unreachable};
use crate::telemetry::AccountMeter;

/// How long a request keeps its place among the busy ones of all accounts. After that it only waits for its cloud, and a
/// cloud that never answers must not keep the places of all the others.
const HOLDS_PLACE: Duration = PATIENCE;

/// How hard one account may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountLimits {
    /// The longest that one request may take, from when it is first sent: its retries, and whatever they wait for, are
    /// counted; waiting for its turn before that is not. A request that has brought nothing for 2 s, or next to nothing,
    /// ends sooner where all accounts together have used up the process's sockets or the memory for bodies, this account
    /// has most of them, and another needs one; after 8 s also where the two have about as much.
    pub request_timeout: Duration,
    /// Requests in flight at once.
    pub max_concurrent: usize,
    /// Requests a second.
    pub requests_per_second: u32,
}

/// The client of one account: shares connections with all accounts, and its budget with none.
pub struct AccountClient {
    pub(super) policy: Arc<Policy>,
    pub(super) client: Arc<Client>,
    pub(super) places: Arc<Places>,
    pub(super) own: Own,
    pub(super) limits: AccountLimits,
    pub(super) budget: Budget,
    pub(super) meter: AccountMeter,
}

/// A failed attempt, with what is needed to decide on the next.
struct Failed {
    error: CloudError,
    /// The wait that the cloud asked for.
    asked: Option<Duration>,
}

impl From<CloudError> for Failed {
    fn from(error: CloudError) -> Self {
        Self { error, asked: None }
    }
}

impl AccountClient {
    /// What the administrator allows.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The account's limits.
    pub fn limits(&self) -> AccountLimits {
        self.limits
    }

    /// The account's own metrics.
    pub fn meter(&self) -> &AccountMeter {
        &self.meter
    }

    /// Sends the request until it succeeds, cannot succeed, or its time is spent; `read` makes something of the body.
    ///
    /// An answer that `read` calls no JSON is asked for once more, since proxies answer HTML with status 200.
    /// Dropping the future cancels the request and frees what it held.
    pub async fn fetch<T>(
        &self,
        call: &ApiRequest,
        read: impl Fn(&[u8]) -> Result<T, AnswerProblem>,
    ) -> Result<T, CloudError> {
        self.policy.check_request(&call.url)?;
        if call.url.scheme() == "https" && !self.client.has_roots {
            return Err(Unreachable::NoRoots.into());
        }
        let (mut slot, mut place) = self.enter(self.limits.request_timeout).await?;
        let deadline = Instant::now() + self.limits.request_timeout;
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut attempt = 1;
        loop {
            let sent = Instant::now();
            let failed = match self.attempt(call, place, left(), &read).await {
                Ok(value) => return Ok(value),
                Err(failed) => failed,
            };
            drop(slot);
            let dice = fastrand::f64();
            let limited = matches!(failed.error, CloudError::RateLimited { .. });
            if limited {
                self.meter.throttled();
                self.budget.throttle(sent, retry::pause(failed.asked, attempt, dice));
            }
            match retry::decide(&failed.error, failed.asked, attempt, left(), dice) {
                Decision::GiveUp => return Err(failed.error),
                Decision::RetryAfter(wait) => {
                    // After a 429 the account's budget waits, for all its requests.
                    if !limited {
                        sleep(wait).await;
                    }
                    // A limit that does not end slows the account down further and further: its queue counts as well.
                    match timeout_at(deadline, self.enter(left())).await {
                        Ok(Ok(entered)) => (slot, place) = entered,
                        Ok(Err(_)) | Err(_) => return Err(failed.error),
                    }
                    self.meter.retry(failed.error.reason());
                    attempt += 1;
                }
            }
        }
    }

    /// Waits for a slot of the account's own and for a place among the requests of all; not while the cloud wants silence
    /// for longer than `patience`.
    async fn enter(
        &self,
        patience: Duration,
    ) -> Result<(Option<SemaphorePermit<'_>>, Place<'_>), CloudError> {
        loop {
            let slot = self.budget.admit(patience).await?;
            let place = self.places.enter(&self.own).await;
            // While it waited for a place another request may have been told to be silent.
            if !self.budget.is_silent() {
                return Ok((slot, place));
            }
        }
    }

    /// Sends the request once and counts it.
    async fn attempt<T>(
        &self,
        call: &ApiRequest,
        mut place: Place<'_>,
        left: Duration,
        read: &impl Fn(&[u8]) -> Result<T, AnswerProblem>,
    ) -> Result<T, Failed> {
        let _in_flight = self.meter.in_flight();
        let started = Instant::now();
        let mut status = None;
        // Until the body was read, not only until it came.
        let mut held = self.places.hold(&self.own, &place);
        place.sent();
        let answered = {
            let answering = timeout(left, self.answer(call, &mut status, &mut held));
            tokio::pin!(answering);
            tokio::select! {
                answered = &mut answering => answered.ok(),
                () = sleep(HOLDS_PLACE) => {
                    place.only_waits();
                    tokio::select! {
                        answered = &mut answering => answered.ok(),
                        () = place.lost() => None,
                    }
                }
            }
        };
        let answered = answered.unwrap_or_else(|| Err(CloudError::from(Unreachable::Timeout).into()));
        let took = started.elapsed();
        match (&answered, status) {
            // Whatever came of reading the body, unless it never came whole.
            (Ok(_), Some(status)) => self.count(call, status, took),
            (Err(failed), status) => match (&failed.error, status) {
                (CloudError::Unreachable(_), _) | (_, None) => {
                    self.meter.request(call.operation, failed.error.reason(), took);
                }
                (_, Some(status)) => self.count(call, status, took),
            },
            (Ok(_), None) => {}
        }
        drop(place);
        read(&answered?).map_err(|problem| CloudError::from(problem).into())
    }

    fn count(&self, call: &ApiRequest, status: u16, took: Duration) {
        // A cloud may answer with any number, and each would be a series.
        let is_known = StatusCode::from_u16(status).is_ok_and(|status| status.canonical_reason().is_some());
        let mut digits = itoa::Buffer::new();
        let code = if is_known { digits.format(status) } else { "other" };
        self.meter.request(call.operation, code, took);
    }

    async fn answer(
        &self,
        call: &ApiRequest,
        status: &mut Option<u16>,
        held: &mut Held<'_>,
    ) -> Result<Bytes, Failed> {
        let response =
            self.client.http.execute(call.to_http()).await.map_err(|error| limits::failure(&error))?;
        *status = Some(response.status().as_u16());
        refuse_unless_ok(&response)?;
        Ok(limits::body(response, call.max_bytes, held).await?)
    }
}

/// Turns every status but 2xx into a failure. The body of such an answer is not read.
fn refuse_unless_ok(response: &Response) -> Result<(), Failed> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    if status.is_redirection() {
        return Err(CloudError::from(AnswerProblem::Redirect).into());
    }
    let limited = status.as_u16() == 429;
    let asked = reset::asked_wait(limited, response.headers(), SystemTime::now());
    let error = if limited {
        CloudError::RateLimited { retry_after: asked.map(|asked| asked.min(retry::LONGEST_ASKED)) }
    } else {
        CloudError::Status(status.as_u16())
    };
    Err(Failed { error, asked })
}

#[cfg(test)]
mod tests {
    use super::super::places::Bounds;
    use super::super::{Http, Policy};
    use super::*;
    use crate::telemetry::Metrics;

    #[tokio::test(start_paused = true)]
    async fn a_silence_that_begins_while_a_request_waits_for_a_place_is_kept() {
        let limits = AccountLimits {
            request_timeout: Duration::from_secs(10),
            max_concurrent: 2,
            requests_per_second: 10,
        };
        let http = Http::new(Policy::default()).bounded(Bounds { busy: 1, ..Bounds::default() });
        let meter = Metrics::new().account("team-a", "acme");
        // A bundle of its own: the system's certificates are of no interest here.
        let ca = rcgen::generate_simple_self_signed(vec!["a.example.com".to_owned()]).unwrap().cert.pem();
        let account = http.account(limits, Some(ca.as_bytes()), meter).unwrap();

        let patience = limits.request_timeout;
        let first = account.enter(patience).await.unwrap();
        let start = Instant::now();
        let (second, ()) = tokio::join!(account.enter(patience), async {
            sleep(Duration::from_secs(1)).await;
            account.budget.throttle(start, Duration::from_secs(5));
            drop(first);
        });
        assert!(second.is_ok() && start.elapsed() >= Duration::from_secs(6), "{:?}", start.elapsed());
    }
}
