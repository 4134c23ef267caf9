//! CLOCK: the loops of one instance, and nothing but loops. Each ends with the server; each goes on after an error.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::lifecycle::Shutdown;
use crate::service::Services;
use crate::service::sync::Rounds;

/// Longest time between two looks at what is due.
const TICK: Duration = Duration::from_secs(1);

/// Longest time between two looks at whether a sweep is due: another instance may have ended in the middle of one.
const SWEEP_LOOK: Duration = Duration::from_secs(15);

/// Time between two looks at what can be forgotten.
const TIDY_LOOK: Duration = Duration::from_secs(60);

/// Starts the loops that every instance runs; `clockwork` leaves out what is due by the clock where it is false.
pub fn start(services: &Arc<Services>, clockwork: bool, shutdown: &Shutdown) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let follower = services.follower();
    run(&mut tasks, shutdown, async move { follower.run().await });
    run(&mut tasks, shutdown, exchange_notices(services.clone()));
    if clockwork {
        run(&mut tasks, shutdown, run_due(services.clone()));
        run(&mut tasks, shutdown, follow_risk(services.clone()));
        run(&mut tasks, shutdown, tidy(services.clone()));
        if services.is_following() {
            run(&mut tasks, shutdown, follow_directory(services.clone()));
        }
        if services.is_watching() {
            run(&mut tasks, shutdown, sweep_risk(services.clone()));
        }
    }
    tasks
}

fn run(tasks: &mut JoinSet<()>, shutdown: &Shutdown, work: impl Future<Output = ()> + Send + 'static) {
    let shutdown = shutdown.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = shutdown.requested() => {}
            () = work => {}
        }
    });
}

/// Deadlines, escalations, ends of assignments: as soon as they are due, and once a second in any case.
async fn run_due(services: Arc<Services>) {
    loop {
        let wait = match services.run_due().await {
            Ok(0) => until_due(&services).await,
            Ok(moves) => {
                info!(moves, "the clockwork moved requests on");
                until_due(&services).await
            }
            Err(fault) => {
                warn!(?fault, "the clockwork cannot run now");
                TICK
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// What the log tells of people's risk: acted on at once, and looked for once a second in any case.
async fn follow_risk(services: Arc<Services>) {
    let mut told = services.follower().watch_told();
    loop {
        match services.follow_risk().await {
            Ok(0) => {}
            Ok(requests) => info!(requests, "what became known of people's risk changed open requests"),
            Err(fault) => {
                warn!(?fault, "what became known of people's risk cannot be acted on now");
                tokio::time::sleep(TICK).await;
            }
        }
        // Only the hurry; an error of it is an end of the server, which ends this task too.
        let _ = tokio::time::timeout(TICK, told.changed()).await;
        told.borrow_and_update();
    }
}

/// The directory, where that is kept elsewhere; at any time by one instance.
async fn follow_directory(services: Arc<Services>) {
    let mut rounds = Rounds::default();
    loop {
        let wait = services.follow_directory(&mut rounds).await;
        tokio::time::sleep(wait).await;
    }
}

/// Everybody's risk, where it is kept elsewhere: as often as is configured, by whichever instance comes first.
async fn sweep_risk(services: Arc<Services>) {
    loop {
        let next = match services.sweep_risk().await {
            Ok((_, next)) => next,
            Err(fault) => {
                warn!(?fault, "everybody's risk cannot be read now");
                services.now()
            }
        };
        let micros = u64::try_from(next.0.saturating_sub(services.now().0)).unwrap_or(0);
        tokio::time::sleep(Duration::from_micros(micros).clamp(TICK, SWEEP_LOOK)).await;
    }
}

/// What is over and is no history, forgotten by whichever instance comes first.
async fn tidy(services: Arc<Services>) {
    loop {
        match services.tidy().await {
            Ok(0) => {}
            Ok(keys) => info!(keys, "idempotency keys whose life has ended were forgotten"),
            Err(fault) => warn!(?fault, "what is over cannot be forgotten now"),
        }
        tokio::time::sleep(TIDY_LOOK).await;
    }
}

async fn until_due(services: &Services) -> Duration {
    match services.next_due().await {
        Ok(Some(due)) => {
            let micros = u64::try_from(due.0 - services.now().0).unwrap_or(0);
            // Not at once again: what is due and was not moved belongs to somebody else for the moment.
            Duration::from_micros(micros).clamp(Duration::from_millis(20), TICK)
        }
        Ok(None) | Err(_) => TICK,
    }
}

/// Keeps the exchange of notices with other instances going.
async fn exchange_notices(services: Arc<Services>) {
    loop {
        if let Err(fault) = services.exchange_notices().await {
            warn!(?fault, "notices between instances are interrupted; the poll goes on");
        }
        tokio::time::sleep(TICK).await;
    }
}
