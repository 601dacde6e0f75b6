//! The body of a response that is being sent: handed to the socket slice by slice, so that its end is seen when it is sent
//! and not when it is made.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::connections::Responding;

/// The most bytes that are handed over at once. A slice is a part of its chunk and costs no copy.
const SLICE_BYTES: usize = 32 << 10;

/// A body; its response counts as under way until it is dropped.
pub(super) struct ResponseBody {
    body: Body,
    /// What is left of a chunk.
    rest: Bytes,
    _responding: Responding,
}

impl ResponseBody {
    /// The body of a response.
    pub(super) fn new(body: Body, responding: Responding) -> Self {
        Self { body, rest: Bytes::new(), _responding: responding }
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)) else {
                return Poll::Ready(None);
            };
            match frame?.into_data() {
                Ok(chunk) => self.rest = chunk,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let length = self.rest.len().min(SLICE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, body) = (self.rest.len() as u64, self.body.size_hint());
        let mut hint = SizeHint::new();
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(body.lower() + rest);
        hint
    }
}
