//! Bytes on a connection, as somebody sends them who keeps to no rule.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Person;

/// Longest time that a story waits for something to happen; only a failing one waits so long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection.
pub struct Raw {
    stream: TcpStream,
    /// Read, and not yet looked at.
    early: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    /// Everything above the body, in lower case.
    pub head: String,
    pub body: Vec<u8>,
}

impl RawAnswer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    /// The code of the error that the body tells, which is JSON and says that it is.
    #[track_caller]
    pub fn code(&self) -> String {
        let kind = self.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/") && kind.contains("json"), "{}", self.head);
        let body: Value = serde_json::from_slice(&self.body).expect("JSON");
        assert!(body.get("data").is_none(), "{body:#}");
        body["errors"][0]["extensions"]["code"].as_str().expect("a code").to_owned()
    }
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Raw {
        Raw { stream: TcpStream::connect(address).await.expect("the server listens"), early: Vec::new() }
    }

    /// Sends.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("the server takes it");
    }

    /// Sends to a server that may have had enough.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// The next answer, of a known length.
    pub async fn answer(&mut self) -> RawAnswer {
        tokio::time::timeout(PATIENCE, self.read_answer()).await.expect("an answer")
    }

    async fn read_answer(&mut self) -> RawAnswer {
        let end = loop {
            if let Some(end) = self.early.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.read().await > 0, "no answer but {:?}", String::from_utf8_lossy(&self.early));
        };
        let head = String::from_utf8(self.early.drain(..end).collect()).expect("text").to_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let answer = RawAnswer { status, head, body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        while self.early.len() < length {
            assert!(self.read().await > 0, "the answer breaks off: {}", answer.head);
        }
        RawAnswer { body: self.early.drain(..length).collect(), ..answer }
    }

    /// What comes until the server ends the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        let read = async { while self.read().await > 0 {} };
        tokio::time::timeout(PATIENCE, read).await.expect("the server ends the connection");
        std::mem::take(&mut self.early)
    }

    /// The server ends the connection and says nothing more.
    pub async fn is_cut(&mut self) {
        let rest = self.rest().await;
        assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    }

    async fn read(&mut self) -> usize {
        let before = self.early.len();
        match self.stream.read_buf(&mut self.early).await {
            Ok(_) => self.early.len() - before,
            Err(fault) if matches!(fault.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => 0,
            Err(fault) => panic!("{fault}"),
        }
    }
}

impl Person {
    /// The head of a POST of theirs, with more headers.
    pub fn head(&self, more: &str) -> String {
        let token = &self.token;
        format!(
            "POST /graphql HTTP/1.1\r\nhost: riskgate\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n{more}\r\n"
        )
    }

    /// A whole request of theirs.
    pub fn request_of(&self, query: &str) -> String {
        let body = serde_json::json!({ "query": query }).to_string();
        self.head(&format!("content-length: {}\r\n", body.len())) + &body
    }
}
