//! Approval stages: as they are shown, as they are decided, and as the clockwork finds them.

use std::collections::HashSet;

use entity::{
    ApproverTier, DirectoryRole, PackageId, RequestId, RiskSource, Row, StageId, StageKind, StageStatus, SubjectKind,
    SubjectSet, Timestamp, UserId, decision, evaluation, request, stage,
};
use sea_orm::{ConnectionTrait, DatabaseTransaction, FromQueryResult, QueryResult, TryGetable};

use super::access::{self, HOLDS, Viewer, in_force};
use super::directory::holds_role;
use super::page::{Kind, List, PageArgs, flag};
use super::risk::at_risk;
use super::sql::{Db, Params, each};
use super::{Page, Read, Store, StoreError};
use crate::domain::coverage::{Able, PendingStage};
use crate::domain::decision::Standing;
use crate::domain::permission::{Actor, Right, right_to_decide, stage_kind};
use crate::domain::plan::Plan;

/// A stage as somebody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageRow {
    /// The stage.
    pub stage: stage::Model,
    /// Its place in the list that the viewer sees, from 1.
    pub position: i64,
    /// Would a decision of the viewer, with a justification, pass now?
    pub is_assigned_to_viewer: bool,
    /// Who decided, when, and why.
    pub decision: Option<(UserId, Timestamp, Option<String>)>,
}

/// Which stages are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageFilter {
    /// Of these kinds; an empty list matches nothing.
    pub kinds: Option<Vec<StageKind>>,
    /// For one package.
    pub package: Option<PackageId>,
    /// Due before this moment.
    pub due_before: Option<Timestamp>,
    /// Only those that the viewer may decide now.
    pub decidable: bool,
    /// The most urgent first, in place of the oldest.
    pub by_due_date: bool,
}

/// What a decision is judged by, beside the roles of who decides.
#[derive(Debug, Clone)]
pub struct DecisionRows {
    /// The directory's version, read before or with everything else.
    pub directory_version: i64,
    /// The position of the log, likewise.
    pub position: i64,
    /// The request.
    pub request: request::Model,
    /// The stage.
    pub stage: stage::Model,
    /// The undecided stages after it, in order, each with who could decide it now.
    pub later: Vec<(stage::Model, Able)>,
    /// By which entry the person belongs to its approvers.
    pub standing: Option<Standing>,
}

/// Stage `s` of request `r` may be decided by the viewer now.
fn decidable(viewer: &Viewer, now: &str) -> String {
    let kinds: Vec<_> = viewer.decidable.iter().map(|kind| format!("'{kind}'")).collect();
    format!(
        "(s.status = 'PENDING' AND s.due_at > {now} AND s.kind IN ({}) AND {})",
        kinds.join(", "),
        access::belongs(viewer)
    )
}

/// The columns of [`StageRow`], without the decision.
fn columns(viewer: &Viewer, now: &str) -> String {
    format!(
        "s.*, (SELECT count(*) FROM stage s2 WHERE s2.request_id = s.request_id AND s2.order_key <= s.order_key \
         AND (s2.kind = 'POLICY' OR {})) AS place, {} AS is_assigned",
        access::reads_risk(viewer),
        decidable(viewer, now)
    )
}

const FROM: &str = "stage s JOIN request r ON r.id = s.request_id LEFT JOIN decision d ON d.stage_id = s.id";
/// The columns of a decision.
const DECISION: &str = "d.user_id AS decided_by, d.decided_at AS decided_at, d.justification AS decision_justification";
/// The same of a pending stage, which has none.
const NO_DECISION: &str = "CAST(NULL AS TEXT) AS decided_by, CAST(NULL AS BIGINT) AS decided_at, \
     CAST(NULL AS TEXT) AS decision_justification";

fn stage_row(row: &QueryResult) -> Read<StageRow> {
    let decision = match Option::<UserId>::try_get(row, "", "decided_by")? {
        Some(user) => Some((
            user,
            Timestamp::try_get(row, "", "decided_at")?,
            Option::<String>::try_get(row, "", "decision_justification")?,
        )),
        None => None,
    };
    Ok(StageRow {
        stage: stage::Model::from_query_result(row, "")?,
        position: i64::try_get(row, "", "place")?,
        is_assigned_to_viewer: flag(row, "is_assigned")?,
        decision,
    })
}

/// Whether anybody of each tier of stage `s` of request `r` could decide it at `now` (an expression).
fn able_columns(db: Db, now: &str) -> String {
    let member = each(
        db,
        "membership",
        "m",
        "m.kind = a.kind AND m.subject = a.subject AND m.until IS NULL AND m.user_id <> r.requestor_id AND m.user_id <> r.target_id",
    );
    let account = each(db, "directory_user", "u", "u.id = m.user_id AND u.is_enabled AND u.deleted_at IS NULL");
    let able = |tier: &str| {
        format!(
            "EXISTS (SELECT 1 FROM stage_approver a {member} {account} WHERE a.stage_id = s.id AND a.tier = '{tier}' AND {} AND NOT {})",
            holds_role("s.kind", "m.user_id"),
            at_risk("s.kind", "m.user_id", now)
        )
    };
    format!(
        "{} AS able_primary, {} AS able_alternate, {} AS able_fallback",
        able("PRIMARY"),
        able("ALTERNATE"),
        able("FALLBACK")
    )
}

fn able(row: &QueryResult) -> Read<Able> {
    Ok(Able {
        primary: flag(row, "able_primary")?,
        alternate: flag(row, "able_alternate")?,
        fallback: flag(row, "able_fallback")?,
    })
}

/// Columns of a table under names of their own, for rows that hold two tables.
fn prefixed<R: Row>(alias: &str, prefix: &str) -> String {
    R::COLUMNS.iter().map(|column| format!("{alias}.\"{column}\" AS {prefix}{column}")).collect::<Vec<_>>().join(", ")
}

/// What was written that may change who could decide a pending stage of risk, beside the directory.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// People whose risk may mean something else now.
    pub people: HashSet<UserId>,
    /// Kinds of stage whose control changed.
    pub kinds: HashSet<StageKind>,
    /// Stages of risk whose turn came: who could decide them was asked before the lock.
    pub stages: HashSet<StageId>,
}

impl Touched {
    /// Takes in what a plan writes.
    pub fn add(&mut self, plan: &Plan) {
        let rows = &plan.rows;
        self.people.extend(rows.user_risks.iter().map(|row| row.user_id));
        self.people.extend(rows.insider_risks.iter().map(|row| row.user_id));
        self.people.extend(&plan.risk_ended);
        self.kinds.extend(rows.controls.iter().map(|row| stage_kind(row.source)));
        let is_open = |row: &&stage::Model| row.status == StageStatus::Pending && row.kind != StageKind::Policy;
        self.stages.extend(rows.stages.iter().filter(is_open).map(|row| row.id));
    }

    /// The pending stages that it may have touched, with who could decide them now: read under the log's lock.
    pub async fn pending(&self, db: Db, transaction: &DatabaseTransaction, now: Timestamp) -> Read<Vec<PendingStage>> {
        // Most people decide nothing: then no stage is looked at.
        let mut people = Vec::new();
        if !self.people.is_empty() {
            let mut params = Params::new(db);
            let any = params.any(self.people.iter().map(|id| id.0.to_string()));
            let roles: HashSet<_> =
                StageKind::ALL.iter().filter_map(|kind| right_to_decide(*kind)).flat_map(Right::roles).collect();
            let roles = params.any(roles.into_iter().map(|role| role.as_str()));
            let text = format!("SELECT DISTINCT user_id FROM directory_role WHERE user_id {any} AND role {roles}");
            for row in transaction.query_all_raw(params.statement(text)).await? {
                people.push(String::try_get(&row, "", "user_id")?);
            }
        }
        if people.is_empty() && self.kinds.is_empty() && self.stages.is_empty() {
            return Ok(Vec::new());
        }
        let mut params = Params::new(db);
        let mut tests = Vec::new();
        if !people.is_empty() {
            let any = params.any(people);
            let member = format!("m.kind = a.kind AND m.subject = a.subject AND m.user_id {any} AND m.until IS NULL");
            let member = each(db, "membership", "m", &member);
            tests.push(format!("0 < (SELECT count(*) FROM stage_approver a {member} WHERE a.stage_id = s.id)"));
        }
        if !self.kinds.is_empty() {
            tests.push(format!("s.kind {}", params.any(self.kinds.iter().map(|kind| kind.as_str()))));
        }
        if !self.stages.is_empty() {
            tests.push(format!("s.id {}", params.any(self.stages.iter().map(|id| id.0.to_string()))));
        }
        pending(transaction, params, "stage s", &format!("s.kind <> 'POLICY' AND ({})", tests.join(" OR ")), now).await
    }
}

/// The pending stages that a change of the directory to `version` may touch, with who could decide them now: read under the log's lock.
/// Where it is told which few people it touches, only stages whose sets they are in, or were until now; else all.
pub(super) async fn pending_after(
    db: Db,
    transaction: &DatabaseTransaction,
    version: i64,
    people: Option<Vec<String>>,
    now: Timestamp,
) -> Read<Vec<PendingStage>> {
    let mut params = Params::new(db);
    let from = match people {
        None => "stage s".to_owned(),
        Some(people) => {
            let (any, version) = (params.any(people), params.add(version));
            format!(
                "(SELECT DISTINCT a.stage_id FROM membership m {} WHERE m.user_id {any} AND (m.until IS NULL OR m.until = {version})) asked {}",
                each(db, "stage_approver", "a", "a.kind = m.kind AND a.subject = m.subject"),
                each(db, "stage", "s", "s.id = asked.stage_id")
            )
        }
    };
    pending(transaction, params, &from, "1 = 1", now).await
}

async fn pending(
    transaction: &DatabaseTransaction,
    mut params: Params,
    from: &str,
    which: &str,
    now: Timestamp,
) -> Read<Vec<PendingStage>> {
    let db = params.db();
    let text = format!(
        "SELECT {}, {}, {} FROM {from} {} WHERE s.status = 'PENDING' AND {which} ORDER BY s.pending_since, s.id",
        prefixed::<stage::Model>("s", "s_"),
        prefixed::<request::Model>("r", "r_"),
        able_columns(db, &params.add(now)),
        each(db, "request", "r", "r.id = s.request_id")
    );
    let rows = transaction.query_all_raw(params.statement(text)).await?;
    rows.iter()
        .map(|row| {
            Ok(PendingStage {
                stage: stage::Model::from_query_result(row, "s_")?,
                request: request::Model::from_query_result(row, "r_")?,
                able: able(row)?,
            })
        })
        .collect()
}

impl Store {
    /// One page of the pending stages that somebody sees; with `decidable`, of those they may decide.
    pub async fn stages(
        &self,
        actor: &Actor,
        filter: &StageFilter,
        now: Timestamp,
        args: &PageArgs,
    ) -> Read<Page<StageRow>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let now = params.add(now);
        let mut tests = vec!["s.status = 'PENDING'".to_owned()];
        let mut from = "stage s".to_owned();
        if filter.decidable {
            tests.push(access::may_belong(&viewer));
            tests.push(decidable(&viewer, &now));
        } else {
            if let Some(seen) = access::seen(&viewer) {
                let stage = each(self.db, "stage", "s", "s.request_id = mine.id");
                from = format!("{seen} {stage}");
            }
            tests.push(format!("(s.kind = 'POLICY' OR {})", access::reads_risk(&viewer)));
        }
        if let Some(kinds) = &filter.kinds {
            tests.push(format!("s.kind {}", params.any(kinds.iter().map(|kind| kind.as_str()))));
            if !kinds.contains(&StageKind::Policy) {
                // What the index of pending risk stages holds.
                tests.push("s.kind <> 'POLICY'".to_owned());
            }
        }
        if let Some(package) = filter.package {
            tests.push(format!("r.package_id = {}", params.add(package)));
        }
        if let Some(before) = filter.due_before {
            tests.push(format!("s.due_at < {}", params.add(before)));
        }
        let by_due_date = [("s.due_at", Kind::Number), ("s.id", Kind::Text)];
        let by_age = [("s.pending_since", Kind::Number), ("s.id", Kind::Text)];
        let list = List {
            columns: format!("{}, {NO_DECISION}", columns(&viewer, &now)),
            from: format!("{from} {}", each(self.db, "request", "r", "r.id = s.request_id")),
            filter: tests.join(" AND "),
            order: if filter.by_due_date { &by_due_date } else { &by_age },
            descending: false,
        };
        self.page(params, list, args, stage_row).await
    }

    /// The stages of these requests that somebody sees, in order.
    pub async fn stages_of(&self, actor: &Actor, requests: &[RequestId], now: Timestamp) -> Read<Vec<StageRow>> {
        let any = |params: &mut Params| params.any(requests.iter().map(|id| id.0.to_string()));
        self.stage_rows(actor, now, |params| format!("s.request_id {}", any(params))).await
    }

    /// Which of these stages somebody sees.
    pub async fn visible_stages(&self, actor: &Actor, ids: &[StageId], now: Timestamp) -> Read<Vec<StageRow>> {
        let any = |params: &mut Params| params.any(ids.iter().map(|id| id.0.to_string()));
        self.stage_rows(actor, now, |params| format!("s.id {}", any(params))).await
    }

    async fn stage_rows(
        &self,
        actor: &Actor,
        now: Timestamp,
        which: impl FnOnce(&mut Params) -> String,
    ) -> Read<Vec<StageRow>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let now = params.add(now);
        let which = which(&mut params);
        let text = format!(
            "SELECT {}, {DECISION} FROM {FROM} WHERE {which} AND {} AND (s.kind = 'POLICY' OR {}) ORDER BY s.request_id, s.order_key",
            columns(&viewer, &now),
            access::sees_request(&viewer),
            access::reads_risk(&viewer)
        );
        self.all(params.statement(text)).await?.iter().map(stage_row).collect()
    }

    /// A risk stage that somebody may be told of now: they see it, are in its set now, and hold the role it needs, decided or not.
    pub async fn announced_stage(&self, actor: &Actor, id: StageId, now: Timestamp) -> Read<Option<StageRow>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let (id, now) = (params.add(id), params.add(now));
        let kinds: Vec<_> = viewer.decidable.iter().map(|kind| format!("'{kind}'")).collect();
        let text = format!(
            "SELECT {}, {DECISION} FROM {FROM} WHERE s.id = {id} AND s.kind <> 'POLICY' AND s.kind IN ({}) AND {} AND {} AND {}",
            columns(&viewer, &now),
            kinds.join(", "),
            access::belongs_now(&viewer),
            access::sees_request(&viewer),
            access::reads_risk(&viewer)
        );
        self.one(params.statement(text)).await?.as_ref().map(stage_row).transpose()
    }

    /// The sets in force of these stages, in order: primary, alternates, fallback; an entry that stands twice is shown once.
    pub async fn sets_of(&self, stages: &[StageId]) -> Read<Vec<(StageId, SubjectSet)>> {
        let mut params = Params::new(self.db);
        let any = params.any(stages.iter().map(|id| id.0.to_string()));
        let in_force = in_force("a", "s");
        let text = format!(
            "SELECT a.stage_id, a.kind, a.subject FROM stage_approver a JOIN stage s ON s.id = a.stage_id \
             WHERE a.stage_id {any} AND {in_force} ORDER BY a.stage_id, \
             CASE a.tier WHEN 'PRIMARY' THEN 0 WHEN 'ALTERNATE' THEN 1 ELSE 2 END, a.ordinal"
        );
        let mut sets: Vec<(StageId, SubjectSet)> = Vec::new();
        for row in self.all(params.statement(text)).await? {
            let entry = (StageId::try_get(&row, "", "stage_id")?, subject_set(&row)?);
            if !sets.contains(&entry) {
                sets.push(entry);
            }
        }
        Ok(sets)
    }

    /// The readings that put these stages there.
    pub async fn evaluations_by_stage(&self, stages: &[StageId]) -> Read<Vec<(StageId, evaluation::Model)>> {
        let mut params = Params::new(self.db);
        let any = params.any(stages.iter().map(|id| id.0.to_string()));
        let text = format!(
            "SELECT e.*, s.id AS of_stage FROM stage s JOIN evaluation e ON e.id = s.evaluation_id WHERE s.id {any}"
        );
        self.all(params.statement(text))
            .await?
            .iter()
            .map(|row| Ok((StageId::try_get(row, "", "of_stage")?, evaluation::Model::from_query_result(row, "")?)))
            .collect()
    }

    /// The decisions on these stages, in the order they were made.
    pub async fn decisions_of(&self, stages: &[StageId]) -> Read<Vec<decision::Model>> {
        let mut params = Params::new(self.db);
        let any = params.any(stages.iter().map(|id| id.0.to_string()));
        self.rows(params.statement(format!("SELECT * FROM decision WHERE stage_id {any} ORDER BY decided_at, id")))
            .await
    }

    /// What a decision on a stage is judged by; `None` where the person does not see the stage.
    pub async fn decision_rows(&self, actor: &Actor, id: StageId, now: Timestamp) -> Read<Option<DecisionRows>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let stage_id = params.add(id);
        let text = format!(
            "SELECT r.*, h.directory_version, h.position FROM stage s0 CROSS JOIN head h \
             JOIN request r ON r.id = s0.request_id WHERE h.id = 1 AND s0.id = {stage_id} AND {} AND (s0.kind = 'POLICY' OR {})",
            access::sees_request(&viewer),
            access::reads_risk(&viewer)
        );
        let Some(row) = self.one(params.statement(text)).await? else { return Ok(None) };
        let directory_version = i64::try_get(&row, "", "directory_version")?;
        let position = i64::try_get(&row, "", "position")?;
        let request = request::Model::from_query_result(&row, "")?;

        let stages = self.undecided_with_able(request.id, Some(id), now).await?;
        let mut later = Vec::new();
        let mut found = None;
        for (stage, able) in stages {
            if stage.id == id {
                found = Some(stage);
            } else if found.is_some() {
                later.push((stage, able));
            }
        }
        let Some(stage) = found else { return Ok(None) };

        let standing = self.standing(actor, id, None).await?;
        Ok(Some(DecisionRows { directory_version, position, request, stage, later, standing }))
    }

    /// By which entry somebody belongs to the approvers of a stage. With `asked`, the roles that were asked for outside, those count in
    /// place of the roles that the directory knows.
    pub async fn standing(
        &self,
        actor: &Actor,
        stage: StageId,
        asked: Option<&[DirectoryRole]>,
    ) -> Read<Option<Standing>> {
        let mut params = Params::new(self.db);
        let (stage_id, user) = (params.add(stage), access::user(&mut params, actor));
        let in_force = in_force("a", "s");
        let known = format!(
            "0 < (SELECT count(*) FROM membership m WHERE m.kind = a.kind AND m.subject = a.subject AND m.user_id = {user} AND {HOLDS})"
        );
        let belongs = match asked {
            None => known,
            Some(roles) => {
                let any = params.any(roles.iter().map(|role| role.as_str()));
                format!("((a.kind = 'ROLE' AND a.subject {any}) OR (a.kind <> 'ROLE' AND {known}))")
            }
        };
        let text = format!(
            "SELECT a.tier, a.kind, a.subject FROM stage s CROSS JOIN stage_approver a \
             WHERE s.id = {stage_id} AND a.stage_id = s.id AND {in_force} AND {belongs} \
             ORDER BY CASE a.tier WHEN 'PRIMARY' THEN 0 WHEN 'ALTERNATE' THEN 1 ELSE 2 END, a.ordinal LIMIT 1"
        );
        let Some(row) = self.one(params.statement(text)).await? else { return Ok(None) };
        let kind = SubjectKind::try_get(&row, "", "kind")?;
        let subject = String::try_get(&row, "", "subject")?;
        let group_path = match (kind, actor.user_id()) {
            (SubjectKind::Group, Some(user)) => self.group_path(&subject, user).await?,
            _ => Vec::new(),
        };
        Ok(Some(Standing { tier: ApproverTier::try_get(&row, "", "tier")?, kind, subject, group_path }))
    }

    /// The undecided stages of a request in order, and `also`, each with who could decide it now.
    pub async fn undecided_with_able(
        &self,
        request: RequestId,
        also: Option<StageId>,
        now: Timestamp,
    ) -> Read<Vec<(stage::Model, Able)>> {
        let mut params = Params::new(self.db);
        let request = params.add(request);
        let also = params.add(also);
        let able_columns = able_columns(self.db, &params.add(now));
        let text = format!(
            "SELECT s.*, {able_columns} FROM stage s JOIN request r ON r.id = s.request_id WHERE s.request_id = {request} \
             AND (s.status IN ('WAITING', 'PENDING') OR s.id = {also}) ORDER BY s.order_key"
        );
        self.all(params.statement(text))
            .await?
            .iter()
            .map(|row| Ok((stage::Model::from_query_result(row, "")?, able(row)?)))
            .collect()
    }

    /// Pending stages whose deadline has come, the earliest first.
    pub async fn overdue_stages(&self, now: Timestamp) -> Read<Vec<stage::Model>> {
        self.due("s.due_at", "", now).await
    }

    /// Pending stages whose alternates are to join, the earliest first.
    pub async fn stages_to_escalate(&self, now: Timestamp) -> Read<Vec<stage::Model>> {
        self.due("s.escalate_at", " AND s.escalated_at IS NULL", now).await
    }

    async fn due(&self, column: &str, more: &str, now: Timestamp) -> Read<Vec<stage::Model>> {
        let mut params = Params::new(self.db);
        let now = params.add(now);
        // Of those due at the same moment, who asked first comes first; sorted when the page is read, for which one moment's index does.
        let text = format!(
            "SELECT s.* FROM (SELECT s.* FROM stage s WHERE s.status = 'PENDING'{more} AND {column} <= {now} \
             ORDER BY {column} LIMIT 100) s ORDER BY {column}, s.request_id"
        );
        self.rows(params.statement(text)).await
    }

    /// When the clockwork has something to do next: the earliest deadline, escalation, end of an assignment, new try of
    /// a request that waits for a source, or end of somebody's insider risk.
    pub async fn next_due(&self) -> Read<Option<Timestamp>> {
        // Not `min(…)`: SQLite scans a partial index for it.
        let first = |column: &str, table: &str, filter: &str| {
            format!("SELECT at FROM (SELECT {column} AS at FROM {table} WHERE {filter} ORDER BY {column} LIMIT 1) x")
        };
        let text = format!(
            "SELECT min(at) AS at FROM ({} UNION ALL {} UNION ALL {} UNION ALL {} UNION ALL {}) y",
            first("due_at", "stage", "status = 'PENDING'"),
            first("escalate_at", "stage", "status = 'PENDING' AND escalated_at IS NULL AND escalate_at IS NOT NULL"),
            first("ends_at", "assignment", "state = 'DELIVERED' AND ends_at IS NOT NULL"),
            first("retry_at", "request", "retry_at IS NOT NULL"),
            first(
                "expires_at",
                "insider_risk",
                "expires_at > (SELECT position FROM progress WHERE name = 'INSIDER_RISK_EXPIRY')"
            )
        );
        let row = self.one(Params::new(self.db).statement(text)).await?;
        match row {
            Some(row) => Ok(Option::<Timestamp>::try_get(&row, "", "at")?),
            None => Ok(None),
        }
    }
}

fn subject_set(row: &QueryResult) -> Read<SubjectSet> {
    let subject = String::try_get(row, "", "subject")?;
    SubjectSet::of(SubjectKind::try_get(row, "", "kind")?, &subject)
        .ok_or_else(|| StoreError::Data(format!("an approver set names {subject:?}")))
}

/// The kinds of stage that these risk sources ask for.
pub fn kinds_of(sources: &[RiskSource]) -> Vec<StageKind> {
    sources.iter().map(|source| stage_kind(*source)).collect()
}
