//! People and groups, as they are shown.

use entity::{GroupId, UserId, group, insider_risk, user, user_risk};
use sea_orm::{FromQueryResult, TryGetable};

use super::access::{self, Viewer};
use super::page::{Kind, List, PageArgs, contains};
use super::sql::Params;
use super::{Page, Read, Store};
use crate::domain::permission::Actor;

/// Which people are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// A substring of the folded name or sign-in name.
    pub search: Option<String>,
    /// Only those above NONE in either source, or only the others; the second value is now.
    pub has_risk: Option<(bool, entity::Timestamp)>,
}

/// Order of people, packages and catalogs.
pub const NAME_ORDER: [Kind; 2] = [Kind::Text, Kind::Text];

impl Store {
    /// The people that the list of people shows somebody.
    pub async fn users(&self, actor: &Actor, filter: &UserFilter, args: &PageArgs) -> Read<Page<user::Model>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let mut tests = vec![access::lists_person(&viewer), "u.deleted_at IS NULL".to_owned()];
        if let Some(search) = &filter.search {
            let folded = crate::domain::text::folded(search);
            let name = contains(&mut params, "u.folded_name", &folded);
            let principal = contains(&mut params, "u.folded_principal_name", &folded);
            tests.push(format!("({name} OR {principal})"));
        }
        if let Some((has_risk, now)) = filter.has_risk {
            let now = params.add(now);
            let not = if has_risk { "" } else { "NOT " };
            tests.push(format!(
                "{not}(EXISTS (SELECT 1 FROM user_risk ur WHERE ur.user_id = u.id AND ((ur.state = 'AT_RISK' AND ur.level <> 'NONE') \
                 OR ur.state = 'CONFIRMED_COMPROMISED')) \
                 OR EXISTS (SELECT 1 FROM insider_risk ir WHERE ir.user_id = u.id AND ir.level <> 'NONE' \
                 AND (ir.expires_at IS NULL OR ir.expires_at > {now})))"
            ));
        }
        let list = List {
            columns: "u.*".to_owned(),
            from: "directory_user u".to_owned(),
            filter: tests.join(" AND "),
            order: &[("u.folded_name", Kind::Text), ("u.id", Kind::Text)],
            descending: false,
        };
        self.page(params, list, args, |row| Ok(user::Model::from_query_result(row, "")?)).await
    }

    /// Those of `ids` who cannot sign in now, or who came into a set of people or left one after directory version `version`.
    pub async fn people_changed(&self, ids: &[UserId], version: i64) -> Read<Vec<UserId>> {
        let mut params = Params::new(self.db);
        let any = params.any(ids.iter().map(|id| id.0.to_string()));
        let version = params.add(version);
        let text = format!(
            "SELECT u.id FROM directory_user u WHERE u.id {any} AND (NOT u.is_enabled OR u.deleted_at IS NOT NULL \
             OR EXISTS (SELECT 1 FROM membership m WHERE m.user_id = u.id AND (m.since > {version} OR m.until > {version})))"
        );
        self.all(params.statement(text)).await?.iter().map(|row| Ok(UserId::try_get(row, "", "id")?)).collect()
    }

    /// People by id, deleted ones too: for what refers to them.
    pub async fn users_by_id(&self, ids: &[UserId]) -> Read<Vec<user::Model>> {
        let mut params = Params::new(self.db);
        let any = params.any(ids.iter().map(|id| id.0.to_string()));
        self.rows(params.statement(format!("SELECT * FROM directory_user WHERE id {any}"))).await
    }

    /// Groups by id, deleted ones too.
    pub async fn groups_by_id(&self, ids: &[GroupId]) -> Read<Vec<group::Model>> {
        let mut params = Params::new(self.db);
        let any = params.any(ids.iter().map(|id| id.0.to_string()));
        self.rows(params.statement(format!("SELECT * FROM directory_group WHERE id {any}"))).await
    }

    /// Which of these people somebody sees at all: through the list of people, or because something refers to them that the viewer
    /// sees.
    pub async fn visible_users(&self, actor: &Actor, ids: &[UserId]) -> Read<Vec<user::Model>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let any = params.any(ids.iter().map(|id| id.0.to_string()));
        let (lists, refers) = (access::lists_person(&viewer), refers(&viewer, "USER", "u.id"));
        let sees = access::sees_one_request(&viewer);
        let reads_risk = access::reads_risk(&viewer);
        self.rows(params.statement(format!(
            "SELECT u.* FROM directory_user u WHERE u.id {any} AND ({lists} OR {refers} \
             OR EXISTS (SELECT 1 FROM request r WHERE (r.requestor_id = u.id OR r.target_id = u.id) AND {sees}) \
             OR EXISTS (SELECT 1 FROM decision d JOIN stage sd ON sd.id = d.stage_id JOIN request r ON r.id = d.request_id \
             WHERE d.user_id = u.id AND {sees} AND (sd.kind = 'POLICY' OR {reads_risk})))"
        )))
        .await
    }

    /// Which of these groups somebody sees.
    pub async fn visible_groups(&self, actor: &Actor, ids: &[GroupId]) -> Read<Vec<group::Model>> {
        let mut params = Params::new(self.db);
        let viewer = Viewer::new(&mut params, actor);
        let any = params.any(ids.iter().map(|id| id.0.to_string()));
        let lists = if viewer.reads_people { "(1 = 1)" } else { "(1 = 0)" };
        let refers = refers(&viewer, "GROUP", "g.id");
        self.rows(
            params.statement(format!("SELECT g.* FROM directory_group g WHERE g.id {any} AND ({lists} OR {refers})")),
        )
        .await
    }

    /// ID Protection risk of people.
    pub async fn user_risks(&self, ids: &[UserId]) -> Read<Vec<user_risk::Model>> {
        let mut params = Params::new(self.db);
        let any = params.any(ids.iter().map(|id| id.0.to_string()));
        self.rows(params.statement(format!("SELECT * FROM user_risk WHERE user_id {any}"))).await
    }

    /// Insider risk of people.
    pub async fn insider_risks(&self, ids: &[UserId]) -> Read<Vec<insider_risk::Model>> {
        let mut params = Params::new(self.db);
        let any = params.any(ids.iter().map(|id| id.0.to_string()));
        self.rows(params.statement(format!("SELECT * FROM insider_risk WHERE user_id {any}"))).await
    }
}

/// A rule that the viewer sees names the person or group `id` (an expression): an approver set in force of a stage, or a policy that
/// fits the viewer.
fn refers(viewer: &Viewer, kind: &str, id: &str) -> String {
    let sees = access::sees_one_request(viewer);
    let reads_risk = access::reads_risk(viewer);
    let fits = access::fits(viewer);
    // A policy keeps its stages as JSON, where a named person or group is `{"kind":"USER","ref":"…"}`.
    format!(
        "EXISTS (SELECT 1 FROM stage_approver sa JOIN stage ss ON ss.id = sa.stage_id JOIN request r ON r.id = ss.request_id \
         WHERE sa.kind = '{kind}' AND sa.subject = {id} AND {sees} AND (ss.kind = 'POLICY' OR {reads_risk}) \
         AND {in_force}) \
         OR EXISTS (SELECT 1 FROM policy pol WHERE (pol.stages LIKE '%' || {id} || '%' OR pol.allowed_requestors LIKE '%' || {id} || '%') \
         AND {fits})",
        in_force = access::in_force("sa", "ss"),
    )
}
