//! What comes over the wire, to the real program: it answers or closes, says nothing of a panic, and serves the next one.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::Message as Frame;

use super::{HANG, fuzz};
use crate::support::Person;
use crate::support::process::Process;

fn server() -> (Process, Person, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("riskgate.db").display());
    let server = Process::serve(&url, &["--demo"], &[]);
    let bob = server.person("bob");
    (server, bob, folder)
}

fn is_well(server: Process, bob: &Person) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let answer = runtime.block_on(bob.data("{ viewer { user { id } } }", json!({})));
    assert_eq!(answer["viewer"]["user"]["id"], bob.user_id());
    let log = server.log();
    assert!(!log.contains("panic"), "{log}");
    server.stop();
}

#[test]
fn http_requests_neither_panic_nor_hang() {
    let (server, bob, _folder) = server();
    fuzz("http", 4, |input| {
        // The corpus says where the token and the length of the body stand.
        let token = String::from_utf8_lossy(input).contains("TOKEN");
        let input = match token {
            true => String::from_utf8_lossy(input).replace("TOKEN", &bob.token).into_bytes(),
            false => input.to_vec(),
        };
        let mut stream = TcpStream::connect(server.address).expect("it listens");
        stream.set_read_timeout(Some(HANG)).expect("a time-out");
        // It may have closed before it has read everything.
        let _ = stream.write_all(&input).and_then(|()| stream.shutdown(Shutdown::Write));
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(fault) => assert_eq!(fault.kind(), std::io::ErrorKind::ConnectionReset, "{fault}"),
        }
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{}", answer.escape_ascii());
    });
    is_well(server, &bob);
}

#[test]
fn messages_of_a_websocket_neither_panic_nor_hang() {
    let (server, bob, _folder) = server();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (address, token) = (server.address, bob.token.clone());
    fuzz("websocket", 5, |input| {
        let text = String::from_utf8_lossy(input).replace("TOKEN", &token);
        let done = runtime.block_on(async {
            let mut request = tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(format!(
                "ws://{address}/graphql"
            ))
            .expect("a request");
            request.headers_mut().insert("Sec-WebSocket-Protocol", "graphql-transport-ws".parse().expect("a header"));
            let (mut stream, _) = tokio_tungstenite::connect_async(request).await.expect("the socket opens");
            for line in text.split('\n').take(50) {
                if stream.send(Frame::text(line.to_owned())).await.is_err() {
                    break;
                }
            }
            // Whatever it made of that, it answers a close with a close.
            let _ = stream.close(None).await;
            let all = async { while let Some(Ok(_)) = stream.next().await {} };
            tokio::time::timeout(HANG - Duration::from_secs(1), all).await
        });
        assert!(done.is_ok(), "the socket stays open");
    });
    is_well(server, &bob);
}
