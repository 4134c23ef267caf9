//! What a decision says of itself.

use entity::Seconds;
use riskgate::demo::{FINANCE_DATA, FINANCE_OWNERS, PRODUCTION_ACCESS, WIKI};
use serde_json::{Value, json};

use super::{current, proof};
use crate::story;

story!(a_decision_on_risk_says_by_which_role_and_on_which_reading, |world| {
    let (sofia, glen) = (world.person("sofia"), world.person("glen"));
    let request = world.person("alice").asks_for(WIKI).await;
    let stage = current(world, &request).await;
    assert_eq!(proof(&glen, &stage).await, json!([]), "nobody has decided yet");
    let version = world.snapshot().await.head.directory_version;
    assert_eq!(sofia.approves(&stage).await["state"], "DELIVERED");
    let wanted = json!([{
        "decision": "APPROVE", "decidedBy": { "id": sofia.user_id() }, "decidedAt": world.now().rfc3339(),
        "tier": "PRIMARY", "namedBy": { "role": "SECURITY_ADMINISTRATOR" }, "groupPath": [],
        "role": "SECURITY_ADMINISTRATOR", "roleGroup": null, "directoryVersion": version,
        "rolesReadAt": null, "roleDataAge": "PT0S", "evaluation": { "level": "HIGH" }, "stageVersion": 1,
    }]);
    assert_eq!(proof(&glen, &stage).await, wanted);
    let snapshot = world.snapshot().await;
    let (_, told) =
        snapshot.told_of(&request).into_iter().find(|(kind, _)| kind == "STAGE_APPROVED").expect("it was approved");
    assert_eq!((&told["ApproverTier"], &told["ApproverKind"]), (&json!("PRIMARY"), &json!("ROLE")));
    assert_eq!((&told["Role"], &told["StageVersion"]), (&json!("SECURITY_ADMINISTRATOR"), &json!(1)));
    let reading =
        snapshot.evaluations.values().flatten().find(|row| told["EvaluationId"] == row.id.to_string().as_str());
    assert_eq!(reading.expect("the reading that it shows").level, entity::RiskLevel::High);
    assert_eq!((&told["GroupPath"], &told["RolesReadAt"]), (&Value::Null, &Value::Null));
});

story!(a_decision_says_through_which_groups_the_person_was_named, |world| {
    let group = |number: u8| format!("00000000-0000-4000-8000-0000000003{number:02}");
    let member = |name: &str| world.person(name).id.0.to_string();
    // Two ways lead from the outer group to zoe; the shorter one is told.
    let groups = json!({ "groups": [
        { "id": group(1), "displayName": "outer", "memberIds": [group(2), group(4)] },
        { "id": group(2), "displayName": "middle", "memberIds": [group(3)] },
        { "id": group(3), "displayName": "inner", "memberIds": [member("zoe")] },
        { "id": group(4), "displayName": "short", "memberIds": [member("zoe"), member("erin")] },
        { "id": group(5), "displayName": "beside", "memberIds": [member("zoe"), group(1)] },
    ] });
    world.imports(groups).await;
    let stages = json!([{ "approvers": [{ "groupId": format!("grp_{}", group(1)) }] }]);
    let package = world.staged(stages).await;
    let request = world.person("bob").submits(json!({ "accessPackageId": package })).await["request"].clone();
    let stage = current(world, &request).await;
    world.person("zoe").approves(&stage).await;
    let told = proof(&world.person("glen"), &stage).await[0].clone();
    assert_eq!(told["groupPath"], json!([{ "displayName": "outer" }, { "displayName": "short" }]));
    assert_eq!(told["namedBy"], json!({ "group": { "displayName": "outer" } }));
    assert_eq!((&told["role"], &told["evaluation"]), (&Value::Null, &Value::Null), "a policy's stage needs neither");
    let events = world.snapshot().await.told_of(&request);
    let (_, told) = events.into_iter().find(|(kind, _)| kind == "STAGE_APPROVED").expect("it was approved");
    assert_eq!(told["GroupPath"], json!([format!("grp_{}", group(1)), format!("grp_{}", group(4))]));

    // Later changes of the directory leave the record as it is.
    world.imports(json!({ "groups": [{ "id": group(4), "displayName": "short", "memberIds": [] }] })).await;
    let told = proof(&world.person("glen"), &stage).await[0].clone();
    assert_eq!(told["groupPath"], json!([{ "displayName": "outer" }, { "displayName": "short" }]));
});

story!(a_manager_an_alternate_a_fallback_and_a_named_person_are_told_apart, |world| {
    let glen = world.person("glen");
    // Finance: the manager, then the owners.
    let finance = world.person("bob").asks_for(FINANCE_DATA).await;
    let first = current(world, &finance).await;
    world.person("mona").approves(&first).await;
    let told = proof(&glen, &first).await[0].clone();
    assert_eq!((&told["tier"], &told["namedBy"]), (&json!("PRIMARY"), &json!({ "managerLevel": 1 })));
    let second = current(world, &finance).await;
    world.person("pat").denies(&second).await;
    let told = proof(&glen, &second).await[0].clone();
    assert_eq!(
        (&told["decision"], &told["groupPath"]),
        (&json!("DENY"), &json!([{ "displayName": "finance-owners" }]))
    );

    // Production: alternates after two days.
    let production = world.person("bob").asks_for(PRODUCTION_ACCESS).await;
    let stage = current(world, &production).await;
    world.pass(Seconds::days(2)).await;
    world.person("mona").approves(&stage).await;
    let told = proof(&glen, &stage).await[0].clone();
    assert_eq!(told["tier"], "ALTERNATE");
    assert_eq!(told["stageVersion"], 2, "it was escalated before");

    // Who has no manager has the fallback.
    let zoe = world.person("zoe").asks_for(FINANCE_DATA).await;
    let stage = current(world, &zoe).await;
    world.person("olga").approves(&stage).await;
    assert_eq!(proof(&glen, &stage).await[0]["tier"], "FALLBACK");

    // A person by name.
    let erin = world.person("erin").user_id();
    let package =
        world.staged(json!([{ "approvers": [{ "userId": erin }, { "groupId": FINANCE_OWNERS.to_string() }] }])).await;
    let named = world.person("bob").submits(json!({ "accessPackageId": package })).await["request"].clone();
    let stage = current(world, &named).await;
    world.person("erin").approves(&stage).await;
    assert_eq!(proof(&glen, &stage).await[0]["namedBy"], json!({ "user": { "id": erin } }));
});

story!(the_proof_is_for_those_who_see_the_stage_and_may_read_the_audit_log, |world| {
    let request = world.person("alice").asks_for(FINANCE_DATA).await;
    let risk = current(world, &request).await;
    world.person("sofia").approves(&risk).await;
    let policy = current(world, &request).await;
    world.person("mona").approves(&policy).await;
    for (name, sees_risk, sees_policy) in [
        ("glen", true, true),
        ("ada", true, true),
        ("ines", true, true),
        ("sofia", true, true),
        ("rhea", true, true),
        // Sees the request and its risk by her role, and may not read the audit log.
        ("cora", false, false),
        ("mona", false, false),
        ("alice", false, false),
        // May read the audit log, and does not see the request.
        ("otto", false, false),
        ("erin", false, false),
    ] {
        let person = world.person(name);
        for (stage, sees) in [(&risk, sees_risk), (&policy, sees_policy)] {
            let told = proof(&person, stage).await;
            assert_eq!(told.as_array().map(Vec::len), sees.then_some(1), "{name}: {told}");
        }
    }
});
