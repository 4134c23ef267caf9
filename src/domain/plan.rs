//! A plan: what one use case wants committed, as one value. Guards (what it relied on), rows (whole, as they shall be) and
//! events; all of it is written together, or nothing.

use entity::{
    AssignmentId, DirectoryRole, DirectorySource, PackageId, PolicyId, RequestId, RiskSource, StageId, SubjectKind,
    SyncStream, Timestamp, UserId, assignment, catalog, control, control_version, decision, evaluation, explanation,
    given_role, group, group_member, idempotency, insider_risk, mark, membership, package, policy, policy_requestor,
    progress, request, risk_sweep, role, stage, stage_approver, sync, user, user_risk,
};
use uuid::Uuid;

use super::event::NewEvent;

/// Something that must still be so at the moment of the commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Guard {
    /// The control is at this version.
    Control(RiskSource, i64),
    /// The package is at this version.
    Package(PackageId, i64),
    /// The policy is at this version.
    Policy(PolicyId, i64),
    /// The directory is at this version.
    Directory(i64),
    /// The directory comes from there, or from nowhere yet.
    DirectoryFrom(DirectorySource),
    /// The reading of the directory's source is at this version of its state.
    Sync(SyncStream, i64),
    /// The request is at this version.
    Request(RequestId, i64),
    /// The stage is at this version.
    Stage(StageId, i64),
    /// The assignment is at this version.
    Assignment(AssignmentId, i64),
    /// No request holds the slot of this person and package.
    SlotFree(UserId, PackageId),
    /// The person's idempotency key stands for this request, or for none.
    Key(UserId, String, Option<RequestId>),
    /// The log tells nothing of this person's risk after the position.
    NoNews(UserId, i64),
    /// The moment has not come.
    Before(Timestamp),
    /// The moment has come.
    NotBefore(Timestamp),
}

/// Who waits for the commit: people go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Urgency {
    /// A person.
    #[default]
    Person,
    /// The clockwork.
    Background,
}

/// Rows to write, table by table; each replaces the row of its key, or is new.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Catalogs.
    pub catalogs: Vec<catalog::Model>,
    /// Packages.
    pub packages: Vec<package::Model>,
    /// Policies.
    pub policies: Vec<policy::Model>,
    /// Who may ask under a policy.
    pub policy_requestors: Vec<policy_requestor::Model>,
    /// Controls.
    pub controls: Vec<control::Model>,
    /// Versions of controls.
    pub control_versions: Vec<control_version::Model>,
    /// Requests.
    pub requests: Vec<request::Model>,
    /// Readings.
    pub evaluations: Vec<evaluation::Model>,
    /// Why requests go the way they go.
    pub explanations: Vec<explanation::Model>,
    /// Stages.
    pub stages: Vec<stage::Model>,
    /// Whom stages name.
    pub stage_approvers: Vec<stage_approver::Model>,
    /// Decisions.
    pub decisions: Vec<decision::Model>,
    /// Assignments.
    pub assignments: Vec<assignment::Model>,
    /// ID Protection risk.
    pub user_risks: Vec<user_risk::Model>,
    /// Complete readings of everybody's risk.
    pub risk_sweeps: Vec<risk_sweep::Model>,
    /// Insider risk.
    pub insider_risks: Vec<insider_risk::Model>,
    /// Idempotency keys.
    pub idempotency: Vec<idempotency::Model>,
    /// How far work along the log has come.
    pub progress: Vec<progress::Model>,
    /// How far the reading of the directory's source has come.
    pub syncs: Vec<sync::Model>,
    /// What a listing of it has named.
    pub marks: Vec<mark::Model>,
}

impl Rows {
    /// How many.
    pub fn len(&self) -> usize {
        self.catalogs.len()
            + self.packages.len()
            + self.policies.len()
            + self.policy_requestors.len()
            + self.controls.len()
            + self.control_versions.len()
            + self.requests.len()
            + self.evaluations.len()
            + self.explanations.len()
            + self.stages.len()
            + self.stage_approvers.len()
            + self.decisions.len()
            + self.assignments.len()
            + self.user_risks.len()
            + self.risk_sweeps.len()
            + self.insider_risks.len()
            + self.idempotency.len()
            + self.progress.len()
            + self.syncs.len()
            + self.marks.len()
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the rows of `other` in, after its own.
    pub fn append(&mut self, mut other: Rows) {
        self.catalogs.append(&mut other.catalogs);
        self.packages.append(&mut other.packages);
        self.policies.append(&mut other.policies);
        self.policy_requestors.append(&mut other.policy_requestors);
        self.controls.append(&mut other.controls);
        self.control_versions.append(&mut other.control_versions);
        self.requests.append(&mut other.requests);
        self.evaluations.append(&mut other.evaluations);
        self.explanations.append(&mut other.explanations);
        self.stages.append(&mut other.stages);
        self.stage_approvers.append(&mut other.stage_approvers);
        self.decisions.append(&mut other.decisions);
        self.assignments.append(&mut other.assignments);
        self.user_risks.append(&mut other.user_risks);
        self.risk_sweeps.append(&mut other.risk_sweeps);
        self.insider_risks.append(&mut other.insider_risks);
        self.idempotency.append(&mut other.idempotency);
        self.progress.append(&mut other.progress);
        self.syncs.append(&mut other.syncs);
        self.marks.append(&mut other.marks);
    }
}

/// A change of the directory: rows to write and rows to take away. The commit that carries it raises the directory's version and
/// judges every pending stage anew ([`super::coverage`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectoryChange {
    /// Where it comes from.
    pub source: DirectorySource,
    /// People, new or changed.
    pub users: Vec<user::Model>,
    /// Roles newly held.
    pub roles: Vec<role::Model>,
    /// Roles no longer held.
    pub lost_roles: Vec<role::Model>,
    /// Who is given a role directly: people, and groups.
    pub given_roles: Vec<given_role::Model>,
    /// From whom one is taken.
    pub taken_roles: Vec<given_role::Model>,
    /// Groups, new or changed.
    pub groups: Vec<group::Model>,
    /// Members that joined a group.
    pub members: Vec<group_member::Model>,
    /// Members that left one.
    pub lost_members: Vec<group_member::Model>,
    /// Flattened memberships that begin with the new directory version.
    pub begun: Vec<Place>,
    /// Flattened memberships that end with it, and the version that each began with.
    pub ended: Vec<(Place, i64)>,
    /// The new directory version.
    pub version: i64,
}

/// Somebody's place in a set of people, small enough to hold all of a large directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The kind of set.
    pub kind: SubjectKind,
    /// Which one.
    pub subject: Subject,
    /// Who is in it.
    pub user_id: UserId,
}

/// What a set of people is named after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A person or a group.
    Object(Uuid),
    /// A role.
    Role(DirectoryRole),
}

impl Place {
    /// The row of a place that holds since one version, and until another.
    pub fn row(&self, since: i64, until: Option<i64>) -> membership::Model {
        let subject = match self.subject {
            Subject::Object(id) => id.to_string(),
            Subject::Role(role) => role.as_str().to_owned(),
        };
        membership::Model { kind: self.kind, subject, user_id: self.user_id, since, until }
    }
}

/// What one use case wants committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What must still be so.
    pub guards: Vec<Guard>,
    /// What shall stand in the tables.
    pub rows: Rows,
    /// Marks that are of no use any more.
    pub lost_marks: Vec<mark::Model>,
    /// Where the directory comes from after this, whatever it was before.
    pub directory_source: Option<DirectorySource>,
    /// A change of the directory; a plan that has one is committed alone.
    pub directory: Option<Box<DirectoryChange>>,
    /// What the log shall tell, in this order.
    pub events: Vec<NewEvent>,
    /// People whose risk has ended by its own time: who could decide a pending stage is judged anew.
    pub risk_ended: Vec<UserId>,
    /// Who waits for it.
    pub urgency: Urgency,
}

impl Plan {
    /// Asks for a guard, once.
    pub fn guard(&mut self, guard: Guard) {
        if !self.guards.contains(&guard) {
            self.guards.push(guard);
        }
    }

    /// Changes a request: its version grows, and the one it had is guarded.
    pub fn change_request(&mut self, mut row: request::Model) {
        self.guard(Guard::Request(row.id, row.version));
        row.version += 1;
        self.rows.requests.push(row);
    }

    /// Changes a stage likewise.
    pub fn change_stage(&mut self, mut row: stage::Model) {
        self.guard(Guard::Stage(row.id, row.version));
        row.version += 1;
        self.rows.stages.push(row);
    }

    /// Changes the state of a stream of the directory's source likewise.
    pub fn change_sync(&mut self, mut row: sync::Model) {
        self.guard(Guard::Sync(row.stream, row.version));
        row.version += 1;
        self.rows.syncs.push(row);
    }

    /// Changes an assignment likewise.
    pub fn change_assignment(&mut self, mut row: assignment::Model) {
        self.guard(Guard::Assignment(row.id, row.version));
        row.version += 1;
        self.rows.assignments.push(row);
    }

    /// Changes a control likewise.
    pub fn change_control(&mut self, mut row: control::Model) {
        self.guard(Guard::Control(row.source, row.version));
        row.version += 1;
        self.rows.controls.push(row);
    }
}
