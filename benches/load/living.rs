//! A rise of one person's risk that reaches ten thousand open requests, and what others notice of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Question, ask};
use crate::place::{Place, Server};
use crate::seed::World;
use crate::{Failure, Line};

const SUBMIT: &str = "mutation($input: SubmitAccessRequestInput!) { submitAccessRequest(input: $input) { request { id } userErrors { code } } }";

/// Measures submits alone, then beside the rise, until every open request has its stage.
pub async fn measure(
    place: &Place,
    server: &Server,
    world: &World,
    seconds: u64,
    lines: &mut Vec<Line>,
) -> Result<(), Failure> {
    let (people, spare, next) = (world.people.clone(), world.spare.clone(), Arc::new(AtomicUsize::new(0)));
    let submit = move || {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let package = spare.get(index / people.len())?;
        let input = json!({ "accessPackageId": package.to_string(), "justification": "For my work." });
        Some(Question::new(&people[index % people.len()], SUBMIT, json!({ "input": input })))
    };
    let alone = ask(server.address, 16, Duration::from_secs(seconds), submit.clone()).await?;

    let open = world.open as i64;
    let query = "mutation($u: ID!) { reportUserRisk(input: { userId: $u, level: HIGH }) { userErrors { code } } }";
    let report = Question::new(&world.administrator, query, json!({ "u": world.manager.id.to_string() }));
    let report = Mutex::new(Some(report));
    let begin = Instant::now();
    ask(server.address, 1, Duration::from_secs(10), move || report.lock().ok()?.take()).await?;
    let done = async {
        while place.count("stage WHERE inserted_at IS NOT NULL").await? < open {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok::<_, Failure>(begin.elapsed())
    };
    let (took, beside) = tokio::join!(done, ask(server.address, 16, Duration::from_secs(seconds), submit));
    let (took, beside) = (took?, beside?);
    lines.push((
        format!("a rise of one person's risk inserts a stage into each of {open} open requests, beside 16 clients that submit"),
        format!("{:.1} s ({:.0}/s)", took.as_secs_f64(), open as f64 / took.as_secs_f64()),
    ));
    lines.push((
        "submits of others, 16 clients: before".to_owned(),
        format!("{}; {}", alone.rate(alone.count as i64), alone.spread()),
    ));
    lines.push((
        "submits of others, 16 clients: meanwhile".to_owned(),
        format!("{}; {}", beside.rate(beside.count as i64), beside.spread()),
    ));
    Ok(())
}
