//! The words of the domain: closed vocabularies, stored and shown under their upper-case names.

use sea_orm::{DeriveActiveEnum, DeriveValueType, EnumIter};
use serde::{Deserialize, Serialize};

use crate::{GroupId, Seconds, UserId, canonical_uuid};

macro_rules! word {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, EnumIter, DeriveActiveEnum)]
        #[sea_orm(rs_type = "String", db_type = "Text")]
        pub enum $name {
            $($(#[$vmeta])* #[serde(rename = $text)] #[sea_orm(string_value = $text)] $variant),+
        }

        impl $name {
            /// Every word of this vocabulary.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word as it is stored and shown.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

word! {
    /// A directory role that means something here (Microsoft Entra's built-in roles of these names).
    DirectoryRole {
        /// Everything.
        GlobalAdministrator = "GLOBAL_ADMINISTRATOR",
        /// Reads everything.
        GlobalReader = "GLOBAL_READER",
        /// Governs access.
        IdentityGovernanceAdministrator = "IDENTITY_GOVERNANCE_ADMINISTRATOR",
        /// Answers for security; the default approver of ID Protection stages.
        SecurityAdministrator = "SECURITY_ADMINISTRATOR",
        /// Handles risk, sees nothing of entitlement management.
        SecurityOperator = "SECURITY_OPERATOR",
        /// Reads risk.
        SecurityReader = "SECURITY_READER",
        /// Answers for compliance; the default approver of insider-risk stages.
        ComplianceAdministrator = "COMPLIANCE_ADMINISTRATOR",
    }
}

word! {
    /// Where risk is read.
    RiskSource {
        /// Microsoft Entra ID Protection: user risk.
        IdProtection = "ID_PROTECTION",
        /// Microsoft Purview insider risk.
        InsiderRisk = "INSIDER_RISK",
    }
}

word! {
    /// When a control reads its source for a request.
    #[derive(Default)]
    Reevaluation {
        /// Once, at submission.
        AtSubmission = "AT_SUBMISSION",
        /// Again before access is delivered.
        #[default]
        BeforeDelivery = "BEFORE_DELIVERY",
        /// That too; and a rise that becomes known is acted on at once in every open request.
        Continuous = "CONTINUOUS",
    }
}

impl Reevaluation {
    /// Is it this word, which stored facts leave out?
    pub fn is_default(&self) -> bool {
        *self == Reevaluation::default()
    }
}

word! {
    /// What a reading that could not be had makes of a request at its submission.
    #[derive(Default)]
    WhenUndetermined {
        /// It counts as one that asks for a stage.
        #[default]
        RequireStage = "REQUIRE_STAGE",
        /// The request waits for the source; at the end of the control's time it gets the stage.
        Hold = "HOLD",
    }
}

impl WhenUndetermined {
    /// Is it this word, which stored facts leave out?
    pub fn is_default(&self) -> bool {
        *self == WhenUndetermined::default()
    }
}

word! {
    /// The level of one reading, in its source's own words.
    RiskLevel {
        /// No risk.
        None = "NONE",
        /// ID Protection: lowest confidence.
        Low = "LOW",
        /// ID Protection: medium.
        Medium = "MEDIUM",
        /// ID Protection: strong confidence that the account is compromised.
        High = "HIGH",
        /// Insider risk: lowest.
        Minor = "MINOR",
        /// Insider risk: medium.
        Moderate = "MODERATE",
        /// Insider risk: highest.
        Elevated = "ELEVATED",
        /// The source could not be read in time; never treated as lower than any level.
        Undetermined = "UNDETERMINED",
    }
}

word! {
    /// Where a reading comes from.
    #[derive(Default)]
    Origin {
        /// From the last complete reading of everybody.
        Sweep = "SWEEP",
        /// From a question about this person alone.
        Single = "SINGLE",
        /// From what was reported to this server.
        #[default]
        Report = "REPORT",
    }
}

impl Origin {
    /// Is it this word, which stored facts leave out?
    pub fn is_default(&self) -> bool {
        *self == Origin::default()
    }
}

word! {
    /// State of a person's risk in ID Protection (Graph `riskState`).
    RiskState {
        /// Nothing known.
        None = "NONE",
        /// An administrator called the account safe.
        ConfirmedSafe = "CONFIRMED_SAFE",
        /// The person removed the risk.
        Remediated = "REMEDIATED",
        /// An administrator dismissed it.
        Dismissed = "DISMISSED",
        /// At risk now.
        AtRisk = "AT_RISK",
        /// An administrator called the account compromised.
        ConfirmedCompromised = "CONFIRMED_COMPROMISED",
    }
}

word! {
    /// Who asked for what (Graph `accessPackageRequestType`).
    RequestType {
        /// A person for themselves.
        UserAdd = "USER_ADD",
        /// An extension.
        UserUpdate = "USER_UPDATE",
        /// A person gives access back.
        UserRemove = "USER_REMOVE",
        /// An administrator adds.
        AdminAdd = "ADMIN_ADD",
        /// An administrator changes.
        AdminUpdate = "ADMIN_UPDATE",
        /// An administrator removes.
        AdminRemove = "ADMIN_REMOVE",
        /// The service removes.
        SystemRemove = "SYSTEM_REMOVE",
        /// A manager for a direct report.
        OnBehalfAdd = "ON_BEHALF_ADD",
        /// An approver takes access away again.
        ApproverRemove = "APPROVER_REMOVE",
    }
}

word! {
    /// State of a request (Graph `accessPackageRequestState`).
    RequestState {
        /// Taken in.
        Submitted = "SUBMITTED",
        /// Some stage is not decided.
        PendingApproval = "PENDING_APPROVAL",
        /// Approved, begins later.
        Scheduled = "SCHEDULED",
        /// Being delivered.
        Delivering = "DELIVERING",
        /// Delivered.
        Delivered = "DELIVERED",
        /// Delivered in part.
        PartiallyDelivered = "PARTIALLY_DELIVERED",
        /// Nothing could be delivered.
        DeliveryFailed = "DELIVERY_FAILED",
        /// Denied, by a person or by a deadline.
        Denied = "DENIED",
        /// Canceled.
        Canceled = "CANCELED",
    }
}

word! {
    /// Why a request ended.
    Outcome {
        /// The access is there.
        Delivered = "DELIVERED",
        /// A risk stage said no.
        DeniedByRiskApprover = "DENIED_BY_RISK_APPROVER",
        /// A stage of the policy said no.
        DeniedByApprover = "DENIED_BY_APPROVER",
        /// Nobody decided a risk stage in time.
        RiskApprovalTimedOut = "RISK_APPROVAL_TIMED_OUT",
        /// Nobody decided a stage of the policy in time.
        ApprovalTimedOut = "APPROVAL_TIMED_OUT",
        /// Whoever asked took it back.
        CanceledByRequestor = "CANCELED_BY_REQUESTOR",
        /// An administrator took it back.
        CanceledByAdministrator = "CANCELED_BY_ADMINISTRATOR",
        /// Nothing could be delivered.
        DeliveryFailed = "DELIVERY_FAILED",
    }
}

word! {
    /// Why a stage exists.
    StageKind {
        /// ID Protection calls somebody risky.
        IdProtectionRisk = "ID_PROTECTION_RISK",
        /// Insider risk calls somebody risky.
        InsiderRisk = "INSIDER_RISK",
        /// The policy asks for it.
        Policy = "POLICY",
    }
}

word! {
    /// Where a stage stands.
    StageStatus {
        /// Its turn has not come.
        Waiting = "WAITING",
        /// Its turn is now.
        Pending = "PENDING",
        /// Somebody approved.
        Approved = "APPROVED",
        /// Somebody denied.
        Denied = "DENIED",
        /// Nobody decided in time.
        TimedOut = "TIMED_OUT",
        /// The request ended before it was decided.
        Canceled = "CANCELED",
    }
}

word! {
    /// Which tier of a stage's approvers somebody belongs to.
    ApproverTier {
        /// From the start.
        Primary = "PRIMARY",
        /// Alternates: since escalation.
        Alternate = "ALTERNATE",
        /// While nobody of the others could decide.
        Fallback = "FALLBACK",
    }
}

word! {
    /// Who could decide a pending stage, by the directory as it stands.
    Coverage {
        /// Somebody of the primary approvers (or of the alternates, once escalated).
        Primary = "PRIMARY",
        /// Nobody of those, but somebody of the fallback.
        Fallback = "FALLBACK",
        /// Nobody at all.
        Nobody = "NOBODY",
    }
}

word! {
    /// When in the life of a request its way is planned.
    PlanningMoment {
        /// When it is submitted.
        Submission = "SUBMISSION",
        /// When the source that it waited for is there, or its time is over.
        Resumption = "RESUMPTION",
        /// When something became known of somebody's risk while it waited.
        RiskChange = "RISK_CHANGE",
        /// Before its access is delivered.
        Delivery = "DELIVERY",
    }
}

word! {
    /// The rule by which a source, or a stage of the policy, asks for an approval or does not.
    PlanningRule {
        /// A level that was read is one of those that the control selects.
        LevelSelected = "LEVEL_SELECTED",
        /// A level could not be read, which counts as one of those.
        LevelUndetermined = "LEVEL_UNDETERMINED",
        /// Only readings that could not be had ask for a stage, and the control lets the request wait for its source.
        WaitsForSource = "WAITS_FOR_SOURCE",
        /// No level that was read is one of those that the control selects.
        LevelNotSelected = "LEVEL_NOT_SELECTED",
        /// An approval has covered the levels that were read.
        CoveredByApproval = "COVERED_BY_APPROVAL",
        /// A stage of the source is undecided, and shows what was read.
        StageUndecided = "STAGE_UNDECIDED",
        /// An approval of the source counts no more: who gave it may not give it now.
        ApprovalVoid = "APPROVAL_VOID",
        /// The control does not read its source at this moment.
        SourceNotRead = "SOURCE_NOT_READ",
        /// The control is off.
        ControlDisabled = "CONTROL_DISABLED",
        /// The control requires no approval.
        ApprovalNotRequired = "APPROVAL_NOT_REQUIRED",
        /// The control could not be read, so what it gates is unknown.
        ControlUnknown = "CONTROL_UNKNOWN",
        /// The policy has this stage.
        PolicyStage = "POLICY_STAGE",
        /// The policy has no stages.
        PolicyWithoutStages = "POLICY_WITHOUT_STAGES",
    }
}

word! {
    /// Why somebody of an approver set could not decide a stage when it was planned.
    ApproverExclusion {
        /// Asks for the access.
        Requestor = "REQUESTOR",
        /// Would get the access.
        Target = "TARGET",
        /// The account is disabled or deleted.
        Disabled = "DISABLED",
        /// Holds none of the roles that the stage needs.
        NoRole = "NO_ROLE",
        /// Is at risk, and the control refuses approvers who are.
        AtRisk = "AT_RISK",
    }
}

word! {
    /// What an approver says.
    Verdict {
        /// Yes.
        Approve = "APPROVE",
        /// No.
        Deny = "DENY",
    }
}

word! {
    /// State of an assignment.
    AssignmentState {
        /// Being delivered.
        Delivering = "DELIVERING",
        /// Active.
        Delivered = "DELIVERED",
        /// Active in part.
        PartiallyDelivered = "PARTIALLY_DELIVERED",
        /// Nothing could be delivered.
        DeliveryFailed = "DELIVERY_FAILED",
        /// Ended.
        Expired = "EXPIRED",
    }
}

word! {
    /// What kind of actor an event names.
    ActorKind {
        /// A person.
        Person = "PERSON",
        /// An application.
        Application = "APPLICATION",
        /// The server's own clockwork, or an operator at its command line.
        System = "SYSTEM",
    }
}

word! {
    /// How what an event tells of ended.
    AuditResult {
        /// Done.
        Success = "SUCCESS",
        /// Refused or failed.
        Failure = "FAILURE",
        /// Nobody acted in time.
        Timeout = "TIMEOUT",
    }
}

word! {
    /// How somebody comes to be in a set of people.
    SubjectKind {
        /// Named.
        User = "USER",
        /// Member of a group, directly or through groups in it.
        Group = "GROUP",
        /// Holder of a directory role.
        Role = "ROLE",
        /// Manager of a person.
        Manager1 = "MANAGER_1",
        /// That manager's manager.
        Manager2 = "MANAGER_2",
    }
}

word! {
    /// Where the directory comes from.
    #[derive(Default)]
    DirectorySource {
        /// Files that an operator loads.
        #[default]
        File = "FILE",
        /// Microsoft Graph.
        Graph = "GRAPH",
    }
}

word! {
    /// A part of the directory's source that is read by itself.
    SyncStream {
        /// People and their managers.
        Users = "USERS",
        /// Groups and their members.
        Groups = "GROUPS",
        /// Who is given which role.
        Roles = "ROLES",
    }
}

word! {
    /// What is being done with a stream of the directory's source.
    SyncPhase {
        /// Nothing was read yet.
        New = "NEW",
        /// Everything is being read for the first time.
        First = "FIRST",
        /// Everything is being read again, and marked.
        Listing = "LISTING",
        /// What a listing did not name is being taken away.
        Sweeping = "SWEEPING",
        /// Changes are being followed.
        Following = "FOLLOWING",
    }
}

word! {
    /// What a listing has named.
    MarkKind {
        /// A person.
        User = "USER",
        /// A group.
        Group = "GROUP",
        /// A member of a group.
        Member = "MEMBER",
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, DeriveValueType)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Whom a rule names: one entry of a set of approvers or requestors.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "ref", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SubjectSet {
    /// One person.
    User(UserId),
    /// Everybody in a group, directly or through groups in it.
    Group(GroupId),
    /// The manager of the one who gets the access (1), or that manager's manager (2).
    Manager(u8),
    /// Everybody who holds a directory role.
    Role(DirectoryRole),
}

impl SubjectSet {
    /// The set of that kind and reference; `None` where the reference is none of its kind. A manager is told by level alone.
    pub fn of(kind: SubjectKind, subject: &str) -> Option<SubjectSet> {
        Some(match kind {
            SubjectKind::User => SubjectSet::User(UserId(canonical_uuid(subject)?)),
            SubjectKind::Group => SubjectSet::Group(GroupId(canonical_uuid(subject)?)),
            SubjectKind::Manager1 => SubjectSet::Manager(1),
            SubjectKind::Manager2 => SubjectSet::Manager(2),
            SubjectKind::Role => SubjectSet::Role(*DirectoryRole::ALL.iter().find(|role| role.as_str() == subject)?),
        })
    }

    /// Kind and reference under which `membership` lists the people of this set, for a request whose access `target` gets.
    pub fn subject(&self, target: UserId) -> (SubjectKind, String) {
        match self {
            SubjectSet::User(id) => (SubjectKind::User, id.0.to_string()),
            SubjectSet::Group(id) => (SubjectKind::Group, id.0.to_string()),
            SubjectSet::Manager(1) => (SubjectKind::Manager1, target.0.to_string()),
            SubjectSet::Manager(_) => (SubjectKind::Manager2, target.0.to_string()),
            SubjectSet::Role(role) => (SubjectKind::Role, role.as_str().to_owned()),
        }
    }
}

/// One approval stage as a policy's author wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStage {
    /// Who decides.
    pub approvers: Vec<SubjectSet>,
    /// Who joins while nobody of those could decide.
    pub fallback_approvers: Vec<SubjectSet>,
    /// Who joins after `escalate_after`.
    pub escalation_approvers: Vec<SubjectSet>,
    /// How long after the stage's turn came its alternates join.
    pub escalate_after: Option<Seconds>,
    /// How long the stage waits before it is denied.
    pub decision_timeout: Seconds,
    /// Must a decision carry a justification?
    pub is_approver_justification_required: bool,
}
