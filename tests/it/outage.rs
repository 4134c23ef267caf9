//! The database goes away, the disk is full, an import writes beside the server, the operator stops it: clear answers meanwhile, and
//! service goes on by itself.

use std::time::{Duration, Instant};

use riskgate::demo::{FINANCE_DATA, WIKI};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::support::process::{Process, riskgate, run};
use crate::support::proxy::{Proxy, Wired};
use crate::support::{Answer, Database, Kind, Load, Message, Options, World, is_ready};

const RISKY: &str = "subscription { pendingRiskApprovalCreated { stage { id request { requestor { id } } } } }";

/// Only a story that fails waits so long.
async fn until_ready(is_ready: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !is_ready().await {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn is_unavailable(answer: &Answer) {
    assert_eq!(answer.code(), "UNAVAILABLE", "{:#}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn a_wire_that_is_cut_and_mended_needs_no_restart() {
    let world = Wired::start().await;
    let bob = world.person("bob");
    assert!(world.is_ready().await);
    world.proxy.down();
    is_unavailable(&bob.submits_anyhow(FINANCE_DATA).await);
    is_unavailable(&bob.ask("{ viewer { user { id } } }", Value::Null).await);
    assert!(!world.is_ready().await);
    world.proxy.up();
    until_ready(async || world.is_ready().await).await;
    assert_eq!(bob.asks_for(FINANCE_DATA).await["state"], "PENDING_APPROVAL");
    world.end().await;
}

/// Nobody is told that such a wire is dead: whoever waits for an answer waits for ever, unless they have a limit of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn a_wire_that_goes_dead_is_given_up() {
    let world = Wired::start().await;
    let (alice, bob, sam) = (world.person("alice"), world.person("bob"), world.person("sam"));
    let mut listening = sam.connect().await.subscribe(RISKY, Value::Null).await;
    bob.asks_for(FINANCE_DATA).await;
    world.proxy.die();
    is_unavailable(&alice.submits_anyhow(WIKI).await);
    assert!(!world.is_ready().await);
    world.proxy.revive();
    until_ready(async || world.is_ready().await).await;
    // Ready says that one reading and the committer are well; the other connections are found dead one after the other.
    until_ready(async || alice.submits_anyhow(WIKI).await.body["errors"].is_null()).await;
    let heard = listening.event().await;
    assert_eq!(heard["pendingRiskApprovalCreated"]["stage"]["request"]["requestor"]["id"], alice.user_id());
    listening.is_silent().await;
    assert_eq!(world.database.snapshot().await.offences(), [""; 0]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn a_restart_of_postgres_is_outlived_also_by_streams() {
    let world = World::start(Kind::Postgres, Options::default()).await;
    let (alice, bob, sam) = (world.person("alice"), world.person("bob"), world.person("sam"));
    let mut listening = sam.connect().await.subscribe(RISKY, Value::Null).await;
    world.database.shut().await;
    is_unavailable(&bob.submits_anyhow(FINANCE_DATA).await);
    is_unavailable(&sam.ask("{ pendingRiskApprovals { totalCount } }", Value::Null).await);
    assert!(!is_ready(world.app().address).await);
    world.database.open().await;
    until_ready(async || is_ready(world.app().address).await).await;
    alice.asks_for(WIKI).await;
    let heard = listening.event().await;
    assert_eq!(heard["pendingRiskApprovalCreated"]["stage"]["request"]["requestor"]["id"], alice.user_id());
    listening.is_silent().await;
    assert_eq!(bob.asks_for(FINANCE_DATA).await["state"], "PENDING_APPROVAL");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_room_is_enough() {
    let options = Options { spare_pages: Some(10), ..Options::default() };
    let world = World::start(Kind::Sqlite, options).await;
    let db = world.database.connect().await;
    // More than the server may have: what it needs now, it cannot get.
    db.execute_unprepared("CREATE TABLE hoard AS SELECT zeroblob(2000000) AS x").await.expect("a hoard");
    let bob = world.person("bob");
    let mut refused = None;
    for _ in 0..50 {
        let mut answer = bob.submits_anyhow(FINANCE_DATA).await;
        if answer.body["errors"].is_null() {
            answer = bob.cancels(&answer.body["data"]["submitAccessRequest"]["request"]["id"]).await;
        }
        if !answer.body["errors"].is_null() {
            refused = Some(answer);
            break;
        }
    }
    is_unavailable(&refused.expect("the disk is full at last"));
    assert!(!is_ready(world.app().address).await);
    // What is there can be read.
    bob.data("{ viewer { accessRequests { totalCount } } }", Value::Null).await;
    world.check().await;
    db.execute_unprepared("DROP TABLE hoard").await.expect("room");
    db.close().await.expect("it closes");
    assert!(is_ready(world.app().address).await, "there is room again");
    assert_eq!(world.person("carol").asks_for(FINANCE_DATA).await["state"], "PENDING_APPROVAL");
    world.end().await;
}

/// Writers of two processes share one file. Neither is ever told that it is locked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_beside_a_busy_server_locks_nobody_out() {
    let database = Database::new(Kind::Sqlite, true).await;
    let server = Process::serve(&database.url, &[], &[]);
    let load = Load::begin(&server, "busy");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut imports = 0;
    for turn in 0..6 {
        let user = |number: usize| {
            json!({ "id": format!("00000000-0000-4000-8000-0000001{number:05}"), "displayName": format!("Crowd {number}, {turn}"),
                "userPrincipalName": format!("crowd{number}@example.com"), "isEnabled": true })
        };
        let file = folder.path().join("people.json");
        std::fs::write(&file, json!({ "users": (0..2_000).map(user).collect::<Vec<_>>() }).to_string())
            .expect("a file");
        let mut command = riskgate(&["directory", "import", "--partial", "--database-url", &database.url]);
        command.arg(&file);
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it ends").expect("it runs");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        imports += usize::from(output.status.success());
    }
    assert_eq!(imports, 6);
    let diaries = load.end().await;
    let found = database.snapshot().await;
    for diary in &diaries {
        assert!(diary.errors.is_empty(), "{}: {:?}", diary.name, diary.errors);
        assert!(diary.acknowledged() > 0, "{} did nothing", diary.name);
        assert_eq!(diary.losses(&found), [""; 0]);
    }
    assert_eq!(found.offences(), [""; 0]);
    let end = server.stop();
    assert_eq!(end.code, Some(0));
    assert!(!end.log.contains("locked"), "{}", end.log);
}

/// What was acknowledged is there, and who was not answered hears so, or finds the server gone.
async fn stopped_under_load(kind: Kind) {
    let database = Database::new(kind, true).await;
    let server = Process::serve(&database.url, &[], &[]);
    let load = Load::begin(&server, "stopped");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let end = tokio::task::spawn_blocking(move || server.stop()).await.expect("it ends");
    assert_eq!(end.code, Some(0), "{}", end.log);
    assert!(end.took < Duration::from_secs(10), "{:?}", end.took);
    let diaries = load.gone().await;
    let found = database.snapshot().await;
    for diary in &diaries {
        assert!(diary.errors.iter().all(|code| code == "UNAVAILABLE"), "{}: {:?}", diary.name, diary.errors);
        assert_eq!(diary.losses(&found), [""; 0]);
    }
    assert!(diaries.iter().map(|diary| diary.acknowledged()).sum::<usize>() > 0, "the load was no load");
    assert_eq!(found.offences(), [""; 0]);
    assert!(run(&["audit", "verify", "--database-url", &database.url]).status.success());
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_under_load_sqlite() {
    stopped_under_load(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn stopped_under_load_postgres() {
    stopped_under_load(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_a_server_that_is_told_to_stop_end_with_a_clear_close() {
    let database = Database::new(Kind::Sqlite, true).await;
    let server = Process::serve(&database.url, &[], &[]);
    let (alice, sam, sofia) = (server.person("alice"), server.person("sam"), server.person("sofia"));
    let mut socket = sam.connect().await.subscribe(RISKY, Value::Null).await;
    let mut events = sofia.streams(RISKY, Value::Null).await;
    alice.asks_for(WIKI).await;
    socket.event().await;
    events.data().await;
    let stopping = tokio::task::spawn_blocking(move || server.stop());
    match socket.socket.receive().await {
        Message::Closed(1001, _) => {}
        other => panic!("the socket should close with 1001, but: {other:?}"),
    }
    assert_eq!(events.next().await, None, "not complete, so that the client connects again");
    let end = stopping.await.expect("it ends");
    assert_eq!(end.code, Some(0), "{}", end.log);
    assert!(end.took < Duration::from_secs(10), "{:?}", end.took);
    database.remove().await;
}

/// A commit whose outcome nobody can look up does not keep the process: it ends in time, and says that it does not know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn a_stop_waits_no_longer_than_it_may_for_a_database_that_is_gone() {
    let database = Database::new(Kind::Postgres, false).await;
    let proxy = Proxy::to(database.server()).await;
    // Its history ends now, so nothing is due: the next commit is his.
    let server = Process::serve(&proxy.url(&database), &["--demo"], &[]);
    let bob = server.person("bob");
    proxy.go_down_at_the_answer_of_a_commit();
    let asking = tokio::spawn({
        let bob = bob.clone();
        async move {
            bob.try_ask(
                "mutation($p: ID!) { submitAccessRequest(input: { accessPackageId: $p }) { request { id } } }",
                json!({ "p": FINANCE_DATA.to_string() }),
            )
            .await
        }
    });
    let began = Instant::now();
    while !proxy.has_lost() {
        assert!(began.elapsed() < Duration::from_secs(20), "no commit comes");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let end = tokio::task::spawn_blocking(move || server.stop()).await.expect("it ends");
    assert!(end.took < Duration::from_secs(11), "{:?}", end.took);
    assert_eq!(end.code, Some(1), "{}", end.log);
    assert!(end.log.trim_end().lines().last().is_some_and(|line| line.contains("commit")), "{}", end.log);
    if let Ok(answer) = asking.await.expect("it ends") {
        assert!(["UNAVAILABLE", "TIMEOUT"].contains(&answer.code()), "{:#}", answer.body);
    }
    let found = database.snapshot().await;
    assert_eq!(found.requests.iter().filter(|request| request.requestor_id == bob.id).count(), 1);
    assert_eq!(found.offences(), [""; 0]);
    database.remove().await;
}
