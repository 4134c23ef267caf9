//! What the log tells: the kinds of event, and the making of one. `docs/events.md` has a row for each kind.

use std::collections::BTreeMap;

use entity::{ActorKind, AuditResult, PackageId, RequestId, StageId, Timestamp, UserId};

use super::permission::ApplicationId;

/// Category of most events.
const ENTITLEMENT: &str = "EntitlementManagement";
/// Category of the request approvals, as the directory's own log has it.
const USER_MANAGEMENT: &str = "UserManagement";
/// Category of risk actions, as ID Protection's own log has it.
const OTHER: &str = "Other";

macro_rules! kinds {
    ($($(#[$meta:meta])* $kind:ident = $name:literal, $activity:literal, $category:expr, $result:ident);+ $(;)?) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventKind { $($(#[$meta])* $kind),+ }

        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [EventKind] = &[$(EventKind::$kind),+];

            /// The machine name.
            pub const fn as_str(self) -> &'static str {
                match self { $(EventKind::$kind => $name),+ }
            }

            /// The field's own wording; where it has none, ours in the same style.
            pub const fn activity(self) -> &'static str {
                match self { $(EventKind::$kind => $activity),+ }
            }

            /// The audit category.
            pub const fn category(self) -> &'static str {
                match self { $(EventKind::$kind => $category),+ }
            }

            /// How what it tells of ended.
            pub const fn result(self) -> AuditResult {
                match self { $(EventKind::$kind => AuditResult::$result),+ }
            }
        }
    };
}

kinds! {
    /// Somebody asked for access.
    RequestSubmitted = "REQUEST_SUBMITTED", "User requests access package assignment", ENTITLEMENT, Success;
    /// A request that waited for a risk source goes its way.
    RequestResumed = "REQUEST_RESUMED", "Resume access package assignment request", ENTITLEMENT, Success;
    /// A risk source was read for a request (no change of state).
    RiskEvaluated = "RISK_EVALUATED", "Evaluate risk for access package assignment request", ENTITLEMENT, Success;
    /// A stage was added to a request that is under way, because of a reading made since its submission.
    StageInserted = "STAGE_INSERTED", "Insert request approval", USER_MANAGEMENT, Success;
    /// A stage whose turn had come waits again behind an inserted one.
    StagePostponed = "STAGE_POSTPONED", "Postpone request approval", USER_MANAGEMENT, Success;
    /// A stage's turn came.
    StagePending = "STAGE_PENDING", "Create request approval", USER_MANAGEMENT, Success;
    /// A stage's alternates joined.
    StageEscalated = "STAGE_ESCALATED", "Escalate request approval", USER_MANAGEMENT, Success;
    /// Who could decide a stage changed with the directory: its fallback joined or left, or somebody could again.
    StageCoverageChanged = "STAGE_COVERAGE_CHANGED", "Add approver to request approval", USER_MANAGEMENT, Success;
    /// Nobody can decide a pending stage (an alert, no change of state).
    StageWithoutApprover = "STAGE_WITHOUT_APPROVER", "Alert request approval without approver", USER_MANAGEMENT, Failure;
    /// A stage was approved.
    StageApproved = "STAGE_APPROVED", "Approval stage completed for access package assignment request", ENTITLEMENT, Success;
    /// A stage was denied.
    StageDenied = "STAGE_DENIED", "Approval stage denied for access package assignment request", ENTITLEMENT, Success;
    /// Nobody decided a stage in time.
    StageTimedOut = "STAGE_TIMED_OUT", "Approval stage timed out for access package assignment request", ENTITLEMENT, Timeout;
    /// A stage ended undecided because its request did.
    StageCanceled = "STAGE_CANCELED", "Approval stage canceled for access package assignment request", ENTITLEMENT, Success;
    /// A decision was refused for want of right (no change of state).
    DecisionRefused = "DECISION_REFUSED", "Refuse decision on request approval", USER_MANAGEMENT, Failure;
    /// Every stage was approved.
    RequestApproved = "REQUEST_APPROVED", "Approve access package assignment request", ENTITLEMENT, Success;
    /// There was nothing to approve.
    RequestAutoApproved = "REQUEST_AUTO_APPROVED", "Auto approve access package assignment request", ENTITLEMENT, Success;
    /// An approver denied.
    RequestDenied = "REQUEST_DENIED", "Deny access package assignment request", ENTITLEMENT, Success;
    /// Nobody decided in time.
    RequestTimedOut = "REQUEST_TIMED_OUT", "Access package assignment request timed out (no approver action taken)", ENTITLEMENT, Timeout;
    /// Taken back.
    RequestCanceled = "REQUEST_CANCELED", "Cancel access package assignment request", ENTITLEMENT, Success;
    /// The access is there.
    RequestDelivered = "REQUEST_DELIVERED", "Fulfill access package assignment request", ENTITLEMENT, Success;
    /// An assignment came to be.
    AssignmentDelivered = "ASSIGNMENT_DELIVERED", "Fulfill access package assignment", ENTITLEMENT, Success;
    /// An assignment ended on time.
    AssignmentExpired = "ASSIGNMENT_EXPIRED", "Remove access package assignment", ENTITLEMENT, Success;
    /// A control configuration changed.
    ControlUpdated = "CONTROL_UPDATED", "Update tenant setting", ENTITLEMENT, Success;
    /// A catalog was made.
    CatalogCreated = "CATALOG_CREATED", "Create access package catalog", ENTITLEMENT, Success;
    /// A package was made.
    PackageCreated = "PACKAGE_CREATED", "Create access package", ENTITLEMENT, Success;
    /// A policy was made.
    PolicyCreated = "POLICY_CREATED", "Create access package assignment policy", ENTITLEMENT, Success;
    /// A person's ID Protection risk was reported.
    UserRiskReported = "USER_RISK_REPORTED", "Report user risk", OTHER, Success;
    /// The source that is asked from outside says something else of a person's ID Protection risk than before.
    UserRiskObserved = "USER_RISK_OBSERVED", "Observe user risk", OTHER, Success;
    /// A person was confirmed compromised.
    UserConfirmedCompromised = "USER_CONFIRMED_COMPROMISED", "ConfirmCompromised", OTHER, Success;
    /// A person was confirmed safe.
    UserConfirmedSafe = "USER_CONFIRMED_SAFE", "ConfirmSafe", OTHER, Success;
    /// A person's risk was dismissed.
    UserRiskDismissed = "USER_RISK_DISMISSED", "DismissUser", OTHER, Success;
    /// A person's insider risk was taken in.
    InsiderRiskReported = "INSIDER_RISK_REPORTED", "Report insider risk", OTHER, Success;
    /// People, groups, managers and roles were loaded.
    DirectoryImported = "DIRECTORY_IMPORTED", "Import directory", USER_MANAGEMENT, Success;
    /// What the directory's source told of people, groups, managers and roles was taken over.
    DirectorySynchronized = "DIRECTORY_SYNCHRONIZED", "Synchronize directory", USER_MANAGEMENT, Success;
    /// The directory comes from somewhere else from now on.
    DirectoryHandedOver = "DIRECTORY_HANDED_OVER", "Hand over directory", USER_MANAGEMENT, Success;
    /// What a reading of the directory's source left out, and was too much, shall be taken away.
    DirectoryRemovalsApproved = "DIRECTORY_REMOVALS_APPROVED", "Approve removals from directory", USER_MANAGEMENT, Success;
}

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventActor {
    /// A person.
    Person(UserId),
    /// An application with a token of its own.
    Application(ApplicationId),
    /// The server's own clockwork, or an operator at its command line.
    System,
}

impl EventActor {
    /// Its kind and its id.
    pub fn parts(&self) -> (ActorKind, Option<String>) {
        match self {
            EventActor::Person(id) => (ActorKind::Person, Some(id.0.to_string())),
            EventActor::Application(id) => (ActorKind::Application, Some(id.to_string())),
            EventActor::System => (ActorKind::System, None),
        }
    }
}

/// One value among an event's details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// A text: an id, a word, what somebody wrote.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// A moment, perhaps counted from the commit.
    Moment(Timestamp),
    /// Several texts.
    List(Vec<String>),
}

impl From<&str> for Detail {
    fn from(value: &str) -> Detail {
        Detail::Text(value.to_owned())
    }
}

impl From<String> for Detail {
    fn from(value: String) -> Detail {
        Detail::Text(value)
    }
}

impl From<i64> for Detail {
    fn from(value: i64) -> Detail {
        Detail::Number(value)
    }
}

impl From<bool> for Detail {
    fn from(value: bool) -> Detail {
        Detail::Flag(value)
    }
}

impl From<Timestamp> for Detail {
    fn from(value: Timestamp) -> Detail {
        Detail::Moment(value)
    }
}

impl From<Vec<String>> for Detail {
    fn from(value: Vec<String>) -> Detail {
        Detail::List(value)
    }
}

/// An event that a plan wants written; position, time, id and hash come from the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventKind,
    /// Who caused it.
    pub actor: EventActor,
    /// The request it is about.
    pub request_id: Option<RequestId>,
    /// The stage it is about.
    pub stage_id: Option<StageId>,
    /// The package it is about.
    pub package_id: Option<PackageId>,
    /// Would it tell of risk?
    pub is_risk: bool,
    /// Everything else, by name. People stand here by id; no secret ever does.
    pub details: BTreeMap<&'static str, Detail>,
}

impl NewEvent {
    /// An event about nothing in particular yet.
    pub fn new(kind: EventKind, actor: EventActor) -> NewEvent {
        NewEvent {
            kind,
            actor,
            request_id: None,
            stage_id: None,
            package_id: None,
            is_risk: false,
            details: BTreeMap::new(),
        }
    }

    /// Whose risk it tells of; nothing for what happens within a request.
    pub fn risk_of(&self) -> Option<UserId> {
        match self.details.get("UserId") {
            Some(Detail::Text(id)) if self.is_risk && self.request_id.is_none() => id.parse().ok(),
            _ => None,
        }
    }

    /// The same with a detail.
    pub fn with(mut self, key: &'static str, value: impl Into<Detail>) -> NewEvent {
        self.details.insert(key, value.into());
        self
    }

    /// The same with a detail where there is a value.
    pub fn with_some(self, key: &'static str, value: Option<impl Into<Detail>>) -> NewEvent {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }
}
