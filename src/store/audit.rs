//! The audit log, as it is shown: newest first.

use entity::{EventId, RequestId, Timestamp, UserId, event};
use sea_orm::FromQueryResult;

use super::page::{Kind, List, PageArgs};
use super::sql::Params;
use super::{Page, Read, Store};
use crate::domain::permission::ApplicationId;

/// Which events are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of one activity.
    pub activity: Option<String>,
    /// About one request.
    pub request: Option<RequestId>,
    /// Caused by one person.
    pub actor: Option<UserId>,
    /// Caused by one application.
    pub application: Option<ApplicationId>,
    /// From this moment on.
    pub after: Option<Timestamp>,
    /// Before this moment.
    pub before: Option<Timestamp>,
}

impl Store {
    /// One page of the log.
    pub async fn events(&self, filter: &EventFilter, args: &PageArgs) -> Read<Page<event::Model>> {
        let mut params = Params::new(self.db);
        let mut tests = vec!["1 = 1".to_owned()];
        if let Some(activity) = &filter.activity {
            tests.push(format!("e.activity = {}", params.add(activity.clone())));
        }
        if let Some(request) = filter.request {
            tests.push(format!("e.request_id = {}", params.add(request)));
        }
        if let Some(actor) = filter.actor {
            tests.push(format!("e.actor_id = {}", params.add(actor)));
        }
        if let Some(application) = &filter.application {
            tests.push(format!("e.actor_id = {}", params.add(application.to_string())));
        }
        if let Some(after) = filter.after {
            tests.push(format!("e.occurred_at >= {}", params.add(after)));
        }
        if let Some(before) = filter.before {
            tests.push(format!("e.occurred_at < {}", params.add(before)));
        }
        let list = List {
            columns: "e.*".to_owned(),
            from: "event e".to_owned(),
            filter: tests.join(" AND "),
            order: &[("e.position", Kind::Number)],
            descending: true,
        };
        self.page(params, list, args, |row| Ok(event::Model::from_query_result(row, "")?)).await
    }

    /// Events by id.
    pub async fn events_by_id(&self, ids: &[EventId]) -> Read<Vec<event::Model>> {
        let mut params = Params::new(self.db);
        let any = params.any(ids.iter().map(|id| id.0.to_string()));
        self.rows(params.statement(format!("SELECT * FROM event WHERE id {any}"))).await
    }
}
