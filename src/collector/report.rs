//! Which outcomes of cycles are reported: those that last. Pure: time comes in, decisions go out.
//!
//! A cloud that fails every second time would otherwise have a status written and an event published each cycle. The
//! account's metrics show each outcome at once.

use std::time::Duration;

use tokio::time::Instant;

use super::health::Health;

/// How long one outcome is held back at most, for accounts whose next cycle is far.
const LONGEST_HELD_BACK: Duration = Duration::from_secs(60);

/// What was reported last, and the outcome that may be next.
#[derive(Debug)]
pub(super) struct LastReported {
    health: Health,
    counts: (usize, usize),
    /// An outcome that differs from what was reported, seen once at this moment.
    held_back: Option<(Health, Instant)>,
}

/// What to report now.
#[derive(Debug, PartialEq)]
pub(super) enum Report {
    /// Nothing has changed for long enough.
    Nothing,
    /// The numbers of services or instances.
    Counts,
    /// Another health, and perhaps other counts.
    Health,
}

impl Default for LastReported {
    fn default() -> Self {
        Self { health: Health::Pending, counts: (0, 0), held_back: None }
    }
}

impl LastReported {
    /// The health that was reported last.
    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    /// The next outcome is reported at once, whatever it is: the account has changed.
    pub(super) fn restart(&mut self) {
        self.health = Health::Pending;
        self.held_back = None;
    }

    /// Takes in the outcome of a cycle.
    pub(super) fn cycle_ended(&mut self, health: &Health, counts: (usize, usize), now: Instant) -> Report {
        if !health.differs_from(&self.health) {
            self.held_back = None;
            return self.report_counts(counts);
        }
        if self.is_reported_at_once(health) || self.is_second(health) {
            return self.report(health.clone(), counts);
        }
        self.held_back = Some((health.clone(), now));
        self.report_counts(counts)
    }

    /// Takes in what changed between two cycles: values went stale, or a held-back outcome has lasted.
    pub(super) fn time_passed(&mut self, health: &Health, counts: (usize, usize), now: Instant) -> Report {
        if health.differs_from(&self.health) && self.is_reported_at_once(health) {
            return self.report(health.clone(), counts);
        }
        match self.held_back.take_if(|(_, since)| now >= *since + LONGEST_HELD_BACK) {
            Some((lasted, _)) => self.report(lasted, counts),
            None => self.report_counts(counts),
        }
    }

    /// When the outcome that is held back has lasted long enough, if there is one.
    pub(super) fn due(&self) -> Option<Instant> {
        self.held_back.as_ref().map(|(_, since)| *since + LONGEST_HELD_BACK)
    }

    /// The first outcome shows the effect of a user's change, rejected credentials need a user's action, and an overdue cycle has
    /// lasted already.
    fn is_reported_at_once(&self, health: &Health) -> bool {
        self.health == Health::Pending || health.credentials_rejected() || *health == Health::Overdue
    }

    /// Whether the cycle before came to the same: the same kind of outcome, or both failed where none had.
    fn is_second(&self, health: &Health) -> bool {
        self.held_back.as_ref().is_some_and(|(first, _)| {
            let both_failed = !first.reason().holds() && !health.reason().holds();
            !health.differs_from(first) || (both_failed && self.health.reason().holds())
        })
    }

    fn report(&mut self, health: Health, counts: (usize, usize)) -> Report {
        *self = Self { health, counts, held_back: None };
        Report::Health
    }

    fn report_counts(&mut self, counts: (usize, usize)) -> Report {
        if std::mem::replace(&mut self.counts, counts) == counts { Report::Nothing } else { Report::Counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::CloudError;
    use crate::cloud::error::Unreachable;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn status() -> Health {
        Health::Failed(CloudError::Status(500))
    }

    fn timeout() -> Health {
        Health::Failed(CloudError::Unreachable(Unreachable::Timeout))
    }

    fn rejected() -> Health {
        Health::Failed(CloudError::LoginRejected)
    }

    /// What is reported of cycles with these outcomes, one each interval.
    fn reported(outcomes: &[Health]) -> Vec<Health> {
        let (mut last, start) = (LastReported::default(), Instant::now());
        let mut all = Vec::new();
        for (cycle, health) in (0..).zip(outcomes) {
            if last.cycle_ended(health, (0, 0), start + INTERVAL * cycle) == Report::Health {
                all.push(last.health().clone());
            }
        }
        all
    }

    #[test]
    fn a_cloud_that_fails_every_second_time_is_reported_once() {
        let outcomes: Vec<Health> = [Health::Collected, status()].into_iter().cycle().take(100).collect();
        assert_eq!(reported(&outcomes), [Health::Collected]);
    }

    #[test]
    fn a_failure_and_a_recovery_are_reported_once_they_last_for_two_cycles() {
        let outcomes =
            [Health::Collected, status(), status(), status(), Health::Collected, Health::Collected];
        assert_eq!(reported(&outcomes), [Health::Collected, status(), Health::Collected]);
        assert_eq!(reported(&outcomes[..2]), [Health::Collected]);
        assert_eq!(reported(&outcomes[..5]), [Health::Collected, status()]);
    }

    #[test]
    fn a_cloud_that_fails_in_two_ways_is_reported_as_failing_and_not_each_time() {
        let failing = [status(), timeout()].into_iter().cycle().take(100);
        let outcomes: Vec<Health> = std::iter::once(Health::Collected).chain(failing).collect();
        assert_eq!(reported(&outcomes), [Health::Collected, timeout()]);
    }

    #[test]
    fn another_number_in_an_error_is_not_reported() {
        let outcomes: Vec<Health> =
            [status(), Health::Failed(CloudError::Status(502))].into_iter().cycle().take(100).collect();
        assert_eq!(reported(&outcomes), [status()]);
    }

    #[test]
    fn rejected_credentials_and_the_first_outcome_after_a_change_are_reported_at_once() {
        assert_eq!(reported(&[Health::Collected, rejected()]), [Health::Collected, rejected()]);

        let (mut last, now) = (LastReported::default(), Instant::now());
        assert_eq!(last.cycle_ended(&rejected(), (0, 0), now), Report::Health);
        last.restart();
        assert_eq!(last.cycle_ended(&Health::Collected, (0, 0), now), Report::Health);
        last.restart();
        assert_eq!(last.cycle_ended(&Health::Collected, (0, 0), now), Report::Health);
    }

    #[test]
    fn an_outcome_whose_next_cycle_is_far_is_reported_after_a_minute() {
        let (mut last, start) = (LastReported::default(), Instant::now());
        last.cycle_ended(&Health::Collected, (2, 4), start);
        assert_eq!(last.due(), None);
        assert_eq!(last.cycle_ended(&status(), (2, 4), start), Report::Nothing);
        let due = last.due().expect("held back");
        assert_eq!(due, start + Duration::from_secs(60));

        assert_eq!(last.time_passed(&status(), (2, 4), due - Duration::from_secs(1)), Report::Nothing);
        assert_eq!(last.time_passed(&status(), (2, 4), due), Report::Health);
        assert_eq!((last.health(), last.due()), (&status(), None));
    }

    #[test]
    fn counts_are_reported_at_once_and_values_that_go_stale_are_no_second_cycle() {
        let (mut last, start) = (LastReported::default(), Instant::now());
        last.cycle_ended(&Health::Collected, (2, 4), start);
        assert_eq!(last.cycle_ended(&Health::Collected, (2, 5), start), Report::Counts);
        assert_eq!(last.cycle_ended(&status(), (2, 5), start), Report::Nothing);
        assert_eq!(last.time_passed(&status(), (0, 0), start + INTERVAL), Report::Counts);
        assert_eq!(last.health(), &Health::Collected);
        assert_eq!(last.time_passed(&Health::Overdue, (0, 0), start + INTERVAL), Report::Health);
    }
}
