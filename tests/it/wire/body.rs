//! Bodies: slow, endless, too large, compressed; and answers that nobody takes.

use std::time::Duration;

use riskgate::http::Limits;

use super::{LARGE_ANSWER, answered, cut, is_served, until, world};
use crate::support::{Person, Raw};

const SHORT: Duration = Duration::from_millis(300);

async fn refused(person: &Person, head: &str, body: &[u8]) -> (u16, String) {
    let mut raw = Raw::connect(person.address).await;
    raw.send(person.head(head)).await;
    raw.try_send(body).await;
    let answer = raw.answer().await;
    (answer.status, answer.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_body_is_told_so() {
    let world = world(Limits { body: SHORT, ..Limits::default() }).await;
    let alice = world.person("alice");
    for (head, begin) in [("content-length: 100\r\n", "{\"query\":"), ("transfer-encoding: chunked\r\n", "5\r\n{\"que")]
    {
        assert_eq!(refused(&alice, head, begin.as_bytes()).await, (408, "BAD_USER_INPUT".to_owned()));
    }
    assert_eq!(answered(&world, 408).await, 2);
    is_served(&alice).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_the_cap_is_refused_by_its_length_or_where_it_passes_it() {
    let world = world(Limits { message_bytes: 10_000, ..Limits::default() }).await;
    let alice = world.person("alice");
    let too_large = (413, "LIMIT_EXCEEDED".to_owned());
    assert_eq!(refused(&alice, "content-length: 10001\r\n", b"").await, too_large);
    assert_eq!(refused(&alice, "content-length: 9223372036854775807\r\n", b"").await, too_large);
    let body = vec![b' '; 10_001];
    assert_eq!(refused(&alice, "content-length: 10001\r\n", &body).await, too_large);

    let mut endless = Raw::connect(alice.address).await;
    endless.send(alice.head("transfer-encoding: chunked\r\n")).await;
    let chunk = format!("400\r\n{}\r\n", " ".repeat(1024));
    for _ in 0..64 {
        endless.try_send(&chunk).await;
    }
    let answer = endless.answer().await;
    assert_eq!((answer.status, answer.code()), too_large, "although more is on its way, the answer arrives");
    endless.is_cut().await;

    let fits = "{\"query\":\"{ __typename }\"}".to_owned();
    let mut raw = Raw::connect(alice.address).await;
    raw.send(alice.head("content-length: 10000\r\n") + &fits + &" ".repeat(10_000 - fits.len())).await;
    assert_eq!(raw.answer().await.status, 200);
    assert_eq!(answered(&world, 413).await, 4);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_body_is_refused_unopened() {
    let world = world(Limits::default()).await;
    let alice = world.person("alice");
    for coding in ["gzip", "deflate", "br", "zstd", "gzip, identity"] {
        let head = format!("content-encoding: {coding}\r\ncontent-length: 20\r\n");
        assert_eq!(refused(&alice, &head, &[0; 20]).await, (415, "BAD_USER_INPUT".to_owned()), "{coding}");
    }
    assert_eq!(answered(&world, 415).await, 5);
    is_served(&alice).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_body_is_read_for_who_is_nobody() {
    let world = world(Limits::default()).await;
    let mut raw = Raw::connect(world.app().address).await;
    raw.send(
        "POST /graphql HTTP/1.1\r\nhost: riskgate\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n",
    )
    .await;
    let answer = raw.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "UNAUTHENTICATED"), "before the body came");
    assert_eq!(answer.header("www-authenticate"), Some("bearer"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_users_bodies_hold_so_much_and_no_more_while_they_arrive() {
    let world = world(Limits::default()).await;
    let (mallory, alice) = (world.person("mallory"), world.person("alice"));
    let body = vec![b' '; 255 * 1024];
    let mut held = Vec::new();
    // Sixteen of them are four MiB; each lacks its last bytes.
    for _ in 0..24 {
        let mut raw = Raw::connect(mallory.address).await;
        raw.send(mallory.head("content-length: 262144\r\n")).await;
        raw.try_send(&body).await;
        held.push(raw);
    }
    until(async || answered(&world, 429).await >= 8).await;
    assert_eq!(answered(&world, 429).await, 8);
    is_served(&mallory).await;
    let large = "{\"query\":\"{ __typename }\"}".to_owned() + &" ".repeat(20_000);
    let mut raw = Raw::connect(alice.address).await;
    raw.send(alice.head(&format!("content-length: {}\r\n", large.len())) + &large).await;
    assert_eq!(raw.answer().await.status, 200, "the others have their own");
    drop(held);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_takes_no_answers_is_cut() {
    let world = world(Limits { piece: SHORT, ..Limits::default() }).await;
    let mut raw = Raw::connect(world.app().address).await;
    // Many requests, and nothing of the answers is read: the system's buffers fill, then ours.
    let requests = world.person("ada").request_of(LARGE_ANSWER).repeat(64);
    until(async || {
        let _ = tokio::time::timeout(SHORT, raw.try_send(&requests)).await;
        cut(&world, "slow_reader").await == 1
    })
    .await;
    is_served(&world.person("alice")).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_answer_that_is_not_taken_is_no_way_to_stay() {
    let world = world(Limits { head: SHORT, ..Limits::default() }).await;
    let mut raw = Raw::connect(world.app().address).await;
    let requests = world.person("ada").request_of("{ __typename }").repeat(1024);
    until(async || {
        let _ = tokio::time::timeout(SHORT, raw.try_send(&requests)).await;
        cut(&world, "slow_reader").await == 1
    })
    .await;
    world.end().await;
}
