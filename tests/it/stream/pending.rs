//! `pendingRiskApprovalCreated`: to whom a new risk stage is told, and from where on.

use riskgate::demo::{FINANCE_DATA, PRODUCTION_ACCESS, WIKI};
use serde_json::{Value, json};

use super::{PENDING, current_stage, follows_pending, foreign_cursors, newest_event, pending};
use crate::story;

story!(who_listens_hears_of_a_new_stage_at_once, |world| {
    let (alice, sam) = (world.person("alice"), world.person("sam"));
    let mut socket = follows_pending(&sam, json!({})).await;
    let mut events = sam.streams(PENDING, json!({})).await;
    let request = alice.asks_for(FINANCE_DATA).await;

    let told = pending(&mut socket).await;
    assert_eq!(told["occurredAt"], "2026-03-02T09:00:00Z");
    let stage = &told["stage"];
    assert_eq!((&stage["kind"], &stage["source"]), (&json!("ID_PROTECTION_RISK"), &json!("ID_PROTECTION")));
    assert_eq!((&stage["status"], &stage["position"]), (&json!("PENDING"), &json!(1)));
    assert_eq!((&stage["isAssignedToViewer"], &stage["evaluation"]["level"]), (&json!(true), &json!("HIGH")));
    assert_eq!(stage["request"]["id"], request["id"]);
    assert_eq!(events.data().await["pendingRiskApprovalCreated"], told, "the same over server-sent events");
    socket.is_silent().await;
});

story!(sources_choose_among_the_stages, |world| {
    let (alice, erin) = (world.person("alice"), world.person("erin"));
    let (sam, cora, ada) = (world.person("sam"), world.person("cora"), world.person("ada"));
    // Untouched, the fallback joins only while nobody else could decide; ada is made an approver of both.
    let query = "mutation($id: ID!) {
        a: updateIdProtectionRiskApproval(input: { approvers: [{ directoryRole: SECURITY_ADMINISTRATOR }, { userId: $id }] }) { userErrors { code } }
        b: updateInsiderRiskApproval(input: { approvers: [{ directoryRole: COMPLIANCE_ADMINISTRATOR }, { userId: $id }] }) { userErrors { code } } }";
    ada.data(query, json!({ "id": ada.user_id() })).await;

    let mut both = follows_pending(&ada, json!({})).await;
    let mut only_insider = follows_pending(&ada, json!({ "sources": ["INSIDER_RISK"] })).await;
    let mut only_id_protection = follows_pending(&ada, json!({ "sources": ["ID_PROTECTION"] })).await;
    let mut neither = follows_pending(&ada, json!({ "sources": [] })).await;
    let mut sam_hears = follows_pending(&sam, json!({})).await;
    let mut cora_hears = follows_pending(&cora, json!({ "sources": ["ID_PROTECTION", "INSIDER_RISK"] })).await;

    let (first, second) = (alice.asks_for(WIKI).await, erin.asks_for(WIKI).await);
    assert_eq!(pending(&mut both).await["stage"]["request"]["id"], first["id"]);
    assert_eq!(pending(&mut both).await["stage"]["request"]["id"], second["id"]);
    assert_eq!(pending(&mut only_id_protection).await["stage"]["request"]["id"], first["id"]);
    assert_eq!(pending(&mut only_insider).await["stage"]["source"], "INSIDER_RISK");
    assert_eq!(pending(&mut sam_hears).await["stage"]["request"]["id"], first["id"]);
    assert_eq!(pending(&mut cora_hears).await["stage"]["request"]["id"], second["id"]);
    for listening in
        [&mut both, &mut only_insider, &mut only_id_protection, &mut neither, &mut sam_hears, &mut cora_hears]
    {
        listening.is_silent().await;
    }
});

story!(the_second_risk_stage_of_a_request_is_told_when_its_turn_comes, |world| {
    let (mallory, sam, cora) = (world.person("mallory"), world.person("sam"), world.person("cora"));
    let mut listening = follows_pending(&cora, json!({})).await;
    let request = mallory.asks_for(WIKI).await;
    listening.is_silent().await;
    sam.approves(&current_stage(&sam, &request["id"]).await).await;
    let told = pending(&mut listening).await;
    assert_eq!((&told["stage"]["kind"], &told["stage"]["position"]), (&json!("INSIDER_RISK"), &json!(2)));
});

story!(who_may_not_decide_hears_nothing, |world| {
    let alice = world.person("alice");
    // rhea holds a role that may decide, but is in no set; otto reads risk only; ada joins while nobody else could; glen reads all.
    let mut listening = Vec::new();
    for name in ["rhea", "otto", "cora", "glen", "ada", "ines", "mona", "alice"] {
        listening.push((name, follows_pending(&world.person(name), json!({})).await));
    }
    alice.asks_for(FINANCE_DATA).await;
    for (name, listening) in &mut listening {
        listening.is_silent().await;
        let (nodes, _) = world.person(name).pending_risk().await;
        assert!(
            !nodes.iter().any(|node| node["request"]["requestor"]["displayName"] == "Alice Moreau"),
            "{name}: {nodes:?}"
        );
    }
});

story!(the_page_and_the_stream_after_its_cursor_are_the_whole, |world| {
    let (alice, sam, cora) = (world.person("alice"), world.person("sam"), world.person("cora"));
    let before = alice.asks_for(WIKI).await;
    let (nodes, cursor) = sam.pending_risk().await;
    assert!(nodes.iter().any(|node| node["request"]["id"] == before["id"]));
    let between = alice.asks_for(FINANCE_DATA).await;
    let mut listening = follows_pending(&sam, json!({ "after": cursor })).await;
    let later = alice.asks_for(PRODUCTION_ACCESS).await;
    assert_eq!(pending(&mut listening).await["stage"]["request"]["id"], between["id"]);
    assert_eq!(pending(&mut listening).await["stage"]["request"]["id"], later["id"]);
    listening.is_silent().await;

    // The cursor of a page without rows is as good: of sources that do not matter, and of somebody who may decide nothing.
    let query = "{ pendingRiskApprovals(first: 0, sources: []) { eventCursor nodes { id } totalCount } }";
    for person in [&cora, &alice] {
        let page = person.data(query, Value::Null).await["pendingRiskApprovals"].clone();
        assert_eq!((&page["nodes"], &page["totalCount"]), (&json!([]), &json!(0)));
        let erin = world.person("erin");
        let request = erin.asks_for(if person.id == cora.id { WIKI } else { PRODUCTION_ACCESS }).await;
        let mut listening = follows_pending(&cora, json!({ "after": page["eventCursor"] })).await;
        assert_eq!(pending(&mut listening).await["stage"]["request"]["id"], request["id"]);
        listening.is_silent().await;
    }
});

story!(a_stream_is_resumed_after_any_of_its_cursors, |world| {
    let (alice, sam) = (world.person("alice"), world.person("sam"));
    let mut listening = follows_pending(&sam, json!({})).await;
    let mut told = Vec::new();
    for package in [WIKI, FINANCE_DATA, PRODUCTION_ACCESS] {
        alice.asks_for(package).await;
        told.push(pending(&mut listening).await);
    }
    for (index, event) in told.iter().enumerate() {
        let mut again = follows_pending(&sam, json!({ "after": event["cursor"] })).await;
        for missed in &told[index + 1..] {
            assert_eq!(pending(&mut again).await, *missed);
        }
        again.is_silent().await;
    }
    // A cursor of another place of the log, and of an event that is none of the stream's.
    let (_, cursor) = newest_event(&world.person("otto")).await;
    follows_pending(&sam, json!({ "after": cursor })).await.is_silent().await;
});

story!(a_cursor_that_does_not_belong_is_refused, |world| {
    let sam = world.person("sam");
    for cursor in foreign_cursors(world).await {
        let mut listening = follows_pending(&sam, json!({ "after": cursor })).await;
        assert_eq!(listening.error().await, "CURSOR_EXPIRED", "{cursor}");
        let mut events = sam.streams(PENDING, json!({ "after": cursor })).await;
        assert_eq!(events.error().await, "CURSOR_EXPIRED", "{cursor}");
        events.completes().await;
    }
    let (_, good) = sam.pending_risk().await;
    for cursor in ["", "x", "AAAA", "not a cursor", &good[1..], &format!("{good}AAAA")] {
        let mut listening = follows_pending(&sam, json!({ "after": cursor })).await;
        assert_eq!(listening.error().await, "BAD_USER_INPUT", "{cursor}");
    }
});

story!(a_role_lost_between_event_and_delivery_silences_it, |world| {
    let (alice, sofia, sam) = (world.person("alice"), world.person("sofia"), world.person("sam"));
    let (_, cursor) = sofia.pending_risk().await;
    let request = alice.asks_for(WIKI).await;
    world.changes("sofia", "directoryRoles", json!([])).await;
    let mut missed = follows_pending(&sofia, json!({ "after": cursor })).await;
    missed.is_silent().await;
    // It is silenced, not skipped for good: the rights at delivery count.
    world.changes("sofia", "directoryRoles", json!(["SECURITY_ADMINISTRATOR"])).await;
    let mut again = follows_pending(&sofia, json!({ "after": cursor })).await;
    assert_eq!(pending(&mut again).await["stage"]["request"]["id"], request["id"]);
    // A stream that runs goes by the rights of each moment too.
    world.changes("sofia", "directoryRoles", json!([])).await;
    let mut still = follows_pending(&sam, json!({})).await;
    let next = alice.asks_for(FINANCE_DATA).await;
    assert_eq!(pending(&mut still).await["stage"]["request"]["id"], next["id"]);
    again.is_silent().await;
    missed.is_silent().await;
});

story!(who_has_left_the_set_hears_of_no_stage_that_was_theirs, |world| {
    let (alice, sofia, sam) = (world.person("alice"), world.person("sofia"), world.person("sam"));
    let (_, cursor) = sofia.pending_risk().await;
    let request = alice.asks_for(WIKI).await;
    sam.approves(&current_stage(&sam, &request["id"]).await).await;
    // She was in the set when the stage was decided, and still holds a role that may decide; but she is in the set no more.
    world.changes("sofia", "directoryRoles", json!(["SECURITY_READER"])).await;
    follows_pending(&sofia, json!({ "after": cursor })).await.is_silent().await;
});

story!(who_is_disabled_hears_that_and_nothing_else, |world| {
    let (alice, sofia) = (world.person("alice"), world.person("sofia"));
    let mut socket = follows_pending(&sofia, json!({})).await;
    let mut events = sofia.streams(PENDING, json!({})).await;
    world.changes("sofia", "isEnabled", json!(false)).await;
    alice.asks_for(WIKI).await;
    assert_eq!(socket.error().await, "UNAUTHENTICATED");
    socket.is_silent().await;
    assert_eq!(events.error().await, "UNAUTHENTICATED");
    events.completes().await;
});

story!(an_event_shows_its_stage_as_it_is_at_delivery, |world| {
    let (alice, sam, sofia) = (world.person("alice"), world.person("sam"), world.person("sofia"));
    let (_, cursor) = sofia.pending_risk().await;
    let (denied, canceled) = (alice.asks_for(WIKI).await, alice.asks_for(PRODUCTION_ACCESS).await);
    sam.denies(&current_stage(&sam, &denied["id"]).await).await;
    assert_eq!(alice.cancels(&canceled["id"]).await.data()["cancelAccessRequest"]["userErrors"], json!([]));

    let mut listening = follows_pending(&sofia, json!({ "after": cursor })).await;
    let told = pending(&mut listening).await;
    let stage = &told["stage"];
    assert_eq!((&stage["request"]["id"], &stage["request"]["state"]), (&denied["id"], &json!("DENIED")));
    assert_eq!((&stage["status"], &stage["decidedBy"]["id"]), (&json!("DENIED"), &json!(sam.user_id())));
    assert_eq!(stage["isAssignedToViewer"], false);
    let told = pending(&mut listening).await;
    assert_eq!(told["stage"]["status"], "CANCELED");
    listening.is_silent().await;
});
