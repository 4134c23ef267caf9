//! Who is at risk may deny, and not approve, and is not counted among those who could.

use std::sync::Arc;

use entity::{RiskLevel, Seconds, UserId};
use riskgate::demo::{self, FINANCE_DATA, PRODUCTION_ACCESS, WIKI};
use riskgate::service::Sources;
use riskgate::service::risk::{ObservedFuture, RiskReader};
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel};
use serde_json::{Value, json};

use super::current;
use crate::story;
use crate::support::{Options, World, observed};

/// Who could decide a stage, as it was judged last.
async fn coverage(world: &World, stage: &Value) -> String {
    let snapshot = world.snapshot().await;
    let row = snapshot.stages.values().flatten().find(|row| *stage == row.id.to_string().as_str()).expect("a stage");
    row.coverage.expect("its turn has come").as_str().to_owned()
}

/// The codes of the refusals that the log was told of, with how many it was not told of before.
async fn refusals(world: &World, request: &Value) -> Vec<(Value, Value)> {
    let told = world.snapshot().await.told_of(request);
    let refused = told.into_iter().filter(|(kind, _)| kind == "DECISION_REFUSED");
    refused.map(|(_, details)| (details["Code"].clone(), details["Repeats"].clone())).collect()
}

story!(an_approver_at_risk_may_deny_and_not_approve, |world| {
    let (sofia, sam) = (world.person("sofia"), world.person("sam"));
    let request = world.person("alice").asks_for(FINANCE_DATA).await;
    let stage = current(world, &request).await;
    world.risk("sofia", "MEDIUM").await;
    let refused = sofia.decides(&stage, "APPROVE", Some("Checked.")).await;
    assert_eq!((&refused["stage"], &refused["request"]), (&Value::Null, &Value::Null));
    assert_eq!(refused["userErrors"][0]["code"], "APPROVER_AT_RISK");
    assert_eq!(refused["userErrors"][0]["field"], json!(["stageId"]));
    assert_eq!(world.whole_stage(&stage).await["status"], "PENDING");
    let seen = sofia.request(&request["id"]).await;
    assert_eq!(seen["stages"][0]["isAssignedToViewer"], true, "she may still deny");

    // What stands against an approval anyway is told first: nobody learns of their own risk who could not approve.
    let unwritten = sofia.decides(&stage, "APPROVE", None).await;
    assert_eq!(unwritten["userErrors"][0]["code"], "JUSTIFICATION_REQUIRED");
    world.risk("rhea", "HIGH").await;
    assert_eq!(world.person("rhea").is_refused(&stage).await, "NOT_AN_APPROVER");
    assert_eq!(sofia.is_refused(&seen["stages"][1]["id"]).await, "NOT_AN_APPROVER");

    // LOW is none of the selected levels; a level that is selected meanwhile counts at once.
    world.risk("sam", "LOW").await;
    world.controls(json!({ "riskLevels": ["LOW", "MEDIUM", "HIGH"] })).await;
    assert_eq!(sam.is_refused(&stage).await, "APPROVER_AT_RISK");
    world.controls(json!({ "riskLevels": ["MEDIUM", "HIGH"] })).await;
    assert_eq!(sam.approves(&stage).await["state"], "PENDING_APPROVAL");

    let other = world.person("alice").asks_for(WIKI).await;
    assert_eq!(sofia.denies(&current(world, &other).await).await["outcome"], "DENIED_BY_RISK_APPROVER");
});

story!(a_refusal_for_risk_is_told_to_the_log_once_a_minute, |world| {
    let sofia = world.person("sofia");
    let request = world.person("alice").asks_for(WIKI).await;
    let stage = current(world, &request).await;
    world.risk("sofia", "HIGH").await;
    for _ in 0..3 {
        assert_eq!(sofia.is_refused(&stage).await, "APPROVER_AT_RISK");
    }
    world.clock.advance(Seconds::minutes(1));
    assert_eq!(sofia.is_refused(&stage).await, "APPROVER_AT_RISK");
    let code = json!("APPROVER_AT_RISK");
    assert_eq!(refusals(world, &request).await, [(code.clone(), json!(0)), (code, json!(2))]);
    // The risk is gone: the same person approves.
    world.risk("sofia", "NONE").await;
    assert_eq!(sofia.approves(&stage).await["state"], "DELIVERED");
});

story!(each_source_asks_its_own_and_a_control_that_does_not_ask_refuses_nobody, |world| {
    let (sofia, cora) = (world.person("sofia"), world.person("cora"));
    let request = world.person("mallory").asks_for(WIKI).await;
    let first = current(world, &request).await;
    // Insider risk is nothing to ID Protection's stage, and the other way round.
    world.insider_risk("sofia", "ELEVATED", None).await;
    world.risk("cora", "HIGH").await;
    sofia.approves(&first).await;
    let second = current(world, &request).await;
    assert_eq!(cora.approves(&second).await["state"], "DELIVERED");

    world.risk("sofia", "HIGH").await;
    for (package, setting) in
        [(FINANCE_DATA, json!({ "refuseRiskyApprovers": false })), (PRODUCTION_ACCESS, json!({ "isEnabled": false }))]
    {
        let request = world.person("alice").asks_for(package).await;
        let stage = current(world, &request).await;
        assert_eq!(sofia.is_refused(&stage).await, "APPROVER_AT_RISK", "on by default");
        world.controls(setting).await;
        assert_eq!(sofia.approves(&stage).await["state"], "PENDING_APPROVAL");
        world.controls(json!({ "refuseRiskyApprovers": true, "isEnabled": true })).await;
    }
    world.controls(json!({ "refuseRiskyApprovers": false })).await;
    let request = world.person("alice").asks_for(WIKI).await;
    let stage = current(world, &request).await;
    assert_eq!(sofia.approves(&stage).await["state"], "DELIVERED");
    let query = "{ controlConfigurations { ... on IdProtectionRiskApproval { refuseRiskyApprovers }
        ... on InsiderRiskApproval { refuseRiskyApprovers } } }";
    let controls = world.person("ines").data(query, Value::Null).await["controlConfigurations"].clone();
    assert_eq!(controls, json!([{ "refuseRiskyApprovers": false }, { "refuseRiskyApprovers": true }]));
});

/// ID Protection as it is said: alice is HIGH, sofia cannot be read, everybody else is well.
struct Partial;

impl RiskReader for Partial {
    fn read(&self, user: UserId) -> ObservedFuture<'_> {
        let people = demo::people();
        let is = |name: &str| people.iter().any(|person| person.id == user && person.upn.starts_with(name));
        let said = match (is("sofia@"), is("alice@")) {
            (true, _) => Err("out of order".to_owned()),
            (_, true) => Ok(observed(RiskLevel::High)),
            _ => Ok(observed(RiskLevel::None)),
        };
        Box::pin(std::future::ready(said))
    }
}

fn partial() -> Sources {
    Sources { id_protection: Arc::new(Partial), insider: Arc::new(Partial) }
}

story!(
    a_reading_that_cannot_be_had_counts_as_risk,
    Options { sources: Some(partial()), ..Options::default() },
    |world| {
        world.insider_controls(json!({ "isEnabled": false })).await;
        let request = world.person("alice").asks_for(WIKI).await;
        let stage = current(world, &request).await;
        assert_eq!(world.person("sofia").is_refused(&stage).await, "APPROVER_AT_RISK");
        assert_eq!(world.person("sam").approves(&stage).await["state"], "DELIVERED");
    }
);

story!(who_is_at_risk_does_not_keep_the_fallback_out, |world| {
    let (sofia, sam, ada) = (world.person("sofia"), world.person("sam"), world.person("ada"));
    let request = world.person("alice").asks_for(FINANCE_DATA).await;
    let stage = current(world, &request).await;
    world.risk("sofia", "HIGH").await;
    assert_eq!(coverage(world, &stage).await, "PRIMARY", "sam is left");
    assert_eq!(ada.is_refused(&stage).await, "NOT_AN_APPROVER");
    world.risk("sam", "MEDIUM").await;
    assert_eq!(coverage(world, &stage).await, "FALLBACK", "at once, in the commit of the report");
    let snapshot = world.snapshot().await;
    let commit = &snapshot.events.last().expect("events").commit_id;
    let told: Vec<_> = snapshot.events.iter().filter(|event| event.commit_id == *commit).collect();
    assert_eq!(told[0].kind, "USER_RISK_REPORTED");
    let of_stage = told.iter().filter(|event| event.stage_id.is_some_and(|id| stage == id.to_string().as_str()));
    assert_eq!(of_stage.map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["STAGE_COVERAGE_CHANGED"]);
    assert_eq!(ada.request(&request["id"]).await["stages"][0]["isAssignedToViewer"], true);
    assert_eq!(sofia.request(&request["id"]).await["stages"][0]["isAssignedToViewer"], true, "they stay approvers");

    // Now nobody is left, and the log says so.
    world.risk("ada", "HIGH").await;
    assert_eq!(coverage(world, &stage).await, "NOBODY");
    assert_eq!(world.told(&request).await.last().map(String::as_str), Some("STAGE_WITHOUT_APPROVER"));
    // A stage that is planned now finds the same.
    let other = world.person("alice").asks_for(WIKI).await;
    let planned = current(world, &other).await;
    assert_eq!(coverage(world, &planned).await, "NOBODY");
    // Risk falls: each comes back in turn.
    world.risk("ada", "NONE").await;
    assert_eq!(coverage(world, &stage).await, "FALLBACK");
    world.risk("sam", "LOW").await;
    assert_eq!([coverage(world, &stage).await, coverage(world, &planned).await], ["PRIMARY", "PRIMARY"]);
    assert_eq!(sam.approves(&planned).await["state"], "DELIVERED");
});

story!(a_stored_level_that_is_not_known_counts_as_risk, |world| {
    let request = world.person("alice").asks_for(WIKI).await;
    let stage = current(world, &request).await;
    let db = world.database.connect().await;
    for name in ["sofia", "sam"] {
        let unknown = entity::user_risk::Model {
            user_id: world.person(name).id,
            level: RiskLevel::Undetermined,
            state: entity::RiskState::AtRisk,
            detail: None,
            last_updated_at: world.now(),
            changed_at: None,
            read_at: None,
        };
        let delete = entity::user_risk::Entity::delete_by_id(unknown.user_id).exec(&db).await;
        delete.expect("the row is removed");
        unknown.into_active_model().insert(&db).await.expect("the row is written");
    }
    world.controls(json!({ "decisionTimeout": "P7D" })).await;
    assert_eq!(coverage(world, &stage).await, "FALLBACK");
    assert_eq!(world.person("sofia").is_refused(&stage).await, "APPROVER_AT_RISK");
    let other = world.person("alice").asks_for(FINANCE_DATA).await;
    assert_eq!(coverage(world, &current(world, &other).await).await, "FALLBACK");
});

story!(a_change_of_the_control_judges_anew_who_could_decide, |world| {
    let request = world.person("alice").asks_for(WIKI).await;
    let stage = current(world, &request).await;
    for name in ["sofia", "sam"] {
        world.risk(name, "LOW").await;
    }
    assert_eq!(coverage(world, &stage).await, "PRIMARY");
    for (change, wanted) in [
        (json!({ "riskLevels": ["LOW", "HIGH"] }), "FALLBACK"),
        (json!({ "refuseRiskyApprovers": false }), "PRIMARY"),
        (json!({ "refuseRiskyApprovers": true }), "FALLBACK"),
        (json!({ "isEnabled": false }), "PRIMARY"),
        (json!({ "isEnabled": true }), "FALLBACK"),
        (json!({ "riskLevels": ["MEDIUM", "HIGH"] }), "PRIMARY"),
    ] {
        world.controls(change.clone()).await;
        assert_eq!(coverage(world, &stage).await, wanted, "{change}");
    }
});

story!(insider_risk_counts_for_approvers_until_its_end, |world| {
    let (cora, ada) = (world.person("cora"), world.person("ada"));
    let request = world.person("erin").asks_for(FINANCE_DATA).await;
    let stage = current(world, &request).await;
    assert_eq!(coverage(world, &stage).await, "PRIMARY");
    let end = world.now().plus(Seconds::hours(2));
    world.insider_risk("cora", "ELEVATED", Some(end)).await;
    assert_eq!(coverage(world, &stage).await, "FALLBACK");
    assert_eq!(cora.is_refused(&stage).await, "APPROVER_AT_RISK");
    assert_eq!(world.services().next_due().await.expect("an answer"), Some(end), "the clockwork wakes for it");
    world.pass(Seconds(7_199)).await;
    assert_eq!(coverage(world, &stage).await, "FALLBACK", "a second is left");
    world.pass(Seconds(1)).await;
    assert_eq!(coverage(world, &stage).await, "PRIMARY");
    assert_eq!(ada.is_refused(&stage).await, "NOT_AN_APPROVER");
    let events = world.snapshot().await.events.len();
    world.run_due().await;
    assert_eq!(world.snapshot().await.events.len(), events, "once");
    assert_eq!(cora.approves(&stage).await["state"], "PENDING_APPROVAL");
});

story!(the_explanation_names_who_was_left_out_for_risk, |world| {
    world.risk("sofia", "HIGH").await;
    world.risk("sam", "HIGH").await;
    let request = world.person("alice").asks_for(WIKI).await;
    let facts: Value = {
        let snapshot = world.snapshot().await;
        let row = snapshot.requests.iter().find(|row| request["id"] == row.id.to_string().as_str()).expect("a request");
        serde_json::from_str(&row.facts).expect("JSON")
    };
    let sets = facts["approvers"].as_array().expect("sets");
    let primary =
        sets.iter().find(|set| set["kind"] == "ID_PROTECTION_RISK" && set["tier"] == "PRIMARY").expect("a set");
    assert_eq!(primary["count"], 0);
    let mut why: Vec<_> =
        primary["excluded"].as_array().expect("people").iter().map(|left| left["why"].clone()).collect();
    why.sort_by_key(Value::to_string);
    assert_eq!(why, ["AT_RISK", "AT_RISK", "DISABLED"]);
    assert_eq!(coverage(world, &current(world, &request).await).await, "FALLBACK");
});
