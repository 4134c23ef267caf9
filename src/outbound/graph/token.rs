//! The token: asked for with what the configuration names, kept until shortly before its end.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::{Seconds, Timestamp};
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::fault::word;
use super::{GraphFault, GraphSettings};
use crate::clock::Clock;
use crate::outbound::web::{self, Web};

/// The largest answer that is read.
const SIZE_LIMIT: usize = 256 * 1024;
/// The largest secret, certificate or token that is read from a file.
const FILE_LIMIT: usize = 64 * 1024;
/// A token is renewed so long before its end, or when a quarter of its time is left where it is short-lived.
const MARGIN: Seconds = Seconds::minutes(5);
/// No token is kept longer, whatever it says.
const KEPT_MAX: Seconds = Seconds::hours(24);
/// Our own signature is good for so long.
const ASSERTION: Seconds = Seconds::minutes(10);

/// How the program shows who it is.
#[derive(Clone)]
pub enum Credential {
    /// By a secret.
    Secret(String),
    /// By a secret in a file.
    SecretFile(PathBuf),
    /// By a signature with the key of a certificate.
    Certificate {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of its private key.
        private_key: PathBuf,
    },
    /// By a token that whoever runs the program puts into a file.
    Federated(PathBuf),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Credential::Secret(_) => "Secret",
            Credential::SecretFile(_) => "SecretFile",
            Credential::Certificate { .. } => "Certificate",
            Credential::Federated(_) => "Federated",
        })
    }
}

struct Kept {
    token: Arc<str>,
    until: Timestamp,
}

/// Where tokens come from. Everybody who needs one waits for the same question.
pub(super) struct Tokens {
    settings: GraphSettings,
    web: Web,
    clock: Clock,
    kept: Mutex<Option<Kept>>,
}

impl Tokens {
    pub(super) fn new(settings: GraphSettings, web: Web, clock: Clock) -> Tokens {
        Tokens { settings, web, clock, kept: Mutex::new(None) }
    }

    /// A token that is good now, by what it said of its end.
    pub(super) async fn token(&self) -> Result<Arc<str>, GraphFault> {
        let mut kept = self.kept.lock().await;
        // An end by our clock, counted from before the question: neither the other side's clock nor the way back has a part in it.
        let now = self.clock.now();
        if let Some(kept) = kept.as_ref().filter(|kept| now < kept.until) {
            return Ok(Arc::clone(&kept.token));
        }
        let (token, lifetime) = self.ask(now).await?;
        let margin = MARGIN.0.min(lifetime.0 / 4);
        let until = now.plus(Seconds(lifetime.0 - margin));
        *kept = Some(Kept { token: Arc::clone(&token), until });
        Ok(token)
    }

    /// This one was refused.
    pub(super) async fn give_up(&self, refused: &Arc<str>) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|kept| Arc::ptr_eq(&kept.token, refused)) {
            *kept = None;
        }
    }

    async fn ask(&self, now: Timestamp) -> Result<(Arc<str>, Seconds), GraphFault> {
        let GraphSettings { tenant, client_id, authority, base_url, time_limit, .. } = &self.settings;
        let url = format!("{authority}/{tenant}/oauth2/v2.0/token");
        let scope = format!("{base_url}/.default");
        let mut form = vec![("grant_type", "client_credentials"), ("client_id", client_id), ("scope", &scope)];
        let proof = self.proof(&url, now).map_err(GraphFault::NoToken)?;
        match &proof {
            Proof::Secret(secret) => form.push(("client_secret", secret)),
            Proof::Assertion(assertion) => {
                form.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
                form.push(("client_assertion", assertion));
            }
        }
        let request = self.web.client(&url)?.post(&url).header("accept", "application/json");
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(encoded(&form));
        let request = request.timeout(web::TIME_LIMIT.min(*time_limit));
        let response = request.send().await.map_err(web::judged)?;
        let status = response.status().as_u16();
        let bytes = web::body(response, SIZE_LIMIT).await?;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status != 200 {
            return Err(GraphFault::NoToken(refused(status, &answer)));
        }
        let token = answer.get("access_token").and_then(Value::as_str).filter(|token| is_token(token));
        let token = token.ok_or_else(|| GraphFault::Garbled("an answer of the authority has no token".to_owned()))?;
        Ok((Arc::from(token), lifetime(answer.get("expires_in"))))
    }

    fn proof(&self, audience: &str, now: Timestamp) -> Result<Proof, String> {
        Ok(match &self.settings.credential {
            Credential::Secret(secret) => Proof::Secret(secret.clone()),
            Credential::SecretFile(file) => Proof::Secret(text(file)?),
            Credential::Federated(file) => Proof::Assertion(text(file)?),
            Credential::Certificate { certificate, private_key } => {
                Proof::Assertion(assertion(&self.settings.client_id, audience, now, certificate, private_key)?)
            }
        })
    }
}

enum Proof {
    Secret(String),
    Assertion(String),
}

fn bytes(file: &Path) -> Result<Vec<u8>, String> {
    let bytes = std::fs::read(file).map_err(|fault| format!("{}: {fault}", file.display()))?;
    if bytes.len() > FILE_LIMIT { Err(format!("{}: is too large", file.display())) } else { Ok(bytes) }
}

fn text(file: &Path) -> Result<String, String> {
    let text = String::from_utf8(bytes(file)?).map_err(|_| format!("{}: is not UTF-8", file.display()))?;
    let text = text.trim();
    if text.is_empty() { Err(format!("{}: is empty", file.display())) } else { Ok(text.to_owned()) }
}

/// A statement that we are who we are, signed with the certificate's key: PS256, and the certificate by its SHA-256.
fn assertion(
    client_id: &str,
    audience: &str,
    now: Timestamp,
    certificate: &Path,
    private_key: &Path,
) -> Result<String, String> {
    let said = |file: &Path, what: &str| format!("{}: {what}", file.display());
    let public = CertificateDer::from_pem_slice(&bytes(certificate)?)
        .map_err(|_| said(certificate, "holds no certificate in PEM"))?;
    let private = PrivateKeyDer::from_pem_slice(&bytes(private_key)?)
        .map_err(|_| said(private_key, "holds no private key in PEM"))?;
    let key = any_supported_type(&private).map_err(|_| said(private_key, "the key cannot be used"))?;
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]);
    let signer = signer.ok_or_else(|| said(private_key, "is no RSA key, which Entra wants"))?;
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": URL_SAFE_NO_PAD.encode(Sha256::digest(&public)) });
    let seconds = now.0.div_euclid(1_000_000);
    let claims = json!({
        "aud": audience, "iss": client_id, "sub": client_id, "jti": uuid::Uuid::new_v4(),
        "iat": seconds, "nbf": seconds, "exp": seconds + ASSERTION.0,
    });
    let message = format!("{}.{}", part(header), part(claims));
    let signature = signer.sign(message.as_bytes()).map_err(|_| said(private_key, "does not sign"))?;
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// As a form has it.
fn encoded(form: &[(&str, &str)]) -> String {
    let quoted = |text: &str| {
        let mut quoted = String::with_capacity(text.len());
        for byte in text.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => quoted.push(char::from(byte)),
                _ => quoted.push_str(&format!("%{byte:02X}")),
            }
        }
        quoted
    };
    form.iter().map(|(name, value)| format!("{}={}", quoted(name), quoted(value))).collect::<Vec<_>>().join("&")
}

/// What a header can carry.
fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A number, or a text that is one; without it an hour is usual, and a minute cannot be wrong by much.
fn lifetime(said: Option<&Value>) -> Seconds {
    let number = said.and_then(|said| said.as_i64().or_else(|| said.as_str()?.parse().ok()));
    Seconds(number.unwrap_or(60).clamp(0, KEPT_MAX.0))
}

/// The authority's refusal, by its codes.
fn refused(status: u16, answer: &Value) -> String {
    let mut said = format!("the authority answers with status {status}");
    if let Some(code) = answer.get("error").and_then(word) {
        said.push_str(&format!(", {code}"));
    }
    let numbers = answer.get("error_codes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64);
    for number in numbers.take(4) {
        said.push_str(&format!(" AADSTS{number}"));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_read_as_it_comes_and_never_believed_beyond_a_day() {
        for (said, seconds) in [
            (json!(3599), 3_599),
            (json!("3599"), 3_599),
            (json!(0), 0),
            (json!(-5), 0),
            (json!(1e30), 60),
            (json!(i64::MAX), 86_400),
            (json!("soon"), 60),
            (Value::Null, 60),
        ] {
            assert_eq!(lifetime(Some(&said)), Seconds(seconds), "{said}");
        }
        assert_eq!(lifetime(None), Seconds(60));
    }

    #[test]
    fn a_form_quotes_what_would_end_a_value() {
        assert_eq!(encoded(&[("a", "x&b=c d+é"), ("s", "~")]), "a=x%26b%3Dc%20d%2B%C3%A9&s=%7E");
    }

    #[test]
    fn a_refusal_is_told_by_its_codes_alone() {
        let answer =
            json!({ "error": "invalid_client", "error_description": "the secret is 123", "error_codes": [7000215] });
        assert_eq!(refused(401, &answer), "the authority answers with status 401, invalid_client AADSTS7000215");
        assert_eq!(refused(502, &Value::Null), "the authority answers with status 502");
    }
}
