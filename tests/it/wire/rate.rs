//! How much one person, or one address, may ask for.

use riskgate::http::{Limits, Rate};

use super::{answered, is_served, metric, world};
use crate::support::Raw;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_counted_by_address_and_a_good_token_is_let_in_all_the_same() {
    let world = world(Limits { failures: Rate { burst: 3, per_minute: 6 }, ..Limits::default() }).await;
    let mut statuses = Vec::new();
    for header in ["x-none: 1", "authorization: Bearer a.b.c", "authorization: Basic abc", "authorization: Bearer a.b.c"] {
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
