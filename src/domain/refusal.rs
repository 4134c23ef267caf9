//! Refusals that a person can act on: data in an answer, never an error of the server.

/// Why something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// The text, number, date or combination is not acceptable.
    Invalid,
    /// The object does not exist, or is not visible to whoever asks.
    NotFound,
    /// Somebody changed it since the version that was named.
    StaleVersion,
    /// No policy lets this person ask for this package.
    NotEligible,
    /// Several policies fit.
    AmbiguousPolicy,
    /// A request for the same access is open.
    AlreadyRequested,
    /// The access is there already.
    AlreadyAssigned,
    /// A justification is missing.
    JustificationRequired,
    /// The stage was completed before, or its turn has not come.
    StageNotPending,
    /// Not an approver of this stage, or the one who asked for (or would get) the access.
    NotAnApprover,
    /// An approver without the role that this decision needs.
    RoleRequired,
    /// An approver whose own risk matches the control, or cannot be read: no approval.
    ApproverAtRisk,
    /// The object is in a state that does not allow it.
    InvalidState,
}

impl Code {
    /// Every code.
    pub const ALL: &'static [Code] = &[
        Code::Invalid,
        Code::NotFound,
        Code::StaleVersion,
        Code::NotEligible,
        Code::AmbiguousPolicy,
        Code::AlreadyRequested,
        Code::AlreadyAssigned,
        Code::JustificationRequired,
        Code::StageNotPending,
        Code::NotAnApprover,
        Code::RoleRequired,
        Code::ApproverAtRisk,
        Code::InvalidState,
    ];

    /// The code as it is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::Invalid => "INVALID",
            Code::NotFound => "NOT_FOUND",
            Code::StaleVersion => "STALE_VERSION",
            Code::NotEligible => "NOT_ELIGIBLE",
            Code::AmbiguousPolicy => "AMBIGUOUS_POLICY",
            Code::AlreadyRequested => "ALREADY_REQUESTED",
            Code::AlreadyAssigned => "ALREADY_ASSIGNED",
            Code::JustificationRequired => "JUSTIFICATION_REQUIRED",
            Code::StageNotPending => "STAGE_NOT_PENDING",
            Code::NotAnApprover => "NOT_AN_APPROVER",
            Code::RoleRequired => "ROLE_REQUIRED",
            Code::ApproverAtRisk => "APPROVER_AT_RISK",
            Code::InvalidState => "INVALID_STATE",
        }
    }
}

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub code: Code,
    /// The same for people.
    pub message: String,
    /// Path of the input field at fault, outermost first; empty where no single field is.
    pub field: Vec<String>,
}

impl Refusal {
    /// A refusal that names the field at fault; `field` is its path, parts separated by dots.
    pub fn at(code: Code, field: &str, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into(), field: field.split('.').map(str::to_owned).collect() }
    }

    /// A refusal that no single field is to blame for.
    pub fn whole(code: Code, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into(), field: Vec::new() }
    }

    /// The same with `outer` before the path.
    pub fn under(mut self, outer: &str) -> Refusal {
        self.field.splice(0..0, outer.split('.').map(str::to_owned));
        self
    }

    /// The object of `field` does not exist, or is not visible: the two cannot be told apart.
    pub fn not_found(field: &str, noun: &str) -> Refusal {
        Refusal::at(Code::NotFound, field, format!("There is no such {noun}."))
    }
}
