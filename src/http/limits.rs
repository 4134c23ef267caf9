//! How much the doors take of anybody. Counts can be configured (`[limits]`); times are the program's own, and are fields so that a
//! test need not wait for them.

use std::time::Duration;

/// The limits of the doors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Of those from one address (of IPv6: from one /64), trusted proxies excepted.
    pub connections_per_address: usize,
    /// For the head of a request to arrive; over HTTP/1.1 also how long an idle connection is kept.
    pub head: Duration,
    /// For the body of a request to arrive.
    pub body: Duration,
    /// How long a connection over HTTP/2 is kept without a request.
    pub idle: Duration,
    /// For a client to take a piece of an answer ([`super::delivery::PIECE`]).
    pub piece: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 16_384,
            connections_per_address: 2_048,
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            piece: Duration::from_secs(35),
        }
    }
}
