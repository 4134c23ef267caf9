//! What is read before anything runs.

use std::sync::Arc;

use entity::{LogId, Seconds, Timestamp, UserId};
use riskgate::auth::{Issuer, Verifier, new_key};
use riskgate::graphql::document::{Documents, Limits};

use super::fuzz;

fn documents() -> Arc<Documents> {
    Arc::new(Documents::new(&riskgate::graphql::sdl(), Limits::default(), None).expect("the schema holds"))
}

#[test]
fn documents_neither_panic_nor_hang() {
    let documents = documents();
    fuzz("document", 1, |input| {
        let source = String::from_utf8_lossy(input);
        if let Ok((document, _)) = documents.find(&source) {
            // A call may be refused; one that is not can be made again, as for each message of a subscription.
            if let Ok(mut call) = documents.call(document, None, &Default::default()) {
                assert!(call.request().is_ok() && call.request().is_ok(), "what was planned once can be planned again");
            }
        }
    });
}

#[test]
fn variables_neither_panic_nor_hang() {
    let documents = documents();
    let change = "mutation($policy: CreateAssignmentPolicyInput!, $set: [SubjectSetInput!], $span: Duration) {
        createAssignmentPolicy(input: $policy) { userErrors { code } }
        updateInsiderRiskApproval(input: { approvers: $set, decisionTimeout: $span }) { userErrors { code } } }";
    let query = "query($filter: AccessRequestFilter, $ids: [ID!]!, $n: Int, $at: DateTime) {
        accessRequests(first: $n, filter: $filter) { nodes { id } } nodes(ids: $ids) { id }
        auditEvents(first: $n, filter: { occurredAfter: $at }) { totalCount } }";
    let read = |source: &str| documents.find(source).map(|(document, _)| document);
    let both = [read(change).expect("a document"), read(query).expect("a document")];
    fuzz("variables", 2, |input| {
        let Ok(variables) = serde_json::from_slice(input) else { return };
        for document in &both {
            if let Ok(mut call) = documents.call(document.clone(), None, &variables) {
                assert!(call.request().is_ok());
            }
        }
    });
}

#[test]
fn no_token_but_the_one_that_was_issued_is_good() {
    let issuer = Issuer::new(&new_key(), LogId::new()).expect("a key");
    let now = Timestamp(1_700_000_000_000_000);
    let good = issuer.issue(UserId::new(), "ada@example.com", now, Seconds(60));
    let verifier = Verifier::new(Some(issuer), Vec::new());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let is_good = |token: &str| runtime.block_on(verifier.verify(token, now)).is_ok();
    assert!(is_good(&good));
    fuzz("token", 3, |input| {
        // The corpus says where the good token stands.
        let token = String::from_utf8_lossy(input).replace("GOOD", &good);
        assert!(token == good || !is_good(&token), "another token is taken");
    });
}
