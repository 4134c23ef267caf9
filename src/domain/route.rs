//! Routing: one pure function from facts to a route. Submission, preview and the replay of history all call it, so they cannot
//! disagree. The facts are stored with the request; from them the same route can be made again, bit for bit.

use entity::{
    ApproverTier, Coverage, Origin, PackageId, PlanningRule, PolicyId, PolicyStage, Reevaluation, RequestType,
    RiskLevel, RiskSource, Seconds, StageKind, SubjectSet, Timestamp, UserId, WhenUndetermined,
};
use serde::{Deserialize, Serialize};

use super::coverage::{self, Able};
use super::explanation::{self, Excluded, Step, Tier};
use super::permission::{ApplicationId, stage_kind};
use super::risk::{Cover, Void};

/// A control as it stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlFacts {
    /// Its source.
    pub source: RiskSource,
    /// Its version.
    pub version: i64,
    /// In force?
    pub is_enabled: bool,
    /// Does it ask for a stage?
    pub is_approval_required: bool,
    /// The levels that do.
    pub risk_levels: Vec<RiskLevel>,
    /// Who decides.
    pub approvers: Vec<SubjectSet>,
    /// Who joins while nobody of those could.
    pub fallback_approvers: Vec<SubjectSet>,
    /// How long its stage waits.
    pub decision_timeout: Seconds,
    /// When it reads its source.
    #[serde(default, skip_serializing_if = "Reevaluation::is_default")]
    pub reevaluation: Reevaluation,
    /// What a reading that could not be had makes of a request.
    #[serde(default, skip_serializing_if = "WhenUndetermined::is_default")]
    pub when_undetermined: WhenUndetermined,
    /// How long a request waits for the source at most.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub hold_timeout: Seconds,
    /// May nobody approve its stages whose own risk matches it?
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub refuse_risky_approvers: bool,
    /// Are approvals of its stages proved again before access is delivered?
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub reprove_before_delivery: bool,
}

fn yes() -> bool {
    true
}

fn is_yes(setting: &bool) -> bool {
    *setting
}

fn is_nothing(span: &Seconds) -> bool {
    *span == Seconds::default()
}

impl ControlFacts {
    /// Does it ask for its source to be read at all?
    pub fn asks(&self) -> bool {
        self.is_enabled && self.is_approval_required
    }

    /// Is a level one that it selects? What could not be read always is.
    pub fn selects(&self, level: RiskLevel) -> bool {
        level == RiskLevel::Undetermined || self.risk_levels.contains(&level)
    }

    /// Does it look at the risk of those who approve?
    pub fn asks_approvers(&self) -> bool {
        self.asks() && self.refuse_risky_approvers
    }

    /// Does it ask for it once more while a request is under way?
    pub fn asks_again(&self) -> bool {
        self.asks() && self.reevaluation != Reevaluation::AtSubmission
    }
}

/// What the stages of one source have come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// What their approvals have covered.
    pub cover: Cover,
    /// What those have covered that still count: who gave them could give them now.
    pub proved: Cover,
    /// The newest of those that do not, and were not asked for again.
    pub void: Option<Void>,
    /// Is one of them undecided?
    pub is_undecided: bool,
}

/// How far a request has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passage {
    /// ID Protection's stages.
    pub id_protection: Passed,
    /// Those of insider risk.
    pub insider_risk: Passed,
    /// How many stages of any kind are undecided.
    pub undecided: usize,
}

impl Passage {
    /// What the stages of a source have come to.
    pub fn of(&self, source: RiskSource) -> &Passed {
        match source {
            RiskSource::IdProtection => &self.id_protection,
            RiskSource::InsiderRisk => &self.insider_risk,
        }
    }

    /// The same, to be filled in.
    pub fn of_mut(&mut self, source: RiskSource) -> &mut Passed {
        match source {
            RiskSource::IdProtection => &mut self.id_protection,
            RiskSource::InsiderRisk => &mut self.insider_risk,
        }
    }
}

/// Proof that a plan has found nothing left to approve. Only [`Route::cleared`] gives it, and access is made only where it is spent.
#[derive(Debug)]
pub struct Cleared(());

/// One reading of one source for one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The source.
    pub source: RiskSource,
    /// Whose risk.
    pub subject: UserId,
    /// The level; UNDETERMINED where it could not be had in time.
    pub level: RiskLevel,
    /// When it was read: for what a sweep says, when that began.
    pub read_at: Timestamp,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "Origin::is_default")]
    pub origin: Origin,
    /// When the source changed it last, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_updated_at: Option<Timestamp>,
}

/// Why the policy lets this person ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Eligibility {
    /// Every enabled member of the directory may.
    Everyone,
    /// The target is in one of its sets.
    Listed,
}

/// A policy as it stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFacts {
    /// Which one.
    pub id: PolicyId,
    /// Its version.
    pub version: i64,
    /// Why it fits.
    pub eligibility: Eligibility,
    /// Its stages.
    pub stages: Vec<PolicyStage>,
    /// How long access lasts.
    pub assignment_duration: Option<Seconds>,
}

/// Who of one tier of one possible stage passed every check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The kind of stage.
    pub kind: StageKind,
    /// Which of the policy's stages, from 0; 0 for a risk stage.
    pub ordinal: usize,
    /// The tier.
    pub tier: ApproverTier,
    /// How many people.
    pub count: i64,
    /// The first of them by id, a hundred at most.
    pub people: Vec<UserId>,
    /// The first by id of those who are in its sets and did not, twenty at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<Excluded>,
    /// How many did not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub excluded_count: i64,
}

fn is_zero(count: &i64) -> bool {
    *count == 0
}

/// Everything that routing looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Who asks for what.
    pub request_type: RequestType,
    /// Who asks; where an application does, the one it asks for.
    pub requestor: UserId,
    /// The application that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationId>,
    /// Who gets the access.
    pub target: UserId,
    /// The directory version that people were judged by.
    pub directory_version: i64,
    /// The package.
    pub package: PackageId,
    /// Its version.
    pub package_version: i64,
    /// The policy.
    pub policy: PolicyFacts,
    /// Both controls, ID Protection first.
    pub controls: Vec<ControlFacts>,
    /// A reading for each person of each source whose control asks.
    pub readings: Vec<Reading>,
    /// Who could decide each possible stage.
    pub approvers: Vec<Resolved>,
    /// How long the request has waited for a source; nothing at its submission.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub waited: Seconds,
}

/// A reading, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The reading.
    pub reading: Reading,
    /// The version of the control that was applied.
    pub configuration_version: i64,
    /// Does it ask for a stage?
    pub is_stage_required: bool,
    /// Why, or why not, for people.
    pub reason: String,
}

/// A stage that must be passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStage {
    /// Why it exists.
    pub kind: StageKind,
    /// Who decides.
    pub approvers: Vec<SubjectSet>,
    /// Who joins while nobody of those could.
    pub fallback_approvers: Vec<SubjectSet>,
    /// Who joins after `escalate_after`.
    pub escalation_approvers: Vec<SubjectSet>,
    /// When those join.
    pub escalate_after: Option<Seconds>,
    /// How long it waits.
    pub decision_timeout: Seconds,
    /// Must a decision carry a justification?
    pub is_justification_required: bool,
    /// Who could decide it as things stand.
    pub coverage: Coverage,
    /// Which of the route's evaluations put it here.
    pub evaluation: Option<usize>,
    /// The approval that counts no more, and that it asks for again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Void>,
    /// Why it is here, for people.
    pub reason: String,
}

impl PlannedStage {
    /// The sets in force as things stand.
    pub fn in_force(&self) -> Vec<SubjectSet> {
        let mut sets = self.approvers.clone();
        if self.coverage != Coverage::Primary {
            sets.extend(self.fallback_approvers.iter().filter(|set| !self.approvers.contains(set)).cloned());
        }
        sets
    }
}

/// The way of one request. Nobody but the planner makes one: a field is this file's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Route {
    /// What must be passed, in order: ID Protection, insider risk, then the policy's own.
    pub stages: Vec<PlannedStage>,
    /// What was found about each source and each stage of the policy, and why it asks for an approval or does not.
    pub steps: Vec<Step>,
    /// Every reading, judged.
    pub evaluations: Vec<Evaluation>,
    /// How many stages were there already, and are undecided.
    undecided: usize,
    /// For so long yet the request waits for a source rather than go this way: only readings that could not be had ask for its stage.
    pub hold: Option<Seconds>,
}

impl Route {
    /// Puts a stage on the way, and says why.
    fn require(&mut self, planned: PlannedStage, tiers: Vec<Tier>, step: Step) {
        self.steps.push(Step {
            is_required: true,
            stage: Some(self.stages.len()),
            tiers,
            coverage: Some(planned.coverage),
            sentence: format!("{} {}", planned.reason, explanation::who_decides(planned.coverage)),
            ..step
        });
        self.stages.push(planned);
    }

    /// Is there nothing left to approve?
    pub fn cleared(&self) -> Option<Cleared> {
        (self.stages.is_empty() && self.undecided == 0 && self.hold.is_none()).then_some(Cleared(()))
    }
}

/// Plans the way.
pub fn plan(facts: &Facts) -> Route {
    let mut route = risk(facts, Passage::default(), |_, _| true);
    for control in &facts.controls {
        let Some(left) = hold(facts, control, &route.evaluations) else { continue };
        route.hold = Some(route.hold.map_or(left, |other| other.min(left)));
        for step in route.steps.iter_mut().filter(|step| step.kind == stage_kind(control.source)) {
            step.rule = PlanningRule::WaitsForSource;
            step.sentence = format!("{} The request waits for the source.", step.sentence);
        }
    }
    let version = Some(facts.policy.version);
    if facts.policy.stages.is_empty() {
        let sentence = "The policy requires no approval of its own.".to_owned();
        route.steps.push(Step::without_stage(StageKind::Policy, PlanningRule::PolicyWithoutStages, version, sentence));
    }
    for (ordinal, stage) in facts.policy.stages.iter().enumerate() {
        let step = Step {
            ordinal,
            ..Step::without_stage(StageKind::Policy, PlanningRule::PolicyStage, version, String::new())
        };
        let (tiers, coverage) = who(facts, StageKind::Policy, ordinal);
        let planned = PlannedStage {
            kind: StageKind::Policy,
            approvers: stage.approvers.clone(),
            fallback_approvers: stage.fallback_approvers.clone(),
            escalation_approvers: stage.escalation_approvers.clone(),
            escalate_after: stage.escalate_after,
            decision_timeout: stage.decision_timeout,
            is_justification_required: stage.is_approver_justification_required,
            coverage,
            evaluation: None,
            replaces: None,
            reason: format!("Stage {} of {} of the policy.", ordinal + 1, facts.policy.stages.len()),
        };
        route.require(planned, tiers, step);
    }
    route
}

/// How long a control lets the request wait yet for its source, where nothing but what could not be read asks for its stage.
fn hold(facts: &Facts, control: &ControlFacts, evaluations: &[Evaluation]) -> Option<Seconds> {
    let mut required =
        evaluations.iter().filter(|e| e.reading.source == control.source && e.is_stage_required).peekable();
    let is_unknown = required.peek().is_some() && required.all(|e| e.reading.level == RiskLevel::Undetermined);
    let left = Seconds(control.hold_timeout.0 - facts.waited.0);
    (is_unknown && control.when_undetermined == WhenUndetermined::Hold && left > Seconds(0)).then_some(left)
}

/// When a request is planned again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before its access is delivered.
    Delivery,
    /// While it waits for an approval.
    Waiting,
}

impl Moment {
    /// Does a control read its source at this moment, its stages having come to this?
    pub fn asks(self, control: &ControlFacts, passed: &Passed) -> bool {
        match (control.reevaluation, self) {
            (Reevaluation::AtSubmission, _) => false,
            (Reevaluation::BeforeDelivery, Moment::Delivery) | (Reevaluation::Continuous, _) => true,
            // A stage that is undecided shows the newest reading.
            (Reevaluation::BeforeDelivery, Moment::Waiting) => passed.is_undecided,
        }
    }
}

/// Plans the way of a request that has come so far: the stages that the readings of now add to it.
pub fn plan_again(facts: &Facts, passage: Passage, moment: Moment) -> Route {
    risk(facts, passage, |control, passed| moment.asks(control, passed))
}

fn risk(facts: &Facts, passage: Passage, reads: impl Fn(&ControlFacts, &Passed) -> bool) -> Route {
    let mut route = Route {
        stages: Vec::new(),
        steps: Vec::new(),
        evaluations: Vec::new(),
        undecided: passage.undecided,
        hold: None,
    };
    for source in [RiskSource::IdProtection, RiskSource::InsiderRisk] {
        let passed = passage.of(source);
        match facts.controls.iter().find(|control| control.source == source) {
            Some(control) if reads(control, passed) => risk_stage(facts, control, *passed, true, &mut route),
            // What was approved is proved again also where the source is not read again.
            Some(control) if control.asks() && control.reprove_before_delivery && passed.void.is_some() => {
                risk_stage(facts, control, *passed, false, &mut route)
            }
            Some(control) => route.steps.push(Step::without_stage(
                stage_kind(source),
                PlanningRule::SourceNotRead,
                Some(control.version),
                format!("The {} control does not read its source now.", source_name(source)),
            )),
            // Facts without a control are nobody's: the gatherer always has both. Were one missing, what it gates is unknown.
            None => {
                let kind = stage_kind(source);
                let step = Step::without_stage(kind, PlanningRule::ControlUnknown, None, String::new());
                route.require(unknown_control(source), Vec::new(), step);
            }
        }
    }
    route
}

fn risk_stage(facts: &Facts, control: &ControlFacts, passed: Passed, is_read: bool, route: &mut Route) {
    let kind = stage_kind(control.source);
    let name = source_name(control.source);
    let step = |rule, sentence| Step::without_stage(kind, rule, Some(control.version), sentence);
    if !control.is_enabled {
        route.steps.push(step(PlanningRule::ControlDisabled, format!("The {name} control is off.")));
        return;
    }
    if !control.is_approval_required {
        let sentence = format!("The {name} control requires no approval.");
        route.steps.push(step(PlanningRule::ApprovalNotRequired, sentence));
        return;
    }
    let (cover, void) = match control.reprove_before_delivery {
        true => (passed.proved, passed.void),
        false => (passed.cover, None),
    };
    let mut people = Vec::new();
    if is_read {
        people.push(facts.requestor);
        if facts.target != facts.requestor {
            people.push(facts.target);
        }
    }
    let first = route.evaluations.len();
    for subject in people {
        let reading = facts
            .readings
            .iter()
            .find(|reading| reading.source == control.source && reading.subject == subject)
            .cloned()
            // A reading that is not there was not had: never lower than any level.
            .unwrap_or(Reading {
                source: control.source,
                subject,
                level: RiskLevel::Undetermined,
                read_at: Timestamp(0),
                origin: Origin::default(),
                source_updated_at: None,
            });
        route.evaluations.push(judge(control, reading));
    }
    let of_source = first..route.evaluations.len();
    let required = of_source.clone().filter(|index| route.evaluations[*index].is_stage_required);
    let worst = required
        .clone()
        .filter(|index| !cover.covers(route.evaluations[*index].reading.level))
        // The first of equals: the requestor's own reading stands before the target's.
        .min_by_key(|index| std::cmp::Reverse(super::risk::rank(route.evaluations[*index].reading.level)));
    let is_required = required.count() > 0;
    let read = |rule, sentence| Step { evaluations: of_source.collect(), ..step(rule, sentence) };
    match (worst, void) {
        (Some(_), _) | (None, Some(_)) if passed.is_undecided => {
            let sentence = format!("A stage of {name} is undecided and shows this.");
            route.steps.push(read(PlanningRule::StageUndecided, sentence));
        }
        (Some(_), _) | (None, Some(_)) => {
            let evaluation = worst.map(|index| &route.evaluations[index]);
            let rule = match evaluation.map(|evaluation| evaluation.reading.level) {
                Some(RiskLevel::Undetermined) => PlanningRule::LevelUndetermined,
                Some(_) => PlanningRule::LevelSelected,
                None => PlanningRule::ApprovalVoid,
            };
            let reasons = [evaluation.map(|evaluation| evaluation.reason.as_str()), void.as_ref().map(Void::reason)];
            let reason = reasons.into_iter().flatten().collect::<Vec<_>>().join(" ");
            let (tiers, coverage) = who(facts, kind, 0);
            let planned = PlannedStage {
                kind,
                approvers: control.approvers.clone(),
                fallback_approvers: control.fallback_approvers.clone(),
                escalation_approvers: Vec::new(),
                escalate_after: None,
                decision_timeout: control.decision_timeout,
                is_justification_required: true,
                coverage,
                evaluation: worst,
                replaces: void,
                reason,
            };
            route.require(planned, tiers, read(rule, String::new()));
        }
        (None, None) if is_required => {
            let sentence = format!("An approval has covered the {name} levels read.");
            route.steps.push(read(PlanningRule::CoveredByApproval, sentence));
        }
        (None, None) => {
            let sentence =
                format!("No {name} level read is one of the selected ones ({}).", words(&control.risk_levels));
            route.steps.push(read(PlanningRule::LevelNotSelected, sentence));
        }
    }
}

/// Is a level one that the control selected? What could not be read always is.
fn judge(control: &ControlFacts, reading: Reading) -> Evaluation {
    let name = source_name(control.source);
    let selected = words(&control.risk_levels);
    let (is_stage_required, reason) = match reading.level {
        RiskLevel::Undetermined => (
            true,
            format!(
                "The {name} level could not be read in time, which counts as one of the selected ones ({selected})."
            ),
        ),
        level if control.risk_levels.contains(&level) => {
            (true, format!("The {name} level {level} is one of the selected ones ({selected})."))
        }
        level => (false, format!("The {name} level {level} is not one of the selected ones ({selected}).")),
    };
    Evaluation { reading, configuration_version: control.version, is_stage_required, reason }
}

fn unknown_control(source: RiskSource) -> PlannedStage {
    PlannedStage {
        kind: stage_kind(source),
        approvers: Vec::new(),
        fallback_approvers: Vec::new(),
        escalation_approvers: Vec::new(),
        escalate_after: None,
        decision_timeout: Seconds::days(14),
        is_justification_required: true,
        coverage: Coverage::Nobody,
        evaluation: None,
        replaces: None,
        reason: format!("The {} control could not be read.", source_name(source)),
    }
}

/// Who could decide a possible stage, tier by tier, and who of those would be in force.
fn who(facts: &Facts, kind: StageKind, ordinal: usize) -> (Vec<Tier>, Coverage) {
    let sets = || facts.approvers.iter().filter(|set| set.kind == kind && set.ordinal == ordinal);
    let any = |tier| sets().any(|set| set.tier == tier && set.count > 0);
    let able = Able {
        primary: any(ApproverTier::Primary),
        alternate: any(ApproverTier::Alternate),
        fallback: any(ApproverTier::Fallback),
    };
    (explanation::tiers(sets()), coverage::judge(able, false))
}

/// A source as people call it.
pub fn source_name(source: RiskSource) -> &'static str {
    match source {
        RiskSource::IdProtection => "ID Protection",
        RiskSource::InsiderRisk => "insider risk",
    }
}

fn words(levels: &[RiskLevel]) -> String {
    levels.iter().map(|level| level.as_str()).collect::<Vec<_>>().join(", ")
}
