//! The committer: one task on each instance that owns its connection and is never cancelled. It takes the plans that wait as a
//! group and commits them in one transaction under the log's lock, so all commits of a deployment form one sequence.
//!
//! What must stay true: the lock is taken by a statement of its own, before anything is read; events get positions without gaps,
//! in the order of commits; a plan whose guard fails writes nothing and harms no other; after an error at COMMIT nothing is
//! guessed, the commit is looked up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use entity::{CommitId, DirectorySource, Timestamp};
use sea_orm::{ConnectionTrait, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

use super::judge::Live;
use super::log::{self, Link};
use super::pool::{LIMIT, Lease, Pool};
use super::sql::{Db, Params};
use super::stage::{self, Touched};
use super::write::{Writes, put_all, remove};
use super::{Read, StoreError};
use crate::clock::Clock;
use crate::domain::coverage;
use crate::domain::event::NewEvent;
use crate::domain::plan::{DirectoryChange, Guard, Plan, Rows, Urgency};

/// Most plans in a group.
const GROUP_PLANS: usize = 30;
/// Most rows and events in a group.
const GROUP_ROWS: usize = 1_000;
/// Plans that may wait; one more is told to come again.
const QUEUE: usize = 4_096;
/// How far an instance's clock may be off the database server's.
const SKEW_MAX_MICROS: i64 = 2_000_000;
/// Of so many people that a change of the directory touches, the stages that they have to do with are looked for.
const FEW_PEOPLE: usize = 2_000;
/// For a change of the directory, which is as large as the directory.
const DIRECTORY_LIMIT: Duration = Duration::from_secs(600);
/// Key of the log's advisory lock on PostgreSQL: "riskgate" in ASCII.
pub(super) const LOCK: i64 = 0x7269_736b_6761_7465;

/// What became of a plan that was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Committed.
    Done(Receipt),
    /// What it relied on has changed; nothing was written. Gather and plan again.
    Stale(Guard),
}

/// Proof of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The time of the commit.
    pub now: Timestamp,
    /// Position of the plan's last event; the head where it had none.
    pub position: i64,
}

struct Job {
    plan: Plan,
    reply: oneshot::Sender<Read<Outcome>>,
}

/// Where plans are handed in.
#[derive(Clone)]
pub struct Handle {
    people: mpsc::Sender<Job>,
    background: mpsc::Sender<Job>,
    stop: watch::Sender<bool>,
    done: watch::Receiver<bool>,
    state: Arc<State>,
}

/// What the committer tells of itself.
#[derive(Default)]
struct State {
    skew: AtomicI64,
    is_failing: AtomicBool,
    plans: AtomicU64,
    groups: AtomicU64,
}

impl Handle {
    /// Hands a plan in and waits for what becomes of it. Once handed in it runs to its end, whether or not anybody waits.
    pub async fn commit(&self, plan: Plan) -> Read<Outcome> {
        if *self.stop.borrow() {
            return Err(StoreError::Unavailable("the server is stopping".to_owned()));
        }
        let queue = match plan.urgency {
            Urgency::Person => &self.people,
            Urgency::Background => &self.background,
        };
        let (reply, answer) = oneshot::channel();
        queue
            .try_send(Job { plan, reply })
            .map_err(|_| StoreError::Unavailable("too many commits are waiting".to_owned()))?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the server is stopping".to_owned())))
    }

    /// Takes no more plans and waits until those that wait are committed.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let mut done = self.done.clone();
        // The committer is gone when this fails: then it has nothing left either.
        let _ = done.wait_for(|done| *done).await;
    }

    /// Can it commit now? Costs nothing while the last commit went through; after one that did not, tries to take up room.
    pub async fn probe(&self) -> Read<()> {
        if !self.state.is_failing.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.commit(Plan { urgency: Urgency::Background, ..Plan::default() }).await.map(|_| ())
    }

    /// How far this instance's clock was off the database server's at the last commit, in microseconds.
    pub fn skew(&self) -> i64 {
        self.state.skew.load(Ordering::Relaxed)
    }

    /// How many plans, and in how many groups, this instance has committed since its start.
    pub fn counts(&self) -> (u64, u64) {
        (self.state.plans.load(Ordering::Relaxed), self.state.groups.load(Ordering::Relaxed))
    }
}

/// Starts the committer.
pub(super) fn start(db: Db, pool: Pool, clock: Clock, head: watch::Sender<i64>) -> Handle {
    let (people, people_queue) = mpsc::channel(QUEUE);
    let (background, background_queue) = mpsc::channel(QUEUE);
    let (stop, stopping) = watch::channel(false);
    let (done_sender, done) = watch::channel(false);
    let state = Arc::new(State::default());
    let committer = Committer { db, pool, clock, head, state: state.clone() };
    tokio::spawn(async move {
        committer.run(people_queue, background_queue, stopping).await;
        done_sender.send_replace(true);
    });
    Handle { people, background, stop, done, state }
}

struct Committer {
    db: Db,
    pool: Pool,
    clock: Clock,
    head: watch::Sender<i64>,
    state: Arc<State>,
}

impl Committer {
    async fn run(
        self,
        mut people: mpsc::Receiver<Job>,
        mut background: mpsc::Receiver<Job>,
        mut stopping: watch::Receiver<bool>,
    ) {
        loop {
            let first = tokio::select! {
                biased;
                Some(job) = people.recv() => job,
                Some(job) = background.recv() => job,
                // Both queues were empty when this was reached, and no more comes in.
                _ = stopping.wait_for(|stop| *stop) => return,
                else => return,
            };
            let mut size = size(&first.plan);
            let mut group = vec![first];
            while group.len() < GROUP_PLANS && size < GROUP_ROWS && group[0].plan.directory.is_none() {
                let Ok(job) = people.try_recv().or_else(|_| background.try_recv()) else { break };
                if job.plan.directory.is_some() {
                    self.commit(group).await;
                    group = vec![job];
                    break;
                }
                size += self::size(&job.plan);
                group.push(job);
            }
            self.commit(group).await;
        }
    }

    /// Commits a group; where the data of one plan is at fault, each plan alone.
    async fn commit(&self, group: Vec<Job>) {
        let (plans, replies): (Vec<Plan>, Vec<_>) = group.into_iter().map(|job| (job.plan, job.reply)).unzip();
        let attempted = self.attempt(&plans).await;
        self.state.is_failing.store(matches!(attempted, Err(StoreError::Unavailable(_))), Ordering::Relaxed);
        let answers = match attempted {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(StoreError::Data(why)) if plans.len() > 1 => {
                warn!(why, plans = plans.len(), "a group was refused; trying its plans one by one");
                let mut answers = Vec::with_capacity(plans.len());
                for plan in &plans {
                    answers.push(self.attempt(std::slice::from_ref(plan)).await.map(|mut outcomes| outcomes.remove(0)));
                }
                answers
            }
            Err(error) => vec![Err(error); plans.len()],
        };
        for (reply, answer) in replies.into_iter().zip(answers) {
            if let Err(error) = &answer {
                error!(%error, "a plan was not committed");
            }
            // Nobody waits any more where this fails: the commit stands all the same.
            let _ = reply.send(answer);
        }
    }

    async fn attempt(&self, plans: &[Plan]) -> Read<Vec<Outcome>> {
        let lease = self.pool.lease();
        let is_directory = plans.iter().any(|plan| plan.directory.is_some());
        let limit = if is_directory { DIRECTORY_LIMIT } else { LIMIT };
        // What runs into the limit is never committed: its transaction ends with its connection.
        let begun = self.pool.answer(&lease, limit, self.begun(&lease, plans)).await?;
        let (transaction, prepared) = begun?;
        fail_point("before-commit").await;
        let committed = match self.pool.answer(&lease, LIMIT, transaction.commit()).await {
            Ok(answer) => answer.map_err(super::sql::classify),
            Err(silence) => Err(silence),
        };
        if let Err(error) = committed {
            if matches!(error, StoreError::Data(_)) || prepared.is_eventless {
                return Err(error);
            }
            if !self.look_up(prepared.commit_id).await {
                return Err(error);
            }
        }
        let done = prepared.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Done(_))).count();
        self.state.plans.fetch_add(done as u64, Ordering::Relaxed);
        self.state.groups.fetch_add(1, Ordering::Relaxed);
        super::announce(&self.head, prepared.position);
        Ok(prepared.outcomes)
    }

    /// Everything before COMMIT.
    async fn begun(&self, lease: &Lease, plans: &[Plan]) -> Read<(DatabaseTransaction, Prepared)> {
        let transaction = self.begin(lease).await?;
        match self.prepare(&transaction, plans).await {
            Ok(prepared) => Ok((transaction, prepared)),
            Err(error) => {
                // The connection may be gone; then the server rolls back by itself.
                let _ = transaction.rollback().await;
                Err(error)
            }
        }
    }

    async fn begin(&self, lease: &Lease) -> Read<DatabaseTransaction> {
        let sqlite_transaction_mode = (self.db == Db::Sqlite).then_some(SqliteTransactionMode::Immediate);
        let options = TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() };
        let mut tries = super::sql::TRIES;
        let transaction = loop {
            match lease.connection.begin_with_options(options).await {
                // Nothing was sent but BEGIN.
                Err(error) if tries > 1 && super::sql::is_cut(&error) => tries -= 1,
                begun => break begun?,
            }
        };
        if self.db == Db::Postgres {
            let locked = transaction
                .execute_unprepared(&format!(
                    "SET LOCAL lock_timeout = '2s'; SET LOCAL idle_in_transaction_session_timeout = '3s'; \
                     SELECT pg_advisory_xact_lock({LOCK})"
                ))
                .await;
            if let Err(error) = locked {
                let _ = transaction.rollback().await;
                return Err(error.into());
            }
        }
        fail_point("after-lock").await;
        Ok(transaction)
    }

    /// Everything between the lock and COMMIT.
    async fn prepare(&self, transaction: &DatabaseTransaction, plans: &[Plan]) -> Read<Prepared> {
        let mut live = Live::read(self.db, transaction, &plans.iter().collect::<Vec<_>>()).await?;
        let now = self.clock.now();
        self.check_skew(live.server_now, now)?;
        let commit_id = CommitId::new();
        let mut link = Link { position: live.position, hash: live.hash.clone() };
        let (mut rows, mut events) = (Rows::default(), Vec::new());
        let mut outcomes = Vec::with_capacity(plans.len());
        let mut directory_version = live.directory_version;
        let mut touched = Touched::default();
        for plan in plans {
            if let Err(guard) = live.admit(plan, now) {
                outcomes.push(Outcome::Stale(guard));
                continue;
            }
            let mut told = plan.events.clone();
            rows.append(plan.rows.clone());
            touched.add(plan);
            remove(self.db, transaction, &plan.lost_marks).await?;
            if let Some(source) = plan.directory_source {
                self.set_source(transaction, source, "1 = 1").await?;
            }
            if let Some(change) = &plan.directory {
                directory_version += 1;
                let again = self.change_directory(transaction, change, now).await?;
                rows.append(again.rows);
                told.extend(again.events);
            }
            self.tell(told, commit_id, now, &mut link, &mut events)?;
            outcomes.push(Outcome::Done(Receipt { now, position: link.position }));
        }
        if rows.is_empty() && events.is_empty() {
            self.take_up_room(transaction).await?;
        }
        let mut writes = Writes::new(self.db);
        gather(&mut writes, rows, now)?;
        writes.put(&events)?;
        writes.run(transaction).await?;
        let again = coverage::judge_again(touched.pending(self.db, transaction, now).await?);
        if !again.rows.is_empty() {
            let mut told = Vec::new();
            self.tell(again.events, commit_id, now, &mut link, &mut told)?;
            let mut writes = Writes::new(self.db);
            gather(&mut writes, again.rows, now)?;
            writes.put(&told)?;
            writes.run(transaction).await?;
            events.extend(told);
        }
        if link.position != live.position || directory_version != live.directory_version {
            let mut params = Params::new(self.db);
            let (position, hash) = (params.add(link.position), params.add(link.hash.clone()));
            let (version, before) = (params.add(directory_version), params.add(live.position));
            let text = format!(
                "UPDATE head SET position = {position}, hash = {hash}, directory_version = {version} WHERE id = 1 AND position = {before}"
            );
            let done = transaction.execute_raw(params.statement(text)).await?;
            if done.rows_affected() != 1 {
                return Err(StoreError::Data("the head of the log moved under the lock".to_owned()));
            }
        }
        Ok(Prepared { commit_id, outcomes, position: link.position, is_eventless: events.is_empty() })
    }

    fn tell(
        &self,
        told: Vec<NewEvent>,
        commit_id: CommitId,
        now: Timestamp,
        link: &mut Link,
        events: &mut Vec<entity::event::Model>,
    ) -> Read<()> {
        for event in told {
            events.push(log::seal(event, commit_id, now, link).map_err(|error| StoreError::Data(error.to_string()))?);
        }
        Ok(())
    }

    /// Writes a change of the directory, then judges every pending stage by what the directory says now.
    async fn change_directory(
        &self,
        transaction: &DatabaseTransaction,
        change: &DirectoryChange,
        now: Timestamp,
    ) -> Read<Plan> {
        put_all(self.db, transaction, &change.users, |row| stamped(row.clone(), now)).await?;
        put_all(self.db, transaction, &change.groups, |row| stamped(row.clone(), now)).await?;
        remove(self.db, transaction, &change.lost_roles).await?;
        put_all(self.db, transaction, &change.roles, Clone::clone).await?;
        remove(self.db, transaction, &change.taken_roles).await?;
        put_all(self.db, transaction, &change.given_roles, Clone::clone).await?;
        remove(self.db, transaction, &change.lost_members).await?;
        put_all(self.db, transaction, &change.members, Clone::clone).await?;
        let version = change.version;
        put_all(self.db, transaction, &change.ended, |(place, since)| place.row(*since, Some(version))).await?;
        put_all(self.db, transaction, &change.begun, |place| place.row(version, None)).await?;
        self.set_source(transaction, change.source, "directory_source IS NULL").await?;
        Ok(coverage::judge_again(stage::pending_after(self.db, transaction, version, people_of(change), now).await?))
    }

    async fn set_source(&self, transaction: &DatabaseTransaction, source: DirectorySource, when: &str) -> Read<()> {
        let mut params = Params::new(self.db);
        let source = params.add(source.as_str().to_owned());
        let text = format!("UPDATE deployment SET directory_source = {source} WHERE {when}");
        transaction.execute_raw(params.statement(text)).await?;
        Ok(())
    }

    /// A probe: a group that writes nothing shows that something could be written, and takes it back.
    async fn take_up_room(&self, transaction: &DatabaseTransaction) -> Read<()> {
        let text = match self.db {
            Db::Sqlite => {
                "SAVEPOINT probe; CREATE TABLE probe (room BLOB); INSERT INTO probe VALUES (zeroblob(65536)); \
                 ROLLBACK TO probe; RELEASE probe"
            }
            Db::Postgres => "UPDATE head SET position = position WHERE id = 1",
        };
        transaction.execute_unprepared(text).await?;
        Ok(())
    }

    /// An instance whose clock is off commits nothing: deadlines would be judged by it.
    fn check_skew(&self, server_now: Option<Timestamp>, now: Timestamp) -> Read<()> {
        let Some(server_now) = server_now.filter(|_| self.clock.is_system()) else { return Ok(()) };
        let skew = now.0 - server_now.0;
        self.state.skew.store(skew, Ordering::Relaxed);
        if skew.abs() > SKEW_MAX_MICROS {
            let seconds = skew as f64 / 1_000_000.0;
            return Err(StoreError::Unavailable(format!("this instance's clock is {seconds:.1} s off the database's")));
        }
        Ok(())
    }

    /// After an error at COMMIT: did it happen? Asked on a new connection, under the lock, until there is an answer.
    async fn look_up(&self, commit_id: CommitId) -> bool {
        let mut wait = Duration::from_millis(50);
        loop {
            match self.is_committed(commit_id).await {
                Ok(is_committed) => {
                    info!(%commit_id, is_committed, "a commit whose answer was lost has been looked up");
                    return is_committed;
                }
                Err(error) => warn!(%error, %commit_id, "a commit whose answer was lost cannot be looked up yet"),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(1));
        }
    }

    async fn is_committed(&self, commit_id: CommitId) -> Read<bool> {
        let lease = self.pool.lease();
        self.pool.answer(&lease, LIMIT, self.is_found(&lease, commit_id)).await?
    }

    async fn is_found(&self, lease: &Lease, commit_id: CommitId) -> Read<bool> {
        let transaction = self.begin(lease).await?;
        let mut params = Params::new(self.db);
        let id = params.add(commit_id);
        let statement = params.statement(format!("SELECT position FROM event WHERE commit_id = {id} LIMIT 1"));
        let found = transaction.query_one_raw(statement).await;
        let _ = transaction.rollback().await;
        Ok(found?.is_some())
    }
}

/// Whom a change touches: everybody whose account, roles or sets are others now. None: too many to look at one by one.
fn people_of(change: &DirectoryChange) -> Option<Vec<String>> {
    let moved = change.ended.iter().map(|(place, _)| place).chain(&change.begun).map(|place| place.user_id);
    let mut people: Vec<_> = change.users.iter().map(|row| row.id).chain(moved).collect();
    people.sort_unstable();
    people.dedup();
    (people.len() <= FEW_PEOPLE).then(|| people.into_iter().map(|id| id.0.to_string()).collect())
}

struct Prepared {
    commit_id: CommitId,
    outcomes: Vec<Outcome>,
    position: i64,
    is_eventless: bool,
}

fn size(plan: &Plan) -> usize {
    plan.rows.len() + plan.events.len()
}

fn stamped<R: entity::Row>(mut row: R, now: Timestamp) -> R {
    row.stamp(now);
    row
}

/// All rows of a group, stamped, each table after those it refers to.
fn gather(writes: &mut Writes, rows: Rows, now: Timestamp) -> Read<()> {
    fn put<R: entity::Row>(writes: &mut Writes, rows: Vec<R>, now: Timestamp) -> Read<()> {
        writes.put(&rows.into_iter().map(|row| stamped(row, now)).collect::<Vec<_>>())
    }
    /// Two plans of one group may write the same row where no version guards it: the later one stands.
    fn last<R>(rows: Vec<R>, same: impl Fn(&R, &R) -> bool) -> Vec<R> {
        let mut kept: Vec<R> = Vec::with_capacity(rows.len());
        for row in rows {
            match kept.iter_mut().find(|other| same(other, &row)) {
                Some(other) => *other = row,
                None => kept.push(row),
            }
        }
        kept
    }
    let user_risks = last(rows.user_risks, |a, b| a.user_id == b.user_id);
    let insider_risks = last(rows.insider_risks, |a, b| a.user_id == b.user_id);
    put(writes, rows.catalogs, now)?;
    put(writes, rows.packages, now)?;
    put(writes, rows.policies, now)?;
    put(writes, rows.policy_requestors, now)?;
    put(writes, rows.controls, now)?;
    put(writes, rows.control_versions, now)?;
    put(writes, rows.requests, now)?;
    put(writes, rows.evaluations, now)?;
    put(writes, rows.explanations, now)?;
    put(writes, rows.stages, now)?;
    put(writes, rows.stage_approvers, now)?;
    put(writes, rows.decisions, now)?;
    put(writes, rows.assignments, now)?;
    put(writes, user_risks, now)?;
    put(writes, last(rows.risk_sweeps, |a, b| a.source == b.source), now)?;
    put(writes, insider_risks, now)?;
    put(writes, rows.idempotency, now)?;
    put(writes, last(rows.progress, |a, b| a.name == b.name), now)?;
    put(writes, rows.syncs, now)?;
    put(writes, rows.marks, now)
}

/// A place where a test can stop a debug build: the file that `FAILPOINT_RISKGATE` names holds the name of the point; on arrival it
/// is renamed to `….reached`, and the committer stays where it is for eight seconds.
#[cfg(debug_assertions)]
async fn fail_point(name: &str) {
    let Some(path) = std::env::var_os("FAILPOINT_RISKGATE") else { return };
    if std::fs::read_to_string(&path).is_ok_and(|wanted| wanted.trim() == name) {
        let mut reached = path.clone();
        reached.push(".reached");
        if std::fs::rename(&path, &reached).is_ok() {
            tokio::time::sleep(Duration::from_secs(8)).await;
        }
    }
}

#[cfg(not(debug_assertions))]
async fn fail_point(_: &str) {}
