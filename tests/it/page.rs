//! Pages: exact both ways, stable while rows are added, and as many statements for fifty rows as for five.

use riskgate::demo::{FINANCE_DATA, PRODUCTION_ACCESS, WIKI};
use serde_json::{Value, json};

use crate::story;
use crate::support::{Person, World};

/// The lists of the schema: field, and who walks it.
const LISTS: [(&str, &str); 8] = [
    ("catalogs", "ines"),
    ("accessPackages", "ines"),
    ("accessRequests", "ines"),
    ("assignments", "ines"),
    ("users", "ines"),
    ("approvalStages", "ines"),
    ("pendingRiskApprovals", "sam"),
    ("auditEvents", "ada"),
];

async fn page(person: &Person, list: &str, arguments: &str) -> Value {
    let query = format!(
        "{{ {list}({arguments}) {{ totalCount edges {{ cursor node {{ id }} }} nodes {{ id }}
            pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
    );
    person.data(&query, Value::Null).await[list].clone()
}

fn ids(page: &Value) -> Vec<String> {
    let edges = page["edges"].as_array().expect("edges");
    let of_edges: Vec<_> = edges.iter().map(|edge| edge["node"]["id"].as_str().expect("an id").to_owned()).collect();
    let nodes = page["nodes"].as_array().expect("nodes").iter();
    assert!(nodes.map(|node| node["id"].as_str().expect("an id")).eq(of_edges.iter().map(String::as_str)));
    of_edges
}

async fn several_requests(world: &World) {
    for name in ["alice", "bob", "carol", "erin", "mallory", "zoe"] {
        for package in [WIKI, FINANCE_DATA, PRODUCTION_ACCESS] {
            world.person(name).asks_for(package).await;
        }
    }
}

story!(every_list_reads_the_same_forward_and_backward_whatever_the_size_of_a_page, |world| {
    several_requests(world).await;
    for (list, name) in LISTS {
        let person = world.person(name);
        let whole = page(&person, list, "first: 100").await;
        let all = ids(&whole);
        assert!(!all.is_empty(), "{list}");
        for size in [1, 2, 7] {
            let (mut forward, mut after) = (Vec::new(), String::new());
            loop {
                let got = page(&person, list, &format!("first: {size}{after}")).await;
                assert_eq!(got["totalCount"], whole["totalCount"], "{list}");
                assert_eq!(got["pageInfo"]["hasPreviousPage"], !forward.is_empty(), "{list}");
                forward.extend(ids(&got));
                if got["pageInfo"]["hasNextPage"] == false {
                    break;
                }
                after = format!(", after: {}", got["pageInfo"]["endCursor"]);
            }
            let known = all.len().min(100);
            assert_eq!(forward[..known], all[..], "{list}, {size} at a time");
            let (mut backward, mut before) = (Vec::new(), String::new());
            loop {
                let got = page(&person, list, &format!("last: {size}{before}")).await;
                assert_eq!(got["pageInfo"]["hasNextPage"], !backward.is_empty(), "{list}");
                backward.splice(0..0, ids(&got));
                if got["pageInfo"]["hasPreviousPage"] == false {
                    break;
                }
                before = format!(", before: {}", got["pageInfo"]["startCursor"]);
            }
            assert_eq!(backward, forward, "{list}, {size} at a time");
            assert_eq!(whole["totalCount"], forward.len(), "{list}");
        }
    }
});

story!(a_cursor_stays_good_while_rows_are_added, |world| {
    let ines = world.person("ines");
    let first = page(&ines, "accessRequests", "first: 3").await;
    let rest =
        ids(&page(&ines, "accessRequests", &format!("first: 100, after: {}", first["pageInfo"]["endCursor"])).await);
    several_requests(world).await;
    let again = page(&ines, "accessRequests", &format!("first: 100, after: {}", first["pageInfo"]["endCursor"])).await;
    assert_eq!(ids(&again), rest, "what is new stands before the cursor");
    let newer =
        page(&ines, "accessRequests", &format!("last: 100, before: {}", first["pageInfo"]["startCursor"])).await;
    assert_eq!(ids(&newer).len(), 18);
});

story!(page_arguments_that_mean_nothing_are_refused, |world| {
    let ines = world.person("ines");
    let foreign = page(&ines, "users", "first: 1").await["pageInfo"]["endCursor"].clone();
    for arguments in [
        "first: -1".to_owned(),
        "first: 101".to_owned(),
        "last: 101".to_owned(),
        "first: 1, last: 1".to_owned(),
        "after: \"nonsense\"".to_owned(),
        format!("after: {foreign}"),
    ] {
        let answer = ines.ask(&format!("{{ accessRequests({arguments}) {{ nodes {{ id }} }} }}"), Value::Null).await;
        assert_eq!(answer.code(), "BAD_USER_INPUT", "{arguments}: {:#}", answer.body);
        assert_eq!(answer.body["data"]["accessRequests"], Value::Null);
    }
    assert_eq!(ids(&page(&ines, "accessRequests", "first: 0").await), Vec::<String>::new());
});

/// The pages that portals and approvers use, and how many statements each may cost at most, whatever its rows, beside the one that
/// asks who calls: one for each kind of object on each level (two branches that reach one kind at the same time share theirs).
const PAGES: [(&str, &str, u64); 4] = [
    (
        "sam",
        "query($n: Int) { pendingRiskApprovals(first: $n) { totalCount eventCursor nodes { id dueAt approvers { __typename
            ... on DirectoryRoleHolders { role } } evaluation { level reason subject { displayName } }
            request { justification requestor { displayName idProtectionRisk { level } } target { displayName }
                accessPackage { displayName catalog { displayName } } stages { kind status position } } } } }",
        11,
    ),
    (
        "ines",
        "query($n: Int) { accessRequests(first: $n) { totalCount pageInfo { hasNextPage } nodes { id state outcome createdAt
            accessPackage { displayName catalog { displayName } } policy { displayName } requestor { displayName }
            target { displayName } stages { kind status decidedBy { displayName } } currentStage { kind dueAt }
            assignment { state endsAt } riskEvaluations { level subject { displayName } } } } }",
        11,
    ),
    (
        "alice",
        "query($n: Int) { viewer { accessRequests(first: $n) { nodes { id state accessPackage { displayName }
            stages { kind status } assignment { state } } } } }",
        4,
    ),
    (
        "ada",
        "query($n: Int) { auditEvents(first: $n) { nodes { activity occurredAt actor { displayName } request { state }
            accessPackage { displayName } details { key value } } } }",
        4,
    ),
];

story!(a_page_of_many_rows_costs_as_many_statements_as_one_of_few, |world| {
    several_requests(world).await;
    for (name, query, most) in PAGES {
        let person = world.person(name);
        for size in [2, 3, 20, 50] {
            let before = world.services().statements();
            person.data(query, json!({ "n": size })).await;
            // One of them asks who calls.
            let cost = world.services().statements() - before - 1;
            assert!(cost <= most, "{name}: {cost} statements for {size} rows of {query}");
        }
    }
});
