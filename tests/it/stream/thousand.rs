//! A thousand connections lost at any moment, from the handshake on, while requests are written, servers restart and a reader's role
//! comes and goes: whoever resumes by cursor has heard everything once, and nothing while they might not.

use std::net::SocketAddr;
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::promise::{told_by_the_log, writes};
use super::{PENDING, follows_pending, pending};
use crate::story;
use crate::support::{Dice, Kind, Person, Socket};

const READERS: usize = 4;
const LOST: usize = 1_000;
const PHASES: usize = 4;

/// Somebody whose connections break.
struct Unlucky {
    person: Person,
    cursor: Value,
    heard: Vec<Value>,
    dice: Dice,
}

impl Unlucky {
    /// One connection, to its end: somewhere between its first byte and its some-tenth message.
    async fn connects(&mut self, address: SocketAddr) -> Option<()> {
        let moment = self.dice.below(12);
        let mut socket = Socket::try_open(address).await?;
        if moment == 0 {
            return None;
        }
        let authorization = format!("Bearer {}", self.person.token);
        let init = json!({ "type": "connection_init", "payload": { "Authorization": authorization } });
        socket.try_send(init).await?;
        if moment == 1 {
            return None;
        }
        assert_eq!(socket.soon().await?["type"], "connection_ack");
        let payload = json!({ "query": PENDING, "variables": { "after": self.cursor } });
        socket.try_send(json!({ "id": "1", "type": "subscribe", "payload": payload })).await?;
        for _ in 2..moment {
            let message = socket.soon().await?;
            assert_eq!(message["type"], "next", "{message:#}");
            let event = &message["payload"]["data"]["pendingRiskApprovalCreated"];
            self.cursor = event["cursor"].clone();
            self.heard.push(event["stage"]["id"].clone());
        }
        None
    }
}

story!(a_thousand_lost_connections_lose_nothing, |world| {
    let crowd = world.risky_crowd(4).await;
    let begin = world.snapshot().await.events.len();
    let cursor = json!(world.person("sam").pending_risk().await.1);
    let mut readers: Vec<_> = (0..READERS)
        .map(|seed| Unlucky {
            person: world.person("sam"),
            cursor: cursor.clone(),
            heard: Vec::new(),
            dice: Dice::new(seed as u64),
        })
        .collect();
    let mut other = if world.database.kind == Kind::Postgres { Some(world.another_instance().await) } else { None };
    for _ in 0..PHASES {
        let here = world.app().address;
        let there = RwLock::new(other.as_ref().map_or(here, |other| other.address));
        let lost = AtomicUsize::new(0);
        let reading = join_all(readers.iter_mut().map(|reader| async {
            while lost.fetch_add(1, Ordering::Relaxed) < LOST / PHASES {
                let address = if reader.dice.below(2) == 0 { here } else { *there.read().expect("an address") };
                reader.connects(address).await;
            }
        }));
        let writing = join_all(crowd.iter().map(|person| writes(person.at(here), 4)));
        let restarting = async {
            if let Some(old) = other.take() {
                old.stop().await;
                let new = world.another_instance().await;
                *there.write().expect("an address") = new.address;
                other = Some(new);
            }
        };
        let changing = async {
            let sofia = world.person("sofia");
            world.changes("sofia", "directoryRoles", json!([])).await;
            let mut listening = follows_pending(&sofia, json!({ "after": cursor })).await;
            writes(world.person("alice"), 1).await;
            listening.is_silent().await;
            world.changes("sofia", "directoryRoles", json!(["SECURITY_ADMINISTRATOR"])).await;
        };
        tokio::join!(reading, writing, restarting, changing);
        world.restart().await;
    }
    let told = told_by_the_log(world, begin).await;
    assert_eq!(told.len(), PHASES * (4 * crowd.len() + 1));
    for (index, mut reader) in readers.into_iter().enumerate() {
        assert!(!reader.heard.is_empty() && reader.heard.len() <= told.len());
        // What the last connections did not bring, one that holds does.
        let mut listening =
            follows_pending(&reader.person.at(world.app().address), json!({ "after": reader.cursor })).await;
        while reader.heard.len() < told.len() {
            reader.heard.push(pending(&mut listening).await["stage"]["id"].clone());
        }
        listening.is_silent().await;
        assert_eq!(reader.heard, told, "reader {index}");
    }
    // Nobody who has their role back has lost what they might not hear meanwhile.
    let mut listening = follows_pending(&world.person("sofia"), json!({ "after": cursor })).await;
    for stage in &told {
        assert_eq!(pending(&mut listening).await["stage"]["id"], *stage);
    }
    listening.is_silent().await;
    if let Some(other) = other {
        other.stop().await;
    }
});
