//! Adapters for the ports of `service` and `auth`: what this program asks of others over the network. Knows no rule.

pub mod graph;
mod web;

pub use web::{Web, choose_cryptography};
