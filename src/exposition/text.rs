//! Prometheus text format 0.0.4: the lines above a family's samples.

use super::families::{Family, Kind};

/// The format's media type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// HELP and TYPE of a family.
pub(super) fn header(family: &Family) -> String {
    let kind = match family.kind {
        Kind::Counter => "counter",
        // The format has no infos: they are gauges of value 1.
        Kind::Gauge | Kind::Info => "gauge",
    };
    format!("# HELP {name} {help}\n# TYPE {name} {kind}\n", name = family.name, help = family.help)
}
