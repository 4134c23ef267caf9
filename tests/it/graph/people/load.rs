//! The program itself loads a tenant, is killed in the middle, and goes on: in bounded memory, however large the tenant is.
//!
//! How many people there are is `RISKGATE_TEST_PEOPLE`; `docs/performance.md` says what was measured with 100,000.

use std::path::Path;
use std::time::{Duration, Instant};

use entity::DirectoryRole;
use riskgate::clock::Clock;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{Shape, form, give, id};
use crate::support::graph::{Call, FakeGraph, SECRET, Tenant};
use crate::support::process::Process;
use crate::support::{Database, Kind, http};

/// What the program may take at its most, whatever the tenant's size.
const MEMORY_MAX: u64 = 256 * 1024;
/// It is waited for no longer than this.
const PATIENCE: Duration = Duration::from_secs(1_200);

fn people() -> u128 {
    std::env::var("RISKGATE_TEST_PEOPLE").ok().and_then(|text| text.parse().ok()).unwrap_or(1_500)
}

/// One group for each ten people, twenty members each, every tenth in another one; and one group of everybody.
fn company(tenant: &mut Tenant, people: u128) {
    let somebody = |number: u128| id(0x10_0000 + number % people);
    let group = |number: u128| id(0x8000_0000 + number);
    for number in 0..people {
        tenant.hire(somebody(number), &format!("Employee {number}"));
        tenant.users.get_mut(&somebody(number)).expect("somebody").manager =
            (number > 0).then(|| somebody(number / 10));
    }
    for number in 0..people / 10 {
        let mut members: Vec<Uuid> = (0..20).map(|step| somebody(number * 10 + step * 7)).collect();
        if number % 10 == 9 {
            members.push(group(number - 1));
        }
        form(tenant, group(number), &members);
    }
    let everybody: Vec<Uuid> = tenant.users.keys().copied().collect();
    form(tenant, group(people), &everybody);
    give(tenant, DirectoryRole::GlobalAdministrator, somebody(1));
}

/// Waits until something is so at the server or at Graph.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "{what} takes too long");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn is_loaded(server: &Process) -> bool {
    let numbers = http().get(format!("http://{}/metrics", server.address)).send().await.expect("an answer");
    let numbers = numbers.text().await.expect("a text");
    let line = numbers.lines().find_map(|line| line.strip_prefix("riskgate_directory_read_timestamp_seconds "));
    line.expect("the number") != "0"
}

async fn first_load(kind: Kind) {
    let database = Database::new(kind, false).await;
    // The program goes by the machine's clock, so its Graph does.
    let graph = FakeGraph::start(&Clock::system()).await;
    graph.change(|tenant| company(tenant, people()));
    graph.pages(100);
    let address = format!("http://{}", graph.address);
    let environment: Vec<(&str, &Path)> = [
        ("RISKGATE_GRAPH__TENANT", "contoso.example"),
        ("RISKGATE_GRAPH__CLIENT_ID", "riskgate"),
        ("RISKGATE_GRAPH__CLIENT_SECRET", SECRET),
        ("RISKGATE_GRAPH__RISK", "false"),
        ("RISKGATE_GRAPH__AUTHORITY", address.as_str()),
        ("RISKGATE_GRAPH__BASE_URL", address.as_str()),
    ]
    .map(|(name, value)| (name, Path::new(value)))
    .to_vec();
    let began = Instant::now();
    let first = Process::serve(&database.url, &[], &environment);
    let pages = usize::try_from(people().div_ceil(100)).expect("a number");
    until("half of the people", async || graph.count(Call::Users) > pages / 2).await;
    first.kill();
    // Its lease is not given back; whoever comes next need not wait for it here.
    let db = database.connect().await;
    db.execute_unprepared("DELETE FROM lease").await.expect("the lease is gone");
    db.close().await.expect("it closes");
    let second = Process::serve(&database.url, &[], &environment);
    until("the first load", async || is_loaded(&second).await).await;
    let (took, peak) = (began.elapsed(), second.peak_memory());
    println!("{kind:?}: {} people in {took:?}, {} MiB at its most", people(), peak / 1024);
    assert!(graph.count(Call::Users) < pages + 20, "what was read before it was killed is not read again");
    assert!(peak < MEMORY_MAX, "{peak} KiB");
    assert_eq!(Shape::read(&database).await, Shape::of(&graph.tenant()));
    assert_ne!(second.stop().code, None, "it ends by itself");
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_is_loaded_by_the_program_although_it_is_killed_sqlite() {
    first_load(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn a_tenant_is_loaded_by_the_program_although_it_is_killed_postgres() {
    first_load(Kind::Postgres).await;
}
