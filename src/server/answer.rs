//! An answer's body on its way to the connection: its end tells the connection's slot that all of the answer is made.
//!
//! Knows neither what is answered nor when bytes are sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::slots::Slot;

/// A body with the slot of its connection.
pub(super) struct Answer {
    pub(super) body: Body,
    pub(super) slot: Arc<Slot>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // The connection lets go of a body once it has taken all of it, and only then sends the last of its bytes.
        self.slot.made();
    }
}
