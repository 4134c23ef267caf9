//! Where the directory comes from, and what its age means to a decision.

use entity::{DirectoryRole, DirectorySource, Seconds};
use riskgate::app::App;
use riskgate::domain::permission::Principal;
use riskgate::service::sync::SyncError;
use riskgate::service::{ImportError, ImportOptions, Picture};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{empty, followed, follows, form, give, id, is_as, synchronizes, version};
use crate::story;
use crate::support::graph::{Call, FakeGraph, Fault, Tenant};
use crate::support::process::refusal;
use crate::support::{Kind, World};

const DEMO: &str = include_str!("../../../../demo/directory.json");

fn role(name: &Value) -> Option<DirectoryRole> {
    DirectoryRole::ALL.iter().copied().find(|role| name == role.as_str())
}

/// The people of the demo world.
pub fn demo(tenant: &mut Tenant) {
    let file: Value = serde_json::from_str(DEMO).expect("the demo's file");
    let uuid = |value: &Value| value.as_str().and_then(|text| text.parse::<Uuid>().ok());
    for user in file["users"].as_array().expect("people") {
        let who = uuid(&user["id"]).expect("an id");
        tenant.hire(who, user["displayName"].as_str().expect("a name"));
        let hired = tenant.users.get_mut(&who).expect("somebody");
        hired.is_enabled = user["isEnabled"] == true;
        hired.manager = uuid(&user["managerId"]);
        hired.user_principal_name = user["userPrincipalName"].as_str().expect("a name").to_owned();
        for name in user["directoryRoles"].as_array().into_iter().flatten() {
            give(tenant, role(name).expect("a role"), who);
        }
    }
    for group in file["groups"].as_array().expect("groups") {
        let members: Vec<_> = group["memberIds"].as_array().expect("members").iter().filter_map(uuid).collect();
        form(tenant, uuid(&group["id"]).expect("an id"), &members);
    }
}

/// The demo world, handed over to a Graph that has the same people; and a request of alice's that waits for a decision on her risk.
async fn handed_over(world: &mut World) -> (FakeGraph, Value) {
    assert!(world.services().hand_over(DirectorySource::Graph).await.expect("an answer"));
    let graph = follows(world, demo).await;
    synchronizes(world).await;
    is_as(world, &graph).await;
    let request = world.person("alice").asks_for(riskgate::demo::WIKI).await;
    let stage = world.person("sam").request(&request["id"]).await["currentStage"]["id"].clone();
    (graph, stage)
}

/// The decision on a stage.
async fn decision(world: &World, stage: &Value) -> entity::decision::Model {
    let decisions = world.snapshot().await.decisions.into_values().flatten();
    decisions.into_iter().find(|row| *stage == row.stage_id.to_string()).expect("the decision")
}

pub fn takes(tenant: &mut Tenant, from: Uuid) {
    tenant.assignments.retain(|given| given.principal != from);
}

story!(a_decision_by_young_roles_asks_nobody, |world| {
    let (graph, stage) = handed_over(world).await;
    world.clock.advance(Seconds::minutes(5));
    let request = world.person("sam").approves(&stage).await;
    assert_eq!(request["state"], "DELIVERED");
    assert_eq!(graph.count(Call::TransitiveRoles), 0);
    let decision = decision(world, &stage).await;
    assert_eq!(decision.roles_read_at, Some(entity::Timestamp(world.now().0 - 300_000_000)));
    let query = "query($id: ID!) { node(id: $id) { ... on ApprovalStage { proof { roleDataAge } } } }";
    let told = world.person("ada").data(query, json!({ "id": stage })).await;
    assert_eq!(told["node"]["proof"][0]["roleDataAge"], "PT5M");
});

story!(roles_that_are_too_old_are_asked_for, |world| {
    let (graph, stage) = handed_over(world).await;
    world.clock.advance(Seconds(301));
    assert_eq!(world.person("sam").approves(&stage).await["state"], "DELIVERED");
    assert_eq!(graph.count(Call::TransitiveRoles), 1);
    let decision = decision(world, &stage).await;
    assert_eq!(
        (decision.roles_read_at, decision.role),
        (Some(world.now()), Some(DirectoryRole::SecurityAdministrator))
    );
});

story!(roles_that_a_clock_ahead_has_dated_are_asked_for, |world| {
    let (graph, stage) = handed_over(world).await;
    let right = world.now().plus(Seconds(600));
    world.clock.advance(Seconds::hours(9));
    synchronizes(world).await;
    world.clock.set(right);
    let sam = world.person("sam").id.0;
    graph.change(|tenant| takes(tenant, sam));
    assert_eq!(world.person("sam").is_refused(&stage).await, "NOT_AN_APPROVER");
    assert_eq!(graph.count(Call::TransitiveRoles), 1);
    synchronizes(world).await;
    is_as(world, &graph).await;
    assert_eq!(world.services().directory_read_at().await.expect("an answer"), Some(right));
});

story!(whoever_lost_the_role_meanwhile_decides_nothing, |world| {
    let (graph, stage) = handed_over(world).await;
    let sam = world.person("sam").id.0;
    graph.change(|tenant| takes(tenant, sam));
    world.clock.advance(Seconds(301));
    assert_eq!(world.person("sam").is_refused(&stage).await, "NOT_AN_APPROVER", "the set is those who hold the role");
    // Another of the roles that may decide does not put him into the set.
    graph.change(|tenant| give(tenant, DirectoryRole::SecurityReader, sam));
    assert_eq!(world.person("sam").is_refused(&stage).await, "NOT_AN_APPROVER");
    // Through a group it does, although the copy knows nothing of that.
    graph.change(|tenant| {
        form(tenant, id(0x101), &[sam]);
        give(tenant, DirectoryRole::SecurityAdministrator, id(0x101));
    });
    graph.plan(Call::TransitiveRoles, [Some(Fault::StaleRoles)]);
    assert_eq!(
        world.person("sam").is_refused(&stage).await,
        "NOT_AN_APPROVER",
        "Graph does not know it everywhere yet"
    );
    assert_eq!(world.person("sam").approves(&stage).await["state"], "DELIVERED");
});

story!(an_account_that_may_not_be_used_meanwhile_decides_nothing, |world| {
    let (graph, stage) = handed_over(world).await;
    let sam = world.person("sam").id.0;
    graph.change(|tenant| tenant.users.get_mut(&sam).expect("sam").is_enabled = false);
    world.clock.advance(Seconds(301));
    assert_eq!(world.person("sam").is_refused(&stage).await, "NOT_AN_APPROVER");
    graph.change(|tenant| drop(tenant.users.remove(&sam)));
    assert_eq!(world.person("sam").is_refused(&stage).await, "NOT_AN_APPROVER");
});

story!(without_an_answer_nothing_is_decided_and_nothing_is_lost, |world| {
    let (graph, stage) = handed_over(world).await;
    world.clock.advance(Seconds(301));
    let before = version(world).await;
    let decide = "mutation($stage: ID!) { decideApprovalStage(input: { stageId: $stage, decision: APPROVE, justification: \"Known.\" }) \
        { stage { id } userErrors { code } } }";
    for fault in
        [Fault::Unavailable(1), Fault::Throttled, Fault::Cut, Fault::Html(404), Fault::Html(200), Fault::Broken]
    {
        graph.always(Call::TransitiveRoles, Some(fault));
        let answer = world.person("sam").ask(decide, json!({ "stage": stage })).await;
        assert_eq!(answer.code(), "UNAVAILABLE", "{fault:?}: {:#}", answer.body);
    }
    assert_eq!(version(world).await, before, "nothing is written");
    // A stage of the policy needs no role, so nobody is asked.
    let asked = graph.count(Call::TransitiveRoles);
    let request = world.person("bob").asks_for(riskgate::demo::PRODUCTION_ACCESS).await;
    assert_eq!(world.person("pat").approves(&request["stages"][0]["id"]).await["state"], "DELIVERED");
    assert_eq!(graph.count(Call::TransitiveRoles), asked);
    graph.recover();
    assert_eq!(world.person("sam").approves(&stage).await["state"], "DELIVERED");
});

/// A request for the finance data, of which all but the last approval is given: sam's of the risk, and mona's.
async fn one_approval_left(world: &World) -> Value {
    let request = world.person("alice").asks_for(riskgate::demo::FINANCE_DATA).await;
    for name in ["sam", "mona"] {
        world.person(name).approves(&current(world, &request).await["id"]).await;
    }
    request
}

/// The stage whose turn it is.
async fn current(world: &World, request: &Value) -> Value {
    world.person("sofia").request(&request["id"]).await["currentStage"].clone()
}

story!(before_delivery_who_approved_is_proved_by_roles_that_are_young, |world| {
    let (graph, _) = handed_over(world).await;
    let request = one_approval_left(world).await;
    let last = current(world, &request).await;
    // The copy is too old, and still says that sam holds the role.
    let sam = world.person("sam").id.0;
    graph.change(|tenant| takes(tenant, sam));
    world.clock.advance(Seconds(301));
    graph.always(Call::TransitiveRoles, Some(Fault::Cut));
    let decide = "mutation($stage: ID!) { decideApprovalStage(input: { stageId: $stage, decision: APPROVE, justification: \"Known.\" }) \
        { userErrors { code } } }";
    let answer = world.person("pat").ask(decide, json!({ "stage": last["id"] })).await;
    assert_eq!(answer.code(), "UNAVAILABLE", "{:#}", answer.body);
    assert_eq!(current(world, &request).await, last, "nothing is lost");
    graph.recover();
    assert_eq!(world.person("pat").approves(&last["id"]).await["state"], "PENDING_APPROVAL");
    let again = current(world, &request).await;
    assert_eq!(again["kind"], "ID_PROTECTION_RISK", "sam's approval counts no more");
    assert_eq!(world.person("sofia").approves(&again["id"]).await["state"], "DELIVERED");

    // Whoever denies, or decides what is not the last, proves nothing.
    let request = world.person("alice").asks_for(riskgate::demo::PRODUCTION_ACCESS).await;
    world.person("sofia").approves(&current(world, &request).await["id"]).await;
    let asked = graph.count(Call::TransitiveRoles);
    world.person("pat").denies(&current(world, &request).await["id"]).await;
    assert_eq!(graph.count(Call::TransitiveRoles), asked);
});

story!(a_copy_that_does_not_know_a_role_yet_makes_no_approval_void, |world| {
    // Sam is named, and holds his role only since the copy was made.
    world.controls(json!({ "approvers": [{ "userId": world.person("sam").user_id() }] })).await;
    let sam = world.person("sam").id.0;
    let (graph, _) = handed_over(world).await;
    graph.change(|tenant| takes(tenant, sam));
    synchronizes(world).await;
    graph.change(|tenant| give(tenant, DirectoryRole::SecurityReader, sam));
    world.clock.advance(Seconds(301));
    let request = one_approval_left(world).await;
    assert_eq!(world.person("pat").approves(&current(world, &request).await["id"]).await["state"], "DELIVERED");
});

story!(whoever_held_the_role_through_a_group_that_is_gone_has_approved_nothing, |world| {
    let (graph, _) = handed_over(world).await;
    let (sam, group) = (world.person("sam").id.0, id(0x777));
    graph.change(|tenant| {
        takes(tenant, sam);
        form(tenant, group, &[sam]);
        give(tenant, DirectoryRole::SecurityAdministrator, group);
    });
    synchronizes(world).await;
    let request = one_approval_left(world).await;
    let risk = world.person("sofia").request(&request["id"]).await["stages"][0]["id"].clone();
    assert_eq!(decision(world, &risk).await.role_group_id, Some(entity::GroupId(group)));
    graph.change(|tenant| drop(tenant.groups.remove(&group)));
    synchronizes(world).await;
    assert_eq!(world.person("pat").approves(&current(world, &request).await["id"]).await["state"], "PENDING_APPROVAL");
    let query = "query($id: ID!) { node(id: $id) { ... on RiskApprovalStage { replaces { id } } } }";
    let again = current(world, &request).await["id"].clone();
    assert_eq!(world.person("sofia").data(query, json!({ "id": again })).await["node"]["replaces"]["id"], risk);
    assert_eq!(world.person("sofia").approves(&again).await["state"], "DELIVERED");
});

story!(files_and_graph_exclude_each_other, |world| {
    // What came from a file is not followed, whatever the configuration says, until it is handed over.
    let graph = FakeGraph::start(&world.clock).await;
    graph.change(demo);
    let refused = world.cannot_follow(followed(&graph)).await;
    assert!(refused.contains("riskgate directory source graph"), "{refused}");
    assert!(world.services().hand_over(DirectorySource::Graph).await.expect("an answer"));
    assert!(
        !world.services().hand_over(DirectorySource::Graph).await.expect("an answer"),
        "it comes from there already"
    );
    let picture: Picture = serde_json::from_str(DEMO).expect("the demo's file");
    match world.services().import(&picture, ImportOptions::default()).await {
        Err(ImportError::Refused(why)) => assert!(why.contains("riskgate directory source file"), "{why}"),
        other => panic!("{other:?}"),
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("people.json");
    std::fs::write(&file, DEMO).expect("a file");
    let said = refusal(&["directory", "import", &file.display().to_string(), "--database-url", &world.database.url]);
    assert!(said.contains("riskgate directory source file"), "{said}");
    world.connects(followed(&graph)).await;
    synchronizes(world).await;
    is_as(world, &graph).await;
    let kinds: Vec<_> = world.snapshot().await.events.into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "DIRECTORY_HANDED_OVER").count(), 1);

    // Back again: who follows gets nothing in any more, and a server that does not follow starts only now.
    let refused = world.cannot_stop_following().await;
    assert!(refused.contains("riskgate directory source file"), "{refused}");
    assert!(world.services().hand_over(DirectorySource::File).await.expect("an answer"));
    assert_eq!(world.services().synchronize().await, Err(SyncError::FromFiles));
    world.services().import(&picture, ImportOptions::default()).await.expect("a file is loaded again");
});

story!(the_first_page_makes_the_directory_graphs, empty(), |world| {
    let graph = follows(world, demo).await;
    synchronizes(world).await;
    is_as(world, &graph).await;
    let picture: Picture = serde_json::from_str(DEMO).expect("the demo's file");
    let refused = world.services().import(&picture, ImportOptions::default()).await;
    assert!(matches!(refused, Err(ImportError::Refused(_))), "{refused:?}");
});

/// One file has one server, so this is told on PostgreSQL only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn of_two_instances_one_reads_and_the_other_takes_over() {
    let mut world = World::start(Kind::Postgres, empty()).await;
    let graph = follows(&mut world, demo).await;
    graph.pages(4);
    synchronizes(&world).await;
    let services = |app: &App| app.services.clone();
    let second = world.another_instance().await;
    graph.change(|tenant| tenant.hire(id(0xa1), "Ada the second"));
    assert_eq!(services(&second).synchronize().await, Err(SyncError::Overtaken));
    assert_eq!(services(world.app()).synchronize().await, Ok(1));
    let ada = Principal::Person(entity::UserId(id(0xa1)));
    let seen = services(&second).actor(&ada).await.expect("an answer");
    assert!(seen.is_some(), "what one has read the other sees");
    // The one that reads is gone without a word; once its lease has ended the other goes on.
    graph.change(|tenant| tenant.hire(id(0xa2), "Ada the third"));
    world.clock.advance(Seconds::minutes(2));
    assert_eq!(services(&second).synchronize().await, Ok(1));
    is_as(&world, &graph).await;
    assert_eq!(services(world.app()).synchronize().await, Err(SyncError::Overtaken));
    second.stop().await;
    assert_eq!(services(world.app()).synchronize().await, Ok(0), "who ends in peace lets go");
    world.end().await;
}
