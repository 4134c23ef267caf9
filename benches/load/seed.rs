//! The world that is measured: people with managers, packages of every kind, and a history of requests. All of it comes through the use
//! cases, so every row and every event is as the program makes it.

use std::sync::Arc;

use entity::{
    CatalogId, DirectoryRole, GroupId, PackageId, PolicyId, PolicyStage, Reevaluation, RiskLevel, RiskSource, Seconds,
    SubjectSet, UserId,
};
use futures_util::StreamExt;
use futures_util::stream;
use riskgate::app::{App, ImportOptions, Setup};
use riskgate::clock::Clock;
use riskgate::domain::control::Update;
use riskgate::domain::permission::{Actor, Principal};
use riskgate::graphql::document::Limits;
use riskgate::http::{self, Proxies};
use riskgate::lifecycle::Shutdown;
use riskgate::service::{CreateCatalog, CreatePackage, CreatePolicy, Picture, Services, Submit};
use serde_json::json;
use uuid::Uuid;

use crate::Failure;
use crate::place::Place;

/// Packages with a history, and requests for each person.
const PACKAGES: usize = 10;
/// Packages that nobody has asked for yet.
const FRESH: usize = 4;
/// The same, for what is measured last.
const SPARE: usize = 8;
/// One in so many has a high risk.
const RISKY: usize = 50;
/// Who decides in the owners' packages.
const OWNERS: usize = 16;

/// Somebody, and a token.
#[derive(Clone)]
pub struct Somebody {
    pub id: UserId,
    pub token: String,
}

/// Everything that measuring needs to know.
pub struct World {
    pub people: Vec<Somebody>,
    pub risky: Vec<Somebody>,
    pub owners: Vec<Somebody>,
    pub security: Somebody,
    pub reader: Somebody,
    pub administrator: Somebody,
    pub fresh: Vec<PackageId>,
    pub spare: Vec<PackageId>,
    /// Has asked for so many reports, and nobody has decided yet.
    pub manager: Somebody,
    pub open: usize,
    /// Its one stage waits for the owners.
    pub owned: PackageId,
}

fn user_id(number: usize) -> UserId {
    UserId(Uuid::from_u128(0x0000_0000_0000_4000_8000_0001_0000_0000 + number as u128))
}

fn package_id(number: usize) -> PackageId {
    PackageId(Uuid::from_u128(0x0198_0000_0000_7000_8000_0001_0000_0000 + number as u128))
}

const GROUP: GroupId = GroupId(Uuid::from_u128(0x0000_0000_0000_4000_8000_0002_0000_0000));

/// Numbers of the few who are not employees: they stand before those.
const ADMINISTRATOR: usize = 0;
const SECURITY: usize = 1;
const READER: usize = 2;
const FIRST_OWNER: usize = 3;
const FIRST_EMPLOYEE: usize = FIRST_OWNER + OWNERS;
/// And those of a manager with many reports: they stand after all others.
const MANAGER: usize = 1_000_000;

/// Seeds a new database with `requests`, and as many as `open` of one person; returns the server that did so, and the world.
pub async fn seed(place: &Place, requests: usize, open: usize) -> Result<(App, World), Failure> {
    let setup = Setup {
        target: place.target()?,
        listen: "127.0.0.1:0".parse()?,
        clock: Clock::system(),
        sources: None,
        graph: None,
        builtin_issuer: true,
        issuers: Vec::new(),
        demo: false,
        graphiql: false,
        allowed_origins: Vec::new(),
        proxies: Proxies::default(),
        doors: http::Limits::default(),
        tls: None,
        limits: Limits::default(),
        trusted_documents: None,
        clockwork: false,
    };
    let app = App::start(setup, Shutdown::new()).await?;
    let employees = requests.div_ceil(PACKAGES).max(RISKY);
    let file = directory(employees)?;
    app.services.import(&file, ImportOptions::default()).await.map_err(told)?;
    rules(&app.services).await?;

    let issuer = app.issuer.as_ref().ok_or("the issuer is off")?;
    let somebody = |number: usize| {
        let id = user_id(number);
        Somebody { id, token: issuer.issue(id, &upn(number), app.services.now(), Seconds::hours(24)) }
    };
    let all: Vec<_> = (FIRST_EMPLOYEE..FIRST_EMPLOYEE + employees).map(somebody).collect();
    let (risky, people): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(index, _)| index % RISKY == 0);
    let bare = |people: Vec<(usize, Somebody)>| people.into_iter().map(|(_, person)| person).collect::<Vec<_>>();
    let world = World {
        people: bare(people),
        risky: bare(risky),
        owners: (FIRST_OWNER..FIRST_EMPLOYEE).map(somebody).collect(),
        administrator: somebody(ADMINISTRATOR),
        manager: somebody(MANAGER),
        open,
        security: somebody(SECURITY),
        reader: somebody(READER),
        fresh: (PACKAGES..PACKAGES + FRESH).map(package_id).collect(),
        spare: (PACKAGES + FRESH..PACKAGES + FRESH + SPARE).map(package_id).collect(),
        owned: package_id(8),
    };
    let administrator = actor(&app.services, user_id(ADMINISTRATOR)).await?;
    for person in &world.risky {
        app.services.report_user_risk(&administrator, person.id, RiskLevel::High, None).await.map_err(told)?;
    }
    history(&app.services, employees, requests).await?;
    reports(&app.services, open).await?;
    place.settle().await?;
    Ok((app, world))
}

fn told(error: impl std::fmt::Debug) -> Failure {
    format!("{error:?}").into()
}

fn upn(number: usize) -> String {
    format!("person{number}@example.com")
}

async fn actor(services: &Services, id: UserId) -> Result<Actor, Failure> {
    services.actor(&Principal::Person(id)).await.map_err(told)?.ok_or_else(|| "nobody".into())
}

/// Ten people to a manager, who is one of them.
fn directory(employees: usize) -> Result<Picture, Failure> {
    let role = |number: usize| match number {
        ADMINISTRATOR => json!([DirectoryRole::GlobalAdministrator.as_str()]),
        SECURITY => json!([DirectoryRole::SecurityAdministrator.as_str()]),
        READER => json!([DirectoryRole::GlobalReader.as_str()]),
        _ => json!([]),
    };
    let manager = |number: usize| match number.checked_sub(FIRST_EMPLOYEE) {
        Some(index) if index % 10 != 0 => json!(user_id(number - index % 10).0),
        _ => json!(null),
    };
    let user = |number: usize| {
        json!({ "id": user_id(number).0, "displayName": format!("Person {number}"), "userPrincipalName": upn(number),
            "isEnabled": true, "managerId": manager(number), "directoryRoles": role(number) })
    };
    let users: Vec<_> = (0..FIRST_EMPLOYEE + employees).map(user).collect();
    let owners: Vec<_> = (FIRST_OWNER..FIRST_EMPLOYEE).map(|number| user_id(number).0).collect();
    let group = json!({ "id": GROUP.0, "displayName": "owners", "memberIds": owners });
    Ok(serde_json::from_value(json!({ "users": users, "groups": [group] }))?)
}

/// Six packages without approval, two for the manager, two for the owners; the fresh ones are for the manager.
async fn rules(services: &Services) -> Result<(), Failure> {
    let administrator = actor(services, user_id(ADMINISTRATOR)).await?;
    let stage = |approvers: Vec<SubjectSet>| PolicyStage {
        approvers,
        fallback_approvers: vec![SubjectSet::Group(GROUP)],
        escalation_approvers: Vec::new(),
        escalate_after: None,
        decision_timeout: Seconds::days(14),
        is_approver_justification_required: false,
    };
    let (manager, owners) = (|| stage(vec![SubjectSet::Manager(1)]), || stage(vec![SubjectSet::Group(GROUP)]));
    for number in 0..PACKAGES + FRESH + SPARE {
        let catalog = CatalogId(Uuid::from_u128(0x0198_0000_0000_7000_8000_0003_0000_0000 + number as u128 / 4));
        if number % 4 == 0 {
            let input =
                CreateCatalog { id: catalog, display_name: format!("Catalog {}", number / 4), description: None };
            services.create_catalog(&administrator, input).await.map_err(told)?;
        }
        let input = CreatePackage {
            id: package_id(number),
            catalog_id: catalog,
            display_name: format!("Package {number}"),
            description: None,
            is_hidden: false,
        };
        services.create_package(&administrator, input).await.map_err(told)?;
        let input = CreatePolicy {
            id: PolicyId::new(),
            package_id: package_id(number),
            display_name: "Everyone".to_owned(),
            allowed_requestors: None,
            allow_managers_on_behalf: number == PACKAGES,
            allow_applications: false,
            is_requestor_justification_required: false,
            stages: match number {
                0..=5 => Vec::new(),
                8 => vec![owners()],
                9 => vec![manager(), owners()],
                _ => vec![manager()],
            },
            assignment_duration: None,
        };
        services.create_policy(&administrator, input).await.map_err(told)?;
    }
    for source in [RiskSource::IdProtection, RiskSource::InsiderRisk] {
        let update = Update { is_approval_required: Some(Some(true)), ..Update::default() };
        services.update_control(&administrator, source, update).await.map_err(told)?;
    }
    Ok(())
}

/// A manager asks for each of so many reports; what asks for a stage of risk does so at once from then on.
async fn reports(services: &Arc<Services>, open: usize) -> Result<(), Failure> {
    let user = |number: usize| {
        let manager = if number == MANAGER { json!(null) } else { json!(user_id(MANAGER).0) };
        json!({ "id": user_id(number).0, "displayName": format!("Person {number}"), "userPrincipalName": upn(number),
            "isEnabled": true, "managerId": manager })
    };
    let file = serde_json::from_value(json!({ "users": (MANAGER..=MANAGER + open).map(user).collect::<Vec<_>>() }))?;
    let options = ImportOptions { partial: true, ..ImportOptions::default() };
    services.import(&file, options).await.map_err(told)?;
    let asked = (1..=open).map(|number| (user_id(MANAGER), Some(user_id(MANAGER + number)), package_id(PACKAGES)));
    submit_all(services, asked).await?;
    let administrator = actor(services, user_id(ADMINISTRATOR)).await?;
    let update = Update { reevaluation: Some(Some(Reevaluation::Continuous)), ..Update::default() };
    services.update_control(&administrator, RiskSource::IdProtection, update).await.map_err(told)?;
    Ok(())
}

/// Everybody asks for every package that has a history.
async fn history(services: &Arc<Services>, employees: usize, requests: usize) -> Result<(), Failure> {
    let pairs = (0..PACKAGES).flat_map(|package| (0..employees).map(move |index| (package, FIRST_EMPLOYEE + index)));
    let asked = pairs.take(requests).map(|(package, number)| (user_id(number), None, package_id(package)));
    submit_all(services, asked).await
}

/// Submits all of these, 64 at a time: who asks, for whom, for what.
async fn submit_all(
    services: &Arc<Services>,
    asked: impl Iterator<Item = (UserId, Option<UserId>, PackageId)>,
) -> Result<(), Failure> {
    let submits = stream::iter(asked).map(|(who, target, package)| {
        let services = Arc::clone(services);
        tokio::spawn(async move {
            let actor = actor(&services, who).await?;
            let justification = Some("Needed for the quarter's work with the team.".to_owned());
            let input = Submit { package, policy: None, target, justification, idempotency_key: None };
            services.submit(&actor, input).await.map_err(told)
        })
    });
    let mut submitted = submits.buffer_unordered(64);
    while let Some(request) = submitted.next().await {
        request??;
    }
    Ok(())
}
