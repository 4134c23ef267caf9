//! What Graph says to one question.

use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State as From;
use axum::http::header::{CONNECTION, CONTENT_TYPE, DATE, RETRY_AFTER};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use entity::Timestamp;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use uuid::Uuid;

use super::fault::{Call, Fault};
use super::tenant::{self, Change, Tenant};
use super::{SECRET, State};

/// How late a slow answer is: well within the time of whoever waits for it.
const SLOW: Duration = Duration::from_millis(50);

type Shared = Arc<Mutex<State>>;

/// A status and a body, before anything goes wrong with it.
struct Said(u16, Value);

fn refused(status: u16, code: &str) -> Said {
    let inner = json!({ "code": format!("{code}.inner"), "date": "2026-03-01T00:00:00", "request-id": "req-1" });
    Said(status, json!({ "error": { "code": code, "message": "Told to people.", "innerError": inner } }))
}

pub(super) async fn answer(
    From(state): From<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let query = form(uri.query().unwrap_or_default());
    let Some(call) = kind(&method, &path) else { return told(refused(400, "BadRequest"), None) };
    let (said, fault) = {
        let mut state = state.lock().expect("nobody panicked");
        let now = state.clock.now();
        state.calls.push((call, now));
        let fault = state.script.next(call);
        state.hits.extend(fault.map(|fault| (call, fault)));
        if fault == Some(Fault::Revoked) {
            state.tokens.clear();
        }
        let said = match call {
            Call::Token => state.token(now, form(std::str::from_utf8(&body).unwrap_or_default()), fault),
            // What is refused is not done.
            Call::RiskAction if fault.is_some_and(Fault::is_refusal) => refused(401, "InvalidAuthenticationToken"),
            _ => state.graph(call, &path, &query, &headers, &body, now, fault),
        };
        (said, fault)
    };
    match fault {
        Some(Fault::Silent) => return std::future::pending().await,
        Some(Fault::Slow) => tokio::time::sleep(SLOW).await,
        _ => {}
    }
    told(said, fault)
}

fn own_code(status: u16) -> &'static str {
    match status {
        403 => "Authorization_RequestDenied",
        404 => "Request_ResourceNotFound",
        _ => "BadRequest",
    }
}

fn kind(method: &Method, path: &str) -> Option<Call> {
    let risky = "/v1.0/identityProtection/riskyUsers";
    Some(match path {
        _ if path.ends_with("/oauth2/v2.0/token") => Call::Token,
        "/v1.0/users/delta" | "/v1.0/users" => Call::Users,
        _ if path.starts_with("/v1.0/users/") => Call::User,
        "/v1.0/groups/delta" | "/v1.0/groups" => Call::Groups,
        "/v1.0/roleManagement/directory/roleAssignments" => Call::Assignments,
        "/beta/roleManagement/directory/transitiveRoleAssignments" => Call::TransitiveRoles,
        _ if path == risky => Call::RiskyUsers,
        _ if path.starts_with(risky) && method == Method::POST => Call::RiskAction,
        _ if path.starts_with(risky) => Call::RiskyUser,
        _ => return None,
    })
}

/// The answer as it leaves, with what goes wrong on its way.
fn told(said: Said, fault: Option<Fault>) -> Response {
    let html = |status: u16| Said(status, Value::String(String::new()));
    let Said(status, body) = match fault {
        Some(Fault::Throttled) => refused(429, "TooManyRequests"),
        Some(Fault::Unavailable(_)) => refused(503, "serviceNotAvailable"),
        Some(Fault::Broken) => refused(500, "generalException"),
        Some(Fault::Gone) => refused(410, "resyncRequired"),
        Some(Fault::Refused(status)) => refused(status, own_code(status)),
        Some(Fault::Html(status)) => html(status),
        _ => said,
    };
    let status = StatusCode::from_u16(status).expect("a status");
    // A connection that is kept would outlive the server.
    let mut response = match fault {
        Some(Fault::Html(_)) => {
            let page = "<!DOCTYPE html><html><body>Something is being done here.</body></html>";
            ([(CONTENT_TYPE, "text/html")], page).into_response()
        }
        Some(Fault::Cut | Fault::Stalled) => {
            let text = body.to_string();
            let half = stream::once(ready(Ok(Bytes::from(text[..text.len() / 2].to_owned()))));
            let end: stream::BoxStream<'_, Result<Bytes, std::io::Error>> = match fault {
                Some(Fault::Cut) => stream::once(ready(Err(std::io::ErrorKind::ConnectionReset.into()))).boxed(),
                _ => stream::pending().boxed(),
            };
            Body::from_stream(half.chain(end)).into_response()
        }
        _ if body.is_null() => ().into_response(),
        _ => ([(CONTENT_TYPE, "application/json")], body.to_string()).into_response(),
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, "close".parse().expect("a header"));
    if let Some(Fault::Unavailable(seconds)) = fault {
        headers.insert(RETRY_AFTER, seconds.to_string().parse().expect("a header"));
    }
    if fault == Some(Fault::WrongClock) {
        headers.insert(DATE, "Mon, 02 Mar 2015 10:00:00 GMT".parse().expect("a header"));
    }
    response
}

/// A form or a query, decoded.
fn form(text: &str) -> HashMap<String, String> {
    let decoded = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            let hex: Vec<u8> = if byte == b'%' { rest.by_ref().take(2).collect() } else { Vec::new() };
            bytes.push(match std::str::from_utf8(&hex).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                Some(decoded) => decoded,
                None if byte == b'+' => b' ',
                None => byte,
            });
        }
        String::from_utf8(bytes).expect("UTF-8")
    };
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

/// What stands between quotes after `field eq `.
fn wanted(query: &HashMap<String, String>, field: &str) -> Option<Uuid> {
    let filter = query.get("$filter")?;
    let rest = filter.split_once(&format!("{field} eq '"))?.1;
    rest.split('\'').next()?.parse().ok()
}

impl State {
    fn token(&mut self, now: Timestamp, form: HashMap<String, String>, fault: Option<Fault>) -> Said {
        self.proofs.push(form.clone());
        let proven = match form.get("client_secret") {
            Some(secret) => secret == SECRET,
            None => form.contains_key("client_assertion"),
        };
        let is_good = proven
            && form.get("grant_type").is_some_and(|kind| kind == "client_credentials")
            && form.get("scope") == Some(&format!("{}/.default", self.address));
        if !is_good || fault == Some(Fault::Revoked) {
            let body =
                json!({ "error": "invalid_client", "error_description": "A secret.", "error_codes": [7_000_215] });
            return Said(401, body);
        }
        let token = format!("token-{}", Uuid::new_v4());
        self.tokens.insert(token.clone(), Timestamp(now.0 + self.token_lifetime.0 * 1_000_000));
        let expires_in =
            if fault == Some(Fault::WrongClock) { json!(-31_536_000) } else { json!(self.token_lifetime.0) };
        Said(200, json!({ "token_type": "Bearer", "expires_in": expires_in, "access_token": token }))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one question")]
    fn graph(
        &mut self,
        call: Call,
        path: &str,
        query: &HashMap<String, String>,
        headers: &HeaderMap,
        body: &Bytes,
        now: Timestamp,
        fault: Option<Fault>,
    ) -> Said {
        let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if token.and_then(|token| self.tokens.get(token)).is_none_or(|until| now >= *until) {
            return refused(401, "InvalidAuthenticationToken");
        }
        let any: &[&str] = match call {
            Call::Token => &[],
            Call::Users | Call::User => &["User.Read.All"],
            Call::Groups => &["GroupMember.Read.All"],
            Call::Assignments | Call::TransitiveRoles => &["RoleManagement.Read.Directory"],
            Call::RiskyUsers | Call::RiskyUser => &["IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All"],
            Call::RiskAction => &["IdentityRiskyUser.ReadWrite.All"],
        };
        if !any.iter().any(|permission| self.permissions.contains(*permission)) {
            return refused(403, "Authorization_RequestDenied");
        }
        if let Some(place) = query.get("$skiptoken") {
            return self.page(path, place, fault);
        }
        match call {
            Call::RiskyUsers => {
                let people = self.tenant.risks.iter().map(|(id, risk)| tenant::risky(*id, risk)).collect();
                self.begin(path, people, None, fault)
            }
            Call::RiskyUser => {
                let id = path.rsplit('/').next().and_then(|id| id.parse().ok());
                match id.and_then(|id: Uuid| Some((id, self.tenant.risks.get(&id)?))) {
                    Some((id, risk)) => Said(200, worded(tenant::risky(id, risk), fault)),
                    None => refused(404, "Request_ResourceNotFound"),
                }
            }
            Call::User => {
                let id = path.rsplit('/').next().and_then(|id| id.parse().ok());
                match id.and_then(|id: Uuid| self.tenant.user(id)) {
                    Some(user) => Said(200, user),
                    None => refused(404, "Request_ResourceNotFound"),
                }
            }
            Call::RiskAction => self.act(path.rsplit('/').next().unwrap_or_default(), body),
            Call::Users if path.ends_with("/delta") => self.user_delta(path, query, fault),
            Call::Groups if path.ends_with("/delta") => self.group_delta(path, query, fault),
            Call::Users => {
                let people = self.tenant.users.keys().filter_map(|id| self.tenant.user(*id)).collect();
                self.begin(path, people, None, fault)
            }
            Call::Groups => {
                let groups = self.tenant.groups.iter();
                let groups = groups.map(|(id, group)| json!({ "id": id, "displayName": group.display_name })).collect();
                self.begin(path, groups, None, fault)
            }
            Call::Assignments => {
                let role = wanted(query, "roleDefinitionId");
                let found = self.assignments(fault).iter().filter(|one| role.is_none_or(|role| one.role == role));
                let found = found.map(tenant::assignment).collect();
                self.begin(path, found, None, fault)
            }
            Call::TransitiveRoles => {
                let is_eventual = headers.get("consistencylevel").is_some_and(|level| level == "eventual");
                if !is_eventual || query.get("$count").is_none_or(|count| count != "true") {
                    return refused(404, "Request_ResourceNotFound");
                }
                let Some(person) = wanted(query, "principalId") else { return refused(400, "Request_BadRequest") };
                let all = self.assignments(fault);
                let mut principals = self.tenant.groups_of(person);
                principals.insert(person);
                let found = all.iter().filter(|one| principals.contains(&one.principal));
                let found = found.map(tenant::assignment).collect();
                self.begin(path, found, None, fault)
            }
            Call::Token => refused(400, "BadRequest"),
        }
    }

    /// Who is given which role, as far as it is known everywhere.
    fn assignments(&self, fault: Option<Fault>) -> &[tenant::GraphAssignment] {
        if fault == Some(Fault::StaleRoles) { &self.old_assignments } else { &self.tenant.assignments }
    }

    fn act(&mut self, verb: &str, body: &Bytes) -> Said {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let ids: Vec<Uuid> = serde_json::from_value(body["userIds"].clone()).unwrap_or_default();
        if ids.is_empty() || ids.len() > 60 {
            return refused(400, "BadRequest");
        }
        let (level, state, detail) = match verb {
            "confirmCompromised" => ("high", "confirmedCompromised", "adminConfirmedUserCompromised"),
            "confirmSafe" => ("none", "confirmedSafe", "adminConfirmedAccountSafe"),
            "dismiss" => ("none", "dismissed", "adminDismissedAllRiskForUser"),
            _ => return refused(400, "BadRequest"),
        };
        for id in ids {
            let mut risk = tenant::GraphRisk::new(level, state);
            risk.detail = detail.to_owned();
            self.tenant.risks.insert(id, risk);
        }
        Said(204, Value::Null)
    }

    /// The first page of a list.
    fn begin(&mut self, path: &str, values: Vec<Value>, delta: Option<String>, fault: Option<Fault>) -> Said {
        self.lists.push((Arc::new(values), delta));
        let place = format!("{}-0", self.lists.len() - 1);
        self.page(path, &place, fault)
    }

    /// One page, and where the next one is.
    fn page(&self, path: &str, place: &str, fault: Option<Fault>) -> Said {
        let numbers = place.split_once('-').and_then(|(list, from)| Some((list.parse().ok()?, from.parse().ok()?)));
        let Some((list, from)): Option<(usize, usize)> = numbers else { return refused(400, "BadRequest") };
        let Some((values, delta)) = self.lists.get(list) else { return refused(400, "BadRequest") };
        let until = values.len().min(from + self.page_size);
        let (shown, next) = match fault {
            Some(Fault::Empty) => (&[][..], from),
            Some(Fault::Repeated) => (&values[from..until], from),
            _ => (&values[from..until], until),
        };
        let shown: Vec<_> = shown.iter().map(|value| worded(value.clone(), fault)).collect();
        let mut body = json!({ "@odata.context": "https://graph.microsoft.com/v1.0/$metadata", "value": shown });
        let base = if fault == Some(Fault::Elsewhere) { "http://127.0.0.2:9" } else { &self.address };
        if next < values.len() || matches!(fault, Some(Fault::Empty | Fault::Elsewhere)) {
            body["@odata.nextLink"] = json!(format!("{base}{path}?$skiptoken={list}-{next}"));
        } else if let Some(delta) = delta {
            body["@odata.deltaLink"] = json!(format!("{base}{path}?$deltatoken={delta}"));
        }
        Said(200, body)
    }

    fn user_delta(&mut self, path: &str, query: &HashMap<String, String>, fault: Option<Fault>) -> Said {
        let end = self.user_changes.len();
        let changed = match changes(query, &self.user_changes, self.kept_since.0) {
            Since::Everything => self.tenant.users.keys().map(|id| (*id, all_of_user())).collect(),
            Since::These(changed) => changed,
            Since::Lost => return refused(410, "syncStateNotFound"),
        };
        let values = changed.iter().map(|(id, change)| user_told(&self.tenant, *id, change)).collect();
        self.begin(path, values, Some(format!("u{end}")), fault)
    }

    fn group_delta(&mut self, path: &str, query: &HashMap<String, String>, fault: Option<Fault>) -> Said {
        let end = self.group_changes.len();
        let changed = match changes(query, &self.group_changes, self.kept_since.1) {
            Since::Everything => {
                let all = |members: &std::collections::BTreeSet<Uuid>| Change {
                    members: members.iter().map(|member| (*member, true)).collect(),
                    ..Change::default()
                };
                self.tenant.groups.iter().map(|(id, group)| (*id, all(&group.members))).collect()
            }
            Since::These(changed) => changed,
            Since::Lost => return refused(410, "syncStateNotFound"),
        };
        let mut values = Vec::new();
        for (id, change) in &changed {
            values.extend(group_told(&self.tenant, *id, change, self.page_size));
        }
        self.begin(path, values, Some(format!("g{end}")), fault)
    }
}

enum Since {
    Everything,
    These(BTreeMap<Uuid, Change>),
    Lost,
}

/// What changed since the delta token; one entry for each object.
fn changes(query: &HashMap<String, String>, all: &[(Uuid, Change)], kept_since: usize) -> Since {
    let Some(token) = query.get("$deltatoken") else { return Since::Everything };
    let Some(since) = token.get(1..).and_then(|number| number.parse::<usize>().ok()) else { return Since::Lost };
    if since < kept_since && kept_since > 0 {
        return Since::Lost;
    }
    let mut merged: BTreeMap<Uuid, Change> = BTreeMap::new();
    for (id, change) in all.iter().skip(since) {
        let entry = merged.entry(*id).or_default();
        entry.is_removed = change.is_removed;
        entry.is_manager |= change.is_manager;
        for (member, joined) in &change.members {
            entry.members.retain(|(other, _)| other != member);
            entry.members.push((*member, *joined));
        }
    }
    Since::These(merged)
}

fn all_of_user() -> Change {
    Change { is_manager: true, ..Change::default() }
}

fn user_told(tenant: &Tenant, id: Uuid, change: &Change) -> Value {
    let Some(mut value) = tenant.user(id).filter(|_| !change.is_removed) else {
        return json!({ "id": id, "@removed": { "reason": "deleted" } });
    };
    if change.is_manager {
        let manager = tenant.users.get(&id).and_then(|user| user.manager);
        value["manager@delta"] = match manager {
            Some(manager) => json!([{ "@odata.type": "#microsoft.graph.user", "id": manager }]),
            None => {
                json!([{ "@odata.type": "#microsoft.graph.user", "id": Uuid::nil(), "@removed": { "reason": "deleted" } }])
            }
        };
    }
    value
}

/// A group of many members stands there several times, each time with some of them.
fn group_told(tenant: &Tenant, id: Uuid, change: &Change, page_size: usize) -> Vec<Value> {
    let Some(group) = tenant.groups.get(&id).filter(|_| !change.is_removed) else {
        return vec![json!({ "id": id, "@removed": { "reason": "deleted" } })];
    };
    let members: Vec<_> = change
        .members
        .iter()
        .map(|(member, joined)| {
            let mut value = tenant.member(*member);
            if !joined {
                value["@removed"] = json!({ "reason": "deleted" });
            }
            value
        })
        .collect();
    let whole = json!({ "id": id, "displayName": group.display_name });
    if members.is_empty() {
        return vec![whole];
    }
    members
        .chunks(page_size)
        .map(|chunk| {
            let mut value = whole.clone();
            value["members@delta"] = json!(chunk);
            value
        })
        .collect()
}

/// Somebody's risk in the words that the fault wants.
fn worded(mut value: Value, fault: Option<Fault>) -> Value {
    if value.get("riskLevel").is_some() {
        match fault {
            Some(Fault::Hidden) => value["riskLevel"] = json!("hidden"),
            Some(Fault::UnknownWords) => {
                value["riskLevel"] = json!("catastrophic");
                value["riskState"] = json!("unknownFutureValue");
            }
            _ => {}
        }
    }
    value
}
