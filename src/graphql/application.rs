//! Applications: what acts with a token of its own, and no person behind it.

use async_graphql::{InputObject, Object};

use crate::domain::permission::ApplicationId;

/// One application.
#[derive(InputObject)]
pub struct ApplicationInput {
    /// What its identity provider calls it.
    client_id: String,
    /// The identity provider that knows it.
    issuer: String,
}

impl ApplicationInput {
    /// As the reading takes it.
    pub fn taken(self) -> ApplicationId {
        ApplicationId { issuer: self.issuer, client_id: self.client_id }
    }
}

/// An application that acted by itself.
pub struct Application(pub ApplicationId);

#[Object]
impl Application {
    /// What its identity provider calls it.
    async fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// The identity provider that knows it.
    async fn issuer(&self) -> &str {
        &self.0.issuer
    }
}
