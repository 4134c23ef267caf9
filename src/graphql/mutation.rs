//! The root of mutations: each maps its input, calls one use case, and shows what came of it.

use async_graphql::{Context, Error, Object};
use entity::{RequestId, RiskSource};

use super::catalog::{
    AccessPackage, AssignmentPolicy, Catalog, CreateAccessPackageInput, CreateAccessPackagePayload,
    CreateAssignmentPolicyInput, CreateAssignmentPolicyPayload, CreateCatalogInput, CreateCatalogPayload,
};
use super::control::{
    IdProtectionRiskApproval, InsiderRiskApproval, UpdateIdProtectionRiskApprovalInput,
    UpdateIdProtectionRiskApprovalPayload, UpdateInsiderRiskApprovalInput, UpdateInsiderRiskApprovalPayload,
};
use super::error::{Nullable, settled, shown, user_errors};
use super::loader;
use super::request::{
    AccessRequest, CancelAccessRequestInput, CancelAccessRequestPayload, SubmitAccessRequestInput,
    SubmitAccessRequestPayload,
};
use super::risk::{
    ReportInsiderRiskInput, ReportInsiderRiskPayload, ReportUserRiskInput, ReportUserRiskPayload, UserRiskActionInput,
    UserRiskActionPayload,
};
use super::scalar::{DateTime, read_id};
use super::session::{actor, services};
use super::stage::{ApprovalStage, DecideApprovalStageInput, DecideApprovalStagePayload};
use super::user::User;
use crate::domain::refusal::Refusal;
use crate::service::risk::RiskAction;
use crate::service::{Fault, PolicyRow};

/// Most decisions in one call.
const DECISIONS_MAX: usize = 50;
/// Most people in one call.
const PEOPLE_MAX: usize = 100;

/// What can be changed.
pub struct Mutation;

#[Object]
impl Mutation {
    /// Changes when ID Protection risk asks for a stage, and who decides it.
    async fn update_id_protection_risk_approval(
        &self,
        ctx: &Context<'_>,
        input: UpdateIdProtectionRiskApprovalInput,
    ) -> Option<Result<UpdateIdProtectionRiskApprovalPayload, Error>> {
        let work = async {
            let (services, actor) = (services(ctx)?, actor(ctx)?);
            let done = services.update_control(&actor, RiskSource::IdProtection, input.taken()).await;
            Ok(match settled(done)? {
                Ok((row, warnings)) => UpdateIdProtectionRiskApprovalPayload {
                    control_configuration: Some(IdProtectionRiskApproval(row)),
                    warnings,
                    user_errors: Vec::new(),
                },
                Err(refusal) => UpdateIdProtectionRiskApprovalPayload {
                    control_configuration: None,
                    warnings: Vec::new(),
                    user_errors: user_errors(Some(refusal)),
                },
            })
        };
        Some(work.await)
    }

    /// Changes when insider risk asks for a stage, and who decides it.
    async fn update_insider_risk_approval(
        &self,
        ctx: &Context<'_>,
        input: UpdateInsiderRiskApprovalInput,
    ) -> Option<Result<UpdateInsiderRiskApprovalPayload, Error>> {
        let work = async {
            let (services, actor) = (services(ctx)?, actor(ctx)?);
            let done = services.update_control(&actor, RiskSource::InsiderRisk, input.taken()).await;
            Ok(match settled(done)? {
                Ok((row, warnings)) => UpdateInsiderRiskApprovalPayload {
                    control_configuration: Some(InsiderRiskApproval(row)),
                    warnings,
                    user_errors: Vec::new(),
                },
                Err(refusal) => UpdateInsiderRiskApprovalPayload {
                    control_configuration: None,
                    warnings: Vec::new(),
                    user_errors: user_errors(Some(refusal)),
                },
            })
        };
        Some(work.await)
    }

    /// Makes a catalog.
    async fn create_catalog(
        &self,
        ctx: &Context<'_>,
        input: CreateCatalogInput,
    ) -> Option<Result<CreateCatalogPayload, Error>> {
        let work = async {
            let done = services(ctx)?.create_catalog(&*actor(ctx)?, input.taken()).await;
            let (row, refusal) = split(settled(done)?);
            Ok(CreateCatalogPayload { catalog: row.map(Catalog), user_errors: user_errors(refusal) })
        };
        Some(work.await)
    }

    /// Makes a package in a catalog.
    async fn create_access_package(
        &self,
        ctx: &Context<'_>,
        input: CreateAccessPackageInput,
    ) -> Option<Result<CreateAccessPackagePayload, Error>> {
        let work = async {
            let (services, actor) = (services(ctx)?, actor(ctx)?);
            let done = services.create_package(&actor, input.taken()).await;
            let (row, refusal) = split(settled(done)?);
            Ok(CreateAccessPackagePayload { access_package: row.map(AccessPackage), user_errors: user_errors(refusal) })
        };
        Some(work.await)
    }

    /// Makes a policy for a package.
    async fn create_assignment_policy(
        &self,
        ctx: &Context<'_>,
        input: CreateAssignmentPolicyInput,
    ) -> Option<Result<CreateAssignmentPolicyPayload, Error>> {
        let work = async {
            let (services, actor) = (services(ctx)?, actor(ctx)?);
            let done = services.create_policy(&actor, input.taken()).await;
            let (row, refusal) = split(settled(done)?);
            let policy = row.map(|policy| AssignmentPolicy(PolicyRow { policy, is_open: true }));
            Ok(CreateAssignmentPolicyPayload { assignment_policy: policy, user_errors: user_errors(refusal) })
        };
        Some(work.await)
    }

    /// Asks for access, for oneself or on behalf of a direct report.
    async fn submit_access_request(
        &self,
        ctx: &Context<'_>,
        input: SubmitAccessRequestInput,
    ) -> Option<Result<SubmitAccessRequestPayload, Error>> {
        let work = async {
            let done = services(ctx)?.submit(&*actor(ctx)?, input.taken()).await;
            let (id, refusal) = split(settled(done)?);
            Ok(SubmitAccessRequestPayload { request: request(ctx, id).await?, user_errors: user_errors(refusal) })
        };
        Some(work.await)
    }

    /// Takes a request back: whoever asked, or a governance administrator, while nothing is delivered.
    async fn cancel_access_request(
        &self,
        ctx: &Context<'_>,
        input: CancelAccessRequestInput,
    ) -> Option<Result<CancelAccessRequestPayload, Error>> {
        let work = async {
            let id: RequestId = read_id(&input.request_id);
            let done = services(ctx)?.cancel(&*actor(ctx)?, id, input.reason).await.map(|()| id);
            let (id, refusal) = split(settled(done)?);
            Ok(CancelAccessRequestPayload { request: request(ctx, id).await?, user_errors: user_errors(refusal) })
        };
        Some(work.await)
    }

    /// Decides a stage. The first decision wins.
    async fn decide_approval_stage(
        &self,
        ctx: &Context<'_>,
        input: DecideApprovalStageInput,
    ) -> Option<Result<DecideApprovalStagePayload, Error>> {
        Some(decide(ctx, input, None).await)
    }

    /// Up to 50 decisions, each on its own: one result for each, in order.
    async fn decide_approval_stages(
        &self,
        ctx: &Context<'_>,
        input: Vec<DecideApprovalStageInput>,
    ) -> Nullable<Vec<Nullable<DecideApprovalStagePayload>>> {
        if input.len() > DECISIONS_MAX {
            return Some(Err(shown(Fault::BadInput(format!("At most {DECISIONS_MAX} decisions.")))));
        }
        let mut results = Vec::with_capacity(input.len());
        for (index, input) in input.into_iter().enumerate() {
            results.push(Some(decide(ctx, input, Some(index)).await));
        }
        Some(Ok(results))
    }

    /// Raises or lowers a person's ID Protection risk in the built-in store, as a detection would.
    async fn report_user_risk(
        &self,
        ctx: &Context<'_>,
        input: ReportUserRiskInput,
    ) -> Option<Result<ReportUserRiskPayload, Error>> {
        let work = async {
            let (services, actor) = (services(ctx)?, actor(ctx)?);
            let (user, level) = (read_id(&input.user_id), input.level.into());
            let done = services.report_user_risk(&actor, user, level, input.detail).await;
            let (row, refusal) = split(settled(done)?);
            Ok(ReportUserRiskPayload { user: row.map(User), user_errors: user_errors(refusal) })
        };
        Some(work.await)
    }

    /// Says that accounts are compromised: their risk is HIGH.
    async fn confirm_user_compromised(
        &self,
        ctx: &Context<'_>,
        input: UserRiskActionInput,
    ) -> Option<Result<UserRiskActionPayload, Error>> {
        Some(act_on_risk(ctx, input, RiskAction::ConfirmCompromised).await)
    }

    /// Says that accounts are safe: their risk is NONE.
    async fn confirm_user_safe(
        &self,
        ctx: &Context<'_>,
        input: UserRiskActionInput,
    ) -> Option<Result<UserRiskActionPayload, Error>> {
        Some(act_on_risk(ctx, input, RiskAction::ConfirmSafe).await)
    }

    /// Says that what was detected does not count: the risk is NONE.
    async fn dismiss_user_risk(
        &self,
        ctx: &Context<'_>,
        input: UserRiskActionInput,
    ) -> Option<Result<UserRiskActionPayload, Error>> {
        Some(act_on_risk(ctx, input, RiskAction::Dismiss).await)
    }

    /// Takes in a person's insider risk, as the compliance system reports it.
    async fn report_insider_risk(
        &self,
        ctx: &Context<'_>,
        input: ReportInsiderRiskInput,
    ) -> Option<Result<ReportInsiderRiskPayload, Error>> {
        let work = async {
            let (services, actor) = (services(ctx)?, actor(ctx)?);
            let (observed_at, expires_at) =
                (input.observed_at.map(|DateTime(at)| at), input.expires_at.map(|DateTime(at)| at));
            let (user, level) = (read_id(&input.user_id), input.level.into());
            let done =
                services.report_insider_risk(&actor, user, level, observed_at, expires_at, input.reference).await;
            let (row, refusal) = split(settled(done)?);
            Ok(ReportInsiderRiskPayload { user: row.map(User), user_errors: user_errors(refusal) })
        };
        Some(work.await)
    }
}

fn split<T>(settled: Result<T, Refusal>) -> (Option<T>, Option<Refusal>) {
    match settled {
        Ok(value) => (Some(value), None),
        Err(refusal) => (None, Some(refusal)),
    }
}

async fn request(ctx: &Context<'_>, id: Option<RequestId>) -> Result<Option<AccessRequest>, Error> {
    match id {
        Some(id) => Ok(loader::request(ctx, id).await?.map(AccessRequest)),
        None => Ok(None),
    }
}

async fn decide(
    ctx: &Context<'_>,
    input: DecideApprovalStageInput,
    index: Option<usize>,
) -> Result<DecideApprovalStagePayload, Error> {
    let (services, actor) = (services(ctx)?, actor(ctx)?);
    let input = input.taken();
    let stage = input.stage;
    let done = services.decide(&actor, input).await;
    match settled(done)? {
        Ok(id) => Ok(DecideApprovalStagePayload {
            stage: loader::stage(ctx, stage).await?.map(ApprovalStage::of),
            request: request(ctx, Some(id)).await?,
            user_errors: Vec::new(),
        }),
        Err(refusal) => {
            let refusal = match index {
                Some(index) => refusal.under(&index.to_string()),
                None => refusal,
            };
            Ok(DecideApprovalStagePayload { stage: None, request: None, user_errors: user_errors(Some(refusal)) })
        }
    }
}

async fn act_on_risk(
    ctx: &Context<'_>,
    input: UserRiskActionInput,
    action: RiskAction,
) -> Result<UserRiskActionPayload, Error> {
    let (services, actor) = (services(ctx)?, actor(ctx)?);
    if input.user_ids.len() > PEOPLE_MAX {
        return Err(shown(Fault::LimitExceeded(format!("At most {PEOPLE_MAX} people."))));
    }
    let done = services.act_on_user_risk(&actor, input.user_ids.iter().map(read_id).collect(), action).await;
    let (rows, refusal) = split(settled(done)?);
    Ok(UserRiskActionPayload {
        users: rows.map(|rows| rows.into_iter().map(User).collect()),
        user_errors: user_errors(refusal),
    })
}
