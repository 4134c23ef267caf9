//! Keys come and go at the provider, and the provider itself does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use entity::Seconds;
use futures_util::future::join_all;
use jsonwebtoken::Algorithm;
use riskgate::auth::{Documents, FetchFault};
use riskgate::outbound::Web;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{ME, met, name_or_code};
use crate::story;
use crate::support::provider::{Key, Provider, Reply};
use crate::support::{World, http};

const ALICE: &str = "Alice Moreau";
const NO: &str = "UNAUTHENTICATED";
const NOT_NOW: &str = "UNAVAILABLE";

fn key(kid: &str) -> Key {
    Key::new(kid, Algorithm::ES256)
}

/// A token of the provider for alice, signed with this key.
fn token(world: &World, provider: &Provider, key: &Key) -> String {
    key.sign(&provider.claims(world.person("alice").id, world.now()))
}

/// What `/readyz` answers.
async fn readiness(address: SocketAddr) -> (u16, String) {
    let answer = http().get(format!("http://{address}/readyz")).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

/// Waits until `/readyz` says this.
async fn says(address: SocketAddr, expected: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let (_, text) = readiness(address).await;
        if text.contains(expected) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{expected:?} is not said, but {text:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until whoever brings such a token is answered so.
async fn becomes(world: &World, provider: &Provider, key: &Key, expected: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while met(world, token(world, provider, key)).await != expected {
        assert!(tokio::time::Instant::now() < deadline, "it does not become {expected}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

story!(keys_rotate_without_a_restart, |world| {
    let (old, new) = (key("old"), key("new"));
    let provider = Provider::start(&[&old]).await;
    world.trust(vec![provider.trusted()]).await;
    assert_eq!(met(world, token(world, &provider, &old)).await, ALICE);
    provider.publish(&[&old, &new]);
    assert_eq!(met(world, token(world, &provider, &new)).await, ALICE, "a key that nobody knew is asked for at once");
    assert_eq!(provider.readings(), 2);
    provider.publish(&[&new]);
    assert_eq!(met(world, token(world, &provider, &old)).await, ALICE, "nobody has heard that it is gone");
    assert_eq!(provider.readings(), 2, "a key that is known asks nothing");
    world.clock.advance(Seconds::hours(24));
    assert_eq!(met(world, token(world, &provider, &new)).await, ALICE);
    provider.is_read(3).await;
    becomes(world, &provider, &old, NO).await;
    assert_eq!(provider.readings(), 4, "once for the day, and once for the old name");
    // The same name for another key: only the new one counts once the day is over.
    let renewed = key("new");
    provider.publish(&[&renewed]);
    assert_eq!(met(world, token(world, &provider, &renewed)).await, NO);
    world.clock.advance(Seconds::hours(24));
    becomes(world, &provider, &renewed, ALICE).await;
    assert_eq!(met(world, token(world, &provider, &new)).await, NO);
});

story!(strangers_cannot_make_us_ask_the_provider, |world| {
    let good = key("good");
    let provider = Provider::start(&[&good]).await;
    world.trust(vec![provider.trusted()]).await;
    assert_eq!(met(world, token(world, &provider, &good)).await, ALICE);
    assert_eq!(provider.readings(), 1);
    let strange: Vec<_> = (0..30).map(|number| token(world, &provider, &key(&format!("k{number}")))).collect();
    let answers = join_all(strange.iter().map(|token| met(world, token.clone()))).await;
    assert!(answers.iter().all(|answer| answer == NO), "{answers:?}");
    assert_eq!(provider.readings(), 2, "one reading for all of them");
    world.clock.advance(Seconds(29));
    assert_eq!(met(world, strange[0].clone()).await, NO);
    assert_eq!(provider.readings(), 2, "too soon");
    assert_eq!(met(world, token(world, &provider, &good)).await, ALICE);
    world.clock.advance(Seconds(1));
    join_all(strange.iter().map(|token| met(world, token.clone()))).await;
    assert_eq!(provider.readings(), 3);
    // Other issuers, other algorithms and tokens without a name of a key ask nothing, however often.
    world.clock.advance(Seconds(60));
    let mut claims = provider.claims(world.person("alice").id, world.now());
    let unnamed = good.sign_with(&jsonwebtoken::Header::new(good.algorithm), &claims);
    claims["iss"] = json!("https://login.example.com");
    for token in [unnamed, good.sign(&claims)] {
        assert_eq!(met(world, token).await, NO);
    }
    assert_eq!(provider.readings(), 3);
});

story!(an_unreachable_provider_stops_nobody_and_admits_nobody, |world| {
    let (good, later) = (key("good"), key("later"));
    let mut provider = Provider::start(&[&good]).await;
    provider.stop().await;
    world.trust(vec![provider.trusted()]).await;
    assert_eq!(met(world, token(world, &provider, &good)).await, NOT_NOW);
    world.person("bob").data("{ viewer { user { id } } }", Value::Null).await;
    let line = format!("issuer {}: its discovery document cannot be reached\n", provider.url);
    says(world.app().address, &line).await;
    assert_eq!(readiness(world.app().address).await, (200, format!("ok\n{line}")), "others are let in");

    provider.resume().await;
    assert_eq!(met(world, token(world, &provider, &good)).await, NOT_NOW, "not asked again at once");
    world.clock.advance(Seconds(10));
    assert_eq!(met(world, token(world, &provider, &good)).await, ALICE);
    assert_eq!(readiness(world.app().address).await, (200, "ok\n".to_owned()));

    provider.stop().await;
    assert_eq!(met(world, token(world, &provider, &good)).await, ALICE, "its keys are known");
    assert_eq!(met(world, token(world, &provider, &later)).await, NO, "but no new one is believed");
    world.clock.advance(Seconds::hours(24));
    assert_eq!(met(world, token(world, &provider, &good)).await, ALICE);
    says(world.app().address, &line).await;
    world.clock.advance(Seconds::hours(24));
    assert_eq!(met(world, token(world, &provider, &good)).await, NOT_NOW, "not for ever");
    provider.publish(&[&later]);
    provider.resume().await;
    world.clock.advance(Seconds(10));
    becomes(world, &provider, &later, ALICE).await;
});

story!(who_can_judge_nobody_is_not_ready, |world| {
    let good = key("good");
    let mut provider = Provider::start(&[&good]).await;
    provider.stop().await;
    let (database, started) = world.without_builtin_issuer(vec![provider.trusted()]).await;
    says(started.address, "cannot be reached").await;
    let line = format!("issuer {}: its discovery document cannot be reached\n", provider.url);
    assert_eq!(readiness(started.address).await, (503, format!("nobody's token can be judged\n{line}")));
    assert!(started.issuer.is_none());
    provider.resume().await;
    world.clock.advance(Seconds(10));
    // Being asked whether it is ready is what makes it try again.
    says(started.address, "ok\n").await;
    assert_eq!(met(world, token(world, &provider, &good)).await, NO, "the first server does not trust it");
    let person = world.bearer(token(world, &provider, &good)).at(started.address);
    assert_eq!(name_or_code(&person).await, ALICE);
    assert_eq!(world.person("bob").at(started.address).ask(ME, Value::Null).await.code(), NO);
    started.stop().await;
    database.remove().await;
});

story!(a_provider_that_lies_or_talks_nonsense_is_not_believed, |world| {
    let good = key("good");
    let provider = Provider::start(&[&good]).await;
    let discovery = |issuer: &str, keys: &str| {
        Some(Reply::Body(json!({ "issuer": issuer, "jwks_uri": keys }).to_string().into_bytes()))
    };
    let keys = format!("{}/keys", provider.url);
    let text = |text: &str| Some(Reply::Body(text.as_bytes().to_vec()));
    for (says_so, shows, why) in [
        (discovery("https://login.example.com", &keys), None, "its discovery document is of another issuer"),
        (discovery(&format!("{}/", provider.url), &keys), None, "its discovery document is of another issuer"),
        (
            discovery(&provider.url, "http://169.254.169.254/keys"),
            None,
            "its discovery document names a key set where none may be read",
        ),
        (
            discovery(&provider.url, "file:///etc/passwd"),
            None,
            "its discovery document names a key set where none may be read",
        ),
        (text("<html>"), None, "its discovery document is none"),
        (text(r#"{"issuer":7}"#), None, "its discovery document is none"),
        (Some(Reply::Status(500)), None, "its discovery document is answered with status 500"),
        (Some(Reply::Redirect(keys.clone())), None, "its discovery document is answered with status 302"),
        (Some(Reply::Body(vec![b' '; 600 * 1024])), None, "its discovery document is too large"),
        (None, Some(Reply::Status(404)), "its key set is answered with status 404"),
        (None, text("garbage"), "its key set holds no key that can be used"),
        (None, text(r#"{"keys":[]}"#), "its key set holds no key that can be used"),
        (
            None,
            text(
                r#"{"keys":[7,null,{},{"kty":"oct","kid":"good","k":"AA"},{"kty":"OKP","crv":"Ed25519","kid":"good","x":"AA"}]}"#,
            ),
            "its key set holds no key that can be used",
        ),
        (None, Some(Reply::Body(vec![0xff; 1000])), "its key set holds no key that can be used"),
    ] {
        provider.says(says_so);
        provider.shows(shows);
        world.trust(vec![provider.trusted()]).await;
        assert_eq!(met(world, token(world, &provider, &good)).await, NOT_NOW, "{why}");
        says(world.app().address, &format!("issuer {}: {why}\n", provider.url)).await;
    }
    // What it says later on does no harm to what it said when it was well.
    provider.says(None);
    provider.shows(None);
    world.trust(vec![provider.trusted()]).await;
    assert_eq!(met(world, token(world, &provider, &good)).await, ALICE);
    provider.shows(text("garbage"));
    world.clock.advance(Seconds::hours(24));
    assert_eq!(met(world, token(world, &provider, &good)).await, ALICE);
    says(world.app().address, "its key set holds no key that can be used").await;
    assert_eq!(met(world, token(world, &provider, &good)).await, ALICE);
    // One good key among bad ones is used.
    provider.shows(None);
    provider.publish_raw(vec![
        json!({}),
        json!({ "kty": "RSA", "kid": "weak", "n": "AQAB", "e": "AQAB" }),
        good.public(),
    ]);
    world.restart().await;
    assert_eq!(met(world, token(world, &provider, &good)).await, ALICE);
    assert_eq!(readiness(world.app().address).await, (200, "ok\n".to_owned()));
});

story!(the_key_set_can_be_named_without_discovery, |world| {
    let good = key("good");
    let provider = Provider::start(&[&good]).await;
    let mut trusted = provider.trusted();
    (trusted.jwks_url, trusted.url) = (Some(format!("{}/keys", provider.url)), "https://login.example.com".to_owned());
    world.trust(vec![trusted]).await;
    let mut claims = provider.claims(world.person("alice").id, world.now());
    claims["iss"] = json!("https://login.example.com");
    assert_eq!(met(world, good.sign(&claims)).await, ALICE);
    assert_eq!((provider.readings(), provider.questions()), (1, 1));
});

/// A server that sends a byte now and then, for ever.
async fn trickling() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        assert_ne!(stream.read(&mut [0; 1024]).await.expect("a request"), 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.expect("a head");
        while stream.write_all(b"1\r\n \r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    url
}

#[tokio::test]
async fn a_document_that_does_not_come_is_given_up() {
    let provider = Provider::start(&[]).await;
    provider.shows(Some(Reply::Never));
    let web: Arc<dyn Documents> = Arc::new(Web::new().expect("an HTTP client"));
    let (silent, trickling) = (format!("{}/keys", provider.url), trickling().await);
    let (never, slow) = tokio::join!(web.get(&silent), web.get(&trickling));
    assert_eq!((never, slow), (Err(FetchFault::Slow), Err(FetchFault::Slow)));
    assert_eq!(web.get("http://login.example.com/").await, Err(FetchFault::Unsafe));
    assert_eq!(
        web.get("https://127.0.0.1:1/").await.map_err(|fault| matches!(fault, FetchFault::Unreachable(_))),
        Err(true)
    );
}
