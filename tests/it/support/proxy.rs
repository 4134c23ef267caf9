//! A wire between server and PostgreSQL that can be cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to the next COMMIT.
const PASS: u8 = 0;
const LOSE_ANSWER: u8 = 1;
const LOSE_COMMIT: u8 = 2;

/// The wire.
#[derive(Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    commit: Arc<AtomicU8>,
    is_down: Arc<AtomicBool>,
    cut: watch::Sender<()>,
}

impl Proxy {
    /// To a server; listens on a port of its own.
    pub async fn to(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let proxy = Proxy {
            address: listener.local_addr().expect("an address"),
            commit: Arc::new(AtomicU8::new(PASS)),
            is_down: Arc::default(),
            cut: watch::channel(()).0,
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

    /// The next COMMIT arrives, its answer does not.
    pub fn lose_the_answer_of_a_commit(&self) {
        self.commit.store(LOSE_ANSWER, Ordering::SeqCst);
    }

    /// The next COMMIT does not arrive.
    pub fn lose_a_commit(&self) {
        self.commit.store(LOSE_COMMIT, Ordering::SeqCst);
    }

    /// Has it been lost by now?
    pub fn has_lost(&self) -> bool {
        self.commit.load(Ordering::SeqCst) == PASS
    }

    /// Cuts everything; nothing gets through.
    pub fn down(&self) {
        self.is_down.store(true, Ordering::SeqCst);
        self.cut.send_replace(());
    }

    /// Lets things through again.
    pub fn up(&self) {
        self.is_down.store(false, Ordering::SeqCst);
    }

    async fn carry(self, mut client: TcpStream, server: SocketAddr) {
        let Ok(mut server) = TcpStream::connect(server).await else { return };
        let mut cut = self.cut.subscribe();
        let (mut from_client, mut from_server) = ([0; 16_384], [0; 16_384]);
        loop {
            tokio::select! {
                _ = cut.changed() => return,
                read = client.read(&mut from_client) => {
                    let Ok(count @ 1..) = read else { return };
                    let bytes = &from_client[..count];
                    let is_commit = bytes.windows(6).any(|window| window == b"COMMIT");
                    match if is_commit { self.commit.swap(PASS, Ordering::SeqCst) } else { PASS } {
                        PASS => if server.write_all(bytes).await.is_err() { return },
                        LOSE_ANSWER => {
                            // It arrives, is carried out, and answered; nobody hears of it.
                            if server.write_all(bytes).await.is_ok() {
                                let _ = server.read(&mut from_server).await;
                            }
                            return;
                        }
                        _ => return,
                    }
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
