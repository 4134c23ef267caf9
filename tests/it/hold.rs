//! A request that waits for a risk source: it is routed by itself when the source is back, gets its stage at the end of its time, and is
//! never let through.

use std::sync::{Arc, Mutex, PoisonError};

use entity::{RiskLevel, Seconds, UserId};
use riskgate::demo::{FINANCE_DATA, WIKI};
use riskgate::service::Sources;
use riskgate::service::risk::{ObservedFuture, RiskReader};
use serde_json::{Value, json};

use crate::story;
use crate::support::{Options, World, observed};

/// What ID Protection says of everybody; nothing while it is out of order.
static SAID: Mutex<Option<RiskLevel>> = Mutex::new(None);
/// It says so to everybody: whoever sets it is alone.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

struct Switch;

impl RiskReader for Switch {
    fn read(&self, _: UserId) -> ObservedFuture<'_> {
        let said = *SAID.lock().unwrap_or_else(PoisonError::into_inner);
        Box::pin(std::future::ready(said.map(observed).ok_or_else(|| "out of order".to_owned())))
    }
}

struct Calm;

impl RiskReader for Calm {
    fn read(&self, _: UserId) -> ObservedFuture<'_> {
        Box::pin(std::future::ready(Ok(observed(RiskLevel::None))))
    }
}

fn says(level: Option<RiskLevel>) {
    *SAID.lock().unwrap_or_else(PoisonError::into_inner) = level;
}

fn with_a_switch() -> Options {
    let sources = Sources { id_protection: Arc::new(Switch), insider: Arc::new(Calm) };
    Options { sources: Some(sources), ..Options::default() }
}

async fn state(world: &World, request: &Value) -> Value {
    world.whole(request).await["state"].clone()
}

async fn kinds(world: &World, request: &Value) -> Vec<Value> {
    let stages = world.whole(request).await["stages"].as_array().expect("stages").clone();
    stages.iter().map(|stage| stage["kind"].clone()).collect()
}

story!(a_request_that_waits_for_a_source_is_routed_when_the_source_is_back, with_a_switch(), |world| {
    let _alone = ALONE.lock().await;
    says(None);
    world.controls(json!({ "whenUndetermined": "HOLD", "holdTimeout": "PT10M" })).await;
    let bob = world.person("bob");
    let request = bob.asks_for(WIKI).await;
    assert_eq!((&request["state"], &request["stages"]), (&json!("SUBMITTED"), &json!([])));
    let seen = world.whole(&request).await;
    assert_eq!((&seen["currentStage"], &seen["stages"]), (&Value::Null, &json!([])));
    assert_eq!(seen["riskEvaluations"][0]["level"], "UNDETERMINED");
    let again = bob.submits(json!({ "accessPackageId": WIKI.to_string() })).await;
    assert_eq!(again["userErrors"][0]["code"], "ALREADY_REQUESTED", "it is there, and holds its place");

    assert_eq!(world.run_due().await, 0, "not at once again");
    world.pass(Seconds(15)).await;
    assert_eq!(state(world, &request).await, "SUBMITTED");
    says(Some(RiskLevel::None));
    world.pass(Seconds(15)).await;
    assert_eq!(state(world, &request).await, "DELIVERED");
    let told = world.told(&request).await;
    assert_eq!(
        told,
        [
            "REQUEST_SUBMITTED",
            "RISK_EVALUATED",
            "RISK_EVALUATED",
            "REQUEST_RESUMED",
            "RISK_EVALUATED",
            "RISK_EVALUATED",
            "REQUEST_AUTO_APPROVED",
            "ASSIGNMENT_DELIVERED",
            "REQUEST_DELIVERED"
        ]
    );

    says(None);
    let request = bob.asks_for(FINANCE_DATA).await;
    says(Some(RiskLevel::High));
    world.pass(Seconds(15)).await;
    assert_eq!(state(world, &request).await, "PENDING_APPROVAL");
    assert_eq!(kinds(world, &request).await, ["ID_PROTECTION_RISK", "POLICY", "POLICY"]);
});

story!(at_the_end_of_its_time_a_request_that_waited_gets_its_stage, with_a_switch(), |world| {
    let _alone = ALONE.lock().await;
    says(None);
    world.controls(json!({ "whenUndetermined": "HOLD", "holdTimeout": "PT10M" })).await;
    let request = world.person("bob").asks_for(WIKI).await;
    for _ in 0..9 {
        world.pass(Seconds(60)).await;
    }
    world.pass(Seconds(59)).await;
    assert_eq!(state(world, &request).await, "SUBMITTED", "a second is left");
    world.pass(Seconds(1)).await;
    assert_eq!(state(world, &request).await, "PENDING_APPROVAL");
    assert_eq!(kinds(world, &request).await, ["ID_PROTECTION_RISK"], "never a pass");
    let stage = world.whole(&request).await["currentStage"]["id"].clone();
    let sofia = world.person("sofia");
    assert_eq!(sofia.is_refused(&stage).await, "APPROVER_AT_RISK", "nor can her own risk be read");
    says(Some(RiskLevel::None));
    assert_eq!(sofia.approves(&stage).await["state"], "DELIVERED");
});

story!(a_request_that_waits_can_be_taken_back_and_survives_a_restart, with_a_switch(), |world| {
    let _alone = ALONE.lock().await;
    says(None);
    world.controls(json!({ "whenUndetermined": "HOLD" })).await;
    let (bob, carol) = (world.person("bob"), world.person("carol"));
    let (kept, taken) = (bob.asks_for(WIKI).await, carol.asks_for(WIKI).await);
    assert_eq!(carol.cancels(&taken["id"]).await.data()["cancelAccessRequest"]["userErrors"], json!([]));
    world.restart().await;
    says(Some(RiskLevel::None));
    world.pass(Seconds(15)).await;
    assert_eq!(state(world, &kept).await, "DELIVERED");
    assert_eq!(state(world, &taken).await, "CANCELED");
});

story!(what_is_told_of_somebody_is_acted_on_in_what_waits_for_the_source_too, with_a_switch(), |world| {
    let _alone = ALONE.lock().await;
    says(None);
    world.controls(json!({ "whenUndetermined": "HOLD", "holdTimeout": "P1D", "reevaluation": "CONTINUOUS" })).await;
    let mona = world.person("mona");
    let input = json!({ "accessPackageId": FINANCE_DATA.to_string(), "targetId": world.person("bob").user_id(), "justification": "For bob." });
    let request = mona.submits(input).await["request"].clone();
    assert_eq!(request["state"], "SUBMITTED");
    let before = world.snapshot().await.requests;
    world.risk("bob", "HIGH").await;
    assert_eq!(world.follow_risk().await, 0, "it cannot be read yet");
    assert_eq!(world.snapshot().await.requests, before, "and waits as it did");
    says(Some(RiskLevel::High));
    world.risk("bob", "MEDIUM").await;
    assert_eq!(world.follow_risk().await, 1, "at once, not when it would be tried again");
    assert_eq!(state(world, &request).await, "PENDING_APPROVAL");
    assert_eq!(kinds(world, &request).await[0], "ID_PROTECTION_RISK");
    assert_eq!(world.follow_risk().await, 0);
});
