//! Subscriptions: who hears what, and that nothing is lost and nothing comes twice.

mod end;
mod pending;
mod promise;
mod thousand;
mod update;

use entity::{EventId, LogId, deployment};
use riskgate::service::CursorKey;
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::support::{Person, Subscription, World};

const PENDING: &str = "subscription($after: String, $sources: [RiskSource!]) {
    pendingRiskApprovalCreated(after: $after, sources: $sources) { cursor occurredAt
        stage { id kind source status position isAssignedToViewer decidedBy { id } evaluation { level }
            request { id state requestor { displayName } } } } }";

const UPDATED: &str = "subscription($id: ID!, $after: String) { accessRequestUpdated(requestId: $id, after: $after) {
    cursor occurredAt request { id state outcome stages { kind status } currentStage { id kind } riskEvaluations { level } } } }";

/// Follows the risk stages that wait for somebody.
async fn follows_pending(person: &Person, variables: Value) -> Subscription {
    person.connect().await.subscribe(PENDING, variables).await
}

/// The next of them.
async fn pending(listening: &mut Subscription) -> Value {
    listening.event().await["pendingRiskApprovalCreated"].clone()
}

/// Follows one request.
async fn follows(person: &Person, request: &Value, after: Option<&Value>) -> Subscription {
    person.connect().await.subscribe(UPDATED, json!({ "id": request, "after": after })).await
}

/// The next change of it.
async fn update(listening: &mut Subscription) -> Value {
    listening.event().await["accessRequestUpdated"].clone()
}

/// What the risk stage of a request is called; somebody who sees it says.
async fn current_stage(person: &Person, request: &Value) -> Value {
    person.request(request).await["currentStage"]["id"].clone()
}

/// Cursors that do not belong: of another log, of an older generation, above the head.
async fn foreign_cursors(world: &World) -> [String; 3] {
    let connection = world.database.connect().await;
    let row = deployment::Entity::find_by_id(1).one(&connection).await.expect("an answer").expect("the installation");
    connection.close().await.expect("the connection closes");
    let head = world.snapshot().await.head.position;
    let key = |log_id: LogId, generation: i64| {
        CursorKey::new(&deployment::Model { log_id, generation, ..row.clone() }).expect("a key")
    };
    [
        key(LogId::new(), row.generation).seal(1),
        key(row.log_id, row.generation - 1).seal(1),
        key(row.log_id, row.generation).seal(head + 1),
    ]
}

/// A cursor of the events' list, which is one of the log as well.
async fn newest_event(person: &Person) -> (EventId, Value) {
    let page = person.data("{ auditEvents(first: 1) { nodes { id cursor } } }", Value::Null).await;
    let node = &page["auditEvents"]["nodes"][0];
    let id = node["id"].as_str().expect("an id").parse().expect("an id of an event");
    (id, node["cursor"].clone())
}
