//! People and groups.

use async_graphql::{Context, Error, ID, Object, SimpleObject};
use entity::{RiskLevel, RiskState, group, insider_risk, user};

use super::connection::connection;
use super::loader;
use super::scalar::DateTime;
use super::session::{actor, services};
use super::word::{InsiderRiskLevel, UserRiskLevel, UserRiskState};
use crate::domain::risk;
use crate::service::source::ShownRisk;

/// A person of the directory. Who left stays readable through what refers to them.
#[derive(Clone)]
pub struct User(pub user::Model);

#[Object]
impl User {
    /// The directory's object id, prefixed.
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Name for people.
    async fn display_name(&self) -> &str {
        &self.0.display_name
    }

    /// Sign-in name; for display, never for a right.
    async fn user_principal_name(&self) -> &str {
        &self.0.user_principal_name
    }

    /// May the account be used?
    pub async fn is_enabled(&self) -> bool {
        self.0.is_enabled && self.0.deleted_at.is_none()
    }

    /// The manager; null for a viewer who may not know.
    async fn manager(&self, ctx: &Context<'_>) -> Option<Result<User, Error>> {
        self.manager_of(ctx).await.transpose()
    }

    /// ID Protection risk; null for a viewer who is not a risk reader.
    async fn id_protection_risk(&self, ctx: &Context<'_>) -> Option<Result<IdProtectionRisk, Error>> {
        match actor(ctx) {
            Ok(actor) if actor.is_risk_reader() => {
                Some(loader::user_risk(ctx, self.0.id).await.map(IdProtectionRisk::of))
            }
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Insider risk; null for a viewer who is not a risk reader.
    async fn insider_risk(&self, ctx: &Context<'_>) -> Option<Result<InsiderRisk, Error>> {
        match actor(ctx) {
            Ok(actor) if actor.is_risk_reader() => Some(self.insider_risk_now(ctx).await),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl User {
    async fn manager_of(&self, ctx: &Context<'_>) -> Result<Option<User>, Error> {
        let Some(manager) = self.0.manager_id else { return Ok(None) };
        if !services(ctx)?.may_see_manager(&*actor(ctx)?, &self.0) {
            return Ok(None);
        }
        Ok(loader::user(ctx, manager).await?.map(User))
    }

    async fn insider_risk_now(&self, ctx: &Context<'_>) -> Result<InsiderRisk, Error> {
        let row = loader::insider_risk(ctx, self.0.id).await?;
        let level = risk::insider(row.as_ref(), services(ctx)?.now());
        Ok(InsiderRisk::of(row, level))
    }
}

/// A group of the directory.
#[derive(Clone)]
pub struct Group(pub group::Model);

#[Object]
impl Group {
    /// The directory's object id, prefixed.
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Name for people.
    async fn display_name(&self) -> &str {
        &self.0.display_name
    }
}

/// What ID Protection says of a person.
#[derive(SimpleObject)]
pub struct IdProtectionRisk {
    /// The level as it was read last; look at `isDetermined` first.
    level: UserRiskLevel,
    /// Is it known to be so now? False where the source withheld it, could not be read, or knows of a change that was not read yet:
    /// then nothing treats it as low, whatever `level` says.
    is_determined: bool,
    /// Where it stands.
    state: UserRiskState,
    /// What was reported with it.
    detail: Option<String>,
    /// When it changed last.
    last_updated_at: Option<DateTime>,
}

impl IdProtectionRisk {
    fn of(shown: Option<ShownRisk>) -> IdProtectionRisk {
        let is_determined = shown.as_ref().is_none_or(|shown| shown.is_determined);
        let row = shown.and_then(|shown| shown.row);
        let level = row.as_ref().map_or(RiskLevel::None, |row| row.level);
        IdProtectionRisk {
            level: UserRiskLevel::of(level).unwrap_or(UserRiskLevel::None),
            is_determined,
            state: row.as_ref().map_or(RiskState::None, |row| row.state).into(),
            last_updated_at: row.as_ref().map(|row| DateTime(row.last_updated_at)),
            detail: row.and_then(|row| row.detail),
        }
    }
}

/// What the compliance system says of a person.
#[derive(SimpleObject)]
pub struct InsiderRisk {
    /// The level; NONE once it is past its end.
    level: InsiderRiskLevel,
    /// When it was seen.
    observed_at: Option<DateTime>,
    /// From when on it counts no more.
    expires_at: Option<DateTime>,
}

impl InsiderRisk {
    fn of(row: Option<insider_risk::Model>, level: RiskLevel) -> InsiderRisk {
        InsiderRisk {
            level: InsiderRiskLevel::of(level).unwrap_or(InsiderRiskLevel::None),
            observed_at: row.as_ref().map(|row| DateTime(row.observed_at)),
            expires_at: row.and_then(|row| row.expires_at).map(DateTime),
        }
    }
}

connection! {
    /// A page of people, by name.
    UserConnection, UserEdge, User
}
