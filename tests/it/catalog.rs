//! Catalogs, packages and policies: made by few, seen by whom they concern.

use riskgate::demo::WIKI;
use serde_json::{Value, json};

use crate::story;
use crate::support::{Person, World};

async fn make(person: &Person, noun: &str, input: Value) -> Value {
    let field = format!("create{noun}");
    let object = format!("{}{}", noun[..1].to_lowercase(), &noun[1..]);
    let query = format!(
        "mutation($input: Create{noun}Input!) {{ {field}(input: $input) {{ {object} {{ id }} userErrors {{ code field }} }} }}"
    );
    let payload = person.data(&query, json!({ "input": input })).await[&field].clone();
    json!({ "id": payload[&object]["id"], "userErrors": payload["userErrors"] })
}

async fn package(world: &World, name: &str, is_hidden: bool) -> Value {
    let ines = world.person("ines");
    let catalog = make(&ines, "Catalog", json!({ "displayName": format!("{name} catalog") })).await["id"].clone();
    make(&ines, "AccessPackage", json!({ "catalogId": catalog, "displayName": name, "isHidden": is_hidden })).await["id"].clone()
}

story!(a_policy_that_cannot_be_right_is_refused_and_names_its_field, |world| {
    let ines = world.person("ines");
    let stage = |more: Value| {
        let mut stage = json!({ "approvers": [{ "directoryRole": "GLOBAL_READER" }] });
        more.as_object().expect("fields").iter().for_each(|(key, value)| stage[key] = value.clone());
        stage
    };
    let alternate = json!([{ "userId": world.person("mona").user_id() }]);
    for (more, code, field) in [
        (json!({ "displayName": " " }), "INVALID", json!(["displayName"])),
        (json!({ "displayName": "x".repeat(257) }), "INVALID", json!(["displayName"])),
        (json!({ "accessPackageId": "pkg_nonsense" }), "NOT_FOUND", json!(["accessPackageId"])),
        (
            json!({ "allowedRequestors": [{ "requestorManagerLevel": 1 }] }),
            "INVALID",
            json!(["allowedRequestors", "0", "requestorManagerLevel"]),
        ),
        (
            json!({ "allowedRequestors": [{ "groupId": "grp_nonsense" }] }),
            "NOT_FOUND",
            json!(["allowedRequestors", "0", "groupId"]),
        ),
        (json!({ "stages": [stage(json!({ "approvers": [] }))] }), "INVALID", json!(["stages", "0", "approvers"])),
        (
            json!({ "stages": [stage(json!({ "decisionTimeout": "PT59M" }))] }),
            "INVALID",
            json!(["stages", "0", "decisionTimeout"]),
        ),
        (
            json!({ "stages": [stage(json!({ "decisionTimeout": "P91D" }))] }),
            "INVALID",
            json!(["stages", "0", "decisionTimeout"]),
        ),
        (
            json!({ "stages": [stage(json!({ "escalateAfter": "P1D" }))] }),
            "INVALID",
            json!(["stages", "0", "escalationApprovers"]),
        ),
        (
            json!({ "stages": [stage(json!({ "escalationApprovers": alternate }))] }),
            "INVALID",
            json!(["stages", "0", "escalateAfter"]),
        ),
        (
            json!({ "stages": [stage(json!({ "escalationApprovers": alternate, "escalateAfter": "P14D" }))] }),
            "INVALID",
            json!(["stages", "0", "escalateAfter"]),
        ),
        (
            json!({ "stages": [stage(json!({})), stage(json!({ "approvers": [{ "userId": "usr_nonsense" }] }))] }),
            "NOT_FOUND",
            json!(["stages", "1", "approvers", "0", "userId"]),
        ),
        (json!({ "stages": vec![stage(json!({})); 4] }), "INVALID", json!(["stages"])),
        (json!({ "assignmentDuration": "PT0S" }), "INVALID", json!(["assignmentDuration"])),
        (json!({ "assignmentDuration": "P3661D" }), "INVALID", json!(["assignmentDuration"])),
    ] {
        let mut input = json!({ "accessPackageId": WIKI.to_string(), "displayName": "A policy" });
        more.as_object().expect("fields").iter().for_each(|(key, value)| input[key] = value.clone());
        let refused = make(&ines, "AssignmentPolicy", input).await;
        assert_eq!(refused, json!({ "id": null, "userErrors": [{ "code": code, "field": field }] }), "{more}");
    }
});

story!(packages_are_seen_by_whom_they_concern, |world| {
    let (ines, alice, mona, zoe) =
        (world.person("ines"), world.person("alice"), world.person("mona"), world.person("zoe"));
    let names = async |person: &Person| {
        let page = person
            .data("{ accessPackages(filter: { search: \"SPEC\" }) { nodes { displayName } } }", Value::Null)
            .await;
        let nodes = page["accessPackages"]["nodes"].as_array().expect("nodes").clone();
        nodes.iter().map(|node| node["displayName"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    let special = package(world, "Special", false).await;
    let hidden = package(world, "Special and hidden", true).await;
    assert_eq!(names(&ines).await, ["Special", "Special and hidden"]);
    assert!(names(&alice).await.is_empty(), "nobody may ask for them yet");
    for id in [&special, &hidden] {
        let input = json!({ "accessPackageId": id, "displayName": "Alice", "allowManagersOnBehalf": true,
            "allowedRequestors": [{ "userId": alice.user_id() }] });
        assert_eq!(make(&ines, "AssignmentPolicy", input).await["userErrors"], json!([]));
    }
    assert_eq!(names(&alice).await, ["Special"], "what is hidden is not browsed");
    assert_eq!(names(&mona).await, ["Special"], "she may ask on behalf");
    assert!(names(&zoe).await.is_empty());
    let node = "query($id: ID!) { node(id: $id) { ... on AccessPackage { displayName policies { displayName } } } }";
    assert_eq!(
        alice.data(node, json!({ "id": hidden })).await["node"]["policies"],
        json!([{ "displayName": "Alice" }])
    );
    assert_eq!(zoe.data(node, json!({ "id": hidden })).await["node"], Value::Null);
    let mine = "{ viewer { requestableAccessPackages { nodes { displayName } } } }";
    let offered = alice.data(mine, Value::Null).await["viewer"]["requestableAccessPackages"]["nodes"].clone();
    assert!(offered.as_array().expect("nodes").contains(&json!({ "displayName": "Special" })));
    let offered = mona.data(mine, Value::Null).await["viewer"]["requestableAccessPackages"]["nodes"].clone();
    assert!(!offered.as_array().expect("nodes").contains(&json!({ "displayName": "Special" })), "not for herself");
    let made = alice.submits(json!({ "accessPackageId": hidden })).await;
    assert_eq!(made["userErrors"], json!([]), "who has the link may ask");

    // Who knows a policy only through a request does not see its rules.
    let policy = "query($id: ID!) { node(id: $id) { ... on AccessRequest { policy { id displayName stages { decisionTimeout } allowedRequestors { __typename } } } } }";
    let seen = alice.data(policy, json!({ "id": made["request"]["id"] })).await["node"]["policy"].clone();
    assert_eq!(seen["allowedRequestors"], json!([{ "__typename": "SingleUser" }]));
});
