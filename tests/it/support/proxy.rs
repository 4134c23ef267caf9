//! A wire between server and PostgreSQL that can be cut, or go dead.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use entity::Seconds;
use riskgate::app::{App, Setup};
use riskgate::clock::Clock;
use riskgate::demo;
use riskgate::graphql::document::Limits;
use riskgate::http::{self, Proxies};
use riskgate::lifecycle::Shutdown;
use riskgate::store::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{BEGIN, Database, Person};

/// What happens to the next COMMIT.
const PASS: u8 = 0;
const LOSE_ANSWER: u8 = 1;
const LOSE_COMMIT: u8 = 2;
const LOSE_ANSWER_AND_ALL: u8 = 3;
const DIE_BEFORE: u8 = 4;
const DIE_AFTER: u8 = 5;

/// The wire.
#[derive(Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    commit: Arc<AtomicU8>,
    is_down: Arc<AtomicBool>,
    is_dead: Arc<AtomicBool>,
    change: watch::Sender<()>,
}

impl Proxy {
    /// To a server; listens on a port of its own.
    pub async fn to(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let proxy = Proxy {
            address: listener.local_addr().expect("an address"),
            commit: Arc::new(AtomicU8::new(PASS)),
            is_down: Arc::default(),
            is_dead: Arc::default(),
            change: watch::channel(()).0,
        };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !accepting.is_down.load(Ordering::SeqCst) {
                    tokio::spawn(accepting.clone().carry(client, server));
                }
            }
        });
        proxy
    }

    /// The URL of a database by way of this wire.
    pub fn url(&self, database: &Database) -> String {
        database.url.replace(&database.server().to_string(), &self.address.to_string())
    }

    /// The next COMMIT arrives, its answer does not.
    pub fn lose_the_answer_of_a_commit(&self) {
        self.commit.store(LOSE_ANSWER, Ordering::SeqCst);
    }

    /// The next COMMIT does not arrive.
    pub fn lose_a_commit(&self) {
        self.commit.store(LOSE_COMMIT, Ordering::SeqCst);
    }

    /// The next COMMIT arrives, its answer does not, and the wire is down from then on.
    pub fn go_down_at_the_answer_of_a_commit(&self) {
        self.commit.store(LOSE_ANSWER_AND_ALL, Ordering::SeqCst);
    }

    /// At the next COMMIT the wire dies, when it has arrived, or before.
    pub fn die_at_a_commit(&self, has_arrived: bool) {
        self.commit.store(if has_arrived { DIE_AFTER } else { DIE_BEFORE }, Ordering::SeqCst);
    }

    /// Has it been lost by now?
    pub fn has_lost(&self) -> bool {
        self.commit.load(Ordering::SeqCst) == PASS
    }

    /// Cuts everything; nothing gets through.
    pub fn down(&self) {
        self.is_down.store(true, Ordering::SeqCst);
        self.change.send_replace(());
    }

    /// Lets things through again.
    pub fn up(&self) {
        self.is_down.store(false, Ordering::SeqCst);
    }

    /// As when a machine between them vanishes: nothing gets through, and nobody is told. What is connected now never comes back.
    pub fn die(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
        self.change.send_replace(());
    }

    /// New connections get through again.
    pub fn revive(&self) {
        self.is_dead.store(false, Ordering::SeqCst);
    }

    async fn carry(self, mut client: TcpStream, server: SocketAddr) {
        let Ok(mut server) = TcpStream::connect(server).await else { return };
        let mut change = self.change.subscribe();
        let (mut from_client, mut from_server) = ([0; 16_384], [0; 16_384]);
        loop {
            if self.is_dead.load(Ordering::SeqCst) {
                return std::future::pending().await;
            }
            tokio::select! {
                _ = change.changed() => if self.is_down.load(Ordering::SeqCst) { return },
                read = client.read(&mut from_client) => {
                    let Ok(count @ 1..) = read else { return };
                    let bytes = &from_client[..count];
                    let is_commit = bytes.windows(6).any(|window| window == b"COMMIT");
                    let fate = if is_commit { self.commit.load(Ordering::SeqCst) } else { PASS };
                    if fate == PASS {
                        if server.write_all(bytes).await.is_err() {
                            return;
                        }
                        continue;
                    }
                    // It arrives (or not), is carried out, and answered; nobody hears of it.
                    if !matches!(fate, LOSE_COMMIT | DIE_BEFORE) && server.write_all(bytes).await.is_ok() {
                        let _ = server.read(&mut from_server).await;
                    }
                    match fate {
                        LOSE_ANSWER_AND_ALL => self.down(),
                        DIE_BEFORE | DIE_AFTER => self.die(),
                        _ => {}
                    }
                    self.commit.store(PASS, Ordering::SeqCst);
                    if self.is_dead.load(Ordering::SeqCst) {
                        return std::future::pending().await;
                    }
                    return;
                }
                read = server.read(&mut from_server) => {
                    let Ok(count @ 1..) = read else { return };
                    if client.write_all(&from_server[..count]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// A server that reaches its database, which holds the demo world, by a wire.
pub struct Wired {
    pub database: Database,
    pub proxy: Proxy,
    app: App,
}

impl Wired {
    pub async fn start() -> Wired {
        let database = Database::new(super::Kind::Postgres, true).await;
        let proxy = Proxy::to(database.server()).await;
        let setup = Setup {
            target: Target::parse(&proxy.url(&database)).expect("a url"),
            listen: "127.0.0.1:0".parse().expect("an address"),
            clock: Clock::manual(BEGIN),
            sources: None,
            graph: None,
            builtin_issuer: true,
            issuers: Vec::new(),
            demo: true,
            graphiql: false,
            allowed_origins: Vec::new(),
            proxies: Proxies::default(),
            doors: http::Limits::default(),
            tls: None,
            limits: Limits::default(),
            trusted_documents: None,
            clockwork: false,
        };
        let app = App::start(setup, Shutdown::new()).await.expect("the server starts");
        Wired { database, proxy, app }
    }

    /// Somebody of the demo world.
    pub fn person(&self, name: &str) -> Person {
        let upn = format!("{name}@example.com");
        let person = demo::people().into_iter().find(|person| person.upn == upn).expect("somebody");
        let issuer = self.app.issuer.as_ref().expect("an issuer");
        let token = issuer.issue(person.id, &upn, BEGIN, Seconds::hours(100));
        Person::new(super::http(), self.app.address, person.id, token)
    }

    pub async fn is_ready(&self) -> bool {
        super::is_ready(self.app.address).await
    }

    pub async fn end(self) {
        self.app.stop().await;
        self.database.remove().await;
    }
}
