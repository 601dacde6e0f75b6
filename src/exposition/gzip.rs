//! A body in its encodings: collected piece by piece, and taken apart again for the rare client without gzip.

use std::io::{self, Cursor, Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;

use super::Body;

/// Up to this size a body is kept as it is too. Larger ones would cost the memory of their plain form
/// for clients that hardly exist: Prometheus always takes gzip.
pub const MAX_IDENTITY_BYTES: usize = 1 << 20;

/// Collects a body.
pub(super) struct BodyWriter {
    identity: Option<Vec<u8>>,
    gzip: GzEncoder<Vec<u8>>,
}

impl BodyWriter {
    pub(super) fn new() -> Self {
        // Series differ in few bytes from line to line: the fastest level comes close to the best.
        Self { identity: Some(Vec::new()), gzip: GzEncoder::new(Vec::new(), Compression::fast()) }
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        // Writing into a Vec does not fail.
        #[allow(clippy::expect_used)]
        self.gzip.write_all(piece).expect("a Vec takes every write");
        self.identity = self.identity.take().filter(|kept| kept.len() + piece.len() <= MAX_IDENTITY_BYTES);
        if let Some(kept) = &mut self.identity {
            kept.extend_from_slice(piece);
        }
    }

    pub(super) fn finish(self) -> Body {
        // As above.
        #[allow(clippy::expect_used)]
        let mut gzip = self.gzip.finish().expect("a Vec takes every write");
        gzip.shrink_to_fit();
        let identity = self.identity.map(|mut kept| {
            kept.shrink_to_fit();
            kept.into()
        });
        Body { identity, gzip: gzip.into() }
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
    fn a_small_body_is_kept_in_both_encodings() {
        let body = body(&[b"one\n", b"two\n"]);
        assert_eq!(body.identity.as_deref(), Some(&b"one\ntwo\n"[..]));
        assert_eq!(inflated(&body.gzip), b"one\ntwo\n");
        assert_eq!(body.plain_bytes(), 8);
    }

    #[test]
    fn a_large_body_is_kept_compressed_only_and_still_knows_its_size() {
        let half = vec![b'x'; MAX_IDENTITY_BYTES / 2];
        assert!(body(&[&half, &half]).identity.is_some());

        let body = body(&[&half, &half, b"y"]);
        assert!(body.identity.is_none());
        assert_eq!(body.plain_bytes(), MAX_IDENTITY_BYTES + 1);
        assert_eq!(inflated(&body.gzip), [&half[..], &half, b"y"].concat());
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let gzip = body(&[&[b'x'; 5000]]).gzip;
        assert!(Inflate::new(gzip.slice(..gzip.len() / 2)).next_chunk(10_000).is_err());
    }
}
