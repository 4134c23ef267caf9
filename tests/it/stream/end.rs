//! How streams end that nobody completes: the token runs out, or the server stops.

use entity::Seconds;
use riskgate::demo::{FINANCE_DATA, WIKI};
use serde_json::{Value, json};

use super::{PENDING, UPDATED, current_stage, follows_pending, pending};
use crate::story;
use crate::support::{Message, Person, World};

/// Somebody of the demo world whose token is good for an hour.
fn for_an_hour(world: &World, name: &str) -> Person {
    let person = world.person(name);
    world.holder(person.address, person.id, &format!("{name}@example.com"), Seconds::hours(1))
}

fn is_error(message: &Message, id: &str) -> bool {
    matches!(message, Message::Json(message) if message["type"] == "error" && message["id"] == id
        && message["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED")
}

story!(the_token_runs_out_and_every_operation_of_the_socket_hears_of_it, |world| {
    let (sam, alice) = (for_an_hour(world, "sam"), world.person("alice"));
    let request = alice.asks_for(FINANCE_DATA).await;
    let mut socket = sam.connect().await;
    let first = socket.start(PENDING, json!({})).await;
    let second = socket.start(UPDATED, json!({ "id": request["id"] })).await;
    assert!(matches!(socket.receive().await, Message::Json(message) if message["id"] == second.as_str()));

    world.clock.advance(Seconds(3_599));
    socket.is_silent().await;
    world.clock.advance(Seconds(1));
    let errors = [socket.receive().await, socket.receive().await];
    for id in [&first, &second] {
        assert!(errors.iter().any(|message| is_error(message, id)), "{id}: {errors:?}");
    }
    assert_eq!(socket.receive().await, Message::Closed(4403, "Forbidden".to_owned()));
});

story!(the_token_runs_out_and_events_end, |world| {
    let (sam, alice) = (for_an_hour(world, "sam"), for_an_hour(world, "alice"));
    let request = alice.asks_for(FINANCE_DATA).await;
    let mut first = sam.streams(PENDING, json!({})).await;
    let mut second = alice.streams(UPDATED, json!({ "id": request["id"] })).await;
    assert_eq!(second.data().await["accessRequestUpdated"]["request"]["id"], request["id"]);
    world.clock.advance(Seconds::hours(1));
    for events in [&mut first, &mut second] {
        assert_eq!(events.error().await, "UNAUTHENTICATED");
        events.completes().await;
    }
});

story!(an_event_of_the_tokens_last_moment_is_told_and_one_of_its_end_is_not, |world| {
    let (sam, alice) = (for_an_hour(world, "sam"), world.person("alice"));
    let mut listening = follows_pending(&sam, json!({})).await;
    world.clock.advance(Seconds(3_599));
    let request = alice.asks_for(WIKI).await;
    assert_eq!(pending(&mut listening).await["stage"]["request"]["id"], request["id"]);
    world.clock.advance(Seconds(1));
    alice.asks_for(FINANCE_DATA).await;
    assert_eq!(listening.error().await, "UNAUTHENTICATED");
    assert_eq!(listening.socket.receive().await, Message::Closed(4403, "Forbidden".to_owned()));
});

story!(a_server_that_stops_says_so_and_the_stream_is_resumed_at_the_next, |world| {
    let alice = world.person("alice");
    let mut listening = follows_pending(&world.person("sam"), json!({})).await;
    let mut events = world.person("sam").streams(PENDING, json!({})).await;
    let first = alice.asks_for(WIKI).await;
    let told = pending(&mut listening).await;
    assert_eq!(told["stage"]["request"]["id"], first["id"]);
    assert_eq!(events.data().await["pendingRiskApprovalCreated"], told);
    world.restart().await;
    assert_eq!(listening.socket.receive().await, Message::Closed(1001, "Going away".to_owned()));
    assert_eq!(events.next().await, None, "it ends without being complete, so that the client connects again");

    let (alice, sam) = (world.person("alice"), world.person("sam"));
    let second = alice.asks_for(FINANCE_DATA).await;
    let mut listening = follows_pending(&sam, json!({ "after": told["cursor"] })).await;
    assert_eq!(pending(&mut listening).await["stage"]["request"]["id"], second["id"]);
    listening.is_silent().await;
    let stage: Value = current_stage(&sam, &second["id"]).await;
    assert_eq!(sam.denies(&stage).await["state"], "DENIED");
});
