//! What a cloud has asked of an account's client, as a snapshot carries it to a replica that goes on with the account.

use crate::account::Origin;
use crate::cloud::http::Demands;

/// What the cloud asked for when a cycle had ended.
#[derive(Debug, Clone, Default)]
pub struct Demanded {
    /// Silence, and refused logins.
    pub demands: Demands,
    /// Of what the account was made then.
    pub origin: Origin,
}

impl Demanded {
    /// What of it concerns an account of this origin: silence where the spec is the same, refused logins where the
    /// credentials are the same too.
    pub fn of(&self, origin: &Origin) -> Demands {
        if self.origin.has_same_credentials(origin) {
            self.demands
        } else if self.origin.has_same_spec(origin) {
            Demands { silent_until: self.demands.silent_until, ..Demands::default() }
        } else {
            Demands::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::collector::ClientHistory;
    use crate::collector::fake::account;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn what_the_cloud_asked_for_moves_as_far_as_spec_and_secret_are_the_same() {
        let origin =
            |generation, secret: &str| Origin { generation: Some(generation), secret: Some(secret.into()) };
        let now = Instant::now();
        let all =
            Demands { silent_until: Some(now + MINUTE), refusals: 2, no_login_until: Some(now + 4 * MINUTE) };
        let silence = Demands { silent_until: all.silent_until, ..Demands::default() };
        let demanded = Demanded { demands: all, origin: origin(1, "7") };
        for (of, moved) in [
            (origin(1, "7"), all),
            (origin(1, "8"), silence),
            (Origin { generation: Some(1), secret: None }, silence),
            (origin(2, "7"), Demands::default()),
            (Origin::default(), Demands::default()),
        ] {
            let (history, mut account) = (ClientHistory::default(), account("uid-1"));
            account.origin = of;
            history.go_on_from(&account, demanded.of(&account.origin));
            assert_eq!(history.demands(), moved, "{:?}", account.origin);
        }
        assert_eq!(Demanded::default().of(&Origin::default()), Demands::default(), "both are unknown");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silence_that_moved_ends_when_the_cloud_wanted_it_to_and_a_longer_one_is_not_shortened() {
        let (history, account) = (ClientHistory::default(), account("uid-1"));
        for minutes in [2, 1] {
            let silent_until = Some(Instant::now() + minutes * MINUTE);
            history.go_on_from(&account, Demands { silent_until, ..Demands::default() });
        }
        sleep(Duration::from_secs(119)).await;
        assert!(history.demands().silent_until.is_some());
        sleep(Duration::from_secs(1)).await;
        assert_eq!(history.demands().silent_until, None);
    }
}
