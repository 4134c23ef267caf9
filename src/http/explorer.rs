//! GraphiQL at `/`: a page to try the API on, embedded, so that it asks no other host for anything. Off in production.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::Door;

/// GraphiQL sets styles on elements; nothing else is loosened.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; \
    img-src 'self' data:; font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// The page, and who can be picked on it.
#[derive(Debug, Clone, Default)]
pub struct Explorer {
    /// The people of the demo world, each with a token that works; empty elsewhere.
    pub people: Vec<Person>,
}

/// Somebody whom the page can act as.
#[derive(Clone, Serialize)]
pub struct Person {
    /// The display name.
    pub name: String,
    /// The user principal name.
    pub upn: String,
    /// What the person is, for people to read; may be empty.
    pub role: String,
    /// A bearer token of that person.
    pub token: String,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person").field("upn", &self.upn).finish_non_exhaustive()
    }
}

/// A file of a library: the version is in its address, so it never changes there.
struct Library {
    path: &'static str,
    content_type: &'static str,
    gzipped: &'static [u8],
}

static LIBRARIES: [Library; 4] = [
    Library {
        path: "/explorer/graphiql-4.1.2.min.js",
        content_type: SCRIPT,
        gzipped: include_bytes!("../../assets/graphiql/graphiql.min.js.gz"),
    },
    Library {
        path: "/explorer/graphiql-4.1.2.min.css",
        content_type: STYLE,
        gzipped: include_bytes!("../../assets/graphiql/graphiql.min.css.gz"),
    },
    Library {
        path: "/explorer/react-18.3.1.min.js",
        content_type: SCRIPT,
        gzipped: include_bytes!("../../assets/graphiql/react.production.min.js.gz"),
    },
    Library {
        path: "/explorer/react-dom-18.3.1.min.js",
        content_type: SCRIPT,
        gzipped: include_bytes!("../../assets/graphiql/react-dom.production.min.js.gz"),
    },
];

/// The page's routes.
pub(super) fn routes() -> Router<Arc<Door>> {
    let mut router = Router::new()
        .route("/", get(page))
        .route("/explorer/people.json", get(people))
        .route("/explorer/boot.js", get(|| own(SCRIPT, include_str!("../../assets/graphiql/boot.js"))))
        .route("/explorer/boot.css", get(|| own(STYLE, include_str!("../../assets/graphiql/boot.css"))));
    for library in &LIBRARIES {
        router = router.route(library.path, get(move || serve(library)));
    }
    router
}

async fn page() -> impl IntoResponse {
    let headers: [(HeaderName, &str); 3] = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, include_str!("../../assets/graphiql/index.html"))
}

async fn own(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, content_type)], text)
}

async fn serve(library: &'static Library) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, library.content_type),
        (CONTENT_ENCODING, "gzip"),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, library.gzipped)
}

async fn people(State(door): State<Arc<Door>>, headers: HeaderMap) -> Response {
    // The list holds tokens. A page elsewhere could reach it by pointing a name of its own at this machine, so no name is answered.
    if !is_machine(headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let none = Vec::new();
    Json(door.state.explorer.as_ref().map_or(&none, |explorer| &explorer.people)).into_response()
}

/// Does the `Host` header name the machine by address, or as localhost?
fn is_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_stored_files_are_those_of_the_list() {
        let list = include_str!("../../assets/graphiql/README.md");
        for library in &LIBRARIES {
            let sum: String = Sha256::digest(library.gzipped).iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(list.contains(&sum), "{}", library.path);
        }
    }

    #[test]
    fn the_page_asks_only_for_what_is_here() {
        let page = include_str!("../../assets/graphiql/index.html");
        let own = ["/explorer/boot.js", "/explorer/boot.css"];
        let known: Vec<&str> = LIBRARIES.iter().map(|library| library.path).chain(own).collect();
        let asked: Vec<&str> = page.split('"').filter(|text| text.starts_with('/') || text.contains("://")).collect();
        assert!(asked.len() >= 6);
        assert!(asked.iter().all(|path| known.contains(path)), "{asked:?}");
    }

    #[test]
    fn tokens_are_told_only_under_an_address() {
        for host in ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "10.0.0.7"] {
            assert!(is_machine(host), "{host}");
        }
        for host in ["", "evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example"] {
            assert!(!is_machine(host), "{host}");
        }
    }
}
