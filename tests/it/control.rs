//! The control configurations: always there, changed by few, kept for ever.

use entity::{Seconds, control_version};
use riskgate::demo::{FINANCE_DATA, WIKI};
use sea_orm::{ConnectionTrait, EntityTrait};
use serde_json::{Value, json};

use crate::story;
use crate::support::{Options, Person};

async fn update(person: &Person, input: Value) -> Value {
    let query =
        "mutation($input: UpdateIdProtectionRiskApprovalInput!) { updateIdProtectionRiskApproval(input: $input) {
        controlConfiguration { id version isEnabled isApprovalRequired riskLevels minimumRiskLevel decisionTimeout
            modifiedBy { id } modifiedAt approvers { __typename } fallbackApprovers { __typename } }
        warnings userErrors { code field } } }";
    person.data(query, json!({ "input": input })).await["updateIdProtectionRiskApproval"].clone()
}

story!(both_controls_are_there_and_what_is_not_acceptable_is_refused, |world| {
    let ines = world.person("ines");
    let read = "{ controlConfigurations { __typename id version isEnabled } }";
    let both = ines.data(read, Value::Null).await["controlConfigurations"].clone();
    assert_eq!(both[0]["__typename"], "IdProtectionRiskApproval");
    assert_eq!(both[0]["id"], "cfg_01980000-0000-7000-8000-000000000001");
    assert_eq!(both[1]["__typename"], "InsiderRiskApproval");
    assert_eq!(both[1]["id"], "cfg_01980000-0000-7000-8000-000000000002");
    for (input, code, field) in [
        (json!({ "riskLevels": [] }), "INVALID", json!(["riskLevels"])),
        (json!({ "riskLevels": ["NONE"] }), "INVALID", json!(["riskLevels"])),
        (json!({ "riskLevels": null }), "INVALID", json!(["riskLevels"])),
        (json!({ "minimumRiskLevel": "NONE" }), "INVALID", json!(["minimumRiskLevel"])),
        (json!({ "minimumRiskLevel": "LOW", "riskLevels": ["LOW"] }), "INVALID", json!(["minimumRiskLevel"])),
        (json!({ "isEnabled": null }), "INVALID", json!(["isEnabled"])),
        (json!({ "expectedVersion": null }), "INVALID", json!(["expectedVersion"])),
        (json!({ "approvers": [] }), "INVALID", json!(["approvers"])),
        (
            json!({ "approvers": [{ "requestorManagerLevel": 3 }] }),
            "INVALID",
            json!(["approvers", "0", "requestorManagerLevel"]),
        ),
        (
            json!({ "fallbackApprovers": [{ "groupId": "grp_x" }] }),
            "NOT_FOUND",
            json!(["fallbackApprovers", "0", "groupId"]),
        ),
        (json!({ "decisionTimeout": "PT59M" }), "INVALID", json!(["decisionTimeout"])),
        (json!({ "decisionTimeout": "P14DT1S" }), "INVALID", json!(["decisionTimeout"])),
        (json!({ "expectedVersion": 1, "isEnabled": false }), "STALE_VERSION", json!(["expectedVersion"])),
        (json!({ "expectedVersion": 99, "isEnabled": false }), "STALE_VERSION", json!(["expectedVersion"])),
    ] {
        let refused = update(&ines, input.clone()).await;
        assert_eq!(refused["userErrors"], json!([{ "code": code, "field": field }]), "{input}");
        assert_eq!(refused["controlConfiguration"], Value::Null);
    }
    let answer = ines
        .ask(
            "mutation { updateIdProtectionRiskApproval(input: { decisionTimeout: \"P1Y\" }) { warnings } }",
            Value::Null,
        )
        .await;
    assert_eq!(answer.code(), "BAD_USER_INPUT");
    let again = ines.data(read, Value::Null).await["controlConfigurations"].clone();
    assert_eq!(again, both, "nothing has changed");
});

story!(a_change_is_a_version_and_a_gap_a_warning, |world| {
    let ines = world.person("ines");
    let changed =
        update(&ines, json!({ "expectedVersion": 2, "riskLevels": ["HIGH", "LOW", "LOW"], "fallbackApprovers": [] }))
            .await;
    let control = &changed["controlConfiguration"];
    assert_eq!((&control["version"], &control["riskLevels"]), (&json!(3), &json!(["LOW", "HIGH"])));
    assert_eq!((&control["minimumRiskLevel"], &control["modifiedBy"]["id"]), (&Value::Null, &json!(ines.user_id())));
    assert_eq!(changed["warnings"].as_array().map(Vec::len), Some(1));
    let same = update(&ines, json!({ "riskLevels": ["LOW", "HIGH"] })).await;
    assert_eq!(same["controlConfiguration"]["version"], 3, "nothing changed, so no version");

    let log = "{ auditEvents(first: 1, filter: { activity: \"Update tenant setting\" }) { nodes { actor { id } details { key value } } } }";
    let event = ines.data(log, Value::Null).await["auditEvents"]["nodes"][0].clone();
    let detail = |key: &str| {
        event["details"].as_array().and_then(|d| d.iter().find(|d| d["key"] == key)).map(|d| d["value"].clone())
    };
    assert_eq!(detail("RiskLevels"), Some(json!(r#"["[\"MEDIUM\",\"HIGH\"]","[\"LOW\",\"HIGH\"]"]"#)));
    assert!(detail("Warnings").is_some());

    let connection = world.database.connect().await;
    let mut kept = control_version::Entity::find().all(&connection).await.expect("versions");
    kept.retain(|row| row.source == entity::RiskSource::IdProtection);
    kept.sort_by_key(|row| row.version);
    assert_eq!(kept.iter().map(|row| row.version).collect::<Vec<_>>(), [2, 3]);
    assert!(kept[1].before.contains("MEDIUM") && kept[1].after.contains("LOW"));
    for change in ["UPDATE control_version SET after = before", "DELETE FROM control_version"] {
        connection.execute_unprepared(change).await.expect_err("versions are kept for ever");
    }
    connection.close().await.expect("the connection closes");
});

story!(a_change_is_for_what_comes_after_it, |world| {
    let (alice, carol, ines, sam) =
        (world.person("alice"), world.person("carol"), world.person("ines"), world.person("sam"));
    let before = alice.asks_for(WIKI).await;
    update(&ines, json!({ "minimumRiskLevel": "LOW", "decisionTimeout": "PT1H" })).await;
    let seen = sam.request(&before["id"]).await;
    assert_eq!(seen["riskEvaluations"][0]["configurationVersion"], 2);
    assert_eq!(seen["stages"][0]["dueAt"], "2026-03-16T09:00:00Z");
    let after = carol.asks_for(WIKI).await;
    let seen = sam.request(&after["id"]).await;
    assert_eq!(
        (&seen["riskEvaluations"][0]["configurationVersion"], &seen["riskEvaluations"][0]["level"]),
        (&json!(3), &json!("LOW"))
    );
    assert_eq!(seen["stages"][0]["dueAt"], "2026-03-02T10:00:00Z");
    world.pass(Seconds::hours(1)).await;
    assert_eq!(sam.request(&after["id"]).await["outcome"], "RISK_APPROVAL_TIMED_OUT");
    update(&ines, json!({ "isApprovalRequired": false })).await;
    let off = world.person("mallory").asks_for(FINANCE_DATA).await;
    let seen = sam.request(&off["id"]).await;
    let sources: Vec<_> = seen["riskEvaluations"].as_array().expect("readings").iter().map(|r| &r["source"]).collect();
    assert_eq!(sources, ["INSIDER_RISK"], "a control that requires no approval reads nothing");
});

story!(a_new_database_has_both_controls_untouched, Options { demo: false, ..Options::default() }, |world| {
    let snapshot = world.snapshot().await;
    assert!(snapshot.events.is_empty());
    let connection = world.database.connect().await;
    let rows = entity::control::Entity::find().all(&connection).await.expect("controls");
    connection.close().await.expect("the connection closes");
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!((row.is_enabled, row.is_approval_required, row.version), (true, false, 1));
        assert_eq!((row.risk_levels.0.len(), row.decision_timeout), (1, Seconds::days(14)));
    }
});
