//! A long random life: whatever people, clock, directory and operators do, the invariants hold.

use std::collections::HashMap;

use entity::Seconds;
use futures_util::future::join_all;
use riskgate::demo::{FINANCE_DATA, PRODUCTION_ACCESS, WIKI};
use riskgate::service::{ImportOptions, Picture};
use serde_json::{Value, json};

use crate::story;
use crate::support::{Dice, Snapshot, World};

const PEOPLE: [&str; 12] =
    ["alice", "bob", "carol", "erin", "mallory", "zoe", "pat", "olga", "mona", "sam", "sofia", "cora"];

/// Some people leave, come back, change managers, lose and gain roles.
async fn import(world: &World, dice: &mut Dice) {
    let mut picture: Picture = serde_json::from_str(include_str!("../../demo/directory.json")).expect("the company");
    let mona =
        picture.users.iter().find(|user| user.user_principal_name == "mona@example.com").map(|user| user.id.clone());
    for user in &mut picture.users {
        match dice.below(12) {
            0 => user.is_enabled = !user.is_enabled,
            1 => user.directory_roles.clear(),
            2 if user.directory_roles.is_empty() => {
                user.directory_roles = vec![entity::DirectoryRole::SecurityAdministrator]
            }
            3 if !["olga", "mona"].contains(&user.user_principal_name.split('@').next().expect("a name")) => {
                user.manager_id = mona.clone();
            }
            _ => {}
        }
    }
    if dice.below(3) == 0 {
        picture.groups[0].member_ids.truncate(dice.below(3));
    }
    let options = ImportOptions { allow_mass_deletion: true, ..ImportOptions::default() };
    world.services().import(&picture, options).await.expect("the import is committed");
}

async fn decide_something(world: &World, dice: &mut Dice) {
    let decider = world.person(dice.pick(&PEOPLE));
    let mine = decider.ask("{ viewer { pendingApprovals { nodes { id } } } }", Value::Null).await;
    // Whoever is disabled at the moment has no viewer.
    let stages = mine.body["data"]["viewer"]["pendingApprovals"]["nodes"].as_array().cloned().unwrap_or_default();
    if stages.is_empty() {
        return;
    }
    let (stage, verdict) = (dice.pick(&stages)["id"].clone(), dice.pick(&["APPROVE", "APPROVE", "APPROVE", "DENY"]));
    let query = "mutation($s: ID!, $v: Decision!) { decideApprovalStage(input: { stageId: $s, decision: $v, justification: \"Seen.\" }) {
        userErrors { code } } }";
    // Several at once, now and then.
    let times = 1 + dice.below(3);
    let answers = join_all((0..times).map(|_| decider.ask(query, json!({ "s": stage, "v": verdict })))).await;
    let codes: Vec<_> =
        answers.iter().map(|answer| answer.body["data"]["decideApprovalStage"]["userErrors"].clone()).collect();
    let is_at_risk = codes.iter().all(|code| *code == json!([{ "code": "APPROVER_AT_RISK" }])) && verdict == "APPROVE";
    let decided = codes.iter().filter(|code| **code == json!([])).count();
    assert_eq!(decided, usize::from(!is_at_risk), "{codes:?}");
}

async fn step(world: &mut World, dice: &mut Dice) {
    match dice.below(24) {
        0..=8 => {
            let (who, package) =
                (world.person(dice.pick(&PEOPLE)), dice.pick(&[WIKI, FINANCE_DATA, PRODUCTION_ACCESS]));
            let target = if dice.below(6) == 0 { json!(world.person("alice").user_id()) } else { Value::Null };
            let input = json!({ "accessPackageId": package.to_string(), "justification": "Work.", "targetId": target });
            let query =
                "mutation($i: SubmitAccessRequestInput!) { submitAccessRequest(input: $i) { userErrors { code } } }";
            let answer = who.ask(query, json!({ "i": input })).await;
            assert!(["", "UNAUTHENTICATED"].contains(&answer.code()), "{:#}", answer.body);
        }
        9..=15 => decide_something(world, dice).await,
        16 => {
            let who = world.person(dice.pick(&PEOPLE));
            let own = who.ask("{ viewer { accessRequests { nodes { id } } } }", Value::Null).await;
            let own = own.body["data"]["viewer"]["accessRequests"]["nodes"].as_array().cloned().unwrap_or_default();
            if !own.is_empty() {
                who.cancels(&dice.pick(&own)["id"]).await;
            }
        }
        17..=18 => {
            let (user, level) = (world.person(dice.pick(&PEOPLE)).id, dice.pick(&["NONE", "LOW", "MEDIUM", "HIGH"]));
            let query = "mutation($u: ID!, $l: UserRiskLevel!) { reportUserRisk(input: { userId: $u, level: $l }) { userErrors { code } } }";
            world.person("otto").ask(query, json!({ "u": user.to_string(), "l": level })).await;
            world.follow_risk().await;
        }
        19 => {
            let levels =
                dice.pick(&[json!(["LOW", "HIGH"]), json!(["MEDIUM", "HIGH"]), json!(["LOW", "MEDIUM", "HIGH"])]);
            let when = dice.pick(&["AT_SUBMISSION", "BEFORE_DELIVERY", "CONTINUOUS", "CONTINUOUS"]);
            let query = "mutation($l: [UserRiskLevel!], $r: RiskReevaluation) {
                updateIdProtectionRiskApproval(input: { riskLevels: $l, reevaluation: $r }) { userErrors { code } } }";
            world.person("ines").ask(query, json!({ "l": levels, "r": when })).await;
        }
        20..=21 => {
            let hours = Seconds::hours(dice.below(120) as i64);
            world.pass(hours).await;
        }
        22 => import(world, dice).await,
        _ => world.restart().await,
    }
}

/// The details of each kind of event by `docs/events.md`: those that are always there, and all.
fn documented() -> HashMap<String, (Vec<String>, Vec<String>)> {
    let document = include_str!("../../docs/events.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let keys: Vec<_> = cells[5].split(", ").map(str::to_owned).collect();
        let always = keys.iter().filter(|key| !key.ends_with('?')).cloned().collect();
        let all = keys.iter().map(|key| key.trim_end_matches('?').to_owned()).collect();
        (row.split('`').next().expect("a kind").to_owned(), (always, all))
    })
    .collect()
}

fn check_details(snapshot: &Snapshot) {
    let documented = documented();
    for event in &snapshot.events {
        let content: Value = serde_json::from_str(&event.content).expect("JSON");
        let keys: Vec<_> = content["details"].as_object().expect("details").keys().cloned().collect();
        let (always, all) = &documented[&event.kind];
        assert!(always.iter().all(|key| keys.contains(key)), "{}: {keys:?} lacks one of {always:?}", event.kind);
        assert!(keys.iter().all(|key| all.contains(key)), "{}: {keys:?} has more than {all:?}", event.kind);
    }
}

story!(a_long_random_life, |world| {
    let mut dice = Dice::new(11);
    for round in 0..12 {
        for _ in 0..25 {
            step(world, &mut dice).await;
        }
        world.check().await;
        println!("round {round} is well");
    }
    check_details(&world.snapshot().await);
});
