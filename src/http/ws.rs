//! GraphQL over WebSocket, in the sub-protocol graphql-transport-ws and no other.
//!
//! What must stay true: one task a socket and none an operation; nothing is queued. The next result of an operation is worked on when the
//! last message has been written, so a client that reads slowly slows its own operations and holds no memory but one message. Ten
//! thousand idle subscribers must be cheap: buffers are small, and what only a beginning or an end needs is boxed and gone.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_stream::StreamMap;

use super::answer::Answer;
use super::crowd::{Guest, Visit};
use super::operation::{self, Call, Operation, Step};
use super::share::Share;
use super::{Door, SMALL, until};
use crate::auth::{self, Claims, Denied, Principal};
use crate::graphql::Session;
use crate::lifecycle::Hold;

const PROTOCOL: &str = "graphql-transport-ws";

/// For the client to answer our close, so that it has read the reason before the connection is gone.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a socket reads at a time, in bytes: the library's 128 KiB would be what an idle subscriber costs.
const READ_BUFFER: usize = 1024;

/// What a client may send before it has said who it is, in bytes: its token, and a little.
const OPENING_LIMIT: usize = 32 * 1024;

/// The longest reason that a close frame can carry, in bytes.
const REASON_LIMIT: usize = 123;

/// Answers the handshake; the socket then lives in a task of its own. `client`: whose address it is, behind proxies.
pub(super) fn accept(door: Arc<Door>, upgrade: WebSocketUpgrade, guest: Arc<Guest>, client: IpAddr) -> Response {
    let hold = door.shutdown.hold();
    guest.allow(OPENING_LIMIT);
    upgrade
        .protocols([PROTOCOL])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(door.state.limits.message_bytes)
        .max_frame_size(door.state.limits.message_bytes)
        .on_upgrade(move |socket| Socket::new(door, socket, guest, client, hold).run())
}

/// Why a socket ends.
enum End {
    /// The client has left.
    Gone,
    /// We close it.
    Close(u16, Cow<'static, str>),
}

impl End {
    fn close(code: u16, reason: &'static str) -> End {
        End::Close(code, Cow::Borrowed(reason))
    }

    fn invalid() -> End {
        End::close(4400, "Invalid message")
    }

    fn forbidden() -> End {
        End::close(4403, "Forbidden")
    }

    fn crowded() -> End {
        End::close(1013, "There is no room now")
    }

    fn stopping() -> End {
        End::close(1001, "Going away")
    }

    fn duplicate(id: &str) -> End {
        let mut reason = format!("Subscriber for {id} already exists");
        let end = (0..=REASON_LIMIT).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or_default();
        reason.truncate(end);
        End::Close(4409, Cow::Owned(reason))
    }
}

/// A message of the client.
#[derive(Deserialize)]
struct Frame {
    #[serde(rename = "type")]
    kind: Kind,
    id: Option<String>,
    payload: Option<serde_json::Value>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    ConnectionInit,
    Ping,
    Pong,
    Subscribe,
    Complete,
}

impl Frame {
    /// The frame of a message; None where the message is none of the protocol's.
    fn read(message: Option<Result<Message, axum::Error>>) -> Result<Option<Frame>, End> {
        let text = match message {
            None | Some(Ok(Message::Close(_))) => return Err(End::Gone),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(None),
            Some(Err(fault)) if is_too_large(&fault) => return Err(End::close(1009, "Message too large")),
            // Also what breaks the framing.
            Some(Ok(Message::Binary(_)) | Err(_)) => return Err(End::invalid()),
            Some(Ok(Message::Text(text))) => text,
        };
        if !text.trim_start().starts_with('{') {
            return Err(End::invalid());
        }
        serde_json::from_str(&text).map(Some).map_err(|_| End::invalid())
    }

    fn id(&mut self) -> Result<String, End> {
        self.id.take().filter(|id| !id.is_empty()).ok_or_else(End::invalid)
    }

    fn object(&self) -> Result<Option<&serde_json::Map<String, serde_json::Value>>, End> {
        match &self.payload {
            None => Ok(None),
            Some(serde_json::Value::Object(members)) => Ok(Some(members)),
            Some(_) => Err(End::invalid()),
        }
    }

    /// The token of a `connection_init`, whose payload has the header's name as a key.
    fn token(&self) -> Result<Option<&str>, End> {
        let members = self.object()?.into_iter().flatten();
        let header = members.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        Ok(header.and_then(|(_, value)| auth::bearer(value.as_str()?)))
    }
}

/// A message of ours.
#[derive(Serialize)]
struct Reply<'a, P> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<P>,
}

struct Socket {
    door: Arc<Door>,
    socket: WebSocket,
    operations: StreamMap<String, BoxStream<'static, Step>>,
    last_frame: Instant,
    next_ping: Instant,
    guest: Arc<Guest>,
    client: IpAddr,
    /// Once it has said who it is.
    user: Option<Principal>,
    _hold: Hold,
}

/// What an acknowledged socket counts as.
struct Place {
    claims: Claims,
    _share: Share<Principal>,
    _visit: Visit,
}

impl Socket {
    fn new(door: Arc<Door>, socket: WebSocket, guest: Arc<Guest>, client: IpAddr, hold: Hold) -> Socket {
        door.state.metrics.sockets.add(1);
        let now = Instant::now();
        let next_ping = now + door.state.limits.ping;
        let operations = StreamMap::new();
        Socket { door, socket, operations, last_frame: now, next_ping, guest, client, user: None, _hold: hold }
    }

    async fn run(mut self) {
        let end = if self.socket.protocol().is_some_and(|protocol| protocol == PROTOCOL) {
            match Box::pin(self.initialise()).await {
                Ok(place) => {
                    let Err(end) = self.serve(place.claims).await;
                    end
                }
                Err(end) => end,
            }
        } else {
            End::close(4406, "Subprotocol not acceptable")
        };
        self.operations.clear();
        match end {
            End::Close(code, reason) => Box::pin(self.close(code, reason)).await,
            End::Gone => Box::pin(self.part()).await,
        }
    }

    /// Waits for `connection_init` with a good token, and acknowledges it.
    async fn initialise(&mut self) -> Result<Place, End> {
        let late = || End::close(4408, "Connection initialisation timeout");
        let deadline = Instant::now() + self.door.state.limits.init;
        let guest = Arc::clone(&self.guest);
        loop {
            // A client that never stops pinging would never let the time-out have its turn.
            if Instant::now() >= deadline {
                return Err(late());
            }
            let door = Arc::clone(&self.door);
            let message = tokio::select! {
                biased;
                () = door.shutdown.requested() => return Err(End::stopping()),
                () = guest.is_sent_away() => {
                    door.state.metrics.count_cut("crowded");
                    return Err(End::crowded());
                }
                message = timeout_at(deadline, self.socket.recv()) => message.map_err(|_| late())?,
            };
            self.last_frame = Instant::now();
            let Some(frame) = Frame::read(message)? else { continue };
            match frame.kind {
                Kind::ConnectionInit => {
                    let claims = authenticate(&door, frame.token()?, self.client).await?;
                    let mut share = door.streams.open(&claims.principal);
                    share.grow(1).map_err(|_| End::close(1013, "Too many streams of this user"))?;
                    let visit = guest.enter().ok_or_else(End::crowded)?;
                    guest.allow(usize::MAX);
                    self.user = Some(claims.principal.clone());
                    self.reply::<()>("connection_ack", None, None).await?;
                    return Ok(Place { claims, _share: share, _visit: visit });
                }
                Kind::Subscribe => return Err(End::close(4401, "Unauthorized")),
                Kind::Ping => self.pong(frame).await?,
                Kind::Pong | Kind::Complete => {}
            }
        }
    }

    /// Runs operations until something ends the socket.
    async fn serve(&mut self, claims: Claims) -> Result<Infallible, End> {
        let door = Arc::clone(&self.door);
        let mut stop = pin!(door.shutdown.requested());
        let mut expiry = pin!(until(&door.state.clock, claims.expires_at));
        let mut alarm = pin!(sleep_until(self.next_alarm()));
        loop {
            // Reading comes before results, so that a `complete` is heard however much an operation has to say.
            tokio::select! {
                biased;
                () = &mut stop => return Err(End::stopping()),
                () = &mut expiry => return Err(Box::pin(self.expire()).await),
                message = self.socket.recv() => {
                    self.last_frame = Instant::now();
                    if let Some(frame) = Frame::read(message)? {
                        Box::pin(self.take(frame, &claims)).await?;
                    }
                }
                Some((id, step)) = self.operations.next(), if !self.operations.is_empty() => Box::pin(self.tell(&id, step)).await?,
                () = &mut alarm => {
                    Box::pin(self.beat()).await?;
                    alarm.as_mut().reset(self.next_alarm());
                }
            }
        }
    }

    async fn take(&mut self, mut frame: Frame, claims: &Claims) -> Result<(), End> {
        match frame.kind {
            Kind::ConnectionInit => Err(End::close(4429, "Too many initialisation requests")),
            Kind::Ping => self.pong(frame).await,
            Kind::Pong => Ok(()),
            Kind::Complete => {
                self.operations.remove(&frame.id()?);
                Ok(())
            }
            Kind::Subscribe => {
                let id = frame.id()?;
                frame.object()?.ok_or_else(End::invalid)?;
                let call: Call =
                    serde_json::from_value(frame.payload.unwrap_or_default()).map_err(|_| End::invalid())?;
                if call.is_empty() {
                    return Err(End::invalid());
                }
                if self.operations.contains_key(&id) {
                    return Err(End::duplicate(&id));
                }
                let limit = self.door.state.limits.operations_per_socket;
                if self.operations.len() >= limit {
                    let text = format!("A socket runs at most {limit} operations at a time.");
                    let answer = Answer::refused("LIMIT_EXCEEDED", text, &self.door.state.metrics);
                    return self.reply("error", Some(&id), Some(&answer.errors)).await;
                }
                // Before the next frame is read: a client that sees a later frame answered knows that it is heard.
                let running = tokio::select! {
                    biased;
                    () = self.door.shutdown.requested() => return Err(End::stopping()),
                    running = start(Arc::clone(&self.door), claims, call) => running,
                };
                self.operations.insert(id, running);
                Ok(())
            }
        }
    }

    async fn tell(&mut self, id: &str, step: Step) -> Result<(), End> {
        match step {
            Step::Next(answer, _) => self.reply("next", Some(id), Some(&answer)).await,
            Step::Fail(answer) => {
                self.operations.remove(id);
                self.reply("error", Some(id), Some(&answer.errors)).await
            }
            Step::Done => {
                self.operations.remove(id);
                self.reply::<()>("complete", Some(id), None).await
            }
        }
    }

    async fn pong(&mut self, frame: Frame) -> Result<(), End> {
        frame.object()?;
        self.reply("pong", None, frame.payload.as_ref()).await
    }

    /// The token has ended: every operation is told, then the socket closes.
    async fn expire(&mut self) -> End {
        let ids: Vec<String> = self.operations.keys().cloned().collect();
        self.operations.clear();
        for id in ids {
            let answer = Answer::unauthenticated(&self.door.state.metrics);
            if let Err(end) = self.reply("error", Some(&id), Some(&answer.errors)).await {
                return end;
            }
        }
        End::forbidden()
    }

    fn next_alarm(&self) -> Instant {
        self.next_ping.min(self.last_frame + self.door.state.limits.silence)
    }

    async fn beat(&mut self) -> Result<(), End> {
        let (now, limits) = (Instant::now(), &self.door.state.limits);
        if now >= self.last_frame + limits.silence {
            self.door.state.metrics.count_cut("half_open");
            return Err(End::close(1013, "Nothing was heard for too long"));
        }
        if now >= self.next_ping {
            self.next_ping = now + limits.ping;
            self.send(Message::Ping(Bytes::new())).await?;
        }
        Ok(())
    }

    async fn reply<P: Serialize>(
        &mut self,
        kind: &'static str,
        id: Option<&str>,
        payload: Option<P>,
    ) -> Result<(), End> {
        let text = serde_json::to_string(&Reply { kind, id, payload }).map_err(|fault| {
            tracing::error!(%fault, "an answer could not be written");
            End::close(1011, "Internal error")
        })?;
        let mut share = self.user.as_ref().map(|user| self.door.answers.open(user));
        if let Some(share) = share.as_mut().filter(|_| text.len() > SMALL) {
            share.grow(text.len()).map_err(|_| End::close(1013, "Too much of this user is under way"))?;
        }
        self.send(Message::Text(text.into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        let metrics = &self.door.state.metrics;
        tokio::select! {
            biased;
            () = self.door.shutdown.requested() => Err(End::stopping()),
            sent = timeout(self.door.state.limits.message, self.socket.send(message)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(End::Gone),
                Err(_) => {
                    metrics.slow_clients.add_one();
                    Err(End::close(1013, "Slow client: a message was not taken in time"))
                }
            },
        }
    }

    /// Says why, and waits a moment for the client's answer: a connection that is dropped with bytes unread loses the reason.
    async fn close(&mut self, code: u16, reason: Cow<'static, str>) {
        let frame = CloseFrame { code, reason: reason.as_ref().into() };
        let farewell = async {
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        // Who does not answer is left all the same.
        let _ = timeout(FAREWELL, farewell).await;
    }

    /// Answers the client's own close: the library has it ready, and writes it when it is read from again.
    async fn part(&mut self) {
        let farewell = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        let _ = timeout(FAREWELL, farewell).await;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.door.state.metrics.sockets.add(-1);
    }
}

/// Is it the size that is wrong? The library's error is of a crate that is not ours to name, so its text has to do; a test holds it.
fn is_too_large(fault: &axum::Error) -> bool {
    fault.to_string().starts_with("Space limit exceeded")
}

/// Whom the token names, if they are somebody.
async fn authenticate(door: &Door, token: Option<&str>, client: IpAddr) -> Result<Claims, End> {
    let nobody = || {
        // The socket closes one way or the other; it is counted, so that the next request over HTTP is told to wait.
        let _ = door.fail(client);
        End::forbidden()
    };
    let (state, token) = (&door.state, token.ok_or_else(nobody)?);
    match state.verifier.enter(&state.services, token, state.clock.now()).await {
        Ok((_, claims)) => Ok(claims),
        Err(Denied::Token(_) | Denied::Nobody) => Err(nobody()),
        Err(Denied::Unjudged | Denied::Fault(_)) => Err(End::close(1013, "Try again later")),
    }
}

/// An operation of a socket. Who asks is looked up when it starts, not when the socket opened; once it runs, nothing is kept of the start.
async fn start(door: Arc<Door>, claims: &Claims, call: Call) -> BoxStream<'static, Step> {
    let metrics = &door.state.metrics;
    let actor = match door.state.verifier.admit(&door.state.services, claims, door.state.clock.now()).await {
        Ok(actor) => actor,
        Err(Denied::Token(_) | Denied::Nobody) => return operation::fail(Answer::unauthenticated(metrics)),
        Err(Denied::Unjudged | Denied::Fault(_)) => return operation::fail(Answer::unavailable(metrics)),
    };
    let too_much = |wait| operation::fail(Answer::too_much(wait, metrics));
    if let Err(wait) = call.charge(&door, &claims.principal) {
        return too_much(wait);
    }
    match Operation::read(call, &door.state).await {
        Ok(mut operation) => {
            if let Err(wait) = operation.charge(&door, &claims.principal) {
                return too_much(wait);
            }
            operation::start(Arc::clone(&door), operation, Session::new(actor, claims.expires_at), None).await
        }
        Err(answer) => operation::fail(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_duplicate_fits_into_a_close_frame() {
        for id in ["1".to_owned(), "ä".repeat(300), "x".repeat(300)] {
            let End::Close(code, reason) = End::duplicate(&id) else { panic!("no close") };
            assert_eq!(code, 4409);
            assert!(reason.len() <= REASON_LIMIT && reason.starts_with("Subscriber for "));
        }
    }

    #[test]
    fn the_token_is_found_whatever_the_case_of_its_key() {
        for key in ["Authorization", "authorization", "AUTHORIZATION"] {
            let text = format!(r#"{{"type": "connection_init", "payload": {{"x": 1, "{key}": "Bearer abc"}}}}"#);
            let frame: Frame = serde_json::from_str(&text).unwrap();
            assert_eq!(frame.token().ok().flatten(), Some("abc"));
        }
        let frame: Frame = serde_json::from_str(r#"{"type": "connection_init"}"#).unwrap();
        assert_eq!(frame.token().ok(), Some(None));
    }
}
