//! A body, compressed while it is collected piece by piece, and unpacked for the rare client without gzip.

use std::io::{self, Cursor, Read};

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use flate2::{Compress, Compression, FlushCompress, Status};

use super::body::Body;

/// Collects one body after another. Keeps the compressor's tables, some 300 KB, from one to the next. New ones for each body
/// would cost time, and memory that the allocator gets back in pieces.
#[derive(Debug)]
pub(super) struct BodyWriter {
    compressor: Compress,
    gzip: Vec<u8>,
}

/// By so much the compressed bytes grow at least.
const GROWTH: usize = 4 << 10;

/// A body of at most this size is copied into memory of its own. Shrinking the buffer instead leaves a hole behind each body:
/// 10 MB for 1,000 accounts.
const COPIED_BYTES: usize = 256 << 10;

impl Default for BodyWriter {
    fn default() -> Self {
        // Series differ in few bytes from line to line: the fastest level comes close to the best.
        Self { compressor: Compress::new_gzip(Compression::fast(), WINDOW_BITS), gzip: Vec::new() }
    }
}

/// The largest window, 32 KiB.
const WINDOW_BITS: u8 = 15;

impl BodyWriter {
    /// Appends to the body.
    pub(super) fn push(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let before = self.compressor.total_in();
            self.compress(piece, FlushCompress::None);
            // It takes no more than the piece.
            #[allow(clippy::cast_possible_truncation)]
            let taken = (self.compressor.total_in() - before) as usize;
            piece = &piece[taken..];
        }
    }

    /// The whole body. The next piece begins another.
    pub(super) fn finish(&mut self) -> Body {
        while self.compress(&[], FlushCompress::Finish) != Status::StreamEnd {}
        self.compressor.reset();
        let gzip = if self.gzip.len() > COPIED_BYTES {
            let mut gzip = std::mem::take(&mut self.gzip);
            gzip.shrink_to_fit();
            gzip.into()
        } else {
            Bytes::copy_from_slice(&self.gzip)
        };
        self.gzip.clear();
        self.gzip.shrink_to(COPIED_BYTES);
        Body { gzip }
    }

    /// Compresses as much as there is space for, which is not nothing.
    fn compress(&mut self, piece: &[u8], flush: FlushCompress) -> Status {
        self.gzip.reserve(GROWTH);
        // The only error is a call after the end, which `finish` follows with a reset.
        #[allow(clippy::expect_used)]
        self.compressor.compress_vec(piece, &mut self.gzip, flush).expect("a stream that has not ended")
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
        write(&mut BodyWriter::default(), pieces)
    }

    fn write(writer: &mut BodyWriter, pieces: &[&[u8]]) -> Body {
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
    fn bodies_that_follow_one_another_have_nothing_in_common() {
        let mut writer = BodyWriter::default();
        // Random bytes do not become fewer: the first body is too large to be copied, the last is not.
        let mut dice = fastrand::Rng::with_seed(1);
        let random: Vec<u8> = (0..2 * COPIED_BYTES).map(|_| dice.u8(..)).collect();
        for pieces in [&[&random[..], b"one\n"][..], &[b"two\n"], &[], &[&random[..COPIED_BYTES / 2]]] {
            let followed = write(&mut writer, pieces);
            assert_eq!(followed.gzip, body(pieces).gzip);
            assert_eq!(inflated(&followed.gzip), pieces.concat());
            assert!(writer.gzip.capacity() <= COPIED_BYTES, "{}", writer.gzip.capacity());
        }
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let gzip = body(&[&[b'x'; 5000]]).gzip;
        assert!(Inflate::new(gzip.slice(..gzip.len() / 2)).next_chunk(10_000).is_err());
    }
}
