//! The one source of "now". Everything that asks for the time asks a [`Clock`]; `clippy.toml` bans the others.

use std::time::Duration;

use entity::{Seconds, Timestamp};
use tokio::sync::watch;

/// The time: the machine's, or one that somebody sets (tests, and the making of the demo world).
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<watch::Sender<i64>>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Clock {
        Clock(None)
    }

    /// A clock that stands still at `at` until it is moved. Copies share it.
    pub fn manual(at: Timestamp) -> Clock {
        Clock(Some(watch::Sender::new(at.0)))
    }

    /// Now, in whole microseconds.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Some(at) => Timestamp(*at.borrow()),
            None => Timestamp::from_datetime(chrono::Utc::now()),
        }
    }

    /// Waits until `at`; by a manual clock until somebody has moved it there.
    pub async fn until(&self, at: Timestamp) {
        match &self.0 {
            // Cannot fail: `self` keeps the sender.
            Some(clock) => drop(clock.subscribe().wait_for(|now| *now >= at.0).await),
            None => {
                // The machine's clock may be set back meanwhile.
                while let Some(left) = u64::try_from(at.0 - self.now().0).ok().filter(|left| *left > 0) {
                    tokio::time::sleep(Duration::from_micros(left)).await;
                }
            }
        }
    }

    /// Does somebody wait for a manual clock to be moved?
    pub fn is_awaited(&self) -> bool {
        self.0.as_ref().is_some_and(|at| at.receiver_count() > 0)
    }

    /// Moves a manual clock forward; the machine's does not move.
    pub fn advance(&self, span: Seconds) {
        if let Some(at) = &self.0 {
            at.send_modify(|at| *at = at.saturating_add(span.0.saturating_mul(1_000_000)));
        }
    }

    /// Puts a manual clock to a moment; the machine's does not move.
    pub fn set(&self, to: Timestamp) {
        if let Some(at) = &self.0 {
            at.send_modify(|at| *at = to.0);
        }
    }

    /// Is it the machine's clock?
    pub fn is_system(&self) -> bool {
        self.0.is_none()
    }
}
