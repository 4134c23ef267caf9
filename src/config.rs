//! The configuration: command line over environment over file over default, from one table of keys.
//!
//! What must stay true: a key that is not in [`KEYS`] is an error wherever it stands, every error is one line that says where
//! and what, and a value that may hold a secret is never quoted in one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

mod graph;
mod issuer;
mod key;

pub use graph::{Credential, GraphConfig, Secret};
use ipnet::IpNet;
pub use issuer::{ISSUER_KEYS, IssuerConfig};
pub use key::{KEYS, Key, Kind};

use crate::telemetry::{FILTER_VARIABLE, LogFormat};

/// What every variable of ours begins with.
pub const PREFIX: &str = "RISKGATE_";

/// The variable that names the file.
pub const FILE_VARIABLE: &str = "RISKGATE_CONFIG";

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the server listens.
    pub listen: SocketAddr,
    /// The database.
    pub database_url: DatabaseUrl,
    /// How the log is written.
    pub log_format: LogFormat,
    /// Is the built-in issuer on? None: the mode decides (on in demo mode, off elsewhere).
    pub builtin_issuer: Option<bool>,
    /// The doors.
    pub web: Web,
    /// The door's own certificate.
    pub tls: Option<Tls>,
    /// The limits that were given, by the name of their key in the section `limits`.
    pub limits: BTreeMap<&'static str, u64>,
    /// The identity providers.
    pub issuers: Vec<IssuerConfig>,
    /// Microsoft Graph.
    pub graph: Option<GraphConfig>,
}

impl Config {
    /// What one of the limits was set to.
    pub fn limit(&self, name: &str) -> Option<u64> {
        self.limits.get(name).copied()
    }
}

/// What the section `web` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Web {
    /// Is GraphiQL shown? None: the mode decides (shown in demo mode, not elsewhere).
    pub graphiql: Option<bool>,
    /// The origins that may call, each as browsers send it: `https://portal.example.com`.
    pub allowed_origins: Vec<String>,
    /// The proxies whose forwarded header is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Do they write `Forwarded`, rather than `X-Forwarded-For`?
    pub is_forwarded_standard: bool,
    /// The sources of the documents that alone may run. None: any may.
    pub trusted_documents: Option<Vec<String>>,
}

/// What the section `tls` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The file of the certificate.
    pub certificate: PathBuf,
    /// The file of its private key.
    pub private_key: PathBuf,
}

/// A database URL, which may hold a password: not printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(pub String);

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl")
    }
}

/// Where a value stands. Later ones win.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    File(PathBuf),
    Environment,
    CommandLine,
}

/// A value before it is read.
#[derive(Debug, Clone)]
struct Setting {
    key: &'static Key,
    origin: Origin,
    value: toml::Value,
}

impl Setting {
    /// One line: where, and what is wrong.
    fn fault(&self, what: impl fmt::Display) -> String {
        let name = self.key.name;
        match &self.origin {
            Origin::File(path) => format!("{}: {name}: {what}", path.display()),
            Origin::Environment => format!("{}: {what}", self.key.env),
            Origin::CommandLine => format!("{}: {what}", self.key.option.unwrap_or(name)),
        }
    }

    fn mismatch(&self) -> String {
        let shown = match (&self.value, self.key.kind) {
            (_, Kind::SecretText) => String::new(),
            (toml::Value::String(text), _) => format!(", not {text:?}"),
            (other, _) => format!(", not a value of type {}", other.type_str()),
        };
        self.fault(format!("must be {}{shown}", self.key.kind))
    }

    fn text(&self) -> Result<&str, String> {
        self.value.as_str().ok_or_else(|| self.mismatch())
    }

    fn flag(&self) -> Result<bool, String> {
        match &self.value {
            toml::Value::Boolean(flag) => Ok(*flag),
            // A variable or an option has no other type than text; in the file a quoted flag is a slip.
            toml::Value::String(text) if !matches!(self.origin, Origin::File(_)) => {
                text.parse().map_err(|_| self.mismatch())
            }
            _ => Err(self.mismatch()),
        }
    }

    fn number(&self) -> Result<u64, String> {
        let number = match &self.value {
            toml::Value::Integer(number) => u64::try_from(*number).ok(),
            toml::Value::String(text) if !matches!(self.origin, Origin::File(_)) => text.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| self.mismatch())
    }

    fn list(&self) -> Result<Vec<String>, String> {
        match &self.value {
            toml::Value::Array(items) => {
                items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(|| self.mismatch())).collect()
            }
            toml::Value::String(text) if !matches!(self.origin, Origin::File(_)) => {
                Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
            }
            _ => Err(self.mismatch()),
        }
    }
}

/// Every value that was given, the winning one of each key.
#[derive(Debug, Default)]
struct Settings {
    given: BTreeMap<&'static str, Setting>,
    issuers: Vec<IssuerConfig>,
}

impl Settings {
    fn put(&mut self, key: &'static Key, origin: Origin, value: toml::Value) {
        self.given.insert(key.name, Setting { key, origin, value });
    }

    fn get(&self, name: &str) -> Option<&Setting> {
        self.given.get(name)
    }

    fn file(&mut self, path: &Path) -> Result<(), String> {
        let text = read(path)?;
        let mut table: toml::Table = toml::from_str(&text).map_err(|fault| {
            let line =
                fault.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
            let what = fault.message().replace('\n', " ");
            match line {
                Some(line) => format!("{}: line {line}: {what}", path.display()),
                None => format!("{}: {what}", path.display()),
            }
        })?;
        if let Some(tables) = table.remove(issuer::SECTION) {
            self.issuers = issuer::read(path, tables)?;
        }
        self.table(path, "", table)
    }

    fn table(&mut self, path: &Path, section: &str, table: toml::Table) -> Result<(), String> {
        for (word, value) in table {
            let name = format!("{section}{word}");
            let within = format!("{name}.");
            let is_section = KEYS.iter().any(|key| key.name.starts_with(&within));
            match (KEYS.iter().find(|key| key.name == name), value) {
                (Some(key), value) => self.put(key, Origin::File(path.to_owned()), value),
                (None, toml::Value::Table(inner)) if is_section => self.table(path, &within, inner)?,
                (None, _) if is_section => return Err(format!("{}: {name}: must be a table", path.display())),
                (None, _) => {
                    let near = nearest(&name, KEYS.iter().map(|key| key.name).chain([issuer::SECTION]));
                    return Err(format!("{}: {name}: there is no such key; the nearest is {near}", path.display()));
                }
            }
        }
        Ok(())
    }

    fn environment(&mut self, variables: &[(String, String)]) -> Result<(), String> {
        for (name, value) in variables {
            if let Some(key) = KEYS.iter().find(|key| key.env == name) {
                self.put(key, Origin::Environment, toml::Value::String(value.clone()));
            } else if name != FILE_VARIABLE && name != FILTER_VARIABLE {
                let known = KEYS.iter().map(|key| key.env).chain([FILE_VARIABLE, FILTER_VARIABLE]);
                return Err(format!("{name}: there is no such variable; the nearest is {}", nearest(name, known)));
            }
        }
        Ok(())
    }

    fn config(&self) -> Result<Config, String> {
        let listen = match self.get("listen") {
            Some(setting) => setting.text()?.parse().map_err(|_| setting.mismatch())?,
            None => SocketAddr::from(([127, 0, 0, 1], 8080)),
        };
        let log_format = match self.get("log_format") {
            Some(setting) => match setting.text()? {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err(setting.mismatch()),
            },
            None => LogFormat::Text,
        };
        Ok(Config {
            listen,
            database_url: self.database_url()?,
            log_format,
            builtin_issuer: self.get("builtin_issuer").map(Setting::flag).transpose()?,
            web: Web {
                graphiql: self.get("web.graphiql").map(Setting::flag).transpose()?,
                allowed_origins: self.allowed_origins()?,
                trusted_proxies: self.trusted_proxies()?,
                is_forwarded_standard: self.is_forwarded_standard()?,
                trusted_documents: self.trusted_documents()?,
            },
            tls: self.tls()?,
            limits: self.limits()?,
            issuers: self.issuers.clone(),
            graph: self.graph()?,
        })
    }

    fn database_url(&self) -> Result<DatabaseUrl, String> {
        let (url, from) = match (self.get("database_url"), self.get("database_url_file")) {
            (Some(url), Some(file)) if url.origin == file.origin => {
                return Err(file.fault("give this or database_url, not both"));
            }
            (Some(url), file) if file.is_none_or(|file| file.origin < url.origin) => (url.text()?.to_owned(), url),
            (_, Some(file)) => {
                (read(Path::new(file.text()?)).map_err(|what| file.fault(what))?.trim().to_owned(), file)
            }
            (_, None) => return Ok(DatabaseUrl("sqlite://riskgate.db".to_owned())),
        };
        if !["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(from.fault("a database URL begins with sqlite: or postgres://"));
        }
        Ok(DatabaseUrl(url))
    }

    fn limits(&self) -> Result<BTreeMap<&'static str, u64>, String> {
        let given =
            self.given.values().filter_map(|setting| Some((setting.key.name.strip_prefix("limits.")?, setting)));
        given.map(|(name, setting)| Ok((name, setting.number()?))).collect()
    }

    fn trusted_documents(&self) -> Result<Option<Vec<String>>, String> {
        let Some(setting) = self.get("web.trusted_documents") else { return Ok(None) };
        let text = read(Path::new(setting.text()?)).map_err(|what| setting.fault(what))?;
        let documents: BTreeMap<String, String> = serde_json::from_str(&text)
            .map_err(|what| setting.fault(format!("the file is no JSON object of texts: {what}")))?;
        Ok(Some(documents.into_values().collect()))
    }

    fn allowed_origins(&self) -> Result<Vec<String>, String> {
        let Some(setting) = self.get("web.allowed_origins") else { return Ok(Vec::new()) };
        let origins = setting.list()?;
        for origin in &origins {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let is_host = |host: &str| !host.is_empty() && !host.contains(['/', '*', '@', '?', '#', ' ']);
            if !host.is_some_and(is_host) || *origin != origin.to_ascii_lowercase() {
                let like = "such as https://portal.example.com (lower case, no path, no wildcard)";
                return Err(setting.fault(format!("{origin:?} is no origin {like}")));
            }
        }
        Ok(origins)
    }

    fn trusted_proxies(&self) -> Result<Vec<IpNet>, String> {
        let Some(setting) = self.get("web.trusted_proxies") else { return Ok(Vec::new()) };
        let read = |text: &String| {
            let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| setting.fault(format!("{text:?} is no address or network, such as 10.0.0.0/8")))
        };
        setting.list()?.iter().map(read).collect()
    }

    fn is_forwarded_standard(&self) -> Result<bool, String> {
        let Some(setting) = self.get("web.forwarded_header") else { return Ok(false) };
        match setting.text()? {
            "x-forwarded-for" => Ok(false),
            "forwarded" => Ok(true),
            _ => Err(setting.mismatch()),
        }
    }

    fn tls(&self) -> Result<Option<Tls>, String> {
        match (self.get("tls.certificate_file"), self.get("tls.private_key_file")) {
            (None, None) => Ok(None),
            (Some(certificate), Some(private_key)) => {
                Ok(Some(Tls { certificate: certificate.text()?.into(), private_key: private_key.text()?.into() }))
            }
            (Some(given), None) => Err(given.fault("tls.private_key_file is missing")),
            (None, Some(given)) => Err(given.fault("tls.certificate_file is missing")),
        }
    }
}

/// Reads the configuration.
///
/// `file` is what `--config` named, `command_line` the options that were given, by the name of their key, and `variables` the
/// environment, of which only what begins with [`PREFIX`] counts.
///
/// # Errors
/// One line that says where and what.
pub fn load(
    file: Option<PathBuf>,
    command_line: Vec<(&'static str, String)>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Config, String> {
    let mut ours = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        let value = value.into_string().map_err(|_| format!("{name}: is not UTF-8"))?;
        ours.push((name.to_owned(), value));
    }
    let named = || ours.iter().find(|(name, _)| name == FILE_VARIABLE).map(|(_, value)| PathBuf::from(value));
    let mut settings = Settings::default();
    if let Some(path) = file.or_else(named) {
        settings.file(&path)?;
    }
    settings.environment(&ours)?;
    for (name, value) in command_line {
        let key = KEYS.iter().find(|key| key.name == name).ok_or_else(|| format!("{name}: there is no such key"))?;
        settings.put(key, Origin::CommandLine, toml::Value::String(value));
    }
    settings.config()
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|fault| format!("{}: {fault}", path.display()))
}

/// The one of `known` that takes the fewest strokes to reach.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    known.min_by_key(|other| strsim::damerau_levenshtein(name, other)).unwrap_or("none")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn with(text: &str, environment: &[(&str, &str)], options: &[(&'static str, &str)]) -> Result<Config, String> {
        let file = file(text);
        let path = file.path().to_owned();
        load(
            Some(path.clone()),
            options.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
            environment.iter().map(|(name, value)| (name.into(), value.into())),
        )
        .map_err(|fault| {
            assert!(!fault.contains('\n'), "{fault}");
            fault.replace(path.to_str().unwrap(), "FILE")
        })
    }

    fn fault(text: &str, environment: &[(&str, &str)], options: &[(&'static str, &str)]) -> String {
        with(text, environment, options).unwrap_err()
    }

    #[test]
    fn the_defaults_hold_where_nothing_is_said() {
        let config = load(None, Vec::new(), []).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.database_url.0, "sqlite://riskgate.db");
        assert_eq!(config.log_format, LogFormat::Text);
        assert_eq!((config.builtin_issuer, config.web.graphiql), (None, None));
        assert!(config.web.allowed_origins.is_empty());
        let default = |name: &str| KEYS.iter().find(|key| key.name == name).unwrap().default;
        assert_eq!(default("listen"), config.listen.to_string());
        assert_eq!(default("database_url"), config.database_url.0);
    }

    #[test]
    fn the_command_line_wins_over_the_environment_and_that_over_the_file() {
        let text = "listen = '127.0.0.1:1'\nlog_format = 'json'\n[web]\ngraphiql = true\nallowed_origins = ['https://a.example']";
        let environment =
            [("RISKGATE_LISTEN", "127.0.0.1:2"), ("RISKGATE_WEB__ALLOWED_ORIGINS", "https://b.example, http://c:1")];
        let config = with(text, &environment, &[("listen", "127.0.0.1:3")]).unwrap();
        assert_eq!(config.listen.port(), 3);
        assert_eq!(config.log_format, LogFormat::Json);
        assert_eq!(config.web.graphiql, Some(true));
        assert_eq!(config.web.allowed_origins, ["https://b.example", "http://c:1"]);
        assert_eq!(with(text, &environment, &[]).unwrap().listen.port(), 2);
        assert_eq!(with(text, &[("PATH", "/"), ("RISKGATE_LOG", "debug")], &[]).unwrap().listen.port(), 1);
    }

    #[test]
    fn the_environment_can_name_the_file() {
        let file = file("listen = '127.0.0.1:7'");
        let config = load(None, Vec::new(), [("RISKGATE_CONFIG".into(), file.path().into())]).unwrap();
        assert_eq!(config.listen.port(), 7);
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_the_nearest() {
        assert_eq!(fault("lisen = 1", &[], &[]), "FILE: lisen: there is no such key; the nearest is listen");
        assert_eq!(
            fault("[web]\ngrafiql = true", &[], &[]),
            "FILE: web.grafiql: there is no such key; the nearest is web.graphiql"
        );
        assert!(fault("[[issuer]]\nurl = 'x'", &[], &[]).ends_with("the nearest is issuers"));
        assert!(fault("[graf]\ntenant = 'x'", &[], &[]).starts_with("FILE: graf: there is no such key"));
        assert_eq!(
            fault("", &[("RISKGATE_LISTN", "x")], &[]),
            "RISKGATE_LISTN: there is no such variable; the nearest is RISKGATE_LISTEN"
        );
    }

    #[test]
    fn every_error_says_where_and_what() {
        assert_eq!(fault("web = 1", &[], &[]), "FILE: web: must be a table");
        assert_eq!(
            fault("listen = 'localhost:1'", &[], &[]),
            "FILE: listen: must be an IP address and a port, not \"localhost:1\""
        );
        assert_eq!(
            fault("listen = 80", &[], &[]),
            "FILE: listen: must be an IP address and a port, not a value of type integer"
        );
        assert_eq!(
            fault("", &[("RISKGATE_BUILTIN_ISSUER", "yes")], &[]),
            "RISKGATE_BUILTIN_ISSUER: must be true or false, not \"yes\""
        );
        assert_eq!(fault("", &[], &[("log_format", "xml")]), "--log-format: must be text or json, not \"xml\"");
        assert!(fault("listen = 'a'\nlisten = 'b'", &[], &[]).starts_with("FILE: line 2: "));
        assert!(fault("\n\nlisten = \n", &[], &[]).starts_with("FILE: line 3: "));
        for origin in
            ["*", "https://a.example/", "portal.example.com", "https://", "https://A.example", "https://*.a.example"]
        {
            assert!(fault("", &[("RISKGATE_WEB__ALLOWED_ORIGINS", origin)], &[]).contains("is no origin"), "{origin}");
        }
        let missing = load(Some("/nowhere/riskgate.toml".into()), Vec::new(), []).unwrap_err();
        assert!(missing.starts_with("/nowhere/riskgate.toml: "), "{missing}");
    }

    #[test]
    fn the_database_url_can_come_from_a_file_and_is_never_shown() {
        let secret = file("postgres://u:hunter2@db/riskgate\n");
        let path = secret.path().to_str().unwrap().to_owned();
        let config = with("", &[("RISKGATE_DATABASE_URL_FILE", &path)], &[]).unwrap();
        assert_eq!(config.database_url.0, "postgres://u:hunter2@db/riskgate");
        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(!fault("database_url = 'mysql://u:hunter2@db'", &[], &[]).contains("hunter2"));
        assert!(!fault("database_url = ['hunter2']", &[], &[]).contains("hunter2"));
        let both = format!("database_url = 'sqlite://a.db'\ndatabase_url_file = '{path}'");
        assert!(fault(&both, &[], &[]).ends_with("not both"));
        let over =
            with(&both.replace("database_url =", "#"), &[("RISKGATE_DATABASE_URL", "sqlite://b.db")], &[]).unwrap();
        assert_eq!(over.database_url.0, "sqlite://b.db", "the environment wins over the file");
    }

    #[test]
    fn the_doors_are_configured() {
        let text = "[web]\ntrusted_proxies = ['10.0.0.0/8', '::1']\nforwarded_header = 'forwarded'
            [tls]\ncertificate_file = 'a.pem'\nprivate_key_file = 'b.pem'\n[limits]\nconnections = 7";
        let config = with(text, &[("RISKGATE_LIMITS__COST_BURST", "8")], &[]).unwrap();
        assert_eq!(config.web.trusted_proxies, ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
        assert!(config.web.is_forwarded_standard);
        assert_eq!(config.tls, Some(Tls { certificate: "a.pem".into(), private_key: "b.pem".into() }));
        assert_eq!(config.limits, [("connections", 7), ("cost_burst", 8)].into());

        assert_eq!(
            fault("[tls]\ncertificate_file = 'a'", &[], &[]),
            "FILE: tls.certificate_file: tls.private_key_file is missing"
        );
        assert_eq!(
            fault("[web]\ntrusted_proxies = ['proxy']", &[], &[]),
            "FILE: web.trusted_proxies: \"proxy\" is no address or network, such as 10.0.0.0/8"
        );
        for value in ["-1", "x", "1.5"] {
            let fault = fault("", &[("RISKGATE_LIMITS__CONNECTIONS", value)], &[]);
            assert!(fault.contains("must be a whole number"), "{fault}");
        }
        assert!(fault("[limits]\nconnections = '7'", &[], &[]).contains("must be a whole number"));
        assert!(fault("[limits]\nconections = 7", &[], &[]).ends_with("the nearest is limits.connections"));
    }

    #[test]
    fn the_variables_follow_from_the_names() {
        for key in &KEYS {
            assert_eq!(key.env, format!("{PREFIX}{}", key.name.to_uppercase().replace('.', "__")));
            if let Some(option) = key.option {
                assert_eq!(option, format!("--{}", key.name.replace('_', "-")));
            }
        }
    }

    #[test]
    fn the_page_and_the_table_say_the_same() {
        let page = include_str!("../docs/configuration.md");
        let shown: Vec<String> = page.lines().filter(|line| line.starts_with("| `")).map(str::to_owned).collect();
        let option = |key: &Key| key.option.map(|option| format!("`{option}`")).unwrap_or_default();
        let row = |key: &Key| {
            format!(
                "| `{}` | {} | {} | {} | {} | {} |",
                key.name,
                if key.env.is_empty() { String::new() } else { format!("`{}`", key.env) },
                option(key),
                key.kind,
                key.default,
                key.meaning
            )
        };
        assert_eq!(shown, KEYS.iter().chain(&ISSUER_KEYS).map(row).collect::<Vec<_>>());
    }
}
