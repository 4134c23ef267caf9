//! What a submission costs where ID Protection's risk comes from Microsoft Graph, beside the built-in source. Graph is a stand-in on
//! this machine that answers at once: what is measured is our own part, with a complete reading of everybody that is young.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::Uri;
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

use crate::client::{Question, ask};
use crate::place::{Place, Server};
use crate::seed::World;
use crate::{Failure, Line};

/// Each of the two is measured so often, in turn.
const ROUNDS: usize = 3;

/// A tenant in which everybody of the list is at risk.
struct StandIn {
    base: String,
    server: tokio::task::JoinHandle<()>,
}

impl StandIn {
    async fn start(world: &World) -> Result<StandIn, Failure> {
        let risky: Vec<Value> = world
            .risky
            .iter()
            .map(|person| json!({ "id": person.id.0, "riskLevel": "high", "riskState": "atRisk", "isDeleted": false, "isProcessing": false }))
            .collect();
        let risky = Arc::new(json!({ "value": risky }));
        let answer = move |uri: Uri| {
            let risky = Arc::clone(&risky);
            async move {
                if uri.path().ends_with("/token") {
                    let token = json!({ "token_type": "Bearer", "expires_in": 3_599, "access_token": "opaque" });
                    return Json(token).into_response();
                }
                if uri.path().ends_with("/riskyUsers") {
                    return Json(Value::clone(&risky)).into_response();
                }
                let nobody = json!({ "error": { "code": "ResourceNotFound", "message": "Nobody." } });
                (axum::http::StatusCode::NOT_FOUND, Json(nobody)).into_response() as Response
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(async move {
            // It ends with the program.
            let _ = axum::serve(listener, Router::new().fallback(answer)).await;
        });
        Ok(StandIn { base, server })
    }

    fn serve(&self, place: &Place) -> Result<Server, Failure> {
        place.serve_with(&[
            ("RISKGATE_GRAPH__TENANT", "bench"),
            ("RISKGATE_GRAPH__CLIENT_ID", "riskgate"),
            ("RISKGATE_GRAPH__CLIENT_SECRET", "secret"),
            ("RISKGATE_GRAPH__AUTHORITY", &self.base),
            ("RISKGATE_GRAPH__BASE_URL", &self.base),
            ("RISKGATE_GRAPH__DIRECTORY", "false"),
            ("RISKGATE_GRAPH__RISK", "true"),
        ])
    }
}

/// Measures both in turn.
pub async fn measure(place: &Place, world: &World, seconds: u64, lines: &mut Vec<Line>) -> Result<(), Failure> {
    let graph = StandIn::start(world).await?;
    let (people, spare, next) = (world.people.clone(), world.spare.clone(), Arc::new(AtomicUsize::new(0)));
    let submit = move || {
        let index = next.fetch_add(1, Ordering::Relaxed);
        // From the other end than what was measured before.
        let package = spare.iter().rev().nth(index / people.len())?;
        let query = "mutation($input: SubmitAccessRequestInput!) { submitAccessRequest(input: $input) { request { id } userErrors { code } } }";
        let input = json!({ "accessPackageId": package.to_string(), "justification": "For my work." });
        Some(Question::new(&people[index % people.len()], query, json!({ "input": input })))
    };
    let mut sums = [Duration::ZERO; 2];
    for _ in 0..ROUNDS {
        for (sum, is_graph) in sums.iter_mut().zip([false, true]) {
            let before = place.count("evaluation WHERE origin = 'SWEEP'").await?;
            let server = if is_graph { graph.serve(place)? } else { place.serve()? };
            if is_graph {
                // The first complete reading of everybody.
                tokio::time::sleep(Duration::from_secs(4)).await;
            }
            let answered = ask(server.address, 1, Duration::from_secs(seconds), submit.clone()).await?;
            if answered.count == 0 {
                return Err("nobody is left who has not asked yet: use more --requests".into());
            }
            *sum += answered.elapsed / u32::try_from(answered.count)?;
            let swept = place.count("evaluation WHERE origin = 'SWEEP'").await? - before;
            if is_graph != (swept > 0) {
                return Err(format!("{swept} readings of a sweep where Graph is the source: {is_graph}").into());
            }
        }
    }
    graph.server.abort();
    let mean = |sum: Duration| sum.as_secs_f64() * 1e3 / ROUNDS as f64;
    let (own, other) = (mean(sums[0]), mean(sums[1]));
    lines.push((
        "submit, 1 client: built-in risk source, and Microsoft Graph after a sweep".to_owned(),
        format!("{own:.2} ms and {other:.2} ms ({:.2} times)", other / own),
    ));
    Ok(())
}
