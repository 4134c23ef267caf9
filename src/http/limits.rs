//! How much the doors take of anybody. Counts can be configured (`[limits]`); times are the program's own, and are fields so that a
//! test need not wait for them.

use std::time::Duration;

use super::rate::Rate;

/// The limits of the doors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time; a request that shares its connection counts as one.
    pub connections: usize,
    /// Of those from one address (of IPv6: from one /64), trusted proxies excepted.
    pub connections_per_address: usize,
    /// WebSockets and event streams of one user at a time.
    pub streams_per_user: usize,
    /// Operations that one WebSocket runs at a time.
    pub operations_per_socket: usize,
    /// The largest body of a request, and the largest message of a WebSocket, in bytes.
    pub message_bytes: usize,
    /// What the operations of one user that run at the same time may cost together.
    pub cost_at_once: u64,
    /// What the operations of one user may cost.
    pub cost: Rate,
    /// Fields of one user that decide.
    pub decisions: Rate,
    /// Failed authentications from one address (of IPv6: from one /64).
    pub failures: Rate,
    /// For the head of a request to arrive; over HTTP/1.1 also how long an idle connection is kept.
    pub head: Duration,
    /// For the body of a request to arrive.
    pub body: Duration,
    /// How long a connection over HTTP/2 is kept without a request.
    pub idle: Duration,
    /// For a client to take a piece of an answer (64 KiB).
    pub piece: Duration,
    /// For a WebSocket's `connection_init` to arrive.
    pub init: Duration,
    /// Between two pings of ours on a WebSocket.
    pub ping: Duration,
    /// Without any frame for so long the client of a WebSocket is taken for gone.
    pub silence: Duration,
    /// For the client of a WebSocket to take a message.
    pub message: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 16_384,
            connections_per_address: 1_024,
            streams_per_user: 50,
            operations_per_socket: 50,
            message_bytes: 256 * 1024,
            cost_at_once: 20_000,
            cost: Rate { burst: 1_000_000, per_minute: 3_000_000 },
            decisions: Rate { burst: 1_000, per_minute: 3_000 },
            failures: Rate { burst: 1_000, per_minute: 600 },
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            piece: Duration::from_secs(35),
            init: Duration::from_secs(10),
            ping: Duration::from_secs(25),
            silence: Duration::from_secs(60),
            message: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Sets what the key `name` of `[limits]` stands for. False: it stands for nothing here.
    pub fn set(&mut self, name: &str, value: u64) -> bool {
        let size = usize::try_from(value).unwrap_or(usize::MAX);
        match name {
            "connections" => self.connections = size,
            "connections_per_address" => self.connections_per_address = size,
            "streams_per_user" => self.streams_per_user = size,
            "operations_per_socket" => self.operations_per_socket = size,
            "message_bytes" => self.message_bytes = size,
            "cost_at_once" => self.cost_at_once = value,
            "cost_burst" => self.cost.burst = value,
            "cost_per_minute" => self.cost.per_minute = value,
            "decisions_burst" => self.decisions.burst = value,
            "decisions_per_minute" => self.decisions.per_minute = value,
            "failures_burst" => self.failures.burst = value,
            "failures_per_minute" => self.failures.per_minute = value,
            _ => return false,
        }
        true
    }
}
