//! What can go wrong with Graph, and what of its own words is worth keeping: the codes, never the message.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// Errors within errors that are looked into.
const DEPTH: usize = 8;

/// What Graph, or something before it, says when it refuses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The codes of the error and of those within it, outermost first. None: the body is not Graph's own.
    pub codes: Vec<String>,
    /// By which Microsoft finds the question again.
    pub request_id: Option<String>,
}

impl Refusal {
    /// Reads what can be read of an error's body.
    pub(super) fn read(status: u16, body: &[u8]) -> Refusal {
        let mut refusal = Refusal { status, ..Refusal::default() };
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut at = body.get("error");
        while let Some(Value::Object(error)) = at {
            refusal.codes.extend(error.get("code").and_then(word));
            if let Some(id) = error.get("request-id").and_then(word) {
                refusal.request_id.get_or_insert(id);
            }
            at = error.get("innerError").or_else(|| error.get("innererror"));
            if refusal.codes.len() >= DEPTH {
                break;
            }
        }
        refusal
    }

    /// Did Graph itself say so?
    pub fn is_own(&self) -> bool {
        !self.codes.is_empty()
    }

    /// Is one of the codes this one?
    pub fn has(&self, code: &str) -> bool {
        self.codes.iter().any(|other| other.eq_ignore_ascii_case(code))
    }
}

/// A code, and nothing that could forge a line of the log.
pub(super) fn word(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    (!text.is_empty() && text.len() <= 100 && is_word(text)).then(|| text.to_owned())
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        if self.is_own() {
            write!(f, ", {}", self.codes.join(" "))?;
        }
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GraphFault {
    /// Nobody answers, or the answer breaks off.
    Unreachable(String),
    /// It did not come in time.
    Slow,
    /// Come again: throttled, or out of order for the moment.
    Busy {
        /// What was said.
        refusal: Refusal,
        /// After so long, where that was said.
        wait: Option<Duration>,
    },
    /// The token is not taken. The next question has a new one.
    Unauthorized(Refusal),
    /// No: it is not there, may not be done, or is not understood.
    Refused(Refusal),
    /// An answer that makes no sense.
    Garbled(String),
    /// There is no token to ask with.
    NoToken(String),
}

impl GraphFault {
    /// Does Graph itself say that there is no such thing? A 404 of something before it says nothing.
    pub fn is_not_found(&self) -> bool {
        matches!(self, GraphFault::Refused(refusal) if refusal.status == 404 && refusal.is_own())
    }

    /// Is what was asked for changes no longer kept, so that everything must be read again?
    pub fn is_resync(&self) -> bool {
        matches!(self, GraphFault::Refused(refusal) if refusal.status == 410)
    }

    /// Does Graph not know any more where a link was? One that it cannot read is as good as forgotten.
    pub fn is_forgotten(&self) -> bool {
        self.is_resync() || matches!(self, GraphFault::Refused(refusal) if refusal.status == 400 && refusal.is_own())
    }

    /// Is a permission missing?
    pub fn is_forbidden(&self) -> bool {
        matches!(self, GraphFault::Refused(refusal) if refusal.status == 403)
    }

    /// Is it more than Graph wants to be asked?
    pub fn is_throttled(&self) -> bool {
        matches!(self, GraphFault::Busy { refusal, .. } if refusal.status == 429)
    }

    /// How long Graph wants to be left alone, where it says so.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            GraphFault::Busy { wait, .. } => *wait,
            _ => None,
        }
    }
}

impl fmt::Display for GraphFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GraphFault::Unreachable(why) => write!(f, "cannot be reached: {why}"),
            GraphFault::Slow => f.write_str("does not answer in time"),
            GraphFault::Busy { refusal, .. } => write!(f, "wants to be asked later: {refusal}"),
            GraphFault::Unauthorized(refusal) => write!(f, "does not take the token: {refusal}"),
            GraphFault::Refused(refusal) => write!(f, "refuses: {refusal}"),
            GraphFault::Garbled(why) => write!(f, "answers what cannot be used: {why}"),
            GraphFault::NoToken(why) => write!(f, "gives no token: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_at_every_depth_and_nothing_else_is_kept() {
        let body =
            br#"{"error":{"code":"TooManyRequests","message":"slow\ndown","innerError":{"date":"x","request-id":"r-1",
            "innererror":{"code":"inner.1"}}}}"#;
        let refusal = Refusal::read(429, body);
        assert_eq!(refusal.codes, ["TooManyRequests", "inner.1"]);
        assert!(refusal.has("toomanyrequests") && refusal.is_own());
        assert_eq!(refusal.to_string(), "status 429, TooManyRequests inner.1 (request r-1)");
        for body in [
            "<html>404</html>",
            "",
            "[]",
            "null",
            r#"{"error":"x"}"#,
            r#"{"error":{"code":7}}"#,
            r#"{"error":{"code":"a b"}}"#,
        ] {
            assert!(!Refusal::read(404, body.as_bytes()).is_own(), "{body}");
        }
        let mut deep = String::from("null");
        for _ in 0..100 {
            deep = format!(r#"{{"code":"c","innerError":{deep}}}"#);
        }
        assert_eq!(Refusal::read(400, format!(r#"{{"error":{deep}}}"#).as_bytes()).codes.len(), DEPTH);
    }
}
