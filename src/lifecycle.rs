//! The orderly end: one signal that everything long-lived listens to, and a count of what has not finished yet.

use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::Instant;

/// From the signal to the end of the process, at most.
pub const BUDGET: Duration = Duration::from_secs(10);

/// The wish to stop. Copies share it.
#[derive(Debug, Clone)]
pub struct Shutdown {
    since: watch::Sender<Option<Instant>>,
    held: watch::Sender<()>,
}

/// Something that wants to finish before the process ends; dropped when it has.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "lives to be counted")] watch::Receiver<()>);

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown { since: watch::Sender::new(None), held: watch::Sender::new(()) }
    }
}

impl Shutdown {
    /// A wish that nobody has had yet.
    pub fn new() -> Shutdown {
        Shutdown::default()
    }

    /// The same, had by SIGTERM and SIGINT. A second signal ends the process at once, as if nothing were installed.
    ///
    /// # Errors
    /// Where the operating system refuses the handlers.
    pub fn on_signals() -> io::Result<Shutdown> {
        let shutdown = Shutdown::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let trigger = shutdown.clone();
        tokio::spawn(async move {
            for is_second in [false, true] {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if is_second {
                    tracing::warn!(signal = name, "stopping at once");
                    std::process::exit(1);
                }
                tracing::info!(signal = name, "stopping");
                trigger.trigger();
            }
        });
        Ok(shutdown)
    }

    /// Asks everything to stop. Asking again changes nothing.
    pub fn trigger(&self) {
        self.since.send_if_modified(|since| {
            let is_first = since.is_none();
            since.get_or_insert_with(Instant::now);
            is_first
        });
    }

    /// Has anybody asked?
    pub fn is_requested(&self) -> bool {
        self.since.borrow().is_some()
    }

    /// Waits until somebody asks.
    pub async fn requested(&self) {
        // Cannot fail: `self` keeps the sender.
        let _ = self.since.subscribe().wait_for(Option::is_some).await;
    }

    /// What is left of [`BUDGET`]; all of it while nobody has asked.
    pub fn remaining(&self) -> Duration {
        match *self.since.borrow() {
            Some(since) => BUDGET.saturating_sub(since.elapsed()),
            None => BUDGET,
        }
    }

    /// Makes [`Shutdown::released`] wait until the hold is dropped.
    pub fn hold(&self) -> Hold {
        Hold(self.held.subscribe())
    }

    /// Waits until every hold is dropped, at most for `limit`. False: some were not.
    pub async fn released(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.held.closed()).await.is_ok()
    }
}

/// Raises the number of files that the process may have open to what the system allows at most; says how many that is now.
pub fn raise_file_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let now = if setrlimit(Resource::Nofile, raised).is_ok() { raised.current } else { limit.current };
    // None: there is no limit.
    now.map_or(usize::MAX, |now| usize::try_from(now).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_hears_it_once_asked_also_who_comes_late() {
        let shutdown = Shutdown::new();
        let early = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.requested().await }
        });
        assert!(!shutdown.is_requested());
        assert_eq!(shutdown.remaining(), BUDGET);
        shutdown.trigger();
        early.await.unwrap();
        shutdown.requested().await;
        let first = *shutdown.since.borrow();
        shutdown.trigger();
        assert_eq!(*shutdown.since.borrow(), first, "the second wish does not start the time again");
        assert!(shutdown.remaining() <= BUDGET);
    }

    #[tokio::test]
    async fn holds_are_waited_for_but_not_for_ever() {
        let shutdown = Shutdown::new();
        assert!(shutdown.released(Duration::from_secs(1)).await, "nothing is held");
        let hold = shutdown.hold();
        assert!(!shutdown.released(Duration::from_millis(20)).await);
        drop(hold);
        assert!(shutdown.released(Duration::from_secs(1)).await);
    }
}
