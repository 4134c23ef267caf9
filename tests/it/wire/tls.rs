//! TLS at the door itself.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::CertifiedKey;
use riskgate::http::{Limits, TlsFiles};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{cut, is_served, until};
use crate::support::{Kind, Options, Person, Raw, World};

/// A certificate for `localhost`, in files.
struct Pair {
    folder: tempfile::TempDir,
    root: RootCertStore,
}

fn made() -> (CertifiedKey<rcgen::KeyPair>, RootCertStore) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let mut root = RootCertStore::empty();
    root.add(made.cert.der().clone()).expect("a root");
    (made, root)
}

impl Pair {
    fn new() -> Pair {
        let mut pair = Pair { folder: tempfile::tempdir().expect("a folder"), root: RootCertStore::empty() };
        pair.renew();
        pair
    }

    fn files(&self) -> TlsFiles {
        let file = |name| self.folder.path().join(name);
        TlsFiles { certificate: file("tls.crt"), private_key: file("tls.key") }
    }

    /// As a certificate manager does: the key first, then the certificate.
    fn renew(&mut self) {
        let (made, root) = made();
        write(&self.files().private_key, &made.signing_key.serialize_pem());
        write(&self.files().certificate, &made.cert.pem());
        self.root = root;
    }
}

fn write(path: &Path, text: &str) {
    std::fs::File::create(path).and_then(|mut file| file.write_all(text.as_bytes())).expect("it can be written");
}

async fn world(pair: &Pair, limits: Limits) -> World {
    World::start(Kind::Sqlite, Options { tls: Some(pair.files()), doors: limits, ..Options::default() }).await
}

async fn shake(world: &World, root: &RootCertStore, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(root.clone())
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(world.app().address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").expect("a name"), stream).await
}

/// A question over HTTP/1.1 within TLS; the status line.
async fn asks(mut stream: TlsStream<TcpStream>, person: &Person) -> String {
    let request = person.request_of("{ __typename }").replacen("\r\n", "\r\nconnection: close\r\n", 1);
    stream.write_all(request.as_bytes()).await.expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer, and its end");
    answer.lines().next().expect("a line").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_protocols_are_offered_and_the_client_chooses() {
    let pair = Pair::new();
    let world = world(&pair, Limits::default()).await;
    let alice = world.person("alice");
    for (protocols, chosen) in [(&["h2", "http/1.1"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)] {
        let stream = shake(&world, &pair.root, protocols).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen.map(str::as_bytes));
        if chosen == Some("h2") {
            let (status, body) = super::http2::asks(stream, &alice, "{ viewer { user { displayName } } }").await;
            assert_eq!((status, &body["data"]["viewer"]["user"]["displayName"]), (200, &json!("Alice Moreau")));
        } else {
            assert_eq!(asks(stream, &alice).await, "HTTP/1.1 200 OK");
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_is_served_without_a_restart_and_a_bad_one_is_not() {
    let mut pair = Pair::new();
    let world = world(&pair, Limits::default()).await;
    let old = pair.root.clone();
    let kept = shake(&world, &old, &["http/1.1"]).await.expect("a handshake");

    // A key that does not fit, as between two writes.
    let (other, _) = made();
    write(&pair.files().private_key, &other.signing_key.serialize_pem());
    until(async || metrics(&world, &old).await.contains("riskgate_certificate_faults_total 1\n")).await;

    pair.renew();
    until(async || shake(&world, &pair.root, &["http/1.1"]).await.is_ok()).await;
    let new = shake(&world, &pair.root, &["http/1.1"]).await.expect("a handshake");
    let alice = world.person("alice");
    assert_eq!(asks(new, &alice).await, "HTTP/1.1 200 OK");
    assert!(shake(&world, &old, &["http/1.1"]).await.is_err(), "nobody is shown the old one any more");
    assert_eq!(asks(kept, &alice).await, "HTTP/1.1 200 OK", "who is connected stays so");
    world.end().await;
}

async fn metrics(world: &World, root: &RootCertStore) -> String {
    let mut stream = shake(world, root, &["http/1.1"]).await.expect("the old certificate is still served");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer, and its end");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_does_not_end_or_is_none_is_cut() {
    let pair = Pair::new();
    let world = world(&pair, Limits { head: Duration::from_millis(300), ..Limits::default() }).await;
    let mut slow = Raw::connect(world.app().address).await;
    slow.send([0x16, 3, 1, 2, 0, 1, 0]).await;
    let mut plain = Raw::connect(world.app().address).await;
    plain.send("GET / HTTP/1.1\r\n\r\n").await;
    slow.is_cut().await;
    // An alert of TLS, which is no answer of HTTP.
    assert!(!plain.rest().await.starts_with(b"HTTP"));
    let told = metrics(&world, &pair.root).await;
    assert!(told.contains("riskgate_connections_cut_total{reason=\"handshake\"} 2\n"), "{told}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_not_disturbed_by_who_tries() {
    let world = World::start(Kind::Sqlite, Options::default()).await;
    let (_, root) = made();
    assert!(shake(&world, &root, &["h2"]).await.is_err());
    assert_eq!(cut(&world, "malformed").await, 1);
    is_served(&world.person("alice")).await;
    world.end().await;
}

#[test]
fn files_that_cannot_be_used_are_told_by_name() {
    let pair = Pair::new();
    let files = pair.files();
    let fault = |files: &TlsFiles| riskgate::http::check_tls(files).expect_err("they cannot be used");
    riskgate::http::check_tls(&files).expect("they can be used");
    write(&files.private_key, &made().0.signing_key.serialize_pem());
    assert!(fault(&files).contains("tls.key"));
    write(&files.private_key, "secret");
    let told = fault(&files);
    assert!(told.ends_with("tls.key: holds no private key as PEM") && !told.contains("secret"), "{told}");
    write(&files.certificate, "");
    assert!(fault(&files).ends_with("tls.crt: holds no certificate"));
    let missing = TlsFiles { certificate: "/nowhere/tls.crt".into(), ..files };
    assert!(fault(&missing).starts_with("/nowhere/tls.crt: "));
}
