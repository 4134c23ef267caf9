//! The server dies, is stopped, or loses its database at the worst moment: every acknowledged write is there, nothing is half done or
//! done twice, and service goes on.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use entity::Seconds;
use futures_util::future::join_all;
use riskgate::app::{App, Setup};
use riskgate::clock::Clock;
use riskgate::demo::{FINANCE_DATA, WIKI};
use riskgate::lifecycle::Shutdown;
use riskgate::store::Target;
use serde_json::{Value, json};

use crate::support::process::Process;
use crate::support::proxy::Proxy;
use crate::support::{BEGIN, Database, Dice, Kind, Message, Options, Person, Snapshot};

/// What the server said that it had done.
#[derive(Default)]
struct Acknowledged {
    submitted: Vec<String>,
    canceled: Vec<String>,
    decided: Vec<String>,
}

/// Asks, cancels and decides until the server is gone.
async fn live(person: Person, decider: Person, acknowledged: Arc<Mutex<Acknowledged>>, round: usize) {
    for turn in 0.. {
        let package = [WIKI, FINANCE_DATA][turn % 2].to_string();
        let input = json!({ "accessPackageId": package, "idempotencyKey": format!("{round}-{turn}") });
        let query = "mutation($i: SubmitAccessRequestInput!) { submitAccessRequest(input: $i) { request { id } } }";
        let Ok(answer) = person.try_ask(query, json!({ "i": input })).await else { return };
        let id = answer.body["data"]["submitAccessRequest"]["request"]["id"].clone();
        if let Some(id) = id.as_str() {
            acknowledged.lock().expect("a lock").submitted.push(id.to_owned());
        }
        let query = "{ viewer { pendingApprovals(first: 1) { nodes { id } } } }";
        let Ok(answer) = decider.try_ask(query, Value::Null).await else { return };
        let stage = answer.body["data"]["viewer"]["pendingApprovals"]["nodes"][0]["id"].clone();
        let query = "mutation($s: ID!) { decideApprovalStage(input: { stageId: $s, decision: DENY, justification: \"No.\" }) { stage { id } } }";
        let Ok(answer) = decider.try_ask(query, json!({ "s": stage })).await else { return };
        if let Some(id) = answer.body["data"]["decideApprovalStage"]["stage"]["id"].as_str() {
            acknowledged.lock().expect("a lock").decided.push(id.to_owned());
        }
        let query = "mutation($r: ID!) { cancelAccessRequest(input: { requestId: $r }) { request { id } } }";
        let Ok(answer) = person.try_ask(query, json!({ "r": id })).await else { return };
        if let Some(id) = answer.body["data"]["cancelAccessRequest"]["request"]["id"].as_str() {
            acknowledged.lock().expect("a lock").canceled.push(id.to_owned());
        }
    }
}

/// `rounds` times: a server under load is killed at a random moment; then everything is looked at.
async fn kill_nine(kind: Kind, rounds: usize) {
    let database = Database::new(kind, true).await;
    let mut dice = Dice::new(5);
    let mut total = 0;
    for round in 0..rounds {
        let server = Process::serve(&database.url, &[], &[]);
        let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
        let deciders = [server.person("sam"), server.person("mona"), server.person("pat"), server.person("cora")];
        let clients = ["alice", "bob", "carol", "erin", "mallory", "zoe"].into_iter().zip(deciders.iter().cycle());
        let lives: Vec<_> = clients
            .map(|(name, decider)| {
                tokio::spawn(live(server.person(name), decider.clone(), acknowledged.clone(), round))
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(50 + dice.below(250) as u64)).await;
        server.kill();
        join_all(lives).await;

        let connection = database.connect().await;
        let snapshot = Snapshot::read(&connection).await;
        connection.close().await.expect("it closes");
        let offences = snapshot.offences();
        assert!(offences.is_empty(), "round {round}: {}", offences.join("\n"));
        let acknowledged = acknowledged.lock().expect("a lock");
        total += acknowledged.submitted.len() + acknowledged.decided.len() + acknowledged.canceled.len();
        for id in &acknowledged.submitted {
            assert!(snapshot.requests.iter().any(|request| request.id.to_string() == *id), "{id} is lost");
        }
        for id in &acknowledged.decided {
            assert!(snapshot.decisions.keys().any(|stage| stage.to_string() == *id), "the decision on {id} is lost");
        }
        for id in &acknowledged.canceled {
            let is_canceled = |request: &entity::request::Model| {
                request.id.to_string() == *id && request.state == entity::RequestState::Canceled
            };
            assert!(snapshot.requests.iter().any(is_canceled), "the cancellation of {id} is lost");
        }
        println!("round {round}: {total} acknowledged so far");
    }
    assert!(total > rounds, "the load was no load");
    database.remove().await;
}

/// How many rounds; the soak script asks for more.
fn rounds() -> usize {
    std::env::var("RISKGATE_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_sqlite() {
    kill_nine(Kind::Sqlite, rounds()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn killed_at_random_moments_postgres() {
    kill_nine(Kind::Postgres, rounds()).await;
}

async fn until(path: &Path) {
    let began = Instant::now();
    while !path.exists() {
        assert!(began.elapsed() < Duration::from_secs(20), "{} does not appear", path.display());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn an_instance_that_is_stopped_in_the_middle_of_a_commit_holds_others_up_for_seconds_at_most() {
    let database = Database::new(Kind::Postgres, true).await;
    for point in ["after-lock", "before-commit"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("point");
        let stopped = Process::serve(&database.url, &[], &[("FAILPOINT_RISKGATE", &file)]);
        let other = Process::serve(&database.url, &[], &[]);
        let (bob, carol) = (stopped.person("bob"), other.person("carol"));
        std::fs::write(&file, point).expect("a file");
        let held = tokio::spawn(async move {
            let answer = bob.submits_anyhow(FINANCE_DATA).await;
            (bob, answer)
        });
        until(&folder.path().join("point.reached")).await;
        stopped.signal("STOP");

        let began = Instant::now();
        let made = loop {
            let answer = carol.submits_anyhow(FINANCE_DATA).await;
            if answer.body["errors"].is_null() {
                break answer.body["data"]["submitAccessRequest"].clone();
            }
            assert_eq!(answer.code(), "UNAVAILABLE", "{:#}", answer.body);
            assert!(began.elapsed() < Duration::from_secs(10), "it holds the others up");
        };
        assert_eq!(made["userErrors"], json!([]), "{made:#}");
        stopped.signal("CONT");
        let (bob, answer) = held.await.expect("an answer");
        assert_eq!(answer.code(), "UNAVAILABLE", "{:#}", answer.body);
        let open = "{ viewer { accessRequests(filter: { states: [PENDING_APPROVAL] }) { totalCount } } }";
        let own = bob.data(open, Value::Null).await;
        assert_eq!(own["viewer"]["accessRequests"]["totalCount"], 0, "nothing is half done");
        // The stopped one works again.
        let again = bob.submits(json!({ "accessPackageId": FINANCE_DATA.to_string() })).await;
        assert_eq!(again["userErrors"], json!([]), "{again:#}");
        bob.cancels(&again["request"]["id"]).await;
        carol.cancels(&made["request"]["id"]).await;
        let connection = database.connect().await;
        let offences = Snapshot::read(&connection).await.offences();
        connection.close().await.expect("it closes");
        assert!(offences.is_empty(), "{}", offences.join("\n"));
    }
    database.remove().await;
}

/// One server behind a wire, on a database of its own.
async fn behind(proxy: &Proxy, database: &Database) -> App {
    let url = database.url.replace(&server_of(database).to_string(), &proxy.address.to_string());
    let setup = Setup {
        target: Target::parse(&url).expect("a url"),
        listen: "127.0.0.1:0".parse().expect("an address"),
        clock: Clock::manual(BEGIN),
        sources: None,
        builtin_issuer: true,
        demo: true,
        graphiql: false,
        allowed_origins: Vec::new(),
        clockwork: false,
    };
    App::start(setup, Shutdown::new()).await.expect("the server starts")
}

fn server_of(database: &Database) -> std::net::SocketAddr {
    let server = database.url.split('@').nth(1).and_then(|rest| rest.split('/').next()).expect("a server");
    server.parse().expect("an address")
}

fn person_at(app: &App, name: &str) -> Person {
    let upn = format!("{name}@example.com");
    let person = riskgate::demo::people().into_iter().find(|person| person.upn == upn).expect("somebody");
    let token = app.issuer.as_ref().expect("an issuer").issue(person.id, &upn, BEGIN, Seconds::hours(100));
    Person::new(reqwest::Client::new(), app.address, person.id, token)
}

async fn is_ready(app: &App) -> bool {
    let answer = reqwest::get(format!("http://{}/readyz", app.address)).await.expect("an answer");
    answer.status().is_success()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn a_commit_whose_answer_is_lost_is_looked_up() {
    let database = Database::new(Kind::Postgres, true).await;
    let proxy = Proxy::to(server_of(&database)).await;
    let app = behind(&proxy, &database).await;
    let (bob, carol) = (person_at(&app, "bob"), person_at(&app, "carol"));

    proxy.lose_the_answer_of_a_commit();
    let payload = bob.submits(json!({ "accessPackageId": FINANCE_DATA.to_string() })).await;
    assert!(proxy.has_lost());
    assert_eq!(payload["userErrors"], json!([]), "it was committed, and he is told so: {payload:#}");

    proxy.lose_a_commit();
    let answer = carol.submits_anyhow(FINANCE_DATA).await;
    assert!(proxy.has_lost());
    assert_eq!(answer.code(), "UNAVAILABLE", "it was not, and she is told so: {:#}", answer.body);
    let connection = database.connect().await;
    let snapshot = Snapshot::read(&connection).await;
    connection.close().await.expect("it closes");
    assert_eq!(snapshot.requests.iter().filter(|request| request.requestor_id == bob.id).count(), 1);
    assert_eq!(snapshot.requests.iter().filter(|request| request.requestor_id == carol.id).count(), 0);
    assert!(snapshot.offences().is_empty());
    assert_eq!(carol.asks_for(FINANCE_DATA).await["state"], "PENDING_APPROVAL");
    app.stop().await;
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn a_database_that_goes_away_and_comes_back_needs_no_restart() {
    let database = Database::new(Kind::Postgres, true).await;
    let proxy = Proxy::to(server_of(&database)).await;
    let app = behind(&proxy, &database).await;
    let bob = person_at(&app, "bob");
    assert!(is_ready(&app).await);
    proxy.down();
    let answer = bob.submits_anyhow(FINANCE_DATA).await;
    assert_eq!((answer.status, answer.code()), (503, "UNAVAILABLE"), "{:#}", answer.body);
    assert!(!is_ready(&app).await);
    proxy.up();
    let began = Instant::now();
    while !is_ready(&app).await {
        assert!(began.elapsed() < Duration::from_secs(10), "it does not come back");
    }
    assert_eq!(bob.asks_for(FINANCE_DATA).await["state"], "PENDING_APPROVAL");
    app.stop().await;
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_room_is_enough() {
    let options = Options { spare_pages: Some(10), ..Options::default() };
    let world = crate::support::World::start(Kind::Sqlite, options).await;
    let db = world.database.connect().await;
    use sea_orm::ConnectionTrait;
    // More than the server may have: what it needs now, it cannot get.
    db.execute_unprepared("CREATE TABLE hoard AS SELECT zeroblob(2000000) AS x").await.expect("a hoard");
    let bob = world.person("bob");
    let mut refused = None;
    for _ in 0..50 {
        let answer = bob.submits_anyhow(FINANCE_DATA).await;
        if !answer.body["errors"].is_null() {
            refused = Some(answer);
            break;
        }
        bob.cancels(&answer.body["data"]["submitAccessRequest"]["request"]["id"]).await;
    }
    let refused = refused.expect("the disk is full at last");
    assert_eq!(refused.code(), "UNAVAILABLE", "{:#}", refused.body);
    assert!(!is_ready(world.app()).await);
    db.execute_unprepared("DROP TABLE hoard").await.expect("room");
    db.close().await.expect("it closes");
    assert!(is_ready(world.app()).await, "there is room again");
    let made = bob.submits(json!({ "accessPackageId": FINANCE_DATA.to_string() })).await;
    assert!(made["request"]["id"].is_string() || made["userErrors"][0]["code"] == "ALREADY_REQUESTED", "{made:#}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_told_to_stop_ends_what_it_does_and_says_so() {
    let database = Database::new(Kind::Sqlite, true).await;
    let server = Process::serve(&database.url, &[], &[]);
    let (alice, sam) = (server.person("alice"), server.person("sam"));
    let query = "subscription { pendingRiskApprovalCreated { stage { id } } }";
    let mut listening = sam.connect().await.subscribe(query, json!({})).await;
    alice.asks_for(WIKI).await;
    listening.event().await;
    let stopping = tokio::task::spawn_blocking(move || server.stop());
    match listening.socket.receive().await {
        Message::Closed(1001, _) => {}
        other => panic!("the socket should close with 1001, but: {other:?}"),
    }
    let (code, took) = stopping.await.expect("it ends");
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    database.remove().await;
}
