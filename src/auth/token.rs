//! What a token says of itself before anything of it is believed, and what is wrong with one.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The longest token that is looked at, in bytes. Real ones have one to four thousand; two hundred groups make eight.
const LENGTH_LIMIT: usize = 16 * 1024;

/// What is wrong with a token. For the log: who sent it learns only that it is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// Not a token, or without a claim that it must have.
    Malformed,
    /// Signed with an algorithm that we do not use, or that is not the key's.
    Algorithm,
    /// It names no key, or one that its issuer does not have.
    UnknownKey,
    /// Not signed with that key, or changed since.
    Signature,
    /// From another issuer, or the built-in issuer is off.
    Issuer,
    /// Of another tenant of its issuer.
    Tenant,
    /// For somebody else.
    Audience,
    /// A good token, but not one for access: an ID token, a logout token.
    NotForAccess,
    /// The claim that names the person is missing, or is no object id.
    Subject,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenFault::Malformed => "not a token, or a claim is missing",
            TokenFault::Algorithm => "signed with an algorithm that is not used here",
            TokenFault::UnknownKey => "it names no key that its issuer has",
            TokenFault::Signature => "the signature does not fit",
            TokenFault::Issuer => "from an issuer that is not trusted here",
            TokenFault::Tenant => "of another tenant",
            TokenFault::Audience => "for another audience",
            TokenFault::NotForAccess => "not an access token",
            TokenFault::Subject => "the claim that names the person is missing, or is no object id",
            TokenFault::Expired => "expired",
            TokenFault::NotYetValid => "not yet valid",
        })
    }
}

/// The header. A name that stands twice is an error, as is a value of another type.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    /// The algorithm, as the token has it.
    pub alg: String,
    /// Which key.
    pub kid: Option<String>,
    /// What kind of token.
    pub typ: Option<String>,
    /// Extensions that must be understood; none is.
    pub crit: Option<Value>,
}

/// A token, taken apart; nothing of it is believed yet.
#[derive(Debug)]
pub(super) struct Unverified<'a> {
    /// Its header.
    pub header: Header,
    /// Its claims.
    pub claims: Map<String, Value>,
    /// What is signed.
    pub message: &'a str,
    /// The signature, as it stands there.
    pub signature: &'a str,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart.
    pub fn read(token: &'a str) -> Result<Unverified<'a>, TokenFault> {
        if token.len() > LENGTH_LIMIT {
            return Err(TokenFault::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenFault::Malformed)?;
        if claims.contains('.') {
            return Err(TokenFault::Malformed);
        }
        let header: Header = part(header)?;
        // A critical extension that is not understood voids the token (RFC 7515, section 4.1.11).
        if header.crit.is_some() {
            return Err(TokenFault::Malformed);
        }
        Ok(Unverified { header, claims: part(claims)?, message, signature })
    }

    /// A claim that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    /// A claim that is a moment, in whole seconds; an error where it is there and something else.
    pub fn seconds(&self, name: &str) -> Result<Option<i64>, TokenFault> {
        match self.claims.get(name) {
            None => Ok(None),
            // A NumericDate may have a fraction; the conversion of what is too large ends at the largest.
            Some(value) => value
                .as_i64()
                .or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64))
                .map(Some)
                .ok_or(TokenFault::Malformed),
        }
    }

    /// Does the claim name this text, alone or among others?
    pub fn names(&self, claim: &str, wanted: &str) -> bool {
        match self.claims.get(claim) {
            Some(Value::String(one)) => one == wanted,
            Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(wanted)),
            _ => false,
        }
    }
}

fn part<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, TokenFault> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenFault::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenFault::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_is_taken_apart() {
        let text = token(r#"{"alg":"RS256","kid":"k","typ":"JWT","x":1}"#, r#"{"aud":["a","b"],"exp":7.9,"n":"x"}"#);
        let read = Unverified::read(&text).unwrap();
        assert_eq!(
            (read.header.alg.as_str(), read.header.kid.as_deref(), read.signature),
            ("RS256", Some("k"), "c2ln")
        );
        assert!(read.names("aud", "b") && !read.names("aud", "c") && read.names("n", "x") && !read.names("exp", "7"));
        assert_eq!((read.seconds("exp"), read.seconds("nbf")), (Ok(Some(7)), Ok(None)));
        assert_eq!(read.seconds("n"), Err(TokenFault::Malformed));
        assert!(text.starts_with(read.message));
    }

    #[test]
    fn what_is_no_token_is_said_to_be_none() {
        let good = r#"{"alg":"RS256"}"#;
        for text in [
            String::new(),
            "..".to_owned(),
            "a.b.c".to_owned(),
            token(good, "[]"),
            token(good, "null"),
            token("{}", "{}"),
            token(r#"{"alg":"RS256","alg":"RS256"}"#, "{}"),
            token(r#"{"alg":7}"#, "{}"),
            token(r#"{"alg":"RS256","kid":["k"]}"#, "{}"),
            token(r#"{"alg":"RS256","crit":["exp"]}"#, "{}"),
            token(r#"{"alg":"RS256","crit":[]}"#, "{}"),
            format!("{}.x", token(good, "{}")),
            token(good, "{}").replace("c2ln", ""),
            token(good, &format!(r#"{{"x":"{}"}}"#, "x".repeat(LENGTH_LIMIT))),
        ] {
            let is_read = Unverified::read(&text).is_ok();
            // An empty signature is no matter of form: it fits no key.
            assert_eq!(is_read, text == token(good, "{}").replace("c2ln", ""), "{text:.60}");
        }
    }
}
