//! Faults as text: `[OPERATION:]NAME[=VALUE][@SELECTOR]…`, read and written. Pure.

use std::fmt;
use std::str::FromStr;

use super::fault::{Fault, FaultError, FaultKind, RetryAfter, Revocation, Scope};
use crate::simulator::duration;
use crate::simulator::operation::{self, Operation, Role};

/// Where `redirect` leads by default: where clouds keep the credentials of a machine.
pub(super) const METADATA: &str = "http://169.254.169.254/";

/// What `huge-label` adds to a name by default.
const HUGE: usize = 1 << 20;

/// A line of help for each fault, with the role of the only operations that it fits.
const NAMES: &[(Option<Role>, &str)] = &[
    (None, "latency=DURATION        the response comes later, for example latency=250ms"),
    (None, "slow-body               the body comes at one byte per second"),
    (
        None,
        "429[=AFTER]             too many requests; AFTER: seconds in Retry-After (default 1),
                          date:SECONDS for an HTTP date, none for no header",
    ),
    (None, "500 502 503 504[=AFTER] or status=CODE: that status, with Retry-After only if given"),
    (None, "html                    status 200 with a web page"),
    (None, "empty-body              status 200 without a body"),
    (None, "truncated-body          fewer bytes than Content-Length promises"),
    (None, "wrong-json              JSON with values of other types"),
    (None, "reported-error          status 200 with an error in the body, as the API reports errors"),
    (None, "invalid-utf8            JSON with broken UTF-8 in its texts"),
    (None, "deep-json               JSON nested 100,000 deep"),
    (None, "gzip-bomb               1 MiB of gzip that expands to 1 GiB"),
    (None, "revoked-token[=after-use]  all tokens are revoked before the request (or after it)"),
    (Some(Role::Login), "reject-login[=STATUS]   logins are rejected (default 401)"),
    (Some(Role::Inventory), "page-cycle              the last page links to the first as the next"),
    (Some(Role::Inventory), "endless-pages           every page links to a next page"),
    (
        Some(Role::Inventory),
        "huge-label[=BYTES]      names with newlines and quotes, one of each kind per page BYTES longer (default 1 MiB)",
    ),
    (None, "redirect[=URL]          status 302 (default http://169.254.169.254/)"),
    (None, "hang                    never responds"),
    (None, "drop                    the connection closes without a response"),
];

/// The grammar and the names that fit a cloud with these operations, for `--help`.
pub(in crate::simulator) fn help(operations: &[Operation]) -> String {
    let names = operation::names(operations);
    let exists = |role: Option<Role>| {
        role.is_none_or(|role| operations.iter().any(|operation| operation.role == role))
    };
    let faults: Vec<&str> = NAMES.iter().filter(|(role, _)| exists(*role)).map(|(_, line)| *line).collect();
    let example = names.last().copied().unwrap_or("all");
    format!(
        "Faults: [OPERATION:]NAME[=VALUE][@SELECTOR]...
  OPERATION  {} or all; default: all requests except logins
  SELECTOR   a share such as @0.1 (always the same tenth), @xN (at most N times),
             @service=NAME (requests that name this service)
  {}
Examples: --fault {example}:429=2@0.1   --fault revoked-token@x1   --fault '{example}:hang@service=kibana'",
        names.join(", "),
        faults.join("\n  ")
    )
}

impl FromStr for Fault {
    type Err = FaultError;

    /// Reads a fault. Whether a cloud can have it, [`Fault::check`] decides.
    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (scope, rest) = match text.split_once(':') {
            // A colon after '=' belongs to the value, as in redirect=http://….
            Some((operation, rest)) if !operation.contains(['=', '@']) => (Some(scope(operation)), rest),
            _ => (None, text),
        };
        let mut pieces = rest.split('@');
        let first = pieces.next().unwrap_or_default();
        let (name, value) = first.split_once('=').map_or((first, None), |(name, value)| (name, Some(value)));
        let mut fault = Self { scope, ..Self::new(kind(name, value)?) };
        for selector in pieces {
            select(&mut fault, selector)?;
        }
        Ok(fault)
    }
}

fn scope(operation: &str) -> Scope {
    if operation == "all" { Scope::All } else { Scope::Only(operation.to_owned()) }
}

/// Reads a fault's name and value.
fn kind(name: &str, value: Option<&str>) -> Result<FaultKind, FaultError> {
    let plain = |name: &'static str, kind: FaultKind| match value {
        None => Ok(kind),
        Some(_) => Err(FaultError::NoValue(name)),
    };
    let wanted = |name: &'static str, wanted: &'static str| FaultError::Value {
        name,
        value: value.unwrap_or_default().to_owned(),
        wanted,
    };
    match name {
        "latency" => Ok(FaultKind::Latency(duration::parse(value.unwrap_or_default())?)),
        "slow-body" => plain("slow-body", FaultKind::SlowBody),
        "429" => Ok(FaultKind::TooManyRequests(retry_after(value.unwrap_or("1"))?)),
        "500" | "502" | "503" | "504" => {
            let status = name.parse().map_err(|_| FaultError::Name(name.to_owned()))?;
            Ok(FaultKind::Status(status, value.map_or(Ok(RetryAfter::Absent), retry_after)?))
        }
        "status" => {
            let status =
                value.and_then(|value| value.parse().ok()).filter(|status| (400..600).contains(status));
            let status = status.ok_or_else(|| wanted("status", "a code from 400 to 599"))?;
            Ok(FaultKind::Status(status, RetryAfter::Absent))
        }
        "html" => plain("html", FaultKind::Html),
        "truncated-body" => plain("truncated-body", FaultKind::TruncatedBody),
        "wrong-json" => plain("wrong-json", FaultKind::WrongJson),
        "reported-error" => plain("reported-error", FaultKind::ReportedError),
        "invalid-utf8" => plain("invalid-utf8", FaultKind::InvalidUtf8),
        "empty-body" => plain("empty-body", FaultKind::EmptyBody),
        "revoked-token" => match value {
            None => Ok(FaultKind::RevokedToken(Revocation::Before)),
            Some("after-use") => Ok(FaultKind::RevokedToken(Revocation::AfterUse)),
            Some(_) => Err(wanted("revoked-token", "revoked-token or revoked-token=after-use")),
        },
        "reject-login" => {
            let status = value.unwrap_or("401").parse().ok().filter(|status| (400..500).contains(status));
            status
                .map(FaultKind::RejectLogin)
                .ok_or_else(|| wanted("reject-login", "a status from 400 to 499"))
        }
        "page-cycle" => plain("page-cycle", FaultKind::PageCycle),
        "endless-pages" => plain("endless-pages", FaultKind::EndlessPages),
        "gzip-bomb" => plain("gzip-bomb", FaultKind::GzipBomb),
        "deep-json" => plain("deep-json", FaultKind::DeepJson),
        "redirect" => {
            let target = value.unwrap_or(METADATA);
            let sendable = !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_graphic());
            if sendable {
                Ok(FaultKind::Redirect(target.to_owned()))
            } else {
                Err(wanted("redirect", "a URL of printable ASCII characters"))
            }
        }
        "hang" => plain("hang", FaultKind::Hang),
        "drop" => plain("drop", FaultKind::Drop),
        "huge-label" => match value {
            None => Ok(FaultKind::HugeLabel(HUGE)),
            // Far beyond any client's limit already; more would only cost this process its memory.
            Some(bytes) => {
                let bytes = bytes.parse().ok().filter(|bytes| *bytes <= 256 << 20);
                bytes
                    .map(FaultKind::HugeLabel)
                    .ok_or_else(|| wanted("huge-label", "bytes, at most 268435456"))
            }
        },
        _ => Err(FaultError::Name(name.to_owned())),
    }
}

fn retry_after(text: &str) -> Result<RetryAfter, FaultError> {
    let read = match text.strip_prefix("date:") {
        _ if text == "none" => Some(RetryAfter::Absent),
        Some(seconds) => seconds.parse().ok().filter(|seconds| *seconds <= 1 << 32).map(RetryAfter::Date),
        None => text.parse().ok().map(RetryAfter::Seconds),
    };
    read.ok_or_else(|| FaultError::Value {
        name: "Retry-After",
        value: text.to_owned(),
        wanted: "seconds, date:SECONDS or none",
    })
}

/// Applies one selector.
fn select(fault: &mut Fault, selector: &str) -> Result<(), FaultError> {
    let problem = || FaultError::Selector(selector.to_owned());
    if let Some(name) = selector.strip_prefix("service=") {
        fault.service = Some(name.to_owned()).filter(|name| !name.is_empty());
        return if fault.service.is_some() { Ok(()) } else { Err(problem()) };
    }
    if let Some(times) = selector.strip_prefix('x') {
        fault.times = Some(times.parse().map_err(|_| problem())?);
        return Ok(());
    }
    fault.share = selector.parse().ok().filter(|share| (0.0..=1.0).contains(share)).ok_or_else(problem)?;
    Ok(())
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => out.write_str("none"),
            Self::Seconds(seconds) => write!(out, "{seconds}"),
            Self::Date(seconds) => write!(out, "date:{seconds}"),
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(latency) => write!(out, "latency={latency:?}"),
            Self::SlowBody => out.write_str("slow-body"),
            Self::TooManyRequests(after) => write!(out, "429={after}"),
            Self::Status(status @ (500 | 502 | 503 | 504), after) => write!(out, "{status}={after}"),
            Self::Status(status, _) => write!(out, "status={status}"),
            Self::Html => out.write_str("html"),
            Self::TruncatedBody => out.write_str("truncated-body"),
            Self::WrongJson => out.write_str("wrong-json"),
            Self::ReportedError => out.write_str("reported-error"),
            Self::InvalidUtf8 => out.write_str("invalid-utf8"),
            Self::EmptyBody => out.write_str("empty-body"),
            Self::RevokedToken(Revocation::Before) => out.write_str("revoked-token"),
            Self::RevokedToken(Revocation::AfterUse) => out.write_str("revoked-token=after-use"),
            Self::RejectLogin(status) => write!(out, "reject-login={status}"),
            Self::PageCycle => out.write_str("page-cycle"),
            Self::EndlessPages => out.write_str("endless-pages"),
            Self::GzipBomb => out.write_str("gzip-bomb"),
            Self::DeepJson => out.write_str("deep-json"),
            Self::Redirect(target) => write!(out, "redirect={target}"),
            Self::Hang => out.write_str("hang"),
            Self::Drop => out.write_str("drop"),
            Self::HugeLabel(bytes) => write!(out, "huge-label={bytes}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Some(Scope::All) => out.write_str("all:")?,
            Some(Scope::Only(operation)) => write!(out, "{operation}:")?,
            None => {}
        }
        write!(out, "{}", self.kind)?;
        if self.share < 1.0 {
            write!(out, "@{}", self.share)?;
        }
        if let Some(times) = self.times {
            write!(out, "@x{times}")?;
        }
        match &self.service {
            Some(service) => write!(out, "@service={service}"),
            None => Ok(()),
        }
    }
}
