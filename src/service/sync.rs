//! Keeping the directory in step with a source that tells of changes: the port that it is read by, and one round of reading.
//!
//! Each page is one commit: what it changes, and how far the reading has come. So after a crash the reading goes on behind the last
//! page that counts, and of two instances that read at the same time only one gets its page in.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use entity::{DirectoryRole, DirectorySource, MarkKind, Seconds, SyncPhase, SyncStream, Timestamp, UserId, mark, sync};
use tracing::{info, warn};
use uuid::Uuid;

use super::lease::Work;
use super::{ATTEMPTS, Fault, Services};
use crate::domain::backoff;
use crate::domain::directory::Planner;
pub use crate::domain::directory::{Link, News, PersonNews, Set};
use crate::domain::event::{EventActor, EventKind, NewEvent};
use crate::domain::freshness::is_ahead;
use crate::domain::plan::{Guard, Plan, Urgency};
use crate::domain::sync as course;
pub use crate::domain::sync::Next;
use crate::store::{Outcome, StoreError, Unnamed};

/// So long an instance that reads is waited for, once nothing more comes of it.
const LEASE: Seconds = Seconds(30);
/// Longest time between two looks at whether a round is due: another instance may have ended in the middle of one.
const LOOK: Seconds = Seconds(10);
/// What a listing left out that is taken away in one commit.
const SWEPT: usize = 500;
/// Marks that are taken away in one commit.
const MARKS: usize = 5_000;

/// An answer of the source, once it is there.
pub type ReaderFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, ReaderError>> + Send + 'a>>;

/// Why the source told nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderError {
    /// It does not know any more what it told last: everything is to be read anew.
    StartOver(String),
    /// It cannot be read now, or not before some time.
    Unavailable(String, Option<Duration>),
}

/// One page of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What it says, in its order.
    pub news: Vec<News>,
    /// Where it goes on.
    pub next: Next,
}

/// Where people, groups and roles are read.
pub trait DirectoryReader: Send + Sync {
    /// A page of people or of groups; without a link the first one of everything. `is_listing`: everything is being read, so whoever
    /// is told of without a manager has none.
    fn page<'a>(&'a self, stream: SyncStream, link: Option<&'a str>, is_listing: bool) -> ReaderFuture<'a, Told>;

    /// Who is given which role for the whole directory, all of it: people, and groups.
    fn assignments(&self) -> ReaderFuture<'_, Vec<(DirectoryRole, Uuid)>>;

    /// The roles that somebody holds now, directly or through groups; none where the account is gone or may not be used.
    fn roles_of(&self, user: UserId) -> ReaderFuture<'_, Vec<DirectoryRole>>;
}

/// A directory that is followed.
#[derive(Clone)]
pub struct Followed {
    /// Where it is read.
    pub reader: Arc<dyn DirectoryReader>,
    /// How often.
    pub interval: Seconds,
    /// Roles that were read longer ago than this are asked for anew before somebody decides.
    pub role_max_age: Seconds,
}

/// How the rounds of one instance went.
#[derive(Debug, Default)]
pub struct Rounds {
    /// How many failed in a row.
    failures: u32,
    /// When the last that came to its end began.
    last: Option<Timestamp>,
}

/// Why a round did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncError {
    /// The source cannot be read, or not before some time.
    Source(String, Option<Duration>),
    /// Another instance is reading.
    Overtaken,
    /// The directory comes from files.
    FromFiles,
    /// The database cannot answer.
    Fault(Fault),
}

impl From<Fault> for SyncError {
    fn from(fault: Fault) -> SyncError {
        SyncError::Fault(fault)
    }
}

impl From<StoreError> for SyncError {
    fn from(error: StoreError) -> SyncError {
        SyncError::Fault(error.into())
    }
}

impl From<ReaderError> for SyncError {
    fn from(error: ReaderError) -> SyncError {
        match error {
            ReaderError::StartOver(why) => SyncError::Source(why, None),
            ReaderError::Unavailable(why, wait) => SyncError::Source(why, wait),
        }
    }
}

impl std::fmt::Display for SyncError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SyncError::Source(why, _) => write!(f, "the directory's source cannot be read: {why}"),
            SyncError::Overtaken => f.write_str("another instance is reading the directory"),
            SyncError::FromFiles => f.write_str(FROM_FILES),
            SyncError::Fault(fault) => write!(f, "{fault:?}"),
        }
    }
}

/// What is said where Graph would be followed, but the directory comes from files.
pub const FROM_FILES: &str = "the directory of this database comes from files, and `graph.directory` is on: turn that off, or hand \
    the directory over with `riskgate directory source graph` (whom Graph does not name is then marked deleted)";
/// What is said where it would not be followed, but comes from there.
pub const NOT_FOLLOWED: &str = "the directory of this database comes from Microsoft Graph, and `graph.directory` is not on: turn \
    that on, or hand the directory over with `riskgate directory source file`";

impl Services {
    /// Reads what is new from every stream of the source; returns how many commits changed the directory. What one stream fails at
    /// keeps no other from being read.
    pub async fn synchronize(&self) -> Result<usize, SyncError> {
        let Some(followed) = &self.followed else { return Ok(0) };
        if self.store.directory_source().await? == Some(DirectorySource::File) {
            return Err(SyncError::FromFiles);
        }
        self.keep_lease().await?;
        let reader = followed.reader.as_ref();
        let (mut changes, mut failed) = (0, None);
        for stream in [SyncStream::Users, SyncStream::Groups, SyncStream::Roles] {
            let read = match stream {
                SyncStream::Roles => self.read_assignments(reader, &mut changes).await,
                _ => self.read_stream(reader, stream, &mut changes).await,
            };
            match read {
                Ok(()) => {}
                Err(SyncError::Source(why, wait)) => {
                    failed = failed.or(Some(SyncError::Source(format!("{stream}: {why}"), wait)));
                }
                Err(error) => return Err(error),
            }
        }
        failed.map_or(Ok(changes), Err)
    }

    /// One round where that is due, whatever comes of it; returns how long to wait before the next look.
    pub async fn follow_directory(&self, course: &mut Rounds) -> Duration {
        let interval = self.followed.as_ref().map_or(LOOK, |followed| followed.interval);
        let look = Duration::from_secs(u64::try_from(interval.0.min(LOOK.0)).unwrap_or(1));
        let began = self.clock.now();
        let done = match self.is_due(course.last, interval).await {
            Ok(true) => self.synchronize().await,
            Ok(false) => return look,
            Err(fault) => Err(fault.into()),
        };
        match done {
            Ok(changes) => {
                *course = Rounds { failures: 0, last: Some(began) };
                if changes > 0 {
                    info!(changes, "the directory has changed");
                }
                look
            }
            Err(SyncError::Overtaken) => look,
            Err(error) => {
                course.failures = course.failures.saturating_add(1);
                let failures = course.failures;
                warn!(%error, failures, "the directory cannot be kept in step now; what is known stays in force");
                let asked = if let SyncError::Source(_, asked) = error { asked } else { None };
                let micros = backoff::wait(failures, asked, Uuid::new_v4().as_u64_pair().0);
                Duration::from_micros(u64::try_from(micros).unwrap_or(0))
            }
        }
    }

    /// Is it time for a round: has neither this instance nor another one made one lately?
    async fn is_due(&self, last: Option<Timestamp>, interval: Seconds) -> Result<bool, Fault> {
        let now = self.clock.now();
        let lately = |at: Option<Timestamp>| at.is_some_and(|at| now < at.plus(interval) && !is_ahead(at, now));
        Ok(!lately(last) && !lately(self.directory_read_at().await?))
    }

    /// One instance reads at a time; it goes on being that one as long as it reads.
    async fn keep_lease(&self) -> Result<(), SyncError> {
        if self.hold(Work::Directory, LEASE).await? { Ok(()) } else { Err(SyncError::Overtaken) }
    }

    async fn read_stream(
        &self,
        reader: &dyn DirectoryReader,
        stream: SyncStream,
        changes: &mut usize,
    ) -> Result<(), SyncError> {
        let row = self.store.sync(stream).await?;
        let mut row = course::begin(row, self.clock.now(), self.store.has_directory(stream).await?);
        let mut has_started_over = false;
        while row.begun_at.is_some() {
            if row.phase == SyncPhase::Sweeping {
                row = self.take_away(row, changes).await?;
                continue;
            }
            self.keep_lease().await?;
            let is_listing = row.phase != SyncPhase::Following;
            match reader.page(stream, row.link.as_deref(), is_listing).await {
                Ok(told) => {
                    let marks = marks(&row, &told.news);
                    row = self.take(course::turn(row, told.next), told.news, marks, changes).await?;
                }
                // Once in a round: a source that wants this again and again would keep everybody busy for ever.
                Err(ReaderError::StartOver(why)) if row.link.is_some() && !has_started_over => {
                    info!(%stream, why, "the directory's source does not know any more what it told; reading everything anew");
                    has_started_over = true;
                    let is_known = self.store.has_directory(stream).await?;
                    let anew = course::start_over(row, self.clock.now(), is_known);
                    row = self.take(anew, Vec::new(), Vec::new(), changes).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.forget_marks(stream).await
    }

    /// Takes away what a listing did not name, unless that is too much.
    async fn take_away(&self, mut row: sync::Model, changes: &mut usize) -> Result<sync::Model, SyncError> {
        let kinds = kinds(row.stream);
        if !row.is_removal_approved {
            let mut held_back = 0;
            for kind in kinds {
                let left = self.store.left_out(*kind, row.listing).await?;
                if course::is_too_much(left.unnamed, left.all) {
                    warn!(
                        %kind, unnamed = left.unnamed, all = left.all,
                        "the directory's source left out more than a third, so nobody is taken away; if that is meant: \
                         `riskgate directory approve-removals`"
                    );
                    held_back += left.unnamed;
                }
            }
            if held_back > 0 {
                return self.take(course::hold_back(row, held_back), Vec::new(), Vec::new(), changes).await;
            }
        }
        for kind in kinds {
            let mut after = None;
            loop {
                let unnamed = self.store.unnamed(*kind, row.listing, after.as_ref(), SWEPT).await?;
                let news: Vec<News> = unnamed.iter().map(gone).collect();
                let is_last = news.len() < SWEPT;
                if !news.is_empty() {
                    row = self.take(row, news, Vec::new(), changes).await?;
                }
                if is_last {
                    break;
                }
                after = unnamed.into_iter().next_back();
            }
        }
        self.take(course::swept(row), Vec::new(), Vec::new(), changes).await
    }

    /// Who is given which role is read whole, for no source tells of its changes; what is read in part changes nothing.
    async fn read_assignments(&self, reader: &dyn DirectoryReader, changes: &mut usize) -> Result<(), SyncError> {
        let mut row = course::begin(self.store.sync(SyncStream::Roles).await?, self.clock.now(), true);
        // What was begun before a crash was not read.
        row.begun_at = Some(self.clock.now());
        self.keep_lease().await?;
        let given = reader.assignments().await?;
        let wanted: HashSet<Link> =
            given.into_iter().map(|(role, member)| Link { set: Set::Role(role), member }).collect();
        let held: HashSet<Link> = self.store.role_assignments().await?.into_iter().collect();
        let mut news: Vec<News> = held.difference(&wanted).map(|link| News::Link(*link, false)).collect();
        news.extend(wanted.difference(&held).map(|link| News::Link(*link, true)));
        while news.len() > SWEPT {
            let rest = news.split_off(SWEPT);
            row = self.take(row, std::mem::replace(&mut news, rest), Vec::new(), changes).await?;
        }
        self.take(course::end(row), news, Vec::new(), changes).await.map(|_| ())
    }

    /// Commits what is new, with how far the reading has come. Only what is touched is read for it.
    async fn take(
        &self,
        row: sync::Model,
        news: Vec<News>,
        marks: Vec<mark::Model>,
        changes: &mut usize,
    ) -> Result<sync::Model, SyncError> {
        for _ in 0..ATTEMPTS {
            let mut plan = Plan { urgency: Urgency::Background, ..Plan::default() };
            plan.change_sync(row.clone());
            plan.rows.marks.clone_from(&marks);
            let is_change = !news.is_empty() && self.plan_change(news.clone(), &mut plan).await?;
            match self.store.commit(plan).await? {
                Outcome::Done(_) => {
                    *changes += usize::from(is_change);
                    return Ok(sync::Model { version: row.version + 1, ..row });
                }
                Outcome::Stale(Guard::Sync(..)) => return Err(SyncError::Overtaken),
                Outcome::Stale(Guard::DirectoryFrom(_)) => return Err(SyncError::FromFiles),
                Outcome::Stale(_) => {}
            }
        }
        Err(Fault::Conflict.into())
    }

    async fn plan_change(&self, news: Vec<News>, plan: &mut Plan) -> Result<bool, StoreError> {
        let version = self.store.directory_version().await?;
        let mut planner = Planner::new(version, news);
        while let Some(ask) = planner.ask() {
            planner.hear(self.store.found(&ask).await?);
        }
        let Some((mut change, counts)) = planner.finish() else { return Ok(false) };
        change.source = DirectorySource::Graph;
        plan.events.push(
            NewEvent::new(EventKind::DirectorySynchronized, EventActor::System)
                .with("DirectoryVersion", change.version)
                .with("UsersChanged", counts.users_changed as i64)
                .with("UsersDeleted", counts.users_deleted as i64)
                .with("GroupsChanged", counts.groups_changed as i64)
                .with("GroupsDeleted", counts.groups_deleted as i64),
        );
        plan.directory = Some(Box::new(change));
        plan.guard(Guard::Directory(version));
        plan.guard(Guard::DirectoryFrom(DirectorySource::Graph));
        Ok(true)
    }

    /// Marks of a listing that is over are of no use.
    async fn forget_marks(&self, stream: SyncStream) -> Result<(), SyncError> {
        loop {
            let lost_marks = self.store.marks(kinds(stream), MARKS).await?;
            if lost_marks.is_empty() {
                return Ok(());
            }
            let mut plan = Plan { lost_marks, urgency: Urgency::Background, ..Plan::default() };
            // Nobody has begun a listing meanwhile.
            let row = self.store.sync(stream).await?;
            if row.begun_at.is_some() {
                return Ok(());
            }
            plan.guard(Guard::Sync(stream, row.version));
            if self.settle(plan).await?.is_none() {
                return Err(SyncError::Overtaken);
            }
        }
    }

    /// An operator agrees that what the last listing left out goes, however much it is. The next round reads everything anew; what is
    /// missing then goes. False: nothing is held back.
    pub async fn approve_removals(&self) -> Result<bool, Fault> {
        for _ in 0..ATTEMPTS {
            let held: Vec<_> = self.store.syncs().await?.into_iter().filter(|row| row.held_back.is_some()).collect();
            if held.is_empty() {
                return Ok(false);
            }
            let count: i64 = held.iter().filter_map(|row| row.held_back).sum();
            let event = NewEvent::new(EventKind::DirectoryRemovalsApproved, EventActor::System);
            let mut plan = Plan { events: vec![event.with("HeldBack", count)], ..Plan::default() };
            for row in held {
                plan.change_sync(sync::Model { is_removal_approved: true, ..row });
            }
            if self.settle(plan).await?.is_some() {
                return Ok(true);
            }
        }
        Err(Fault::Conflict)
    }

    /// Hands the directory over: from now on it comes from there, and nothing else changes it. Everything is read anew then; what the
    /// new source does not know goes. False: it comes from there already.
    pub async fn hand_over(&self, to: DirectorySource) -> Result<bool, Fault> {
        for _ in 0..ATTEMPTS {
            let from = self.store.directory_source().await?;
            if from == Some(to) {
                return Ok(false);
            }
            let event = NewEvent::new(EventKind::DirectoryHandedOver, EventActor::System)
                .with("Source", to.as_str())
                .with_some("SourceBefore", from.map(DirectorySource::as_str));
            let mut plan = Plan { directory_source: Some(to), events: vec![event], ..Plan::default() };
            // Whoever is in the middle of reading does not get another page in.
            for row in self.store.syncs().await? {
                plan.change_sync(course::anew(row));
            }
            if self.settle(plan).await?.is_some() {
                return Ok(true);
            }
        }
        Err(Fault::Conflict)
    }

    /// What is not well with a directory that is followed, a line each, for whoever asks.
    pub async fn directory_ailments(&self) -> Result<Vec<String>, Fault> {
        let Some(followed) = &self.followed else { return Ok(Vec::new()) };
        let rows = self.store.syncs().await?;
        let mut ailments = Vec::new();
        if course::held_back(&rows) > 0 {
            let why = "the last complete reading left out more than a third, which was kept (`riskgate directory approve-removals`)";
            ailments.push(why.to_owned());
        }
        let oldest = self.clock.now().minus(followed.role_max_age);
        if course::read_at(&rows).is_none_or(|at| at < oldest) {
            ailments.push("not read completely of late; roles are asked for at each decision on risk".to_owned());
        }
        Ok(ailments)
    }

    /// When the directory was last read completely, and how much a reading left out that was kept; `None`: it is not followed.
    pub async fn directory_reading(&self) -> Result<Option<(Option<Timestamp>, i64)>, Fault> {
        if self.followed.is_none() {
            return Ok(None);
        }
        let rows = self.store.syncs().await?;
        Ok(Some((course::read_at(&rows), course::held_back(&rows))))
    }

    /// Since when the copy of the directory is known to be so; `None`: not at all yet. Where the directory is our own, it is as new as
    /// its version. What a clock has dated that was wrong says nothing.
    pub async fn directory_read_at(&self) -> Result<Option<Timestamp>, Fault> {
        let (rows, now) = (self.store.syncs().await?, self.clock.now());
        let is_any_ahead = rows.iter().filter_map(|row| row.read_at).any(|at| is_ahead(at, now));
        Ok(course::read_at(&rows).filter(|_| !is_any_ahead))
    }
}

/// What a stream is made of.
fn kinds(stream: SyncStream) -> &'static [MarkKind] {
    match stream {
        SyncStream::Users => &[MarkKind::User],
        SyncStream::Groups => &[MarkKind::Group, MarkKind::Member],
        SyncStream::Roles => &[],
    }
}

/// What a page of a listing names.
fn marks(row: &sync::Model, news: &[News]) -> Vec<mark::Model> {
    if row.phase != SyncPhase::Listing {
        return Vec::new();
    }
    let mark = |kind, id: Uuid, member: Option<Uuid>| mark::Model {
        kind,
        id: id.to_string(),
        member_id: member.map(|id| id.to_string()).unwrap_or_default(),
        listing: row.listing,
    };
    let named = news.iter().filter_map(|news| match news {
        News::Person(id, _) => Some((MarkKind::User, id.0, None)),
        News::Group(id, _) => Some((MarkKind::Group, id.0, None)),
        News::Link(Link { set: Set::Group(group), member }, true) => Some((MarkKind::Member, group.0, Some(*member))),
        News::PersonGone(_) | News::GroupGone(_) | News::Link(..) => None,
    });
    // One page may name the same twice; one statement may not write it twice.
    let named: HashSet<_> = named.collect();
    named.into_iter().map(|(kind, id, member)| mark(kind, id, member)).collect()
}

fn gone(unnamed: &Unnamed) -> News {
    match unnamed {
        Unnamed::User(id) => News::PersonGone(*id),
        Unnamed::Group(id) => News::GroupGone(*id),
        Unnamed::Member(link) => News::Link(*link, false),
    }
}
