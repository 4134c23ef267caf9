//! What must be true of every database at any moment, whatever happened before: asked behind the server's back.

use std::collections::HashMap;

use entity::{
    AssignmentState, Coverage, PlanningMoment, RequestId, RequestState, StageId, StageKind, StageStatus, assignment,
    decision, evaluation, event, explanation, head, request, stage, stage_approver,
};
use riskgate::domain::explanation::Account;
use riskgate::domain::route::{self, Facts, Route};
use sea_orm::{ColumnTrait, DatabaseConnection, DbBackend, EntityTrait, IsolationLevel, QueryFilter, TransactionTrait};

/// Everything, read at once.
pub struct Snapshot {
    pub requests: Vec<request::Model>,
    pub stages: HashMap<RequestId, Vec<stage::Model>>,
    pub approvers: HashMap<StageId, Vec<stage_approver::Model>>,
    pub evaluations: HashMap<RequestId, Vec<evaluation::Model>>,
    pub explanations: HashMap<RequestId, Vec<explanation::Model>>,
    pub decisions: HashMap<StageId, Vec<decision::Model>>,
    pub assignments: HashMap<RequestId, Vec<assignment::Model>>,
    pub events: Vec<event::Model>,
    pub head: head::Model,
    /// Is it everything?
    is_whole: bool,
}

fn grouped<K: std::hash::Hash + Eq, V>(rows: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, Vec<V>> {
    let mut groups: HashMap<K, Vec<V>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}

impl Snapshot {
    /// Reads it in one transaction: a server that was killed may have left a COMMIT that is still being carried out.
    pub async fn read(db: &DatabaseConnection) -> Snapshot {
        Snapshot::of(db, None).await
    }

    /// The same, but of the requests no more than those that the log speaks of after this position, and nothing else of the log.
    pub async fn since(db: &DatabaseConnection, position: i64) -> Snapshot {
        Snapshot::of(db, Some(position)).await
    }

    async fn of(db: &DatabaseConnection, since: Option<i64>) -> Snapshot {
        let isolation = (db.get_database_backend() == DbBackend::Postgres).then_some(IsolationLevel::RepeatableRead);
        let db = &db.begin_with_config(isolation, None).await.expect("a transaction");
        let touched: Option<Vec<RequestId>> = match since {
            None => None,
            Some(position) => {
                let events = event::Entity::find().filter(event::Column::Position.gt(position));
                let mut ids: Vec<_> =
                    events.all(db).await.expect("events").into_iter().filter_map(|row| row.request_id).collect();
                ids.sort_unstable();
                ids.dedup();
                Some(ids)
            }
        };
        /// All rows of a table, or those of some requests.
        macro_rules! rows {
            ($table:ident, $column:ident) => {{
                let all = $table::Entity::find();
                let some = match &touched {
                    None => all,
                    Some(ids) => all.filter($table::Column::$column.is_in(ids.iter().copied())),
                };
                some.all(db).await.expect("rows")
            }};
        }
        let mut stages = grouped(rows!(stage, RequestId), |row| row.request_id);
        stages.values_mut().for_each(|rows| rows.sort_by_key(|row| row.order_key));
        let approvers = match &touched {
            None => stage_approver::Entity::find(),
            Some(_) => stage_approver::Entity::find()
                .filter(stage_approver::Column::StageId.is_in(stages.values().flatten().map(|stage| stage.id))),
        };
        let mut evaluations = grouped(rows!(evaluation, RequestId), |row| row.request_id);
        evaluations.values_mut().for_each(|rows| rows.sort_by_key(|row| row.ordinal));
        let mut explanations = grouped(rows!(explanation, RequestId), |row| row.request_id);
        explanations.values_mut().for_each(|rows| rows.sort_by_key(|row| (row.planned_at, row.id)));
        let mut events = rows!(event, RequestId);
        events.sort_by_key(|row| row.position);
        Snapshot {
            requests: rows!(request, Id),
            approvers: grouped(approvers.all(db).await.expect("approvers"), |row| row.stage_id),
            stages,
            evaluations,
            explanations,
            decisions: grouped(rows!(decision, RequestId), |row| row.stage_id),
            assignments: grouped(rows!(assignment, RequestId), |row| row.request_id),
            events,
            head: head::Entity::find_by_id(1).one(db).await.expect("head").expect("a head"),
            is_whole: touched.is_none(),
        }
    }

    /// What is wrong; nothing, if all is well.
    pub fn offences(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.is_whole {
            self.log(&mut wrong);
        }
        let told = self.told();
        for request in &self.requests {
            let before = wrong.len();
            self.request(request, &told, &mut wrong);
            self.replay(request, &mut wrong);
            for line in &mut wrong[before..] {
                *line = format!("{} ({}): {line}", request.id, request.state);
            }
        }
        for id in self.assignments.keys() {
            if !self.requests.iter().any(|request| request.id == *id) {
                wrong.push(format!("an assignment of no request: {id}"));
            }
        }
        wrong
    }

    fn log(&self, wrong: &mut Vec<String>) {
        for (index, event) in self.events.iter().enumerate() {
            if event.position != index as i64 + 1 {
                wrong.push(format!("position {} stands at place {}", event.position, index + 1));
                return;
            }
        }
        if self.head.position != self.events.len() as i64 {
            wrong.push(format!("the head is {} of {} events", self.head.position, self.events.len()));
        }
    }

    /// How often each kind of event was told of each request and stage.
    fn told(&self) -> HashMap<(RequestId, Option<StageId>, &str), usize> {
        let mut told = HashMap::new();
        for event in &self.events {
            if let Some(request) = event.request_id {
                *told.entry((request, event.stage_id, event.kind.as_str())).or_insert(0) += 1;
            }
        }
        told
    }

    fn request(
        &self,
        request: &request::Model,
        told: &HashMap<(RequestId, Option<StageId>, &str), usize>,
        wrong: &mut Vec<String>,
    ) {
        let none = Vec::new();
        let stages = self.stages.get(&request.id).unwrap_or(&none);
        let count =
            |stage: Option<StageId>, kind: &'static str| told.get(&(request.id, stage, kind)).copied().unwrap_or(0);
        let mut ask = |holds: bool, what: String| {
            if !holds {
                wrong.push(what);
            }
        };

        // Order: ID Protection, insider risk, the policy's own.
        let planned = stages.iter().filter(|stage| stage.inserted_at.is_none());
        let kinds: Vec<_> = planned.map(|stage| stage.kind).collect();
        let mut sorted = kinds.clone();
        sorted.sort();
        ask(kinds == sorted, format!("stages stand in the order {kinds:?}"));

        // One path through the states.
        let pending = stages.iter().filter(|stage| stage.status == StageStatus::Pending).count();
        let is_waiting = request.state == RequestState::Submitted;
        let is_pending = request.state == RequestState::PendingApproval;
        let is_open = is_pending || is_waiting;
        ask(pending == usize::from(is_pending), format!("{pending} stages are pending"));
        ask(request.retry_at.is_some() == is_waiting, "it waits for a source without being tried again".to_owned());
        ask(!is_waiting || stages.is_empty(), "it waits for a source and has stages".to_owned());
        if is_pending {
            let at = stages.iter().position(|stage| stage.status == StageStatus::Pending).unwrap_or(0);
            ask(stages[..at].iter().all(|s| s.status == StageStatus::Approved), "a stage was passed over".to_owned());
            ask(
                stages.iter().skip(at + 1).all(|s| s.status == StageStatus::Waiting),
                "a later stage has begun".to_owned(),
            );
        } else {
            ask(
                !stages.iter().any(|s| matches!(s.status, StageStatus::Pending | StageStatus::Waiting)),
                "it has ended with a stage undecided".to_owned(),
            );
        }
        let ends: usize = ["REQUEST_DELIVERED", "REQUEST_DENIED", "REQUEST_TIMED_OUT", "REQUEST_CANCELED"]
            .into_iter()
            .map(|kind| count(None, kind))
            .sum();
        ask(ends == usize::from(!is_open), format!("{ends} events tell of its end"));
        ask(count(None, "REQUEST_SUBMITTED") == 1, "it was not submitted once".to_owned());
        ask(request.outcome.is_some() != is_open, "outcome and state differ".to_owned());
        ask(request.completed_at.is_some() != is_open, "completedAt and state differ".to_owned());

        // Access exists only by the recorded route.
        let assignments = self.assignments.get(&request.id).map_or(0, Vec::len);
        let is_delivered = request.state == RequestState::Delivered;
        ask(assignments == usize::from(is_delivered), format!("{assignments} assignments"));
        ask(count(None, "ASSIGNMENT_DELIVERED") == assignments, "assignment and its event differ".to_owned());
        if is_delivered {
            ask(
                stages.iter().all(|s| s.status == StageStatus::Approved),
                "delivered without every approval".to_owned(),
            );
            let approvals = (count(None, "REQUEST_APPROVED"), count(None, "REQUEST_AUTO_APPROVED"));
            let wanted = if stages.is_empty() { (0, 1) } else { (1, 0) };
            ask(approvals == wanted, format!("approved {approvals:?} times"));
        }
        let is_active = self
            .assignments
            .get(&request.id)
            .is_some_and(|rows| rows.iter().any(|row| row.state != AssignmentState::Expired));
        ask(request.holds_slot == (is_open || is_active), "the slot is held wrongly".to_owned());

        for stage in stages {
            let decisions = self.decisions.get(&stage.id).map_or(&[][..], Vec::as_slice);
            let is_decided = matches!(stage.status, StageStatus::Approved | StageStatus::Denied);
            ask(decisions.len() == usize::from(is_decided), format!("{}: {} decisions", stage.id, decisions.len()));
            for decision in decisions {
                let is_party = decision.user_id == request.requestor_id || decision.user_id == request.target_id;
                ask(!is_party, format!("{}: decided by a party", stage.id));
                let needs_role = stage.kind != StageKind::Policy;
                ask(decision.role.is_some() == needs_role, format!("{}: decided without the role", stage.id));
            }
            // Its turn comes once, and once more after each time that it had to wait behind another one.
            let turns = count(Some(stage.id), "STAGE_PENDING");
            let waits = count(Some(stage.id), "STAGE_POSTPONED");
            let is_behind = stage.pending_since.is_some() && turns == waits;
            let had_turn = usize::from(stage.pending_since.is_some()) + waits - usize::from(is_behind);
            ask(turns == had_turn, format!("{}: its turn was told {turns} times, not {had_turn}", stage.id));
            ask(!is_behind || stage.status != StageStatus::Pending, format!("{}: pending untold", stage.id));
            let inserted = usize::from(stage.inserted_at.is_some());
            ask(count(Some(stage.id), "STAGE_INSERTED") == inserted, format!("{}: insertion", stage.id));
            for (status, kind) in [
                (StageStatus::Approved, "STAGE_APPROVED"),
                (StageStatus::Denied, "STAGE_DENIED"),
                (StageStatus::TimedOut, "STAGE_TIMED_OUT"),
                (StageStatus::Canceled, "STAGE_CANCELED"),
            ] {
                let wanted = usize::from(stage.status == status);
                ask(count(Some(stage.id), kind) == wanted, format!("{}: {kind} was not told {wanted} times", stage.id));
            }
            let escalated = usize::from(stage.escalated_at.is_some());
            ask(count(Some(stage.id), "STAGE_ESCALATED") == escalated, format!("{}: escalation", stage.id));
            if stage.status == StageStatus::Pending && stage.coverage == Some(Coverage::Nobody) {
                ask(count(Some(stage.id), "STAGE_WITHOUT_APPROVER") > 0, format!("{}: nobody was alerted", stage.id));
            }
            ask(self.approvers.contains_key(&stage.id), format!("{}: it names nobody", stage.id));
        }
    }

    /// The route can be made again from the facts that are stored, and is the one that was taken.
    fn replay(&self, request: &request::Model, wrong: &mut Vec<String>) {
        let facts: Facts = match serde_json::from_str(&request.facts) {
            Ok(facts) => facts,
            Err(error) => return wrong.push(format!("its facts cannot be read: {error}")),
        };
        if serde_json::to_string(&facts).ok().as_ref() != Some(&request.facts) {
            wrong.push("its facts are not stored bit for bit".to_owned());
        }
        let route = route::plan(&facts);
        let none = Vec::new();
        let stages = self.stages.get(&request.id).unwrap_or(&none);
        // Not laid out yet, or never: it waited for a source.
        let laid_out = if route.hold.is_some() { &[][..] } else { &route.stages };
        let planned: Vec<_> = laid_out
            .iter()
            .map(|s| (s.kind, s.decision_timeout, s.escalate_after, s.is_justification_required))
            .collect();
        let stored: Vec<_> = stages
            .iter()
            .filter(|s| s.inserted_at.is_none())
            .map(|s| (s.kind, s.decision_timeout, s.escalate_after, s.is_justification_required))
            .collect();
        if planned != stored {
            wrong.push(format!("the route made again has the stages {planned:?}, stored are {stored:?}"));
        }
        let none = Vec::new();
        let evaluations = self.evaluations.get(&request.id).unwrap_or(&none);
        let stored: Vec<_> = evaluations
            .iter()
            .map(|e| {
                (
                    e.source,
                    e.subject_id,
                    e.level,
                    e.evaluated_at,
                    e.configuration_version,
                    e.is_stage_required,
                    &e.reason,
                )
            })
            .collect();
        let planned: Vec<_> = route
            .evaluations
            .iter()
            .map(|e| {
                let r = &e.reading;
                (r.source, r.subject, r.level, r.read_at, e.configuration_version, e.is_stage_required, &e.reason)
            })
            .collect();
        // Others came before where it waited for a source; later readings follow.
        if !planned.is_empty() && !stored.windows(planned.len()).any(|window| window == planned) {
            wrong.push(format!("the route made again has the evaluations {planned:?}, stored are {stored:?}"));
        }
        self.explained(request, &route, wrong);
    }

    /// The planner's account is kept as the planner gives it, and each stage was put on the way by exactly one account.
    fn explained(&self, request: &request::Model, route: &Route, wrong: &mut Vec<String>) {
        let rows = self.explanations.get(&request.id).map_or(&[][..], Vec::as_slice);
        let read = |row: &explanation::Model| serde_json::from_str::<Account>(&row.content).ok();
        let Some(accounts) = rows.iter().map(read).collect::<Option<Vec<_>>>() else {
            return wrong.push("an account of it cannot be read".to_owned());
        };
        let is_first = |moment| matches!(moment, PlanningMoment::Submission | PlanningMoment::Resumption);
        let laid_out = rows.iter().zip(&accounts).rfind(|(row, _)| is_first(row.moment));
        if laid_out.is_none_or(|(_, account)| account.steps != route.steps) {
            wrong.push("the account of its route is not the one that is made again".to_owned());
        }
        let mut put: Vec<(StageId, StageKind)> = Vec::new();
        for account in &accounts {
            let stages = account.steps.iter().filter_map(|step| Some((*account.stages.get(step.stage?)?, step.kind)));
            put.extend(stages);
        }
        let mut stored: Vec<_> = self.stages.get(&request.id).into_iter().flatten().map(|s| (s.id, s.kind)).collect();
        put.sort();
        stored.sort();
        if put != stored {
            wrong.push(format!("its accounts put the stages {put:?} on the way, stored are {stored:?}"));
        }
    }
}
