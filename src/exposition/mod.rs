//! Samples to immutable bodies, once a cycle: what a scrape gets is made here and only copied there.
//!
//! Knows what a cloud said (`cloud::model`), no account's settings and no HTTP.

pub mod families;
pub mod gzip;
pub mod labels;
mod legacy;
mod lines;
pub mod openmetrics;
pub mod page;
pub mod render;
mod selection;
pub mod text;

use bytes::Bytes;

pub use render::{Options, Rendered, Renderer};

/// One format's body. Kept compressed only: Prometheus always takes gzip, and the plain text is some ten times larger.
#[derive(Debug, Clone)]
pub struct Body {
    /// Compressed with gzip; [`gzip::Inflate`] takes it apart.
    pub gzip: Bytes,
}

impl Body {
    /// Length of the plain text in bytes.
    pub fn plain_bytes(&self) -> usize {
        // A gzip member ends in the plain length modulo 2^32 (RFC 1952), and no body is that long.
        self.gzip.last_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length) as usize)
    }
}

/// All bodies of one account after one cycle.
#[derive(Debug, Clone)]
pub struct Bodies {
    /// Prometheus text format 0.0.4.
    pub text: Body,
    /// `OpenMetrics` 1.0.
    pub openmetrics: Body,
    /// The article's four gauges in text format 0.0.4, where the account asks for them.
    pub legacy: Option<Body>,
}

impl Bodies {
    /// Each body with its format's name.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &Body)> {
        [
            ("text", Some(&self.text)),
            ("openmetrics", Some(&self.openmetrics)),
            ("legacy", self.legacy.as_ref()),
        ]
        .into_iter()
        .filter_map(|(format, body)| body.map(|body| (format, body)))
    }
}
