//! One call to the API server: never without a deadline, and an error that says what to do next. Knows no step.

use std::future::Future;
use std::time::Duration;

use thiserror::Error;

use super::causes::{causes, is_unreachable};
use super::client::retry_after;

/// The longest that one call may take.
const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// How a call can fail.
#[derive(Debug, Error)]
pub enum ApiError {
    /// No answer in time.
    #[error("no response from the API server within {0:?}")]
    Deadline(Duration),
    /// An answer that is an error, or no connection.
    #[error("{}", causes(&**.0))]
    Kube(Box<kube::Error>),
}

impl ApiError {
    /// A word of a closed set for the metric of reconcile errors.
    pub(super) fn reason(&self) -> &'static str {
        match (self, self.code()) {
            (Self::Deadline(_), _) => "deadline",
            (_, None) => "unreachable",
            (_, Some(401 | 403)) => "forbidden",
            (_, Some(404)) => "not_found",
            (_, Some(409)) => "conflict",
            (_, Some(429)) => "throttled",
            (_, Some(500..)) => "server_error",
            (_, Some(_)) => "refused",
        }
    }

    /// How long the API server asks to wait, if it does.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let Self::Kube(error) = self else { return None };
        retry_after(error)
    }

    /// Whether the installed CRD lacks a field that was written. The API server answers that with 500.
    pub(super) fn is_unknown_field(&self) -> bool {
        let Self::Kube(error) = self else { return false };
        matches!(&**error, kube::Error::Api(status) if status.message.contains("field not declared in schema"))
    }

    /// Whether there is no connection to the API server. One call that has no answer in time says nothing of the others.
    pub(super) fn is_unreachable(&self) -> bool {
        self.cause().is_some_and(is_unreachable)
    }

    /// The client's error, where there is one.
    pub(super) fn cause(&self) -> Option<&kube::Error> {
        let Self::Kube(error) = self else { return None };
        Some(error)
    }

    /// The answer's status code, where there was an answer.
    pub(super) fn code(&self) -> Option<u16> {
        let Self::Kube(error) = self else { return None };
        match &**error {
            kube::Error::Api(status) => Some(status.code),
            _ => None,
        }
    }
}

/// Makes one call.
pub async fn call<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, ApiError> {
    call_within(CALL_DEADLINE, call).await
}

/// Makes one call that has less time.
pub(super) async fn call_within<T>(
    deadline: Duration,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(deadline, call).await {
        Ok(result) => result.map_err(|error| ApiError::Kube(Box::new(error))),
        Err(_) => Err(ApiError::Deadline(deadline)),
    }
}
