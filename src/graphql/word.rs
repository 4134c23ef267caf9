//! The vocabularies, as the schema names them.

use async_graphql::Enum;
use entity::RiskLevel;

macro_rules! mirrored {
    ($($(#[$meta:meta])* $name:ident of $remote:literal { $($(#[$vmeta:meta])* $variant:ident),+ $(,)? })+) => {
        $($(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
        #[graphql(remote = $remote)]
        pub enum $name { $($(#[$vmeta])* $variant),+ })+
    };
}

mirrored! {
    /// A directory role that means something here.
    DirectoryRole of "entity::DirectoryRole" {
        /// Everything.
        GlobalAdministrator,
        /// Reads everything.
        GlobalReader,
        /// Governs access.
        IdentityGovernanceAdministrator,
        /// Decides ID Protection stages, unless a control names others.
        SecurityAdministrator,
        /// Handles risk.
        SecurityOperator,
        /// Reads risk.
        SecurityReader,
        /// Decides insider-risk stages, unless a control names others.
        ComplianceAdministrator,
    }
    /// Where risk is read.
    RiskSource of "entity::RiskSource" {
        /// Risk of an account being compromised.
        IdProtection,
        /// Risk from within.
        InsiderRisk,
    }
    /// Where a reading comes from.
    RiskReadingOrigin of "entity::Origin" {
        /// From the last complete reading of everybody.
        Sweep,
        /// From a question about this person alone.
        Single,
        /// From what was reported to this server.
        Report,
    }
    /// How a risk source does.
    RiskSourceState of "crate::service::source::SourceState" {
        /// What it said last is young enough to count.
        Ok,
        /// It is too old: each person is asked about alone while that is possible.
        Stale,
        /// It wants to be left alone for a while.
        Throttled,
        /// The last question to it failed.
        Failing,
        /// It was never read as a whole.
        NeverRead,
    }
    /// When a control reads its source for a request.
    RiskReevaluation of "entity::Reevaluation" {
        /// Once, at submission.
        AtSubmission,
        /// Also before access is delivered: a source that newly matches, or matches higher than every approval given saw, inserts its
        /// stage.
        BeforeDelivery,
        /// That too; and a rise that becomes known does so at once in every open request of the person.
        Continuous,
    }
    /// What a reading that cannot be had makes of a request at its submission.
    WhenUndetermined of "entity::WhenUndetermined" {
        /// It counts as one of the selected levels.
        RequireStage,
        /// The request waits in SUBMITTED and is read again by itself; after `holdTimeout` it gets its stage.
        Hold,
    }
    /// Where ID Protection stands with a person.
    UserRiskState of "entity::RiskState" {
        /// Nothing known.
        None,
        /// Called safe by an administrator.
        ConfirmedSafe,
        /// Risk removed by the person.
        Remediated,
        /// Risk dismissed by an administrator.
        Dismissed,
        /// At risk now.
        AtRisk,
        /// Called compromised by an administrator.
        ConfirmedCompromised,
    }
    /// Who asked for what.
    AccessRequestType of "entity::RequestType" {
        /// A person for themselves.
        UserAdd,
        /// A person for more time.
        UserUpdate,
        /// A person gives access back.
        UserRemove,
        /// An administrator adds.
        AdminAdd,
        /// An administrator changes.
        AdminUpdate,
        /// An administrator removes.
        AdminRemove,
        /// The service removes.
        SystemRemove,
        /// A manager for a direct report.
        OnBehalfAdd,
        /// An approver takes access away again.
        ApproverRemove,
    }
    /// Where a request stands.
    AccessRequestState of "entity::RequestState" {
        /// Taken in.
        Submitted,
        /// Some stage is not decided.
        PendingApproval,
        /// Approved, begins later.
        Scheduled,
        /// Being delivered.
        Delivering,
        /// Delivered.
        Delivered,
        /// Delivered in part.
        PartiallyDelivered,
        /// Nothing could be delivered.
        DeliveryFailed,
        /// Denied, by a person or by a deadline.
        Denied,
        /// Taken back.
        Canceled,
    }
    /// Why a request ended.
    AccessRequestOutcome of "entity::Outcome" {
        /// The access is there.
        Delivered,
        /// A risk approver said no.
        DeniedByRiskApprover,
        /// An approver said no.
        DeniedByApprover,
        /// Nobody decided a risk stage in time.
        RiskApprovalTimedOut,
        /// Nobody decided in time.
        ApprovalTimedOut,
        /// Whoever asked took it back.
        CanceledByRequestor,
        /// An administrator took it back.
        CanceledByAdministrator,
        /// Nothing could be delivered.
        DeliveryFailed,
    }
    /// Why a stage exists.
    ApprovalStageKind of "entity::StageKind" {
        /// ID Protection calls somebody risky.
        IdProtectionRisk,
        /// Insider risk calls somebody risky.
        InsiderRisk,
        /// The policy asks for it.
        Policy,
    }
    /// Where a stage stands.
    ApprovalStageStatus of "entity::StageStatus" {
        /// Its turn has not come.
        Waiting,
        /// Its turn is now.
        Pending,
        /// Approved.
        Approved,
        /// Denied.
        Denied,
        /// Nobody decided in time.
        TimedOut,
        /// The request ended before it was decided.
        Canceled,
    }
    /// When in the life of a request its way is planned.
    PlanningMoment of "entity::PlanningMoment" {
        /// When it is submitted.
        Submission,
        /// When the source that it waited for is there, or its time is over.
        Resumption,
        /// When something became known of somebody's risk while it waited.
        RiskChange,
        /// Before its access is delivered.
        Delivery,
    }
    /// The rule by which a risk source, or a stage of the policy, asks for an approval or does not.
    PlanningRule of "entity::PlanningRule" {
        /// A level that was read is one of those that the control selects.
        LevelSelected,
        /// A level could not be read, which counts as one of those.
        LevelUndetermined,
        /// Only readings that could not be had ask for a stage, and the control lets the request wait for its source.
        WaitsForSource,
        /// No level that was read is one of those that the control selects.
        LevelNotSelected,
        /// An approval has covered the levels that were read.
        CoveredByApproval,
        /// A stage of the source is undecided, and shows what was read.
        StageUndecided,
        /// An approval of the source counts no more: who gave it may not give it now.
        ApprovalVoid,
        /// The control does not read its source at this moment.
        SourceNotRead,
        /// The control is off.
        ControlDisabled,
        /// The control requires no approval.
        ApprovalNotRequired,
        /// The control could not be read, so what it gates is unknown.
        ControlUnknown,
        /// The policy has this stage.
        PolicyStage,
        /// The policy has no stages.
        PolicyWithoutStages,
    }
    /// Why somebody of an approver set could not decide.
    ApproverExclusion of "entity::ApproverExclusion" {
        /// Asks for the access.
        Requestor,
        /// Would get the access.
        Target,
        /// The account is disabled or deleted.
        Disabled,
        /// Holds none of the roles that the stage needs.
        NoRole,
        /// Is at risk, and the control refuses approvers who are.
        AtRisk,
    }
    /// A tier of approvers.
    ApproverTier of "entity::ApproverTier" {
        /// The approvers.
        Primary,
        /// Those who join by escalation.
        Alternate,
        /// Those who join while nobody of the others could decide.
        Fallback,
    }
    /// Who could decide a stage.
    StageCoverage of "entity::Coverage" {
        /// Its approvers, or its alternates once they have joined.
        Primary,
        /// Nobody of those; the fallback approvers have joined.
        Fallback,
        /// Nobody at all.
        Nobody,
    }
    /// What an approver says.
    Decision of "entity::Verdict" {
        /// Yes.
        Approve,
        /// No.
        Deny,
    }
    /// Where an assignment stands.
    AssignmentState of "entity::AssignmentState" {
        /// Being delivered.
        Delivering,
        /// Active.
        Delivered,
        /// Active in part.
        PartiallyDelivered,
        /// Nothing could be delivered.
        DeliveryFailed,
        /// Ended.
        Expired,
    }
    /// How what an event tells of ended.
    AuditResult of "entity::AuditResult" {
        /// Done.
        Success,
        /// Refused, or something to look at.
        Failure,
        /// Nobody acted in time.
        Timeout,
    }
    /// The level of a reading, in its source's own words.
    RiskEvaluationLevel of "entity::RiskLevel" {
        /// No risk.
        None,
        /// ID Protection: low.
        Low,
        /// ID Protection: medium.
        Medium,
        /// ID Protection: high.
        High,
        /// Insider risk: minor.
        Minor,
        /// Insider risk: moderate.
        Moderate,
        /// Insider risk: elevated.
        Elevated,
        /// The source could not be read in time; never treated as lower than any level.
        Undetermined,
    }
}

/// A level of ID Protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum UserRiskLevel {
    /// No risk.
    None,
    /// Lowest confidence.
    Low,
    /// Some confidence.
    Medium,
    /// Strong confidence that the account is compromised.
    High,
}

/// A level of insider risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum InsiderRiskLevel {
    /// No risk.
    None,
    /// Lowest.
    Minor,
    /// In between.
    Moderate,
    /// Highest.
    Elevated,
}

impl From<UserRiskLevel> for RiskLevel {
    fn from(level: UserRiskLevel) -> RiskLevel {
        match level {
            UserRiskLevel::None => RiskLevel::None,
            UserRiskLevel::Low => RiskLevel::Low,
            UserRiskLevel::Medium => RiskLevel::Medium,
            UserRiskLevel::High => RiskLevel::High,
        }
    }
}

impl From<InsiderRiskLevel> for RiskLevel {
    fn from(level: InsiderRiskLevel) -> RiskLevel {
        match level {
            InsiderRiskLevel::None => RiskLevel::None,
            InsiderRiskLevel::Minor => RiskLevel::Minor,
            InsiderRiskLevel::Moderate => RiskLevel::Moderate,
            InsiderRiskLevel::Elevated => RiskLevel::Elevated,
        }
    }
}

impl UserRiskLevel {
    /// The level where it is one of ID Protection's.
    pub fn of(level: RiskLevel) -> Option<UserRiskLevel> {
        match level {
            RiskLevel::None => Some(UserRiskLevel::None),
            RiskLevel::Low => Some(UserRiskLevel::Low),
            RiskLevel::Medium => Some(UserRiskLevel::Medium),
            RiskLevel::High => Some(UserRiskLevel::High),
            RiskLevel::Minor | RiskLevel::Moderate | RiskLevel::Elevated | RiskLevel::Undetermined => None,
        }
    }
}

impl InsiderRiskLevel {
    /// The level where it is one of insider risk's.
    pub fn of(level: RiskLevel) -> Option<InsiderRiskLevel> {
        match level {
            RiskLevel::None => Some(InsiderRiskLevel::None),
            RiskLevel::Minor => Some(InsiderRiskLevel::Minor),
            RiskLevel::Moderate => Some(InsiderRiskLevel::Moderate),
            RiskLevel::Elevated => Some(InsiderRiskLevel::Elevated),
            RiskLevel::Low | RiskLevel::Medium | RiskLevel::High | RiskLevel::Undetermined => None,
        }
    }
}
