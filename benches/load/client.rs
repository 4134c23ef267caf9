//! Clients: each a connection of its own that asks again as soon as it is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};

use crate::Failure;
use crate::seed::Somebody;

/// One question: who asks, and the body.
pub struct Question {
    pub token: String,
    pub body: Value,
}

impl Question {
    pub fn new(who: &Somebody, query: &str, variables: Value) -> Question {
        Question { token: who.token.clone(), body: json!({ "query": query, "variables": variables }) }
    }
}

/// What was answered, and how fast.
pub struct Answered {
    pub count: usize,
    pub elapsed: Duration,
    times: Vec<Duration>,
}

impl Answered {
    /// So many each second.
    pub fn rate(&self, count: i64) -> String {
        format!("{:.0}/s", count as f64 / self.elapsed.as_secs_f64())
    }

    /// Half of them, and all but one of a hundred, took no longer.
    pub fn spread(&self) -> String {
        spread(&self.times)
    }
}

/// The median and the 99th percentile.
pub fn spread(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort();
    let at = |share: f64| sorted.get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1)));
    let shown =
        |time: Option<&Duration>| time.map_or("–".to_owned(), |time| format!("{:.2}", time.as_secs_f64() * 1e3));
    format!("p50 {} ms, p99 {} ms", shown(at(0.5)), shown(at(0.99)))
}

/// Lets so many clients ask for so long; `question` makes the next one, and there may be no more.
pub async fn ask(
    address: SocketAddr,
    clients: usize,
    duration: Duration,
    question: impl Fn() -> Option<Question> + Send + Sync + 'static,
) -> Result<Answered, Failure> {
    let question = Arc::new(question);
    let begin = Instant::now();
    let running = (0..clients).map(|_| {
        let question = Arc::clone(&question);
        tokio::spawn(async move {
            riskgate::outbound::choose_cryptography();
            let http = reqwest::Client::builder().pool_max_idle_per_host(1).build()?;
            let mut times = Vec::new();
            while begin.elapsed() < duration {
                let Some(Question { token, body }) = question() else { break };
                let asked = Instant::now();
                let response =
                    http.post(format!("http://{address}/graphql")).bearer_auth(token).json(&body).send().await?;
                let answer: Value = serde_json::from_slice(&response.bytes().await?)?;
                times.push(asked.elapsed());
                let refusals = answer["data"].as_object().into_iter().flat_map(|data| data.values());
                let is_refused =
                    refusals.into_iter().any(|field| field["userErrors"].as_array().is_some_and(|e| !e.is_empty()));
                if !answer["errors"].is_null() || is_refused {
                    return Err(Failure::from(answer.to_string()));
                }
            }
            Ok(times)
        })
    });
    let mut times = Vec::new();
    for finished in join_all(running).await {
        times.extend(finished??);
    }
    Ok(Answered { count: times.len(), elapsed: begin.elapsed(), times })
}

/// A subscription on a socket of its own, with buffers that let one program hold ten thousand.
pub struct Listening(WebSocketStream<TcpStream>);

impl Listening {
    /// In force when this returns.
    pub async fn start(address: SocketAddr, who: &Somebody, query: &str) -> Result<Listening, Failure> {
        use futures_util::{SinkExt, StreamExt};
        let mut request = format!("ws://{address}/graphql").into_client_request()?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", "graphql-transport-ws".parse()?);
        let config = WebSocketConfig::default().read_buffer_size(1_024).write_buffer_size(0);
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (mut socket, _) = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await?;
        let bearer = format!("Bearer {}", who.token);
        for message in [
            json!({ "type": "connection_init", "payload": { "Authorization": bearer } }),
            json!({ "id": "1", "type": "subscribe", "payload": { "query": query } }),
            json!({ "type": "ping" }),
        ] {
            socket.send(Message::text(message.to_string())).await?;
            if message["type"] != "subscribe" {
                let answer = socket.next().await.ok_or("the socket was closed")??;
                if !answer.to_text()?.contains("connection_ack") && !answer.to_text()?.contains("pong") {
                    return Err(format!("unexpected: {answer}").into());
                }
            }
        }
        Ok(Listening(socket))
    }

    /// The next event.
    pub async fn event(&mut self) -> Result<Value, Failure> {
        use futures_util::StreamExt;
        loop {
            if let Message::Text(text) = self.0.next().await.ok_or("the socket was closed")?? {
                let message: Value = serde_json::from_str(&text)?;
                if message["type"] == "next" && message["payload"]["errors"].is_null() {
                    return Ok(message["payload"]["data"].clone());
                }
                return Err(format!("unexpected: {text}").into());
            }
        }
    }
}
