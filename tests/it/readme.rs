//! The README's walk is a transcript: each command is run, and prints what the README says (ids, times and tokens aside).

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::support::process::{riskgate, without_ours};

/// One command and what it printed.
fn walk() -> Vec<(String, String)> {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("the README");
    let (_, rest) = readme.split_once("<!-- walk -->").expect("the walk begins");
    let (walk, _) = rest.split_once("<!-- /walk -->").expect("the walk ends");
    let mut steps: Vec<(String, String)> = Vec::new();
    let mut in_block = false;
    for line in walk.lines() {
        match (line, line.strip_prefix("$ ")) {
            ("```console", _) => in_block = true,
            ("```", _) => in_block = false,
            (_, Some(command)) if in_block => steps.push((command.to_owned(), String::new())),
            _ if in_block => {
                let (_, printed) = steps.last_mut().expect("a command before its output");
                printed.push_str(line);
                printed.push('\n');
            }
            _ => {}
        }
    }
    steps
}

/// Without what differs from run to run.
fn masked(text: &str) -> String {
    text.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
        .map(|word| match word.split_once('_') {
            Some((prefix, rest)) if rest.len() >= 36 && rest.matches('-').count() == 4 => {
                format!("{prefix}_…{}", &rest[36..])
            }
            _ => word.to_owned(),
        })
        .collect()
}

#[test]
fn the_walk_of_the_readme_is_what_happens() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let binary = env!("CARGO_BIN_EXE_riskgate");
    let mut server = riskgate(&["serve", "--demo", "--listen", "127.0.0.1:0"]);
    server.current_dir(folder.path());
    let mut server = server.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the server starts");
    let mut first = String::new();
    BufReader::new(server.stdout.as_mut().expect("a pipe")).read_line(&mut first).expect("it says where it is");
    let address = first.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();

    let steps = walk();
    assert!(steps.len() >= 8, "{steps:?}");
    let mut script = String::from("set -u\n");
    for (command, _) in &steps {
        script.push_str(&command.replace("target/release/riskgate", binary).replace("127.0.0.1:8080", &address));
        script.push_str("\necho ----\n");
    }
    script.push_str("kill %1 2>/dev/null\n");
    let mut shell = without_ours(Command::new("bash"));
    let output = shell.arg("-c").arg(script).current_dir(folder.path()).output().expect("bash runs");
    server.kill().expect("the server is stopped");
    server.wait().expect("the server ends");

    let printed = String::from_utf8_lossy(&output.stdout);
    let printed: Vec<_> = printed.split("----\n").collect();
    for ((command, expected), printed) in steps.iter().zip(&printed) {
        assert_eq!(masked(printed), masked(expected), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}
