//! People, groups and roles: the adapter for the port of [`crate::service::sync`].

use entity::{DirectoryRole, GroupId, SyncStream, UserId};
use futures_util::future::try_join;
use serde_json::Value;
use uuid::Uuid;

use super::{Graph, GraphFault, Link as Address};
use crate::service::sync::{DirectoryReader, Link, News, Next, PersonNews, ReaderError, ReaderFuture, Set, Told};

const USERS: &str = "/v1.0/users/delta?$select=displayName,userPrincipalName,mail,accountEnabled,manager";
const GROUPS: &str = "/v1.0/groups/delta?$select=displayName,members";

/// A page is one commit, and is held in memory.
const USER_PAGE: &[(&str, &str)] = &[("Prefer", "odata.maxpagesize=500")];
/// Groups stand there with their members.
const GROUP_PAGE: &[(&str, &str)] = &[("Prefer", "odata.maxpagesize=100")];
/// Without this Graph says that there is no such thing.
const EVENTUAL: &[(&str, &str)] = &[("ConsistencyLevel", "eventual")];

/// Only what holds for the whole tenant counts.
const TENANT: &str = "/";

/// Pages of one list that is read whole; more than that is no list of roles.
const PAGES_MAX: usize = 1_000;

/// Graph's id of a built-in role.
fn template(role: DirectoryRole) -> Uuid {
    Uuid::from_u128(match role {
        DirectoryRole::GlobalAdministrator => 0x62e90394_69f5_4237_9190_012177145e10,
        DirectoryRole::GlobalReader => 0xf2ef992c_3afb_46b9_b7cf_a126ee74c451,
        DirectoryRole::IdentityGovernanceAdministrator => 0x45d8d3c5_c802_45c6_b32a_1d70b5e1e86e,
        DirectoryRole::SecurityAdministrator => 0x194ae4cb_b126_40b2_bd5b_6091b380977d,
        DirectoryRole::SecurityOperator => 0x5f2222b1_57c3_48ba_8ad5_d4759f1fde6f,
        DirectoryRole::SecurityReader => 0x5d6b6bb7_de71_4623_b4af_96380a352509,
        DirectoryRole::ComplianceAdministrator => 0x17315797_102d_40b4_93e0_432062caca18,
    })
}

impl DirectoryReader for Graph {
    fn page<'a>(&'a self, stream: SyncStream, link: Option<&'a str>, is_listing: bool) -> ReaderFuture<'a, Told> {
        Box::pin(async move {
            let (first, extra) = match stream {
                SyncStream::Users => (USERS, USER_PAGE),
                SyncStream::Groups => (GROUPS, GROUP_PAGE),
                SyncStream::Roles => return Err(garbled("there are no pages of roles").into()),
            };
            let address = match link {
                Some(link) => self.follow(link)?,
                None => self.link(first),
            };
            let page = match self.page(&address, extra).await {
                Err(fault) if link.is_some() && fault.is_forgotten() => {
                    return Err(ReaderError::StartOver(fault.to_string()));
                }
                page => page?,
            };
            let mut news = Vec::new();
            for value in &page.values {
                match stream {
                    SyncStream::Users => news.push(person(value, is_listing)?),
                    _ => group(value, &mut news)?,
                }
            }
            let next = match (page.next, page.delta) {
                (Some(next), _) => Next::Page(next.as_str().to_owned()),
                (None, Some(delta)) => Next::End(delta.as_str().to_owned()),
                (None, None) => {
                    return Err(garbled("a page says neither how it goes on nor that it was the last").into());
                }
            };
            Ok(Told { news, next })
        })
    }

    fn assignments(&self) -> ReaderFuture<'_, Vec<(DirectoryRole, Uuid)>> {
        Box::pin(async move {
            let mut given = Vec::new();
            for role in DirectoryRole::ALL {
                let template = template(*role);
                let path = format!(
                    "/v1.0/roleManagement/directory/roleAssignments?$filter=roleDefinitionId eq '{template}'\
                     &$select=roleDefinitionId,principalId,directoryScopeId"
                );
                for value in self.whole(self.link(&escaped(&path)), &[]).await? {
                    if let Some((found, principal)) = assignment(&value)?
                        && found == *role
                    {
                        given.push((found, principal));
                    }
                }
            }
            Ok(given)
        })
    }

    fn roles_of(&self, user: UserId) -> ReaderFuture<'_, Vec<DirectoryRole>> {
        Box::pin(async move {
            let path = format!(
                "/beta/roleManagement/directory/transitiveRoleAssignments?$count=true&$filter=principalId eq '{}'",
                user.0
            );
            let held = self.whole(self.link(&escaped(&path)), EVENTUAL);
            let account = self.link(&format!("/v1.0/users/{}?$select=id,accountEnabled", user.0));
            let account = async {
                match self.get(&account, &[]).await {
                    Ok(account) => Ok(account.get("accountEnabled") == Some(&Value::Bool(true))),
                    Err(fault) if fault.is_not_found() => Ok(false),
                    Err(fault) => Err(fault),
                }
            };
            let (held, is_enabled) = try_join(held, account).await?;
            if !is_enabled {
                return Ok(Vec::new());
            }
            let mut roles = Vec::new();
            for value in &held {
                // Whom the assignment names is the person, or a group that the person is in.
                roles.extend(assignment(value)?.map(|(role, _)| role));
            }
            roles.sort();
            roles.dedup();
            Ok(roles)
        })
    }
}

impl Graph {
    /// Every page of a list that is not large.
    async fn whole(&self, first: Address, extra: &[(&'static str, &str)]) -> Result<Vec<Value>, GraphFault> {
        let (mut values, mut next) = (Vec::new(), Some(first));
        for _ in 0..PAGES_MAX {
            let Some(link) = next else { return Ok(values) };
            let mut page = self.page(&link, extra).await?;
            values.append(&mut page.values);
            next = page.next;
        }
        Err(GraphFault::Garbled("a list does not end".to_owned()))
    }
}

/// A filter has blanks, and an address has none.
fn escaped(path: &str) -> String {
    path.replace(' ', "%20")
}

fn garbled(why: &str) -> GraphFault {
    GraphFault::Garbled(why.to_owned())
}

fn id(value: &Value) -> Result<Uuid, GraphFault> {
    let id = value.get("id").and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok());
    id.ok_or_else(|| garbled("an object of the directory has no id"))
}

fn is_removed(value: &Value) -> bool {
    value.get("@removed").is_some_and(|removed| !removed.is_null())
}

/// A text; an explicit null is one that is not there.
fn text(value: &Value, name: &str) -> Option<Option<String>> {
    value.get(name).map(|text| text.as_str().map(str::to_owned))
}

fn person(value: &Value, is_listing: bool) -> Result<News, GraphFault> {
    let user = UserId(id(value)?);
    if is_removed(value) {
        return Ok(News::PersonGone(user));
    }
    let is_enabled = value.get("accountEnabled").map(|is_enabled| is_enabled.as_bool().unwrap_or(false));
    let manager = match value.get("manager@delta").and_then(Value::as_array) {
        Some(told) => {
            let now = told.iter().filter(|manager| !is_removed(manager));
            // Contacts of the organization lead nobody here: their ids are nobody's.
            Some(now.map(id).collect::<Result<Vec<_>, _>>()?.last().copied().map(UserId))
        }
        // Told whole, and without one.
        None if is_listing && is_enabled.is_some() && value.get("userPrincipalName").is_some() => Some(None),
        None => None,
    };
    let told = PersonNews {
        display_name: text(value, "displayName").flatten(),
        user_principal_name: text(value, "userPrincipalName").flatten(),
        mail: text(value, "mail"),
        is_enabled,
        manager,
    };
    Ok(News::Person(user, told))
}

fn group(value: &Value, news: &mut Vec<News>) -> Result<(), GraphFault> {
    let group = GroupId(id(value)?);
    if is_removed(value) {
        news.push(News::GroupGone(group));
        return Ok(());
    }
    news.push(News::Group(group, text(value, "displayName").flatten()));
    for member in value.get("members@delta").and_then(Value::as_array).into_iter().flatten() {
        let is_in = !is_removed(member);
        // Devices, applications and contacts decide nothing.
        let kind = member.get("@odata.type").and_then(Value::as_str);
        let counts = kind.is_none_or(|kind| ["#microsoft.graph.user", "#microsoft.graph.group"].contains(&kind));
        if counts || !is_in {
            news.push(News::Link(Link { set: Set::Group(group), member: id(member)? }, is_in));
        }
    }
    Ok(())
}

/// A role and whom it is given to; nothing where it is none of ours, or not for the whole tenant.
fn assignment(value: &Value) -> Result<Option<(DirectoryRole, Uuid)>, GraphFault> {
    let uuid = |name: &str| value.get(name).and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok());
    if value.get("directoryScopeId").and_then(Value::as_str) != Some(TENANT) {
        return Ok(None);
    }
    // The id of a role that somebody made need not be one of the built-in roles' form.
    let Some(definition) = uuid("roleDefinitionId") else { return Ok(None) };
    let Some(role) = DirectoryRole::ALL.iter().find(|role| template(**role) == definition) else { return Ok(None) };
    let principal = uuid("principalId").ok_or_else(|| garbled("an assignment of a role names nobody"))?;
    Ok(Some((*role, principal)))
}

impl From<GraphFault> for ReaderError {
    fn from(fault: GraphFault) -> ReaderError {
        ReaderError::Unavailable(fault.to_string(), fault.wait())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ADA: &str = "00000000-0000-4000-8000-0000000000a1";
    const BOSS: &str = "00000000-0000-4000-8000-0000000000b1";

    fn uuid(text: &str) -> Uuid {
        text.parse().unwrap()
    }

    fn manager(value: Value, is_listing: bool) -> Option<Option<UserId>> {
        match person(&value, is_listing).unwrap() {
            News::Person(_, told) => told.manager,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_manager_is_told_taken_away_replaced_or_not_told() {
        let whole = json!({ "id": ADA, "userPrincipalName": "ada@example.com", "accountEnabled": true });
        assert_eq!(manager(whole.clone(), false), None);
        assert_eq!(manager(whole.clone(), true), Some(None), "told whole, and without one");
        assert_eq!(manager(json!({ "id": ADA, "displayName": "Ada" }), true), None, "told in part");
        let with = |told: Value| {
            let mut value = whole.clone();
            value["manager@delta"] = told;
            manager(value, true)
        };
        let removed = json!({ "id": ADA, "@removed": { "reason": "deleted" } });
        assert_eq!(with(json!([{ "id": BOSS }])), Some(Some(UserId(uuid(BOSS)))));
        assert_eq!(with(json!([removed])), Some(None));
        assert_eq!(with(json!([{ "id": BOSS }, removed])), Some(Some(UserId(uuid(BOSS)))));
    }

    #[test]
    fn an_account_of_which_nobody_knows_whether_it_is_enabled_is_not() {
        let told = json!({ "id": ADA, "accountEnabled": null, "mail": null, "displayName": null });
        let News::Person(_, told) = person(&told, false).unwrap() else { panic!("a person") };
        assert_eq!((told.is_enabled, told.mail, told.display_name), (Some(false), Some(None), None));
        assert!(person(&json!({ "displayName": "Nobody" }), false).is_err());
        assert!(person(&json!({ "id": "7" }), false).is_err());
    }

    #[test]
    fn people_and_groups_are_members_and_nothing_else_is() {
        let member = |kind: &str| json!({ "@odata.type": format!("#microsoft.graph.{kind}"), "id": BOSS });
        let told =
            json!({ "id": ADA, "members@delta": [member("user"), member("group"), member("device"), { "id": BOSS }] });
        let mut news = Vec::new();
        group(&told, &mut news).unwrap();
        assert_eq!(news.len(), 4, "the group and three members: {news:?}");
    }

    #[test]
    fn only_a_role_of_ours_for_the_whole_tenant_counts() {
        let role = template(DirectoryRole::SecurityAdministrator);
        let given = |role: &str, scope: Value| {
            assignment(&json!({ "roleDefinitionId": role, "principalId": ADA, "directoryScopeId": scope })).unwrap()
        };
        let ours = Some((DirectoryRole::SecurityAdministrator, uuid(ADA)));
        assert_eq!(given(&role.to_string(), json!("/")), ours);
        assert_eq!(given(&role.to_string().to_uppercase(), json!("/")), ours);
        assert_eq!(given(&role.to_string(), json!(format!("/administrativeUnits/{BOSS}"))), None);
        assert_eq!(given(&role.to_string(), Value::Null), None);
        assert_eq!(given(BOSS, json!("/")), None);
        assert_eq!(given("a role of our own", json!("/")), None);
    }

    #[test]
    fn every_role_has_a_template_of_its_own() {
        let all: std::collections::HashSet<_> = DirectoryRole::ALL.iter().map(|role| template(*role)).collect();
        assert_eq!(all.len(), DirectoryRole::ALL.len());
        assert_eq!(template(DirectoryRole::SecurityReader).to_string(), "5d6b6bb7-de71-4623-b4af-96380a352509");
    }
}
