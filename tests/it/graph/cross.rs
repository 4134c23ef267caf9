//! Every fault at every call, each pair once, each from a state in which all is well: nobody passes without a stage, no request is lost,
//! what is refused changes nothing, and once the fault is over everything catches up without a hand.

use entity::{DirectoryRole, DirectorySource, Seconds, UserId};
use riskgate::config::GraphConfig;
use riskgate::demo::WIKI;
use serde_json::{Value, json};
use uuid::Uuid;

use super::people::{give, id, is_as, source};
use super::{impatient, recovers, until, while_time_passes};
use crate::story;
use crate::support::graph::{Call, FakeGraph, Fault};
use crate::support::{Dice, Person, World};

/// What the program asks of Graph, and has Graph do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    AToken,
    EverybodysRisk,
    OnesRisk,
    Confirm,
    Dismiss,
    People,
    Groups,
    Assignments,
    OnesRoles,
    OnesAccount,
}

use Step::{AToken, Assignments, Confirm, Dismiss, EverybodysRisk, Groups, OnesAccount, OnesRisk, OnesRoles, People};

const STEPS: [Step; 10] =
    [AToken, EverybodysRisk, OnesRisk, Confirm, Dismiss, People, Groups, Assignments, OnesRoles, OnesAccount];

impl Step {
    fn call(self) -> Call {
        match self {
            AToken => Call::Token,
            EverybodysRisk => Call::RiskyUsers,
            OnesRisk => Call::RiskyUser,
            Confirm | Dismiss => Call::RiskAction,
            People => Call::Users,
            Groups => Call::Groups,
            Assignments => Call::Assignments,
            OnesRoles => Call::TransitiveRoles,
            OnesAccount => Call::User,
        }
    }

    /// Does the directory have a part in it?
    fn is_of_directory(self) -> bool {
        !matches!(self, EverybodysRisk | OnesRisk | Confirm | Dismiss)
    }

    /// Is what is asked for a list?
    fn is_list(self) -> bool {
        matches!(self, EverybodysRisk | People | Groups | Assignments | OnesRoles)
    }
}

/// How often it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Often {
    Once,
    Always,
}

use Often::{Always, Once};

/// Those before which a client waits come last: theirs is an impatient one.
const FAULTS: [(Fault, Often); 23] = [
    (Fault::Revoked, Once),
    (Fault::Revoked, Always),
    (Fault::Refused(400), Always),
    (Fault::Refused(403), Always),
    (Fault::Refused(404), Always),
    (Fault::Html(404), Always),
    (Fault::Gone, Always),
    (Fault::Throttled, Always),
    (Fault::Unavailable(2), Always),
    (Fault::Html(503), Always),
    (Fault::Broken, Always),
    (Fault::Slow, Always),
    (Fault::Cut, Always),
    (Fault::Html(200), Always),
    (Fault::Hidden, Always),
    (Fault::UnknownWords, Always),
    (Fault::StaleRoles, Always),
    (Fault::WrongClock, Always),
    (Fault::Empty, Once),
    (Fault::Repeated, Once),
    (Fault::Elsewhere, Once),
    (Fault::Silent, Always),
    (Fault::Stalled, Always),
];

/// Does the step come to its end, with what is true, although this goes wrong?
fn comes_to_its_end(step: Step, fault: Fault, often: Often) -> bool {
    match fault {
        Fault::Slow | Fault::WrongClock | Fault::Empty | Fault::Repeated => true,
        // The next one is asked for with a new token; who is refused a token has none.
        Fault::Revoked => often == Once && step != AToken,
        // In Graph's own words: nothing is known of this person's risk.
        Fault::Refused(404) => step == OnesRisk,
        Fault::Hidden | Fault::UnknownWords => step != OnesRisk,
        Fault::StaleRoles => step != OnesRoles,
        Fault::Elsewhere => !step.is_list(),
        // Of what was done there is nothing to be told, so nothing is missing.
        Fault::Cut | Fault::Stalled => matches!(step, Confirm | Dismiss),
        _ => false,
    }
}

/// Somebody for each pair.
fn employee(number: usize) -> Uuid {
    id(0x1000 + number as u128)
}

struct Walk<'a> {
    world: &'a World,
    graph: &'a FakeGraph,
}

impl Walk<'_> {
    fn person(&self, who: Uuid) -> Person {
        self.world.holder(self.world.app().address, UserId(who), "employee@example.com", Seconds::hours(8_000))
    }

    /// Does it; whether it came to its end.
    async fn does(&self, step: Step, who: Uuid, request: &Value) -> bool {
        let services = self.world.services();
        match step {
            AToken | EverybodysRisk => {
                while_time_passes(self.world, services.sweep_risk()).await.is_ok_and(|(swept, _)| swept)
            }
            OnesRisk => unreachable!("who asks for access has it read"),
            Confirm | Dismiss => {
                let action = if step == Confirm { "confirmUserCompromised" } else { "dismissUserRisk" };
                let query = format!(
                    "mutation($id: ID!) {{ {action}(input: {{ userIds: [$id] }}) {{ userErrors {{ code }} }} }}"
                );
                let otto = self.world.person("otto");
                let answer =
                    while_time_passes(self.world, otto.ask(&query, json!({ "id": UserId(who).to_string() }))).await;
                assert!(["", "UNAVAILABLE"].contains(&answer.code()), "{:#}", answer.body);
                answer.code().is_empty()
            }
            People | Groups | Assignments => services.synchronize().await.is_ok(),
            OnesRoles | OnesAccount => {
                let query = "mutation($stage: ID!) { decideApprovalStage(input: { stageId: $stage, decision: DENY,
                    justification: \"Not now.\" }) { userErrors { code } } }";
                let stage = &request["currentStage"]["id"];
                let answer =
                    while_time_passes(self.world, self.world.person("sam").ask(query, json!({ "stage": stage }))).await;
                let refusal = answer.body["data"]["decideApprovalStage"]["userErrors"][0]["code"].as_str();
                assert!(["", "UNAVAILABLE"].contains(&answer.code()), "{:#}", answer.body);
                assert!(matches!(refusal, None | Some("NOT_AN_APPROVER")), "{:#}", answer.body);
                answer.code().is_empty() && refusal.is_none()
            }
        }
    }

    /// The level that Graph has of somebody, and the word for it here.
    fn truth(&self, who: Uuid) -> String {
        self.graph.tenant().risks.get(&who).map_or("NONE".to_owned(), |risk| risk.level.to_uppercase())
    }

    /// Asks for access. What was read is true or counts as unknown; there is a stage unless it says that there is no risk. Returns the
    /// request, and whether the level is known.
    async fn asks(&self, who: Uuid) -> (Value, bool) {
        let request = while_time_passes(self.world, self.person(who).asks_for(WIKI)).await;
        // Who asks is told nothing of risk.
        let request = self.world.whole(&request).await;
        let readings = request["riskEvaluations"].as_array().expect("readings");
        let read = readings.iter().find(|reading| reading["source"] == "ID_PROTECTION").expect("a reading");
        let (level, truth) = (read["level"].as_str().expect("a level"), self.truth(who));
        assert!(level == "UNDETERMINED" || level == truth, "{level}, and it is {truth}");
        let stages = request["stages"].as_array().expect("stages");
        let has_stage = stages.iter().any(|stage| stage["kind"] == "ID_PROTECTION_RISK");
        assert_eq!(has_stage, level != "NONE", "{request:#}");
        assert_eq!(request["state"] == "DELIVERED", level == "NONE", "{request:#}");
        let is_known = level != "UNDETERMINED";
        (request, is_known)
    }

    async fn pair(&self, step: Step, fault: Fault, often: Often, number: usize) {
        let (world, graph, who) = (self.world, self.graph, employee(number));
        let (sam, name) = (world.person("sam").id.0, format!("{step:?} {fault:?} {often:?}"));
        println!("{name}");
        // Everything that was read is too old, so everything is asked for.
        world.clock.advance(Seconds(302));
        if step == AToken {
            graph.revoke_tokens();
        }
        // What Graph itself says not to be there is not.
        if (step, fault) != (OnesRisk, Fault::Refused(404)) {
            graph.change(|tenant| tenant.risk(who, "high", "atRisk"));
        }
        if step.is_of_directory() {
            graph.change(|tenant| {
                tenant.users.get_mut(&who).expect("somebody").display_name = name.clone();
                let group = tenant.groups.values_mut().next().expect("a group");
                assert!(group.members.insert(who));
                source::takes(tenant, sam);
            });
            // What is not known everywhere yet.
            graph.change(|tenant| give(tenant, DirectoryRole::SecurityAdministrator, sam));
        }
        let decides = matches!(step, OnesRoles | OnesAccount);
        let mut request = if decides { self.asks(who).await.0 } else { Value::Null };
        let before = graph.hits(step.call(), fault);
        match often {
            Once => graph.plan(step.call(), [Some(fault)]),
            Always => graph.always(step.call(), Some(fault)),
        }
        let mut has_ended = step == OnesRisk || self.does(step, who, &request).await;
        if !decides {
            // Longer than a source that was asked once wants to be left alone.
            world.clock.advance(Seconds(3));
            let (asked, is_known) = self.asks(who).await;
            request = asked;
            has_ended &= is_known || step != OnesRisk;
        }
        assert!(graph.hits(step.call(), fault) > before, "{name}: it goes wrong");
        assert_eq!(has_ended, comes_to_its_end(step, fault, often), "{name}");
        self.catches_up(step, who, &request, decides && has_ended).await;
    }

    /// Everything is as Graph has it, and the request goes its way.
    async fn catches_up(&self, step: Step, who: Uuid, request: &Value, is_denied: bool) {
        let (world, graph) = (self.world, self.graph);
        recovers(world, graph).await;
        world.follow_risk().await;
        if step.is_of_directory() {
            until("the directory is read", async || world.services().synchronize().await.is_ok()).await;
            is_as(world, graph).await;
        }
        let query = "query($id: ID!) { node(id: $id) { ... on User { idProtectionRisk { level isDetermined } } } }";
        let seen = world.person("otto").data(query, json!({ "id": UserId(who).to_string() })).await;
        let risk = json!({ "level": self.truth(who), "isDetermined": true });
        assert_eq!(seen["node"]["idProtectionRisk"], risk);
        let whole = world.whole(request).await;
        match whole["state"].as_str() {
            Some("DELIVERED") => {}
            Some("DENIED") => assert!(is_denied, "{whole:#}"),
            _ => {
                assert!(!is_denied && whole["currentStage"]["kind"] == "ID_PROTECTION_RISK", "{whole:#}");
                let request =
                    while_time_passes(self.world, world.person("sam").approves(&whole["currentStage"]["id"])).await;
                assert_eq!(request["state"], "DELIVERED", "{whole:#}");
            }
        }
        graph.change(|tenant| drop(tenant.risks.remove(&who)));
    }
}

/// A world whose directory and risk come from Graph, with the demo's people and so many more; all is well.
async fn connected(world: &mut World, employees: usize) -> (FakeGraph, GraphConfig) {
    assert!(world.services().hand_over(DirectorySource::Graph).await.expect("an answer"));
    let graph = FakeGraph::start(&world.clock).await;
    graph.change(|tenant| {
        source::demo(tenant);
        (0..employees).for_each(|number| tenant.hire(employee(number), &format!("Employee {number}")));
    });
    let config = GraphConfig { directory: true, ..graph.config() };
    world.connects(config.clone()).await;
    world.services().synchronize().await.expect("people are read");
    world.controls(json!({ "reevaluation": "CONTINUOUS" })).await;
    (graph, config)
}

story!(every_fault_at_every_call_lets_nobody_pass_loses_nothing_and_is_made_good, |world| {
    let (graph, config) = connected(world, STEPS.len() * FAULTS.len()).await;
    let mut number = 0;
    for (fault, often) in FAULTS {
        if fault == Fault::Silent {
            world.connects(impatient(config.clone())).await;
        }
        for step in STEPS {
            Walk { world, graph: &graph }.pair(step, fault, often, number).await;
            number += 1;
        }
        world.check().await;
    }
});

story!(any_fault_at_any_moment_lets_nobody_pass_loses_nothing_and_is_made_good, |world| {
    const ROUNDS: usize = 6;
    const EACH: usize = 6;
    let (mut dice, sam) = (Dice::new(0xfa17), world.person("sam").id.0);
    let (graph, config) = connected(world, ROUNDS * EACH).await;
    world.connects(impatient(config)).await;
    // 404 in Graph's own words is no fault.
    let faults: Vec<_> =
        FAULTS.into_iter().map(|(fault, _)| fault).filter(|fault| *fault != Fault::Refused(404)).collect();
    let walk = Walk { world, graph: &graph };
    let (mut ended, mut failed) = (0, 0);
    for round in 0..ROUNDS {
        // Nothing that was read before counts: what is so from here on is all that may be read.
        world.clock.advance(Seconds(302));
        graph.change(|tenant| {
            for number in round * EACH..(round + 1) * EACH {
                tenant.users.get_mut(&employee(number)).expect("somebody").display_name = format!("In round {round}");
                if dice.below(3) > 0 {
                    tenant.risk(employee(number), "high", "atRisk");
                }
            }
            source::takes(tenant, sam);
        });
        graph.change(|tenant| give(tenant, DirectoryRole::SecurityAdministrator, sam));
        graph.chance(round as u64, 30, &faults);
        let mut open: Vec<(Uuid, Value, bool)> = Vec::new();
        for number in round * EACH..(round + 1) * EACH {
            for _ in 0..dice.below(5) {
                world.clock.advance(Seconds(dice.below(120) as i64));
                let (step, which) = (dice.pick(&STEPS), dice.below(EACH));
                let has_ended = match (step, open.get_mut(which)) {
                    (OnesRisk, _) => continue,
                    (Confirm | Dismiss, Some((who, ..))) => walk.does(step, *who, &Value::Null).await,
                    (OnesRoles | OnesAccount, Some((who, request, is_denied)))
                        if !*is_denied && !request["currentStage"].is_null() =>
                    {
                        *is_denied = walk.does(step, *who, request).await;
                        *is_denied
                    }
                    (Confirm | Dismiss | OnesRoles | OnesAccount, _) => continue,
                    _ => walk.does(step, sam, &Value::Null).await,
                };
                *(if has_ended { &mut ended } else { &mut failed }) += 1;
            }
            let (request, _) = walk.asks(employee(number)).await;
            open.push((employee(number), request, false));
        }
        for (number, (who, request, is_denied)) in open.into_iter().enumerate() {
            // The first brings the directory along.
            let step = if number == 0 { People } else { OnesRisk };
            walk.catches_up(step, who, &request, is_denied).await;
        }
        world.check().await;
    }
    assert!(ended > 10 && failed > 10, "{ended} came to their end, {failed} did not");
});
