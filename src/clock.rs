//! The one source of "now". Everything that asks for the time asks a [`Clock`]; `clippy.toml` bans the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use entity::{Seconds, Timestamp};

/// The time: the machine's, or one that somebody sets (tests, and the making of the demo world).
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Clock {
        Clock(None)
    }

    /// A clock that stands still at `at` until it is moved. Copies share it.
    pub fn manual(at: Timestamp) -> Clock {
        Clock(Some(Arc::new(AtomicI64::new(at.0))))
    }

    /// Now, in whole microseconds.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Some(at) => Timestamp(at.load(Ordering::SeqCst)),
            None => Timestamp::from_datetime(chrono::Utc::now()),
        }
    }

    /// Moves a manual clock forward; the machine's does not move.
    pub fn advance(&self, span: Seconds) {
        if let Some(at) = &self.0 {
            at.fetch_add(span.0.saturating_mul(1_000_000), Ordering::SeqCst);
        }
    }

    /// Puts a manual clock to a moment; the machine's does not move.
    pub fn set(&self, to: Timestamp) {
        if let Some(at) = &self.0 {
            at.store(to.0, Ordering::SeqCst);
        }
    }

    /// Is it the machine's clock?
    pub fn is_system(&self) -> bool {
        self.0.is_none()
    }
}
