//! The log: the database refuses to change it, and what was changed behind its back is found.

use entity::event;
use riskgate::demo::FINANCE_DATA;
use riskgate::store::log::Verdict;
use sea_orm::{ConnectionTrait, DatabaseConnection, EntityTrait, PaginatorTrait};

use crate::story;
use crate::support::process::run;
use crate::support::{Kind, World};

/// What stands in the way of whoever rewrites history is taken away.
async fn disarm(kind: Kind, db: &DatabaseConnection) {
    match kind {
        Kind::Sqlite => {
            let query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'event'";
            let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, query);
            for row in db.query_all_raw(statement).await.expect("triggers") {
                let name: String = row.try_get("", "name").expect("a name");
                db.execute_unprepared(&format!("DROP TRIGGER {name}")).await.expect("it goes");
            }
        }
        Kind::Postgres => {
            db.execute_unprepared("ALTER TABLE event DISABLE TRIGGER ALL").await.expect("they sleep");
        }
    }
}

async fn verdict(world: &World) -> Verdict {
    world.services().verify_log().await.expect("the log can be read")
}

/// Changes the log, asks what is found, and changes it back.
async fn found(world: &World, db: &DatabaseConnection, change: &str, back: &str) -> Verdict {
    db.execute_unprepared(change).await.unwrap_or_else(|error| panic!("{change}: {error}"));
    let found = verdict(world).await;
    let output = run(&["audit", "verify", "--database-url", &world.database.url]);
    match &found {
        Verdict::Broken(position, why) => {
            assert!(!output.status.success());
            let said = String::from_utf8(output.stderr).expect("text");
            assert_eq!(said.trim(), format!("riskgate: the event at position {position} {why}"));
        }
        Verdict::Holds(_) => assert!(output.status.success()),
    }
    db.execute_unprepared(back).await.unwrap_or_else(|error| panic!("{back}: {error}"));
    assert!(matches!(verdict(world).await, Verdict::Holds(_)), "{back} mends it");
    found
}

story!(what_was_changed_behind_the_servers_back_is_found, |world| {
    let db = world.database.connect().await;
    disarm(world.database.kind, &db).await;
    let count = event::Entity::find().count(&db).await.expect("a count") as i64;
    assert_eq!(verdict(world).await, Verdict::Holds(count));
    db.execute_unprepared("CREATE TABLE kept AS SELECT * FROM event").await.expect("a copy");
    let copy = |position: i64| {
        format!(
            "DELETE FROM event WHERE position = {position}; INSERT INTO event SELECT * FROM kept WHERE position = {position}"
        )
    };

    let edited = "UPDATE event SET content = replace(content, 'Restore drill', 'Holiday photos') WHERE position = 19";
    assert_eq!(found(world, &db, edited, &copy(19)).await, Verdict::Broken(19, "does not match its hash"));
    let column = "UPDATE event SET actor_id = '00000000-0000-4000-8000-000000000013' WHERE position = 23";
    assert_eq!(
        found(world, &db, column, &copy(23)).await,
        Verdict::Broken(23, "has columns that differ from its content")
    );
    let removed = "DELETE FROM event WHERE position = 40";
    assert_eq!(found(world, &db, removed, &copy(40)).await, Verdict::Broken(40, "is missing"));
    let truncated = format!("DELETE FROM event WHERE position = {count}");
    assert_eq!(found(world, &db, &truncated, &copy(count)).await, Verdict::Broken(count, "is missing"));
    let inserted = format!(
        "INSERT INTO event (position, id, commit_id, occurred_at, kind, activity, category, result, actor_kind, actor_id, request_id, \
         stage_id, package_id, is_risk, content, previous_hash, hash) SELECT {0}, 'evt', commit_id, occurred_at, kind, activity, category, result, actor_kind, actor_id, \
         request_id, stage_id, package_id, is_risk, content, hash, hash FROM event WHERE position = {count}",
        count + 1
    );
    let back = format!("DELETE FROM event WHERE position > {count}");
    let said = found_without_rows(world, &db, &inserted, &back).await;
    assert_eq!(said, count + 1, "an event above the head");
    let reordered = "UPDATE event SET position = -1 WHERE position = 30; UPDATE event SET position = 30 WHERE position = 31; \
                     UPDATE event SET position = 31 WHERE position = -1";
    let back = format!("{}; {}", copy(30), copy(31));
    let back = format!("DELETE FROM event WHERE position IN (30, 31); {back}");
    assert_eq!(found(world, &db, reordered, &back).await, Verdict::Broken(30, "does not follow the event before it"));
    db.close().await.expect("it closes");
});

/// The same for a row that no id fits: what is found is an error or a verdict; here only the verdict counts.
async fn found_without_rows(world: &World, db: &DatabaseConnection, change: &str, back: &str) -> i64 {
    let change = change.replace("'evt'", "'ffffffff-0000-7000-8000-000000000000'");
    match found(world, db, &change, back).await {
        Verdict::Broken(position, _) => position,
        Verdict::Holds(_) => 0,
    }
}

story!(the_database_itself_refuses_to_change_the_log, |world| {
    let db = world.database.connect().await;
    let all = "SELECT * FROM event WHERE position = 1";
    let mut changes = vec![
        "UPDATE event SET content = '{}'".to_owned(),
        "DELETE FROM event WHERE position = 1".to_owned(),
        format!("INSERT INTO event {all} ON CONFLICT (position) DO UPDATE SET content = '{{}}'"),
    ];
    match world.database.kind {
        // Whatever the connection says of triggers in triggers.
        Kind::Sqlite => {
            changes.push(format!("PRAGMA recursive_triggers = OFF; INSERT OR REPLACE INTO event {all}"));
            changes.push(format!("PRAGMA recursive_triggers = ON; INSERT OR REPLACE INTO event {all}"));
        }
        Kind::Postgres => changes.extend(["TRUNCATE event".to_owned(), "TRUNCATE event CASCADE".to_owned()]),
    }
    // An upsert on SQLite needs a WHERE before ON, or reads ON as that of a join.
    for change in changes.iter().map(|change| change.replace("position = 1 ON", "position = 1 AND true ON")) {
        let refused = db.execute_unprepared(&change).await.expect_err(&change).to_string();
        assert!(refused.contains("rows of event are kept for ever"), "{change}: {refused}");
    }
    db.close().await.expect("it closes");
    assert!(matches!(verdict(world).await, Verdict::Holds(_)));
});

story!(the_chain_is_walked_while_it_grows, |world| {
    let has_ended = std::sync::atomic::AtomicBool::new(false);
    let writing = async {
        let writes = ["alice", "bob", "carol", "erin"].map(|name| {
            let person = world.person(name);
            async move {
                for _ in 0..8 {
                    let request = person.asks_for(FINANCE_DATA).await;
                    person.cancels(&request["id"]).await.data();
                }
            }
        });
        futures_util::future::join_all(writes).await;
        has_ended.store(true, std::sync::atomic::Ordering::SeqCst);
    };
    let reading = async {
        let mut counts = std::collections::BTreeSet::new();
        while !has_ended.load(std::sync::atomic::Ordering::SeqCst) {
            match verdict(world).await {
                Verdict::Holds(count) => counts.insert(count),
                broken => panic!("{broken:?}"),
            };
        }
        assert!(counts.len() > 3, "it was walked while it grew: {counts:?}");
    };
    tokio::join!(writing, reading);
});
