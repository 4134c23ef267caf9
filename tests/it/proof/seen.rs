//! A decision binds to what was seen.

use riskgate::demo::{FINANCE_DATA, WIKI};
use serde_json::{Value, json};

use super::current;
use crate::story;
use crate::support::{Person, World};

/// The ids of the readings that a stage shows: the first and the newest.
async fn readings(person: &Person, stage: &Value) -> (Value, Value) {
    let query =
        "query($id: ID!) { node(id: $id) { ... on RiskApprovalStage { evaluation { id } latestEvaluation { id } } } }";
    let node = person.data(query, json!({ "id": stage })).await["node"].clone();
    (node["evaluation"]["id"].clone(), node["latestEvaluation"]["id"].clone())
}

/// The first error of a decision that says what was seen: code and field; null where there was none.
async fn decides(person: &Person, stage: &Value, decision: &str, seen: &Value) -> Value {
    let query = "mutation($input: DecideApprovalStageInput!) { decideApprovalStage(input: $input) {
        stage { status } userErrors { code field } } }";
    let input =
        json!({ "stageId": stage, "decision": decision, "justification": "Seen.", "expectedEvaluationId": seen });
    person.data(query, json!({ "input": input })).await["decideApprovalStage"]["userErrors"][0].clone()
}

fn at_the_reading(code: &str) -> Value {
    json!({ "code": code, "field": ["expectedEvaluationId"] })
}

/// Somebody's stage, LOW at first.
async fn low(world: &World, name: &str) -> Value {
    world.controls(json!({ "riskLevels": ["LOW", "MEDIUM", "HIGH"] })).await;
    world.risk(name, "LOW").await;
    let request = world.person(name).asks_for(FINANCE_DATA).await;
    current(world, &request).await
}

story!(a_newer_reading_makes_a_decision_stale_and_none_does_not, |world| {
    let (sofia, sam) = (world.person("sofia"), world.person("sam"));
    let stage = low(world, "bob").await;
    let (first, none) = readings(&sofia, &stage).await;
    assert!(none.is_null());
    world.risk("bob", "HIGH").await;
    world.follow_risk().await;
    let (kept, newest) = readings(&sofia, &stage).await;
    assert_eq!(kept, first);
    for decision in ["APPROVE", "DENY"] {
        assert_eq!(decides(&sofia, &stage, decision, &first).await, at_the_reading("STALE_VERSION"));
    }
    world.risk("bob", "MEDIUM").await;
    world.follow_risk().await;
    assert_eq!(
        decides(&sofia, &stage, "APPROVE", &newest).await,
        at_the_reading("STALE_VERSION"),
        "that one is old too"
    );
    assert_eq!(world.whole_stage(&stage).await["status"], "PENDING", "nothing was done");
    let (_, newest) = readings(&sofia, &stage).await;
    assert_eq!(decides(&sam, &stage, "APPROVE", &newest).await, Value::Null);
    assert_eq!(world.whole_stage(&stage).await["status"], "APPROVED");

    let other = low(world, "carol").await;
    assert_eq!(
        decides(&sofia, &other, "DENY", &readings(&sofia, &other).await.0).await,
        Value::Null,
        "the first is the newest"
    );
});

story!(a_reading_of_anything_else_is_not_found, |world| {
    let sofia = world.person("sofia");
    // Mallory has a stage of each source.
    let request = world.person("mallory").asks_for(FINANCE_DATA).await;
    let seen = world.whole(&request).await;
    let (own, insider) = (&seen["stages"][0]["id"], &seen["stages"][1]["id"]);
    let alice = current(world, &world.person("alice").asks_for(WIKI).await).await;
    let of_insider = readings(&sofia, insider).await.0;
    let of_alice = readings(&sofia, &alice).await.0;
    for id in [of_insider, of_alice, json!("evl_00000000-0000-4000-8000-000000000000"), json!("nonsense"), own.clone()]
    {
        assert_eq!(decides(&sofia, own, "APPROVE", &id).await, at_the_reading("NOT_FOUND"), "{id}");
    }
    // A stage of the policy has no reading; who is no approver is told that first.
    let policy = json!(seen["stages"][2]["id"]);
    let first = readings(&sofia, own).await.0;
    assert_eq!(decides(&world.person("rhea"), own, "APPROVE", &first).await["code"], "NOT_AN_APPROVER");
    assert_eq!(decides(&world.person("mona"), &policy, "APPROVE", &first).await["code"], "NOT_FOUND");
    assert_eq!(decides(&sofia, own, "APPROVE", &first).await, Value::Null);
    world.person("cora").approves(insider).await;
    assert_eq!(decides(&world.person("mona"), &policy, "APPROVE", &first).await, at_the_reading("NOT_FOUND"));
    assert_eq!(decides(&world.person("mona"), &policy, "APPROVE", &Value::Null).await, Value::Null);
});

story!(each_decision_of_a_batch_binds_for_itself, |world| {
    let sofia = world.person("sofia");
    let (one, other) = (low(world, "bob").await, low(world, "carol").await);
    let (of_one, of_other) = (readings(&sofia, &one).await.0, readings(&sofia, &other).await.0);
    world.risk("bob", "HIGH").await;
    world.follow_risk().await;
    let query = "mutation($input: [DecideApprovalStageInput!]!) { decideApprovalStages(input: $input) {
        stage { status } userErrors { code field } } }";
    let item = |stage: &Value, seen: &Value| json!({ "stageId": stage, "decision": "APPROVE", "justification": "Seen.", "expectedEvaluationId": seen });
    let done = sofia.data(query, json!({ "input": [item(&one, &of_one), item(&other, &of_other)] })).await;
    let wanted = json!([
        { "stage": null, "userErrors": [{ "code": "STALE_VERSION", "field": ["0", "expectedEvaluationId"] }] },
        { "stage": { "status": "APPROVED" }, "userErrors": [] },
    ]);
    assert_eq!(done["decideApprovalStages"], wanted);
});
