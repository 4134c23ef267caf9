//! How much of its tables PostgreSQL reads for a list: by the rows that it counts itself, whatever it believes of its tables.

use std::time::{Duration, Instant};

use riskgate::demo::{FINANCE_OWNERS, PRODUCTION_ACCESS};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value, json};

use crate::support::{Kind, Options, World};

/// Requests that wait, each for a manager of its own and for one group.
const WAITING: i64 = 2_000;
/// Times that each list is asked for.
const TIMES: usize = 8;
/// The same before anything waits: after five on one connection, PostgreSQL keeps a plan.
const BEFORE: usize = 80;

/// Each as long as all that waits; the last two look up each stage's request, or each request's stages.
const LISTS: [&str; 3] = [
    "{ viewer { pendingApprovals(first: 20) { totalCount nodes { id } } } }",
    "{ approvalStages(first: 20, filter: { dueBefore: \"2100-01-01T00:00:00Z\" }) { totalCount nodes { id } } }",
    "{ accessRequests(first: 20, filter: { createdAfter: \"2000-01-01T00:00:00Z\" }) { totalCount nodes { id } } }",
];

async fn number(connection: &DatabaseConnection, query: &str) -> i64 {
    let statement = Statement::from_string(connection.get_database_backend(), query.to_owned());
    let row = connection.query_one_raw(statement).await.expect("an answer").expect("a row");
    row.try_get_by_index(0).expect("a number")
}

/// Rows and entries of indexes that were ever read of what lists join.
async fn read(connection: &DatabaseConnection) -> i64 {
    let names = "relname IN ('request', 'stage', 'stage_approver', 'membership')";
    let query = format!(
        "SELECT CAST((SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE {names}) \
         + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE {names}) AS BIGINT)"
    );
    number(connection, &query).await
}

/// Stops the server, and waits until the last of its connections has gone: then what they read is counted.
async fn stop(world: &mut World, connection: &DatabaseConnection) {
    world.stop().await;
    let others =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'riskgate'";
    let begin = Instant::now();
    while number(connection, others).await > 0 {
        assert!(begin.elapsed() < Duration::from_secs(60), "the connections of a server that has stopped are there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// As the program would write them.
async fn many_wait(connection: &DatabaseConnection, request: &Value) {
    let request = request["id"].as_str().expect("an id").trim_start_matches("req_");
    let owners = FINANCE_OWNERS.0;
    let copies = |table: &str, id: &str, what: &str| {
        format!(
            "INSERT INTO {table} SELECT (jsonb_populate_record(t, jsonb_build_object({what}))).* \
             FROM {table} t CROSS JOIN generate_series(1, {WAITING}) i WHERE t.{id} = '{request}'"
        )
    };
    let text = format!(
        "{}; {}; INSERT INTO stage_approver (stage_id, tier, ordinal, kind, subject) \
         SELECT md5('s' || i)::uuid::text, x.* FROM generate_series(1, {WAITING}) i CROSS JOIN LATERAL \
         (VALUES ('PRIMARY', 0, 'MANAGER_1', md5('u' || i)::uuid::text), ('FALLBACK', 0, 'GROUP', '{owners}')) x; \
         INSERT INTO membership (kind, subject, user_id, since) SELECT 'USER', md5('u' || i)::uuid::text, md5('u' || i)::uuid::text, 1 \
         FROM generate_series(1, {WAITING}) i",
        copies("request", "id", "'id', md5('r' || i)::uuid::text, 'holds_slot', false"),
        copies(
            "stage",
            "request_id",
            "'id', md5('s' || i)::uuid::text, 'request_id', md5('r' || i)::uuid::text, 'coverage', 'FALLBACK'"
        ),
    );
    connection.execute_unprepared(&text).await.expect("they are written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn a_list_reads_what_it_joins_once_whatever_the_statistics_say() {
    let mut world = World::start(Kind::Postgres, Options::default()).await;
    let request = world.person("bob").asks_for(PRODUCTION_ACCESS).await;
    assert_eq!(request["stages"].as_array().map(Vec::len), Some(1));
    let connection = world.database.connect().await;
    connection.execute_unprepared("ANALYZE").await.expect("statistics");
    let asked = async |world: &World, times: usize| {
        let owner = world.person("pat");
        let mut found = Vec::new();
        for _ in 0..times {
            for list in LISTS {
                let data = owner.data(list, Value::Null).await;
                let of = |place: &str| data.pointer(place).cloned().unwrap_or_default();
                found.push(of("/viewer/pendingApprovals/totalCount"));
                found.extend([of("/approvalStages/totalCount"), of("/accessRequests/totalCount")]);
            }
        }
        found.retain(|count| !count.is_null());
        found
    };
    // Plans are kept from here on, of tables that are all but empty.
    let alone = asked(&world, BEFORE).await;
    assert_eq!(alone.len(), BEFORE * LISTS.len());
    let together: Vec<_> =
        alone[..TIMES * LISTS.len()].iter().map(|count| json!(count.as_i64().unwrap_or_default() + WAITING)).collect();
    many_wait(&connection, &request).await;
    for statistics in ["of a kept plan", "of tables that were all but empty", "of now"] {
        if statistics != "of a kept plan" {
            world.restart().await;
        }
        if statistics == "of now" {
            connection.execute_unprepared("ANALYZE").await.expect("statistics");
        }
        let before = read(&connection).await;
        let found = asked(&world, TIMES).await;
        assert_eq!(found, together);
        stop(&mut world, &connection).await;
        let each = (read(&connection).await - before) / (TIMES * LISTS.len()) as i64;
        // A handful for each row of the list; going through a table for each of them would be millions.
        assert!(each < 40 * WAITING, "statistics {statistics}: {each} rows for a list of {WAITING}");
    }
    connection.close().await.expect("the connection closes");
    world.end().await;
}
