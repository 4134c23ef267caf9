//! Eight people who ask, decide and cancel as fast as they can, and write down what the server told them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use entity::{RequestId, RequestState};
use riskgate::demo::{FINANCE_DATA, WIKI};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::process::Process;
use super::{Answer, Person, Snapshot};

/// Who asks, and who decides what waits for them.
const PAIRS: [(&str, &str); 8] = [
    ("alice", "sam"),
    ("bob", "mona"),
    ("carol", "pat"),
    ("erin", "cora"),
    ("mallory", "sofia"),
    ("zoe", "olga"),
    ("glen", "ada"),
    ("rhea", "sam"),
];

const SUBMIT: &str = "mutation($i: SubmitAccessRequestInput!) { submitAccessRequest(input: $i) { request { id } } }";
const WAITING: &str = "{ viewer { pendingApprovals(first: 1) { nodes { id } } } }";
const DENY: &str = "mutation($s: ID!) { decideApprovalStage(input: { stageId: $s, decision: DENY, justification: \"No.\" }) { stage { id } } }";
const CANCEL: &str = "mutation($r: ID!) { cancelAccessRequest(input: { requestId: $r }) { request { id } } }";

/// What one of them was told.
pub struct Diary {
    pub name: &'static str,
    person: Person,
    /// Every submission that was sent, and the request that was acknowledged.
    submissions: Vec<(Value, Option<String>)>,
    decided: Vec<String>,
    canceled: Vec<String>,
    /// Codes of errors; a refusal is none.
    pub errors: Vec<String>,
}

/// The eight at work.
pub struct Load {
    lives: Vec<JoinHandle<Diary>>,
    enough: Arc<AtomicBool>,
}

impl Load {
    /// They begin; `name` keeps the idempotency keys of one load from those of another.
    pub fn begin(server: &Process, name: &str) -> Load {
        let enough = Arc::new(AtomicBool::new(false));
        let lives = PAIRS
            .into_iter()
            .map(|(asks, decides)| {
                let (person, decider) = (server.person(asks), server.person(decides));
                let diary = Diary {
                    name: asks,
                    person,
                    submissions: Vec::new(),
                    decided: Vec::new(),
                    canceled: Vec::new(),
                    errors: Vec::new(),
                };
                tokio::spawn(diary.lived(decider, name.to_owned(), enough.clone()))
            })
            .collect();
        Load { lives, enough }
    }

    /// They end when they have their answers, or find the server gone.
    pub async fn end(self) -> Vec<Diary> {
        self.enough.store(true, Ordering::SeqCst);
        self.gone().await
    }

    /// They end when they find the server gone.
    pub async fn gone(self) -> Vec<Diary> {
        let mut diaries = Vec::new();
        for life in self.lives {
            diaries.push(life.await.expect("nobody panics"));
        }
        diaries
    }
}

impl Diary {
    async fn lived(mut self, decider: Person, name: String, enough: Arc<AtomicBool>) -> Diary {
        for turn in 0.. {
            if enough.load(Ordering::SeqCst) || self.turn(&decider, &format!("{name}-{turn}"), turn).await.is_none() {
                break;
            }
        }
        self
    }

    /// One of each; nothing where the server is gone.
    async fn turn(&mut self, decider: &Person, key: &str, turn: usize) -> Option<()> {
        let package = [WIKI, FINANCE_DATA][turn % 2].to_string();
        let input = json!({ "accessPackageId": package, "idempotencyKey": key });
        self.submissions.push((input.clone(), None));
        let answer = self.person.clone().try_ask(SUBMIT, json!({ "i": input })).await;
        let asked = self.told(answer, "/data/submitAccessRequest/request/id")?;
        if let Some((_, acknowledged)) = self.submissions.last_mut() {
            acknowledged.clone_from(&asked);
        }
        let answer = decider.try_ask(WAITING, Value::Null).await;
        if let Some(stage) = self.told(answer, "/data/viewer/pendingApprovals/nodes/0/id")? {
            let answer = decider.try_ask(DENY, json!({ "s": stage })).await;
            let decided = self.told(answer, "/data/decideApprovalStage/stage/id")?;
            self.decided.extend(decided);
        }
        if let Some(request) = asked {
            let answer = self.person.clone().try_ask(CANCEL, json!({ "r": request })).await;
            let canceled = self.told(answer, "/data/cancelAccessRequest/request/id")?;
            self.canceled.extend(canceled);
        }
        Some(())
    }

    /// What stands at a place of an answer; nothing at all where there is no answer.
    fn told(&mut self, answer: Result<Answer, reqwest::Error>, place: &str) -> Option<Option<String>> {
        let answer = answer.ok()?;
        if !answer.body["errors"].is_null() {
            self.errors.push(answer.code().to_owned());
        }
        Some(answer.body.pointer(place).and_then(Value::as_str).map(str::to_owned))
    }

    /// How many writes were acknowledged.
    pub fn acknowledged(&self) -> usize {
        let submitted = self.submissions.iter().filter(|(_, request)| request.is_some()).count();
        submitted + self.decided.len() + self.canceled.len()
    }

    /// Acknowledged writes that are not there.
    pub fn losses(&self, snapshot: &Snapshot) -> Vec<String> {
        let request = |id: &String| snapshot.requests.iter().find(|request| request.id.to_string() == *id);
        let mut lost = Vec::new();
        for id in self.submissions.iter().filter_map(|(_, request)| request.as_ref()) {
            if request(id).is_none() {
                lost.push(format!("{id} is lost"));
            }
        }
        for id in &self.decided {
            if !snapshot.decisions.keys().any(|stage| stage.to_string() == *id) {
                lost.push(format!("the decision on {id} is lost"));
            }
        }
        for id in &self.canceled {
            if request(id).is_none_or(|request| request.state != RequestState::Canceled) {
                lost.push(format!("the cancellation of {id} is lost"));
            }
        }
        lost
    }

    /// Sends every submission once more, each with its own key: what was acknowledged is answered with the same request. Returns
    /// all that is answered.
    pub async fn repeat(&self, server: &Process) -> HashSet<String> {
        let person = self.person.at(server.address);
        let mut answered = HashSet::new();
        for (input, acknowledged) in &self.submissions {
            let data = person.data(SUBMIT, json!({ "i": input })).await;
            let id = data["submitAccessRequest"]["request"]["id"].as_str().map(str::to_owned);
            if acknowledged.is_some() {
                assert_eq!(id, *acknowledged, "{}: {input}", self.name);
            }
            answered.extend(id);
        }
        answered
    }

    /// The requests of this person that were not there `before`.
    pub fn made(&self, before: &HashSet<RequestId>, after: &Snapshot) -> HashSet<String> {
        let new = after.requests.iter().filter(|row| row.requestor_id == self.person.id && !before.contains(&row.id));
        new.map(|row| row.id.to_string()).collect()
    }
}
