//! What the program says about itself: the log on stderr, and numbers for Prometheus.

use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The environment variable that filters the log.
pub const FILTER_VARIABLE: &str = "RISKGATE_LOG";

const DEFAULT_FILTER: &str = "info,sqlx=warn,sqlx::pool::acquire=error,sea_orm_migration=warn";

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log. Further calls change nothing, so that tests of one process may all call it.
///
/// # Errors
/// Where `RISKGATE_LOG` does not parse.
pub fn init(format: LogFormat) -> Result<(), String> {
    static STARTED: OnceLock<()> = OnceLock::new();
    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(text) if !text.is_empty() => {
            EnvFilter::try_new(&text).map_err(|fault| format!("{FILTER_VARIABLE}: {fault}"))?
        }
        _ => EnvFilter::new(DEFAULT_FILTER),
    };
    STARTED.get_or_init(|| {
        let registry = tracing_subscriber::registry().with(filter);
        let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        // Fails only where the process already has a log of its own, which then stays.
        let _ = match format {
            LogFormat::Text => registry.with(layer.with_ansi(std::io::stderr().is_terminal())).try_init(),
            LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
        };
        std::panic::set_hook(Box::new(|panic| {
            let message = panic.payload_as_str().unwrap_or("no message");
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            tracing::error!(place, message, "panic");
        }));
    });
    Ok(())
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn add_one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Puts it there.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Moves it by so much.
    pub fn add(&self, change: i64) {
        self.0.fetch_add(change, Ordering::Relaxed);
    }

    /// Where it stands.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The codes of `extensions.code`, in the order of [`Metrics::errors`].
pub const ERROR_CODES: [&str; 11] = [
    "UNAUTHENTICATED",
    "FORBIDDEN",
    "BAD_USER_INPUT",
    "NOT_FOUND",
    "CURSOR_EXPIRED",
    "CONFLICT",
    "LIMIT_EXCEEDED",
    "UNAVAILABLE",
    "TIMEOUT",
    "INTERNAL",
    "PERSISTED_QUERY_NOT_SUPPORTED",
];

/// Why connections are cut, in the order of [`Metrics::cuts`].
pub const CUTS: [&str; 8] =
    ["slow_head", "idle", "slow_reader", "crowded", "full", "malformed", "handshake", "half_open"];

/// The statuses of answers to HTTP requests, in the order of [`Metrics::statuses`]; all others are counted as the last one.
pub const STATUSES: [u16; 17] = [101, 200, 204, 400, 401, 403, 404, 405, 406, 408, 413, 414, 415, 429, 431, 503, 500];

/// Every number of one process, shared by `Arc`. A new one is a field here and a line in [`Metrics::render`].
#[derive(Debug, Default)]
pub struct Metrics {
    /// HTTP requests on `/graphql`, WebSocket upgrades included.
    pub requests: Counter,
    /// Answers to HTTP requests, by status: see [`STATUSES`].
    pub statuses: [Counter; STATUSES.len()],
    /// Open connections.
    pub connections: Gauge,
    /// Connections cut, by reason: see [`CUTS`].
    pub cuts: [Counter; CUTS.len()],
    /// Requests and WebSockets that did not say who they are, or were not who they said.
    pub failed_authentications: Counter,
    /// Times that a changed certificate could not be used.
    pub certificate_faults: Counter,
    /// GraphQL operations begun, over every transport.
    pub operations: Counter,
    /// Documents that had been read before.
    pub documents_known: Counter,
    /// Documents read, validated and kept.
    pub documents_read: Counter,
    /// Documents kept.
    pub documents_kept: Gauge,
    /// Bytes of their sources.
    pub documents_bytes: Gauge,
    /// GraphQL errors answered, by code: see [`ERROR_CODES`].
    pub errors: [Counter; ERROR_CODES.len()],
    /// Panics caught in resolvers.
    pub panics: Counter,
    /// Open WebSockets.
    pub sockets: Gauge,
    /// Running subscriptions, over every transport.
    pub subscriptions: Gauge,
    /// Clients cut off because they did not take bytes.
    pub slow_clients: Counter,
    /// Plans committed since the start, as the committer counts them.
    pub commits: Gauge,
    /// Seconds since the last complete sweep of the risk source that is asked; -1 where there was none.
    pub risk_source_age: Gauge,
    /// 1 while what that source said last is young enough to count.
    pub risk_source_is_ok: Gauge,
    /// Questions to it in the last hour, of all instances.
    pub risk_source_requests: Gauge,
    /// How many of these were too many for it.
    pub risk_source_throttles: Gauge,
    /// Open requests with a reading of it that could not be had.
    pub risk_source_undetermined: Gauge,
    /// Groups of plans committed since the start: one transaction each.
    pub commit_groups: Gauge,
    /// The highest position of the event log that this instance has seen.
    pub log_head: Gauge,
    /// When the directory was last read completely, where it is kept elsewhere.
    pub directory_read_at: Gauge,
    /// What a reading of it left out and was kept.
    pub directory_held_back: Gauge,
}

impl Metrics {
    /// Counts an error under its code; one that is unknown counts as INTERNAL.
    pub fn count_error(&self, code: &str) {
        let place = |code| ERROR_CODES.iter().position(|known| *known == code);
        if let Some(counter) = place(code).or_else(|| place("INTERNAL")).and_then(|at| self.errors.get(at)) {
            counter.add_one();
        }
    }

    /// Counts an answer under its status.
    pub fn count_status(&self, status: u16) {
        let at = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len() - 1);
        if let Some(counter) = self.statuses.get(at) {
            counter.add_one();
        }
    }

    /// Counts a connection that was cut; `reason` is one of [`CUTS`].
    pub fn count_cut(&self, reason: &str) {
        if let Some(counter) = CUTS.iter().position(|known| *known == reason).and_then(|at| self.cuts.get(at)) {
            counter.add_one();
        }
    }

    /// All of it in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = Exposition(String::with_capacity(4096));
        text.counter("riskgate_http_requests_total", "HTTP requests on /graphql.", &self.requests);
        text.head("riskgate_http_responses_total", "Answers to HTTP requests, by status.", "counter");
        for (status, counter) in STATUSES.iter().zip(&self.statuses) {
            text.sample(&format!("riskgate_http_responses_total{{status=\"{status}\"}}"), counter.get());
        }
        text.gauge("riskgate_connections", "Open connections.", &self.connections);
        text.head("riskgate_connections_cut_total", "Connections cut, by reason.", "counter");
        for (reason, counter) in CUTS.iter().zip(&self.cuts) {
            text.sample(&format!("riskgate_connections_cut_total{{reason=\"{reason}\"}}"), counter.get());
        }
        text.counter(
            "riskgate_failed_authentications_total",
            "Requests and WebSockets without a good token.",
            &self.failed_authentications,
        );
        text.counter(
            "riskgate_certificate_faults_total",
            "Times that a changed certificate could not be used.",
            &self.certificate_faults,
        );
        text.counter("riskgate_operations_total", "GraphQL operations begun.", &self.operations);
        text.counter("riskgate_documents_known_total", "Documents that had been read before.", &self.documents_known);
        text.counter("riskgate_documents_read_total", "Documents read and validated.", &self.documents_read);
        text.gauge("riskgate_documents_kept", "Documents kept.", &self.documents_kept);
        text.gauge("riskgate_documents_kept_bytes", "Bytes of the documents kept.", &self.documents_bytes);
        text.head("riskgate_errors_total", "GraphQL errors answered, by code.", "counter");
        for (code, counter) in ERROR_CODES.iter().zip(&self.errors) {
            text.sample(&format!("riskgate_errors_total{{code=\"{code}\"}}"), counter.get());
        }
        text.counter("riskgate_panics_total", "Panics caught in resolvers.", &self.panics);
        text.gauge("riskgate_websockets", "Open WebSockets.", &self.sockets);
        text.gauge("riskgate_subscriptions", "Running subscriptions.", &self.subscriptions);
        text.counter("riskgate_slow_clients_total", "Clients cut off for not taking bytes.", &self.slow_clients);
        text.gauge("riskgate_commits", "Plans committed since the start.", &self.commits);
        text.gauge(
            "riskgate_risk_source_age_seconds",
            "Since the last complete sweep of the risk source; -1: none.",
            &self.risk_source_age,
        );
        text.gauge(
            "riskgate_risk_source_ok",
            "1 while what the risk source said is young enough.",
            &self.risk_source_is_ok,
        );
        text.gauge(
            "riskgate_risk_source_requests_last_hour",
            "Questions to the risk source.",
            &self.risk_source_requests,
        );
        text.gauge(
            "riskgate_risk_source_throttles_last_hour",
            "Questions that were too many for it.",
            &self.risk_source_throttles,
        );
        text.gauge(
            "riskgate_risk_source_undetermined_requests",
            "Open requests with a reading that could not be had.",
            &self.risk_source_undetermined,
        );
        text.gauge("riskgate_commit_groups", "Groups of plans committed since the start.", &self.commit_groups);
        text.gauge("riskgate_log_head_position", "Highest position of the event log seen.", &self.log_head);
        text.gauge(
            "riskgate_directory_read_timestamp_seconds",
            "When the last complete reading of the directory began; 0: none yet, or the directory is our own.",
            &self.directory_read_at,
        );
        text.gauge(
            "riskgate_directory_held_back",
            "People, groups and members that a reading of the directory left out, and that were kept as too many.",
            &self.directory_held_back,
        );
        text.0
    }
}

/// Prometheus' text format, as it grows.
struct Exposition(String);

impl Exposition {
    fn head(&mut self, name: &str, help: &str, kind: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn counter(&mut self, name: &str, help: &str, counter: &Counter) {
        self.head(name, help, "counter");
        self.sample(name, counter.get());
    }

    fn gauge(&mut self, name: &str, help: &str, gauge: &Gauge) {
        self.head(name, help, "gauge");
        self.sample(name, gauge.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rendered_with_their_type() {
        let metrics = Metrics::default();
        metrics.requests.add(3);
        metrics.sockets.add(2);
        metrics.sockets.add(-1);
        metrics.count_error("FORBIDDEN");
        metrics.count_error("no such code");
        let text = metrics.render();
        for line in [
            "# TYPE riskgate_http_requests_total counter",
            "riskgate_http_requests_total 3",
            "# TYPE riskgate_websockets gauge",
            "riskgate_websockets 1",
            "riskgate_errors_total{code=\"FORBIDDEN\"} 1",
            "riskgate_errors_total{code=\"INTERNAL\"} 1",
            "riskgate_errors_total{code=\"TIMEOUT\"} 0",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
        let named = |prefix: &str| text.lines().filter(|line| line.starts_with(prefix)).count();
        assert_eq!(named("# HELP"), named("# TYPE"));
    }
}
