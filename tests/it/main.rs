//! The integration tests: stories told by people of the demo world against the real server, over real HTTP and WebSocket, on SQLite
//! and on PostgreSQL. Plain `cargo test` tells them on SQLite; `scripts/test` on both.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod approver;
mod audit_chain;
mod catalog;
mod command_line;
mod control;
mod crash;
mod document;
mod escalation;
mod evaluation;
mod explanation;
mod fuzz;
mod graph;
mod hold;
mod house;
mod identity;
mod import;
mod living;
mod look_up;
mod main_job;
mod outage;
mod page;
mod people;
mod permission;
mod proof;
mod race;
mod random;
mod readme;
mod request;
mod risk;
mod route;
mod stage;
mod stream;
mod support;
mod tidy;
mod visibility;
mod walk;
mod wire;
mod year;
