//! The metrics of the API that are collected: their names, parameters and units. Pure.

use crate::cloud::kit::unit;
use crate::cloud::model::Measurement;

/// Seconds from one point to the next, which requests ask for: the API's default.
pub(super) const STEP: i64 = 60;

/// Seconds from one point of the bandwidth to the next.
pub(super) const HOUR: i64 = 3600;

/// The quantiles of the latency that are asked for.
pub(super) const QUANTILES: [&str; 3] = ["0.5", "0.95", "0.99"];

/// Words for a number of requests. Which one the API uses is not documented.
const COUNTS: [&str; 3] = ["requests", "unitless", "count"];

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    /// CPU in use by an instance.
    Cpu,
    /// Memory in use by an instance.
    Memory,
    /// CPU that an instance may use.
    CpuLimit,
    /// Memory that an instance may use.
    MemoryLimit,
    /// HTTP requests in a step, by status code.
    Requests,
    /// Time that HTTP requests take, by quantile.
    Latency,
    /// Bytes that a service sends in an hour.
    Bandwidth,
}

/// What tells the series of a resource apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Division {
    /// Nothing: there is one series.
    None,
    /// The instance.
    Instance,
    /// A status code.
    Code,
    /// A quantile.
    Quantile,
}

impl Metric {
    /// How many metrics there are.
    pub(super) const COUNT: usize = Self::Bandwidth as usize + 1;

    /// The last part of the URL's path.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::CpuLimit => "cpu-limit",
            Self::MemoryLimit => "memory-limit",
            Self::Requests => "http-requests",
            Self::Latency => "http-latency",
            Self::Bandwidth => "bandwidth",
        }
    }

    /// What tells its series of one resource apart.
    pub(super) const fn division(self) -> Division {
        match self {
            Self::Cpu | Self::Memory | Self::CpuLimit | Self::MemoryLimit => Division::Instance,
            Self::Requests => Division::Code,
            Self::Latency => Division::Quantile,
            Self::Bandwidth => Division::None,
        }
    }

    /// For a metric whose points are sums over a time: that time in seconds. The sum of a time that is not over is too low.
    pub(super) const fn summed_over(self) -> Option<i64> {
        match self {
            Self::Requests => Some(STEP),
            Self::Bandwidth => Some(HOUR),
            Self::Cpu | Self::Memory | Self::CpuLimit | Self::MemoryLimit | Self::Latency => None,
        }
    }

    /// What a value in the unit of this word is multiplied by to be in the measurement's base unit; cores and bytes for
    /// limits. `None` for a word that is not known.
    pub(super) fn factor(self, word: &str) -> Option<f64> {
        let of = |base| unit::factor(word, Some(base));
        let in_its_unit = match self {
            Self::Cpu | Self::CpuLimit => of("cores"),
            Self::Memory | Self::MemoryLimit | Self::Bandwidth => of("bytes"),
            Self::Latency => of("seconds"),
            Self::Requests => COUNTS.contains(&word).then_some(1.0),
        };
        // A sum becomes a rate.
        in_its_unit.map(|factor| factor / self.summed_over().map_or(1.0, |seconds| seconds as f64))
    }

    /// What it measures; `None` for limits, which are facts.
    pub(super) const fn measurement(self) -> Option<Measurement> {
        match self {
            Self::Cpu => Some(Measurement::CpuUsageCores),
            Self::Memory => Some(Measurement::MemoryUsage),
            Self::Requests => Some(Measurement::ServiceHttpRequests),
            Self::Latency => Some(Measurement::ServiceHttpDuration),
            Self::Bandwidth => Some(Measurement::ServiceTransmitRate),
            Self::CpuLimit | Self::MemoryLimit => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_in_the_unit_that_the_answer_names_and_in_no_other() {
        let near = |metric: Metric, word, expected: f64| {
            let factor = metric.factor(word).unwrap();
            assert!((factor - expected).abs() < 1e-9 * expected, "{word}: {factor}");
        };
        near(Metric::Cpu, "cpu", 1.0);
        near(Metric::Memory, "bytes", 1.0);
        near(Metric::Memory, "GB", 1e9);
        near(Metric::MemoryLimit, "MiB", 1_048_576.0);
        near(Metric::Latency, "ms", 1e-3);
        near(Metric::Bandwidth, "MB", 1e6 / 3600.0);
        near(Metric::Requests, "unitless", 1.0 / 60.0);
        for (metric, word) in [
            (Metric::Cpu, "unitless"),
            (Metric::Cpu, "millicores"),
            (Metric::Memory, "cpu"),
            (Metric::Memory, ""),
            (Metric::Latency, "bytes"),
            (Metric::Requests, "rps"),
        ] {
            assert_eq!(metric.factor(word), None, "{word}");
        }
    }
}
