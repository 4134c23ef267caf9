//! Why a request goes the way it goes, in the planner's own words: whole for who reads risk, the policy's part for everybody else.

use entity::Seconds;
use riskgate::demo::{FINANCE_DATA, FINANCE_OWNERS, WIKI};
use serde_json::{Value, json};

use crate::story;
use crate::support::{Person, World};

const EXPLANATION: &str =
    "moment plannedAt directoryVersion steps { kind policyStage isRequired rule ruleVersion sentence coverage
    stage { id kind status }
    riskEvaluations { level source evaluatedAt subject { displayName } }
    inputs { readAt origin evaluation { id level evaluatedAt } }
    tiers { tier eligibleCount excludedCount excluded { reason user { userPrincipalName } } } }";

/// The accounts of a request as somebody sees it.
async fn explained(person: &Person, request: &Value) -> Vec<Value> {
    let query =
        format!("query($id: ID!) {{ node(id: $id) {{ ... on AccessRequest {{ explanation {{ {EXPLANATION} }} }} }} }}");
    let node = person.data(&query, json!({ "id": request["id"] })).await["node"].clone();
    node["explanation"].as_array().expect("accounts").clone()
}

/// The account of a preview as somebody sees it.
async fn previewed(person: &Person, input: Value) -> Value {
    let query = format!(
        "query($input: SubmitAccessRequestInput!) {{ previewAccessRequest(input: $input) {{ explanation {{ {EXPLANATION} }}
            userErrors {{ code }} }} }}"
    );
    person.data(&query, json!({ "input": input })).await["previewAccessRequest"].clone()
}

/// One field of each step.
fn each(account: &Value, field: &str) -> Vec<Value> {
    account["steps"].as_array().expect("steps").iter().map(|step| step[field].clone()).collect()
}

/// Who was excluded from a tier of a step, and why.
fn excluded(account: &Value, step: usize, tier: usize) -> Vec<(Value, Value)> {
    let excluded = account["steps"][step]["tiers"][tier]["excluded"].as_array().expect("people").clone();
    excluded.iter().map(|one| (one["user"]["userPrincipalName"].clone(), one["reason"].clone())).collect()
}

fn upn(name: &str, reason: &str) -> (Value, Value) {
    (json!(format!("{name}@example.com")), json!(reason))
}

async fn current(world: &World, request: &Value) -> Value {
    world.whole(request).await["currentStage"]["id"].clone()
}

story!(who_reads_risk_is_told_each_source_and_stage_with_rule_version_inputs_and_approvers, |world| {
    world.controls(json!({ "decisionTimeout": "P7D" })).await;
    let request = world.person("alice").asks_for(FINANCE_DATA).await;
    let accounts = explained(&world.person("rhea"), &request).await;
    assert_eq!(accounts.len(), 1);
    let account = &accounts[0];
    assert_eq!((&account["moment"], &account["plannedAt"]), (&json!("SUBMISSION"), &json!(world.now().rfc3339())));
    assert_eq!(each(account, "kind"), ["ID_PROTECTION_RISK", "INSIDER_RISK", "POLICY", "POLICY"]);
    assert_eq!(each(account, "isRequired"), [true, false, true, true]);
    assert_eq!(each(account, "rule"), ["LEVEL_SELECTED", "LEVEL_NOT_SELECTED", "POLICY_STAGE", "POLICY_STAGE"]);
    assert_eq!(each(account, "policyStage"), [Value::Null, Value::Null, json!(1), json!(2)]);
    let query = "{ controlConfigurations { version } }";
    let controls = world.person("ines").data(query, Value::Null).await["controlConfigurations"].clone();
    assert_eq!(account["steps"][0]["ruleVersion"], controls[0]["version"], "the control as it was applied");
    assert_eq!(account["steps"][1]["ruleVersion"], controls[1]["version"]);
    let read = &account["steps"][0]["riskEvaluations"][0];
    assert_eq!((&read["level"], &read["subject"]["displayName"]), (&json!("HIGH"), &json!("Alice Moreau")));
    assert_eq!(read["evaluatedAt"], world.now().rfc3339());
    assert_eq!(account["steps"][1]["riskEvaluations"][0]["level"], "NONE", "what asks for nothing has its inputs too");
    let stages = world.whole(&request).await["stages"].clone();
    for (step, stage) in [(0, 0), (2, 1), (3, 2)] {
        assert_eq!(account["steps"][step]["stage"]["id"], stages[stage]["id"]);
    }
    assert_eq!(account["steps"][1]["stage"], Value::Null);
    assert_eq!(
        account["steps"][0]["sentence"],
        "The ID Protection level HIGH is one of the selected ones (MEDIUM, HIGH). Its approvers decide it."
    );
    // Dan is a Security Administrator whose account is disabled.
    assert_eq!(account["steps"][0]["tiers"][0]["tier"], "PRIMARY");
    assert_eq!(account["steps"][0]["tiers"][0]["eligibleCount"], 2);
    assert_eq!(excluded(account, 0, 0), [upn("dan", "DISABLED")]);
});

story!(who_may_not_know_of_risk_gets_the_policys_part_and_nobodys_name_but_the_parties, |world| {
    world.changes("olga", "isEnabled", json!(false)).await;
    let pat = world.person("pat");
    let owners = json!([{ "approvers": [{ "groupId": FINANCE_OWNERS.to_string() }] }]);
    let package = world.staged(owners).await;
    let request = pat.submits(json!({ "accessPackageId": package })).await["request"].clone();
    let whole = &explained(&world.person("rhea"), &request).await[0];
    assert_eq!(excluded(whole, 2, 0), [upn("olga", "DISABLED"), upn("pat", "REQUESTOR")]);
    assert_eq!(whole["steps"][2]["tiers"][0]["excludedCount"], 2);
    assert_eq!(whole["steps"][2]["coverage"], "NOBODY");
    let own = explained(&pat, &request).await;
    assert_eq!(own.len(), 1);
    assert_eq!(each(&own[0], "kind"), ["POLICY"]);
    assert_eq!(excluded(&own[0], 0, 0), [upn("pat", "REQUESTOR")], "a colleague's account is not pat's business");
    assert_eq!(own[0]["steps"][0]["tiers"][0]["eligibleCount"], Value::Null);
    assert_eq!(own[0]["steps"][0]["tiers"][0]["excludedCount"], Value::Null);
    assert!(!Value::from(own).to_string().contains("RISK"));

    // What came later is about risk only: for pat there is nothing of it.
    world.controls(json!({ "reevaluation": "CONTINUOUS" })).await;
    world.risk("pat", "HIGH").await;
    world.follow_risk().await;
    let whole = explained(&world.person("rhea"), &request).await;
    assert_eq!(whole.len(), 2);
    assert_eq!(whole[1]["moment"], "RISK_CHANGE");
    assert_eq!(explained(&pat, &request).await.len(), 1);
});

story!(a_fallback_that_joins_is_told, |world| {
    let zoe = world.person("zoe");
    let request = zoe.asks_for(FINANCE_DATA).await;
    let account = &explained(&zoe, &request).await[0];
    assert_eq!(account["steps"][0]["coverage"], "FALLBACK");
    assert_eq!(
        account["steps"][0]["sentence"],
        "Stage 1 of 2 of the policy. None of its approvers could decide it, so its fallback approvers join."
    );
    let whole = &explained(&world.person("glen"), &request).await[0];
    let tiers = whole["steps"][2]["tiers"].as_array().expect("tiers");
    assert_eq!(tiers.iter().map(|tier| &tier["tier"]).collect::<Vec<_>>(), ["FALLBACK"], "zoe has no manager at all");
});

story!(a_preview_tells_what_the_submission_will_keep, |world| {
    for name in ["alice", "mallory", "zoe", "bob"] {
        let person = world.person(name);
        let input = json!({ "accessPackageId": FINANCE_DATA.to_string(), "justification": "For my work." });
        let before = previewed(&person, input).await["explanation"].clone();
        assert_eq!((&before["moment"], &before["plannedAt"]), (&json!("SUBMISSION"), &Value::Null));
        let request = person.asks_for(FINANCE_DATA).await;
        let after = &explained(&person, &request).await[0];
        for field in ["kind", "rule", "isRequired", "ruleVersion", "sentence", "coverage", "tiers", "policyStage"] {
            assert_eq!(each(&before, field), each(after, field), "{name}: {field}");
        }
        assert_eq!(before["directoryVersion"], after["directoryVersion"]);
        assert!(each(&before, "stage").iter().all(Value::is_null), "nothing is there yet");
    }
    let refused = previewed(&world.person("bob"), json!({ "accessPackageId": FINANCE_DATA.to_string() })).await;
    assert_eq!(
        (&refused["explanation"], &refused["userErrors"][0]["code"]),
        (&Value::Null, &json!("ALREADY_REQUESTED"))
    );
    // Rhea reads risk: hers is whole.
    let whole =
        previewed(&world.person("rhea"), json!({ "accessPackageId": WIKI.to_string() })).await["explanation"].clone();
    assert_eq!(each(&whole, "rule"), ["LEVEL_NOT_SELECTED", "LEVEL_NOT_SELECTED", "POLICY_WITHOUT_STAGES"]);
    assert_eq!(whole["steps"][0]["riskEvaluations"][0]["level"], "NONE");
});

story!(each_later_planning_has_its_own_account, |world| {
    let request = world.person("mallory").asks_for(WIKI).await;
    world.person("sam").approves(&current(world, &request).await).await;
    world.risk("mallory", "HIGH").await;
    world.person("cora").approves(&current(world, &request).await).await;
    let accounts = explained(&world.person("rhea"), &request).await;
    assert_eq!(
        accounts.iter().map(|account| account["moment"].clone()).collect::<Vec<_>>(),
        ["SUBMISSION", "DELIVERY"]
    );
    assert_eq!(each(&accounts[1], "rule"), ["LEVEL_SELECTED", "COVERED_BY_APPROVAL"]);
    assert_eq!(each(&accounts[1], "stage")[0]["id"], current(world, &request).await, "the stage that was inserted");
    world.person("sofia").approves(&current(world, &request).await).await;
    let accounts = explained(&world.person("rhea"), &request).await;
    assert_eq!(each(&accounts[2], "rule"), ["COVERED_BY_APPROVAL", "COVERED_BY_APPROVAL"], "so access was delivered");
    assert_eq!(each(&accounts[2], "isRequired"), [false, false]);
});

story!(a_reading_that_says_the_same_is_told_with_the_time_at_which_it_was_made, |world| {
    let request = world.person("alice").asks_for(WIKI).await;
    let first = world.now();
    world.pass(Seconds::hours(1)).await;
    world.person("sofia").approves(&current(world, &request).await).await;
    let rhea = world.person("rhea");
    let accounts = explained(&rhea, &request).await;
    let inputs: Vec<_> = accounts.iter().map(|account| account["steps"][0]["inputs"][0].clone()).collect();
    assert_eq!((&inputs[0]["readAt"], &inputs[1]["readAt"]), (&json!(first.rfc3339()), &json!(world.now().rfc3339())));
    assert_eq!(
        (&inputs[0]["evaluation"], &inputs[0]["origin"]),
        (&inputs[1]["evaluation"], &json!("REPORT")),
        "one row"
    );
    assert_eq!(inputs[1]["evaluation"]["evaluatedAt"], first.rfc3339());
    let before = previewed(&rhea, json!({ "accessPackageId": FINANCE_DATA.to_string() })).await["explanation"].clone();
    assert_eq!(before["steps"][0]["inputs"][0]["readAt"], world.now().rfc3339());
});

story!(controls_that_are_off_or_ask_for_nothing_say_so, |world| {
    world.controls(json!({ "isEnabled": false })).await;
    let request = world.person("alice").asks_for(WIKI).await;
    let account = &explained(&world.person("glen"), &request).await[0];
    assert_eq!(each(account, "rule"), ["CONTROL_DISABLED", "LEVEL_NOT_SELECTED", "POLICY_WITHOUT_STAGES"]);
    world.controls(json!({ "isEnabled": true, "isApprovalRequired": false })).await;
    let input = json!({ "accessPackageId": WIKI.to_string() });
    let account = previewed(&world.person("sam"), input).await["explanation"].clone();
    assert_eq!(each(&account, "rule")[0], "APPROVAL_NOT_REQUIRED");
    assert_eq!(each(&account, "sentence")[0], "The ID Protection control requires no approval.");
});

story!(a_member_of_an_approver_group_without_the_role_is_told_as_excluded, |world| {
    world.controls(json!({ "approvers": [{ "groupId": FINANCE_OWNERS.to_string() }] })).await;
    let request = world.person("alice").asks_for(WIKI).await;
    let account = &explained(&world.person("rhea"), &request).await[0];
    assert_eq!(excluded(account, 0, 0), [upn("olga", "NO_ROLE"), upn("pat", "NO_ROLE")]);
    assert_eq!(account["steps"][0]["coverage"], "FALLBACK", "a Global Administrator joins");
    world.pass(Seconds::hours(1)).await;
    assert_eq!(&explained(&world.person("rhea"), &request).await[0], account, "an account does not change");
});
