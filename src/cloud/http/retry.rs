//! Whether and when a failed request is sent again. Pure: the caller has the clock and the random number.

use std::time::Duration;

use crate::cloud::CloudError;
use crate::cloud::error::Unreachable;
use crate::proxy::ProxyFault;

/// The most attempts of one request while the cloud or its network fails, so that a cloud that is down gets no storm.
/// After a 429 the deadline and the requested wait decide instead.
const MAX_ATTEMPTS: u32 = 4;
/// The wait before the second attempt. It doubles before each further one.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest wait that no cloud asked for.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// The first pause after a 429 that requests none.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest wait that a cloud may request. A longer one is cut to it.
pub(super) const LONGEST_REQUESTED: Duration = Duration::from_secs(15 * 60);

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Send it again after this wait.
    RetryAfter(Duration),
    /// Return the failure.
    GiveUp,
}

/// Decides on a request that failed for the `attempt`th time (from 1), with `left` of its deadline to spend.
///
/// `requested` is the wait that the cloud requested. After a 429 it holds for the whole account. A 503 may concern one
/// object only, so it holds for this request; a cloud that is down as a whole gets one request a cycle, its first page.
/// `dice` is uniform in 0..1 and spreads requests that failed together.
pub(super) fn decide(
    error: &CloudError,
    requested: Option<Duration>,
    attempt: u32,
    left: Duration,
    dice: f64,
) -> Decision {
    let wait = match error {
        CloudError::RateLimited { .. } => pause(requested, attempt, dice),
        error if attempt < MAX_ATTEMPTS && is_transient(error) => {
            requested.unwrap_or_default().max(backoff(FIRST_WAIT, attempt, dice))
        }
        _ => return Decision::GiveUp,
    };
    if wait < left { Decision::RetryAfter(wait) } else { Decision::GiveUp }
}

/// How long an account stays silent after a 429.
pub(super) fn pause(requested: Option<Duration>, attempt: u32, dice: f64) -> Duration {
    match requested {
        // A reset of 0 s comes from rounding and does not mean "at once".
        Some(wait) if !wait.is_zero() => wait.min(LONGEST_REQUESTED),
        _ => backoff(FIRST_PAUSE, attempt, dice),
    }
}

/// Whether the same request may succeed in a moment.
fn is_transient(error: &CloudError) -> bool {
    match error {
        CloudError::Status(status) => matches!(status, 500 | 502 | 503 | 504),
        CloudError::Unreachable(how) => {
            matches!(
                how,
                Unreachable::Dns(_)
                    | Unreachable::Connect
                    | Unreachable::BrokeOff
                    // Where it is reached and does not connect, it has tried that itself.
                    | Unreachable::Proxy(ProxyFault::Unreachable)
            )
        }
        CloudError::Answer(problem) => problem.may_pass(),
        CloudError::EndpointRefused(_)
        | CloudError::LoginRejected
        | CloudError::ScopeMissing(_)
        | CloudError::RateLimited { .. }
        | CloudError::NotVisible(_) => false,
    }
}

/// Between half and all of `first`, doubled with each attempt, up to [`LONGEST_WAIT`].
fn backoff(first: Duration, attempt: u32, dice: f64) -> Duration {
    let doubled = first.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(LONGEST_WAIT);
    doubled.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cloud::error::{AnswerProblem, Refusal, TlsProblem};

    const PLENTY: Duration = Duration::from_secs(60);
    const LIMITED: CloudError = CloudError::RateLimited { retry_after: None };

    #[test]
    fn a_transient_failure_is_retried_and_a_permanent_one_is_not() {
        for error in [
            CloudError::Status(500),
            CloudError::Status(503),
            CloudError::Unreachable(Unreachable::Connect),
            CloudError::Unreachable(Unreachable::BrokeOff),
            CloudError::Answer(AnswerProblem::NotJson),
        ] {
            assert!(matches!(decide(&error, None, 1, PLENTY, 0.0), Decision::RetryAfter(_)), "{error}");
        }
        for error in [
            CloudError::Status(400),
            CloudError::Status(401),
            CloudError::Status(404),
            CloudError::Status(501),
            CloudError::LoginRejected,
            CloudError::EndpointRefused(Refusal::PrivateAddress),
            CloudError::Unreachable(Unreachable::Tls(TlsProblem::Expired)),
            CloudError::Unreachable(Unreachable::Timeout),
            CloudError::Answer(AnswerProblem::Shape),
            CloudError::Answer(AnswerProblem::TooLarge),
            CloudError::Answer(AnswerProblem::TooDeep),
            CloudError::Answer(AnswerProblem::Redirect),
        ] {
            assert_eq!(decide(&error, None, 1, PLENTY, 0.0), Decision::GiveUp, "{error}");
        }
    }

    #[test]
    fn waits_double_and_are_spread_over_half_their_length() {
        let wait = |attempt, dice| match decide(&CloudError::Status(503), None, attempt, PLENTY, dice) {
            Decision::RetryAfter(wait) => wait.as_millis(),
            Decision::GiveUp => panic!("no retry"),
        };
        assert_eq!([wait(1, 1.0), wait(2, 1.0), wait(3, 1.0)], [250, 500, 1000]);
        assert_eq!([wait(1, 0.0), wait(2, 0.0), wait(3, 0.0)], [125, 250, 500]);
    }

    #[test]
    fn a_failing_cloud_gets_four_attempts_at_most() {
        assert_eq!(decide(&CloudError::Status(503), None, 4, PLENTY, 0.0), Decision::GiveUp);
    }

    #[test]
    fn a_wait_that_outlasts_the_deadline_ends_the_request_at_once() {
        let requested = Some(Duration::from_secs(30));
        let left = Duration::from_secs(10);
        assert_eq!(decide(&LIMITED, requested, 1, left, 0.0), Decision::GiveUp);
        assert_eq!(decide(&CloudError::Status(503), requested, 1, left, 0.0), Decision::GiveUp);
        assert_eq!(
            decide(&LIMITED, requested, 1, PLENTY, 0.0),
            Decision::RetryAfter(Duration::from_secs(30))
        );
    }

    #[test]
    fn a_requested_wait_is_honored_and_capped() {
        assert_eq!(pause(Some(Duration::from_secs(20)), 1, 0.0), Duration::from_secs(20));
        assert_eq!(pause(Some(Duration::from_secs(99_999_999)), 1, 0.0), LONGEST_REQUESTED);
        assert_eq!(pause(Some(Duration::ZERO), 1, 1.0), FIRST_PAUSE);
        assert_eq!(pause(None, 3, 1.0), 4 * FIRST_PAUSE);
    }

    proptest! {
        #[test]
        fn a_retry_always_fits_into_the_deadline(
            attempt in 1_u32..1000, left in 0_u64..100_000, requested in proptest::option::of(0_u64..u64::MAX),
            dice in 0.0..1.0_f64, limited in any::<bool>(),
        ) {
            let error = if limited { LIMITED } else { CloudError::Status(502) };
            let left = Duration::from_millis(left);
            let requested = requested.map(Duration::from_millis);
            if let Decision::RetryAfter(wait) = decide(&error, requested, attempt, left, dice) {
                prop_assert!(wait < left);
            }
        }
    }
}
