//! Making catalogs, packages and policies.

use entity::{
    CatalogId, Json, PackageId, PolicyId, PolicyStage, Seconds, SubjectSet, Timestamp, UserId, catalog, package,
    policy, policy_requestor,
};

use super::event::{EventActor, EventKind, NewEvent};
use super::plan::{Guard, Plan};
use super::refusal::{Code, Refusal};
use super::text;

/// Most stages of a policy.
pub const STAGES_MAX: usize = 3;
/// Shortest and longest wait of a policy's stage.
pub const TIMEOUT: (Seconds, Seconds) = (Seconds::hours(1), Seconds::days(90));
/// Shortest and longest assignment.
pub const ASSIGNMENT: (Seconds, Seconds) = (Seconds::hours(1), Seconds::days(3_660));

/// A new catalog.
pub fn create_catalog(
    id: CatalogId,
    display_name: String,
    description: Option<String>,
    by: UserId,
) -> Result<(catalog::Model, Plan), Refusal> {
    text::name("displayName", &display_name)?;
    text::text("description", description.as_deref())?;
    let row = catalog::Model {
        id,
        folded_name: text::folded(&display_name),
        display_name,
        description,
        created_at: Timestamp::COMMIT,
        version: 1,
    };
    let mut plan = Plan::default();
    plan.events.push(
        NewEvent::new(EventKind::CatalogCreated, EventActor::Person(by))
            .with("CatalogId", id.to_string())
            .with("DisplayName", row.display_name.clone()),
    );
    plan.rows.catalogs.push(row.clone());
    Ok((row, plan))
}

/// A new package in a catalog that exists.
pub fn create_package(
    id: PackageId,
    catalog_id: CatalogId,
    display_name: String,
    description: Option<String>,
    is_hidden: bool,
    by: UserId,
) -> Result<(package::Model, Plan), Refusal> {
    text::name("displayName", &display_name)?;
    text::text("description", description.as_deref())?;
    let row = package::Model {
        id,
        catalog_id,
        folded_name: text::folded(&display_name),
        display_name,
        description,
        is_hidden,
        created_at: Timestamp::COMMIT,
        version: 1,
    };
    let mut plan = Plan::default();
    let mut event = NewEvent::new(EventKind::PackageCreated, EventActor::Person(by))
        .with("AccessPackageId", id.to_string())
        .with("CatalogId", catalog_id.to_string())
        .with("DisplayName", row.display_name.clone())
        .with("IsHidden", is_hidden);
    event.package_id = Some(id);
    plan.events.push(event);
    plan.rows.packages.push(row.clone());
    Ok((row, plan))
}

/// What a new policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPolicy {
    /// Its id.
    pub id: PolicyId,
    /// The package it is for.
    pub package_id: PackageId,
    /// Name for people.
    pub display_name: String,
    /// Who may ask for themselves; `None`: every enabled member of the directory.
    pub allowed_requestors: Option<Vec<SubjectSet>>,
    /// May a manager ask for direct reports?
    pub allow_managers_on_behalf: bool,
    /// May an application ask for people whom the policy covers?
    pub allow_applications: bool,
    /// Must a request carry a justification?
    pub is_requestor_justification_required: bool,
    /// The approval stages.
    pub stages: Vec<PolicyStage>,
    /// How long access lasts.
    pub assignment_duration: Option<Seconds>,
}

/// A new policy for a package that exists, at `package_version`; the people and groups it names exist.
pub fn create_policy(new: NewPolicy, package_version: i64, by: UserId) -> Result<(policy::Model, Plan), Refusal> {
    text::name("displayName", &new.display_name)?;
    if let Some(sets) = &new.allowed_requestors {
        for (index, set) in sets.iter().enumerate() {
            if matches!(set, SubjectSet::Manager(_)) {
                let field = format!("allowedRequestors.{index}.requestorManagerLevel");
                let message = "Nobody is their own manager: a policy lets managers ask through allowManagersOnBehalf.";
                return Err(Refusal::at(Code::Invalid, &field, message));
            }
        }
    }
    if new.stages.len() > STAGES_MAX {
        return Err(Refusal::at(Code::Invalid, "stages", format!("At most {STAGES_MAX} stages.")));
    }
    for (index, stage) in new.stages.iter().enumerate() {
        check_stage(stage).map_err(|refusal| refusal.under(&format!("stages.{index}")))?;
    }
    if let Some(duration) = new.assignment_duration
        && !(ASSIGNMENT.0..=ASSIGNMENT.1).contains(&duration)
    {
        return Err(Refusal::at(Code::Invalid, "assignmentDuration", "From one hour (PT1H) to 3,660 days (P3660D)."));
    }
    let mut requestors: Vec<policy_requestor::Model> = Vec::new();
    for set in new.allowed_requestors.iter().flatten() {
        // A requestor set never names a manager (see above), so the target does not matter.
        let (kind, subject) = set.subject(by);
        let row = policy_requestor::Model { policy_id: new.id, kind, subject };
        if !requestors.contains(&row) {
            requestors.push(row);
        }
    }
    let row = policy::Model {
        id: new.id,
        package_id: new.package_id,
        display_name: new.display_name,
        is_for_everyone: new.allowed_requestors.is_none(),
        allowed_requestors: Json(new.allowed_requestors.unwrap_or_default()),
        allow_managers_on_behalf: new.allow_managers_on_behalf,
        allow_applications: new.allow_applications,
        is_requestor_justification_required: new.is_requestor_justification_required,
        stages: Json(new.stages),
        assignment_duration: new.assignment_duration,
        created_at: Timestamp::COMMIT,
        version: 1,
    };
    let mut plan = Plan::default();
    plan.guard(Guard::Package(row.package_id, package_version));
    let mut event = NewEvent::new(EventKind::PolicyCreated, EventActor::Person(by))
        .with("AccessPackageId", row.package_id.to_string())
        .with("PolicyId", row.id.to_string())
        .with("DisplayName", row.display_name.clone())
        .with("StageCount", row.stages.0.len() as i64);
    event.package_id = Some(row.package_id);
    plan.events.push(event);
    plan.rows.policy_requestors = requestors;
    plan.rows.policies.push(row.clone());
    Ok((row, plan))
}

fn check_stage(stage: &PolicyStage) -> Result<(), Refusal> {
    if stage.approvers.is_empty() {
        return Err(Refusal::at(Code::Invalid, "approvers", "Name at least one approver."));
    }
    if !(TIMEOUT.0..=TIMEOUT.1).contains(&stage.decision_timeout) {
        return Err(Refusal::at(Code::Invalid, "decisionTimeout", "From one hour (PT1H) to 90 days (P90D)."));
    }
    match (stage.escalate_after, stage.escalation_approvers.is_empty()) {
        (None, true) => Ok(()),
        (None, false) => Err(Refusal::at(Code::Invalid, "escalateAfter", "Alternates need escalateAfter.")),
        (Some(_), true) => Err(Refusal::at(Code::Invalid, "escalationApprovers", "escalateAfter needs alternates.")),
        (Some(after), false) if after >= stage.decision_timeout || after.0 <= 0 => {
            Err(Refusal::at(Code::Invalid, "escalateAfter", "More than nothing, and less than decisionTimeout."))
        }
        (Some(_), false) => Ok(()),
    }
}
