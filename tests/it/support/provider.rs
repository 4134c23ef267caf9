//! An OpenID provider of the story's own: over HTTP, with keys that it makes, and as good or as bad as the story wants.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::State as From;
use axum::http::header::{CONNECTION, CONTENT_TYPE, LOCATION};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use entity::{Timestamp, UserId};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use p256::pkcs8::EncodePrivateKey;
use riskgate::auth::{self, ProviderSettings, Verifier};
use riskgate::config::IssuerConfig;
use riskgate::outbound::Web;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::rand_core::OsRng;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What every token of these providers is for.
pub const AUDIENCE: &str = "api://riskgate";

/// A key pair under a name.
#[derive(Clone)]
pub struct Key {
    pub kid: String,
    pub algorithm: Algorithm,
    private: EncodingKey,
}

impl Key {
    /// A new one; RSA keys are dear, so there is one for each algorithm of theirs.
    pub fn new(kid: &str, algorithm: Algorithm) -> Key {
        static RSA: OnceLock<Vec<u8>> = OnceLock::new();
        let private = match algorithm {
            Algorithm::EdDSA => {
                EncodingKey::from_ed_der(&STANDARD.decode(riskgate::auth::new_key().0).expect("base64"))
            }
            Algorithm::ES256 => {
                let key = p256::SecretKey::random(&mut OsRng).to_pkcs8_der().expect("a key");
                EncodingKey::from_ec_der(key.as_bytes())
            }
            _ => EncodingKey::from_rsa_der(RSA.get_or_init(|| {
                let key = rsa::RsaPrivateKey::new(&mut OsRng, 2048).expect("a key");
                key.to_pkcs1_der().expect("a key").as_bytes().to_vec()
            })),
        };
        Key { kid: kid.to_owned(), algorithm, private }
    }

    /// What everybody may know of it.
    pub fn public(&self) -> Value {
        let mut key =
            serde_json::to_value(Jwk::from_encoding_key(&self.private, self.algorithm).expect("a public key"))
                .expect("JSON");
        key["kid"] = json!(self.kid);
        key["use"] = json!("sig");
        key
    }

    /// Signs these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = Some(self.kid.clone());
        self.sign_with(&header, claims)
    }

    /// Signs them under a header of the story's own.
    pub fn sign_with(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.private).expect("it signs")
    }
}

/// A token whose parts are written by hand.
pub fn by_hand(header: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(header), part(claims))
}

/// How a document is answered where the story does not leave it to the provider.
#[derive(Clone)]
pub enum Reply {
    /// With this body.
    Body(Vec<u8>),
    /// With this status.
    Status(u16),
    /// With a redirection to there.
    Redirect(String),
    /// Not at all, but with the connection held.
    Never,
}

#[derive(Default)]
struct State {
    issuer: String,
    keys: Vec<Value>,
    discovery: Option<Reply>,
    key_set: Option<Reply>,
    asked: Vec<String>,
}

/// A provider.
pub struct Provider {
    pub url: String,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: Option<JoinHandle<()>>,
}

impl Provider {
    /// One with these keys.
    pub async fn start(keys: &[&Key]) -> Provider {
        Provider::start_at("", keys).await
    }

    /// The same; its issuer has a path.
    pub async fn start_at(path: &str, keys: &[&Key]) -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let url = format!("http://{address}{path}");
        let state = State { issuer: url.clone(), ..State::default() };
        let mut provider = Provider { url, address, state: Arc::new(Mutex::new(state)), server: None };
        provider.publish(keys);
        provider.listen(listener);
        provider
    }

    fn listen(&mut self, listener: TcpListener) {
        let router = Router::new().fallback(answer).with_state(Arc::clone(&self.state));
        self.server = Some(tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") }));
    }

    /// Nobody answers any more.
    pub async fn stop(&mut self) {
        let server = self.server.take().expect("it runs");
        server.abort();
        assert!(server.await.expect_err("it is aborted").is_cancelled());
    }

    /// It answers again, at the same address.
    pub async fn resume(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the same port");
        self.listen(listener);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panicked")
    }

    /// From now on these are its keys.
    pub fn publish(&self, keys: &[&Key]) {
        self.publish_raw(keys.iter().map(|key| key.public()).collect());
    }

    /// The same, whatever they look like.
    pub fn publish_raw(&self, keys: Vec<Value>) {
        self.state().keys = keys;
    }

    /// From now on its discovery document is answered so; `None`: as it should be.
    pub fn says(&self, reply: Option<Reply>) {
        self.state().discovery = reply;
    }

    /// From now on its key set is answered so.
    pub fn shows(&self, reply: Option<Reply>) {
        self.state().key_set = reply;
    }

    /// How often its key set has been asked for.
    pub fn readings(&self) -> usize {
        self.state().asked.iter().filter(|path| path.ends_with("/keys")).count()
    }

    /// How often anything has been asked for.
    pub fn questions(&self) -> usize {
        self.state().asked.len()
    }

    /// Waits until its key set has been asked for so often.
    pub async fn is_read(&self, times: usize) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while self.readings() < times {
            assert!(tokio::time::Instant::now() < deadline, "the key set is not read");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How a server that trusts it is configured.
    pub fn trusted(&self) -> IssuerConfig {
        IssuerConfig {
            url: self.url.clone(),
            audiences: vec![AUDIENCE.to_owned(), "another".to_owned()],
            tenant: None,
            jwks_url: None,
            user_claim: "oid".to_owned(),
            app_claim: None,
        }
    }

    /// What judges its tokens, without a server around.
    pub fn verifier(&self) -> Verifier {
        let IssuerConfig { url, audiences, tenant, jwks_url, user_claim, app_claim } = self.trusted();
        let settings = ProviderSettings { url, audiences, tenant, jwks_url, user_claim, app_claim };
        let documents = Arc::new(Web::new().expect("an HTTP client"));
        Verifier::new(None, vec![auth::Provider::new(settings, documents).expect("a good address")])
    }

    /// Good claims of an application with these app roles, for an hour.
    pub fn app_claims(&self, client: &str, roles: &[&str], now: Timestamp) -> Value {
        let seconds = now.0 / 1_000_000;
        json!({
            "iss": self.url, "aud": AUDIENCE, "azp": client, "oid": uuid::Uuid::new_v4(), "idtyp": "app", "roles": roles,
            "iat": seconds, "nbf": seconds, "exp": seconds + 3_600,
        })
    }

    /// Good claims for somebody, for an hour.
    pub fn claims(&self, user: UserId, now: Timestamp) -> Value {
        let seconds = now.0 / 1_000_000;
        json!({
            "iss": self.url, "aud": AUDIENCE, "oid": user.0, "scp": "user_impersonation", "sub": "pairwise",
            "iat": seconds, "nbf": seconds, "exp": seconds + 3_600,
        })
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
        }
    }
}

async fn answer(From(state): From<Arc<Mutex<State>>>, uri: Uri) -> Response {
    let reply = {
        let mut state = state.lock().expect("nobody panicked");
        state.asked.push(uri.path().to_owned());
        let discovery = json!({ "issuer": state.issuer, "jwks_uri": format!("{}/keys", state.issuer) });
        let path = state.issuer.split('/').skip(3).collect::<Vec<_>>().join("/");
        let path = path.trim_end_matches('/');
        let base = if path.is_empty() { String::new() } else { format!("/{path}") };
        match uri.path() {
            at if at == format!("{base}/.well-known/openid-configuration") => {
                state.discovery.clone().unwrap_or_else(|| Reply::Body(discovery.to_string().into_bytes()))
            }
            at if at.ends_with("/keys") => {
                let keys = json!({ "keys": state.keys });
                state.key_set.clone().unwrap_or_else(|| Reply::Body(keys.to_string().into_bytes()))
            }
            _ => Reply::Status(404),
        }
    };
    // A connection that is kept would outlive the server.
    let close = (CONNECTION, "close");
    match reply {
        Reply::Body(body) => ([(CONTENT_TYPE, "application/json"), close], body).into_response(),
        Reply::Status(status) => (StatusCode::from_u16(status).expect("a status"), [close]).into_response(),
        Reply::Redirect(to) => (StatusCode::FOUND, [(LOCATION, to.as_str()), close]).into_response(),
        Reply::Never => std::future::pending().await,
    }
}
