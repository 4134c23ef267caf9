//! Somebody with a token who asks over HTTP.

use std::net::SocketAddr;

use entity::UserId;
use serde_json::{Value, json};

use super::Events;
use super::socket::Socket;

/// A person at a server.
#[derive(Clone)]
pub struct Person {
    http: reqwest::Client,
    pub address: SocketAddr,
    pub id: UserId,
    pub token: String,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    pub body: Value,
}

impl Answer {
    /// The code of the first error.
    pub fn code(&self) -> &str {
        self.body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
    }

    /// The data, where nothing went wrong.
    #[track_caller]
    pub fn data(self) -> Value {
        assert!(self.body["errors"].is_null(), "{:#}", self.body);
        self.body["data"].clone()
    }
}

impl Person {
    pub fn new(http: reqwest::Client, address: SocketAddr, id: UserId, token: String) -> Person {
        Person { http, address, id, token }
    }

    /// The same person at another server.
    pub fn at(&self, address: SocketAddr) -> Person {
        Person { address, ..self.clone() }
    }

    /// The id as the API has it.
    pub fn user_id(&self) -> String {
        self.id.to_string()
    }

    /// Asks, whatever comes.
    pub async fn ask(&self, query: &str, variables: Value) -> Answer {
        self.try_ask(query, variables).await.expect("the server answers")
    }

    /// Asks a server that may be gone.
    pub async fn try_ask(&self, query: &str, variables: Value) -> Result<Answer, reqwest::Error> {
        self.try_ask_with(json!({ "query": query, "variables": variables })).await
    }

    /// Asks with a body of any shape.
    pub async fn ask_with(&self, body: Value) -> Answer {
        self.try_ask_with(body).await.expect("the server answers")
    }

    async fn try_ask_with(&self, body: Value) -> Result<Answer, reqwest::Error> {
        let request = self.http.post(format!("http://{}/graphql", self.address)).bearer_auth(&self.token);
        let response = request.json(&body).send().await?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after").map(|value| value.to_str().expect("text").to_owned());
        Ok(Answer { status, retry_after, body: response.json().await? })
    }

    /// Asks, and gets the data.
    pub async fn data(&self, query: &str, variables: Value) -> Value {
        let answer = self.ask(query, variables).await;
        assert!(answer.body["errors"].is_null(), "{query}: {:#}", answer.body);
        answer.body["data"].clone()
    }

    /// A WebSocket, acknowledged.
    pub async fn connect(&self) -> Socket {
        Socket::connect(self.address, &self.token).await
    }

    /// An operation over server-sent events.
    pub async fn streams(&self, query: &str, variables: Value) -> Events {
        self.resumes(query, variables, "").await
    }

    /// The same by a browser's EventSource that was told this id last.
    pub async fn resumes(&self, query: &str, variables: Value, last: &str) -> Events {
        let request = self.http.post(format!("http://{}/graphql", self.address)).bearer_auth(&self.token);
        let request = request
            .header("Accept", "text/event-stream")
            .header("Last-Event-ID", last)
            .json(&json!({ "query": query, "variables": variables }));
        Events::new(request.send().await.expect("the server answers"))
    }

    /// Submits; returns the payload.
    pub async fn submits(&self, input: Value) -> Value {
        let query = "mutation($input: SubmitAccessRequestInput!) { submitAccessRequest(input: $input) {
            request { id state outcome stages { id kind position status } currentStage { id kind } assignment { id state endsAt } }
            userErrors { code message field } } }";
        self.data(query, json!({ "input": input })).await["submitAccessRequest"].clone()
    }

    /// Submits for a package and is not refused; returns the request.
    #[track_caller]
    pub fn asks_for(&self, package: entity::PackageId) -> impl Future<Output = Value> {
        let input = json!({ "accessPackageId": package.to_string(), "justification": "For my work." });
        async move {
            let payload = self.submits(input).await;
            assert_eq!(payload["userErrors"], json!([]), "{payload:#}");
            payload["request"].clone()
        }
    }

    /// Submits for a package, whatever comes.
    pub async fn submits_anyhow(&self, package: entity::PackageId) -> Answer {
        let query = "mutation($p: ID!) { submitAccessRequest(input: { accessPackageId: $p }) { request { id } userErrors { code } } }";
        self.ask(query, json!({ "p": package.to_string() })).await
    }

    /// Decides; returns the payload.
    pub async fn decides(&self, stage: &Value, decision: &str, justification: Option<&str>) -> Value {
        let query = "mutation($input: DecideApprovalStageInput!) { decideApprovalStage(input: $input) {
            stage { id kind status decidedBy { id } decidedAt justification }
            request { id state outcome currentStage { id kind } assignment { id state endsAt } }
            userErrors { code message field } } }";
        let input = json!({ "stageId": stage, "decision": decision, "justification": justification });
        self.data(query, json!({ "input": input })).await["decideApprovalStage"].clone()
    }

    /// Approves, and is not refused; returns the request.
    pub async fn approves(&self, stage: &Value) -> Value {
        let payload = self.decides(stage, "APPROVE", Some("Checked.")).await;
        assert_eq!(payload["userErrors"], json!([]), "{payload:#}");
        payload["request"].clone()
    }

    /// Denies, and is not refused; returns the request.
    pub async fn denies(&self, stage: &Value) -> Value {
        let payload = self.decides(stage, "DENY", Some("Not now.")).await;
        assert_eq!(payload["userErrors"], json!([]), "{payload:#}");
        payload["request"].clone()
    }

    /// The code of the refusal of a decision; an empty text where there was none.
    pub async fn is_refused(&self, stage: &Value) -> String {
        let payload = self.decides(stage, "APPROVE", Some("Checked.")).await;
        payload["userErrors"][0]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Cancels; returns the payload.
    pub async fn cancels(&self, request: &Value) -> Answer {
        let query = "mutation($input: CancelAccessRequestInput!) { cancelAccessRequest(input: $input) {
            request { id state outcome } userErrors { code field } } }";
        self.ask(query, json!({ "input": { "requestId": request, "reason": "Not needed." } })).await
    }

    /// The pending risk stages that this person may decide: the nodes and the event cursor.
    pub async fn pending_risk(&self) -> (Vec<Value>, String) {
        let query = "{ pendingRiskApprovals(first: 100) { eventCursor nodes {
            id kind source position status dueAt isAssignedToViewer request { id state requestor { id displayName } target { id } }
            evaluation { level isStageRequired reason configurationVersion } } } }";
        let page = self.data(query, Value::Null).await["pendingRiskApprovals"].clone();
        let cursor = page["eventCursor"].as_str().expect("a cursor").to_owned();
        (page["nodes"].as_array().expect("nodes").clone(), cursor)
    }

    /// One request as this person sees it; null where they do not.
    pub async fn request(&self, id: &Value) -> Value {
        let query = "query($id: ID!) { node(id: $id) { ... on AccessRequest { id state outcome requestType completedAt
            requestor { id } target { id } justification
            stages { id kind position status isAssignedToViewer pendingSince dueAt decidedBy { id } justification
                approvers { __typename } }
            currentStage { id kind status } assignment { id state endsAt }
            riskEvaluations { source level isStageRequired reason configurationVersion subject { id } } } } }";
        self.data(query, json!({ "id": id })).await["node"].clone()
    }
}
