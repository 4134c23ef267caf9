//! SCHEMA: types, inputs, payloads and loaders of the GraphQL schema. Holds no decision: what may be done, and who sees what, is
//! asked of the use cases.

pub mod application;
pub mod audit;
pub mod catalog;
pub mod connection;
pub mod control;
pub mod document;
pub mod error;
pub mod explanation;
pub mod loader;
pub mod mutation;
pub mod node;
pub mod proof;
pub mod query;
pub mod request;
pub mod risk;
pub mod scalar;
pub mod session;
pub mod stage;
pub mod subject;
pub mod subscription;
pub mod user;
pub mod viewer;
pub mod word;

use std::sync::Arc;

use async_graphql::{SDLExportOptions, SchemaBuilder, ValidationMode};

pub use mutation::Mutation;
pub use query::Query;
pub use session::{News, Session, Source};
pub use subscription::Subscription;

use crate::service::Services;

/// The schema.
pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query, Mutation, Subscription)
        .register_output_type::<node::Node>()
        .register_output_type::<control::ControlConfiguration>()
        .register_output_type::<stage::ApprovalStage>()
        .disable_suggestions()
        // The front has done it: see `document`.
        .validation_mode(ValidationMode::Fast)
        .limit_recursive_depth(200)
}

/// The schema over the use cases.
pub fn schema(services: Arc<Services>) -> Schema {
    builder().data(services).finish()
}

/// The schema as a document: byte for byte `schema.graphql`.
pub fn sdl() -> String {
    builder().finish().sdl_with_options(SDLExportOptions::new().prefer_single_line_descriptions())
}
