//! The options `--memory-limit` and `--history`.

use clap::{ArgAction, Args};

use super::variables::boolean;
use crate::limits::{ProcessLimits, available_memory, keep_values_within};

/// How much memory the process may use.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Memory")]
pub(super) struct MemoryOptions {
    /// Memory that the process may use, such as 512Mi. A third of it holds accounts' data; an account that does not fit
    /// is not collected. Default: the limit of the process's cgroup, or the machine's memory
    #[arg(long, value_name = "BYTES", env = "CAAS_OPERATOR_MEMORY_LIMIT", value_parser = bytes)]
    memory_limit: Option<usize>,
    /// Whether to keep the last hour of each service's CPU and memory for the web page: 300 bytes per service
    #[arg(
        long,
        value_name = "BOOL",
        env = "CAAS_OPERATOR_HISTORY",
        default_value_t = true,
        action = ArgAction::Set,
        value_parser = boolean
    )]
    history: bool,
}

impl MemoryOptions {
    /// The limits of a process that may use so much.
    pub(super) fn limits(&self) -> ProcessLimits {
        let Some(memory) = self.memory_limit.or_else(available_memory) else {
            tracing::warn!("the amount of memory is unknown; set --memory-limit");
            return ProcessLimits { without_history: !self.history, ..ProcessLimits::default() };
        };
        let limits = ProcessLimits { without_history: !self.history, ..ProcessLimits::within(memory) };
        keep_values_within(memory);
        tracing::info!(
            memory_mib = memory >> 20,
            accounts_mib = limits.memory.bytes() >> 20,
            "memory is limited"
        );
        limits
    }
}

/// A quantity as Kubernetes writes it: bytes, or with one of the units `Ki`, `Mi`, `Gi`, `k`, `M`, `G`.
fn bytes(text: &str) -> Result<usize, &'static str> {
    const ADVICE: &str = "use a number of bytes of at least 64Mi, such as 512Mi, 2Gi or 536870912";
    const LEAST: usize = 64 << 20;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return Err(ADVICE),
    };
    let number = number.parse().ok().and_then(|number: usize| number.checked_mul(unit));
    number.filter(|bytes| *bytes >= LEAST).ok_or(ADVICE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_limit_is_read_as_kubernetes_writes_it() {
        for (text, expected) in
            [("512Mi", 512 << 20), ("1Gi", 1 << 30), ("500M", 500_000_000), ("536870912", 512 << 20)]
        {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "Mi", "-1Gi", "1.5Gi", "1mi", "1Ti", "32Mi", "99999999999999999999Gi"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
