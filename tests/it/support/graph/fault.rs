//! What goes wrong, and when: by a script for each kind of question, or by chance.

use std::collections::{HashMap, VecDeque};

use crate::support::Dice;

/// The kinds of question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    Token,
    Users,
    User,
    Groups,
    Assignments,
    TransitiveRoles,
    RiskyUsers,
    RiskyUser,
    RiskAction,
}

impl Call {
    /// Those that share one request a second.
    pub fn is_identity_protection(self) -> bool {
        matches!(self, Call::RiskyUsers | Call::RiskyUser | Call::RiskAction)
    }
}

/// What goes wrong with one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 429, without saying until when.
    Throttled,
    /// 503, to be tried again after so many seconds.
    Unavailable(u64),
    /// 500, with an error of Graph's.
    Broken,
    /// The answer, but not at once.
    Slow,
    /// No answer, ever.
    Silent,
    /// Half an answer, and the rest never.
    Stalled,
    /// Half an answer; then the connection is cut.
    Cut,
    /// An error of Graph's with this status: 400, 403 or 404.
    Refused(u16),
    /// A page for people, with this status.
    Html(u16),
    /// 401: the token is taken no more.
    Revoked,
    /// 410: what changed since is not known any more.
    Gone,
    /// Levels are withheld.
    Hidden,
    /// Words that came into use later.
    UnknownWords,
    /// Roles as they were before the last change.
    StaleRoles,
    /// A clock that is years off, and a token that ended before it began.
    WrongClock,
    /// A page stands there twice.
    Repeated,
    /// A page of nothing before the one that was asked for.
    Empty,
    /// The next page is somewhere else.
    Elsewhere,
}

impl Fault {
    /// Is what was asked for not done?
    pub fn is_refusal(self) -> bool {
        use Fault::{Broken, Gone, Html, Refused, Revoked, Throttled, Unavailable};
        matches!(self, Throttled | Unavailable(_) | Broken | Refused(_) | Html(_) | Revoked | Gone)
    }
}

/// Those that can happen to any question. (404 in Graph's own words is an answer to some.)
pub const ANYWHERE: [Fault; 13] = [
    Fault::Throttled,
    Fault::Unavailable(2),
    Fault::Broken,
    Fault::Slow,
    Fault::Silent,
    Fault::Stalled,
    Fault::Cut,
    Fault::Refused(403),
    Fault::Gone,
    Fault::Html(200),
    Fault::Html(404),
    Fault::Html(503),
    Fault::Revoked,
];

/// What will go wrong.
#[derive(Default)]
pub(super) struct Script {
    planned: HashMap<Call, VecDeque<Option<Fault>>>,
    always: HashMap<Call, Fault>,
    chance: Option<(Dice, usize, Vec<Fault>)>,
}

impl Script {
    pub fn plan(&mut self, call: Call, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.planned.entry(call).or_default().extend(faults);
    }

    pub fn always(&mut self, call: Call, fault: Option<Fault>) {
        match fault {
            Some(fault) => self.always.insert(call, fault),
            None => self.always.remove(&call),
        };
    }

    pub fn chance(&mut self, seed: u64, percent: usize, faults: &[Fault]) {
        self.chance = Some((Dice::new(seed), percent, faults.to_vec()));
    }

    pub fn clear(&mut self) {
        *self = Script::default();
    }

    pub fn next(&mut self, call: Call) -> Option<Fault> {
        if let Some(planned) = self.planned.get_mut(&call).and_then(VecDeque::pop_front) {
            return planned;
        }
        if let Some(fault) = self.always.get(&call) {
            return Some(*fault);
        }
        let (dice, percent, faults) = self.chance.as_mut()?;
        (dice.below(100) < *percent).then(|| dice.pick(faults))
    }
}
