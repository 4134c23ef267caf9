//! Keyset pages: one statement for a page, its two neighbours, its count and the head of the log. Rows are filtered before they
//! are counted or cut, never after.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::{QueryResult, TryGetable};
use serde::{Deserialize, Serialize};

use super::sql::{Db, Params, literal_limit};
use super::{Read, Store};

/// One part of a place in an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Key {
    /// A moment or a position.
    Number(i64),
    /// A name or an id.
    Text(String),
}

/// A place in an order.
pub type Cursor = Vec<Key>;

/// What page is wanted; the numbers have been checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageArgs {
    /// How many rows, 0 to 100.
    pub size: usize,
    /// From the end?
    pub backward: bool,
    /// Only what stands after this place.
    pub after: Option<Cursor>,
    /// Only what stands before this place.
    pub before: Option<Cursor>,
    /// Count the whole list?
    pub want_total: bool,
}

/// One page.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The rows, each with its place.
    pub items: Vec<(Cursor, T)>,
    /// Does something stand after them?
    pub has_next: bool,
    /// Does something stand before them?
    pub has_previous: bool,
    /// How many the whole list has; 0 unless asked for.
    pub total: i64,
    /// The head of the log, read in the same statement.
    pub head: i64,
}

/// A list: where its rows come from, which it has, and how they are ordered.
pub struct List<'a> {
    /// What is selected beside the order's own columns.
    pub columns: String,
    /// Tables.
    pub from: String,
    /// Which rows; the rights are in here.
    pub filter: String,
    /// The order: expressions, each a number or a text; the last one is unique.
    pub order: &'a [(&'a str, Kind)],
    /// Greatest first?
    pub descending: bool,
}

/// The type of a part of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A moment or a position.
    Number,
    /// A name or an id.
    Text,
}

impl Store {
    /// Reads one page of a list.
    pub(super) async fn page<T>(
        &self,
        mut params: Params,
        list: List<'_>,
        args: &PageArgs,
        read: impl Fn(&QueryResult) -> Read<T>,
    ) -> Read<Page<T>> {
        let List { columns, from, filter, order, descending } = list;
        let keys = order.iter().map(|(expr, _)| *expr).collect::<Vec<_>>().join(", ");
        let (later, earlier) = if descending { ("<", ">") } else { (">", "<") };
        let mut bound = |cursor: &Option<Cursor>| {
            cursor.as_ref().map(|cursor| {
                cursor
                    .iter()
                    .map(|key| match key {
                        Key::Number(number) => params.add(*number),
                        Key::Text(text) => params.add(text.clone()),
                    })
                    .collect::<Vec<_>>()
                    .join(", ")
            })
        };
        let after = bound(&args.after);
        let before = bound(&args.before);
        let exists = |test: String| format!("EXISTS (SELECT 1 FROM {from} WHERE ({filter}) AND {test})");
        let nothing = "(1 = 0)".to_owned();
        let outside_before = after.as_ref().map_or(nothing.clone(), |at| exists(format!("({keys}) {earlier}= ({at})")));
        let outside_after = before.as_ref().map_or(nothing, |at| exists(format!("({keys}) {later}= ({at})")));
        let total = if args.want_total {
            format!("(SELECT count(*) FROM {from} WHERE {filter})")
        } else {
            "CAST(0 AS BIGINT)".to_owned()
        };
        let mut inside = format!("({filter})");
        if let Some(at) = &after {
            inside.push_str(&format!(" AND ({keys}) {later} ({at})"));
        }
        if let Some(at) = &before {
            inside.push_str(&format!(" AND ({keys}) {earlier} ({at})"));
        }
        let direction = if descending != args.backward { "DESC" } else { "ASC" };
        let ordered = |prefix: &dyn Fn(usize) -> String| {
            (0..order.len()).map(|i| format!("{} {direction}", prefix(i))).collect::<Vec<_>>().join(", ")
        };
        let aliased = order.iter().enumerate().map(|(i, (expr, _))| format!("{expr} AS key_{i}")).collect::<Vec<_>>();
        let inner_order = ordered(&|i| order[i].0.to_owned());
        let outer_order = ordered(&|i| format!("p.key_{i}"));
        let limit = literal_limit(args.size + 1);
        let text = format!(
            "SELECT m.total_count, m.outside_before, m.outside_after, m.head_position, p.* FROM (SELECT {total} AS total_count, \
             {outside_before} AS outside_before, {outside_after} AS outside_after, \
             (SELECT position FROM head WHERE id = 1) AS head_position) m \
             LEFT JOIN (SELECT 1 AS present, {}, {columns} FROM {from} WHERE {inside} ORDER BY {inner_order} LIMIT {limit}) p \
             ON 1 = 1 ORDER BY {outer_order}",
            aliased.join(", ")
        );
        let rows = self.all(params.statement(text)).await?;
        let Some(first) = rows.first() else {
            return Ok(Page { items: Vec::new(), has_next: false, has_previous: false, total: 0, head: 0 });
        };
        let total = i64::try_get(first, "", "total_count")?;
        let head = i64::try_get(first, "", "head_position")?;
        let outside_before = flag(first, "outside_before")?;
        let outside_after = flag(first, "outside_after")?;
        let mut items = Vec::with_capacity(args.size.min(rows.len()));
        let mut is_overfull = false;
        for row in &rows {
            if Option::<i32>::try_get(row, "", "present")?.is_none() {
                continue;
            }
            if items.len() == args.size {
                is_overfull = true;
                break;
            }
            items.push((cursor(row, order)?, read(row)?));
        }
        if args.backward {
            items.reverse();
        }
        let (has_next, has_previous) = if args.backward {
            (outside_after, is_overfull || outside_before)
        } else {
            (is_overfull || outside_after, outside_before)
        };
        Ok(Page { items, has_next, has_previous, total, head })
    }
}

impl From<sea_orm::TryGetError> for super::StoreError {
    fn from(error: sea_orm::TryGetError) -> Self {
        match error {
            sea_orm::TryGetError::DbErr(error) => super::sql::classify(error),
            sea_orm::TryGetError::Null(column) => super::StoreError::Data(format!("{column} is null")),
        }
    }
}

/// A truth value, which SQLite computes as a number.
pub(super) fn flag(row: &QueryResult, column: &str) -> Read<bool> {
    Ok(bool::try_get(row, "", column)?)
}

fn cursor(row: &QueryResult, order: &[(&str, Kind)]) -> Read<Cursor> {
    order
        .iter()
        .enumerate()
        .map(|(i, (_, kind))| {
            let column = format!("key_{i}");
            Ok(match kind {
                Kind::Number => Key::Number(i64::try_get(row, "", &column)?),
                Kind::Text => Key::Text(String::try_get(row, "", &column)?),
            })
        })
        .collect()
}

/// A place as clients carry it: opaque, valid as long as the list has an order.
pub fn encode(cursor: &Cursor) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_string(cursor).unwrap_or_default())
}

/// The place that a client carried, where it is one of a list ordered by `kinds`.
pub fn decode(text: &str, kinds: &[Kind]) -> Option<Cursor> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let cursor: Cursor = serde_json::from_slice(&bytes).ok()?;
    let fits = cursor.len() == kinds.len()
        && cursor.iter().zip(kinds).all(|(key, kind)| match (key, kind) {
            (Key::Number(_), Kind::Number) => true,
            (Key::Text(text), Kind::Text) => !text.contains('\0'),
            _ => false,
        });
    fits.then_some(cursor)
}

/// What `search` matches: a substring of the folded name, taken as it is.
pub(super) fn contains(params: &mut Params, column: &str, search: &str) -> String {
    let needle = params.add(search.to_owned());
    match params.db() {
        Db::Sqlite => format!("instr({column}, {needle}) > 0"),
        Db::Postgres => format!("position({needle} in {column}) > 0"),
    }
}
