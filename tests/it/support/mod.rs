//! What every story stands on: a database of its own, a server with a clock that the story moves, people with tokens.

mod company;
mod database;
mod dice;
mod directory;
mod events;
pub mod graph;
mod invariants;
mod load;
mod person;
pub mod process;
pub mod provider;
pub mod proxy;
mod raw;
mod rules;
mod socket;
mod world;

pub use company::Company;
pub use database::{BEGIN, Database, Kind};
pub use dice::Dice;
pub use events::Events;
pub use invariants::Snapshot;
pub use load::Load;
pub use person::{Answer, Person};
pub use raw::Raw;
pub use socket::{Message, Socket, Subscription};
pub use world::{Options, World};

/// What a source of a story says of somebody, now as far as it knows.
pub fn observed(level: entity::RiskLevel) -> riskgate::service::risk::Observed {
    use entity::Origin;
    riskgate::service::risk::Observed { level, origin: Origin::Single, read_at: BEGIN, source_updated_at: None }
}

/// An HTTP client.
pub fn http() -> reqwest::Client {
    riskgate::outbound::choose_cryptography();
    reqwest::Client::new()
}

/// Does a server say that it can serve? 503 says that it cannot.
pub async fn is_ready(address: std::net::SocketAddr) -> bool {
    let answer = http().get(format!("http://{address}/readyz")).send().await.expect("an answer");
    match answer.status().as_u16() {
        200 => true,
        503 => false,
        other => panic!("/readyz answers {other}"),
    }
}

/// A story, told on both databases: `story!(name, |world| { … })`. The invariants are checked at its end.
#[macro_export]
macro_rules! story {
    ($(#[$meta:meta])* $name:ident, |$world:ident| $body:block) => {
        $crate::story!($(#[$meta])* $name, $crate::support::Options::default(), |$world| $body);
    };
    ($(#[$meta:meta])* $name:ident, $options:expr, |$world:ident| $body:block) => {
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn tell(kind: $crate::support::Kind) {
                let mut world = $crate::support::World::start(kind, $options).await;
                {
                    let $world = &mut world;
                    $body
                }
                world.end().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                tell($crate::support::Kind::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs PostgreSQL (scripts/test)"]
            async fn postgres() {
                tell($crate::support::Kind::Postgres).await;
            }
        }
    };
}
