//! Sweeps: everybody at risk, read page by page by one instance at a time. A sweep that is not complete counts for nothing, so one page
//! that does not come is asked for again, rather than all before it.

use std::collections::HashMap;

use entity::{Origin, RiskSource, RiskState, Seconds, Timestamp, UserId, head, risk_sweep, user_risk};
use tracing::{info, warn};

use super::feed::{FeedFault, RiskPage, Told};
use super::lease::Work;
use super::watch::{Inner, PACE, SWEEP_WAIT, Unasked, is_news, observation, row_of};
use super::{ATTEMPTS, Fault, Services};
use crate::domain::backoff;
use crate::domain::plan::{Guard, Plan, Urgency};
use crate::domain::{freshness, risk};
use crate::store::Outcome;

/// More pages than any tenant has.
const PAGES_MAX: usize = 2_000;
/// So long one page may take, with the wait for its turn, before another instance begins anew.
const LEASE: Seconds = Seconds(60);
/// While a page is waited for, other instances hear that often that this one goes on.
const RENEWAL: Seconds = Seconds(20);
/// Rows of one commit, each perhaps with an event.
const CHUNK: usize = 400;

impl Services {
    /// Reads everybody's risk anew where that is due and no other instance does it. Returns whether it did, and when to look again.
    pub async fn sweep_risk(&self) -> Result<(bool, Timestamp), Fault> {
        let Some(watch) = self.watch.as_ref().map(|watch| &*watch.0) else { return Ok((false, Timestamp(i64::MAX))) };
        let now = self.clock.now();
        if let Some(due) = self.next_sweep(watch).await?.filter(|due| *due > now) {
            return Ok((false, due));
        }
        let pace = self.store.pace(PACE, now).await?;
        if pace.is_at_rest(now) {
            return Ok((false, pace.not_before));
        }
        if !self.hold(Work::RiskSweep, LEASE).await? {
            return Ok((false, now.plus(Seconds(5))));
        }
        // Whoever had it before may have swept since we looked.
        if let Some(due) = self.next_sweep(watch).await?.filter(|due| *due > now) {
            self.let_go(Work::RiskSweep).await?;
            return Ok((false, due));
        }
        let swept = self.read_everybody(watch).await;
        // Without it the lease ends by itself.
        let _ = self.let_go(Work::RiskSweep).await;
        swept?;
        Ok((true, now.plus(watch.settings.interval)))
    }

    /// The last one; one that a clock has dated that was wrong says nothing.
    pub(super) async fn last_sweep(&self) -> Result<Option<risk_sweep::Model>, Fault> {
        let (last, now) = (self.store.risk_sweep(RiskSource::IdProtection).await?, self.clock.now());
        Ok(last.filter(|last| !freshness::is_ahead(last.complete_as_of, now)))
    }

    /// When the next one is due; nothing where there was none yet.
    async fn next_sweep(&self, watch: &Inner) -> Result<Option<Timestamp>, Fault> {
        Ok(self.last_sweep().await?.map(|last| last.complete_as_of.plus(watch.settings.interval)))
    }

    async fn read_everybody(&self, watch: &Inner) -> Result<(), Fault> {
        // What is said is so from here on: both moments are before the first question.
        let (began, head) = (self.clock.now(), self.store.head().await?);
        let mut people: HashMap<UserId, Told> = HashMap::new();
        let mut next: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let page = self.next_page(watch, next.as_deref(), began).await?;
            self.keep_sweeping().await?;
            // A page that repeats says of somebody the same again, or something newer.
            people.extend(page.people.into_iter().map(|told| (told.user, told)));
            match page.next {
                None => return self.apply(began, &head, people).await,
                link => next = link,
            }
        }
        Err(Unasked::Feed(FeedFault::Failed("its pages have no end".to_owned())).into())
    }

    /// One page. Where it does not come it is asked for again, by the same link, as long as a sweep that began then may still be of use;
    /// but the first one, before which there is nothing to lose, and one whose link is not known any more, are left to a new sweep.
    async fn next_page(&self, watch: &Inner, next: Option<&str>, began: Timestamp) -> Result<RiskPage, Fault> {
        let useless = began.plus(watch.settings.max_age);
        let mut failures = 0;
        loop {
            let unasked = match watch.ask(SWEEP_WAIT, || watch.feed.page(next)).await {
                // Whoever followed it would never come to an end.
                Ok((_, page)) if next.is_some() && page.next.as_deref() == next => {
                    Unasked::Feed(FeedFault::Failed("a page leads to itself".to_owned()))
                }
                Ok((_, page)) => return Ok(page),
                Err(unasked) => unasked,
            };
            failures += 1;
            let is_lasting = matches!(unasked, Unasked::Store(_) | Unasked::Feed(FeedFault::Expired(_)));
            if next.is_none() || is_lasting || !self.waits_for_page(failures, useless).await? {
                return Err(unasked.into());
            }
            warn!(%unasked, failures, "a page of everybody's risk did not come; it is asked for again");
        }
    }

    /// Leaves the source alone for as long as it wants, and longer each time, and stays the one that sweeps. False: until then the sweep
    /// would be too old to be of use.
    async fn waits_for_page(&self, failures: u32, useless: Timestamp) -> Result<bool, Fault> {
        let now = self.clock.now();
        let luck = uuid::Uuid::new_v4().as_u64_pair().0;
        let least = Timestamp(now.0 + backoff::wait(failures, None, luck));
        let pace = self.store.pace(PACE, now).await?;
        let until = if pace.is_at_rest(now) { pace.not_before.max(least) } else { least };
        if until >= useless {
            return Ok(false);
        }
        while self.clock.now() < until {
            self.keep_sweeping().await?;
            self.clock.until(until.min(self.clock.now().plus(RENEWAL))).await;
        }
        self.keep_sweeping().await?;
        Ok(true)
    }

    /// One instance sweeps at a time; it goes on being that one as long as it reads.
    async fn keep_sweeping(&self) -> Result<(), Fault> {
        if self.hold(Work::RiskSweep, LEASE).await? {
            Ok(())
        } else {
            Err(Fault::Unavailable("another instance sweeps".to_owned()))
        }
    }

    async fn apply(&self, began: Timestamp, head: &head::Model, people: HashMap<UserId, Told>) -> Result<(), Fault> {
        let mut changed = 0;
        for _ in 0..ATTEMPTS {
            let position = self.store.head().await?.position;
            if self.last_sweep().await?.is_some_and(|last| last.complete_as_of >= began) {
                return Err(Fault::Unavailable("another instance has swept meanwhile".to_owned()));
            }
            let rows = self.store.all_user_risks().await?;
            let new = differences(&rows, &people, began, self.clock.now());
            let mut is_stale = false;
            for some in new.chunks(CHUNK) {
                let mut plan = Plan { urgency: Urgency::Background, ..Plan::default() };
                for (row, is_news) in some {
                    plan.guard(Guard::NoNews(row.user_id, position));
                    if *is_news {
                        plan.events.push(observation(row, Origin::Sweep));
                    }
                    plan.rows.user_risks.push(row.clone());
                }
                match self.store.commit(plan).await? {
                    Outcome::Done(_) => changed += some.len(),
                    Outcome::Stale(_) => is_stale = true,
                }
            }
            if is_stale {
                continue;
            }
            let mut plan = Plan { urgency: Urgency::Background, ..Plan::default() };
            let (complete_as_of, directory_version) = (began, head.directory_version);
            let source = RiskSource::IdProtection;
            plan.rows.risk_sweeps.push(risk_sweep::Model { source, complete_as_of, directory_version });
            self.store.commit(plan).await?;
            info!(people = people.len(), changed, "everybody's risk was read");
            return Ok(());
        }
        Err(Fault::Conflict)
    }
}

/// The rows that are otherwise than a sweep says, which began at `began`, and whether each changes what is known of the person's risk.
/// What was read or became known later stays, if not by a clock that was wrong.
fn differences(
    rows: &[user_risk::Model],
    people: &HashMap<UserId, Told>,
    began: Timestamp,
    now: Timestamp,
) -> Vec<(user_risk::Model, bool)> {
    let known: HashMap<UserId, &user_risk::Model> = rows.iter().map(|row| (row.user_id, row)).collect();
    let is_later = |row: &user_risk::Model| {
        [row.read_at, row.changed_at].into_iter().flatten().any(|at| at >= began && !freshness::is_ahead(at, now))
    };
    let said = people.values().map(|told| row_of(told.user, Some(told.clone()), began));
    let silent = rows.iter().filter(|row| !people.contains_key(&row.user_id) && row.state != RiskState::None);
    let mut new: Vec<_> = said
        .chain(silent.map(|row| row_of(row.user_id, None, began)))
        .filter_map(|row| {
            let before = known.get(&row.user_id).copied();
            if before.is_some_and(is_later) {
                return None;
            }
            let is_same = before.is_some_and(|before| {
                !is_news(Some(before), &row)
                    && (before.last_updated_at == row.last_updated_at || row.state == RiskState::None)
            });
            let is_news = is_news(before, &row);
            (!is_same).then_some((row, is_news))
        })
        .collect();
    // Who got worse comes first.
    new.sort_by_key(|(row, _)| {
        (std::cmp::Reverse(risk::rank(risk::id_protection_level(row.level, row.state))), row.user_id)
    });
    new
}

#[cfg(test)]
mod tests {
    use entity::RiskLevel;

    use super::*;

    fn user(number: u128) -> UserId {
        UserId(uuid::Uuid::from_u128(number))
    }

    fn row(number: u128, level: RiskLevel, read_at: Option<i64>, changed_at: Option<i64>) -> user_risk::Model {
        user_risk::Model {
            user_id: user(number),
            level,
            state: if level == RiskLevel::None { RiskState::None } else { RiskState::AtRisk },
            detail: None,
            last_updated_at: Timestamp(1),
            read_at: read_at.map(Timestamp),
            changed_at: changed_at.map(Timestamp),
        }
    }

    fn told(number: u128, level: &str, state: &str) -> (UserId, Told) {
        let user = user(number);
        let (level, state) = (Some(level.to_owned()), Some(state.to_owned()));
        (user, Told { user, level, state, is_processing: false, detail: None, updated_at: Some(Timestamp(1)) })
    }

    #[test]
    fn what_a_wrong_clock_has_dated_gives_way() {
        let rows = [row(1, RiskLevel::Low, Some(9_000_000), None), row(2, RiskLevel::Low, None, Some(9_000_000))];
        let people = HashMap::from([told(1, "high", "atRisk"), told(2, "high", "atRisk")]);
        assert_eq!(differences(&rows, &people, Timestamp(100), Timestamp(200)).len(), 2);
        assert_eq!(differences(&rows, &people, Timestamp(100), Timestamp(9_000_000)).len(), 0);
    }

    #[test]
    fn only_what_is_otherwise_is_written_and_never_over_something_newer() {
        let rows = [
            row(1, RiskLevel::High, None, None),
            row(2, RiskLevel::Low, None, None),
            row(3, RiskLevel::Low, Some(100), None),
            row(4, RiskLevel::Low, Some(99), Some(50)),
            row(5, RiskLevel::Medium, None, Some(100)),
            row(6, RiskLevel::None, None, None),
        ];
        let people = HashMap::from([
            told(1, "high", "atRisk"),
            told(3, "high", "atRisk"),
            told(4, "medium", "atRisk"),
            told(7, "low", "atRisk"),
            told(8, "low", "remediated"),
            told(9, "hidden", "atRisk"),
        ]);
        let new = differences(&rows, &people, Timestamp(100), Timestamp(200));
        let brief: Vec<_> = new.iter().map(|(row, is_news)| (row.user_id.0.as_u128(), row.level, *is_news)).collect();
        assert_eq!(
            brief,
            [
                (9, RiskLevel::Undetermined, true),
                (4, RiskLevel::Medium, true),
                (7, RiskLevel::Low, true),
                (2, RiskLevel::None, true),
                (8, RiskLevel::Low, false),
            ]
        );
        assert!(new.iter().all(|(row, _)| row.read_at.is_none() && row.changed_at.is_none()));
    }
}
