//! The demo world: a small company with fixed ids, and a history that its own use cases made, with the clock set back. Nothing in it
//! is forged.

use entity::{
    CatalogId, DirectoryRole, GroupId, PackageId, PolicyId, PolicyStage, RequestId, RiskLevel, RiskSource, Seconds,
    SubjectSet, Timestamp, UserId, Verdict, canonical_uuid, deployment,
};
use uuid::Uuid;

use crate::auth::Issuer;
use crate::clock::Clock;
use crate::domain::control::Update;
use crate::domain::permission::{Actor, Principal};
use crate::service::risk::RiskAction;
use crate::service::{
    CreateCatalog, CreatePackage, CreatePolicy, Decide, ImportOptions, Picture, Services, StageFilter, Submit,
};
use crate::store::Target;

/// The company: the same form that `riskgate directory import` reads.
const DIRECTORY: &str = include_str!("../demo/directory.json");

/// Group `finance-owners`.
pub const FINANCE_OWNERS: GroupId = GroupId(Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0101));
/// Package `Wiki`.
pub const WIKI: PackageId = PackageId(Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0201));
/// Package `Finance data`.
pub const FINANCE_DATA: PackageId = PackageId(Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0202));
/// Package `Production access`.
pub const PRODUCTION_ACCESS: PackageId = PackageId(Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0203));

/// One of the company.
#[derive(Debug, Clone)]
pub struct Person {
    /// Object id.
    pub id: UserId,
    /// Name for people.
    pub name: String,
    /// Sign-in name.
    pub upn: String,
    /// Roles held.
    pub roles: Vec<DirectoryRole>,
}

fn picture() -> Picture {
    // Part of the program, and loaded by a test: it always parses.
    serde_json::from_str(DIRECTORY).unwrap_or_default()
}

/// Everybody, in the order of the file.
pub fn people() -> Vec<Person> {
    picture()
        .users
        .into_iter()
        .filter_map(|user| {
            Some(Person {
                id: UserId(canonical_uuid(&user.id)?),
                name: user.display_name,
                upn: user.user_principal_name,
                roles: user.directory_roles,
            })
        })
        .collect()
}

/// What `serve --demo` prints once it is ready; `base` is where, such as `http://127.0.0.1:8080`.
pub fn greeting(base: &str, database: &str, issuer: &Issuer, clock: &Clock, graphiql: bool) -> String {
    let mut text = format!("riskgate serves the demo world at {base}/graphql from {database}\n\n");
    let mut sample = String::new();
    for person in people() {
        let roles = person.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ");
        text.push_str(&format!("  {:<22} {:<14} {roles}\n", person.upn, person.name).replace(" \n", "\n"));
        if person.upn.starts_with("sam@") {
            sample = issuer.issue(person.id, &person.upn, clock.now(), Seconds::hours(8));
        }
    }
    text.push_str(&format!(
        "\nA token for anybody: riskgate token alice@example.com\nWhat waits for sam:\n\n\
         curl -s {base}/graphql -H 'Content-Type: application/json' -H 'Authorization: Bearer {sample}' \
         -d '{{\"query\":\"{{ pendingRiskApprovals {{ nodes {{ id dueAt request {{ requestor {{ displayName }} \
         accessPackage {{ displayName }} }} evaluation {{ level reason }} }} }} }}\"}}'\n"
    ));
    if graphiql {
        text.push_str(&format!("\nGraphiQL: {base}/\n"));
    }
    text
}

/// Loads the world into a new database.
pub async fn load(target: &Target, clock: &Clock, deployment: &deployment::Model) -> Result<(), String> {
    let now = clock.now();
    let clock = Clock::manual(now.minus(Seconds::days(90)));
    let services = crate::app::services(target, &clock, deployment, None).await?;
    let world = World { services: &services, clock, now };
    let told = world.tell().await;
    services.stop().await;
    told
}

/// The world in the making.
struct World<'a> {
    services: &'a Services,
    clock: Clock,
    now: Timestamp,
}

/// Anything that goes wrong while the world is made is a fault of the program, in one line.
fn said(error: impl std::fmt::Debug) -> String {
    format!("the demo world cannot be made: {error:?}")
}

impl World<'_> {
    async fn tell(&self) -> Result<(), String> {
        self.services.import(&picture(), ImportOptions::default()).await.map_err(said)?;
        self.rules().await?;

        self.at(Seconds::days(80)).await?;
        self.submit("pat", WIKI, None).await?;

        self.at(Seconds::days(75)).await?;
        let drill = self.submit("rhea", PRODUCTION_ACCESS, Some("Restore drill of the backups.")).await?;
        self.at(Seconds::days(74)).await?;
        self.decide("olga", drill, Verdict::Approve, "Needed for the drill.").await?;

        self.at(Seconds::days(60)).await?;
        let figures = self.submit("otto", FINANCE_DATA, Some("Checking figures in an incident.")).await?;
        self.at(Seconds::days(59)).await?;
        self.decide("olga", figures, Verdict::Approve, "Fine by me.").await?;
        self.at(Seconds::days(58)).await?;
        self.decide("pat", figures, Verdict::Deny, "The incident is closed.").await?;

        self.at(Seconds::days(50)).await?;
        self.user_risk("otto", "cora", RiskLevel::High, "Leaked credentials.").await?;
        let leaked = self.submit("cora", FINANCE_DATA, Some("Yearly audit.")).await?;
        self.at(Seconds::days(49)).await?;
        self.decide("sofia", leaked, Verdict::Deny, "Reset the password first, then ask again.").await?;
        self.at(Seconds::days(48)).await?;
        self.act("otto", "cora", RiskAction::ConfirmSafe).await?;

        self.at(Seconds::days(40)).await?;
        self.submit("ada", PRODUCTION_ACCESS, Some("Looking into slow queries.")).await?;
        self.at(Seconds::days(35)).await?;
        self.user_risk("sam", "sofia", RiskLevel::Medium, "Sign-in from an unfamiliar place.").await?;
        self.submit("sofia", PRODUCTION_ACCESS, Some("Rotation of certificates.")).await?;
        self.at(Seconds::days(20)).await?;
        self.act("sam", "sofia", RiskAction::Dismiss).await?;

        self.at(Seconds::days(12)).await?;
        let mistaken = self.submit("ines", FINANCE_DATA, None).await?;
        self.at(Seconds::days(11)).await?;
        self.cancel("ines", mistaken, "Asked for the wrong package.").await?;
        self.at(Seconds::days(10)).await?;
        let doubled = self.submit("glen", FINANCE_DATA, None).await?;
        self.at(Seconds::days(9)).await?;
        self.cancel("ada", doubled, "Readers see these figures elsewhere.").await?;

        self.at(Seconds::days(3)).await?;
        self.submit("olga", PRODUCTION_ACCESS, Some("Month-end close.")).await?;
        self.at(Seconds::days(1)).await?;
        self.user_risk("sam", "glen", RiskLevel::Medium, "Password spray.").await?;
        self.submit("glen", PRODUCTION_ACCESS, Some("Reading the access logs.")).await?;
        self.at(Seconds::hours(20)).await?;
        self.act("otto", "glen", RiskAction::ConfirmSafe).await?;
        self.at(Seconds::hours(6)).await?;
        self.insider_risk("pat", RiskLevel::Elevated).await?;
        self.submit("pat", FINANCE_DATA, Some("Quarterly report.")).await?;
        self.at(Seconds::hours(5)).await?;
        self.insider_risk("pat", RiskLevel::None).await?;

        self.at(Seconds::hours(2)).await?;
        self.user_risk("otto", "alice", RiskLevel::High, "Leaked credentials.").await?;
        self.user_risk("otto", "carol", RiskLevel::Low, "Unfamiliar sign-in properties.").await?;
        self.user_risk("otto", "mallory", RiskLevel::Medium, "Impossible travel.").await?;
        self.insider_risk("mallory", RiskLevel::Elevated).await?;
        self.insider_risk("erin", RiskLevel::Elevated).await?;
        self.at(Seconds(0)).await
    }

    /// Catalogs, packages, policies and both controls, as ines made them.
    async fn rules(&self) -> Result<(), String> {
        let ines = self.actor("ines").await?;
        let catalog = |number: u128| CatalogId(Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0100 + number));
        let policy = |number: u128| PolicyId(Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0300 + number));
        for (number, name) in [(1, "Collaboration"), (2, "Finance"), (3, "Engineering")] {
            let input = CreateCatalog { id: catalog(number), display_name: name.to_owned(), description: None };
            self.services.create_catalog(&ines, input).await.map_err(said)?;
        }
        for (number, id, name, description) in [
            (1, WIKI, "Wiki", "Reading and writing in the company's wiki."),
            (2, FINANCE_DATA, "Finance data", "The figures of the month, and of all months before."),
            (3, PRODUCTION_ACCESS, "Production access", "A shell on the machines that customers use."),
        ] {
            let input = CreatePackage {
                id,
                catalog_id: catalog(number),
                display_name: name.to_owned(),
                description: Some(description.to_owned()),
                is_hidden: false,
            };
            self.services.create_package(&ines, input).await.map_err(said)?;
        }
        let olga = SubjectSet::User(self.id("olga")?);
        let mona = SubjectSet::User(self.id("mona")?);
        let stage = |approvers: Vec<SubjectSet>| PolicyStage {
            approvers,
            fallback_approvers: Vec::new(),
            escalation_approvers: Vec::new(),
            escalate_after: None,
            decision_timeout: Seconds::days(14),
            is_approver_justification_required: false,
        };
        let everyone = |id, package_id, stages| CreatePolicy {
            id,
            package_id,
            display_name: "All employees".to_owned(),
            allowed_requestors: None,
            allow_managers_on_behalf: true,
            allow_applications: false,
            is_requestor_justification_required: false,
            stages,
            assignment_duration: None,
        };
        let finance = vec![
            PolicyStage { fallback_approvers: vec![olga], ..stage(vec![SubjectSet::Manager(1)]) },
            PolicyStage { is_approver_justification_required: true, ..stage(vec![SubjectSet::Group(FINANCE_OWNERS)]) },
        ];
        let production = vec![PolicyStage {
            escalation_approvers: vec![mona],
            escalate_after: Some(Seconds::days(2)),
            ..stage(vec![SubjectSet::Group(FINANCE_OWNERS)])
        }];
        for input in [
            everyone(policy(1), WIKI, Vec::new()),
            everyone(policy(2), FINANCE_DATA, finance),
            CreatePolicy {
                allow_managers_on_behalf: false,
                allow_applications: false,
                is_requestor_justification_required: true,
                assignment_duration: Some(Seconds::days(30)),
                ..everyone(policy(3), PRODUCTION_ACCESS, production)
            },
        ] {
            self.services.create_policy(&ines, input).await.map_err(said)?;
        }
        for (source, minimum) in
            [(RiskSource::IdProtection, RiskLevel::Medium), (RiskSource::InsiderRisk, RiskLevel::Elevated)]
        {
            let update = Update {
                is_approval_required: Some(Some(true)),
                minimum_risk_level: Some(Some(minimum)),
                ..Update::default()
            };
            self.services.update_control(&ines, source, update).await.map_err(said)?;
        }
        Ok(())
    }

    /// Lets time pass until so long ago; what falls due on the way happens on its day.
    async fn at(&self, ago: Seconds) -> Result<(), String> {
        let then = self.now.minus(ago);
        while let Some(due) = self.services.next_due().await.map_err(said)?.filter(|due| *due <= then) {
            self.clock.set(due);
            if self.services.run_due().await.map_err(said)? == 0 {
                break;
            }
        }
        self.clock.set(then);
        Ok(())
    }

    fn id(&self, name: &str) -> Result<UserId, String> {
        let person = people().into_iter().find(|person| person.upn.split('@').next() == Some(name));
        Ok(person.ok_or_else(|| said(name))?.id)
    }

    async fn actor(&self, name: &str) -> Result<Actor, String> {
        self.services.actor(&Principal::Person(self.id(name)?)).await.map_err(said)?.ok_or_else(|| said(name))
    }

    async fn submit(&self, name: &str, package: PackageId, justification: Option<&str>) -> Result<RequestId, String> {
        let input = Submit {
            package,
            policy: None,
            target: None,
            justification: justification.map(str::to_owned),
            idempotency_key: None,
        };
        self.services.submit(&self.actor(name).await?, input).await.map_err(said)
    }

    async fn decide(&self, name: &str, request: RequestId, verdict: Verdict, why: &str) -> Result<(), String> {
        let actor = self.actor(name).await?;
        let page = crate::service::PageInput { first: Some(100), ..Default::default() };
        let pending = self.services.approval_stages(&actor, &StageFilter::default(), &page).await.map_err(said)?;
        let stage = pending.items.into_iter().find(|(_, row)| row.stage.request_id == request);
        let (_, row) = stage.ok_or_else(|| said(request))?;
        let input =
            Decide { stage: row.stage.id, verdict, justification: Some(why.to_owned()), expected_evaluation: None };
        self.services.decide(&actor, input).await.map_err(said)?;
        Ok(())
    }

    async fn cancel(&self, name: &str, request: RequestId, why: &str) -> Result<(), String> {
        self.services.cancel(&self.actor(name).await?, request, Some(why.to_owned())).await.map_err(said)
    }

    async fn user_risk(&self, by: &str, whose: &str, level: RiskLevel, detail: &str) -> Result<(), String> {
        let (by, whose) = (self.actor(by).await?, self.id(whose)?);
        self.services.report_user_risk(&by, whose, level, Some(detail.to_owned())).await.map_err(said)?;
        self.follow_risk().await
    }

    async fn act(&self, by: &str, whose: &str, action: RiskAction) -> Result<(), String> {
        let (by, whose) = (self.actor(by).await?, self.id(whose)?);
        self.services.act_on_user_risk(&by, vec![whose], action).await.map_err(said)?;
        self.follow_risk().await
    }

    async fn insider_risk(&self, whose: &str, level: RiskLevel) -> Result<(), String> {
        let (cora, whose) = (self.actor("cora").await?, self.id(whose)?);
        self.services.report_insider_risk(&cora, whose, level, None, None, None).await.map_err(said)?;
        self.follow_risk().await
    }

    /// What a running server does at once.
    async fn follow_risk(&self) -> Result<(), String> {
        self.services.follow_risk().await.map(|_| ()).map_err(said)
    }
}
