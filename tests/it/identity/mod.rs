//! People and applications of identity providers other than the built-in issuer.

mod application;
mod keys;
mod operator;
mod token;

use serde_json::Value;

use crate::support::{Person, World};

/// Asks who one is.
const ME: &str = "{ viewer { user { displayName } } }";

/// Whoever brings this token: their name, or the code of the refusal.
async fn met(world: &World, token: String) -> String {
    name_or_code(&world.bearer(token)).await
}

async fn name_or_code(person: &Person) -> String {
    let answer = person.ask(ME, Value::Null).await;
    match answer.body["data"]["viewer"]["user"]["displayName"].as_str() {
        Some(name) => name.to_owned(),
        None => answer.code().to_owned(),
    }
}
