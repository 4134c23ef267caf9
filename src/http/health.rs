//! What orchestrators and monitors ask. Nobody needs a token here, so nothing is told that is not harmless.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::Door;
use crate::service::source::SourceState;

/// How long the database may take to say that it is well.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process runs.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// Requests can be served: the database answers, somebody's token can be judged, and nobody has asked to stop. A provider that is ill
/// is named, but as long as others can be let in it keeps nobody away; a directory that is not kept in step is named too.
pub(super) async fn ready(State(door): State<Arc<Door>>) -> (StatusCode, String) {
    if door.shutdown.is_requested() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned());
    }
    let why = match tokio::time::timeout(PATIENCE, door.state.services.readiness()).await {
        Ok(Ok(())) => {
            let verifier = &door.state.verifier;
            let ailments = verifier.ailments(door.state.clock.now());
            let mut lines: String =
                ailments.iter().map(|ill| format!("issuer {}: {}\n", ill.issuer, ill.why)).collect();
            if let Ok(Ok(ailments)) = tokio::time::timeout(PATIENCE, door.state.services.directory_ailments()).await {
                lines.extend(ailments.iter().map(|why| format!("directory: {why}\n")));
            }
            return match verifier.can_judge(&ailments) {
                true => (StatusCode::OK, format!("ok\n{lines}")),
                false => (StatusCode::SERVICE_UNAVAILABLE, format!("nobody's token can be judged\n{lines}")),
            };
        }
        Ok(Err(why)) => why,
        Err(_) => "the database does not answer in time".to_owned(),
    };
    tracing::warn!(why, "not ready");
    (StatusCode::SERVICE_UNAVAILABLE, "the database cannot be used\n".to_owned())
}

/// The numbers.
pub(super) async fn metrics(State(door): State<Arc<Door>>) -> impl IntoResponse {
    let (metrics, services) = (&door.state.metrics, &door.state.services);
    let (plans, groups) = services.commit_counts();
    metrics.commits.set(i64::try_from(plans).unwrap_or(i64::MAX));
    metrics.commit_groups.set(i64::try_from(groups).unwrap_or(i64::MAX));
    metrics.log_head.set(services.head());
    // Where the database does not say, the last that it said stays.
    if let Ok(Ok(Some((read_at, held_back)))) = tokio::time::timeout(PATIENCE, services.directory_reading()).await {
        metrics.directory_read_at.set(read_at.map_or(0, |at| at.0 / 1_000_000));
        metrics.directory_held_back.set(held_back);
    }
    if services.is_watching() {
        let statuses = tokio::time::timeout(PATIENCE, services.source_statuses()).await;
        for status in statuses.into_iter().flatten().flatten().filter(|status| status.is_asked) {
            metrics.risk_source_age.set(status.age.map_or(-1, |age| age.0));
            metrics.risk_source_is_ok.set(i64::from(status.state == SourceState::Ok));
            metrics.risk_source_requests.set(status.requests);
            metrics.risk_source_throttles.set(status.throttles);
            metrics.risk_source_undetermined.set(status.undetermined);
        }
    }
    let kept = door.state.documents.size();
    metrics.documents_kept.set(i64::try_from(kept.documents).unwrap_or(i64::MAX));
    metrics.documents_bytes.set(i64::try_from(kept.bytes).unwrap_or(i64::MAX));
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render())
}
