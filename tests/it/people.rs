//! Who somebody is: tokens, and rights by the directory as it is now.

use entity::{Seconds, UserId};
use riskgate::service::{ImportOptions, Picture};
use serde_json::{Value, json};

use crate::story;

const ME: &str = "{ viewer { user { id displayName } } }";

story!(a_token_says_who_and_the_directory_says_what, |world| {
    let address = world.app().address;
    let stranger = world.holder(address, UserId::new(), "nobody@example.com", Seconds::hours(1));
    assert_eq!(
        (stranger.ask(ME, Value::Null).await.status, stranger.ask(ME, Value::Null).await.code()),
        (401, "UNAUTHENTICATED")
    );
    assert_eq!(world.person("dan").ask(ME, Value::Null).await.code(), "UNAUTHENTICATED", "a disabled account");
    let mut alice = world.person("alice");
    assert_eq!(alice.data(ME, Value::Null).await["viewer"]["user"]["displayName"], "Alice Moreau");
    let short = world.holder(address, alice.id, "alice@example.com", Seconds::hours(1));
    world.clock.advance(Seconds(3_599));
    short.data(ME, Value::Null).await;
    world.clock.advance(Seconds(1));
    assert_eq!(short.ask(ME, Value::Null).await.code(), "UNAUTHENTICATED", "it has ended");
    alice.token.push('x');
    assert_eq!(alice.ask(ME, Value::Null).await.code(), "UNAUTHENTICATED");

    let mut picture: Picture = serde_json::from_str(include_str!("../../demo/directory.json")).expect("the company");
    let sam = world.person("sam");
    let controls = "{ controlConfigurations { id } }";
    sam.data(controls, Value::Null).await;
    picture
        .users
        .iter_mut()
        .filter(|user| user.user_principal_name.starts_with("sam@"))
        .for_each(|user| user.directory_roles.clear());
    picture.users.retain(|user| !user.user_principal_name.starts_with("glen@"));
    world.services().import(&picture, ImportOptions::default()).await.expect("the import is committed");
    assert_eq!(sam.ask(controls, Value::Null).await.code(), "FORBIDDEN", "the same token, without the role");
    assert_eq!(world.person("glen").ask(ME, Value::Null).await.code(), "UNAUTHENTICATED", "he has left");
    let left = "query($id: ID!) { node(id: $id) { ... on User { displayName isEnabled } } }";
    let seen = world.person("ada").data(left, json!({ "id": world.person("glen").user_id() })).await;
    assert_eq!(
        seen["node"],
        json!({ "displayName": "Glen Hughes", "isEnabled": false }),
        "what refers to him stays readable"
    );
});

story!(people_are_found_by_whom_it_concerns, |world| {
    let search = "query($f: UserFilter) { users(filter: $f) { totalCount nodes { displayName } } }";
    let ask = async |name: &str, filter: Value| {
        world.person(name).data(search, json!({ "f": filter })).await["users"].clone()
    };
    assert_eq!(
        ask("alice", Value::Null).await["nodes"],
        json!([{ "displayName": "Alice Moreau" }, { "displayName": "Mona Rossi" }])
    );
    assert_eq!(ask("mona", Value::Null).await["totalCount"], 7, "herself, her manager, five reports");
    assert_eq!(ask("ada", json!({ "search": "MOREAU" })).await["totalCount"], 1);
    assert_eq!(ask("ada", json!({ "search": "alice@" })).await["totalCount"], 1);
    assert_eq!(ask("ada", json!({ "search": "%" })).await["totalCount"], 0, "taken as it is");
    assert_eq!(ask("otto", json!({ "hasRisk": true })).await["totalCount"], 4);
    assert_eq!(ask("otto", json!({ "hasRisk": false })).await["totalCount"], 14);
    let answer = world.person("ada").ask(search, json!({ "f": { "search": "\u{0}" } })).await;
    assert_eq!(answer.code(), "BAD_USER_INPUT");
});

story!(risk_is_reported_by_few_and_insider_risk_runs_out, |world| {
    let (otto, cora, bob) = (world.person("otto"), world.person("cora"), world.person("bob"));
    let mutation = "mutation($input: ReportInsiderRiskInput!) { reportInsiderRisk(input: $input) { user { insiderRisk { level expiresAt } }
        userErrors { code field } } }";
    let report = async |more: Value| {
        let mut input = json!({ "userId": bob.user_id(), "level": "ELEVATED" });
        more.as_object().expect("fields").iter().for_each(|(key, value)| input[key] = value.clone());
        cora.data(mutation, json!({ "input": input })).await["reportInsiderRisk"].clone()
    };
    for bad in [
        json!({ "expiresAt": "2026-03-02T09:00:00Z" }),
        json!({ "observedAt": "2026-04-01T00:00:00Z", "expiresAt": "2026-03-20T00:00:00Z" }),
    ] {
        assert_eq!(report(bad).await["userErrors"], json!([{ "code": "INVALID", "field": ["expiresAt"] }]));
    }
    let taken = report(json!({ "expiresAt": "2026-03-02T12:00:00+02:00", "reference": "case 7" })).await;
    assert_eq!(taken["user"]["insiderRisk"], json!({ "level": "ELEVATED", "expiresAt": "2026-03-02T10:00:00Z" }));
    let level =
        "query($id: ID!) { node(id: $id) { ... on User { insiderRisk { level } idProtectionRisk { level state } } } }";
    world.clock.advance(Seconds::hours(1));
    let seen = otto.data(level, json!({ "id": bob.user_id() })).await;
    assert_eq!(seen["node"]["insiderRisk"]["level"], "NONE", "past its end");
    assert_eq!(seen["node"]["idProtectionRisk"], json!({ "level": "NONE", "state": "NONE" }));

    let act = "mutation($ids: [ID!]!) { confirmUserCompromised(input: { userIds: $ids }) { users { idProtectionRisk { level state } } userErrors { code field } } }";
    let done = otto.data(act, json!({ "ids": [bob.user_id(), bob.user_id()] })).await["confirmUserCompromised"].clone();
    assert_eq!(done["users"], json!([{ "idProtectionRisk": { "level": "HIGH", "state": "CONFIRMED_COMPROMISED" } }]));
    let refused = otto.data(act, json!({ "ids": [bob.user_id(), "usr_x"] })).await["confirmUserCompromised"].clone();
    assert_eq!(refused["userErrors"], json!([{ "code": "NOT_FOUND", "field": ["userIds", "1"] }]));
    let many: Vec<_> = (0..101).map(|_| bob.user_id()).collect();
    assert_eq!(otto.ask(act, json!({ "ids": many })).await.code(), "LIMIT_EXCEEDED");
    let request = bob.asks_for(riskgate::demo::WIKI).await;
    assert_eq!(request["state"], "PENDING_APPROVAL", "a confirmed compromise is the highest risk");
});
