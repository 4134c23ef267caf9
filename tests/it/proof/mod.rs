//! Proof of decisions: each says by which right and on what it was made, binds to what was seen, is refused where whoever gives it is at
//! risk, and is proved again before access is delivered.

mod again;
mod between;
mod race;
mod risky;
mod seen;
mod told;

use serde_json::{Value, json};

use crate::support::{Person, World};

/// The stage whose turn it is.
async fn current(world: &World, request: &Value) -> Value {
    world.whole(request).await["currentStage"]["id"].clone()
}

/// What somebody is told of how a stage was decided.
async fn proof(person: &Person, stage: &Value) -> Value {
    let query = "query($id: ID!) { node(id: $id) { ... on PolicyApprovalStage { proof { ...P } } ... on RiskApprovalStage { proof { ...P } } } }
        fragment P on DecisionProof { decision decidedBy { id } decidedAt tier groupPath { displayName } role roleGroup { id }
            namedBy { ... on SingleUser { user { id } } ... on GroupMembers { group { displayName } }
                ... on RequestorManager { managerLevel } ... on DirectoryRoleHolders { role } }
            directoryVersion rolesReadAt roleDataAge evaluation { level } stageVersion }";
    person.data(query, json!({ "id": stage })).await["node"]["proof"].clone()
}
