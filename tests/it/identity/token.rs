//! What a token of an identity provider must be, and what it may not.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::{Seconds, UserId};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use riskgate::config::IssuerConfig;
use serde_json::{Value, json};

use super::{ME, met};
use crate::story;
use crate::support::provider::{AUDIENCE, Key, Provider, by_hand};
use crate::support::{Message, World};

const ALICE: &str = "Alice Moreau";
const NO: &str = "UNAUTHENTICATED";

/// The same claims with one that is different; null takes it out.
fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    match value {
        Value::Null => drop(claims.as_object_mut().expect("claims").remove(name)),
        value => claims[name] = value,
    }
    claims
}

story!(every_algorithm_of_the_list_is_taken, |world| {
    let alice = world.person("alice").id;
    let algorithms = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];
    let keys: Vec<_> = algorithms.iter().map(|algorithm| Key::new(&format!("{algorithm:?}"), *algorithm)).collect();
    let provider = Provider::start(&keys.iter().collect::<Vec<_>>()).await;
    world.trust(vec![provider.trusted()]).await;
    let claims = provider.claims(alice, world.now());
    for key in &keys {
        assert_eq!(met(world, key.sign(&claims)).await, ALICE, "{:?}", key.algorithm);
    }
    let several = with(&claims, "aud", json!(["x", AUDIENCE]));
    assert_eq!(met(world, keys[2].sign(&several)).await, ALICE, "one of several audiences");
    for (typ, expected) in [("at+jwt", ALICE), ("application/AT+JWT", ALICE), ("logout+jwt", NO), ("dpop+jwt", NO)] {
        let mut header = Header::new(keys[3].algorithm);
        (header.kid, header.typ) = (Some(keys[3].kid.clone()), Some(typ.to_owned()));
        assert_eq!(met(world, keys[3].sign_with(&header, &claims)).await, expected, "{typ}");
    }
    assert_eq!(world.person("bob").data(ME, Value::Null).await["viewer"]["user"]["displayName"], "Bob Fischer");
    // The same person by the other ways in.
    let person = world.bearer(keys[0].sign(&claims));
    let mut asking = person.connect().await.subscribe(ME, json!({})).await;
    assert_eq!(asking.event().await["viewer"]["user"]["displayName"], ALICE);
});

story!(a_token_that_is_not_exactly_right_is_refused, |world| {
    let alice = world.person("alice").id;
    let key = Key::new("k", Algorithm::ES256);
    let (provider, other) =
        (Provider::start(&[&key]).await, Provider::start(&[&Key::new("k", Algorithm::ES256)]).await);
    world.trust(vec![IssuerConfig { tenant: Some("t".to_owned()), ..provider.trusted() }, other.trusted()]).await;
    let claims = with(&provider.claims(alice, world.now()), "tid", json!("t"));
    let seconds = world.now().0 / 1_000_000;
    assert_eq!(met(world, key.sign(&claims)).await, ALICE);
    for (name, value) in [
        ("aud", json!("api://another-service")),
        ("aud", json!([])),
        ("aud", json!({ "x": AUDIENCE })),
        ("aud", json!(format!("{AUDIENCE}/"))),
        ("aud", Value::Null),
        ("iss", json!(format!("{}/", provider.url))),
        ("iss", json!(provider.url.to_uppercase())),
        ("iss", json!("https://login.example.com")),
        ("iss", json!(other.url)),
        ("iss", json!([provider.url])),
        ("iss", Value::Null),
        ("exp", json!(seconds)),
        ("exp", json!(seconds - 3_600)),
        ("exp", json!("9999999999")),
        ("exp", Value::Null),
        ("nbf", json!(seconds + 31)),
        ("nbf", json!("soon")),
        ("tid", json!("another")),
        ("tid", Value::Null),
        ("oid", json!("alice")),
        ("oid", json!(alice.to_string())),
        ("oid", json!(alice.0.simple().to_string())),
        ("oid", json!([alice.0])),
        ("oid", Value::Null),
        ("oid", json!(UserId::new().0)),
        ("typ", json!("ID")),
        ("idtyp", json!("app")),
        ("scp", Value::Null),
    ] {
        let changed = with(&claims, name, value.clone());
        assert_eq!(met(world, key.sign(&changed)).await, NO, "{name}: {value}");
    }
    for (name, value) in [("nbf", json!(seconds + 30)), ("nbf", Value::Null), ("exp", json!(seconds as f64 + 1.5))] {
        let changed = with(&claims, name, value.clone());
        assert_eq!(met(world, key.sign(&changed)).await, ALICE, "{name}: {value}");
    }

    let header = json!({ "alg": "ES256", "kid": "k" });
    let signed = key.sign(&claims);
    let signature = signed.rsplit('.').next().expect("a signature");
    assert_eq!(met(world, by_hand(&header, &claims, signature)).await, NO, "the signature is of another header");
    for alg in ["none", "None", "NONE", "", "HS256", "ES384", "RS256", "PS256", "EdDSA"] {
        for signature in ["", signature] {
            let header = json!({ "alg": alg, "kid": "k", "typ": "JWT" });
            assert_eq!(met(world, by_hand(&header, &claims, signature)).await, NO, "{alg}");
        }
    }
    for kid in [Value::Null, json!(""), json!("K"), json!("another"), json!(7)] {
        let header = json!({ "alg": "ES256", "kid": kid });
        assert_eq!(met(world, by_hand(&header, &claims, signature)).await, NO, "{kid}");
    }
    let mut critical = Header::new(key.algorithm);
    (critical.kid, critical.crit) = (Some("k".to_owned()), Some(vec!["exp".to_owned()]));
    assert_eq!(met(world, key.sign_with(&critical, &claims)).await, NO, "an extension that nobody understands");
});

story!(a_public_key_is_no_secret, |world| {
    let alice = world.person("alice").id;
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        let key = Key::new("k", algorithm);
        let provider = Provider::start(&[&key]).await;
        world.trust(vec![provider.trusted()]).await;
        let claims = provider.claims(alice, world.now());
        assert_eq!(met(world, key.sign(&claims)).await, ALICE);
        let public = key.public();
        let mut secrets = vec![public.to_string().into_bytes()];
        for part in ["n", "x", "y"].iter().filter_map(|name| public[name].as_str()) {
            secrets.push(part.as_bytes().to_vec());
            secrets.push(URL_SAFE_NO_PAD.decode(part).expect("base64url"));
        }
        for secret in secrets {
            for hmac in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                let mut header = Header::new(hmac);
                header.kid = Some("k".to_owned());
                let key = EncodingKey::from_secret(&secret);
                let token = jsonwebtoken::encode(&header, &claims, &key).expect("it signs");
                assert_eq!(met(world, token).await, NO, "{algorithm:?} as {hmac:?}");
            }
        }
    }
});

story!(no_bit_of_a_token_can_be_changed, |world| {
    let alice = world.person("alice").id;
    let key = Key::new("k", Algorithm::EdDSA);
    let provider = Provider::start(&[&key]).await;
    world.trust(vec![provider.trusted()]).await;
    let token = key.sign(&provider.claims(alice, world.now()));
    assert_eq!(met(world, token.clone()).await, ALICE);
    let verifier = provider.verifier();
    for at in 0..token.len() {
        for bit in 0..7 {
            let mut bytes = token.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert!(verifier.verify(&changed, world.now()).await.is_err(), "bit {bit} of byte {at}");
        }
        assert!(verifier.verify(&token[..at], world.now()).await.is_err(), "cut at {at}");
    }
    assert!(verifier.verify(&token, world.now()).await.is_ok());
});

/// The shapes of tokens that are met outside.
async fn meets(world: &World, key: &Key, claims: Value) -> String {
    met(world, key.sign(&claims)).await
}

story!(entra_and_keycloak_are_understood_side_by_side, |world| {
    let (alice, bob) = (world.person("alice").id, world.person("bob").id);
    let tenant = "7f5a2c1e-0000-4000-8000-000000000001";
    let key = Key::new("k", Algorithm::RS256);
    // A v1.0 issuer ends with a slash; its discovery stands below it all the same.
    let v1 = Provider::start_at(&format!("/{tenant}/"), &[&key]).await;
    let v2 = Provider::start_at(&format!("/{tenant}/v2.0"), &[&key]).await;
    let keycloak = Provider::start_at("/realms/company", &[&key]).await;
    let entra = |provider: &Provider| IssuerConfig { tenant: Some(tenant.to_owned()), ..provider.trusted() };
    world
        .trust(vec![
            entra(&v1),
            entra(&v2),
            IssuerConfig {
                user_claim: "sub".to_owned(),
                app_claim: Some("client_id".to_owned()),
                ..keycloak.trusted()
            },
        ])
        .await;
    let seconds = world.now().0 / 1_000_000;
    let times = |mut claims: Value| {
        (claims["iat"], claims["nbf"], claims["exp"]) = (json!(seconds), json!(seconds), json!(seconds + 4_000));
        claims
    };
    let v1_claims = times(json!({
        "aud": AUDIENCE, "iss": v1.url, "acr": "1", "amr": ["pwd", "mfa"], "appid": "f2f0a7d4", "appidacr": "0",
        "idp": "https://guest.example", "ipaddr": "192.0.2.1", "name": "Alice", "oid": alice.0, "scp": "user_impersonation",
        "sub": "pairwise", "tid": tenant, "unique_name": "bob@example.com", "upn": "bob@example.com", "ver": "1.0",
        "wids": ["62e90394-69f5-4237-9190-012177145e10"], "roles": ["AccessRequests.ReadWrite.All", "Risk.Write.All"],
    }));
    let v2_claims = times(json!({
        "aud": "another", "iss": v2.url, "azp": "f2f0a7d4", "azpacr": "0", "oid": alice.0, "scp": "user_impersonation",
        "preferred_username": "bob@example.com", "sub": "pairwise", "tid": tenant, "ver": "2.0",
    }));
    let keycloak_claims = times(json!({
        "aud": [AUDIENCE, "account"], "iss": keycloak.url, "azp": "portal", "typ": "Bearer", "sub": bob.0, "scope": "openid",
        "preferred_username": "alice", "realm_access": { "roles": ["offline_access"] },
    }));
    assert_eq!(meets(world, &key, v1_claims.clone()).await, ALICE, "by `oid`, whatever the names say");
    assert_eq!(meets(world, &key, v2_claims.clone()).await, ALICE);
    assert_eq!(meets(world, &key, keycloak_claims.clone()).await, "Bob Fischer", "without `scp` a person all the same");
    // Roles and `wids` of a person's token prove nothing.
    let alice = world.bearer(key.sign(&v1_claims));
    assert_eq!(alice.ask("{ auditEvents(first: 1) { nodes { id } } }", Value::Null).await.code(), "FORBIDDEN");
    let risk = "mutation($u: ID!) { reportUserRisk(input: { userId: $u, level: HIGH }) { userErrors { code } } }";
    assert_eq!(alice.ask(risk, json!({ "u": bob.to_string() })).await.code(), "FORBIDDEN");
    // A token of one issuer is nothing to another, even with the same keys.
    assert_eq!(meets(world, &key, with(&v2_claims, "tid", json!("another"))).await, NO);
    assert_eq!(meets(world, &key, with(&keycloak_claims, "iss", json!(v2.url))).await, NO);
    // A key that is of another issuer verifies nothing here.
    let mut bound = key.public();
    bound["issuer"] = json!(format!("http://{}/{{tenantid}}/v2.0", v2.url.split('/').nth(2).expect("a host")));
    v2.publish_raw(vec![bound.clone()]);
    bound["issuer"] = json!("https://login.example.com/{tenantid}/v2.0");
    v1.publish_raw(vec![bound]);
    world.restart().await;
    assert_eq!(meets(world, &key, v2_claims).await, ALICE);
    assert_eq!(meets(world, &key, v1_claims).await, NO);
});

story!(a_stream_ends_with_the_token_of_its_provider, |world| {
    let sam = world.person("sam").id;
    let key = Key::new("k", Algorithm::EdDSA);
    let provider = Provider::start(&[&key]).await;
    world.trust(vec![provider.trusted()]).await;
    let person = world.bearer(key.sign(&provider.claims(sam, world.now())));
    let pending = "subscription { pendingRiskApprovalCreated { stage { id } } }";
    let mut listening = person.connect().await.subscribe(pending, json!({})).await;
    world.clock.advance(Seconds(3_599));
    listening.is_silent().await;
    world.clock.advance(Seconds(1));
    assert_eq!(listening.error().await, NO);
    assert_eq!(listening.socket.receive().await, Message::Closed(4403, "Forbidden".to_owned()));
    assert_eq!(person.ask(ME, Value::Null).await.status, 401);
});
