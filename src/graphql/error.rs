//! How faults and refusals are shown: faults as GraphQL errors with a code, refusals as data.

use async_graphql::{Enum, Error, ErrorExtensions, SimpleObject};
use tracing::error;
use uuid::Uuid;

use crate::domain::refusal::{Code, Refusal};
use crate::service::{Denied, Fault};

/// A nullable place that can fail: its error leaves everything around it as it is.
pub type Nullable<T> = Option<Result<T, Error>>;

/// A GraphQL error with `extensions.code`.
pub fn coded(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(message).extend_with(|_, extensions| extensions.set("code", code))
}

/// A fault as it is shown. What went wrong inside stays inside: the message carries only the reference of the log line.
pub fn shown(fault: Fault) -> Error {
    match fault {
        Fault::Unauthenticated => coded("UNAUTHENTICATED", "You are not signed in."),
        Fault::Forbidden => coded("FORBIDDEN", "This needs an administrative right that you do not have."),
        Fault::BadInput(message) => coded("BAD_USER_INPUT", message),
        Fault::NotFound => coded("NOT_FOUND", "There is no such access request."),
        Fault::CursorExpired => {
            coded("CURSOR_EXPIRED", "The event log does not have this cursor. Read the list again.")
        }
        Fault::Conflict => coded("CONFLICT", "What this relied on kept changing. Try again."),
        Fault::LimitExceeded(message) => coded("LIMIT_EXCEEDED", message),
        Fault::Unavailable(why) => masked("UNAVAILABLE", "The database cannot answer now. Try again.", &why),
        Fault::RolesUnknown(why) => {
            masked("UNAVAILABLE", "Your roles cannot be read now, so nothing was decided. Try again.", &why)
        }
        Fault::Internal(why) => masked("INTERNAL", "Something went wrong.", &why),
    }
}

/// What went wrong goes into the log, its reference into the error.
fn masked(code: &'static str, message: &str, why: &str) -> Error {
    let reference = Uuid::new_v4().to_string();
    error!(reference, why, "an operation failed");
    coded(code, message).extend_with(|_, extensions| extensions.set("reference", reference.clone()))
}

/// Either the data of a payload, or the refusal that it shows in `userErrors`; a fault ends the field.
pub fn settled<T>(done: Result<T, Denied>) -> Result<Result<T, Refusal>, Error> {
    match done {
        Ok(value) => Ok(Ok(value)),
        Err(Denied::Refused(refusal)) => Ok(Err(refusal)),
        Err(Denied::Fault(fault)) => Err(shown(fault)),
    }
}

/// A refusal that a person can act on.
#[derive(Debug, Clone, SimpleObject)]
pub struct UserError {
    /// Why, for programs.
    pub code: UserErrorCode,
    /// Why, for people.
    pub message: String,
    /// The path of the input field at fault below `input`, outermost first; null where no single field is to blame.
    pub field: Option<Vec<String>>,
}

impl From<Refusal> for UserError {
    fn from(refusal: Refusal) -> UserError {
        UserError {
            code: refusal.code.into(),
            message: refusal.message,
            field: (!refusal.field.is_empty()).then_some(refusal.field),
        }
    }
}

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum UserErrorCode {
    /// A text, number, date or combination that is not acceptable.
    Invalid,
    /// An object of the input that does not exist, or that the viewer does not see.
    NotFound,
    /// Somebody changed the object since the version that was named.
    StaleVersion,
    /// No policy lets this person have this package.
    NotEligible,
    /// Several policies fit; one must be named.
    AmbiguousPolicy,
    /// A request for the same access is open.
    AlreadyRequested,
    /// The access is there already.
    AlreadyAssigned,
    /// The access does not go together with access that is there.
    IncompatibleAccess,
    /// A justification is missing.
    JustificationRequired,
    /// The stage was completed before, its time is over, or its turn has not come.
    StageNotPending,
    /// The viewer is not an approver of the stage, or asked for (or would get) the access.
    NotAnApprover,
    /// The viewer is an approver, but holds none of the roles that the decision needs now.
    RoleRequired,
    /// The viewer is an approver whose own risk matches the control, or cannot be read, and may deny but not approve.
    ApproverAtRisk,
    /// The object is in a state that does not allow it.
    InvalidState,
}

impl From<Code> for UserErrorCode {
    fn from(code: Code) -> UserErrorCode {
        match code {
            Code::Invalid => UserErrorCode::Invalid,
            Code::NotFound => UserErrorCode::NotFound,
            Code::StaleVersion => UserErrorCode::StaleVersion,
            Code::NotEligible => UserErrorCode::NotEligible,
            Code::AmbiguousPolicy => UserErrorCode::AmbiguousPolicy,
            Code::AlreadyRequested => UserErrorCode::AlreadyRequested,
            Code::AlreadyAssigned => UserErrorCode::AlreadyAssigned,
            Code::JustificationRequired => UserErrorCode::JustificationRequired,
            Code::StageNotPending => UserErrorCode::StageNotPending,
            Code::NotAnApprover => UserErrorCode::NotAnApprover,
            Code::RoleRequired => UserErrorCode::RoleRequired,
            Code::ApproverAtRisk => UserErrorCode::ApproverAtRisk,
            Code::InvalidState => UserErrorCode::InvalidState,
        }
    }
}

/// The list of refusals of a payload.
pub fn user_errors(refusal: Option<Refusal>) -> Vec<UserError> {
    refusal.into_iter().map(UserError::from).collect()
}
