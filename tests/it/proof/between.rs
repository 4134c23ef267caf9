//! What changes between a reading and the commit that relies on it: whoever reads is held in the middle, and the world goes on.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use entity::{RiskLevel, Seconds, UserId};
use riskgate::demo::{FINANCE_DATA, WIKI};
use riskgate::service::Sources;
use riskgate::service::risk::{ObservedFuture, RiskReader};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::current;
use crate::story;
use crate::support::{Options, Person, World, observed};

/// What ID Protection says of people, and the reading that is to be held.
#[derive(Default)]
struct Source {
    levels: HashMap<UserId, Option<RiskLevel>>,
    held: Option<Hold>,
}

/// A reading that is to be held: of whom, after how many others, and how that is told.
struct Hold {
    whose: UserId,
    after: usize,
    reached: oneshot::Sender<()>,
    go: oneshot::Receiver<()>,
}

impl Source {
    /// Is it this reading of somebody?
    fn holds(&mut self, user: UserId) -> Option<Hold> {
        let held = self.held.as_mut().filter(|held| held.whose == user)?;
        match held.after.checked_sub(1) {
            Some(after) => {
                held.after = after;
                None
            }
            None => self.held.take(),
        }
    }
}

static SOURCE: LazyLock<Mutex<Source>> = LazyLock::new(Mutex::default);
/// It says so to everybody: whoever sets it is alone.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn source() -> MutexGuard<'static, Source> {
    SOURCE.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Held;

impl RiskReader for Held {
    fn read(&self, user: UserId) -> ObservedFuture<'_> {
        let (said, held) = {
            let mut source = source();
            let said = source.levels.get(&user).copied().unwrap_or(Some(RiskLevel::None));
            (said, source.holds(user))
        };
        Box::pin(async move {
            if let Some(Hold { reached, go, .. }) = held {
                // Whoever held it may have given up.
                let _ = reached.send(());
                let _ = go.await;
            }
            said.map(observed).ok_or_else(|| "out of order".to_owned())
        })
    }
}

struct Calm;

impl RiskReader for Calm {
    fn read(&self, _: UserId) -> ObservedFuture<'_> {
        Box::pin(std::future::ready(Ok(observed(RiskLevel::None))))
    }
}

fn held() -> Options {
    let sources = Sources { id_protection: Arc::new(Held), insider: Arc::new(Calm) };
    Options { sources: Some(sources), ..Options::default() }
}

fn says(person: &Person, level: Option<RiskLevel>) {
    source().levels.insert(person.id, level);
}

/// Does `work` and, between its reading of somebody and what it makes of that, `change`.
async fn meanwhile<T>(whose: &Person, work: impl Future<Output = T>, change: impl Future<Output = ()>) -> T {
    later(whose, 0, work, change).await
}

/// The same at a reading that comes after some others of the same person.
async fn later<T>(whose: &Person, after: usize, work: impl Future<Output = T>, change: impl Future<Output = ()>) -> T {
    let ((reached, is_reached), (go, wait)) = (oneshot::channel(), oneshot::channel());
    source().held = Some(Hold { whose: whose.id, after, reached, go: wait });
    let mut work = pin!(work);
    tokio::select! {
        _ = &mut work => panic!("the source was not asked"),
        reached = is_reached => reached.expect("the reading is held"),
    }
    change.await;
    go.send(()).expect("the reading waits");
    work.await
}

/// Nobody is at risk, and LOW asks for nothing.
fn begins() {
    *source() = Source::default();
}

async fn selects_low(world: &World) {
    world.controls(json!({ "riskLevels": ["LOW", "MEDIUM", "HIGH"] })).await;
}

/// Alice's request, whose stage sofia may approve: she is LOW.
async fn one_of_three(world: &World) -> Value {
    begins();
    says(&world.person("alice"), Some(RiskLevel::High));
    says(&world.person("sofia"), Some(RiskLevel::Low));
    let request = world.person("alice").asks_for(FINANCE_DATA).await;
    current(world, &request).await
}

story!(whoever_approves_is_judged_by_the_control_as_it_is_at_the_commit, held(), |world| {
    let _alone = ALONE.lock().await;
    let (stage, sofia) = (one_of_three(world).await, world.person("sofia"));
    let code = meanwhile(&sofia, sofia.is_refused(&stage), selects_low(world)).await;
    assert_eq!(code, "APPROVER_AT_RISK");
    assert_eq!(world.whole_stage(&stage).await["status"], "PENDING");
});

story!(whoever_becomes_risky_before_the_commit_does_not_approve, held(), |world| {
    let _alone = ALONE.lock().await;
    let (stage, sofia) = (one_of_three(world).await, world.person("sofia"));
    let rises = async {
        says(&sofia, Some(RiskLevel::High));
        world.risk("sofia", "HIGH").await;
    };
    assert_eq!(meanwhile(&sofia, sofia.is_refused(&stage), rises).await, "APPROVER_AT_RISK");
});

story!(whoever_loses_the_role_before_the_commit_does_not_approve, held(), |world| {
    let _alone = ALONE.lock().await;
    let (stage, sofia) = (one_of_three(world).await, world.person("sofia"));
    let loses = world.changes("sofia", "directoryRoles", json!(["GLOBAL_READER"]));
    assert_eq!(meanwhile(&sofia, sofia.is_refused(&stage), loses).await, "NOT_AN_APPROVER");
});

story!(a_deadline_that_comes_before_the_commit_has_come, held(), |world| {
    let _alone = ALONE.lock().await;
    let (stage, sofia) = (one_of_three(world).await, world.person("sofia"));
    let passes = async { world.clock.advance(Seconds::days(14)) };
    assert_eq!(meanwhile(&sofia, sofia.is_refused(&stage), passes).await, "STAGE_NOT_PENDING");
});

story!(what_is_delivered_is_judged_as_it_is_at_the_commit, held(), |world| {
    let _alone = ALONE.lock().await;
    begins();
    let (bob, pat, mona) = (world.person("bob"), world.person("pat"), world.person("mona"));
    says(&bob, Some(RiskLevel::Low));
    let request = bob.asks_for(FINANCE_DATA).await;
    mona.approves(&current(world, &request).await).await;
    let last = current(world, &request).await;
    let done = meanwhile(&bob, pat.approves(&last), selects_low(world)).await;
    assert_eq!(done["state"], "PENDING_APPROVAL", "LOW is one of the selected levels now");

    // LOW is what is approved, and HIGH what is so when it is.
    let (stage, sofia) = (current(world, &request).await, world.person("sofia"));
    let rises = async {
        says(&bob, Some(RiskLevel::High));
        world.risk("bob", "HIGH").await;
    };
    let done = meanwhile(&bob, sofia.approves(&stage), rises).await;
    assert_eq!(done["state"], "PENDING_APPROVAL");
    assert_ne!(done["currentStage"]["id"], stage);
    let again = done["currentStage"]["id"].clone();
    assert_eq!(sofia.approves(&again).await["state"], "DELIVERED");
});

story!(what_is_submitted_is_judged_as_it_is_at_the_commit, held(), |world| {
    let _alone = ALONE.lock().await;
    begins();
    let (bob, carol) = (world.person("bob"), world.person("carol"));
    says(&bob, Some(RiskLevel::Low));
    let rises = async {
        says(&carol, Some(RiskLevel::High));
        world.risk("carol", "HIGH").await;
    };
    let request = meanwhile(&carol, carol.asks_for(WIKI), rises).await;
    assert_eq!(request["state"], "PENDING_APPROVAL");
    let request = meanwhile(&bob, bob.asks_for(WIKI), selects_low(world)).await;
    assert_eq!(request["state"], "PENDING_APPROVAL");
});

story!(what_has_waited_is_judged_as_it_is_at_the_commit, held(), |world| {
    let _alone = ALONE.lock().await;
    begins();
    world.controls(json!({ "whenUndetermined": "HOLD", "holdTimeout": "P1D" })).await;
    let bob = world.person("bob");
    says(&bob, None);
    let request = bob.asks_for(WIKI).await;
    assert_eq!(request["state"], "SUBMITTED");
    says(&bob, Some(RiskLevel::Low));
    meanwhile(&bob, world.pass(Seconds(15)), selects_low(world)).await;
    world.run_due().await;
    assert_eq!(world.whole(&request).await["state"], "PENDING_APPROVAL");
});

story!(what_becomes_known_of_a_request_that_ends_meanwhile_is_not_told_after_its_end, held(), |world| {
    let _alone = ALONE.lock().await;
    begins();
    world.controls(json!({ "reevaluation": "CONTINUOUS" })).await;
    let bob = world.person("bob");
    let request = bob.asks_for(FINANCE_DATA).await;
    says(&bob, Some(RiskLevel::Low));
    world.risk("bob", "LOW").await;
    let ends = async { drop(bob.cancels(&request["id"]).await.data()) };
    assert_eq!(meanwhile(&bob, world.follow_risk(), ends).await, 0);
    assert_eq!(world.told(&request).await.last().map(String::as_str), Some("REQUEST_CANCELED"));
});

story!(
    what_becomes_known_while_somebodys_requests_are_gone_through_reaches_those_that_were_passed_too,
    held(),
    |world| {
        let _alone = ALONE.lock().await;
        begins();
        world.controls(json!({ "reevaluation": "CONTINUOUS" })).await;
        let bob = world.person("bob");
        // More than twice as many as are looked at together: after the second reading there is a rest to go on with.
        let stages = json!([{ "approvers": [{ "directoryRole": "GLOBAL_ADMINISTRATOR" }] }]);
        let mut requests = Vec::new();
        for _ in 0..61 {
            let package = world.staged(stages.clone()).await;
            requests.push(bob.submits(json!({ "accessPackageId": package })).await["request"].clone());
        }
        says(&bob, Some(RiskLevel::Low));
        world.risk("bob", "LOW").await;
        let rises = async {
            says(&bob, Some(RiskLevel::High));
            world.risk("bob", "HIGH").await;
        };
        later(&bob, 1, world.follow_risk(), rises).await;
        for request in &requests {
            assert_eq!(world.whole(request).await["currentStage"]["kind"], "ID_PROTECTION_RISK");
        }
    }
);
