//! DOOR: routes, negotiation, WebSocket, server-sent events, health, metrics. It turns bytes into operations and answers into
//! bytes, and decides nothing else.
//!
//! Nothing of async-graphql-axum stands here: its answers are always 200 with `data: null`, its WebSocket server closes with other
//! codes than the protocol's, and it has no server-sent events. What it is built on, `execute` and `execute_stream`, is used directly.

mod accept;
mod answer;
mod client;
mod cors;
mod crowd;
mod delivery;
mod explorer;
mod graphql;
mod health;
mod limits;
mod listen;
mod operation;
mod rate;
mod share;
mod sse;
mod tls;
mod turn;
mod wire;
mod ws;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{any, get};
use entity::Timestamp;
use rate::Rates;
use share::Shares;
use turn::Turns;

pub use client::{ForwardedHeader, Proxies};
pub use explorer::{Explorer, Person};
pub use limits::Limits;
pub use listen::serve;
pub use rate::Rate;
pub use tls::{Tls, TlsFiles, check as check_tls};

use crate::auth::{Principal, Verifier};
use crate::clock::Clock;
use crate::lifecycle::Shutdown;
use crate::service::Services;
use crate::telemetry::Metrics;

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
    /// Proxies that are believed.
    pub proxies: Proxies,
    /// How much is taken of anybody.
    pub limits: Limits,
}

/// The state, the wish to stop, and who holds how much.
struct Door {
    state: State,
    shutdown: Shutdown,
    rates: Rates,
    streams: Arc<Shares<Principal>>,
    bodies: Arc<Shares<Principal>>,
    answers: Arc<Shares<Principal>>,
    turns: Turns,
}

/// A body, or an answer, that is no larger takes part in no budget, in bytes: there are no more of them than connections.
const SMALL: usize = 8 * 1024;

/// Bodies that are still arriving: what those of one user, and all together, may hold, in bytes.
const BODIES_PER_USER: usize = 4 * 1024 * 1024;
const BODIES: usize = 16 * 1024 * 1024;

/// The same for answers that are not taken yet.
const ANSWERS_PER_USER: usize = 8 * 1024 * 1024;
const ANSWERS: usize = 32 * 1024 * 1024;

impl Door {
    fn new(state: State, shutdown: Shutdown) -> Door {
        let limits = &state.limits;
        Door {
            rates: Rates::new(limits),
            streams: Shares::new(limits.streams_per_user, usize::MAX),
            bodies: Shares::new(BODIES_PER_USER.max(limits.message_bytes), BODIES.max(limits.message_bytes)),
            answers: Shares::new(ANSWERS_PER_USER, ANSWERS),
            turns: Turns::new(limits.cost_at_once),
            state,
            shutdown,
        }
    }

    /// Somebody at this address is not who they say.
    ///
    /// # Errors
    /// There were too many such: how long to wait.
    fn fail(&self, client: IpAddr) -> Result<(), Duration> {
        self.state.metrics.failed_authentications.add_one();
        self.rates.fail(client, self.state.clock.now())
    }
}

/// Every route.
fn routes(door: Arc<Door>) -> Router {
    let mut router = Router::new()
        .route("/graphql", any(graphql::handle))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .method_not_allowed_fallback(graphql::wrong_method)
        .fallback(graphql::nowhere);
    if door.state.explorer.is_some() {
        router = router.merge(explorer::routes());
    }
    router.with_state(door).layer(map_response(harden))
}

async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
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
