//! Who may do what: one table, asked by every door and every list.
//!
//! A right belongs to directory roles as they are held now, and to the app roles of an application's token. What somebody may do because
//! of who they are to an object (requestor, approver, manager …) is a relation, and stands in the lists' SQL; an application is nobody
//! to any object, so it never decides.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use entity::DirectoryRole::{
    ComplianceAdministrator, GlobalAdministrator, GlobalReader, IdentityGovernanceAdministrator, SecurityAdministrator,
    SecurityOperator, SecurityReader,
};
use entity::{DirectoryRole, RiskSource, StageKind, UserId};
use serde::{Deserialize, Serialize};

use super::event::EventActor;

/// What an application may be allowed at its identity provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AppRole {
    /// Reads requests, and what they refer to.
    ReadRequests,
    /// The same, and submits for people where a policy lets applications.
    WriteRequests,
    /// Reports risk.
    WriteRisk,
}

impl AppRole {
    /// Every app role.
    pub const ALL: &'static [AppRole] = &[AppRole::ReadRequests, AppRole::WriteRequests, AppRole::WriteRisk];

    /// Its value in a token.
    pub const fn as_str(self) -> &'static str {
        match self {
            AppRole::ReadRequests => "AccessRequests.Read.All",
            AppRole::WriteRequests => "AccessRequests.ReadWrite.All",
            AppRole::WriteRisk => "Risk.Write.All",
        }
    }
}

/// What an application is called: by its client id, which only its issuer makes unique. As a text the two stand in this order, with a
/// space between.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ApplicationId {
    /// The identity provider that knows it.
    pub issuer: String,
    /// What it is called there.
    pub client_id: String,
}

impl fmt::Display for ApplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.issuer, self.client_id)
    }
}

impl FromStr for ApplicationId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (issuer, client_id) = text.split_once(' ').ok_or("an application has an issuer and a client id")?;
        Ok(ApplicationId { issuer: issuer.to_owned(), client_id: client_id.to_owned() })
    }
}

impl From<ApplicationId> for String {
    fn from(id: ApplicationId) -> String {
        id.to_string()
    }
}

impl TryFrom<String> for ApplicationId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// An application with a token of its own, and no person behind it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Application {
    /// Which one.
    pub id: ApplicationId,
    /// The app roles that its token has.
    pub roles: Vec<AppRole>,
}

/// Whom a token names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A person of the directory.
    Person(UserId),
    /// An application.
    Application(Arc<Application>),
}

/// Somebody who is signed in: an enabled person of the directory, with the roles held at this moment; or an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// Who.
    pub principal: Principal,
    /// The directory roles held now; an application holds none.
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
    /// Submit for anybody whom a policy covers that lets applications.
    SubmitAsApplication,
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
        Right::SubmitAsApplication,
    ];

    /// Which people have it: those with any one of these roles.
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
            Right::SubmitAsApplication => &[],
        }
    }

    /// Which applications have it: those with any one of these app roles.
    pub const fn app_roles(self) -> &'static [AppRole] {
        match self {
            Right::ReadPackages | Right::ReadRequests | Right::ReadPeople => {
                &[AppRole::ReadRequests, AppRole::WriteRequests]
            }
            Right::SubmitAsApplication => &[AppRole::WriteRequests],
            Right::ReportUserRisk | Right::ReportInsiderRisk => &[AppRole::WriteRisk],
            Right::ReadControls
            | Right::UpdateControls
            | Right::ManagePackages
            | Right::CancelRequests
            | Right::ReadRisk
            | Right::ReadAudit
            | Right::DecideIdProtection
            | Right::DecideInsiderRisk => &[],
        }
    }
}

impl Actor {
    /// A person with the roles held now.
    pub fn person(user: UserId, roles: Vec<DirectoryRole>) -> Actor {
        Actor { principal: Principal::Person(user), roles }
    }

    /// An application.
    pub fn application(application: Arc<Application>) -> Actor {
        Actor { principal: Principal::Application(application), roles: Vec::new() }
    }

    /// Which person, if it is one.
    pub fn user_id(&self) -> Option<UserId> {
        match self.principal {
            Principal::Person(user) => Some(user),
            Principal::Application(_) => None,
        }
    }

    /// How the log names it.
    pub fn named(&self) -> EventActor {
        match &self.principal {
            Principal::Person(user) => EventActor::Person(*user),
            Principal::Application(application) => EventActor::Application(application.id.clone()),
        }
    }

    /// Does a role held now give this right?
    pub fn has(&self, right: Right) -> bool {
        match &self.principal {
            Principal::Person(_) => right.roles().iter().any(|role| self.roles.contains(role)),
            Principal::Application(application) => {
                right.app_roles().iter().any(|role| application.roles.contains(role))
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_app_role_lets_an_application_decide_govern_or_read_risk() {
        let id = ApplicationId { issuer: "https://a.example".to_owned(), client_id: "x y".to_owned() };
        assert_eq!(id.to_string().parse::<ApplicationId>().as_ref(), Ok(&id));
        let application = Actor::application(Arc::new(Application { id, roles: AppRole::ALL.to_vec() }));
        let held: Vec<_> = Right::ALL.iter().copied().filter(|right| application.has(*right)).collect();
        use Right::{ReadPackages, ReadPeople, ReadRequests, ReportInsiderRisk, ReportUserRisk, SubmitAsApplication};
        let may = [ReadPackages, ReadRequests, ReadPeople, ReportUserRisk, ReportInsiderRisk, SubmitAsApplication];
        assert_eq!(held, may);
        let roles = DirectoryRole::ALL.to_vec();
        assert!(!Actor::person(UserId::new(), roles).has(SubmitAsApplication), "a person submits as a person");
    }
}
