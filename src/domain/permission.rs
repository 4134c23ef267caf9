//! Who may do what: one table, asked by every door and every list.
//!
//! A right belongs to directory roles as they are held now. What somebody may do because of who they are to an object
//! (requestor, approver, manager …) is a relation, and stands in the lists' SQL; which relations count is said here too.

use entity::DirectoryRole::{
    ComplianceAdministrator, GlobalAdministrator, GlobalReader, IdentityGovernanceAdministrator, SecurityAdministrator,
    SecurityOperator, SecurityReader,
};
use entity::{DirectoryRole, RiskSource, StageKind, UserId};

/// Somebody who is signed in: an enabled person of the directory, with the roles held at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Who.
    pub user_id: UserId,
    /// The directory roles held now.
    pub roles: Vec<DirectoryRole>,
}

/// Something that a directory role lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// Read the control configurations.
    ReadControls,
    /// Change them.
    UpdateControls,
    /// Make catalogs, packages and policies.
    ManagePackages,
    /// Read every package and policy.
    ReadPackages,
    /// Read every request, stage and assignment.
    ReadRequests,
    /// Cancel anybody's request.
    CancelRequests,
    /// Read every person and group.
    ReadPeople,
    /// Read risk: of people, and in every request that the holder sees (a *risk reader*).
    ReadRisk,
    /// Read the audit log.
    ReadAudit,
    /// Report, confirm and dismiss ID Protection risk.
    ReportUserRisk,
    /// Take in insider risk.
    ReportInsiderRisk,
    /// Hold a role that an ID Protection stage needs.
    DecideIdProtection,
    /// Hold a role that an insider-risk stage needs.
    DecideInsiderRisk,
}

impl Right {
    /// Every right.
    pub const ALL: &'static [Right] = &[
        Right::ReadControls,
        Right::UpdateControls,
        Right::ManagePackages,
        Right::ReadPackages,
        Right::ReadRequests,
        Right::CancelRequests,
        Right::ReadPeople,
        Right::ReadRisk,
        Right::ReadAudit,
        Right::ReportUserRisk,
        Right::ReportInsiderRisk,
        Right::DecideIdProtection,
        Right::DecideInsiderRisk,
    ];

    /// Who has it: the roles, any one of which is enough.
    pub const fn roles(self) -> &'static [DirectoryRole] {
        /// Readers of entitlement management: the published `entitlementManagement/allProperties/read`, and those who govern.
        const READERS: &[DirectoryRole] = &[
            GlobalAdministrator,
            GlobalReader,
            IdentityGovernanceAdministrator,
            SecurityAdministrator,
            SecurityReader,
            ComplianceAdministrator,
        ];
        const GOVERNORS: &[DirectoryRole] = &[GlobalAdministrator, IdentityGovernanceAdministrator];
        match self {
            Right::ReadPackages | Right::ReadRequests => READERS,
            Right::ReadControls | Right::ReadPeople | Right::ReadRisk => DirectoryRole::ALL,
            Right::UpdateControls | Right::ManagePackages | Right::CancelRequests => GOVERNORS,
            Right::ReadAudit => &[
                GlobalAdministrator,
                GlobalReader,
                IdentityGovernanceAdministrator,
                SecurityAdministrator,
                SecurityOperator,
                SecurityReader,
            ],
            Right::ReportUserRisk => &[GlobalAdministrator, SecurityAdministrator, SecurityOperator],
            Right::ReportInsiderRisk => &[GlobalAdministrator, ComplianceAdministrator],
            Right::DecideIdProtection => &[GlobalAdministrator, SecurityAdministrator, SecurityReader],
            Right::DecideInsiderRisk => &[GlobalAdministrator, ComplianceAdministrator],
        }
    }
}

impl Actor {
    /// Does a role held now give this right?
    pub fn has(&self, right: Right) -> bool {
        right.roles().iter().any(|role| self.roles.contains(role))
    }

    /// May the person read risk everywhere, by a role (the seven *risk readers*)?
    pub fn is_risk_reader(&self) -> bool {
        self.has(Right::ReadRisk)
    }
}

/// The role that a stage needs beside membership in its approver set; nothing for a policy's stage.
pub fn right_to_decide(kind: StageKind) -> Option<Right> {
    match kind {
        StageKind::IdProtectionRisk => Some(Right::DecideIdProtection),
        StageKind::InsiderRisk => Some(Right::DecideInsiderRisk),
        StageKind::Policy => None,
    }
}

/// The stage that a risk source asks for.
pub fn stage_kind(source: RiskSource) -> StageKind {
    match source {
        RiskSource::IdProtection => StageKind::IdProtectionRisk,
        RiskSource::InsiderRisk => StageKind::InsiderRisk,
    }
}

/// The source that a stage comes from; nothing for a policy's stage.
pub fn risk_source(kind: StageKind) -> Option<RiskSource> {
    match kind {
        StageKind::IdProtectionRisk => Some(RiskSource::IdProtection),
        StageKind::InsiderRisk => Some(RiskSource::InsiderRisk),
        StageKind::Policy => None,
    }
}
