//! Applications: they read, submit for people where a policy lets them, and report risk. They never decide.

use entity::Seconds;
use jsonwebtoken::Algorithm;
use riskgate::config::IssuerConfig;
use riskgate::demo::{FINANCE_DATA, WIKI};
use serde_json::{Value, json};

use super::met;
use crate::story;
use crate::support::provider::{Key, Provider};
use crate::support::{Message, Person, World};

const READ: &str = "AccessRequests.Read.All";
const WRITE: &str = "AccessRequests.ReadWrite.All";
const RISK: &str = "Risk.Write.All";

const EVENTS: &str = "query($a: String) { auditEvents(first: 1, filter: { activity: $a }) { nodes {
    actor { id } application { clientId issuer } details { key value } } } }";

/// A provider that the server trusts, and its key.
async fn trusted(world: &mut World) -> (Provider, Key) {
    let key = Key::new("k", Algorithm::ES256);
    let provider = Provider::start(&[&key]).await;
    world.trust(vec![provider.trusted()]).await;
    (provider, key)
}

fn application(world: &World, (provider, key): &(Provider, Key), client: &str, roles: &[&str]) -> Person {
    world.bearer(key.sign(&provider.app_claims(client, roles, world.now())))
}

/// A policy that lets applications ask for everybody, with one stage that olga decides.
async fn open_to_applications(world: &World) -> Value {
    let query = "mutation($input: CreateAssignmentPolicyInput!) { createAssignmentPolicy(input: $input) {
        assignmentPolicy { id allowApplications } userErrors { code } } }";
    let input = json!({
        "accessPackageId": WIKI.to_string(), "displayName": "By HR", "allowApplications": true,
        "stages": [{ "approvers": [{ "userId": world.person("olga").user_id() }] }],
    });
    let made = world.person("ada").data(query, json!({ "input": input })).await["createAssignmentPolicy"].clone();
    assert_eq!(made["assignmentPolicy"]["allowApplications"], true, "{made}");
    made["assignmentPolicy"]["id"].clone()
}

story!(an_application_reads_what_its_role_says, |world| {
    let at = trusted(world).await;
    let request = world.person("alice").asks_for(FINANCE_DATA).await;
    let reader = application(world, &at, "portal", &[READ, "Something.Else"]);
    assert_eq!(reader.data("{ viewer { user { id } } }", Value::Null).await, json!({ "viewer": null }));
    let seen = reader.request(&request["id"]).await;
    assert_eq!((&seen["state"], &seen["riskEvaluations"]), (&json!("PENDING_APPROVAL"), &Value::Null));
    let kinds: Vec<_> = seen["stages"].as_array().expect("stages").iter().map(|stage| &stage["kind"]).collect();
    assert_eq!(kinds, ["POLICY", "POLICY"], "no application reads risk");
    let lists =
        "{ accessRequests { totalCount } accessPackages { totalCount } users { totalCount } catalogs { totalCount }
        assignments { totalCount } approvalStages { totalCount } pendingRiskApprovals { totalCount } }";
    let (seen, glen) = (reader.data(lists, Value::Null).await, world.person("glen").data(lists, Value::Null).await);
    for list in ["accessRequests", "accessPackages", "users", "catalogs", "assignments"] {
        assert_eq!(seen[list], glen[list], "{list}");
        assert_ne!(seen[list]["totalCount"], 0, "{list}");
    }
    assert_eq!(seen["pendingRiskApprovals"]["totalCount"], 0);
    for query in [
        "{ auditEvents(first: 1) { nodes { id } } }",
        "{ controlConfigurations { id } }",
        "{ accessRequests(filter: { hasRiskStage: true }) { totalCount } }",
        "{ users(filter: { hasRisk: true }) { totalCount } }",
        "mutation { createCatalog(input: { displayName: \"x\" }) { userErrors { code } } }",
    ] {
        assert_eq!(reader.ask(query, Value::Null).await.code(), "FORBIDDEN", "{query}");
    }
    assert_eq!(reader.submits_anyhow(WIKI).await.code(), "FORBIDDEN");
    assert_eq!(reader.cancels(&request["id"]).await.code(), "FORBIDDEN");
});

story!(an_application_submits_for_somebody_where_a_policy_lets_it, |world| {
    let at = trusted(world).await;
    let hr = application(world, &at, "hr", &[WRITE]);
    let (alice, zoe) = (world.person("alice"), world.person("zoe"));
    let input = |person: &Person| json!({ "accessPackageId": WIKI.to_string(), "targetId": person.user_id(), "justification": "Joins." });
    let refused = async |input: Value| {
        let payload = hr.submits(input).await;
        assert_eq!(payload["request"], Value::Null);
        (payload["userErrors"][0]["code"].clone(), payload["userErrors"][0]["field"].clone())
    };
    let not_eligible = (json!("NOT_ELIGIBLE"), json!(["accessPackageId"]));
    assert_eq!(refused(input(&zoe)).await, not_eligible, "no policy lets applications");
    let policy = open_to_applications(world).await;
    let itself = json!({ "accessPackageId": WIKI.to_string(), "justification": "For myself." });
    assert_eq!(refused(itself).await, (json!("INVALID"), json!(["targetId"])));
    let mut unknown = input(&zoe);
    unknown["targetId"] = json!("usr_ffffffff-0000-4000-8000-000000000000");
    assert_eq!(refused(unknown).await, (json!("NOT_FOUND"), json!(["targetId"])));
    assert_eq!(refused(input(&world.person("dan"))).await, (json!("NOT_ELIGIBLE"), json!(["targetId"])));

    let mut keyed = input(&zoe);
    keyed["idempotencyKey"] = json!("joiner-7");
    let request = hr.submits(keyed.clone()).await["request"].clone();
    assert_eq!(hr.submits(keyed.clone()).await["request"]["id"], request["id"], "the same key, the same request");
    let other = application(world, &at, "payroll", &[WRITE]);
    let taken = other.submits(keyed).await;
    assert_eq!(taken["userErrors"][0]["code"], "ALREADY_REQUESTED", "another application's keys are its own");
    let query = "query($id: ID!) { node(id: $id) { ... on AccessRequest { requestType requestor { id } target { id }
        application { clientId issuer } policy { id } } } }";
    let seen = zoe.data(query, json!({ "id": request["id"] })).await["node"].clone();
    let named = json!({ "clientId": "hr", "issuer": at.0.url });
    let expected = json!({
        "requestType": "ON_BEHALF_ADD", "requestor": { "id": zoe.user_id() }, "target": { "id": zoe.user_id() },
        "application": named, "policy": { "id": policy },
    });
    assert_eq!(seen, expected, "whoever gets the access sees who asked");
    let events = world.person("ada").data(EVENTS, json!({ "a": "User requests access package assignment" })).await;
    let event = &events["auditEvents"]["nodes"][0];
    assert_eq!((&event["actor"], &event["application"]), (&Value::Null, &named), "{event}");
    let filtered = "query($a: ApplicationInput) { auditEvents(filter: { application: $a }) { totalCount } }";
    let count = async |client: &str| {
        let application = json!({ "clientId": client, "issuer": at.0.url });
        world.person("ada").data(filtered, json!({ "a": application })).await["auditEvents"]["totalCount"].clone()
    };
    assert_eq!((count("hr").await, count("payroll").await), (json!(1), json!(0)));
    let own = zoe.asks_for(FINANCE_DATA).await;
    let own = zoe.data(query, json!({ "id": own["id"] })).await["node"]["application"].clone();
    assert_eq!(own, Value::Null);

    // Risk is asked about like for anybody, and the one who gets the access decides nothing.
    let risky = hr.submits(input(&alice)).await["request"].clone();
    let seen = world.person("sam").request(&risky["id"]).await;
    assert_eq!(seen["stages"][0]["kind"], "ID_PROTECTION_RISK");
    assert_eq!(seen["riskEvaluations"].as_array().map(Vec::len), Some(2), "one person, two sources: {seen:#}");
    let preview = "query($input: SubmitAccessRequestInput!) { previewAccessRequest(input: $input) {
        stages { kind } riskEvaluations { level } userErrors { code } } }";
    let mallory = world.person("mallory");
    let seen = hr.data(preview, json!({ "input": input(&mallory) })).await["previewAccessRequest"].clone();
    assert_eq!(seen, json!({ "stages": [{ "kind": "POLICY" }], "riskEvaluations": null, "userErrors": [] }));
    let olga = hr.submits(input(&world.person("olga"))).await["request"].clone();
    let stage = world.person("ada").request(&olga["id"]).await["stages"][0]["id"].clone();
    assert_eq!(world.person("olga").is_refused(&stage).await, "NOT_AN_APPROVER", "nobody approves their own access");
    // Who gets the access may take the request back; the application may not.
    assert_eq!(hr.cancels(&request["id"]).await.code(), "FORBIDDEN");
    let canceled = zoe.cancels(&request["id"]).await.data()["cancelAccessRequest"]["request"].clone();
    assert_eq!(canceled["outcome"], "CANCELED_BY_REQUESTOR");
});

story!(an_application_never_decides, |world| {
    let at = trusted(world).await;
    let request = world.person("bob").asks_for(FINANCE_DATA).await;
    let risky = world.person("alice").asks_for(FINANCE_DATA).await;
    let (policy_stage, risk_stage) = (&request["stages"][0]["id"], {
        let seen = world.person("sam").request(&risky["id"]).await;
        seen["stages"][0]["id"].clone()
    });
    let (provider, key) = &at;
    // Every app role, every directory role, and the object id of the very person who may decide.
    for approver in ["mona", "sam"] {
        let mut claims = provider.app_claims("robot", &[READ, WRITE, RISK], world.now());
        claims["oid"] = json!(world.person(approver).id.0);
        claims["wids"] = json!(["62e90394-69f5-4237-9190-012177145e10", "194ae4cb-b126-40b2-bd5b-6091b380977d"]);
        let robot = world.bearer(key.sign(&claims));
        assert_eq!(robot.is_refused(policy_stage).await, "NOT_AN_APPROVER", "with the id of {approver}");
        assert_eq!(robot.is_refused(&risk_stage).await, "NOT_FOUND", "a risk stage is not even seen");
        let seen = robot.request(&request["id"]).await;
        assert_eq!(seen["stages"][0]["isAssignedToViewer"], false);
        assert!(robot.pending_risk().await.0.is_empty());
    }
    let events = world.person("ada").data(EVENTS, json!({ "a": "Refuse decision on request approval" })).await;
    let event = &events["auditEvents"]["nodes"][0];
    assert_eq!(event["application"], json!({ "clientId": "robot", "issuer": provider.url }), "{event}");
    assert_eq!(
        world.person("mona").approves(policy_stage).await["state"],
        "PENDING_APPROVAL",
        "the approver still can"
    );
});

story!(an_application_reports_risk_and_nothing_else, |world| {
    let at = trusted(world).await;
    let siem = application(world, &at, "siem", &[RISK]);
    let bob = world.person("bob");
    world.person("alice").asks_for(FINANCE_DATA).await;
    let report = "mutation($u: ID!) {
        reportUserRisk(input: { userId: $u, level: HIGH, detail: \"impossible travel\" }) { user { displayName idProtectionRisk { level } } userErrors { code } } }";
    let done = siem.data(report, json!({ "u": bob.user_id() })).await["reportUserRisk"].clone();
    assert_eq!(done, json!({ "user": { "displayName": "Bob Fischer", "idProtectionRisk": null }, "userErrors": [] }));
    let insider =
        "mutation($u: ID!) { reportInsiderRisk(input: { userId: $u, level: MINOR }) { userErrors { code } } }";
    let done = siem.data(insider, json!({ "u": bob.user_id() })).await;
    assert_eq!(done["reportInsiderRisk"]["userErrors"], json!([]));
    let named = json!({ "clientId": "siem", "issuer": at.0.url });
    for activity in ["Report user risk", "Report insider risk"] {
        let events = world.person("ada").data(EVENTS, json!({ "a": activity })).await;
        assert_eq!(events["auditEvents"]["nodes"][0]["application"], named, "{activity}");
    }
    let request = bob.asks_for(WIKI).await;
    assert_eq!(request["state"], "PENDING_APPROVAL", "what it reported counts");
    let lists =
        "{ accessRequests { totalCount } accessPackages { totalCount } users { totalCount } catalogs { totalCount }
        assignments { totalCount } approvalStages { totalCount } }";
    for (list, found) in siem.data(lists, Value::Null).await.as_object().expect("lists") {
        assert_eq!(found["totalCount"], 0, "{list}");
    }
    let nodes = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    let ids = json!({ "ids": [request["id"], bob.user_id(), WIKI.to_string(), FINANCE_DATA.to_string()] });
    assert_eq!(siem.data(nodes, ids).await["nodes"], json!([null, null, null, null]));
    let reader = application(world, &at, "portal", &[READ]);
    assert_eq!(reader.ask(report, json!({ "u": bob.user_id() })).await.code(), "FORBIDDEN");
});

story!(what_makes_a_token_one_of_an_application, |world| {
    let key = Key::new("k", Algorithm::ES256);
    let (entra, other) = (Provider::start(&[&key]).await, Provider::start(&[&key]).await);
    let marked =
        IssuerConfig { app_claim: Some("client_id".to_owned()), user_claim: "sub".to_owned(), ..other.trusted() };
    world.trust(vec![entra.trusted(), marked]).await;
    let alice = world.person("alice").id.0;
    let claims = |provider: &Provider, more: Value| {
        let mut claims = provider.claims(world.person("alice").id, world.now());
        claims.as_object_mut().expect("claims").remove("scp");
        (claims["sub"], claims["azp"], claims["roles"]) = (json!(alice), json!("robot"), json!([READ]));
        more.as_object().expect("claims").iter().for_each(|(name, value)| claims[name] = value.clone());
        key.sign(&claims)
    };
    let is_application = async |token: String| {
        let person = world.bearer(token);
        let answer = person.ask("{ viewer { user { displayName } } accessRequests { totalCount } }", Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.data()["viewer"].is_null()
    };
    for (provider, more, expected) in [
        (&entra, json!({ "idtyp": "app" }), true),
        (&entra, json!({ "idtyp": "app", "scp": "x" }), true),
        (&entra, json!({ "tid": "t", "ver": "1.0" }), true),
        (&entra, json!({ "tid": "t", "ver": "2.0" }), true),
        (&entra, json!({ "tid": "t", "ver": "2.0", "scp": "x" }), false),
        (&entra, json!({ "tid": "t", "ver": "2.0", "idtyp": "user" }), false),
        (&entra, json!({}), false),
        (&entra, json!({ "client_id": "robot" }), false),
        (&other, json!({ "client_id": "robot" }), true),
        (&other, json!({ "client_id": false }), false),
        (&other, json!({ "client_id": null }), false),
        (&other, json!({ "client_id": "robot", "idtyp": "user" }), false),
        (&other, json!({}), false),
    ] {
        assert_eq!(is_application(claims(provider, more.clone())).await, expected, "{more}");
    }
    for roles in [json!([]), json!(null), json!(["AccessRequests.Read"]), json!(READ.to_lowercase()), json!([[READ]])] {
        let token = claims(&entra, json!({ "idtyp": "app", "roles": roles }));
        assert_eq!(met(world, token).await, "UNAUTHENTICATED", "no app role that counts: {roles}");
    }
    for client in [json!(""), json!("x".repeat(257)), json!("a\nb")] {
        let token = claims(&entra, json!({ "idtyp": "app", "azp": client }));
        assert_eq!(met(world, token).await, "UNAUTHENTICATED", "{client}");
    }
});

story!(an_application_follows_a_request_as_long_as_its_token_lasts, |world| {
    let at = trusted(world).await;
    let reader = application(world, &at, "portal", &[READ]);
    let bob = world.person("bob");
    let request = bob.asks_for(FINANCE_DATA).await;
    let updated = "subscription($id: ID!) { accessRequestUpdated(requestId: $id) { request { state } } }";
    let mut listening = reader.connect().await.subscribe(updated, json!({ "id": request["id"] })).await;
    assert_eq!(listening.event().await["accessRequestUpdated"]["request"]["state"], "PENDING_APPROVAL");
    let pending = "subscription { pendingRiskApprovalCreated { cursor } }";
    let mut never = reader.connect().await.subscribe(pending, json!({})).await;
    world.person("alice").asks_for(FINANCE_DATA).await;
    never.is_silent().await;
    assert_eq!(bob.cancels(&request["id"]).await.status, 200);
    assert_eq!(listening.event().await["accessRequestUpdated"]["request"]["state"], "CANCELED");
    listening.completes().await;
    world.clock.advance(Seconds::hours(1));
    assert_eq!(never.error().await, "UNAUTHENTICATED");
    assert_eq!(never.socket.receive().await, Message::Closed(4403, "Forbidden".to_owned()));
});
