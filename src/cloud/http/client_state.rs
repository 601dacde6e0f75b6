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

/// What a cloud has asked of a connection, for another process that goes on with it. Holds neither credentials nor anything that
/// is made of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demands {
    /// Until when it wants no request at all, after a 429.
    pub silent_until: Option<Instant>,
    /// The refused logins since it accepted the credentials last.
    pub refusals: u32,
    /// Until when it is not sent the credentials again.
    pub no_login_until: Option<Instant>,
}

impl ClientState {
    /// What the cloud asks for now.
    pub fn demands(&self) -> Demands {
        let Refusals { count, silent_until } = *self.logins.refusals();
        Demands { silent_until: self.budget.silent_until(), refusals: count, no_login_until: silent_until }
    }

    /// Goes on from what the cloud asked of another client of the same connection.
    pub fn go_on_from(&self, demands: Demands) {
        let now = Instant::now();
        if let Some(until) = demands.silent_until.filter(|until| *until > now) {
            self.budget.keep_silent(until);
        }
        let mut refusals = self.logins.refusals();
        refusals.count = refusals.count.max(demands.refusals);
        refusals.silent_until = refusals.silent_until.max(demands.no_login_until);
    }
}

/// How often a cloud has refused the credentials of a connection, and until when it is not asked again.
#[derive(Debug, Default)]
pub struct RefusedLogins(Mutex<Refusals>);

#[derive(Debug, Clone, Copy, Default)]
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
