//! Changing a control configuration.

use entity::{RiskSource, SubjectSet, control};
use tracing::warn;

use super::{ATTEMPTS, Done, Fault, Services};
use crate::domain::control::{self as rules, Update};
use crate::domain::permission::{Actor, Right};
use crate::domain::refusal::{Code, Refusal};
use crate::store::StoreError;

impl Services {
    /// Both controls; always there.
    pub async fn controls(&self, actor: &Actor) -> Result<Vec<control::Model>, Fault> {
        self.require(actor, Right::ReadControls)?;
        Ok(self.store.controls().await?)
    }

    /// Changes a control; returns it as it is afterwards, and what to look at in it.
    pub async fn update_control(
        &self,
        actor: &Actor,
        source: RiskSource,
        update: Update,
    ) -> Done<(control::Model, Vec<String>)> {
        let by = self.person_with(actor, Right::UpdateControls)?;
        for (field, sets) in [("approvers", &update.approvers), ("fallbackApprovers", &update.fallback_approvers)] {
            if let Some(Some(sets)) = sets {
                self.check_subjects(sets, field).await?;
            }
        }
        for _ in 0..ATTEMPTS {
            let controls = self.store.controls().await?;
            let current = controls
                .into_iter()
                .find(|control| control.source == source)
                .ok_or_else(|| StoreError::Data(format!("the {source} control is missing")))?;
            let updated = rules::update(&current, update.clone(), by)?;
            let Some(plan) = updated.plan else { return Ok((updated.control, updated.warnings)) };
            let Some(receipt) = self.settle(plan).await? else { continue };
            for warning in &updated.warnings {
                warn!(%source, warning, "a control was saved that needs a look");
            }
            let mut control = updated.control;
            entity::Row::stamp(&mut control, receipt.now);
            return Ok((control, updated.warnings));
        }
        Err(Fault::Conflict.into())
    }

    /// The people and groups that these sets name exist, and managers are of a level that there is; the refusal names the deepest
    /// field, below `field`.
    pub(super) async fn check_subjects(&self, sets: &[SubjectSet], field: &str) -> Done<()> {
        let is_no_level = |set: &SubjectSet| matches!(set, SubjectSet::Manager(level) if !(1..=2).contains(level));
        if let Some(index) = sets.iter().position(is_no_level) {
            let field = format!("{field}.{index}.requestorManagerLevel");
            return Err(Refusal::at(Code::Invalid, &field, "1 (the manager) or 2 (the manager's manager).").into());
        }
        let users: Vec<_> =
            sets.iter().filter_map(|set| if let SubjectSet::User(id) = set { Some(*id) } else { None }).collect();
        let groups: Vec<_> =
            sets.iter().filter_map(|set| if let SubjectSet::Group(id) = set { Some(*id) } else { None }).collect();
        if users.is_empty() && groups.is_empty() {
            return Ok(());
        }
        let (known_users, known_groups) = self.store.known(&users, &groups).await?;
        for (index, set) in sets.iter().enumerate() {
            match set {
                SubjectSet::User(id) if !known_users.contains(id) => {
                    return Err(Refusal::not_found(&format!("{field}.{index}.userId"), "person").into());
                }
                SubjectSet::Group(id) if !known_groups.contains(id) => {
                    return Err(Refusal::not_found(&format!("{field}.{index}.groupId"), "group").into());
                }
                _ => {}
            }
        }
        Ok(())
    }
}
