//! DOOR: routes, negotiation, WebSocket, server-sent events, health, metrics. It turns bytes into operations and answers into
//! bytes, and decides nothing else.
//!
//! Nothing of async-graphql-axum stands here: its answers are always 200 with `data: null`, its WebSocket server closes with other
//! codes than the protocol's, and it has no server-sent events. What it is built on, `execute` and `execute_stream`, is used directly.

mod accept;
mod answer;
mod cors;
mod explorer;
mod graphql;
mod health;
mod operation;
mod patience;
mod sse;
mod ws;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{any, get};
use entity::Timestamp;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};

pub use explorer::{Explorer, Person};

use crate::auth::Verifier;
use crate::clock::Clock;
use crate::lifecycle::Shutdown;
use crate::service::Services;
use crate::telemetry::Metrics;

/// The largest request body and the largest WebSocket message, in bytes.
const BODY_LIMIT: usize = 256 * 1024;

/// For the headers of a request to arrive; also how long an idle connection is kept.
const HEADERS_LIMIT: Duration = Duration::from_secs(10);

/// What one connection buffers at most in each direction, in bytes; larger headers are refused with 431.
const BUFFER_LIMIT: usize = 32 * 1024;

/// What is left to the rest of the process once the doors are closed.
const AFTER_DOORS: Duration = Duration::from_secs(2);

/// How often a clock that is moved by hand is asked: it wakes nobody.
const MANUAL_CLOCK_STEP: Duration = Duration::from_millis(20);

/// At most so long a timer trusts that the machine's clock has not jumped.
const CLOCK_STEP: Duration = Duration::from_secs(60);

/// What the doors need.
pub struct State {
    /// The schema that runs the operations.
    pub schema: crate::graphql::Schema,
    /// Reads documents.
    pub documents: Arc<crate::graphql::document::Documents>,
    /// Who is somebody, and can the database be used?
    pub services: Arc<Services>,
    /// Judges tokens.
    pub verifier: Arc<Verifier>,
    /// The time.
    pub clock: Clock,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
    /// GraphiQL at `/`, where it is shown.
    pub explorer: Option<Explorer>,
    /// Origins of web pages that may call.
    pub allowed_origins: Vec<String>,
}

/// The state, and the wish to stop.
struct Door {
    state: State,
    shutdown: Shutdown,
}

/// Serves until `shutdown` is asked for, then lets what is running finish: requests are answered, streams end, WebSockets close
/// with 1001.
pub async fn serve(listener: TcpListener, state: State, shutdown: Shutdown) {
    let router = router(state, shutdown.clone());
    {
        let mut stop = pin!(shutdown.requested());
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => drop(tokio::spawn(connection(stream, router.clone(), shutdown.clone()))),
                Err(fault) => {
                    // Mostly "too many open files": accepting at once would fail at once.
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

/// Every route; what [`serve`] serves, and tests call without a socket.
pub fn router(state: State, shutdown: Shutdown) -> Router {
    let mut router = Router::new()
        .route("/graphql", any(graphql::handle))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics));
    if state.explorer.is_some() {
        router = router.merge(explorer::routes());
    }
    router.with_state(Arc::new(Door { state, shutdown })).layer(map_response(harden))
}

async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn connection(stream: TcpStream, router: Router, shutdown: Shutdown) {
    let _hold = shutdown.hold();
    // Small messages go out at once; where the system refuses, they are only later.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_LIMIT)
        .max_buf_size(BUFFER_LIMIT)
        .serve_connection(TokioIo::new(patience::Patient::new(stream)), TowerToHyperService::new(router))
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.requested() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(fault) = ended {
        tracing::debug!(%fault, "a connection broke");
    }
}

/// Waits until the clock has reached `at`.
async fn until(clock: &Clock, at: Timestamp) {
    loop {
        let left = at.0.saturating_sub(clock.now().0);
        let Ok(micros @ 1..) = u64::try_from(left) else { return };
        let step = if clock.is_system() { Duration::from_micros(micros).min(CLOCK_STEP) } else { MANUAL_CLOCK_STEP };
        tokio::time::sleep(step).await;
    }
}
