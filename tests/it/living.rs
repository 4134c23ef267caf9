//! Risk that lives: it is read again before access is delivered, and a rise adds a stage.

use riskgate::demo::{FINANCE_DATA, WIKI};
use serde_json::{Value, json};

use crate::story;
use crate::support::World;

/// Kind and status of each stage of a request, in order.
async fn way(world: &World, request: &Value) -> Vec<(String, String)> {
    let seen = world.whole(request).await;
    let stages = seen["stages"].as_array().expect("stages").clone();
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    stages.iter().map(|stage| (word(&stage["kind"]), word(&stage["status"]))).collect()
}

/// The same, written down.
fn words(way: &[(&str, &str)]) -> Vec<(String, String)> {
    way.iter().map(|(kind, status)| ((*kind).to_owned(), (*status).to_owned())).collect()
}

/// The stage whose turn it is.
async fn current(world: &World, request: &Value) -> Value {
    world.whole(request).await["currentStage"]["id"].clone()
}

story!(what_rose_since_the_submission_is_asked_for_before_access_is_delivered, |world| {
    let request = world.person("bob").asks_for(FINANCE_DATA).await;
    world.person("mona").approves(&current(world, &request).await).await;
    world.risk("bob", "HIGH").await;
    let answered = world.person("pat").approves(&current(world, &request).await).await;
    assert_eq!(answered["state"], "PENDING_APPROVAL", "the last approval of the policy is not the last");
    let found = way(world, &request).await;
    assert_eq!(
        found,
        words(&[("POLICY", "APPROVED"), ("POLICY", "APPROVED"), ("ID_PROTECTION_RISK", "PENDING")]),
        "no stage was undecided: the new one is last"
    );
    let snapshot = world.snapshot().await;
    let told = snapshot.told_of(&request);
    let last: Vec<_> = told.iter().rev().take(4).rev().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(last, ["RISK_EVALUATED", "STAGE_APPROVED", "STAGE_INSERTED", "STAGE_PENDING"]);
    let inserted = &told[told.len() - 2].1;
    assert_eq!(inserted["Reason"], "The ID Protection level HIGH is one of the selected ones (MEDIUM, HIGH).");
    assert_eq!((&inserted["RiskSource"], &inserted["RiskLevel"]), (&json!("ID_PROTECTION"), &json!("HIGH")));
    assert_eq!(world.person("sofia").approves(&current(world, &request).await).await["state"], "DELIVERED");
});

story!(an_approval_covers_what_it_saw_and_a_higher_reading_asks_again, |world| {
    // Mallory is MEDIUM and ELEVATED; Wiki asks for nothing else.
    let request = world.person("mallory").asks_for(WIKI).await;
    world.person("sam").approves(&current(world, &request).await).await;
    world.risk("mallory", "HIGH").await;
    let answered = world.person("cora").approves(&current(world, &request).await).await;
    assert_eq!(answered["state"], "PENDING_APPROVAL");
    let found = way(world, &request).await;
    assert_eq!(
        found,
        words(&[("ID_PROTECTION_RISK", "APPROVED"), ("INSIDER_RISK", "APPROVED"), ("ID_PROTECTION_RISK", "PENDING")])
    );
    // A fall removes nothing by itself.
    world.risk("mallory", "NONE").await;
    assert_eq!(way(world, &request).await, found);
    world.risk("mallory", "HIGH").await;
    assert_eq!(world.person("sofia").approves(&current(world, &request).await).await["state"], "DELIVERED");
});

story!(a_reading_no_higher_than_what_was_approved_changes_nothing_and_the_log_says_when_it_was_made, |world| {
    let request = world.person("alice").asks_for(WIKI).await;
    world.risk("alice", "MEDIUM").await;
    assert_eq!(world.person("sofia").approves(&current(world, &request).await).await["state"], "DELIVERED");
    let told = world.snapshot().await.told_of(&request);
    let approved = told.iter().find(|(kind, _)| kind == "REQUEST_APPROVED").expect("approved");
    assert_eq!(approved.1["RiskReadAt"], world.now().rfc3339());
    let read: Vec<_> = told
        .iter()
        .filter(|(kind, _)| kind == "RISK_EVALUATED")
        .map(|(_, details)| details["RiskLevel"].clone())
        .collect();
    assert_eq!(read, ["HIGH", "NONE", "MEDIUM"], "what says nothing new is not told again");
});

story!(a_control_that_reads_at_submission_only_does_just_that, |world| {
    world.controls(json!({ "reevaluation": "AT_SUBMISSION" })).await;
    let request = world.person("bob").asks_for(FINANCE_DATA).await;
    world.risk("bob", "HIGH").await;
    world.person("mona").approves(&current(world, &request).await).await;
    assert_eq!(world.person("pat").approves(&current(world, &request).await).await["state"], "DELIVERED");
    let query = "{ controlConfigurations { version ... on IdProtectionRiskApproval { reevaluation }
        ... on InsiderRiskApproval { reevaluation } } }";
    let controls = world.person("ines").data(query, Value::Null).await["controlConfigurations"].clone();
    assert_eq!(controls[0]["reevaluation"], "AT_SUBMISSION");
    assert_eq!(controls[1]["reevaluation"], "BEFORE_DELIVERY", "the default");
});
