//! Applications: what acts with a token of its own, and no person behind it.

use async_graphql::Object;

use crate::domain::permission::ApplicationId;

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
