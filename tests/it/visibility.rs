//! What somebody may not know is absent in every answer alike: everything that the schema offers is asked, as each person of the
//! company, in random worlds, and compared with a filter that is written here from what is stored.

use std::collections::{BTreeMap, BTreeSet};

use entity::{ApproverTier, Coverage, Seconds, StageKind, UserId, membership, request, stage};
use riskgate::demo::{self, FINANCE_DATA, PRODUCTION_ACCESS, WIKI};
use riskgate::graphql::document::Limits;
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use crate::story;
use crate::support::{Dice, Options, Person, Snapshot, World};

/// Words that tell of risk. Nobody without one of the roles may read any of them (the demo's controls name only roles).
const WORDS: [&str; 10] = [
    "ID_PROTECTION",
    "INSIDER_RISK",
    "RiskApprovalStage\"",
    "RISK_APPROVER",
    "RISK_APPROVAL",
    "UNDETERMINED",
    "ELEVATED",
    "AT_RISK",
    "SECURITY_ADMINISTRATOR",
    "COMPLIANCE_ADMINISTRATOR",
];

/// The schema, as far as it is needed to ask for all of it.
struct Schema(BTreeMap<String, Value>);

impl Schema {
    async fn read(person: &Person) -> Schema {
        let query = "{ __schema { types { kind name possibleTypes { name }
            fields(includeDeprecated: true) { name args { name defaultValue type { kind } } type { ...T } } } } }
            fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
        let schema = person.data(query, Value::Null).await;
        let types = schema["__schema"]["types"].as_array().expect("types").iter();
        Schema(types.map(|t| (t["name"].as_str().expect("a name").to_owned(), t.clone())).collect())
    }

    /// Everything that can be selected of a type, so deep. Names are prefixed with their type, so that fragments never clash.
    fn everything(&self, name: &str, depth: usize) -> String {
        let of = &self.0[name];
        let possible = of["possibleTypes"].as_array();
        if of["kind"] != "OBJECT" {
            let parts = possible.expect("possible types").iter().map(|t| t["name"].as_str().expect("a name"));
            let parts: Vec<_> = parts.map(|t| format!("... on {t} {{ {} }}", self.everything(t, depth))).collect();
            return format!("__typename {}", parts.join(" "));
        }
        let mut selection = vec!["__typename".to_owned()];
        for field in of["fields"].as_array().expect("fields") {
            let needs = |argument: &Value| argument["type"]["kind"] == "NON_NULL" && argument["defaultValue"].is_null();
            if field["args"].as_array().expect("arguments").iter().any(needs) {
                continue;
            }
            let mut at = &field["type"];
            while at["ofType"].is_object() {
                at = &at["ofType"];
            }
            let (inner, field) = (at["name"].as_str().expect("a name"), field["name"].as_str().expect("a name"));
            match at["kind"].as_str() {
                Some("OBJECT" | "INTERFACE" | "UNION") if depth == 0 || field == "edges" => {}
                Some("OBJECT" | "INTERFACE" | "UNION") => {
                    selection.push(format!("{name}_{field}: {field} {{ {} }}", self.everything(inner, depth - 1)));
                }
                _ => selection.push(format!("{name}_{field}: {field}")),
            }
        }
        selection.join(" ")
    }
}

/// Some random history.
async fn live(world: &World, dice: &mut Dice) {
    let people = ["alice", "bob", "carol", "erin", "mallory", "zoe", "pat", "olga"];
    let deciders = ["sam", "sofia", "cora", "mona", "olga", "pat"];
    for _ in 0..60 {
        match dice.below(10) {
            0..=3 => {
                let package = dice.pick(&[WIKI, FINANCE_DATA, PRODUCTION_ACCESS]);
                let input = json!({ "accessPackageId": package.to_string(), "justification": "For my work." });
                world.person(dice.pick(&people)).submits(input).await;
            }
            4..=7 => {
                let decider = world.person(dice.pick(&deciders));
                let mine = decider.data("{ viewer { pendingApprovals { nodes { id } } } }", Value::Null).await;
                let stages = mine["viewer"]["pendingApprovals"]["nodes"].as_array().expect("nodes").clone();
                if !stages.is_empty() {
                    let verdict = dice.pick(&["APPROVE", "APPROVE", "DENY"]);
                    decider.decides(&dice.pick(&stages)["id"], verdict, Some("Seen.")).await;
                }
            }
            8 => {
                let level = dice.pick(&["NONE", "LOW", "MEDIUM", "HIGH"]);
                let mutation = "mutation($u: ID!, $l: UserRiskLevel!) { reportUserRisk(input: { userId: $u, level: $l }) { userErrors { code } } }";
                let whose = world.person(dice.pick(&people)).user_id();
                world.person("otto").data(mutation, json!({ "u": whose, "l": level })).await;
            }
            _ => {
                world.pass(Seconds::hours(dice.below(100) as i64)).await;
            }
        }
    }
}

/// Who is in the sets of which stage, by the rules as they are written: said again here, in another way.
struct Reference<'a> {
    snapshot: &'a Snapshot,
    memberships: Vec<membership::Model>,
}

impl Reference<'_> {
    fn is_approver(&self, who: UserId, request: &request::Model, stage: &stage::Model) -> bool {
        if who == request.requestor_id || who == request.target_id {
            return false;
        }
        let holds = |m: &membership::Model| match stage.completed_directory_version {
            Some(version) => m.since <= version && m.until.is_none_or(|until| until > version),
            None => m.until.is_none(),
        };
        self.snapshot.approvers[&stage.id].iter().any(|entry| {
            let in_force = match entry.tier {
                ApproverTier::Primary => true,
                ApproverTier::Alternate => stage.escalated_at.is_some(),
                ApproverTier::Fallback => matches!(stage.coverage, Some(Coverage::Fallback | Coverage::Nobody)),
            };
            let is_member =
                |m: &membership::Model| m.user_id == who && m.kind == entry.kind && m.subject == entry.subject;
            in_force && self.memberships.iter().any(|m| is_member(m) && holds(m))
        })
    }

    /// The requests that somebody without a role sees.
    fn requests(&self, who: UserId) -> BTreeSet<String> {
        let none = Vec::new();
        let sees = |request: &&request::Model| {
            let stages = self.snapshot.stages.get(&request.id).unwrap_or(&none);
            let decides = |stage: &stage::Model| stage.pending_since.is_some() && self.is_approver(who, request, stage);
            request.requestor_id == who || request.target_id == who || stages.iter().any(decides)
        };
        self.snapshot.requests.iter().filter(sees).map(|request| request.id.to_string()).collect()
    }

    /// The stages of those that they may know of.
    fn stages(&self, who: UserId) -> BTreeSet<String> {
        let requests = self.requests(who);
        let stages = self.snapshot.stages.iter().filter(|(id, _)| requests.contains(&id.to_string()));
        stages
            .flat_map(|(_, stages)| stages)
            .filter(|s| s.kind == StageKind::Policy)
            .map(|s| s.id.to_string())
            .collect()
    }
}

/// Every id of a noun that stands anywhere in an answer.
fn ids(answer: &str, prefix: &str) -> BTreeSet<String> {
    let start = format!("\"{prefix}_");
    let starts = answer.match_indices(&start);
    starts.map(|(at, _)| answer[at + 1..].split('"').next().expect("an id").to_owned()).collect()
}

/// Documents here ask for everything at once.
fn wide() -> Options {
    let limits = Limits { tokens: 100_000, fields: 100_000, aliases: 10_000, cost: u64::MAX, ..Limits::default() };
    Options { limits, ..Options::default() }
}

story!(nobody_reads_what_they_may_not_know_and_everybody_reads_what_they_may, wide(), |world| {
    let mut dice = Dice::new(7);
    let schema = Schema::read(&world.person("zoe")).await;
    let roots = "catalogs accessPackages approvalStages assignments controlConfigurations users viewer accessRequests
        pendingRiskApprovals auditEvents";
    for _ in 0..3 {
        live(world, &mut dice).await;
        let snapshot = world.snapshot().await;
        let connection = world.database.connect().await;
        let memberships = membership::Entity::find().all(&connection).await.expect("memberships");
        connection.close().await.expect("the connection closes");
        let reference = Reference { snapshot: &snapshot, memberships };
        let mut every: Vec<String> = snapshot.requests.iter().map(|request| request.id.to_string()).collect();
        every.extend(snapshot.stages.values().flatten().map(|stage| stage.id.to_string()));
        every.extend(snapshot.assignments.values().flatten().map(|assignment| assignment.id.to_string()));
        every.extend(snapshot.events.iter().rev().take(50).map(|event| event.id.to_string()));
        every.extend(demo::people().iter().map(|person| person.id.to_string()));

        for person in demo::people().iter().filter(|person| person.roles.is_empty()) {
            let name = person.upn.split('@').next().expect("a name");
            let asking = world.person(name);
            let mut seen = String::new();
            let query = &schema.0["Query"];
            for root in roots.split_whitespace() {
                let field = query["fields"].as_array().expect("fields").iter().find(|field| field["name"] == root);
                let mut of = &field.expect("a root field")["type"];
                while of["ofType"].is_object() {
                    of = &of["ofType"];
                }
                let page = if ["viewer", "controlConfigurations"].contains(&root) { "" } else { "(first: 100)" };
                let selection = schema.everything(of["name"].as_str().expect("a name"), 3);
                let answer = asking.ask(&format!("{{ {root}{page} {{ {selection} }} }}"), Value::Null).await;
                assert!(answer.status == 200, "{root}: {:#}", answer.body);
                seen.push_str(&answer.body.to_string());
            }
            for ids in every.chunks(100) {
                let selection = schema.everything("Node", 2);
                let answer = asking
                    .ask(
                        &format!("query($ids: [ID!]!) {{ nodes(ids: $ids) {{ {selection} }} }}"),
                        json!({ "ids": ids }),
                    )
                    .await;
                assert!(answer.body["errors"].is_null(), "{:#}", answer.body["errors"]);
                seen.push_str(&answer.body["data"].to_string());
            }
            for package in [WIKI, FINANCE_DATA, PRODUCTION_ACCESS] {
                let selection = schema.everything("AccessRequestPreview", 3);
                let query = format!(
                    "{{ previewAccessRequest(input: {{ accessPackageId: \"{package}\", justification: \"x\" }}) {{ {selection} }} }}"
                );
                seen.push_str(&asking.data(&query, Value::Null).await.to_string());
            }
            // The viewer's own roles are none, so a role's name can only come from a risk stage or a control.
            for word in WORDS {
                let at = seen.find(&format!("\"{word}"));
                assert!(at.is_none(), "{name} reads {word}: …{}…", &seen[at.unwrap_or(0).saturating_sub(300)..][..600]);
            }
            assert_eq!(ids(&seen, "req"), reference.requests(person.id), "the requests that {name} sees");
            assert_eq!(ids(&seen, "stg"), reference.stages(person.id), "the stages that {name} sees");
        }
    }
});
