//! From a bearer token to whoever acts.
//!
//! A token proves who somebody is, never what they may do: roles and the right to act at all are read afresh at every call,
//! so that a disabled account is out at once, however long its token still runs. Only an application, of which the directory knows
//! nothing, brings its rights along.

mod document;
mod issuer;
mod keys;
mod provider;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use entity::{Seconds, Timestamp};
use tracing::{debug, warn};

pub use document::{DocumentFuture, Documents, FetchFault, ProviderFault};
pub use issuer::{Issuer, KeyFault, new_key};
pub use provider::{Ailment, Provider, ProviderSettings};
pub use token::TokenFault;

pub use crate::domain::address::is_safe;
use crate::domain::permission::Actor;
pub use crate::domain::permission::Principal;
use crate::service::{Fault, Services};
use token::Unverified;

/// The log hears of the same stranger once in this time.
const STRANGER_PAUSE: Seconds = Seconds(60);

/// Strangers that are remembered.
const STRANGERS_MAX: usize = 1_000;

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who it was issued to.
    pub principal: Principal,
    /// From then on it is worth nothing.
    pub expires_at: Timestamp,
    /// Who issued it.
    pub issuer: Arc<str>,
}

/// Why nobody was let in.
#[derive(Debug)]
pub enum Denied {
    /// The token is not good.
    Token(TokenFault),
    /// It cannot be judged: the keys of its issuer could not be read, of which the log has been told.
    Unjudged,
    /// It names a person who is unknown, disabled or deleted, or an application without an app role.
    Nobody,
    /// It could not be found out.
    Fault(Fault),
}

impl From<TokenFault> for Denied {
    fn from(fault: TokenFault) -> Denied {
        Denied::Token(fault)
    }
}

/// Judges tokens. Without an issuer it refuses every one.
#[derive(Debug, Default)]
pub struct Verifier {
    builtin: Option<Issuer>,
    providers: Vec<Arc<Provider>>,
    strangers: Mutex<HashMap<Principal, Timestamp>>,
}

impl Verifier {
    /// Trusts the built-in issuer, and these providers.
    pub fn new(builtin: Option<Issuer>, providers: Vec<Arc<Provider>>) -> Verifier {
        Verifier { builtin, providers, strangers: Mutex::default() }
    }

    /// Who the token was issued to, if it is good at `now`.
    ///
    /// # Errors
    /// What is wrong with it, for the log and not for who sent it; or that it cannot be judged.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, Denied> {
        let read = Unverified::read(token)?;
        let issuer = read.text("iss").ok_or(TokenFault::Malformed)?;
        if let Some(builtin) = self.builtin.as_ref().filter(|builtin| builtin.name() == issuer) {
            return Ok(builtin.verify(token, now)?);
        }
        match self.providers.iter().find(|provider| provider.issuer() == issuer) {
            Some(provider) => provider.verify(&read, now).await,
            None => Err(TokenFault::Issuer.into()),
        }
    }

    /// Whoever a token names, if it is good and they are somebody.
    ///
    /// # Errors
    /// [`Denied`], as it says; the log has been told.
    pub async fn enter(&self, services: &Services, token: &str, now: Timestamp) -> Result<(Actor, Claims), Denied> {
        let claims = self.verify(token, now).await.inspect_err(|denied| {
            if let Denied::Token(fault) = denied {
                debug!(%fault, "a token was refused");
            }
        })?;
        let actor = self.admit(services, &claims, now).await?;
        Ok((actor, claims))
    }

    /// Whoever `claims` name, if they are still somebody and the token has not run out.
    ///
    /// # Errors
    /// [`Denied`], as it says; the log has been told.
    pub async fn admit(&self, services: &Services, claims: &Claims, now: Timestamp) -> Result<Actor, Denied> {
        if claims.expires_at <= now {
            return Err(TokenFault::Expired.into());
        }
        let found = match &claims.principal {
            Principal::Application(application) if application.roles.is_empty() => Ok(None),
            principal => services.actor(principal).await,
        };
        let admitted = match found {
            Ok(Some(actor)) => return Ok(actor),
            Ok(None) => self.tell_of_stranger(services, claims, now).await.map(|()| Denied::Nobody),
            Err(fault) => Err(fault),
        };
        Err(admitted.unwrap_or_else(|fault| {
            warn!(?fault, "who somebody is could not be found out");
            Denied::Fault(fault)
        }))
    }

    /// The operator must be able to tell somebody who was never imported from somebody who was locked out; the caller must not.
    async fn tell_of_stranger(&self, services: &Services, claims: &Claims, now: Timestamp) -> Result<(), Fault> {
        if !self.is_news(&claims.principal, now) {
            return Ok(());
        }
        let issuer = &*claims.issuer;
        match &claims.principal {
            Principal::Application(application) => {
                let client_id = application.id.client_id.as_str();
                warn!(
                    issuer,
                    client_id, "the token of an application is good, but has none of the app roles that count"
                );
            }
            Principal::Person(user) => {
                let why = services.why_nobody(*user).await?;
                let object_id = user.0;
                warn!(issuer, %object_id, why, "a token is good, but the person whom it names is not let in");
            }
        }
        Ok(())
    }

    fn is_news(&self, principal: &Principal, now: Timestamp) -> bool {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if strangers.len() >= STRANGERS_MAX {
            strangers.retain(|_, told_at| now < told_at.plus(STRANGER_PAUSE));
        }
        if strangers.get(principal).is_some_and(|told_at| now < told_at.plus(STRANGER_PAUSE)) {
            return false;
        }
        // So many at once are told of without being remembered.
        if strangers.len() < STRANGERS_MAX {
            strangers.insert(principal.clone(), now);
        }
        true
    }

    /// Begins to read the keys of every provider, and does not wait for them.
    pub fn begin(&self, now: Timestamp) {
        self.providers.iter().for_each(|provider| provider.refresh(now));
    }

    /// What is wrong with the providers now.
    pub fn ailments(&self, now: Timestamp) -> Vec<Ailment> {
        self.providers.iter().filter_map(|provider| provider.ailment(now)).collect()
    }

    /// Is there an issuer whose tokens are judged, or none at all? Not so while no provider's keys could be read.
    pub fn can_judge(&self, ailments: &[Ailment]) -> bool {
        let blind = ailments.iter().filter(|ailment| !ailment.has_keys).count();
        self.builtin.is_some() || self.providers.is_empty() || blind < self.providers.len()
    }
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

    #[tokio::test]
    async fn without_an_issuer_no_token_is_good() {
        let issuer = Issuer::new(&new_key(), entity::LogId::new()).unwrap();
        let token = issuer.issue(entity::UserId::new(), "ada@example.com", Timestamp(0), Seconds(60));
        let denied = Verifier::new(None, Vec::new()).verify(&token, Timestamp(0)).await;
        assert!(matches!(denied, Err(Denied::Token(TokenFault::Issuer))), "{denied:?}");
        assert!(Verifier::new(Some(issuer), Vec::new()).verify(&token, Timestamp(0)).await.is_ok());
    }

    #[test]
    fn the_log_hears_of_a_stranger_once_a_minute() {
        let verifier = Verifier::default();
        let somebody = Principal::Person(entity::UserId::new());
        assert!(verifier.is_news(&somebody, Timestamp(0)));
        assert!(!verifier.is_news(&somebody, Timestamp(59_999_999)));
        assert!(verifier.is_news(&Principal::Person(entity::UserId::new()), Timestamp(1)));
        assert!(verifier.is_news(&somebody, Timestamp(60_000_000)));
        for _ in 0..2 * STRANGERS_MAX {
            assert!(verifier.is_news(&Principal::Person(entity::UserId::new()), Timestamp(60_000_001)));
        }
        assert!(verifier.strangers.lock().unwrap().len() <= STRANGERS_MAX);
    }
}
