//! Catalogs, packages, policies.

use async_graphql::{Context, Error, ID, InputObject, Object, SimpleObject};
use entity::{CatalogId, PackageId, PolicyId, Seconds, catalog, package};

use super::connection::{connection, page_input};
use super::error::{UserError, shown};
use super::loader;
use super::request::{AccessRequestConnection, AccessRequestFilter};
use super::scalar::{Duration, read_id};
use super::session::{actor, services};
use super::subject::{self, SubjectSet, SubjectSetInput};
use crate::service::{CreateCatalog, CreatePackage, CreatePolicy, Fault, PackageFilter, PolicyRow, RequestFilter};

/// A catalog of access packages.
#[derive(Clone)]
pub struct Catalog(pub catalog::Model);

#[Object]
impl Catalog {
    /// Its id.
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Name for people.
    async fn display_name(&self) -> &str {
        &self.0.display_name
    }

    /// What it is for.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// Its packages that the viewer may browse, by name.
    async fn access_packages(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<AccessPackageConnection, Error> {
        let page = page_input(ctx, first, after, last, before);
        let filter = PackageFilter { catalog: Some(self.0.id), ..PackageFilter::default() };
        let listing = services(ctx)?.packages(&*actor(ctx)?, &filter, &page).await.map_err(shown)?;
        Ok(AccessPackageConnection::of(listing, AccessPackage))
    }
}

/// An access package: what people ask for.
#[derive(Clone)]
pub struct AccessPackage(pub package::Model);

#[Object]
impl AccessPackage {
    /// Its id.
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Name for people.
    async fn display_name(&self) -> &str {
        &self.0.display_name
    }

    /// What it gives.
    async fn description(&self) -> Option<&str> {
        self.0.description.as_deref()
    }

    /// Left out of lists for those who may only ask for it; who has the link may still ask.
    async fn is_hidden(&self) -> bool {
        self.0.is_hidden
    }

    /// The catalog it is in.
    async fn catalog(&self, ctx: &Context<'_>) -> Result<Catalog, Error> {
        let row = loader::catalog(ctx, self.0.catalog_id).await?;
        row.map(Catalog).ok_or_else(|| shown(Fault::Internal("a package is in no catalog".to_owned())))
    }

    /// Those that fit the viewer; all of them for who manages or reads packages.
    async fn policies(&self, ctx: &Context<'_>) -> Result<Vec<AssignmentPolicy>, Error> {
        Ok(loader::policies_of_package(ctx, self.0.id).await?.into_iter().map(AssignmentPolicy).collect())
    }

    /// The requests for it that the viewer sees, newest first.
    async fn requests(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<AccessRequestFilter>,
    ) -> Result<AccessRequestConnection, Error> {
        let base = RequestFilter { of_package: Some(self.0.id), ..RequestFilter::default() };
        AccessRequestConnection::read(ctx, page_input(ctx, first, after, last, before), filter, base).await
    }
}

/// Who may ask for a package, and who must approve.
#[derive(Clone)]
pub struct AssignmentPolicy(pub PolicyRow);

#[Object]
impl AssignmentPolicy {
    /// Its id.
    pub async fn id(&self) -> ID {
        self.0.policy.id.to_string().into()
    }

    /// Name for people.
    async fn display_name(&self) -> &str {
        &self.0.policy.display_name
    }

    /// The package it is for.
    async fn access_package(&self, ctx: &Context<'_>) -> Result<AccessPackage, Error> {
        let row = loader::package(ctx, self.0.policy.package_id).await?;
        row.map(AccessPackage).ok_or_else(|| shown(Fault::Internal("a policy is for no package".to_owned())))
    }

    /// Has it stages of its own?
    async fn is_approval_required(&self) -> bool {
        !self.0.policy.stages.0.is_empty()
    }

    /// Must a request carry a justification?
    async fn is_requestor_justification_required(&self) -> bool {
        self.0.policy.is_requestor_justification_required
    }

    /// Who may ask; null: every enabled member of the directory. Empty for a viewer who knows the policy only through a request.
    async fn allowed_requestors(&self, ctx: &Context<'_>) -> Option<Result<Vec<SubjectSet>, Error>> {
        match (self.0.is_open, self.0.policy.is_for_everyone) {
            (false, _) => Some(Ok(Vec::new())),
            (true, true) => None,
            (true, false) => Some(subject::shown(ctx, &self.0.policy.allowed_requestors.0).await),
        }
    }

    /// May a manager ask for direct reports whom it covers?
    async fn allow_managers_on_behalf(&self) -> bool {
        self.0.policy.allow_managers_on_behalf
    }

    /// May an application ask for people whom it covers?
    async fn allow_applications(&self) -> bool {
        self.0.policy.allow_applications
    }

    /// Its stages, in order. Empty for a viewer who knows the policy only through a request.
    async fn stages(&self) -> Vec<PolicyStage> {
        if !self.0.is_open {
            return Vec::new();
        }
        self.0.policy.stages.0.iter().cloned().map(PolicyStage).collect()
    }

    /// How long access lasts; null: until it is removed.
    async fn assignment_duration(&self) -> Option<Duration> {
        self.0.policy.assignment_duration.map(Duration)
    }
}

/// One approval stage as a policy has it.
pub struct PolicyStage(entity::PolicyStage);

#[Object]
impl PolicyStage {
    /// Who decides.
    pub async fn approvers(&self, ctx: &Context<'_>) -> Result<Vec<SubjectSet>, Error> {
        subject::shown(ctx, &self.0.approvers).await
    }

    /// Who joins while nobody of those could decide.
    async fn fallback_approvers(&self, ctx: &Context<'_>) -> Result<Vec<SubjectSet>, Error> {
        subject::shown(ctx, &self.0.fallback_approvers).await
    }

    /// Who joins after `escalateAfter`.
    async fn escalation_approvers(&self, ctx: &Context<'_>) -> Result<Vec<SubjectSet>, Error> {
        subject::shown(ctx, &self.0.escalation_approvers).await
    }

    /// How long after its turn came its alternates join.
    async fn escalate_after(&self) -> Option<Duration> {
        self.0.escalate_after.map(Duration)
    }

    /// How long it waits before it is denied.
    async fn decision_timeout(&self) -> Duration {
        Duration(self.0.decision_timeout)
    }

    /// Must a decision carry a justification?
    async fn is_approver_justification_required(&self) -> bool {
        self.0.is_approver_justification_required
    }
}

/// A new catalog.
#[derive(InputObject)]
pub struct CreateCatalogInput {
    /// Name for people, 1 to 256 characters.
    display_name: String,
    /// What it is for.
    description: Option<String>,
}

impl CreateCatalogInput {
    /// As the use case takes it.
    pub fn taken(self) -> CreateCatalog {
        CreateCatalog { id: CatalogId::new(), display_name: self.display_name, description: self.description }
    }
}

/// A new package.
#[derive(InputObject)]
pub struct CreateAccessPackageInput {
    /// The catalog it goes into.
    catalog_id: ID,
    /// Name for people, 1 to 256 characters.
    display_name: String,
    /// What it gives.
    description: Option<String>,
    /// Left out of lists for those who may only ask for it?
    #[graphql(default_with = "Some(false)")]
    is_hidden: Option<bool>,
}

impl CreateAccessPackageInput {
    /// As the use case takes it.
    pub fn taken(self) -> CreatePackage {
        CreatePackage {
            id: PackageId::new(),
            catalog_id: read_id(&self.catalog_id),
            display_name: self.display_name,
            description: self.description,
            is_hidden: self.is_hidden.unwrap_or(false),
        }
    }
}

/// A new policy.
#[derive(InputObject)]
pub struct CreateAssignmentPolicyInput {
    /// The package it is for.
    access_package_id: ID,
    /// Name for people, 1 to 256 characters.
    display_name: String,
    /// Who may ask for themselves; left out: every enabled member of the directory; empty: nobody.
    allowed_requestors: Option<Vec<SubjectSetInput>>,
    /// May a manager ask for direct reports whom `allowedRequestors` covers?
    #[graphql(default_with = "Some(false)")]
    allow_managers_on_behalf: Option<bool>,
    /// May an application with the app role `AccessRequests.ReadWrite.All` ask for people whom `allowedRequestors` covers?
    #[graphql(default_with = "Some(false)")]
    allow_applications: Option<bool>,
    /// Must a request carry a justification?
    #[graphql(default_with = "Some(false)")]
    is_requestor_justification_required: Option<bool>,
    /// Its stages, 0 to 3.
    #[graphql(default)]
    stages: Vec<PolicyStageInput>,
    /// How long access lasts: PT1H to P3660D; left out: until it is removed.
    assignment_duration: Option<Duration>,
}

impl CreateAssignmentPolicyInput {
    /// As the use case takes it.
    pub fn taken(self) -> CreatePolicy {
        CreatePolicy {
            id: PolicyId::new(),
            package_id: read_id(&self.access_package_id),
            display_name: self.display_name,
            allowed_requestors: self.allowed_requestors.map(subject::taken),
            allow_managers_on_behalf: self.allow_managers_on_behalf.unwrap_or(false),
            allow_applications: self.allow_applications.unwrap_or(false),
            is_requestor_justification_required: self.is_requestor_justification_required.unwrap_or(false),
            stages: self.stages.into_iter().map(PolicyStageInput::taken).collect(),
            assignment_duration: self.assignment_duration.map(|Duration(span)| span),
        }
    }
}

/// How long a stage of a policy waits where nobody says otherwise.
const TIMEOUT_DEFAULT: Duration = Duration(Seconds::days(14));

/// A stage of a new policy.
#[derive(InputObject)]
pub struct PolicyStageInput {
    /// Who decides; at least one set.
    approvers: Vec<SubjectSetInput>,
    /// Who joins while nobody of those could decide.
    #[graphql(default)]
    fallback_approvers: Vec<SubjectSetInput>,
    /// Who joins after `escalateAfter`.
    #[graphql(default)]
    escalation_approvers: Vec<SubjectSetInput>,
    /// When those join; less than `decisionTimeout`.
    escalate_after: Option<Duration>,
    /// How long it waits before it is denied: PT1H to P90D.
    #[graphql(default_with = "Some(TIMEOUT_DEFAULT)")]
    decision_timeout: Option<Duration>,
    /// Must a decision carry a justification?
    #[graphql(default_with = "Some(false)")]
    is_approver_justification_required: Option<bool>,
}

impl PolicyStageInput {
    fn taken(self) -> entity::PolicyStage {
        entity::PolicyStage {
            approvers: subject::taken(self.approvers),
            fallback_approvers: subject::taken(self.fallback_approvers),
            escalation_approvers: subject::taken(self.escalation_approvers),
            escalate_after: self.escalate_after.map(|Duration(span)| span),
            decision_timeout: self.decision_timeout.unwrap_or(TIMEOUT_DEFAULT).0,
            is_approver_justification_required: self.is_approver_justification_required.unwrap_or(false),
        }
    }
}

/// What came of a new catalog.
#[derive(SimpleObject)]
pub struct CreateCatalogPayload {
    /// The catalog; null where it was refused.
    pub catalog: Option<Catalog>,
    /// Why it was refused.
    pub user_errors: Vec<UserError>,
}

/// What came of a new package.
#[derive(SimpleObject)]
pub struct CreateAccessPackagePayload {
    /// The package; null where it was refused.
    pub access_package: Option<AccessPackage>,
    /// Why it was refused.
    pub user_errors: Vec<UserError>,
}

/// What came of a new policy.
#[derive(SimpleObject)]
pub struct CreateAssignmentPolicyPayload {
    /// The policy; null where it was refused.
    pub assignment_policy: Option<AssignmentPolicy>,
    /// Why it was refused.
    pub user_errors: Vec<UserError>,
}

/// Which packages are wanted.
#[derive(InputObject, Default)]
pub struct AccessPackageFilter {
    /// Of one catalog.
    catalog_id: Option<ID>,
    /// A part of the name; case does not matter.
    search: Option<String>,
}

impl AccessPackageFilter {
    /// As the reading takes it.
    pub fn taken(self) -> PackageFilter {
        let catalog = self.catalog_id.as_ref().map(read_id);
        PackageFilter { catalog, search: self.search, requestable: false }
    }
}

connection! {
    /// A page of catalogs, by name.
    CatalogConnection, CatalogEdge, Catalog
}
connection! {
    /// A page of packages, by name.
    AccessPackageConnection, AccessPackageEdge, AccessPackage
}
