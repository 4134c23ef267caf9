//! Asking for access, seeing beforehand what would come of it, and taking it back.

use entity::{
    ApproverTier, AssignmentId, EvaluationId, PackageId, PolicyId, RequestId, RequestState, RequestType, StageId,
    StageKind, SubjectSet, UserId, WhenUndetermined, control,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{ATTEMPTS, Denied, Done, Fault, Services};
use crate::domain::permission::{Actor, Principal, Right, stage_kind};
use crate::domain::refusal::{Code, Refusal};
use crate::domain::request::{self as moves, IdempotencyKey, Submission, SubmissionIds};
use crate::domain::route::{self, ControlFacts, Eligibility, Facts, PolicyFacts, Route};
use crate::domain::text;
use crate::store::SetQuery;

/// How long an idempotency key stands for what was submitted with it.
pub(super) const KEY_LIFE: entity::Seconds = entity::Seconds::hours(24);

/// Input of [`Services::submit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    /// The package.
    pub package: PackageId,
    /// The policy; left out: the one that fits.
    pub policy: Option<PolicyId>,
    /// Who gets the access; left out: who asks.
    pub target: Option<UserId>,
    /// Why.
    pub justification: Option<String>,
    /// Makes a repetition harmless.
    pub idempotency_key: Option<String>,
}

/// What an idempotency key stands for.
enum FirstMade {
    /// Nothing.
    Never,
    /// The request of the same input.
    Now(RequestId),
    /// A request of a life that is over.
    LongAgo(RequestId),
}

/// What a submission comes to.
struct Planned {
    facts: Facts,
    route: Route,
    /// The position of the log at which its readings began.
    since: i64,
}

/// What would happen if a request were submitted now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The way it would go.
    pub route: Route,
    /// The directory version that people were judged by.
    pub directory_version: i64,
    /// Who asks, and who would get the access.
    pub parties: [UserId; 2],
}

impl Services {
    /// Submits a request; returns its id, or that of the one first made with the same idempotency key.
    pub async fn submit(&self, actor: &Actor, input: Submit) -> Done<RequestId> {
        let key = input.idempotency_key.clone().map(|key| IdempotencyKey {
            owner: key_owner(actor),
            key,
            input_hash: input_hash(&input),
        });
        text::key("idempotencyKey", input.idempotency_key.as_deref())?;
        for _ in 0..ATTEMPTS {
            let key_seen = match self.first_made(key.as_ref()).await? {
                FirstMade::Now(id) => return Ok(id),
                FirstMade::LongAgo(id) => Some(id),
                FirstMade::Never => None,
            };
            let Planned { facts, route, since } = match self.plan_route(actor, &input).await {
                Ok(planned) => planned,
                Err(denied) => {
                    // The same call may have come through meanwhile: then its own request is what stands in the way.
                    return match self.first_made(key.as_ref()).await? {
                        FirstMade::Now(id) => Ok(id),
                        FirstMade::LongAgo(_) | FirstMade::Never => Err(denied),
                    };
                }
            };
            let facts_json = serde_json::to_string(&facts).map_err(|error| Fault::Internal(error.to_string()))?;
            let ids = submission_ids(RequestId::new(), &route);
            let submission = Submission {
                justification: input.justification.clone(),
                key: key.clone(),
                key_seen,
                facts_json,
                since,
            };
            let id = ids.request;
            if self.settle(moves::submit(&facts, &route, submission, ids)).await?.is_some() {
                return Ok(id);
            }
        }
        Err(Fault::Conflict.into())
    }

    /// What was submitted with this key within its life; other input then is a refusal.
    async fn first_made(&self, key: Option<&IdempotencyKey>) -> Done<FirstMade> {
        let Some(IdempotencyKey { owner, key, input_hash }) = key else { return Ok(FirstMade::Never) };
        let Some(seen) = self.store.idempotency(*owner, key).await? else { return Ok(FirstMade::Never) };
        if self.clock.now() >= seen.created_at.plus(KEY_LIFE) {
            return Ok(FirstMade::LongAgo(seen.request_id));
        }
        if seen.input_hash == *input_hash {
            return Ok(FirstMade::Now(seen.request_id));
        }
        let message = "This key was used with other input within the last 24 hours.";
        Err(Refusal::at(Code::Invalid, "idempotencyKey", message).into())
    }

    /// What would happen if this request were submitted now: the same refusals in the same order, or the same route. Nothing changes.
    pub async fn preview(&self, actor: &Actor, input: &Submit) -> Done<Preview> {
        let Planned { facts, route, .. } = self.plan_route(actor, input).await?;
        Ok(Preview { route, directory_version: facts.directory_version, parties: [facts.requestor, facts.target] })
    }

    /// Everything between the input and the plan: who asks for whom, which policy, what risk, who could approve.
    async fn plan_route(&self, actor: &Actor, input: &Submit) -> Done<Planned> {
        // The version first: whatever is read after it is at least as new, and the commit asks whether it still stands.
        let head = self.store.head().await?;
        let (directory_version, since) = (head.directory_version, head.position);
        let actor = &self.actor_now(&actor.principal).await?;
        let (application, target_id) = match &actor.principal {
            Principal::Person(user) => (None, input.target.unwrap_or(*user)),
            Principal::Application(application) => {
                self.require(actor, Right::SubmitAsApplication)?;
                let message = "An application must name who gets the access.";
                let target = input.target.ok_or_else(|| Refusal::at(Code::Invalid, "targetId", message))?;
                (Some(application.id.clone()), target)
            }
        };
        // Nobody asks in an application's place: the request is of the one who gets the access.
        let requestor_id = actor.user_id().unwrap_or(target_id);
        let is_by_manager = target_id != requestor_id;
        let is_on_behalf = is_by_manager || application.is_some();

        let offer = self.store.offer(actor, input.package, target_id).await?;
        let offer = offer.ok_or_else(|| Refusal::not_found("accessPackageId", "access package"))?;
        if let Some(wanted) = input.policy
            && !offer.policies.iter().any(|offered| offered.policy.id == wanted && offered.is_visible)
        {
            return Err(Refusal::not_found("policyId", "policy of this access package").into());
        }
        let target = match is_on_behalf {
            true => self.store.visible_users(actor, &[target_id]).await?.pop(),
            false => self.store.users_by_id(&[target_id]).await?.pop(),
        };
        let target = target.ok_or_else(|| Refusal::not_found("targetId", "person"))?;
        text::text("justification", input.justification.as_deref())?;

        let not_eligible = |message: &str| Denied::from(Refusal::at(Code::NotEligible, "accessPackageId", message));
        if is_by_manager && target.manager_id != Some(requestor_id) {
            let message = "Only somebody's manager may ask on their behalf.";
            return Err(Refusal::at(Code::NotEligible, "targetId", message).into());
        }
        if !target.is_enabled || target.deleted_at.is_some() {
            return Err(Refusal::at(Code::NotEligible, "targetId", "This account is disabled.").into());
        }
        let mut fitting = offer
            .policies
            .into_iter()
            .filter(|offered| offered.covers)
            .map(|offered| offered.policy)
            .filter(|policy| !is_by_manager || policy.allow_managers_on_behalf)
            .filter(|policy| application.is_none() || policy.allow_applications)
            .filter(|policy| input.policy.is_none_or(|wanted| wanted == policy.id));
        let policy = fitting.next().ok_or_else(|| not_eligible("No policy lets this person have this package."))?;
        if fitting.next().is_some() {
            let message = "Several policies fit; name one with policyId.";
            return Err(Refusal::at(Code::AmbiguousPolicy, "policyId", message).into());
        }
        if policy.is_requestor_justification_required && text::is_blank(input.justification.as_deref()) {
            let message = "This policy asks for a justification.";
            return Err(Refusal::at(Code::JustificationRequired, "justification", message).into());
        }
        if let Some(holder) = self.store.slot_holder(target_id, input.package).await? {
            return Err(taken(holder.state).into());
        }

        let controls: Vec<ControlFacts> = self.store.controls().await?.into_iter().map(control_facts).collect();
        let mut people = vec![requestor_id];
        if is_by_manager {
            people.push(target_id);
        }
        let asking: Vec<_> = controls.iter().filter(|control| control.asks()).map(|control| control.source).collect();
        let readings = asking.iter().map(|source| self.sources.read(*source, &people, &self.clock));
        let readings = futures_util::future::join_all(readings).await.into_iter().flatten().collect();
        let sets = possible_sets(&controls, &policy.stages.0, target_id);
        let approvers = self.store.resolve(&sets, requestor_id, target_id, self.clock.now()).await?;
        let facts = Facts {
            request_type: if is_on_behalf { RequestType::OnBehalfAdd } else { RequestType::UserAdd },
            requestor: requestor_id,
            application,
            target: target_id,
            directory_version,
            package: offer.package.id,
            package_version: offer.package.version,
            policy: PolicyFacts {
                id: policy.id,
                version: policy.version,
                eligibility: if policy.is_for_everyone { Eligibility::Everyone } else { Eligibility::Listed },
                stages: policy.stages.0,
                assignment_duration: policy.assignment_duration,
            },
            controls,
            readings,
            approvers,
            waited: entity::Seconds::default(),
        };
        let route = route::plan(&facts);
        Ok(Planned { facts, route, since })
    }

    /// Takes a request back: whoever asked, or a governance administrator.
    pub async fn cancel(&self, actor: &Actor, id: RequestId, reason: Option<String>) -> Done<()> {
        for _ in 0..ATTEMPTS {
            let directory_version = self.store.directory_version().await?;
            if self.store.visible_requests(actor, &[id]).await?.is_empty() {
                return Err(Refusal::not_found("requestId", "access request").into());
            }
            let found = self.store.open_request(id).await?;
            let (request, undecided) = found.ok_or_else(|| Refusal::not_found("requestId", "access request"))?;
            let by = match actor.user_id().filter(|user| *user == request.requestor_id) {
                Some(requestor) => requestor,
                None => self.person_with(actor, Right::CancelRequests)?,
            };
            text::text("reason", reason.as_deref())?;
            if !moves::is_cancelable(request.state) {
                let message = format!("A request that is {} cannot be canceled.", request.state);
                return Err(Refusal::at(Code::InvalidState, "requestId", message).into());
            }
            let plan = moves::cancel(request, undecided, by, reason.clone(), directory_version);
            if self.settle(plan).await?.is_some() {
                return Ok(());
            }
        }
        Err(Fault::Conflict.into())
    }
}

/// Ids for what comes of a route.
pub(super) fn submission_ids(request: RequestId, route: &Route) -> SubmissionIds {
    SubmissionIds {
        request,
        stages: route.stages.iter().map(|_| StageId::new()).collect(),
        evaluations: route.evaluations.iter().map(|_| EvaluationId::new()).collect(),
        assignment: AssignmentId::new(),
    }
}

fn taken(state: RequestState) -> Refusal {
    if state == RequestState::Delivered {
        Refusal::at(Code::AlreadyAssigned, "accessPackageId", "This access is there already.")
    } else {
        Refusal::at(Code::AlreadyRequested, "accessPackageId", "A request for this access is open.")
    }
}

pub(super) fn control_facts(row: control::Model) -> ControlFacts {
    ControlFacts {
        source: row.source,
        version: row.version,
        is_enabled: row.is_enabled,
        is_approval_required: row.is_approval_required,
        risk_levels: row.risk_levels.0,
        approvers: row.approvers.0,
        fallback_approvers: row.fallback_approvers.0,
        decision_timeout: row.decision_timeout,
        reevaluation: row.reevaluation,
        when_undetermined: row.when_undetermined,
        // Only where it counts: facts are stored with every request.
        hold_timeout: match row.when_undetermined {
            WhenUndetermined::Hold => row.hold_timeout,
            WhenUndetermined::RequireStage => entity::Seconds::default(),
        },
        refuse_risky_approvers: row.refuse_risky_approvers,
        reprove_before_delivery: row.reprove_before_delivery,
    }
}

/// Every set of every stage that the route may have.
pub(super) fn possible_sets(
    controls: &[ControlFacts],
    stages: &[entity::PolicyStage],
    target: UserId,
) -> Vec<SetQuery> {
    let mut queries = Vec::new();
    let mut add = |stage: StageKind, ordinal: usize, tier: ApproverTier, sets: &[SubjectSet]| {
        for set in sets {
            let (kind, subject) = set.subject(target);
            queries.push(SetQuery { stage, ordinal, tier, kind, subject });
        }
    };
    for control in controls.iter().filter(|control| control.asks()) {
        add(stage_kind(control.source), 0, ApproverTier::Primary, &control.approvers);
        add(stage_kind(control.source), 0, ApproverTier::Fallback, &control.fallback_approvers);
    }
    for (ordinal, stage) in stages.iter().enumerate() {
        add(StageKind::Policy, ordinal, ApproverTier::Primary, &stage.approvers);
        add(StageKind::Policy, ordinal, ApproverTier::Alternate, &stage.escalation_approvers);
        add(StageKind::Policy, ordinal, ApproverTier::Fallback, &stage.fallback_approvers);
    }
    queries
}

/// Whose idempotency keys somebody's are: a person's own; an application's under an id made of what it is called.
fn key_owner(actor: &Actor) -> UserId {
    match &actor.principal {
        Principal::Person(user) => *user,
        Principal::Application(application) => {
            let hash: [u8; 32] = Sha256::digest(application.id.to_string().as_bytes()).into();
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&hash[..16]);
            UserId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
        }
    }
}

/// What an idempotency key is bound to: everything of the input but the key.
fn input_hash(input: &Submit) -> String {
    let text = json!([input.package, input.policy, input.target, input.justification]).to_string();
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
