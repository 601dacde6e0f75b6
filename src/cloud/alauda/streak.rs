//! When failures speak for the cloud and not for what was asked. Each costs a whole deadline or four requests, so a cloud
//! that does not answer is not asked ten thousand times.

use std::collections::HashSet;

use crate::cloud::CloudError;
use crate::cloud::error::AnswerProblem;

/// Failures in a row over so many services speak for the cloud; over fewer they may be the services' own.
const SPEAKS_FOR_ALL: usize = 4;

/// Failures without a success between them.
pub(super) struct Streak {
    most: usize,
    failures: usize,
    services: HashSet<usize>,
}

impl Streak {
    /// No failure so far; `at_once` requests will be under way.
    pub(super) fn new(at_once: usize) -> Self {
        // What is under way together fails together, so one round proves little.
        Self { most: at_once.saturating_mul(2).clamp(8, 256), failures: 0, services: HashSet::new() }
    }

    /// The cloud answered.
    pub(super) fn end(&mut self) {
        if self.failures > 0 {
            self.failures = 0;
            self.services.clear();
        }
    }

    /// Counts a failure of one of so many services of which anything is asked; the error comes back when it speaks for
    /// the cloud.
    pub(super) fn add(
        &mut self,
        service: usize,
        error: CloudError,
        services: usize,
    ) -> Result<(), CloudError> {
        if !is_ill(&error) {
            self.end();
            return Ok(());
        }
        self.failures += 1;
        self.services.insert(service);
        let speaks_for_all = self.services.len() >= services.min(SPEAKS_FOR_ALL);
        if self.failures >= self.most && speaks_for_all { Err(error) } else { Ok(()) }
    }
}

/// Whether the cloud or the way to it is ill, and no answer to what was asked. What is sent again when it failed is among
/// it, so that none of that is multiplied by all instances.
fn is_ill(error: &CloudError) -> bool {
    match error {
        CloudError::Unreachable(_) | CloudError::Status(500..) => true,
        // A proxy in front of the cloud speaks, or garbles.
        CloudError::Answer(problem) => matches!(problem, AnswerProblem::NotJson | AnswerProblem::Encoding),
        CloudError::EndpointRefused(_)
        | CloudError::LoginRejected
        | CloudError::RateLimited { .. }
        | CloudError::Status(_) => false,
    }
}
