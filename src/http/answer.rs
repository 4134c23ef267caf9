//! What goes back: a GraphQL result in the form of the specification, with every error under a code of ours and nothing of the
//! inside in its text.

use std::any::Any;
use std::collections::BTreeMap;
use std::time::Duration;

use async_graphql::{ErrorExtensionValues, Response, ServerError, Value};
use serde::Serialize;
use uuid::Uuid;

use crate::telemetry::{ERROR_CODES, Metrics};

/// Longest text of an error that quotes the client's own words, in characters.
const MESSAGE_LIMIT: usize = 200;

/// Most errors told about one document.
const ERRORS_LIMIT: usize = 5;

/// One result. async-graphql's own always has `data`, which a result may not have where execution did not begin.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ServerError>,
    /// None: execution did not begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extensions: BTreeMap<String, Value>,
}

impl Answer {
    /// A refusal before execution.
    pub fn refused(code: &str, message: impl Into<String>, metrics: &Metrics) -> Answer {
        Answer::refusing(vec![ServerError::new(message, None)], code, metrics)
    }

    /// The same with errors that have places in the document.
    pub fn refusing(mut errors: Vec<ServerError>, code: &str, metrics: &Metrics) -> Answer {
        for error in &mut errors {
            put_code(error, code, metrics);
        }
        Answer { errors, data: None, extensions: BTreeMap::new() }
    }

    /// The token is over, or its person is no longer somebody.
    pub fn unauthenticated(metrics: &Metrics) -> Answer {
        Answer::refused("UNAUTHENTICATED", "A valid bearer token is needed.", metrics)
    }

    /// The database does not answer.
    pub fn unavailable(metrics: &Metrics) -> Answer {
        Answer::refused("UNAVAILABLE", "The service is not available now. Try again.", metrics)
    }

    /// A resolver panicked with this payload, whose text goes into the log.
    pub fn panicked(payload: &(dyn Any + Send), metrics: &Metrics) -> Answer {
        metrics.panics.add_one();
        let text =
            payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let mut error = ServerError::new(format!("panic: {}", text.unwrap_or("no message")), None);
        mask(&mut error, metrics);
        Answer { errors: vec![error], data: None, extensions: BTreeMap::new() }
    }

    /// The engine's response, made fit to leave the house.
    pub fn of(mut response: Response, metrics: &Metrics) -> Answer {
        // Only an error of a field has a path, so without data and paths no resolver ran.
        let has_begun = response.is_ok()
            || response.data != Value::Null
            || response.errors.iter().any(|error| !error.path.is_empty());
        if !has_begun {
            response.errors.truncate(ERRORS_LIMIT);
        }
        for error in &mut response.errors {
            match own_code(error) {
                Some(code) => metrics.count_error(code),
                None if !has_begun || is_coercion(error) => {
                    error.message = shortened(&error.message);
                    put_code(error, "BAD_USER_INPUT", metrics);
                }
                None => mask(error, metrics),
            }
        }
        Answer { errors: response.errors, data: has_begun.then_some(response.data), extensions: response.extensions }
    }

    /// How many values it has, as an operation's cost counts them: one for each field.
    pub fn values(&self) -> u64 {
        fn count(value: &Value) -> u64 {
            match value {
                Value::Object(fields) => fields.values().map(|value| 1 + count(value)).sum(),
                Value::List(items) => items.iter().map(count).sum(),
                _ => 0,
            }
        }
        self.data.as_ref().map_or(0, count)
    }

    /// The buckets do not hold what was asked for.
    pub fn too_much(wait: Duration, metrics: &Metrics) -> Answer {
        let mut error = ServerError::new("You have asked for too much. Wait, then try again.", None);
        let extensions = error.extensions.get_or_insert_with(ErrorExtensionValues::default);
        extensions.set("retryAfter", seconds(wait));
        Answer::refusing(vec![error], "LIMIT_EXCEEDED", metrics)
    }

    /// Did execution begin, and was not given up?
    pub fn has_begun(&self) -> bool {
        self.data.is_some()
    }

    /// Why it did not: the first error's code.
    pub fn refusal(&self) -> Option<&'static str> {
        match self.data {
            Some(_) => None,
            None => Some(self.errors.first().and_then(own_code).unwrap_or("INTERNAL")),
        }
    }
}

/// In whole seconds, rounded up, and never none.
pub(super) fn seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
}

fn own_code(error: &ServerError) -> Option<&'static str> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(code) => ERROR_CODES.iter().find(|known| *known == code).copied(),
        _ => None,
    }
}

fn put_code(error: &mut ServerError, code: &str, metrics: &Metrics) {
    metrics.count_error(code);
    error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("code", code);
}

/// Is an argument null that may not be? A variable with a default may be given as null where null cannot stand (the specification has
/// it so); the engine finds that out where it would run the resolver, and marks it by its words only.
fn is_coercion(error: &ServerError) -> bool {
    ["Failed to parse \"", "Expected input type \""].iter().any(|start| error.message.starts_with(start))
}

/// Replaces what was meant for us by a reference under which the log has it.
fn mask(error: &mut ServerError, metrics: &Metrics) {
    let reference = Uuid::now_v7().to_string();
    tracing::error!(%reference, path = ?error.path, fault = %error.message, "an internal error was masked");
    error.message = format!("Something went wrong on our side. Reference: {reference}");
    error.source = None;
    error.extensions = None;
    put_code(error, "INTERNAL", metrics);
    error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("reference", reference);
}

/// At most [`MESSAGE_LIMIT`] characters. Of a parser's message only the last line: those before quote the whole document.
pub(super) fn shortened(message: &str) -> String {
    let told = match message.rsplit_once("\n") {
        Some((_, last)) => format!("The document does not parse: {}", last.trim_start_matches([' ', '=', '|'])),
        None => message.to_owned(),
    };
    match told.char_indices().nth(MESSAGE_LIMIT) {
        Some((end, _)) => format!("{}…", told.get(..end).unwrap_or_default()),
        None => told,
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::PathSegment;

    use super::*;

    fn error(message: &str, path: &[&str], code: Option<&str>) -> ServerError {
        let mut error = ServerError::new(message, None);
        error.path = path.iter().map(|field| PathSegment::Field((*field).to_owned())).collect();
        if let Some(code) = code {
            error.extensions.get_or_insert_default().set("code", code);
        }
        error
    }

    fn shown(response: Response) -> serde_json::Value {
        serde_json::to_value(Answer::of(response, &Metrics::default())).unwrap()
    }

    #[test]
    fn an_error_before_execution_has_no_data_and_is_the_clients() {
        let json = shown(Response::from_errors(vec![error("Unknown field", &[], None); 9]));
        assert!(json.get("data").is_none());
        assert_eq!(json["errors"].as_array().unwrap().len(), ERRORS_LIMIT);
        assert_eq!(json["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
    }

    #[test]
    fn what_has_no_code_of_ours_is_masked() {
        for code in [None, Some("SECRET_CODE")] {
            let json = shown(Response::from_errors(vec![error("secret", &["me"], code)]));
            assert_eq!(json["data"], serde_json::Value::Null);
            let error = &json["errors"][0];
            assert_eq!(error["extensions"]["code"], "INTERNAL");
            let reference = error["extensions"]["reference"].as_str().unwrap();
            assert!(error["message"].as_str().unwrap().contains(reference));
            assert!(!json.to_string().to_lowercase().contains("secret"));
        }
    }

    #[test]
    fn a_panic_is_one_masked_error_without_data() {
        let answer = Answer::panicked(&"secret", &Metrics::default());
        assert_eq!(answer.refusal(), Some("INTERNAL"));
        let json = serde_json::to_value(&answer).unwrap();
        assert_eq!((json["errors"].as_array().unwrap().len(), json.get("data")), (1, None));
        assert!(!json.to_string().contains("secret"));
    }

    #[test]
    fn an_argument_that_does_not_coerce_is_the_clients_too() {
        let json = shown(Response::from_errors(vec![error("Expected input type \"ID\", found null.", &["me"], None)]));
        assert_eq!(json["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
    }

    #[test]
    fn long_messages_are_cut_and_documents_not_quoted() {
        assert_eq!(shortened(&"ä".repeat(300)).chars().count(), MESSAGE_LIMIT + 1);
        assert_eq!(shortened(" --> 1:2\n  |\n  = expected name"), "The document does not parse: expected name");
    }
}
