//! Risk: the order of levels, and what a stored state means now.

use entity::{RiskLevel, RiskSource, RiskState, Timestamp, insider_risk, user_risk};

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

/// The level by which a person in this state is judged: only risk that is there now counts, and a confirmed compromise is the
/// highest.
pub const fn id_protection_level(level: RiskLevel, state: RiskState) -> RiskLevel {
    match state {
        RiskState::AtRisk => level,
        RiskState::ConfirmedCompromised => RiskLevel::High,
        RiskState::None | RiskState::ConfirmedSafe | RiskState::Remediated | RiskState::Dismissed => RiskLevel::None,
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
    fn only_risk_that_is_there_counts() {
        assert_eq!(id_protection_level(RiskLevel::High, RiskState::Dismissed), RiskLevel::None);
        assert_eq!(id_protection_level(RiskLevel::Low, RiskState::ConfirmedCompromised), RiskLevel::High);
        assert_eq!(id_protection_level(RiskLevel::Medium, RiskState::AtRisk), RiskLevel::Medium);
    }
}
