//! What the steps make is what the entities expect, on both databases, however many programs migrate at once.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;

use entity::{
    ActorKind, AuditResult, CommitId, DirectoryRole, EventId, Json, Reevaluation, RiskLevel, RiskSource, Row, Seconds,
    SubjectSet, Timestamp, WhenUndetermined,
};
use migration::{Migrator, Status, migrate, status};
use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectOptions, Database, DatabaseConnection, DbBackend, EntityName, EntityTrait,
    IdenStatic, IntoActiveModel, Iterable, PaginatorTrait, QueryOrder, Statement,
};

/// Every story once on each database.
macro_rules! stories {
    ($($story:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $story() {
                let folder = tempfile::tempdir().unwrap();
                super::$story(&format!("sqlite://{}/test.db?mode=rwc", folder.path().display())).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            #[ignore = "needs PostgreSQL"]
            async fn $story() {
                let server = std::env::var("RISKGATE_TEST_POSTGRES_URL").expect("RISKGATE_TEST_POSTGRES_URL is not set");
                let name = format!("migration_{}", entity::EventId::new().0.simple());
                let admin = super::connect(&server).await;
                super::run(&admin, &format!("CREATE DATABASE {name}")).await.unwrap();
                let (cluster, _) = server.rsplit_once('/').unwrap();
                super::$story(&format!("{cluster}/{name}")).await;
                super::run(&admin, &format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
            })+
        }
    };
}

stories!(
    columns_are_those_of_the_entities,
    controls_and_head_are_there_from_the_start,
    events_are_kept_for_ever,
    control_versions_are_kept_for_ever,
    a_target_has_one_open_request_for_a_package,
    many_migrate_at_once,
    each_status_is_told,
    what_is_newer_or_foreign_is_left_alone,
);

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.sqlx_logging(false).max_connections(1);
    Database::connect(options).await.unwrap()
}

async fn migrated(url: &str) -> DatabaseConnection {
    let db = connect(url).await;
    migrate(&db).await.unwrap();
    db
}

async fn run(db: &DatabaseConnection, sql: &str) -> Result<(), DbErr> {
    db.execute_unprepared(sql).await.map(|_| ())
}

async fn rows(db: &DatabaseConnection, sql: &str) -> Vec<sea_orm_migration::sea_orm::QueryResult> {
    db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap()
}

/// Name, type, nullability of each column in order, and the names of the primary key in order.
type Shape = (Vec<(String, String, bool)>, Vec<String>);

fn expected<E: EntityTrait>() -> Shape {
    let columns = E::Column::iter().map(|column| {
        let definition = column.def();
        let kind = match definition.get_column_type() {
            ColumnType::String(_) | ColumnType::Text => "TEXT",
            ColumnType::BigInteger => "BIGINT",
            ColumnType::Boolean => "BOOLEAN",
            other => panic!("no column has the type {other:?}"),
        };
        (column.as_str().to_owned(), kind.to_owned(), definition.is_null())
    });
    (columns.collect(), E::PrimaryKey::iter().map(|column| column.as_str().to_owned()).collect())
}

async fn found(db: &DatabaseConnection, table: &str) -> Shape {
    let (columns, key) = if db.get_database_backend() == DbBackend::Postgres {
        (
            // Text of any other collation would be listed with it, and so differ.
            format!(
                "SELECT column_name::text, CASE data_type WHEN 'text' THEN 'TEXT' ELSE upper(data_type) END
                     || CASE collation_name WHEN 'C' THEN '' ELSE coalesce(' ' || collation_name, '') END
                     || CASE WHEN data_type = 'text' AND collation_name IS NULL THEN ' of no collation' ELSE '' END,
                     is_nullable = 'YES'
                 FROM information_schema.columns
                 WHERE table_schema = current_schema() AND table_name = '{table}' ORDER BY ordinal_position"
            ),
            format!(
                "SELECT column_name::text FROM information_schema.key_column_usage
                 JOIN information_schema.table_constraints USING (constraint_schema, constraint_name)
                 WHERE constraint_schema = current_schema() AND constraint_type = 'PRIMARY KEY'
                     AND table_constraints.table_name = '{table}' ORDER BY ordinal_position"
            ),
        )
    } else {
        (
            format!(r#"SELECT name, type, NOT "notnull" FROM pragma_table_info('{table}') ORDER BY cid"#),
            format!("SELECT name FROM pragma_table_info('{table}') WHERE pk > 0 ORDER BY pk"),
        )
    };
    let columns = rows(db, &columns).await;
    let key = rows(db, &key).await;
    (
        columns.iter().map(|row| row.try_get_many_by_index().unwrap()).collect(),
        key.iter().map(|row| row.try_get_by_index(0).unwrap()).collect(),
    )
}

async fn columns_are_those_of_the_entities(url: &str) {
    let db = migrated(url).await;
    let mut tables = BTreeSet::from([Migrator::migration_table_name().to_string()]);
    macro_rules! check {
        ($($noun:ident),+) => {$(
            let table = entity::$noun::Entity.table_name().to_owned();
            assert_eq!(found(&db, &table).await, expected::<entity::$noun::Entity>(), "{table}");
            tables.insert(table);
        )+};
    }
    macro_rules! check_row {
        ($($noun:ident),+) => {$(
            check!($noun);
            let (columns, key) = expected::<entity::$noun::Entity>();
            let columns: Vec<_> = columns.iter().map(|(name, ..)| name.as_str()).collect();
            assert_eq!(<entity::$noun::Model as Row>::TABLE, entity::$noun::Entity.table_name());
            assert_eq!(<entity::$noun::Model as Row>::COLUMNS, columns);
            assert_eq!(<entity::$noun::Model as Row>::KEY, key);
        )+};
    }
    check!(deployment, head);
    check_row!(
        assignment,
        catalog,
        control,
        control_version,
        decision,
        evaluation,
        event,
        explanation,
        given_role,
        group,
        group_member,
        idempotency,
        insider_risk,
        lease,
        mark,
        membership,
        pace,
        pace_minute,
        package,
        policy,
        policy_requestor,
        progress,
        request,
        risk_sweep,
        role,
        stage,
        stage_approver,
        sync,
        user,
        user_risk
    );

    let all = match db.get_database_backend() {
        DbBackend::Postgres => "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()",
        _ => "SELECT name FROM sqlite_master WHERE type = 'table'",
    };
    let all: BTreeSet<String> = rows(&db, all).await.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    assert_eq!(all, tables, "a table without an entity, or an entity that is not checked");
    let entities = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../entity/src")).unwrap();
    let texts = entities.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    assert_eq!(texts.filter(|text| text.contains("DeriveEntityModel")).count(), tables.len() - 1);
}

async fn controls_and_head_are_there_from_the_start(url: &str) {
    let db = migrated(url).await;
    let control = |source, level, role| entity::control::Model {
        source,
        is_enabled: true,
        is_approval_required: false,
        risk_levels: Json(vec![level]),
        approvers: Json(vec![SubjectSet::Role(role)]),
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
    };
    let controls =
        entity::control::Entity::find().order_by_asc(entity::control::Column::Source).all(&db).await.unwrap();
    assert_eq!(
        controls,
        [
            control(RiskSource::IdProtection, RiskLevel::High, DirectoryRole::SecurityAdministrator),
            control(RiskSource::InsiderRisk, RiskLevel::Elevated, DirectoryRole::ComplianceAdministrator),
        ]
    );
    let head = entity::head::Entity::find().all(&db).await.unwrap();
    assert_eq!(head, [entity::head::Model { id: 1, position: 0, hash: "0".repeat(64), directory_version: 0 }]);
    run(&db, "INSERT INTO head VALUES (2, 0, '', 0)").await.unwrap_err();
}

fn event(position: i64) -> entity::event::Model {
    entity::event::Model {
        position,
        id: EventId::new(),
        commit_id: CommitId::new(),
        occurred_at: Timestamp(1),
        kind: "REQUEST_CREATED".to_owned(),
        activity: "Create request".to_owned(),
        category: "EntitlementManagement".to_owned(),
        result: AuditResult::Success,
        actor_kind: ActorKind::System,
        actor_id: None,
        request_id: None,
        stage_id: None,
        package_id: None,
        is_risk: false,
        content: "{}".to_owned(),
        previous_hash: "0".repeat(64),
        hash: "1".repeat(64),
    }
}

/// Asserts that the database refuses the statement, and that it is the trigger that does.
async fn refused(db: &DatabaseConnection, sql: &str) {
    let error = run(db, sql).await.expect_err(sql).to_string();
    assert!(error.contains("are kept for ever"), "{sql}: {error}");
}

async fn events_are_kept_for_ever(url: &str) {
    let db = migrated(url).await;
    let events = [event(1), event(2)];
    for event in &events {
        entity::event::Entity::insert(event.clone().into_active_model().reset_all()).exec(&db).await.unwrap();
    }
    refused(&db, "UPDATE event SET content = '[]' WHERE position = 1").await;
    refused(&db, "DELETE FROM event WHERE position = 2").await;
    refused(&db, "DELETE FROM event").await;
    let rest =
        "commit_id, occurred_at, kind, activity, category, result, actor_kind, is_risk, content, previous_hash, hash";
    if db.get_database_backend() == DbBackend::Postgres {
        refused(&db, "TRUNCATE event").await;
        refused(
            &db,
            &format!(
                "INSERT INTO event (position, id, {rest}) SELECT position, 'another', {rest} FROM event
                 ON CONFLICT (position) DO UPDATE SET content = '[]'"
            ),
        )
        .await;
    } else {
        for recursive in ["OFF", "ON"] {
            run(&db, &format!("PRAGMA recursive_triggers = {recursive}")).await.unwrap();
            for (position, id) in [("position", "'another'"), ("9", "id"), ("position", "id")] {
                let columns =
                    format!("(position, id, {rest}) SELECT {position}, {id}, {rest} FROM event WHERE position = 1");
                refused(&db, &format!("INSERT OR REPLACE INTO event {columns}")).await;
                refused(&db, &format!("REPLACE INTO event {columns}")).await;
            }
            refused(&db, "UPDATE OR REPLACE event SET position = 2 WHERE position = 1").await;
        }
    }
    let kept = entity::event::Entity::find().order_by_asc(entity::event::Column::Position).all(&db).await.unwrap();
    assert_eq!(kept, events);
}

async fn control_versions_are_kept_for_ever(url: &str) {
    let db = migrated(url).await;
    run(&db, "INSERT INTO control_version VALUES ('INSIDER_RISK', 2, NULL, 1, '{}', '{}')").await.unwrap();
    run(&db, "INSERT INTO control_version VALUES ('INSIDER_RISK', 3, NULL, 1, '{}', '{}')").await.unwrap();
    refused(&db, "UPDATE control_version SET after = '[]'").await;
    refused(&db, "DELETE FROM control_version").await;
    if db.get_database_backend() == DbBackend::Postgres {
        refused(&db, "TRUNCATE control_version").await;
    } else {
        refused(&db, "INSERT OR REPLACE INTO control_version VALUES ('INSIDER_RISK', 2, NULL, 1, '[]', '[]')").await;
    }
    assert_eq!(entity::control_version::Entity::find().count(&db).await.unwrap(), 2);
}

async fn a_target_has_one_open_request_for_a_package(url: &str) {
    let db = migrated(url).await;
    let insert = |id: &str, target: &str, holds: bool| {
        format!(
            "INSERT INTO request VALUES
             ('{id}', 'USER_ADD', 'SUBMITTED', NULL, 'p', 'o', '{target}', '{target}', NULL, 1, NULL, {holds}, FALSE, NULL, '{{}}', 1, NULL, NULL)"
        )
    };
    run(&db, &insert("r1", "u", true)).await.expect_err("nothing that it names is there");
    run(&db, "INSERT INTO directory_user VALUES ('u', 'U', 'u', 'u', 'u', NULL, TRUE, NULL, NULL)").await.unwrap();
    run(&db, "INSERT INTO catalog VALUES ('c', 'C', 'c', NULL, 1, 1)").await.unwrap();
    run(&db, "INSERT INTO package VALUES ('p', 'c', 'P', 'p', NULL, FALSE, 1, 1)").await.unwrap();
    run(&db, "INSERT INTO policy VALUES ('o', 'p', 'O', TRUE, '[]', FALSE, FALSE, '[]', NULL, 1, 1, FALSE)")
        .await
        .unwrap();
    run(&db, &insert("r1", "u", true)).await.unwrap();
    run(&db, &insert("r2", "u", true)).await.expect_err("the slot is taken");
    run(&db, &insert("r3", "u", false)).await.unwrap();
    run(&db, &insert("r4", "stranger", false)).await.expect_err("nobody of that name");
}

async fn many_migrate_at_once(url: &str) {
    let mut programs = Vec::new();
    for _ in 0..8 {
        let url = url.to_owned();
        programs.push(tokio::spawn(async move { migrate(&connect(&url).await).await }));
    }
    for program in programs {
        program.await.unwrap().unwrap();
    }
    assert_eq!(status(&connect(url).await).await.unwrap(), Status::Current);
}

async fn each_status_is_told(url: &str) {
    let db = connect(url).await;
    assert_eq!(status(&db).await.unwrap(), Status::Empty);
    Migrator::install(&db).await.unwrap();
    assert_eq!(status(&db).await.unwrap(), Status::Empty, "a journal without a step is nothing");

    let steps = Migrator::migrations().len();
    Migrator::up(&db, Some(2)).await.unwrap();
    assert_eq!(status(&db).await.unwrap(), Status::Behind(steps - 2));
    migrate(&db).await.unwrap();
    assert_eq!(status(&db).await.unwrap(), Status::Current);
    migrate(&db).await.unwrap();
    assert_eq!(status(&db).await.unwrap(), Status::Current);
}

async fn what_is_newer_or_foreign_is_left_alone(url: &str) {
    let db = connect(url).await;
    run(&db, "CREATE TABLE invoice (id BIGINT)").await.unwrap();
    assert_eq!(status(&db).await.unwrap(), Status::Foreign);
    migrate(&db).await.unwrap_err();
    assert_eq!(status(&db).await.unwrap(), Status::Foreign);

    run(&db, "DROP TABLE invoice").await.unwrap();
    migrate(&db).await.unwrap();
    run(&db, "INSERT INTO seaql_migrations VALUES ('m999_later', 1)").await.unwrap();
    assert_eq!(status(&db).await.unwrap(), Status::Newer("m999_later".to_owned()));
    assert!(migrate(&db).await.unwrap_err().to_string().contains("m999_later"));
}
