//! A sweep goes on at the page that did not come, as long as it may be of use, and counts for nothing before it is complete.

use std::time::Duration;

use entity::{Seconds, Timestamp, lease};
use riskgate::config::GraphConfig;
use riskgate::demo::WIKI;
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use super::{id, impatient, reading, shown, status, ticking, until, watched, while_time_passes};
use crate::story;
use crate::support::graph::{Call, FakeGraph, Fault};
use crate::support::{Kind, Options, World};

/// Each on a page of their own.
const PEOPLE: [(&str, &str); 5] =
    [("bob", "high"), ("carol", "low"), ("erin", "medium"), ("zoe", "low"), ("olga", "high")];

/// What was asked of the list of everybody at risk.
fn asked(graph: &FakeGraph) -> usize {
    graph.count(Call::RiskyUsers)
}

/// Until when the instance that sweeps is the one that does.
async fn held_until(world: &World) -> Option<Timestamp> {
    let db = world.database.connect().await;
    let row = lease::Entity::find_by_id("RISK_SWEEP").one(&db).await.expect("an answer");
    db.close().await.expect("it closes");
    row.map(|row| row.until)
}

/// A sweep in a task of its own, as the worker has it.
fn begins(world: &World) -> tokio::task::JoinHandle<bool> {
    let services = world.services().clone();
    tokio::spawn(async move { services.sweep_risk().await.is_ok_and(|(swept, _)| swept) })
}

story!(a_sweep_goes_on_at_the_page_that_failed, |world| {
    let graph = watched(world, &PEOPLE).await;
    graph.pages(1);
    world.connects(impatient(graph.config())).await;
    for (number, faults) in [
        &[Fault::Throttled][..],
        &[Fault::Unavailable(2)],
        &[Fault::Broken],
        &[Fault::Cut],
        &[Fault::Silent],
        &[Fault::Stalled],
        &[Fault::Html(200)],
        &[Fault::Html(404)],
        &[Fault::Refused(403)],
        &[Fault::Elsewhere],
        &[Fault::Repeated],
        &[Fault::Empty],
        // With a new token, and that is not taken either.
        &[Fault::Revoked, Fault::Revoked, Fault::Revoked],
        &[Fault::Throttled, Fault::Cut, Fault::Unavailable(2), Fault::Html(503)],
    ]
    .into_iter()
    .enumerate()
    {
        world.clock.advance(Seconds(61));
        let bob = id(world, "bob");
        let level = if number % 2 == 0 { "low" } else { "high" };
        graph.change(|tenant| tenant.risk(bob, level, "atRisk"));
        graph.plan(Call::RiskyUsers, [None, None].into_iter().chain(faults.iter().copied().map(Some)));
        let before = asked(&graph);
        let (swept, _) = while_time_passes(world, world.services().sweep_risk()).await.expect("it is read to its end");
        assert!(swept, "{faults:?}");
        assert_eq!(asked(&graph) - before, PEOPLE.len() + faults.len(), "{faults:?}: no page before it is asked again");
        let seen = shown(world, "bob").await;
        assert_eq!((&seen["level"], &seen["isDetermined"]), (&json!(level.to_uppercase()), &json!(true)), "{faults:?}");
        assert_eq!(status(world).await["state"], "OK", "{faults:?}");
    }
});

story!(whoever_waits_for_a_page_stays_the_one_that_sweeps, |world| {
    let graph = watched(world, &PEOPLE).await;
    graph.pages(1);
    world.clock.advance(Seconds(61));
    let (began, before) = (world.now(), asked(&graph));
    // Longer than the lease.
    graph.plan(Call::RiskyUsers, [None, None, Some(Fault::Unavailable(200))]);
    let sweeping = begins(world);
    until("the page that fails", async || {
        let is_asked = asked(&graph) == before + 3;
        if !is_asked && asked(&graph) > before {
            world.clock.advance(Seconds(1));
        }
        is_asked
    })
    .await;
    until("it is left alone", async || status(world).await["state"] == "THROTTLED").await;
    for _ in 0..10 {
        world.clock.advance(Seconds(20));
        until("it says that it goes on", async || held_until(world).await.is_some_and(|until| until > world.now()))
            .await;
    }
    assert!(while_time_passes(world, sweeping).await.expect("no panic"), "it comes to its end");
    assert_eq!(asked(&graph) - before, PEOPLE.len() + 1);
    assert_eq!(held_until(world).await, None);
    // It counts from its beginning.
    assert_eq!(status(world).await["lastSuccessAt"], began.rfc3339());
    assert!(world.now() >= began.plus(Seconds(200)));
    world.clock.set(began.plus(Seconds(301)));
    assert_eq!(shown(world, "bob").await["isDetermined"], false);
});

story!(a_sweep_that_can_be_of_no_use_any_more_is_given_up_and_the_next_begins_anew, |world| {
    let graph = watched(world, &PEOPLE).await;
    graph.pages(1);
    world.connects(GraphConfig { risk_max_age: Seconds(60), ..graph.config() }).await;
    let known = status(world).await["lastSuccessAt"].clone();
    let (bob, carol) = (id(world, "bob"), id(world, "carol"));
    graph.change(|tenant| {
        tenant.risks.remove(&bob);
        tenant.risk(carol, "high", "atRisk");
    });
    let events = world.snapshot().await.events.len();
    world.clock.advance(Seconds(60));
    assert_eq!(shown(world, "bob").await["isDetermined"], true, "to the second");
    for fault in [Fault::Throttled, Fault::Unavailable(20), Fault::Cut, Fault::Elsewhere] {
        graph.plan(Call::RiskyUsers, [None, None]);
        graph.always(Call::RiskyUsers, Some(fault));
        let before = asked(&graph);
        let swept = ticking(world, Duration::from_millis(20), world.services().sweep_risk()).await;
        assert!(swept.is_err(), "{fault:?}: {swept:?}");
        assert!(asked(&graph) - before >= 4, "{fault:?}: the page is asked for again");
        assert_eq!(status(world).await["lastSuccessAt"], known, "{fault:?}: what is not complete counts for nothing");
        assert_eq!(world.snapshot().await.events.len(), events, "{fault:?}");
        let seen = shown(world, "bob").await;
        assert_eq!((&seen["level"], &seen["isDetermined"]), (&json!("HIGH"), &json!(false)), "{fault:?}");
        world.clock.advance(Seconds(61));
    }
    graph.always(Call::RiskyUser, Some(Fault::Html(503)));
    let request = while_time_passes(world, world.person("alice").asks_for(WIKI)).await;
    let read = reading(world, &request).await;
    assert_eq!((&read["level"], &read["isStageRequired"]), (&json!("UNDETERMINED"), &json!(true)));
    graph.recover();
    world.clock.advance(Seconds(61));
    let before = asked(&graph);
    while_time_passes(world, world.services().sweep_risk()).await.expect("it is well again");
    assert_eq!(asked(&graph) - before, PEOPLE.len() - 1, "from the first page to the last");
    let levels = [shown(world, "bob").await["level"].clone(), shown(world, "carol").await["level"].clone()];
    assert_eq!(levels, [json!("NONE"), json!("HIGH")]);
});

story!(a_page_whose_link_is_not_known_any_more_begins_a_sweep_anew, |world| {
    let graph = watched(world, &PEOPLE).await;
    graph.pages(1);
    let bob = id(world, "bob");
    for (fault, level) in [(Fault::Gone, "low"), (Fault::Refused(400), "medium")] {
        world.clock.advance(Seconds(61));
        let known: Value = status(world).await["lastSuccessAt"].clone();
        graph.change(|tenant| tenant.risk(bob, level, "atRisk"));
        graph.plan(Call::RiskyUsers, [None, None, None, Some(fault)]);
        let before = asked(&graph);
        let swept = while_time_passes(world, world.services().sweep_risk()).await;
        assert!(swept.is_err(), "{fault:?}: {swept:?}");
        assert_eq!(asked(&graph) - before, 4, "{fault:?}: it is of no use to ask for that page again");
        assert_eq!(status(world).await["lastSuccessAt"], known, "{fault:?}");
        while_time_passes(world, world.services().sweep_risk()).await.expect("it begins anew, at once");
        assert_eq!(asked(&graph) - before, 4 + PEOPLE.len(), "{fault:?}");
        assert_eq!(shown(world, "bob").await["level"], level.to_uppercase(), "{fault:?}");
    }
});

/// One file has one server, so this is told on PostgreSQL only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn who_stops_in_the_middle_of_a_sweep_lets_another_instance_begin_one() {
    let mut world = World::start(Kind::Postgres, Options::default()).await;
    let graph = watched(&mut world, &PEOPLE).await;
    graph.pages(1);
    let other = world.another_instance().await;
    world.clock.advance(Seconds(61));
    let before = asked(&graph);
    graph.plan(Call::RiskyUsers, [None]);
    graph.always(Call::RiskyUsers, Some(Fault::Html(200)));
    let sweeping = begins(&world);
    let waits = until("the page that fails", async || {
        let is_asked = asked(&graph) >= before + 2;
        if !is_asked && asked(&graph) > before {
            world.clock.advance(Seconds(1));
        }
        is_asked
    });
    waits.await;
    let found = other.services.sweep_risk().await.expect("an answer");
    assert!(!found.0, "one instance at a time, also while it waits");
    // As the worker is ended with its server.
    sweeping.abort();
    assert!(sweeping.await.is_err_and(|ended| ended.is_cancelled()));
    world.stop().await;
    graph.recover();
    let before = asked(&graph);
    let (swept, _) = while_time_passes(&world, other.services.sweep_risk()).await.expect("it is well again");
    assert!(swept, "who ends in peace lets go");
    assert_eq!(asked(&graph) - before, PEOPLE.len());
    other.stop().await;
    world.end().await;
}
