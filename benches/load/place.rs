//! Where is measured: a fresh database, and servers on it as processes of their own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use riskgate::store::Target;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, FromQueryResult, Statement};

use crate::Failure;

/// The kind of database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgres",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Kind::Sqlite => "SQLite",
            Kind::Postgres => "PostgreSQL",
        }
    }
}

/// A database.
pub struct Place {
    pub kind: Kind,
    pub url: String,
    admin: Option<String>,
    connection: DatabaseConnection,
}

/// A running server.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has gone by itself needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Resident memory, in KiB.
    pub fn memory(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("the system does not tell of memory")?;
        Ok(line.split_whitespace().next().ok_or("no number")?.parse()?)
    }
}

impl Place {
    /// A new one; `None` where there is no PostgreSQL.
    pub async fn new(kind: Kind) -> Result<Option<Place>, Failure> {
        let name = format!("riskgate_bench_{}", std::process::id());
        let (url, admin) = match kind {
            Kind::Sqlite => {
                let folder = std::env::temp_dir().join(name);
                std::fs::create_dir_all(&folder)?;
                let file = folder.join("riskgate.db");
                std::fs::File::create(&file)?;
                (format!("sqlite://{}", file.display()), None)
            }
            Kind::Postgres => {
                let Ok(base) = std::env::var("RISKGATE_BENCH_POSTGRES_URL")
                    .or_else(|_| std::env::var("RISKGATE_TEST_POSTGRES_URL"))
                else {
                    return Ok(None);
                };
                let admin = Database::connect(&base).await?;
                admin
                    .execute_unprepared(&format!(
                        "CREATE DATABASE {name} ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0"
                    ))
                    .await?;
                let (server, _) = base.rsplit_once('/').ok_or("a URL with a database is needed")?;
                (format!("{server}/{name}"), Some(base))
            }
        };
        let connection = Database::connect(&url).await?;
        migration::migrate(&connection).await?;
        Ok(Some(Place { kind, url, admin, connection }))
    }

    pub fn target(&self) -> Result<Target, Failure> {
        Ok(Target::parse(&self.url)?)
    }

    /// Rows of a table that are committed.
    pub async fn count(&self, table: &str) -> Result<i64, Failure> {
        #[derive(FromQueryResult)]
        struct Count {
            rows: i64,
        }
        let text = format!("SELECT count(*) AS rows FROM {table}");
        let found = Count::find_by_statement(self.statement(text)).one(&self.connection).await?;
        Ok(found.ok_or("no count")?.rows)
    }

    /// Ids that a query finds.
    pub async fn ids(&self, text: String) -> Result<Vec<String>, Failure> {
        #[derive(FromQueryResult)]
        struct Found {
            id: String,
        }
        let found = Found::find_by_statement(self.statement(text)).all(&self.connection).await?;
        Ok(found.into_iter().map(|found| found.id).collect())
    }

    /// What somebody does who looks after a database that has grown fast.
    pub async fn settle(&self) -> Result<(), Failure> {
        let text = match self.kind {
            Kind::Sqlite => "PRAGMA wal_checkpoint(TRUNCATE)",
            Kind::Postgres => "VACUUM ANALYZE",
        };
        self.connection.execute_unprepared(text).await?;
        Ok(())
    }

    fn statement(&self, text: String) -> Statement {
        let backend = if self.kind == Kind::Sqlite { DbBackend::Sqlite } else { DbBackend::Postgres };
        Statement::from_string(backend, text)
    }

    /// A server on it.
    pub fn serve(&self) -> Result<Server, Failure> {
        self.serve_with(&[])
    }

    /// The same with more of an environment.
    pub fn serve_with(&self, environment: &[(&str, &str)]) -> Result<Server, Failure> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_riskgate"));
        command.args(["serve", "--builtin-issuer", "--listen", "127.0.0.1:0", "--database-url", &self.url]);
        // What tells this program where PostgreSQL is would be unknown keys to the server.
        command.env_remove("RISKGATE_BENCH_POSTGRES_URL").env_remove("RISKGATE_TEST_POSTGRES_URL");
        // Everybody comes from one address here, and a few people ask for what thousands would.
        command
            .env("RISKGATE_LIMITS__CONNECTIONS_PER_ADDRESS", "100000")
            .env("RISKGATE_LIMITS__STREAMS_PER_USER", "100000");
        command.env("RISKGATE_LIMITS__COST_AT_ONCE", "1000000000000");
        for bucket in ["COST", "DECISIONS"] {
            for size in ["BURST", "PER_MINUTE"] {
                command.env(format!("RISKGATE_LIMITS__{bucket}_{size}"), "1000000000000");
            }
        }
        command.envs(environment.iter().copied());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().ok_or("a pipe")?).read_line(&mut line)?;
        let address =
            line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).ok_or("the server did not start")?;
        Ok(Server { address: address.parse()?, child })
    }

    /// Removes it.
    pub async fn remove(self) -> Result<(), Failure> {
        self.connection.close().await?;
        match &self.admin {
            Some(base) => {
                let name = self.url.rsplit('/').next().unwrap_or_default();
                let admin = Database::connect(base).await?;
                admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
            }
            None => {
                let file = self.url.trim_start_matches("sqlite://");
                std::fs::remove_dir_all(std::path::Path::new(file).parent().ok_or("a folder")?)?;
            }
        }
        Ok(())
    }
}
