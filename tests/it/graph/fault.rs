//! Every fault at every call, at random moments, with a model beside it: no fault ever yields a pass without a stage while the control is
//! on, no request is lost, and everything catches up without a hand.

use std::collections::BTreeMap;

use entity::Seconds;
use riskgate::demo::{FINANCE_DATA, PRODUCTION_ACCESS, WIKI};
use serde_json::{Value, json};

use super::{id, impatient, reading, recovers, shown, status, watched, while_time_passes};
use crate::story;
use crate::support::graph::{ANYWHERE, Call, FakeGraph, Fault};
use crate::support::{Dice, World};

const PEOPLE: [&str; 6] = ["alice", "bob", "carol", "erin", "zoe", "olga"];
const LEVELS: [&str; 4] = ["none", "low", "medium", "high"];

/// What has been so of somebody's risk, and since when: what a reading may say without being wrong.
#[derive(Default)]
struct Model(BTreeMap<&'static str, Vec<(i64, &'static str)>>);

impl Model {
    fn set(&mut self, world: &World, graph: &FakeGraph, name: &'static str, level: &'static str) {
        let person = id(world, name);
        let state = if level == "none" { "none" } else { "atRisk" };
        graph.change(|tenant| tenant.risk(person, level, state));
        self.0.entry(name).or_default().push((world.now().0, level));
    }

    /// The levels that were true at some moment from `from` on.
    fn since(&self, name: &str, from: i64) -> Vec<String> {
        let history = self.0.get(name).map(Vec::as_slice).unwrap_or_default();
        let first = history.iter().rposition(|(at, _)| *at <= from);
        let mut levels: Vec<_> = history[first.unwrap_or(0)..].iter().map(|(_, level)| level.to_uppercase()).collect();
        if first.is_none() {
            levels.push("NONE".to_owned());
        }
        levels
    }
}

/// What was read for a request is true of a moment not longer ago than is allowed, or counts as unknown; and it has its stage.
async fn is_sound(world: &World, model: &Model, name: &str, request: &Value) {
    let read = reading(world, request).await;
    let level = read["level"].as_str().expect("a level").to_owned();
    let whole = world.whole(request).await;
    let has_stage =
        whole["stages"].as_array().expect("stages").iter().any(|stage| stage["kind"] == "ID_PROTECTION_RISK");
    assert_eq!(has_stage, ["MEDIUM", "HIGH", "UNDETERMINED"].contains(&level.as_str()), "{name}: {read} {whole:#}");
    if level != "UNDETERMINED" {
        let possible = model.since(name, world.now().0 - 301_000_000);
        assert!(possible.contains(&level), "{name}: {level} was never so, but one of {possible:?}");
    }
}

async fn tries(world: &World, model: &Model, dice: &mut Dice, open: &mut Vec<Value>) {
    let (name, package) = (dice.pick(&PEOPLE), dice.pick(&[WIKI, FINANCE_DATA, PRODUCTION_ACCESS]));
    let input = json!({ "accessPackageId": package.to_string(), "justification": "For my work." });
    let payload = while_time_passes(world, world.person(name).submits(input)).await;
    let refusal = payload["userErrors"][0]["code"].as_str();
    assert!(matches!(refusal, None | Some("ALREADY_REQUESTED" | "ALREADY_ASSIGNED" | "NOT_ELIGIBLE")), "{payload:#}");
    if refusal.is_none() {
        let request = payload["request"].clone();
        is_sound(world, model, name, &request).await;
        open.push(request);
    }
}

async fn catches_up(world: &World, graph: &FakeGraph, model: &Model) {
    recovers(world, graph).await;
    assert_eq!(status(world).await["state"], "OK");
    world.follow_risk().await;
    for name in PEOPLE {
        let seen = shown(world, name).await;
        let wanted = model.0.get(name).and_then(|history| history.last()).map_or("none", |(_, level)| level);
        assert_eq!((&seen["level"], &seen["isDetermined"]), (&json!(wanted.to_uppercase()), &json!(true)), "{name}");
    }
}

story!(no_fault_at_any_moment_lets_anybody_pass_or_loses_a_request, |world| {
    let graph = watched(world, &[]).await;
    world.connects(impatient(graph.config())).await;
    world.controls(json!({ "reevaluation": "CONTINUOUS" })).await;
    let (mut dice, mut model, mut open) = (Dice::new(2026), Model::default(), Vec::new());
    let mut faults = ANYWHERE.to_vec();
    faults.extend([
        Fault::Hidden,
        Fault::UnknownWords,
        Fault::WrongClock,
        Fault::Empty,
        Fault::Repeated,
        Fault::Elsewhere,
    ]);
    for round in 0..6 {
        graph.chance(round, 60, &faults);
        for _ in 0..12 {
            match dice.below(6) {
                0 | 1 => model.set(world, &graph, dice.pick(&PEOPLE), dice.pick(&LEVELS)),
                2 => world.clock.advance(Seconds(dice.below(200) as i64)),
                3 => {
                    // It may fail in every way; what it may not is to be wrong.
                    let _ = while_time_passes(world, world.services().sweep_risk()).await;
                    world.follow_risk().await;
                }
                _ => tries(world, &model, &mut dice, &mut open).await,
            }
        }
        catches_up(world, &graph, &model).await;
        world.check().await;
        for request in &open {
            let state = world.whole(request).await["state"].clone();
            assert!(state != Value::Null, "no request is lost");
        }
    }
    assert!(open.len() > 5, "the walk asked for something");
});

story!(a_source_that_is_silent_asks_for_a_stage_and_is_heard_again, |world| {
    let graph = watched(world, &[("bob", "low")]).await;
    world.clock.advance(Seconds(301));
    graph.always(Call::RiskyUser, Some(Fault::Silent));
    let request = world.person("bob").asks_for(FINANCE_DATA).await;
    assert_eq!(reading(world, &request).await["level"], "UNDETERMINED");
    graph.recover();
    world.clock.advance(Seconds(2));
    world.sweeps().await;
    let request = world.person("bob").asks_for(WIKI).await;
    assert_eq!(reading(world, &request).await["level"], "LOW");
});
