//! The whole list of attacks at once against the real program: somebody else is served meanwhile, and its memory stays bounded.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use riskgate::lifecycle;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{LARGE_ANSWER, http2, is_served};
use crate::support::process::Process;
use crate::support::{Person, Socket};

/// What the server may take at its most, in KiB; one that was not optimised takes more for everything.
const MEMORY: u64 = if cfg!(debug_assertions) { 192 * 1024 } else { 128 * 1024 };

/// How often somebody else asks while it goes on.
const QUESTIONS: usize = 40;

/// Opens a connection, says something, and holds it for as long as the server does; again and again.
fn besiege(siege: &mut JoinSet<()>, connections: usize, address: SocketAddr, says: Vec<u8>) {
    for _ in 0..connections {
        let says = says.clone();
        siege.spawn(async move {
            loop {
                let Ok(mut stream) = TcpStream::connect(address).await else { continue };
                if stream.write_all(&says).await.is_ok() {
                    // Nothing is read; that it ends shows by the next write.
                    while stream.write_all(b" ").await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                }
            }
        });
    }
}

/// Asks again and again, whatever comes.
fn pester(siege: &mut JoinSet<()>, person: &Person, question: impl Fn(u64) -> String + Send + 'static) {
    let person = person.clone();
    siege.spawn(async move {
        for number in 0.. {
            let _ = person.try_ask(&question(number), Value::Null).await;
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_all_attacks_at_once_others_are_served_within_bounded_memory() {
    lifecycle::raise_file_limit();
    let folder = tempfile::tempdir().expect("a folder");
    let server = Process::serve(&format!("sqlite://{}/riskgate.db", folder.path().display()), &["--demo"], &[]);
    let (mallory, alice, address) = (server.person("mallory"), server.person("alice"), server.address);
    let mut siege = JoinSet::new();

    besiege(&mut siege, 400, address, Vec::new());
    let head = format!("GET /graphql HTTP/1.1\r\nx-slow: {}", "a".repeat(30_000));
    besiege(&mut siege, 400, address, head.into_bytes());
    let body = [mallory.head("content-length: 262000\r\n").as_bytes(), &[b' '; 200_000]].concat();
    besiege(&mut siege, 100, address, body);
    besiege(&mut siege, 20, address, mallory.head("transfer-encoding: chunked\r\n").into_bytes());
    besiege(&mut siege, 50, address, mallory.request_of(LARGE_ANSWER).repeat(50).into_bytes());
    besiege(&mut siege, 50, address, http2::resets());
    for _ in 0..100 {
        siege.spawn(async move {
            loop {
                if let Some(mut socket) = Socket::try_open(address).await {
                    socket.receive_any().await;
                }
            }
        });
        let mallory = mallory.clone();
        siege.spawn(async move {
            let init = json!({ "type": "connection_init", "payload": { "Authorization": format!("Bearer {}", mallory.token) } });
            loop {
                let Some(mut socket) = Socket::try_open(address).await else { continue };
                let _ = socket.try_send(init.clone()).await;
                for id in 0..100 {
                    let payload = json!({ "query": "subscription { pendingRiskApprovalCreated { cursor } }" });
                    let _ = socket.try_send(json!({ "type": "subscribe", "id": id.to_string(), "payload": payload })).await;
                }
                while socket.receive_any().await {}
            }
        });
    }
    pester(&mut siege, &mallory, |number| format!("{{ a{number}: __typename }}"));
    pester(&mut siege, &mallory, |_| {
        "{ accessPackages(first: 100) { nodes { requests(first: 100) { nodes { id } } } } }".to_owned()
    });
    pester(&mut siege, &mallory, |_| {
        let bomb = (0..30).map(|at| format!("fragment f{at} on Query {{ ...f{} ...f{} }} ", at + 1, at + 1));
        format!("{{ ...f0 }} {}fragment f30 on Query {{ __typename }}", bomb.collect::<String>())
    });
    pester(&mut siege, &mallory, |_| "{a".repeat(5_000));
    let mut nobody = mallory.clone();
    nobody.token = "a.b.c".to_owned();
    pester(&mut siege, &nobody, |_| "{ __typename }".to_owned());

    let mut slowest = Duration::ZERO;
    for _ in 0..QUESTIONS {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let begin = Instant::now();
        is_served(&alice).await;
        slowest = slowest.max(begin.elapsed());
    }
    let memory = server.peak_memory();
    println!("the slowest of {QUESTIONS} light questions took {slowest:?}; at most {} MiB were taken", memory / 1024);
    assert!(memory < MEMORY, "{memory} KiB");
    siege.shutdown().await;
    is_served(&alice).await;
    assert_eq!(server.stop().code, Some(0));
}
