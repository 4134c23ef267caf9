//! Microsoft Graph, put together from the configuration.

use std::sync::Arc;
use std::time::Duration;

use entity::Seconds;

use super::say;
use crate::clock::Clock;
use crate::config::{Credential, GraphConfig};
use crate::outbound::graph::permission::{FOR_DIRECTORY, FOR_RISK};
use crate::outbound::graph::{self, Graph, GraphSettings, TIME_LIMIT};
use crate::service::Services;
use crate::service::sync::Followed;
use crate::service::watch::{PACE, WatchSettings};
use crate::store::Store;

/// How long `check` waits for its turn to ask.
const CHECK_WAIT: Seconds = Seconds(10);

/// Microsoft Graph, as a server is started with it.
#[derive(Debug, Clone)]
pub struct GraphSetup {
    /// What the configuration says of it.
    pub config: GraphConfig,
    /// So long one answer of it may take.
    pub time_limit: Duration,
}

impl From<GraphConfig> for GraphSetup {
    fn from(config: GraphConfig) -> GraphSetup {
        GraphSetup { config, time_limit: TIME_LIMIT }
    }
}

/// Microsoft Graph; nothing is asked of it yet.
pub(super) fn client(setup: &GraphSetup, clock: &Clock) -> Result<Arc<Graph>, String> {
    let GraphSetup { config, time_limit } = setup.clone();
    let GraphConfig { tenant, client_id, credential, authority, base_url, .. } = config;
    let credential = match credential {
        Credential::Secret(secret) => graph::Credential::Secret(secret.0),
        Credential::SecretFile(file) => graph::Credential::SecretFile(file),
        Credential::Certificate { certificate, private_key } => {
            graph::Credential::Certificate { certificate, private_key }
        }
        Credential::Federated(file) => graph::Credential::Federated(file),
    };
    Graph::new(GraphSettings { tenant, client_id, credential, authority, base_url, time_limit }, clock.clone())
}

/// The use cases with what comes from Graph.
pub(super) fn connected(mut services: Services, config: &GraphConfig, graph: &Arc<Graph>) -> Services {
    if config.directory {
        let (interval, role_max_age) = (config.directory_interval, config.role_max_age);
        services = services.following(Followed { reader: graph.clone(), interval, role_max_age });
    }
    if !config.risk {
        return services;
    }
    let settings = WatchSettings { interval: config.risk_interval, max_age: config.risk_max_age };
    services.watching(graph.clone(), settings)
}

/// Tries each permission that is needed; returns what is wrong.
pub(super) async fn check(config: &GraphConfig, store: &Store) -> Result<Vec<String>, String> {
    let clock = Clock::system();
    let graph = client(&config.clone().into(), &clock)?;
    let directory = config.directory.then_some(FOR_DIRECTORY).into_iter().flatten();
    let mut wrong = Vec::new();
    for permission in directory.chain(config.risk.then_some(FOR_RISK).into_iter().flatten()) {
        if permission.is_paced {
            // Whoever serves asks too; together once a second.
            let now = clock.now();
            let latest = now.plus(CHECK_WAIT);
            let turn = store.take_turn(PACE, now, latest, Seconds(1)).await.map_err(|error| error.to_string())?;
            let Some(turn) = turn else {
                wrong.push(format!("graph: {}: the running servers are told to leave Graph alone", permission.name));
                continue;
            };
            clock.until(turn.at).await;
        }
        match graph.try_permission(&permission).await {
            Ok(()) => say(&format!("graph: {} ({}): good\n", permission.name, permission.purpose))?,
            Err(why) => wrong.push(format!("graph: {why}")),
        }
    }
    Ok(wrong)
}
