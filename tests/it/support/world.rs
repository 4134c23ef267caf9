//! A running server on a database of its own.

use entity::{Seconds, Timestamp, UserId};
use riskgate::app::{App, GraphSetup, Setup};
use riskgate::clock::Clock;
use riskgate::config::IssuerConfig;
use riskgate::demo;
use riskgate::graphql::document::Limits;
use riskgate::http::{self, Proxies, TlsFiles};
use riskgate::lifecycle::Shutdown;
use riskgate::service::{Services, Sources};
use riskgate::store::log::Verdict;
use std::net::SocketAddr;
use std::sync::Arc;

use super::database::BEGIN;
use super::{Database, Kind, Person, Snapshot};

/// How a story's server is set up.
pub struct Options {
    /// With the demo world; otherwise with nothing but tables.
    pub demo: bool,
    /// Risk sources other than the built-in store.
    pub sources: Option<Sources>,
    /// Microsoft Graph.
    pub graph: Option<GraphSetup>,
    /// The identity providers that it trusts.
    pub issuers: Vec<IssuerConfig>,
    /// How many pages an embedded database may grow by.
    pub spare_pages: Option<u32>,
    /// Origins of web pages that may call.
    pub allowed_origins: Vec<String>,
    /// Proxies that are believed.
    pub proxies: Proxies,
    /// How much the doors take.
    pub doors: http::Limits,
    /// The door's own certificate.
    pub tls: Option<TlsFiles>,
    /// How large documents may be.
    pub limits: Limits,
    /// The documents that alone may run.
    pub trusted_documents: Option<Vec<String>>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            demo: true,
            sources: None,
            graph: None,
            issuers: Vec::new(),
            spare_pages: None,
            allowed_origins: Vec::new(),
            proxies: Proxies::default(),
            limits: Limits::default(),
            trusted_documents: None,
            doors: http::Limits::default(),
            tls: None,
        }
    }
}

/// One story's world.
pub struct World {
    pub database: Database,
    pub clock: Clock,
    options: Options,
    app: Option<App>,
    http: reqwest::Client,
}

impl World {
    /// A server on a new database; its clock stands still until the story moves it, and nothing falls due by itself.
    pub async fn start(kind: Kind, options: Options) -> World {
        let database = Database::new(kind, options.demo).await;
        let clock = Clock::manual(BEGIN);
        let mut world = World { database, clock, options, app: None, http: super::http() };
        world.app = Some(world.another_instance().await);
        world
    }

    /// One more server on the same database (PostgreSQL; SQLite has one).
    pub async fn another_instance(&self) -> App {
        App::start(self.setup(), Shutdown::new()).await.expect("the server starts")
    }

    /// A server on a database of its own where no token of the built-in issuer is good; these providers' are.
    pub async fn without_builtin_issuer(&self, issuers: Vec<IssuerConfig>) -> (Database, App) {
        let database = Database::new(self.database.kind, self.options.demo).await;
        let setup = Setup { target: database.target(), builtin_issuer: false, demo: false, issuers, ..self.setup() };
        let app = App::start(setup, Shutdown::new()).await.expect("the server starts");
        (database, app)
    }

    fn setup(&self) -> Setup {
        let mut target = self.database.target();
        target.max_pages = self.options.spare_pages.map(|spare| self.database.pages() + spare);
        Setup {
            target,
            listen: "127.0.0.1:0".parse().expect("an address"),
            clock: self.clock.clone(),
            sources: self.options.sources.clone(),
            graph: self.options.graph.clone(),
            builtin_issuer: true,
            issuers: self.options.issuers.clone(),
            demo: self.options.demo,
            graphiql: false,
            allowed_origins: self.options.allowed_origins.clone(),
            proxies: self.options.proxies.clone(),
            doors: self.options.doors.clone(),
            tls: self.options.tls.clone(),
            limits: self.options.limits,
            trusted_documents: self.options.trusted_documents.clone(),
            clockwork: false,
        }
    }

    /// The server.
    pub fn app(&self) -> &App {
        self.app.as_ref().expect("the server runs")
    }

    /// Its use cases.
    pub fn services(&self) -> &Arc<Services> {
        &self.app().services
    }

    /// Stops the server and starts it again on the same database.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.app = Some(self.another_instance().await);
    }

    /// Starts the server anew, trusting these identity providers beside the built-in issuer.
    pub async fn trust(&mut self, issuers: Vec<IssuerConfig>) {
        self.options.issuers = issuers;
        self.restart().await;
    }

    /// Why a server that follows this directory does not start; the one that runs goes on.
    pub async fn cannot_follow(&mut self, graph: impl Into<GraphSetup>) -> String {
        self.stop().await;
        let setup = Setup { graph: Some(graph.into()), ..self.setup() };
        let refused = App::start(setup, Shutdown::new()).await.err().expect("it does not start");
        self.restart().await;
        refused
    }

    /// Why one that does not follow it does not start.
    pub async fn cannot_stop_following(&mut self) -> String {
        self.stop().await;
        let setup = Setup { graph: None, ..self.setup() };
        let refused = App::start(setup, Shutdown::new()).await.err().expect("it does not start");
        self.restart().await;
        refused
    }

    /// Starts the server anew with this Graph as its source.
    pub async fn connects(&mut self, graph: impl Into<GraphSetup>) {
        self.options.graph = Some(graph.into());
        self.restart().await;
    }

    /// Sweeps everybody's risk, where that is due.
    pub async fn sweeps(&self) {
        self.services().sweep_risk().await.expect("everybody's risk is read");
    }

    /// Whoever brings this token.
    pub fn bearer(&self, token: String) -> Person {
        Person::new(self.http.clone(), self.app().address, UserId(uuid::Uuid::nil()), token)
    }

    /// Stops the server.
    pub async fn stop(&mut self) {
        if let Some(app) = self.app.take() {
            app.stop().await;
        }
    }

    /// Lets time pass, then lets the clockwork do what is due.
    pub async fn pass(&self, span: Seconds) -> usize {
        self.clock.advance(span);
        self.run_due().await
    }

    /// Does what is due now.
    pub async fn run_due(&self) -> usize {
        self.services().run_due().await.expect("the clockwork runs")
    }

    /// Acts on what the log tells of people's risk; returns how many requests were changed.
    pub async fn follow_risk(&self) -> usize {
        self.services().follow_risk().await.expect("what the log tells is acted on")
    }

    /// Now, as the story has it.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Somebody of the demo world, signed in at the first instance.
    pub fn person(&self, name: &str) -> Person {
        self.person_at(self.app().address, name)
    }

    /// The same at a given instance.
    pub fn person_at(&self, address: SocketAddr, name: &str) -> Person {
        let upn = format!("{name}@example.com");
        let person = demo::people().into_iter().find(|person| person.upn == upn).expect("somebody of the demo world");
        self.holder(address, person.id, &upn, Seconds::hours(8_000))
    }

    /// Somebody of that id, with a token that is good for `ttl`.
    pub fn holder(&self, address: SocketAddr, id: UserId, upn: &str, ttl: Seconds) -> Person {
        let issuer = self.app().issuer.as_ref().expect("the issuer is on");
        let token = issuer.issue(id, upn, self.clock.now(), ttl);
        Person::new(self.http.clone(), address, id, token)
    }

    /// Everything that is stored, read behind the server's back.
    pub async fn snapshot(&self) -> Snapshot {
        self.database.snapshot().await
    }

    /// The invariants hold, and so does the log's chain.
    pub async fn check(&self) {
        let offences = self.snapshot().await.offences();
        assert!(offences.is_empty(), "invariants are broken:\n{}", offences.join("\n"));
        let verdict = self.services().verify_log().await.expect("the log can be read");
        assert!(matches!(verdict, Verdict::Holds(_)), "{verdict:?}");
    }

    /// Ends the story.
    pub async fn end(mut self) {
        if self.app.is_some() {
            self.check().await;
        }
        self.stop().await;
        self.database.remove().await;
    }
}
