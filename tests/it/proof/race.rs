//! At the same moment: whatever comes first, nobody approves who is at risk, nothing is delivered on an approval that is void, and a
//! decision names the reading that it was made on.

use riskgate::demo::{FINANCE_DATA, WIKI};
use serde_json::json;

use super::current;
use crate::story;
use crate::support::World;

/// Where the log tells of an event of this kind first that holds `text`.
async fn position(world: &World, kind: &str, text: &str) -> Option<i64> {
    let snapshot = world.snapshot().await;
    let found = snapshot.events.iter().find(|event| event.kind == kind && event.content.contains(text));
    found.map(|event| event.position)
}

/// Whoever is first by turns: the second future gets some turns' start in every second round.
async fn together<A, B>(round: usize, one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    let late = async |turns: usize| {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(
        async {
            late(if round.is_multiple_of(2) { round * 4 } else { 0 }).await;
            one.await
        },
        async {
            late(if round.is_multiple_of(2) { 0 } else { round * 4 }).await;
            other.await
        }
    )
}

story!(an_approval_and_a_report_about_whoever_gives_it, |world| {
    let sofia = world.person("sofia");
    for round in 0..8 {
        world.risk("sofia", "NONE").await;
        let request = world.person("alice").asks_for(FINANCE_DATA).await;
        let stage = current(world, &request).await;
        let (code, ()) = together(round, sofia.is_refused(&stage), world.risk("sofia", "HIGH")).await;
        let approved = position(world, "STAGE_APPROVED", stage.as_str().expect("an id")).await;
        let snapshot = world.snapshot().await;
        let reports = snapshot.events.iter().filter(|event| event.kind == "USER_RISK_REPORTED");
        let reported = reports.map(|event| event.position).max().expect("a report");
        match code.as_str() {
            "" => assert!(approved.expect("an event") < reported, "approved by somebody at risk"),
            code => assert_eq!((code, approved), ("APPROVER_AT_RISK", None)),
        }
        world.person("alice").cancels(&request["id"]).await.data();
    }
});

story!(the_last_approval_and_the_leaving_of_whoever_gave_the_first, |world| {
    for round in 0..6 {
        world.restores("sofia").await;
        let package = world.staged(json!([{ "approvers": [{ "requestorManagerLevel": 1 }] }])).await;
        let request = world.person("alice").submits(json!({ "accessPackageId": package })).await["request"].clone();
        world.person("sofia").approves(&current(world, &request).await).await;
        let last = current(world, &request).await;
        let mona = world.person("mona");
        let (_, ()) = together(round, mona.approves(&last), world.changes("sofia", "isEnabled", json!(false))).await;
        let snapshot = world.snapshot().await;
        let loads = snapshot.events.iter().filter(|event| event.kind == "DIRECTORY_IMPORTED");
        let left = loads.map(|event| event.position).max().expect("an import");
        let delivered = position(world, "REQUEST_DELIVERED", request["id"].as_str().expect("an id")).await;
        match delivered {
            Some(delivered) => assert!(delivered < left, "delivered on a void approval"),
            None => {
                let seen = world.whole(&request).await;
                assert_eq!(seen["currentStage"]["kind"], "ID_PROTECTION_RISK", "asked for again");
            }
        }
    }
});

story!(a_decision_and_a_newer_reading, |world| {
    world.controls(json!({ "riskLevels": ["LOW", "MEDIUM", "HIGH"] })).await;
    let sofia = world.person("sofia");
    for round in 0..8 {
        world.risk("bob", "LOW").await;
        world.follow_risk().await;
        let request = world.person("bob").asks_for(FINANCE_DATA).await;
        let stage = current(world, &request).await;
        let query = "query($id: ID!) { node(id: $id) { ... on RiskApprovalStage { evaluation { id } } } }";
        let seen = sofia.data(query, json!({ "id": stage })).await["node"]["evaluation"]["id"].clone();
        world.risk("bob", "HIGH").await;
        let mutation = "mutation($input: DecideApprovalStageInput!) { decideApprovalStage(input: $input) { userErrors { code } } }";
        let input =
            json!({ "stageId": stage, "decision": "DENY", "justification": "Seen.", "expectedEvaluationId": seen });
        let (done, _) =
            together(round, sofia.data(mutation, json!({ "input": input })), world.services().follow_risk()).await;
        let told = world.snapshot().await.told_of(&request);
        let decided = told.iter().find(|(kind, _)| kind == "STAGE_DENIED").map(|(_, details)| &details["EvaluationId"]);
        match done["decideApprovalStage"]["userErrors"][0]["code"].as_str() {
            None => assert_eq!(decided, Some(&seen), "it names what was seen"),
            Some(code) => {
                assert_eq!((code, decided), ("STALE_VERSION", None));
                world.person("bob").cancels(&request["id"]).await.data();
            }
        }
    }
});

story!(a_request_that_is_submitted_while_its_approvers_become_risky, |world| {
    world.risk("sam", "HIGH").await;
    for round in 0..6 {
        world.risk("sofia", "NONE").await;
        let alice = world.person("alice");
        let (request, ()) = together(round, alice.asks_for(WIKI), world.risk("sofia", "HIGH")).await;
        let snapshot = world.snapshot().await;
        let row = snapshot.stages.values().flatten().find(|row| request["id"] == row.request_id.to_string().as_str());
        let coverage = row.expect("a stage of risk").coverage;
        assert_eq!(coverage, Some(entity::Coverage::Fallback), "whichever came first");
        alice.cancels(&request["id"]).await.data();
    }
});
