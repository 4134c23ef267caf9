//! What orchestrators and monitors ask. Nobody needs a token here, so nothing is told that is not harmless.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::Door;

/// How long the database may take to say that it is well.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process runs.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// Requests can be served: the database answers, and nobody has asked to stop.
pub(super) async fn ready(State(door): State<Arc<Door>>) -> (StatusCode, &'static str) {
    if door.shutdown.is_requested() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    let why = match tokio::time::timeout(PATIENCE, door.state.services.readiness()).await {
        Ok(Ok(())) => return (StatusCode::OK, "ok\n"),
        Ok(Err(why)) => why,
        Err(_) => "the database does not answer in time".to_owned(),
    };
    tracing::warn!(why, "not ready");
    (StatusCode::SERVICE_UNAVAILABLE, "the database cannot be used\n")
}

/// The numbers.
pub(super) async fn metrics(State(door): State<Arc<Door>>) -> impl IntoResponse {
    let (metrics, services) = (&door.state.metrics, &door.state.services);
    let (plans, groups) = services.commit_counts();
    metrics.commits.set(i64::try_from(plans).unwrap_or(i64::MAX));
    metrics.commit_groups.set(i64::try_from(groups).unwrap_or(i64::MAX));
    metrics.log_head.set(services.head());
    let kept = door.state.documents.size();
    metrics.documents_kept.set(i64::try_from(kept.documents).unwrap_or(i64::MAX));
    metrics.documents_bytes.set(i64::try_from(kept.bytes).unwrap_or(i64::MAX));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render())
}
