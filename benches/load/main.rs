//! The load program: `cargo bench --bench load`. It seeds a database through the use cases, starts the server as a process of its own,
//! and counts committed rows and delivered messages; never what a client merely believes. Prints a Markdown table.
//!
//! Options, after `--`: `--requests N` (100,000), `--subscribers N` (10,000), `--open N` open requests of one person (10,000), `--seconds N` for each figure (5), `--only sqlite|postgres`,
//! `--keep` (leaves the databases behind, and says where). PostgreSQL is where `RISKGATE_BENCH_POSTGRES_URL` says, or
//! `RISKGATE_TEST_POSTGRES_URL`; a database is made there, and dropped at the end.

mod client;
mod doors;
mod latency;
mod living;
mod place;
mod seed;
mod speed;
mod subscribers;
mod watched;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use place::{Kind, Place};

/// Whatever goes wrong ends the program, in one line.
type Failure = Box<dyn Error + Send + Sync>;
/// A line of the table: what, and the figure.
type Line = (String, String);

/// How much is measured.
struct Options {
    requests: usize,
    subscribers: usize,
    open: usize,
    seconds: u64,
    only: Option<String>,
    keep: bool,
}

impl Options {
    fn read() -> Result<Options, Failure> {
        let mut options =
            Options { requests: 100_000, subscribers: 10_000, open: 10_000, seconds: 5, only: None, keep: false };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--requests" => options.requests = value()?.parse()?,
                "--subscribers" => options.subscribers = value()?.parse()?,
                "--open" => options.open = value()?.parse()?,
                "--seconds" => options.seconds = value()?.parse()?,
                "--only" => options.only = Some(value()?),
                "--keep" => options.keep = true,
                // What cargo says to every benchmark.
                "--bench" => {}
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        Ok(options)
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let options = Options::read()?;
    subscribers::check_open_files(options.subscribers)?;
    let mut columns = Vec::new();
    for kind in [Kind::Sqlite, Kind::Postgres] {
        if options.only.as_deref().is_some_and(|only| only != kind.name()) {
            continue;
        }
        let Some(place) = Place::new(kind).await? else {
            eprintln!(
                "PostgreSQL is not measured: neither RISKGATE_BENCH_POSTGRES_URL nor RISKGATE_TEST_POSTGRES_URL is set"
            );
            continue;
        };
        let measured = measure(&place, &options).await;
        if options.keep {
            eprintln!("{}: kept", place.url);
        } else {
            place.remove().await?;
        }
        columns.push((kind, measured?));
    }
    print_table(&columns);
    Ok(())
}

async fn measure(place: &Place, options: &Options) -> Result<Vec<Line>, Failure> {
    let begin = Instant::now();
    let (app, world) = seed::seed(place, options.requests, options.open).await?;
    let rows = place.count("request").await?;
    let seconds = begin.elapsed().as_secs_f64();
    eprintln!(
        "{}: {rows} requests, {} events, seeded in {seconds:.0} s",
        place.kind.name(),
        place.count("event").await?
    );
    let mut lines = vec![(
        format!("seeding {rows} requests, 64 at a time, inside the process"),
        format!("{:.0}/s", rows as f64 / seconds),
    )];

    latency::measure(place, &app, &world, &mut lines).await?;
    let app = Arc::new(app);
    doors::measure(&app, &world, &mut lines).await?;
    // The bare handler's connections may still hold it for a moment.
    let mut held = app;
    let app = loop {
        match Arc::try_unwrap(held) {
            Ok(app) => break app,
            Err(still) => held = still,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    app.stop().await;

    let server = place.serve()?;
    speed::measure(place, &server, &world, options.seconds, &mut lines).await?;
    drop(server);

    let server = place.serve()?;
    subscribers::measure(&server, &world, options.subscribers, &mut lines).await?;
    drop(server);

    let server = place.serve()?;
    living::measure(place, &server, &world, options.seconds, &mut lines).await?;
    drop(server);

    watched::measure(place, &world, options.seconds, &mut lines).await?;
    Ok(lines)
}

fn print_table(columns: &[(Kind, Vec<Line>)]) {
    let names: Vec<_> = columns.iter().map(|(kind, _)| kind.title()).collect();
    println!("| measured | {} |", names.join(" | "));
    println!("| --- |{}", " --- |".repeat(columns.len()));
    let mut whats: Vec<&String> = Vec::new();
    for (what, _) in columns.iter().flat_map(|(_, lines)| lines) {
        if !whats.contains(&what) {
            whats.push(what);
        }
    }
    for what in whats {
        let figure = |lines: &[Line]| {
            lines.iter().find(|(name, _)| name == what).map_or("–".to_owned(), |(_, figure)| figure.clone())
        };
        let figures: Vec<_> = columns.iter().map(|(_, lines)| figure(lines)).collect();
        println!("| {what} | {} |", figures.join(" | "));
    }
}
