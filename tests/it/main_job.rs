//! The main job, end to end: a risky person asks, a security approver who listens decides, the policy's stages follow, access is
//! delivered, and the whole story stands in the log.

use entity::Seconds;
use riskgate::demo::{FINANCE_DATA, WIKI};
use serde_json::{Value, json};

use crate::story;

const FOLLOW: &str = "subscription($after: String) { pendingRiskApprovalCreated(after: $after) { cursor
    stage { id status source evaluation { level reason } request { id requestor { displayName } } } } }";

async fn activities(world: &crate::support::World, request: &Value) -> Vec<String> {
    let query = "query($id: ID!) { auditEvents(first: 100, filter: { requestId: $id }) { nodes { activity } } }";
    let page = world.person("ada").data(query, json!({ "id": request })).await;
    let nodes = page["auditEvents"]["nodes"].as_array().expect("nodes").clone();
    nodes.iter().rev().map(|node| node["activity"].as_str().expect("a text").to_owned()).collect()
}

story!(a_risky_person_is_approved_and_gets_the_access, |world| {
    let (alice, sam, mona, pat) =
        (world.person("alice"), world.person("sam"), world.person("mona"), world.person("pat"));
    let mut listening = sam.connect().await.subscribe(FOLLOW, json!({})).await;
    listening.is_silent().await;

    let request = alice.asks_for(FINANCE_DATA).await;
    assert_eq!(request["state"], "PENDING_APPROVAL");
    assert_eq!(request["stages"].as_array().map(Vec::len), Some(2), "the risk stage is not hers to see");
    assert_eq!(request["currentStage"], Value::Null);

    let event = listening.event().await;
    let stage = &event["pendingRiskApprovalCreated"]["stage"];
    assert_eq!(stage["request"]["id"], request["id"]);
    assert_eq!(stage["evaluation"]["level"], "HIGH");
    assert_eq!(
        mona.is_refused(&request["stages"][0]["id"]).await,
        "NOT_FOUND",
        "her turn has not come, and she cannot see it"
    );

    let after = sam.approves(&stage["id"]).await;
    assert_eq!(after["currentStage"]["kind"], "POLICY");
    let after = mona.approves(&after["currentStage"]["id"]).await;
    let after = pat.approves(&after["currentStage"]["id"]).await;
    assert_eq!((&after["state"], &after["outcome"]), (&json!("DELIVERED"), &json!("DELIVERED")));
    assert_eq!(after["assignment"]["state"], "DELIVERED");

    assert_eq!(
        activities(world, &request["id"]).await,
        [
            "User requests access package assignment",
            "Evaluate risk for access package assignment request",
            "Evaluate risk for access package assignment request",
            "Create request approval",
            "Approval stage completed for access package assignment request",
            "Create request approval",
            "Approval stage completed for access package assignment request",
            "Create request approval",
            "Approval stage completed for access package assignment request",
            "Approve access package assignment request",
            "Fulfill access package assignment",
            "Fulfill access package assignment request",
        ]
    );
});

story!(a_risky_person_is_denied, |world| {
    let (alice, sofia) = (world.person("alice"), world.person("sofia"));
    let request = alice.asks_for(FINANCE_DATA).await;
    let seen = sofia.request(&request["id"]).await;
    assert_eq!(seen["stages"].as_array().map(Vec::len), Some(3));
    let denied = sofia.denies(&seen["currentStage"]["id"]).await;
    assert_eq!((&denied["state"], &denied["outcome"]), (&json!("DENIED"), &json!("DENIED_BY_RISK_APPROVER")));
    let told = alice.request(&request["id"]).await;
    assert_eq!(told["outcome"], "DENIED_BY_APPROVER", "she is not told that risk had a part in it");
    assert_eq!(told["assignment"], Value::Null);
});

story!(nobody_decides_and_the_request_is_denied_at_its_deadline, |world| {
    let (alice, sam) = (world.person("alice"), world.person("sam"));
    let request = alice.asks_for(WIKI).await;
    let stage = sam.request(&request["id"]).await["currentStage"]["id"].clone();
    world.pass(Seconds(14 * 86_400 - 1)).await;
    assert_eq!(sam.request(&request["id"]).await["state"], "PENDING_APPROVAL", "a second is left");
    world.clock.advance(Seconds(1));
    assert_eq!(sam.is_refused(&stage).await, "STAGE_NOT_PENDING", "the clockwork has not run, but the time is over");
    assert!(world.run_due().await > 0);
    let seen = sam.request(&request["id"]).await;
    assert_eq!((&seen["state"], &seen["outcome"]), (&json!("DENIED"), &json!("RISK_APPROVAL_TIMED_OUT")));
});

story!(somebody_without_risk_gets_what_needs_no_approval_at_once, |world| {
    let request = world.person("bob").asks_for(WIKI).await;
    assert_eq!((&request["state"], &request["outcome"]), (&json!("DELIVERED"), &json!("DELIVERED")));
    assert!(
        activities(world, &request["id"]).await.contains(&"Auto approve access package assignment request".to_owned())
    );
});
