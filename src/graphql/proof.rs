//! How a decision was made: by which right, on which path, on which data.

use async_graphql::{Context, Error, Object};
use entity::{Seconds, decision};

use super::error::shown;
use super::loader;
use super::request::RiskEvaluation;
use super::scalar::{DateTime, Duration, small};
use super::subject::{self, SubjectSet};
use super::user::{Group, User};
use super::word::{ApproverTier, Decision, DirectoryRole};
use crate::service::Fault;

/// By which right and path somebody decided a stage, and what the decision was made on.
#[derive(Clone)]
pub struct DecisionProof(pub decision::Model);

fn gone() -> Error {
    shown(Fault::Internal("a decision names somebody who was never there".to_owned()))
}

#[Object]
impl DecisionProof {
    /// What was decided.
    async fn decision(&self) -> Decision {
        self.0.verdict.into()
    }

    /// Who decided.
    async fn decided_by(&self, ctx: &Context<'_>) -> Result<User, Error> {
        loader::user(ctx, self.0.user_id).await?.map(User).ok_or_else(gone)
    }

    /// When.
    async fn decided_at(&self) -> DateTime {
        DateTime(self.0.decided_at)
    }

    /// The tier of approvers by which the person decided.
    async fn tier(&self) -> ApproverTier {
        self.0.tier.into()
    }

    /// The entry of that tier that names the person: by name, as a member of a group, as a manager, or as the holder of a role.
    async fn named_by(&self, ctx: &Context<'_>) -> Result<SubjectSet, Error> {
        let set = entity::SubjectSet::of(self.0.kind, &self.0.subject).ok_or_else(gone)?;
        subject::shown(ctx, &[set]).await?.pop().ok_or_else(gone)
    }

    /// The groups from the named one down to the one that the person was a member of; empty where no group was named.
    async fn group_path(&self, ctx: &Context<'_>) -> Result<Vec<Group>, Error> {
        let groups = self.0.group_path.0.iter().map(|id| async { loader::group(ctx, *id).await?.ok_or_else(gone) });
        Ok(futures_util::future::try_join_all(groups).await?.into_iter().map(Group).collect())
    }

    /// The role that the stage needed and the person held; null where it needed none.
    async fn role(&self) -> Option<DirectoryRole> {
        self.0.role.map(Into::into)
    }

    /// The group through which the role was held; null where it was given to the person, or where that is not known.
    async fn role_group(&self, ctx: &Context<'_>) -> Option<Result<Group, Error>> {
        loader::group(ctx, self.0.role_group_id?).await.map(|row| row.map(Group)).transpose()
    }

    /// The version of the directory that the person was judged by.
    async fn directory_version(&self) -> i32 {
        small(self.0.directory_version)
    }

    /// When the roles were asked of whoever gives them; null where the directory is kept here, and they are as new as its version.
    async fn roles_read_at(&self) -> Option<DateTime> {
        self.0.roles_read_at.map(DateTime)
    }

    /// How old that made them at the decision, in whole seconds; nothing (PT0S) where the directory is kept here.
    async fn role_data_age(&self) -> Duration {
        let read_at = self.0.roles_read_at.unwrap_or(self.0.decided_at);
        Duration(Seconds((self.0.decided_at.0 - read_at.0).max(0) / 1_000_000))
    }

    /// The newest reading that the stage showed; null for a stage of the policy.
    async fn evaluation(&self, ctx: &Context<'_>) -> Option<Result<RiskEvaluation, Error>> {
        let id = self.0.evaluation_id?;
        match loader::evaluations_of_request(ctx, self.0.request_id).await {
            Ok(rows) => rows.into_iter().find(|row| row.id == id).map(|row| Ok(RiskEvaluation::of(row))),
            Err(error) => Some(Err(error)),
        }
    }

    /// The version of the stage that was decided on; null for decisions of a time when it was not kept.
    async fn stage_version(&self) -> Option<i32> {
        self.0.stage_version.map(small)
    }
}
