//! The program at its command line: bad configuration never starts a half-working server.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use sea_orm::{ConnectionTrait, Database as Orm};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::process::{Process, refusal, refused, riskgate, run};
use crate::support::{Database, Snapshot};

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
    assert!(!folder.path().join("riskgate.db").exists(), "who is refused has made nothing");
}

#[test]
fn a_file_or_a_variable_that_cannot_be_read_is_named() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let write = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).expect("a file");
    write("broken.toml", b"listen = \"127.0.0.1:1\"\nlog_format = \n");
    let said = refusal(&["serve", "--config", &path("broken.toml")]);
    assert!(said.contains(&path("broken.toml")) && said.contains("line 2"), "{said}");
    let said = refusal(&["serve", "--config", &path("")]);
    assert!(said.contains(&path("")), "a folder: {said}");
    let mut serve = riskgate(&["serve", "--listen", "127.0.0.1:0", "--database-url", &url(&folder)]);
    serve.env("RISKGATE_TLS__CERTIFICATE_FILE", path("tls.crt")).env("RISKGATE_TLS__PRIVATE_KEY_FILE", path("tls.key"));
    let said = refused(&mut serve);
    assert!(said.contains(&path("tls.crt")), "{said}");
    let said = refused(riskgate(&["check"]).env("RISKGATE_LISTNE", "127.0.0.1:1"));
    assert!(said.contains("RISKGATE_LISTNE") && said.contains("the nearest is RISKGATE_LISTEN"), "{said}");
    let said = refused(riskgate(&["check"]).env("RISKGATE_DATABASE_URL_FILE", path("nothing")));
    assert!(said.contains("RISKGATE_DATABASE_URL_FILE") && said.contains(&path("nothing")), "{said}");

    let text = b"This is a letter, and no database, however long it may become before it ends.\n".repeat(20);
    write("letter.db", &text);
    for command in ["serve", "migrate", "check"] {
        let said = refusal_after(command, &format!("sqlite://{}", path("letter.db")));
        assert!(said.contains(&path("letter.db")), "{said}");
    }
    assert_eq!(std::fs::read(folder.path().join("letter.db")).expect("the letter"), text, "it is left as it was");
    write("people.json", b"{\"users\": [");
    let url = url(&folder);
    let said = refusal(&["directory", "import", &path("people.json"), "--database-url", &url]);
    assert!(said.contains(&path("people.json")) && said.contains("line 1"), "{said}");
}

/// `check` may say what is good before it says what is not.
fn refusal_after(command: &str, url: &str) -> String {
    let output = run(&[command, "--database-url", url, "--listen", "127.0.0.1:0"]);
    assert!(!output.status.success(), "{command} is not refused");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(said.lines().count(), 1, "{command} says {said}");
    said
}

/// PostgreSQL belongs to several: only `migrate` changes its tables, and only if they are ours.
#[tokio::test]
#[ignore = "needs PostgreSQL (scripts/test)"]
async fn postgres_is_migrated_by_migrate_alone() {
    let database = Database::bare().await;
    let url = database.url.as_str();
    for command in ["serve", "check"] {
        assert!(refusal_after(command, url).contains("is empty; run `riskgate migrate` first"), "{command}");
    }
    assert!(refusal(&["token", "ada@example.com", "--database-url", url]).contains("riskgate migrate"));
    let migrate = || riskgate(&["migrate", "--database-url", url]).stdout(Stdio::null()).spawn().expect("it runs");
    let both = [migrate(), migrate()];
    for mut child in both {
        assert!(child.wait().expect("it ends").success(), "two at once: one migrates, the other finds it done");
    }
    let people = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/directory.json");
    assert!(run(&["directory", "import", people, "--database-url", url]).status.success());
    assert!(run(&["check", "--database-url", url]).status.success());
    let db = database.connect().await;
    db.execute_unprepared("INSERT INTO seaql_migrations VALUES ('m999_future', 0)").await.expect("a step");
    for command in ["serve", "check", "migrate"] {
        assert!(refusal_after(command, url).contains("m999_future"), "{command}");
    }
    db.close().await.expect("it closes");
    database.remove().await;

    let foreign = Database::bare().await;
    let db = foreign.connect().await;
    db.execute_unprepared("CREATE TABLE cheese (name TEXT)").await.expect("a table");
    db.close().await.expect("it closes");
    for command in ["serve", "migrate", "check"] {
        assert!(refusal_after(command, &foreign.url).contains("not riskgate's"), "{command}");
    }
    foreign.remove().await;
}

#[tokio::test]
async fn a_database_that_is_not_ours_or_newer_is_left_alone() {
    let folder = folder();
    let url = url(&folder);
    let foreign = Orm::connect(format!("{url}?mode=rwc")).await.expect("a database");
    foreign.execute_unprepared("CREATE TABLE cheese (name TEXT)").await.expect("a table");
    foreign.close().await.expect("it closes");
    assert!(refusal(&["serve", "--database-url", &url]).contains("not riskgate's"));

    let folder = self::folder();
    let url = self::url(&folder);
    assert!(run(&["migrate", "--database-url", &url]).status.success());
    assert!(run(&["migrate", "--database-url", &url]).status.success(), "once more changes nothing");
    let newer = Orm::connect(&url).await.expect("the database");
    newer
        .execute_unprepared("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m999_future', 0)")
        .await
        .expect("a step");
    newer.close().await.expect("it closes");
    assert!(refusal(&["serve", "--database-url", &url]).contains("m999_future"));
}

#[tokio::test]
async fn the_demo_world_is_loaded_once_and_one_file_has_one_server() {
    let folder = folder();
    let url = url(&folder);
    let server = Process::serve(&url, &["--demo"], &[]);
    assert!(refusal(&["serve", "--database-url", &url, "--listen", "127.0.0.1:0"]).contains("another process"));
    let verified = || String::from_utf8(run(&["audit", "verify", "--database-url", &url]).stdout).expect("text");
    let before = verified();
    assert!(before.ends_with("events hold\n"), "{before}");
    let world = stored(&url).await;
    let end = server.stop();
    assert_eq!(end.code, Some(0), "{}", end.log);
    let server = Process::serve(&url, &["--demo"], &[]);
    assert_eq!(verified(), before, "the second start finds the same world");
    assert_eq!(stored(&url).await, world);
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

/// Which requests there are, and what was told of them.
async fn stored(url: &str) -> (Vec<String>, Vec<String>) {
    let db = Orm::connect(url).await.expect("the database");
    let snapshot = Snapshot::read(&db).await;
    db.close().await.expect("it closes");
    let mut requests: Vec<_> = snapshot.requests.iter().map(|request| request.id.to_string()).collect();
    requests.sort();
    assert!(requests.len() > 5, "the world has a history");
    (requests, snapshot.events.into_iter().map(|event| event.hash).collect())
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

#[tokio::test]
async fn the_log_says_what_ran_for_whom_and_never_with_what() {
    let folder = folder();
    let filter = Path::new("info,riskgate::operation=debug");
    let server = Process::serve(&url(&folder), &["--demo"], &[("RISKGATE_LOG", filter)]);
    let alice = server.person("alice");
    let query = "mutation AskForWiki($why: String) { submitAccessRequest(input: {
        accessPackageId: \"pkg_01980000-0000-7000-8000-000000000201\", justification: $why }) { userErrors { code } } }";
    let done = alice.data(query, json!({ "why": "a-secret-of-alice" })).await;
    assert_eq!(done["submitAccessRequest"]["userErrors"], json!([]));
    let log = server.stop().log;
    let line = log.lines().find(|line| line.contains("AskForWiki")).expect("a line");
    let hash: String = Sha256::digest(query).iter().map(|byte| format!("{byte:02x}")).collect();
    for part in ["riskgate::operation", "mutation", &hash, "cost=", &alice.user_id()] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!log.contains("a-secret-of-alice") && !log.contains(&alice.token), "{log}");
}
