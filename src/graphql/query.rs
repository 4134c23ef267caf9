//! The root of queries. A refused field is null with an error, and takes no other field with it.

use async_graphql::{Context, Error, ID, InputObject, Object};
use entity::RiskSource as Source;

use super::audit::{AuditEvent, AuditEventConnection, AuditEventFilter};
use super::catalog::{AccessPackage, AccessPackageConnection, AccessPackageFilter, Catalog, CatalogConnection};
use super::connection::page_input;
use super::control::ControlConfiguration;
use super::error::shown;
use super::node::{self, Node};
use super::request::{
    AccessRequestConnection, AccessRequestFilter, AccessRequestPreview, AssignmentConnection, AssignmentFilter,
    SubmitAccessRequestInput,
};
use super::risk::RiskSourceStatus;
use super::session::{actor, services};
use super::stage::{
    ApprovalStage, ApprovalStageConnection, ApprovalStageFilter, RiskApprovalStage, RiskApprovalStageConnection,
};
use super::user::{User, UserConnection};
use super::viewer::Viewer;
use super::word::RiskSource;
use crate::service::{Denied, Fault, RequestFilter};

/// Most ids that `nodes` takes.
const NODES_MAX: usize = 100;

/// Which people are wanted.
#[derive(InputObject, Default)]
pub struct UserFilter {
    /// A part of the name or the sign-in name; case does not matter.
    search: Option<String>,
    /// Above NONE in either source, or not. For risk readers.
    has_risk: Option<bool>,
}

/// What can be read.
pub struct Query;

#[Object]
impl Query {
    /// The signed-in person: what they may do and what waits for them. Null for an application.
    async fn viewer(&self, ctx: &Context<'_>) -> Option<Result<Viewer, Error>> {
        actor(ctx).map(|actor| actor.user_id().map(Viewer)).transpose()
    }

    /// An object by its id; null where it is unknown or invisible.
    async fn node(&self, ctx: &Context<'_>, id: ID) -> Option<Result<Node, Error>> {
        node::by_id(ctx, &id).await.transpose()
    }

    /// Objects by their ids, in that order; 100 at most.
    async fn nodes(&self, ctx: &Context<'_>, ids: Vec<ID>) -> Result<Vec<Option<Result<Node, Error>>>, Error> {
        if ids.len() > NODES_MAX {
            return Err(shown(Fault::LimitExceeded(format!("At most {NODES_MAX} ids."))));
        }
        let nodes = ids.iter().map(|id| async { node::by_id(ctx, id).await.transpose() });
        Ok(futures_util::future::join_all(nodes).await)
    }

    /// All control configurations: one of each kind, always there.
    async fn control_configurations(&self, ctx: &Context<'_>) -> Option<Result<Vec<ControlConfiguration>, Error>> {
        let read = async {
            let rows = services(ctx)?.controls(&*actor(ctx)?).await.map_err(shown)?;
            Ok(rows.into_iter().map(ControlConfiguration::of).collect())
        };
        Some(read.await)
    }

    /// How each risk source does; for those who govern access or read risk.
    async fn risk_sources(&self, ctx: &Context<'_>) -> Option<Result<Vec<RiskSourceStatus>, Error>> {
        let read = async {
            let found = services(ctx)?.risk_sources(&*actor(ctx)?).await.map_err(shown)?;
            Ok(found.into_iter().map(RiskSourceStatus::of).collect())
        };
        Some(read.await)
    }

    /// Catalogs, by name.
    async fn catalogs(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Option<Result<CatalogConnection, Error>> {
        let read = async {
            let page = page_input(ctx, first, after, last, before);
            let listing = services(ctx)?.catalogs(&*actor(ctx)?, &page).await.map_err(shown)?;
            Ok(CatalogConnection::of(listing, Catalog))
        };
        Some(read.await)
    }

    /// Packages that the viewer may browse, by name.
    async fn access_packages(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<AccessPackageFilter>,
    ) -> Option<Result<AccessPackageConnection, Error>> {
        let read = async {
            let page = page_input(ctx, first, after, last, before);
            let filter = filter.unwrap_or_default().taken();
            let listing = services(ctx)?.packages(&*actor(ctx)?, &filter, &page).await.map_err(shown)?;
            Ok(AccessPackageConnection::of(listing, AccessPackage))
        };
        Some(read.await)
    }

    /// Requests that the viewer sees, newest first.
    async fn access_requests(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<AccessRequestFilter>,
    ) -> Option<Result<AccessRequestConnection, Error>> {
        let page = page_input(ctx, first, after, last, before);
        Some(AccessRequestConnection::read(ctx, page, filter, RequestFilter::default()).await)
    }

    /// Assignments that the viewer sees, newest first.
    async fn assignments(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<AssignmentFilter>,
    ) -> Option<Result<AssignmentConnection, Error>> {
        let page = page_input(ctx, first, after, last, before);
        Some(AssignmentConnection::read(ctx, page, filter, None).await)
    }

    /// People: all of them for risk readers; for others themselves, their manager and their direct reports. By name.
    async fn users(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<UserFilter>,
    ) -> Option<Result<UserConnection, Error>> {
        let read = async {
            let page = page_input(ctx, first, after, last, before);
            let UserFilter { search, has_risk } = filter.unwrap_or_default();
            let listing = services(ctx)?.users(&*actor(ctx)?, search, has_risk, &page).await.map_err(shown)?;
            Ok(UserConnection::of(listing, User))
        };
        Some(read.await)
    }

    /// Every pending stage that the viewer sees, whoever the approver is; oldest first.
    async fn approval_stages(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<ApprovalStageFilter>,
    ) -> Option<Result<ApprovalStageConnection, Error>> {
        let read = async {
            let page = page_input(ctx, first, after, last, before);
            let filter = filter.unwrap_or_default().taken();
            let listing = services(ctx)?.approval_stages(&*actor(ctx)?, &filter, &page).await.map_err(shown)?;
            Ok(ApprovalStageConnection::of(listing, ApprovalStage::of))
        };
        Some(read.await)
    }

    /// Pending risk stages that the viewer may decide, oldest first: the page to read before subscribing. Who subscribes after its
    /// `eventCursor` misses nothing and hears nothing twice.
    async fn pending_risk_approvals(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        sources: Option<Vec<RiskSource>>,
    ) -> Option<Result<RiskApprovalStageConnection, Error>> {
        let read = async {
            let page = page_input(ctx, first, after, last, before);
            let sources: Option<Vec<Source>> = sources.map(|sources| sources.into_iter().map(Into::into).collect());
            let listing = services(ctx)?.pending_risk_approvals(&*actor(ctx)?, sources.as_deref(), &page).await;
            Ok(RiskApprovalStageConnection::of(listing.map_err(shown)?, RiskApprovalStage::of))
        };
        Some(read.await)
    }

    /// What would come of a request if it were submitted now: every stage and why, or every refusal. Nothing changes.
    async fn preview_access_request(
        &self,
        ctx: &Context<'_>,
        input: SubmitAccessRequestInput,
    ) -> Option<Result<AccessRequestPreview, Error>> {
        let read = async {
            let (services, actor) = (services(ctx)?, actor(ctx)?);
            match services.preview(&actor, &input.taken()).await {
                Ok(preview) => Ok(AccessRequestPreview::of(preview, actor.is_risk_reader())),
                Err(Denied::Refused(refusal)) => {
                    let risk_evaluations = actor.is_risk_reader().then(Vec::new);
                    Ok(AccessRequestPreview {
                        risk_evaluations,
                        user_errors: vec![refusal.into()],
                        ..AccessRequestPreview::default()
                    })
                }
                Err(Denied::Fault(fault)) => Err(shown(fault)),
            }
        };
        Some(read.await)
    }

    /// The audit log, newest first; FORBIDDEN to who may not read it.
    async fn audit_events(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<AuditEventFilter>,
    ) -> Option<Result<AuditEventConnection, Error>> {
        let read = async {
            let page = page_input(ctx, first, after, last, before);
            let filter = filter.unwrap_or_default().taken();
            let listing = services(ctx)?.audit_events(&*actor(ctx)?, &filter, &page).await.map_err(shown)?;
            Ok(AuditEventConnection::of(listing, AuditEvent))
        };
        Some(read.await)
    }
}
