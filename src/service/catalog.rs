//! Making catalogs, packages and policies. Ids are handed in, so that a known world can have fixed ones.

use entity::{CatalogId, PackageId, catalog, package, policy};

use super::{ATTEMPTS, Done, Fault, Services};
use crate::domain::catalog::{self as rules, NewPolicy};
use crate::domain::permission::{Actor, Right};
use crate::domain::refusal::Refusal;

/// Input of [`Services::create_catalog`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateCatalog {
    /// Its id.
    pub id: CatalogId,
    /// Name for people.
    pub display_name: String,
    /// What it is for.
    pub description: Option<String>,
}

/// Input of [`Services::create_package`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatePackage {
    /// Its id.
    pub id: PackageId,
    /// The catalog it goes into.
    pub catalog_id: CatalogId,
    /// Name for people.
    pub display_name: String,
    /// What it gives.
    pub description: Option<String>,
    /// Left out of lists for those who may only ask for it?
    pub is_hidden: bool,
}

/// Input of [`Services::create_policy`].
pub type CreatePolicy = NewPolicy;

impl Services {
    /// Makes a catalog.
    pub async fn create_catalog(&self, actor: &Actor, input: CreateCatalog) -> Done<catalog::Model> {
        let by = self.person_with(actor, Right::ManagePackages)?;
        let (mut row, plan) = rules::create_catalog(input.id, input.display_name, input.description, by)?;
        let receipt = self.settle(plan).await?.ok_or(Fault::Conflict)?;
        entity::Row::stamp(&mut row, receipt.now);
        Ok(row)
    }

    /// Makes a package.
    pub async fn create_package(&self, actor: &Actor, input: CreatePackage) -> Done<package::Model> {
        let by = self.person_with(actor, Right::ManagePackages)?;
        if self.store.catalogs_by_id(&[input.catalog_id]).await?.is_empty() {
            return Err(Refusal::not_found("catalogId", "catalog").into());
        }
        let CreatePackage { id, catalog_id, display_name, description, is_hidden } = input;
        let (mut row, plan) = rules::create_package(id, catalog_id, display_name, description, is_hidden, by)?;
        let receipt = self.settle(plan).await?.ok_or(Fault::Conflict)?;
        entity::Row::stamp(&mut row, receipt.now);
        Ok(row)
    }

    /// Makes a policy.
    pub async fn create_policy(&self, actor: &Actor, input: CreatePolicy) -> Done<policy::Model> {
        let by = self.person_with(actor, Right::ManagePackages)?;
        for _ in 0..ATTEMPTS {
            let Some(version) = self.store.package_version(input.package_id).await? else {
                return Err(Refusal::not_found("accessPackageId", "access package").into());
            };
            if let Some(sets) = &input.allowed_requestors {
                self.check_subjects(sets, "allowedRequestors").await?;
            }
            for (index, stage) in input.stages.iter().enumerate() {
                for (field, sets) in [
                    ("approvers", &stage.approvers),
                    ("fallbackApprovers", &stage.fallback_approvers),
                    ("escalationApprovers", &stage.escalation_approvers),
                ] {
                    self.check_subjects(sets, &format!("stages.{index}.{field}")).await?;
                }
            }
            let (mut row, plan) = rules::create_policy(input.clone(), version, by)?;
            if let Some(receipt) = self.settle(plan).await? {
                entity::Row::stamp(&mut row, receipt.now);
                return Ok(row);
            }
        }
        Err(Fault::Conflict.into())
    }
}
