//! Deciding a stage: who is refused what and in which order, what a decision makes of the request, and what the log keeps of it.

use entity::{ActorKind, ApproverTier, DirectoryRole, Seconds, SubjectKind, decision};
use futures_util::future::join_all;
use riskgate::demo::{FINANCE_DATA, FINANCE_OWNERS, PRODUCTION_ACCESS, WIKI};
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::story;
use crate::support::{Kind, Person, World};

/// What somebody's approval is refused with: the code, and the field at fault.
async fn refusal(person: &Person, stage: &Value, justification: Option<&str>) -> (String, Value) {
    let payload = person.decides(stage, "APPROVE", justification).await;
    assert_eq!((&payload["stage"], &payload["request"]), (&Value::Null, &Value::Null), "{payload:#}");
    let error = &payload["userErrors"][0];
    (error["code"].as_str().expect("a refusal").to_owned(), error["field"].clone())
}

story!(a_decision_is_refused_by_the_first_thing_that_is_wrong, |world| {
    // Mona is named as an approver, and holds none of the roles.
    let approvers =
        json!([{ "userId": world.person("mona").user_id() }, { "directoryRole": "SECURITY_ADMINISTRATOR" }]);
    world.controls(json!({ "approvers": approvers })).await;
    let request = world.person("alice").asks_for(FINANCE_DATA).await;
    let stages = world.whole(&request).await["stages"].clone();
    let (risk, waiting) = (&stages[0]["id"], &stages[1]["id"]);
    let stage_id = json!(["stageId"]);

    for name in ["alice", "bob", "zoe", "pat", "olga", "otto"] {
        // Otto reads risk, but not other people's requests.
        let refused = refusal(&world.person(name), risk, None).await;
        assert_eq!(refused, ("NOT_FOUND".to_owned(), stage_id.clone()), "{name}");
    }
    for name in ["ada", "glen", "ines", "rhea", "cora"] {
        let refused = refusal(&world.person(name), risk, None).await;
        assert_eq!(refused, ("NOT_AN_APPROVER".to_owned(), stage_id.clone()), "{name} sees it, and is none");
    }
    let (mona, sam, sofia) = (world.person("mona"), world.person("sam"), world.person("sofia"));
    assert_eq!(refusal(&mona, risk, None).await, ("ROLE_REQUIRED".to_owned(), stage_id.clone()));
    for blank in [None, Some(""), Some(" \n\t")] {
        let refused = refusal(&sam, risk, blank).await;
        assert_eq!(refused, ("JUSTIFICATION_REQUIRED".to_owned(), json!(["justification"])), "{blank:?}");
    }
    for odd in ["\u{7}", &"x".repeat(4_001)] {
        assert_eq!(refusal(&sam, risk, Some(odd)).await, ("INVALID".to_owned(), json!(["justification"])));
    }
    for unknown in
        ["stg_ffffffff-0000-7000-8000-000000000000", "stg_nonsense", "", request["id"].as_str().expect("an id")]
    {
        assert_eq!(refusal(&sam, &json!(unknown), None).await.0, "NOT_FOUND", "{unknown}");
    }

    // The next stage is Mona's, as alice's manager; she knows of it, since she sees all of a request whose risk she might decide.
    assert_eq!(refusal(&mona, waiting, None).await.0, "STAGE_NOT_PENDING", "its turn has not come");
    assert_eq!(refusal(&world.person("rhea"), waiting, None).await.0, "NOT_AN_APPROVER");
    assert_eq!(refusal(&world.person("olga"), waiting, None).await.0, "NOT_FOUND");

    sam.approves(risk).await;
    assert_eq!(refusal(&sofia, risk, None).await, ("STAGE_NOT_PENDING".to_owned(), stage_id.clone()));
    assert_eq!(refusal(&sam, risk, Some("Again.")).await.0, "STAGE_NOT_PENDING", "twice is too often");
    assert_eq!(refusal(&mona, risk, Some("Now?")).await.0, "ROLE_REQUIRED");
    assert_eq!(refusal(&world.person("rhea"), risk, None).await.0, "NOT_AN_APPROVER");
    assert_eq!(refusal(&world.person("alice"), risk, None).await.0, "NOT_FOUND");
});

story!(whoever_asks_or_gets_the_access_never_decides_whatever_the_role, |world| {
    world.risk("sam", "HIGH").await;
    let sam = world.person("sam");
    let own = sam.asks_for(WIKI).await;
    assert_eq!(own["currentStage"]["kind"], "ID_PROTECTION_RISK", "he is a risk reader, of his own risk too");
    assert_eq!(refusal(&sam, &own["currentStage"]["id"], Some("Me.")).await.0, "NOT_AN_APPROVER");
    assert_eq!(world.person("sofia").approves(&own["currentStage"]["id"]).await["state"], "DELIVERED");

    // Rhea's manager is sam, who asks on her behalf; both could decide for anybody else.
    world.controls(json!({ "approvers": [{ "directoryRole": "SECURITY_READER" }, { "directoryRole": "SECURITY_ADMINISTRATOR" }] })).await;
    world.changes("rhea", "managerId", json!(sam.id.0)).await;
    let rhea = world.person("rhea");
    let payload = sam.submits(json!({ "accessPackageId": WIKI.to_string(), "targetId": rhea.user_id() })).await;
    assert_eq!(payload["userErrors"][0]["code"], Value::Null, "{payload:#}");
    let stage = &payload["request"]["currentStage"]["id"];
    assert_eq!(refusal(&sam, stage, Some("Me.")).await.0, "NOT_AN_APPROVER");
    assert_eq!(refusal(&rhea, stage, Some("Me.")).await.0, "NOT_AN_APPROVER");
    assert_eq!(world.person("sofia").approves(stage).await["state"], "DELIVERED");
});

story!(a_policy_says_whether_its_approvers_must_justify, |world| {
    let request = world.person("bob").asks_for(FINANCE_DATA).await;
    let [first, second] = [0, 1].map(|at| request["stages"][at]["id"].clone());
    let payload = world.person("mona").decides(&first, "APPROVE", None).await;
    assert_eq!((&payload["userErrors"], &payload["stage"]["justification"]), (&json!([]), &Value::Null));
    let pat = world.person("pat");
    for verdict in ["APPROVE", "DENY"] {
        let payload = pat.decides(&second, verdict, Some(" ")).await;
        assert_eq!(payload["userErrors"][0]["code"], "JUSTIFICATION_REQUIRED", "{verdict}");
    }
    let payload = pat.decides(&second, "APPROVE", Some("He closes the month.")).await;
    assert_eq!(payload["stage"]["justification"], "He closes the month.");
    assert_eq!(payload["request"]["state"], "DELIVERED");
});

story!(an_approval_starts_the_clock_of_the_next_stage, |world| {
    let request = world.person("mallory").asks_for(FINANCE_DATA).await;
    let mut seen = world.whole(&request).await;
    for (at, name) in ["sam", "cora", "mona", "pat"].into_iter().enumerate() {
        let stage = seen["stages"][at].clone();
        assert_eq!(seen["currentStage"]["id"], stage["id"]);
        let since = world.now();
        assert_eq!(stage["pendingSince"], since.rfc3339(), "{name}");
        assert_eq!(stage["dueAt"], since.plus(Seconds::days(14)).rfc3339(), "{name}");
        world.clock.advance(Seconds::days(13));
        world.person(name).approves(&stage["id"]).await;
        seen = world.whole(&request).await;
        let decided = &seen["stages"][at];
        assert_eq!((&decided["status"], &decided["dueAt"]), (&json!("APPROVED"), &Value::Null));
        assert_eq!(decided["decidedBy"]["id"], world.person(name).user_id());
    }
    assert_eq!((&seen["state"], &seen["currentStage"]), (&json!("DELIVERED"), &Value::Null));
    assert_eq!(seen["completedAt"], world.now().rfc3339());
});

story!(a_denial_cancels_what_is_left_and_frees_the_slot, |world| {
    let mallory = world.person("mallory");
    let request = mallory.asks_for(FINANCE_DATA).await;
    let stages = world.whole(&request).await["stages"].clone();
    world.person("sam").approves(&stages[0]["id"]).await;
    let denied = world.person("cora").denies(&stages[1]["id"]).await;
    assert_eq!((&denied["state"], &denied["outcome"]), (&json!("DENIED"), &json!("DENIED_BY_RISK_APPROVER")));
    let seen = world.whole(&request).await;
    let status: Vec<_> = seen["stages"].as_array().expect("stages").iter().map(|s| s["status"].clone()).collect();
    assert_eq!(status, ["APPROVED", "DENIED", "CANCELED", "CANCELED"]);
    let told = world.told(&request).await;
    assert_eq!(told[told.len() - 4..], ["STAGE_DENIED", "STAGE_CANCELED", "STAGE_CANCELED", "REQUEST_DENIED"]);
    for (name, stage) in [("mona", &stages[2]), ("pat", &stages[3]), ("sofia", &stages[0])] {
        let code = refusal(&world.person(name), &stage["id"], Some("Late.")).await.0;
        let wanted = if name == "sofia" { "STAGE_NOT_PENDING" } else { "NOT_FOUND" };
        assert_eq!(code, wanted, "{name}: nothing further was routed");
    }
    assert_eq!(mallory.asks_for(FINANCE_DATA).await["state"], "PENDING_APPROVAL");
});

story!(a_decision_is_a_row_of_its_own_and_says_by_which_right, |world| {
    let request = world.person("alice").asks_for(FINANCE_DATA).await;
    let mut decided = Vec::new();
    for name in ["sam", "mona", "pat"] {
        let stage = world.whole(&request).await["currentStage"]["id"].clone();
        world.person(name).approves(&stage).await;
        decided.push((world.person(name).id, stage));
    }
    let connection = world.database.connect().await;
    let mut rows = decision::Entity::find().all(&connection).await.expect("decisions");
    connection.close().await.expect("the connection closes");
    rows.retain(|row| request["id"] == row.request_id.to_string());
    rows.sort_by_key(|row| decided.iter().position(|(who, _)| *who == row.user_id));
    let found: Vec<_> = rows.iter().map(|row| (row.user_id, json!(row.stage_id.to_string()))).collect();
    assert_eq!(found, decided);
    let right = |row: &decision::Model| (row.tier, row.kind, row.subject.clone(), row.role);
    let alice = world.person("alice").id.0.to_string();
    let administrator = DirectoryRole::SecurityAdministrator;
    assert_eq!(
        rows.iter().map(right).collect::<Vec<_>>(),
        [
            (ApproverTier::Primary, SubjectKind::Role, "SECURITY_ADMINISTRATOR".to_owned(), Some(administrator)),
            (ApproverTier::Primary, SubjectKind::Manager1, alice, None),
            (ApproverTier::Primary, SubjectKind::Group, FINANCE_OWNERS.0.to_string(), None),
        ]
    );
    let snapshot = world.snapshot().await;
    let approvals = snapshot.events.iter().filter(|event| event.kind == "STAGE_APPROVED").rev().take(3);
    for event in approvals {
        assert_eq!(event.actor_kind, ActorKind::Person);
        assert!(decided.iter().any(|(who, _)| event.actor_id == Some(who.0.to_string())));
    }
});

story!(at_the_deadline_it_is_over_before_the_clockwork_has_run, |world| {
    let mona = world.person("mona");
    let request = world.person("bob").asks_for(FINANCE_DATA).await;
    let stage = &request["stages"][0]["id"];
    let waits = "{ viewer { pendingApprovals { totalCount } } }";
    world.clock.advance(Seconds(14 * 86_400 - 1));
    assert_eq!(mona.data(waits, Value::Null).await["viewer"]["pendingApprovals"]["totalCount"], 1);
    world.clock.advance(Seconds(1));
    assert_eq!(mona.data(waits, Value::Null).await["viewer"]["pendingApprovals"]["totalCount"], 0);
    assert_eq!(mona.request(&request["id"]).await["stages"][0]["isAssignedToViewer"], false);
    assert_eq!(refusal(&mona, stage, Some("Late.")).await.0, "STAGE_NOT_PENDING");
    world.run_due().await;
    let seen = mona.request(&request["id"]).await;
    assert_eq!((&seen["state"], &seen["outcome"]), (&json!("DENIED"), &json!("APPROVAL_TIMED_OUT")));
    let told = world.told(&request).await;
    assert_eq!(told[told.len() - 3..], ["STAGE_TIMED_OUT", "STAGE_CANCELED", "REQUEST_TIMED_OUT"]);
    assert_eq!(world.run_due().await, 0, "once");
});

story!(after_a_long_rest_the_deadline_goes_before_the_escalation, |world| {
    let late = world.person("bob").asks_for(PRODUCTION_ACCESS).await;
    world.clock.advance(Seconds::days(11));
    let early = world.person("carol").asks_for(PRODUCTION_ACCESS).await;
    world.stop().await;
    world.clock.advance(Seconds::days(3));
    world.restart().await;
    let second = if world.database.kind == Kind::Postgres { Some(world.another_instance().await) } else { None };
    let services = second.as_ref().map_or_else(|| world.services().clone(), |second| second.services.clone());
    let (one, other) = tokio::join!(world.services().run_due(), services.run_due());
    one.expect("the clockwork runs");
    other.expect("the clockwork runs");
    let count = |told: &[String], kind: &str| told.iter().filter(|told| *told == kind).count();
    let told = world.told(&late).await;
    assert_eq!((count(&told, "STAGE_ESCALATED"), count(&told, "STAGE_TIMED_OUT")), (0, 1), "{told:?}");
    let told = world.told(&early).await;
    assert_eq!((count(&told, "STAGE_ESCALATED"), count(&told, "STAGE_TIMED_OUT")), (1, 0), "{told:?}");
    assert_eq!(world.person("mona").approves(&early["stages"][0]["id"]).await["state"], "DELIVERED");
    if let Some(second) = second {
        second.stop().await;
    }
});

story!(fifty_decisions_in_one_call_are_made_in_their_order, |world| {
    let decide =
        "mutation($input: [DecideApprovalStageInput!]!) { decideApprovalStages(input: $input) { stage { id status }
        request { id state } userErrors { code field } } }";
    let mut stages = Vec::new();
    for person in world.risky_crowd(49).await {
        let request = person.asks_for(WIKI).await;
        stages.push(world.whole(&request).await["currentStage"]["id"].clone());
    }
    let item = |at: usize| {
        let verdict = if at.is_multiple_of(2) { "APPROVE" } else { "DENY" };
        json!({ "stageId": stages[at % 49], "decision": verdict, "justification": "Seen." })
    };
    let input: Vec<_> = (0..50).map(item).collect();
    let sam = world.person("sam");
    let results = sam.data(decide, json!({ "input": input })).await["decideApprovalStages"].clone();
    for (at, result) in results.as_array().expect("results").iter().enumerate().take(49) {
        let state = if at % 2 == 0 { "DELIVERED" } else { "DENIED" };
        assert_eq!((&result["stage"]["id"], &result["request"]["state"]), (&stages[at], &json!(state)), "{at}");
    }
    assert_eq!(results[49]["userErrors"], json!([{ "code": "STAGE_NOT_PENDING", "field": ["49", "stageId"] }]));
    let none = sam.data(decide, json!({ "input": [] })).await;
    assert_eq!(none["decideApprovalStages"], json!([]));
});

/// What came of three who wanted something of one stage at the same time; an empty code is a yes.
#[derive(Debug)]
struct Race {
    decided: String,
    canceled: String,
    state: String,
}

/// Lets so many calls' time go by.
async fn dawdles(person: &Person, calls: usize) {
    for _ in 0..calls {
        person.data("{ viewer { user { id } } }", Value::Null).await;
    }
}

/// Each of a crowd asks for what only a risk approver must approve; then the given things happen to all of it at once. On PostgreSQL who
/// decides does so at another instance.
async fn races(world: &World, decides: bool, cancels: bool, falls_due: bool) -> Vec<Race> {
    let crowd = world.risky_crowd(12).await;
    let second = if world.database.kind == Kind::Postgres { Some(world.another_instance().await) } else { None };
    let address = second.as_ref().map_or(world.app().address, |second| second.address);
    let sam = world.person_at(address, "sam");
    let mut requests = Vec::new();
    for person in &crowd {
        let request = person.asks_for(WIKI).await;
        let stage = world.whole(&request).await["currentStage"]["id"].clone();
        requests.push((person, request, stage));
    }
    world.clock.advance(Seconds(14 * 86_400 - 1));
    let sofia = world.person("sofia");
    let deadline = async {
        if falls_due {
            dawdles(&sofia, if decides { 8 } else { 0 }).await;
            world.pass(Seconds(1)).await;
        }
    };
    let sam = &sam;
    let answers = join_all(requests.iter().enumerate().map(async |(at, (person, request, stage))| {
        let decided = async move {
            if !decides {
                return "-".to_owned();
            }
            dawdles(sam, 4 * (at % 4)).await;
            sam.is_refused(stage).await
        };
        let canceled = async move {
            if !cancels {
                return "-".to_owned();
            }
            dawdles(person, 8 * (at / 4)).await;
            let answer = person.cancels(&request["id"]).await.data();
            answer["cancelAccessRequest"]["userErrors"][0]["code"].as_str().unwrap_or_default().to_owned()
        };
        tokio::join!(decided, canceled)
    }));
    let (answers, ()) = tokio::join!(answers, deadline);
    world.run_due().await;
    let mut found = Vec::new();
    for ((decided, canceled), (_, request, _)) in answers.into_iter().zip(&requests) {
        let state = world.whole(request).await["state"].as_str().expect("a state").to_owned();
        found.push(Race { decided, canceled, state });
    }
    if let Some(second) = second {
        second.stop().await;
    }
    found
}

story!(a_decision_and_a_cancellation_never_both_hold, |world| {
    for race in races(world, true, true, false).await {
        let Race { decided, canceled, state } = &race;
        match (decided.as_str(), canceled.as_str()) {
            ("", "INVALID_STATE") => assert_eq!(state, "DELIVERED"),
            ("STAGE_NOT_PENDING", "") => assert_eq!(state, "CANCELED"),
            _ => panic!("{race:?}"),
        }
    }
});

story!(a_decision_and_the_deadline_never_both_hold, |world| {
    for race in races(world, true, false, true).await {
        match race.decided.as_str() {
            "" => assert_eq!(race.state, "DELIVERED"),
            "STAGE_NOT_PENDING" => assert_eq!(race.state, "DENIED"),
            _ => panic!("{race:?}"),
        }
    }
});

story!(a_cancellation_and_the_deadline_never_both_hold, |world| {
    for race in races(world, false, true, true).await {
        match race.canceled.as_str() {
            "" => assert_eq!(race.state, "CANCELED"),
            "INVALID_STATE" => assert_eq!(race.state, "DENIED"),
            _ => panic!("{race:?}"),
        }
    }
});

story!(of_decision_cancellation_and_deadline_one_holds, |world| {
    for race in races(world, true, true, true).await {
        let wanted = match (race.decided.as_str(), race.canceled.as_str()) {
            ("", "INVALID_STATE") => "DELIVERED",
            ("STAGE_NOT_PENDING", "") => "CANCELED",
            ("STAGE_NOT_PENDING", "INVALID_STATE") => "DENIED",
            _ => panic!("{race:?}"),
        };
        assert_eq!(race.state, wanted);
    }
});
