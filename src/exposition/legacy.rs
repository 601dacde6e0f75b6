//! The four legacy gauges: raw units, and no labels but `service` and `instance`.
//!
//! For dashboards that exist. The names break Prometheus' conventions by nature, so they have a body of their own.

use super::body::Body;
use super::families::legacy_family;
use super::gzip::BodyWriter;
use super::labels::{push_next, push_pair};
use super::lines::{self, Stamp};
use super::selection::Selection;
use super::text;
use crate::cloud::model::MEASUREMENTS;

/// The body in the text format; `buffer` is scratch space.
pub(super) fn body(
    body: &mut BodyWriter,
    buffer: &mut Vec<u8>,
    selection: &Selection<'_>,
    stamped: bool,
) -> Body {
    let stamp = if stamped { Stamp::Milliseconds } else { Stamp::None };
    let mut labels = String::new();
    for row in MEASUREMENTS {
        let Some(gauge) = &row.legacy else { continue };
        buffer.clear();
        let mut place = 0;
        for chosen in selection.instances.iter().filter(|chosen| chosen.legacy) {
            let sample = chosen.instance.sample.as_ref();
            if let Some(value) = sample.and_then(|sample| sample.get_at(&mut place, row.measurement)) {
                labels.clear();
                push_pair(&mut labels, "service", &chosen.service.facts.name);
                push_next(&mut labels, "instance", &chosen.instance.facts.name);
                let number = value.scaled(gauge.scale);
                lines::push_stamped(buffer, gauge.name, &labels, "", number, stamp, value.time);
            }
        }
        if !buffer.is_empty() {
            body.push(text::header(&legacy_family(gauge)).as_bytes());
            body.push(buffer);
        }
    }
    body.finish()
}
