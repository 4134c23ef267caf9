//! How long what a source said counts. What is too old, or was said before something became known to have changed, says nothing: not
//! even that there is no risk.

use entity::{Origin, RiskLevel, RiskState, Seconds, Timestamp, risk_sweep, user_risk};

use super::risk::id_protection_level;

/// Clocks of two instances differ by no more than this: each is within two seconds of the database's.
const SKEW: Seconds = Seconds(4);

/// Was a moment written down by a clock that was wrong, and was set back since? By its date it would be young for too long.
pub fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at > now.plus(SKEW)
}

/// What is known of somebody's risk without asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What the source said of the person last.
    pub row: Option<user_risk::Model>,
    /// The last complete reading of everybody.
    pub sweep: Option<risk_sweep::Model>,
    /// The directory's version since which the person is in it and enabled.
    pub since: Option<i64>,
}

impl Known {
    /// The same without what a clock has dated that was wrong. A change that became known then may have come after anything else: the
    /// person must be asked about.
    pub fn sane(mut self, now: Timestamp) -> Known {
        self.sweep = self.sweep.filter(|sweep| !is_ahead(sweep.complete_as_of, now));
        if let Some(row) = &mut self.row {
            row.read_at = row.read_at.filter(|read_at| !is_ahead(*read_at, now));
            if row.changed_at.is_some_and(|changed_at| is_ahead(changed_at, now)) {
                (row.read_at, row.changed_at, self.sweep) = (None, None, None);
            }
        }
        self
    }
}

/// A level that counts now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fresh {
    /// The level.
    pub level: RiskLevel,
    /// Where it comes from.
    pub origin: Origin,
    /// When it was read.
    pub read_at: Timestamp,
    /// When the source changed it last, where it knows of a change.
    pub source_updated_at: Option<Timestamp>,
}

/// What counts now of what is known; nothing where the person must be asked about.
pub fn judge(known: &Known, now: Timestamp, max_age: Seconds) -> Option<Fresh> {
    let known = known.clone().sane(now);
    let oldest = now.minus(max_age);
    let row = known.row.as_ref();
    let changed_at = row.and_then(|row| row.changed_at);
    let said = |origin, read_at| Fresh {
        level: row.map_or(RiskLevel::None, |row| id_protection_level(row.level, row.state)),
        origin,
        read_at,
        source_updated_at: row.filter(|row| row.state != RiskState::None).map(|row| row.last_updated_at),
    };
    let complete = known.sweep.as_ref().map(|sweep| sweep.complete_as_of);
    if let Some(read_at) = row.and_then(|row| row.read_at)
        && read_at >= oldest
        && changed_at.is_none_or(|changed_at| changed_at <= read_at)
        && complete.is_none_or(|complete| complete <= read_at)
    {
        return Some(said(Origin::Single, read_at));
    }
    let sweep = known.sweep.as_ref()?;
    let is_newer = known.since.is_none_or(|since| since > sweep.directory_version);
    let is_outdated = changed_at.is_some_and(|changed_at| changed_at >= sweep.complete_as_of);
    (sweep.complete_as_of >= oldest && !is_newer && !is_outdated).then(|| said(Origin::Sweep, sweep.complete_as_of))
}

#[cfg(test)]
mod tests {
    use entity::{RiskSource, UserId};
    use proptest::prelude::*;

    use super::*;

    const MAX_AGE: Seconds = Seconds(300);

    fn at(second: i64) -> Timestamp {
        Timestamp(second * 1_000_000)
    }

    fn known(row: Option<(RiskLevel, Option<i64>, Option<i64>)>, sweep: Option<i64>, since: Option<i64>) -> Known {
        let row = row.map(|(level, read_at, changed_at)| user_risk::Model {
            user_id: UserId(uuid::Uuid::nil()),
            level,
            state: RiskState::AtRisk,
            detail: None,
            last_updated_at: at(1),
            read_at: read_at.map(at),
            changed_at: changed_at.map(at),
        });
        let sweep = sweep.map(|second| risk_sweep::Model {
            source: RiskSource::IdProtection,
            complete_as_of: at(second),
            directory_version: 5,
        });
        Known { row, sweep, since }
    }

    fn level(known: &Known, now: i64) -> Option<(RiskLevel, Origin)> {
        judge(known, at(now), MAX_AGE).map(|fresh| (fresh.level, fresh.origin))
    }

    #[test]
    fn absence_from_a_young_sweep_is_no_risk_and_from_an_old_one_nothing() {
        let absent = known(None, Some(1_000), Some(5));
        assert_eq!(level(&absent, 1_000), Some((RiskLevel::None, Origin::Sweep)));
        assert_eq!(level(&absent, 1_300), Some((RiskLevel::None, Origin::Sweep)));
        assert_eq!(level(&absent, 1_301), None);
        assert_eq!(level(&known(None, None, Some(1)), 1_000), None);
        assert_eq!(level(&known(None, Some(1_000), Some(6)), 1_000), None, "newer than the sweep");
        assert_eq!(level(&known(None, Some(1_000), None), 1_000), None, "nobody of the directory");
    }

    #[test]
    fn a_reading_of_one_person_stands_until_something_newer() {
        let read = |sweep| known(Some((RiskLevel::High, Some(1_100), None)), sweep, Some(9));
        assert_eq!(level(&read(None), 1_400), Some((RiskLevel::High, Origin::Single)));
        assert_eq!(level(&read(None), 1_401), None);
        assert_eq!(level(&read(Some(1_000)), 1_200), Some((RiskLevel::High, Origin::Single)));
        assert_eq!(level(&read(Some(1_200)), 1_200), None, "the sweep is newer, and does not know the person");
        let changed = known(Some((RiskLevel::High, Some(1_100), Some(1_101))), Some(1_050), Some(1));
        assert_eq!(level(&changed, 1_110), None, "known to have changed since");
        let swept = known(Some((RiskLevel::High, Some(1_100), Some(1_101))), Some(1_102), Some(1));
        assert_eq!(level(&swept, 1_110), Some((RiskLevel::High, Origin::Sweep)));
    }

    #[test]
    fn what_a_wrong_clock_has_dated_is_not_young() {
        let said = |row, sweep| level(&known(row, sweep, Some(1)), 1_000);
        assert_eq!(said(None, Some(1_004)), Some((RiskLevel::None, Origin::Sweep)), "clocks may differ that much");
        assert_eq!(said(None, Some(1_005)), None);
        let read = |at, changed| Some((RiskLevel::Low, Some(at), changed));
        assert_eq!(said(read(1_005, None), None), None);
        assert_eq!(said(read(1_005, None), Some(990)), Some((RiskLevel::Low, Origin::Sweep)));
        assert_eq!(said(read(1_000, Some(1_005)), Some(990)), None, "it changed at some time");
        let sane = known(read(1_005, Some(1_006)), Some(990), Some(1)).sane(at(1_000));
        let row = sane.row.expect("a row");
        assert_eq!(
            (row.read_at, row.changed_at, sane.sweep),
            (None, None, None),
            "nothing is newer than an answer of now"
        );
    }

    proptest! {
        #[test]
        fn what_counts_is_never_too_old_nor_older_than_a_known_change(
            row in proptest::option::of((Just(RiskLevel::Low), proptest::option::of(0..1_100i64), proptest::option::of(0..1_100i64))),
            sweep in proptest::option::of(0..1_100i64),
            since in proptest::option::of(0..9i64),
            now in 900..1_000i64,
        ) {
            let known = known(row, sweep, since);
            if let Some(fresh) = judge(&known, at(now), MAX_AGE) {
                prop_assert!((at(now - MAX_AGE.0)..=at(now).plus(SKEW)).contains(&fresh.read_at));
                let changed_at = known.row.as_ref().and_then(|row| row.changed_at);
                prop_assert!(changed_at.is_none_or(|changed_at| changed_at <= fresh.read_at));
                if fresh.origin == Origin::Sweep {
                    prop_assert!(since.is_some_and(|since| since <= 5));
                }
            }
        }
    }
}
