//! Risk sources: the port that a use case reads by, its built-in adapter, and what feeds the built-in store.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use entity::{Origin, RiskLevel, RiskSource, RiskState, Timestamp, UserId, insider_risk, user, user_risk};
use tracing::warn;

use super::{Done, Fault, Services};
use crate::clock::Clock;
use crate::domain::event::{EventActor, EventKind, NewEvent};
use crate::domain::permission::{Actor, Right};
use crate::domain::plan::Plan;
use crate::domain::refusal::{Code, Refusal};
use crate::domain::route::Reading;
use crate::domain::{risk, text};
use crate::store::Store;

/// How long a source may take; then its reading is UNDETERMINED.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a source says of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// The level.
    pub level: RiskLevel,
    /// Where it comes from.
    pub origin: Origin,
    /// When it was read.
    pub read_at: Timestamp,
    /// When the source changed it last, where it says so.
    pub source_updated_at: Option<Timestamp>,
}

/// What a source says, once it is there; `Err` says for the log why it cannot be had.
pub type ObservedFuture<'a> = Pin<Box<dyn Future<Output = Result<Observed, String>> + Send + 'a>>;

/// Where the risk of a person is read.
pub trait RiskReader: Send + Sync {
    /// The person's level now.
    fn read(&self, user: UserId) -> ObservedFuture<'_>;

    /// How a reading that could not be had was tried.
    fn tries(&self) -> Origin {
        Origin::Report
    }
}

/// A reader for each source.
#[derive(Clone)]
pub struct Sources {
    /// ID Protection.
    pub id_protection: Arc<dyn RiskReader>,
    /// Insider risk.
    pub insider: Arc<dyn RiskReader>,
}

impl Sources {
    /// Both from the built-in store.
    pub fn built_in(store: &Store, clock: &Clock) -> Sources {
        let reader = |source| Arc::new(BuiltIn { source, store: store.clone(), clock: clock.clone() });
        Sources { id_protection: reader(RiskSource::IdProtection), insider: reader(RiskSource::InsiderRisk) }
    }

    /// Reads one source for some people, all at the same time. What fails or takes too long is UNDETERMINED: never lower than any
    /// level, never a lost request.
    pub async fn read(&self, source: RiskSource, people: &[UserId], clock: &Clock) -> Vec<Reading> {
        let reader = match source {
            RiskSource::IdProtection => &self.id_protection,
            RiskSource::InsiderRisk => &self.insider,
        };
        let readings = people.iter().map(|subject| async {
            let why = match tokio::time::timeout(PATIENCE, reader.read(*subject)).await {
                Ok(Ok(Observed { level, origin, read_at, source_updated_at })) => {
                    return Reading { source, subject: *subject, level, read_at, origin, source_updated_at };
                }
                Ok(Err(why)) => why,
                Err(_) => "it took too long".to_owned(),
            };
            warn!(%source, why, "a risk source could not be read");
            Reading {
                source,
                subject: *subject,
                level: RiskLevel::Undetermined,
                read_at: clock.now(),
                origin: reader.tries(),
                source_updated_at: None,
            }
        });
        futures_util::future::join_all(readings).await
    }
}

struct BuiltIn {
    source: RiskSource,
    store: Store,
    clock: Clock,
}

impl RiskReader for BuiltIn {
    fn read(&self, user: UserId) -> ObservedFuture<'_> {
        Box::pin(async move {
            let said = match self.source {
                RiskSource::IdProtection => self
                    .store
                    .user_risk(user)
                    .await
                    .map(|row| (risk::id_protection(row.as_ref()), row.map(|row| row.last_updated_at))),
                RiskSource::InsiderRisk => self
                    .store
                    .insider_risk(user)
                    .await
                    .map(|row| (risk::insider(row.as_ref(), self.clock.now()), row.map(|row| row.observed_at))),
            };
            let (level, source_updated_at) = said.map_err(|error| error.to_string())?;
            Ok(Observed { level, origin: Origin::Report, read_at: self.clock.now(), source_updated_at })
        })
    }
}

/// What an administrator says of people's ID Protection risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RiskAction {
    /// The account is compromised: HIGH.
    ConfirmCompromised,
    /// The account is safe: NONE.
    ConfirmSafe,
    /// What was detected does not count: NONE.
    Dismiss,
}

impl RiskAction {
    /// What is logged of it, and what it makes of a person's risk: level, state and detail.
    pub(super) fn outcome(self) -> (EventKind, RiskLevel, RiskState, &'static str) {
        match self {
            RiskAction::ConfirmCompromised => (
                EventKind::UserConfirmedCompromised,
                RiskLevel::High,
                RiskState::ConfirmedCompromised,
                "adminConfirmedUserCompromised",
            ),
            RiskAction::ConfirmSafe => {
                (EventKind::UserConfirmedSafe, RiskLevel::None, RiskState::ConfirmedSafe, "adminConfirmedAccountSafe")
            }
            RiskAction::Dismiss => {
                (EventKind::UserRiskDismissed, RiskLevel::None, RiskState::Dismissed, "adminDismissedAllRiskForUser")
            }
        }
    }
}

/// An event that tells of a person's ID Protection risk.
pub(super) fn observed(kind: EventKind, actor: EventActor, row: &user_risk::Model) -> NewEvent {
    let mut event = NewEvent::new(kind, actor)
        .with("UserId", row.user_id.to_string())
        .with("RiskLevel", row.level.as_str())
        .with("RiskState", row.state.as_str())
        .with_some("Detail", row.detail.clone());
    event.is_risk = true;
    event
}

impl Services {
    /// Raises or lowers a person's ID Protection risk, as a detection would.
    pub async fn report_user_risk(
        &self,
        actor: &Actor,
        user: UserId,
        level: RiskLevel,
        detail: Option<String>,
    ) -> Done<user::Model> {
        self.require(actor, Right::ReportUserRisk)?;
        let person = self.reportable(user, "userId").await?;
        text::text("detail", detail.as_deref())?;
        if self.watch.is_some() {
            let why = "ID Protection's risk comes from elsewhere; it is reported there, not here.";
            return Err(Refusal::whole(Code::InvalidState, why).into());
        }
        let state = if level == RiskLevel::None { RiskState::None } else { RiskState::AtRisk };
        let row = user_risk::Model {
            user_id: user,
            level,
            state,
            detail,
            last_updated_at: Timestamp::COMMIT,
            read_at: None,
            changed_at: None,
        };
        self.write_user_risks(EventKind::UserRiskReported, actor, vec![row]).await?;
        Ok(person)
    }

    /// Confirms people compromised or safe, or dismisses their risk; all of them or none.
    pub async fn act_on_user_risk(
        &self,
        actor: &Actor,
        users: Vec<UserId>,
        action: RiskAction,
    ) -> Done<Vec<user::Model>> {
        self.require(actor, Right::ReportUserRisk)?;
        let mut people = Vec::with_capacity(users.len());
        let found = self.store.users_by_id(&users).await?;
        for (index, id) in users.iter().enumerate() {
            match found.iter().find(|person| person.id == *id && person.deleted_at.is_none()) {
                Some(person) if !people.contains(person) => people.push(person.clone()),
                Some(_) => {}
                None => return Err(Refusal::not_found(&format!("userIds.{index}"), "person").into()),
            }
        }
        if people.is_empty() {
            return Err(Refusal::at(Code::Invalid, "userIds", "Name at least one person.").into());
        }
        if let Some(watch) = &self.watch {
            let (watch, actor) = (watch.clone(), actor.named());
            let ids: Vec<_> = people.iter().map(|person| person.id).collect();
            // Once it is begun it is ended, whether or not anybody waits: what was done elsewhere must be told here.
            let done = tokio::spawn(async move { watch.0.act(action, &ids, actor).await });
            done.await.map_err(|_| Fault::Internal("an action was given up".to_owned()))??;
            return Ok(people);
        }
        let (kind, level, state, detail) = action.outcome();
        let rows = people
            .iter()
            .map(|person| user_risk::Model {
                user_id: person.id,
                level,
                state,
                detail: Some(detail.to_owned()),
                last_updated_at: Timestamp::COMMIT,
                read_at: None,
                changed_at: None,
            })
            .collect();
        self.write_user_risks(kind, actor, rows).await?;
        Ok(people)
    }

    async fn write_user_risks(&self, kind: EventKind, actor: &Actor, rows: Vec<user_risk::Model>) -> Result<(), Fault> {
        let mut plan = Plan::default();
        for row in &rows {
            plan.events.push(observed(kind, actor.named(), row));
        }
        plan.rows.user_risks = rows;
        self.settle(plan).await?.map(|_| ()).ok_or(Fault::Conflict)
    }

    /// Takes in a person's insider risk, as the compliance system reports it.
    pub async fn report_insider_risk(
        &self,
        actor: &Actor,
        user: UserId,
        level: RiskLevel,
        observed_at: Option<Timestamp>,
        expires_at: Option<Timestamp>,
        reference: Option<String>,
    ) -> Done<user::Model> {
        self.require(actor, Right::ReportInsiderRisk)?;
        let person = self.reportable(user, "userId").await?;
        text::key("reference", reference.as_deref())?;
        let now = self.clock.now();
        if let Some(end) = expires_at
            && (end <= now || observed_at.is_some_and(|seen| end <= seen))
        {
            return Err(Refusal::at(Code::Invalid, "expiresAt", "Must be to come, and after observedAt.").into());
        }
        let observed_at = observed_at.unwrap_or(Timestamp::COMMIT);
        let row = insider_risk::Model { user_id: user, level, observed_at, expires_at, reference };
        let mut event = NewEvent::new(EventKind::InsiderRiskReported, actor.named())
            .with("UserId", user.to_string())
            .with("RiskLevel", level.as_str())
            .with("ObservedAt", observed_at)
            .with_some("ExpiresAt", expires_at)
            .with_some("Reference", row.reference.clone());
        event.is_risk = true;
        let mut plan = Plan::default();
        plan.events.push(event);
        plan.rows.insider_risks.push(row);
        self.settle(plan).await?.ok_or(Fault::Conflict)?;
        Ok(person)
    }

    async fn reportable(&self, user: UserId, field: &str) -> Done<user::Model> {
        let found = self.store.users_by_id(&[user]).await?.pop().filter(|person| person.deleted_at.is_none());
        found.ok_or_else(|| Refusal::not_found(field, "person").into())
    }
}
