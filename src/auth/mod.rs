//! From a bearer token to the person who acts.
//!
//! A token proves who somebody is, never what they may do: roles and the right to act at all are read afresh at every call,
//! so that a disabled account is out at once, however long its token still runs.

mod issuer;

use entity::Timestamp;

pub use issuer::{Claims, Issuer, KeyFault, TokenFault, new_key};

use crate::domain::permission::Actor;
use crate::service::{Fault, Services};

/// Judges tokens. Without an issuer it refuses every one.
#[derive(Debug, Default)]
pub struct Verifier {
    issuer: Option<Issuer>,
}

impl Verifier {
    /// Trusts the built-in issuer, or nobody.
    pub fn new(issuer: Option<Issuer>) -> Verifier {
        Verifier { issuer }
    }

    /// Who the token was issued to, if it is good at `now`.
    ///
    /// # Errors
    /// What is wrong with it: for the log, not for who sent it.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenFault> {
        self.issuer.as_ref().ok_or(TokenFault::Issuer)?.verify(token, now)
    }
}

/// Why nobody was let in.
#[derive(Debug)]
pub enum Denied {
    /// The token is not good.
    Token(TokenFault),
    /// It names a person who is unknown, disabled or deleted.
    Nobody,
    /// It could not be found out.
    Fault(Fault),
}

/// The person whom `claims` name, if they are still somebody and the token has not run out.
///
/// # Errors
/// [`Denied`], as it says.
pub async fn admit(services: &Services, claims: Claims, now: Timestamp) -> Result<Actor, Denied> {
    if claims.expires_at <= now {
        return Err(Denied::Token(TokenFault::Expired));
    }
    services.actor(claims.user).await.map_err(Denied::Fault)?.ok_or(Denied::Nobody)
}

/// The token of an `Authorization` header: what follows the scheme `Bearer`, in any case. None: another scheme, or no token.
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bearer_scheme_carries_a_token() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        for header in ["", "Bearer", "Bearer ", "Basic abc", "abc"] {
            assert_eq!(bearer(header), None, "{header:?}");
        }
    }

    #[test]
    fn without_an_issuer_no_token_is_good() {
        assert_eq!(Verifier::new(None).verify("a.b.c", Timestamp(0)), Err(TokenFault::Issuer));
    }
}
