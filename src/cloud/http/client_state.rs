//! What a client knows that another one for the same connection has to go on with: how fast the cloud lets it send, and
//! whether the cloud refused its login. Holds no credentials, so it may outlive the client.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::account_limits::AccountLimits;
use super::budget::RequestBudget;

/// The silence after the first refused login. Each further one doubles it.
const FIRST_SILENCE: Duration = Duration::from_secs(60);
/// The longest silence.
const LONGEST_SILENCE: Duration = Duration::from_secs(15 * 60);

/// What outlives the client of one connection.
pub struct ClientState {
    pub(super) budget: RequestBudget,
    /// The refused logins of its credentials.
    pub logins: RefusedLogins,
}

impl ClientState {
    /// The state of a connection with these limits that was never used.
    pub fn new(limits: AccountLimits) -> Self {
        Self {
            budget: RequestBudget::new(limits.requests_per_second, limits.max_concurrent),
            logins: RefusedLogins::default(),
        }
    }
}

/// How often a cloud has refused the credentials of a connection, and until when it is not asked again.
#[derive(Debug, Default)]
pub struct RefusedLogins(Mutex<Refusals>);

#[derive(Debug, Default)]
struct Refusals {
    /// Since the cloud last accepted the credentials.
    count: u32,
    silent_until: Option<Instant>,
}

impl RefusedLogins {
    /// Whether the cloud should not be sent the credentials now.
    pub fn is_silent(&self) -> bool {
        self.refusals().silent_until.is_some_and(|until| until > Instant::now())
    }

    /// The cloud refused the credentials: one more silence begins, longer than the one before.
    pub fn refused(&self) {
        let mut refusals = self.refusals();
        refusals.silent_until = Some(Instant::now() + silence(refusals.count));
        refusals.count = refusals.count.saturating_add(1);
    }

    /// The cloud accepted the credentials.
    pub fn accepted(&self) {
        *self.refusals() = Refusals::default();
    }

    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long to stay silent after a refusal that `earlier` refusals came before.
fn silence(earlier: u32) -> Duration {
    FIRST_SILENCE.saturating_mul(1 << earlier.min(8)).min(LONGEST_SILENCE)
}
