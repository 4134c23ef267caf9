//! Tables, ids and words of Riskgate: one table a file, no query and no rule.
//!
//! Every value has one form in both databases: an id is the text of its UUID, a moment is an integer of
//! microseconds, a word is its own upper-case name, a structure is JSON text. So bytes compare alike everywhere,
//! and what a hash or a stored decision covers does not depend on a driver.

mod id;
mod json;
mod time;
mod word;

pub mod assignment;
pub mod catalog;
pub mod control;
pub mod control_version;
pub mod decision;
pub mod deployment;
pub mod evaluation;
pub mod event;
pub mod explanation;
pub mod given_role;
pub mod group;
pub mod group_member;
pub mod head;
pub mod idempotency;
pub mod insider_risk;
pub mod lease;
pub mod mark;
pub mod membership;
pub mod pace;
pub mod pace_minute;
pub mod package;
pub mod policy;
pub mod policy_requestor;
pub mod progress;
pub mod request;
pub mod risk_sweep;
pub mod role;
pub mod stage;
pub mod stage_approver;
pub mod sync;
pub mod user;
pub mod user_risk;

pub use id::*;
pub use json::Json;
pub use time::{Seconds, Timestamp};
pub use word::*;

/// A row that the committer writes whole: the columns of its table, its key, and the moments that only a commit knows.
pub trait Row: serde::Serialize {
    /// The table.
    const TABLE: &'static str;
    /// Every column, in the order of the table.
    const COLUMNS: &'static [&'static str];
    /// The columns of the primary key.
    const KEY: &'static [&'static str];
    /// Whether a column `version` guards every change of the row.
    const VERSIONED: bool;

    /// Turns moments counted from the commit into moments.
    fn stamp(&mut self, now: Timestamp);
}

/// Says for one table what [`Row`] asks.
macro_rules! row {
    ($table:literal, key [$($key:literal),+], versioned $versioned:literal,
     columns [$($column:ident),+ $(,)?], stamp [$($moment:ident),*], stamp_some [$($maybe:ident),*]) => {
        impl $crate::Row for Model {
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($column)),+];
            const KEY: &'static [&'static str] = &[$($key),+];
            const VERSIONED: bool = $versioned;

            fn stamp(&mut self, now: $crate::Timestamp) {
                let _ = now;
                $(self.$moment = self.$moment.resolved(now);)*
                $(self.$maybe = self.$maybe.map(|moment| moment.resolved(now));)*
            }
        }
    };
}
pub(crate) use row;
