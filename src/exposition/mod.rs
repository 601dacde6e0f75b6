//! Samples to immutable bodies, once a cycle: what a scrape gets is made here and only copied there.
//!
//! Knows what a cloud said (`cloud::model`), no account's settings and no HTTP.

pub mod labels;
pub mod page;

use bytes::Bytes;

/// One format's body, in the encodings that it is kept in.
#[derive(Debug, Clone)]
pub struct Body {
    /// Plain text; absent where only the compressed form is kept to save memory.
    pub identity: Option<Bytes>,
    /// Compressed with gzip.
    pub gzip: Bytes,
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
