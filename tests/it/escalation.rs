//! Who joins a stage, and who is left: alternates, fallback, nobody; and what a change of the directory does to a pending stage.

use entity::Seconds;
use riskgate::demo::{FINANCE_DATA, PRODUCTION_ACCESS};
use riskgate::service::{ImportOptions, Picture};
use serde_json::{Value, json};

use crate::story;
use crate::support::World;

/// The demo company, changed.
async fn import(world: &World, change: impl FnOnce(&mut Picture)) {
    let text = include_str!("../../demo/directory.json");
    let mut picture: Picture = serde_json::from_str(text).expect("the demo company");
    change(&mut picture);
    let options = ImportOptions { allow_mass_deletion: true, ..ImportOptions::default() };
    world.services().import(&picture, options).await.expect("the import is committed");
}

fn user<'a>(picture: &'a mut Picture, name: &str) -> &'a mut riskgate::service::FileUser {
    let upn = format!("{name}@example.com");
    picture.users.iter_mut().find(|user| user.user_principal_name == upn).expect("somebody of the company")
}

/// Kinds of the events about a request, in order.
async fn kinds(world: &World, request: &Value) -> Vec<String> {
    let snapshot = world.snapshot().await;
    let is_about =
        |event: &&entity::event::Model| request["id"] == event.request_id.map_or(String::new(), |id| id.to_string());
    snapshot.events.iter().filter(is_about).map(|event| event.kind.clone()).collect()
}

async fn current(world: &World, request: &Value) -> Value {
    world.person("glen").request(&request["id"]).await["currentStage"]["id"].clone()
}

story!(alternates_join_once_and_the_deadline_stays, |world| {
    let (bob, mona, pat) = (world.person("bob"), world.person("mona"), world.person("pat"));
    let request = bob.asks_for(PRODUCTION_ACCESS).await;
    let stage = current(world, &request).await;
    let due = world.person("glen").request(&request["id"]).await["stages"][0]["dueAt"].clone();
    assert_eq!(mona.is_refused(&stage).await, "NOT_FOUND", "an alternate sees it from escalation on");
    world.pass(Seconds::days(2)).await;
    world.run_due().await;
    let seen = mona.request(&request["id"]).await;
    assert_eq!(seen["stages"][0]["isAssignedToViewer"], true);
    assert_eq!(seen["stages"][0]["dueAt"], due);
    assert_eq!(pat.request(&request["id"]).await["stages"][0]["isAssignedToViewer"], true, "the others stay");
    assert_eq!(kinds(world, &request).await.iter().filter(|kind| *kind == "STAGE_ESCALATED").count(), 1);
    assert_eq!(mona.approves(&stage).await["state"], "DELIVERED");
});

story!(the_fallback_joins_where_nobody_else_is, |world| {
    let (zoe, olga) = (world.person("zoe"), world.person("olga"));
    let request = zoe.asks_for(FINANCE_DATA).await;
    let seen = olga.request(&request["id"]).await;
    assert_eq!(seen["currentStage"]["id"], request["stages"][0]["id"], "zoe has no manager");
    assert_eq!(olga.approves(&seen["currentStage"]["id"]).await["currentStage"]["kind"], "POLICY");
});

story!(whoever_asks_or_gets_the_access_never_decides, |world| {
    // Olga is the fallback of her own request's first stage, and one of the owners who decide its second.
    let (olga, pat) = (world.person("olga"), world.person("pat"));
    let request = olga.asks_for(FINANCE_DATA).await;
    assert!(kinds(world, &request).await.contains(&"STAGE_WITHOUT_APPROVER".to_owned()));
    let stage = current(world, &request).await;
    assert_eq!(olga.is_refused(&stage).await, "NOT_AN_APPROVER");
    assert_eq!(pat.is_refused(&stage).await, "NOT_FOUND");
    world.pass(Seconds::days(14)).await;
    let seen = olga.request(&request["id"]).await;
    assert_eq!((&seen["state"], &seen["outcome"]), (&json!("DENIED"), &json!("APPROVAL_TIMED_OUT")));
});

story!(a_change_of_the_directory_judges_pending_stages_again, |world| {
    let (alice, sam, ada) = (world.person("alice"), world.person("sam"), world.person("ada"));
    let request = alice.asks_for(FINANCE_DATA).await;
    let stage = current(world, &request).await;
    assert_eq!(ada.is_refused(&stage).await, "NOT_AN_APPROVER", "the fallback is not in force");

    import(world, |picture| {
        user(picture, "sam").directory_roles.clear();
        user(picture, "sofia").is_enabled = false;
    })
    .await;
    assert_eq!(sam.is_refused(&stage).await, "NOT_FOUND", "he has left the set, and reads nothing any more");
    assert_eq!(world.person("sofia").ask("{ viewer { user { id } } }", Value::Null).await.code(), "UNAUTHENTICATED");
    assert_eq!(ada.request(&request["id"]).await["currentStage"]["id"], stage);
    let told = kinds(world, &request).await;
    assert_eq!(told.last().map(String::as_str), Some("STAGE_COVERAGE_CHANGED"), "{told:?}");

    import(world, |picture| {
        user(picture, "sam").directory_roles.clear();
        user(picture, "sofia").is_enabled = false;
        user(picture, "ada").directory_roles = vec![entity::DirectoryRole::GlobalReader];
    })
    .await;
    let told = kinds(world, &request).await;
    assert_eq!(told.last().map(String::as_str), Some("STAGE_WITHOUT_APPROVER"), "{told:?}");

    import(world, |_| ()).await;
    let told = kinds(world, &request).await;
    assert_eq!(told.last().map(String::as_str), Some("STAGE_COVERAGE_CHANGED"), "{told:?}");
    assert_eq!(sam.approves(&stage).await["currentStage"]["kind"], "POLICY");
});

story!(an_approver_by_name_without_the_role_is_told_so_and_the_log_hears_of_it_once_a_minute, |world| {
    let ines = world.person("ines");
    let named = json!([{ "userId": world.person("mona").user_id() }, { "directoryRole": "SECURITY_ADMINISTRATOR" }]);
    let update = "mutation($input: UpdateIdProtectionRiskApprovalInput!) { updateIdProtectionRiskApproval(input: $input) { userErrors { code } } }";
    ines.data(update, json!({ "input": { "approvers": named } })).await;
    let request = world.person("alice").asks_for(FINANCE_DATA).await;
    let stage = current(world, &request).await;
    let mona = world.person("mona");
    let seen = mona.request(&request["id"]).await;
    assert_eq!(seen["currentStage"]["id"], stage, "she is in the set, so she sees the stage");
    assert_eq!(seen["stages"][0]["isAssignedToViewer"], false);
    for _ in 0..3 {
        assert_eq!(mona.is_refused(&stage).await, "ROLE_REQUIRED");
    }
    let refused = |told: Vec<String>| told.iter().filter(|kind| *kind == "DECISION_REFUSED").count();
    assert_eq!(refused(kinds(world, &request).await), 1);
    world.clock.advance(Seconds(60));
    assert_eq!(mona.is_refused(&stage).await, "ROLE_REQUIRED");
    assert_eq!(refused(kinds(world, &request).await), 2);
    assert_eq!(world.person("rhea").is_refused(&stage).await, "NOT_AN_APPROVER", "the role alone is not enough");
});
