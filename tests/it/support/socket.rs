//! A graphql-transport-ws client, as plain as the protocol.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::Message as Frame;

/// Longest time that a story waits for something to arrive; only a failing one waits so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long somebody listens who means to hang up.
const SOON: Duration = Duration::from_millis(50);
/// How long a story listens to be sure that nothing arrives.
const SILENCE: Duration = Duration::from_millis(400);

/// The header that offers the protocol.
const PROTOCOL: [(&str, &str); 1] = [("sec-websocket-protocol", "graphql-transport-ws")];

/// A WebSocket.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    next_id: u32,
    pings: u32,
    /// What arrived while something else was waited for.
    early: VecDeque<Message>,
}

/// What arrived.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A message of the protocol.
    Json(Value),
    /// The server closed, with a code and a reason.
    Closed(u16, String),
}

/// One running operation on a socket of its own.
pub struct Subscription {
    pub socket: Socket,
    pub id: String,
}

impl Socket {
    /// Opens the sub-protocol and nothing more, at a server that may be gone.
    pub async fn try_open(address: SocketAddr) -> Option<Socket> {
        let stream = TcpStream::connect(address).await.ok()?;
        Socket::shake_hands(stream, address, &PROTOCOL).await.ok()
    }

    /// Opens the sub-protocol and nothing more.
    pub async fn open(address: SocketAddr) -> Socket {
        Socket::open_with(address, &PROTOCOL).await.expect("the socket opens")
    }

    /// Opens with these headers, or gets the status of the refusal.
    pub async fn open_with(address: SocketAddr, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        Socket::shake_hands(stream, address, headers).await.map_err(|error| match error {
            Error::Http(response) => response.status().as_u16(),
            error => panic!("{error}"),
        })
    }

    async fn shake_hands(
        stream: TcpStream,
        address: SocketAddr,
        headers: &[(&'static str, &str)],
    ) -> Result<Socket, Error> {
        let mut request = format!("ws://{address}/graphql").into_client_request().expect("a request");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header"));
        }
        let (stream, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Socket { stream, next_id: 0, pings: 0, early: VecDeque::new() })
    }

    /// Opens, introduces itself, and is acknowledged.
    pub async fn connect(address: SocketAddr, token: &str) -> Socket {
        let mut socket = Socket::open(address).await;
        socket
            .send(json!({ "type": "connection_init", "payload": { "Authorization": format!("Bearer {token}") } }))
            .await;
        let acknowledged = socket.receive().await;
        assert_eq!(acknowledged, Message::Json(json!({ "type": "connection_ack" })), "{acknowledged:?}");
        socket
    }

    /// Sends a message.
    pub async fn send(&mut self, message: Value) {
        self.stream.send(Frame::text(message.to_string())).await.expect("the server listens");
    }

    /// Sends a message to a server that may be gone.
    pub async fn try_send(&mut self, message: Value) -> Option<()> {
        self.stream.send(Frame::text(message.to_string())).await.ok()
    }

    /// The next message, where one comes soon.
    pub async fn soon(&mut self) -> Option<Value> {
        match tokio::time::timeout(SOON, self.next()).await {
            Ok(Message::Json(message)) => Some(message),
            Ok(Message::Closed(..)) | Err(_) => None,
        }
    }

    /// Sends a text as it is.
    pub async fn send_text(&mut self, text: &str) {
        self.stream.send(Frame::text(text)).await.expect("the server listens");
    }

    /// Sends bytes, which is no message of the protocol.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.send(Frame::binary(bytes.to_vec())).await.expect("the server listens");
    }

    /// How many pings of the WebSocket itself have come by now.
    pub fn pings(&self) -> u32 {
        self.pings
    }

    /// The next message; pings of the WebSocket itself are answered below.
    pub async fn receive(&mut self) -> Message {
        tokio::time::timeout(PATIENCE, self.next()).await.expect("something arrives")
    }

    async fn next(&mut self) -> Message {
        match self.early.pop_front() {
            Some(message) => message,
            None => self.arrival().await,
        }
    }

    async fn arrival(&mut self) -> Message {
        loop {
            match self.stream.next().await {
                Some(Ok(Frame::Text(text))) => return Message::Json(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Frame::Close(Some(close)))) => {
                    return Message::Closed(close.code.into(), close.reason.to_string());
                }
                Some(Ok(Frame::Close(None))) | None => return Message::Closed(1005, String::new()),
                Some(Ok(frame)) => self.pings += u32::from(frame.is_ping()),
                Some(Err(error)) => return Message::Closed(1006, error.to_string()),
            }
        }
    }

    /// Waits for a message, however long. False: the server has closed.
    pub async fn receive_any(&mut self) -> bool {
        matches!(self.next().await, Message::Json(_))
    }

    /// Nothing arrives for a while.
    pub async fn is_silent(&mut self) {
        if let Ok(message) = tokio::time::timeout(SILENCE, self.next()).await {
            panic!("nothing should arrive, but this did: {message:?}");
        }
    }

    /// Starts an operation; it has been received when this returns, for frames are taken in order. Returns its id.
    pub async fn start(&mut self, query: &str, variables: Value) -> String {
        self.next_id += 1;
        let id = self.next_id.to_string();
        let payload = json!({ "query": query, "variables": variables });
        self.send(json!({ "id": id, "type": "subscribe", "payload": payload })).await;
        self.send(json!({ "type": "ping", "payload": { "after": id } })).await;
        let pong = Message::Json(json!({ "type": "pong", "payload": { "after": id } }));
        let answered = tokio::time::timeout(PATIENCE, async {
            loop {
                let message = self.arrival().await;
                if message == pong {
                    return;
                }
                let is_end = matches!(message, Message::Closed(..));
                self.early.push_back(message);
                if is_end {
                    return;
                }
            }
        });
        answered.await.expect("the ping is answered");
        id
    }

    /// Starts an operation on a socket of its own.
    pub async fn subscribe(mut self, query: &str, variables: Value) -> Subscription {
        let id = self.start(query, variables).await;
        Subscription { socket: self, id }
    }
}

impl Subscription {
    /// The data of the next event.
    pub async fn event(&mut self) -> Value {
        match self.socket.receive().await {
            Message::Json(message) if message["type"] == "next" && message["id"] == self.id.as_str() => {
                assert!(message["payload"]["errors"].is_null(), "{message:#}");
                message["payload"]["data"].clone()
            }
            other => panic!("an event should arrive, but this did: {other:?}"),
        }
    }

    /// The code of the error that ends the operation.
    pub async fn error(&mut self) -> String {
        match self.socket.receive().await {
            Message::Json(message) if message["type"] == "error" => {
                message["payload"][0]["extensions"]["code"].as_str().unwrap_or_default().to_owned()
            }
            other => panic!("an error should arrive, but this did: {other:?}"),
        }
    }

    /// The operation completes.
    pub async fn completes(&mut self) {
        let message = self.socket.receive().await;
        assert_eq!(message, Message::Json(json!({ "type": "complete", "id": self.id })), "{message:?}");
    }

    /// Nothing arrives for a while.
    pub async fn is_silent(&mut self) {
        self.socket.is_silent().await;
    }
}
