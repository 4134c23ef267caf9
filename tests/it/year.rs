//! A year in the life of a company of ten thousand: people ask, decide and change, risk comes and goes, sources and clients fail, the
//! server restarts. A model beside it knows what is true; after every step, what the step touched is held against it. The seed is
//! printed; `RISKGATE_TEST_SEED` repeats it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use entity::{
    Origin, Reevaluation, RequestId, RiskLevel, RiskSource, Seconds, StageId, StageKind, StageStatus, Timestamp,
    UserId, Verdict, control, decision, stage,
};
use futures_util::future::{join_all, select};
use riskgate::clock::Clock;
use riskgate::demo::{FINANCE_DATA, PRODUCTION_ACCESS, WIKI};
use riskgate::domain::permission::{Actor, Principal, Right, right_to_decide, risk_source, stage_kind};
use riskgate::domain::risk::{Cover, selectable};
use riskgate::service::risk::{Observed, ObservedFuture, RiskReader};
use riskgate::service::{Decide, Sources, Submit};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, Statement};
use serde_json::{Value, json};

use crate::support::{Company, Dice, Kind, Options, Person, Snapshot, World};

const DAYS: usize = 365;
const PEOPLE: usize = 10_000;

/// What both sources would say, if they could.
#[derive(Default)]
struct Truth {
    levels: Mutex<HashMap<(RiskSource, UserId), RiskLevel>>,
    down: Mutex<HashSet<RiskSource>>,
    clock: OnceLock<Clock>,
}

impl Truth {
    /// What a source says of somebody now; nothing while it is out of order.
    fn says(&self, source: RiskSource, who: UserId) -> Option<RiskLevel> {
        if self.down.lock().unwrap_or_else(PoisonError::into_inner).contains(&source) {
            return None;
        }
        let levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        Some(levels.get(&(source, who)).copied().unwrap_or(RiskLevel::None))
    }

    fn learns(&self, source: RiskSource, who: UserId, level: RiskLevel) {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner).insert((source, who), level);
    }

    fn breaks_or_heals(&self, source: RiskSource) {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        if !down.remove(&source) {
            down.insert(source);
        }
    }
}

struct Told {
    source: RiskSource,
    truth: Arc<Truth>,
}

impl RiskReader for Told {
    fn read(&self, who: UserId) -> ObservedFuture<'_> {
        let read_at = self.truth.clock.get().map_or(Timestamp(0), Clock::now);
        let said = self.truth.says(self.source, who).map(|level| Observed {
            level,
            origin: Origin::Single,
            read_at,
            source_updated_at: None,
        });
        Box::pin(std::future::ready(said.ok_or_else(|| "out of order".to_owned())))
    }
}

/// The year, and everything that the model knows.
struct Year {
    world: World,
    db: DatabaseConnection,
    company: Company,
    truth: Arc<Truth>,
    dice: Dice,
    packages: Vec<Value>,
    /// Up to where the log has been held against the model.
    position: i64,
    delivered: usize,
    refused: usize,
}

/// A call that nobody waits for any more: it is dropped after a while, wherever it is.
async fn impatient<T>(turns: usize, call: impl Future<Output = T>) {
    let patience = async {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    };
    select(std::pin::pin!(call), std::pin::pin!(patience)).await;
}

impl Year {
    async fn begin(kind: Kind) -> Year {
        let truth = Arc::new(Truth::default());
        let reader = |source| Arc::new(Told { source, truth: truth.clone() });
        let sources =
            Sources { id_protection: reader(RiskSource::IdProtection), insider: reader(RiskSource::InsiderRisk) };
        let world = World::start(kind, Options { sources: Some(sources), ..Options::default() }).await;
        truth.clock.get_or_init(|| world.clock.clone());
        let mut dice = Dice::new(1);
        let mut company = Company::new(PEOPLE, &mut dice);
        world.imports(company.file()).await;
        let mut packages: Vec<Value> =
            [WIKI, FINANCE_DATA, PRODUCTION_ACCESS].iter().map(|id| json!(id.to_string())).collect();
        for number in 0..6 {
            let mut group = || json!([{ "groupId": format!("grp_{}", company.names_a_group(&mut dice)) }]);
            let stages = match number % 3 {
                0 => json!([{ "approvers": [{ "requestorManagerLevel": 1 }], "fallbackApprovers": group() },
                    { "approvers": [{ "directoryRole": "GLOBAL_ADMINISTRATOR" }], "decisionTimeout": "P30D" }]),
                1 => {
                    json!([{ "approvers": group(), "escalationApprovers": [{ "requestorManagerLevel": 2 }], "escalateAfter": "P2D" }])
                }
                _ => json!([{ "approvers": group(), "fallbackApprovers": group() }]),
            };
            packages.push(world.staged(stages).await);
        }
        let db = world.database.connect().await;
        let position = world.services().newest().await.expect("a head");
        Year { world, db, company, truth, dice, packages, position, delivered: 0, refused: 0 }
    }

    fn person(&self, who: UserId) -> Person {
        self.world.holder(self.world.app().address, who, self.company.upn(who), Seconds::hours(1))
    }

    fn somebody(&mut self) -> UserId {
        if self.dice.below(3) == 0 {
            self.company.anybody(&mut self.dice)
        } else {
            self.dice.pick(&self.company.lively)
        }
    }

    /// Some people ask, each for themselves or for a report, some of them twice, some without waiting for the answer.
    async fn ask(&mut self) {
        let query = "mutation($i: SubmitAccessRequestInput!) { submitAccessRequest(input: $i) { request { id } userErrors { code } } }";
        let mut calls = Vec::new();
        for _ in 0..1 + self.dice.below(6) {
            let (target, package) = (self.somebody(), self.dice.pick(&self.packages));
            let manager = self.company.manager(target).filter(|_| self.dice.below(4) == 0);
            let asker = manager.unwrap_or(target);
            let (who, signed_in) = (self.person(asker), self.signed_in(asker).await);
            let dropped = Submit {
                package: package.as_str().and_then(|id| id.parse().ok()).expect("an id"),
                policy: None,
                target: Some(target),
                justification: Some("For my work.".to_owned()),
                idempotency_key: None,
            };
            let target = manager.map(|_| target.to_string());
            let input = json!({ "accessPackageId": package, "targetId": target, "justification": "For my work." });
            let times = if self.dice.below(5) == 0 { 2 } else { 1 };
            for _ in 0..times {
                let (who, input) = (who.clone(), json!({ "i": input }));
                let turns = (self.dice.below(6) == 0).then(|| self.dice.below(60));
                let (services, signed_in, dropped) =
                    (self.world.services().clone(), signed_in.clone(), dropped.clone());
                calls.push(async move {
                    match (turns, signed_in) {
                        (Some(turns), Some(actor)) => impatient(turns, services.submit(&actor, dropped)).await,
                        _ => {
                            let answer = who.ask(query, input).await;
                            assert!(["", "UNAUTHENTICATED", "CONFLICT"].contains(&answer.code()), "{:#}", answer.body);
                        }
                    }
                });
            }
        }
        join_all(calls).await;
        self.settles().await;
    }

    /// Somebody, as the use cases know those who are signed in; nobody where the account is disabled.
    async fn signed_in(&self, who: UserId) -> Option<Actor> {
        self.world.services().actor(&Principal::Person(who)).await.expect("an answer")
    }

    /// What was handed over by calls that were dropped is committed before this is.
    async fn settles(&self) {
        let nobody = self.world.person("glen").id;
        let otto = self.signed_in(self.world.person("otto").id).await.expect("otto");
        self.world.services().report_user_risk(&otto, nobody, RiskLevel::None, None).await.expect("it is committed");
    }

    /// Somebody of a pending stage's sets decides, or several at once; some are not entitled, and are told so.
    async fn decide(&mut self) {
        let text = "SELECT s.id AS id, m.user_id AS user_id FROM stage s JOIN stage_approver a ON a.stage_id = s.id \
            JOIN membership m ON m.kind = a.kind AND m.subject = a.subject AND m.until IS NULL WHERE s.status = 'PENDING' \
            ORDER BY s.pending_since DESC, s.id, m.user_id LIMIT 300";
        let statement = Statement::from_string(self.db.get_database_backend(), text);
        let rows = self.db.query_all_raw(statement).await.expect("stages");
        let found: Vec<(StageId, UserId)> = rows
            .iter()
            .map(|row| (row.try_get("", "id").expect("an id"), row.try_get("", "user_id").expect("an id")))
            .collect();
        if found.is_empty() {
            return;
        }
        let (stage, _) = self.dice.pick(&found);
        let deciders: Vec<_> = found.iter().filter(|(id, _)| *id == stage).map(|(_, who)| *who).collect();
        let query =
            "mutation($i: DecideApprovalStageInput!) { decideApprovalStage(input: $i) { userErrors { code } } }";
        let mut calls = Vec::new();
        for _ in 0..1 + self.dice.below(3) {
            let who = if self.dice.below(12) == 0 { self.somebody() } else { self.dice.pick(&deciders) };
            let decision = self.dice.pick(&["APPROVE", "APPROVE", "APPROVE", "APPROVE", "DENY"]);
            let input =
                json!({ "i": { "stageId": stage.to_string(), "decision": decision, "justification": "Seen." } });
            let dropped = Decide {
                stage,
                verdict: Verdict::Approve,
                justification: Some("Seen.".to_owned()),
                expected_evaluation: None,
            };
            let (who, signed_in, services) =
                (self.person(who), self.signed_in(who).await, self.world.services().clone());
            let turns = (self.dice.below(8) == 0).then(|| self.dice.below(60));
            calls.push(async move {
                match (turns, signed_in) {
                    (Some(turns), Some(actor)) => {
                        impatient(turns, services.decide(&actor, dropped)).await;
                        None
                    }
                    _ => {
                        let answer = who.ask(query, input).await;
                        assert!(["", "UNAUTHENTICATED", "CONFLICT"].contains(&answer.code()), "{:#}", answer.body);
                        Some(answer.body["data"]["decideApprovalStage"]["userErrors"] == json!([]))
                    }
                }
            });
        }
        let done = join_all(calls).await;
        self.settles().await;
        assert!(done.iter().flatten().filter(|is_done| **is_done).count() <= 1, "two decisions on one stage");
        self.refused += done.iter().flatten().filter(|is_done| !**is_done).count();
    }

    /// A source learns something, and an event tells of it.
    async fn risk(&mut self) {
        for _ in 0..1 + self.dice.below(4) {
            let (who, source) = (self.dice.pick(&self.company.lively), self.dice.pick(RiskSource::ALL));
            let levels = [&[RiskLevel::None, RiskLevel::None], selectable(source)].concat();
            let level = self.dice.pick(&levels);
            self.truth.learns(source, who, level);
            let (reporter, query) = match source {
                RiskSource::IdProtection => (
                    "otto",
                    "mutation($u: ID!, $l: UserRiskLevel!) { reported: reportUserRisk(input: { userId: $u, level: $l }) { userErrors { code } } }",
                ),
                RiskSource::InsiderRisk => (
                    "ada",
                    "mutation($u: ID!, $l: InsiderRiskLevel!) { reported: reportInsiderRisk(input: { userId: $u, level: $l }) { userErrors { code } } }",
                ),
            };
            let variables = json!({ "u": who.to_string(), "l": level });
            let done = self.world.person(reporter).data(query, variables).await;
            assert_eq!(done["reported"]["userErrors"], json!([]));
        }
        if self.dice.below(3) > 0 {
            self.world.follow_risk().await;
        }
    }

    /// An administrator changes a control.
    async fn control(&mut self) {
        let source = self.dice.pick(RiskSource::ALL);
        let field = match source {
            RiskSource::IdProtection => ("updateIdProtectionRiskApproval", "UpdateIdProtectionRiskApprovalInput"),
            RiskSource::InsiderRisk => ("updateInsiderRiskApproval", "UpdateInsiderRiskApprovalInput"),
        };
        let lowest = self.dice.below(3);
        let input = json!({
            "isEnabled": self.dice.below(8) > 0,
            "riskLevels": selectable(source)[lowest..],
            "reevaluation": self.dice.pick(Reevaluation::ALL),
            "whenUndetermined": self.dice.pick(&["REQUIRE_STAGE", "HOLD"]),
            "holdTimeout": self.dice.pick(&["PT1M", "PT10M", "PT1H"]),
            "refuseRiskyApprovers": self.dice.below(3) > 0,
            "reproveBeforeDelivery": self.dice.below(3) > 0,
            "decisionTimeout": self.dice.pick(&["PT1H", "P3D", "P14D"]),
        });
        let query =
            format!("mutation($i: {}!) {{ updated: {}(input: $i) {{ userErrors {{ code }} }} }}", field.1, field.0);
        let done = self.world.person("ines").data(&query, json!({ "i": input })).await;
        assert_eq!(done["updated"]["userErrors"], json!([]));
    }

    /// Hours pass; everything that falls due on the way happens in its own hour.
    async fn time(&mut self, hours: i64) {
        let then = self.world.now().plus(Seconds::hours(hours));
        while let Some(due) = self.world.services().next_due().await.expect("a moment").filter(|due| *due <= then) {
            self.world.clock.set(due.max(self.world.now()));
            if self.world.run_due().await == 0 {
                break;
            }
            self.hold_against_the_model().await;
        }
        self.world.clock.set(then);
        self.world.run_due().await;
        let late = stage::Entity::find()
            .filter(stage::Column::Status.eq(StageStatus::Pending))
            .filter(stage::Column::DueAt.lte(then))
            .all(&self.db)
            .await
            .expect("stages");
        assert!(late.is_empty(), "nobody decided these in time, and they wait on: {late:#?}");
    }

    async fn step(&mut self) {
        match self.dice.below(40) {
            0..=13 => self.ask().await,
            14..=29 => self.decide().await,
            30..=34 => self.risk().await,
            35 => {
                let source = self.dice.pick(RiskSource::ALL);
                self.truth.breaks_or_heals(source);
            }
            36 => self.control().await,
            37 => {
                let text = "SELECT r.id AS id, r.requestor_id AS user_id FROM request r WHERE r.state IN ('PENDING_APPROVAL', 'SUBMITTED') \
                    ORDER BY r.created_at DESC, r.id LIMIT 20";
                let rows = self.db.query_all_raw(Statement::from_string(self.db.get_database_backend(), text)).await;
                let found: Vec<(RequestId, UserId)> = rows
                    .expect("requests")
                    .iter()
                    .map(|row| (row.try_get("", "id").expect("an id"), row.try_get("", "user_id").expect("an id")))
                    .collect();
                if !found.is_empty() {
                    let (request, who) = self.dice.pick(&found);
                    self.person(who).cancels(&json!(request.to_string())).await;
                }
            }
            38 => {
                let file = self.company.changes(&mut self.dice);
                let picture = serde_json::from_value(file).expect("a file of the directory");
                let options = riskgate::service::ImportOptions { partial: true, ..Default::default() };
                self.world.services().import(&picture, options).await.expect("the file is loaded");
            }
            _ => self.world.restart().await,
        }
        self.hold_against_the_model().await;
    }

    /// The invariants hold in what the log tells of since the last time, and the model agrees with what was decided and delivered.
    async fn hold_against_the_model(&mut self) {
        let now = Snapshot::since(&self.db, self.position).await;
        let offences = now.offences();
        assert!(offences.is_empty(), "invariants are broken:\n{}", offences.join("\n"));
        let controls = control::Entity::find().all(&self.db).await.expect("controls");
        let news: Vec<_> = now.events.iter().filter(|event| event.position > self.position).collect();
        let of = |kind: &'static str| {
            news.iter().filter(move |event| event.kind == kind).filter_map(|event| event.request_id)
        };
        for id in of("REQUEST_DELIVERED") {
            let request = now.requests.iter().find(|request| request.id == id).expect("the request");
            let is_at_once = of("REQUEST_AUTO_APPROVED").any(|other| other == id);
            for control in controls.iter().filter(|control| control.is_enabled && control.is_approval_required) {
                if control.reprove_before_delivery {
                    let unproved = self.unproved(&now, id, stage_kind(control.source));
                    assert!(unproved.is_empty(), "{id} was delivered on approvals that count no more: {unproved:#?}");
                }
                if control.reevaluation == Reevaluation::AtSubmission && !is_at_once {
                    continue;
                }
                let cover = cover(&now, id, stage_kind(control.source));
                for who in [request.requestor_id, request.target_id] {
                    let level = self.truth.says(control.source, who).unwrap_or(RiskLevel::Undetermined);
                    let asks = level == RiskLevel::Undetermined || control.risk_levels.0.contains(&level);
                    assert!(
                        !asks || cover.covers(level),
                        "{id} was delivered although {} says {level} of {who}, and no approval has covered that",
                        control.source
                    );
                }
            }
            self.delivered += 1;
        }
        let decided: Vec<&decision::Model> = now.decisions.values().flatten().collect();
        for event in news.iter().filter(|event| ["STAGE_APPROVED", "STAGE_DENIED"].contains(&event.kind.as_str())) {
            let made = decided.iter().find(|decision| Some(decision.stage_id) == event.stage_id).expect("a decision");
            assert!(self.company.is_enabled(made.user_id), "{} decided with a disabled account", made.user_id);
            let role = made.role.is_none_or(|role| self.company.holds(made.user_id, role));
            assert!(role, "{} decided {} without {:?}", made.user_id, made.stage_id, made.role);
            let source = now.stages[&made.request_id].iter().find(|stage| stage.id == made.stage_id);
            let source = source.and_then(|stage| risk_source(stage.kind));
            let Some(control) = controls.iter().find(|control| Some(control.source) == source) else { continue };
            let refuses = control.is_enabled && control.is_approval_required && control.refuse_risky_approvers;
            if made.verdict == Verdict::Approve && refuses {
                let own = self.truth.says(control.source, made.user_id);
                let is_risky = own.is_none_or(|level| control.risk_levels.0.contains(&level));
                assert!(!is_risky, "{} approved {} while at risk: {own:?}", made.user_id, made.stage_id);
            }
        }
        self.position = now.head.position;
    }

    /// Approvals of one kind whose giver could not give them now, and after which nobody has who could.
    fn unproved(&self, now: &Snapshot, request: RequestId, kind: StageKind) -> Vec<decision::Model> {
        let mut unproved = Vec::new();
        let stages = now.stages.get(&request).into_iter().flatten();
        for stage in stages.filter(|stage| stage.kind == kind && stage.status == StageStatus::Approved) {
            let given = &now.decisions[&stage.id][0];
            let is_able = self.company.is_enabled(given.user_id)
                && given.role.is_some_and(|_| {
                    let roles = right_to_decide(kind).map_or(&[][..], Right::roles);
                    roles.iter().any(|role| self.company.holds(given.user_id, *role))
                });
            match is_able {
                true => unproved.clear(),
                false => unproved.push(given.clone()),
            }
        }
        unproved
    }
}

/// What the approvals of one kind have covered in a request.
fn cover(now: &Snapshot, request: RequestId, kind: StageKind) -> Cover {
    let mut cover = Cover::default();
    let stages = now.stages.get(&request).into_iter().flatten();
    for stage in stages.filter(|stage| stage.kind == kind && stage.status == StageStatus::Approved) {
        for id in [stage.evaluation_id, stage.latest_evaluation_id].into_iter().flatten() {
            let seen = now.evaluations[&request].iter().find(|evaluation| evaluation.id == id).expect("a reading");
            cover.add(seen.level);
        }
    }
    cover
}

async fn tell(kind: Kind) {
    let mut year = Year::begin(kind).await;
    for day in 1..=DAYS {
        for _ in 0..1 + year.dice.below(8) {
            year.step().await;
        }
        let hours = 20 + year.dice.below(9) as i64;
        if year.dice.below(2) == 0 {
            // Somebody repairs the sources by the evening.
            year.truth.down.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        year.time(hours).await;
        year.hold_against_the_model().await;
        if day % 73 == 0 {
            year.world.check().await;
            println!("day {day}: {} events, {} delivered, {} refused", year.position, year.delivered, year.refused);
        }
    }
    assert!(year.delivered > 100 && year.refused > 100, "a year in which little happened proves little");
    let whole = year.world.snapshot().await;
    let mut kinds = BTreeMap::new();
    whole.events.iter().for_each(|event| *kinds.entry(event.kind.clone()).or_insert(0) += 1);
    println!("{kinds:?}");
    for kind in [
        "STAGE_INSERTED",
        "STAGE_POSTPONED",
        "STAGE_TIMED_OUT",
        "STAGE_ESCALATED",
        "STAGE_COVERAGE_CHANGED",
        "STAGE_WITHOUT_APPROVER",
        "REQUEST_RESUMED",
        "REQUEST_AUTO_APPROVED",
        "REQUEST_CANCELED",
        "DECISION_REFUSED",
        "DIRECTORY_IMPORTED",
    ] {
        assert!(kinds.contains_key(kind), "a year without {kind}");
    }
    let is_asked_again = |stage: &stage::Model| stage.replaces_stage_id.is_some();
    assert!(whole.stages.values().flatten().any(is_asked_again), "a year in which no approval lost its ground");
    let at_risk = |event: &entity::event::Model| event.content.contains("APPROVER_AT_RISK");
    assert!(whole.events.iter().any(at_risk), "a year in which nobody at risk wanted to approve");
    year.db.close().await.expect("the connection closes");
    year.world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_on_sqlite() {
    tell(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn a_year_on_postgres() {
    tell(Kind::Postgres).await;
}
