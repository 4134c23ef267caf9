//! The root of subscriptions. Rights are asked again at every event; the session shows what the reader may see at that moment.

use async_graphql::{Context, Error, ID, SimpleObject, Subscription as Root};
use futures_util::stream::iter;
use futures_util::{Stream, StreamExt};

use super::error::shown;
use super::request::AccessRequest;
use super::scalar::DateTime;
use super::session::{Begin, News, services, session};
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

impl PendingRiskApprovalCreated {
    fn of(news: Result<News, Fault>) -> Result<Self, Error> {
        match news {
            Ok(News::PendingRisk(pending)) => Ok(PendingRiskApprovalCreated {
                cursor: pending.cursor,
                occurred_at: DateTime(pending.occurred_at),
                stage: RiskApprovalStage::of(pending.stage),
            }),
            Ok(News::Request(_)) => Err(shown(Fault::Internal("news of another subscription".to_owned()))),
            Err(fault) => Err(shown(fault)),
        }
    }
}

impl AccessRequestUpdated {
    fn of(news: Result<News, Fault>) -> Result<Self, Error> {
        match news {
            Ok(News::Request(update)) => Ok(AccessRequestUpdated {
                cursor: update.cursor,
                occurred_at: DateTime(update.occurred_at),
                request: AccessRequest(update.request),
            }),
            Ok(News::PendingRisk(_)) => Err(shown(Fault::Internal("news of another subscription".to_owned()))),
            Err(fault) => Err(shown(fault)),
        }
    }
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
        let (since, resume) = match session.begin() {
            Begin::Tell(news) => return Ok(iter(Some(PendingRiskApprovalCreated::of(*news)))),
            Begin::Follow { since, resume } => (since, resume),
        };
        let sources = sources.map(|sources| sources.into_iter().map(Into::into).collect());
        let (principal, expires_at) = (session.actor().principal.clone(), session.expires_at());
        let after = resume.or(after);
        let found = services.follow_pending_risk(principal, expires_at, since, after.as_deref(), sources);
        session.found(found.map_err(shown)?.map(|item| item.map(News::PendingRisk)).boxed());
        Ok(iter(None))
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
        let resume = match session.begin() {
            Begin::Tell(news) => return Ok(iter(Some(AccessRequestUpdated::of(*news)))),
            Begin::Follow { resume, .. } => resume,
        };
        let id = request_id.parse().map_err(|_| shown(Fault::NotFound))?;
        let (principal, expires_at) = (session.actor().principal.clone(), session.expires_at());
        let after = resume.or(after);
        let stream = services.follow_request(principal, expires_at, id, after.as_deref()).await.map_err(shown)?;
        session.found(stream.map(|item| item.map(News::Request)).boxed());
        Ok(iter(None))
    }
}
