//! A client of server-sent events.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde_json::Value;

/// Longest time that a story waits for something to arrive; only a failing one waits so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// One operation over server-sent events.
pub struct Events {
    body: BoxStream<'static, Vec<u8>>,
    text: String,
    /// The id of the last event that had one, as an EventSource keeps it.
    pub last: String,
}

impl Events {
    /// The body of a response.
    pub fn new(response: reqwest::Response) -> Events {
        assert_eq!(response.status().as_u16(), 200);
        let kind = response.headers()["content-type"].to_str().expect("a text").to_owned();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        let body = response.bytes_stream().map(|piece| piece.map_or_else(|_| Vec::new(), |bytes| bytes.to_vec()));
        Events { body: body.boxed(), text: String::new(), last: String::new() }
    }

    /// The next event: its name and its data. `None` when the response has ended.
    pub async fn next(&mut self) -> Option<(String, String)> {
        tokio::time::timeout(PATIENCE, self.arrival()).await.expect("something arrives")
    }

    async fn arrival(&mut self) -> Option<(String, String)> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                    lines.map(|value| value.strip_prefix(' ').unwrap_or(value).to_owned()).next()
                };
                let event = field("event").map(|name| (name, field("data").unwrap_or_default()));
                if let Some(id) = field("id") {
                    self.last = id;
                }
                self.text = rest.to_owned();
                if event.is_some() {
                    return event;
                }
            }
            let piece = self.body.next().await?;
            self.text.push_str(std::str::from_utf8(&piece).expect("pieces of whole characters"));
        }
    }

    /// The result of the next event.
    pub async fn result(&mut self) -> Value {
        match self.next().await {
            Some((name, data)) if name == "next" => serde_json::from_str(&data).expect("JSON"),
            other => panic!("a result should arrive, but this did: {other:?}"),
        }
    }

    /// The data of the next event.
    pub async fn data(&mut self) -> Value {
        let result = self.result().await;
        assert!(result["errors"].is_null(), "{result:#}");
        result["data"].clone()
    }

    /// The code of the error of the next event.
    pub async fn error(&mut self) -> String {
        let result = self.result().await;
        result["errors"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The operation is complete, and so is the response.
    pub async fn completes(&mut self) {
        assert_eq!(self.next().await, Some(("complete".to_owned(), String::new())));
        assert_eq!(self.next().await, None, "nothing follows");
    }
}
