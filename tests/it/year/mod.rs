//! A year in the life of a company of ten thousand: people ask, decide and change, risk comes and goes, sources fail, the server
//! restarts. A model beside it knows what is true; after every step, what the step touched is held against it. Calls come one after the
//! other there, so that the seed, which is printed and which `RISKGATE_TEST_SEED` sets, repeats everything.
//!
//! The busy season is the same life with calls at once, clients that give up in the middle, and on PostgreSQL two instances. There the
//! seed repeats what is tried, not who wins.

mod model;
mod truth;

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::Arc;

use entity::{Reevaluation, RequestId, RiskLevel, RiskSource, Seconds, StageId, StageStatus, UserId, Verdict, stage};
use futures_util::future::{join_all, select};
use riskgate::app::App;
use riskgate::demo::{FINANCE_DATA, PRODUCTION_ACCESS, WIKI};
use riskgate::domain::permission::{Actor, Principal};
use riskgate::domain::risk::selectable;
use riskgate::service::{Decide, Services, Sources, Submit};
use sea_orm::{ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, Statement};
use serde_json::{Value, json};

use self::truth::{Told, Truth};
use crate::support::{Company, Dice, Kind, Options, Person, World};

const PEOPLE: usize = 10_000;

/// How calls come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Each when the one before is answered.
    OneByOne,
    /// Those of a step at once, some by clients that do not wait; on PostgreSQL, at two instances.
    AtOnce,
}

/// One call of a step.
type Call<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// The year, and everything that the model knows.
struct Year {
    pace: Pace,
    world: World,
    /// The other instance, where there is one.
    other: Option<App>,
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
    async fn begin(kind: Kind, pace: Pace) -> Year {
        let truth = Arc::new(Truth::default());
        let reader = |source| Arc::new(Told::new(source, truth.clone()));
        let sources =
            Sources { id_protection: reader(RiskSource::IdProtection), insider: reader(RiskSource::InsiderRisk) };
        let world = World::start(kind, Options { sources: Some(sources), ..Options::default() }).await;
        truth.goes_by(&world.clock);
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
        let has_other = pace == Pace::AtOnce && kind == Kind::Postgres;
        let other = if has_other { Some(world.another_instance().await) } else { None };
        Year { pace, world, other, db, company, truth, dice, packages, position, delivered: 0, refused: 0 }
    }

    /// One of the instances.
    fn instance(&mut self) -> &App {
        match &self.other {
            Some(other) if self.dice.below(2) == 0 => other,
            _ => self.world.app(),
        }
    }

    fn services(&mut self) -> Arc<Services> {
        self.instance().services.clone()
    }

    fn person(&mut self, who: UserId) -> Person {
        let address = self.instance().address;
        self.world.holder(address, who, self.company.upn(who), Seconds::hours(1))
    }

    /// For how long the client waits who calls now; nothing: to the end.
    fn patience(&mut self, one_in: usize) -> Option<usize> {
        (self.pace == Pace::AtOnce && self.dice.below(one_in) == 0).then(|| self.dice.below(60))
    }

    /// Makes the calls of a step.
    async fn makes<T>(&self, calls: Vec<Call<'_, T>>) -> Vec<T> {
        if self.pace == Pace::AtOnce {
            let done = join_all(calls).await;
            self.settles().await;
            return done;
        }
        let mut done = Vec::new();
        for call in calls {
            done.push(call.await);
        }
        done
    }

    fn somebody(&mut self) -> UserId {
        if self.dice.below(3) == 0 {
            self.company.anybody(&mut self.dice)
        } else {
            self.dice.pick(&self.company.lively)
        }
    }

    /// Some people ask, each for themselves or for a report, some of them twice.
    async fn ask(&mut self) {
        let query = "mutation($i: SubmitAccessRequestInput!) { submitAccessRequest(input: $i) { request { id } userErrors { code } } }";
        let mut calls: Vec<Call<()>> = Vec::new();
        for _ in 0..1 + self.dice.below(4) {
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
                let (turns, services) = (self.patience(6), self.services());
                let (signed_in, dropped) = (signed_in.clone(), dropped.clone());
                calls.push(Box::pin(async move {
                    match (turns, signed_in) {
                        (Some(turns), Some(actor)) => impatient(turns, services.submit(&actor, dropped)).await,
                        _ => {
                            let answer = who.ask(query, input).await;
                            assert!(["", "UNAUTHENTICATED", "CONFLICT"].contains(&answer.code()), "{:#}", answer.body);
                        }
                    }
                }));
            }
        }
        self.makes(calls).await;
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

    /// Somebody of a pending stage's sets decides, or several do; some are not entitled, and are told so.
    /// With `is_to_go_on`, where somebody has approved already.
    async fn decide(&mut self, is_to_go_on: bool) {
        let which =
            if is_to_go_on { "AND EXISTS (SELECT 1 FROM decision d WHERE d.request_id = s.request_id)" } else { "" };
        let text = format!(
            "SELECT s.id AS id, m.user_id AS user_id FROM stage s JOIN stage_approver a ON a.stage_id = s.id \
            JOIN membership m ON m.kind = a.kind AND m.subject = a.subject AND m.until IS NULL WHERE s.status = 'PENDING' {which} \
            ORDER BY s.pending_since DESC, s.request_id, m.user_id LIMIT 300"
        );
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
        let mut calls: Vec<Call<Option<bool>>> = Vec::new();
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
            let (who, signed_in) = (self.person(who), self.signed_in(who).await);
            let (turns, services) = (self.patience(8), self.services());
            calls.push(Box::pin(async move {
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
            }));
        }
        let done = self.makes(calls).await;
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
            let services = self.instances();
            for done in join_all(services.iter().map(|services| services.follow_risk())).await {
                done.expect("what the log tells is acted on");
            }
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

    /// The use cases of every instance.
    fn instances(&self) -> Vec<Arc<Services>> {
        [Some(self.world.app()), self.other.as_ref()].into_iter().flatten().map(|app| app.services.clone()).collect()
    }

    /// Does what is due now, at every instance at once; returns how much that was.
    async fn run_due(&self) -> usize {
        let services = self.instances();
        let done = join_all(services.iter().map(|services| services.run_due())).await;
        done.into_iter().map(|done| done.expect("the clockwork runs")).sum()
    }

    /// Hours pass; everything that falls due on the way happens in its own hour.
    async fn time(&mut self, hours: i64) {
        let then = self.world.now().plus(Seconds::hours(hours));
        while let Some(due) = self.world.services().next_due().await.expect("a moment").filter(|due| *due <= then) {
            self.world.clock.set(due.max(self.world.now()));
            if self.run_due().await == 0 {
                break;
            }
            self.hold_against_the_model().await;
        }
        self.world.clock.set(then);
        self.run_due().await;
        let late = stage::Entity::find()
            .filter(stage::Column::Status.eq(StageStatus::Pending))
            .filter(stage::Column::DueAt.lte(then))
            .all(&self.db)
            .await
            .expect("stages");
        assert!(late.is_empty(), "nobody decided these in time, and they wait on: {late:#?}");
    }

    async fn step(&mut self) {
        match self.dice.below(41) {
            0..=13 => self.ask().await,
            14..=29 => {
                for _ in 0..1 + self.dice.below(4) {
                    let is_to_go_on = self.dice.below(2) == 0;
                    self.decide(is_to_go_on).await;
                    self.hold_against_the_model().await;
                }
            }
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
            38..=39 => {
                let text = "SELECT d.user_id AS user_id FROM decision d JOIN request r ON r.id = d.request_id JOIN stage s ON s.id = d.stage_id \
                    WHERE r.state = 'PENDING_APPROVAL' AND s.kind <> 'POLICY' ORDER BY d.decided_at DESC, d.request_id LIMIT 5";
                let rows = self.db.query_all_raw(Statement::from_string(self.db.get_database_backend(), text)).await;
                let rows = rows.expect("decisions");
                let deciders: Vec<UserId> = rows.iter().map(|row| row.try_get("", "user_id").expect("an id")).collect();
                let file = self.company.changes(&deciders, &mut self.dice);
                let picture = serde_json::from_value(file).expect("a file of the directory");
                let options = riskgate::service::ImportOptions { partial: true, ..Default::default() };
                self.world.services().import(&picture, options).await.expect("the file is loaded");
                // Those who have just changed may have approved already.
                for _ in 0..4 {
                    self.hold_against_the_model().await;
                    self.decide(true).await;
                }
            }
            _ => match self.other.take_if(|_| self.dice.below(2) == 0) {
                None => self.world.restart().await,
                Some(other) => {
                    other.stop().await;
                    self.other = Some(self.world.another_instance().await);
                }
            },
        }
        self.hold_against_the_model().await;
    }

    /// Days pass, each with a few steps.
    async fn live(&mut self, days: usize) {
        for day in 1..=days {
            for _ in 0..1 + self.dice.below(8) {
                self.step().await;
            }
            let hours = 20 + self.dice.below(9) as i64;
            if self.dice.below(2) == 0 {
                // Somebody repairs the sources by the evening.
                self.truth.heals();
            }
            self.time(hours).await;
            self.hold_against_the_model().await;
            if day % 73 == 0 {
                self.world.check().await;
                println!("day {day}: {} events, {} delivered, {} refused", self.position, self.delivered, self.refused);
            }
        }
    }

    async fn end(self) {
        self.db.close().await.expect("the connection closes");
        if let Some(other) = self.other {
            other.stop().await;
        }
        self.world.end().await;
    }

    /// The log, with each random id as the number of its first mention. Without what goes by the clock on the wall: which plans that
    /// waited together share a commit.
    async fn told(&self) -> Vec<String> {
        let mut numbers = HashMap::new();
        let mut told = Vec::new();
        for event in self.world.snapshot().await.events {
            let mut content: Value = serde_json::from_str(&event.content).expect("JSON");
            content.as_object_mut().and_then(|content| content.remove("commitId")).expect("the commit");
            told.push(numbered(&content.to_string(), &mut numbers));
        }
        told
    }
}

/// A text in which each UUID is the number of its first mention.
fn numbered(text: &str, numbers: &mut HashMap<String, usize>) -> String {
    const LENGTH: usize = 36;
    let (mut told, mut rest) = (String::new(), text);
    while let Some(next) = rest.chars().next() {
        match rest.get(..LENGTH).filter(|piece| uuid::Uuid::try_parse(piece).is_ok()) {
            Some(piece) => {
                let count = numbers.len();
                told.push_str(&format!("#{}", numbers.entry(piece.to_owned()).or_insert(count)));
                rest = &rest[LENGTH..];
            }
            None => {
                told.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
    }
    told
}

async fn year(kind: Kind) {
    let mut year = Year::begin(kind, Pace::OneByOne).await;
    year.live(365).await;
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
    let replaced = whole.stages.values().flatten().filter(|stage| stage.replaces_stage_id.is_some()).count();
    let at_risk = whole.events.iter().filter(|event| event.content.contains("APPROVER_AT_RISK")).count();
    println!("{replaced} approvals lost their ground, {at_risk} people at risk wanted to approve");
    assert!(replaced > 0, "a year in which no approval lost its ground");
    assert!(at_risk > 0, "a year in which nobody at risk wanted to approve");
    year.end().await;
}

async fn busy_season(kind: Kind) {
    let mut season = Year::begin(kind, Pace::AtOnce).await;
    season.live(90).await;
    assert!(season.delivered > 20 && season.refused > 20, "a season in which little happened proves little");
    season.end().await;
}

/// The seed tells the same story on both.
async fn same_story(one: Kind, another: Kind) {
    let mut told = Vec::new();
    for kind in [one, another] {
        let mut year = Year::begin(kind, Pace::OneByOne).await;
        year.live(60).await;
        told.push(year.told().await);
        year.end().await;
    }
    let differs = told[0].iter().zip(&told[1]).find(|(one, another)| one != another);
    assert!(differs.is_none(), "the same seed tells two stories: {differs:#?}");
    assert_eq!(told[0].len(), told[1].len(), "one story goes on");
    assert!(told[0].len() > 500, "a story in which little happened proves little");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_on_sqlite() {
    year(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn a_year_on_postgres() {
    year(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_season_on_sqlite() {
    busy_season(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn a_busy_season_on_postgres() {
    busy_season(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seed_tells_the_same_story_twice() {
    same_story(Kind::Sqlite, Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn the_seed_tells_the_same_story_on_both_databases() {
    same_story(Kind::Sqlite, Kind::Postgres).await;
}
