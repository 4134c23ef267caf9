//! How much one person, or one address, may ask for: token buckets.
//!
//! A bucket is one number, the moment at which it is full again; whoever is past it has a full one, and needs no entry. What is taken
//! moves it on, what is given back moves it back. The time is always the caller's.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entity::Timestamp;

use super::Limits;
use super::crowd::place;
use crate::auth::Principal;

/// How large a bucket is, and how fast it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// What a full bucket holds.
    pub burst: u64,
    /// What comes back each minute.
    pub per_minute: u64,
}

/// A minute, in microseconds.
const MINUTE: u128 = 60_000_000;

impl Rate {
    /// How long `units` take to come back, in microseconds: rounded up, so that nobody gains by asking for little.
    fn time(self, units: u64) -> i64 {
        let micros = (u128::from(units) * MINUTE).div_ceil(u128::from(self.per_minute.max(1)));
        // A quarter of all time is for ever, and leaves room to add.
        i64::try_from(micros).unwrap_or(i64::MAX).min(i64::MAX / 4)
    }

    /// How far a bucket is from full at `now`. A clock that was set back does not make it emptier than empty.
    fn missing(self, full_at: Timestamp, now: Timestamp) -> i64 {
        full_at.0.saturating_sub(now.0).clamp(0, self.time(self.burst))
    }

    /// The moment at which a bucket is full again; one that a clock has written which was set back since is empty, and fills from now on.
    fn full_at(self, full_at: Timestamp, now: Timestamp) -> Timestamp {
        Timestamp(full_at.0.min(now.0.saturating_add(self.time(self.burst))))
    }

    /// Takes `units` at `now` from a bucket that is full at `full_at`; what is more than a full bucket holds takes all of a full one.
    fn take(self, full_at: Timestamp, now: Timestamp, units: u64) -> Result<Timestamp, Duration> {
        let after = self.missing(full_at, now) + self.time(units.min(self.burst));
        match u64::try_from(after - self.time(self.burst)) {
            Ok(wait @ 1..) => Err(Duration::from_micros(wait)),
            _ => Ok(Timestamp(now.0.saturating_add(after))),
        }
    }

    /// What can be taken at `now` from a bucket that is full at `full_at`.
    fn left(self, full_at: Timestamp, now: Timestamp) -> u64 {
        let room = self.time(self.burst) - self.missing(full_at, now);
        let units = u128::from(room.unsigned_abs()) * u128::from(self.per_minute.max(1)) / MINUTE;
        u64::try_from(units).unwrap_or(u64::MAX).min(self.burst)
    }
}

/// Buckets of one rate, one for each key, in bounded memory.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    rate: Rate,
    limit: usize,
    inner: Mutex<Inner<K>>,
}

#[derive(Debug)]
struct Inner<K> {
    full_at: HashMap<K, Timestamp>,
    /// Shared by everybody for whom there is no room.
    others: Timestamp,
    /// With so many entries somebody looks for full buckets, which need none.
    sweep_at: usize,
}

/// Where looking for full buckets begins.
const FIRST_SWEEP: usize = 1024;

const LONG_AGO: Timestamp = Timestamp(i64::MIN);

impl<K: Eq + Hash + Clone> Buckets<K> {
    /// No more than `limit` keys have a bucket of their own at a time; the others share one.
    pub fn new(rate: Rate, limit: usize) -> Buckets<K> {
        let inner = Inner { full_at: HashMap::new(), others: LONG_AGO, sweep_at: FIRST_SWEEP.min(limit) };
        Buckets { rate, limit, inner: Mutex::new(inner) }
    }

    /// Takes `units` from the bucket of `key`.
    ///
    /// # Errors
    /// How long until there are enough. Nothing is taken.
    pub fn take(&self, key: &K, now: Timestamp, units: u64) -> Result<(), Duration> {
        let mut inner = self.lock();
        if let Some(full_at) = inner.full_at.get_mut(key) {
            *full_at = self.rate.full_at(*full_at, now);
            *full_at = self.rate.take(*full_at, now, units)?;
            return Ok(());
        }
        if inner.full_at.len() >= inner.sweep_at {
            inner.full_at.retain(|_, full_at| *full_at > now);
            inner.sweep_at = (2 * inner.full_at.len()).max(FIRST_SWEEP).min(self.limit);
        }
        if inner.full_at.len() < self.limit {
            let full_at = self.rate.take(LONG_AGO, now, units)?;
            inner.full_at.insert(key.clone(), full_at);
        } else {
            inner.others = self.rate.full_at(inner.others, now);
            inner.others = self.rate.take(inner.others, now, units)?;
        }
        Ok(())
    }

    /// Gives back what was taken and not used.
    pub fn give_back(&self, key: &K, units: u64) {
        if let Some(full_at) = self.lock().full_at.get_mut(key) {
            full_at.0 = full_at.0.saturating_sub(self.rate.time(units.min(self.rate.burst)));
        }
    }

    /// What can be taken from the bucket of `key`.
    pub fn left(&self, key: &K, now: Timestamp) -> u64 {
        let full_at = self.lock().full_at.get(key).copied().unwrap_or(LONG_AGO);
        self.rate.left(full_at, now)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an operation is counted as before it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Price {
    /// What it can cost: the values that its answer can have.
    pub cost: u64,
    /// How many of its fields decide.
    pub decisions: u64,
}

/// How many people, and how many addresses, have buckets of their own.
const PEOPLE: usize = 100_000;
const ADDRESSES: usize = 50_000;

/// Every bucket of the doors.
#[derive(Debug)]
pub(super) struct Rates {
    costs: Buckets<Principal>,
    decisions: Buckets<Principal>,
    failures: Buckets<IpAddr>,
}

impl Rates {
    pub fn new(limits: &Limits) -> Rates {
        Rates {
            costs: Buckets::new(limits.cost, PEOPLE),
            decisions: Buckets::new(limits.decisions, PEOPLE),
            failures: Buckets::new(limits.failures, ADDRESSES),
        }
    }

    /// Takes what an operation can cost.
    ///
    /// # Errors
    /// How long to wait.
    pub fn take(&self, who: &Principal, price: Price, now: Timestamp) -> Result<(), Duration> {
        if price.decisions > 0 {
            self.decisions.take(who, now, price.decisions)?;
        }
        self.costs.take(who, now, price.cost).inspect_err(|_| self.decisions.give_back(who, price.decisions))
    }

    /// Gives back what an operation did not cost after all. Its decisions count whatever came of them.
    pub fn settle(&self, who: &Principal, unused: u64) {
        if unused > 0 {
            self.costs.give_back(who, unused);
        }
    }

    /// How large somebody's bucket of cost is, what it holds now, and what comes back in a minute.
    pub fn costs(&self, who: &Principal, now: Timestamp) -> (Rate, u64) {
        (self.costs.rate, self.costs.left(who, now))
    }

    /// Somebody at this address is not who they say.
    ///
    /// # Errors
    /// There were too many such: how long to wait.
    pub fn fail(&self, address: IpAddr, now: Timestamp) -> Result<(), Duration> {
        self.failures.take(&place(address), now, 1)
    }
}

#[cfg(test)]
mod tests {
    use entity::UserId;
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_772_442_000_000_000);

    fn at(micros: i64) -> Timestamp {
        Timestamp(NOW.0 + micros)
    }

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_what_comes_back() {
        let buckets = Buckets::new(Rate { burst: 10, per_minute: 60 }, 10);
        assert_eq!(buckets.left(&"ada", NOW), 10);
        buckets.take(&"ada", NOW, 9).unwrap();
        assert_eq!(buckets.left(&"ada", NOW), 1);
        assert_eq!(buckets.take(&"ada", NOW, 3), Err(Duration::from_secs(2)));
        assert_eq!(buckets.left(&"ada", NOW), 1, "a refusal takes nothing");
        assert_eq!(buckets.take(&"bob", NOW, 10), Ok(()), "everybody has their own");
        assert_eq!(buckets.take(&"ada", at(1_999_999), 3), Err(Duration::from_micros(1)));
        assert_eq!(buckets.take(&"ada", at(2_000_000), 3), Ok(()));
        buckets.give_back(&"ada", 2);
        assert_eq!(buckets.left(&"ada", at(2_000_000)), 2);
        assert_eq!(buckets.left(&"ada", at(3_600_000_000)), 10, "it does not overflow");
    }

    #[test]
    fn what_is_more_than_a_bucket_holds_takes_a_full_one() {
        let buckets = Buckets::new(Rate { burst: 10, per_minute: 60 }, 10);
        assert_eq!(buckets.take(&"ada", NOW, 11), Ok(()));
        assert_eq!(buckets.take(&"ada", NOW, 11), Err(Duration::from_secs(10)));
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let buckets = Buckets::new(Rate { burst: 10, per_minute: 60 }, 10);
        buckets.take(&"ada", NOW, 10).unwrap();
        assert_eq!(buckets.take(&"ada", at(-86_400_000_000), 10), Err(Duration::from_secs(10)));
        assert_eq!(buckets.take(&"ada", at(-86_390_000_001), 10), Err(Duration::from_micros(1)));
        assert_eq!(buckets.take(&"ada", at(-86_390_000_000), 10), Ok(()), "after the time that was named");
    }

    #[test]
    fn full_buckets_are_forgotten_and_the_others_are_bounded() {
        let buckets = Buckets::new(Rate { burst: 2, per_minute: 60 }, 2_000);
        for key in 0..2_000 {
            buckets.take(&key, NOW, 1).unwrap();
        }
        assert_eq!(buckets.lock().full_at.len(), 2_000);
        // There is no room: these share one.
        assert_eq!((buckets.take(&2_000, NOW, 1), buckets.take(&2_001, NOW, 1)), (Ok(()), Ok(())));
        assert!(buckets.take(&2_002, NOW, 1).is_err());
        assert!(buckets.take(&0, NOW, 1).is_ok(), "who has one keeps it");
        assert_eq!(buckets.take(&2_002, at(1_000_000), 1), Ok(()));
        assert_eq!(buckets.lock().full_at.len(), 2, "of the others only the one that is not full is left");
    }

    #[test]
    fn a_decision_is_counted_even_where_the_cost_is_not() {
        let limits = Limits {
            cost: Rate { burst: 10, per_minute: 60 },
            decisions: Rate { burst: 3, per_minute: 60 },
            failures: Rate { burst: 1, per_minute: 60 },
            ..Limits::default()
        };
        let (rates, ada) = (Rates::new(&limits), Principal::Person(UserId(uuid::Uuid::from_u128(1))));
        let price = Price { cost: 8, decisions: 2 };
        rates.take(&ada, price, NOW).unwrap();
        rates.settle(&ada, 7);
        assert_eq!(rates.costs(&ada, NOW), (limits.cost, 9));
        assert_eq!(rates.take(&ada, price, NOW), Err(Duration::from_secs(1)), "two decisions, and one is left");
        rates.take(&ada, Price { cost: 9, decisions: 0 }, NOW).unwrap();
        assert!(rates.take(&ada, Price { cost: 1, decisions: 1 }, NOW).is_err());
        assert_eq!(rates.decisions.left(&ada, NOW), 1, "what was refused for its cost decided nothing");
        let address = "2001:db8::1".parse().unwrap();
        rates.fail(address, NOW).unwrap();
        assert_eq!(rates.fail("2001:db8::2".parse().unwrap(), NOW), Err(Duration::from_secs(1)));
        rates.fail("192.0.2.1".parse().unwrap(), NOW).unwrap();
    }

    #[derive(Debug, Clone)]
    enum Move {
        Pass(u32),
        Take(u64),
        GiveBack(u64),
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            (0_u32..20_000_000).prop_map(Move::Pass),
            (0_u64..50).prop_map(Move::Take),
            (0_u64..50).prop_map(Move::GiveBack),
        ];
        prop::collection::vec(one, 1..60)
    }

    proptest! {
        /// Against the plain model: a level that grows with time up to the burst. And what the bucket says of itself is true: what is
        /// left can be taken, one more cannot, and after the time it names what was refused can, and not before.
        #[test]
        fn a_bucket_is_a_level_that_grows(burst in 1_u64..40, per_minute in 1_u64..1_000, moves in moves()) {
            let rate = Rate { burst, per_minute };
            let (mut full_at, mut now, mut level) = (LONG_AGO, NOW, burst as f64);
            let mut taken = 0;
            for step in moves {
                match step {
                    Move::Pass(micros) => {
                        now = Timestamp(now.0 + i64::from(micros));
                        level = (level + f64::from(micros) * per_minute as f64 / 6e7).min(burst as f64);
                    }
                    Move::Take(units) => {
                        let asked = units.min(burst);
                        match rate.take(full_at, now, units) {
                            Ok(after) => {
                                prop_assert!(asked as f64 <= level + 1e-3, "{asked} of {level}");
                                (full_at, level, taken) = (after, level - asked as f64, taken + asked);
                            }
                            Err(wait) => {
                                prop_assert!(asked as f64 >= level - 1e-3, "{asked} of {level} refused");
                                let then = Timestamp(now.0 + i64::try_from(wait.as_micros()).unwrap());
                                prop_assert!(rate.take(full_at, then, units).is_ok());
                                prop_assert!(rate.take(full_at, Timestamp(then.0 - 1), units).is_err());
                            }
                        }
                    }
                    Move::GiveBack(units) => {
                        let given = units.min(taken);
                        taken -= given;
                        full_at = Timestamp(full_at.0.saturating_sub(rate.time(given)));
                        level = (level + given as f64).min(burst as f64);
                    }
                }
                let left = rate.left(full_at, now);
                prop_assert!((left as f64 - level).abs() <= 1.0 + 1e-3, "{left} and {level}");
                prop_assert!(rate.take(full_at, now, left).is_ok());
                prop_assert!(left == burst || rate.take(full_at, now, left + 1).is_err());
            }
        }
    }
}
