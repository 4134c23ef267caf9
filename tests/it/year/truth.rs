//! What the two risk sources would say, if they could.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use entity::{Origin, RiskLevel, RiskSource, Timestamp, UserId};
use riskgate::clock::Clock;
use riskgate::service::risk::{Observed, ObservedFuture, RiskReader};

/// What both sources would say, if they could.
#[derive(Default)]
pub struct Truth {
    levels: Mutex<HashMap<(RiskSource, UserId), RiskLevel>>,
    down: Mutex<HashSet<RiskSource>>,
    clock: OnceLock<Clock>,
}

impl Truth {
    /// What a source says of somebody now; nothing while it is out of order.
    pub fn says(&self, source: RiskSource, who: UserId) -> Option<RiskLevel> {
        if self.down.lock().unwrap_or_else(PoisonError::into_inner).contains(&source) {
            return None;
        }
        let levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        Some(levels.get(&(source, who)).copied().unwrap_or(RiskLevel::None))
    }

    /// From now on it says this of somebody.
    pub fn learns(&self, source: RiskSource, who: UserId, level: RiskLevel) {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner).insert((source, who), level);
    }

    /// Both are in order again.
    pub fn heals(&self) {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Readings are of this clock's moments.
    pub fn goes_by(&self, clock: &Clock) {
        self.clock.get_or_init(|| clock.clone());
    }

    /// One that is in order fails; one that is not is mended.
    pub fn breaks_or_heals(&self, source: RiskSource) {
        let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        if !down.remove(&source) {
            down.insert(source);
        }
    }
}

/// A reader of one of them.
pub struct Told {
    source: RiskSource,
    truth: Arc<Truth>,
}

impl Told {
    pub fn new(source: RiskSource, truth: Arc<Truth>) -> Told {
        Told { source, truth }
    }
}

impl RiskReader for Told {
    fn read(&self, who: UserId) -> ObservedFuture<'_> {
        let read_at = self.truth.clock.get().map_or(Timestamp(0), Clock::now);
        let said = self.truth.says(self.source, who).map(|level| Observed {
            level,
            origin: Origin::Single,
            read_at,
            source_updated_at: None,
        });
        Box::pin(std::future::ready(said.ok_or_else(|| "out of order".to_owned())))
    }
}
