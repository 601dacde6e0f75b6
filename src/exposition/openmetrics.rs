//! OpenMetrics 1.0: the lines above a family's samples and at the end.

use super::families::{Family, Kind};

/// The format's media type.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The last line of a body: without it, a body that was cut off could pass for a whole one.
pub(super) const END: &[u8] = b"# EOF\n";

/// TYPE, UNIT and HELP of a family, under its name without the suffix that its samples have.
pub(super) fn header(family: &Family) -> String {
    let (kind, suffix) = match family.kind {
        Kind::Counter => ("counter", "_total"),
        Kind::Gauge => ("gauge", ""),
        Kind::Info => ("info", "_info"),
    };
    let name = family.name.strip_suffix(suffix).unwrap_or(family.name);
    let unit = family.unit.map(|unit| format!("# UNIT {name} {unit}\n")).unwrap_or_default();
    format!("# TYPE {name} {kind}\n{unit}# HELP {name} {help}\n", help = family.help)
}
