//! Microsoft Graph, real HTTP, and everything that can go wrong with it.

mod check;
mod client;
mod fault;
mod pace;
mod people;
mod risk;

use std::time::Duration;

use entity::Seconds;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::graph::FakeGraph;
use crate::support::{Person, World};

/// Somebody of the demo world in the tenant.
fn id(world: &World, name: &str) -> Uuid {
    world.person(name).id.0
}

/// The world with a Graph of its own as its risk source, in which these people are at risk; swept once.
async fn watched(world: &mut World, risks: &[(&str, &str)]) -> FakeGraph {
    let graph = FakeGraph::start(&world.clock).await;
    for (name, level) in risks {
        let person = id(world, name);
        graph.change(|tenant| tenant.risk(person, level, "atRisk"));
    }
    world.connects(graph.config()).await;
    world.sweeps().await;
    graph
}

/// Lets the clock run while something waits for it, and no sooner.
async fn while_time_passes<T>(world: &World, work: impl Future<Output = T>) -> T {
    ticking(world, Duration::from_millis(100), work).await
}

/// The same so slowly that a question arrives in the second in which it was sent, also on a machine that is busy.
async fn while_time_passes_slowly<T>(world: &World, work: impl Future<Output = T>) -> T {
    ticking(world, Duration::from_millis(700), work).await
}

async fn ticking<T>(world: &World, second: Duration, work: impl Future<Output = T>) -> T {
    let clock = world.clock.clone();
    let passing = async {
        tokio::time::sleep(second).await;
        loop {
            tokio::time::sleep(second).await;
            clock.advance(Seconds(1));
        }
    };
    tokio::select! {
        done = work => done,
        () = passing => unreachable!("time passes for ever"),
    }
}

/// What ID Protection says of the requestor in a request: level, origin and whether it asked for a stage.
async fn reading(world: &World, request: &Value) -> Value {
    let query = "query($id: ID!) { node(id: $id) { ... on AccessRequest { riskEvaluations {
        id source level origin evaluatedAt sourceUpdatedAt isStageRequired } } } }";
    let seen = world.person("sam").data(query, json!({ "id": request["id"] })).await;
    let all = seen["node"]["riskEvaluations"].as_array().expect("readings").clone();
    all.into_iter().find(|reading| reading["source"] == "ID_PROTECTION").expect("a reading of ID Protection")
}

/// What is shown of somebody's ID Protection risk.
async fn shown(world: &World, name: &str) -> Value {
    let query = "query($id: ID!) { node(id: $id) { ... on User { idProtectionRisk {
        level state detail lastUpdatedAt isDetermined } } } }";
    let person: Person = world.person(name);
    world.person("otto").data(query, json!({ "id": person.user_id() })).await["node"]["idProtectionRisk"].clone()
}

/// How ID Protection does.
async fn status(world: &World) -> Value {
    let query = "{ riskSources { source origin state lastSuccessAt age requestsInLastHour throttlesInLastHour
        openRequestsRoutedOnUndetermined } }";
    world.person("rhea").data(query, Value::Null).await["riskSources"][0].clone()
}
