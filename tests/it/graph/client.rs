//! The client: tokens, pages, and what faults mean.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use entity::Seconds;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use riskgate::clock::Clock;
use riskgate::outbound::graph::{Credential, GraphFault};
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::rand_core::OsRng;
use rsa::traits::PublicKeyParts;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::support::BEGIN;
use crate::support::graph::{Call, FakeGraph, Fault, SECRET};

fn secret() -> Credential {
    Credential::Secret(SECRET.to_owned())
}

async fn with_people(count: u128) -> (Clock, FakeGraph) {
    let clock = Clock::manual(BEGIN);
    let fake = FakeGraph::start(&clock).await;
    fake.change(|tenant| {
        (0..count).for_each(|number| tenant.hire(Uuid::from_u128(number + 1), &format!("P {number}")))
    });
    (clock, fake)
}

#[tokio::test]
async fn a_token_serves_until_shortly_before_its_end() {
    let (clock, fake) = with_people(1).await;
    let graph = fake.client(secret());
    let link = graph.link("/v1.0/users");
    for (passed, tokens) in [(0, 1), (3_000, 1), (298, 1), (2, 2), (0, 2)] {
        clock.advance(Seconds(passed));
        assert_eq!(graph.page(&link, &[]).await.expect("a page").values.len(), 1);
        assert_eq!(fake.count(Call::Token), tokens, "after {passed} s more");
    }
    fake.lives(Seconds(60));
    fake.revoke_tokens();
    for (passed, tokens) in [(0, 3), (44, 3), (1, 4)] {
        clock.advance(Seconds(passed));
        graph.page(&link, &[]).await.expect("a page");
        assert_eq!(fake.count(Call::Token), tokens, "a short life is renewed in its last quarter: {passed}");
    }
    fake.plan(Call::Token, [Some(Fault::WrongClock)]);
    fake.revoke_tokens();
    graph.page(&link, &[]).await.expect("a token that ended before it began is taken for this once");
    let before = fake.count(Call::Token);
    graph.page(&link, &[]).await.expect("a page");
    assert_eq!(fake.count(Call::Token), before + 1);
    let form = &fake.proofs()[0];
    assert_eq!((form["client_id"].as_str(), form["client_secret"].as_str()), ("riskgate", SECRET));
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let (_, fake) = with_people(1).await;
    let graph = fake.client(secret());
    let link = graph.link("/v1.0/users");
    graph.page(&link, &[]).await.expect("a page");
    fake.revoke_tokens();
    graph.page(&link, &[]).await.expect("a page after a new token");
    assert_eq!((fake.count(Call::Token), fake.count(Call::Users)), (2, 3));
    fake.always(Call::Users, Some(Fault::Revoked));
    let fault = graph.page(&link, &[]).await.expect_err("every token is refused");
    assert!(matches!(fault, GraphFault::Unauthorized(_)), "{fault}");
    assert_eq!((fake.count(Call::Token), fake.count(Call::Users)), (3, 5), "no third try");
    fake.recover();
    fake.plan(Call::Token, [Some(Fault::Revoked)]);
    let fault = graph.page(&link, &[]).await.expect_err("no token is given");
    assert_eq!(
        fault.to_string(),
        "gives no token: the authority answers with status 401, invalid_client AADSTS7000215"
    );
    graph.page(&link, &[]).await.expect("the next one is");
}

#[tokio::test]
async fn secrets_and_tokens_in_files_are_read_anew() {
    let (_, fake) = with_people(1).await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    let graph = fake.client(Credential::SecretFile(file.path().to_owned()));
    let link = graph.link("/v1.0/users");
    let fault = graph.get(&link, &[]).await.expect_err("the file is empty").to_string();
    assert!(fault.ends_with(": is empty"), "{fault}");
    std::fs::write(file.path(), format!("{SECRET}\n")).expect("written");
    graph.get(&link, &[]).await.expect("the secret is taken");
    let graph = fake.client(Credential::Federated(file.path().to_owned()));
    for token in ["first", "second"] {
        std::fs::write(file.path(), token).expect("written");
        fake.revoke_tokens();
        graph.get(&link, &[]).await.expect("the token is taken");
        let form = fake.proofs().pop().expect("a form");
        assert_eq!(form["client_assertion"], token);
        assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    }
}

fn write_pem(path: &Path, label: &str, der: &[u8]) {
    let text = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    std::fs::write(path, text).expect("written");
}

#[tokio::test]
async fn a_certificate_signs_for_this_authority_alone() {
    let (clock, fake) = with_people(1).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, private_key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    let pair = rcgen::generate_simple_self_signed(["riskgate".to_owned()]).expect("a certificate");
    std::fs::write(&certificate, pair.cert.pem()).expect("written");
    let key = rsa::RsaPrivateKey::new(&mut OsRng, 2048).expect("a key");
    write_pem(&private_key, "RSA PRIVATE KEY", key.to_pkcs1_der().expect("DER").as_bytes());
    let graph =
        fake.client(Credential::Certificate { certificate: certificate.clone(), private_key: private_key.clone() });
    graph.get(&graph.link("/v1.0/users"), &[]).await.expect("the signature is taken");
    let assertion = fake.proofs()[0]["client_assertion"].clone();
    let public = DecodingKey::from_rsa_raw_components(&key.n().to_bytes_be(), &key.e().to_bytes_be());
    let mut validation = Validation::new(Algorithm::PS256);
    validation.set_audience(&[format!("http://{}/contoso.example/oauth2/v2.0/token", fake.address)]);
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Value>(&assertion, &public, &validation).expect("a good signature").claims;
    let seconds = clock.now().0 / 1_000_000;
    assert_eq!((&claims["iss"], &claims["sub"]), (&"riskgate".into(), &"riskgate".into()));
    assert_eq!((&claims["nbf"], &claims["exp"]), (&seconds.into(), &(seconds + 600).into()));
    let header = URL_SAFE_NO_PAD.decode(assertion.split('.').next().expect("a header")).expect("base64url");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(pair.cert.der()));
    assert_eq!((&header["alg"], &header["x5t#S256"]), (&"PS256".into(), &thumbprint.into()));
    std::fs::write(&private_key, pair.signing_key.serialize_pem()).expect("written");
    fake.revoke_tokens();
    let fault = graph.get(&graph.link("/v1.0/users"), &[]).await.expect_err("no RSA key").to_string();
    assert!(fault.ends_with("is no RSA key, which Entra wants"), "{fault}");
}

#[tokio::test]
async fn pages_are_followed_as_they_come() {
    let (_, fake) = with_people(7).await;
    fake.pages(3);
    let graph = fake.client(secret());
    let none = None::<Fault>;
    fake.plan(Call::Users, [none, Some(Fault::Empty), Some(Fault::Repeated)]);
    let (mut seen, mut sizes, mut link) =
        (std::collections::BTreeSet::new(), Vec::new(), Some(graph.link("/v1.0/users/delta")));
    let mut delta = None;
    while let Some(at) = link {
        let page = graph.page(&at, &[]).await.expect("a page");
        sizes.push(page.values.len());
        seen.extend(page.values.iter().map(|value| value["id"].to_string()));
        (link, delta) = (page.next, page.delta);
    }
    assert_eq!((seen.len(), sizes), (7, vec![3, 0, 3, 3, 1]));
    let delta = delta.expect("where to go on");
    fake.change(|tenant| {
        tenant.users.remove(&Uuid::from_u128(1));
        tenant.hire(Uuid::from_u128(9), "Nina");
    });
    let page = graph.page(&graph.follow(delta.as_str()).expect("Graph's own"), &[]).await.expect("a page");
    assert_eq!(page.values.len(), 2);
    assert_eq!(page.values[0]["@removed"]["reason"], "deleted");
    fake.forget_changes();
    assert!(graph.page(&delta, &[]).await.expect_err("not known any more").is_resync());
    fake.plan(Call::Users, [Some(Fault::Elsewhere)]);
    let fault = graph.page(&graph.link("/v1.0/users"), &[]).await.expect_err("it leads away");
    assert!(matches!(fault, GraphFault::Garbled(_)), "{fault}");
}

#[tokio::test]
async fn every_fault_is_told_apart_and_none_quotes_what_people_are_told() {
    let (_, fake) = with_people(3).await;
    let graph = fake.client(secret());
    let link = graph.link("/v1.0/users");
    graph.page(&link, &[]).await.expect("a page");
    for (fault, said, wait) in [
        (
            Fault::Throttled,
            "wants to be asked later: status 429, TooManyRequests TooManyRequests.inner (request req-1)",
            None,
        ),
        (
            Fault::Unavailable(7),
            "wants to be asked later: status 503, serviceNotAvailable serviceNotAvailable.inner (request req-1)",
            Some(7),
        ),
        (
            Fault::Broken,
            "wants to be asked later: status 500, generalException generalException.inner (request req-1)",
            None,
        ),
        (Fault::Html(200), "answers what cannot be used: an answer of status 200 is no JSON", None),
        (Fault::Html(404), "refuses: status 404", None),
        (Fault::Html(503), "wants to be asked later: status 503", None),
        (Fault::Gone, "refuses: status 410, resyncRequired resyncRequired.inner (request req-1)", None),
    ] {
        fake.plan(Call::Users, [Some(fault)]);
        let told = graph.page(&link, &[]).await.expect_err("it goes wrong");
        assert_eq!((told.to_string().as_str(), told.wait().map(|wait| wait.as_secs())), (said, wait), "{fault:?}");
        assert!(!told.is_not_found());
        assert_eq!(told.is_throttled(), fault == Fault::Throttled);
    }
    fake.plan(Call::Users, [Some(Fault::Cut)]);
    assert!(matches!(graph.page(&link, &[]).await, Err(GraphFault::Unreachable(_))));
    fake.forbids("User.Read.All");
    assert!(graph.page(&link, &[]).await.expect_err("no permission").is_forbidden());
    let roles = graph.link("/beta/roleManagement/directory/transitiveRoleAssignments?$count=true&$filter=principalId%20eq%20'00000000-0000-0000-0000-000000000001'");
    assert!(graph.page(&roles, &[]).await.expect_err("it is not asked for eventually").is_not_found());
    assert_eq!(graph.page(&roles, &[("ConsistencyLevel", "eventual")]).await.expect("a page").values, [Value::Null; 0]);
}
