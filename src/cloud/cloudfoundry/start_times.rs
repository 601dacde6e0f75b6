//! The start time of each instance, the same in each cycle.
//!
//! The API says for how many whole seconds an instance runs, so the start that follows from it moves by up to a second
//! from one answer to the next, and would look like a restart. The first one is kept for as long as the instance is seen.

use std::collections::HashMap;

use crate::hash::keyed_hash;

/// Two starts that are no further apart, in seconds, are one.
const TOLERANCE: f64 = 2.0;

/// An instance that was not seen in so many cycles is forgotten: its process may have failed in some.
const FORGOTTEN_AFTER: u32 = 10;

/// The start times of the instances that were seen lately, by a hash of their ids.
#[derive(Debug, Default)]
pub(super) struct StartTimes {
    cycle: u32,
    known: HashMap<u64, Known>,
}

#[derive(Debug)]
struct Known {
    started_at: f64,
    /// The cycle in which the instance was last seen.
    seen: u32,
}

impl StartTimes {
    /// The start of an instance, given what this cycle's answer says of it, in seconds since the epoch.
    pub(super) fn settle(&mut self, id: &str, started_at: f64) -> f64 {
        let seen = self.cycle;
        let known = self.known.entry(keyed_hash(id)).or_insert(Known { started_at, seen });
        known.seen = seen;
        if (known.started_at - started_at).abs() > TOLERANCE {
            known.started_at = started_at;
        }
        known.started_at
    }

    /// What they take, in bytes: their map has room to grow.
    pub(super) fn bytes(&self) -> usize {
        2 * size_of::<(u64, Known)>() * self.known.len()
    }

    /// Drops all of them.
    pub(super) fn forget(&mut self) {
        self.known = HashMap::new();
    }

    /// Ends a cycle: forgets instances that were not seen for long.
    pub(super) fn end_cycle(&mut self) {
        let cycle = self.cycle;
        self.known.retain(|_, known| cycle.wrapping_sub(known.seen) < FORGOTTEN_AFTER);
        self.cycle = cycle.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_that_a_cloud_lists_once_count_until_they_are_forgotten() {
        let mut times = StartTimes::default();
        for cycle in 0..FORGOTTEN_AFTER {
            for number in 0..100 {
                times.settle(&format!("{cycle}-{number}"), 1.0);
            }
            times.end_cycle();
        }
        let most = times.bytes();
        assert!(most >= 100 * FORGOTTEN_AFTER as usize * 24, "{most} bytes");
        (0..2 * FORGOTTEN_AFTER).for_each(|_| times.end_cycle());
        assert_eq!(times.bytes(), 0);
        times.settle("a", 1.0);
        times.forget();
        assert_eq!(times.bytes(), 0);
    }

    #[test]
    fn a_start_that_moves_by_a_fraction_of_a_second_is_the_same_and_a_restart_is_not() {
        let mut times = StartTimes::default();
        let settled = [100.2, 100.9, 100.0, 101.4, 160.0, 160.7].map(|start| {
            let settled = times.settle("a", start);
            times.end_cycle();
            settled.to_string()
        });
        assert_eq!(settled, ["100.2", "100.2", "100.2", "100.2", "160", "160"]);
    }

    #[test]
    fn an_instance_that_is_gone_is_forgotten_after_some_cycles() {
        let mut times = StartTimes::default();
        times.settle("a", 100.0);
        for _ in 0..9 {
            times.settle("b", 200.0);
            times.end_cycle();
        }
        assert_eq!(times.known.len(), 2);
        times.settle("b", 200.0);
        times.end_cycle();
        times.end_cycle();
        assert_eq!(times.known.len(), 1);
    }
}
