//! What is said of people's risk: by whom, and what the log keeps of it.

use entity::Seconds;
use serde_json::{Value, json};

use crate::story;
use crate::support::Person;

const RISK: &str =
    "query($id: ID!) { node(id: $id) { ... on User { idProtectionRisk { level state detail lastUpdatedAt }
    insiderRisk { level observedAt expiresAt } } } }";

async fn report(person: &Person, input: Value) -> Value {
    let query = "mutation($input: ReportUserRiskInput!) { reportUserRisk(input: $input) { user { id } userErrors { code field } } }";
    person.data(query, json!({ "input": input })).await["reportUserRisk"].clone()
}

async fn observe(person: &Person, input: Value) -> Value {
    let query = "mutation($input: ReportInsiderRiskInput!) { reportInsiderRisk(input: $input) { user { id } userErrors { code field } } }";
    person.data(query, json!({ "input": input })).await["reportInsiderRisk"].clone()
}

story!(a_report_replaces_the_one_before_and_is_one_event, |world| {
    let (otto, bob) = (world.person("otto"), world.person("bob"));
    let before = world.snapshot().await.events.len();
    for (level, state, detail) in
        [("HIGH", "AT_RISK", "Leaked."), ("LOW", "AT_RISK", "Less so."), ("NONE", "NONE", "Over.")]
    {
        world.clock.advance(Seconds(1));
        let done = report(&otto, json!({ "userId": bob.user_id(), "level": level, "detail": detail })).await;
        assert_eq!(done, json!({ "user": { "id": bob.user_id() }, "userErrors": [] }));
        let risk = otto.data(RISK, json!({ "id": bob.user_id() })).await["node"]["idProtectionRisk"].clone();
        let wanted =
            json!({ "level": level, "state": state, "detail": detail, "lastUpdatedAt": world.now().rfc3339() });
        assert_eq!(risk, wanted);
    }
    let snapshot = world.snapshot().await;
    let new = &snapshot.events[before..];
    assert!(new.iter().all(|event| event.kind == "USER_RISK_REPORTED" && event.is_risk), "{new:#?}");
    assert_eq!(new.len(), 3);
    assert!(new.iter().all(|event| event.actor_id == Some(otto.id.0.to_string())));
});

story!(what_cannot_be_reported_is_refused_and_changes_nothing, |world| {
    let (otto, cora, bob) = (world.person("otto"), world.person("cora"), world.person("bob"));
    let before = world.snapshot().await.events.len();
    for unknown in
        ["usr_nonsense", "usr_ffffffff-0000-4000-8000-000000000000", "", "grp_00000000-0000-4000-8000-000000000101"]
    {
        let wanted = json!({ "user": null, "userErrors": [{ "code": "NOT_FOUND", "field": ["userId"] }] });
        assert_eq!(report(&otto, json!({ "userId": unknown, "level": "LOW" })).await, wanted);
        assert_eq!(observe(&cora, json!({ "userId": unknown, "level": "MINOR" })).await, wanted);
    }
    for (field, text) in [("detail", "x".repeat(4_001)), ("detail", "\u{7}".to_owned())] {
        let refused = report(&otto, json!({ "userId": bob.user_id(), "level": "LOW", field: text })).await;
        assert_eq!(refused["userErrors"], json!([{ "code": "INVALID", "field": [field] }]));
    }
    for reference in ["x".repeat(129), "\u{7}".to_owned()] {
        let refused =
            observe(&cora, json!({ "userId": bob.user_id(), "level": "MINOR", "reference": reference })).await;
        assert_eq!(refused["userErrors"], json!([{ "code": "INVALID", "field": ["reference"] }]));
    }
    let foreign =
        "mutation($u: ID!) { reportUserRisk(input: { userId: $u, level: ELEVATED }) { userErrors { code } } }";
    assert_eq!(otto.ask(foreign, json!({ "u": bob.user_id() })).await.code(), "BAD_USER_INPUT");
    let act = "mutation { dismissUserRisk(input: { userIds: [] }) { users { id } userErrors { code field } } }";
    let nobody = otto.data(act, Value::Null).await["dismissUserRisk"].clone();
    assert_eq!(nobody, json!({ "users": null, "userErrors": [{ "code": "INVALID", "field": ["userIds"] }] }));
    assert_eq!(world.snapshot().await.events.len(), before);
});

story!(an_action_on_several_people_is_for_all_of_them_or_none, |world| {
    let otto = world.person("otto");
    let act = "mutation($ids: [ID!]!) { dismissUserRisk(input: { userIds: $ids }) { users { id idProtectionRisk { level state } }
        userErrors { code field } } }";
    let ids = ["alice", "mallory"].map(|name| world.person(name).user_id());
    let before = world.snapshot().await.events.len();
    let refused = otto.data(act, json!({ "ids": [ids[0], "usr_nonsense", ids[1]] })).await["dismissUserRisk"].clone();
    assert_eq!(refused, json!({ "users": null, "userErrors": [{ "code": "NOT_FOUND", "field": ["userIds", "1"] }] }));
    let level = otto.data(RISK, json!({ "id": ids[0] })).await["node"]["idProtectionRisk"]["level"].clone();
    assert_eq!(level, "HIGH", "none of them");
    let done = otto.data(act, json!({ "ids": [ids[1], ids[0], ids[1]] })).await["dismissUserRisk"].clone();
    let dismissed = json!({ "level": "NONE", "state": "DISMISSED" });
    assert_eq!(
        done["users"],
        json!([{ "id": ids[1], "idProtectionRisk": dismissed }, { "id": ids[0], "idProtectionRisk": dismissed }])
    );
    let snapshot = world.snapshot().await;
    let new = &snapshot.events[before..];
    assert_eq!(new.iter().map(|event| event.activity.as_str()).collect::<Vec<_>>(), ["DismissUser", "DismissUser"]);
    assert_eq!(new[0].commit_id, new[1].commit_id);
    let hundred = vec![ids[0].clone(); 100];
    assert_eq!(otto.data(act, json!({ "ids": hundred })).await["dismissUserRisk"]["userErrors"], json!([]));
});

story!(insider_risk_shows_when_it_was_seen_and_counts_until_its_end, |world| {
    let (cora, bob) = (world.person("cora"), world.person("bob"));
    let input = json!({ "userId": bob.user_id(), "level": "MODERATE", "observedAt": "2026-03-01T12:00:00+01:00",
        "expiresAt": "2026-03-03T00:00:00Z" });
    assert_eq!(observe(&cora, input).await["userErrors"], json!([]));
    let seen = async || cora.data(RISK, json!({ "id": bob.user_id() })).await["node"]["insiderRisk"].clone();
    let wanted = |level: &str| json!({ "level": level, "observedAt": "2026-03-01T11:00:00Z", "expiresAt": "2026-03-03T00:00:00Z" });
    assert_eq!(seen().await, wanted("MODERATE"));
    let risky = "{ users(filter: { hasRisk: true }) { nodes { displayName } } }";
    let names = async || cora.data(risky, Value::Null).await["users"]["nodes"].to_string();
    assert!(names().await.contains("Bob"));
    world.clock.advance(Seconds::hours(15));
    assert_eq!(seen().await, wanted("NONE"), "at its end it is over");
    assert!(!names().await.contains("Bob"));
    assert_eq!(observe(&cora, json!({ "userId": bob.user_id(), "level": "ELEVATED" })).await["userErrors"], json!([]));
    let again = json!({ "level": "ELEVATED", "observedAt": world.now().rfc3339(), "expiresAt": null });
    assert_eq!(seen().await, again, "seen now, where nobody says when, and without an end");
});

story!(who_may_not_say_it_is_forbidden_before_anything_else_is_looked_at, |world| {
    let report = "mutation { reportUserRisk(input: { userId: \"usr_nonsense\", level: HIGH, detail: \"\\u0007\" }) { userErrors { code } } }";
    let observe =
        "mutation { reportInsiderRisk(input: { userId: \"usr_nonsense\", level: ELEVATED }) { userErrors { code } } }";
    for (name, reports, observes) in [
        ("ada", true, true),
        ("sam", true, false),
        ("otto", true, false),
        ("cora", false, true),
        ("ines", false, false),
        ("glen", false, false),
        ("rhea", false, false),
        ("alice", false, false),
    ] {
        for (query, field, may) in [(report, "reportUserRisk", reports), (observe, "reportInsiderRisk", observes)] {
            let answer = world.person(name).ask(query, Value::Null).await;
            assert_eq!(answer.code(), if may { "" } else { "FORBIDDEN" }, "{name}: {field}");
            assert_eq!(answer.body["data"][field].is_null(), !may, "{name}: {field}");
        }
    }
});
