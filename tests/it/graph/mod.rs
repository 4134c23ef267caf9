//! Microsoft Graph, real HTTP, and everything that can go wrong with it.

mod check;
mod client;
mod cross;
mod fault;
mod pace;
mod people;
mod risk;
mod sweep;

use std::time::Duration;

use entity::Seconds;
use riskgate::app::GraphSetup;
use riskgate::config::GraphConfig;
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

/// A Graph that is not waited for long where it says nothing.
fn impatient(config: GraphConfig) -> GraphSetup {
    GraphSetup { config, time_limit: Duration::from_millis(300) }
}

/// Nothing goes wrong any more, and everybody's risk is read; where the machine is too busy for a client that is impatient, later.
async fn recovers(world: &World, graph: &FakeGraph) {
    graph.recover();
    until("everybody's risk is read", async || {
        // Longer than it was ever told to wait.
        world.clock.advance(Seconds(61));
        while_time_passes(world, world.services().sweep_risk()).await.is_ok_and(|(swept, _)| swept)
    })
    .await;
}

/// Waits until something is so, at whatever pace the machine has.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..1_500 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}: it does not come about");
}

/// Lets the clock run while somebody waits for it, and no sooner.
async fn while_time_passes<T>(world: &World, work: impl Future<Output = T>) -> T {
    ticking(world, Duration::from_millis(100), work).await
}

/// The same at this pace where somebody waits for longer. Whoever waited for a second only goes on before the next one.
async fn ticking<T>(world: &World, second: Duration, work: impl Future<Output = T>) -> T {
    const LOOK: Duration = Duration::from_millis(2);
    let clock = world.clock.clone();
    let passing = async {
        loop {
            tokio::time::sleep(LOOK).await;
            if clock.is_awaited() {
                clock.advance(Seconds(1));
                let mut left = second;
                while clock.is_awaited() && left > Duration::ZERO {
                    tokio::time::sleep(LOOK).await;
                    left = left.saturating_sub(LOOK);
                }
            }
        }
    };
    while_passing(work, passing).await
}

/// Lets the clock run so slowly that a question arrives in the second in which it was sent, also on a machine that is busy.
async fn while_time_passes_slowly<T>(world: &World, work: impl Future<Output = T>) -> T {
    const SECOND: Duration = Duration::from_millis(700);
    let clock = world.clock.clone();
    let passing = async {
        tokio::time::sleep(SECOND).await;
        loop {
            tokio::time::sleep(SECOND).await;
            clock.advance(Seconds(1));
        }
    };
    while_passing(work, passing).await
}

async fn while_passing<T>(work: impl Future<Output = T>, passing: impl Future<Output = ()>) -> T {
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
