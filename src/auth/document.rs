//! The port by which an identity provider's documents are read, and what can be wrong with one.

use std::fmt;
use std::pin::Pin;

/// A document's bytes, once they are there.
pub type DocumentFuture<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, FetchFault>> + Send + 'a>>;

/// Where documents come from. Whoever implements it bounds time and size, asks only what [`is_safe`](crate::domain::address::is_safe), and
/// follows no redirect.
pub trait Documents: Send + Sync {
    /// Reads the document at this address.
    fn get<'a>(&'a self, url: &'a str) -> DocumentFuture<'a>;
}

/// Why a document could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchFault {
    /// The address may not be asked.
    Unsafe,
    /// Nobody answers there, or not in a way that can be trusted.
    Unreachable(String),
    /// It did not arrive in time.
    Slow,
    /// Another answer than 200.
    Status(u16),
    /// More than a document of its kind can have.
    TooLarge,
}

/// The documents of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// Its discovery document.
    Discovery,
    /// Its key set.
    KeySet,
}

/// What is wrong with a provider: which document, where, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderFault {
    document: Document,
    url: String,
    brief: String,
    detail: Option<String>,
}

impl ProviderFault {
    /// A document that could not be had.
    pub(super) fn fetch(document: Document, url: &str, why: FetchFault) -> ProviderFault {
        let (brief, detail) = match why {
            FetchFault::Unsafe => ("is where none may be read".to_owned(), None),
            FetchFault::Unreachable(detail) => ("cannot be reached".to_owned(), Some(detail)),
            FetchFault::Slow => ("does not arrive in time".to_owned(), None),
            FetchFault::Status(status) => (format!("is answered with status {status}"), None),
            FetchFault::TooLarge => ("is too large".to_owned(), None),
        };
        ProviderFault { document, url: url.to_owned(), brief, detail }
    }

    /// A provider that takes too long over all of its documents.
    pub(super) fn slow(document: Document, url: &str) -> ProviderFault {
        ProviderFault::fetch(document, url, FetchFault::Slow)
    }

    /// A document that is not what it should be.
    pub(super) fn content(document: Document, url: &str, brief: &str, detail: String) -> ProviderFault {
        ProviderFault { document, url: url.to_owned(), brief: brief.to_owned(), detail: Some(detail) }
    }

    /// The fault in words that anybody may read: nothing that an answer or a network said.
    pub fn brief(&self) -> String {
        let document = match self.document {
            Document::Discovery => "discovery document",
            Document::KeySet => "key set",
        };
        format!("its {document} {}", self.brief)
    }
}

impl fmt::Display for ProviderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.brief(), self.url)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_which_document_and_why_and_briefly_nothing_that_others_said() {
        let fault = ProviderFault::fetch(
            Document::KeySet,
            "https://a.example/keys",
            FetchFault::Unreachable("refused by 10.0.0.7".to_owned()),
        );
        assert_eq!(fault.to_string(), "its key set cannot be reached (https://a.example/keys: refused by 10.0.0.7)");
        assert_eq!(fault.brief(), "its key set cannot be reached");
        let fault = ProviderFault::fetch(Document::Discovery, "u", FetchFault::Status(503));
        assert_eq!(fault.to_string(), "its discovery document is answered with status 503 (u)");
    }
}
