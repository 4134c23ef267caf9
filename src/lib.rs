//! Riskgate: a self-hosted entitlement-management server. See `docs/architecture.md`.

pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod domain;
pub mod graphql;
pub mod http;
pub mod lifecycle;
pub mod outbound;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod worker;
