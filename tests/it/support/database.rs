//! A database for each story, copied from a template that holds the demo world (or nothing but tables).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use entity::Timestamp;
use riskgate::app::{App, Setup};
use riskgate::clock::Clock;
use riskgate::graphql::document::Limits;
use riskgate::http::{self, Proxies};
use riskgate::lifecycle::Shutdown;
use riskgate::store::Target;
use sea_orm::{ConnectionTrait, Database as Orm, DatabaseConnection};
use tokio::sync::OnceCell;

use super::Snapshot;

/// When every story begins: 2026-03-02T09:00:00Z.
pub const BEGIN: Timestamp = Timestamp(1_772_442_000_000_000);

/// Where PostgreSQL is; `scripts/test` says it.
const POSTGRES_URL: &str = "RISKGATE_TEST_POSTGRES_URL";

/// The kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// One story's own database.
pub struct Database {
    pub kind: Kind,
    pub url: String,
    folder: Option<tempfile::TempDir>,
}

struct Template {
    /// SQLite: the file. PostgreSQL: the name of the database.
    place: String,
    _folder: Option<tempfile::TempDir>,
}

static COUNTER: AtomicU64 = AtomicU64::new(0);

impl Database {
    /// A new one, with the demo world or empty.
    pub async fn new(kind: Kind, demo: bool) -> Database {
        let template = template(kind, demo).await;
        match kind {
            Kind::Sqlite => {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let file = folder.path().join("riskgate.db");
                std::fs::copy(&template.place, &file).expect("the template can be copied");
                Database { kind, url: format!("sqlite://{}", file.display()), folder: Some(folder) }
            }
            Kind::Postgres => {
                let name = fresh_name();
                let admin = admin().await;
                admin
                    .execute_unprepared(&format!(
                        "CREATE DATABASE {name} TEMPLATE {} STRATEGY FILE_COPY",
                        template.place
                    ))
                    .await
                    .expect("the template can be copied");
                Database { kind, url: postgres_url(&name), folder: None }
            }
        }
    }

    /// One on PostgreSQL in which there is nothing at all.
    pub async fn bare() -> Database {
        let name = fresh_name();
        create(&name).await;
        Database { kind: Kind::Postgres, url: postgres_url(&name), folder: None }
    }

    /// As the program names it.
    pub fn target(&self) -> Target {
        Target::parse(&self.url).expect("a database url")
    }

    /// A connection behind the server's back.
    pub async fn connect(&self) -> DatabaseConnection {
        Orm::connect(&self.url).await.expect("the database answers")
    }

    /// Everything that is stored, read behind the server's back.
    pub async fn snapshot(&self) -> Snapshot {
        let connection = self.connect().await;
        let snapshot = Snapshot::read(&connection).await;
        connection.close().await.expect("the connection closes");
        snapshot
    }

    /// As while PostgreSQL restarts, for this database alone: every connection ends, and none is let in.
    pub async fn shut(&self) {
        let admin = admin().await;
        let name = self.name();
        admin.execute_unprepared(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await.expect("it is shut");
        let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        admin.execute_unprepared(&end).await.expect("its connections end");
    }

    /// As when PostgreSQL is back.
    pub async fn open(&self) {
        let open = format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.name());
        admin().await.execute_unprepared(&open).await.expect("it is open");
    }

    fn name(&self) -> &str {
        self.url.rsplit('/').next().expect("a name")
    }

    /// Where its server listens.
    pub fn server(&self) -> SocketAddr {
        let server = self.url.split('@').nth(1).and_then(|rest| rest.split('/').next()).expect("a server");
        server.parse().expect("an address")
    }

    /// How many pages of 4 KiB an embedded database has.
    pub fn pages(&self) -> u32 {
        let file = self.folder.as_ref().expect("an embedded database").path().join("riskgate.db");
        u32::try_from(std::fs::metadata(file).expect("a file").len() / 4_096).expect("a number of pages")
    }

    /// Removes it. (A temporary folder goes by itself.)
    pub async fn remove(self) {
        if self.kind == Kind::Postgres {
            let name = self.name();
            let dropped = admin().await.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
            dropped.expect("the database can be dropped");
        }
    }
}

/// Names are unique among processes too: nextest runs each test in one of its own.
fn fresh_name() -> String {
    format!("riskgate_{}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

fn base_url() -> String {
    std::env::var(POSTGRES_URL)
        .unwrap_or_else(|_| panic!("{POSTGRES_URL} must say where PostgreSQL is: run scripts/test"))
}

fn postgres_url(name: &str) -> String {
    let base = base_url();
    let (server, _) = base.rsplit_once('/').expect("a url with a database");
    format!("{server}/{name}")
}

async fn admin() -> DatabaseConnection {
    Orm::connect(base_url()).await.expect("PostgreSQL answers")
}

async fn create(name: &str) {
    let create = format!("CREATE DATABASE {name} ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0");
    admin().await.execute_unprepared(&create).await.expect("a database can be created");
}

async fn template(kind: Kind, demo: bool) -> &'static Template {
    static CELLS: [OnceCell<Template>; 4] = [const { OnceCell::const_new() }; 4];
    let index = 2 * usize::from(kind == Kind::Postgres) + usize::from(demo);
    CELLS[index].get_or_init(|| make_template(kind, demo)).await
}

async fn make_template(kind: Kind, demo: bool) -> Template {
    match kind {
        Kind::Sqlite => {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let file = folder.path().join("template.db");
            fill(&format!("sqlite://{}", file.display()), demo).await;
            // What still stands in the write-ahead log belongs to the copy too.
            let connection = Orm::connect(format!("sqlite://{}", file.display())).await.expect("the template opens");
            connection.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await.expect("a checkpoint");
            connection.close().await.expect("the template closes");
            Template { place: file.display().to_string(), _folder: Some(folder) }
        }
        Kind::Postgres => {
            let name = fresh_name();
            create(&name).await;
            let connection = Orm::connect(postgres_url(&name)).await.expect("the template opens");
            migration::migrate(&connection).await.expect("the template migrates");
            connection.close().await.expect("the template closes");
            fill(&postgres_url(&name), demo).await;
            Template { place: name, _folder: None }
        }
    }
}

/// Starts a server on it once: that migrates an embedded database, founds the installation, and loads the demo world.
async fn fill(url: &str, demo: bool) {
    let shutdown = Shutdown::new();
    let setup = Setup {
        target: Target::parse(url).expect("a database url"),
        listen: "127.0.0.1:0".parse().expect("an address"),
        clock: Clock::manual(BEGIN),
        sources: None,
        graph: None,
        builtin_issuer: true,
        issuers: Vec::new(),
        demo,
        graphiql: false,
        allowed_origins: Vec::new(),
        proxies: Proxies::default(),
        doors: http::Limits::default(),
        tls: None,
        limits: Limits::default(),
        trusted_documents: None,
        clockwork: false,
    };
    App::start(setup, shutdown).await.expect("the template is filled").stop().await;
}
