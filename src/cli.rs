//! The command line: parses, reads the configuration, calls one function of [`crate::app`], says how it ended. Holds no logic.

use std::ffi::OsString;
use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use entity::{DirectorySource, Seconds};

use crate::app::{self, ImportOptions, ServeOptions};
use crate::config::{self, Config};
use crate::domain::duration;
use crate::telemetry;

/// The exit status where the command line itself is wrong.
const USAGE: u8 = 2;

/// How long blocking work may still run when a command has ended.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// A self-hosted entitlement-management server: access requests with risk-based approval stages.
#[derive(Debug, Parser)]
#[command(name = "riskgate", version, arg_required_else_help = false)]
struct CommandLine {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

/// What every command reads. See docs/configuration.md for the file and the variables.
#[derive(Debug, Args)]
struct Options {
    /// A TOML file with the configuration.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the server listens [default: 127.0.0.1:8080].
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// The database: sqlite://FILE, sqlite::memory: or postgres://… [default: sqlite://riskgate.db].
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// How the log is written: text or json [default: text].
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Turns the built-in token issuer on (or off) [default: on in demo mode only].
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    builtin_issuer: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves the API and runs the clockwork.
    Serve {
        /// Loads the demo world where the database is new, and turns the built-in token issuer on.
        #[arg(long)]
        demo: bool,
        /// Lets demo mode listen where other machines reach it, although anybody there becomes an administrator.
        #[arg(long)]
        i_know_this_is_insecure: bool,
    },
    /// Prints a bearer token for a person; works only where the built-in issuer is on.
    Token {
        /// Whose token.
        user_principal_name: String,
        /// How long it is good: ISO 8601.
        #[arg(long, default_value = "PT8H", value_parser = ttl)]
        ttl: Seconds,
    },
    /// The people and groups.
    #[command(arg_required_else_help = false)]
    Directory {
        #[command(subcommand)]
        command: Directory,
    },
    /// Brings the database up to date.
    Migrate,
    /// Prints the GraphQL schema.
    Schema,
    /// The event log.
    #[command(arg_required_else_help = false)]
    Audit {
        #[command(subcommand)]
        command: Audit,
    },
    /// Tries the configuration and every outside part.
    Check,
}

#[derive(Debug, Subcommand)]
enum Directory {
    /// Loads people, groups, managers and directory roles from a JSON file, which is the whole picture.
    Import {
        /// The file.
        file: PathBuf,
        /// Adds and changes what the file holds, and deletes nothing.
        #[arg(long)]
        partial: bool,
        /// Allows an import that deletes a large part of the people.
        #[arg(long)]
        allow_mass_deletion: bool,
    },
    /// Hands the directory over: it comes from files, or from Microsoft Graph, and from nowhere else.
    Source {
        /// Where it comes from.
        #[arg(value_parser = source)]
        source: DirectorySource,
    },
    /// Agrees that whom the last complete reading of Microsoft Graph left out goes, however many they are.
    ApproveRemovals,
}

#[derive(Debug, Subcommand)]
enum Audit {
    /// Walks the hash chain of the event log.
    Verify,
}

fn source(text: &str) -> Result<DirectorySource, &'static str> {
    match text {
        "file" => Ok(DirectorySource::File),
        "graph" => Ok(DirectorySource::Graph),
        _ => Err("must be file or graph"),
    }
}

fn ttl(text: &str) -> Result<Seconds, &'static str> {
    duration::parse(text).filter(|span| span.0 > 0).ok_or("must be a duration above zero, such as PT8H or P1DT6H")
}

impl Options {
    fn load(self) -> Result<Config, String> {
        let given = [
            ("listen", self.listen),
            ("database_url", self.database_url),
            ("log_format", self.log_format),
            ("builtin_issuer", self.builtin_issuer),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        config::load(self.config, given, std::env::vars_os())
    }
}

/// Runs the command that `arguments` say (the program's name first) and tells how the process ends: 0 where all went well, 1
/// where it did not, 2 where the command line is wrong; the last two with one line on stderr.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parsed = match CommandLine::try_parse_from(arguments) {
        Ok(parsed) => parsed,
        Err(answer) if matches!(answer.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return match answer.print() {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        Err(fault) => return fail(&usage(&fault), USAGE),
    };
    match run(parsed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => fail(&fault, 1),
    }
}

fn fail(what: &str, status: u8) -> ExitCode {
    // Nothing is left to do where stderr is closed.
    let _ = writeln!(std::io::stderr(), "riskgate: {}", one_line(what));
    ExitCode::from(status)
}

/// The first paragraph of clap's message, which says what is wrong; usage and tips stand below it.
fn usage(fault: &clap::Error) -> String {
    let text = fault.to_string();
    let what = text.split("\n\n").next().unwrap_or_default();
    format!("{} (see riskgate --help)", what.trim_start_matches("error: ").trim())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn run(parsed: CommandLine) -> Result<(), String> {
    if let Command::Schema = parsed.command {
        return std::io::stdout().write_all(app::schema().as_bytes()).map_err(|fault| format!("stdout: {fault}"));
    }
    let config = parsed.options.load()?;
    telemetry::init(config.log_format)?;
    match parsed.command {
        Command::Serve { demo, i_know_this_is_insecure: insecure } => {
            block_on(app::serve(config, ServeOptions { demo, insecure }))
        }
        Command::Token { user_principal_name, ttl } => block_on(app::token(config, user_principal_name, ttl)),
        Command::Directory { command: Directory::Import { file, partial, allow_mass_deletion } } => {
            block_on(app::import(config, file, ImportOptions { partial, allow_mass_deletion }))
        }
        Command::Directory { command: Directory::Source { source } } => block_on(app::directory_source(config, source)),
        Command::Directory { command: Directory::ApproveRemovals } => block_on(app::approve_removals(config)),
        Command::Migrate => block_on(app::migrate(config)),
        Command::Schema => Ok(()),
        Command::Audit { command: Audit::Verify } => block_on(app::audit_verify(config)),
        Command::Check => block_on(app::check(config)),
    }
}

fn block_on(work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|fault| format!("the runtime does not start: {fault}"))?;
    let result = runtime.block_on(work);
    // Dropped, it would wait for blocking work without an end.
    runtime.shutdown_timeout(LAST_WAIT);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<CommandLine, clap::Error> {
        CommandLine::try_parse_from(line.split(' '))
    }

    #[test]
    fn every_command_parses_with_options_before_and_after() {
        for line in [
            "riskgate serve",
            "riskgate serve --demo --i-know-this-is-insecure --listen 0.0.0.0:1",
            "riskgate --listen 0.0.0.0:1 serve",
            "riskgate token ada@example.com --ttl P1DT6H --database-url sqlite://a.db",
            "riskgate directory import people.json --partial --allow-mass-deletion",
            "riskgate directory source graph",
            "riskgate directory approve-removals",
            "riskgate migrate --config riskgate.toml",
            "riskgate schema",
            "riskgate audit verify --log-format json",
            "riskgate check --builtin-issuer",
            "riskgate check --builtin-issuer=false",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_wrong_command_line_is_told_in_one_line() {
        for (line, what) in [
            ("riskgate", "riskgate"),
            ("riskgate directory", "subcommand"),
            ("riskgate sevre", "sevre"),
            ("riskgate serve --dmeo", "--dmeo"),
            ("riskgate directory import", "<FILE>"),
            ("riskgate directory source ldap", "file or graph"),
            ("riskgate token ada --ttl P1Y", "P1Y"),
            ("riskgate token ada --ttl PT0S", "above zero"),
        ] {
            let text = one_line(&usage(&parse(line).unwrap_err()));
            assert!(text.contains(what) && !text.contains('\n') && !text.contains("Usage:"), "{text}");
        }
    }

    #[test]
    fn the_issuer_can_be_turned_on_and_off() {
        for (option, value) in
            [("", None), (" --builtin-issuer", Some("true")), (" --builtin-issuer=false", Some("false"))]
        {
            let parsed = parse(&format!("riskgate serve{option}")).unwrap();
            assert_eq!(parsed.options.builtin_issuer.as_deref(), value);
        }
    }

    #[test]
    fn clap_finds_no_slip_in_the_definition() {
        use clap::CommandFactory;
        CommandLine::command().debug_assert();
    }
}
