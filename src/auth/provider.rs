//! An identity provider: its keys, read by discovery and kept fresh, and what its tokens must say.
//!
//! What must stay true: a token is only ever judged by a key set that was read whole; keys that are there are used until better ones
//! are; at most one reading is under way, whoever waits for it; and strangers cannot make us ask the provider more often than
//! [`UNKNOWN_PAUSE`] allows. Times are the caller's, so nothing here runs by itself: what is due is begun by whoever comes next.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entity::{Seconds, Timestamp, UserId, canonical_uuid};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tracing::{info, warn};

use super::document::{Document, Documents, ProviderFault};
use super::keys::{KeySet, algorithm};
use super::token::Unverified;
use super::{Claims, Denied, TokenFault};
use crate::domain::address::is_safe;
use crate::domain::permission::{AppRole, Application, ApplicationId, Principal};

/// Keys this old are read again.
const KEYS_AGE: Seconds = Seconds::hours(24);

/// Keys that could not be read again for so long are given up: by then every token that they signed has ended.
const KEYS_LIFE: Seconds = Seconds::hours(48);

/// Between two readings for the sake of a key that nobody knows.
const UNKNOWN_PAUSE: Seconds = Seconds(30);

/// Between two readings where the last one failed.
const RETRY_PAUSE: Seconds = Seconds(10);

/// How far the provider's clock may be ahead of ours before a fresh token is refused. An expired one gets no such grace: a stream ends
/// when its token does.
const SKEW: Seconds = Seconds(30);

/// How long whoever brings a token waits for keys.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a reading may take in all.
const READING_LIMIT: Duration = Duration::from_secs(15);

/// The longest client id that is taken, in bytes.
const CLIENT_ID_MAX: usize = 256;

/// What is known of a provider beforehand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSettings {
    /// What its tokens have as `iss`.
    pub url: String,
    /// Any of which a token must be for.
    pub audiences: Vec<String>,
    /// The only `tid`, if one is given.
    pub tenant: Option<String>,
    /// Where the key set is, if not where discovery says.
    pub jwks_url: Option<String>,
    /// The claim with the person's object id.
    pub user_claim: String,
    /// The claim that marks app-only tokens.
    pub app_claim: Option<String>,
}

/// What a provider says of itself.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Default)]
struct State {
    keys: Option<(Arc<KeySet>, Timestamp)>,
    /// When a reading was begun.
    tried_at: Option<Timestamp>,
    /// When one was begun for the sake of a key that nobody knows.
    forced_at: Option<Timestamp>,
    /// Why the last reading failed.
    fault: Option<ProviderFault>,
    /// The reading under way: closed when it has ended.
    flight: Option<watch::Receiver<()>>,
}

impl State {
    fn keys(&self, now: Timestamp) -> Option<&Arc<KeySet>> {
        self.keys.as_ref().filter(|(_, read_at)| now < read_at.plus(KEYS_LIFE)).map(|(keys, _)| keys)
    }

    fn flight(&self) -> Option<watch::Receiver<()>> {
        self.flight.clone().filter(|flight| flight.has_changed().is_ok())
    }

    /// Is it time to read, whoever asks?
    fn is_due(&self, now: Timestamp) -> bool {
        let is_old = self.keys.as_ref().is_none_or(|(_, read_at)| now >= read_at.plus(KEYS_AGE));
        is_old && has_passed(self.tried_at, RETRY_PAUSE, now)
    }
}

fn has_passed(since: Option<Timestamp>, pause: Seconds, now: Timestamp) -> bool {
    // A clock that was put back must not make the pause longer.
    since.is_none_or(|since| now < since || now >= since.plus(pause))
}

/// What is wrong with a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ailment {
    /// Which one.
    pub issuer: String,
    /// Why, in words that anybody may read.
    pub why: String,
    /// Are its tokens judged all the same, by keys read before?
    pub has_keys: bool,
}

/// One identity provider.
pub struct Provider {
    settings: ProviderSettings,
    name: Arc<str>,
    documents: Arc<dyn Documents>,
    state: Mutex<State>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Provider {
    /// A provider whose documents are read from `documents`; none is read yet.
    ///
    /// # Errors
    /// One line that says which address may not be asked.
    pub fn new(settings: ProviderSettings, documents: Arc<dyn Documents>) -> Result<Arc<Provider>, String> {
        for (key, url) in [("url", Some(&settings.url)), ("jwks_url", settings.jwks_url.as_ref())] {
            if let Some(url) = url.filter(|url| !is_safe(url)) {
                return Err(format!("issuers.{key}: {url:?} must be an https URL, or http to a loopback address"));
            }
        }
        let name = settings.url.as_str().into();
        Ok(Arc::new(Provider { settings, name, documents, state: Mutex::default() }))
    }

    /// What its tokens have as `iss`.
    pub fn issuer(&self) -> &str {
        &self.settings.url
    }

    /// Reads the key set now and keeps nothing: how many keys can be used, and a line for each that cannot.
    ///
    /// # Errors
    /// Why there is no key set.
    pub async fn examine(&self) -> Result<(usize, Vec<String>), ProviderFault> {
        self.read().await.map(|keys| (keys.len(), keys.skipped))
    }

    /// Begins to read the keys where that is due, and does not wait for them.
    pub fn refresh(self: &Arc<Self>, now: Timestamp) {
        let mut state = self.state();
        if state.is_due(now) && state.flight().is_none() {
            self.take_off(&mut state, now);
        }
    }

    /// What is wrong with it now, if something is.
    pub fn ailment(self: &Arc<Self>, now: Timestamp) -> Option<Ailment> {
        self.refresh(now);
        let state = self.state();
        let has_keys = state.keys(now).is_some();
        let why = match &state.fault {
            Some(fault) => fault.brief(),
            None if has_keys => return None,
            None => "its key set has not been read yet".to_owned(),
        };
        Some(Ailment { issuer: self.settings.url.clone(), why, has_keys })
    }

    /// Who the token was issued to, if it is of this provider and good at `now`.
    pub(super) async fn verify(self: &Arc<Self>, token: &Unverified<'_>, now: Timestamp) -> Result<Claims, Denied> {
        let algorithm = algorithm(&token.header.alg).ok_or(TokenFault::Algorithm)?;
        if !is_access_type(token.header.typ.as_deref()) {
            return Err(TokenFault::NotForAccess.into());
        }
        let id = token.header.kid.as_deref().ok_or(TokenFault::UnknownKey)?;
        let keys = self.keys_for(id, now).await?;
        if !keys.has(id) {
            return Err(TokenFault::UnknownKey.into());
        }
        let key = keys.find(id, algorithm).ok_or(TokenFault::Algorithm)?;
        if !key.verifies(algorithm, token.message, token.signature) {
            return Err(TokenFault::Signature.into());
        }
        let tenant = token.text("tid");
        if token.text("iss") != Some(self.issuer()) || !key.is_of(self.issuer(), tenant) {
            return Err(TokenFault::Issuer.into());
        }
        if self.settings.tenant.is_some() && self.settings.tenant.as_deref() != tenant {
            return Err(TokenFault::Tenant.into());
        }
        Ok(self.claims(token, now)?)
    }

    fn claims(&self, token: &Unverified<'_>, now: Timestamp) -> Result<Claims, TokenFault> {
        if !self.settings.audiences.iter().any(|audience| token.names("aud", audience)) {
            return Err(TokenFault::Audience);
        }
        // Keycloak says in a claim what others say in the header.
        if token.text("typ") == Some("ID") {
            return Err(TokenFault::NotForAccess);
        }
        let moment = |seconds: i64| Timestamp(seconds.saturating_mul(1_000_000));
        let expires_at = token.seconds("exp")?.map(moment).ok_or(TokenFault::Malformed)?;
        if expires_at <= now {
            return Err(TokenFault::Expired);
        }
        if token.seconds("nbf")?.map(moment).is_some_and(|begin| begin > now.plus(SKEW)) {
            return Err(TokenFault::NotYetValid);
        }
        let principal = match self.is_app_only(token) {
            true => Principal::Application(Arc::new(self.application(token)?)),
            false => {
                let id = token.text(&self.settings.user_claim).and_then(canonical_uuid);
                Principal::Person(id.map(UserId).ok_or(TokenFault::Subject)?)
            }
        };
        Ok(Claims { principal, expires_at, issuer: Arc::clone(&self.name) })
    }

    /// Does the token speak for an application, with no person behind it? Entra leaves `scp` out of such tokens; elsewhere that proves
    /// nothing.
    fn is_app_only(&self, token: &Unverified<'_>) -> bool {
        if let Some(kind) = token.text("idtyp") {
            return kind == "app";
        }
        let is_marked = |claim: &String| {
            token.claims.get(claim).is_some_and(|mark| !matches!(mark, Value::Null | Value::Bool(false)))
        };
        let is_of_entra = token.text("tid").is_some()
            && (self.settings.tenant.is_some() || matches!(token.text("ver"), Some("1.0" | "2.0")));
        self.settings.app_claim.as_ref().is_some_and(is_marked) || (is_of_entra && !token.claims.contains_key("scp"))
    }

    fn application(&self, token: &Unverified<'_>) -> Result<Application, TokenFault> {
        let client_id = ["azp", "appid", "client_id", "sub"].iter().find_map(|claim| token.text(claim));
        let client_id = client_id.ok_or(TokenFault::Subject)?;
        if client_id.is_empty() || client_id.len() > CLIENT_ID_MAX || client_id.contains(char::is_control) {
            return Err(TokenFault::Subject);
        }
        let id = ApplicationId { issuer: self.settings.url.clone(), client_id: client_id.to_owned() };
        let roles = AppRole::ALL.iter().copied().filter(|role| token.names("roles", role.as_str())).collect();
        Ok(Application { id, roles })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys to judge a token by that names this one.
    async fn keys_for(self: &Arc<Self>, id: &str, now: Timestamp) -> Result<Arc<KeySet>, Denied> {
        let flight = {
            let mut state = self.state();
            let under_way = state.flight();
            match state.keys(now).cloned() {
                Some(keys) if keys.has(id) => {
                    if under_way.is_none() && state.is_due(now) {
                        self.take_off(&mut state, now);
                    }
                    return Ok(keys);
                }
                Some(_) if under_way.is_none() && has_passed(state.forced_at, UNKNOWN_PAUSE, now) => {
                    state.forced_at = Some(now);
                    Some(self.take_off(&mut state, now))
                }
                None if under_way.is_none() && state.is_due(now) => Some(self.take_off(&mut state, now)),
                _ => under_way,
            }
        };
        if let Some(mut flight) = flight {
            // Ends when the reading does, well or not.
            let _ = tokio::time::timeout(PATIENCE, async { while flight.changed().await.is_ok() {} }).await;
        }
        self.state().keys(now).cloned().ok_or(Denied::Unjudged)
    }

    /// Begins a reading, in a task of its own: whoever wanted it may be gone before it ends.
    fn take_off(self: &Arc<Self>, state: &mut State, now: Timestamp) -> watch::Receiver<()> {
        let (done, flight) = watch::channel(());
        state.tried_at = Some(now);
        state.flight = Some(flight.clone());
        let provider = Arc::clone(self);
        tokio::spawn(async move {
            let read = provider.read().await;
            provider.land(read, now);
            drop(done);
        });
        flight
    }

    fn land(&self, read: Result<KeySet, ProviderFault>, begun_at: Timestamp) {
        let issuer = self.issuer();
        let mut state = self.state();
        match read {
            Ok(keys) => {
                info!(issuer, keys = keys.len(), "the keys of an identity provider were read");
                for skipped in &keys.skipped {
                    warn!(issuer, skipped, "a key cannot be used");
                }
                state.keys = Some((Arc::new(keys), begun_at));
                state.fault = None;
            }
            Err(fault) => {
                warn!(issuer, %fault, "the keys of an identity provider cannot be read");
                state.fault = Some(fault);
            }
        }
    }

    async fn read(&self) -> Result<KeySet, ProviderFault> {
        let slow = || ProviderFault::slow(Document::KeySet, self.issuer());
        tokio::time::timeout(READING_LIMIT, self.read_unhurried()).await.unwrap_or_else(|_| Err(slow()))
    }

    async fn read_unhurried(&self) -> Result<KeySet, ProviderFault> {
        let url = match &self.settings.jwks_url {
            Some(url) => url.clone(),
            None => self.discover().await?,
        };
        let wrong = |what| ProviderFault::content(Document::KeySet, &url, "holds no key that can be used", what);
        let bytes = self.documents.get(&url).await.map_err(|why| ProviderFault::fetch(Document::KeySet, &url, why))?;
        KeySet::read(&bytes).map_err(wrong)
    }

    /// Where the key set is.
    async fn discover(&self) -> Result<String, ProviderFault> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer().trim_end_matches('/'));
        let bytes =
            self.documents.get(&url).await.map_err(|why| ProviderFault::fetch(Document::Discovery, &url, why))?;
        let wrong = |brief, what| Err(ProviderFault::content(Document::Discovery, &url, brief, what));
        let said: Discovery = match serde_json::from_slice(&bytes) {
            Ok(said) => said,
            Err(fault) => return wrong("is none", fault.to_string()),
        };
        if said.issuer != self.issuer() {
            return wrong("is of another issuer", format!("it says {:?}", shortened(&said.issuer)));
        }
        let is_downgrade = self.issuer().starts_with("https:") && !said.jwks_uri.starts_with("https:");
        if is_downgrade || !is_safe(&said.jwks_uri) {
            let what = format!("it says {:?}", shortened(&said.jwks_uri));
            return wrong("names a key set where none may be read", what);
        }
        Ok(said.jwks_uri)
    }
}

/// What somebody else wrote, for one line of a log.
fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Is a token with this `typ` one for access? Where the header says nothing, nothing else is known; RFC 9068 says `at+jwt`.
fn is_access_type(typ: Option<&str>) -> bool {
    let Some(typ) = typ else { return true };
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "jwt" | "at+jwt")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use jsonwebtoken::jwk::Jwk;
    use jsonwebtoken::{Algorithm, EncodingKey, Header};
    use serde_json::json;
    use tokio::sync::Semaphore;
    use tokio::time::Instant;

    use super::super::document::DocumentFuture;
    use super::*;

    const URL: &str = "https://login.example.com";
    const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

    /// A provider that answers as often as it is let.
    struct Gate {
        key: EncodingKey,
        open: Semaphore,
        asked: AtomicUsize,
    }

    impl Documents for Gate {
        fn get<'a>(&'a self, _: &'a str) -> DocumentFuture<'a> {
            Box::pin(async move {
                assert_ne!(self.asked.fetch_add(1, Ordering::SeqCst), 99, "the hundredth question is one too many");
                self.open.acquire().await.unwrap().forget();
                let mut key =
                    serde_json::to_value(Jwk::from_encoding_key(&self.key, Algorithm::EdDSA).unwrap()).unwrap();
                key["kid"] = json!("good");
                Ok(json!({ "keys": [key] }).to_string().into_bytes())
            })
        }
    }

    fn provider() -> (Arc<Provider>, Arc<Gate>) {
        let key = EncodingKey::from_ed_der(&STANDARD.decode(super::super::new_key().0).unwrap());
        let gate = Arc::new(Gate { key, open: Semaphore::new(0), asked: AtomicUsize::new(0) });
        let settings = ProviderSettings {
            url: URL.to_owned(),
            audiences: vec!["riskgate".to_owned()],
            tenant: None,
            jwks_url: Some("https://login.example.com/keys".to_owned()),
            user_claim: "oid".to_owned(),
            app_claim: None,
        };
        (Provider::new(settings, Arc::clone(&gate) as Arc<dyn Documents>).unwrap(), gate)
    }

    impl Gate {
        fn let_one(&self) {
            self.open.add_permits(1);
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }

        fn token(&self, kid: &str) -> String {
            let mut header = Header::new(Algorithm::EdDSA);
            header.kid = Some(kid.to_owned());
            let claims = json!({"iss": URL, "aud": "riskgate", "oid": UserId::new().0, "exp": i64::MAX});
            jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
        }
    }

    async fn judge(provider: &Arc<Provider>, token: String, now: Timestamp) -> Result<Claims, Denied> {
        provider.verify(&Unverified::read(&token).unwrap(), now).await
    }

    fn is_unknown(judged: &Result<Claims, Denied>) -> bool {
        matches!(judged, Err(Denied::Token(TokenFault::UnknownKey)))
    }

    fn is_unjudged(judged: &Result<Claims, Denied>) -> bool {
        matches!(judged, Err(Denied::Unjudged))
    }

    #[tokio::test(start_paused = true)]
    async fn many_wait_for_one_reading_and_it_outlives_who_began_it() {
        let (provider, gate) = provider();
        let ask = || {
            let (provider, token) = (Arc::clone(&provider), gate.token("good"));
            tokio::spawn(async move { judge(&provider, token, NOW).await })
        };
        let first = ask();
        while gate.asked() == 0 {
            tokio::task::yield_now().await;
        }
        first.abort();
        let others: Vec<_> = (0..50).map(|_| ask()).collect();
        tokio::task::yield_now().await;
        gate.let_one();
        for other in others {
            assert!(other.await.unwrap().is_ok());
        }
        assert_eq!(gate.asked(), 1);
        assert_eq!(provider.ailment(NOW), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_provider_keeps_nobody_waiting_whose_key_is_known() {
        let (provider, gate) = provider();
        gate.let_one();
        assert!(judge(&provider, gate.token("good"), NOW).await.is_ok());
        let tomorrow = NOW.plus(KEYS_AGE);
        let began = Instant::now();
        for _ in 0..10 {
            assert!(judge(&provider, gate.token("good"), tomorrow).await.is_ok());
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert!(is_unknown(&judge(&provider, gate.token("strange"), tomorrow).await));
        assert_eq!((began.elapsed(), gate.asked()), (PATIENCE, 2), "whose key is not known waits for that reading");
        tokio::time::sleep(READING_LIMIT).await;
        let ill = provider.ailment(tomorrow).unwrap();
        assert_eq!((ill.why.as_str(), ill.has_keys), ("its key set does not arrive in time", true));
    }

    #[tokio::test(start_paused = true)]
    async fn without_keys_nobody_is_judged_and_the_provider_is_asked_again_after_a_pause() {
        let (provider, gate) = provider();
        assert!(is_unjudged(&judge(&provider, gate.token("good"), NOW).await));
        assert!(is_unjudged(&judge(&provider, gate.token("strange"), NOW.plus(RETRY_PAUSE)).await));
        assert_eq!(gate.asked(), 1, "the first reading is still under way");
        let ill = provider.ailment(NOW).unwrap();
        assert_eq!((ill.why.as_str(), ill.has_keys), ("its key set has not been read yet", false));
        tokio::time::sleep(READING_LIMIT).await;
        let soon = NOW.plus(Seconds(RETRY_PAUSE.0 - 1));
        assert!(is_unjudged(&judge(&provider, gate.token("good"), soon).await));
        assert_eq!(gate.asked(), 1);
        gate.let_one();
        assert!(judge(&provider, gate.token("good"), NOW.plus(RETRY_PAUSE)).await.is_ok());
        assert_eq!(gate.asked(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_have_one_reading_in_a_while_and_old_keys_an_end() {
        let (provider, gate) = provider();
        gate.open.add_permits(10);
        assert!(judge(&provider, gate.token("good"), NOW).await.is_ok());
        for (later, asked) in [(0, 2), (0, 2), (29, 2), (30, 3), (59, 3), (60, 4)] {
            assert!(is_unknown(&judge(&provider, gate.token("strange"), NOW.plus(Seconds(later))).await));
            assert_eq!(gate.asked(), asked, "after {later} s");
        }
        gate.open.forget_permits(10);
        let read_at = NOW.plus(Seconds(60));
        let last = Timestamp(read_at.plus(KEYS_LIFE).0 - 1);
        assert!(judge(&provider, gate.token("good"), last).await.is_ok());
        assert!(is_unjudged(&judge(&provider, gate.token("good"), read_at.plus(KEYS_LIFE)).await));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_that_panics_is_not_waited_for_for_ever() {
        let (provider, gate) = provider();
        gate.asked.store(99, Ordering::SeqCst);
        assert!(is_unjudged(&judge(&provider, gate.token("good"), NOW).await));
        gate.let_one();
        assert!(judge(&provider, gate.token("good"), NOW.plus(RETRY_PAUSE)).await.is_ok());
    }

    #[test]
    fn a_provider_is_asked_only_where_nobody_stands_between() {
        let (good, gate) = provider();
        for (url, jwks_url) in [("http://login.example.com", None), (URL, Some("http://login.example.com/keys"))] {
            let jwks_url = jwks_url.map(str::to_owned);
            let settings = ProviderSettings { url: url.to_owned(), jwks_url, ..good.settings.clone() };
            let refused = Provider::new(settings, Arc::clone(&gate) as Arc<dyn Documents>).unwrap_err();
            assert!(refused.starts_with("issuers."), "{refused}");
        }
    }
}
