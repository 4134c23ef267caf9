//! `[graph]`: Microsoft Graph as directory and risk source. Nothing of it given: Graph is asked nothing.

use std::fmt;
use std::path::PathBuf;

use entity::Seconds;

use super::{Setting, Settings};
use crate::domain::address::is_safe;
use crate::domain::duration;

/// Freshness is a promise: no copy of a risk or of a role counts for longer than this.
const MAX_AGE: Seconds = Seconds::minutes(5);

/// The forms of credentials, by the key that says which.
const CREDENTIALS: [&str; 4] =
    ["graph.client_secret", "graph.client_secret_file", "graph.certificate_file", "graph.federated_token_file"];

/// A secret: not printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// How the program shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// By a secret.
    Secret(Secret),
    /// By a secret in a file.
    SecretFile(PathBuf),
    /// By a signature with the key of a certificate.
    Certificate {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of its private key.
        private_key: PathBuf,
    },
    /// By a token that whoever runs the program puts into a file.
    Federated(PathBuf),
}

/// What the section says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphConfig {
    /// The tenant.
    pub tenant: String,
    /// The app registration.
    pub client_id: String,
    /// How it shows who it is.
    pub credential: Credential,
    /// Where tokens are asked for, without a slash at its end.
    pub authority: String,
    /// Where Graph is, without a slash at its end.
    pub base_url: String,
    /// Does the directory come from there?
    pub directory: bool,
    /// Does ID Protection risk?
    pub risk: bool,
    /// Between two looks at the directory.
    pub directory_interval: Seconds,
    /// Between two sweeps of risk.
    pub risk_interval: Seconds,
    /// So old a sweep may be.
    pub risk_max_age: Seconds,
    /// So old a role may be.
    pub role_max_age: Seconds,
}

impl Settings {
    pub(super) fn graph(&self) -> Result<Option<GraphConfig>, String> {
        let Some(first) = self.given.values().find(|setting| setting.key.name.starts_with("graph.")) else {
            return Ok(None);
        };
        let required = |name| self.graph_text(name)?.ok_or_else(|| first.fault(format!("{name} is missing")));
        let tenant = required("graph.tenant")?;
        if !tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.') {
            let setting = self.get("graph.tenant").unwrap_or(first);
            return Err(setting.fault(format!("{tenant:?} is neither a tenant's id nor a domain")));
        }
        let address = |name, default: &str| {
            let address = self.graph_text(name)?.unwrap_or_else(|| default.to_owned());
            let address = address.trim_end_matches('/');
            let host = address.split_once("://").map_or("", |(_, host)| host);
            match self.get(name) {
                Some(setting) if host.is_empty() || host.contains(['/', '?', '#']) => {
                    Err(setting.fault(format!("{address:?} is no address such as {default} (without a path)")))
                }
                // In the clear a secret or a token never leaves the machine.
                Some(setting) if !is_safe(address) => {
                    Err(setting.fault(format!("{address:?} must be https, or http to a loopback address")))
                }
                _ => Ok(address.to_owned()),
            }
        };
        let flag = |name| Ok::<_, String>(self.get(name).map(Setting::flag).transpose()?.unwrap_or(true));
        let risk_interval = self.graph_span("graph.risk_interval", Seconds::minutes(1), Seconds::days(1))?;
        let risk_max_age = self.graph_span("graph.risk_max_age", MAX_AGE, MAX_AGE)?;
        if risk_interval > risk_max_age {
            let setting = self.get("graph.risk_interval").or(self.get("graph.risk_max_age")).unwrap_or(first);
            return Err(setting.fault("with sweeps this far apart none would ever be younger than graph.risk_max_age"));
        }
        Ok(Some(GraphConfig {
            tenant,
            client_id: required("graph.client_id")?,
            credential: self.credential(first)?,
            authority: address("graph.authority", "https://login.microsoftonline.com")?,
            base_url: address("graph.base_url", "https://graph.microsoft.com")?,
            directory: flag("graph.directory")?,
            risk: flag("graph.risk")?,
            directory_interval: self.graph_span("graph.directory_interval", Seconds::minutes(1), Seconds::days(1))?,
            risk_interval,
            risk_max_age,
            role_max_age: self.graph_span("graph.role_max_age", MAX_AGE, MAX_AGE)?,
        }))
    }

    /// One form of credentials; of several the one that stands where it wins.
    fn credential(&self, first: &Setting) -> Result<Credential, String> {
        let mut given: Vec<_> = CREDENTIALS.iter().filter_map(|name| self.get(name)).collect();
        given.sort_by(|a, b| b.origin.cmp(&a.origin));
        let chosen = match given[..] {
            [] => {
                let forms = CREDENTIALS.join(", ");
                return Err(first.fault(format!("one of these is missing: {forms}")));
            }
            [one, other, ..] if one.origin == other.origin => {
                return Err(other.fault(format!("give this or {}, not both", one.key.name)));
            }
            [one, ..] => one,
        };
        let key = self.graph_text("graph.private_key_file")?;
        let name = chosen.key.name;
        let value = self.graph_text(name)?.unwrap_or_default();
        match (name, key) {
            ("graph.certificate_file", Some(key)) => {
                Ok(Credential::Certificate { certificate: value.into(), private_key: key.into() })
            }
            ("graph.certificate_file", None) => Err(chosen.fault("graph.private_key_file is missing")),
            ("graph.client_secret", _) => Ok(Credential::Secret(Secret(value))),
            ("graph.client_secret_file", _) => Ok(Credential::SecretFile(value.into())),
            _ => Ok(Credential::Federated(value.into())),
        }
    }

    fn graph_text(&self, name: &str) -> Result<Option<String>, String> {
        let Some(setting) = self.get(name) else { return Ok(None) };
        let text = setting.text()?;
        if text.trim().is_empty() || text.trim() != text {
            return Err(setting.fault("must not be empty, nor begin or end with a space"));
        }
        Ok(Some(text.to_owned()))
    }

    fn graph_span(&self, name: &str, default: Seconds, max: Seconds) -> Result<Seconds, String> {
        let Some(setting) = self.get(name) else { return Ok(default) };
        let span = duration::parse(setting.text()?).ok_or_else(|| setting.mismatch())?;
        if span < Seconds(1) || span > max {
            return Err(setting.fault(format!("must be from PT1S to {}", duration::print(max))));
        }
        Ok(span)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, load};
    use super::*;

    fn with(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let variables = environment.iter().map(|(name, value)| (name.into(), value.into()));
        load(Some(file.path().to_owned()), Vec::new(), variables).map_err(|fault| {
            assert!(!fault.contains('\n') && !fault.contains("s3cret"), "{fault}");
            fault.replace(file.path().to_str().unwrap(), "FILE")
        })
    }

    const GOOD: &str = "[graph]\ntenant = 'contoso.example'\nclient_id = 'c'\n";

    #[test]
    fn without_the_section_there_is_no_graph_and_what_is_left_out_has_its_default() {
        assert_eq!(with("", &[]).unwrap().graph, None);
        let graph = with(&format!("{GOOD}client_secret = 's3cret'"), &[]).unwrap().graph.unwrap();
        assert!(!format!("{graph:?}").contains("s3cret"));
        let wanted = GraphConfig {
            tenant: "contoso.example".to_owned(),
            client_id: "c".to_owned(),
            credential: Credential::Secret(Secret("s3cret".to_owned())),
            authority: "https://login.microsoftonline.com".to_owned(),
            base_url: "https://graph.microsoft.com".to_owned(),
            directory: true,
            risk: true,
            directory_interval: Seconds::minutes(1),
            risk_interval: Seconds::minutes(1),
            risk_max_age: Seconds::minutes(5),
            role_max_age: Seconds::minutes(5),
        };
        assert_eq!(graph, wanted);
        let text = format!(
            "{GOOD}certificate_file = 'c.pem'\nprivate_key_file = 'k.pem'\nauthority = 'http://127.0.0.1:1/'\n\
             base_url = 'http://127.0.0.1:2'\ndirectory = false\nrisk_interval = 'PT30S'\nrole_max_age = 'PT90S'"
        );
        let graph = with(&text, &[("RISKGATE_GRAPH__RISK_MAX_AGE", "PT2M")]).unwrap().graph.unwrap();
        let credential = Credential::Certificate { certificate: "c.pem".into(), private_key: "k.pem".into() };
        assert_eq!(
            graph,
            GraphConfig {
                credential,
                authority: "http://127.0.0.1:1".to_owned(),
                base_url: "http://127.0.0.1:2".to_owned(),
                directory: false,
                risk_interval: Seconds(30),
                risk_max_age: Seconds::minutes(2),
                role_max_age: Seconds(90),
                ..wanted
            }
        );
    }

    #[test]
    fn of_several_credentials_the_one_that_stands_where_it_wins_is_taken() {
        let text = format!("{GOOD}client_secret = 's3cret'");
        let graph = with(&text, &[("RISKGATE_GRAPH__CLIENT_SECRET_FILE", "/run/secret")]).unwrap().graph.unwrap();
        assert_eq!(graph.credential, Credential::SecretFile("/run/secret".into()));
        let graph = with(&text, &[("RISKGATE_GRAPH__FEDERATED_TOKEN_FILE", "/run/token")]).unwrap().graph.unwrap();
        assert_eq!(graph.credential, Credential::Federated("/run/token".into()));
    }

    #[test]
    fn every_slip_says_where_and_what() {
        let good = format!("{GOOD}client_secret = 's3cret'\n");
        for (text, fault) in [
            ("[graph]\ntenant = 't'".to_owned(), "FILE: graph.tenant: graph.client_id is missing"),
            ("[graph]\nclient_id = 'c'".to_owned(), "FILE: graph.client_id: graph.tenant is missing"),
            (
                GOOD.to_owned(),
                "FILE: graph.client_id: one of these is missing: graph.client_secret, graph.client_secret_file, \
                 graph.certificate_file, graph.federated_token_file",
            ),
            (
                format!("{good}client_secret_file = 'f'"),
                "FILE: graph.client_secret_file: give this or graph.client_secret, not both",
            ),
            (
                format!("{GOOD}certificate_file = 'c.pem'"),
                "FILE: graph.certificate_file: graph.private_key_file is missing",
            ),
            (
                good.replace("contoso.example", "a/b"),
                "FILE: graph.tenant: \"a/b\" is neither a tenant's id nor a domain",
            ),
            (
                format!("{good}base_url = 'https://graph.example/v1.0'"),
                "FILE: graph.base_url: \"https://graph.example/v1.0\" is no address such as https://graph.microsoft.com (without a path)",
            ),
            (
                format!("{good}base_url = 'http://graph.example'"),
                "FILE: graph.base_url: \"http://graph.example\" must be https, or http to a loopback address",
            ),
            (
                format!("{good}authority = 'http://169.254.169.254'"),
                "FILE: graph.authority: \"http://169.254.169.254\" must be https, or http to a loopback address",
            ),
            (
                format!("{good}authority = 'ftp://127.0.0.1'"),
                "FILE: graph.authority: \"ftp://127.0.0.1\" must be https, or http to a loopback address",
            ),
            (format!("{good}risk_max_age = 'PT6M'"), "FILE: graph.risk_max_age: must be from PT1S to PT5M"),
            (format!("{good}role_max_age = 'PT0S'"), "FILE: graph.role_max_age: must be from PT1S to PT5M"),
            (
                format!("{good}risk_max_age = '5 minutes'"),
                "FILE: graph.risk_max_age: must be a span of time such as PT1M, not \"5 minutes\"",
            ),
            (
                format!("{good}risk_interval = 'PT10M'"),
                "FILE: graph.risk_interval: with sweeps this far apart none would ever be younger than graph.risk_max_age",
            ),
            (format!("{good}risk = 'yes'"), "FILE: graph.risk: must be true or false, not \"yes\""),
            (format!("{good}secret = 'x'"), "FILE: graph.secret: there is no such key; the nearest is graph.tenant"),
        ] {
            let said = with(&text, &[]).unwrap_err();
            match fault.split_once("nearest is") {
                Some((fault, _)) => assert!(said.starts_with(fault), "{said}"),
                None => assert_eq!(said, fault),
            }
        }
    }
}
