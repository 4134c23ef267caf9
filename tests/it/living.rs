//! Risk that lives: it is read again before access is delivered, and a rise adds a stage.

use entity::Seconds;
use riskgate::demo::{FINANCE_DATA, PRODUCTION_ACCESS, WIKI};
use serde_json::{Value, json};

use crate::story;
use crate::support::{Person, World};

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

/// What a person who reads risk is shown of a stage: the first reading and the newest.
async fn shown(person: &Person, stage: &Value) -> (Value, Value) {
    let query = "query($id: ID!) { node(id: $id) { ... on RiskApprovalStage { evaluation { level } latestEvaluation { level } } } }";
    let node = person.data(query, json!({ "id": stage })).await["node"].clone();
    (node["evaluation"]["level"].clone(), node["latestEvaluation"]["level"].clone())
}

const HIGH_STAGE: (&str, &str) = ("ID_PROTECTION_RISK", "PENDING");

story!(a_rise_that_becomes_known_inserts_its_stage_into_every_open_request, |world| {
    world.controls(json!({ "reevaluation": "CONTINUOUS" })).await;
    let (bob, mona, sofia) = (world.person("bob"), world.person("mona"), world.person("sofia"));
    let finance = bob.asks_for(FINANCE_DATA).await;
    let production = bob.asks_for(PRODUCTION_ACCESS).await;
    let done = bob.asks_for(WIKI).await;
    let others = world.person("carol").asks_for(FINANCE_DATA).await;
    let before = current(world, &finance).await;
    mona.approves(&before).await;
    let waiting = current(world, &finance).await;

    let mut stream = sofia
        .streams("subscription { pendingRiskApprovalCreated { stage { request { id } kind status } } }", Value::Null)
        .await;
    world.clock.advance(Seconds::hours(1));
    world.risk("bob", "HIGH").await;
    assert_eq!(world.follow_risk().await, 2, "both that are open, and nobody else's");
    let expected = [("POLICY", "APPROVED"), HIGH_STAGE, ("POLICY", "WAITING")];
    assert_eq!(way(world, &finance).await, words(&expected), "before the first that is undecided");
    assert_eq!(way(world, &production).await[0], words(&[HIGH_STAGE])[0]);
    assert_eq!(world.whole(&done).await["state"], "DELIVERED");
    assert_eq!(way(world, &others).await.len(), 2);
    let mut heard = Vec::new();
    for _ in 0..2 {
        let stage = stream.data().await["pendingRiskApprovalCreated"]["stage"].clone();
        assert_eq!((&stage["kind"], &stage["status"]), (&json!("ID_PROTECTION_RISK"), &json!("PENDING")));
        heard.push(stage["request"]["id"].clone());
    }
    heard.sort_by_key(Value::to_string);
    let mut wanted = [finance["id"].clone(), production["id"].clone()];
    wanted.sort_by_key(Value::to_string);
    assert_eq!(heard, wanted, "the approvers are told as of any new stage");
    assert_eq!(world.follow_risk().await, 0, "once");

    // The approver of the policy goes on seeing the request, and cannot decide.
    let pat = world.person("pat");
    assert_eq!(pat.request(&finance["id"]).await["stages"][1]["status"], "WAITING");
    let refused = pat.decides(&waiting, "APPROVE", Some("Now.")).await;
    assert_eq!(refused["userErrors"][0]["code"], "STAGE_NOT_PENDING");
    world.clock.advance(Seconds::hours(1));
    sofia.approves(&current(world, &finance).await).await;
    let seen = world.whole(&finance).await;
    assert_eq!(seen["currentStage"]["id"], waiting);
    let since = world.now();
    assert_eq!(seen["stages"][2]["pendingSince"], since.rfc3339(), "a fresh clock");
    assert_eq!(seen["stages"][2]["dueAt"], since.plus(Seconds::days(14)).rfc3339());
    assert_eq!(pat.approves(&waiting).await["state"], "DELIVERED", "HIGH was approved");
    let told = world.told(&finance).await;
    assert_eq!(told.iter().filter(|kind| *kind == "STAGE_POSTPONED").count(), 1);
});

story!(a_stage_shows_the_newest_reading_and_its_approval_covers_that, |world| {
    world.controls(json!({ "riskLevels": ["LOW", "MEDIUM", "HIGH"] })).await;
    world.risk("bob", "LOW").await;
    let (bob, sofia, sam) = (world.person("bob"), world.person("sofia"), world.person("sam"));
    let request = bob.asks_for(FINANCE_DATA).await;
    let stage = current(world, &request).await;
    assert_eq!(shown(&sam, &stage).await, (json!("LOW"), Value::Null));
    assert_eq!(shown(&bob, &stage).await, (Value::Null, Value::Null), "he is no risk reader");
    world.risk("bob", "HIGH").await;
    assert_eq!(world.follow_risk().await, 1, "also where a rise inserts nothing before delivery");
    assert_eq!(shown(&sam, &stage).await, (json!("LOW"), json!("HIGH")));
    assert_eq!(way(world, &request).await.len(), 3, "it is undecided: one is enough");
    world.risk("bob", "NONE").await;
    world.follow_risk().await;
    assert_eq!(shown(&sam, &stage).await, (json!("LOW"), json!("NONE")), "a fall is shown, and changes nothing");
    world.risk("bob", "HIGH").await;
    world.follow_risk().await;
    sofia.approves(&stage).await;
    for name in ["mona", "pat"] {
        world.person(name).approves(&current(world, &request).await).await;
    }
    assert_eq!(world.whole(&request).await["state"], "DELIVERED", "what was shown is covered");
});

story!(what_was_under_way_when_the_server_died_is_done_by_the_next, |world| {
    world.controls(json!({ "reevaluation": "CONTINUOUS" })).await;
    let requests =
        [world.person("bob").asks_for(FINANCE_DATA).await, world.person("bob").asks_for(PRODUCTION_ACCESS).await];
    world.risk("bob", "HIGH").await;
    world.restart().await;
    assert_eq!(world.follow_risk().await, 2);
    for request in &requests {
        assert_eq!(way(world, request).await[0], words(&[HIGH_STAGE])[0]);
    }
    world.restart().await;
    assert_eq!(world.follow_risk().await, 0, "how far it came is kept");
});

story!(of_many_open_requests_each_gets_one_stage, |world| {
    world.controls(json!({ "reevaluation": "CONTINUOUS" })).await;
    let bob = world.person("bob");
    let stages = json!([{ "approvers": [{ "directoryRole": "GLOBAL_ADMINISTRATOR" }] }]);
    let mut requests = Vec::new();
    for _ in 0..70 {
        let package = world.staged(stages.clone()).await;
        let made = bob.submits(json!({ "accessPackageId": package })).await;
        requests.push(made["request"].clone());
    }
    let carol = world.person("carol").asks_for(FINANCE_DATA).await;
    world.risk("bob", "MEDIUM").await;
    world.risk("carol", "HIGH").await;
    world.risk("bob", "HIGH").await;
    let services = world.services();
    let (one, other) = tokio::join!(services.follow_risk(), services.follow_risk());
    let changed = one.expect("it is acted on") + other.expect("it is acted on");
    assert_eq!(changed, 71, "each request once, whoever does it");
    for request in requests.iter().chain([&carol]) {
        let kinds: Vec<_> = way(world, request).await;
        assert_eq!(kinds.iter().filter(|(kind, _)| kind == "ID_PROTECTION_RISK").count(), 1);
        assert_eq!(kinds[0], words(&[HIGH_STAGE])[0]);
    }
});
