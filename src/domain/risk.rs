//! Risk: the order of levels, and what a stored state means now.

use entity::{EvaluationId, RiskLevel, RiskSource, RiskState, StageId, Timestamp, insider_risk, user_risk};
use serde::{Deserialize, Serialize};

/// The levels of a source that an administrator can select, in rising order.
pub const fn selectable(source: RiskSource) -> &'static [RiskLevel] {
    match source {
        RiskSource::IdProtection => &[RiskLevel::Low, RiskLevel::Medium, RiskLevel::High],
        RiskSource::InsiderRisk => &[RiskLevel::Minor, RiskLevel::Moderate, RiskLevel::Elevated],
    }
}

/// Rank of a level: a higher one is worse; a reading that could not be had is worst. (The ordinals of Graph's enumeration are
/// no order: `hidden` and `none` stand above `high` there.)
pub const fn rank(level: RiskLevel) -> u8 {
    match level {
        RiskLevel::None => 0,
        RiskLevel::Low | RiskLevel::Minor => 1,
        RiskLevel::Medium | RiskLevel::Moderate => 2,
        RiskLevel::High | RiskLevel::Elevated => 3,
        RiskLevel::Undetermined => 4,
    }
}

/// The readings of one source that approvals have covered: up to the highest level that they saw. A reading that could not be had is
/// covered by an approval that was given without one, and such an approval covers no level: who gave it has seen none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cover {
    rank: u8,
    is_undetermined: bool,
}

impl Cover {
    /// The same, and what an approval saw.
    pub fn add(&mut self, level: RiskLevel) {
        match level {
            RiskLevel::Undetermined => self.is_undetermined = true,
            level => self.rank = self.rank.max(rank(level)),
        }
    }

    /// Has an approval covered this reading?
    pub fn covers(&self, level: RiskLevel) -> bool {
        match level {
            RiskLevel::Undetermined => self.is_undetermined,
            level => rank(level) <= self.rank,
        }
    }
}

/// What somebody has lost without which an approval counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Lost {
    /// The account was deleted.
    Deleted,
    /// The account was disabled.
    Disabled,
    /// The person holds none of the roles that the stage needs.
    Role,
}

/// An approval that counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Void {
    /// The stage that it was given on.
    pub stage: StageId,
    /// What who gave it has lost since.
    pub lost: Lost,
    /// The worst reading that such approvals of its source were given on, and its level.
    pub seen: Option<(EvaluationId, RiskLevel)>,
}

impl Void {
    /// Why, for people.
    pub fn reason(&self) -> &'static str {
        match self.lost {
            Lost::Deleted => "An approval counts no more: the account of who gave it was deleted.",
            Lost::Disabled => "An approval counts no more: the account of who gave it was disabled.",
            Lost::Role => "An approval counts no more: who gave it has lost the role that it needs.",
        }
    }
}

/// The level by which a person in this state is judged: only risk that is there now counts, and a confirmed compromise is the
/// highest.
pub const fn id_protection_level(level: RiskLevel, state: RiskState) -> RiskLevel {
    match state {
        RiskState::AtRisk => level,
        RiskState::ConfirmedCompromised => RiskLevel::High,
        RiskState::None | RiskState::ConfirmedSafe | RiskState::Remediated | RiskState::Dismissed => RiskLevel::None,
    }
}

/// A level and a state in words of ID Protection's own, which may come to have others than those known here. What is withheld
/// (`hidden`), or not known here, is a level that could not be had; but whoever is confirmed compromised is so at any level.
pub fn told(level: Option<&str>, state: Option<&str>) -> (RiskLevel, RiskState) {
    let is = |word: Option<&str>, other: &str| word.is_some_and(|word| word.eq_ignore_ascii_case(other));
    let states = [
        ("none", RiskState::None),
        ("confirmedSafe", RiskState::ConfirmedSafe),
        ("remediated", RiskState::Remediated),
        ("dismissed", RiskState::Dismissed),
        ("atRisk", RiskState::AtRisk),
        ("confirmedCompromised", RiskState::ConfirmedCompromised),
    ];
    let levels =
        [("none", RiskLevel::None), ("low", RiskLevel::Low), ("medium", RiskLevel::Medium), ("high", RiskLevel::High)];
    let state = states.iter().find(|(word, _)| is(state, word)).map(|(_, state)| *state);
    let level = levels.iter().find(|(word, _)| is(level, word)).map(|(_, level)| *level);
    match (level, state) {
        (_, Some(RiskState::ConfirmedCompromised)) => (RiskLevel::High, RiskState::ConfirmedCompromised),
        (Some(level), Some(state)) => (level, state),
        // At risk of we do not know what: that is what makes it count.
        _ => (RiskLevel::Undetermined, RiskState::AtRisk),
    }
}

/// ID Protection risk as the built-in store has it; no row is no risk.
pub fn id_protection(row: Option<&user_risk::Model>) -> RiskLevel {
    row.map_or(RiskLevel::None, |row| id_protection_level(row.level, row.state))
}

/// Insider risk as the built-in store has it; no row, or one past its end, is no risk.
pub fn insider(row: Option<&insider_risk::Model>, now: Timestamp) -> RiskLevel {
    match row {
        Some(row) if row.expires_at.is_none_or(|end| now < end) => row.level,
        _ => RiskLevel::None,
    }
}

/// The lowest selected level where every level above it is selected too; nothing for a set with a gap.
pub fn minimum(source: RiskSource, levels: &[RiskLevel]) -> Option<RiskLevel> {
    let all = selectable(source);
    let lowest = all.iter().position(|level| levels.contains(level))?;
    all[lowest..].iter().all(|level| levels.contains(level)).then_some(all[lowest])
}

/// A level and all above it.
pub fn from_minimum(source: RiskSource, minimum: RiskLevel) -> Vec<RiskLevel> {
    selectable(source).iter().copied().filter(|level| rank(*level) >= rank(minimum)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_with_a_gap_has_no_minimum() {
        use RiskLevel::{High, Low, Medium};
        assert_eq!(minimum(RiskSource::IdProtection, &[Low, High]), None);
        assert_eq!(minimum(RiskSource::IdProtection, &[Low, Medium]), None);
        assert_eq!(minimum(RiskSource::IdProtection, &[Medium, High]), Some(Medium));
        assert_eq!(from_minimum(RiskSource::IdProtection, Medium), [Medium, High]);
    }

    #[test]
    fn an_approval_covers_what_it_saw_and_below_and_one_without_a_level_covers_none() {
        use RiskLevel::{High, Low, Medium, None, Undetermined};
        let mut cover = Cover::default();
        assert!(cover.covers(None) && !cover.covers(Low) && !cover.covers(Undetermined));
        cover.add(Medium);
        cover.add(Low);
        assert!(cover.covers(Low) && cover.covers(Medium) && !cover.covers(High) && !cover.covers(Undetermined));
        let mut blind = Cover::default();
        blind.add(Undetermined);
        assert!(blind.covers(Undetermined) && !blind.covers(Low));
    }

    #[test]
    fn words_that_are_withheld_or_not_known_are_no_level() {
        let judged = |level, state| {
            let (level, state) = told(level, state);
            id_protection_level(level, state)
        };
        for (level, state, wanted) in [
            ("medium", "atRisk", RiskLevel::Medium),
            ("HIGH", "ATRISK", RiskLevel::High),
            ("none", "none", RiskLevel::None),
            ("high", "dismissed", RiskLevel::None),
            ("low", "remediated", RiskLevel::None),
            ("none", "confirmedSafe", RiskLevel::None),
            ("low", "confirmedCompromised", RiskLevel::High),
            ("hidden", "confirmedCompromised", RiskLevel::High),
            ("hidden", "atRisk", RiskLevel::Undetermined),
            ("hidden", "none", RiskLevel::Undetermined),
            ("hidden", "dismissed", RiskLevel::Undetermined),
            ("unknownFutureValue", "atRisk", RiskLevel::Undetermined),
            ("none", "unknownFutureValue", RiskLevel::Undetermined),
            ("high", "quarantined", RiskLevel::Undetermined),
            ("", "", RiskLevel::Undetermined),
        ] {
            assert_eq!(judged(Some(level), Some(state)), wanted, "{level} {state}");
        }
        assert_eq!(judged(None, Some("none")), RiskLevel::Undetermined);
        assert_eq!(judged(Some("none"), None), RiskLevel::Undetermined);
    }

    #[test]
    fn only_risk_that_is_there_counts() {
        assert_eq!(id_protection_level(RiskLevel::High, RiskState::Dismissed), RiskLevel::None);
        assert_eq!(id_protection_level(RiskLevel::Low, RiskState::ConfirmedCompromised), RiskLevel::High);
        assert_eq!(id_protection_level(RiskLevel::Medium, RiskState::AtRisk), RiskLevel::Medium);
    }
}
