//! ID Protection's people at risk: the adapter for the port of [`crate::service::feed`].

use entity::{Timestamp, UserId};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Graph, GraphFault, Link};
use crate::service::feed::{FeedFault, FeedFuture, RiskFeed, RiskPage, Told};
use crate::service::risk::RiskAction;

const PEOPLE: &str = "/v1.0/identityProtection/riskyUsers";

/// Everybody who was ever at risk, not only who is now by the words that this program knows: what a filter by words leaves out would
/// be no risk.
const SELECT: &str = "$select=id,isDeleted,isProcessing,riskLevel,riskState,riskDetail,riskLastUpdatedDateTime";

/// The most that Graph puts on a page.
const TOP: &str = "$top=500";

/// Members added to an enumeration later are shown as they are, not as `unknownFutureValue`.
const EXTRA: &[(&str, &str)] = &[("Prefer", "include-unknown-enum-members")];

impl RiskFeed for Graph {
    fn page<'a>(&'a self, next: Option<&'a str>) -> FeedFuture<'a, RiskPage> {
        Box::pin(async move {
            let link = match next {
                Some(next) => self.follow(next)?,
                None => self.link(&format!("{PEOPLE}?{SELECT}&{TOP}")),
            };
            let page = match self.ask(Method::GET, &link, EXTRA, None).await {
                Err(fault) if next.is_some() && fault.is_forgotten() => {
                    return Err(FeedFault::Expired(fault.to_string()));
                }
                answer => self.paged(answer?)?,
            };
            // One that cannot be read could be anybody: then nobody's absence says anything.
            let people = page.values.iter().map(told).collect::<Result<_, _>>()?;
            Ok(RiskPage { people, next: page.next.map(|link| link.as_str().to_owned()) })
        })
    }

    fn person(&self, user: UserId) -> FeedFuture<'_, Option<Told>> {
        Box::pin(async move {
            let link = self.link(&format!("{PEOPLE}/{}?{SELECT}", user.0));
            match self.ask(Method::GET, &link, EXTRA, None).await {
                Ok(answer) => {
                    let told = told(&answer)?;
                    if told.user != user {
                        return Err(FeedFault::Failed("the answer is about somebody else".to_owned()));
                    }
                    Ok(Some(told))
                }
                Err(fault) if fault.is_not_found() => Ok(None),
                Err(fault) => Err(fault.into()),
            }
        })
    }

    fn act<'a>(&'a self, action: RiskAction, users: &'a [UserId]) -> FeedFuture<'a, ()> {
        Box::pin(async move {
            let link: Link = self.link(&format!("{PEOPLE}/{}", verb(action)));
            let ids: Vec<_> = users.iter().map(|user| user.0).collect();
            let body = json!({ "userIds": ids });
            self.ask(Method::POST, &link, EXTRA, Some(&body)).await?;
            Ok(())
        })
    }
}

fn verb(action: RiskAction) -> &'static str {
    match action {
        RiskAction::ConfirmCompromised => "confirmCompromised",
        RiskAction::ConfirmSafe => "confirmSafe",
        RiskAction::Dismiss => "dismiss",
    }
}

fn told(value: &Value) -> Result<Told, GraphFault> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let user = text("id").and_then(|id| uuid::Uuid::parse_str(id).ok());
    let user = user.ok_or_else(|| GraphFault::Garbled("somebody at risk has no id".to_owned()))?;
    let moment = text("riskLastUpdatedDateTime").and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
    Ok(Told {
        user: UserId(user),
        level: text("riskLevel").map(str::to_owned),
        state: text("riskState").map(str::to_owned),
        is_processing: value.get("isProcessing").and_then(Value::as_bool).unwrap_or_default(),
        detail: value.get("riskDetail").and_then(super::fault::word),
        updated_at: moment.map(|moment| Timestamp::from_datetime(moment.to_utc())),
    })
}

impl From<GraphFault> for FeedFault {
    fn from(fault: GraphFault) -> FeedFault {
        let why = fault.to_string();
        match &fault {
            GraphFault::Busy { wait, .. } => FeedFault::Busy { wait: *wait, is_throttled: fault.is_throttled(), why },
            GraphFault::Unauthorized(_) => FeedFault::Renewed(why),
            _ => FeedFault::Failed(why),
        }
    }
}
