//! What risk makes of a request: which stages come first, what every reading says, and when nothing has to be approved at all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use entity::{RiskLevel, Seconds, UserId};
use riskgate::demo::{FINANCE_DATA, PRODUCTION_ACCESS, WIKI};
use riskgate::service::Sources;
use riskgate::service::risk::{ObservedFuture, RiskReader};
use serde_json::{Value, json};

use crate::story;
use crate::support::{Options, Person, World, observed};

/// The kinds of the stages of a request, in order.
fn kinds(seen: &Value) -> Vec<&str> {
    seen["stages"].as_array().expect("stages").iter().map(|stage| stage["kind"].as_str().expect("a kind")).collect()
}

/// Each reading of a request: the level, and whether it asked for a stage.
fn readings(seen: &Value) -> Vec<(&str, bool)> {
    let all = seen["riskEvaluations"].as_array().expect("readings").iter();
    all.map(|r| (r["level"].as_str().expect("a level"), r["isStageRequired"] == true)).collect()
}

/// The reading that put a stage there.
async fn evaluation(world: &World, stage: &Value) -> Value {
    let query =
        "query($id: ID!) { node(id: $id) { ... on RiskApprovalStage { evaluation { level subject { id } reason } } } }";
    world.person("glen").data(query, json!({ "id": stage["id"] })).await["node"]["evaluation"].clone()
}

story!(risk_stages_stand_first_id_protection_before_insider_risk, |world| {
    const OWN: [&str; 2] = ["POLICY", "POLICY"];
    for (name, risk, read) in [
        ("alice", &["ID_PROTECTION_RISK"][..], [("HIGH", true), ("NONE", false)]),
        ("mallory", &["ID_PROTECTION_RISK", "INSIDER_RISK"], [("MEDIUM", true), ("ELEVATED", true)]),
        ("erin", &["INSIDER_RISK"], [("NONE", false), ("ELEVATED", true)]),
        ("carol", &[], [("LOW", false), ("NONE", false)]),
        ("bob", &[], [("NONE", false), ("NONE", false)]),
    ] {
        let request = world.person(name).asks_for(FINANCE_DATA).await;
        let seen = world.whole(&request).await;
        assert_eq!(kinds(&seen), [risk, &OWN].concat(), "{name}");
        assert_eq!(readings(&seen), read, "{name}");
        assert_eq!(kinds(&request), OWN, "{name} is shown the policy's own");
        for (at, stage) in seen["stages"].as_array().expect("stages").iter().enumerate() {
            let status = if at == 0 { "PENDING" } else { "WAITING" };
            assert_eq!((&stage["status"], &stage["position"]), (&json!(status), &json!(at + 1)), "{name}");
            assert_eq!(stage["dueAt"].is_null(), at > 0, "{name}: the clock of a stage starts with its turn");
        }
        let evaluated = world.told(&request).await.iter().filter(|kind| *kind == "RISK_EVALUATED").count();
        assert_eq!(evaluated, 2, "{name}: an evaluation is an event, below the threshold too");
    }
});

story!(every_reading_says_why, |world| {
    let request = world.person("mallory").asks_for(WIKI).await;
    let seen = world.whole(&request).await;
    let reasons: Vec<_> =
        seen["riskEvaluations"].as_array().expect("readings").iter().map(|r| r["reason"].clone()).collect();
    assert_eq!(
        reasons,
        [
            "The ID Protection level MEDIUM is one of the selected ones (MEDIUM, HIGH).",
            "The insider risk level ELEVATED is one of the selected ones (ELEVATED)."
        ]
    );
    let request = world.person("carol").asks_for(WIKI).await;
    let seen = world.whole(&request).await;
    let reason = &seen["riskEvaluations"][0]["reason"];
    assert_eq!(reason, "The ID Protection level LOW is not one of the selected ones (MEDIUM, HIGH).");
});

story!(of_two_people_either_one_s_risk_counts_and_the_worse_is_shown, |world| {
    let (mona, bob) = (world.person("mona"), world.person("bob"));
    let on_behalf = json!({ "accessPackageId": WIKI.to_string(), "targetId": bob.user_id() });
    for (risk_of_mona, risk_of_bob, required, worse) in [
        ("HIGH", "NONE", [true, false], ("HIGH", &mona)),
        ("LOW", "MEDIUM", [false, true], ("MEDIUM", &bob)),
        ("MEDIUM", "HIGH", [true, true], ("HIGH", &bob)),
        ("HIGH", "HIGH", [true, true], ("HIGH", &mona)),
    ] {
        world.risk("mona", risk_of_mona).await;
        world.risk("bob", risk_of_bob).await;
        let request = mona.submits(on_behalf.clone()).await["request"].clone();
        let seen = world.whole(&request).await;
        assert_eq!(kinds(&seen), ["ID_PROTECTION_RISK"], "one stage for a source, however many people");
        let found: Vec<_> = readings(&seen).into_iter().take(2).map(|(_, is_required)| is_required).collect();
        assert_eq!(found, required);
        let shown = evaluation(world, &seen["stages"][0]).await;
        assert_eq!((&shown["level"], &shown["subject"]["id"]), (&json!(worse.0), &json!(worse.1.user_id())));
        mona.cancels(&request["id"]).await.data();
    }
});

story!(only_risk_that_is_there_now_asks_for_a_stage, |world| {
    let (otto, alice, bob) = (world.person("otto"), world.person("alice"), world.person("bob"));
    let act = async |action: &str, whose: &str| {
        let query = format!(
            "mutation($ids: [ID!]!) {{ {action}(input: {{ userIds: $ids }}) {{ users {{ idProtectionRisk {{ level state }} }} userErrors {{ code }} }} }}"
        );
        otto.data(&query, json!({ "ids": [whose] })).await[action]["users"][0]["idProtectionRisk"].clone()
    };
    let way = async |person: &Person| {
        let request = person.asks_for(WIKI).await;
        let kinds: Vec<String> = kinds(&world.whole(&request).await).into_iter().map(str::to_owned).collect();
        person.cancels(&request["id"]).await;
        kinds
    };
    assert_eq!(way(&alice).await, ["ID_PROTECTION_RISK"]);
    assert_eq!(
        act("confirmUserCompromised", &bob.user_id()).await,
        json!({ "level": "HIGH", "state": "CONFIRMED_COMPROMISED" })
    );
    assert_eq!(way(&bob).await, ["ID_PROTECTION_RISK"]);
    assert_eq!(act("confirmUserSafe", &bob.user_id()).await, json!({ "level": "NONE", "state": "CONFIRMED_SAFE" }));
    assert_eq!(way(&bob).await, Vec::<String>::new());
    assert_eq!(act("dismissUserRisk", &alice.user_id()).await, json!({ "level": "NONE", "state": "DISMISSED" }));
    assert_eq!(way(&alice).await, Vec::<String>::new());
});

story!(what_needs_no_approval_is_approved_by_itself_and_the_log_says_why, |world| {
    let request = world.person("bob").asks_for(WIKI).await;
    assert_eq!((&request["state"], &request["outcome"]), (&json!("DELIVERED"), &json!("DELIVERED")));
    assert_eq!(request["assignment"]["state"], "DELIVERED");
    let snapshot = world.snapshot().await;
    let told = snapshot.told_of(&request);
    let kinds: Vec<_> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "REQUEST_SUBMITTED",
            "RISK_EVALUATED",
            "RISK_EVALUATED",
            "REQUEST_AUTO_APPROVED",
            "ASSIGNMENT_DELIVERED",
            "REQUEST_DELIVERED"
        ]
    );
    assert_eq!(
        told[3].1["Reason"],
        json!([
            "No ID Protection level read is one of the selected ones (MEDIUM, HIGH).",
            "No insider risk level read is one of the selected ones (ELEVATED).",
            "The policy requires no approval of its own."
        ])
    );
    let of_bob: Vec<_> = snapshot.events[snapshot.events.len() - 6..].iter().collect();
    assert!(of_bob.iter().all(|event| event.commit_id == of_bob[0].commit_id), "in one commit");
    assert_eq!(of_bob[0].actor_kind, entity::ActorKind::Person);
    assert!(of_bob[1..].iter().all(|event| event.actor_kind == entity::ActorKind::System));
});

story!(after_the_risk_stage_what_needs_no_more_is_delivered_in_the_same_commit, |world| {
    let request = world.person("alice").asks_for(WIKI).await;
    assert_eq!((&request["state"], &request["stages"]), (&json!("PENDING_APPROVAL"), &json!([])));
    let stage = world.whole(&request).await["currentStage"]["id"].clone();
    let approved = world.person("sofia").approves(&stage).await;
    assert_eq!((&approved["state"], &approved["assignment"]["endsAt"]), (&json!("DELIVERED"), &Value::Null));
    let snapshot = world.snapshot().await;
    let last: Vec<_> = snapshot.events.iter().rev().take(4).rev().collect();
    assert_eq!(
        last.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(),
        ["STAGE_APPROVED", "REQUEST_APPROVED", "ASSIGNMENT_DELIVERED", "REQUEST_DELIVERED"]
    );
    assert!(last.iter().all(|event| event.commit_id == last[0].commit_id));
});

/// How often each person's risk was read, from either source.
static READS: Mutex<Option<HashMap<UserId, usize>>> = Mutex::new(None);
/// The count is everybody's: whoever counts is alone.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A source that counts whom it is asked about, and answers what it is told to.
struct Counting(Result<RiskLevel, &'static str>);

impl RiskReader for Counting {
    fn read(&self, user: UserId) -> ObservedFuture<'_> {
        let mut reads = READS.lock().unwrap_or_else(PoisonError::into_inner);
        *reads.get_or_insert_default().entry(user).or_default() += 1;
        Box::pin(std::future::ready(self.0.map(observed).map_err(str::to_owned)))
    }
}

/// The reads since the last time, by person.
fn reads() -> HashMap<UserId, usize> {
    READS.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
}

fn calm_and_broken() -> Sources {
    Sources { id_protection: Arc::new(Counting(Ok(RiskLevel::None))), insider: Arc::new(Counting(Err("out of order"))) }
}

story!(
    what_cannot_be_read_is_a_stage_and_what_is_refused_reads_nothing,
    Options { sources: Some(calm_and_broken()), ..Options::default() },
    |world| {
        let _alone = ALONE.lock().await;
        let (bob, mona, cora) = (world.person("bob"), world.person("mona"), world.person("cora"));
        // Otherwise nobody could approve: their own risk cannot be read either.
        world.insider_controls(json!({ "refuseRiskyApprovers": false })).await;
        reads();
        let request = bob.asks_for(WIKI).await;
        assert_eq!(reads(), HashMap::from([(bob.id, 2)]), "each source once");
        let seen = world.whole(&request).await;
        assert_eq!(kinds(&seen), ["INSIDER_RISK"], "the source that answered asks for none");
        assert_eq!(readings(&seen), [("NONE", false), ("UNDETERMINED", true)]);
        assert_eq!(
            evaluation(world, &seen["stages"][0]).await["reason"],
            "The insider risk level could not be read in time, which counts as one of the selected ones (ELEVATED)."
        );
        let stage = &seen["stages"][0]["id"];
        assert_eq!(cora.approves(stage).await["state"], "DELIVERED", "a stage, never a lost request");
        assert_eq!(reads(), HashMap::from([(bob.id, 2)]), "each source once more before delivery, and nothing higher");

        let preview = "query($input: SubmitAccessRequestInput!) { previewAccessRequest(input: $input) { stages { kind }
            riskEvaluations { level } userErrors { code } } }";
        let ask = async |person: &Person, input: Value| {
            person.data(preview, json!({ "input": input })).await["previewAccessRequest"].clone()
        };
        let finance = json!({ "accessPackageId": FINANCE_DATA.to_string(), "targetId": bob.user_id() });
        let planned = ask(&mona, finance.clone()).await;
        assert_eq!(planned["stages"].as_array().map(Vec::len), Some(2), "she is not shown the risk stage");
        assert_eq!(reads(), HashMap::from([(mona.id, 2), (bob.id, 2)]));

        let (wiki, production) = (WIKI.to_string(), PRODUCTION_ACCESS.to_string());
        world.policy(&json!(FINANCE_DATA.to_string()), json!({ "allowManagersOnBehalf": true })).await;
        for (code, person, input) in [
            ("NOT_FOUND", &bob, json!({ "accessPackageId": "pkg_nonsense" })),
            ("INVALID", &bob, json!({ "accessPackageId": production, "justification": "\u{7}" })),
            ("NOT_ELIGIBLE", &mona, json!({ "accessPackageId": production, "targetId": bob.user_id() })),
            ("AMBIGUOUS_POLICY", &mona, finance),
            ("JUSTIFICATION_REQUIRED", &bob, json!({ "accessPackageId": production })),
            ("ALREADY_ASSIGNED", &bob, json!({ "accessPackageId": wiki })),
        ] {
            let refused = ask(person, input).await;
            assert_eq!(
                refused,
                json!({ "stages": [], "riskEvaluations": null, "userErrors": [{ "code": code }] }),
                "{code}"
            );
            assert_eq!(reads(), HashMap::new(), "{code}: refused, so no source is read");
        }

        world.controls(json!({ "isEnabled": false })).await;
        let request = mona.asks_for(WIKI).await;
        assert_eq!(reads(), HashMap::from([(mona.id, 1)]), "a control that is off reads nothing");
        assert_eq!(readings(&world.whole(&request).await), [("UNDETERMINED", true)]);
    }
);

story!(insider_risk_counts_until_its_end_and_not_at_it, |world| {
    let (cora, bob) = (world.person("cora"), world.person("bob"));
    let query = "mutation($u: ID!) { reportInsiderRisk(input: { userId: $u, level: ELEVATED, expiresAt: \"2026-03-02T10:00:00Z\" }) {
        userErrors { code } } }";
    cora.data(query, json!({ "u": bob.user_id() })).await;
    world.clock.advance(Seconds(3_599));
    let request = bob.asks_for(WIKI).await;
    assert_eq!(kinds(&world.whole(&request).await), ["INSIDER_RISK"], "a second is left");
    world.clock.advance(Seconds(1));
    assert_eq!(kinds(&world.whole(&request).await), ["INSIDER_RISK"], "a fall removes no stage by itself");
    bob.cancels(&request["id"]).await.data();
    assert_eq!(bob.asks_for(WIKI).await["state"], "DELIVERED");
});
