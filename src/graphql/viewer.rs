//! The signed-in person: what they may do and what waits for them.

use async_graphql::{Context, Error, Object};
use entity::UserId;

use super::catalog::{AccessPackage, AccessPackageConnection};
use super::connection::page_input;
use super::error::shown;
use super::loader;
use super::request::{AccessRequestConnection, AccessRequestFilter, AssignmentConnection};
use super::session::{actor, services};
use super::stage::{ApprovalStage, ApprovalStageConnection};
use super::user::User;
use super::word::DirectoryRole;
use crate::service::{Fault, PackageFilter, RequestFilter};

/// The signed-in person.
pub struct Viewer(pub UserId);

#[Object]
impl Viewer {
    /// Who.
    async fn user(&self, ctx: &Context<'_>) -> Result<User, Error> {
        let row = loader::user(ctx, self.0).await?;
        row.map(User).ok_or_else(|| shown(Fault::Unauthenticated))
    }

    /// The directory roles held now.
    async fn directory_roles(&self, ctx: &Context<'_>) -> Result<Vec<DirectoryRole>, Error> {
        Ok(actor(ctx)?.roles.iter().copied().map(Into::into).collect())
    }

    /// Stages that the viewer may decide now, the most urgent first.
    async fn pending_approvals(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<ApprovalStageConnection, Error> {
        let page = page_input(ctx, first, after, last, before);
        let listing = services(ctx)?.pending_approvals(&*actor(ctx)?, &page).await.map_err(shown)?;
        Ok(ApprovalStageConnection::of(listing, ApprovalStage::of))
    }

    /// Requests by or for the viewer, newest first.
    async fn access_requests(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        filter: Option<AccessRequestFilter>,
    ) -> Result<AccessRequestConnection, Error> {
        let base = RequestFilter { party: Some(self.0), ..RequestFilter::default() };
        AccessRequestConnection::read(ctx, page_input(ctx, first, after, last, before), filter, base).await
    }

    /// The viewer's own access, newest first.
    async fn assignments(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<AssignmentConnection, Error> {
        AssignmentConnection::read(ctx, page_input(ctx, first, after, last, before), None, Some(self.0)).await
    }

    /// Packages that the viewer may ask for, by name.
    async fn requestable_access_packages(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<AccessPackageConnection, Error> {
        let page = page_input(ctx, first, after, last, before);
        let filter = PackageFilter { requestable: true, ..PackageFilter::default() };
        let listing = services(ctx)?.packages(&*actor(ctx)?, &filter, &page).await.map_err(shown)?;
        Ok(AccessPackageConnection::of(listing, AccessPackage))
    }
}
