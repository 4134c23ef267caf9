//! The audit log.

use async_graphql::{Context, Error, ID, InputObject, Object, SimpleObject};
use entity::{ActorKind, UserId, canonical_uuid, event};

use super::application::{Application, ApplicationInput};
use super::catalog::AccessPackage;
use super::connection::connection;
use super::loader;
use super::request::AccessRequest;
use super::scalar::{DateTime, read_id};
use super::session::services;
use super::user::User;
use super::word::AuditResult;
use crate::service::EventFilter;

/// One event of the log.
#[derive(Clone)]
pub struct AuditEvent(pub event::Model);

#[Object]
impl AuditEvent {
    /// Its id.
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Its place in the one event log.
    async fn cursor(&self, ctx: &Context<'_>) -> Result<String, Error> {
        Ok(services(ctx)?.event_cursor(self.0.position))
    }

    /// When it happened: the time of the commit.
    async fn occurred_at(&self) -> DateTime {
        DateTime(self.0.occurred_at)
    }

    /// What happened, in the field's own wording.
    async fn activity(&self) -> &str {
        &self.0.activity
    }

    /// The category of the activity.
    async fn category(&self) -> &str {
        &self.0.category
    }

    /// How it ended.
    async fn result(&self) -> AuditResult {
        self.0.result.into()
    }

    /// The person who caused it; null for an application, for the server's own clockwork, and for an operator at the command line.
    async fn actor(&self, ctx: &Context<'_>) -> Option<Result<User, Error>> {
        let id = self.0.actor_id.as_deref().filter(|_| self.0.actor_kind == ActorKind::Person)?;
        let id = UserId(canonical_uuid(id)?);
        loader::user(ctx, id).await.map(|row| row.map(User)).transpose()
    }

    /// The application that caused it; null where a person or the server did.
    async fn application(&self) -> Option<Application> {
        let id = self.0.actor_id.as_deref().filter(|_| self.0.actor_kind == ActorKind::Application)?;
        id.parse().ok().map(Application)
    }

    /// The request it is about; null for a viewer who does not see that.
    pub async fn request(&self, ctx: &Context<'_>) -> Option<Result<AccessRequest, Error>> {
        let id = self.0.request_id?;
        loader::request(ctx, id).await.map(|row| row.map(AccessRequest)).transpose()
    }

    /// The package it is about; null for a viewer who does not see that.
    async fn access_package(&self, ctx: &Context<'_>) -> Option<Result<AccessPackage, Error>> {
        let id = self.0.package_id?;
        loader::visible_package(ctx, id).await.map(|row| row.map(AccessPackage)).transpose()
    }

    /// Everything else, by name.
    async fn details(&self, ctx: &Context<'_>) -> Result<Vec<AuditDetail>, Error> {
        let details = services(ctx)?.event_details(&self.0);
        Ok(details.into_iter().map(|(key, value)| AuditDetail { key, value }).collect())
    }
}

/// One detail of an event.
#[derive(SimpleObject)]
pub struct AuditDetail {
    /// Its name.
    key: String,
    /// Its value; what is not a text as JSON.
    value: String,
}

/// Which events are wanted.
#[derive(InputObject, Default)]
pub struct AuditEventFilter {
    /// Of one activity.
    activity: Option<String>,
    /// About one request.
    request_id: Option<ID>,
    /// Caused by one person.
    actor_id: Option<ID>,
    /// Caused by one application.
    application: Option<ApplicationInput>,
    /// From this moment on.
    occurred_after: Option<DateTime>,
    /// Before this moment.
    occurred_before: Option<DateTime>,
}

impl AuditEventFilter {
    /// As the reading takes it.
    pub fn taken(self) -> EventFilter {
        EventFilter {
            activity: self.activity,
            request: self.request_id.as_ref().map(read_id),
            actor: self.actor_id.as_ref().map(read_id),
            application: self.application.map(ApplicationInput::taken),
            after: self.occurred_after.map(|DateTime(at)| at),
            before: self.occurred_before.map(|DateTime(at)| at),
        }
    }
}

connection! {
    /// A page of the log, newest first; its cursors are event cursors.
    AuditEventConnection, AuditEventEdge, AuditEvent
}
