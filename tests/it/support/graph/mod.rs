//! A Microsoft Graph of the story's own: over HTTP, behaving as Graph does, and as badly as the story wants.

mod answer;
mod fault;
mod tenant;

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use entity::{Seconds, Timestamp};
use riskgate::clock::Clock;
use riskgate::config::{Credential, GraphConfig, Secret};
use riskgate::outbound::graph::{Graph, GraphSettings, TIME_LIMIT};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub use fault::{ANYWHERE, Call, Fault};
pub use tenant::{GraphAssignment, GraphGroup, Tenant};

/// The secret that it takes.
pub const SECRET: &str = "s3cret";

/// Every permission that it knows.
pub const PERMISSIONS: [&str; 5] = [
    "IdentityRiskyUser.Read.All",
    "IdentityRiskyUser.ReadWrite.All",
    "User.Read.All",
    "GroupMember.Read.All",
    "RoleManagement.Read.Directory",
];

struct State {
    address: String,
    clock: Clock,
    tenant: Tenant,
    /// The roles before the last change of them.
    old_assignments: Vec<GraphAssignment>,
    user_changes: Vec<(Uuid, tenant::Change)>,
    group_changes: Vec<(Uuid, tenant::Change)>,
    /// Delta links before these say 410.
    kept_since: (usize, usize),
    script: fault::Script,
    /// Every question, in order, and when it came.
    calls: Vec<(Call, Timestamp)>,
    /// What went wrong with which.
    hits: Vec<(Call, Fault)>,
    /// The proofs that tokens were asked for with.
    proofs: Vec<HashMap<String, String>>,
    tokens: HashMap<String, Timestamp>,
    token_lifetime: Seconds,
    permissions: BTreeSet<String>,
    page_size: usize,
    /// What pages are cut from, and the delta that the last one ends with.
    lists: Vec<(Arc<Vec<Value>>, Option<String>)>,
}

/// A Graph of a story's own.
#[derive(Clone)]
pub struct FakeGraph {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    _server: Arc<Server>,
}

struct Server(JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl FakeGraph {
    /// One with an empty tenant; its tokens end by this clock.
    pub async fn start(clock: &Clock) -> FakeGraph {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State {
            address: format!("http://{address}"),
            clock: clock.clone(),
            tenant: Tenant::default(),
            old_assignments: Vec::new(),
            user_changes: Vec::new(),
            group_changes: Vec::new(),
            kept_since: (0, 0),
            script: fault::Script::default(),
            calls: Vec::new(),
            hits: Vec::new(),
            proofs: Vec::new(),
            tokens: HashMap::new(),
            token_lifetime: Seconds(3_599),
            permissions: PERMISSIONS.iter().map(|name| (*name).to_owned()).collect(),
            page_size: 100,
            lists: Vec::new(),
        }));
        let router = Router::new().fallback(answer::answer).with_state(state.clone());
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the fake Graph serves");
        });
        FakeGraph { address, state, _server: Arc::new(Server(server)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked")
    }

    /// Changes the tenant; delta queries tell of it from then on.
    pub fn change<T>(&self, change: impl FnOnce(&mut Tenant) -> T) -> T {
        let mut state = self.state();
        let before = state.tenant.clone();
        let result = change(&mut state.tenant);
        let (users, groups) = tenant::differences(&before, &state.tenant);
        state.user_changes.extend(users);
        state.group_changes.extend(groups);
        if before.assignments != state.tenant.assignments {
            state.old_assignments = before.assignments;
        }
        result
    }

    /// Looks at the tenant.
    pub fn tenant(&self) -> Tenant {
        self.state().tenant.clone()
    }

    /// The next questions of this kind go wrong so; `None`: one goes well.
    pub fn plan(&self, call: Call, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.state().script.plan(call, faults);
    }

    /// Every question of this kind goes wrong so, until `None`.
    pub fn always(&self, call: Call, fault: Option<Fault>) {
        self.state().script.always(call, fault);
    }

    /// So many of a hundred questions of any kind go wrong, each in one of these ways, by this seed.
    pub fn chance(&self, seed: u64, percent: usize, faults: &[Fault]) {
        self.state().script.chance(seed, percent, faults);
    }

    /// Nothing goes wrong any more.
    pub fn recover(&self) {
        self.state().script.clear();
    }

    /// Whoever asks for what changed since before now is told to start over.
    pub fn forget_changes(&self) {
        let mut state = self.state();
        // A change that nobody is told of: what is read from now on begins behind it.
        state.user_changes.push((Uuid::nil(), tenant::Change::default()));
        state.group_changes.push((Uuid::nil(), tenant::Change::default()));
        state.kept_since = (state.user_changes.len(), state.group_changes.len());
    }

    /// Tokens given from now on are good for so long.
    pub fn lives(&self, lifetime: Seconds) {
        self.state().token_lifetime = lifetime;
    }

    /// Takes every token back that was given.
    pub fn revoke_tokens(&self) {
        self.state().tokens.clear();
    }

    /// Takes a permission away.
    pub fn forbids(&self, permission: &str) {
        self.state().permissions.remove(permission);
    }

    /// So many values stand on a page.
    pub fn pages(&self, size: usize) {
        self.state().page_size = size;
    }

    /// How often it was asked something of this kind.
    pub fn count(&self, call: Call) -> usize {
        self.state().calls.iter().filter(|(other, _)| *other == call).count()
    }

    /// Every question, in order, and when it came.
    pub fn calls(&self) -> Vec<(Call, Timestamp)> {
        self.state().calls.clone()
    }

    /// How often this went wrong with a question of this kind.
    pub fn hits(&self, call: Call, fault: Fault) -> usize {
        self.state().hits.iter().filter(|hit| **hit == (call, fault)).count()
    }

    /// The forms by which tokens were asked for.
    pub fn proofs(&self) -> Vec<HashMap<String, String>> {
        self.state().proofs.clone()
    }

    /// How a server that asks it is configured: by a secret, for risk and not for the directory.
    pub fn config(&self) -> GraphConfig {
        GraphConfig {
            tenant: "contoso.example".to_owned(),
            client_id: "riskgate".to_owned(),
            credential: Credential::Secret(Secret(SECRET.to_owned())),
            authority: format!("http://{}", self.address),
            base_url: format!("http://{}", self.address),
            directory: false,
            risk: true,
            directory_interval: Seconds::minutes(1),
            risk_interval: Seconds::minutes(1),
            risk_max_age: Seconds::minutes(5),
            role_max_age: Seconds::minutes(5),
        }
    }

    /// What asks it, without a server around.
    pub fn client(&self, credential: riskgate::outbound::graph::Credential) -> Arc<Graph> {
        let clock = self.state().clock.clone();
        let GraphConfig { tenant, client_id, authority, base_url, .. } = self.config();
        let settings = GraphSettings { tenant, client_id, credential, authority, base_url, time_limit: TIME_LIMIT };
        Graph::new(settings, clock).expect("a client")
    }
}
