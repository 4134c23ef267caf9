//! Pages, submits and decisions each second, over HTTP, at one and at sixteen clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Question, ask};
use crate::place::{Place, Server};
use crate::seed::{Somebody, World};
use crate::{Failure, Line};

const CLIENTS: [usize; 2] = [1, 16];

const REQUEST: &str = "id state createdAt requestor { displayName } accessPackage { displayName catalog { displayName } } stages { id kind status }";

/// The pages that portals and approvers read.
fn pages(world: &World) -> Vec<(&'static str, Somebody, String)> {
    let (security, reader, owner) = (world.security.clone(), world.reader.clone(), world.owners[0].clone());
    vec![
        (
            "pending risk approvals, 20",
            security,
            format!(
                "{{ pendingRiskApprovals(first: 20) {{ eventCursor nodes {{ id dueAt evaluation {{ level reason }} request {{ {REQUEST} }} }} pageInfo {{ hasNextPage endCursor }} }} }}"
            ),
        ),
        (
            "what waits for a group's member, 20",
            owner.clone(),
            format!(
                "{{ viewer {{ pendingApprovals(first: 20) {{ nodes {{ id dueAt request {{ {REQUEST} }} }} pageInfo {{ hasNextPage }} }} }} }}"
            ),
        ),
        (
            "the same with totalCount",
            owner,
            "{ viewer { pendingApprovals(first: 20) { totalCount nodes { id } } } }".to_owned(),
        ),
        (
            "a reader's requests, 20",
            reader.clone(),
            format!("{{ accessRequests(first: 20) {{ nodes {{ {REQUEST} }} pageInfo {{ hasNextPage endCursor }} }} }}"),
        ),
        (
            "a reader's requests with totalCount",
            reader,
            "{ accessRequests(first: 20) { totalCount nodes { id } } }".to_owned(),
        ),
        (
            "an employee's requests with totalCount",
            world.people[0].clone(),
            format!(
                "{{ accessRequests(first: 20) {{ totalCount nodes {{ {REQUEST} }} pageInfo {{ hasNextPage }} }} }}"
            ),
        ),
        (
            "a manager's requests, 20",
            // The first of each ten manages the others; that of the second ten is not risky.
            world.people[9].clone(),
            format!("{{ accessRequests(first: 20) {{ nodes {{ {REQUEST} }} pageInfo {{ hasNextPage }} }} }}"),
        ),
    ]
}

/// Hands out something of a list, each once.
fn each<T: Send + Sync + 'static>(
    list: Vec<T>,
    question: impl Fn(&T, usize) -> Question + Send + Sync + 'static,
) -> impl Fn() -> Option<Question> + Clone + Send + Sync + 'static {
    let (list, next, question) = (Arc::new(list), Arc::new(AtomicUsize::new(0)), Arc::new(question));
    move || {
        let index = next.fetch_add(1, Ordering::Relaxed);
        list.get(index).map(|item| question(item, index))
    }
}

/// Asks, and counts the rows that are in the table afterwards and were not before.
async fn committed(
    place: &Place,
    server: &Server,
    (what, table): (&str, &str),
    duration: Duration,
    question: impl Fn() -> Option<Question> + Clone + Send + Sync + 'static,
    lines: &mut Vec<Line>,
) -> Result<(), Failure> {
    for clients in CLIENTS {
        let before = place.count(table).await?;
        let answered = ask(server.address, clients, duration, question.clone()).await?;
        let rows = place.count(table).await? - before;
        if rows != answered.count as i64 {
            return Err(format!("{what}: {} were acknowledged, {rows} are there", answered.count).into());
        }
        lines.push((
            format!("{what}, {} (rows of `{table}`)", plural(clients)),
            format!("{}; {}", answered.rate(rows), answered.spread()),
        ));
    }
    Ok(())
}

fn plural(clients: usize) -> String {
    if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") }
}

/// All of it.
pub async fn measure(
    place: &Place,
    server: &Server,
    world: &World,
    seconds: u64,
    lines: &mut Vec<Line>,
) -> Result<(), Failure> {
    let duration = Duration::from_secs(seconds);
    for (what, who, query) in pages(world) {
        for clients in CLIENTS {
            let (who, query) = (who.clone(), query.clone());
            let answered =
                ask(server.address, clients, duration, move || Some(Question::new(&who, &query, Value::Null))).await?;
            lines.push((
                format!("page: {what}, {}", plural(clients)),
                format!("{}; {}", answered.rate(answered.count as i64), answered.spread()),
            ));
        }
    }

    let pairs: Vec<_> = world
        .fresh
        .iter()
        .flat_map(|package| world.people.iter().map(move |person| (person.clone(), *package)))
        .collect();
    let submit = each(pairs, |(who, package), _| {
        let query = "mutation($input: SubmitAccessRequestInput!) { submitAccessRequest(input: $input) { request { id state } userErrors { code } } }";
        Question::new(
            who,
            query,
            json!({ "input": { "accessPackageId": package.to_string(), "justification": "For my work." } }),
        )
    });
    committed(place, server, ("submit", "request"), duration, submit, lines).await?;

    let stages = place
        .ids(format!(
            "SELECT s.id FROM stage s JOIN request r ON r.id = s.request_id \
             WHERE s.status = 'PENDING' AND s.kind = 'POLICY' AND r.package_id = '{}'",
            world.owned.0
        ))
        .await?;
    let owners = world.owners.clone();
    let decide = each(stages, move |stage, index| {
        let query = "mutation($input: DecideApprovalStageInput!) { decideApprovalStage(input: $input) { request { id state } userErrors { code } } }";
        let verdict = if index % 4 == 0 { "DENY" } else { "APPROVE" };
        let input = json!({ "stageId": format!("stg_{stage}"), "decision": verdict, "justification": "Checked." });
        Question::new(&owners[index % owners.len()], query, json!({ "input": input }))
    });
    committed(place, server, ("decide", "decision"), duration, decide, lines).await
}
