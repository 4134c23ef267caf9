//! The built-in token issuer: signs and checks its own Ed25519 tokens. Not an identity provider: no login, no refresh, no
//! revocation other than disabling the person.
//!
//! What must stay true: one algorithm, one key, one issuer, one audience; the time is always the caller's.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use entity::{LogId, Seconds, Secret, Timestamp, UserId, canonical_uuid};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Claims, TokenFault};
use crate::domain::permission::Principal;

/// What every token of ours is for.
const AUDIENCE: &str = "riskgate";

/// How far the clocks of two instances may be apart before a fresh token is refused. An expired one gets no such grace.
const NOT_BEFORE_LEEWAY: Seconds = Seconds(5);

/// What stands before the 32 bytes of an Ed25519 private key in PKCS #8 (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A new private key: PKCS #8 DER, base64.
///
/// # Panics
/// When the operating system has no randomness to give: no key is better than a guessable one.
#[expect(clippy::expect_used, reason = "see Panics")]
pub fn new_key() -> Secret {
    let mut der = [0; 48];
    let (prefix, seed) = der.split_at_mut(PKCS8_PREFIX.len());
    prefix.copy_from_slice(&PKCS8_PREFIX);
    getrandom::fill(seed).expect("the operating system gives random bytes");
    Secret(STANDARD.encode(der))
}

/// The stored key is not an Ed25519 private key in PKCS #8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFault;

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the token issuer's key in the database is not an Ed25519 private key")
    }
}

impl std::error::Error for KeyFault {}

/// The claims as they stand in the token; times in whole seconds.
#[derive(Serialize, Deserialize)]
struct Wire {
    iss: String,
    aud: serde_json::Value,
    oid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preferred_username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    exp: i64,
}

/// The built-in issuer of one installation.
pub struct Issuer {
    name: String,
    header: Header,
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Issuer {
    /// The issuer with this key ([`new_key`]), named after the installation's log, so that tokens of one installation are
    /// nothing to another, also where a key was copied.
    ///
    /// # Errors
    /// [`KeyFault`] where the text is not such a key.
    pub fn new(key: &Secret, log: LogId) -> Result<Issuer, KeyFault> {
        let der = STANDARD.decode(&key.0).map_err(|_| KeyFault)?;
        let signing = EncodingKey::from_ed_der(&der);
        let public = Jwk::from_encoding_key(&signing, Algorithm::EdDSA).map_err(|_| KeyFault)?;
        let checking = DecodingKey::from_jwk(&public).map_err(|_| KeyFault)?;
        let id = Sha256::digest(checking.try_get_as_bytes().map_err(|_| KeyFault)?);
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(URL_SAFE_NO_PAD.encode(id.get(..12).unwrap_or(&id)));
        let name = format!("riskgate:{}", log.0);
        let mut validation = Validation::new(Algorithm::EdDSA);
        // The library would ask the machine's clock; the times are judged below, on the caller's.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_issuer(&[&name]);
        validation.set_audience(&[AUDIENCE]);
        Ok(Issuer { name, header, signing, checking, validation })
    }

    /// What its tokens have as `iss`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A token for a person, good from `now` for `ttl`.
    ///
    /// # Panics
    /// Never: [`Issuer::new`] has read the key, and signing with it cannot fail.
    #[expect(clippy::expect_used, reason = "see Panics")]
    pub fn issue(&self, user: UserId, upn: &str, now: Timestamp, ttl: Seconds) -> String {
        let seconds = now.0.div_euclid(1_000_000);
        let claims = Wire {
            iss: self.name.clone(),
            aud: AUDIENCE.into(),
            oid: user.0.to_string(),
            preferred_username: Some(upn.to_owned()),
            iat: Some(seconds),
            nbf: Some(seconds),
            exp: seconds.saturating_add(ttl.0),
        };
        jsonwebtoken::encode(&self.header, &claims, &self.signing).expect("an Ed25519 key that was read signs")
    }

    /// What a token says, if it is ours and good at `now`.
    ///
    /// # Errors
    /// [`TokenFault`]: what is wrong with it.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenFault> {
        let data =
            jsonwebtoken::decode::<Wire>(token, &self.checking, &self.validation).map_err(|fault| {
                match fault.kind() {
                    ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => TokenFault::Algorithm,
                    ErrorKind::InvalidSignature => TokenFault::Signature,
                    ErrorKind::InvalidIssuer => TokenFault::Issuer,
                    ErrorKind::InvalidAudience => TokenFault::Audience,
                    _ => TokenFault::Malformed,
                }
            })?;
        // A critical extension that is not understood voids the token (RFC 7515, section 4.1.11); none is understood.
        if data.header.crit.is_some() {
            return Err(TokenFault::Malformed);
        }
        let claims = data.claims;
        if claims.iss != self.name {
            return Err(TokenFault::Issuer);
        }
        let expires_at = Timestamp(claims.exp.saturating_mul(1_000_000));
        if expires_at <= now {
            return Err(TokenFault::Expired);
        }
        if claims.nbf.is_some_and(|nbf| Timestamp(nbf.saturating_mul(1_000_000)) > now.plus(NOT_BEFORE_LEEWAY)) {
            return Err(TokenFault::NotYetValid);
        }
        let user = canonical_uuid(&claims.oid).map(UserId).ok_or(TokenFault::Malformed)?;
        Ok(Claims { principal: Principal::Person(user), expires_at, issuer: self.name.as_str().into() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_250_000);
    const NOW_SECONDS: i64 = 1_700_000_000;

    fn issuer() -> Issuer {
        Issuer::new(&new_key(), LogId::new()).unwrap()
    }

    fn claims(issuer: &Issuer) -> Value {
        json!({"iss": issuer.name, "aud": AUDIENCE, "oid": UserId::new().0, "nbf": NOW_SECONDS, "exp": NOW_SECONDS + 60})
    }

    fn signed(issuer: &Issuer, claims: &Value) -> String {
        jsonwebtoken::encode(&issuer.header, claims, &issuer.signing).unwrap()
    }

    fn with(issuer: &Issuer, name: &str, value: Value) -> Result<Claims, TokenFault> {
        let mut claims = claims(issuer);
        claims[name] = value;
        issuer.verify(&signed(issuer, &claims), NOW)
    }

    fn without(issuer: &Issuer, name: &str) -> Result<Claims, TokenFault> {
        let mut claims = claims(issuer);
        claims.as_object_mut().unwrap().remove(name);
        issuer.verify(&signed(issuer, &claims), NOW)
    }

    #[test]
    fn an_issued_token_names_its_person_until_it_ends() {
        let issuer = issuer();
        let user = UserId::new();
        let token = issuer.issue(user, "ada@example.com", NOW, Seconds(60));
        let end = Timestamp((NOW_SECONDS + 60) * 1_000_000);
        assert_eq!(
            issuer.verify(&token, NOW),
            Ok(Claims { principal: Principal::Person(user), expires_at: end, issuer: issuer.name().into() })
        );
        assert!(issuer.verify(&token, Timestamp(end.0 - 1)).is_ok());
        assert_eq!(issuer.verify(&token, end), Err(TokenFault::Expired), "no grace");
    }

    #[test]
    fn the_key_survives_the_database() {
        let (key, log) = (new_key(), LogId::new());
        let user = UserId::new();
        let token = Issuer::new(&key, log).unwrap().issue(user, "ada@example.com", NOW, Seconds(60));
        assert_eq!(Issuer::new(&key, log).unwrap().verify(&token, NOW).unwrap().principal, Principal::Person(user));
        assert_ne!(new_key(), key);
        assert!(Issuer::new(&Secret("bm90IGEga2V5".to_owned()), log).is_err());
        assert!(Issuer::new(&Secret("%".to_owned()), log).is_err());
    }

    #[test]
    fn another_key_or_installation_is_not_ours() {
        let (key, log) = (new_key(), LogId::new());
        let ours = Issuer::new(&key, log).unwrap();
        let token = |issuer: &Issuer| issuer.issue(UserId::new(), "ada@example.com", NOW, Seconds(60));
        let other_key = Issuer::new(&new_key(), log).unwrap();
        assert_eq!(ours.verify(&token(&other_key), NOW), Err(TokenFault::Signature));
        let other_log = Issuer::new(&key, LogId::new()).unwrap();
        assert_eq!(ours.verify(&token(&other_log), NOW), Err(TokenFault::Issuer));
    }

    #[test]
    fn no_other_algorithm_is_taken() {
        let issuer = issuer();
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let body = part(&claims(&issuer));
        for alg in ["none", "None", "NONE", "nOnE", ""] {
            for signature in ["", "AAAA"] {
                let token = format!("{}.{body}.{signature}", part(&json!({"alg": alg, "typ": "JWT"})));
                assert!(issuer.verify(&token, NOW).is_err(), "{alg}");
            }
        }
        let public = issuer.checking.try_get_as_bytes().unwrap();
        for secret in
            [public.to_vec(), URL_SAFE_NO_PAD.encode(public).into_bytes(), STANDARD.encode(public).into_bytes()]
        {
            let key = EncodingKey::from_secret(&secret);
            let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims(&issuer), &key).unwrap();
            assert_eq!(issuer.verify(&token, NOW), Err(TokenFault::Algorithm));
        }
    }

    #[test]
    fn issuer_and_audience_must_be_exactly_ours() {
        let issuer = issuer();
        assert!(issuer.verify(&signed(&issuer, &claims(&issuer)), NOW).is_ok());
        assert_eq!(with(&issuer, "aud", json!("other")), Err(TokenFault::Audience));
        assert_eq!(with(&issuer, "aud", json!([])), Err(TokenFault::Audience));
        assert!(with(&issuer, "aud", json!(null)).is_err());
        assert!(without(&issuer, "aud").is_err());
        assert_eq!(with(&issuer, "iss", json!("riskgate:")), Err(TokenFault::Issuer));
        assert!(with(&issuer, "iss", json!([issuer.name])).is_err());
        assert!(without(&issuer, "iss").is_err());
    }

    #[test]
    fn times_are_judged_on_the_given_clock() {
        let issuer = issuer();
        assert_eq!(with(&issuer, "exp", json!(NOW_SECONDS)), Err(TokenFault::Expired));
        assert_eq!(with(&issuer, "exp", json!(-1)), Err(TokenFault::Malformed));
        assert!(without(&issuer, "exp").is_err());
        assert!(with(&issuer, "exp", json!(null)).is_err());
        assert!(with(&issuer, "exp", json!("9999999999")).is_err());
        assert!(with(&issuer, "exp", json!(i64::MAX)).is_ok(), "no overflow");
        assert_eq!(with(&issuer, "nbf", json!(NOW_SECONDS + 6)), Err(TokenFault::NotYetValid));
        assert!(with(&issuer, "nbf", json!(NOW_SECONDS + 5)).is_ok());
        assert!(without(&issuer, "nbf").is_ok());
    }

    #[test]
    fn the_person_is_a_bare_uuid_in_its_one_spelling() {
        let issuer = issuer();
        let id = UserId::new();
        for oid in
            [json!("ada"), json!(""), json!(id.to_string()), json!(id.0.simple().to_string()), json!(7), json!(null)]
        {
            assert!(with(&issuer, "oid", oid.clone()).is_err(), "{oid}");
        }
        assert!(without(&issuer, "oid").is_err());
    }

    #[test]
    fn a_critical_extension_voids_the_token() {
        let issuer = issuer();
        let mut header = issuer.header.clone();
        header.crit = Some(vec!["exp".to_owned()]);
        let token = jsonwebtoken::encode(&header, &claims(&issuer), &issuer.signing).unwrap();
        assert_eq!(issuer.verify(&token, NOW), Err(TokenFault::Malformed));
    }

    #[test]
    fn no_bit_can_be_changed() {
        let issuer = issuer();
        let token = issuer.issue(UserId::new(), "ada@example.com", NOW, Seconds(60));
        for at in 0..token.len() {
            for bit in 0..7 {
                let mut bytes = token.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let changed = String::from_utf8(bytes).unwrap();
                assert!(issuer.verify(&changed, NOW).is_err(), "bit {bit} of byte {at}");
            }
        }
        for cut in 0..token.len() {
            assert!(issuer.verify(&token[..cut], NOW).is_err());
        }
        assert!(issuer.verify(&format!("{token}."), NOW).is_err());
        assert!(issuer.verify(&format!("{token}A"), NOW).is_err());
    }
}
