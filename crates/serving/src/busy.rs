//! A connection is busy from the last byte of a request until the last byte of its answer.
//!
//! In: bodies as they come and go, and the turn they belong to. Out: the same bodies, which tell it when they end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use crate::connections::Turn;

/// A body with what is to be done at its end.
struct Watched<B, F> {
    body: B,
    at_end: Option<F>,
}

/// The body of a request: the turn is busy once it is there in full.
pub fn until_here(body: Incoming, turn: &Arc<Turn>) -> Body {
    if http_body::Body::is_end_stream(&body) {
        turn.busy();
        return Body::empty();
    }
    let turn = turn.clone();
    Body::new(Watched { body, at_end: Some(move || turn.busy()) })
}

/// The body of an answer: the turn is over once it is sent or given up.
pub fn until_sent(body: Body, turn: Arc<Turn>) -> Body {
    Body::new(Watched { body, at_end: Some(move || drop(turn)) })
}

impl<B: http_body::Body<Data = Bytes> + Unpin, F: FnOnce() + Unpin> http_body::Body for Watched<B, F> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None))
            && let Some(at_end) = self.at_end.take()
        {
            at_end();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
