//! `[[issuers]]`: the identity providers. A table for each, in the file only, for a variable cannot say which one it means.

use std::path::Path;

use super::{Key, Kind, Origin, Setting, nearest};
use crate::domain::address::is_safe;

/// The section's name.
pub(super) const SECTION: &str = "issuers";

/// The keys of each table.
pub static ISSUER_KEYS: [Key; 6] = [
    Key {
        name: "issuers.url",
        env: "",
        option: None,
        kind: Kind::Text,
        default: "required",
        meaning: "The identity provider: exactly what its tokens have as `iss`. Its discovery document stands below it.",
    },
    Key {
        name: "issuers.audiences",
        env: "",
        option: None,
        kind: Kind::List,
        default: "required",
        meaning: "What a token's `aud` must name, any of them.",
    },
    Key {
        name: "issuers.tenant",
        env: "",
        option: None,
        kind: Kind::Text,
        default: "none",
        meaning: "The only `tid` that is accepted.",
    },
    Key {
        name: "issuers.jwks_url",
        env: "",
        option: None,
        kind: Kind::Text,
        default: "by discovery",
        meaning: "Where the key set is, instead of asking the discovery document.",
    },
    Key {
        name: "issuers.user_claim",
        env: "",
        option: None,
        kind: Kind::Text,
        default: "oid",
        meaning: "The claim that names the person: the object id that the directory has.",
    },
    Key {
        name: "issuers.app_claim",
        env: "",
        option: None,
        kind: Kind::Text,
        default: "none",
        meaning: "A claim that only app-only tokens carry, where the provider does not say `idtyp`.",
    },
];

/// One identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerConfig {
    /// What its tokens have as `iss`.
    pub url: String,
    /// Any of which a token must be for.
    pub audiences: Vec<String>,
    /// The only `tid`, if one is given.
    pub tenant: Option<String>,
    /// Where the key set is, if not where discovery says.
    pub jwks_url: Option<String>,
    /// The claim with the person's object id.
    pub user_claim: String,
    /// The claim that marks app-only tokens.
    pub app_claim: Option<String>,
}

/// Reads the array of tables.
pub(super) fn read(path: &Path, value: toml::Value) -> Result<Vec<IssuerConfig>, String> {
    let tables = match value {
        toml::Value::Array(items) => items.into_iter().map(|item| match item {
            toml::Value::Table(table) => Ok(table),
            _ => Err(format!("{}: {SECTION}: must be tables, each begun by [[{SECTION}]]", path.display())),
        }),
        _ => return Err(format!("{}: {SECTION}: must be tables, each begun by [[{SECTION}]]", path.display())),
    };
    let mut issuers: Vec<IssuerConfig> = Vec::new();
    for (index, table) in tables.enumerate() {
        let issuer = Entry::new(path, index, table?)?.issuer()?;
        if issuers.iter().any(|other| other.url == issuer.url) {
            return Err(format!("{}: {SECTION}[{index}].url: {:?} stands twice", path.display(), issuer.url));
        }
        issuers.push(issuer);
    }
    Ok(issuers)
}

/// One table, its keys known.
struct Entry<'a> {
    path: &'a Path,
    index: usize,
    settings: Vec<Setting>,
}

impl<'a> Entry<'a> {
    fn new(path: &'a Path, index: usize, table: toml::Table) -> Result<Entry<'a>, String> {
        let names = || ISSUER_KEYS.iter().map(word);
        let mut settings = Vec::new();
        for (name, value) in table {
            let Some(key) = ISSUER_KEYS.iter().find(|key| word(key) == name) else {
                let (path, near) = (path.display(), nearest(&name, names()));
                return Err(format!("{path}: {SECTION}[{index}].{name}: there is no such key; the nearest is {near}"));
            };
            settings.push(Setting { key, origin: Origin::File(path.to_owned()), value });
        }
        Ok(Entry { path, index, settings })
    }

    fn issuer(&self) -> Result<IssuerConfig, String> {
        Ok(IssuerConfig {
            url: self.required("url", self.url()?)?,
            audiences: self.required("audiences", self.audiences()?)?,
            tenant: self.text("tenant")?,
            jwks_url: self.address("jwks_url")?,
            user_claim: self.text("user_claim")?.unwrap_or_else(|| "oid".to_owned()),
            app_claim: self.text("app_claim")?,
        })
    }

    fn get(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| word(setting.key) == name)
    }

    fn text(&self, name: &str) -> Result<Option<String>, String> {
        let Some(setting) = self.get(name) else { return Ok(None) };
        let text = setting.text().map_err(|fault| self.placed(&fault))?;
        if text.trim().is_empty() || text.trim() != text {
            return Err(self.placed(&setting.fault("must not be empty, nor begin or end with a space")));
        }
        Ok(Some(text.to_owned()))
    }

    fn address(&self, name: &str) -> Result<Option<String>, String> {
        let address = self.text(name)?;
        match self.get(name).zip(address.as_ref()) {
            Some((setting, address)) if !is_safe(address) => {
                Err(self.placed(&setting.fault(format!("{address:?} must be https, or http to a loopback address"))))
            }
            _ => Ok(address),
        }
    }

    fn url(&self) -> Result<Option<String>, String> {
        let url = self.address("url")?;
        match self.get("url").zip(url.as_ref()) {
            // The discovery document stands below it.
            Some((setting, url)) if url.contains(['?', '#', ' ']) => {
                Err(self.placed(&setting.fault(format!("{url:?} must have neither a query nor a fragment"))))
            }
            _ => Ok(url),
        }
    }

    fn audiences(&self) -> Result<Option<Vec<String>>, String> {
        let Some(setting) = self.get("audiences") else { return Ok(None) };
        let audiences = setting.list().map_err(|fault| self.placed(&fault))?;
        if audiences.is_empty() || audiences.iter().any(|audience| audience.trim().is_empty()) {
            return Err(self.placed(&setting.fault("name at least one audience, none of them empty")));
        }
        Ok(Some(audiences))
    }

    fn required<T>(&self, name: &str, value: Option<T>) -> Result<T, String> {
        let (path, index) = (self.path.display(), self.index);
        value.ok_or_else(|| format!("{path}: {SECTION}[{index}].{name}: is missing"))
    }

    /// The same fault, with the number of the table.
    fn placed(&self, fault: &str) -> String {
        fault.replacen(&format!(": {SECTION}."), &format!(": {SECTION}[{}].", self.index), 1)
    }
}

/// The key's name within its table.
fn word(key: &Key) -> &str {
    key.name.strip_prefix("issuers.").unwrap_or(key.name)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::{Config, load};
    use super::*;

    fn with(text: &str) -> Result<Config, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        load(Some(file.path().to_owned()), Vec::new(), []).map_err(|fault| {
            assert!(!fault.contains('\n'), "{fault}");
            fault.replace(file.path().to_str().unwrap(), "FILE")
        })
    }

    #[test]
    fn each_table_is_a_provider_and_what_is_left_out_has_its_default() {
        let text = "[[issuers]]\nurl = 'https://a.example/v2.0'\naudiences = ['api://riskgate', 'x']\n\
             [[issuers]]\nurl = 'https://b.example'\naudiences = ['y']\ntenant = 't'\njwks_url = 'https://b.example/keys'\n\
             user_claim = 'sub'\napp_claim = 'client_id'\n";
        let config = with(text).unwrap();
        assert_eq!(
            config.issuers,
            [
                IssuerConfig {
                    url: "https://a.example/v2.0".to_owned(),
                    audiences: vec!["api://riskgate".to_owned(), "x".to_owned()],
                    tenant: None,
                    jwks_url: None,
                    user_claim: "oid".to_owned(),
                    app_claim: None,
                },
                IssuerConfig {
                    url: "https://b.example".to_owned(),
                    audiences: vec!["y".to_owned()],
                    tenant: Some("t".to_owned()),
                    jwks_url: Some("https://b.example/keys".to_owned()),
                    user_claim: "sub".to_owned(),
                    app_claim: Some("client_id".to_owned()),
                },
            ]
        );
        assert!(with("").unwrap().issuers.is_empty());
    }

    #[test]
    fn every_slip_says_where_and_what() {
        let good = "[[issuers]]\nurl = 'https://a.example'\naudiences = ['x']\n";
        for (text, fault) in [
            ("issuers = 1".to_owned(), "FILE: issuers: must be tables, each begun by [[issuers]]"),
            ("issuers = ['x']".to_owned(), "FILE: issuers: must be tables, each begun by [[issuers]]"),
            ("[issuers]\nurl = 'x'".to_owned(), "FILE: issuers: must be tables, each begun by [[issuers]]"),
            ("[[issuers]]\naudiences = ['x']".to_owned(), "FILE: issuers[0].url: is missing"),
            (format!("{good}[[issuers]]\nurl = 'https://b.example'"), "FILE: issuers[1].audiences: is missing"),
            (
                format!("{good}audience = 'x'"),
                "FILE: issuers[0].audience: there is no such key; the nearest is audiences",
            ),
            (format!("{good}tenant = 7"), "FILE: issuers[0].tenant: must be a text, not a value of type integer"),
            (
                format!("{good}app_claim = ' '"),
                "FILE: issuers[0].app_claim: must not be empty, nor begin or end with a space",
            ),
            (format!("{good}{good}"), "FILE: issuers[1].url: \"https://a.example\" stands twice"),
            (
                good.replace("https", "http"),
                "FILE: issuers[0].url: \"http://a.example\" must be https, or http to a loopback address",
            ),
            (
                good.replace("a.example", "a.example/?tenant=1"),
                "FILE: issuers[0].url: \"https://a.example/?tenant=1\" must have neither a query nor a fragment",
            ),
            (
                good.replace("a.example", "a.example#x"),
                "FILE: issuers[0].url: \"https://a.example#x\" must have neither a query nor a fragment",
            ),
            (
                format!("{good}jwks_url = 'ftp://a.example/keys'"),
                "FILE: issuers[0].jwks_url: \"ftp://a.example/keys\" must be https, or http to a loopback address",
            ),
            (good.replace("['x']", "[]"), "FILE: issuers[0].audiences: name at least one audience, none of them empty"),
            (good.replace("['x']", "'x'"), "FILE: issuers[0].audiences: must be a list of texts, not \"x\""),
        ] {
            assert_eq!(with(&text).unwrap_err(), fault);
        }
    }
}
