//! Connections, by the thousand.

use std::time::Duration;

use riskgate::http::Limits;
use serde_json::Value;

use super::{cut, is_served, metric, until, world};
use crate::support::{Kind, Message, Options, Raw, Socket, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_keep_nobody_out() {
    let world = world(Limits { connections_per_address: 64, ..Limits::default() }).await;
    let alice = world.person("alice");
    let mut idle = Vec::new();
    for _ in 0..500 {
        idle.push(Raw::connect(world.app().address).await);
    }
    is_served(&alice).await;
    assert!(metric(&world, "riskgate_connections").await <= 64);
    assert!(cut(&world, "crowded").await >= 500 - 64);
    idle[0].is_cut().await;
    drop(idle);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_everybody_is_being_served_the_next_is_told_that_there_is_no_room() {
    let world = world(Limits { connections: 3, ..Limits::default() }).await;
    let sam = world.person("sam");
    let sockets = [sam.connect().await, sam.connect().await, sam.connect().await];
    let mut raw = Raw::connect(world.app().address).await;
    let answer = raw.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "UNAVAILABLE"));
    raw.is_cut().await;
    drop(sockets);
    // Their going takes a moment.
    until(async || sam.try_ask("{ __typename }", Value::Null).await.is_ok_and(|answer| answer.status == 200)).await;
    assert_eq!(metric(&world, "riskgate_connections").await, 2, "sam's, and the one that asks");
    assert!(cut(&world, "full").await >= 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_that_never_say_who_they_are_give_way_too() {
    let world = world(Limits { connections: 3, ..Limits::default() }).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(Socket::open(world.app().address).await);
    }
    is_served(&world.person("alice")).await;
    let Message::Closed(code, _) = silent[0].receive().await else { panic!("it stays") };
    assert_eq!(code, 1013);
    drop(silent);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_may_bring_many() {
    let mut options =
        Options { doors: Limits { connections_per_address: 2, ..Limits::default() }, ..Options::default() };
    options.proxies.networks = vec!["127.0.0.0/8".parse().expect("a network")];
    let world = World::start(Kind::Sqlite, options).await;
    let sam = world.person("sam");
    let sockets = [sam.connect().await, sam.connect().await, sam.connect().await];
    is_served(&sam).await;
    drop(sockets);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_come_while_the_server_stops_do_not_hold_it_up() {
    let mut world = world(Limits { head: Duration::from_secs(600), ..Limits::default() }).await;
    let mut held: Vec<Raw> = Vec::new();
    for opening in ["", "P", "PRI", "GET / HT"] {
        let mut raw = Raw::connect(world.app().address).await;
        raw.send(opening).await;
        held.push(raw);
    }
    is_served(&world.person("alice")).await;
    world.stop().await;
    for raw in &mut held {
        raw.is_cut().await;
    }
    world.end().await;
}
