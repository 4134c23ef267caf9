//! Riskgate: a self-hosted entitlement-management server. See `docs/architecture.md`.

pub mod clock;
pub mod domain;
pub mod service;
pub mod store;
