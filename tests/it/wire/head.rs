//! Heads of requests: slow, large, many, and no heads at all.

use std::time::Duration;

use riskgate::http::Limits;

use super::{answered, cut, is_served, until, world};
use crate::support::Raw;

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_head_is_told_so_and_silence_is_cut() {
    let world = world(Limits { head: SHORT, ..Limits::default() }).await;
    let alice = world.person("alice");
    let mut silent = Raw::connect(world.app().address).await;
    let mut slow = Raw::connect(world.app().address).await;
    slow.send("POST /graphql HTTP/1.1\r\nhost: riskgate\r\nx-a: ").await;
    let mut slower = Raw::connect(world.app().address).await;
    slower.send("PRI * HT").await;
    let mut waits = Raw::connect(world.app().address).await;
    waits.send(alice.request_of("{ __typename }")).await;

    for raw in [&mut slow, &mut slower] {
        let answer = raw.answer().await;
        assert_eq!((answer.status, answer.code().as_str()), (408, "BAD_USER_INPUT"));
        assert_eq!(answer.header("connection"), Some("close"));
        raw.is_cut().await;
    }
    silent.is_cut().await;
    assert_eq!(waits.answer().await.status, 200);
    waits.is_cut().await;
    assert_eq!((cut(&world, "slow_head").await, cut(&world, "idle").await), (2, 2));
    assert_eq!(answered(&world, 408).await, 2);
    is_served(&alice).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_sends_a_byte_now_and_then_gains_nothing() {
    let world = world(Limits { head: SHORT, ..Limits::default() }).await;
    let mut slow = Raw::connect(world.app().address).await;
    slow.send("GET /healthz HTTP/1.1\r\n").await;
    // Until the server has had enough; that it has is what the story waits for.
    until(async || !slow.try_send("x-a: b\r\n").await || cut(&world, "slow_head").await == 1).await;
    assert_eq!(slow.answer().await.status, 408);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_is_too_large_is_refused_as_json() {
    let world = world(Limits::default()).await;
    let large = format!("x-large: {}\r\n\r\n", "a".repeat(64 * 1024));
    let many: String = (0..200).map(|number| format!("x-{number}: a\r\n")).collect();
    for head in [large, many + "\r\n"] {
        let mut raw = Raw::connect(world.app().address).await;
        raw.send("GET /graphql HTTP/1.1\r\nhost: riskgate\r\n").await;
        raw.try_send(head).await;
        let answer = raw.answer().await;
        assert_eq!((answer.status, answer.code().as_str()), (431, "LIMIT_EXCEEDED"), "{}", answer.head);
        assert!(
            answer.header("date").is_some() && answer.header("cache-control") == Some("no-store"),
            "{}",
            answer.head
        );
        raw.is_cut().await;
    }
    is_served(&world.person("alice")).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_head_is_refused_at_its_limit() {
    let world = world(Limits::default()).await;
    let mut raw = Raw::connect(world.app().address).await;
    raw.send("GET /graphql HTTP/1.1\r\n").await;
    let line = format!("x-endless: {}\r\n", "a".repeat(1000));
    let mut sent = 0;
    while raw.try_send(&line).await {
        sent += line.len();
        assert!(sent < 64 * 1024 * 1024, "nobody stops it");
    }
    until(async || cut(&world, "malformed").await == 1).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http_is_refused_as_json() {
    let world = world(Limits::default()).await;
    for bytes in [
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\r\n\r\n",
        "GET /\u{0} HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\na b: c\r\n\r\n",
    ] {
        let mut raw = Raw::connect(world.app().address).await;
        raw.send(bytes).await;
        let answer = raw.answer().await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "BAD_USER_INPUT"), "{bytes:?}");
        raw.is_cut().await;
    }
    until(async || cut(&world, "malformed").await == 3).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_lengths_smuggle_no_second_request() {
    let world = world(Limits::default()).await;
    let alice = world.person("alice");
    let second = "GET /metrics HTTP/1.1\r\nhost: riskgate\r\n\r\n";
    for lengths in
        ["content-length: 2\r\ncontent-length: 44\r\n", "content-length: 2\r\ntransfer-encoding: chunked\r\n"]
    {
        let mut raw = Raw::connect(world.app().address).await;
        raw.send(alice.head(lengths) + "0\r\n\r\n" + second).await;
        let rest = String::from_utf8(raw.rest().await).expect("text");
        assert!(rest.starts_with("HTTP/1.1 400 ") && !rest.contains("riskgate_"), "{lengths}: {rest}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_and_methods_that_are_not_served_are_told_so_as_json() {
    let world = world(Limits::default()).await;
    let token = &world.person("alice").token;
    for (line, status, allow) in [
        ("GET /nowhere", 404, None),
        ("POST /healthz", 405, Some("get,head")),
        ("PUT /graphql", 405, Some("get, post")),
        ("DELETE /graphql", 405, Some("get, post")),
    ] {
        let mut raw = Raw::connect(world.app().address).await;
        raw.send(format!("{line} HTTP/1.1\r\nhost: riskgate\r\nauthorization: Bearer {token}\r\n\r\n")).await;
        let answer = raw.answer().await;
        assert_eq!((answer.status, answer.code().as_str()), (status, "BAD_USER_INPUT"), "{line}");
        assert_eq!(answer.header("allow"), allow, "{line}");
    }
    world.end().await;
}
