//! Ends a cycle whose failures are the cloud's and not those of single services.
//!
//! Each failure costs a whole deadline or four attempts, so an outage must not be multiplied by ten thousand instances.

use std::collections::HashSet;

use crate::cloud::CloudError;

/// Failures of so many services in a row are the cloud's; those of fewer services may be their own.
const SERVICES_TO_OPEN: usize = 4;

/// Counts failures since the last success, and opens when they can only be the cloud's.
#[derive(Debug)]
pub struct CircuitBreaker {
    max_failures: usize,
    failures: usize,
    failed_services: HashSet<usize>,
}

impl CircuitBreaker {
    /// A closed breaker for a cycle that keeps up to `max_in_flight` requests in flight.
    pub fn new(max_in_flight: usize) -> Self {
        // Requests in flight together fail together, so one round of them proves little.
        let max_failures = max_in_flight.saturating_mul(2).clamp(8, 256);
        Self { max_failures, failures: 0, failed_services: HashSet::new() }
    }

    /// Records that the cloud answered a request.
    pub fn success(&mut self) {
        if self.failures > 0 {
            self.failures = 0;
            self.failed_services.clear();
        }
    }

    /// Records a failed request for `service`, while `pending` services have requests without a response. These are counted
    /// only where that decides: it may take a look at each.
    ///
    /// Returns the error when the cycle should end: at once where it concerns the whole account, else when the breaker
    /// opens.
    pub fn failure(
        &mut self,
        service: usize,
        error: CloudError,
        pending: impl FnOnce() -> usize,
    ) -> Result<(), CloudError> {
        if error.concerns_account() {
            return Err(error);
        }
        if !may_be_outage(&error) {
            self.success();
            return Ok(());
        }
        self.failures += 1;
        self.failed_services.insert(service);
        let failed = self.failed_services.len();
        let is_widespread = || failed >= SERVICES_TO_OPEN || failed >= pending();
        if self.failures >= self.max_failures && is_widespread() { Err(error) } else { Ok(()) }
    }
}

/// Whether an outage of the cloud, its proxy, its network or its session looks like this to each request.
///
/// Everything that the HTTP client retries is included, so that retries are not multiplied by the number of instances.
fn may_be_outage(error: &CloudError) -> bool {
    match error {
        // 401: the token was revoked in mid-cycle, and every request that follows is refused as well.
        CloudError::Unreachable(_) | CloudError::Status(401 | 500..) => true,
        CloudError::Answer(problem) => problem.may_pass(),
        CloudError::EndpointRefused(_)
        | CloudError::LoginRejected
        | CloudError::ScopeMissing(_)
        | CloudError::RateLimited { .. }
        | CloudError::NotVisible(_)
        | CloudError::Status(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::error::{AnswerProblem, Unreachable};

    /// How many of `failures` (service and error, in this order) are recorded until the breaker opens.
    fn failures_to_open(
        failures: impl IntoIterator<Item = (usize, CloudError)>,
        pending: usize,
    ) -> Option<usize> {
        let mut breaker = CircuitBreaker::new(4);
        let opens = |(service, error)| breaker.failure(service, error, || pending).is_err();
        failures.into_iter().map(opens).position(|is_open| is_open).map(|before| before + 1)
    }

    fn spread(error: impl Into<CloudError>) -> impl Iterator<Item = (usize, CloudError)> {
        let error = error.into();
        (0..1_000).map(move |number| (number % 10, error.clone()))
    }

    #[test]
    fn an_outage_opens_it_after_two_rounds_of_requests() {
        for error in [
            CloudError::from(Unreachable::Timeout),
            CloudError::Status(401),
            CloudError::Status(503),
            AnswerProblem::NotJson.into(),
            AnswerProblem::Encoding.into(),
        ] {
            assert_eq!(failures_to_open(spread(error.clone()), 10), Some(8), "{error}");
        }
    }

    #[test]
    fn errors_of_single_objects_never_open_it() {
        for error in [CloudError::Status(403), CloudError::Status(404), AnswerProblem::Shape.into()] {
            assert_eq!(failures_to_open(spread(error.clone()), 10), None, "{error}");
        }
    }

    #[test]
    fn a_few_services_that_fail_do_not_open_it_unless_they_are_all_that_is_left() {
        let three = || (0..1_000).map(|number| (number % 3, CloudError::Status(500)));
        assert_eq!(failures_to_open(three(), 10), None);
        assert_eq!(failures_to_open(three(), 3), Some(8));
    }

    #[test]
    fn a_success_closes_it_again() {
        let mut breaker = CircuitBreaker::new(4);
        for service in 0..100 {
            assert_eq!(breaker.failure(service, CloudError::Status(500), || 100), Ok(()));
            if service % 7 == 6 {
                breaker.success();
            }
        }
    }

    #[test]
    fn what_concerns_the_account_opens_it_at_once() {
        for error in [CloudError::LoginRejected, CloudError::RateLimited { retry_after: None }] {
            assert_eq!(failures_to_open([(0, error)], 10), Some(1));
        }
    }
}
