//! Which instance does what only one of them should, and at what pace all of them together ask somebody outside. Small conditional
//! statements of their own, beside the log: nothing that a plan relies on stands here.

use entity::{Seconds, Timestamp};
use sea_orm::{ConnectionTrait, QueryResult, Statement};

use super::sql::{self, Db, Params};
use super::{Read, Store, StoreError, pool};

/// What is further away than this was written by a clock that was wrong.
const NONSENSE: i64 = 15 * 60 * 1_000_000;

/// When something outside may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// From then on.
    pub at: Timestamp,
    /// How many questions failed one after the other before this one.
    pub failures: i64,
}

/// How asking somebody outside has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Nobody asks before this moment.
    pub not_before: Timestamp,
    /// How many questions failed one after the other.
    pub failures: i64,
    /// The last answer.
    pub succeeded_at: Option<Timestamp>,
    /// The last question that failed.
    pub failed_at: Option<Timestamp>,
    /// Questions since the moment that was asked for.
    pub calls: i64,
    /// Of these, how many were too many for whoever was asked.
    pub throttles: i64,
}

impl Pace {
    /// Does nobody ask now, because whoever is asked wants to be left alone?
    pub fn is_at_rest(&self, now: Timestamp) -> bool {
        (now.0 + 1..=now.0 + NONSENSE).contains(&self.not_before.0)
    }
}

impl Store {
    /// Is it `holder` who does this until `until`? Whoever has it keeps it; at its end anybody may take it.
    pub async fn hold(&self, name: &str, holder: &str, now: Timestamp, until: Timestamp) -> Read<bool> {
        let mut params = Params::new(self.db);
        let (name, holder) = (params.add(name), params.add(holder));
        let far = params.add(Timestamp(until.0 + NONSENSE));
        let (until, now) = (params.add(until), params.add(now));
        let text = format!(
            "INSERT INTO lease (name, holder, until) VALUES ({name}, {holder}, {until}) ON CONFLICT (name) DO UPDATE \
             SET holder = excluded.holder, until = excluded.until WHERE lease.holder = excluded.holder OR lease.until <= {now} \
             OR lease.until > {far}"
        );
        Ok(self.aside(params.statement(text)).await? == 1)
    }

    /// Gives it back before its end.
    pub async fn let_go(&self, name: &str, holder: &str) -> Read<()> {
        let mut params = Params::new(self.db);
        let (name, holder) = (params.add(name), params.add(holder));
        let text = format!("DELETE FROM lease WHERE name = {name} AND holder = {holder}");
        self.aside(params.statement(text)).await.map(|_| ())
    }

    /// Takes the next turn to ask, where one is free until `latest`; all instances together get one in each `interval`.
    pub async fn take_turn(
        &self,
        name: &str,
        now: Timestamp,
        latest: Timestamp,
        interval: Seconds,
    ) -> Read<Option<Slot>> {
        let mut params = Params::new(self.db);
        let (asked, now_at, latest) = (params.add(name), params.add(now), params.add(latest));
        let (step, far) = (params.add(interval.0 * 1_000_000), params.add(Timestamp(now.0 + NONSENSE)));
        let max = self.max();
        let sane = |column: &str| format!("CASE WHEN {column} > {far} THEN 0 ELSE {column} END");
        let slot = format!("{max}({}, {max}({}, {now_at}))", sane("next_at"), sane("not_before"));
        let text = format!(
            "UPDATE pace SET next_at = {slot} + {step} WHERE name = {asked} AND {slot} <= {latest} RETURNING next_at - {step} AS at, failures"
        );
        let Some(row) = self.aside_row(params.statement(text)).await? else { return Ok(None) };
        let slot = Slot { at: Timestamp(row.try_get("", "at")?), failures: row.try_get("", "failures")? };
        self.count(name, now, true).await?;
        Ok(Some(slot))
    }

    /// An answer came.
    pub async fn turn_went_well(&self, name: &str, now: Timestamp) -> Read<()> {
        let mut params = Params::new(self.db);
        let (name, now) = (params.add(name), params.add(now));
        let text = format!("UPDATE pace SET failures = 0, succeeded_at = {now} WHERE name = {name}");
        self.aside(params.statement(text)).await.map(|_| ())
    }

    /// None came; nobody asks again before `not_before`, where there is one.
    pub async fn turn_failed(
        &self,
        name: &str,
        now: Timestamp,
        not_before: Option<Timestamp>,
        is_throttle: bool,
    ) -> Read<()> {
        let mut params = Params::new(self.db);
        let (named, failed_at) = (params.add(name), params.add(now));
        let not_before = params.add(not_before.unwrap_or(Timestamp(0)));
        let max = self.max();
        let text = format!(
            "UPDATE pace SET failures = failures + 1, failed_at = {failed_at}, not_before = {max}(not_before, {not_before}) \
             WHERE name = {named}"
        );
        self.aside(params.statement(text)).await?;
        if is_throttle { self.count(name, now, false).await } else { Ok(()) }
    }

    async fn count(&self, name: &str, now: Timestamp, is_call: bool) -> Read<()> {
        let mut params = Params::new(self.db);
        let (name, minute) = (params.add(name), params.add(now.0.div_euclid(60_000_000)));
        let (calls, throttles) = if is_call { (1, 0) } else { (0, 1) };
        let text = format!(
            "INSERT INTO pace_minute (name, minute, calls, throttles) VALUES ({name}, {minute}, {calls}, {throttles}) \
             ON CONFLICT (name, minute) DO UPDATE SET calls = pace_minute.calls + {calls}, throttles = pace_minute.throttles + {throttles}"
        );
        self.aside(params.statement(text)).await.map(|_| ())
    }

    /// Forgets the counts of before `since`.
    pub async fn forget_pace(&self, since: Timestamp) -> Read<()> {
        let mut params = Params::new(self.db);
        let minute = params.add(since.0.div_euclid(60_000_000));
        self.aside(params.statement(format!("DELETE FROM pace_minute WHERE minute < {minute}"))).await.map(|_| ())
    }

    /// How asking has gone, with the counts since a moment.
    pub async fn pace(&self, name: &str, since: Timestamp) -> Read<Pace> {
        let mut params = Params::new(self.db);
        let (name, minute) = (params.add(name), params.add(since.0.div_euclid(60_000_000)));
        let sum = |column: &str| {
            format!(
                "(SELECT CAST(COALESCE(SUM({column}), 0) AS BIGINT) FROM pace_minute m WHERE m.name = p.name AND m.minute > {minute})"
            )
        };
        let text = format!(
            "SELECT not_before, failures, succeeded_at, failed_at, {} AS calls, {} AS throttles FROM pace p WHERE p.name = {name}",
            sum("calls"),
            sum("throttles")
        );
        let row = self.one(params.statement(text)).await?;
        let row =
            row.ok_or_else(|| StoreError::Data("a pace is not there that was there from the start".to_owned()))?;
        let moment = |column: &str| row.try_get::<Option<i64>>("", column).map(|at| at.map(Timestamp));
        Ok(Pace {
            not_before: Timestamp(row.try_get("", "not_before")?),
            failures: row.try_get("", "failures")?,
            succeeded_at: moment("succeeded_at")?,
            failed_at: moment("failed_at")?,
            calls: row.try_get("", "calls")?,
            throttles: row.try_get("", "throttles")?,
        })
    }

    /// The larger of two.
    fn max(&self) -> &'static str {
        match self.db {
            Db::Sqlite => "MAX",
            Db::Postgres => "GREATEST",
        }
    }

    pub(super) async fn aside(&self, statement: Statement) -> Read<u64> {
        let mut tries = sql::TRIES;
        loop {
            let lease = self.aside.lease();
            let asked = lease.connection.execute_raw(statement.clone());
            match self.aside.answer(&lease, pool::LIMIT, asked).await? {
                // A turn that was taken twice is a turn lost, no more.
                Err(error) if tries > 1 && sql::is_cut(&error) => tries -= 1,
                answer => return Ok(answer?.rows_affected()),
            }
        }
    }

    async fn aside_row(&self, statement: Statement) -> Read<Option<QueryResult>> {
        let mut tries = sql::TRIES;
        loop {
            let lease = self.aside.lease();
            let asked = lease.connection.query_one_raw(statement.clone());
            match self.aside.answer(&lease, pool::LIMIT, asked).await? {
                Err(error) if tries > 1 && sql::is_cut(&error) => tries -= 1,
                answer => return Ok(answer?),
            }
        }
    }
}
