//! The real program, as an operator starts it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use riskgate::demo;

use super::Person;

/// The program with an environment of its own: a variable of ours that it does not know would stop it.
pub fn riskgate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_riskgate"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RISKGATE_") {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

/// Runs a command to its end.
pub fn run(arguments: &[&str]) -> Output {
    riskgate(arguments).output().expect("the program runs")
}

/// A refused command: its status is not zero, and it says why in one line on stderr.
pub fn refusal(arguments: &[&str]) -> String {
    refused(&mut riskgate(arguments))
}

/// The same for a command with an environment of its own.
pub fn refused(command: &mut Command) -> String {
    let output = command.output().expect("the program runs");
    assert!(!output.status.success(), "{command:?} is not refused");
    assert!(output.stdout.is_empty(), "{command:?} has already said {}", String::from_utf8_lossy(&output.stdout));
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(said.lines().count(), 1, "{command:?} says {said}");
    said.trim_end().to_owned()
}

/// A running server.
pub struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub address: SocketAddr,
    url: String,
    log: tempfile::NamedTempFile,
}

impl Process {
    /// Starts one on a free port; returns once it serves.
    pub fn serve(url: &str, more: &[&str], environment: &[(&str, &Path)]) -> Process {
        let mut command = riskgate(&["serve", "--listen", "127.0.0.1:0", "--database-url", url, "--builtin-issuer"]);
        command.args(more).envs(environment.iter().copied());
        let log = tempfile::NamedTempFile::new().expect("a file for the log");
        command.stdout(Stdio::piped()).stderr(log.reopen().expect("the same file"));
        let mut child = command.spawn().expect("the server starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it says where it is");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address");
        Process { child, stdout, address: address.parse().expect("an address"), url: url.to_owned(), log }
    }

    /// What it has written to stderr.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).expect("text")
    }

    /// What it printed after its first line, up to the line that says where GraphiQL is.
    pub fn printed(&mut self) -> String {
        let mut printed = String::new();
        while !printed.contains("GraphiQL") {
            if self.stdout.read_line(&mut printed).expect("it prints") == 0 {
                break;
            }
        }
        printed
    }

    /// Somebody of the demo world at this server.
    pub fn person(&self, name: &str) -> Person {
        let upn = format!("{name}@example.com");
        let person = demo::people().into_iter().find(|person| person.upn == upn).expect("somebody");
        Person::new(super::http(), self.address, person.id, self.token(&upn))
    }

    /// What it has taken at its most, in KiB.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    fn token(&self, upn: &str) -> String {
        let output = run(&["token", upn, "--database-url", &self.url]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Ends it at once, in the middle of whatever it does.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// Asks it to stop, and waits until it has ended.
    pub fn stop(mut self) -> End {
        let began = Instant::now();
        self.signal("TERM");
        let status = self.child.wait().expect("it ends");
        End { code: status.code(), took: began.elapsed(), log: self.log() }
    }
}

/// How a server ended.
pub struct End {
    pub code: Option<i32>,
    pub took: Duration,
    pub log: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        // A story that failed leaves nothing running; one that ended it has nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
