//! The scalars: moments, spans of time, and how ids are read.

use async_graphql::{ID, InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{DateTime as Moment, Utc};
use entity::{Seconds, Timestamp};

use crate::domain::duration;

const NO_MOMENT: &str = "not a moment of RFC 3339, such as 2026-01-31T08:00:00Z";
const NO_SPAN: &str = "not a duration of ISO 8601, such as P14D or PT6H";

/// A moment: RFC 3339. Any offset is taken; shown in UTC with `Z`, in whole microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime(pub Timestamp);

#[Scalar]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let moment = Moment::parse_from_rfc3339(text).map_err(|_| InputValueError::custom(NO_MOMENT))?;
        Ok(DateTime(Timestamp::from_datetime(moment.with_timezone(&Utc))))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.rfc3339())
    }
}

/// A span of time: ISO 8601 with weeks, days (of 24 hours), hours, minutes and seconds; shown in the shortest form with days,
/// such as `P14D` or `P1DT6H`. Years, months, fractions and signs are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duration(pub Seconds);

#[Scalar]
impl ScalarType for Duration {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else { return Err(InputValueError::expected_type(value)) };
        let span = duration::parse(text).ok_or_else(|| InputValueError::custom(NO_SPAN))?;
        Ok(Duration(span))
    }

    fn to_value(&self) -> Value {
        Value::String(duration::print(self.0))
    }
}

/// An id of the input. One that is malformed, or another noun's, is read as one that nothing has: unknown like any other, refused in
/// the same place and with the same words.
pub fn read_id<T: std::str::FromStr + Default>(id: &ID) -> T {
    id.parse().unwrap_or_default()
}

/// What is wrong with a value for one of our scalars; nothing where it is good, or where `scalar` is not ours.
pub(super) fn fault(scalar: &str, value: &Value) -> Option<&'static str> {
    match scalar {
        "DateTime" if DateTime::parse(value.clone()).is_err() => Some(NO_MOMENT),
        "Duration" if Duration::parse(value.clone()).is_err() => Some(NO_SPAN),
        _ => None,
    }
}

/// A count as GraphQL's `Int` carries it.
pub fn small(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
