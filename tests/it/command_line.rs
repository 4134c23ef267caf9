//! The program at its command line: bad configuration never starts a half-working server.

use std::net::TcpListener;
use std::process::Command;

use sea_orm::{ConnectionTrait, Database};

use crate::support::process::{Process, refusal, run};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn url(folder: &tempfile::TempDir) -> String {
    format!("sqlite://{}", folder.path().join("riskgate.db").display())
}

#[test]
fn what_cannot_be_right_is_said_in_one_line() {
    let folder = folder();
    let url = url(&folder);
    let config = folder.path().join("riskgate.toml");
    std::fs::write(&config, "listne = \"127.0.0.1:1\"\n").expect("a file");
    let config = config.display().to_string();
    assert!(refusal(&["serve", "--lisen", "127.0.0.1:0"]).contains("--lisen"));
    let said = refusal(&["serve", "--config", &config]);
    assert!(said.contains("listne") && said.contains("listen"), "{said}");
    assert!(refusal(&["serve", "--config", "/nowhere/riskgate.toml"]).contains("/nowhere/riskgate.toml"));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    assert!(refusal(&["serve", "--listen", &address, "--database-url", &url]).contains(&address));
    assert!(refusal(&["serve", "--database-url", "mysql://x"]).contains("database-url"));
    assert!(refusal(&["serve", "--database-url", "sqlite:///nowhere/x.db"]).contains("/nowhere/x.db"));
    assert!(
        refusal(&["serve", "--demo", "--listen", "0.0.0.0:0", "--database-url", &url])
            .contains("--i-know-this-is-insecure")
    );
    assert!(refusal(&["token", "alice@example.com", "--database-url", &url]).contains("no such database"));
    assert!(
        refusal(&["directory", "import", "/nowhere/people.json", "--database-url", &url])
            .contains("/nowhere/people.json")
    );
    let said = refusal(&["frobnicate"]);
    assert!(said.contains("frobnicate"), "{said}");
}

#[tokio::test]
async fn a_database_that_is_not_ours_or_newer_is_left_alone() {
    let folder = folder();
    let url = url(&folder);
    let foreign = Database::connect(format!("{url}?mode=rwc")).await.expect("a database");
    foreign.execute_unprepared("CREATE TABLE cheese (name TEXT)").await.expect("a table");
    foreign.close().await.expect("it closes");
    assert!(refusal(&["serve", "--database-url", &url]).contains("not riskgate's"));

    let folder = self::folder();
    let url = self::url(&folder);
    assert!(run(&["migrate", "--database-url", &url]).status.success());
    assert!(run(&["migrate", "--database-url", &url]).status.success(), "once more changes nothing");
    let newer = Database::connect(&url).await.expect("the database");
    newer
        .execute_unprepared("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m999_future', 0)")
        .await
        .expect("a step");
    newer.close().await.expect("it closes");
    assert!(refusal(&["serve", "--database-url", &url]).contains("m999_future"));
}

#[test]
fn the_demo_world_is_loaded_once_and_one_file_has_one_server() {
    let folder = folder();
    let url = url(&folder);
    let server = Process::serve(&url, &["--demo"], &[]);
    assert!(refusal(&["serve", "--database-url", &url, "--listen", "127.0.0.1:0"]).contains("another process"));
    let verified = || String::from_utf8(run(&["audit", "verify", "--database-url", &url]).stdout).expect("text");
    let before = verified();
    assert!(before.ends_with("events hold\n"), "{before}");
    let end = server.stop();
    assert_eq!(end.code, Some(0), "{}", end.log);
    let server = Process::serve(&url, &["--demo"], &[]);
    assert_eq!(verified(), before, "the second start finds the same world");
    assert_eq!(server.stop().code, Some(0));
    let checked = String::from_utf8(run(&["check", "--database-url", &url]).stdout).expect("text");
    assert!(checked.contains("up to date"), "{checked}");

    let other = self::folder();
    let url = self::url(&other);
    let people = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/directory.json");
    assert!(run(&["directory", "import", people, "--database-url", &url]).status.success());
    assert!(refusal(&["serve", "--demo", "--database-url", &url, "--listen", "127.0.0.1:0"]).contains("demo world"));
    assert!(refusal(&["token", "ada@example.com", "--database-url", &url]).contains("issuer is off"));
}

#[test]
fn the_line_that_the_demo_prints_works_when_pasted() {
    let folder = folder();
    let mut server = Process::serve(&url(&folder), &["--demo"], &[]);
    let printed = server.printed();
    let line = printed.lines().find(|line| line.starts_with("curl ")).expect("a line to paste");
    let output = Command::new("bash").args(["-c", line]).output().expect("bash runs");
    let answer = String::from_utf8_lossy(&output.stdout);
    assert!(answer.starts_with(r#"{"data":{"pendingRiskApprovals":{"nodes":[{"id":"stg_"#), "{answer}");
    assert!(printed.contains(&format!("GraphiQL: http://{}/", server.address)), "{printed}");
    assert!(printed.contains("mallory@example.com"), "{printed}");
}

#[test]
fn the_schema_is_printed_byte_for_byte() {
    let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql")).expect("the schema");
    assert!(run(&["schema"]).stdout == file);
}
