//! The one log: sealing events into its hash chain, reading it in order, and checking the chain.

use entity::{CommitId, EventId, RequestId, Timestamp, UserId, event, head, progress};
use sea_orm::ConnectionTrait;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::pool::LIMIT;
use super::sql::Params;
use super::{Read, Store};
use crate::domain::event::{Detail, NewEvent};

/// Hash before the first event.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Version of the content's form.
const CONTENT_VERSION: i64 = 1;

/// Where the chain ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Position of the last event.
    pub position: i64,
    /// Its hash.
    pub hash: String,
}

/// Gives an event its place, its time and its hash; the chain ends with it.
pub fn seal(new: NewEvent, commit_id: CommitId, now: Timestamp, link: &mut Link) -> serde_json::Result<event::Model> {
    let (actor_kind, actor_id) = new.actor.parts();
    let details: Map<String, Value> =
        new.details.into_iter().map(|(key, detail)| (key.to_owned(), value(detail, now))).collect();
    let mut row = event::Model {
        position: link.position + 1,
        id: EventId::new(),
        commit_id,
        occurred_at: now,
        kind: new.kind.as_str().to_owned(),
        activity: new.kind.activity().to_owned(),
        category: new.kind.category().to_owned(),
        result: new.kind.result(),
        actor_kind,
        actor_id,
        request_id: new.request_id,
        stage_id: new.stage_id,
        package_id: new.package_id,
        is_risk: new.is_risk,
        content: String::new(),
        previous_hash: std::mem::take(&mut link.hash),
        hash: String::new(),
    };
    row.content = serde_json_canonicalizer::to_string(&content(&row, Value::Object(details)))?;
    row.hash = chain(&row.previous_hash, &row.content);
    link.position = row.position;
    link.hash.clone_from(&row.hash);
    Ok(row)
}

fn value(detail: Detail, now: Timestamp) -> Value {
    match detail {
        Detail::Text(text) => Value::from(text),
        Detail::Number(number) => Value::from(number),
        Detail::Flag(flag) => Value::from(flag),
        Detail::Moment(moment) => Value::from(moment.resolved(now).rfc3339()),
        Detail::List(list) => Value::from(list),
    }
}

/// What the hash covers: every column, and the details.
fn content(row: &event::Model, details: Value) -> Value {
    json!({
        "version": CONTENT_VERSION,
        "position": row.position,
        "id": row.id.to_string(),
        "commitId": row.commit_id.to_string(),
        "occurredAt": row.occurred_at.rfc3339(),
        "kind": row.kind,
        "activity": row.activity,
        "category": row.category,
        "result": row.result,
        "actorKind": row.actor_kind,
        "actorId": row.actor_id,
        "requestId": row.request_id.map(|id| id.to_string()),
        "stageId": row.stage_id.map(|id| id.to_string()),
        "accessPackageId": row.package_id.map(|id| id.to_string()),
        "isRisk": row.is_risk,
        "details": details,
    })
}

fn chain(previous: &str, content: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(previous.as_bytes());
    hash.update(content.as_bytes());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The details of an event, by name.
pub fn details(row: &event::Model) -> Vec<(String, String)> {
    let Ok(Value::Object(mut content)) = serde_json::from_str(&row.content) else { return Vec::new() };
    let Some(Value::Object(details)) = content.remove("details") else { return Vec::new() };
    details
        .into_iter()
        .map(|(key, value)| match value {
            Value::String(text) => (key, text),
            other => (key, other.to_string()),
        })
        .collect()
}

/// Whose risk an event of this content tells of.
pub fn risk_of(content: &str) -> Option<UserId> {
    let content: Value = serde_json::from_str(content).ok()?;
    content["details"]["UserId"].as_str()?.parse().ok()
}

/// How a walk along the chain ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// So many events hold.
    Holds(i64),
    /// The first position that does not, and why.
    Broken(i64, &'static str),
}

impl Store {
    /// The next events after `position`, in order.
    pub async fn events_after(&self, position: i64, limit: usize) -> Read<Vec<event::Model>> {
        let mut params = Params::new(self.db);
        let after = params.add(position);
        let text = format!("SELECT * FROM event WHERE position > {after} ORDER BY position LIMIT {limit}");
        let lease = self.follow.lease();
        let asked = lease.connection.query_all_raw(params.statement(text));
        let rows = self.follow.answer(&lease, LIMIT, asked).await??;
        rows.iter().map(|row| Ok(sea_orm::FromQueryResult::from_query_result(row, "")?)).collect()
    }

    /// The next events after `position` that a risk stage became pending.
    pub async fn risk_pending_after(&self, position: i64) -> Read<Vec<event::Model>> {
        let mut params = Params::new(self.db);
        let after = params.add(position);
        let text = format!(
            "SELECT * FROM event WHERE position > {after} AND kind = 'STAGE_PENDING' AND is_risk ORDER BY position LIMIT 100"
        );
        self.rows(params.statement(text)).await
    }

    /// The next positions at which the log tells of a person's risk, after those that have been acted on and after `position`.
    pub async fn risk_told_after(&self, position: i64, limit: usize) -> Read<Vec<(i64, Option<UserId>)>> {
        let mut params = Params::new(self.db);
        let after = params.add(position);
        let text = format!(
            "SELECT position, content FROM event WHERE is_risk AND request_id IS NULL AND position > {after} \
             ORDER BY position LIMIT {limit}"
        );
        let rows = self.all(params.statement(text)).await?;
        rows.iter()
            .map(|row| Ok((row.try_get("", "position")?, risk_of(&row.try_get::<String>("", "content")?))))
            .collect()
    }

    /// How far along the log what it tells of risk has been acted on.
    pub async fn risk_progress(&self) -> Read<progress::Model> {
        self.progress("RISK").await
    }

    /// The moment up to which the end of people's insider risk has been acted on.
    pub async fn expiry_progress(&self) -> Read<progress::Model> {
        self.progress("INSIDER_RISK_EXPIRY").await
    }

    async fn progress(&self, name: &str) -> Read<progress::Model> {
        let mut params = Params::new(self.db);
        let id = params.add(name.to_owned());
        let row = self.row(params.statement(format!("SELECT * FROM progress WHERE name = {id}"))).await?;
        row.ok_or_else(|| super::StoreError::Data(format!("the progress {name} is missing")))
    }

    /// The next events after `position` about one request.
    pub async fn request_events_after(&self, request: RequestId, position: i64) -> Read<Vec<event::Model>> {
        let mut params = Params::new(self.db);
        let (request, after) = (params.add(request), params.add(position));
        let text = format!(
            "SELECT * FROM event WHERE request_id = {request} AND position > {after} ORDER BY position LIMIT 1000"
        );
        self.rows(params.statement(text)).await
    }

    /// Where the log ends.
    pub async fn head(&self) -> Read<head::Model> {
        let row = self.row(Params::new(self.db).statement("SELECT * FROM head WHERE id = 1")).await?;
        row.ok_or_else(|| super::StoreError::Data("the head of the log is missing".to_owned()))
    }

    /// The newest position, asked by the follower on its own connection.
    pub async fn head_position(&self) -> Read<i64> {
        let statement = Params::new(self.db).statement("SELECT position FROM head WHERE id = 1");
        let lease = self.follow.lease();
        match self.follow.answer(&lease, LIMIT, lease.connection.query_one_raw(statement)).await?? {
            Some(row) => Ok(row.try_get("", "position")?),
            None => Err(super::StoreError::Data("the head of the log is missing".to_owned())),
        }
    }

    /// Walks the chain from its beginning to the head as it is now, some hundred events at a time; the log may grow meanwhile.
    pub async fn verify_log(&self) -> Read<Verdict> {
        let head = self.head().await?;
        let mut link = Link { position: 0, hash: GENESIS.to_owned() };
        while link.position < head.position {
            let rows = self.events_after(link.position, 500).await?;
            if rows.is_empty() {
                return Ok(Verdict::Broken(link.position + 1, "is missing"));
            }
            for row in rows {
                if let Some(why) = fault(&row, &link) {
                    return Ok(Verdict::Broken(link.position + 1, why));
                }
                link = Link { position: row.position, hash: row.hash };
                if link.position == head.position {
                    break;
                }
            }
        }
        if link.hash != head.hash {
            return Ok(Verdict::Broken(head.position, "is not the event that the head of the log names"));
        }
        // What stands above the head was put there by nobody's commit, unless the log has grown meanwhile.
        if let Some(beyond) = self.events_after(head.position, 1).await?.first()
            && self.head().await?.position < beyond.position
        {
            return Ok(Verdict::Broken(beyond.position, "stands above the head of the log"));
        }
        Ok(Verdict::Holds(head.position))
    }
}

/// What is wrong with the event that follows `link`.
fn fault(row: &event::Model, link: &Link) -> Option<&'static str> {
    if row.position != link.position + 1 {
        return Some("is missing");
    }
    if row.previous_hash != link.hash {
        return Some("does not follow the event before it");
    }
    if chain(&row.previous_hash, &row.content) != row.hash {
        return Some("does not match its hash");
    }
    let Ok(stored) = serde_json::from_str::<Value>(&row.content) else { return Some("has content that is not JSON") };
    let details = stored.get("details").cloned().unwrap_or(Value::Null);
    (content(row, details) != stored).then_some("has columns that differ from its content")
}
