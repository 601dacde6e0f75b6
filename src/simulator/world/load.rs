//! The CPU load of an instance: a daily wave, a faster wave and bursts, each with a closed integral.
//!
//! A counter is the integral of a rate, so it is computed for any time and nothing is stored.

use std::f64::consts::TAU;

use crate::simulator::numbers::{between, hash};

/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// A sine around zero.
#[derive(Debug, Clone, Copy)]
struct Wave {
    /// Seconds from one crest to the next.
    period: f64,
    /// The height of a crest.
    amplitude: f64,
    /// The phase at the epoch, in radians.
    phase: f64,
}

impl Wave {
    fn angle(&self, time: f64) -> f64 {
        // The remainder first: the sine of a count of all seconds since 1970 would lose digits.
        (time.rem_euclid(self.period) / self.period).mul_add(TAU, self.phase)
    }

    fn at(&self, time: f64) -> f64 {
        self.amplitude * self.angle(time).sin()
    }

    fn total(&self, from: f64, to: f64) -> f64 {
        self.amplitude * self.period / TAU * (self.angle(from).cos() - self.angle(to).cos())
    }
}

/// A constant load during a part of every period.
#[derive(Debug, Clone, Copy)]
struct Bursts {
    period: f64,
    length: f64,
    height: f64,
    phase: f64,
}

impl Bursts {
    fn at(&self, time: f64) -> f64 {
        if (time + self.phase).rem_euclid(self.period) < self.length { self.height } else { 0.0 }
    }

    fn total(&self, from: f64, to: f64) -> f64 {
        let within = |time: f64| (time + self.phase).rem_euclid(self.period).min(self.length);
        let periods = ((to + self.phase) / self.period).floor() - ((from + self.phase) / self.period).floor();
        self.height * (periods * self.length + within(to) - within(from))
    }
}

/// The CPU load of one instance, in cores; always above zero and never above what the instance may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    base: f64,
    day: Wave,
    fast: Wave,
    bursts: Bursts,
}

impl Load {
    /// The load of an instance that may use `cores`; instances of one service share the daily wave.
    pub(super) fn new(service: u64, instance: u64, cores: f64) -> Self {
        let of_service = |n: u64| hash(&[service, 100 + n]);
        let of_instance = |n: u64| hash(&[instance, 200 + n]);
        // Shares of the cores: at most 0.3 * (1 + 0.6 + 0.2) + 0.4 = 0.94, at least 0.02 * (1 - 0.6 - 0.2).
        let base = cores * between(of_service(0), 0.02, 0.3) * between(of_instance(0), 0.8, 1.0);
        Self {
            base,
            day: Wave {
                period: DAY,
                amplitude: base * between(of_service(1), 0.2, 0.6),
                // The crest is between noon and six in the evening: phase 0 has it after six hours.
                phase: -TAU * between(of_service(2), 0.25, 0.5),
            },
            fast: Wave {
                period: between(of_instance(1), 300.0, 1800.0),
                amplitude: base * between(of_instance(2), 0.05, 0.2),
                phase: between(of_instance(3), 0.0, TAU),
            },
            bursts: Bursts {
                period: between(of_instance(4), 1200.0, 7200.0),
                length: between(of_instance(5), 60.0, 300.0),
                height: cores * between(of_instance(6), 0.1, 0.4),
                phase: between(of_instance(7), 0.0, 7200.0),
            },
        }
    }

    /// Cores in use at a time.
    pub(super) fn at(&self, time: f64) -> f64 {
        self.base + self.day.at(time) + self.fast.at(time) + self.bursts.at(time)
    }

    /// CPU seconds used between two times.
    pub(super) fn total(&self, from: f64, to: f64) -> f64 {
        self.base * (to - from)
            + self.day.total(from, to)
            + self.fast.total(from, to)
            + self.bursts.total(from, to)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_total_is_the_sum_of_the_load(seed: u64, start in 1.42e9..2.0e9_f64, length in 1.0..5000.0_f64) {
            let load = Load::new(seed, seed ^ 1, 0.5);
            let steps = 20_000;
            let step = length / f64::from(steps);
            let summed: f64 =
                (0..steps).map(|n| load.at((f64::from(n) + 0.5).mul_add(step, start)) * step).sum();
            let total = load.total(start, start + length);
            prop_assert!((total - summed).abs() <= 1e-3 * length.max(1.0), "{total} {summed}");
        }

        #[test]
        fn the_load_is_above_zero_and_within_the_cores(seed: u64, other: u64, time in 1.42e9..2.0e9_f64) {
            let load = Load::new(seed, other, 0.25).at(time);
            prop_assert!(load > 0.0 && load <= 0.25, "{load}");
        }
    }
}
