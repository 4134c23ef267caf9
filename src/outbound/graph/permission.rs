//! Which permissions the app registration has: each is tried with the smallest question that needs it.

use reqwest::Method;
use serde_json::json;

use super::{Graph, GraphFault};

/// One permission, and the question that needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// Its name in Microsoft Entra.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Does asking count among the one question a second that ID Protection takes?
    pub is_paced: bool,
    method: &'static str,
    path: &'static str,
}

/// What the directory needs.
pub const FOR_DIRECTORY: [Permission; 3] = [
    Permission {
        name: "User.Read.All",
        purpose: "people, their managers, whether they are enabled",
        is_paced: false,
        method: "GET",
        path: "/v1.0/users?$select=id&$top=1",
    },
    Permission {
        name: "GroupMember.Read.All",
        purpose: "groups and their members",
        is_paced: false,
        method: "GET",
        path: "/v1.0/groups?$select=id&$top=1",
    },
    Permission {
        name: "RoleManagement.Read.Directory",
        purpose: "who holds which directory role",
        is_paced: false,
        method: "GET",
        path: "/v1.0/roleManagement/directory/roleAssignments?$top=1",
    },
];

/// What the risk source needs.
pub const FOR_RISK: [Permission; 2] = [
    Permission {
        name: "IdentityRiskyUser.Read.All",
        purpose: "people's risk",
        is_paced: true,
        method: "GET",
        path: "/v1.0/identityProtection/riskyUsers?$select=id&$top=1",
    },
    Permission {
        name: "IdentityRiskyUser.ReadWrite.All",
        purpose: "confirming and dismissing risk",
        is_paced: true,
        // Of nobody: with the permission the list is refused for being empty, without it the question is.
        method: "POST",
        path: "/v1.0/identityProtection/riskyUsers/dismiss",
    },
];

impl Graph {
    /// Tries a permission.
    ///
    /// # Errors
    /// In one line: that it is missing, or why it could not be tried.
    pub async fn try_permission(&self, permission: &Permission) -> Result<(), String> {
        let Permission { name, purpose, method, path, .. } = permission;
        let link = self.link(path);
        let answer = match *method {
            "POST" => self.ask(Method::POST, &link, &[], Some(&json!({ "userIds": [] }))).await,
            _ => self.get(&link, &[]).await,
        };
        match answer {
            Ok(_) => Ok(()),
            Err(GraphFault::Refused(refusal)) if *method == "POST" && refusal.status == 400 && refusal.is_own() => {
                Ok(())
            }
            Err(fault) if fault.is_forbidden() => Err(format!("{name} ({purpose}) is missing: Graph {fault}")),
            Err(fault) => Err(format!("{name} ({purpose}) could not be tried: Graph {fault}")),
        }
    }
}
