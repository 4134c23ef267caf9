//! Requests, their readings, and assignments.

use std::collections::HashMap;

use entity::{
    AssignmentId, AssignmentState, PackageId, RequestId, RequestState, StageId, StageKind, Timestamp, UserId, Verdict,
    assignment, evaluation, explanation, idempotency, request, stage,
};
use sea_orm::{FromQueryResult, TryGetable};

use super::access::{self, Viewer};
use super::directory::holds_role;
use super::page::{Kind, List, PageArgs, flag};
use super::sql::{Params, each};
use super::{Page, Read, Store};
use crate::domain::living::{Approval, Course};
use crate::domain::permission::Actor;
use crate::domain::risk::Lost;

/// A request as somebody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// The request.
    pub request: request::Model,
    /// Does the viewer read risk in it?
    pub reads_risk: bool,
}

/// Which requests are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// In one of these states; an empty list matches nothing.
    pub states: Option<Vec<RequestState>>,
    /// For one package.
    pub package: Option<PackageId>,
    /// Of one package's own list.
    pub of_package: Option<PackageId>,
    /// By one person.
    pub requestor: Option<UserId>,
    /// For one person.
    pub target: Option<UserId>,
    /// Where this person is requestor or target.
    pub party: Option<UserId>,
    /// From this moment on.
    pub created_after: Option<Timestamp>,
    /// Before this moment.
    pub created_before: Option<Timestamp>,
    /// With a risk stage, or without.
    pub has_risk_stage: Option<bool>,
}

/// Which assignments are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssignmentFilter {
    /// Of one package.
    pub package: Option<PackageId>,
    /// Of one person.
    pub target: Option<UserId>,
    /// In one of these states; an empty list matches nothing.
    pub states: Option<Vec<AssignmentState>>,
}

/// An approval of a stage of risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// Who gave it.
    pub user: UserId,
    /// The kind of stage.
    pub kind: StageKind,
    /// What has become of who gave it, as far as the directory knows.
    pub approval: Approval,
}

impl Store {
    /// One page of the requests that somebody sees, newest first.
    pub async fn requests(&self, actor: &Actor, filter: &RequestFilter, args: &PageArgs) -> Read<Page<RequestRow>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        // Whoever asks for their own sees them.
        let is_own =
            actor.user_id().is_some_and(|me| [filter.party, filter.requestor, filter.target].contains(&Some(me)));
        let seen = if is_own { Some(access::own(&viewer)) } else { access::seen(&viewer) };
        let from = match seen {
            Some(seen) => format!("{seen} {}", each(self.db, "request", "r", "r.id = mine.id")),
            None => "request r".to_owned(),
        };
        let mut tests = vec!["1 = 1".to_owned()];
        if let Some(states) = &filter.states {
            tests.push(format!("r.state {}", params.any(states.iter().map(|state| state.as_str()))));
        }
        for package in [filter.package, filter.of_package].into_iter().flatten() {
            tests.push(format!("r.package_id = {}", params.add(package)));
        }
        if let Some(requestor) = filter.requestor {
            tests.push(format!("r.requestor_id = {}", params.add(requestor)));
        }
        if let Some(target) = filter.target {
            tests.push(format!("r.target_id = {}", params.add(target)));
        }
        if let Some(party) = filter.party {
            let party = params.add(party);
            tests.push(format!("(r.requestor_id = {party} OR r.target_id = {party})"));
        }
        if let Some(after) = filter.created_after {
            tests.push(format!("r.created_at >= {}", params.add(after)));
        }
        if let Some(before) = filter.created_before {
            tests.push(format!("r.created_at < {}", params.add(before)));
        }
        if let Some(has_risk_stage) = filter.has_risk_stage {
            tests.push(if has_risk_stage { "r.has_risk_stage" } else { "NOT r.has_risk_stage" }.to_owned());
        }
        let list = List {
            columns: format!("r.*, {} AS reads_risk", access::reads_risk(&viewer)),
            from,
            filter: tests.join(" AND "),
            order: &[("r.created_at", Kind::Number), ("r.id", Kind::Text)],
            descending: true,
        };
        self.page(params, list, args, request_row).await
    }

    /// Which of these requests somebody sees.
    pub async fn visible_requests(&self, actor: &Actor, ids: &[RequestId]) -> Read<Vec<RequestRow>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let any = params.any(ids.iter().map(|id| id.0.to_string()));
        let (risk, sees) = (access::reads_risk(&viewer), access::sees_request(&viewer));
        let text = format!("SELECT r.*, {risk} AS reads_risk FROM request r WHERE r.id {any} AND {sees}");
        self.all(params.statement(text)).await?.iter().map(request_row).collect()
    }

    /// A request and its undecided stages in order, whoever asks: for the use cases that change it.
    pub async fn open_request(&self, id: RequestId) -> Read<Option<(request::Model, Vec<stage::Model>)>> {
        let mut params = Params::new(self.db);
        let request = params.add(id);
        let row = self.row(params.statement(format!("SELECT * FROM request WHERE id = {request}"))).await?;
        let Some(row) = row else { return Ok(None) };
        let mut params = Params::new(self.db);
        let request = params.add(id);
        let text = format!(
            "SELECT * FROM stage WHERE request_id = {request} AND status IN ('PENDING', 'WAITING') ORDER BY order_key"
        );
        Ok(Some((row, self.rows(params.statement(text)).await?)))
    }

    /// Requests with what they have behind them: every stage and every reading.
    pub async fn courses(&self, ids: &[RequestId]) -> Read<Vec<(request::Model, Course)>> {
        let rows = async |text: &str| {
            let mut params = Params::new(self.db);
            let any = params.any(ids.iter().map(|id| id.0.to_string()));
            params.statement(text.replace("{any}", &any))
        };
        let requests: Vec<request::Model> = self.rows(rows("SELECT * FROM request WHERE id {any}").await).await?;
        let text = "SELECT * FROM stage WHERE request_id {any} ORDER BY request_id, order_key";
        let mut stages: HashMap<_, Vec<stage::Model>> = HashMap::new();
        for stage in self.rows::<stage::Model>(rows(text).await).await? {
            stages.entry(stage.request_id).or_default().push(stage);
        }
        let mut evaluations: HashMap<_, Vec<evaluation::Model>> = HashMap::new();
        for evaluation in self.evaluations_of(ids).await? {
            evaluations.entry(evaluation.request_id).or_default().push(evaluation);
        }
        let courses = requests.into_iter().map(|request| {
            let course = Course {
                stages: stages.remove(&request.id).unwrap_or_default(),
                evaluations: evaluations.remove(&request.id).unwrap_or_default(),
                approvals: Vec::new(),
            };
            (request, course)
        });
        Ok(courses.collect())
    }

    /// The approvals of the stages of risk of a request.
    pub async fn approvals(&self, request: RequestId) -> Read<Vec<Given>> {
        let mut params = Params::new(self.db);
        let request = params.add(request);
        let text = format!(
            "SELECT d.stage_id, d.user_id, s.kind, u.id IS NULL OR u.deleted_at IS NOT NULL AS is_deleted, \
             u.id IS NOT NULL AND NOT u.is_enabled AS is_disabled, NOT {} AS is_without_role \
             FROM decision d JOIN stage s ON s.id = d.stage_id LEFT JOIN directory_user u ON u.id = d.user_id \
             WHERE d.request_id = {request} AND d.verdict = '{}' AND s.kind <> 'POLICY'",
            holds_role("s.kind", "d.user_id"),
            Verdict::Approve
        );
        let rows = self.all(params.statement(text)).await?;
        let approval = |row| {
            let lost = match (flag(row, "is_deleted")?, flag(row, "is_disabled")?, flag(row, "is_without_role")?) {
                (true, _, _) => Some(Lost::Deleted),
                (_, true, _) => Some(Lost::Disabled),
                (_, _, true) => Some(Lost::Role),
                _ => None,
            };
            let approval = Approval { stage: StageId::try_get(row, "", "stage_id")?, lost };
            Ok(Given {
                user: UserId::try_get(row, "", "user_id")?,
                kind: StageKind::try_get(row, "", "kind")?,
                approval,
            })
        };
        rows.iter().map(approval).collect()
    }

    /// The next requests of a person, by id, that wait for an approval, or for a source; with `has_risk_stage`, only those that have a
    /// stage of risk.
    pub async fn open_requests_of(
        &self,
        user: UserId,
        after: Option<RequestId>,
        has_risk_stage: bool,
        limit: usize,
    ) -> Read<Vec<RequestId>> {
        let mut params = Params::new(self.db);
        let (user, after) = (params.add(user), params.add(after.map_or(String::new(), |id| id.0.to_string())));
        let more = if has_risk_stage { " AND has_risk_stage" } else { "" };
        // One after the other by its own index: no index serves an OR in the order of ids.
        let by = |column: &str, test: &str| {
            format!(
                "SELECT * FROM (SELECT id FROM request WHERE {column} = {user} AND {test} AND id > {after}{more} \
                 ORDER BY id LIMIT {limit}) x"
            )
        };
        let (pending, waiting) = ("state = 'PENDING_APPROVAL'", "retry_at IS NOT NULL");
        let each =
            [("requestor_id", pending), ("target_id", pending), ("requestor_id", waiting), ("target_id", waiting)];
        let each = each.map(|(column, test)| by(column, test));
        let text = format!("{} ORDER BY id LIMIT {limit}", each.join(" UNION "));
        let rows = self.all(params.statement(text)).await?;
        rows.iter().map(|row| Ok(RequestId::try_get(row, "", "id")?)).collect()
    }

    /// The readings of these requests, in order.
    pub async fn evaluations_of(&self, requests: &[RequestId]) -> Read<Vec<evaluation::Model>> {
        let mut params = Params::new(self.db);
        let any = params.any(requests.iter().map(|id| id.0.to_string()));
        let text = format!("SELECT * FROM evaluation WHERE request_id {any} ORDER BY request_id, ordinal");
        self.rows(params.statement(text)).await
    }

    /// What the planner found each time that it planned these requests, in order.
    pub async fn explanations_of(&self, requests: &[RequestId]) -> Read<Vec<explanation::Model>> {
        let mut params = Params::new(self.db);
        let any = params.any(requests.iter().map(|id| id.0.to_string()));
        let text = format!("SELECT * FROM explanation WHERE request_id {any} ORDER BY request_id, planned_at, id");
        self.rows(params.statement(text)).await
    }

    /// The assignments that these requests gave.
    pub async fn assignments_of(&self, requests: &[RequestId]) -> Read<Vec<assignment::Model>> {
        let mut params = Params::new(self.db);
        let any = params.any(requests.iter().map(|id| id.0.to_string()));
        self.rows(params.statement(format!("SELECT * FROM assignment WHERE request_id {any}"))).await
    }

    /// What a person's idempotency key stands for.
    pub async fn idempotency(&self, user: UserId, key: &str) -> Read<Option<idempotency::Model>> {
        let mut params = Params::new(self.db);
        let (user, key) = (params.add(user), params.add(key.to_owned()));
        self.row(params.statement(format!("SELECT * FROM idempotency WHERE user_id = {user} AND key = {key}"))).await
    }

    /// Forgets some of the keys from before a moment, the oldest first; returns how many. No part of the log, as little as the keys are.
    pub async fn forget_idempotency(&self, before: Timestamp, limit: usize) -> Read<usize> {
        let mut params = Params::new(self.db);
        let before = params.add(before);
        // Asked twice: a key that was used anew in this moment stays.
        let text = format!(
            "DELETE FROM idempotency WHERE created_at < {before} AND (user_id, key) IN \
             (SELECT user_id, key FROM idempotency WHERE created_at < {before} ORDER BY created_at LIMIT {limit})"
        );
        let gone = self.aside(params.statement(text)).await?;
        Ok(usize::try_from(gone).unwrap_or(limit))
    }

    /// The request that holds the slot of a person and a package.
    pub async fn slot_holder(&self, target: UserId, package: PackageId) -> Read<Option<request::Model>> {
        let mut params = Params::new(self.db);
        let (target, package) = (params.add(target), params.add(package));
        let text =
            format!("SELECT * FROM request WHERE target_id = {target} AND package_id = {package} AND holds_slot");
        self.row(params.statement(text)).await
    }

    /// One page of the assignments that somebody sees, newest first.
    pub async fn assignments(
        &self,
        actor: &Actor,
        filter: &AssignmentFilter,
        args: &PageArgs,
    ) -> Read<Page<assignment::Model>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let mut tests = vec![sees_assignment(&viewer)];
        if let Some(package) = filter.package {
            tests.push(format!("g.package_id = {}", params.add(package)));
        }
        if let Some(target) = filter.target {
            tests.push(format!("g.target_id = {}", params.add(target)));
        }
        if let Some(states) = &filter.states {
            tests.push(format!("g.state {}", params.any(states.iter().map(|state| state.as_str()))));
        }
        let list = List {
            columns: "g.*".to_owned(),
            from: "assignment g".to_owned(),
            filter: tests.join(" AND "),
            order: &[("g.starts_at", Kind::Number), ("g.id", Kind::Text)],
            descending: true,
        };
        self.page(params, list, args, |row| Ok(assignment::Model::from_query_result(row, "")?)).await
    }

    /// Which of these assignments somebody sees: by right, their own, or through the request that gave it.
    pub async fn visible_assignments(&self, actor: &Actor, ids: &[AssignmentId]) -> Read<Vec<assignment::Model>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let any = params.any(ids.iter().map(|id| id.0.to_string()));
        let (own, sees) = (sees_assignment(&viewer), access::sees_request(&viewer));
        let text = format!(
            "SELECT g.* FROM assignment g WHERE g.id {any} \
             AND ({own} OR EXISTS (SELECT 1 FROM request r WHERE r.id = g.request_id AND {sees}))"
        );
        self.rows(params.statement(text)).await
    }

    /// Requests that wait for a risk source and are to be tried again, those first that should have been first.
    pub async fn requests_to_retry(&self, now: Timestamp) -> Read<Vec<request::Model>> {
        let mut params = Params::new(self.db);
        let now = params.add(now);
        let text = format!(
            "SELECT * FROM (SELECT * FROM request WHERE retry_at <= {now} ORDER BY retry_at LIMIT 30) r ORDER BY retry_at, id"
        );
        self.rows(params.statement(text)).await
    }

    /// Assignments whose end has come, the earliest first, with their requests.
    pub async fn ended_assignments(&self, now: Timestamp) -> Read<Vec<assignment::Model>> {
        let mut params = Params::new(self.db);
        let now = params.add(now);
        let text = format!(
            "SELECT * FROM (SELECT * FROM assignment WHERE state = 'DELIVERED' AND ends_at <= {now} ORDER BY ends_at LIMIT 100) a \
             ORDER BY ends_at, request_id"
        );
        self.rows(params.statement(text)).await
    }
}

fn sees_assignment(viewer: &Viewer) -> String {
    if viewer.reads_requests { "(1 = 1)".to_owned() } else { format!("g.target_id = {}", viewer.v) }
}

fn request_row(row: &sea_orm::QueryResult) -> Read<RequestRow> {
    Ok(RequestRow { request: request::Model::from_query_result(row, "")?, reads_risk: flag(row, "reads_risk")? })
}
