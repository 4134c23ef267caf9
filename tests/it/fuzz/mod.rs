//! Fuzzing of everything that strangers send: the front (document, variables), a token, and over the wire HTTP requests and messages of
//! a WebSocket. From the corpus beside this file each target makes new inputs for a fixed time: one second, or as many as
//! `RISKGATE_FUZZ_SECONDS` says. An input that breaks something is printed, and belongs into the corpus once it is mended.

mod front;
mod mutator;
mod wire;

use std::path::Path;
use std::time::{Duration, Instant};

use mutator::Mutator;

/// No input may take longer: a hang, not a slow machine.
const HANG: Duration = Duration::from_secs(10);

/// How long a target runs.
fn time() -> Duration {
    let seconds = std::env::var("RISKGATE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    Duration::from_secs(seconds)
}

/// Every file of a corpus, in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fuzz/corpus").join(target);
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("a corpus").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "the corpus of {target} is empty");
    files.iter().map(|file| std::fs::read(file).expect("a file of the corpus")).collect()
}

/// Runs a target on its corpus as it is, then on what is made of it, until the time is over. Prints an input at which it panics or hangs.
fn fuzz(target: &str, seed: u64, mut run: impl FnMut(&[u8])) {
    let corpus = corpus(target);
    let begin = Instant::now();
    let mut tries = 0_u64;
    let mut probe = |input: &[u8]| {
        let shown = Shown(target, input);
        let started = Instant::now();
        run(input);
        assert!(started.elapsed() < HANG, "this took {:?}", started.elapsed());
        std::mem::forget(shown);
        tries += 1;
    };
    corpus.iter().for_each(|input| probe(input));
    let mut mutator = Mutator::new(seed, corpus);
    while begin.elapsed() < time() {
        probe(&mutator.next());
    }
    println!("{target}: {tries} inputs");
}

/// Says which input it was, when dropped by a panic.
struct Shown<'a>(&'a str, &'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        println!("{}: at fault is \"{}\"", self.0, self.1.escape_ascii());
    }
}
