//! Moments and spans of time.

use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use sea_orm::DeriveValueType;
use serde::{Deserialize, Serialize};

/// A moment: microseconds since 1970-01-01T00:00:00Z, the finest that both databases and every client keep.
///
/// A plan is made before its commit, and only the commit knows its time. What is counted from there
/// ([`Timestamp::COMMIT`], [`Timestamp::after_commit`]) is resolved by the committer ([`crate::Row::stamp`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, DeriveValueType)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// Below this a value is counted from the commit; year 290,000 before our era is nobody's moment.
const FROM_COMMIT: i64 = i64::MIN / 2;

impl Timestamp {
    /// The time of the commit that carries the row.
    pub const COMMIT: Timestamp = Timestamp(i64::MIN);

    /// So long after the commit that carries the row.
    pub fn after_commit(span: Seconds) -> Timestamp {
        Timestamp(i64::MIN + span.micros())
    }

    /// The moment itself, once the commit's time is known.
    pub fn resolved(self, now: Timestamp) -> Timestamp {
        if self.0 < FROM_COMMIT { Timestamp(now.0.saturating_add(self.0 - i64::MIN)) } else { self }
    }

    /// The moment so much later.
    pub fn plus(self, span: Seconds) -> Timestamp {
        Timestamp(self.0.saturating_add(span.micros()))
    }

    /// The moment so much earlier.
    pub fn minus(self, span: Seconds) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.micros()))
    }

    /// From chrono, cut to microseconds.
    pub fn from_datetime(at: DateTime<Utc>) -> Timestamp {
        Timestamp(at.timestamp_micros())
    }

    /// As chrono has it; a value out of chrono's range becomes its nearest end.
    pub fn datetime(self) -> DateTime<Utc> {
        match Utc.timestamp_micros(self.0) {
            chrono::LocalResult::Single(at) => at,
            _ if self.0 < 0 => DateTime::<Utc>::MIN_UTC,
            _ => DateTime::<Utc>::MAX_UTC,
        }
    }

    /// RFC 3339 in UTC with `Z`.
    pub fn rfc3339(self) -> String {
        self.datetime().to_rfc3339_opts(SecondsFormat::AutoSi, true)
    }
}

/// A span of time in whole seconds.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, DeriveValueType,
)]
#[serde(transparent)]
pub struct Seconds(pub i64);

impl Seconds {
    /// So many days of 24 hours.
    pub const fn days(days: i64) -> Seconds {
        Seconds(days * 86_400)
    }

    /// So many minutes.
    pub const fn minutes(minutes: i64) -> Seconds {
        Seconds(minutes * 60)
    }

    /// So many hours.
    pub const fn hours(hours: i64) -> Seconds {
        Seconds(hours * 3_600)
    }

    fn micros(self) -> i64 {
        self.0.saturating_mul(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_counted_from_the_commit_is_resolved_and_another_stays() {
        let now = Timestamp(1_700_000_000_000_000);
        assert_eq!(Timestamp::COMMIT.resolved(now), now);
        assert_eq!(Timestamp::after_commit(Seconds(3)).resolved(now), Timestamp(now.0 + 3_000_000));
        assert_eq!(Timestamp(5).resolved(now), Timestamp(5));
        assert_eq!(Timestamp(-5).resolved(now), Timestamp(-5));
    }

    #[test]
    fn moments_are_shown_in_utc_with_z() {
        assert_eq!(Timestamp(1_700_000_000_000_000).rfc3339(), "2023-11-14T22:13:20Z");
        assert_eq!(Timestamp(1_700_000_000_123_456).rfc3339(), "2023-11-14T22:13:20.123456Z");
    }
}
