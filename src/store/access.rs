//! Which rows somebody may see, as SQL: every list, count, node and subscription asks with these. `r` is a request, `s` a stage,
//! `p` a package, `pol` a policy, `u` a person; `v` stands for the viewer's id. An application is nobody here: its `v` equals no id.

use super::sql::{Db, Params, each, gathered};
use crate::domain::permission::{Actor, Right};

/// Somebody who reads: the id as a parameter, and which rights widen what is seen.
pub struct Viewer {
    /// What stands for the id in the text.
    pub v: String,
    /// Of which database.
    pub db: Db,
    /// Is it a person, whom rules can name?
    is_person: bool,
    /// Sees every request, stage and assignment.
    pub reads_requests: bool,
    /// Reads risk in every request that is seen.
    pub reads_risk: bool,
    /// Sees every package and policy.
    pub reads_packages: bool,
    /// Sees every person and group.
    pub reads_people: bool,
    /// May decide stages of these kinds, once in their sets.
    pub decidable: Vec<&'static str>,
}

impl Viewer {
    /// For one statement.
    pub fn new(params: &mut Params, actor: &Actor) -> Viewer {
        let mut decidable = vec!["POLICY"];
        if actor.has(Right::DecideIdProtection) {
            decidable.push("ID_PROTECTION_RISK");
        }
        if actor.has(Right::DecideInsiderRisk) {
            decidable.push("INSIDER_RISK");
        }
        Viewer {
            v: user(params, actor),
            db: params.db(),
            is_person: actor.user_id().is_some(),
            reads_requests: actor.has(Right::ReadRequests),
            reads_risk: actor.has(Right::ReadRisk),
            reads_packages: actor.has(Right::ReadPackages),
            reads_people: actor.has(Right::ReadPeople),
            decidable,
        }
    }
}

/// Who acts as a parameter: a person's id; for an application a text that is no id.
pub fn user(params: &mut Params, actor: &Actor) -> String {
    params.add(actor.user_id().map(|id| id.0.to_string()).unwrap_or_default())
}

/// Entry `a` of stage `s` (their aliases) is in force: the primary ones always, alternates since escalation, the fallback while nobody
/// else could decide.
pub fn in_force(a: &str, s: &str) -> String {
    format!(
        "({a}.tier = 'PRIMARY' OR ({a}.tier = 'ALTERNATE' AND {s}.escalated_at IS NOT NULL) \
         OR ({a}.tier = 'FALLBACK' AND {s}.coverage IN ('FALLBACK', 'NOBODY')))"
    )
}

/// Membership `m` holds for stage `s`: now, or as of the completion of one that is completed.
pub const HOLDS: &str = "((s.completed_directory_version IS NULL AND m.until IS NULL) \
     OR (m.since <= s.completed_directory_version AND (m.until IS NULL OR m.until > s.completed_directory_version)))";

/// Stage `s` of request `r` has the viewer among its approvers: now, or as of its completion. Requestor and target never are.
pub fn belongs(viewer: &Viewer) -> String {
    among_approvers(viewer, HOLDS)
}

/// The same by who is in the sets now, also where the stage is completed.
pub fn belongs_now(viewer: &Viewer) -> String {
    among_approvers(viewer, "m.until IS NULL")
}

fn among_approvers(viewer: &Viewer, holds: &str) -> String {
    let (v, in_force) = (&viewer.v, in_force("a", "s"));
    // From the few entries of the stage to the viewer, never from all that the viewer's sets were ever asked: PostgreSQL would turn an
    // EXISTS into a join.
    let member = format!("m.kind = a.kind AND m.subject = a.subject AND m.user_id = {v} AND {holds}");
    let member = each(viewer.db, "membership", "m", &member);
    format!(
        "(r.requestor_id <> {v} AND r.target_id <> {v} \
         AND 0 < (SELECT count(*) FROM stage_approver a {member} WHERE a.stage_id = s.id AND {in_force}))"
    )
}

/// Stages of more sets than this are not worth listing before they are judged.
const FEW: usize = 1_000;

/// Stage `s` may be one of the viewer's: a quick test for lists, before [`belongs`]. Where the viewer's sets were asked in few stages,
/// those; otherwise every stage may be, and a page is soon full.
pub fn may_belong(viewer: &Viewer) -> String {
    let asked = format!(
        "SELECT a.stage_id FROM membership m {} WHERE m.user_id = {} AND m.until IS NULL LIMIT {FEW}",
        each(viewer.db, "stage_approver", "a", "a.kind = m.kind AND a.subject = m.subject"),
        viewer.v
    );
    format!("((SELECT count(*) FROM ({asked}) few) = {FEW} OR s.id IN ({asked}))")
}

/// The viewer reads risk in request `r`: by a role, or as one of the approvers of one of its risk stages.
pub fn reads_risk(viewer: &Viewer) -> String {
    if viewer.reads_risk {
        return "(1 = 1)".to_owned();
    }
    format!(
        "(r.has_risk_stage AND EXISTS (SELECT 1 FROM stage s WHERE s.request_id = r.id AND s.kind <> 'POLICY' AND {}))",
        belongs(viewer)
    )
}

/// Ids of the requests of which the viewer is an approver, since a stage's turn came.
fn approved_by(viewer: &Viewer) -> String {
    let in_force = in_force("a", "s");
    format!(
        "SELECT s.request_id FROM membership m {} {} WHERE m.user_id = {}",
        each(viewer.db, "stage_approver", "a", "a.kind = m.kind AND a.subject = m.subject"),
        each(
            viewer.db,
            "stage",
            "s",
            &format!("s.id = a.stage_id AND s.pending_since IS NOT NULL AND {in_force} AND {HOLDS}")
        ),
        viewer.v
    )
}

/// Ids of the requests that the viewer is a party to, to begin a FROM with.
pub fn own(viewer: &Viewer) -> String {
    format!("({}) mine", parties(&viewer.v))
}

fn parties(v: &str) -> String {
    format!("SELECT id FROM request WHERE requestor_id = {v} UNION SELECT id FROM request WHERE target_id = {v}")
}

/// Ids of the requests that the viewer sees, to begin a FROM with: as a party, or an approver since a stage's turn came. What is seen is
/// gathered once, so that a list costs what it shows, however many requests there are. `None` where a right shows them all.
pub fn seen(viewer: &Viewer) -> Option<String> {
    let seen = || format!("({} UNION {}) mine", parties(&viewer.v), approved_by(viewer));
    (!viewer.reads_requests).then(seen)
}

/// The same as a test of a request `r` that something else leads to.
pub fn sees_one_request(viewer: &Viewer) -> String {
    if viewer.reads_requests {
        return "(1 = 1)".to_owned();
    }
    let v = &viewer.v;
    format!("(r.requestor_id = {v} OR r.target_id = {v} OR r.id {})", gathered(viewer.db, &approved_by(viewer)))
}

/// The same for a request known by its id.
pub fn sees_request(viewer: &Viewer) -> String {
    if viewer.reads_requests {
        return "(1 = 1)".to_owned();
    }
    let v = &viewer.v;
    format!(
        "(r.requestor_id = {v} OR r.target_id = {v} OR EXISTS (SELECT 1 FROM stage s WHERE s.request_id = r.id \
         AND s.pending_since IS NOT NULL AND {}))",
        belongs(viewer)
    )
}

/// Policy `pol` lets the person `who` (an expression) ask, or get access asked for on their behalf.
pub fn covers(db: Db, who: &str) -> String {
    let member = format!("pm.kind = pr.kind AND pm.subject = pr.subject AND pm.user_id = {who} AND pm.until IS NULL");
    format!(
        "(pol.is_for_everyone OR EXISTS (SELECT 1 FROM policy_requestor pr {} WHERE pr.policy_id = pol.id))",
        each(db, "membership", "pm", &member)
    )
}

/// Policy `pol` fits the viewer: for themselves, or for a direct report whom it covers.
pub fn fits(viewer: &Viewer) -> String {
    if !viewer.is_person {
        return "(1 = 0)".to_owned();
    }
    let v = &viewer.v;
    format!(
        "({} OR (pol.allow_managers_on_behalf AND EXISTS (SELECT 1 FROM directory_user report \
         WHERE report.manager_id = {v} AND report.is_enabled AND report.deleted_at IS NULL AND {})))",
        covers(viewer.db, v),
        covers(viewer.db, "report.id")
    )
}

/// The viewer may ask for package `p`, for themselves or a report.
pub fn may_ask(viewer: &Viewer) -> String {
    format!("EXISTS (SELECT 1 FROM policy pol WHERE pol.package_id = p.id AND {})", fits(viewer))
}

/// The viewer sees package `p`: a right, may ask for it, or sees a request for it.
pub fn sees_package(viewer: &Viewer) -> String {
    if viewer.reads_packages {
        return "(1 = 1)".to_owned();
    }
    format!(
        "({} OR EXISTS (SELECT 1 FROM request r WHERE r.package_id = p.id AND {}))",
        may_ask(viewer),
        sees_one_request(viewer)
    )
}

/// The viewer is shown person `u` by the list of people: a right, themselves, their manager, a direct report.
pub fn lists_person(viewer: &Viewer) -> String {
    if viewer.reads_people {
        return "(1 = 1)".to_owned();
    }
    let v = &viewer.v;
    format!(
        "(u.deleted_at IS NULL AND (u.id = {v} OR u.manager_id = {v} OR u.id = (SELECT me.manager_id FROM directory_user me WHERE me.id = {v})))"
    )
}
