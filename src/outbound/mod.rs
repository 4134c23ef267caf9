//! Adapters for the ports of `service` and `auth`: what this program asks of others over the network. Knows no rule.

mod document;

pub use document::{Web, choose_cryptography};
