//! The memory and CPU time of a process, as Linux reports them.

use std::fs;

use anyhow::{Context, Result};

/// The unit of times in `/proc/PID/stat`, which is 100 a second on every Linux machine.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time of this process so far, in seconds.
pub(crate) fn cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("CPU time is read from /proc")?;
    // Fields are counted after the program's name, which may contain spaces: the state is the first.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<f64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("/proc/self/stat has another form")?;
    Ok((user + system) / TICKS_PER_SECOND)
}

/// CPU time of this thread so far, in seconds, to the nanosecond.
pub(crate) fn thread_cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").context("CPU time is read from /proc")?;
    let nanoseconds = stat.split_whitespace().next().and_then(|field| field.parse::<f64>().ok());
    Ok(nanoseconds.context("/proc/thread-self/schedstat has another form")? / 1e9)
}

/// A line of `/proc/PID/status` in bytes: `VmRSS` is the resident memory, `VmHWM` its peak.
pub(crate) fn memory(process: u32, line: &str) -> Result<f64> {
    let status =
        fs::read_to_string(format!("/proc/{process}/status")).context("memory is read from /proc")?;
    let kibibytes = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kibibytes = kibibytes.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    Ok(kibibytes.with_context(|| format!("/proc/PID/status has no {line}"))? * 1024.0)
}
