//! Readings: what a sweep says and for how long, who is asked about alone, and what is done to people's risk.

use entity::Seconds;
use riskgate::demo::{FINANCE_DATA, PRODUCTION_ACCESS, WIKI};
use serde_json::{Value, json};

use super::{id, reading, shown, status, watched, while_time_passes};
use crate::story;
use crate::support::World;
use crate::support::graph::{Call, Fault};

/// The level and the origin of a reading.
fn brief(reading: &Value) -> (String, String) {
    let word = |name: &str| reading[name].as_str().expect("a word").to_owned();
    (word("level"), word("origin"))
}

fn says(level: &str, origin: &str) -> (String, String) {
    (level.to_owned(), origin.to_owned())
}

async fn acts(world: &World, action: &str, names: &[&str]) -> Value {
    let query = format!(
        "mutation($ids: [ID!]!) {{ {action}(input: {{ userIds: $ids }}) {{ users {{ id }} userErrors {{ code field }} }} }}"
    );
    let ids: Vec<_> = names.iter().map(|name| world.person(name).user_id()).collect();
    let otto = world.person("otto");
    while_time_passes(world, otto.ask(&query, json!({ "ids": ids }))).await.body
}

story!(what_the_last_sweep_says_counts_and_absence_from_it_is_no_risk, |world| {
    let began = world.now();
    let graph = watched(world, &[("bob", "high"), ("carol", "low")]).await;
    // What was reported before is not what the source says: alice was HIGH.
    let asked = graph.calls().len();
    for (name, level) in [("bob", "HIGH"), ("carol", "LOW"), ("alice", "NONE")] {
        let request = world.person(name).asks_for(FINANCE_DATA).await;
        let read = reading(world, &request).await;
        assert_eq!(brief(&read), says(level, "SWEEP"), "{name}");
        assert_eq!(read["evaluatedAt"], began.rfc3339());
        assert_eq!(read["isStageRequired"], level == "HIGH");
        assert!(read["id"].as_str().expect("an id").starts_with("evl_"));
        let updated = if level == "NONE" { Value::Null } else { json!("2026-02-01T08:00:00.123456Z") };
        assert_eq!(read["sourceUpdatedAt"], updated, "{name}");
    }
    assert_eq!(graph.calls().len(), asked, "nobody was asked about alone");
    let wanted = json!({ "level": "HIGH", "state": "AT_RISK", "detail": null, "lastUpdatedAt": "2026-02-01T08:00:00.123456Z",
        "isDetermined": true });
    assert_eq!(shown(world, "bob").await, wanted);
    let found = world.snapshot().await;
    let told: Vec<_> = found.events.iter().filter(|event| event.kind == "USER_RISK_OBSERVED").collect();
    // Two at risk; alice, cora, glen, mallory and sofia are no more.
    assert!(told.len() >= 4 && told.iter().all(|event| event.is_risk), "{}", told.len());
});

story!(a_sweep_counts_for_five_minutes_and_then_each_is_asked_about_alone, |world| {
    let graph = watched(world, &[("bob", "high")]).await;
    world.clock.advance(Seconds(300));
    let request = world.person("bob").asks_for(WIKI).await;
    assert_eq!(brief(&reading(world, &request).await), says("HIGH", "SWEEP"), "to the second");
    world.clock.advance(Seconds(1));
    assert_eq!(shown(world, "bob").await["isDetermined"], false);
    assert_eq!(status(world).await["state"], "STALE");
    let request = world.person("bob").asks_for(PRODUCTION_ACCESS).await;
    assert_eq!(brief(&reading(world, &request).await), says("HIGH", "SINGLE"));
    world.clock.advance(Seconds(1));
    let request = world.person("alice").asks_for(WIKI).await;
    assert_eq!(brief(&reading(world, &request).await), says("NONE", "SINGLE"), "404 in Graph's own words");
    assert_eq!(graph.count(Call::RiskyUser), 2);
    world.clock.advance(Seconds(1));
    let request = world.person("alice").asks_for(PRODUCTION_ACCESS).await;
    assert_eq!(brief(&reading(world, &request).await), says("NONE", "SINGLE"));
    assert_eq!(graph.count(Call::RiskyUser), 2, "what was read a second ago counts");
    graph.plan(Call::RiskyUser, [Some(Fault::Html(404))]);
    let request = world.person("carol").asks_for(WIKI).await;
    let read = reading(world, &request).await;
    assert_eq!(brief(&read), says("UNDETERMINED", "SINGLE"), "404 of somebody in between");
    assert_eq!(read["isStageRequired"], true);
    assert_eq!(status(world).await["openRequestsRoutedOnUndetermined"], 1);
    world.clock.advance(Seconds(1));
    world.sweeps().await;
    assert_eq!(status(world).await["state"], "OK");
});

story!(what_was_read_by_a_clock_that_was_ahead_counts_no_more_once_that_is_set_right, |world| {
    let graph = watched(world, &[]).await;
    let right = world.now().plus(Seconds(600));
    world.clock.advance(Seconds::hours(9));
    world.sweeps().await;
    let (bob, carol) = (id(world, "bob"), id(world, "carol"));
    world.clock.set(right);
    assert_eq!(world.services().source_statuses().await.expect("an answer")[0].last_success_at, None);
    graph.change(|tenant| {
        tenant.risk(bob, "high", "atRisk");
        tenant.risk(carol, "medium", "atRisk");
    });
    let request = world.person("bob").asks_for(FINANCE_DATA).await;
    assert_eq!(brief(&reading(world, &request).await), says("HIGH", "SINGLE"), "the sweep was not made in the future");
    world.clock.advance(Seconds(1));
    world.sweeps().await;
    assert_eq!(status(world).await["lastSuccessAt"], world.now().rfc3339(), "nor does it stand in another one's way");
    let request = world.person("carol").asks_for(FINANCE_DATA).await;
    assert_eq!(brief(&reading(world, &request).await), says("MEDIUM", "SWEEP"));
});

story!(whoever_is_newer_than_the_sweep_is_asked_about_alone, |world| {
    let graph = watched(world, &[]).await;
    let nina = "00000000-0000-4000-8000-000000000777";
    world.imports(json!({ "users": [{ "id": nina, "displayName": "Nina", "userPrincipalName": "nina@example.com", "isEnabled": true }] })).await;
    graph.change(|tenant| tenant.risk(nina.parse().expect("an id"), "medium", "atRisk"));
    let person = world.holder(
        world.app().address,
        entity::UserId(nina.parse().expect("an id")),
        "nina@example.com",
        Seconds::hours(9),
    );
    world.clock.advance(Seconds(1));
    let request = person.asks_for(WIKI).await;
    assert_eq!(brief(&reading(world, &request).await), says("MEDIUM", "SINGLE"));
    world.clock.advance(Seconds(60));
    world.sweeps().await;
    let request = person.asks_for(PRODUCTION_ACCESS).await;
    assert_eq!(brief(&reading(world, &request).await), says("MEDIUM", "SWEEP"));
    assert_eq!(graph.count(Call::RiskyUser), 1);
});

story!(words_that_are_withheld_or_new_are_no_level, |world| {
    let graph = watched(world, &[("bob", "low"), ("carol", "low")]).await;
    for (package, fault) in [(WIKI, Fault::Hidden), (PRODUCTION_ACCESS, Fault::UnknownWords)] {
        world.clock.advance(Seconds(60));
        graph.plan(Call::RiskyUsers, [Some(fault)]);
        world.sweeps().await;
        assert_eq!(shown(world, "bob").await["isDetermined"], false, "{fault:?}");
        let request = world.person("bob").asks_for(package).await;
        let read = reading(world, &request).await;
        assert_eq!(
            (brief(&read), &read["isStageRequired"]),
            (says("UNDETERMINED", "SWEEP"), &json!(true)),
            "{fault:?}"
        );
    }
    world.clock.advance(Seconds(60));
    world.sweeps().await;
    assert_eq!(shown(world, "bob").await["isDetermined"], true);
    let bob = id(world, "bob");
    for (state, level) in
        [("dismissed", "NONE"), ("remediated", "NONE"), ("confirmedSafe", "NONE"), ("confirmedCompromised", "HIGH")]
    {
        graph.change(|tenant| tenant.risk(bob, "medium", state));
        world.clock.advance(Seconds(60));
        world.sweeps().await;
        let query = "query($p: ID!) { previewAccessRequest(input: { accessPackageId: $p, justification: \"x\" }) { stages { kind } } }";
        let preview = world.person("bob").data(query, json!({ "p": FINANCE_DATA.to_string() })).await;
        assert!(!preview.to_string().contains("RISK"), "bob is no risk reader");
        let mona = world
            .person("ada")
            .data(
                "query($id: ID!) { node(id: $id) { ... on User { idProtectionRisk { level state } } } }",
                json!({ "id": world.person("bob").user_id() }),
            )
            .await;
        let state_shown = mona["node"]["idProtectionRisk"]["state"].clone();
        let words = ["DISMISSED", "REMEDIATED", "CONFIRMED_SAFE", "CONFIRMED_COMPROMISED"];
        assert!(words.iter().any(|word| state_shown == *word), "{state_shown}");
        if level == "HIGH" {
            assert_eq!(mona["node"]["idProtectionRisk"]["level"], "HIGH");
        }
    }
});

story!(what_is_being_worked_out_anew_is_never_no_risk, |world| {
    let graph = watched(world, &[]).await;
    let bob = id(world, "bob");
    graph.change(|tenant| {
        tenant.risk(bob, "none", "none");
        tenant.risks.get_mut(&bob).expect("bob").is_processing = true;
    });
    world.clock.advance(Seconds(60));
    world.sweeps().await;
    let request = world.person("bob").asks_for(FINANCE_DATA).await;
    assert_eq!(brief(&reading(world, &request).await), says("UNDETERMINED", "SWEEP"));
});

story!(a_rise_that_a_sweep_brings_reaches_open_requests, |world| {
    let graph = watched(world, &[]).await;
    world.controls(json!({ "reevaluation": "CONTINUOUS" })).await;
    let request = world.person("bob").asks_for(FINANCE_DATA).await;
    let bob = id(world, "bob");
    graph.change(|tenant| tenant.risk(bob, "high", "atRisk"));
    world.clock.advance(Seconds(60));
    world.sweeps().await;
    assert_eq!(world.follow_risk().await, 1);
    let seen = world.whole(&request).await;
    assert_eq!(
        (&seen["stages"][0]["kind"], &seen["stages"][0]["status"]),
        (&json!("ID_PROTECTION_RISK"), &json!("PENDING"))
    );
});

story!(actions_go_to_the_source_and_the_new_state_is_read_back, |world| {
    let graph = watched(world, &[("bob", "medium")]).await;
    let before = world.snapshot().await.events.len();
    world.clock.advance(Seconds(1));
    let done = acts(world, "confirmUserCompromised", &["carol"]).await;
    assert_eq!(done["data"]["confirmUserCompromised"]["userErrors"], json!([]), "{done:#}");
    let seen = shown(world, "carol").await;
    assert_eq!(
        (&seen["level"], &seen["state"], &seen["isDetermined"]),
        (&json!("HIGH"), &json!("CONFIRMED_COMPROMISED"), &json!(true))
    );
    let request = world.person("carol").asks_for(WIKI).await;
    assert_eq!(brief(&reading(world, &request).await), says("HIGH", "SINGLE"), "the sweep is older");
    let done = acts(world, "dismissUserRisk", &["bob"]).await;
    assert_eq!(done["data"]["dismissUserRisk"]["userErrors"], json!([]), "{done:#}");
    let seen = shown(world, "bob").await;
    assert_eq!(
        (&seen["level"], &seen["state"], &seen["detail"]),
        (&json!("NONE"), &json!("DISMISSED"), &json!("adminDismissedAllRiskForUser"))
    );
    assert_eq!(graph.tenant().risks[&id(world, "bob")].state, "dismissed");
    assert_eq!((graph.count(Call::RiskAction), graph.count(Call::RiskyUser)), (2, 2));
    let snapshot = world.snapshot().await;
    let told: Vec<_> = snapshot.events[before..].iter().filter(|event| event.request_id.is_none()).collect();
    let kinds: Vec<_> = told.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["USER_CONFIRMED_COMPROMISED", "USER_RISK_DISMISSED", "USER_RISK_OBSERVED"]);
    let otto = Some(world.person("otto").id.0.to_string());
    assert_eq!((&told[0].actor_id, &told[1].actor_id), (&otto, &otto));
});

story!(an_action_that_fails_is_unavailable_and_writes_nothing, |world| {
    let graph = watched(world, &[("bob", "medium")]).await;
    let before = world.snapshot().await;
    for fault in [Fault::Throttled, Fault::Html(200), Fault::Unavailable(2), Fault::Cut] {
        world.clock.advance(Seconds(70));
        graph.plan(Call::RiskAction, [Some(fault)]);
        let answer = acts(world, "dismissUserRisk", &["bob"]).await;
        let code = &answer["errors"][0]["extensions"]["code"];
        // A body that nobody needs may be missing: 204 says enough.
        if fault == Fault::Cut {
            continue;
        }
        assert_eq!(code, "UNAVAILABLE", "{fault:?}: {answer:#}");
        assert_eq!(world.snapshot().await.events.len(), before.events.len(), "{fault:?}");
        assert_eq!(shown(world, "bob").await["level"], "MEDIUM");
    }
    graph.forbids("IdentityRiskyUser.ReadWrite.All");
    world.clock.advance(Seconds(70));
    let before = world.snapshot().await.events.len();
    let answer = acts(world, "confirmUserSafe", &["bob"]).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer:#}");
    assert_eq!(world.snapshot().await.events.len(), before);
});

story!(what_was_acted_on_and_not_read_back_is_known_to_have_changed, |world| {
    let graph = watched(world, &[("bob", "medium")]).await;
    graph.always(Call::RiskyUser, Some(Fault::Html(200)));
    world.clock.advance(Seconds(1));
    let done = acts(world, "dismissUserRisk", &["bob"]).await;
    assert_eq!(done["data"]["dismissUserRisk"]["userErrors"], json!([]), "{done:#}");
    assert_eq!(shown(world, "bob").await["isDetermined"], false);
    world.clock.advance(Seconds(1));
    let request = world.person("bob").asks_for(WIKI).await;
    assert_eq!(
        brief(&reading(world, &request).await),
        says("UNDETERMINED", "SINGLE"),
        "the sweep's MEDIUM is out of date"
    );
    world.clock.advance(Seconds(60));
    world.sweeps().await;
    let seen = shown(world, "bob").await;
    assert_eq!(
        (&seen["level"], &seen["state"], &seen["isDetermined"]),
        (&json!("NONE"), &json!("DISMISSED"), &json!(true))
    );
});

story!(nothing_is_reported_here_where_the_source_is_elsewhere_but_insider_risk_is, |world| {
    let graph = watched(world, &[]).await;
    let asked = graph.calls().len();
    let bob = world.person("bob").user_id();
    let query =
        "mutation($u: ID!) { reportUserRisk(input: { userId: $u, level: HIGH }) { user { id } userErrors { code } } }";
    let done = world.person("otto").data(query, json!({ "u": bob })).await["reportUserRisk"].clone();
    assert_eq!(done, json!({ "user": null, "userErrors": [{ "code": "INVALID_STATE" }] }));
    let query = "mutation($u: ID!) { reportInsiderRisk(input: { userId: $u, level: ELEVATED, reference: \"case 7\" }) { userErrors { code } } }";
    let done = world.person("cora").data(query, json!({ "u": bob })).await["reportInsiderRisk"].clone();
    assert_eq!(done["userErrors"], json!([]));
    let request = world.person("bob").asks_for(WIKI).await;
    let seen = world.whole(&request).await;
    assert_eq!(seen["stages"][0]["kind"], "INSIDER_RISK");
    assert_eq!(graph.calls().len(), asked);
});

story!(how_the_sources_do_is_told_to_those_who_govern_or_read_risk, |world| {
    let graph = watched(world, &[("bob", "high")]).await;
    let query = "{ riskSources { source origin state } }";
    for (name, may) in
        [("ada", true), ("ines", true), ("sam", true), ("rhea", true), ("otto", true), ("bob", false), ("mona", false)]
    {
        let answer = world.person(name).ask(query, Value::Null).await;
        assert_eq!(answer.code(), if may { "" } else { "FORBIDDEN" }, "{name}");
    }
    let seen = world.person("ada").data(query, Value::Null).await;
    let built_in = json!({ "source": "INSIDER_RISK", "origin": "BUILT_IN", "state": "OK" });
    assert_eq!(
        seen["riskSources"],
        json!([{ "source": "ID_PROTECTION", "origin": "MICROSOFT_GRAPH", "state": "OK" }, built_in])
    );
    let began = world.now().rfc3339();
    world.clock.advance(Seconds(61));
    graph.plan(Call::RiskyUsers, [Some(Fault::Throttled)]);
    world.services().sweep_risk().await.expect_err("it is throttled");
    let wanted = json!({ "source": "ID_PROTECTION", "origin": "MICROSOFT_GRAPH", "state": "THROTTLED", "lastSuccessAt": began,
        "age": "PT1M1S", "requestsInLastHour": 2, "throttlesInLastHour": 1, "openRequestsRoutedOnUndetermined": 0 });
    assert_eq!(status(world).await, wanted);
    world.clock.advance(Seconds(5));
    assert_eq!(status(world).await["state"], "FAILING");
    world.sweeps().await;
    assert_eq!(status(world).await["state"], "OK");
    let text = reqwest::get(format!("http://{}/metrics", world.app().address)).await.expect("an answer");
    let text = text.text().await.expect("text");
    for line in [
        "riskgate_risk_source_ok 1",
        "riskgate_risk_source_requests_last_hour 3",
        "riskgate_risk_source_throttles_last_hour 1",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
    }
    world.clock.advance(Seconds::hours(2));
    assert_eq!(status(world).await["requestsInLastHour"], 0);
});
