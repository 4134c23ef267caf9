//! What a story says beforehand: packages, policies, controls and risk, through the same doors as everybody's; and what it looks up.

use serde_json::{Value, json};

use super::{Snapshot, World};

impl World {
    /// A package of its own, without a policy.
    pub async fn package(&self, name: &str) -> Value {
        let ines = self.person("ines");
        let catalogs = ines.data("{ catalogs(first: 1) { nodes { id } } }", Value::Null).await;
        let query = "mutation($input: CreateAccessPackageInput!) { createAccessPackage(input: $input) {
            accessPackage { id } userErrors { code field } } }";
        let input = json!({ "catalogId": catalogs["catalogs"]["nodes"][0]["id"], "displayName": name });
        let payload = ines.data(query, json!({ "input": input })).await["createAccessPackage"].clone();
        assert_eq!(payload["userErrors"], json!([]), "{payload:#}");
        payload["accessPackage"]["id"].clone()
    }

    /// A policy for a package, with these fields of its input beside the name.
    pub async fn policy(&self, package: &Value, mut input: Value) -> Value {
        input["accessPackageId"] = package.clone();
        input["displayName"] = json!("A policy of the story");
        let query = "mutation($input: CreateAssignmentPolicyInput!) { createAssignmentPolicy(input: $input) {
            assignmentPolicy { id } userErrors { code field } } }";
        let made = self.person("ines").data(query, json!({ "input": input })).await["createAssignmentPolicy"].clone();
        assert_eq!(made["userErrors"], json!([]), "{made:#}");
        made["assignmentPolicy"]["id"].clone()
    }

    /// A package with one policy of these stages, for everybody and on behalf.
    pub async fn staged(&self, stages: Value) -> Value {
        let package = self.package("Of the story").await;
        self.policy(&package, json!({ "allowManagersOnBehalf": true, "stages": stages })).await;
        package
    }

    /// Changes the ID Protection control.
    pub async fn controls(&self, input: Value) {
        let query =
            "mutation($input: UpdateIdProtectionRiskApprovalInput!) { updateIdProtectionRiskApproval(input: $input) {
            userErrors { code field } } }";
        let done = self.person("ines").data(query, json!({ "input": input })).await;
        assert_eq!(done["updateIdProtectionRiskApproval"]["userErrors"], json!([]), "{done:#}");
    }

    /// Changes the control of insider risk.
    pub async fn insider_controls(&self, input: Value) {
        let query = "mutation($input: UpdateInsiderRiskApprovalInput!) { updateInsiderRiskApproval(input: $input) {
            userErrors { code field } } }";
        let done = self.person("ines").data(query, json!({ "input": input })).await;
        assert_eq!(done["updateInsiderRiskApproval"]["userErrors"], json!([]), "{done:#}");
    }

    /// Reports somebody's insider risk, which may end.
    pub async fn insider_risk(&self, name: &str, level: &str, expires_at: Option<entity::Timestamp>) {
        let query =
            "mutation($input: ReportInsiderRiskInput!) { reportInsiderRisk(input: $input) { userErrors { code } } }";
        let end = expires_at.map(|end| end.rfc3339());
        let input = json!({ "userId": self.person(name).user_id(), "level": level, "expiresAt": end });
        let done = self.person("cora").data(query, json!({ "input": input })).await;
        assert_eq!(done["reportInsiderRisk"]["userErrors"], json!([]), "{done:#}");
    }

    /// Reports somebody's ID Protection risk.
    pub async fn risk(&self, name: &str, level: &str) {
        let query = "mutation($u: ID!, $l: UserRiskLevel!) { reportUserRisk(input: { userId: $u, level: $l }) { userErrors { code } } }";
        let variables = json!({ "u": self.person(name).user_id(), "l": level });
        let done = self.person("otto").data(query, variables).await;
        assert_eq!(done["reportUserRisk"]["userErrors"], json!([]), "{done:#}");
    }

    /// A request as somebody sees it who reads everything.
    pub async fn whole(&self, request: &Value) -> Value {
        self.person("glen").request(&request["id"]).await
    }

    /// A stage likewise.
    pub async fn whole_stage(&self, stage: &Value) -> Value {
        let query = "query($id: ID!) { node(id: $id) { ... on ApprovalStage { id kind status request { id } } } }";
        self.person("glen").data(query, json!({ "id": stage })).await["node"].clone()
    }

    /// Kinds of the events about a request, in order.
    pub async fn told(&self, request: &Value) -> Vec<String> {
        self.snapshot().await.told_of(request).into_iter().map(|(kind, _)| kind).collect()
    }
}

impl Snapshot {
    /// The events about a request, in order: kind and details.
    pub fn told_of(&self, request: &Value) -> Vec<(String, Value)> {
        let about = self
            .events
            .iter()
            .filter(|event| event.request_id.is_some_and(|id| request["id"] == id.to_string().as_str()));
        about
            .map(|event| {
                let content: Value = serde_json::from_str(&event.content).expect("JSON");
                (event.kind.clone(), content["details"].clone())
            })
            .collect()
    }
}
