//! How much one person, or one address, may ask for.

use riskgate::http::{Limits, Rate};
use serde_json::{Value, json};

use super::{answered, is_served, metric, world};
use crate::support::{Message, Person, Raw};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_counted_by_address_and_a_good_token_is_let_in_all_the_same() {
    let world = world(Limits { failures: Rate { burst: 3, per_minute: 6 }, ..Limits::default() }).await;
    let mut statuses = Vec::new();
    for header in
        ["x-none: 1", "authorization: Bearer a.b.c", "authorization: Basic abc", "authorization: Bearer a.b.c"]
    {
        let mut raw = Raw::connect(world.app().address).await;
        raw.send(format!("GET /graphql?query=x HTTP/1.1\r\nhost: riskgate\r\n{header}\r\n\r\n")).await;
        let answer = raw.answer().await;
        let retry_after = answer.header("retry-after").map(str::to_owned);
        statuses.push((answer.status, answer.code(), retry_after));
    }
    let nobody = (401, "UNAUTHENTICATED".to_owned(), None);
    let limited = (429, "LIMIT_EXCEEDED".to_owned(), Some("10".to_owned()));
    assert_eq!(statuses, [nobody.clone(), nobody.clone(), nobody, limited]);
    is_served(&world.person("alice")).await;
    assert_eq!(metric(&world, "riskgate_failed_authentications_total").await, 4);
    assert_eq!((answered(&world, 401).await, answered(&world, 429).await), (3, 1));

    world.clock.advance(entity::Seconds(10));
    let mut raw = Raw::connect(world.app().address).await;
    raw.send("GET /graphql?query=x HTTP/1.1\r\nhost: riskgate\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 401, "time gives back");
    world.end().await;
}

/// What is told of cost when it is asked for.
async fn cost(person: &Person, query: &str) -> Value {
    let answer = person.ask_with(json!({ "query": query, "extensions": { "cost": true } })).await;
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    answer.body["extensions"]["cost"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operation_did_not_cost_is_given_back_and_told_when_asked_for() {
    let world = world(Limits { cost: Rate { burst: 5_000, per_minute: 60 }, ..Limits::default() }).await;
    let alice = world.person("alice");
    let query = "{ accessRequests(first: 100) { nodes { id } } }";
    cost(&alice, query).await;
    let first = cost(&alice, query).await;
    let left = |cost: &Value| cost["throttleStatus"]["currentlyAvailable"].as_u64().expect("a number");
    assert_eq!(
        (&first["requestedQueryCost"], &first["throttleStatus"]["maximumAvailable"]),
        (&json!(201), &json!(5_000))
    );
    let used = first["actualQueryCost"].as_u64().expect("a number");
    assert!((2..201).contains(&used), "{first:#}");
    let second = cost(&alice, query).await;
    assert_eq!(left(&first) - left(&second), used, "a document that was seen before costs what it brings, and no more");
    assert_eq!(alice.ask(query, Value::Null).await.body.get("extensions"), None, "nobody asked");

    world.clock.advance(entity::Seconds(10));
    let third = cost(&alice, query).await;
    assert_eq!(left(&third), left(&second) - 2 * used + 10, "one comes back each second");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_too_much_waits_and_nobody_else_does() {
    let world = world(Limits { cost: Rate { burst: 300, per_minute: 600 }, ..Limits::default() }).await;
    let (mallory, alice) = (world.person("mallory"), world.person("alice"));
    let mut sent = 0;
    let refused = loop {
        let answer = mallory.ask(&format!("{{ __typename a{sent}: __typename }}"), Value::Null).await;
        if answer.status != 200 {
            break answer;
        }
        sent += 1;
        assert!(sent < 100, "nobody stops it");
    };
    assert_eq!((refused.status, refused.code()), (429, "LIMIT_EXCEEDED"), "each new document has to be read");
    let seconds: u64 = refused.retry_after.as_deref().and_then(|value| value.parse().ok()).expect("a number");
    is_served(&alice).await;

    let mut socket = mallory.connect().await;
    socket.start("{ b: __typename }", Value::Null).await;
    let Message::Json(error) = socket.receive().await else { panic!("the socket is closed") };
    assert_eq!(
        (&error["type"], &error["payload"][0]["extensions"]["code"]),
        (&json!("error"), &json!("LIMIT_EXCEEDED"))
    );
    assert_eq!(error["payload"][0]["extensions"]["retryAfter"], seconds);

    world.clock.advance(entity::Seconds(i64::try_from(seconds).expect("a number")));
    assert_eq!(mallory.ask("{ c: __typename }", Value::Null).await.status, 200, "as it was told");
    drop(socket);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_are_counted_by_field() {
    let world = world(Limits { decisions: Rate { burst: 5, per_minute: 60 }, ..Limits::default() }).await;
    let sam = world.person("sam");
    let decide = |alias: &str| {
        format!(
            "{alias}: decideApprovalStage(input: {{ stageId: \"x\", decision: DENY }}) {{ userErrors {{ code }} }} "
        )
    };
    let three = format!("mutation {{ {} }}", ["a", "b", "c"].map(decide).concat());
    assert_eq!(sam.ask(&three, Value::Null).await.status, 200);
    let refused = sam.ask(&three, Value::Null).await;
    assert_eq!((refused.status, refused.retry_after.as_deref()), (429, Some("1")), "three more, and two are left");
    let batch = "mutation($input: [DecideApprovalStageInput!]!) { decideApprovalStages(input: $input) { userErrors { code } } }";
    let stages = |count| json!({ "input": vec![json!({ "stageId": "x", "decision": "DENY" }); count] });
    assert_eq!(sam.ask(batch, stages(3)).await.status, 429);
    assert_eq!(sam.ask(batch, stages(2)).await.status, 200);
    assert_eq!(sam.ask(&three, Value::Null).await.status, 429);
    is_served(&sam).await;
    world.end().await;
}
