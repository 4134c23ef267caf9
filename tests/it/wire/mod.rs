//! The doors before hostile clients: each attack, the limit that stops it, and that others are served meanwhile.
//!
//! These stories are told on one database: nothing of what they look at gets as far as there. Where a limit is a time, the story
//! sets it short and waits for what must happen, however long that takes.

mod body;
mod crowd;
mod head;
mod http2;
mod proxy;
mod rate;
mod siege;
mod socket;
mod tls;

use std::time::Duration;

use riskgate::http::Limits;
use serde_json::Value;

use crate::support::{Kind, Options, Person, World};

/// A question whose answer is several pieces long.
const LARGE_ANSWER: &str = "{ a: __schema { ...S } b: __schema { ...S } c: __schema { ...S }
    d: __schema { ...S } e: __schema { ...S } f: __schema { ...S } }
    fragment S on __Schema { types { name description fields { name description args { name description } } } }";

/// A server with these limits.
async fn world(limits: Limits) -> World {
    World::start(Kind::Sqlite, Options { doors: limits, ..Options::default() }).await
}

/// A number that the server tells, by the start of its line.
async fn metric(world: &World, name: &str) -> u64 {
    let url = format!("http://{}/metrics", world.app().address);
    let text = crate::support::http().get(url).send().await.expect("an answer").text().await.expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect("such a number");
    line.parse().expect("a number")
}

/// Connections cut for a reason.
async fn cut(world: &World, reason: &str) -> u64 {
    metric(world, &format!("riskgate_connections_cut_total{{reason=\"{reason}\"}}")).await
}

/// Answers with a status.
async fn answered(world: &World, status: u16) -> u64 {
    metric(world, &format!("riskgate_http_responses_total{{status=\"{status}\"}}")).await
}

/// Waits until something is so; only a failing story waits long.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it happens");
}

/// Somebody with a light question is served.
async fn is_served(person: &Person) {
    let data = person.data("{ viewer { user { displayName } } }", Value::Null).await;
    assert!(data["viewer"]["user"]["displayName"].is_string(), "{data:#}");
}
