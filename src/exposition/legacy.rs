//! The article's four gauges: raw units, and no labels but `service` and `instance`.
//!
//! For dashboards that exist. The names break Prometheus' conventions by nature, so they have a body of their own.

use super::Body;
use super::families::{Reads, legacy_families};
use super::gzip::BodyWriter;
use super::labels::{push_next, push_pair};
use super::lines::{self, Stamp};
use super::selection::Selection;
use super::text;

/// The body in the text format; `buffer` is scratch space.
pub(super) fn body(buffer: &mut Vec<u8>, selection: &Selection<'_>, stamped: bool) -> Body {
    let mut body = BodyWriter::new();
    let stamp = if stamped { Stamp::Milliseconds } else { Stamp::None };
    let mut labels = String::new();
    for family in legacy_families() {
        let Reads::Sample(read) = family.reads else { continue };
        buffer.clear();
        for chosen in selection.instances.iter().filter(|chosen| chosen.legacy) {
            let Some(sample) = &chosen.instance.sample else { continue };
            if let Some(value) = read(sample) {
                labels.clear();
                push_pair(&mut labels, "service", &chosen.service.facts.name);
                push_next(&mut labels, "instance", &chosen.instance.facts.name);
                lines::push_stamped(buffer, family.name, &labels, value, stamp, sample.timestamp);
            }
        }
        if !buffer.is_empty() {
            body.push(text::header(family).as_bytes());
            body.push(buffer);
        }
    }
    body.finish()
}
