//! Who may decide a stage: sets resolved from the directory as it is now, without whoever asks or gets the access, and never an empty
//! set that means yes.

use entity::Seconds;
use riskgate::demo::{FINANCE_DATA, FINANCE_OWNERS, PRODUCTION_ACCESS, WIKI};
use serde_json::{Value, json};

use crate::story;
use crate::support::World;

const EVERYBODY: [&str; 17] = [
    "ada", "ines", "sam", "sofia", "rhea", "otto", "cora", "glen", "mona", "olga", "pat", "alice", "bob", "carol",
    "erin", "mallory", "zoe",
];

/// Who could decide the pending stage of a request now, by their own lists.
async fn deciders(world: &World, request: &Value) -> Vec<&'static str> {
    let mine = "{ viewer { pendingApprovals(first: 100) { nodes { request { id } } } } }";
    let mut found = Vec::new();
    for name in EVERYBODY {
        let answer = world.person(name).ask(mine, Value::Null).await;
        // Who is disabled at the moment has no viewer.
        let nodes = answer.body["data"]["viewer"]["pendingApprovals"]["nodes"].as_array().cloned().unwrap_or_default();
        if nodes.iter().any(|node| node["request"]["id"] == request["id"]) {
            found.push(name);
        }
    }
    found
}

/// A stage of these approvers, with a fallback.
fn stage(approvers: Value, fallback: Value) -> Value {
    json!([{ "approvers": approvers, "fallbackApprovers": fallback }])
}

/// The sets that a stage shows.
async fn shown(world: &World, stage: &Value) -> Value {
    let query = "query($id: ID!) { node(id: $id) { ... on PolicyApprovalStage { approvers { ...S } } ... on RiskApprovalStage { approvers { ...S } } } }
        fragment S on SubjectSet { ... on SingleUser { user { id } } ... on GroupMembers { group { displayName } }
            ... on RequestorManager { managerLevel } ... on DirectoryRoleHolders { role } }";
    world.person("glen").data(query, json!({ "id": stage })).await["node"]["approvers"].clone()
}

story!(every_kind_of_set_names_the_people_that_it_should, |world| {
    let id = |name: &str| world.person(name).user_id();
    let fallback = json!([{ "userId": id("zoe") }]);
    for (approvers, wanted) in [
        (json!([{ "userId": id("erin") }]), &["erin"][..]),
        (json!([{ "groupId": FINANCE_OWNERS.to_string() }]), &["olga", "pat"]),
        (json!([{ "requestorManagerLevel": 1 }]), &["mona"]),
        (json!([{ "requestorManagerLevel": 2 }]), &["olga"]),
        (json!([{ "directoryRole": "SECURITY_ADMINISTRATOR" }]), &["sam", "sofia"]),
        (
            json!([{ "userId": id("erin") }, { "requestorManagerLevel": 1 }, { "userId": id("erin") }]),
            &["mona", "erin"],
        ),
        // Disabled, who asks, nobody with the role: the fallback is all there is.
        (json!([{ "userId": id("dan") }]), &["zoe"]),
        (json!([{ "userId": id("bob") }]), &["zoe"]),
        (json!([{ "userId": id("bob") }, { "userId": id("dan") }]), &["zoe"]),
        (json!([{ "userId": id("bob") }, { "userId": id("carol") }]), &["carol"]),
    ] {
        let package = world.staged(stage(approvers.clone(), fallback.clone())).await;
        let payload = world.person("bob").submits(json!({ "accessPackageId": package })).await;
        assert_eq!(deciders(world, &payload["request"]).await, wanted, "{approvers}");
        // The preview of the same shows the sets in force, and says of each why it is there.
        let query = "query($p: ID!) { previewAccessRequest(input: { accessPackageId: $p }) { stages { approvers { __typename } reason } } }";
        let planned = world.person("carol").data(query, json!({ "p": package })).await;
        assert_eq!(planned["previewAccessRequest"]["stages"][0]["reason"], "Stage 1 of 1 of the policy.");
    }
});

story!(a_manager_is_the_manager_of_who_gets_the_access, |world| {
    let package = world
        .staged(stage(json!([{ "requestorManagerLevel": 2 }, { "userId": world.person("bob").user_id() }]), json!([])))
        .await;
    let input = json!({ "accessPackageId": package, "targetId": world.person("bob").user_id() });
    let payload = world.person("mona").submits(input).await;
    // Bob is in the set and gets the access; mona's own manager's manager is nobody.
    assert_eq!(deciders(world, &payload["request"]).await, ["olga"]);
});

story!(a_group_in_a_group_in_a_group_counts_and_a_former_member_does_not, |world| {
    let group = |number: u8| format!("00000000-0000-4000-8000-0000000002{number:02}");
    let member = |name: &str| world.person(name).id.0.to_string();
    let load = async |innermost: Vec<String>| {
        world
            .imports(json!({ "groups": [
                { "id": group(1), "displayName": "outer", "memberIds": [group(2), member("zoe")] },
                { "id": group(2), "displayName": "middle", "memberIds": [group(3)] },
                { "id": group(3), "displayName": "inner", "memberIds": innermost },
            ] }))
            .await;
    };
    load(vec![member("erin"), member("rhea")]).await;
    let package = world.staged(stage(json!([{ "groupId": format!("grp_{}", group(1)) }]), json!([]))).await;
    let request = world.person("bob").submits(json!({ "accessPackageId": package })).await["request"].clone();
    let stage = &request["stages"][0]["id"];
    assert_eq!(deciders(world, &request).await, ["rhea", "erin", "zoe"]);
    load(vec![member("pat")]).await;
    assert_eq!(deciders(world, &request).await, ["pat", "zoe"]);
    assert_eq!(world.person("erin").is_refused(stage).await, "NOT_FOUND", "she does not see it any more");
    assert_eq!(world.person("rhea").is_refused(stage).await, "NOT_AN_APPROVER", "she sees it by her role");
    assert_eq!(world.person("pat").approves(stage).await["state"], "DELIVERED");
    let seen = world.person("zoe").request(&request["id"]).await;
    assert_eq!(seen["stages"][0]["decidedBy"]["id"], world.person("pat").user_id(), "she was in the set at its end");
    load(vec![]).await;
    assert_eq!(
        world.person("pat").request(&request["id"]).await["id"],
        request["id"],
        "so was he, who has left it since"
    );
    assert_eq!(world.person("erin").request(&request["id"]).await, Value::Null, "she was not");
});

story!(who_has_the_name_and_not_the_role_does_not_keep_the_fallback_out, |world| {
    let mona = world.person("mona");
    world.controls(json!({ "approvers": [{ "userId": mona.user_id() }] })).await;
    let request = world.person("alice").asks_for(WIKI).await;
    let stage = world.whole(&request).await["currentStage"]["id"].clone();
    assert_eq!(deciders(world, &request).await, ["ada"], "mona is in the set, and does not pass the second check");
    assert_eq!(mona.is_refused(&stage).await, "ROLE_REQUIRED");
    let both = json!([{ "user": { "id": mona.user_id() } }, { "role": "GLOBAL_ADMINISTRATOR" }]);
    assert_eq!(shown(world, &stage).await, both);

    // She gets a role: the fallback leaves again, and the log tells of it.
    world.changes("mona", "directoryRoles", json!(["SECURITY_READER"])).await;
    assert_eq!(deciders(world, &request).await, ["mona"]);
    assert_eq!(world.person("ada").is_refused(&stage).await, "NOT_AN_APPROVER");
    assert_eq!(shown(world, &stage).await, json!([{ "user": { "id": mona.user_id() } }]));
    let snapshot = world.snapshot().await;
    let (kind, details) =
        snapshot.told_of(&request).into_iter().rfind(|(kind, _)| kind != "DECISION_REFUSED").expect("events");
    assert_eq!(kind, "STAGE_COVERAGE_CHANGED");
    assert_eq!((&details["CoverageBefore"], &details["Coverage"]), (&json!("FALLBACK"), &json!("PRIMARY")));
    assert_eq!(mona.approves(&stage).await["state"], "DELIVERED");
});

story!(a_role_that_is_lost_between_listing_and_deciding_is_missed_at_the_decision, |world| {
    let mona = world.person("mona");
    world.changes("mona", "directoryRoles", json!(["SECURITY_READER"])).await;
    let approvers = json!([{ "userId": mona.user_id() }, { "directoryRole": "SECURITY_ADMINISTRATOR" }]);
    world.controls(json!({ "approvers": approvers })).await;
    let request = world.person("alice").asks_for(WIKI).await;
    let (listed, _) = mona.pending_risk().await;
    let stage = listed.last().expect("it waits for her").clone();
    assert_eq!((&stage["request"]["id"], &stage["isAssignedToViewer"]), (&request["id"], &json!(true)));
    world.changes("mona", "directoryRoles", json!([])).await;
    assert_eq!(mona.pending_risk().await.0, Vec::<Value>::new());
    for _ in 0..3 {
        assert_eq!(mona.is_refused(&stage["id"]).await, "ROLE_REQUIRED");
    }
    world.clock.advance(Seconds(61));
    assert_eq!(mona.is_refused(&stage["id"]).await, "ROLE_REQUIRED");
    let snapshot = world.snapshot().await;
    let refused: Vec<_> =
        snapshot.told_of(&request).into_iter().filter(|(kind, _)| kind == "DECISION_REFUSED").map(|(_, d)| d).collect();
    assert_eq!(refused.iter().map(|d| d["Code"].clone()).collect::<Vec<_>>(), ["ROLE_REQUIRED", "ROLE_REQUIRED"]);
    assert_eq!(refused.iter().map(|d| d["Repeats"].clone()).collect::<Vec<_>>(), [0, 2], "two more were not written");
});

story!(nobody_is_left_so_the_log_alerts_and_the_deadline_denies, |world| {
    world
        .controls(json!({ "approvers": [{ "userId": world.person("mona").user_id() }], "fallbackApprovers": [] }))
        .await;
    let request = world.person("alice").asks_for(WIKI).await;
    assert_eq!(request["state"], "PENDING_APPROVAL", "an empty set never means yes");
    assert_eq!(deciders(world, &request).await, Vec::<&str>::new());
    let told = world.told(&request).await;
    assert_eq!(told[told.len() - 2..], ["STAGE_PENDING", "STAGE_WITHOUT_APPROVER"]);
    world.pass(Seconds::days(14)).await;
    let seen = world.whole(&request).await;
    assert_eq!((&seen["state"], &seen["outcome"]), (&json!("DENIED"), &json!("RISK_APPROVAL_TIMED_OUT")));
    let told = world.person("alice").request(&request["id"]).await;
    assert_eq!(told["outcome"], "APPROVAL_TIMED_OUT", "she is told what every approval's end is called");
});

story!(the_last_primary_approver_leaves_and_the_fallback_joins, |world| {
    let [erin, zoe] = ["erin", "zoe"].map(|name| world.person(name));
    let package =
        world.staged(stage(json!([{ "userId": erin.user_id() }]), json!([{ "userId": zoe.user_id() }]))).await;
    let request = world.person("bob").submits(json!({ "accessPackageId": package })).await["request"].clone();
    let stage = &request["stages"][0]["id"];
    assert_eq!(zoe.is_refused(stage).await, "NOT_FOUND");
    let coverage = async || {
        let snapshot = world.snapshot().await;
        let told = snapshot.told_of(&request).into_iter().filter(|(kind, _)| kind.starts_with("STAGE_"));
        told.map(|(kind, d)| format!("{kind} {}", d["Coverage"].as_str().unwrap_or("-"))).collect::<Vec<_>>()
    };

    world.changes("erin", "isEnabled", json!(false)).await;
    assert_eq!(erin.ask("{ viewer { user { id } } }", Value::Null).await.code(), "UNAUTHENTICATED");
    assert_eq!(deciders(world, &request).await, ["zoe"]);
    let both = json!([{ "user": { "id": erin.user_id() } }, { "user": { "id": zoe.user_id() } }]);
    assert_eq!(shown(world, stage).await, both);

    world.changes("zoe", "isEnabled", json!(false)).await;
    assert_eq!(deciders(world, &request).await, Vec::<&str>::new());
    // Something else changes: nothing new is told of this stage.
    world.changes("pat", "displayName", json!("Patrick Sullivan")).await;
    assert_eq!(
        coverage().await,
        [
            "STAGE_PENDING PRIMARY",
            "STAGE_COVERAGE_CHANGED FALLBACK",
            "STAGE_COVERAGE_CHANGED NOBODY",
            "STAGE_WITHOUT_APPROVER -"
        ]
    );
    world.changes("erin", "isEnabled", json!(true)).await;
    assert_eq!(coverage().await.last().map(String::as_str), Some("STAGE_COVERAGE_CHANGED PRIMARY"));
    assert_eq!(erin.approves(stage).await["state"], "DELIVERED");
    // What it shows is what was in force at its end, whoever comes and goes.
    world.changes("erin", "isEnabled", json!(false)).await;
    assert_eq!(shown(world, stage).await, json!([{ "user": { "id": erin.user_id() } }]));
});

story!(a_stage_whose_turn_has_not_come_is_covered_by_who_is_there_then, |world| {
    let request = world.person("bob").asks_for(FINANCE_DATA).await;
    world.regroups(FINANCE_OWNERS, &["bob"]).await;
    assert!(!world.told(&request).await.contains(&"STAGE_COVERAGE_CHANGED".to_owned()), "the second stage only waits");
    let after = world.person("mona").approves(&request["stages"][0]["id"]).await;
    let told = world.told(&request).await;
    assert_eq!(told[told.len() - 2..], ["STAGE_PENDING", "STAGE_WITHOUT_APPROVER"], "bob alone is left, and he asks");
    assert_eq!(world.person("pat").is_refused(&after["currentStage"]["id"]).await, "NOT_FOUND");
    world.regroups(FINANCE_OWNERS, &["bob", "zoe"]).await;
    assert_eq!(world.person("zoe").approves(&after["currentStage"]["id"]).await["state"], "DELIVERED");
});

story!(alternates_join_beside_the_others_and_keep_the_fallback_out, |world| {
    let id = |name: &str| world.person(name).user_id();
    let stages = json!([{ "approvers": [{ "userId": id("dan") }], "fallbackApprovers": [{ "userId": id("zoe") }],
        "escalationApprovers": [{ "userId": id("pat") }], "escalateAfter": "P2D", "decisionTimeout": "P7D" }]);
    let package = world.staged(stages).await;
    let request = world.person("bob").submits(json!({ "accessPackageId": package })).await["request"].clone();
    let stage = &request["stages"][0]["id"];
    assert_eq!(deciders(world, &request).await, ["zoe"]);
    world.pass(Seconds(2 * 86_400 - 1)).await;
    assert_eq!(deciders(world, &request).await, ["zoe"], "a second is left");
    world.pass(Seconds(1)).await;
    assert_eq!(deciders(world, &request).await, ["pat"], "somebody other than the fallback could decide now");
    assert_eq!(world.person("zoe").is_refused(stage).await, "NOT_FOUND");
    assert_eq!(world.run_due().await, 0, "once");
    let due = &world.whole(&request).await["stages"][0]["dueAt"];
    assert_eq!(due, "2026-03-09T09:00:00Z", "the deadline has not moved");
    world.pass(Seconds::days(5)).await;
    assert_eq!(world.whole(&request).await["outcome"], "APPROVAL_TIMED_OUT");
});

story!(somebody_who_left_the_company_decides_nothing, |world| {
    let request = world.person("bob").asks_for(PRODUCTION_ACCESS).await;
    let pat = world.person("pat");
    let stage = &request["stages"][0]["id"];
    let everybody: Value = serde_json::from_str(include_str!("../../demo/directory.json")).expect("the company");
    let mut remaining = everybody.clone();
    remaining["users"].as_array_mut().expect("users").retain(|user| user["userPrincipalName"] != "pat@example.com");
    remaining["groups"][0]["memberIds"] = json!([world.person("olga").id.0]);
    let picture = serde_json::from_value(remaining).expect("a file of the directory");
    world.services().import(&picture, Default::default()).await.expect("the import is committed");
    let answer = pat.ask("mutation($s: ID!) { decideApprovalStage(input: { stageId: $s, decision: APPROVE }) { userErrors { code } } }", json!({ "s": stage })).await;
    assert_eq!(answer.code(), "UNAUTHENTICATED");
    assert_eq!(deciders(world, &request).await, ["olga"]);
});
