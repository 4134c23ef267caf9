//! What an idle subscriber costs, and how long one event takes to reach all of them.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::sync::mpsc;

use crate::client::{Listening, Question, ask};
use crate::place::Server;
use crate::seed::World;
use crate::{Failure, Line};

const EVENT: &str =
    "subscription { pendingRiskApprovalCreated { cursor stage { id request { id requestor { displayName } } } } }";
/// Sockets that are opened at a time.
const OPENING: usize = 64;
/// Files that are open beside the sockets.
const OTHER_FILES: usize = 200;

/// Says before anything is measured that there may not be so many sockets.
pub fn check_open_files(subscribers: usize) -> Result<(), Failure> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).ok_or("no limit of open files")?;
    let limit: usize = line.split_whitespace().next().ok_or("no number")?.parse().unwrap_or(usize::MAX);
    if limit < subscribers + OTHER_FILES {
        return Err(format!("{subscribers} subscribers need more than {limit} open files: ulimit -n 20000").into());
    }
    Ok(())
}

/// Opens them, looks at the server's memory, and lets one event reach all.
pub async fn measure(server: &Server, world: &World, subscribers: usize, lines: &mut Vec<Line>) -> Result<(), Failure> {
    // The first ones make what all share.
    let mut early = Vec::new();
    for _ in 0..100 {
        early.push(Listening::start(server.address, &world.security, EVENT).await?);
    }
    let before = server.memory()?;
    let (sender, mut delivered) = mpsc::unbounded_channel();
    let mut opening = stream::iter(0..subscribers)
        .map(|_| async {
            let mut listening = Listening::start(server.address, &world.security, EVENT).await?;
            let sender = sender.clone();
            Ok::<_, Failure>(tokio::spawn(async move {
                // Where this fails the message is not counted, and that is told below.
                if listening.event().await.is_ok() {
                    let _ = sender.send(Instant::now());
                }
                // Stays open: who leaves first makes room that others would be thanked for.
                std::future::pending::<()>().await;
                drop(listening);
            }))
        })
        .buffer_unordered(OPENING);
    let mut running = Vec::new();
    while let Some(started) = opening.next().await {
        running.push(started?);
    }
    drop(opening);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let each = (server.memory()?.saturating_sub(before)) as f64 / subscribers as f64;
    lines.push((format!("memory for each idle subscriber, {subscribers} WebSockets"), format!("{each:.1} KiB")));

    let (who, package) = (world.risky[0].clone(), world.fresh[0]);
    let begin = Instant::now();
    let asked = std::sync::atomic::AtomicBool::new(false);
    ask(server.address, 1, Duration::from_secs(60), move || {
        let query = "mutation($input: SubmitAccessRequestInput!) { submitAccessRequest(input: $input) { userErrors { code } } }";
        let is_first = !asked.swap(true, std::sync::atomic::Ordering::Relaxed);
        is_first.then(|| Question::new(&who, query, json!({ "input": { "accessPackageId": package.to_string() } })))
    })
    .await?;
    let mut last = begin;
    for count in 0..subscribers {
        match tokio::time::timeout(Duration::from_secs(120), delivered.recv()).await {
            Ok(Some(at)) => last = last.max(at),
            _ => return Err(format!("{count} of {subscribers} subscribers got the event").into()),
        }
    }
    lines.push((
        format!("one event to {subscribers} subscribers (messages delivered: all)"),
        format!("{:.2} s to the last", (last - begin).as_secs_f64()),
    ));
    running.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(())
}
