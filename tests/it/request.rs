//! Asking for access: refusals and their order, on behalf, previews, sources that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use entity::{Seconds, UserId};
use riskgate::demo::{self, FINANCE_DATA, PRODUCTION_ACCESS, WIKI};
use riskgate::service::Sources;
use riskgate::service::risk::{ObservedFuture, RiskReader};
use serde_json::{Value, json};

use crate::story;
use crate::support::{Options, Person, World};

/// The code and the field of a refused submission.
async fn refused(person: &Person, input: Value) -> (String, Value) {
    let payload = person.submits(input).await;
    assert_eq!(payload["request"], Value::Null, "{payload:#}");
    let error = &payload["userErrors"][0];
    (error["code"].as_str().expect("a code").to_owned(), error["field"].clone())
}

async fn policy(world: &World, input: Value) -> Value {
    let query = "mutation($input: CreateAssignmentPolicyInput!) { createAssignmentPolicy(input: $input) {
        assignmentPolicy { id } userErrors { code field } } }";
    let payload = world.person("ines").data(query, json!({ "input": input })).await["createAssignmentPolicy"].clone();
    assert_eq!(payload["userErrors"], json!([]), "{payload:#}");
    payload["assignmentPolicy"]["id"].clone()
}

async fn package(world: &World, name: &str) -> Value {
    let query = "mutation($c: ID!, $n: String!) { createAccessPackage(input: { catalogId: $c, displayName: $n, isHidden: true }) {
        accessPackage { id } userErrors { code } } }";
    let catalogs = world.person("ines").data("{ catalogs { nodes { id } } }", Value::Null).await;
    let variables = json!({ "c": catalogs["catalogs"]["nodes"][0]["id"], "n": name });
    world.person("ines").data(query, variables).await["createAccessPackage"]["accessPackage"]["id"].clone()
}

story!(refusals_of_a_submission_come_in_their_order, |world| {
    let (alice, bob, mona) = (world.person("alice"), world.person("bob"), world.person("mona"));
    let unknown = "pkg_ffffffff-0000-7000-8000-000000000000";
    for package in [unknown, "pkg_nonsense", "usr_00000000-0000-4000-8000-000000000012", ""] {
        let (code, field) = refused(&alice, json!({ "accessPackageId": package, "justification": "\u{7}" })).await;
        assert_eq!((code.as_str(), field), ("NOT_FOUND", json!(["accessPackageId"])), "{package}");
    }
    let secret = package(world, "Secret").await;
    assert_eq!(refused(&alice, json!({ "accessPackageId": secret })).await.0, "NOT_FOUND", "no policy fits her");

    let wiki = WIKI.to_string();
    let with = |more: Value| {
        let mut input = json!({ "accessPackageId": wiki });
        more.as_object().expect("fields").iter().for_each(|(key, value)| input[key] = value.clone());
        input
    };
    let foreign =
        policy(world, json!({ "accessPackageId": secret, "displayName": "Nobody", "allowedRequestors": [] })).await;
    for (input, code, field) in [
        (with(json!({ "policyId": foreign })), "NOT_FOUND", json!(["policyId"])),
        (
            with(json!({ "targetId": world.person("sam").user_id(), "justification": "\u{7}" })),
            "NOT_FOUND",
            json!(["targetId"]),
        ),
        (with(json!({ "justification": "\u{7}" })), "INVALID", json!(["justification"])),
        (with(json!({ "justification": "x".repeat(4_001) })), "INVALID", json!(["justification"])),
        (with(json!({ "idempotencyKey": "k".repeat(129) })), "INVALID", json!(["idempotencyKey"])),
        (with(json!({ "targetId": mona.user_id() })), "NOT_ELIGIBLE", json!(["targetId"])),
    ] {
        assert_eq!(refused(&alice, input.clone()).await, (code.to_owned(), field), "{input}");
    }
    let production = json!({ "accessPackageId": PRODUCTION_ACCESS.to_string(), "justification": " " });
    assert_eq!(refused(&bob, production.clone()).await.0, "JUSTIFICATION_REQUIRED");
    let behalf = json!({ "accessPackageId": PRODUCTION_ACCESS.to_string(), "targetId": bob.user_id() });
    assert_eq!(refused(&mona, behalf).await.0, "NOT_ELIGIBLE", "this policy does not allow managers on behalf");

    bob.asks_for(WIKI).await;
    assert_eq!(refused(&bob, with(json!({}))).await.0, "ALREADY_ASSIGNED");
    bob.asks_for(FINANCE_DATA).await;
    let again = json!({ "accessPackageId": FINANCE_DATA.to_string() });
    assert_eq!(refused(&bob, again.clone()).await.0, "ALREADY_REQUESTED");
    policy(world, json!({ "accessPackageId": FINANCE_DATA.to_string(), "displayName": "Another" })).await;
    assert_eq!(refused(&bob, again).await, ("AMBIGUOUS_POLICY".to_owned(), json!(["policyId"])));
});

story!(a_manager_asks_for_a_report_and_both_are_judged, |world| {
    let (mona, cora) = (world.person("mona"), world.person("cora"));
    // Erin, who gets the access, has insider risk; Mona, who asks, has none.
    let erin = world.person("erin");
    let payload =
        mona.submits(json!({ "accessPackageId": FINANCE_DATA.to_string(), "targetId": erin.user_id() })).await;
    let request = &payload["request"];
    let seen = cora.request(&request["id"]).await;
    assert_eq!(seen["requestType"], "ON_BEHALF_ADD");
    assert_eq!(seen["currentStage"]["kind"], "INSIDER_RISK");
    let levels: Vec<_> = seen["riskEvaluations"]
        .as_array()
        .expect("readings")
        .iter()
        .map(|r| (&r["source"], &r["level"], &r["subject"]["id"]))
        .collect();
    assert_eq!(levels.len(), 4, "two sources, two people: {levels:?}");
    let after = cora.approves(&seen["currentStage"]["id"]).await;
    // The stage is for the manager of the one who gets the access, and that is who asked: the fallback decides.
    assert_eq!(mona.is_refused(&after["currentStage"]["id"]).await, "NOT_AN_APPROVER");
    let olga = world.person("olga");
    assert_eq!(olga.approves(&after["currentStage"]["id"]).await["state"], "PENDING_APPROVAL");
    assert_eq!(erin.request(&request["id"]).await["target"]["id"], erin.user_id());
});

story!(access_ends_on_time_and_makes_room, |world| {
    let (bob, pat) = (world.person("bob"), world.person("pat"));
    let request = bob.asks_for(PRODUCTION_ACCESS).await;
    let delivered = pat.approves(&request["stages"][0]["id"]).await;
    assert_eq!(delivered["assignment"]["endsAt"], "2026-04-01T09:00:00Z");
    world.pass(Seconds(30 * 86_400 - 1)).await;
    assert_eq!(bob.request(&request["id"]).await["assignment"]["state"], "DELIVERED");
    world.pass(Seconds(1)).await;
    let seen = bob.request(&request["id"]).await;
    assert_eq!((&seen["state"], &seen["assignment"]["state"]), (&json!("DELIVERED"), &json!("EXPIRED")));
    bob.asks_for(PRODUCTION_ACCESS).await;
});

static READS: AtomicUsize = AtomicUsize::new(0);
/// The count is everybody's: whoever counts is alone.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A source that counts who asks, and never answers, or fails.
struct Broken {
    is_silent: bool,
}

impl RiskReader for Broken {
    fn read(&self, _: UserId) -> ObservedFuture<'_> {
        READS.fetch_add(1, Ordering::SeqCst);
        if self.is_silent {
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(Err("out of order".to_owned())))
    }
}

fn broken() -> Sources {
    Sources { id_protection: Arc::new(Broken { is_silent: true }), insider: Arc::new(Broken { is_silent: false }) }
}

story!(
    a_source_that_fails_or_is_silent_asks_for_a_stage_and_loses_no_request,
    Options { sources: Some(broken()), ..Options::default() },
    |world| {
        let _alone = ALONE.lock().await;
        let (bob, sam) = (world.person("bob"), world.person("sam"));
        let request = bob.asks_for(WIKI).await;
        assert_eq!(request["state"], "PENDING_APPROVAL", "without the sources nothing would ask for an approval");
        let seen = sam.request(&request["id"]).await;
        let stages: Vec<_> = seen["stages"].as_array().expect("stages").iter().map(|stage| &stage["kind"]).collect();
        assert_eq!(stages, ["ID_PROTECTION_RISK", "INSIDER_RISK"]);
        for reading in seen["riskEvaluations"].as_array().expect("readings") {
            assert_eq!((&reading["level"], &reading["isStageRequired"]), (&json!("UNDETERMINED"), &json!(true)));
        }
        // A refusal reads no source.
        let before = READS.load(Ordering::SeqCst);
        let preview = "query($p: ID!) { previewAccessRequest(input: { accessPackageId: $p }) { stages { kind } userErrors { code } } }";
        let refused = bob.data(preview, json!({ "p": WIKI.to_string() })).await;
        assert_eq!(
            refused["previewAccessRequest"],
            json!({ "stages": [], "userErrors": [{ "code": "ALREADY_REQUESTED" }] })
        );
        assert_eq!(READS.load(Ordering::SeqCst), before);
    }
);

story!(a_preview_says_what_will_happen_and_changes_nothing, |world| {
    let preview = "query($p: ID!) { previewAccessRequest(input: { accessPackageId: $p, justification: \"x\", idempotencyKey: \"k\" }) {
        stages { position kind reason approvers { __typename } } riskEvaluations { source level isStageRequired reason }
        userErrors { code field } } }";
    for person in demo::people().iter().filter(|person| person.upn != "dan@example.com") {
        let asking = world.person(person.upn.split('@').next().expect("a name"));
        for package in [WIKI, FINANCE_DATA, PRODUCTION_ACCESS] {
            let head = world.services().newest().await.expect("the head");
            let planned =
                asking.data(preview, json!({ "p": package.to_string() })).await["previewAccessRequest"].clone();
            assert_eq!(world.services().newest().await.expect("the head"), head, "a preview is no event");
            let input = json!({ "accessPackageId": package.to_string(), "justification": "x", "idempotencyKey": "k" });
            let mut made = asking.submits(input).await;
            for error in made["userErrors"].as_array_mut().expect("refusals") {
                error.as_object_mut().expect("a refusal").remove("message");
            }
            if planned["userErrors"] != json!([]) || made["userErrors"] != json!([]) {
                // The key was used for the first package; the preview ignores it.
                let is_key = made["userErrors"][0]["field"] == json!(["idempotencyKey"]);
                assert!(is_key || planned["userErrors"] == made["userErrors"], "{planned:#} {made:#}");
                continue;
            }
            let seen = asking.request(&made["request"]["id"]).await;
            let kinds = |stages: &Value| {
                stages
                    .as_array()
                    .expect("stages")
                    .iter()
                    .map(|s| (s["position"].clone(), s["kind"].clone()))
                    .collect::<Vec<_>>()
            };
            assert_eq!(kinds(&planned["stages"]), kinds(&seen["stages"]), "{}", person.upn);
            match (&planned["riskEvaluations"], &seen["riskEvaluations"]) {
                (Value::Array(planned), Value::Array(stored)) => {
                    let levels = |rows: &[Value]| {
                        rows.iter().map(|r| (r["level"].clone(), r["reason"].clone())).collect::<Vec<_>>()
                    };
                    assert_eq!(levels(planned), levels(stored));
                }
                (planned, stored) => assert_eq!((planned, stored), (&Value::Null, &Value::Null)),
            }
        }
    }
});

story!(only_whoever_asked_and_governance_cancel, |world| {
    let (alice, mona, ines, sam) =
        (world.person("alice"), world.person("mona"), world.person("ines"), world.person("sam"));
    let request = alice.asks_for(FINANCE_DATA).await;
    assert_eq!(sam.cancels(&request["id"]).await.code(), "FORBIDDEN", "he sees it");
    let hidden = mona.cancels(&request["id"]).await.data();
    assert_eq!(hidden["cancelAccessRequest"]["userErrors"][0]["code"], "NOT_FOUND", "she does not");
    let canceled = ines.cancels(&request["id"]).await.data()["cancelAccessRequest"].clone();
    assert_eq!(canceled["request"]["outcome"], "CANCELED_BY_ADMINISTRATOR");
    let again = alice.cancels(&request["id"]).await.data();
    assert_eq!(again["cancelAccessRequest"]["userErrors"][0]["code"], "INVALID_STATE");
});
