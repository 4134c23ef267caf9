//! Batches: what the fields of one list level ask for one by one is read with one statement.
//!
//! All resolvers of a level are polled by one task before it yields. The first to ask becomes the leader: it yields, and finds
//! everybody's keys. Nothing is kept: a subscription lives long, and every level sees the database as it is.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use async_graphql::{Context, Error};
use entity::{
    AssignmentId, CatalogId, EventId, GroupId, PackageId, PolicyId, RequestId, StageId, SubjectSet, UserId, assignment,
    catalog, decision, evaluation, event, group, insider_risk, package, user,
};
use tokio::sync::oneshot;

use super::error::shown;
use super::session::{actor, services, session};
use crate::service::source::ShownRisk;
use crate::service::{ExplanationRow, Fault, PolicyRow, RequestRow, StageRow};

type Waiter<K, V> = (K, oneshot::Sender<Result<V, Fault>>);

/// The keys that wait to be read together.
pub struct Batch<K, V>(Mutex<Vec<Waiter<K, V>>>);

impl<K, V> Default for Batch<K, V> {
    fn default() -> Self {
        Batch(Mutex::new(Vec::new()))
    }
}

impl<K: Copy + Eq + Hash, V: Clone + Default> Batch<K, V> {
    /// What `key` has; `read` is called once for all keys of the level. A key that it does not return has the default value. Where
    /// a leader is dropped (an error elsewhere took its branch with it), those who waited on it ask again.
    async fn load<F: Future<Output = Result<HashMap<K, V>, Fault>>>(
        &self,
        key: K,
        read: impl Fn(Vec<K>) -> F,
    ) -> Result<V, Fault> {
        loop {
            if let Ok(value) = self.ask(key, &read).await.await {
                return value;
            }
        }
    }

    /// Asks once; as the leader, for all.
    async fn ask<F: Future<Output = Result<HashMap<K, V>, Fault>>>(
        &self,
        key: K,
        read: impl Fn(Vec<K>) -> F,
    ) -> oneshot::Receiver<Result<V, Fault>> {
        let (sender, receiver) = oneshot::channel();
        let is_leader = {
            let mut waiting = self.waiting();
            waiting.push((key, sender));
            waiting.len() == 1
        };
        if is_leader {
            let abandoned = Abandoned(self);
            // Twice: what an object of a long list asks for may come in one turn later than its neighbours'.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            let waiters = std::mem::take(&mut *self.waiting());
            std::mem::forget(abandoned);
            let mut keys: Vec<K> = Vec::with_capacity(waiters.len());
            for (key, _) in &waiters {
                if !keys.contains(key) {
                    keys.push(*key);
                }
            }
            let found = read(keys).await;
            for (key, waiter) in waiters {
                let value = match &found {
                    Ok(found) => Ok(found.get(&key).cloned().unwrap_or_default()),
                    Err(fault) => Err(fault.clone()),
                };
                // Who went away needs no answer.
                let _ = waiter.send(value);
            }
        }
        receiver
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiter<K, V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the leader is dropped before it has taken the keys, those who wait are let go, to ask again.
struct Abandoned<'a, K: Copy + Eq + Hash, V: Clone + Default>(&'a Batch<K, V>);

impl<K: Copy + Eq + Hash, V: Clone + Default> Drop for Abandoned<'_, K, V> {
    fn drop(&mut self) {
        self.0.waiting().clear();
    }
}

/// One batch for each kind of thing that is looked up.
#[derive(Default)]
pub struct Loaders {
    requests: Batch<RequestId, Option<RequestRow>>,
    stages: Batch<StageId, Option<StageRow>>,
    stages_of_request: Batch<RequestId, Vec<StageRow>>,
    sets_of_stage: Batch<StageId, Vec<SubjectSet>>,
    evaluation_of_stage: Batch<StageId, Option<evaluation::Model>>,
    evaluations_of_request: Batch<RequestId, Vec<evaluation::Model>>,
    decisions_of_stage: Batch<StageId, Vec<decision::Model>>,
    explanations_of_request: Batch<RequestId, Vec<ExplanationRow>>,
    assignment_of_request: Batch<RequestId, Option<assignment::Model>>,
    assignments: Batch<AssignmentId, Option<assignment::Model>>,
    packages: Batch<PackageId, Option<package::Model>>,
    visible_packages: Batch<PackageId, Option<package::Model>>,
    catalogs: Batch<CatalogId, Option<catalog::Model>>,
    visible_catalogs: Batch<CatalogId, Option<catalog::Model>>,
    policies: Batch<PolicyId, Option<PolicyRow>>,
    visible_policies: Batch<PolicyId, Option<PolicyRow>>,
    policies_of_package: Batch<PackageId, Vec<PolicyRow>>,
    users: Batch<UserId, Option<user::Model>>,
    visible_users: Batch<UserId, Option<user::Model>>,
    groups: Batch<GroupId, Option<group::Model>>,
    visible_groups: Batch<GroupId, Option<group::Model>>,
    user_risks: Batch<UserId, Option<ShownRisk>>,
    insider_risks: Batch<UserId, Option<insider_risk::Model>>,
    events: Batch<EventId, Option<event::Model>>,
}

fn one_each<K: Eq + Hash, V>(rows: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, Option<V>> {
    rows.into_iter().map(|row| (key(&row), Some(row))).collect()
}

fn many_each<K: Eq + Hash, V>(rows: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, Vec<V>> {
    let mut groups: HashMap<K, Vec<V>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}

/// A look-up: its name, the batch, what it takes and gives, the reading, and how its rows are handed out.
macro_rules! look_up {
    ($($(#[$meta:meta])* $name:ident($batch:ident: $key:ty) -> $value:ty = |$services:ident, $actor:ident, $keys:ident| $read:expr, $group:expr;)+) => {
        $($(#[$meta])*
        pub async fn $name(ctx: &Context<'_>, key: $key) -> Result<$value, Error> {
            let ($services, session) = (services(ctx)?, session(ctx)?);
            session
                .loaders()
                .$batch
                .load(key, |$keys| async move {
                    let $actor = actor(ctx).map_err(|_| Fault::Unauthenticated)?;
                    let _ = &$actor;
                    Ok($group($read.await?))
                })
                .await
                .map_err(shown)
        })+
    };
}

look_up! {
    /// A request that the viewer sees.
    request(requests: RequestId) -> Option<RequestRow> =
        |services, actor, keys| services.requests_by_id(&actor, &keys), |rows| one_each(rows, |row: &RequestRow| row.request.id);
    /// A stage that the viewer sees.
    stage(stages: StageId) -> Option<StageRow> =
        |services, actor, keys| services.stages_by_id(&actor, &keys), |rows| one_each(rows, |row: &StageRow| row.stage.id);
    /// The stages of a request that the viewer sees, in order.
    stages_of_request(stages_of_request: RequestId) -> Vec<StageRow> =
        |services, actor, keys| services.stages_of(&actor, &keys), |rows| many_each(rows, |row: &StageRow| row.stage.request_id);
    /// The sets in force of a stage.
    sets_of_stage(sets_of_stage: StageId) -> Vec<SubjectSet> =
        |services, actor, keys| services.sets_of(&keys), |rows: Vec<(StageId, SubjectSet)>| {
            let mut sets: HashMap<StageId, Vec<SubjectSet>> = HashMap::new();
            rows.into_iter().for_each(|(stage, set)| sets.entry(stage).or_default().push(set));
            sets
        };
    /// The reading that put a stage there.
    evaluation_of_stage(evaluation_of_stage: StageId) -> Option<evaluation::Model> =
        |services, actor, keys| services.evaluations_by_stage(&keys), |rows: Vec<(StageId, evaluation::Model)>| {
            rows.into_iter().map(|(stage, row)| (stage, Some(row))).collect()
        };
    /// The readings of a request, in order.
    evaluations_of_request(evaluations_of_request: RequestId) -> Vec<evaluation::Model> =
        |services, actor, keys| services.evaluations_of(&keys), |rows| many_each(rows, |row: &evaluation::Model| row.request_id);
    /// The decisions on a stage, for who may read the audit log.
    decisions_of_stage(decisions_of_stage: StageId) -> Vec<decision::Model> =
        |services, actor, keys| services.decisions_of(&actor, &keys), |rows| many_each(rows, |row: &decision::Model| row.stage_id);
    /// What the planner found each time that it planned a request, in order.
    explanations_of_request(explanations_of_request: RequestId) -> Vec<ExplanationRow> =
        |services, actor, keys| services.explanations_of(&keys), |rows| many_each(rows, |row: &ExplanationRow| row.row.request_id);
    /// The assignment that a request gave.
    assignment_of_request(assignment_of_request: RequestId) -> Option<assignment::Model> =
        |services, actor, keys| services.assignments_of(&keys), |rows| one_each(rows, |row: &assignment::Model| row.request_id);
    /// An assignment that the viewer sees.
    assignment(assignments: AssignmentId) -> Option<assignment::Model> =
        |services, actor, keys| services.assignments_by_id(&actor, &keys), |rows| one_each(rows, |row: &assignment::Model| row.id);
    /// A package, for what refers to it.
    package(packages: PackageId) -> Option<package::Model> =
        |services, actor, keys| services.referred_packages(&keys), |rows| one_each(rows, |row: &package::Model| row.id);
    /// A package that the viewer sees.
    visible_package(visible_packages: PackageId) -> Option<package::Model> =
        |services, actor, keys| services.packages_by_id(&actor, &keys), |rows| one_each(rows, |row: &package::Model| row.id);
    /// A catalog, for what refers to it.
    catalog(catalogs: CatalogId) -> Option<catalog::Model> =
        |services, actor, keys| services.referred_catalogs(&keys), |rows| one_each(rows, |row: &catalog::Model| row.id);
    /// A catalog that the viewer sees.
    visible_catalog(visible_catalogs: CatalogId) -> Option<catalog::Model> =
        |services, actor, keys| services.catalogs_by_id(&actor, &keys), |rows| one_each(rows, |row: &catalog::Model| row.id);
    /// A policy, for what refers to it.
    policy(policies: PolicyId) -> Option<PolicyRow> =
        |services, actor, keys| services.referred_policies(&actor, &keys), |rows| one_each(rows, |row: &PolicyRow| row.policy.id);
    /// A policy that the viewer sees.
    visible_policy(visible_policies: PolicyId) -> Option<PolicyRow> =
        |services, actor, keys| services.policies_by_id(&actor, &keys), |rows| one_each(rows, |row: &PolicyRow| row.policy.id);
    /// The policies of a package that the viewer sees.
    policies_of_package(policies_of_package: PackageId) -> Vec<PolicyRow> =
        |services, actor, keys| services.policies_of(&actor, &keys), |rows| many_each(rows, |row: &PolicyRow| row.policy.package_id);
    /// A person, for what refers to them.
    user(users: UserId) -> Option<user::Model> =
        |services, actor, keys| services.referred_users(&keys), |rows| one_each(rows, |row: &user::Model| row.id);
    /// A person whom the viewer sees.
    visible_user(visible_users: UserId) -> Option<user::Model> =
        |services, actor, keys| services.users_by_id(&actor, &keys), |rows| one_each(rows, |row: &user::Model| row.id);
    /// A group, for what refers to it.
    group(groups: GroupId) -> Option<group::Model> =
        |services, actor, keys| services.referred_groups(&keys), |rows| one_each(rows, |row: &group::Model| row.id);
    /// A group that the viewer sees.
    visible_group(visible_groups: GroupId) -> Option<group::Model> =
        |services, actor, keys| services.groups_by_id(&actor, &keys), |rows| one_each(rows, |row: &group::Model| row.id);
    /// A person's ID Protection risk.
    user_risk(user_risks: UserId) -> Option<ShownRisk> =
        |services, actor, keys| services.shown_risks(&keys), |rows| one_each(rows, |row: &ShownRisk| row.user_id);
    /// A person's insider risk.
    insider_risk(insider_risks: UserId) -> Option<insider_risk::Model> =
        |services, actor, keys| services.insider_risks(&keys), |rows| one_each(rows, |row: &insider_risk::Model| row.user_id);
    /// An event that the viewer may read.
    event(events: EventId) -> Option<event::Model> =
        |services, actor, keys| services.events_by_id(&actor, &keys), |rows| one_each(rows, |row: &event::Model| row.id);
}
