//! The root of subscriptions. Rights are asked again at every event; the session shows what the reader may see at that moment.

use async_graphql::{Context, Error, ID, SimpleObject, Subscription as Root};
use futures_util::{Stream, StreamExt};

use super::error::shown;
use super::request::AccessRequest;
use super::scalar::DateTime;
use super::session::{services, session};
use super::stage::RiskApprovalStage;
use super::word::RiskSource;
use crate::service::Fault;

/// A risk stage became pending.
#[derive(SimpleObject)]
pub struct PendingRiskApprovalCreated {
    /// Resume after it.
    cursor: String,
    /// When it became pending.
    occurred_at: DateTime,
    /// The stage as it is at delivery.
    stage: RiskApprovalStage,
}

/// A request changed.
#[derive(SimpleObject)]
pub struct AccessRequestUpdated {
    /// Resume after it.
    cursor: String,
    /// When it changed.
    occurred_at: DateTime,
    /// The request as it is at delivery.
    request: AccessRequest,
}

/// What can be followed.
pub struct Subscription;

#[Root]
impl Subscription {
    /// One event each time a risk stage becomes pending, to whoever at delivery belongs to its approvers and holds the role that it
    /// needs. With `after` first everything missed, in order, then live: nothing is lost, nothing comes twice.
    async fn pending_risk_approval_created(
        &self,
        ctx: &Context<'_>,
        after: Option<String>,
        sources: Option<Vec<RiskSource>>,
    ) -> Result<impl Stream<Item = Result<PendingRiskApprovalCreated, Error>>, Error> {
        let (services, session) = (services(ctx)?, session(ctx)?);
        let sources = sources.map(|sources| sources.into_iter().map(Into::into).collect());
        let (principal, expires_at) = (session.actor().principal.clone(), session.expires_at());
        let since = session.position();
        let stream =
            services.follow_pending_risk(principal, expires_at, since, after.as_deref(), sources).map_err(shown)?;
        Ok(stream.map(move |item| {
            let pending = item.map_err(shown)?;
            session.renew(pending.actor);
            let stage = RiskApprovalStage::of(pending.stage);
            Ok(PendingRiskApprovalCreated { cursor: pending.cursor, occurred_at: DateTime(pending.occurred_at), stage })
        }))
    }

    /// Every change of one request that the viewer sees. Without `after`, the first message is the request as it is now. Completes
    /// after the terminal change.
    async fn access_request_updated(
        &self,
        ctx: &Context<'_>,
        request_id: ID,
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<AccessRequestUpdated, Error>>, Error> {
        let (services, session) = (services(ctx)?, session(ctx)?);
        let id = request_id.parse().map_err(|_| shown(Fault::NotFound))?;
        let (principal, expires_at) = (session.actor().principal.clone(), session.expires_at());
        let stream = services.follow_request(principal, expires_at, id, after.as_deref()).await.map_err(shown)?;
        Ok(stream.map(move |item| {
            let update = item.map_err(shown)?;
            session.renew(update.actor);
            Ok(AccessRequestUpdated {
                cursor: update.cursor,
                occurred_at: DateTime(update.occurred_at),
                request: AccessRequest(update.request),
            })
        }))
    }
}
