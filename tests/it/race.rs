//! Many at once: the first commit wins, everybody else is told so, and nothing happens twice.

use entity::Seconds;
use futures_util::future::join_all;
use riskgate::demo::{FINANCE_DATA, WIKI};
use riskgate::service::{FileUser, ImportOptions, Picture};
use serde_json::{Value, json};

use crate::story;
use crate::support::{Kind, Person, World};

/// A hundred more security administrators; on PostgreSQL every other one is at a second instance.
async fn a_hundred_administrators(world: &World) -> Vec<Person> {
    let id = |number: usize| format!("11110000-0000-4000-8000-{number:012}");
    let upn = |number: usize| format!("admin{number}@example.com");
    let users = (0..100).map(|number| FileUser {
        id: id(number),
        display_name: format!("Administrator {number}"),
        user_principal_name: upn(number),
        mail: None,
        is_enabled: true,
        manager_id: None,
        directory_roles: vec![entity::DirectoryRole::SecurityAdministrator],
    });
    let picture = Picture { users: users.collect(), groups: Vec::new() };
    let options = ImportOptions { partial: true, ..ImportOptions::default() };
    world.services().import(&picture, options).await.expect("the import is committed");
    let person = |number: usize| {
        let id = entity::UserId(entity::canonical_uuid(&id(number)).expect("an id"));
        world.holder(world.app().address, id, &upn(number), Seconds::hours(8_000))
    };
    (0..100).map(person).collect()
}

async fn pending_stage(world: &World, request: &Value) -> Value {
    world.person("glen").request(&request["id"]).await["currentStage"]["id"].clone()
}

fn counted<T: Eq>(values: &[T], wanted: &T) -> usize {
    values.iter().filter(|value| *value == wanted).count()
}

story!(a_hundred_people_decide_one_stage_and_one_decision_counts, |world| {
    let mut people = a_hundred_administrators(world).await;
    let second = if world.database.kind == Kind::Postgres { Some(world.another_instance().await) } else { None };
    if let Some(second) = &second {
        people.iter_mut().step_by(2).for_each(|person| person.address = second.address);
    }
    let request = world.person("alice").asks_for(WIKI).await;
    let stage = pending_stage(world, &request).await;
    let codes = join_all(people.iter().map(|person| person.is_refused(&stage))).await;
    assert_eq!(counted(&codes, &String::new()), 1, "{codes:?}");
    assert_eq!(counted(&codes, &"STAGE_NOT_PENDING".to_owned()), 99, "{codes:?}");
    let snapshot = world.snapshot().await;
    let about: Vec<_> = snapshot
        .events
        .iter()
        .filter(|event| request["id"] == event.request_id.map_or(String::new(), |id| id.to_string()))
        .collect();
    assert_eq!(about.iter().filter(|event| event.kind == "STAGE_APPROVED").count(), 1);
    assert_eq!(about.iter().filter(|event| event.kind == "ASSIGNMENT_DELIVERED").count(), 1);
    if let Some(second) = second {
        second.stop().await;
    }
});

story!(a_decision_and_a_cancellation_at_once, |world| {
    let (alice, sam) = (world.person("alice"), world.person("sam"));
    for _ in 0..5 {
        let request = alice.asks_for(FINANCE_DATA).await;
        let stage = pending_stage(world, &request).await;
        let (refused, canceled) = tokio::join!(sam.is_refused(&stage), alice.cancels(&request["id"]));
        // A decision may come first and the cancellation after it; the reverse leaves nothing to decide.
        assert!(["", "STAGE_NOT_PENDING"].contains(&refused.as_str()), "{refused}");
        let canceled = canceled.data()["cancelAccessRequest"].clone();
        assert_eq!(canceled["userErrors"], json!([]), "{canceled:#}");
        assert_eq!(canceled["request"]["state"], "CANCELED");
    }
});

story!(the_deadline_and_everything_else_at_once, |world| {
    let (alice, sam) = (world.person("alice"), world.person("sam"));
    let request = alice.asks_for(FINANCE_DATA).await;
    let stage = pending_stage(world, &request).await;
    world.clock.advance(Seconds::days(14));
    let (refused, canceled, due) =
        tokio::join!(sam.is_refused(&stage), alice.cancels(&request["id"]), world.services().run_due());
    assert_eq!(refused, "STAGE_NOT_PENDING");
    due.expect("the clockwork runs");
    let seen = sam.request(&request["id"]).await;
    match canceled.data()["cancelAccessRequest"]["userErrors"][0]["code"].as_str() {
        None => assert_eq!(seen["state"], "CANCELED"),
        Some(code) => assert_eq!((code, &seen["outcome"]), ("INVALID_STATE", &json!("RISK_APPROVAL_TIMED_OUT"))),
    }
});

story!(two_instances_let_one_deadline_fall_due_once_also_after_a_rest, |world| {
    let request = world.person("alice").asks_for(FINANCE_DATA).await;
    world.stop().await;
    world.clock.advance(Seconds::days(20));
    world.restart().await;
    let second = if world.database.kind == Kind::Postgres { Some(world.another_instance().await) } else { None };
    let services = second.as_ref().map_or_else(|| world.services().clone(), |second| second.services.clone());
    let (first, other) = tokio::join!(world.services().run_due(), services.run_due());
    assert!(first.expect("it runs") + other.expect("it runs") > 0);
    let seen = world.person("sam").request(&request["id"]).await;
    assert_eq!((&seen["state"], &seen["outcome"]), (&json!("DENIED"), &json!("RISK_APPROVAL_TIMED_OUT")));
    if let Some(second) = second {
        second.stop().await;
    }
});

story!(one_idempotency_key_used_a_hundred_times_makes_one_request, |world| {
    let alice = world.person("alice");
    let second = if world.database.kind == Kind::Postgres { Some(world.another_instance().await) } else { None };
    let elsewhere = second.as_ref().map_or_else(|| alice.clone(), |second| world.person_at(second.address, "alice"));
    let input = json!({ "accessPackageId": FINANCE_DATA.to_string(), "idempotencyKey": "once" });
    let calls = (0..100).map(|number| if number % 2 == 0 { &alice } else { &elsewhere }.submits(input.clone()));
    let payloads = join_all(calls).await;
    if let Some(second) = second {
        second.stop().await;
    }
    let first = &payloads[0]["request"]["id"];
    assert!(first.is_string(), "{:#}", payloads[0]);
    assert!(payloads.iter().all(|payload| payload["request"]["id"] == *first && payload["userErrors"] == json!([])));
    let other = json!({ "accessPackageId": WIKI.to_string(), "idempotencyKey": "once" });
    let refused = alice.submits(other.clone()).await;
    assert_eq!(refused["userErrors"][0]["code"], "INVALID");
    assert_eq!(refused["userErrors"][0]["field"], json!(["idempotencyKey"]));
    world.clock.advance(Seconds::hours(24));
    assert_eq!(alice.submits(other).await["userErrors"], json!([]), "a day later the key is free");
});

story!(several_decisions_in_one_call_stand_each_for_itself, |world| {
    let sam = world.person("sam");
    let (alice, mallory) = (world.person("alice"), world.person("mallory"));
    let mut stages = Vec::new();
    for request in [alice.asks_for(WIKI).await, mallory.asks_for(WIKI).await] {
        stages.push(pending_stage(world, &request).await);
    }
    let decide =
        "mutation($input: [DecideApprovalStageInput!]!) { decideApprovalStages(input: $input) { stage { id status }
        userErrors { code field } } }";
    let item = |stage: &Value, why: Value| json!({ "stageId": stage, "decision": "APPROVE", "justification": why });
    let input = json!([
        item(&stages[0], Value::Null),
        item(&stages[0], json!("Seen.")),
        item(&json!("stg_nonsense"), json!("Seen.")),
        item(&stages[0], json!("Seen.")),
        item(&stages[1], json!("Seen.")),
    ]);
    let results = sam.data(decide, json!({ "input": input })).await["decideApprovalStages"].clone();
    let of = |index: usize| (results[index]["stage"]["status"].clone(), results[index]["userErrors"].clone());
    assert_eq!(of(0), (Value::Null, json!([{ "code": "JUSTIFICATION_REQUIRED", "field": ["0", "justification"] }])));
    assert_eq!(of(1), (json!("APPROVED"), json!([])));
    assert_eq!(of(2), (Value::Null, json!([{ "code": "NOT_FOUND", "field": ["2", "stageId"] }])));
    assert_eq!(of(3), (Value::Null, json!([{ "code": "STAGE_NOT_PENDING", "field": ["3", "stageId"] }])));
    assert_eq!(of(4), (json!("APPROVED"), json!([])));
    let many = vec![item(&stages[0], json!("Seen.")); 51];
    let answer = sam.ask(decide, json!({ "input": many })).await;
    assert_eq!((answer.code(), &answer.body["data"]["decideApprovalStages"]), ("BAD_USER_INPUT", &Value::Null));
});
