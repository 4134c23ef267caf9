//! How a step writes: one text for both databases.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// Runs DDL as SQLite has it. On PostgreSQL every `TEXT` is compared by its bytes, as SQLite does, whatever the locale of
/// the database.
pub(crate) async fn run(manager: &SchemaManager<'_>, ddl: &str) -> Result<(), DbErr> {
    let db = manager.get_connection();
    match db.get_database_backend() {
        DbBackend::Postgres => db.execute_unprepared(&ddl.replace(" TEXT", r#" text COLLATE "C""#)).await?,
        _ => db.execute_unprepared(ddl).await?,
    };
    Ok(())
}

/// Makes the database itself refuse every change of a row of `table`. `taken` is the condition under which a row that is
/// about to be inserted (`NEW`) has the key of one that is there: SQLite's `INSERT OR REPLACE` would delete that one
/// without firing the trigger of DELETE, unless the connection sets `recursive_triggers`.
pub(crate) async fn keep_for_ever(manager: &SchemaManager<'_>, table: &str, taken: &str) -> Result<(), DbErr> {
    let ddl = match manager.get_database_backend() {
        // Row triggers do not see TRUNCATE; a statement trigger of UPDATE would fire for an upsert that only inserts.
        DbBackend::Postgres => format!(
            "CREATE FUNCTION {table}_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 RAISE EXCEPTION 'rows of {table} are kept for ever' USING ERRCODE = 'integrity_constraint_violation';
             END $$;
             CREATE TRIGGER {table}_row_is_kept BEFORE UPDATE OR DELETE ON {table}
                 FOR EACH ROW EXECUTE FUNCTION {table}_is_kept();
             CREATE TRIGGER {table}_is_kept BEFORE TRUNCATE ON {table}
                 FOR EACH STATEMENT EXECUTE FUNCTION {table}_is_kept();"
        ),
        _ => format!(
            "CREATE TRIGGER {table}_update BEFORE UPDATE ON {table}
             BEGIN SELECT RAISE(ABORT, 'rows of {table} are kept for ever'); END;
             CREATE TRIGGER {table}_delete BEFORE DELETE ON {table}
             BEGIN SELECT RAISE(ABORT, 'rows of {table} are kept for ever'); END;
             CREATE TRIGGER {table}_replace BEFORE INSERT ON {table} WHEN {taken}
             BEGIN SELECT RAISE(ABORT, 'rows of {table} are kept for ever'); END;"
        ),
    };
    manager.get_connection().execute_unprepared(&ddl).await?;
    Ok(())
}
