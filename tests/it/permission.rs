//! Who may do what and sees what, as one table that is reviewed as a diff: `permissions.txt`. Every right, every root field, every
//! field of every type, every kind of event, for each kind of person, asked of the real server. A field or an event that is new is not in
//! the file, so the test fails until somebody has looked at it. `UPDATE_EXPECT=1` writes the file anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use entity::DirectoryRole;
use futures_util::StreamExt;
use jsonwebtoken::Algorithm;
use riskgate::demo::{self, FINANCE_DATA};
use riskgate::domain::event::EventKind;
use riskgate::domain::permission::{AppRole, Application, ApplicationId, Principal, Right};
use serde_json::{Value, json};

use crate::story;
use crate::support::provider::{Key, Provider};
use crate::support::{Person, World};

/// One of each kind: the seven roles; who asked (and is risky); who decides a policy's stage; who decided one; nobody in particular.
const PEOPLE: [&str; 11] = ["ada", "glen", "ines", "sam", "otto", "rhea", "cora", "alice", "mona", "olga", "zoe"];

/// Applications, one for each app role; a right can have several roles, but no role needs another.
const APPLICATIONS: [(&str, AppRole); 3] =
    [("app: read", AppRole::ReadRequests), ("app: write", AppRole::WriteRequests), ("app: risk", AppRole::WriteRisk)];

/// Everybody of the table: the name, and somebody who asks.
type Actors = Vec<(&'static str, Person)>;

async fn actors(world: &mut World) -> (Provider, Actors) {
    let key = Key::new("k", Algorithm::EdDSA);
    let provider = Provider::start(&[&key]).await;
    world.trust(vec![provider.trusted()]).await;
    let people = PEOPLE.iter().map(|name| (*name, world.person(name)));
    let applications = APPLICATIONS.iter().map(|(name, role)| {
        let claims = provider.app_claims(name, &[role.as_str()], world.now());
        (*name, world.bearer(key.sign(&claims)))
    });
    let actors = people.chain(applications).collect();
    (provider, actors)
}

/// The header of a part of the table.
fn head(table: &mut String, actors: &Actors) {
    row(table, "", &actors.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
}

/// Types that show what the field around them may show, and have no rule of their own.
const CARRIED: [&str; 11] = [
    "AccessRequestUpdated",
    "DirectoryRoleHolders",
    "GroupMembers",
    "Mutation",
    "PageInfo",
    "PendingRiskApprovalCreated",
    "Query",
    "RequestorManager",
    "SingleUser",
    "Subscription",
    "UserError",
];

fn is_carried(name: &str) -> bool {
    CARRIED.contains(&name)
        || name.starts_with("__")
        || ["Connection", "Edge", "Payload"].iter().any(|end| name.ends_with(end))
}

/// Each object type with its fields; a field that shows objects needs a selection.
async fn types(person: &Person) -> BTreeMap<String, Vec<(String, bool)>> {
    let query = "{ __schema { types { kind name fields(includeDeprecated: true) { name type { kind name
        ofType { kind name ofType { kind name ofType { kind name } } } } } } } }";
    let schema = person.data(query, Value::Null).await;
    let is_composite = |field: &Value| {
        let mut at = &field["type"];
        while at["ofType"].is_object() {
            at = &at["ofType"];
        }
        ["OBJECT", "INTERFACE", "UNION"].contains(&at["kind"].as_str().expect("a kind"))
    };
    let objects = schema["__schema"]["types"].as_array().expect("types").iter().filter(|t| t["kind"] == "OBJECT");
    objects
        .map(|object| {
            let fields = object["fields"].as_array().expect("fields").iter();
            let fields = fields.map(|f| (f["name"].as_str().expect("a name").to_owned(), is_composite(f))).collect();
            (object["name"].as_str().expect("a name").to_owned(), fields)
        })
        .collect()
}

/// A word for what came back at the end of a path.
fn word(body: &Value, path: &[&str]) -> String {
    if let Some(code) = body["errors"][0]["extensions"]["code"].as_str() {
        return code.to_owned();
    }
    let mut at = &body["data"];
    for step in path {
        at = match at {
            Value::Array(rows) => match rows.first() {
                Some(row) => &row[step],
                None => return "absent".to_owned(),
            },
            Value::Null => return "absent".to_owned(),
            other => &other[step],
        };
    }
    match at {
        Value::Null => "null".to_owned(),
        Value::Array(rows) => format!("[{}]", rows.len()),
        _ => "shown".to_owned(),
    }
}

/// What an object is reached by: its type, the query around its fields (`FIELDS`), the path to it.
struct Probe {
    object: &'static str,
    around: String,
    path: Vec<&'static str>,
}

fn node(object: &'static str, id: &Value, inner: &str, path: &[&'static str]) -> Probe {
    let on = if inner.is_empty() { object } else { path[0] };
    let inner = if inner.is_empty() { "FIELDS".to_owned() } else { inner.to_owned() };
    let path = if path.is_empty() { Vec::new() } else { path[1..].to_vec() };
    let around = format!("{{ node(id: {id}) {{ ... on {on} {{ {inner} }} }} }}");
    Probe { object, around, path: [vec!["node"], path].concat() }
}

/// A request that an application submitted for carol, for what nobody else may ask for.
async fn submitted_by(application: &Person, world: &World, catalog: &Value) -> Value {
    let (ada, carol) = (world.person("ada"), world.person("carol").user_id());
    let query =
        "mutation($input: CreateAccessPackageInput!) { createAccessPackage(input: $input) { accessPackage { id } } }";
    let made = ada.data(query, json!({ "input": { "catalogId": catalog, "displayName": "Payroll" } })).await;
    let package = &made["createAccessPackage"]["accessPackage"]["id"];
    let query = "mutation($input: CreateAssignmentPolicyInput!) { createAssignmentPolicy(input: $input) { userErrors { code } } }";
    let input = json!({ "accessPackageId": package, "displayName": "By an application", "allowApplications": true,
        "allowedRequestors": [{ "userId": carol }] });
    let made = ada.data(query, json!({ "input": input })).await;
    assert_eq!(made["createAssignmentPolicy"]["userErrors"], json!([]));
    let payload = application.submits(json!({ "accessPackageId": package, "targetId": carol })).await;
    assert_eq!(payload["userErrors"], json!([]));
    payload["request"]["id"].clone()
}

/// A world in which there is one of everything, and what each is reached by.
async fn probes(world: &World, actors: &Actors) -> (Vec<Probe>, Value) {
    let (alice, ada) = (world.person("alice"), world.person("ada"));
    let request = alice.asks_for(FINANCE_DATA).await;
    let id = &request["id"];
    let seen = ada.request(id).await;
    let done = world.person("bob").asks_for(FINANCE_DATA).await;
    let decided = done["stages"][0]["id"].clone();
    let done = world.person("mona").approves(&decided).await;
    let done = world.person("olga").approves(&done["currentStage"]["id"]).await;
    let refs = ada
        .data(
            "query($id: ID!) { node(id: $id) { ... on AccessRequest { policy { id } accessPackage { catalog { id } } } }
               controlConfigurations { id } auditEvents(first: 1, filter: { activity: \"Create request approval\" }) { nodes { id } } }",
            json!({ "id": id }),
        )
        .await;
    let (policy, catalog) = (&refs["node"]["policy"]["id"], &refs["node"]["accessPackage"]["catalog"]["id"]);
    let writer = actors.iter().find(|(name, _)| *name == "app: write").map(|(_, actor)| actor).expect("an application");
    let for_carol = submitted_by(writer, world, catalog).await;
    let event = &refs["auditEvents"]["nodes"][0]["id"];
    let user = json!(alice.user_id());
    let preview = format!(
        "{{ previewAccessRequest(input: {{ accessPackageId: \"{}\", justification: \"x\" }}) {{ FIELDS }} }}",
        demo::PRODUCTION_ACCESS
    );
    let planned = preview.replace("FIELDS", "stages { FIELDS }");
    let list = vec![
        Probe { object: "Viewer", around: "{ viewer { FIELDS } }".to_owned(), path: vec!["viewer"] },
        node("AccessRequest", id, "", &[]),
        node("RiskEvaluation", id, "riskEvaluations { FIELDS }", &["AccessRequest", "riskEvaluations"]),
        node("Explanation", id, "explanation { FIELDS }", &["AccessRequest", "explanation"]),
        node("ExplanationStep", id, "explanation { steps { FIELDS } }", &["AccessRequest", "explanation", "steps"]),
        node(
            "ExplanationInput",
            id,
            "explanation { steps { inputs { FIELDS } } }",
            &["AccessRequest", "explanation", "steps", "inputs"],
        ),
        node(
            "ExplanationTier",
            id,
            "explanation { steps { tiers { FIELDS } } }",
            &["AccessRequest", "explanation", "steps", "tiers"],
        ),
        node(
            "ExcludedApprover",
            id,
            "explanation { steps { tiers { excluded { FIELDS } } } }",
            &["AccessRequest", "explanation", "steps", "tiers", "excluded"],
        ),
        node("DecisionProof", &decided, "proof { FIELDS }", &["PolicyApprovalStage", "proof"]),
        node("RiskApprovalStage", &seen["stages"][0]["id"], "", &[]),
        node("PolicyApprovalStage", &seen["stages"][1]["id"], "", &[]),
        node("Assignment", &done["assignment"]["id"], "", &[]),
        node("User", &user, "", &[]),
        node("IdProtectionRisk", &user, "idProtectionRisk { FIELDS }", &["User", "idProtectionRisk"]),
        node("InsiderRisk", &user, "insiderRisk { FIELDS }", &["User", "insiderRisk"]),
        node("Group", &json!(demo::FINANCE_OWNERS.to_string()), "", &[]),
        node("Catalog", catalog, "", &[]),
        node("AccessPackage", &json!(FINANCE_DATA.to_string()), "", &[]),
        node("AssignmentPolicy", policy, "", &[]),
        node("PolicyStage", policy, "stages { FIELDS }", &["AssignmentPolicy", "stages"]),
        node("AuditEvent", event, "", &[]),
        node("Application", &for_carol, "application { FIELDS }", &["AccessRequest", "application"]),
        node("AuditDetail", event, "details { FIELDS }", &["AuditEvent", "details"]),
        node("IdProtectionRiskApproval", &refs["controlConfigurations"][0]["id"], "", &[]),
        node("InsiderRiskApproval", &refs["controlConfigurations"][1]["id"], "", &[]),
        Probe {
            object: "RiskSourceStatus",
            around: "{ riskSources { FIELDS } }".to_owned(),
            path: vec!["riskSources"],
        },
        Probe { object: "AccessRequestPreview", around: preview, path: vec!["previewAccessRequest"] },
        Probe { object: "PlannedStage", around: planned, path: vec!["previewAccessRequest", "stages"] },
    ];
    (list, seen)
}

/// Every root field with arguments that change nothing.
fn roots(seen: &Value) -> Vec<(&'static str, String)> {
    let (request, stage) = (&seen["id"], &seen["stages"][0]["id"]);
    let user = seen["requestor"]["id"].clone();
    let unknown = "usr_ffffffff-0000-4000-8000-000000000000";
    vec![
        ("viewer", "{ viewer { __typename } }".to_owned()),
        ("node", format!("{{ node(id: {request}) {{ __typename }} }}")),
        ("nodes", format!("{{ nodes(ids: [{request}, {stage}]) {{ __typename }} }}")),
        ("controlConfigurations", "{ controlConfigurations { __typename } }".to_owned()),
        ("riskSources", "{ riskSources { __typename } }".to_owned()),
        ("catalogs", "{ catalogs { nodes { __typename } } }".to_owned()),
        ("accessPackages", "{ accessPackages { nodes { __typename } } }".to_owned()),
        ("accessRequests", "{ accessRequests(first: 100) { nodes { __typename } } }".to_owned()),
        ("accessRequests(hasRiskStage)", "{ accessRequests(filter: { hasRiskStage: true }) { nodes { __typename } } }".to_owned()),
        ("assignments", "{ assignments { nodes { __typename } } }".to_owned()),
        ("users", "{ users { nodes { __typename } } }".to_owned()),
        ("users(hasRisk)", "{ users(filter: { hasRisk: true }) { nodes { __typename } } }".to_owned()),
        ("approvalStages", "{ approvalStages { nodes { __typename } } }".to_owned()),
        ("approvalStages(risk kinds)", "{ approvalStages(filter: { kinds: [ID_PROTECTION_RISK] }) { nodes { __typename } } }".to_owned()),
        ("pendingRiskApprovals", "{ pendingRiskApprovals { nodes { __typename } } }".to_owned()),
        ("previewAccessRequest", format!("{{ previewAccessRequest(input: {{ accessPackageId: \"{}\" }}) {{ userErrors {{ code }} }} }}", demo::WIKI)),
        ("auditEvents", "{ auditEvents(first: 1) { nodes { __typename } } }".to_owned()),
        ("updateIdProtectionRiskApproval", "mutation { updateIdProtectionRiskApproval(input: { riskLevels: [] }) { userErrors { code } } }".to_owned()),
        ("updateInsiderRiskApproval", "mutation { updateInsiderRiskApproval(input: { riskLevels: [] }) { userErrors { code } } }".to_owned()),
        ("createCatalog", "mutation { createCatalog(input: { displayName: \"\" }) { userErrors { code } } }".to_owned()),
        ("createAccessPackage", "mutation { createAccessPackage(input: { catalogId: \"x\", displayName: \"x\" }) { userErrors { code } } }".to_owned()),
        ("createAssignmentPolicy", "mutation { createAssignmentPolicy(input: { accessPackageId: \"x\", displayName: \"x\" }) { userErrors { code } } }".to_owned()),
        ("submitAccessRequest", format!("mutation {{ submitAccessRequest(input: {{ accessPackageId: \"{FINANCE_DATA}\", targetId: {user}, justification: \"\\u0007\" }}) {{ userErrors {{ code }} }} }}")),
        ("cancelAccessRequest", format!("mutation {{ cancelAccessRequest(input: {{ requestId: {request}, reason: \"\\u0007\" }}) {{ userErrors {{ code }} }} }}")),
        ("decideApprovalStage", format!("mutation {{ decideApprovalStage(input: {{ stageId: {stage}, decision: APPROVE }}) {{ userErrors {{ code }} }} }}")),
        ("decideApprovalStages", format!("mutation {{ decideApprovalStages(input: [{{ stageId: {stage}, decision: APPROVE }}]) {{ userErrors {{ code }} }} }}")),
        ("reportUserRisk", format!("mutation {{ reportUserRisk(input: {{ userId: \"{unknown}\", level: LOW }}) {{ userErrors {{ code }} }} }}")),
        ("confirmUserCompromised", format!("mutation {{ confirmUserCompromised(input: {{ userIds: [\"{unknown}\"] }}) {{ userErrors {{ code }} }} }}")),
        ("confirmUserSafe", format!("mutation {{ confirmUserSafe(input: {{ userIds: [\"{unknown}\"] }}) {{ userErrors {{ code }} }} }}")),
        ("dismissUserRisk", format!("mutation {{ dismissUserRisk(input: {{ userIds: [\"{unknown}\"] }}) {{ userErrors {{ code }} }} }}")),
        ("reportInsiderRisk", format!("mutation {{ reportInsiderRisk(input: {{ userId: \"{unknown}\", level: MINOR }}) {{ userErrors {{ code }} }} }}")),
    ]
}

fn root_word(name: &str, body: &Value) -> String {
    if let Some(code) = body["errors"][0]["extensions"]["code"].as_str() {
        return code.to_owned();
    }
    let name = name.split('(').next().expect("a name");
    let data = &body["data"][name];
    let first = if data.is_array() && data[0]["userErrors"].is_array() { &data[0] } else { data };
    match (&first["userErrors"], &data["nodes"], data) {
        (Value::Array(errors), _, _) => {
            errors.first().map_or("done".to_owned(), |error| error["code"].as_str().expect("a code").to_owned())
        }
        (_, Value::Array(rows), _) => format!("[{}]", rows.len()),
        (_, _, Value::Array(rows)) => format!("[{}]", rows.iter().filter(|row| !row.is_null()).count()),
        (_, _, Value::Null) => "null".to_owned(),
        _ => "shown".to_owned(),
    }
}

fn row(table: &mut String, name: &str, cells: &[String]) {
    let cells: Vec<_> = cells.iter().map(|cell| format!("{cell:<23}")).collect();
    writeln!(table, "{}", format!("{name:<52}{}", cells.join("")).trim_end()).expect("a text grows");
}

/// Everybody of the table, as the use cases know them.
fn principals(world: &World) -> Vec<Principal> {
    let people = PEOPLE.iter().map(|name| Principal::Person(world.person(name).id));
    let applications = APPLICATIONS.iter().map(|(name, role)| {
        let id = ApplicationId { issuer: "https://login.example.com".to_owned(), client_id: (*name).to_owned() };
        Principal::Application(Arc::new(Application { id, roles: vec![*role] }))
    });
    people.chain(applications).collect()
}

/// How many messages somebody gets of a request that has ended.
async fn told(world: &World, principal: Principal, request: &Value) -> usize {
    let beginning = world.services().event_cursor(0);
    let id = request.as_str().expect("an id").parse().expect("an id");
    let expires_at = world.now().plus(entity::Seconds::hours(1));
    let Ok(stream) = world.services().follow_request(principal, expires_at, id, Some(&beginning)).await else {
        return 0;
    };
    stream.take_while(|item| std::future::ready(item.is_ok())).count().await
}

/// How many risk stages somebody has been told of since the beginning.
async fn announced(world: &World, principal: Principal) -> usize {
    let services = world.services();
    let (beginning, now) = (services.event_cursor(0), services.newest().await.expect("the head"));
    let expires_at = world.now().plus(entity::Seconds::hours(1));
    let stream = services.follow_pending_risk(principal, expires_at, now, Some(&beginning), None).expect("a stream");
    let mut stream = std::pin::pin!(stream);
    let mut count = 0;
    // What was missed comes at once; then the stream waits for what is to come.
    while let Ok(Some(Ok(_))) = tokio::time::timeout(std::time::Duration::from_millis(300), stream.next()).await {
        count += 1;
    }
    count
}

story!(the_table_of_permissions_is_the_one_that_was_reviewed, |world| {
    let (_provider, actors) = actors(world).await;
    let (probes, seen) = probes(world, &actors).await;
    let mut table = String::from(
        "Who may do what and sees what. Written by tests/it/permission.rs (UPDATE_EXPECT=1), reviewed as a diff.\n",
    );

    table.push_str("\n# Rights of roles\n");
    for right in Right::ALL {
        let holders: Vec<_> =
            DirectoryRole::ALL.iter().filter(|role| right.roles().contains(role)).map(|role| role.as_str()).collect();
        let apps: Vec<_> = right.app_roles().iter().map(|role| role.as_str()).collect();
        row(&mut table, &format!("{right:?}"), &[[holders, apps].concat().join(" ")]);
    }

    table.push_str("\n# Root fields, with arguments that change nothing\n");
    head(&mut table, &actors);
    let types = types(&world.person("zoe")).await;
    let roots = roots(&seen);
    for root in ["Query", "Mutation"] {
        for (field, _) in &types[root] {
            assert!(
                roots.iter().any(|(name, _)| name == field),
                "{root}.{field} is new: say in this test how to ask for it"
            );
        }
    }
    let streams: Vec<_> = types["Subscription"].iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        streams,
        ["pendingRiskApprovalCreated", "accessRequestUpdated"],
        "a stream is new: say here who hears it"
    );
    for (name, query) in &roots {
        let mut cells = Vec::new();
        for (_, actor) in &actors {
            cells.push(root_word(name, &actor.ask(query, Value::Null).await.body));
        }
        row(&mut table, name, &cells);
    }

    table.push_str(
        "\n# Fields: of alice's open request with a risk stage and what belongs to it; of bob's assignment\n",
    );
    head(&mut table, &actors);
    for (object, fields) in &types {
        if is_carried(object) {
            continue;
        }
        let probe = probes.iter().find(|probe| probe.object == object);
        let Some(probe) = probe else { panic!("{object} is new: say in this test what it is reached by") };
        for (field, is_composite) in fields {
            let selection = if *is_composite { format!("{field} {{ __typename }}") } else { field.clone() };
            let query = probe.around.replace("FIELDS", &selection);
            let path: Vec<_> = probe.path.iter().copied().chain([field.as_str()]).collect();
            let mut cells = Vec::new();
            for (_, actor) in &actors {
                cells.push(word(&actor.ask(&query, Value::Null).await.body, &path));
            }
            row(&mut table, &format!("{object}.{field}"), &cells);
        }
    }

    table.push_str("\n# Events: kinds that only risk readers of the request hear of, where one is about risk\n");
    let snapshot = world.snapshot().await;
    for kind in EventKind::ALL {
        let is_risk = snapshot.events.iter().any(|event| event.kind == kind.as_str() && event.is_risk);
        let is_open = snapshot.events.iter().any(|event| event.kind == kind.as_str() && !event.is_risk);
        let said = match (is_risk, is_open) {
            (true, true) => "of risk, or not",
            (true, false) => "of risk",
            (false, true) => "not of risk",
            (false, false) => "not in this world",
        };
        row(&mut table, kind.as_str(), &[said.to_owned()]);
    }

    table.push_str("\n# Messages of accessRequestUpdated, from the beginning of two requests that have ended; of pendingRiskApprovalCreated, in all\n");
    head(&mut table, &actors);
    for (name, whose) in [("bob's, without risk", "bob"), ("cora's, denied because of risk", "cora")] {
        let id = world.person(whose).id;
        let request = snapshot.requests.iter().find(|request| request.requestor_id == id).expect("a request");
        let mut cells = Vec::new();
        for principal in principals(world) {
            cells.push(told(world, principal, &json!(request.id.to_string())).await.to_string());
        }
        row(&mut table, name, &cells);
    }
    let mut cells = Vec::new();
    for principal in principals(world) {
        cells.push(announced(world, principal).await.to_string());
    }
    row(&mut table, "pendingRiskApprovalCreated", &cells);

    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/permissions.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(file, &table).expect("the file can be written");
    }
    let reviewed = std::fs::read_to_string(file).unwrap_or_default();
    let differences: Vec<_> = table.lines().zip(reviewed.lines()).filter(|(now, then)| now != then).take(5).collect();
    assert!(table == reviewed, "the table differs (UPDATE_EXPECT=1 writes it anew): {differences:#?}");
});
