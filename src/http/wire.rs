//! The bytes below a connection: what the HTTP library does not do with them.
//!
//! It answers a head that it cannot read with a bare status; here that answer gets the body that every other error has. It closes at
//! once; here what the client still sends is taken for a moment, because a connection that is closed over unread bytes is reset, and
//! the client never sees why. And it has no limit on what an upgraded connection sends before anybody knows who it is.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Sleep, sleep, timeout};

use super::crowd::Guest;

/// How long a client may go on sending to a connection that is closing, and how much.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_LIMIT: usize = 1024 * 1024;

/// A connection's bytes.
pub(super) struct Wire<S> {
    stream: S,
    guest: Option<Arc<Guest>>,
    /// What was read to find out which protocol it is.
    opening: Vec<u8>,
    instead: Option<Instead>,
    /// Does the client not take what was last written?
    is_stuck: bool,
    linger: Option<Box<Linger>>,
}

/// Bytes that go out instead of others.
struct Instead {
    bytes: Vec<u8>,
    written: usize,
    replaced: usize,
}

struct Linger {
    until: Pin<Box<Sleep>>,
    taken: usize,
}

impl<S> Wire<S> {
    pub fn new(stream: S, guest: Option<Arc<Guest>>) -> Wire<S> {
        Wire { stream, guest, opening: Vec::new(), instead: None, is_stuck: false, linger: None }
    }

    /// Puts back what was read.
    pub fn unread(&mut self, opening: Vec<u8>) {
        self.opening = opening;
    }

    /// Is something half written, so that nothing of another kind can be?
    pub fn is_stuck(&self) -> bool {
        self.is_stuck
    }
}

/// The body of an error in the form of all others.
pub(super) fn error_body(code: &str, message: &str) -> String {
    json!({ "errors": [{ "message": message, "extensions": { "code": code } }] }).to_string()
}

/// The head of an error that closes the connection, and its body.
pub(super) fn refusal(status: StatusCode, code: &str, message: &str, date: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ndate: {date}\r\n");
    complete(&head, code, message)
}

fn complete(head: &str, code: &str, message: &str) -> Vec<u8> {
    let body = error_body(code, message);
    let length = body.len();
    let kind =
        "content-type: application/json; charset=utf-8\r\ncache-control: no-store\r\nx-content-type-options: nosniff";
    format!("{head}{kind}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// The full answer for one that the library gives by itself. None: it is not such a one.
fn in_full(bytes: &[u8]) -> Option<Vec<u8>> {
    const NO_BODY: &str = "content-length: 0\r\n";
    // Cheap for all others: none of ours has one of these statuses and no body.
    let status = bytes.strip_prefix(b"HTTP/1.1 ").or_else(|| bytes.strip_prefix(b"HTTP/1.0 "))?.get(..3)?;
    let (code, message) = match status {
        b"400" => ("BAD_USER_INPUT", "This is no HTTP request."),
        b"414" => ("LIMIT_EXCEEDED", "The address is too long."),
        b"431" => ("LIMIT_EXCEEDED", "The head of the request is too large."),
        _ => return None,
    };
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n")?;
    let is_bare = head.contains(NO_BODY) && !head.contains("\r\n\r\n");
    is_bare.then(|| complete(&head.replacen(NO_BODY, "", 1), code, message))
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    fn poll_instead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<usize>>> {
        let Some(instead) = &mut self.instead else { return Poll::Ready(Ok(None)) };
        while let Some(rest) = instead.bytes.get(instead.written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.stream).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => instead.written += count,
            }
        }
        let replaced = instead.replaced;
        self.instead = None;
        Poll::Ready(Ok(Some(replaced)))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.opening.is_empty() {
            let count = self.opening.len().min(into.remaining());
            into.put_slice(self.opening.drain(..count).as_slice());
            if self.opening.is_empty() {
                self.opening = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
        if self.guest.as_ref().is_none_or(|guest| guest.spend(into.filled().len() - before)) {
            Poll::Ready(Ok(()))
        } else {
            Poll::Ready(Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too much before it was said who it is")))
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.instead.is_none() {
            self.instead = in_full(bytes).map(|full| Instead { bytes: full, written: 0, replaced: bytes.len() });
        }
        let written = match self.poll_instead(context) {
            Poll::Ready(Ok(None)) => Pin::new(&mut self.stream).poll_write(context, bytes),
            Poll::Ready(Ok(Some(replaced))) => Poll::Ready(Ok(replaced)),
            Poll::Ready(Err(fault)) => Poll::Ready(Err(fault)),
            Poll::Pending => Poll::Pending,
        };
        self.is_stuck = written.is_pending();
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match pieces.iter().find(|piece| !piece.is_empty()) {
            Some(first) if self.instead.is_some() || in_full(first).is_some() => self.poll_write(context, first),
            _ => {
                let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
                self.is_stuck = written.is_pending();
                written
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Wire { stream, linger, .. } = &mut *self;
        if linger.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(context))?;
        }
        let linger = linger.get_or_insert_with(|| Box::new(Linger { until: Box::pin(sleep(LINGER)), taken: 0 }));
        let mut bin = [0; 4096];
        while linger.taken < LINGER_LIMIT && linger.until.as_mut().poll(context).is_pending() {
            let mut bin = ReadBuf::new(&mut bin);
            // The answer has gone out; how the client ends makes no difference.
            let Ok(()) = ready!(Pin::new(&mut *stream).poll_read(context, &mut bin)) else { break };
            match bin.filled().len() {
                0 => break,
                count => linger.taken += count,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Says `bytes`, then closes without losing them on the way.
pub(super) async fn farewell<S: AsyncRead + AsyncWrite + Unpin>(mut wire: Wire<S>, bytes: &[u8]) {
    let said = async {
        wire.write_all(bytes).await?;
        wire.shutdown().await
    };
    // Who does not listen is left all the same.
    let _ = timeout(2 * LINGER, said).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_refusal_is_given_a_body() {
        let bare = "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let full = String::from_utf8(in_full(bare.as_bytes()).unwrap()).unwrap();
        let (head, body) = full.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"), "{head}");
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{head}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["errors"][0]["extensions"]["code"], "LIMIT_EXCEEDED");
        for other in [
            bare.replace("431", "200"),
            bare.replace("content-length: 0", "content-length: 2") + "{}",
            bare.replace("HTTP/1.1", "x"),
            bare.trim_end().to_owned(),
            String::new(),
        ] {
            assert!(in_full(other.as_bytes()).is_none(), "{other}");
        }
    }
}
