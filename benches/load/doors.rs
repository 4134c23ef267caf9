//! What exactness costs: the same page asked for with a document never seen before, with one that was seen, and of a bare axum handler
//! that knows the token, runs the same SQL and writes the same bytes. Rounds alternate. And where a request's time goes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use riskgate::app::App;
use riskgate::auth::bearer;
use riskgate::graphql::document::{Documents, Limits};
use riskgate::graphql::{self, Session};
use riskgate::service::PageInput;
use serde::Serialize;
use serde_json::json;

use crate::client::spread;
use crate::seed::World;
use crate::{Failure, Line};

const PAGE: &str = "{ pendingRiskApprovals(first: 20) { nodes { id pendingSince dueAt } } }";
/// Rounds, and requests of each contender in a round.
const ROUNDS: usize = 20;
const REQUESTS: usize = 100;

#[derive(Serialize)]
struct Node {
    id: String,
    #[serde(rename = "pendingSince")]
    pending_since: Option<String>,
    #[serde(rename = "dueAt")]
    due_at: Option<String>,
}

async fn nodes(app: &App, token: &str) -> Result<Vec<Node>, Failure> {
    let issuer = app.issuer.as_ref().ok_or("no issuer")?;
    let claims = issuer.verify(token, app.services.now()).map_err(|fault| fault.to_string())?;
    let actor = app.services.actor(&claims.principal).await.map_err(|fault| format!("{fault:?}"))?.ok_or("nobody")?;
    let page = PageInput { first: Some(20), ..PageInput::default() };
    let listing =
        app.services.pending_risk_approvals(&actor, None, &page).await.map_err(|fault| format!("{fault:?}"))?;
    let node = |(_, row): (String, riskgate::service::StageRow)| Node {
        id: row.stage.id.to_string(),
        pending_since: row.stage.pending_since.map(|at| at.rfc3339()),
        due_at: row.stage.due_at.map(|at| at.rfc3339()),
    };
    Ok(listing.items.into_iter().map(node).collect())
}

async fn bare(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer).unwrap_or_default();
    // Reads its body as any handler would.
    let _: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    match nodes(&app, token).await {
        Ok(nodes) => {
            let json = serde_json::to_vec(&json_of(&nodes)).unwrap_or_default();
            ([(CONTENT_TYPE, "application/json; charset=utf-8")], json).into_response()
        }
        Err(fault) => fault.to_string().into_response(),
    }
}

#[derive(Serialize)]
struct Data<'a> {
    data: Root<'a>,
}

#[derive(Serialize)]
struct Root<'a> {
    #[serde(rename = "pendingRiskApprovals")]
    page: Nodes<'a>,
}

#[derive(Serialize)]
struct Nodes<'a> {
    nodes: &'a [Node],
}

fn json_of(nodes: &[Node]) -> Data<'_> {
    Data { data: Root { page: Nodes { nodes } } }
}

/// Asks of each contender in turn; nothing else may run meanwhile.
pub async fn measure(app: &Arc<App>, world: &World, lines: &mut Vec<Line>) -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let bare_address = listener.local_addr()?;
    let router = Router::new().route("/graphql", post(bare)).with_state(app.clone());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    riskgate::outbound::choose_cryptography();
    let http = reqwest::Client::builder().pool_max_idle_per_host(1).build()?;
    let token = &world.security.token;
    let ask = async |address: SocketAddr, query: &str| {
        let asked = Instant::now();
        let request =
            http.post(format!("http://{address}/graphql")).bearer_auth(token).json(&json!({ "query": query }));
        let bytes = request.send().await?.bytes().await?;
        Ok::<_, Failure>((bytes, asked.elapsed()))
    };
    let (ours, _) = ask(app.address, PAGE).await?;
    let (theirs, _) = ask(bare_address, PAGE).await?;
    if ours != theirs {
        return Err(format!("not the same bytes: {ours:?}, {theirs:?}").into());
    }
    let (mut new, mut seen, mut handler) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for at in 0..REQUESTS {
            let query = format!("{PAGE} # {round} {at}");
            new.push(ask(app.address, &query).await?.1);
        }
        for _ in 0..REQUESTS {
            seen.push(ask(app.address, PAGE).await?.1);
        }
        for _ in 0..REQUESTS {
            handler.push(ask(bare_address, PAGE).await?.1);
        }
    }
    serving.abort();
    lines.push(("the same page, a document never seen".to_owned(), spread(&new)));
    lines.push(("the same page, a document that was seen".to_owned(), spread(&seen)));
    lines.push(("the same page, a bare axum handler".to_owned(), spread(&handler)));
    parts(app, world, lines).await
}

/// The parts of a request's time, each in a loop of its own.
async fn parts(app: &Arc<App>, world: &World, lines: &mut Vec<Line>) -> Result<(), Failure> {
    let documents = Arc::new(Documents::new(&graphql::sdl(), Limits::default(), None)?);
    let schema = graphql::schema(app.services.clone());
    let claims = app.issuer.as_ref().ok_or("no issuer")?.verify(&world.security.token, app.services.now());
    let claims = claims.map_err(|fault| fault.to_string())?;
    let actor = app.services.actor(&claims.principal).await.map_err(|fault| format!("{fault:?}"))?.ok_or("nobody")?;
    let (mut read, mut plan, mut run, mut sql, mut write) = <(Vec<_>, Vec<_>, Vec<_>, Vec<_>, Vec<_>)>::default();
    let timed = |times: &mut Vec<Duration>, begin: Instant| times.push(begin.elapsed());
    for at in 0..ROUNDS * REQUESTS {
        let query = format!("{PAGE} # {at}");
        let begin = Instant::now();
        let (document, _) = documents.find(&query).map_err(|refusal| format!("{refusal:?}"))?;
        timed(&mut read, begin);

        let begin = Instant::now();
        let mut call = documents.call(document, None, &Default::default()).map_err(|refusal| format!("{refusal:?}"))?;
        let request = call.request().map_err(|refusal| format!("{refusal:?}"))?;
        timed(&mut plan, begin);

        let session = Arc::new(Session::new(actor.clone(), claims.expires_at));
        let begin = Instant::now();
        let response = schema.execute(request.data(session)).await;
        timed(&mut run, begin);

        let begin = Instant::now();
        std::hint::black_box(serde_json::to_vec(&response)?);
        timed(&mut write, begin);

        let page = PageInput { first: Some(20), ..PageInput::default() };
        let begin = Instant::now();
        let listing = app.services.pending_risk_approvals(&actor, None, &page).await;
        std::hint::black_box(listing.map_err(|fault| format!("{fault:?}"))?);
        timed(&mut sql, begin);
    }
    for (what, times) in [
        ("of that: parse and validate a document never seen", read),
        ("of that: coerce and plan", plan),
        ("of that: SQL of the page", sql),
        ("of that: run, SQL included", run),
        ("of that: write", write),
    ] {
        lines.push((what.to_owned(), spread(&times)));
    }
    Ok(())
}
