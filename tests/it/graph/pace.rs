//! One question a second, whoever asks and however many.

use std::collections::HashMap;

use entity::Seconds;
use riskgate::demo::WIKI;
use serde_json::json;

use super::{id, reading, shown, watched, while_time_passes_slowly};
use crate::story;
use crate::support::graph::{Call, FakeGraph, Fault};

/// Every second of the clock has one question to ID Protection at most.
fn one_a_second(graph: &FakeGraph) {
    let mut last: Option<i64> = None;
    for (call, at) in graph.calls() {
        if call.is_identity_protection() {
            assert!(last.is_none_or(|last| at.0 - last >= 1_000_000), "{call:?} at {at:?}, the one before at {last:?}");
            last = Some(at.0);
        }
    }
}

story!(a_burst_of_a_thousand_is_answered_at_the_pace_that_is_allowed, |world| {
    let graph = watched(world, &[]).await;
    let crowd: Vec<_> = (0..1_000u128).map(|number| 0x0000_0000_0000_4000_8000_0000_0002_0000 + number).collect();
    let upn = |number: u128| format!("burst{number}@example.com");
    let file: Vec<_> = crowd.iter().map(|id| json!({ "id": uuid::Uuid::from_u128(*id), "displayName": "Burst", "userPrincipalName": upn(*id), "isEnabled": true })).collect();
    let (swept, newer) = file.split_at(950);
    world.imports(json!({ "users": swept })).await;
    graph.change(|tenant| {
        (0..90).for_each(|number| tenant.risk(uuid::Uuid::from_u128(crowd[number * 10]), "high", "atRisk"))
    });
    world.clock.advance(Seconds(60));
    world.sweeps().await;
    world.imports(json!({ "users": newer })).await;
    let asked = graph.calls().len();
    // A hundred in each of ten seconds, ten of them newer than the sweep in each of the last five. The clock stands still within a
    // second, so that a question arrives in the second in which it was sent.
    let mut levels: HashMap<(String, String), usize> = HashMap::new();
    let (known, unknown) = crowd.split_at(950);
    for second in 0..10 {
        let some = match second {
            0..5 => known[second * 100..(second + 1) * 100].to_vec(),
            _ => [
                &known[500 + (second - 5) * 90..500 + (second - 4) * 90],
                &unknown[(second - 5) * 10..(second - 4) * 10],
            ]
            .concat(),
        };
        world.clock.advance(Seconds(1));
        let submitting = some.iter().map(async |number| {
            let id = entity::UserId(uuid::Uuid::from_u128(*number));
            let person = world.holder(world.app().address, id, &upn(*number), Seconds::hours(9));
            let request = person.asks_for(WIKI).await;
            let read = reading(world, &request).await;
            let level = read["level"].as_str().expect("a level").to_owned();
            assert_eq!(read["isStageRequired"], level != "NONE", "never a pass without a stage");
            (level, read["origin"].as_str().expect("an origin").to_owned())
        });
        for read in futures_util::future::join_all(submitting).await {
            *levels.entry(read).or_default() += 1;
        }
    }
    let count = |level: &str, origin: &str| levels.get(&(level.to_owned(), origin.to_owned())).copied().unwrap_or(0);
    assert_eq!((count("HIGH", "SWEEP"), count("NONE", "SWEEP")), (90, 860), "{levels:?}");
    assert_eq!(count("NONE", "SINGLE") + count("UNDETERMINED", "SINGLE"), 50, "{levels:?}");
    assert!(count("NONE", "SINGLE") >= 1, "while the budget lasts: {levels:?}");
    // Whoever took the turn of the next second did not wait for it here: its answer comes, and is kept.
    let singles = graph.count(Call::RiskyUser);
    assert!((4..=6).contains(&singles), "one in each of five seconds: {singles}");
    assert_eq!(graph.count(Call::RiskyUser), graph.calls().len() - asked);
    one_a_second(&graph);
});

story!(whoever_needs_the_same_persons_risk_waits_for_the_same_question, |world| {
    let graph = watched(world, &[("bob", "high")]).await;
    world.clock.advance(Seconds(301));
    let bob = world.person("bob");
    let asking = (0..20).map(|_| async {
        let query = "query($p: ID!) { previewAccessRequest(input: { accessPackageId: $p, justification: \"x\" }) { stages { kind } userErrors { code } } }";
        bob.data(query, json!({ "p": WIKI.to_string() })).await
    });
    futures_util::future::join_all(asking).await;
    assert_eq!(graph.count(Call::RiskyUser), 1);
});

story!(a_question_repeated_after_401_takes_another_turn, |world| {
    let graph = watched(world, &[("bob", "high")]).await;
    world.clock.advance(Seconds(61));
    graph.revoke_tokens();
    let before = graph.count(Call::RiskyUsers);
    while_time_passes_slowly(world, world.services().sweep_risk()).await.expect("it is read with a new token");
    assert_eq!(graph.count(Call::RiskyUsers), before + 2);
    one_a_second(&graph);
    world.clock.advance(Seconds(301));
    graph.always(Call::RiskyUser, Some(Fault::Revoked));
    let request = while_time_passes_slowly(world, world.person("bob").asks_for(WIKI)).await;
    assert_eq!(reading(world, &request).await["level"], "UNDETERMINED");
    one_a_second(&graph);
});

story!(after_429_everybody_leaves_it_alone_for_longer_each_time, |world| {
    let graph = watched(world, &[("bob", "high")]).await;
    graph.always(Call::RiskyUsers, Some(Fault::Throttled));
    world.clock.advance(Seconds(60));
    let before = graph.count(Call::RiskyUsers);
    let mut waits = Vec::new();
    for _ in 0..8 {
        world.services().sweep_risk().await.expect_err("throttled");
        let (swept, next) = world.services().sweep_risk().await.expect("it is left alone");
        assert!(!swept);
        waits.push((next.0 - world.now().0) / 1_000);
        world.clock.set(next);
        world.clock.advance(Seconds(1));
    }
    assert_eq!(graph.count(Call::RiskyUsers), before + 8, "not asked in between");
    for (wait, longest) in waits.iter().zip([1, 2, 4, 8, 16, 32, 60, 60]) {
        assert!((longest * 500..=longest * 1_000).contains(wait), "{waits:?}");
    }
    graph.recover();
    world.sweeps().await;
    world.clock.advance(Seconds(61));
    graph.plan(Call::RiskyUsers, [Some(Fault::Unavailable(7))]);
    world.services().sweep_risk().await.expect_err("out of order");
    let (_, next) = world.services().sweep_risk().await.expect("it is left alone");
    assert!((7_000..7_500).contains(&((next.0 - world.now().0) / 1_000)), "as long as it said");
});

/// Two instances need a database that they can share.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn two_instances_share_one_pace_and_one_sweep() {
    let mut world =
        crate::support::World::start(crate::support::Kind::Postgres, crate::support::Options::default()).await;
    let graph = watched(&mut world, &[("bob", "high")]).await;
    let other = world.another_instance().await;
    world.clock.advance(Seconds(61));
    let both = futures_util::future::join(world.services().sweep_risk(), other.services.sweep_risk());
    let (one, two) = while_time_passes_slowly(&world, both).await;
    let swept = [one, two].into_iter().filter(|done| done.as_ref().is_ok_and(|(swept, _)| *swept)).count();
    assert_eq!(swept, 1, "one instance at a time");
    assert_eq!(graph.count(Call::RiskyUsers), 2);
    world.clock.advance(Seconds(301));
    let people = ["alice", "bob", "carol", "erin", "zoe", "olga"];
    while_time_passes_slowly(&world, async {
        let asking = people.iter().enumerate().map(async |(number, name)| {
            let address = if number % 2 == 0 { world.app().address } else { other.address };
            world.person_at(address, name).asks_for(WIKI).await
        });
        futures_util::future::join_all(asking).await
    })
    .await;
    one_a_second(&graph);
    let bob = id(&world, "bob");
    graph.change(|tenant| tenant.risk(bob, "low", "atRisk"));
    world.clock.advance(Seconds(3));
    other.services.sweep_risk().await.expect("the other one sweeps");
    assert_eq!(shown(&world, "bob").await["level"], "LOW", "both see what one has read");
    other.stop().await;
    world.end().await;
}
