//! The composition root: the only place that knows every floor. One function for each command, and [`App`], a running server.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use entity::{DirectoryRole, DirectorySource, Seconds, deployment};
use migration::Status;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::auth::{self, Issuer, Provider, ProviderSettings, Verifier, new_key};
use crate::clock::Clock;
use crate::config::{Config, IssuerConfig};
use crate::demo;
use crate::domain::permission::Principal;
use crate::graphql::document::{Documents, Limits};
use crate::http::{self, Explorer, ForwardedHeader, Person, Proxies, Tls, TlsFiles};
use crate::lifecycle::{self, Shutdown};
use crate::outbound;
use crate::service::sync;
use crate::service::{CursorKey, ImportError, Imported, Services, Sources};
use crate::store::log::Verdict;
use crate::store::{Db, Role, Store, Target, deployment as installation};
use crate::telemetry::Metrics;
use crate::{graphql, worker};

mod graph;

pub use crate::service::ImportOptions;
pub use graph::GraphSetup;

/// How long the tokens of the demo's first page are good.
const DEMO_TOKEN: Seconds = Seconds::hours(8);

/// How often, and after what pause, the lock of a file is tried: a server that has just ended may have left it to a child that is being
/// started, for a moment.
const LOCK_TRIES: usize = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// What is left to the process once its commits have ended, or have been given up.
const AFTER_COMMITS: Duration = Duration::from_millis(500);

/// Files that the process opens besides connections: databases, the log, certificates.
const OTHER_FILES: usize = 128;

/// Options of `serve`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ServeOptions {
    /// With the demo world.
    pub demo: bool,
    /// On an address that others reach, although demo mode lets anybody there be anybody.
    pub insecure: bool,
}

/// What a server is started with.
pub struct Setup {
    /// The database.
    pub target: Target,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its clock.
    pub clock: Clock,
    /// Risk sources other than the built-in store.
    pub sources: Option<Sources>,
    /// Microsoft Graph.
    pub graph: Option<GraphSetup>,
    /// Is the built-in issuer on?
    pub builtin_issuer: bool,
    /// The identity providers.
    pub issuers: Vec<IssuerConfig>,
    /// Is this the demo world?
    pub demo: bool,
    /// Is GraphiQL shown?
    pub graphiql: bool,
    /// Origins of web pages that may call.
    pub allowed_origins: Vec<String>,
    /// Proxies that are believed.
    pub proxies: Proxies,
    /// How much the doors take of anybody.
    pub doors: http::Limits,
    /// The door's own certificate; None: no TLS.
    pub tls: Option<TlsFiles>,
    /// How large documents may be.
    pub limits: Limits,
    /// The sources of the documents that alone may run. None: any may.
    pub trusted_documents: Option<Vec<String>>,
    /// Does the clockwork run by itself? (Tests run it by hand.)
    pub clockwork: bool,
}

/// A running server.
pub struct App {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its use cases.
    pub services: Arc<Services>,
    /// Its built-in issuer, where that is on.
    pub issuer: Option<Issuer>,
    shutdown: Shutdown,
    door: JoinHandle<()>,
    loops: JoinSet<()>,
    _lock: Option<File>,
}

impl App {
    /// Starts a server; everything that can be wrong is said before anything is served.
    pub async fn start(setup: Setup, shutdown: Shutdown) -> Result<App, String> {
        let listener = TcpListener::bind(setup.listen)
            .await
            .map_err(|error| format!("listen: {} cannot be used: {error}", setup.listen))?;
        let address = listener.local_addr().map_err(|error| format!("listen: {error}"))?;
        let metrics = Arc::new(Metrics::default());
        let tls = setup.tls.map(|files| Tls::open(files, Arc::clone(&metrics), shutdown.clone())).transpose()?;
        let lock = match setup.target.file.as_deref() {
            Some(file) => Some(lock_for_serving(file).await?),
            None => None,
        };
        let deployment = prepare(&setup.target, &setup.clock, Some((setup.builtin_issuer, setup.demo))).await?;
        let is_followed = setup.graph.as_ref().is_some_and(|graph| graph.config.directory);
        let said = |why: &str| format!("{}: {why}", setup.target.shown());
        match (deployment.directory_source, is_followed) {
            (Some(DirectorySource::File), true) => return Err(said(sync::FROM_FILES)),
            (Some(DirectorySource::Graph), false) => return Err(said(sync::NOT_FOLLOWED)),
            _ => {}
        }
        let services = services(&setup.target, &setup.clock, &deployment, setup.sources).await?;
        let services = Arc::new(match &setup.graph {
            Some(with) => graph::connected(services, &with.config, &graph::client(with, &setup.clock)?),
            None => services,
        });
        // One to issue with, one for the doors to verify by.
        let issuing = || setup.builtin_issuer.then(|| issuer(&deployment)).transpose();
        let issuer = issuing()?;
        let people = match &issuer {
            Some(issuer) if setup.demo => explorer_people(&services, issuer, &setup.clock).await?,
            _ => Vec::new(),
        };
        let verifier = Arc::new(Verifier::new(issuing()?, providers(setup.issuers)?));
        // A provider that does not answer keeps nobody else waiting.
        verifier.begin(setup.clock.now());
        let state = http::State {
            schema: graphql::schema(services.clone()),
            documents: Arc::new(Documents::new(&graphql::sdl(), setup.limits, setup.trusted_documents)?),
            services: services.clone(),
            verifier,
            clock: setup.clock,
            metrics: Arc::clone(&metrics),
            explorer: setup.graphiql.then_some(Explorer { people }),
            allowed_origins: setup.allowed_origins,
            proxies: setup.proxies,
            limits: setup.doors,
        };
        let loops = worker::start(&services, setup.clockwork, &shutdown);
        let door = tokio::spawn(http::serve(listener, state, tls, shutdown.clone()));
        Ok(App { address, services, issuer, shutdown, door, loops, _lock: lock })
    }

    /// Takes no new work, ends streams with a clear close, finishes the commits under way. False: one did not end in the time that
    /// stopping may take, for the database does not answer.
    pub async fn stop(mut self) -> bool {
        self.shutdown.trigger();
        // A door that panicked has nothing left to finish.
        let _ = (&mut self.door).await;
        while self.loops.join_next().await.is_some() {}
        let left = self.shutdown.remaining().saturating_sub(AFTER_COMMITS);
        tokio::time::timeout(left, self.services.stop()).await.is_ok()
    }
}

/// `riskgate serve`.
pub async fn serve(config: Config, options: ServeOptions) -> Result<(), String> {
    if options.demo && !options.insecure && !config.listen.ip().is_loopback() {
        return Err(format!(
            "listen: in demo mode anybody who reaches {} is an administrator; listen on 127.0.0.1, or say --i-know-this-is-insecure",
            config.listen
        ));
    }
    let shutdown = Shutdown::on_signals().map_err(|error| format!("signals cannot be handled: {error}"))?;
    let (limits, doors, proxies, tls) = (limits(&config), doors(&config), proxies(&config), tls(&config));
    let setup = Setup {
        target: target(&config)?,
        listen: config.listen,
        clock: Clock::system(),
        sources: None,
        graph: config.graph.map(GraphSetup::from),
        builtin_issuer: config.builtin_issuer.unwrap_or(options.demo),
        issuers: config.issuers,
        demo: options.demo,
        graphiql: config.web.graphiql.unwrap_or(options.demo),
        allowed_origins: config.web.allowed_origins,
        proxies,
        doors,
        tls,
        limits,
        trusted_documents: config.web.trusted_documents,
        clockwork: true,
    };
    let scheme = if setup.tls.is_some() { "https" } else { "http" };
    let (graphiql, database) = (setup.graphiql, setup.target.shown());
    let app = App::start(setup, shutdown.clone()).await?;
    let base = format!("{scheme}://{}", app.address);
    match (&app.issuer, options.demo) {
        (Some(issuer), true) => say(&demo::greeting(&base, &database, issuer, &Clock::system(), graphiql))?,
        _ => say(&format!("riskgate serves {base}/graphql from {database}\n"))?,
    }
    shutdown.requested().await;
    if !app.stop().await {
        return Err(
            "a commit under way did not end in time; whether it happened stands in the database alone".to_owned()
        );
    }
    Ok(())
}

/// `riskgate token`.
pub async fn token(config: Config, name: String, ttl: Seconds) -> Result<(), String> {
    let target = target(&config)?;
    must_be_current(&target).await?;
    let clock = Clock::system();
    let store = Store::open(&target, clock.clone(), 1).await.map_err(|error| error.to_string())?;
    let deployment = store.deployment().await.map_err(|error| error.to_string())?;
    if !deployment.is_builtin_issuer {
        return Err(
            "the built-in token issuer is off; `serve` turns it on with --builtin-issuer, or in demo mode".to_owned()
        );
    }
    let person = store.user_by_principal_name(&name).await.map_err(|error| error.to_string())?;
    let person = person.ok_or_else(|| format!("{name}: nobody in the directory has this user principal name"))?;
    let token = issuer(&deployment)?.issue(person.id, &person.user_principal_name, clock.now(), ttl);
    say(&format!("{token}\n"))
}

/// `riskgate directory import`.
pub async fn import(config: Config, file: PathBuf, options: ImportOptions) -> Result<(), String> {
    if config.graph.as_ref().is_some_and(|graph| graph.directory) {
        return Err(
            "graph.directory is on, so the directory comes from Microsoft Graph and no file is loaded".to_owned()
        );
    }
    let picture = read_picture(&file)?;
    let (target, clock) = (target(&config)?, Clock::system());
    let deployment = prepare(&target, &clock, None).await?;
    let services = services(&target, &clock, &deployment, None).await?;
    let outcome = services.import(&picture, options).await;
    services.stop().await;
    match outcome {
        Ok(imported) => say(&told(&imported)),
        Err(ImportError::Refused(why)) => Err(format!("{}: {why}", file.display())),
        Err(ImportError::Fault(fault)) => Err(format!("the import was not committed: {fault:?}")),
    }
}

/// `riskgate directory source`.
pub async fn directory_source(config: Config, to: DirectorySource) -> Result<(), String> {
    let (target, clock) = (target(&config)?, Clock::system());
    let deployment = prepare(&target, &clock, None).await?;
    let services = services(&target, &clock, &deployment, None).await?;
    let done = services.hand_over(to).await;
    services.stop().await;
    let from = match to {
        DirectorySource::File => "files: load the next with `riskgate directory import`",
        DirectorySource::Graph => "Microsoft Graph: `serve` reads it where graph.directory is on",
    };
    match done {
        Ok(true) => say(&format!("the directory comes from {from}\n")),
        Ok(false) => say("nothing has changed\n"),
        Err(fault) => Err(format!("the directory was not handed over: {fault:?}")),
    }
}

/// `riskgate directory approve-removals`.
pub async fn approve_removals(config: Config) -> Result<(), String> {
    let (target, clock) = (target(&config)?, Clock::system());
    let deployment = prepare(&target, &clock, None).await?;
    let services = services(&target, &clock, &deployment, None).await?;
    let done = services.approve_removals().await;
    services.stop().await;
    match done {
        Ok(true) => say("the server reads everything anew, and what is missing then goes\n"),
        Ok(false) => say("nothing is held back\n"),
        Err(fault) => Err(format!("the removals were not approved: {fault:?}")),
    }
}

fn told(imported: &Imported) -> String {
    if !imported.is_changed {
        return "nothing has changed\n".to_owned();
    }
    format!(
        "people: {} new or changed, {} deleted; groups: {} new or changed, {} deleted\n",
        imported.users_changed, imported.users_deleted, imported.groups_changed, imported.groups_deleted
    )
}

fn read_picture(file: &Path) -> Result<crate::service::Picture, String> {
    let opened = File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_reader(std::io::BufReader::new(opened)).map_err(|error| format!("{}: {error}", file.display()))
}

/// `riskgate migrate`.
pub async fn migrate(config: Config) -> Result<(), String> {
    let target = target(&config)?;
    found(&target, &Clock::system(), true).await?;
    say(&format!("{} is up to date\n", target.shown()))
}

/// `riskgate audit verify`.
pub async fn audit_verify(config: Config) -> Result<(), String> {
    let target = target(&config)?;
    must_be_current(&target).await?;
    let store = Store::open(&target, Clock::system(), 1).await.map_err(|error| error.to_string())?;
    match store.verify_log().await.map_err(|error| error.to_string())? {
        Verdict::Holds(count) => say(&format!("{count} events hold\n")),
        Verdict::Broken(position, why) => Err(format!("the event at position {position} {why}")),
    }
}

/// `riskgate check`.
pub async fn check(config: Config) -> Result<(), String> {
    let target = target(&config)?;
    let files = tls(&config);
    Documents::new(&graphql::sdl(), limits(&config), config.web.trusted_documents)?;
    say("configuration: good\n")?;
    if let Some(files) = files {
        http::check_tls(&files)?;
        say("certificate: good\n")?;
    }
    must_be_current(&target).await?;
    let store = Store::open(&target, Clock::system(), 1).await.map_err(|error| error.to_string())?;
    let head = store.head().await.map_err(|error| error.to_string())?;
    let deployment = store.deployment().await.map_err(|error| error.to_string())?;
    let issuer = if deployment.is_builtin_issuer { "on" } else { "off" };
    let providers = providers(config.issuers)?;
    say(&format!(
        "database: {} is reachable and up to date, {} events, directory version {}\nbuilt-in issuer: {issuer}\n",
        target.shown(),
        head.position,
        head.directory_version
    ))?;
    let mut wrong = Vec::new();
    for provider in &providers {
        let issuer = provider.issuer();
        match provider.examine().await {
            Ok((keys, skipped)) => {
                say(&format!("issuer {issuer}: {keys} keys can be used\n"))?;
                for why in skipped {
                    say(&format!("issuer {issuer}: skipped: {why}\n"))?;
                }
            }
            Err(fault) => wrong.push(format!("issuer {issuer}: {fault}")),
        }
    }
    if let Some(config) = &config.graph {
        wrong.extend(graph::check(config, &store).await?);
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// `riskgate schema`.
pub fn schema() -> String {
    graphql::sdl()
}

/// What is given wins over the default.
fn limits(config: &Config) -> Limits {
    let default = Limits::default();
    // What does not fit is more than anybody sends.
    let count =
        |name: &str, default| config.limit(name).map_or(default, |given| usize::try_from(given).unwrap_or(usize::MAX));
    Limits {
        tokens: count("tokens", default.tokens),
        depth: count("depth", default.depth),
        fields: count("fields", default.fields),
        aliases: count("aliases", default.aliases),
        directives: count("directives", default.directives),
        definitions: count("definitions", default.definitions),
        list_items: count("list_items", default.list_items),
        introspection_depth: count("introspection_depth", default.introspection_depth),
        cost: config.limit("cost").unwrap_or(default.cost),
        errors: count("errors", default.errors),
    }
}

fn doors(config: &Config) -> http::Limits {
    let mut limits = http::Limits::default();
    for (name, value) in &config.limits {
        limits.set(name, *value);
    }
    // Where there are no descriptors left, nobody is let in, not even who would be let in instead of somebody idle.
    let room = lifecycle::raise_file_limit().saturating_sub(OTHER_FILES).max(1);
    if config.limit("connections").is_some() && limits.connections > room {
        tracing::warn!(room, "the system allows fewer open files than limits.connections");
    }
    limits.connections = limits.connections.min(room);
    limits
}

fn proxies(config: &Config) -> Proxies {
    let header = match config.web.is_forwarded_standard {
        true => ForwardedHeader::Forwarded,
        false => ForwardedHeader::XForwardedFor,
    };
    Proxies { networks: config.web.trusted_proxies.clone(), header }
}

fn tls(config: &Config) -> Option<TlsFiles> {
    let files = config.tls.as_ref()?;
    Some(TlsFiles { certificate: files.certificate.clone(), private_key: files.private_key.clone() })
}

/// A closed pipe is nobody's fault: whoever read has read enough.
fn say(text: &str) -> Result<(), String> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(format!("standard output: {error}")),
        _ => Ok(()),
    }
}

fn target(config: &Config) -> Result<Target, String> {
    Target::parse(&config.database_url.0).map_err(|error| error.to_string())
}

fn issuer(deployment: &deployment::Model) -> Result<Issuer, String> {
    Issuer::new(&deployment.issuer_key, deployment.log_id)
        .map_err(|_| "the installation's signing key cannot be used".to_owned())
}

/// The identity providers; nothing is asked of them yet.
fn providers(issuers: Vec<IssuerConfig>) -> Result<Vec<Arc<Provider>>, String> {
    if issuers.is_empty() {
        return Ok(Vec::new());
    }
    let documents: Arc<dyn auth::Documents> = Arc::new(outbound::Web::new()?);
    let provider = |issuer: IssuerConfig| {
        let IssuerConfig { url, audiences, tenant, jwks_url, user_claim, app_claim } = issuer;
        let settings = ProviderSettings { url, audiences, tenant, jwks_url, user_claim, app_claim };
        Provider::new(settings, Arc::clone(&documents))
    };
    issuers.into_iter().map(provider).collect()
}

/// A second server on one file would be a second writer that knows nothing of the first.
async fn lock_for_serving(file: &Path) -> Result<File, String> {
    let mut name = file.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    for _ in 0..LOCK_TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
            Err(std::fs::TryLockError::Error(error)) => return Err(format!("{}: {error}", path.display())),
        }
    }
    Err(format!("{} is served by another process", file.display()))
}

/// An error where the database is not there, not ours, or not up to date.
async fn must_be_current(target: &Target) -> Result<(), String> {
    if let Some(file) = &target.file
        && !file.exists()
    {
        return Err(format!("{}: there is no such database", file.display()));
    }
    let connection = target.connect(1, Role::Write).await.map_err(|error| error.to_string())?;
    let status = migration::status(&connection).await.map_err(|error| format!("{}: {error}", target.shown()))?;
    // Nothing is pending on it; an error while closing changes nothing.
    let _ = connection.close().await;
    match status {
        Status::Current => Ok(()),
        other => Err(unusable(target, &other)),
    }
}

fn unusable(target: &Target, status: &Status) -> String {
    let shown = target.shown();
    match status {
        Status::Current => format!("{shown} is up to date"),
        Status::Empty => format!("{shown} is empty; run `riskgate migrate` first"),
        Status::Behind(steps) => format!("{shown} is {steps} steps behind; run `riskgate migrate` first"),
        Status::Newer(step) => format!("{shown} is newer than this program: it has the step {step}"),
        Status::Foreign => format!("{shown} holds tables that are not riskgate's"),
    }
}

/// Makes a database fit for use, and returns its installation's row. PostgreSQL is migrated only by `migrate`.
async fn found(target: &Target, clock: &Clock, may_migrate: bool) -> Result<deployment::Model, String> {
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", target.shown());
    let connection = target.connect(1, Role::Create).await.map_err(|error| error.to_string())?;
    let status = migration::status(&connection).await.map_err(|error| said(&error))?;
    match status {
        Status::Current => {}
        Status::Empty | Status::Behind(_) if may_migrate || target.db == Db::Sqlite => {
            migration::migrate(&connection).await.map_err(|error| said(&error))?;
        }
        other => return Err(unusable(target, &other)),
    }
    let cursor_key = CursorKey::generate()?;
    let founded = installation::found(target.db, &connection, new_key(), cursor_key, clock.now()).await;
    let deployment = founded.map_err(|error| said(&error))?;
    let _ = connection.close().await;
    Ok(deployment)
}

/// The same for a server or a command; `served` says how it is served: with the built-in issuer, as the demo.
async fn prepare(target: &Target, clock: &Clock, served: Option<(bool, bool)>) -> Result<deployment::Model, String> {
    let mut deployment = found(target, clock, false).await?;
    let Some((is_builtin_issuer, is_demo)) = served else { return Ok(deployment) };
    let said = |error: &dyn std::fmt::Display| format!("{}: {error}", target.shown());
    let connection = target.connect(1, Role::Write).await.map_err(|error| error.to_string())?;
    if is_demo && !deployment.is_demo {
        if installation::is_used(target.db, &connection).await.map_err(|error| said(&error))? {
            return Err(format!("{} holds something else than a whole demo world", target.shown()));
        }
        demo::load(target, clock, &deployment).await?;
    }
    deployment.is_demo |= is_demo;
    deployment.is_builtin_issuer = is_builtin_issuer;
    installation::mark(target.db, &connection, deployment.is_builtin_issuer, deployment.is_demo)
        .await
        .map_err(|error| said(&error))?;
    let _ = connection.close().await;
    Ok(deployment)
}

/// The use cases over a database.
pub(crate) async fn services(
    target: &Target,
    clock: &Clock,
    deployment: &deployment::Model,
    sources: Option<Sources>,
) -> Result<Services, String> {
    let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get() as u32);
    let store = Store::open(target, clock.clone(), 2 * cores).await.map_err(|error| error.to_string())?;
    let sources = sources.unwrap_or_else(|| Sources::built_in(&store, clock));
    Ok(Services::new(store, clock.clone(), sources, CursorKey::new(deployment)?))
}

async fn explorer_people(services: &Services, issuer: &Issuer, clock: &Clock) -> Result<Vec<Person>, String> {
    let mut people = Vec::new();
    for person in demo::people() {
        let actor = services.actor(&Principal::Person(person.id)).await.map_err(|fault| format!("{fault:?}"))?;
        // Who cannot sign in is not offered.
        let Some(actor) = actor else { continue };
        people.push(Person {
            name: person.name,
            role: actor.roles.iter().copied().map(DirectoryRole::as_str).collect::<Vec<_>>().join(", "),
            token: issuer.issue(person.id, &person.upn, clock.now(), DEMO_TOKEN),
            upn: person.upn,
        });
    }
    Ok(people)
}
