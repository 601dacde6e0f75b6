//! Unpacks a gzip body as it arrives. It may have several members (RFC 1952, section 2.2).

use std::io::Write;

use flate2::write::MultiGzDecoder;

use crate::cloud::error::AnswerProblem;

/// How much is unpacked at once: it becomes at most 1,032 times as much, so the caller can count what it holds.
pub(super) const STEP: usize = 64;

/// A body that is being unpacked.
pub(super) struct Gunzip(MultiGzDecoder<Vec<u8>>);

impl Gunzip {
    pub(super) fn new() -> Self {
        Self(MultiGzDecoder::new(Vec::new()))
    }

    /// Unpacks at most [`STEP`] bytes and returns how many bytes the body has so far.
    pub(super) fn unpack(&mut self, packed: &[u8]) -> Result<usize, AnswerProblem> {
        self.0.write_all(packed).map_err(|_| AnswerProblem::Encoding)?;
        Ok(self.0.get_ref().len())
    }

    /// The whole body. An error where its last member is not complete.
    pub(super) fn finish(self) -> Result<Vec<u8>, AnswerProblem> {
        self.0.finish().map_err(|_| AnswerProblem::Encoding)
    }
}
