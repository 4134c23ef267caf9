//! The server dies, is stopped, or loses the answer of a COMMIT: every acknowledged write is there, nothing is half done or done twice.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use riskgate::demo::FINANCE_DATA;
use serde_json::{Value, json};

use crate::support::process::{Process, run};
use crate::support::proxy::Wired;
use crate::support::{Database, Dice, Kind, Load};

/// `rounds` times: a server under load is killed at a random moment; then everything is looked at, and asked again of the next server.
async fn kill_nine(kind: Kind, rounds: usize) {
    let database = Database::new(kind, true).await;
    let mut dice = Dice::new(5);
    let mut total = 0;
    for round in 1..=rounds {
        let before: HashSet<_> = database.snapshot().await.requests.iter().map(|request| request.id).collect();
        let server = Process::serve(&database.url, &[], &[]);
        let load = Load::begin(&server, &round.to_string());
        tokio::time::sleep(Duration::from_millis(50 + dice.below(250) as u64)).await;
        server.kill();
        let diaries = load.gone().await;

        let found = database.snapshot().await;
        let lost: Vec<_> = diaries.iter().flat_map(|diary| diary.losses(&found)).chain(found.offences()).collect();
        assert!(lost.is_empty(), "round {round}: {}", lost.join("\n"));

        let next = Process::serve(&database.url, &[], &[]);
        for diary in &diaries {
            let answered = diary.repeat(&next).await;
            let made = diary.made(&before, &database.snapshot().await);
            assert_eq!(made, answered, "round {round}: what {} asked for was made once, or never", diary.name);
        }
        next.kill();
        let offences = database.snapshot().await.offences();
        assert!(offences.is_empty(), "round {round}: {}", offences.join("\n"));
        let verified = run(&["audit", "verify", "--database-url", &database.url]);
        assert!(verified.status.success(), "round {round}: {}", String::from_utf8_lossy(&verified.stderr));
        let acknowledged: usize = diaries.iter().map(|diary| diary.acknowledged()).sum();
        total += acknowledged;
        let said = String::from_utf8_lossy(&verified.stdout);
        println!("{kind:?}, round {round}: {acknowledged} writes acknowledged, none lost or doubled; {}", said.trim());
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

async fn until(holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not come to that");
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
        until(|| folder.path().join("point.reached").exists()).await;
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
        let offences = database.snapshot().await.offences();
        assert!(offences.is_empty(), "{}", offences.join("\n"));
    }
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn a_commit_whose_answer_is_lost_is_looked_up() {
    let world = Wired::start().await;
    let (bob, carol) = (world.person("bob"), world.person("carol"));

    world.proxy.lose_the_answer_of_a_commit();
    let payload = bob.submits(json!({ "accessPackageId": FINANCE_DATA.to_string() })).await;
    assert!(world.proxy.has_lost());
    assert_eq!(payload["userErrors"], json!([]), "it was committed, and he is told so: {payload:#}");

    world.proxy.lose_a_commit();
    let answer = carol.submits_anyhow(FINANCE_DATA).await;
    assert!(world.proxy.has_lost());
    assert_eq!(answer.code(), "UNAVAILABLE", "it was not, and she is told so: {:#}", answer.body);
    let found = world.database.snapshot().await;
    assert_eq!(found.requests.iter().filter(|request| request.requestor_id == bob.id).count(), 1);
    assert_eq!(found.requests.iter().filter(|request| request.requestor_id == carol.id).count(), 0);
    assert!(found.offences().is_empty());
    assert_eq!(carol.asks_for(FINANCE_DATA).await["state"], "PENDING_APPROVAL");
    world.end().await;
}

/// Nobody is told that the wire is dead, neither who waits for the answer of a COMMIT, nor PostgreSQL, which holds the log's lock for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn a_wire_that_goes_dead_at_a_commit_leaves_the_truth() {
    let world = Wired::start().await;
    for (name, is_committed) in [("bob", true), ("carol", false)] {
        let person = world.person(name);
        world.proxy.die_at_a_commit(is_committed);
        let asking = tokio::spawn({
            let person = person.clone();
            async move { person.submits_anyhow(FINANCE_DATA).await }
        });
        until(|| world.proxy.has_lost()).await;
        world.proxy.revive();
        let answer = asking.await.expect("an answer");
        if is_committed {
            assert!(answer.data()["submitAccessRequest"]["request"]["id"].is_string());
        } else {
            assert_eq!(answer.code(), "UNAVAILABLE", "{:#}", answer.body);
        }
        let found = world.database.snapshot().await;
        let made = found.requests.iter().filter(|request| request.requestor_id == person.id).count();
        assert_eq!(made, usize::from(is_committed));
        assert_eq!(found.offences(), [""; 0]);
    }
    assert_eq!(world.person("carol").asks_for(FINANCE_DATA).await["state"], "PENDING_APPROVAL");
    world.end().await;
}
