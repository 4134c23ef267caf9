//! HTTP/2, by those who know that it is spoken here.

use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use h2::client::SendRequest;
use hyper::body::Bytes;
use hyper::http::{Method, Request, StatusCode};
use riskgate::http::Limits;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::{LARGE_ANSWER, cut, is_served, metric, until, world};
use crate::support::{Person, Raw, World};

type Client = SendRequest<Bytes>;

async fn connect<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Client {
    let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    client.ready().await.expect("it is ready")
}

async fn client(world: &World) -> Client {
    connect(TcpStream::connect(world.app().address).await.expect("the server listens")).await
}

fn head(person: &Person) -> Request<()> {
    Request::builder()
        .method(Method::POST)
        .uri("http://localhost/graphql")
        .header("authorization", format!("Bearer {}", person.token))
        .header("content-type", "application/json")
        .body(())
        .expect("a request")
}

/// One question, and its answer.
pub async fn asks<S>(stream: S, person: &Person, query: &str) -> (u16, Value)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut client = connect(stream).await;
    ask(&mut client, person, query).await.expect("an answer")
}

async fn ask(client: &mut Client, person: &Person, query: &str) -> Result<(u16, Value), h2::Error> {
    let (response, mut body) = client.send_request(head(person), false)?;
    body.send_data(json!({ "query": query }).to_string().into(), true)?;
    let response = response.await?;
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        bytes.extend_from_slice(&chunk);
        body.flow_control().release_capacity(chunk.len())?;
    }
    Ok((status, serde_json::from_slice(&bytes).expect("JSON")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_questions_share_a_connection() {
    let world = world(Limits::default()).await;
    let alice = world.person("alice");
    let mut client = client(&world).await;
    for _ in 0..3 {
        let (status, body) = ask(&mut client, &alice, "{ viewer { user { displayName } } }").await.expect("an answer");
        assert_eq!((status, &body["data"]["viewer"]["user"]["displayName"]), (200, &json!("Alice Moreau")));
    }
    let (status, body) = ask(&mut client, &alice, "{ nonsense").await.expect("an answer");
    assert!(status == 200 && body["errors"].is_array());
    assert_eq!(metric(&world, "riskgate_connections").await, 2, "this one, and the one that asks");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_stream_beside_questions_and_end_with_the_server() {
    let mut world = world(Limits::default()).await;
    let sam = world.person("sam");
    let mut client = client(&world).await;
    let mut request = head(&sam);
    request.headers_mut().insert("accept", "text/event-stream".parse().expect("a header"));
    let (response, mut body) = client.send_request(request, false).expect("it is sent");
    let query = json!({ "query": "subscription { pendingRiskApprovalCreated { cursor } }" }).to_string();
    body.send_data(query.into(), true).expect("it is sent");
    let response = response.await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let mut events = response.into_body();
    assert_eq!(events.data().await.expect("a piece").expect("a comment"), ":\n\n");
    ask(&mut client, &sam, "{ __typename }").await.expect("an answer");
    world.person("alice").asks_for(riskgate::demo::FINANCE_DATA).await;
    let event = events.data().await.expect("a piece").expect("an event");
    assert!(event.starts_with(b"event: next\n"), "{event:?}");
    world.stop().await;
    let mut rest = Vec::new();
    while let Some(Ok(piece)) = events.data().await {
        rest.extend_from_slice(&piece);
    }
    assert!(!String::from_utf8_lossy(&rest).contains("complete"), "it is not over, and the client connects again");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_resets_every_request_at_once_is_sent_away() {
    let world = world(Limits::default()).await;
    let mallory = world.person("mallory");
    let mut raw = Raw::connect(world.app().address).await;
    raw.try_send(resets()).await;
    let rest = raw.rest().await;
    let go_away = frames(&rest).into_iter().find(|(kind, _)| *kind == 7).expect("GOAWAY");
    assert_eq!(go_away.1[4..8], [0, 0, 0, 11], "ENHANCE_YOUR_CALM");
    until(async || cut(&world, "malformed").await == 1).await;
    is_served(&mallory).await;
    world.end().await;
}

/// A thousand requests, each reset before the server can have looked at it; by hand, for the library would not do it.
pub fn resets() -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[]));
    for stream in (1..2_001).step_by(2) {
        // `:method: GET`, `:scheme: http`, `:path: /` and an `:authority`, from the static table.
        bytes.extend(frame(1, 5, stream, &[0x82, 0x86, 0x84, 0x41, 1, b'a']));
        bytes.extend(frame(3, 0, stream, &[0, 0, 0, 8]));
    }
    bytes
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a length").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        frames.push((head[3], payload.to_vec()));
        bytes = rest;
    }
    frames
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_goes_on_for_ever_is_stopped() {
    let world = world(Limits::default()).await;
    let mut raw = Raw::connect(world.app().address).await;
    let mut opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    opening.extend(frame(4, 0, 0, &[]));
    // A HEADERS frame that does not end, then CONTINUATION after CONTINUATION of fields that are not indexed.
    opening.extend(frame(1, 0, 1, &[0x82, 0x86, 0x84, 0x41, 1, b'a']));
    raw.send(&opening).await;
    let mut field = vec![0, 1, b'x', 0x7f, 0x81, 0x7d];
    field.extend([b'a'; 16_000]);
    let more = frame(9, 0, 1, &field);
    let mut sent = 0;
    while raw.try_send(&more).await {
        sent += more.len();
        assert!(sent < 64 * 1024 * 1024, "nobody stops it");
    }
    until(async || cut(&world, "malformed").await == 1).await;
    is_served(&world.person("alice")).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_head_is_431() {
    let world = world(Limits::default()).await;
    let mut client = client(&world).await;
    let mut request = head(&world.person("alice"));
    request.headers_mut().insert("x-large", "a".repeat(40_000).parse().expect("a header"));
    let (response, _) = client.send_request(request, true).expect("it is sent");
    assert_eq!(response.await.expect("an answer").status().as_u16(), 431);
    ask(&mut client, &world.person("alice"), "{ __typename }").await.expect("the connection lives on");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_are_ended_the_polite_way() {
    let short = Duration::from_millis(300);
    let world = world(Limits { head: short, idle: short, ..Limits::default() }).await;
    let mut used = client(&world).await;
    ask(&mut used, &world.person("alice"), "{ __typename }").await.expect("an answer");
    let unused = client(&world).await;
    for mut client in [used, unused] {
        until(async || match client.clone().ready().await {
            Ok(ready) => {
                client = ready;
                false
            }
            Err(_) => true,
        })
        .await;
    }
    assert_eq!(cut(&world, "idle").await, 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_share_a_connection_have_an_end() {
    let world = world(Limits { connections_per_address: 8, body: Duration::from_secs(60), ..Limits::default() }).await;
    let mallory = world.person("mallory");
    let mut client = client(&world).await;
    let (mut responses, mut bodies) = (FuturesUnordered::new(), Vec::new());
    // Each waits for a body that does not come.
    for _ in 0..20 {
        let (response, body) = client.send_request(head(&mallory), false).expect("it is sent");
        responses.push(response);
        bodies.push(body);
        client = client.ready().await.expect("it is ready");
    }
    for _ in 0..12 {
        let response = responses.next().await.expect("one more").expect("an answer");
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    assert!(responses.next().now_or_never().is_none(), "the others are let in");
    drop((responses, bodies, client));
    let query = "{ __typename }";
    until(async || mallory.try_ask(query, Value::Null).await.is_ok_and(|answer| answer.status == 200)).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_for_which_there_is_no_window_is_not_kept_for_ever() {
    let world = world(Limits { piece: Duration::from_millis(300), ..Limits::default() }).await;
    let alice = world.person("alice");
    for window in [0, 1] {
        let stream = TcpStream::connect(world.app().address).await.expect("the server listens");
        let (mut client, connection) =
            h2::client::Builder::new().initial_window_size(window).handshake::<_, Bytes>(stream).await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        let (response, mut body) = client.send_request(head(&alice), false).expect("it is sent");
        body.send_data(json!({ "query": "{ __typename }" }).to_string().into(), true).expect("it is sent");
        let held = response.await.expect("an answer");
        let ended = tokio::time::timeout(Duration::from_secs(20), connection).await;
        let ended = ended.unwrap_or_else(|_| panic!("with a window of {window} the connection does not end"));
        // How it looks from here is the system's choice: an end, or a reset.
        let _ = ended.expect("no panic");
        drop(held);
    }
    assert_eq!(cut(&world, "slow_reader").await, 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_not_taken_cut_the_connection() {
    let world = world(Limits { piece: Duration::from_millis(300), ..Limits::default() }).await;
    let ada = world.person("ada");
    let mut client = client(&world).await;
    let (response, mut body) = client.send_request(head(&ada), false).expect("it is sent");
    body.send_data(json!({ "query": LARGE_ANSWER }).to_string().into(), true).expect("it is sent");
    // Nothing of it is taken: it is longer than what the client has room for.
    let held = response.await.expect("an answer");
    until(async || cut(&world, "slow_reader").await == 1).await;
    drop(held);
    is_served(&world.person("alice")).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_not_taken_hold_so_much_and_no_more() {
    let world = world(Limits { piece: Duration::from_secs(600), ..Limits::default() }).await;
    let (mallory, alice) = (world.person("mallory"), world.person("alice"));
    let stream = TcpStream::connect(world.app().address).await.expect("the server listens");
    let (mut client, connection) =
        h2::client::Builder::new().initial_window_size(0).handshake::<_, Bytes>(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    let mut held = Vec::new();
    let refused = loop {
        client = client.ready().await.expect("it is ready");
        let (response, mut body) = client.send_request(head(&mallory), false).expect("it is sent");
        body.send_data(json!({ "query": LARGE_ANSWER }).to_string().into(), true).expect("it is sent");
        let response = response.await.expect("an answer");
        if response.status() != StatusCode::OK {
            break response.status();
        }
        held.push(response);
        assert!(held.len() < 100, "nobody stops it");
    };
    assert_eq!(refused, StatusCode::TOO_MANY_REQUESTS);
    is_served(&mallory).await;
    is_served(&alice).await;
    drop((held, client));
    until(async || mallory.ask(LARGE_ANSWER, Value::Null).await.status == 200).await;
    world.end().await;
}
