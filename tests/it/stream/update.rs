//! `accessRequestUpdated`: one message for each commit that changed something the viewer sees.

use entity::Seconds;
use riskgate::demo::{FINANCE_DATA, FINANCE_OWNERS, PRODUCTION_ACCESS, WIKI};
use serde_json::{Value, json};

use super::{UPDATED, current_stage, follows, follows_pending, foreign_cursors, update};
use crate::story;
use crate::support::{Kind, Options, Person, World};

/// Approves the pending stage of a request, which another sees.
async fn passes(person: &Person, request: &Value) -> Value {
    person.approves(&current_stage(person, request).await).await
}

story!(who_asked_follows_what_they_may_see_until_the_end, |world| {
    let (alice, sam, mona, pat) =
        (world.person("alice"), world.person("sam"), world.person("mona"), world.person("pat"));
    let id = alice.asks_for(FINANCE_DATA).await["id"].clone();
    let mut listening = follows(&alice, &id, None).await;
    let mut watching = follows(&sam, &id, None).await;

    let now = update(&mut listening).await;
    assert_eq!(now["request"]["state"], "PENDING_APPROVAL");
    assert_eq!((&now["request"]["currentStage"], &now["request"]["riskEvaluations"]), (&Value::Null, &Value::Null));
    let waiting = json!({ "kind": "POLICY", "status": "WAITING" });
    assert_eq!(now["request"]["stages"], json!([waiting, waiting]));
    assert_eq!(update(&mut watching).await["request"]["currentStage"]["kind"], "ID_PROTECTION_RISK");
    listening.is_silent().await;

    world.clock.advance(Seconds(60));
    passes(&sam, &id).await;
    let begun = update(&mut listening).await;
    assert_eq!(begun["occurredAt"], "2026-03-02T09:01:00Z");
    assert_eq!(begun["request"]["currentStage"]["kind"], "POLICY", "her first stage has begun");
    assert_eq!(update(&mut watching).await["request"]["stages"][0]["status"], "APPROVED");

    passes(&mona, &id).await;
    let stages = update(&mut listening).await["request"]["stages"].clone();
    assert_eq!((&stages[0]["status"], &stages[1]["status"]), (&json!("APPROVED"), &json!("PENDING")));
    passes(&pat, &id).await;
    let end = update(&mut listening).await;
    assert_eq!((&end["request"]["state"], &end["request"]["outcome"]), (&json!("DELIVERED"), &json!("DELIVERED")));
    listening.completes().await;
    listening.is_silent().await;

    let messages = [update(&mut watching).await, update(&mut watching).await];
    assert_eq!(messages[1]["request"]["state"], "DELIVERED");
    watching.completes().await;
});

story!(a_risk_stage_after_a_risk_stage_is_nothing_that_the_requestor_hears, |world| {
    let (mallory, sam, cora) = (world.person("mallory"), world.person("sam"), world.person("cora"));
    let id = mallory.asks_for(FINANCE_DATA).await["id"].clone();
    let mut listening = follows(&mallory, &id, None).await;
    let mut watching = follows(&cora, &id, None).await;
    update(&mut listening).await;
    update(&mut watching).await;

    passes(&sam, &id).await;
    assert_eq!(update(&mut watching).await["request"]["currentStage"]["kind"], "INSIDER_RISK");
    listening.is_silent().await;
    passes(&cora, &id).await;
    assert_eq!(update(&mut watching).await["request"]["currentStage"]["kind"], "POLICY");
    assert_eq!(update(&mut listening).await["request"]["currentStage"]["kind"], "POLICY");
    listening.is_silent().await;
});

story!(the_end_reads_as_the_viewer_may_read_it, |world| {
    let (alice, sam) = (world.person("alice"), world.person("sam"));
    let (denied, late) = (alice.asks_for(WIKI).await["id"].clone(), alice.asks_for(FINANCE_DATA).await["id"].clone());
    for (id, hers, his) in [
        (&denied, "DENIED_BY_APPROVER", "DENIED_BY_RISK_APPROVER"),
        (&late, "APPROVAL_TIMED_OUT", "RISK_APPROVAL_TIMED_OUT"),
    ] {
        let mut listening = follows(&alice, id, None).await;
        let mut watching = follows(&sam, id, None).await;
        update(&mut listening).await;
        update(&mut watching).await;
        if id == &denied {
            sam.denies(&current_stage(&sam, id).await).await;
        } else {
            world.pass(Seconds::days(14)).await;
        }
        assert_eq!(update(&mut listening).await["request"]["outcome"], hers);
        assert_eq!(update(&mut watching).await["request"]["outcome"], his);
        listening.completes().await;
        watching.completes().await;
    }
});

story!(a_request_that_has_ended_is_shown_once, |world| {
    let (bob, alice) = (world.person("bob"), world.person("alice"));
    let over = bob.asks_for(WIKI).await["id"].clone();
    let mut listening = follows(&bob, &over, None).await;
    let end = update(&mut listening).await;
    assert_eq!(end["request"]["state"], "DELIVERED");
    listening.completes().await;
    // With a cursor of the end nothing was missed.
    follows(&bob, &over, Some(&end["cursor"])).await.completes().await;

    let mut events = bob.streams(UPDATED, json!({ "id": over })).await;
    assert_eq!(events.data().await["accessRequestUpdated"]["request"]["id"], over);
    events.completes().await;

    let canceled = alice.asks_for(PRODUCTION_ACCESS).await["id"].clone();
    let mut listening = follows(&alice, &canceled, None).await;
    update(&mut listening).await;
    alice.cancels(&canceled).await.data();
    assert_eq!(update(&mut listening).await["request"]["outcome"], "CANCELED_BY_REQUESTOR");
    listening.completes().await;
});

story!(after_a_cursor_comes_what_was_missed_and_nothing_else, |world| {
    let (alice, sam, mona, pat) =
        (world.person("alice"), world.person("sam"), world.person("mona"), world.person("pat"));
    let id = alice.asks_for(FINANCE_DATA).await["id"].clone();
    let mut listening = follows(&alice, &id, None).await;
    let mut cursors = vec![update(&mut listening).await["cursor"].clone()];
    for approver in [&sam, &mona, &pat] {
        passes(approver, &id).await;
        cursors.push(update(&mut listening).await["cursor"].clone());
    }
    listening.completes().await;
    for (index, cursor) in cursors.iter().enumerate() {
        let mut again = follows(&alice, &id, Some(cursor)).await;
        for missed in &cursors[index + 1..] {
            let told = update(&mut again).await;
            assert_eq!(told["cursor"], *missed);
            assert_eq!(told["request"]["state"], "DELIVERED", "as it is at delivery");
        }
        again.completes().await;
    }

    // Nothing missed, and not over: silence, then what comes.
    let open = alice.asks_for(PRODUCTION_ACCESS).await["id"].clone();
    let mut first = follows(&alice, &open, None).await;
    let now = update(&mut first).await["cursor"].clone();
    let mut listening = follows(&alice, &open, Some(&now)).await;
    listening.is_silent().await;
    passes(&sam, &open).await;
    assert_eq!(update(&mut listening).await, update(&mut first).await);
});

story!(access_that_runs_out_is_not_a_change_of_the_request, |world| {
    let (bob, pat) = (world.person("bob"), world.person("pat"));
    let id = bob.asks_for(PRODUCTION_ACCESS).await["id"].clone();
    let mut listening = follows(&bob, &id, None).await;
    update(&mut listening).await;
    passes(&pat, &id).await;
    let end = update(&mut listening).await["cursor"].clone();
    listening.completes().await;
    assert!(world.pass(Seconds::days(30)).await > 0, "the assignment ends");
    follows(&bob, &id, Some(&end)).await.completes().await;
});

story!(what_cannot_be_seen_cannot_be_followed, |world| {
    let (alice, bob, zoe) = (world.person("alice"), world.person("bob"), world.person("zoe"));
    let id = alice.asks_for(FINANCE_DATA).await["id"].clone();
    let unknown = json!("req_01980000-0000-7000-8000-00000000ffff");
    let of_another_kind = json!(alice.user_id());
    for (person, id) in [
        (&bob, &id),
        (&zoe, &id),
        (&alice, &unknown),
        (&alice, &of_another_kind),
        (&alice, &json!("nonsense")),
        (&alice, &json!("")),
    ] {
        let mut listening = follows(person, id, None).await;
        assert_eq!(listening.error().await, "NOT_FOUND", "{id}");
        listening.is_silent().await;
        let mut events = person.streams(UPDATED, json!({ "id": id })).await;
        assert_eq!(events.error().await, "NOT_FOUND", "{id}");
        events.completes().await;
    }
    for cursor in foreign_cursors(world).await {
        assert_eq!(follows(&alice, &id, Some(&json!(cursor))).await.error().await, "CURSOR_EXPIRED");
    }
    assert_eq!(follows(&alice, &id, Some(&json!("nonsense"))).await.error().await, "BAD_USER_INPUT");
});

story!(an_approver_follows_from_their_turn_until_they_leave_the_group, |world| {
    let (bob, olga, pat) = (world.person("bob"), world.person("olga"), world.person("pat"));
    let id = bob.asks_for(PRODUCTION_ACCESS).await["id"].clone();
    let mut listening = follows(&olga, &id, None).await;
    assert_eq!(update(&mut listening).await["request"]["currentStage"]["kind"], "POLICY");
    world.regroups(FINANCE_OWNERS, &["pat"]).await;
    assert_eq!(listening.error().await, "NOT_FOUND", "at once, not at the next event");
    passes(&pat, &id).await;
    listening.is_silent().await;
    assert_eq!(olga.request(&id).await, Value::Null);
});

story!(somebody_whose_role_or_account_is_gone_follows_no_more, |world| {
    let (alice, rhea, glen, sam) =
        (world.person("alice"), world.person("rhea"), world.person("glen"), world.person("sam"));
    let id = alice.asks_for(FINANCE_DATA).await["id"].clone();
    let mut reader = follows(&rhea, &id, None).await;
    let mut disabled = follows(&glen, &id, None).await;
    update(&mut reader).await;
    update(&mut disabled).await;
    world.changes("rhea", "directoryRoles", json!([])).await;
    world.changes("glen", "isEnabled", json!(false)).await;
    passes(&sam, &id).await;
    assert_eq!(reader.error().await, "NOT_FOUND");
    assert_eq!(disabled.error().await, "UNAUTHENTICATED");
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn who_loses_the_right_on_one_instance_is_told_so_on_another() {
    let world = World::start(Kind::Postgres, Options::default()).await;
    let other = world.another_instance().await;
    let (bob, rhea, glen) =
        (world.person("bob"), world.person_at(other.address, "rhea"), world.person_at(other.address, "glen"));
    let id = bob.asks_for(FINANCE_DATA).await["id"].clone();
    let mut reader = follows(&rhea, &id, None).await;
    let mut pending = follows_pending(&glen, json!({})).await;
    update(&mut reader).await;
    world.changes("rhea", "directoryRoles", json!([])).await;
    world.changes("glen", "isEnabled", json!(false)).await;
    assert_eq!(reader.error().await, "NOT_FOUND");
    assert_eq!(pending.error().await, "UNAUTHENTICATED");
    other.stop().await;
    world.end().await;
}

story!(a_refusal_is_nothing_that_changed, |world| {
    let (alice, rhea, sam) = (world.person("alice"), world.person("rhea"), world.person("sam"));
    let id = alice.asks_for(FINANCE_DATA).await["id"].clone();
    let stage = current_stage(&sam, &id).await;
    let mut watching = follows(&sam, &id, None).await;
    update(&mut watching).await;
    assert_eq!(rhea.is_refused(&stage).await, "NOT_AN_APPROVER");
    watching.is_silent().await;
});
