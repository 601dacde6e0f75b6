//! Text that is made as a whole, compressed at once: it is kept in memory in a tenth of its size until it is read.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::exposition::Body;

/// The body of this text.
pub(super) fn compressed(text: &[u8]) -> Body {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing into a vector does not fail.
    let gzip = encoder.write_all(text).and_then(|()| encoder.finish()).unwrap_or_default();
    Body { gzip: gzip.into() }
}
