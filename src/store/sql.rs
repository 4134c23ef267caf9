//! Making statements that both databases read alike: `$n` parameters, lists as one parameter, literal limits.

use sea_orm::{DatabaseBackend, DbErr, RuntimeErr, Statement, Value};

use super::StoreError;

/// The kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Db {
    /// Embedded.
    Sqlite,
    /// A server, perhaps shared by several instances.
    Postgres,
}

impl Db {
    /// sea-orm's word for it.
    pub fn backend(self) -> DatabaseBackend {
        match self {
            Db::Sqlite => DatabaseBackend::Sqlite,
            Db::Postgres => DatabaseBackend::Postgres,
        }
    }
}

/// The parameters of a statement in the making.
pub struct Params {
    db: Db,
    values: Vec<Value>,
}

impl Params {
    /// None yet.
    pub fn new(db: Db) -> Params {
        Params { db, values: Vec::new() }
    }

    /// Adds a value; returns what stands for it in the text, as often as wanted.
    pub fn add(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// Adds a list of ids or words as **one** parameter, so that its length does not change the statement; returns the test
    /// that follows a column. An empty list matches nothing.
    pub fn any<T: AsRef<str>>(&mut self, items: impl IntoIterator<Item = T>) -> String {
        let mut list = String::new();
        for item in items {
            // Ids and words only: letters, digits, '-' and '_', which neither form needs to quote.
            let item = item.as_ref();
            debug_assert!(item.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'));
            if !list.is_empty() {
                list.push(',');
            }
            match self.db {
                Db::Sqlite => list.push_str(&format!("\"{item}\"")),
                Db::Postgres => list.push_str(item),
            }
        }
        match self.db {
            Db::Sqlite => format!("IN (SELECT value FROM json_each({}))", self.add(format!("[{list}]"))),
            Db::Postgres => format!("= ANY(CAST({} AS text[]))", self.add(format!("{{{list}}}"))),
        }
    }

    /// The statement.
    pub fn statement(self, text: impl Into<String>) -> Statement {
        Statement::from_sql_and_values(self.db.backend(), text, self.values)
    }

    /// Which database.
    pub fn db(&self) -> Db {
        self.db
    }
}

/// More of a FROM: the rows of `table` that `on` holds for, looked up for each row of what stands before, never the other way round. An
/// order of joins that a database chooses by what it believes of the tables explodes where it believes wrongly: it takes all the stages
/// that a group was ever asked for a handful, and goes through them for each stage. `on` names the columns of one index, and nothing that
/// another index would be thought better for.
pub fn each(db: Db, table: &str, alias: &str, on: &str) -> String {
    match db {
        // SQLite keeps the order of a CROSS JOIN.
        Db::Sqlite => format!("CROSS JOIN {table} {alias} ON {on}"),
        // PostgreSQL leaves a subquery with an OFFSET as it is.
        Db::Postgres => format!("CROSS JOIN LATERAL (SELECT * FROM {table} {alias} WHERE {on} OFFSET 0) {alias}"),
    }
}

/// The test that follows a column: it is among what `query` finds, which is gathered once and hashed, however much that is.
pub fn gathered(db: Db, query: &str) -> String {
    match db {
        Db::Sqlite => format!("IN ({query})"),
        // What PostgreSQL believes to be too much it would not hash, but go through for each row; of an array it believes nothing.
        Db::Postgres => format!("IN (SELECT unnest(ARRAY({query})))"),
    }
}

/// A limit that holds `wanted` rows and comes from a short list: PostgreSQL plans each of them once, where it would plan a bound
/// limit anew at every call.
pub fn literal_limit(wanted: usize) -> usize {
    [1, 2, 21, 51].into_iter().find(|limit| wanted <= *limit).unwrap_or(101)
}

/// How often something is sent where each connection that it is sent on turns out to be cut: once for each of a pool, and once more.
pub const TRIES: usize = 6;

/// Was the connection cut before anything could come of what was sent? After a restart of the database every connection of a pool is.
pub fn is_cut(error: &DbErr) -> bool {
    let (DbErr::Conn(RuntimeErr::SqlxError(driver))
    | DbErr::Exec(RuntimeErr::SqlxError(driver))
    | DbErr::Query(RuntimeErr::SqlxError(driver))) = error
    else {
        return false;
    };
    match &**driver {
        sea_orm::sqlx::Error::Io(_) | sea_orm::sqlx::Error::Protocol(_) => true,
        // Class 57P: the server is being stopped; class 08: the connection is broken.
        sea_orm::sqlx::Error::Database(report) => {
            report.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08"))
        }
        _ => false,
    }
}

/// Is it the statement's fault (then nobody should try it again), or the database's?
pub fn classify(error: DbErr) -> StoreError {
    let driver = match &error {
        DbErr::Conn(RuntimeErr::SqlxError(driver))
        | DbErr::Exec(RuntimeErr::SqlxError(driver))
        | DbErr::Query(RuntimeErr::SqlxError(driver)) => driver,
        DbErr::Type(_) | DbErr::Json(_) | DbErr::RecordNotFound(_) => return StoreError::Data(error.to_string()),
        _ => return StoreError::Unavailable(error.to_string()),
    };
    match &**driver {
        sea_orm::sqlx::Error::Database(report) => {
            let code = report.code().unwrap_or_default();
            let is_fault = if report.try_downcast_ref::<sea_orm::sqlx::sqlite::SqliteError>().is_some() {
                // 1 SQL error, 19 constraint, 20 mismatch, 25 range; the low byte is the primary code.
                code.parse::<i64>().is_ok_and(|code| matches!(code & 0xff, 1 | 19 | 20 | 25))
            } else {
                // Classes 22 data, 23 constraint, 42 syntax or access rule.
                ["22", "23", "42"].iter().any(|class| code.starts_with(class))
            };
            if is_fault { StoreError::Data(error.to_string()) } else { StoreError::Unavailable(error.to_string()) }
        }
        sea_orm::sqlx::Error::ColumnDecode { .. }
        | sea_orm::sqlx::Error::ColumnNotFound(_)
        | sea_orm::sqlx::Error::TypeNotFound { .. }
        | sea_orm::sqlx::Error::Decode(_) => StoreError::Data(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}
