//! A body, compressed while it is collected piece by piece, and unpacked for the rare client without gzip.

use std::io::{self, Cursor, Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;

use super::body::Body;

/// Collects a body.
pub(super) struct BodyWriter(GzEncoder<Vec<u8>>);

impl BodyWriter {
    pub(super) fn new() -> Self {
        // Series differ in few bytes from line to line: the fastest level comes close to the best.
        Self(GzEncoder::new(Vec::new(), Compression::fast()))
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        // Writing into a Vec does not fail.
        #[allow(clippy::expect_used)]
        self.0.write_all(piece).expect("a Vec takes every write");
    }

    pub(super) fn finish(self) -> Body {
        // As above.
        #[allow(clippy::expect_used)]
        let mut gzip = self.0.finish().expect("a Vec takes every write");
        gzip.shrink_to_fit();
        Body { gzip: gzip.into() }
    }
}

/// The plain form of a body that is kept compressed only, chunk by chunk.
pub struct Inflate {
    decoder: GzDecoder<Cursor<Bytes>>,
}

impl Inflate {
    /// Starts at the beginning of a compressed body.
    pub fn new(gzip: Bytes) -> Self {
        Self { decoder: GzDecoder::new(Cursor::new(gzip)) }
    }

    /// The next chunk of at most `limit` bytes; `None` at the end. Costs CPU time: not for async threads.
    ///
    /// An error means that the compressed bytes are damaged.
    pub fn next_chunk(&mut self, limit: usize) -> io::Result<Option<Bytes>> {
        let mut chunk = Vec::with_capacity(limit);
        (&mut self.decoder).take(limit as u64).read_to_end(&mut chunk)?;
        Ok((!chunk.is_empty()).then(|| chunk.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(pieces: &[&[u8]]) -> Body {
        let mut writer = BodyWriter::new();
        for piece in pieces {
            writer.push(piece);
        }
        writer.finish()
    }

    fn inflated(gzip: &Bytes) -> Vec<u8> {
        let mut inflate = Inflate::new(gzip.clone());
        std::iter::from_fn(|| inflate.next_chunk(1000).unwrap()).flatten().collect()
    }

    #[test]
    fn what_was_pushed_comes_out_again_and_its_length_is_known() {
        let body = body(&[b"one\n", &[b'x'; 5000], b"two\n"]);
        let plain = inflated(&body.gzip);
        assert!(plain.starts_with(b"one\nxxx") && plain.ends_with(b"xxxtwo\n"));
        assert_eq!((plain.len(), body.plain_bytes()), (5008, 5008));
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let gzip = body(&[&[b'x'; 5000]]).gzip;
        assert!(Inflate::new(gzip.slice(..gzip.len() / 2)).next_chunk(10_000).is_err());
    }
}
