//! Nothing is lost, nothing comes twice: readers that drop their sockets at any moment and resume by cursor, beside sixteen writers, on
//! one instance, on two, across restarts, without notices, and however slowly they read.

use std::net::SocketAddr;

use entity::StageKind;
use futures_util::future::join_all;
use riskgate::demo::{FINANCE_DATA, PRODUCTION_ACCESS, WIKI};
use riskgate::domain::permission::Principal;
use riskgate::service::{CursorKey, Services, Sources, Submit};
use riskgate::store::Store;
use serde_json::{Value, json};

use super::{PENDING, follows, follows_pending, pending, update};
use crate::story;
use crate::support::{Kind, Options, Person, World};

const WRITERS: u128 = 16;

/// Numbers that look like chance, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// Asks and takes it back, again and again: each time a risk stage becomes pending.
pub(super) async fn writes(person: Person, rounds: usize) {
    for _ in 0..rounds {
        let request = person.asks_for(WIKI).await;
        let canceled = person.cancels(&request["id"]).await.data();
        assert_eq!(canceled["cancelAccessRequest"]["userErrors"], json!([]));
    }
}

/// The stages that the log tells `sam` of after `position`, in the log's order.
pub(super) async fn told_by_the_log(world: &World, position: usize) -> Vec<Value> {
    let snapshot = world.snapshot().await;
    let is_his = |id| snapshot.stages.values().flatten().any(|s| s.id == id && s.kind == StageKind::IdProtectionRisk);
    let events = snapshot.events.iter().skip(position).filter(|event| event.kind == "STAGE_PENDING");
    events.filter_map(|event| event.stage_id).filter(|id| is_his(*id)).map(|id| json!(id.to_string())).collect()
}

/// Somebody who reads a stream in pieces.
struct Reader {
    cursor: Value,
    heard: Vec<Value>,
}

impl Reader {
    /// Begins where the list of what is pending ends.
    async fn new(person: &Person) -> Reader {
        Reader { cursor: json!(person.pending_risk().await.1), heard: Vec::new() }
    }

    /// Reads up to so many events over a socket of its own, then drops that without a word.
    async fn reads(&mut self, person: &Person, count: usize) {
        let mut listening = follows_pending(person, json!({ "after": self.cursor })).await;
        for _ in 0..count {
            let event = pending(&mut listening).await;
            self.cursor = event["cursor"].clone();
            self.heard.push(event["stage"]["id"].clone());
        }
    }

    /// Reads until it has heard so many, at whichever of these instances, a few at a time (or none); then listens whether more comes.
    async fn reads_to(&mut self, wanted: usize, people: &[Person], dice: &mut Dice) {
        while self.heard.len() < wanted {
            let count = dice.below(9).min(wanted - self.heard.len());
            self.reads(&people[dice.below(people.len())], count).await;
        }
        follows_pending(&people[0], json!({ "after": self.cursor })).await.is_silent().await;
    }
}

/// Sixteen writers and four readers, spread over these instances.
async fn everything_is_heard_once(world: &World, instances: &[SocketAddr], rounds: usize) {
    let crowd = world.risky_crowd(WRITERS).await;
    let begin = world.snapshot().await.events.len();
    let sams: Vec<_> = instances.iter().map(|address| world.person_at(*address, "sam")).collect();
    let wanted = crowd.len() * rounds;
    let writers = crowd
        .into_iter()
        .enumerate()
        .map(|(index, person)| writes(person.at(instances[index % instances.len()]), rounds));
    let mut readers = Vec::new();
    for _ in 0..4 {
        readers.push(Reader::new(&sams[0]).await);
    }
    let reading = readers.iter_mut().enumerate().map(|(seed, reader)| {
        let sams = &sams;
        async move { reader.reads_to(wanted, sams, &mut Dice(seed as u64)).await }
    });
    tokio::join!(join_all(writers), join_all(reading));
    let told = told_by_the_log(world, begin).await;
    assert_eq!(told.len(), wanted);
    for (seed, reader) in readers.iter().enumerate() {
        assert_eq!(reader.heard, told, "reader {seed}");
    }
}

story!(readers_that_drop_out_at_any_moment_hear_everything_once, |world| {
    everything_is_heard_once(world, &[world.app().address], 6).await;
});

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn readers_that_change_between_instances_hear_everything_once() {
    let world = World::start(Kind::Postgres, Options::default()).await;
    let other = world.another_instance().await;
    everything_is_heard_once(&world, &[world.app().address, other.address], 6).await;
    other.stop().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn what_is_committed_on_one_instance_is_heard_on_the_other() {
    let world = World::start(Kind::Postgres, Options::default()).await;
    let other = world.another_instance().await;
    let mut listening = follows_pending(&world.person_at(other.address, "sam"), json!({})).await;
    for (package, index) in [(WIKI, 0), (FINANCE_DATA, 1)] {
        let here = if index == 0 { world.app().address } else { other.address };
        let request = world.person_at(here, "alice").asks_for(package).await;
        assert_eq!(pending(&mut listening).await["stage"]["request"]["id"], request["id"]);
    }
    listening.is_silent().await;
    other.stop().await;
    world.end().await;
}

story!(readers_hear_everything_once_across_restarts, |world| {
    let crowd = world.risky_crowd(4).await;
    let begin = world.snapshot().await.events.len();
    let mut reader = Reader::new(&world.person("sam")).await;
    let at = |address| crowd.iter().map(move |person| writes(person.at(address), 2));
    for _ in 0..3 {
        let sam = world.person("sam");
        // It is still connected, and has not heard all of it, when the server stops.
        tokio::join!(join_all(at(world.app().address)), reader.reads(&sam, 5));
        world.restart().await;
        join_all(at(world.app().address)).await;
    }
    let told = told_by_the_log(world, begin).await;
    reader.reads_to(told.len(), &[world.person("sam")], &mut Dice(7)).await;
    assert_eq!(told.len(), 3 * 2 * 2 * 4);
    assert_eq!(reader.heard, told);
});

story!(a_page_read_at_any_moment_and_what_follows_its_cursor_are_the_whole, |world| {
    let crowd = world.risky_crowd(WRITERS).await;
    let begin = world.snapshot().await.events.len();
    let sam = world.person("sam");
    let (nodes, start) = sam.pending_risk().await;
    let before = nodes.len();
    let wanted = 3 * crowd.len();
    let writing = join_all(crowd.iter().map(|person| async move {
        for package in [WIKI, FINANCE_DATA, PRODUCTION_ACCESS] {
            person.asks_for(package).await;
        }
    }));
    let reading = join_all((0..6).map(|index| {
        let (sam, start) = (&sam, &start);
        async move {
            // Each reads its page at another moment of the writing.
            Reader { cursor: json!(start), heard: Vec::new() }.reads(sam, index * 7).await;
            let (nodes, cursor) = sam.pending_risk().await;
            let page: Vec<_> = nodes[before..].iter().map(|node| node["id"].clone()).collect();
            let mut reader = Reader { cursor: json!(cursor), heard: Vec::new() };
            reader.reads_to(wanted - page.len(), std::slice::from_ref(sam), &mut Dice(index as u64)).await;
            (page, reader.heard)
        }
    }));
    let (_, read) = tokio::join!(writing, reading);
    let told = told_by_the_log(world, begin).await;
    for (mut page, heard) in read {
        let (first, rest) = told.split_at(page.len());
        let mut first = first.to_vec();
        // A page is in the order of ids where stages became pending at one moment; the clock stands still here.
        first.sort_by_key(Value::to_string);
        page.sort_by_key(Value::to_string);
        assert_eq!(page, first, "the page is exactly what was committed up to its cursor");
        assert_eq!(heard, rest);
    }
});

story!(a_commit_that_nobody_tells_of_is_heard_all_the_same, |world| {
    let alice = world.person("alice");
    let mut listening = follows_pending(&world.person("sam"), json!({})).await;
    let now = world.person("alice").asks_for(FINANCE_DATA).await;
    let mut following = follows(&alice, &now["id"], None).await;
    assert_eq!(pending(&mut listening).await["stage"]["request"]["id"], now["id"]);
    update(&mut following).await;

    // Another writer on the same database, without the loop that tells others of its commits.
    let store = Store::open(&world.database.target(), world.clock.clone(), 1).await.expect("the database opens");
    let deployment = store.deployment().await.expect("the installation");
    let sources = Sources::built_in(&store, &world.clock);
    let silent = Services::new(store, world.clock.clone(), sources, CursorKey::new(&deployment).expect("a key"));
    let actor = silent.actor(&Principal::Person(alice.id)).await.expect("an answer").expect("she may sign in");
    let input = Submit { package: WIKI, policy: None, target: None, justification: None, idempotency_key: None };
    let request = silent.submit(&actor, input).await.expect("she may ask");
    let open = now["id"].as_str().expect("an id").parse().expect("the id of a request");
    silent.cancel(&actor, open, None).await.expect("she may cancel");

    assert_eq!(pending(&mut listening).await["stage"]["request"]["id"], request.to_string());
    assert_eq!(update(&mut following).await["request"]["state"], "CANCELED");
    following.completes().await;
    silent.stop().await;
});

story!(who_reads_slowly_is_not_skipped_and_holds_nobody_up, |world| {
    let crowd = world.risky_crowd(WRITERS).await;
    let begin = world.snapshot().await.events.len();
    let (sam, rounds, mut dice) = (world.person("sam"), 6, Dice(1));
    // Each event is so large that the buffers between server and reader hold but a part of them.
    let aliases: String = (0..25).map(|index| format!("j{index}: justification ")).collect();
    let query = format!("subscription {{ pendingRiskApprovalCreated {{ stage {{ id request {{ {aliases} }} }} }} }}");
    let mut slow = sam.connect().await.subscribe(&query, json!({})).await;
    let mut quick = Reader::new(&sam).await;
    let justification = "x".repeat(4_000);
    let writing = join_all(crowd.iter().map(|person| async {
        for _ in 0..rounds {
            let input = json!({ "accessPackageId": WIKI.to_string(), "justification": justification });
            let id = person.submits(input).await["request"]["id"].clone();
            person.cancels(&id).await.data();
        }
    }));
    let wanted = crowd.len() * rounds;
    tokio::join!(writing, quick.reads_to(wanted, std::slice::from_ref(&sam), &mut dice));
    let told = told_by_the_log(world, begin).await;
    assert_eq!(quick.heard, told);

    let (mut heard, mut bytes) = (Vec::new(), 0);
    for _ in 0..wanted {
        let event = slow.event().await;
        bytes += event.to_string().len();
        heard.push(event["pendingRiskApprovalCreated"]["stage"]["id"].clone());
    }
    assert_eq!(heard, told);
    assert!(bytes > 8 << 20, "{bytes} bytes might have fitted into the buffers");
    slow.is_silent().await;
});

story!(an_event_source_resumes_by_the_id_of_its_last_event, |world| {
    let (alice, sam) = (world.person("alice"), world.person("sam"));
    let mut events = sam.streams(PENDING, json!({})).await;
    let first = alice.asks_for(WIKI).await;
    let event = events.data().await["pendingRiskApprovalCreated"].clone();
    assert_eq!((&event["stage"]["request"]["id"], &event["cursor"]), (&first["id"], &json!(events.last)));
    let last = events.last.clone();
    drop(events);
    let second = alice.asks_for(FINANCE_DATA).await;
    // The document still says where it began at first.
    let begin = json!({ "after": last });
    let mut events = sam.resumes(PENDING, begin.clone(), &last).await;
    assert_eq!(events.data().await["pendingRiskApprovalCreated"]["stage"]["request"]["id"], second["id"]);
    let newer = events.last.clone();
    let third = alice.asks_for(PRODUCTION_ACCESS).await;
    let mut events = sam.resumes(PENDING, begin, &newer).await;
    let heard = events.data().await["pendingRiskApprovalCreated"]["stage"]["request"]["id"].clone();
    assert_eq!(heard, third["id"], "what the browser says counts more than what the document says");
});

story!(an_event_source_that_is_dropped_resumes_by_cursor, |world| {
    let crowd = world.risky_crowd(4).await;
    let begin = world.snapshot().await.events.len();
    let sam = world.person("sam");
    let mut cursor = json!(sam.pending_risk().await.1);
    let (mut heard, mut dice) = (Vec::new(), Dice(3));
    let reading = async {
        while heard.len() < 24 {
            let mut events = sam.streams(PENDING, json!({ "after": cursor })).await;
            for _ in 0..dice.below(6).min(24 - heard.len()) {
                let event = events.data().await["pendingRiskApprovalCreated"].clone();
                cursor = event["cursor"].clone();
                heard.push(event["stage"]["id"].clone());
            }
        }
    };
    tokio::join!(join_all(crowd.into_iter().map(|person| writes(person, 6))), reading);
    assert_eq!(heard, told_by_the_log(world, begin).await);
});
