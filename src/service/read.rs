//! The readings: pages and objects, each with the rights that it asks for. What a viewer may not see is filtered in SQL.

use entity::{
    AssignmentId, CatalogId, EventId, GroupId, PackageId, PolicyId, RequestId, RiskSource, StageId, SubjectSet, UserId,
    assignment, catalog, decision, evaluation, event, explanation, group, insider_risk, package, user,
};

use super::{Fault, Services};
use crate::domain::explanation::Account;
use crate::domain::permission::{Actor, Right};
use crate::domain::text;
use crate::store::page::{Kind, decode, encode};
use crate::store::{
    AssignmentFilter, EventFilter, NAME_ORDER, PackageFilter, Page, PageArgs, PolicyRow, RequestFilter, RequestRow,
    StageFilter, StageRow, UserFilter, kinds_of,
};

/// Rows of a page where nobody says how many.
const PAGE_DEFAULT: usize = 20;
/// Most rows of a page.
const PAGE_MAX: usize = 100;
/// Order of lists by time.
const TIME_ORDER: [Kind; 2] = [Kind::Number, Kind::Text];

/// Arguments of a connection, as they came in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageInput {
    /// How many from the beginning.
    pub first: Option<i32>,
    /// Only what stands after this cursor.
    pub after: Option<String>,
    /// How many from the end.
    pub last: Option<i32>,
    /// Only what stands before this cursor.
    pub before: Option<String>,
    /// Is the whole count asked for?
    pub want_total: bool,
}

/// One page, with cursors as clients carry them.
#[derive(Debug, Clone)]
pub struct Listing<T> {
    /// The rows, each with its cursor.
    pub items: Vec<(String, T)>,
    /// Does something stand after them?
    pub has_next: bool,
    /// Does something stand before them?
    pub has_previous: bool,
    /// How many the whole list has; 0 unless asked for.
    pub total: i64,
    /// The head of the log, as an event cursor, read in the same statement.
    pub event_cursor: String,
}

/// What the planner found when it planned a request once.
#[derive(Debug, Clone)]
pub struct ExplanationRow {
    /// The row.
    pub row: explanation::Model,
    /// Its account.
    pub account: Account,
}

impl PageInput {
    fn sized(&self) -> Result<PageArgs, Fault> {
        if self.first.is_some() && self.last.is_some() {
            return Err(Fault::BadInput("Give first or last, not both.".to_owned()));
        }
        let (name, wanted) = match self.last {
            Some(last) => ("last", Some(last)),
            None => ("first", self.first),
        };
        let size = match wanted {
            None => PAGE_DEFAULT,
            Some(wanted) => usize::try_from(wanted)
                .ok()
                .filter(|wanted| *wanted <= PAGE_MAX)
                .ok_or_else(|| Fault::BadInput(format!("{name} must be between 0 and {PAGE_MAX}.")))?,
        };
        Ok(PageArgs { size, backward: self.last.is_some(), after: None, before: None, want_total: self.want_total })
    }

    fn args(&self, order: &[Kind]) -> Result<PageArgs, Fault> {
        let place = |cursor: &Option<String>| match cursor {
            None => Ok(None),
            Some(text) => decode(text, order)
                .map(Some)
                .ok_or_else(|| Fault::BadInput("That is not a cursor of this list.".to_owned())),
        };
        let mut args = self.sized()?;
        args.after = place(&self.after)?;
        args.before = place(&self.before)?;
        Ok(args)
    }
}

fn checked(search: &Option<String>) -> Result<(), Fault> {
    text::text("search", search.as_deref()).map_err(|refusal| Fault::BadInput(format!("search: {}", refusal.message)))
}

impl Services {
    fn listing<T>(&self, page: Page<T>) -> Listing<T> {
        Listing {
            items: page.items.into_iter().map(|(cursor, row)| (encode(&cursor), row)).collect(),
            has_next: page.has_next,
            has_previous: page.has_previous,
            total: page.total,
            event_cursor: self.cursors.seal(page.head),
        }
    }

    /// Catalogs, by name.
    pub async fn catalogs(&self, actor: &Actor, page: &PageInput) -> Result<Listing<catalog::Model>, Fault> {
        Ok(self.listing(self.store.catalogs(actor, &page.args(&NAME_ORDER)?).await?))
    }

    /// Packages, by name.
    pub async fn packages(
        &self,
        actor: &Actor,
        filter: &PackageFilter,
        page: &PageInput,
    ) -> Result<Listing<package::Model>, Fault> {
        checked(&filter.search)?;
        Ok(self.listing(self.store.packages(actor, filter, &page.args(&NAME_ORDER)?).await?))
    }

    /// Requests, newest first. A filter on risk needs one of the roles that read it.
    pub async fn requests(
        &self,
        actor: &Actor,
        filter: &RequestFilter,
        page: &PageInput,
    ) -> Result<Listing<RequestRow>, Fault> {
        if filter.has_risk_stage.is_some() {
            self.require(actor, Right::ReadRisk)?;
        }
        Ok(self.listing(self.store.requests(actor, filter, &page.args(&TIME_ORDER)?).await?))
    }

    /// Assignments, newest first.
    pub async fn assignments(
        &self,
        actor: &Actor,
        filter: &AssignmentFilter,
        page: &PageInput,
    ) -> Result<Listing<assignment::Model>, Fault> {
        Ok(self.listing(self.store.assignments(actor, filter, &page.args(&TIME_ORDER)?).await?))
    }

    /// People, by name. A filter on risk needs one of the roles that read it.
    pub async fn users(
        &self,
        actor: &Actor,
        search: Option<String>,
        has_risk: Option<bool>,
        page: &PageInput,
    ) -> Result<Listing<user::Model>, Fault> {
        if has_risk.is_some() {
            self.require(actor, Right::ReadRisk)?;
        }
        checked(&search)?;
        let filter = UserFilter { search, has_risk: has_risk.map(|has_risk| (has_risk, self.clock.now())) };
        Ok(self.listing(self.store.users(actor, &filter, &page.args(&NAME_ORDER)?).await?))
    }

    /// Pending stages that the viewer sees; a filter on risk kinds needs one of the roles that read risk.
    pub async fn approval_stages(
        &self,
        actor: &Actor,
        filter: &StageFilter,
        page: &PageInput,
    ) -> Result<Listing<StageRow>, Fault> {
        let is_about_risk = |kind: &entity::StageKind| crate::domain::permission::risk_source(*kind).is_some();
        if filter.kinds.iter().flatten().any(is_about_risk) {
            self.require(actor, Right::ReadRisk)?;
        }
        Ok(self.listing(self.store.stages(actor, filter, self.clock.now(), &page.args(&TIME_ORDER)?).await?))
    }

    /// Pending stages that the viewer may decide now, most urgent first.
    pub async fn pending_approvals(&self, actor: &Actor, page: &PageInput) -> Result<Listing<StageRow>, Fault> {
        let filter = StageFilter { decidable: true, by_due_date: true, ..StageFilter::default() };
        Ok(self.listing(self.store.stages(actor, &filter, self.clock.now(), &page.args(&TIME_ORDER)?).await?))
    }

    /// Pending risk stages that the viewer may decide, oldest first; the page and its event cursor come from one statement.
    pub async fn pending_risk_approvals(
        &self,
        actor: &Actor,
        sources: Option<&[RiskSource]>,
        page: &PageInput,
    ) -> Result<Listing<StageRow>, Fault> {
        let kinds = Some(kinds_of(sources.unwrap_or(RiskSource::ALL)));
        let filter = StageFilter { kinds, decidable: true, ..StageFilter::default() };
        Ok(self.listing(self.store.stages(actor, &filter, self.clock.now(), &page.args(&TIME_ORDER)?).await?))
    }

    /// The audit log, newest first; its cursors are event cursors.
    pub async fn audit_events(
        &self,
        actor: &Actor,
        filter: &EventFilter,
        page: &PageInput,
    ) -> Result<Listing<event::Model>, Fault> {
        self.require(actor, Right::ReadAudit)?;
        if let Some(activity) = &filter.activity {
            text::text("activity", Some(activity)).map_err(|refusal| Fault::BadInput(refusal.message))?;
        }
        let mut args = page.sized()?;
        if page.after.is_some() || page.before.is_some() {
            let head = self.store.head().await?.position;
            let place = |cursor: &Option<String>| match cursor {
                Some(text) => Ok::<_, Fault>(Some(vec![crate::store::Key::Number(self.cursors.open(text, head)?)])),
                None => Ok(None),
            };
            args.after = place(&page.after)?;
            args.before = place(&page.before)?;
        }
        let found = self.store.events(filter, &args).await?;
        let (has_next, has_previous, total) = (found.has_next, found.has_previous, found.total);
        let event_cursor = self.cursors.seal(found.head);
        let items = found.items.into_iter().map(|(_, row)| (self.cursors.seal(row.position), row)).collect();
        Ok(Listing { items, has_next, has_previous, total, event_cursor })
    }

    /// The details of an event, by name.
    pub fn event_details(&self, event: &event::Model) -> Vec<(String, String)> {
        crate::store::log::details(event)
    }

    /// The cursor of an event.
    pub fn event_cursor(&self, position: i64) -> String {
        self.cursors.seal(position)
    }

    /// Which of these events the viewer may read.
    pub async fn events_by_id(&self, actor: &Actor, ids: &[EventId]) -> Result<Vec<event::Model>, Fault> {
        if !actor.has(Right::ReadAudit) {
            return Ok(Vec::new());
        }
        Ok(self.store.events_by_id(ids).await?)
    }

    /// Which of these requests the viewer sees.
    pub async fn requests_by_id(&self, actor: &Actor, ids: &[RequestId]) -> Result<Vec<RequestRow>, Fault> {
        Ok(self.store.visible_requests(actor, ids).await?)
    }

    /// The stages of these requests that the viewer sees, in order.
    pub async fn stages_of(&self, actor: &Actor, requests: &[RequestId]) -> Result<Vec<StageRow>, Fault> {
        Ok(self.store.stages_of(actor, requests, self.clock.now()).await?)
    }

    /// Which of these stages the viewer sees.
    pub async fn stages_by_id(&self, actor: &Actor, ids: &[StageId]) -> Result<Vec<StageRow>, Fault> {
        Ok(self.store.visible_stages(actor, ids, self.clock.now()).await?)
    }

    /// The sets in force of stages that the viewer sees.
    pub async fn sets_of(&self, stages: &[StageId]) -> Result<Vec<(StageId, SubjectSet)>, Fault> {
        Ok(self.store.sets_of(stages).await?)
    }

    /// The readings that put stages there that the viewer sees.
    pub async fn evaluations_by_stage(&self, stages: &[StageId]) -> Result<Vec<(StageId, evaluation::Model)>, Fault> {
        Ok(self.store.evaluations_by_stage(stages).await?)
    }

    /// How the decisions on stages that the viewer sees were made; nothing for who may not read the audit log.
    pub async fn decisions_of(&self, actor: &Actor, stages: &[StageId]) -> Result<Vec<decision::Model>, Fault> {
        if !actor.has(Right::ReadAudit) {
            return Ok(Vec::new());
        }
        Ok(self.store.decisions_of(stages).await?)
    }

    /// The readings of requests in which the viewer reads risk.
    pub async fn evaluations_of(&self, requests: &[RequestId]) -> Result<Vec<evaluation::Model>, Fault> {
        Ok(self.store.evaluations_of(requests).await?)
    }

    /// The planner's accounts of requests that the viewer sees, in order; what of them is for the viewer's eyes, [`Sight`] says.
    ///
    /// [`Sight`]: crate::domain::explanation::Sight
    pub async fn explanations_of(&self, requests: &[RequestId]) -> Result<Vec<ExplanationRow>, Fault> {
        let parse = |row: explanation::Model| {
            let account = serde_json::from_str(&row.content)
                .map_err(|error| Fault::Internal(format!("the account {} cannot be read: {error}", row.id)))?;
            Ok(ExplanationRow { row, account })
        };
        self.store.explanations_of(requests).await?.into_iter().map(parse).collect()
    }

    /// The assignments that requests gave which the viewer sees.
    pub async fn assignments_of(&self, requests: &[RequestId]) -> Result<Vec<assignment::Model>, Fault> {
        Ok(self.store.assignments_of(requests).await?)
    }

    /// Which of these assignments the viewer sees.
    pub async fn assignments_by_id(
        &self,
        actor: &Actor,
        ids: &[AssignmentId],
    ) -> Result<Vec<assignment::Model>, Fault> {
        Ok(self.store.visible_assignments(actor, ids).await?)
    }

    /// Packages, for what refers to them that the viewer sees.
    pub async fn referred_packages(&self, ids: &[PackageId]) -> Result<Vec<package::Model>, Fault> {
        Ok(self.store.packages_by_id(ids).await?)
    }

    /// Which of these packages the viewer sees.
    pub async fn packages_by_id(&self, actor: &Actor, ids: &[PackageId]) -> Result<Vec<package::Model>, Fault> {
        Ok(self.store.visible_packages(actor, ids).await?)
    }

    /// Catalogs, for what refers to them that the viewer sees.
    pub async fn referred_catalogs(&self, ids: &[CatalogId]) -> Result<Vec<catalog::Model>, Fault> {
        Ok(self.store.catalogs_by_id(ids).await?)
    }

    /// Which of these catalogs the viewer sees.
    pub async fn catalogs_by_id(&self, actor: &Actor, ids: &[CatalogId]) -> Result<Vec<catalog::Model>, Fault> {
        Ok(self.store.visible_catalogs(actor, ids).await?)
    }

    /// Policies, for what refers to them that the viewer sees.
    pub async fn referred_policies(&self, actor: &Actor, ids: &[PolicyId]) -> Result<Vec<PolicyRow>, Fault> {
        Ok(self.store.policies_by_id(actor, ids).await?)
    }

    /// Which of these policies the viewer sees.
    pub async fn policies_by_id(&self, actor: &Actor, ids: &[PolicyId]) -> Result<Vec<PolicyRow>, Fault> {
        Ok(self.store.visible_policies(actor, ids).await?)
    }

    /// The policies of packages: those that fit the viewer, all of them for readers.
    pub async fn policies_of(&self, actor: &Actor, packages: &[PackageId]) -> Result<Vec<PolicyRow>, Fault> {
        Ok(self.store.policies_of_packages(actor, packages).await?)
    }

    /// People, for what refers to them that the viewer sees.
    pub async fn referred_users(&self, ids: &[UserId]) -> Result<Vec<user::Model>, Fault> {
        Ok(self.store.users_by_id(ids).await?)
    }

    /// Which of these people the viewer sees.
    pub async fn users_by_id(&self, actor: &Actor, ids: &[UserId]) -> Result<Vec<user::Model>, Fault> {
        Ok(self.store.visible_users(actor, ids).await?)
    }

    /// Groups, for what refers to them that the viewer sees.
    pub async fn referred_groups(&self, ids: &[GroupId]) -> Result<Vec<group::Model>, Fault> {
        Ok(self.store.groups_by_id(ids).await?)
    }

    /// Which of these groups the viewer sees.
    pub async fn groups_by_id(&self, actor: &Actor, ids: &[GroupId]) -> Result<Vec<group::Model>, Fault> {
        Ok(self.store.visible_groups(actor, ids).await?)
    }

    /// Insider risk of people, for a risk reader.
    pub async fn insider_risks(&self, ids: &[UserId]) -> Result<Vec<insider_risk::Model>, Fault> {
        Ok(self.store.insider_risks(ids).await?)
    }

    /// May the viewer see who manages this person? A risk reader of everybody; anybody of themselves and of their direct reports.
    pub fn may_see_manager(&self, actor: &Actor, person: &user::Model) -> bool {
        let is_close = |user: UserId| person.id == user || person.manager_id == Some(user);
        actor.has(Right::ReadPeople) || actor.user_id().is_some_and(is_close)
    }
}
