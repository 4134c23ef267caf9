//! The rules: pure, synchronous functions from facts to plans. No I/O, no clock, no randomness: times come in as facts, new
//! ids are handed in, and what only a commit knows is left to it ([`entity::Timestamp::COMMIT`]).

pub mod address;
pub mod backoff;
pub mod catalog;
pub mod control;
pub mod coverage;
pub mod decision;
pub mod directory;
pub mod duration;
pub mod event;
pub mod explanation;
pub mod freshness;
pub mod living;
pub mod permission;
pub mod plan;
pub mod refusal;
pub mod request;
pub mod risk;
pub mod route;
pub mod sync;
pub mod text;
