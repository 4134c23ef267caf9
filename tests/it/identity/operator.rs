//! What the operator hears of identity providers, and the caller does not.

use std::sync::Arc;

use entity::UserId;
use jsonwebtoken::Algorithm;
use riskgate::clock::Clock;
use riskgate::demo;
use riskgate::outbound::choose_cryptography;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::ME;
use crate::support::process::{Process, refusal, riskgate, run};
use crate::support::provider::{AUDIENCE, Key, Provider, Reply};
use crate::support::{Person, http};

/// A folder with a configuration that trusts these, and the URL of a database in it.
fn configured(issuers: &[&str]) -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("riskgate.toml");
    let tables = issuers.iter().map(|url| format!("[[issuers]]\nurl = \"{url}\"\naudiences = [\"{AUDIENCE}\"]\n"));
    std::fs::write(&file, tables.collect::<String>()).expect("a file");
    let url = format!("sqlite://{}", folder.path().join("riskgate.db").display());
    (folder, file.display().to_string(), url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_says_which_provider_is_wrong_and_why() {
    let key = Key::new("k", Algorithm::EdDSA);
    let (good, lying) = (Provider::start(&[&key]).await, Provider::start(&[&key]).await);
    let mut gone = Provider::start(&[&key]).await;
    gone.stop().await;
    good.publish_raw(vec![key.public(), serde_json::json!({ "kty": "oct", "kid": "shared" })]);
    lying.says(Some(Reply::Body(format!(r#"{{"issuer":"{}","jwks_uri":"x"}}"#, good.url).into_bytes())));
    let (_folder, config, url) = configured(&[&good.url, &lying.url, &gone.url]);
    assert!(run(&["migrate", "--database-url", &url]).status.success());
    let checked = run(&["check", "--config", &config, "--database-url", &url]);
    let (said, wrong) = (String::from_utf8_lossy(&checked.stdout), String::from_utf8_lossy(&checked.stderr));
    assert_eq!(checked.status.code(), Some(1));
    assert!(said.contains(&format!("issuer {}: 1 keys can be used\n", good.url)), "{said}");
    assert!(said.contains("skipped: key \"shared\": keys of kind \"oct\""), "{said}");
    let line = format!("issuer {}: its discovery document is of another issuer", lying.url);
    assert!(wrong.contains(&line) && wrong.contains(&format!("it says {:?}", good.url)), "{wrong}");
    let line = format!("issuer {}: its discovery document cannot be reached ({}/.well-known/", gone.url, gone.url);
    assert!(wrong.contains(&line) && wrong.contains("refused"), "{wrong}");
    assert!(!wrong.contains(&format!("issuer {}:", good.url)), "{wrong}");
    let (_folder, config, url) = configured(&[&good.url]);
    assert!(run(&["migrate", "--database-url", &url]).status.success());
    assert!(run(&["check", "--config", &config, "--database-url", &url]).status.success());
}

/// A provider of its own certificate authority, by https alone; and the authority's certificate in a file.
async fn behind_tls(key: &Key) -> (String, tempfile::NamedTempFile) {
    choose_cryptography();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let authority = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(authority.path(), made.cert.pem()).expect("a certificate");
    let private = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], private);
    let acceptor = TlsAcceptor::from(Arc::new(config.expect("a pair")));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
    let documents = [
        serde_json::json!({ "issuer": url, "jwks_uri": format!("{url}/keys") }).to_string(),
        serde_json::json!({ "keys": [key.public()] }).to_string(),
    ];
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            // Who does not trust it hangs up in the middle.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = [0; 1024];
            let length = stream.read(&mut head).await.expect("a request");
            let is_keys = head[..length].starts_with(b"GET /keys ");
            let body = &documents[usize::from(is_keys)];
            let answer =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.expect("an answer");
            stream.shutdown().await.expect("an end");
        }
    });
    (url, authority)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_by_https_must_show_a_certificate_that_the_machine_trusts() {
    let (issuer, authority) = behind_tls(&Key::new("k", Algorithm::ES256)).await;
    let (_folder, config, url) = configured(&[&issuer]);
    assert!(run(&["migrate", "--database-url", &url]).status.success());
    let check = || riskgate(&["check", "--config", &config, "--database-url", &url]);
    let distrusted = check().output().expect("the program runs");
    let wrong = String::from_utf8_lossy(&distrusted.stderr).into_owned();
    assert_eq!(distrusted.status.code(), Some(1));
    assert!(wrong.contains("cannot be reached") && wrong.contains("certificate"), "{wrong}");
    let nothing = check().env("SSL_CERT_FILE", "/nowhere").env("SSL_CERT_DIR", "/nowhere").output().expect("it runs");
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("No CA certificates"), "{nothing:?}");
    let trusted = check().env("SSL_CERT_FILE", authority.path()).output().expect("the program runs");
    assert!(trusted.status.success(), "{}", String::from_utf8_lossy(&trusted.stderr));
    assert!(String::from_utf8_lossy(&trusted.stdout).contains(&format!("issuer {issuer}: 1 keys can be used\n")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_is_asked_for_the_way_out_and_never_for_this_machine() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let proxy = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut head = [0; 1024];
        let length = stream.read(&mut head).await.expect("a request");
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await.expect("an answer");
        String::from_utf8_lossy(&head[..length]).into_owned()
    });
    let good = Provider::start(&[&Key::new("k", Algorithm::ES256)]).await;
    let (_folder, config, url) = configured(&[&good.url, "https://login.example.com"]);
    assert!(run(&["migrate", "--database-url", &url]).status.success());
    let mut check = riskgate(&["check", "--config", &config, "--database-url", &url]);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        check.env(name, &proxy);
    }
    let checked = check.env_remove("NO_PROXY").env_remove("no_proxy").output().expect("the program runs");
    assert!(String::from_utf8_lossy(&checked.stdout).contains(&format!("issuer {}: 1 keys can be used\n", good.url)));
    let wrong = String::from_utf8_lossy(&checked.stderr);
    assert!(wrong.contains("issuer https://login.example.com: its discovery document cannot be reached"), "{wrong}");
    assert!(asked.await.expect("it was asked").starts_with("CONNECT login.example.com:443 "));
}

#[test]
fn a_provider_is_never_asked_in_the_clear() {
    for issuer in ["http://login.example.com", "ftp://127.0.0.1", "login.example.com", "https://a.example/?tenant=1"] {
        let (_folder, config, url) = configured(&[issuer]);
        let said = refusal(&["serve", "--config", &config, "--database-url", &url, "--listen", "127.0.0.1:0"]);
        assert!(said.contains("issuers[0].url") && said.contains(issuer), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_says_why_a_good_token_lets_nobody_in_and_the_answer_does_not() {
    let key = Key::new("k", Algorithm::ES256);
    let provider = Provider::start(&[&key]).await;
    let (_folder, config, url) = configured(&[&provider.url]);
    let server = Process::serve(&url, &["--demo", "--config", &config, "--log-format", "json"], &[]);
    let now = Clock::system().now();
    let ask = async |claims: &Value| {
        let person = Person::new(http(), server.address, UserId::new(), key.sign(claims));
        person.ask(ME, Value::Null).await
    };
    let by_name = |name: &str| {
        let upn = format!("{name}@example.com");
        demo::people().into_iter().find(|person| person.upn == upn).expect("somebody").id
    };
    assert_eq!(ask(&provider.claims(by_name("alice"), now)).await.status, 200);
    let (stranger, dan) = (UserId::new(), by_name("dan"));
    let robot = provider.app_claims("robot", &["Other.Role"], now);
    let answers = [
        ask(&provider.claims(stranger, now)).await,
        ask(&provider.claims(stranger, now)).await,
        ask(&provider.claims(dan, now)).await,
        ask(&robot).await,
        ask(&Value::from(serde_json::Map::new())).await,
    ];
    for answer in &answers {
        assert_eq!((answer.status, answer.code()), (401, "UNAUTHENTICATED"));
        assert_eq!(answer.body, answers[4].body, "one answer to all of them: it tells nobody who is there");
    }
    let end = server.stop();
    let lines: Vec<Value> = end.log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told = |what: &str| {
        let of = |line: &&Value| line["level"] == "WARN" && line.to_string().contains(what);
        lines.iter().filter(of).cloned().collect::<Vec<_>>()
    };
    let unknown = told(&stranger.0.to_string());
    assert_eq!(unknown.len(), 1, "once a minute: {}", end.log);
    assert_eq!(unknown[0]["issuer"], provider.url);
    let why = unknown[0]["why"].as_str().expect("a reason");
    assert!(why.contains("nobody of this object id") && why.contains("user_claim"), "{why}");
    assert_eq!(told(&dan.0.to_string())[0]["why"], "the person is disabled in the directory");
    assert!(told("robot")[0]["message"].as_str().is_some_and(|text| text.contains("app roles")), "{}", end.log);
    assert!(!end.log.contains(&key.sign(&robot)[..40]), "no token stands in the log");
}
