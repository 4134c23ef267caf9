//! An approval of risk is proved again before access is delivered.

use riskgate::demo::{FINANCE_OWNERS, WIKI};
use serde_json::{Value, json};

use super::{current, proof};
use crate::story;
use crate::support::World;

/// Kind and status of each stage of a request, in order.
async fn way(world: &World, request: &Value) -> Vec<(String, String)> {
    let stages = world.whole(request).await["stages"].as_array().expect("stages").clone();
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    stages.iter().map(|stage| (word(&stage["kind"]), word(&stage["status"]))).collect()
}

const POLICY: (&str, &str) = ("POLICY", "APPROVED");
const RISK: (&str, &str) = ("ID_PROTECTION_RISK", "APPROVED");
const ASKED: (&str, &str) = ("ID_PROTECTION_RISK", "PENDING");

fn words(way: &[(&str, &str)]) -> Vec<(String, String)> {
    way.iter().map(|(kind, status)| ((*kind).to_owned(), (*status).to_owned())).collect()
}

/// Alice's request, its risk stage approved by sofia and its first stage of the policy by mona: olga's approval is the last.
async fn one_approval_left(world: &World) -> (Value, Value) {
    let owners = json!({ "groupId": FINANCE_OWNERS.to_string() });
    let stages = json!([{ "approvers": [{ "requestorManagerLevel": 1 }] }, { "approvers": [owners] }]);
    let package = world.staged(stages).await;
    let request = world.person("alice").submits(json!({ "accessPackageId": package })).await["request"].clone();
    let risk = current(world, &request).await;
    world.person("sofia").approves(&risk).await;
    world.person("mona").approves(&current(world, &request).await).await;
    (request, risk)
}

/// The last approval of the policy is given; is the access there?
async fn is_delivered(world: &World, request: &Value) -> bool {
    let answered = world.person("olga").approves(&current(world, request).await).await;
    answered["state"] == "DELIVERED"
}

/// What somebody who reads risk is shown of a stage that asks again.
async fn asked(world: &World, stage: &Value) -> Value {
    let query = "query($id: ID!) { node(id: $id) { ... on RiskApprovalStage { replaces { id status decidedBy { id } }
        evaluation { level } latestEvaluation { level } isAssignedToViewer } } }";
    world.person("sam").data(query, json!({ "id": stage })).await["node"].clone()
}

story!(whoever_left_has_approved_nothing_and_the_stage_is_asked_for_again, |world| {
    let cases = [
        ("isEnabled", json!(false), "An approval counts no more: the account of who gave it was disabled."),
        ("directoryRoles", json!([]), "An approval counts no more: who gave it has lost the role that it needs."),
        (
            "directoryRoles",
            json!(["GLOBAL_READER"]),
            "An approval counts no more: who gave it has lost the role that it needs.",
        ),
    ];
    for (member, value, why) in cases {
        world.restores("sofia").await;
        let (request, risk) = one_approval_left(world).await;
        world.changes("sofia", member, value).await;
        assert!(!is_delivered(world, &request).await, "{why}");
        assert_eq!(way(world, &request).await, words(&[RISK, POLICY, POLICY, ASKED]), "the old one stays on record");
        let again = current(world, &request).await;
        let shown = asked(world, &again).await;
        assert_eq!(shown["replaces"]["id"], risk);
        assert_eq!(shown["replaces"]["decidedBy"]["id"], world.person("sofia").user_id());
        assert_eq!(shown["evaluation"]["level"], "HIGH", "what was approved");
        assert_eq!(shown["isAssignedToViewer"], true);
        let told = world.snapshot().await.told_of(&request);
        let (_, inserted) = told.iter().rfind(|(kind, _)| kind == "STAGE_INSERTED").expect("a stage was inserted");
        assert_eq!(inserted["ReplacesStageId"], risk);
        let reason = inserted["Reason"].as_str().expect("a text");
        assert!(reason.ends_with(why), "{reason}");
        assert_eq!(world.person("sam").approves(&again).await["state"], "DELIVERED", "once is enough");
        let old = proof(&world.person("glen"), &risk).await;
        assert_eq!(old[0]["decidedBy"]["id"], world.person("sofia").user_id());
    }
});

story!(whoever_is_deleted_has_approved_nothing, |world| {
    let (request, risk) = one_approval_left(world).await;
    world.deletes("sofia").await;
    assert!(!is_delivered(world, &request).await);
    let again = current(world, &request).await;
    assert_eq!(asked(world, &again).await["replaces"]["id"], risk);
    let told = world.snapshot().await.told_of(&request);
    let (_, inserted) = told.iter().rfind(|(kind, _)| kind == "STAGE_INSERTED").expect("a stage was inserted");
    assert!(inserted["Reason"].as_str().is_some_and(|why| why.contains("was deleted")), "{inserted}");
    assert_eq!(world.person("sam").denies(&again).await["outcome"], "DENIED_BY_RISK_APPROVER");
});

story!(whoever_may_still_approve_has_approved, |world| {
    // Another role that the stage takes is as good; so is a place in the set that was lost, and one who came back in time.
    let (request, _) = one_approval_left(world).await;
    world.changes("sofia", "directoryRoles", json!(["SECURITY_READER"])).await;
    assert!(is_delivered(world, &request).await);
    world.restores("sofia").await;
    let (request, _) = one_approval_left(world).await;
    world.changes("sofia", "isEnabled", json!(false)).await;
    world.restores("sofia").await;
    assert!(is_delivered(world, &request).await);
});

story!(an_approval_of_the_policy_is_not_proved_again, |world| {
    let (request, _) = one_approval_left(world).await;
    world.changes("mona", "isEnabled", json!(false)).await;
    assert!(is_delivered(world, &request).await);
});

story!(a_control_that_does_not_prove_again_lets_approvals_stand, |world| {
    for (setting, is_proved) in [
        (json!({ "reproveBeforeDelivery": false }), false),
        // The source is not read again, and what was approved is proved all the same.
        (json!({ "reproveBeforeDelivery": true, "reevaluation": "AT_SUBMISSION" }), true),
        (json!({ "reevaluation": "CONTINUOUS" }), true),
        // A control that asks for nothing asks for nothing again.
        (json!({ "isEnabled": false }), false),
    ] {
        let (request, _) = one_approval_left(world).await;
        world.controls(setting.clone()).await;
        world.changes("sofia", "isEnabled", json!(false)).await;
        assert_eq!(is_delivered(world, &request).await, !is_proved, "{setting}");
        if is_proved {
            let again = current(world, &request).await;
            let shown = asked(world, &again).await;
            assert_eq!(shown["evaluation"]["level"], "HIGH");
            assert_eq!(world.person("sam").approves(&again).await["state"], "DELIVERED");
        }
        world.restores("sofia").await;
    }
});

story!(the_same_person_may_decide_it_again_and_who_leaves_again_is_asked_for_again, |world| {
    let (request, first) = one_approval_left(world).await;
    world.changes("sofia", "isEnabled", json!(false)).await;
    assert!(!is_delivered(world, &request).await);
    let second = current(world, &request).await;
    world.restores("sofia").await;
    // She is back: her first approval counts again, and her second ends it.
    assert_eq!(world.person("sofia").approves(&second).await["state"], "DELIVERED");

    // Of two sources both deciders leave, one after the other.
    let request = world.person("mallory").asks_for(WIKI).await;
    world.person("sam").approves(&current(world, &request).await).await;
    world.changes("sam", "isEnabled", json!(false)).await;
    world.person("cora").approves(&current(world, &request).await).await;
    let again = current(world, &request).await;
    world.changes("cora", "directoryRoles", json!([])).await;
    let answered = world.person("sofia").approves(&again).await;
    assert_eq!(answered["currentStage"]["kind"], "INSIDER_RISK", "now hers");
    world.changes("sofia", "directoryRoles", json!([])).await;
    let last = current(world, &request).await;
    let answered = world.person("ada").approves(&last).await;
    assert_eq!(answered["currentStage"]["kind"], "ID_PROTECTION_RISK", "sofia's counts no more either");
    let newest = current(world, &request).await;
    assert_eq!(world.person("ada").approves(&newest).await["state"], "DELIVERED", "she is the fallback of both");
    let query = "query($id: ID!) { node(id: $id) { ... on RiskApprovalStage { replaces { id } } } }";
    let glen = world.person("glen");
    assert_eq!(glen.data(query, json!({ "id": newest })).await["node"]["replaces"]["id"], again);
    assert_eq!(glen.data(query, json!({ "id": first })).await["node"]["replaces"], Value::Null);
});

story!(what_rose_meanwhile_is_asked_for_in_the_same_stage, |world| {
    world.risk("alice", "MEDIUM").await;
    let (request, risk) = one_approval_left(world).await;
    world.changes("sofia", "isEnabled", json!(false)).await;
    world.risk("alice", "HIGH").await;
    assert!(!is_delivered(world, &request).await);
    assert_eq!(way(world, &request).await, words(&[RISK, POLICY, POLICY, ASKED]), "one stage for both");
    let again = current(world, &request).await;
    let shown = asked(world, &again).await;
    assert_eq!(
        (&shown["evaluation"]["level"], &shown["latestEvaluation"]["level"]),
        (&json!("MEDIUM"), &json!("HIGH"))
    );
    assert_eq!(shown["replaces"]["id"], risk);
    // A fall changes nothing: the approval that is missing is missing.
    world.risk("alice", "NONE").await;
    world.follow_risk().await;
    assert_eq!(way(world, &request).await.last(), words(&[ASKED]).first());
    assert_eq!(world.person("sam").approves(&again).await["state"], "DELIVERED");
});

story!(what_fell_meanwhile_is_proved_all_the_same, |world| {
    let (request, _) = one_approval_left(world).await;
    world.risk("alice", "NONE").await;
    world.changes("sofia", "isEnabled", json!(false)).await;
    assert!(!is_delivered(world, &request).await);
    let again = current(world, &request).await;
    let shown = asked(world, &again).await;
    assert_eq!((&shown["evaluation"]["level"], &shown["latestEvaluation"]["level"]), (&json!("HIGH"), &json!("NONE")));
    assert_eq!(world.person("sam").approves(&again).await["state"], "DELIVERED");
});

story!(the_explanation_says_why_a_stage_is_asked_for_again, |world| {
    world.controls(json!({ "reevaluation": "AT_SUBMISSION" })).await;
    let (request, _) = one_approval_left(world).await;
    world.changes("sofia", "isEnabled", json!(false)).await;
    assert!(!is_delivered(world, &request).await);
    let query = "query($id: ID!) { node(id: $id) { ... on AccessRequest { explanation { moment steps { kind rule isRequired sentence
        riskEvaluations { id } } } } } }";
    let node = world.person("glen").data(query, json!({ "id": request["id"] })).await["node"].clone();
    let last =
        node["explanation"].as_array().and_then(|accounts| accounts.last()).expect("the planning before delivery");
    assert_eq!(last["moment"], "DELIVERY");
    let wanted = json!({ "kind": "ID_PROTECTION_RISK", "rule": "APPROVAL_VOID", "isRequired": true, "riskEvaluations": [],
        "sentence": "An approval counts no more: the account of who gave it was disabled. Its approvers decide it." });
    assert_eq!(last["steps"][0], wanted);
});
