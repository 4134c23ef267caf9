//! Documents: read, limited and validated before anything runs, and run as the specification says.

use std::collections::BTreeSet;

use riskgate::demo::{FINANCE_DATA, PRODUCTION_ACCESS, WIKI};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::story;
use crate::support::{Answer, Options, Person};

async fn message(person: &Person, query: &str, variables: Value) -> String {
    let answer = person.ask(query, variables).await;
    assert!(answer.body.get("data").is_none(), "it must not have run: {:#}", answer.body);
    let code = answer.code().to_owned();
    let message = answer.body["errors"][0]["message"].as_str().expect("a message").to_owned();
    format!("{code}: {message}")
}

fn hash(document: &str) -> String {
    Sha256::digest(document).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn by_hash(person: &Person, document: &str) -> Answer {
    person.ask_with(json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash(document) } } })).await
}

story!(what_the_rules_refuse_never_runs, |world| {
    let bob = world.person("bob");
    for (query, variables) in [
        ("{ viewer { nothing } }", json!({})),
        ("{ viewer { __typename { x } } }", json!({})),
        ("{ viewer { user { id } user { displayName(first: 1) } } }", json!({})),
        ("{ viewer @skip { user { id } } }", json!({})),
        ("{ viewer { user { id @include(if: $no) } } }", json!({})),
        ("{ viewer(a: 1 b) { user { id } } }", json!({})),
        ("{}", json!({})),
        ("{ viewer {} }", json!({})),
        ("query() { viewer { user { id } } }", json!({})),
        ("fragment on on Viewer { user { id } } { viewer { ...on } }", json!({})),
        ("query($first: Int!) { accessPackages(first: $first) { totalCount } }", json!({})),
        ("query($first: Int!) { accessPackages(first: $first) { totalCount } }", json!({ "first": 3_000_000_000_i64 })),
        ("query($id: ID) { node(id: $id) { id } }", json!({ "id": "x" })),
        ("{ viewer { a: user { id } } viewer { a: user { id: displayName } } }", json!({})),
        ("{ nodes(ids: [\"a\"]) { id } ... { nodes(ids: [\"a\", \"b\"]) { id } } }", json!({})),
        ("{ a: users(filter: {}) { totalCount } a: users(filter: { search: \"a\" }) { totalCount } }", json!({})),
        ("subscription { pendingRiskApprovalCreated { cursor } __typename }", json!({})),
        ("query A { viewer { user { id } } } query B { viewer { user { id } } }", json!({})),
        ("{ auditEvents(filter: { occurredAfter: \"yesterday\" }) { totalCount } }", json!({})),
        ("query($at: DateTime) { auditEvents(filter: { occurredAfter: $at }) { totalCount } }", json!({ "at": "now" })),
    ] {
        let refused = message(&bob, query, variables).await;
        assert!(refused.starts_with("BAD_USER_INPUT: "), "{query}: {refused}");
    }
    let package = WIKI.to_string();
    let submit =
        "mutation($id: ID!) { submitAccessRequest(input: { accessPackageId: $id }) { request { id } } nothing }";
    assert!(message(&bob, submit, json!({ "id": package })).await.starts_with("BAD_USER_INPUT: "));
    let mine = bob.data("{ viewer { accessRequests { totalCount } } }", Value::Null).await;
    assert_eq!(mine["viewer"]["accessRequests"]["totalCount"], 0);
});

story!(what_the_rules_allow_runs, |world| {
    let bob = world.person("bob");
    for query in [
        "\"what it is for\" query Q { viewer { user { id } } }",
        "query { viewer { user { id } } }",
        "{ accessPackages(filter: { search: \"\\u{1F600}\\uD83D\\uDE00\" }) { totalCount } }",
        "query($ no : Boolean = false) { viewer { user { id @include(if: $no) displayName } __typename @skip(if: $no) } }",
        "{ accessPackages(filter: { search: \"\"\"\n  block \\\"\"\" text\n\"\"\" }) { totalCount } } # a comment",
    ] {
        bob.data(query, Value::Null).await;
    }
});

story!(a_response_key_is_worked_on_once_however_often_it_is_asked_for, |world| {
    let (bob, olga) = (world.person("bob"), world.person("olga"));
    let twice = "mutation($p: ID!) {
        done: submitAccessRequest(input: { accessPackageId: $p, justification: \"x\" }) { request { id } }
        ...Again
        ... on Mutation { done: submitAccessRequest(input: { accessPackageId: $p, justification: \"x\" }) { userErrors { code } } }
    }
    fragment Again on Mutation { done: submitAccessRequest(input: { accessPackageId: $p, justification: \"x\" }) { request { state } } }";
    let done = bob.data(twice, json!({ "p": PRODUCTION_ACCESS.to_string() })).await;
    assert_eq!(done["done"]["userErrors"], json!([]), "{done:#}");
    assert_eq!(done["done"]["request"]["state"], "PENDING_APPROVAL");
    assert_eq!(done["done"].as_object().expect("an object").keys().collect::<Vec<_>>(), ["request", "userErrors"]);

    // What an object is decides which of the fragments count; the fields of all that do are gathered.
    let id = &done["done"]["request"]["id"];
    let query = "query($id: ID!) { node(id: $id) {
        __typename
        ... on Node { id }
        ... on AccessRequest { state stages { kind ... on RiskApprovalStage { source } ... on ApprovalStage { status } } }
        ... on User { displayName }
        ... on AccessRequest { stages { position } }
    } }";
    let node = &olga.data(query, json!({ "id": id })).await["node"];
    let keys = |object: &Value| object.as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys(node), ["__typename", "id", "state", "stages"].map(str::to_owned).into());
    assert_eq!(keys(&node["stages"][0]), ["kind", "status", "position"].map(str::to_owned).into());
});

story!(a_subscription_may_stand_in_a_fragment, |world| {
    let (alice, sam) = (world.person("alice"), world.person("sam"));
    let query = "subscription Watch($cursor: Boolean!) { ... on Subscription { ...Root } }
        fragment Root on Subscription { news: pendingRiskApprovalCreated { cursor @include(if: $cursor) stage { request { id } } } }";
    let mut listening = sam.connect().await.subscribe(query, json!({ "cursor": false })).await;
    let id = alice.asks_for(FINANCE_DATA).await["id"].clone();
    assert_eq!(listening.event().await, json!({ "news": { "stage": { "request": { "id": id } } } }));
});

story!(what_is_too_large_is_refused_by_name, |world| {
    let bob = world.person("bob");
    let many = |count: usize, text: &str| text.repeat(count);
    let chain = |count: usize| {
        let link = |at: usize| format!("fragment F{at} on Viewer {{ ...F{} ...F{} }} ", at + 1, at + 1);
        let links: String = (0..count).map(link).collect();
        format!("{links} fragment F{count} on Viewer {{ user {{ id }} }} {{ viewer {{ ...F0 }} }}")
    };
    for (query, what) in [
        (many(3_000, "{ viewer { user { id } } } "), "more than 2000 tokens"),
        (format!("{{ {} }}", many(51, "a: viewer { user { id } } ")), "more than 50 aliases"),
        (format!("{{ viewer {{ user {{ id {} }} }} }}", many(60, "@skip(if: false) ")), "more than 50 directives"),
        (many(60, "fragment F on Viewer { user { id } } "), "more than 50 definitions"),
        (chain(40), "more than 1000 fields"),
        (chain(40).replace("user { id }", "user { manager { id } }"), "more than 1000 fields"),
        (
            format!("{{ viewer {{ user {{ {} id {} }} }} }}", many(20, "manager { "), many(20, "}")),
            "deeper than 16",
        ),
        (format!("{{ viewer {{ {} user {{ id }} {} }} }}", many(60, "... { "), many(60, "}")), "deeper than 16"),
        (format!("{}{}", many(400, "{ a "), many(400, "}")), "nests too deep"),
        (format!("{{ nodes(ids: [{}]) {{ id }} }}", many(1_001, "1,")), "more than 2000 tokens"),
        (
            "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }".to_owned(),
            "at most 2 levels deep",
        ),
        (
            "{ catalogs(first: 100) { nodes { accessPackages(first: 100) { nodes { id displayName description catalog { id }
                policies { id displayName } } } } } }"
                .to_owned(),
            "ask for smaller pages",
        ),
    ] {
        let refused = message(&bob, &query, Value::Null).await;
        assert!(refused.starts_with("LIMIT_EXCEEDED: ") && refused.contains(what), "{what}: {refused}");
    }
    let ids = vec!["x"; 1_001];
    let refused = message(&bob, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": ids })).await;
    assert!(refused.contains("more than 1000 entries"), "{refused}");
    // The same over a WebSocket, and for a subscription.
    let subscription = format!("subscription {{ {} }}", many(51, "a: pendingRiskApprovalCreated { cursor } "));
    let mut refused = bob.connect().await.subscribe(&subscription, Value::Null).await;
    assert_eq!(refused.error().await, "LIMIT_EXCEEDED");
});

story!(a_hash_alone_is_answered_so_that_clients_send_the_document, |world| {
    let bob = world.person("bob");
    let document = "{ viewer { user { id } } }";
    bob.data(document, Value::Null).await;
    let answer = by_hash(&bob, document).await;
    assert_eq!((answer.status, answer.code()), (200, "PERSISTED_QUERY_NOT_SUPPORTED"));
});

const KNOWN: &str = "query Me { viewer { user { id } } }";

fn closed() -> Options {
    Options { trusted_documents: Some(vec![KNOWN.to_owned()]), ..Options::default() }
}

story!(where_documents_are_listed_no_other_runs, closed(), |world| {
    let bob = world.person("bob");
    let me = json!({ "viewer": { "user": { "id": bob.user_id() } } });
    assert_eq!(bob.data(KNOWN, Value::Null).await, me);
    assert_eq!(by_hash(&bob, KNOWN).await.data(), me);
    assert!(message(&bob, &format!("{KNOWN} "), Value::Null).await.starts_with("FORBIDDEN: "));
    assert_eq!(by_hash(&bob, "{ viewer { user { id } } }").await.code(), "PERSISTED_QUERY_NOT_SUPPORTED");
});

#[test]
fn a_listed_document_that_does_not_hold_stops_the_server() {
    use riskgate::graphql::document::{Documents, Limits};
    let sdl = riskgate::graphql::sdl();
    let read = |source: &str| Documents::new(&sdl, Limits::default(), Some(vec![source.to_owned()]));
    assert!(read(KNOWN).is_ok());
    let fault = read("{ viewer { nothing } }").err().expect("a fault");
    assert!(fault.contains("nothing") && !fault.contains('\n'), "{fault}");
}

#[test]
fn what_is_kept_of_documents_is_bounded() {
    use riskgate::graphql::document::{Documents, Limits};
    let documents = Documents::new(&riskgate::graphql::sdl(), Limits::default(), None).expect("the schema holds");
    let of = |at: usize| format!("{{ viewer {{ user {{ id }} }} }} # {at} {}", "x".repeat(1_500));
    for at in 0..2_000 {
        assert!(!documents.find(&of(at)).expect("a document").1, "it is new");
    }
    let size = documents.size();
    assert!(size.documents <= 1_000 && size.bytes <= 1024 * 1024, "{size:?}");
    assert!(documents.find(&of(1_999)).expect("a document").1, "the newest is known");
    assert!(!documents.find(&of(0)).expect("a document").1, "the oldest is not");
}
