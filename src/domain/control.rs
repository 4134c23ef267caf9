//! Changing a control configuration.

use entity::{
    ControlId, Reevaluation, RiskLevel, RiskSource, Seconds, SubjectSet, Timestamp, UserId, WhenUndetermined, control,
    control_version,
};
use serde_json::json;
use uuid::Uuid;

use super::event::{EventActor, EventKind, NewEvent};
use super::plan::Plan;
use super::refusal::{Code, Refusal};
use super::risk;
use super::route::source_name;

/// Shortest time that a risk stage may wait.
pub const TIMEOUT_MIN: Seconds = Seconds::hours(1);
/// Longest time that a risk stage may wait ("a maximum of 14 days").
pub const TIMEOUT_MAX: Seconds = Seconds::days(14);

/// Shortest time that a request may wait for a source.
pub const HOLD_MIN: Seconds = Seconds::minutes(1);
/// Longest time that a request may wait for a source.
pub const HOLD_MAX: Seconds = Seconds::days(1);

/// The fixed id under which a control is known outside.
pub const fn id(source: RiskSource) -> ControlId {
    ControlId(Uuid::from_u128(match source {
        RiskSource::IdProtection => 0x0198_0000_0000_7000_8000_0000_0000_0001,
        RiskSource::InsiderRisk => 0x0198_0000_0000_7000_8000_0000_0000_0002,
    }))
}

/// The control that an id names.
pub fn source(id_: ControlId) -> Option<RiskSource> {
    RiskSource::ALL.iter().copied().find(|source| id(*source) == id_)
}

/// Fields of an update: left out (`None`) they stay as they are; given as `null` (`Some(None)`) they are refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// The version that the caller saw.
    pub expected_version: Option<Option<i64>>,
    /// In force?
    pub is_enabled: Option<Option<bool>>,
    /// Does it ask for a stage?
    pub is_approval_required: Option<Option<bool>>,
    /// A level: it and all above it.
    pub minimum_risk_level: Option<Option<RiskLevel>>,
    /// The levels.
    pub risk_levels: Option<Option<Vec<RiskLevel>>>,
    /// Who decides.
    pub approvers: Option<Option<Vec<SubjectSet>>>,
    /// Who joins while nobody of those could.
    pub fallback_approvers: Option<Option<Vec<SubjectSet>>>,
    /// How long its stages wait.
    pub decision_timeout: Option<Option<Seconds>>,
    /// When it reads its source.
    pub reevaluation: Option<Option<Reevaluation>>,
    /// What a reading that could not be had makes of a request.
    pub when_undetermined: Option<Option<WhenUndetermined>>,
    /// How long a request waits for the source at most.
    pub hold_timeout: Option<Option<Seconds>>,
    /// May nobody approve its stages whose own risk matches it?
    pub refuse_risky_approvers: Option<Option<bool>>,
    /// Are approvals of its stages proved again before access is delivered?
    pub reprove_before_delivery: Option<Option<bool>>,
}

/// What an update comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updated {
    /// The control as it is afterwards.
    pub control: control::Model,
    /// What to commit; nothing where nothing changes.
    pub plan: Option<Plan>,
    /// Accepted, but look at it.
    pub warnings: Vec<String>,
}

/// Applies an update. That the people, groups and roles it names exist has been checked before.
pub fn update(current: &control::Model, update: Update, by: UserId) -> Result<Updated, Refusal> {
    let source = current.source;
    if let Some(expected) = given("expectedVersion", update.expected_version)?
        && expected != current.version
    {
        let message = format!("The control is at version {} now.", current.version);
        return Err(Refusal::at(Code::StaleVersion, "expectedVersion", message));
    }
    let mut next = current.clone();
    if let Some(value) = given("isEnabled", update.is_enabled)? {
        next.is_enabled = value;
    }
    if let Some(value) = given("isApprovalRequired", update.is_approval_required)? {
        next.is_approval_required = value;
    }
    let minimum = given("minimumRiskLevel", update.minimum_risk_level)?;
    let levels = given("riskLevels", update.risk_levels)?;
    match (minimum, levels) {
        (Some(_), Some(_)) => {
            let message = "Give minimumRiskLevel or riskLevels, not both.";
            return Err(Refusal::at(Code::Invalid, "minimumRiskLevel", message));
        }
        (Some(level), None) => {
            selectable(source, "minimumRiskLevel", level)?;
            next.risk_levels.0 = risk::from_minimum(source, level);
        }
        (None, Some(levels)) => {
            for level in &levels {
                selectable(source, "riskLevels", *level)?;
            }
            if levels.is_empty() {
                return Err(Refusal::at(Code::Invalid, "riskLevels", "Select at least one level."));
            }
            next.risk_levels.0 =
                risk::selectable(source).iter().copied().filter(|level| levels.contains(level)).collect();
        }
        (None, None) => {}
    }
    if let Some(sets) = given("approvers", update.approvers)? {
        if sets.is_empty() {
            return Err(Refusal::at(Code::Invalid, "approvers", "Name at least one approver."));
        }
        next.approvers.0 = sets;
    }
    if let Some(sets) = given("fallbackApprovers", update.fallback_approvers)? {
        next.fallback_approvers.0 = sets;
    }
    if let Some(timeout) = given("decisionTimeout", update.decision_timeout)? {
        if !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&timeout) {
            return Err(Refusal::at(Code::Invalid, "decisionTimeout", "From one hour (PT1H) to 14 days (P14D)."));
        }
        next.decision_timeout = timeout;
    }
    if let Some(value) = given("reevaluation", update.reevaluation)? {
        next.reevaluation = value;
    }
    if let Some(value) = given("whenUndetermined", update.when_undetermined)? {
        next.when_undetermined = value;
    }
    if let Some(timeout) = given("holdTimeout", update.hold_timeout)? {
        if !(HOLD_MIN..=HOLD_MAX).contains(&timeout) {
            return Err(Refusal::at(Code::Invalid, "holdTimeout", "From one minute (PT1M) to one day (P1D)."));
        }
        next.hold_timeout = timeout;
    }
    if let Some(value) = given("refuseRiskyApprovers", update.refuse_risky_approvers)? {
        next.refuse_risky_approvers = value;
    }
    if let Some(value) = given("reproveBeforeDelivery", update.reprove_before_delivery)? {
        next.reprove_before_delivery = value;
    }
    let warnings = warnings(source, &next.risk_levels.0);
    if next == *current {
        return Ok(Updated { control: next, plan: None, warnings });
    }
    next.modified_by = Some(by);
    next.modified_at = Some(Timestamp::COMMIT);

    let mut plan = Plan::default();
    let mut event = NewEvent::new(EventKind::ControlUpdated, EventActor::Person(by))
        .with("ControlConfigurationId", id(source).to_string())
        .with("RiskSource", source.as_str())
        .with("Version", current.version + 1);
    for (key, before, after) in changes(current, &next) {
        event = event.with(key, vec![before, after]);
    }
    if !warnings.is_empty() {
        event = event.with("Warnings", warnings.clone());
    }
    plan.events.push(event);
    plan.rows.control_versions.push(control_version::Model {
        source,
        version: current.version + 1,
        modified_by: Some(by),
        modified_at: Timestamp::COMMIT,
        before: settings(current).to_string(),
        after: settings(&next).to_string(),
    });
    plan.change_control(next.clone());
    next.version += 1;
    Ok(Updated { control: next, plan: Some(plan), warnings })
}

/// What to look at in a set of levels: a gap.
pub fn warnings(source: RiskSource, levels: &[RiskLevel]) -> Vec<String> {
    if risk::minimum(source, levels).is_some() {
        return Vec::new();
    }
    let missing: Vec<_> = risk::selectable(source)
        .iter()
        .skip_while(|level| !levels.contains(level))
        .filter(|level| !levels.contains(level))
        .map(|level| level.as_str())
        .collect();
    vec![format!(
        "The selected {} levels have a gap: {} stands above a selected level and asks for no approval.",
        source_name(source),
        missing.join(", ")
    )]
}

fn given<T>(field: &str, value: Option<Option<T>>) -> Result<Option<T>, Refusal> {
    match value {
        Some(None) => {
            Err(Refusal::at(Code::Invalid, field, "null is not a value here; leave the field out to keep it."))
        }
        Some(some) => Ok(some),
        None => Ok(None),
    }
}

fn selectable(source: RiskSource, field: &str, level: RiskLevel) -> Result<(), Refusal> {
    if risk::selectable(source).contains(&level) {
        return Ok(());
    }
    Err(Refusal::at(Code::Invalid, field, format!("{level} cannot be selected.")))
}

fn settings(control: &control::Model) -> serde_json::Value {
    json!({
        "approvers": control.approvers.0,
        "decisionTimeout": control.decision_timeout,
        "fallbackApprovers": control.fallback_approvers.0,
        "holdTimeout": control.hold_timeout,
        "isApprovalRequired": control.is_approval_required,
        "isEnabled": control.is_enabled,
        "reevaluation": control.reevaluation,
        "refuseRiskyApprovers": control.refuse_risky_approvers,
        "reproveBeforeDelivery": control.reprove_before_delivery,
        "riskLevels": control.risk_levels.0,
        "whenUndetermined": control.when_undetermined,
    })
}

/// Each setting that differs: its name, what stood before, what stands after.
fn changes(before: &control::Model, after: &control::Model) -> Vec<(&'static str, String, String)> {
    const NAMES: [(&str, &str); 11] = [
        ("approvers", "Approvers"),
        ("decisionTimeout", "DecisionTimeout"),
        ("fallbackApprovers", "FallbackApprovers"),
        ("holdTimeout", "HoldTimeout"),
        ("isApprovalRequired", "IsApprovalRequired"),
        ("isEnabled", "IsEnabled"),
        ("reevaluation", "Reevaluation"),
        ("refuseRiskyApprovers", "RefuseRiskyApprovers"),
        ("reproveBeforeDelivery", "ReproveBeforeDelivery"),
        ("riskLevels", "RiskLevels"),
        ("whenUndetermined", "WhenUndetermined"),
    ];
    let (before, after) = (settings(before), settings(after));
    NAMES
        .into_iter()
        .filter(|(key, _)| before[key] != after[key])
        .map(|(key, name)| (name, before[key].to_string(), after[key].to_string()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use entity::{DirectoryRole, Json};

    fn untouched() -> control::Model {
        control::Model {
            source: RiskSource::IdProtection,
            is_enabled: true,
            is_approval_required: false,
            risk_levels: Json(vec![RiskLevel::High]),
            approvers: Json(vec![SubjectSet::Role(DirectoryRole::SecurityAdministrator)]),
            fallback_approvers: Json(vec![SubjectSet::Role(DirectoryRole::GlobalAdministrator)]),
            decision_timeout: Seconds::days(14),
            modified_by: None,
            modified_at: None,
            version: 1,
            reevaluation: Reevaluation::BeforeDelivery,
            when_undetermined: WhenUndetermined::RequireStage,
            hold_timeout: Seconds::hours(1),
            refuse_risky_approvers: true,
            reprove_before_delivery: true,
        }
    }

    fn by() -> UserId {
        UserId(Uuid::nil())
    }

    #[test]
    fn nothing_changed_is_no_version_and_doubled_levels_collapse() {
        let same = Update { risk_levels: Some(Some(vec![RiskLevel::High, RiskLevel::High])), ..Update::default() };
        let updated = update(&untouched(), same, by()).unwrap();
        assert_eq!(updated.plan, None);
        assert_eq!(updated.control, untouched());
    }

    #[test]
    fn a_gap_is_accepted_with_a_warning_in_answer_and_event() {
        let gap = Update { risk_levels: Some(Some(vec![RiskLevel::High, RiskLevel::Low])), ..Update::default() };
        let updated = update(&untouched(), gap, by()).unwrap();
        assert_eq!(updated.control.risk_levels.0, [RiskLevel::Low, RiskLevel::High]);
        assert_eq!(updated.warnings.len(), 1);
        let plan = updated.plan.unwrap();
        assert!(plan.events[0].details.contains_key("Warnings"));
        assert_eq!(plan.rows.control_versions[0].version, 2);
    }

    #[test]
    fn what_cannot_be_selected_is_refused_and_names_its_field() {
        for (bad, field) in [
            (Update { minimum_risk_level: Some(Some(RiskLevel::None)), ..Update::default() }, "minimumRiskLevel"),
            (Update { risk_levels: Some(Some(vec![])), ..Update::default() }, "riskLevels"),
            (Update { risk_levels: Some(Some(vec![RiskLevel::Elevated])), ..Update::default() }, "riskLevels"),
            (Update { is_enabled: Some(None), ..Update::default() }, "isEnabled"),
            (Update { approvers: Some(Some(vec![])), ..Update::default() }, "approvers"),
            (Update { decision_timeout: Some(Some(Seconds::days(15))), ..Update::default() }, "decisionTimeout"),
            (Update { decision_timeout: Some(Some(Seconds(3_599))), ..Update::default() }, "decisionTimeout"),
            (Update { hold_timeout: Some(Some(Seconds(59))), ..Update::default() }, "holdTimeout"),
            (Update { hold_timeout: Some(Some(Seconds(86_401))), ..Update::default() }, "holdTimeout"),
            (Update { when_undetermined: Some(None), ..Update::default() }, "whenUndetermined"),
        ] {
            let refusal = update(&untouched(), bad, by()).unwrap_err();
            assert_eq!((refusal.code, refusal.field), (Code::Invalid, vec![field.to_owned()]));
        }
        let stale = Update { expected_version: Some(Some(9)), ..Update::default() };
        assert_eq!(update(&untouched(), stale, by()).unwrap_err().code, Code::StaleVersion);
    }
}
