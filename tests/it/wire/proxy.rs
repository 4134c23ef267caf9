//! Whose address counts.

use riskgate::http::{ForwardedHeader, Limits, Proxies, Rate};

use crate::support::{Kind, Options, Raw, World};

async fn world(networks: &[&str], header: ForwardedHeader) -> World {
    let networks = networks.iter().map(|network| network.parse().expect("a network")).collect();
    let doors = Limits { failures: Rate { burst: 2, per_minute: 60 }, ..Limits::default() };
    let proxies = Proxies { networks, header };
    World::start(Kind::Sqlite, Options { doors, proxies, ..Options::default() }).await
}

/// The status for a request without a token that says of itself where it comes from.
async fn status(world: &World, from: &str) -> u16 {
    let mut raw = Raw::connect(world.app().address).await;
    raw.send(format!("GET /graphql?query=x HTTP/1.1\r\nhost: riskgate\r\n{from}\r\n\r\n")).await;
    raw.answer().await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_of_somebody_who_is_not_listed_is_not_believed() {
    let world = world(&["10.0.0.0/8"], ForwardedHeader::XForwardedFor).await;
    let from = |last: u8| format!("x-forwarded-for: 192.0.2.{last}");
    assert_eq!((status(&world, &from(1)).await, status(&world, &from(2)).await), (401, 401));
    assert_eq!(status(&world, &from(3)).await, 429, "it is one address, whatever it says");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_listed_proxy_each_client_has_its_own_bucket() {
    let world = world(&["127.0.0.1/32"], ForwardedHeader::XForwardedFor).await;
    for _ in 0..2 {
        assert_eq!(status(&world, "x-forwarded-for: 192.0.2.1").await, 401);
    }
    assert_eq!(status(&world, "x-forwarded-for: 192.0.2.1").await, 429);
    assert_eq!(status(&world, "x-forwarded-for: 192.0.2.9, 192.0.2.1").await, 429, "what a client adds itself");
    assert_eq!(status(&world, "x-forwarded-for: 192.0.2.2").await, 401);
    assert_eq!(status(&world, "forwarded: for=192.0.2.3\r\nx-forwarded-for: 192.0.2.1").await, 429, "the other header");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_standard_header_is_read_where_it_is_configured() {
    let world = world(&["127.0.0.1/32"], ForwardedHeader::Forwarded).await;
    for _ in 0..2 {
        assert_eq!(status(&world, "forwarded: for=\"[2001:db8::1]:4711\";proto=https").await, 401);
    }
    assert_eq!(status(&world, "forwarded: for=\"[2001:db8::2]\"").await, 429, "the same household");
    assert_eq!(status(&world, "x-forwarded-for: 192.0.2.7\r\nforwarded: for=192.0.2.1").await, 401);
    world.end().await;
}
