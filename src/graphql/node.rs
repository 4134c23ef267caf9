//! Any object by its id. Who may not see it, and who asks for nothing that exists, get the same answer.

use async_graphql::{Context, Error, ID, Interface};

use super::audit::AuditEvent;
use super::catalog::{AccessPackage, AssignmentPolicy, Catalog};
use super::control::{ControlConfiguration, IdProtectionRiskApproval, InsiderRiskApproval};
use super::error::shown;
use super::loader;
use super::request::{AccessRequest, Assignment};
use super::session::{actor, services};
use super::stage::{ApprovalStage, PolicyApprovalStage, RiskApprovalStage};
use super::user::{Group, User};
use crate::domain::control;
use crate::domain::permission::Right;

/// An object with an id.
#[derive(Interface, Clone)]
#[graphql(field(name = "id", ty = "ID", desc = "`<prefix>_<uuid>`."))]
pub enum Node {
    /// A catalog.
    Catalog(Catalog),
    /// A package.
    AccessPackage(AccessPackage),
    /// A policy.
    AssignmentPolicy(AssignmentPolicy),
    /// A request.
    AccessRequest(AccessRequest),
    /// A risk stage.
    RiskApprovalStage(RiskApprovalStage),
    /// A stage of a policy.
    PolicyApprovalStage(PolicyApprovalStage),
    /// An assignment.
    Assignment(Assignment),
    /// A person.
    User(User),
    /// A group.
    Group(Group),
    /// An event.
    AuditEvent(AuditEvent),
    /// A control.
    IdProtectionRiskApproval(IdProtectionRiskApproval),
    /// A control.
    InsiderRiskApproval(InsiderRiskApproval),
}

/// The object of that id, where the viewer sees it.
pub async fn by_id(ctx: &Context<'_>, id: &ID) -> Result<Option<Node>, Error> {
    let Some((prefix, _)) = id.split_once('_') else { return Ok(None) };
    macro_rules! look_up {
        ($load:path, $node:expr) => {
            match id.parse() {
                Ok(id) => $load(ctx, id).await?.map($node),
                Err(_) => None,
            }
        };
    }
    Ok(match prefix {
        "cat" => look_up!(loader::visible_catalog, |row| Node::Catalog(Catalog(row))),
        "pkg" => look_up!(loader::visible_package, |row| Node::AccessPackage(AccessPackage(row))),
        "pol" => look_up!(loader::visible_policy, |row| Node::AssignmentPolicy(AssignmentPolicy(row))),
        "req" => look_up!(loader::request, |row| Node::AccessRequest(AccessRequest(row))),
        "stg" => look_up!(loader::stage, |row| match ApprovalStage::of(row) {
            ApprovalStage::RiskApprovalStage(stage) => Node::RiskApprovalStage(stage),
            ApprovalStage::PolicyApprovalStage(stage) => Node::PolicyApprovalStage(stage),
        }),
        "asg" => look_up!(loader::assignment, |row| Node::Assignment(Assignment(row))),
        "usr" => look_up!(loader::visible_user, |row| Node::User(User(row))),
        "grp" => look_up!(loader::visible_group, |row| Node::Group(Group(row))),
        "evt" => look_up!(loader::event, |row| Node::AuditEvent(AuditEvent(row))),
        "cfg" => control_by_id(ctx, id).await?,
        _ => None,
    })
}

async fn control_by_id(ctx: &Context<'_>, id: &ID) -> Result<Option<Node>, Error> {
    let Some(source) = id.parse().ok().and_then(control::source) else { return Ok(None) };
    let actor = actor(ctx)?;
    if !actor.has(Right::ReadControls) {
        return Ok(None);
    }
    let rows = services(ctx)?.controls(&actor).await.map_err(shown)?;
    let row = rows.into_iter().find(|row| row.source == source);
    Ok(row.map(ControlConfiguration::of).map(|control| match control {
        ControlConfiguration::IdProtectionRiskApproval(control) => Node::IdProtectionRiskApproval(control),
        ControlConfiguration::InsiderRiskApproval(control) => Node::InsiderRiskApproval(control),
    }))
}
