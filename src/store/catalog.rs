//! Catalogs, packages and policies, as they are shown and as they are asked for.

use entity::{CatalogId, PackageId, PolicyId, UserId, catalog, package, policy};
use sea_orm::{FromQueryResult, TryGetable};

use super::access::{self, Viewer};
use super::page::{Kind, List, PageArgs, contains, flag};
use super::sql::Params;
use super::{Page, Read, Store};
use crate::domain::permission::Actor;

/// Which packages are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageFilter {
    /// Of one catalog.
    pub catalog: Option<CatalogId>,
    /// A substring of the folded name.
    pub search: Option<String>,
    /// Only those that the viewer may ask for, for themselves.
    pub requestable: bool,
}

/// A policy as somebody sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRow {
    /// The policy.
    pub policy: policy::Model,
    /// Does the viewer see its rules: by right, or because it fits them? Otherwise it is known only through a request.
    pub is_open: bool,
}

/// What asking for a package looks like to one person, for themselves or a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The package.
    pub package: package::Model,
    /// Its policies; `covers` says whether the target may get access by it.
    pub policies: Vec<OfferedPolicy>,
}

/// One policy of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedPolicy {
    /// The policy.
    pub policy: policy::Model,
    /// Is the target in its sets, or is it for everyone?
    pub covers: bool,
    /// Does the viewer see it?
    pub is_visible: bool,
}

impl Store {
    /// Catalogs with at least one package that somebody sees; all of them for readers.
    pub async fn catalogs(&self, actor: &Actor, args: &PageArgs) -> Read<Page<catalog::Model>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let list = List {
            columns: "c.*".to_owned(),
            from: "catalog c".to_owned(),
            filter: sees_catalog(&viewer),
            order: &[("c.folded_name", Kind::Text), ("c.id", Kind::Text)],
            descending: false,
        };
        self.page(params, list, args, |row| Ok(catalog::Model::from_query_result(row, "")?)).await
    }

    /// Packages that somebody may browse: hidden ones only by right.
    pub async fn packages(&self, actor: &Actor, filter: &PackageFilter, args: &PageArgs) -> Read<Page<package::Model>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let mut tests = Vec::new();
        if filter.requestable {
            tests.push(format!(
                "NOT p.is_hidden AND EXISTS (SELECT 1 FROM policy pol WHERE pol.package_id = p.id AND {})",
                access::covers(viewer.db, &viewer.v)
            ));
        } else {
            tests.push(access::sees_package(&viewer));
            if !viewer.reads_packages {
                tests.push("NOT p.is_hidden".to_owned());
            }
        }
        if let Some(catalog) = filter.catalog {
            tests.push(format!("p.catalog_id = {}", params.add(catalog)));
        }
        if let Some(search) = &filter.search {
            tests.push(contains(&mut params, "p.folded_name", &crate::domain::text::folded(search)));
        }
        let list = List {
            columns: "p.*".to_owned(),
            from: "package p".to_owned(),
            filter: tests.join(" AND "),
            order: &[("p.folded_name", Kind::Text), ("p.id", Kind::Text)],
            descending: false,
        };
        self.page(params, list, args, |row| Ok(package::Model::from_query_result(row, "")?)).await
    }

    /// Catalogs by id, for what refers to them.
    pub async fn catalogs_by_id(&self, ids: &[CatalogId]) -> Read<Vec<catalog::Model>> {
        let mut params = Params::new(self.db);
        let any = params.any(ids.iter().map(|id| id.0.to_string()));
        self.rows(params.statement(format!("SELECT * FROM catalog WHERE id {any}"))).await
    }

    /// Which of these catalogs somebody sees.
    pub async fn visible_catalogs(&self, actor: &Actor, ids: &[CatalogId]) -> Read<Vec<catalog::Model>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let any = params.any(ids.iter().map(|id| id.0.to_string()));
        let sees = sees_catalog(&viewer);
        self.rows(params.statement(format!("SELECT c.* FROM catalog c WHERE c.id {any} AND {sees}"))).await
    }

    /// Packages by id, for what refers to them.
    pub async fn packages_by_id(&self, ids: &[PackageId]) -> Read<Vec<package::Model>> {
        let mut params = Params::new(self.db);
        let any = params.any(ids.iter().map(|id| id.0.to_string()));
        self.rows(params.statement(format!("SELECT * FROM package WHERE id {any}"))).await
    }

    /// Which of these packages somebody sees (hidden ones too: whoever has the link may ask).
    pub async fn visible_packages(&self, actor: &Actor, ids: &[PackageId]) -> Read<Vec<package::Model>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let any = params.any(ids.iter().map(|id| id.0.to_string()));
        let sees = access::sees_package(&viewer);
        self.rows(params.statement(format!("SELECT p.* FROM package p WHERE p.id {any} AND {sees}"))).await
    }

    /// Policies by id, for what refers to them.
    pub async fn policies_by_id(&self, actor: &Actor, ids: &[PolicyId]) -> Read<Vec<PolicyRow>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let any = params.any(ids.iter().map(|id| id.0.to_string()));
        let open = opens(&viewer);
        let text = format!("SELECT pol.*, {open} AS is_open FROM policy pol WHERE pol.id {any}");
        self.policy_rows(params.statement(text)).await
    }

    /// Which of these policies somebody sees: by right, because it fits, or through a request.
    pub async fn visible_policies(&self, actor: &Actor, ids: &[PolicyId]) -> Read<Vec<PolicyRow>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let any = params.any(ids.iter().map(|id| id.0.to_string()));
        let open = opens(&viewer);
        let sees = access::sees_one_request(&viewer);
        let text = format!(
            "SELECT pol.*, {open} AS is_open FROM policy pol WHERE pol.id {any} \
             AND ({open} OR EXISTS (SELECT 1 FROM request r WHERE r.policy_id = pol.id AND {sees}))"
        );
        self.policy_rows(params.statement(text)).await
    }

    /// The policies of these packages that somebody sees: those that fit, all of them for readers.
    pub async fn policies_of_packages(&self, actor: &Actor, ids: &[PackageId]) -> Read<Vec<PolicyRow>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let any = params.any(ids.iter().map(|id| id.0.to_string()));
        let open = opens(&viewer);
        let text = format!(
            "SELECT pol.*, {open} AS is_open FROM policy pol WHERE pol.package_id {any} AND {open} ORDER BY pol.created_at, pol.id"
        );
        self.policy_rows(params.statement(text)).await
    }

    async fn policy_rows(&self, statement: sea_orm::Statement) -> Read<Vec<PolicyRow>> {
        self.all(statement)
            .await?
            .iter()
            .map(|row| {
                Ok(PolicyRow { policy: policy::Model::from_query_result(row, "")?, is_open: flag(row, "is_open")? })
            })
            .collect()
    }

    /// The package as somebody may ask for it on behalf of `target` (or of themselves); `None` where they do not see it.
    pub async fn offer(&self, actor: &Actor, package: PackageId, target: UserId) -> Read<Option<Offer>> {
        let Some(found) = self.visible_packages(actor, &[package]).await?.pop() else { return Ok(None) };
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let (id, target) = (params.add(package), params.add(target));
        let (open, covers) = (opens(&viewer), access::covers(viewer.db, &target));
        let sees = access::sees_one_request(&viewer);
        let text = format!(
            "SELECT pol.*, {covers} AS covers, ({open} OR EXISTS (SELECT 1 FROM request r WHERE r.policy_id = pol.id AND {sees})) \
             AS is_visible FROM policy pol WHERE pol.package_id = {id} ORDER BY pol.created_at, pol.id"
        );
        let rows = self.all(params.statement(text)).await?;
        let policies = rows
            .iter()
            .map(|row| {
                Ok(OfferedPolicy {
                    policy: policy::Model::from_query_result(row, "")?,
                    covers: flag(row, "covers")?,
                    is_visible: flag(row, "is_visible")?,
                })
            })
            .collect::<Read<Vec<_>>>()?;
        Ok(Some(Offer { package: found, policies }))
    }

    /// The version of a package, where it exists.
    pub async fn package_version(&self, id: PackageId) -> Read<Option<i64>> {
        let mut params = Params::new(self.db);
        let id = params.add(id);
        let row = self.one(params.statement(format!("SELECT version FROM package WHERE id = {id}"))).await?;
        row.map(|row| Ok(i64::try_get(&row, "", "version")?)).transpose()
    }
}

fn opens(viewer: &Viewer) -> String {
    if viewer.reads_packages { "(1 = 1)".to_owned() } else { access::fits(viewer) }
}

fn sees_catalog(viewer: &Viewer) -> String {
    if viewer.reads_packages {
        return "(1 = 1)".to_owned();
    }
    format!("EXISTS (SELECT 1 FROM package p WHERE p.catalog_id = c.id AND {})", access::sees_package(viewer))
}
