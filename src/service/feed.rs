//! The port of a service that keeps everybody's ID Protection risk and lets itself be asked about once a second.

use std::pin::Pin;
use std::time::Duration;

use entity::{Timestamp, UserId};

use super::risk::RiskAction;

/// What such a service says, once it is there.
pub type FeedFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, FeedFault>> + Send + 'a>>;

/// Why it says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedFault {
    /// It wants to be left alone.
    Busy {
        /// For so long, where it says so.
        wait: Option<Duration>,
        /// Because it was asked too often.
        is_throttled: bool,
        /// For the log.
        why: String,
    },
    /// It does not know any more where a part was that it had promised: everything must be read anew.
    Expired(String),
    /// What we showed it had run out and is replaced: to ask again is another question.
    Renewed(String),
    /// It cannot be reached, refuses, or makes no sense.
    Failed(String),
}

impl FeedFault {
    /// For the log.
    pub fn why(&self) -> &str {
        match self {
            FeedFault::Busy { why, .. }
            | FeedFault::Expired(why)
            | FeedFault::Renewed(why)
            | FeedFault::Failed(why) => why,
        }
    }
}

/// What it says of somebody, in its own words: it may come to use others than the ones known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Of whom.
    pub user: UserId,
    /// The level.
    pub level: Option<String>,
    /// The state.
    pub state: Option<String>,
    /// Is it being worked out anew?
    pub is_processing: bool,
    /// Why.
    pub detail: Option<String>,
    /// When that changed last.
    pub updated_at: Option<Timestamp>,
}

/// A part of everybody at risk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskPage {
    /// Who.
    pub people: Vec<Told>,
    /// By what to ask for the next part.
    pub next: Option<String>,
}

/// Where everybody's ID Protection risk is kept. Each call is one question, and no more than one: whoever calls counts them.
pub trait RiskFeed: Send + Sync {
    /// A part of everybody at risk: the first, or that after another.
    fn page<'a>(&'a self, next: Option<&'a str>) -> FeedFuture<'a, RiskPage>;

    /// One person's risk; none where the service itself says that it knows of none.
    fn person(&self, user: UserId) -> FeedFuture<'_, Option<Told>>;

    /// Judges people's risk: all of them, or none.
    fn act<'a>(&'a self, action: RiskAction, users: &'a [UserId]) -> FeedFuture<'a, ()>;
}
