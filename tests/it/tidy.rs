//! What is over and was never history is forgotten, and nothing else.

use entity::Seconds;
use riskgate::demo::{FINANCE_DATA, WIKI};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;

use crate::story;
use crate::support::World;

/// The only number that a query finds.
async fn count(world: &World, query: &str) -> i64 {
    let connection = world.database.connect().await;
    let statement = Statement::from_string(connection.get_database_backend(), query.to_owned());
    let row = connection.query_one_raw(statement).await.expect("it is counted").expect("a count");
    row.try_get_by_index(0).expect("a number")
}

async fn keys(world: &World) -> i64 {
    count(world, "SELECT count(*) FROM idempotency").await
}

async fn tidies(world: &World) -> usize {
    world.services().tidy().await.expect("it is tidied")
}

story!(an_idempotency_key_is_kept_while_it_counts_and_forgotten_afterwards, |world| {
    let alice = world.person("alice");
    let input = json!({ "accessPackageId": FINANCE_DATA.to_string(), "idempotencyKey": "once" });
    let first = alice.submits(input.clone()).await["request"].clone();
    assert!(first["id"].is_string());

    world.clock.advance(Seconds(Seconds::hours(24).0 - 1));
    assert_eq!((tidies(world).await, keys(world).await), (0, 1), "its life is not over");
    assert_eq!(alice.submits(input.clone()).await["request"]["id"], first["id"]);
    let bob = world.person("bob");
    let later = json!({ "accessPackageId": WIKI.to_string(), "idempotencyKey": "once" });
    let other = bob.submits(later.clone()).await["request"].clone();

    // An hour more than its life: no instance whose clock is behind is surprised.
    world.clock.advance(Seconds(Seconds::hours(1).0 + 2));
    let before = world.snapshot().await.events.len();
    assert_eq!((tidies(world).await, keys(world).await), (1, 1), "the younger one stays");
    assert_eq!(world.snapshot().await.events.len(), before, "the log does not tell of it");

    assert_eq!(bob.submits(later).await["request"]["id"], other["id"]);
    assert!(alice.cancels(&first["id"]).await.body["errors"].is_null());
    let again = alice.submits(input).await["request"].clone();
    assert!(again["id"].is_string() && again["id"] != first["id"], "the key is free");
});

story!(many_keys_are_forgotten_in_one_go, |world| {
    let alice = world.person("alice");
    alice.submits(json!({ "accessPackageId": FINANCE_DATA.to_string(), "idempotencyKey": "last" })).await;
    // More than one batch, all of them older; and the counts of questions to a source.
    let text = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1234) \
        INSERT INTO idempotency (user_id, key, input_hash, request_id, created_at) SELECT user_id, 'key ' || i, '', request_id, i \
        FROM idempotency CROSS JOIN n";
    let connection = world.database.connect().await;
    connection.execute_unprepared(text).await.expect("keys are written");
    let minute = world.now().0 / 60_000_000;
    let text = format!(
        "INSERT INTO pace_minute (name, minute, calls, throttles) VALUES ('A', {}, 1, 0), ('A', {minute}, 1, 0)",
        minute - 121
    );
    connection.execute_unprepared(&text).await.expect("counts are written");
    assert_eq!(keys(world).await, 1235);
    assert_eq!((tidies(world).await, keys(world).await), (1234, 1));
    assert_eq!(count(world, "SELECT minute FROM pace_minute WHERE name = 'A'").await, minute);
    assert_eq!(count(world, "SELECT count(*) FROM lease WHERE name = 'TIDYING'").await, 0, "whoever is next may begin");
});

story!(what_another_instance_forgets_is_left_to_it, |world| {
    let alice = world.person("alice");
    alice.submits(json!({ "accessPackageId": FINANCE_DATA.to_string(), "idempotencyKey": "once" })).await;
    world.clock.advance(Seconds::hours(26));
    let connection = world.database.connect().await;
    let until = world.now().plus(Seconds(60)).0;
    let text = format!("INSERT INTO lease (name, holder, until) VALUES ('TIDYING', 'another', {until})");
    connection.execute_unprepared(&text).await.expect("another instance holds it");
    assert_eq!((tidies(world).await, keys(world).await), (0, 1));
    world.clock.advance(Seconds(60));
    assert_eq!((tidies(world).await, keys(world).await), (1, 0), "one that vanished does not keep it");
});
