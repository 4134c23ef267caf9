//! An answer on its way to the client, in pieces, so that it can be seen whether they are taken.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Body as Stream, Frame, SizeHint};

use super::crowd::Visit;
use super::graphql::Weight;

/// The largest piece, in bytes. Over HTTP/2 the library holds one for each answer that is not taken.
pub(super) const PIECE: usize = 64 * 1024;

/// The body of an answer. While it lives, its request is being served (no visit: it was not let in).
pub(super) struct Delivery {
    body: Body,
    rest: Bytes,
    /// Does the last byte go out by itself? Over HTTP/2 the library takes a piece as soon as the client has room for one byte, and would
    /// be done with the answer, and this with it, while the rest still waits. For another byte it asks when that has gone.
    keeps_last: bool,
    visit: Option<Visit>,
    _weight: Option<Weight>,
}

impl Delivery {
    pub fn new(body: Body, is_http2: bool, visit: Option<Visit>, weight: Option<Weight>) -> Delivery {
        let keeps_last = is_http2 && body.size_hint().exact().is_some();
        let delivery = Delivery { body, rest: Bytes::new(), keeps_last, visit, _weight: weight };
        // The head too must be taken before anybody asks for the first piece.
        delivery.owes(true);
        delivery
    }

    fn owes(&self, is_owing: bool) {
        if let Some(visit) = &self.visit {
            visit.owes(is_owing);
        }
    }

    fn piece(&mut self) -> Bytes {
        self.owes(true);
        let end = match self.rest.len() {
            length if length > PIECE => PIECE,
            length if self.keeps_last && length > 1 => length - 1,
            length => length,
        };
        self.rest.split_to(end)
    }
}

impl Stream for Delivery {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // Whoever asks for the next piece has got rid of the last one.
        self.owes(false);
        if !self.rest.is_empty() {
            let piece = self.piece();
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(match frame.into_data() {
                Ok(data) => {
                    self.rest = data;
                    Frame::data(self.piece())
                }
                Err(frame) => frame,
            }))),
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let hint = self.body.size_hint();
        match hint.exact() {
            Some(exact) => SizeHint::with_exact(exact.saturating_add(rest)),
            None => {
                let mut with = SizeHint::new();
                with.set_lower(hint.lower().saturating_add(rest));
                if let Some(upper) = hint.upper() {
                    with.set_upper(upper.saturating_add(rest));
                }
                with
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::http::Limits;
    use crate::http::crowd::{Crowd, Cut, Patience};

    #[tokio::test(start_paused = true)]
    async fn a_large_answer_goes_out_in_pieces_that_must_be_taken() {
        let limits = Limits::default();
        let guest = Crowd::new(&limits, Arc::default()).admit(None).unwrap();
        let patience = Patience { head: limits.head, idle: limits.idle, piece: limits.piece };
        let mut delivery = Delivery::new(Body::from(vec![7; 2 * PIECE + 3]), true, guest.enter(), None);
        let mut context = Context::from_waker(std::task::Waker::noop());
        for (left, piece) in [(2 * PIECE + 3, PIECE), (PIECE + 3, PIECE), (3, 2), (1, 1)] {
            assert_eq!((delivery.size_hint().exact(), delivery.is_end_stream()), (Some(left as u64), false));
            let polled = Pin::new(&mut delivery).poll_frame(&mut context);
            let Poll::Ready(Some(Ok(frame))) = polled else { panic!("no piece: {polled:?}") };
            assert_eq!(frame.into_data().unwrap().len(), piece);
        }
        assert!(delivery.is_end_stream());
        assert_eq!(guest.overdue(patience).await, Cut::Slow);
        drop(delivery);
        assert_eq!(guest.overdue(patience).await, Cut::Idle);
    }
}
