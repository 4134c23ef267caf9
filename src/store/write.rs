//! Writing rows set by set: one parameter for all rows of a table, whatever their number.

use entity::Row;
use sea_orm::{ConnectionTrait, DatabaseTransaction, Statement, Value};

use super::sql::Db;
use super::{Read, StoreError};

/// What one table is to hold, as a statement in the making.
struct Put {
    table: &'static str,
    columns: &'static [&'static str],
    key: &'static [&'static str],
    is_versioned: bool,
    json: String,
    count: usize,
}

/// The rows of one group of plans, ready to be written in one go.
pub struct Writes {
    db: Db,
    puts: Vec<Put>,
}

impl Writes {
    /// Nothing yet.
    pub fn new(db: Db) -> Writes {
        Writes { db, puts: Vec::new() }
    }

    /// Adds the rows of one table; tables are written in the order of the calls, so a table comes after those it refers to.
    pub fn put<R: Row>(&mut self, rows: &[R]) -> Read<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let json = serde_json::to_string(rows).map_err(|error| StoreError::Data(error.to_string()))?;
        self.puts.push(Put {
            table: R::TABLE,
            columns: R::COLUMNS,
            key: R::KEY,
            is_versioned: R::VERSIONED,
            json,
            count: rows.len(),
        });
        Ok(())
    }

    /// Writes everything. PostgreSQL gets one statement for all tables, so that a slow network is crossed once; on SQLite, where
    /// a statement costs nothing, each table has its own. Fails where a row was not written: the second net under the guards.
    pub async fn run(self, transaction: &DatabaseTransaction) -> Read<()> {
        match self.db {
            Db::Sqlite => {
                for put in self.puts {
                    let done = transaction
                        .execute_raw(Statement::from_sql_and_values(
                            self.db.backend(),
                            put.sqlite(),
                            [Value::from(put.json.clone())],
                        ))
                        .await?;
                    put.check(done.rows_affected() as i64)?;
                }
            }
            Db::Postgres if self.puts.is_empty() => {}
            Db::Postgres => {
                let (mut with, mut counts, mut values) = (Vec::new(), Vec::new(), Vec::new());
                for (i, put) in self.puts.iter().enumerate() {
                    with.push(format!("w{i} AS ({} RETURNING 1)", put.postgres(i + 1)));
                    counts.push(format!("(SELECT count(*) FROM w{i}) AS c{i}"));
                    values.push(Value::from(put.json.clone()));
                }
                let text = format!("WITH {} SELECT {}", with.join(", "), counts.join(", "));
                let row = transaction
                    .query_one_raw(Statement::from_sql_and_values(self.db.backend(), text, values))
                    .await?
                    .ok_or_else(|| StoreError::Data("a write answered nothing".to_owned()))?;
                for (i, put) in self.puts.iter().enumerate() {
                    put.check(row.try_get::<i64>("", &format!("c{i}"))?)?;
                }
            }
        }
        Ok(())
    }
}

impl Put {
    fn check(&self, written: i64) -> Read<()> {
        if written == self.count as i64 {
            return Ok(());
        }
        Err(StoreError::Data(format!("{} of {} rows of {} could be written", written, self.count, self.table)))
    }

    fn sqlite(&self) -> String {
        let values: Vec<_> = self.columns.iter().map(|column| format!("json_extract(j.value, '$.{column}')")).collect();
        format!(
            "INSERT INTO {} ({}) SELECT {} FROM json_each($1) j WHERE 1 = 1{}",
            self.table,
            quoted(self.columns),
            values.join(", "),
            self.on_conflict()
        )
    }

    fn postgres(&self, parameter: usize) -> String {
        format!(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM json_populate_recordset(NULL::{table}, CAST(${parameter} AS json)) j{conflict}",
            table = self.table,
            columns = quoted(self.columns),
            conflict = self.on_conflict()
        )
    }

    /// A row of a versioned table follows the one before it; other rows replace the one of their key; an event replaces nothing.
    fn on_conflict(&self) -> String {
        let key = quoted(self.key);
        if self.table == "event" {
            return String::new();
        }
        let set: Vec<_> = self
            .columns
            .iter()
            .filter(|column| !self.key.contains(column))
            .map(|column| format!("\"{column}\" = excluded.\"{column}\""))
            .collect();
        // A table whose columns are all key has nothing to set; the row that is there stays, and counts as written.
        let set = if set.is_empty() { format!("\"{0}\" = excluded.\"{0}\"", self.key[0]) } else { set.join(", ") };
        let version = if self.is_versioned {
            format!(" WHERE {}.version = excluded.version - 1", self.table)
        } else {
            String::new()
        };
        format!(" ON CONFLICT ({key}) DO UPDATE SET {set}{version}")
    }
}

/// Takes rows away, known by their key.
pub async fn remove<R: Row>(db: Db, transaction: &DatabaseTransaction, rows: &[R]) -> Read<()> {
    for chunk in rows.chunks(CHUNK) {
        let json = serde_json::to_string(chunk).map_err(|error| StoreError::Data(error.to_string()))?;
        let key = quoted(R::KEY);
        let text = match db {
            Db::Sqlite => {
                let values: Vec<_> =
                    R::KEY.iter().map(|column| format!("json_extract(j.value, '$.{column}')")).collect();
                format!("DELETE FROM {} WHERE ({key}) IN (SELECT {} FROM json_each($1) j)", R::TABLE, values.join(", "))
            }
            Db::Postgres => format!(
                "DELETE FROM {0} WHERE ({key}) IN (SELECT {key} FROM json_populate_recordset(NULL::{0}, CAST($1 AS json)) j)",
                R::TABLE
            ),
        };
        transaction.execute_raw(Statement::from_sql_and_values(db.backend(), text, [Value::from(json)])).await?;
    }
    Ok(())
}

/// Writes many rows of one table, some thousand at a time; each is made from what stands for it when its turn comes.
pub async fn put_all<T, R: Row>(
    db: Db,
    transaction: &DatabaseTransaction,
    rows: &[T],
    row: impl Fn(&T) -> R,
) -> Read<()> {
    for chunk in rows.chunks(CHUNK) {
        let mut writes = Writes::new(db);
        writes.put(&chunk.iter().map(&row).collect::<Vec<_>>())?;
        writes.run(transaction).await?;
    }
    Ok(())
}

/// Rows of a large change that travel in one statement.
const CHUNK: usize = 4_000;

fn quoted(columns: &[&str]) -> String {
    columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ")
}
