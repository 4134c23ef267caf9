//! WebSockets: each close code of the protocol, and the limits that hostile and careless clients meet.

use std::net::SocketAddr;
use std::time::Duration;

use riskgate::demo::FINANCE_DATA;
use riskgate::http::Limits;
use serde_json::{Value, json};

use super::{cut, is_served, metric, until, world};
use crate::support::{Kind, Message, Options, Person, Raw, Socket, World};

const SHORT: Duration = Duration::from_millis(300);

const WAITS: &str = "subscription { pendingRiskApprovalCreated { cursor } }";

fn closed(code: u16, reason: &str) -> Message {
    Message::Closed(code, reason.to_owned())
}

fn init(person: &Person) -> Value {
    json!({ "type": "connection_init", "payload": { "Authorization": format!("Bearer {}", person.token) } })
}

fn subscribe(id: &str, query: &str) -> Value {
    json!({ "type": "subscribe", "id": id, "payload": { "query": query } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_message_closes_with_4400() {
    let world = world(Limits::default()).await;
    let sam = world.person("sam");
    for text in [
        "",
        "{",
        "[]",
        "null",
        "[\"ping\"]",
        "{}",
        "{\"type\": 7}",
        "{\"type\": \"start\"}",
        "{\"type\": \"subscribe\"}",
        "{\"type\": \"subscribe\", \"id\": \"1\"}",
        "{\"type\": \"subscribe\", \"id\": \"\", \"payload\": {\"query\": \"{ __typename }\"}}",
        "{\"type\": \"subscribe\", \"id\": 1, \"payload\": {\"query\": \"{ __typename }\"}}",
        "{\"type\": \"subscribe\", \"id\": \"1\", \"payload\": {}}",
        "{\"type\": \"subscribe\", \"id\": \"1\", \"payload\": {\"query\": 1}}",
        "{\"type\": \"subscribe\", \"id\": \"1\", \"payload\": []}",
        "{\"type\": \"complete\"}",
        "{\"type\": \"ping\", \"payload\": 1}",
    ] {
        let mut socket = sam.connect().await;
        socket.send_text(text).await;
        assert_eq!(socket.receive().await, closed(4400, "Invalid message"), "{text}");
    }
    let mut socket = sam.connect().await;
    socket.send_bytes(b"{\"type\": \"ping\"}").await;
    assert_eq!(socket.receive().await, closed(4400, "Invalid message"), "binary");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_begins_with_one_init_and_a_good_token() {
    let world = world(Limits { init: SHORT, ..Limits::default() }).await;
    let (sam, address) = (world.person("sam"), world.app().address);

    let mut early = Socket::open(address).await;
    early.send(subscribe("1", "{ __typename }")).await;
    assert_eq!(early.receive().await, closed(4401, "Unauthorized"));

    let mut twice = sam.connect().await;
    twice.send(init(&sam)).await;
    assert_eq!(twice.receive().await, closed(4429, "Too many initialisation requests"));

    let dan = world.person("dan");
    for payload in [json!(null), json!({}), json!({ "Authorization": "Bearer x" }), init(&dan)["payload"].clone()] {
        let mut nobody = Socket::open(address).await;
        nobody.send(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(nobody.receive().await, closed(4403, "Forbidden"), "{payload}");
    }
    assert_eq!(metric(&world, "riskgate_failed_authentications_total").await, 4);

    let mut silent = Socket::open(address).await;
    assert_eq!(silent.receive().await, closed(4408, "Connection initialisation timeout"));
    let mut chatty = Socket::open(address).await;
    let mut end = Message::Json(json!({ "type": "pong" }));
    until(async || {
        assert_eq!(end, Message::Json(json!({ "type": "pong" })));
        chatty.try_send(json!({ "type": "ping" })).await;
        end = chatty.receive().await;
        matches!(end, Message::Closed(..))
    })
    .await;
    assert_eq!(end, closed(4408, "Connection initialisation timeout"), "pings are no way to stay");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_one_sub_protocol_is_spoken() {
    let world = world(Limits::default()).await;
    for offered in ["", "graphql-ws", "subscriptions-transport-ws", "GRAPHQL-TRANSPORT-WS"] {
        let (chosen, mut raw) = by_hand(world.app().address, offered).await;
        let end = [&[0x88, 28, 0x11, 0x36][..], b"Subprotocol not acceptable"].concat();
        assert_eq!((chosen, raw.rest().await), (None, end), "{offered:?}");
    }
    let (chosen, _) = by_hand(world.app().address, "graphql-ws, graphql-transport-ws").await;
    assert_eq!(chosen.as_deref(), Some("graphql-transport-ws"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_names_one_operation_at_a_time() {
    let world = world(Limits::default()).await;
    let sam = world.person("sam");
    let mut socket = sam.connect().await;
    // A query's end makes its id free, and so do an error, and the client's `complete`, which is not answered.
    for _ in 0..2 {
        socket.send(subscribe("same", "{ __typename }")).await;
        let next = json!({ "type": "next", "id": "same", "payload": { "data": { "__typename": "Query" } } });
        assert_eq!(socket.receive().await, Message::Json(next));
        assert_eq!(socket.receive().await, Message::Json(json!({ "type": "complete", "id": "same" })));
    }
    for _ in 0..2 {
        socket.send(subscribe("same", "{ nonsense }")).await;
        let Message::Json(error) = socket.receive().await else { panic!("the socket is closed") };
        assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("same")));
        assert_eq!(error["payload"][0]["extensions"]["code"], "BAD_USER_INPUT");
    }
    socket.send(json!({ "type": "complete", "id": "unknown" })).await;
    for _ in 0..2 {
        socket.send(subscribe("same", WAITS)).await;
        socket.send(json!({ "type": "complete", "id": "same" })).await;
    }
    socket.send(json!({ "type": "ping", "payload": { "a": [1] } })).await;
    let pong = Message::Json(json!({ "type": "pong", "payload": { "a": [1] } }));
    assert_eq!(socket.receive().await, pong, "nothing of what came before is answered");

    let long = "ä".repeat(200);
    for id in ["same", &long] {
        let mut socket = sam.connect().await;
        socket.send(subscribe(id, WAITS)).await;
        socket.send(subscribe(id, WAITS)).await;
        let Message::Closed(4409, reason) = socket.receive().await else { panic!("it is taken twice") };
        assert!(reason.starts_with(&format!("Subscriber for {}", &id[..4])) && reason.len() <= 123, "{reason}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_an_origin_that_is_not_listed_opens_none() {
    let allowed_origins = vec!["https://portal.example.com".to_owned()];
    let world = World::start(Kind::Sqlite, Options { allowed_origins, ..Options::default() }).await;
    let open = async |origin: Option<&'static str>| {
        let mut headers = vec![("sec-websocket-protocol", "graphql-transport-ws")];
        headers.extend(origin.map(|origin| ("origin", origin)));
        Socket::open_with(world.app().address, &headers).await.map(|_| ())
    };
    for origin in
        ["https://evil.example", "https://portal.example.com.evil.example", "http://portal.example.com", "null"]
    {
        assert_eq!(open(Some(origin)).await, Err(403), "{origin}");
    }
    assert_eq!(open(Some("https://portal.example.com")).await, Ok(()));
    assert_eq!(open(None).await, Ok(()), "no browser");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_user_has_so_many_streams_and_each_socket_so_many_operations() {
    let world = world(Limits { streams_per_user: 3, operations_per_socket: 2, ..Limits::default() }).await;
    let (sam, sofia) = (world.person("sam"), world.person("sofia"));
    let mut first = sam.connect().await;
    let second = sam.connect().await;
    let events = sam.streams(WAITS, json!({})).await;
    let mut third = Socket::open(world.app().address).await;
    third.send(init(&sam)).await;
    assert_eq!(third.receive().await, closed(1013, "Too many streams of this user"));
    let mut fourth = Raw::connect(world.app().address).await;
    let request = sam.request_of(WAITS).replacen("\r\n", "\r\naccept: text/event-stream\r\n", 1);
    fourth.send(&request).await;
    let answer = fourth.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "LIMIT_EXCEEDED"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    let _other = sofia.connect().await;
    is_served(&sam).await;

    // Whoever ends one may begin another.
    drop((second, events));
    until(async || {
        let mut again = Socket::open(world.app().address).await;
        again.send(init(&sam)).await;
        again.receive().await == Message::Json(json!({ "type": "connection_ack" }))
    })
    .await;

    for id in ["1", "2"] {
        first.send(subscribe(id, WAITS)).await;
    }
    first.send(subscribe("3", WAITS)).await;
    let Message::Json(error) = first.receive().await else { panic!("the socket is closed") };
    assert_eq!((&error["type"], &error["id"]), (&json!("error"), &json!("3")));
    assert_eq!(error["payload"][0]["extensions"]["code"], "LIMIT_EXCEEDED");
    first.send(json!({ "type": "complete", "id": "1" })).await;
    first.send(subscribe("3", WAITS)).await;
    first.send(json!({ "type": "ping" })).await;
    assert_eq!(first.receive().await, Message::Json(json!({ "type": "pong" })), "it is heard");
    world.person("alice").asks_for(FINANCE_DATA).await;
    let ids = [first.receive().await, first.receive().await].map(|message| match message {
        Message::Json(message) => message["id"].as_str().expect("an id").to_owned(),
        Message::Closed(..) => panic!("the socket is closed"),
    });
    assert!(ids.contains(&"2".to_owned()) && ids.contains(&"3".to_owned()), "{ids:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_has_a_size() {
    let world = world(Limits { message_bytes: 40_000, ..Limits::default() }).await;
    let sam = world.person("sam");
    let mut socket = sam.connect().await;
    let padded = |length: usize| json!({ "type": "ping", "payload": { "a": "a".repeat(length) } });
    socket.send(padded(39_000)).await;
    assert_eq!(
        socket.receive().await,
        Message::Json(json!({ "type": "pong", "payload": { "a": "a".repeat(39_000) } }))
    );
    socket.try_send(padded(40_000)).await;
    assert_eq!(socket.receive().await, closed(1009, "Message too large"));

    let mut nobody = Socket::open(world.app().address).await;
    nobody.try_send(padded(39_000)).await;
    assert_eq!(nobody.receive().await, closed(4400, "Invalid message"), "not so much before it is known who");
    let mut nobody = Socket::open(world.app().address).await;
    let end = loop {
        nobody.try_send(padded(1_000)).await;
        if let end @ Message::Closed(..) = nobody.receive().await {
            break end;
        }
    };
    assert_eq!(end, closed(4400, "Invalid message"), "nor in many messages");
    world.end().await;
}

/// A socket by hand, and the sub-protocol that was chosen.
async fn by_hand(address: SocketAddr, offered: &str) -> (Option<String>, Raw) {
    let mut raw = Raw::connect(address).await;
    let protocol = if offered.is_empty() { String::new() } else { format!("sec-websocket-protocol: {offered}\r\n") };
    raw.send(format!(
        "GET /graphql HTTP/1.1\r\nhost: riskgate\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{protocol}\r\n"
    ))
    .await;
    let answer = raw.answer().await;
    assert_eq!(answer.status, 101, "{}", answer.head);
    (answer.header("sec-websocket-protocol").map(str::to_owned), raw)
}

/// One whose client answers nothing that it is not told to.
async fn mute(person: &Person) -> Raw {
    let (_, mut raw) = by_hand(person.address, "graphql-transport-ws").await;
    raw.send(frame(&init(person))).await;
    raw
}

fn frame(message: &Value) -> Vec<u8> {
    let text = message.to_string();
    let length = u16::try_from(text.len()).expect("a short text").to_be_bytes();
    // Text, masked with nothing.
    [&[0x81, 0xfe][..], &length, &[0; 4], text.as_bytes()].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_open_connection_is_pinged_and_closed() {
    let world = world(Limits { ping: SHORT / 3, silence: SHORT, ..Limits::default() }).await;
    let sam = world.person("sam");
    let mut gone = mute(&sam).await;
    gone.send(frame(&subscribe("1", WAITS))).await;
    let rest = gone.rest().await;
    let reason = b"Nothing was heard for too long";
    assert!(rest.windows(2).any(|window| window == [0x89, 0]), "it was pinged: {rest:?}");
    assert!(rest.ends_with(reason), "{rest:?}");
    assert_eq!(cut(&world, "half_open").await, 1);
    until(async || metric(&world, "riskgate_websockets").await == 0).await;
    assert_eq!(metric(&world, "riskgate_subscriptions").await, 0);

    // Whoever answers stays.
    let mut lives = sam.connect().await;
    until(async || {
        lives.send(json!({ "type": "ping" })).await;
        assert_eq!(lives.receive().await, Message::Json(json!({ "type": "pong" })));
        lives.pings() >= 5
    })
    .await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_no_messages_is_cut() {
    let world = world(Limits { message: SHORT, ..Limits::default() }).await;
    let mut deaf = mute(&world.person("sam")).await;
    let ping = frame(&json!({ "type": "ping", "payload": { "a": "a".repeat(60_000) } }));
    until(async || {
        let _ = tokio::time::timeout(SHORT, deaf.try_send(&ping)).await;
        metric(&world, "riskgate_slow_clients_total").await == 1
    })
    .await;
    until(async || metric(&world, "riskgate_websockets").await == 0).await;
    is_served(&world.person("sam")).await;
    world.end().await;
}
