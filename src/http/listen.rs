//! Connections: who is let in, which protocol is spoken, and when they are cut.
//!
//! HTTP/1.1 and HTTP/2 are spoken at the same port: over TLS the client says which (ALPN), without TLS its first bytes do ("prior
//! knowledge"). What a connection may cost before anybody knows whose it is: [`HEAD_LIMIT`] bytes and [`Limits::head`] of time.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderValue, Request, Response, StatusCode, Version};
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;
use uuid::Uuid;

use super::crowd::{Crowd, Cut, Guest, Patience};
use super::delivery::{Delivery, PIECE};
use super::tls::{self, Tls};
use super::wire::{self, Wire};
use super::{Door, Limits, State};
use crate::lifecycle::Shutdown;

/// The head of a request, at most, in bytes; also what a connection over HTTP/1.1 buffers in each direction.
pub(super) const HEAD_LIMIT: usize = 16 * 1024;

/// Requests at a time on one connection of HTTP/2.
const STREAMS: u32 = 100;

/// What a client may send ahead over HTTP/2, in bytes: for one request, and for all of a connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// Between two pings over HTTP/2, and for the answer.
const PING: Duration = Duration::from_secs(20);

/// For data to be acknowledged by the client's machine, so that one which has vanished is found.
const ACKNOWLEDGED: Duration = Duration::from_secs(60);

/// For a connection to end once it is asked to, if nothing is being served on it.
const FAREWELL: Duration = Duration::from_secs(1);

/// How many are told at a time that there is no room; the others are cut.
const TOLD: usize = 64;

/// What is left to the rest of the process once the doors are closed.
const AFTER_DOORS: Duration = Duration::from_secs(2);

/// How HTTP/2 begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Who sends a request: an extension of each.
#[derive(Clone)]
pub(super) struct Caller {
    /// The address at the other end of the connection.
    pub peer: IpAddr,
    /// The connection.
    pub guest: Arc<Guest>,
}

/// Everything that a connection needs.
struct House {
    door: Arc<Door>,
    router: Router,
    crowd: Arc<Crowd>,
    tls: Option<Tls>,
    told: Arc<Semaphore>,
}

/// Serves until `shutdown` is asked for, then lets what is running finish: requests are answered, streams end, WebSockets close
/// with 1001.
pub async fn serve(listener: TcpListener, state: State, tls: Option<Tls>, shutdown: Shutdown) {
    let crowd = Crowd::new(&state.limits, Arc::clone(&state.metrics));
    let door = Arc::new(Door::new(state, shutdown.clone()));
    let router = super::routes(Arc::clone(&door));
    let house = Arc::new(House { door, router, crowd, tls, told: Arc::new(Semaphore::new(TOLD)) });
    {
        let mut stop = pin!(shutdown.requested());
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => house.receive(stream, peer),
                Err(fault) => {
                    // Mostly "too many open files": the idle give theirs back, and accepting at once would fail at once.
                    house.crowd.clear();
                    tracing::warn!(%fault, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
    drop(listener);
    if !shutdown.released(shutdown.remaining().saturating_sub(AFTER_DOORS)).await {
        tracing::warn!("some connections did not end in time");
    }
}

impl House {
    fn limits(&self) -> &Limits {
        &self.door.state.limits
    }

    /// How long a connection is waited for that may be idle for so long.
    fn patience(&self, idle: Duration) -> Patience {
        let limits = self.limits();
        Patience { head: limits.head, idle, piece: limits.piece }
    }

    fn cut(&self, reason: &str) {
        self.door.state.metrics.count_cut(reason);
    }

    fn refusal(&self, status: StatusCode, code: &str, message: &str) -> Vec<u8> {
        self.door.state.metrics.count_status(status.as_u16());
        let now = self.door.state.clock.now().datetime();
        wire::refusal(status, code, message, &now.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
    }

    fn receive(self: &Arc<House>, stream: TcpStream, peer: SocketAddr) {
        let peer = peer.ip().to_canonical();
        let is_proxy = self.door.state.proxies.trusts(peer);
        match self.crowd.admit((!is_proxy).then_some(peer)) {
            Some(guest) => drop(tokio::spawn(Arc::clone(self).attend(stream, Caller { peer, guest }))),
            None => self.turn_away(stream),
        }
    }

    /// There is no room.
    fn turn_away(self: &Arc<House>, stream: TcpStream) {
        self.cut("full");
        // Over TLS there would have to be a handshake first, just to say so.
        if self.tls.is_none()
            && let Ok(permit) = Arc::clone(&self.told).try_acquire_owned()
        {
            let told = self.refusal(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "There is no room. Try again.");
            tokio::spawn(async move {
                wire::farewell(Wire::new(stream, None), &told).await;
                drop(permit);
            });
        }
    }

    async fn attend(self: Arc<House>, stream: TcpStream, caller: Caller) {
        let _hold = self.door.shutdown.hold();
        prepare(&stream);
        let guest = Arc::clone(&caller.guest);
        let Some(tls) = self.tls.clone() else {
            return self.converse(Wire::new(stream, Some(guest)), caller, false).await;
        };
        let shaken = tokio::select! {
            shaken = tls.acceptor().accept(stream) => shaken,
            () = self.door.shutdown.requested() => return,
            cut = guest.overdue(self.patience(self.limits().head)) => {
                return self.cut(if cut == Cut::Crowded { "crowded" } else { "handshake" });
            }
        };
        match shaken {
            Ok(stream) => {
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(tls::H2);
                Box::pin(self.converse(Wire::new(stream, Some(guest)), caller, is_http2)).await;
            }
            Err(fault) => {
                tracing::debug!(%fault, "a TLS handshake failed");
                self.cut("handshake");
            }
        }
    }

    async fn converse<S>(self: Arc<House>, mut wire: Wire<S>, caller: Caller, is_http2: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut opening = Vec::new();
        let is_http2 = is_http2
            || tokio::select! {
                found = begins_http2(&mut wire, &mut opening) => found,
                () = self.door.shutdown.requested() => return,
                cut = caller.guest.overdue(self.patience(self.limits().head)) => {
                    return self.leave(cut, wire, !opening.is_empty()).await;
                }
            };
        wire.unread(opening);
        if is_http2 {
            Box::pin(self.http2(wire, caller)).await;
        } else {
            self.http1(wire, caller).await;
        }
    }

    async fn http1<S>(self: Arc<House>, wire: Wire<S>, caller: Caller)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let guest = Arc::clone(&caller.guest);
        let service = service_fn(|request| Arc::clone(&self).answer(request, caller.clone()));
        // Time is kept by `overdue`, which can still answer.
        let mut connection = http1::Builder::new()
            .header_read_timeout(None)
            .max_buf_size(HEAD_LIMIT)
            .serve_connection(TokioIo::new(wire), service)
            .with_upgrades();
        let mut stop = pin!(self.door.shutdown.requested());
        let mut patience = self.patience(self.limits().head);
        let mut is_stopping = false;
        let cut = loop {
            tokio::select! {
                ended = &mut connection => return self.ended(ended),
                () = &mut stop, if !is_stopping => {
                    is_stopping = true;
                    // Who has not asked by now asks no more.
                    patience = Patience { head: FAREWELL, idle: FAREWELL, ..patience };
                    Pin::new(&mut connection).graceful_shutdown();
                }
                cut = guest.overdue(patience) => break cut,
            }
        };
        if is_stopping && cut == Cut::Idle {
            return;
        }
        if let Some(parts) = connection.into_parts() {
            self.leave(cut, parts.io.into_inner(), !parts.read_buf.is_empty()).await;
        }
    }

    async fn http2<S>(self: Arc<House>, wire: Wire<S>, caller: Caller)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let guest = Arc::clone(&caller.guest);
        let service = service_fn(|request| Arc::clone(&self).answer(request, caller.clone()));
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEAD_LIMIT as u32)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(PIECE)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .serve_connection(TokioIo::new(wire), service);
        let mut connection = pin!(connection);
        let mut stop = pin!(self.door.shutdown.requested());
        let mut patience = self.patience(self.limits().idle);
        let mut is_stopping = false;
        let cut = loop {
            tokio::select! {
                ended = &mut connection => return self.ended(ended),
                () = &mut stop, if !is_stopping => {
                    is_stopping = true;
                    // Who has not asked by now asks no more.
                    patience = Patience { head: FAREWELL, idle: FAREWELL, ..patience };
                    connection.as_mut().graceful_shutdown();
                }
                cut = guest.overdue(patience) => break cut,
            }
        };
        self.cut(match cut {
            Cut::Idle => "idle",
            Cut::Slow => "slow_reader",
            Cut::Crowded => "crowded",
        });
        if cut != Cut::Slow {
            connection.as_mut().graceful_shutdown();
            // Nothing is served on it; who does not answer is left.
            let _ = tokio::time::timeout(FAREWELL, connection).await;
        }
    }

    /// Leaves a connection of HTTP/1.1 on which nothing is being served, or whose client does not listen.
    async fn leave<S>(&self, cut: Cut, wire: Wire<S>, has_begun: bool)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match cut {
            Cut::Idle if wire.is_stuck() => self.cut("slow_reader"),
            Cut::Idle if has_begun => {
                self.cut("slow_head");
                let text = "The head of the request did not arrive in time.";
                wire::farewell(wire, &self.refusal(StatusCode::REQUEST_TIMEOUT, "BAD_USER_INPUT", text)).await;
            }
            Cut::Idle => self.cut("idle"),
            Cut::Slow => self.cut("slow_reader"),
            Cut::Crowded => self.cut("crowded"),
        }
    }

    fn ended(&self, ended: Result<(), hyper::Error>) {
        let Err(fault) = ended else { return };
        tracing::debug!(%fault, "a connection broke");
        if fault.is_timeout() {
            self.cut("half_open");
        } else if !fault.is_incomplete_message() && !fault.is_closed() && !is_of_the_network(&fault) {
            self.cut("malformed");
        }
    }

    /// One request.
    async fn answer(
        self: Arc<House>,
        request: Request<Incoming>,
        caller: Caller,
    ) -> Result<Response<Delivery>, Infallible> {
        let metrics = &self.door.state.metrics;
        let Some(visit) = caller.guest.enter() else {
            metrics.count_status(503);
            let body = wire::error_body("UNAVAILABLE", "There is no room for one more request. Try again.");
            return Ok(
                own_answer(StatusCode::SERVICE_UNAVAILABLE, body).map(|body| Delivery::new(body, false, None, None))
            );
        };
        let is_http2 = request.version() == Version::HTTP_2;
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(caller);
        name_host(&mut request);
        let work = AssertUnwindSafe(self.router.clone().oneshot(request)).catch_unwind();
        let mut response = match work.await {
            Ok(Ok(response)) => response,
            Err(_) => {
                metrics.panics.add_one();
                let reference = Uuid::now_v7();
                tracing::error!(%reference, "a request ended in a panic");
                let text = format!("Something went wrong on our side. Reference: {reference}");
                own_answer(StatusCode::INTERNAL_SERVER_ERROR, wire::error_body("INTERNAL", &text))
            }
        };
        metrics.count_status(response.status().as_u16());
        let weight = response.extensions_mut().remove();
        Ok(response.map(|body| Delivery::new(body, is_http2, Some(visit), weight)))
    }
}

fn own_answer(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// HTTP/2 has no `Host`, but the same under another name.
fn name_host(request: &mut Request<Body>) {
    if !request.headers().contains_key(HOST)
        && let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(HOST, host);
    }
}

/// Did the other side go, rather than misbehave?
fn is_of_the_network(fault: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(fault);
    while let Some(inner) = source {
        if inner.is::<std::io::Error>() {
            return true;
        }
        source = inner.source();
    }
    false
}

/// Where the system refuses, small messages are later and vanished machines found later.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(ACKNOWLEDGED));
}

/// Reads as much as it takes to know, and no more.
async fn begins_http2<S: AsyncRead + Unpin>(stream: &mut S, opening: &mut Vec<u8>) -> bool {
    let mut bytes = [0; PREFACE.len()];
    while opening.len() < PREFACE.len() && PREFACE.starts_with(opening) {
        let left = PREFACE.len() - opening.len();
        // What is wrong with the connection is found again when it is served.
        match stream.read(bytes.get_mut(..left).unwrap_or_default()).await {
            Ok(count @ 1..) => opening.extend_from_slice(bytes.get(..count).unwrap_or_default()),
            _ => return false,
        }
    }
    opening == PREFACE
}
