//! What a scrape gets: finished bytes, one body a format.

use bytes::Bytes;

/// One format's body. Kept compressed only: Prometheus always takes gzip, and the plain text is some ten times larger.
#[derive(Debug, Clone)]
pub struct Body {
    /// Compressed with gzip; [`super::gzip::Inflate`] unpacks it.
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
    /// The four legacy gauges in text format 0.0.4, where the account asks for them.
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
