//! The HTTP client: small, soon or not at all, from where the address says and nowhere else.

use std::error::Error;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};

use crate::auth::{DocumentFuture, Documents, FetchFault, is_safe};

/// The largest document that is read, in bytes. Key sets with certificates have some tens of thousands.
const SIZE_LIMIT: usize = 512 * 1024;

/// For a connection to stand.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// For the whole document, from the beginning.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(6);

/// Chooses who encrypts what this process asks of others; before it, no HTTP client can be made.
pub fn choose_cryptography() {
    // Whoever was first has chosen the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The HTTP client. It trusts the machine's own certificate authorities, and takes the proxy that the environment names
/// (`HTTPS_PROXY`, `NO_PROXY`); but what is read in the clear never leaves the machine.
#[derive(Debug, Clone)]
pub struct Web {
    /// Or why there is none: a machine without certificate authorities can still ask itself.
    outside: Result<Client, String>,
    inside: Client,
}

impl Web {
    /// A client.
    ///
    /// # Errors
    /// Where the operating system does not give what a client needs.
    pub fn new() -> Result<Web, String> {
        choose_cryptography();
        let builder = || {
            let timed = Client::builder().connect_timeout(CONNECT_LIMIT).timeout(TIME_LIMIT);
            timed.redirect(Policy::none()).user_agent("riskgate")
        };
        let fault = |fault| format!("the HTTP client does not start: {}", told(&fault));
        let outside = builder().https_only(true).build().map_err(fault);
        let inside = builder().no_proxy().tls_certs_only([]).build().map_err(fault)?;
        Ok(Web { outside, inside })
    }

    /// The client by which this address may be asked.
    pub(super) fn client(&self, url: &str) -> Result<&Client, FetchFault> {
        if !is_safe(url) {
            return Err(FetchFault::Unsafe);
        }
        match (&self.outside, url.starts_with("https:")) {
            (_, false) => Ok(&self.inside),
            (Ok(outside), true) => Ok(outside),
            (Err(why), true) => Err(FetchFault::Unreachable(why.clone())),
        }
    }

    async fn read(&self, url: &str) -> Result<Vec<u8>, FetchFault> {
        let request = self.client(url)?.get(url).header("accept", "application/json");
        let response = request.send().await.map_err(judged)?;
        if response.status() != StatusCode::OK {
            return Err(FetchFault::Status(response.status().as_u16()));
        }
        body(response, SIZE_LIMIT).await
    }
}

/// The body of an answer, of so many bytes at most.
pub(super) async fn body(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, FetchFault> {
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(FetchFault::TooLarge);
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(judged)? {
        if bytes.len() + chunk.len() > limit {
            return Err(FetchFault::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

impl Documents for Web {
    fn get<'a>(&'a self, url: &'a str) -> DocumentFuture<'a> {
        Box::pin(self.read(url))
    }
}

pub(super) fn judged(fault: reqwest::Error) -> FetchFault {
    if fault.is_timeout() { FetchFault::Slow } else { FetchFault::Unreachable(told(&fault.without_url())) }
}

/// The innermost cause says what is wrong; what stands around it only that something is.
fn told(fault: &dyn Error) -> String {
    let mut at = fault;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}
