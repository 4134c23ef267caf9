//! Ids: one type a noun, `<prefix>_<uuid>` to the outside, the UUID's text in the database.

use std::fmt;
use std::str::FromStr;

use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, Value, ValueType, ValueTypeErr};
use sea_orm::{ColIdx, DbErr, QueryResult, TryFromU64, TryGetError, TryGetable};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is not an id of the kind that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnId;

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an id of this kind")
    }
}

impl std::error::Error for NotAnId {}

/// Reads a UUID only in its canonical form: 36 characters, lower case, hyphens. Two spellings of one id would be two ids
/// to a cache, a cursor or a log.
pub fn canonical_uuid(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok()?;
    let mut buffer = Uuid::encode_buffer();
    (uuid.hyphenated().encode_lower(&mut buffer) == text).then_some(uuid)
}

macro_rules! id {
    ($(#[$meta:meta])* $name:ident, $prefix:literal) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// What the public form begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id (UUIDv7: ids made later sort later).
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let bare = text.strip_prefix(concat!($prefix, "_")).ok_or(NotAnId)?;
                canonical_uuid(bare).map(Self).ok_or(NotAnId)
            }
        }

        impl From<$name> for Value {
            fn from(id: $name) -> Value {
                Value::from(id.0.to_string())
            }
        }

        impl TryGetable for $name {
            fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
                let text = String::try_get_by(row, index)?;
                canonical_uuid(&text)
                    .map(Self)
                    .ok_or_else(|| TryGetError::DbErr(DbErr::Type(format!("{text:?} is not a {}", stringify!($name)))))
            }
        }

        impl ValueType for $name {
            fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
                let text = <String as ValueType>::try_from(value)?;
                canonical_uuid(&text).map(Self).ok_or(ValueTypeErr)
            }

            fn type_name() -> String {
                stringify!($name).to_owned()
            }

            fn array_type() -> ArrayType {
                ArrayType::String
            }

            fn column_type() -> ColumnType {
                ColumnType::Text
            }
        }

        impl Nullable for $name {
            fn null() -> Value {
                <String as Nullable>::null()
            }
        }

        impl TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, DbErr> {
                Err(DbErr::ConvertFromU64(stringify!($name)))
            }
        }
    };
}

id!(/// A catalog.
    CatalogId, "cat");
id!(/// An access package.
    PackageId, "pkg");
id!(/// An assignment policy.
    PolicyId, "pol");
id!(/// An access request.
    RequestId, "req");
id!(/// An approval stage of a request.
    StageId, "stg");
id!(/// An assignment.
    AssignmentId, "asg");
id!(/// A person: the directory's own object id.
    UserId, "usr");
id!(/// A group: the directory's own object id.
    GroupId, "grp");
id!(/// An event of the log.
    EventId, "evt");
id!(/// A control configuration.
    ControlId, "cfg");
id!(/// A reading of one risk source for one person, kept with a request.
    EvaluationId, "evl");
id!(/// What one planning of a request found.
    ExplanationId, "exp");
id!(/// A decision on a stage.
    DecisionId, "dec");
id!(/// One commit of the log: what its events share.
    CommitId, "cmt");
id!(/// The log of one installation.
    LogId, "log");
