//! Microsoft Graph, as one application of one tenant sees it.
//!
//! What must stay true: a token goes to the configured address and nowhere else, whatever an answer says is the next page; nothing
//! that came from outside is trusted in size, time or form; no fault quotes a secret, a token or more than a code of what was said.

mod directory;
mod fault;
pub mod permission;
mod risk;
mod token;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, DATE, HeaderMap, RETRY_AFTER};
use serde_json::Value;

use super::web::{self, Web};
use crate::auth::{FetchFault, is_safe};
use crate::clock::Clock;

pub use fault::{GraphFault, Refusal};
pub use token::Credential;
use token::Tokens;

/// The largest page that is read, in bytes: 500 people at risk have about 200,000, a page of a large group some millions.
const PAGE_LIMIT: usize = 8 * 1024 * 1024;

/// Time enough for one answer, from the beginning; whoever waits for less gives up sooner.
pub const TIME_LIMIT: Duration = Duration::from_secs(20);

/// Longest address of a next page.
const LINK_MAX: usize = 16 * 1024;

/// Whom Graph is asked as, and where.
#[derive(Debug, Clone)]
pub struct GraphSettings {
    /// The tenant.
    pub tenant: String,
    /// The app registration.
    pub client_id: String,
    /// How it shows who it is.
    pub credential: Credential,
    /// Where tokens are asked for, without a slash at its end.
    pub authority: String,
    /// Where Graph is, without a slash at its end.
    pub base_url: String,
    /// So long one answer may take, from the beginning; that of the authority no longer than any other document either.
    pub time_limit: Duration,
}

/// An address of Graph that may be shown a token: it is on the configured origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link(String);

impl Link {
    /// The address, to be kept for later; [`Graph::follow`] takes it up again.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One page of a list, and where it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What is on it; perhaps nothing, although there is more.
    pub values: Vec<Value>,
    /// The next page.
    pub next: Option<Link>,
    /// After the last page of a delta query: where to ask for what changes from now on.
    pub delta: Option<Link>,
}

/// Headers beyond those that every question has.
pub type Extra<'a> = &'a [(&'static str, &'a str)];

/// Microsoft Graph.
pub struct Graph {
    settings: GraphSettings,
    web: Web,
    tokens: Tokens,
}

impl Graph {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    /// Where an address may not be asked, or the operating system does not give what a client needs.
    pub fn new(settings: GraphSettings, clock: Clock) -> Result<Arc<Graph>, String> {
        for (key, address) in [("authority", &settings.authority), ("base_url", &settings.base_url)] {
            if !is_safe(address) {
                return Err(format!("graph.{key}: {address:?} must be https, or http to a loopback address"));
            }
        }
        let web = Web::new()?;
        let tokens = Tokens::new(settings.clone(), web.clone(), clock);
        Ok(Arc::new(Graph { settings, web, tokens }))
    }

    /// What stands at `path` (`/v1.0/…`) below the configured address.
    pub fn link(&self, path: &str) -> Link {
        Link(format!("{}{path}", self.settings.base_url))
    }

    /// Takes up an address that Graph gave (a next page, a delta), as it stands.
    ///
    /// # Errors
    /// Where it leads away from the configured origin: the token would go with it.
    pub fn follow(&self, address: &str) -> Result<Link, GraphFault> {
        let rest = address.strip_prefix(&self.settings.base_url);
        let is_ours = rest.is_some_and(|rest| rest.starts_with('/')) && is_safe(address) && address.is_ascii();
        if !is_ours || address.len() > LINK_MAX {
            return Err(GraphFault::Garbled("an answer names a next page that is not Graph's".to_owned()));
        }
        Ok(Link(address.to_owned()))
    }

    /// Reads one page of a list. A token that is refused is renewed once.
    pub async fn page(&self, link: &Link, extra: Extra<'_>) -> Result<Page, GraphFault> {
        self.paged(self.get(link, extra).await?)
    }

    /// Reads one object. A token that is refused is renewed once.
    pub async fn get(&self, link: &Link, extra: Extra<'_>) -> Result<Value, GraphFault> {
        match self.ask(Method::GET, link, extra, None).await {
            Err(GraphFault::Unauthorized(_)) => self.ask(Method::GET, link, extra, None).await,
            answer => answer,
        }
    }

    /// Asks once, and no more than once: for whoever counts. After [`GraphFault::Unauthorized`] the next question has a new token.
    async fn ask(
        &self,
        method: Method,
        link: &Link,
        extra: Extra<'_>,
        body: Option<&Value>,
    ) -> Result<Value, GraphFault> {
        let token = self.tokens.token().await?;
        let mut request = self.web.client(&link.0)?.request(method, &link.0).timeout(self.settings.time_limit);
        request = request.header(ACCEPT, "application/json").bearer_auth(&*token);
        for (name, value) in extra {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.map_err(web::judged)?;
        let (status, wait) = (response.status().as_u16(), retry_after(response.headers()));
        let bytes = web::body(response, PAGE_LIMIT).await;
        if (200..300).contains(&status) {
            let bytes = bytes?;
            if bytes.is_empty() && status != 200 {
                return Ok(Value::Null);
            }
            return serde_json::from_slice(&bytes)
                .map_err(|_| GraphFault::Garbled(format!("an answer of status {status} is no JSON")));
        }
        // What an error says helps, but its status is enough where the rest is cut off.
        let refusal = Refusal::read(status, &bytes.unwrap_or_default());
        Err(match status {
            401 => {
                self.tokens.give_up(&token).await;
                GraphFault::Unauthorized(refusal)
            }
            408 | 429 | 500..=599 => GraphFault::Busy { refusal, wait },
            _ => GraphFault::Refused(refusal),
        })
    }

    fn paged(&self, mut answer: Value) -> Result<Page, GraphFault> {
        let link = |name: &str| match answer.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(address)) => self.follow(address).map(Some),
            Some(_) => Err(GraphFault::Garbled(format!("`{name}` is no text"))),
        };
        let (next, delta) = (link("@odata.nextLink")?, link("@odata.deltaLink")?);
        match answer.get_mut("value").map(Value::take) {
            Some(Value::Array(values)) => Ok(Page { values, next, delta }),
            _ => Err(GraphFault::Garbled("a page has no list of values".to_owned())),
        }
    }
}

/// How long an answer asks to be left alone: in seconds, or until a moment by the clock that it shows itself.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let wanted = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = wanted.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let moment = |text: &str| chrono::DateTime::parse_from_rfc2822(text).ok();
    let span = moment(wanted)?.signed_duration_since(moment(text(DATE)?)?);
    Some(span.to_std().unwrap_or_default())
}

impl From<FetchFault> for GraphFault {
    fn from(fault: FetchFault) -> GraphFault {
        match fault {
            FetchFault::Unsafe => GraphFault::Garbled("the address may not be asked".to_owned()),
            FetchFault::Unreachable(why) => GraphFault::Unreachable(why),
            FetchFault::Slow => GraphFault::Slow,
            FetchFault::Status(status) => GraphFault::Garbled(format!("an answer of status {status}")),
            FetchFault::TooLarge => GraphFault::Garbled("an answer is too large".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use entity::Timestamp;

    use super::*;

    fn graph(base_url: &str) -> Result<Arc<Graph>, String> {
        let settings = GraphSettings {
            tenant: "t".to_owned(),
            client_id: "c".to_owned(),
            credential: Credential::Secret("s".to_owned()),
            authority: "https://login.example.com".to_owned(),
            base_url: base_url.to_owned(),
            time_limit: TIME_LIMIT,
        };
        Graph::new(settings, Clock::manual(Timestamp(0)))
    }

    #[test]
    fn no_answer_leads_the_token_away() {
        let Err(why) = graph("http://graph.example.com") else { panic!("plain http leaves the machine") };
        assert!(why.starts_with("graph.base_url: "), "{why}");
        let graph = graph("https://graph.example.com").unwrap();
        let good = "https://graph.example.com/v1.0/users/delta?$skiptoken=a%2Fb&x=1";
        assert_eq!(graph.follow(good).unwrap().as_str(), good);
        for bad in [
            "https://graph.example.com.evil.example/v1.0/users",
            "https://graph.example.com@evil.example/v1.0/users",
            "https://graph.example.com:444/v1.0/users",
            "http://graph.example.com/v1.0/users",
            "https://evil.example/v1.0/users",
            "/v1.0/users",
            "https://graph.example.com",
            "https://graph.example.com/\nx",
            "",
        ] {
            assert!(graph.follow(bad).is_err(), "{bad:?}");
        }
        assert!(graph.follow(&format!("https://graph.example.com/{}", "x".repeat(LINK_MAX))).is_err());
    }

    #[test]
    fn a_page_has_values_and_goes_on_or_is_none() {
        let graph = graph("https://graph.example.com").unwrap();
        let page = |text: &str| graph.paged(serde_json::from_str(text).unwrap());
        let read = page(r#"{"value":[],"@odata.nextLink":"https://graph.example.com/n"}"#).unwrap();
        assert_eq!((read.values.len(), read.next, read.delta), (0, Some(graph.link("/n")), None));
        let read =
            page(r#"{"value":[{"id":1}],"@odata.nextLink":null,"@odata.deltaLink":"https://graph.example.com/d"}"#);
        assert_eq!(read.unwrap().delta, Some(graph.link("/d")));
        for bad in ["{}", "[]", "null", r#"{"value":{}}"#, r#"{"value":[],"@odata.nextLink":7}"#] {
            assert!(page(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wish_to_be_left_alone_is_read_in_both_forms() {
        let wait = |after: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, after.parse().unwrap());
            if let Some(date) = date {
                headers.insert(DATE, date.parse().unwrap());
            }
            retry_after(&headers)
        };
        // A clock that is a year off is as good as any: what counts is the span.
        let date = Some("Mon, 02 Mar 2015 10:00:00 GMT");
        assert_eq!(wait("7", None), Some(Duration::from_secs(7)));
        assert_eq!(wait("Mon, 02 Mar 2015 10:00:30 GMT", date), Some(Duration::from_secs(30)));
        assert_eq!(wait("Mon, 02 Mar 2015 09:00:00 GMT", date), Some(Duration::ZERO));
        assert_eq!(wait("Mon, 02 Mar 2015 10:00:30 GMT", None), None);
        assert_eq!(wait("soon", date), None);
        assert_eq!(wait("-1", None), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
