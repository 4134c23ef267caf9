//! Values for the engine: variables put in place, and our own scalars read, which the rules of the language leave to their owner.

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::response::{JsonMap, JsonValue};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::{Node, Schema};
use async_graphql::indexmap::IndexMap;
use async_graphql::{Name, Number, Pos, Value as Constant};

use super::Refusal;
use super::exact::Places;
use crate::graphql::scalar;

/// Where values come from.
pub(super) struct Values<'a> {
    pub schema: &'a Schema,
    pub places: &'a Places,
    pub variables: &'a JsonMap,
}

impl Values<'_> {
    /// The value of an argument or input field of type `of`; nothing where it is a variable that was not given.
    pub(super) fn read(&self, of: &Type, value: &Node<Value>) -> Result<Option<Constant>, Refusal> {
        let place = || value.location().map(|span| self.places.find(span.offset()));
        let constant = match value.as_ref() {
            Value::Variable(name) => {
                return match self.variables.get(name.as_str()) {
                    Some(given) => self.given(of, given, place()).map(Some),
                    None => Ok(None),
                };
            }
            Value::List(items) => {
                let inner = of.item_type();
                let read = |item| Ok(self.read(inner, item)?.unwrap_or(Constant::Null));
                return Ok(Some(Constant::List(items.iter().map(read).collect::<Result<_, Refusal>>()?)));
            }
            Value::Object(fields) => {
                let mut object = IndexMap::with_capacity(fields.len());
                for (name, inner) in fields {
                    let read = match self.field_type(of, name.as_str()) {
                        Some(of) => self.read(of, inner)?,
                        None => None,
                    };
                    if let Some(read) = read {
                        object.insert(Name::new(name.as_str()), read);
                    }
                }
                return Ok(Some(Constant::Object(object)));
            }
            Value::Null => Constant::Null,
            Value::Enum(name) => Constant::Enum(Name::new(name.as_str())),
            Value::String(text) => Constant::String(text.clone()),
            Value::Boolean(flag) => Constant::Boolean(*flag),
            Value::Int(number) => number_of(number.as_str()),
            Value::Float(number) => number_of(number.as_str()),
        };
        self.scalar(of, &constant, place()).map(|()| Some(constant))
    }

    fn given(&self, of: &Type, value: &JsonValue, place: Option<Pos>) -> Result<Constant, Refusal> {
        let constant = match value {
            JsonValue::Array(items) => {
                let read = |item| self.given(of.item_type(), item, place);
                return Ok(Constant::List(items.iter().map(read).collect::<Result<_, Refusal>>()?));
            }
            JsonValue::Object(fields) => {
                let mut object = IndexMap::with_capacity(fields.len());
                for (name, inner) in fields {
                    // Coercion has refused what the type does not have.
                    if let Some(of) = self.field_type(of, name.as_str()) {
                        object.insert(Name::new(name.as_str()), self.given(of, inner, place)?);
                    }
                }
                return Ok(Constant::Object(object));
            }
            JsonValue::Null => Constant::Null,
            JsonValue::Bool(flag) => Constant::Boolean(*flag),
            JsonValue::Number(number) => Constant::Number(number.clone()),
            JsonValue::String(text) => Constant::String(text.as_str().to_owned()),
        };
        self.scalar(of, &constant, place).map(|()| constant)
    }

    fn field_type(&self, of: &Type, field: &str) -> Option<&Type> {
        match self.schema.types.get(of.inner_named_type())? {
            ExtendedType::InputObject(definition) => definition.fields.get(field).map(|field| &*field.ty),
            _ => None,
        }
    }

    fn scalar(&self, of: &Type, value: &Constant, place: Option<Pos>) -> Result<(), Refusal> {
        if *value == Constant::Null {
            return Ok(());
        }
        let name = of.inner_named_type().as_str();
        match scalar::fault(name, value) {
            Some(fault) => Err(Refusal::invalid(format!("This is no {name}: {fault}."), place)),
            None => Ok(()),
        }
    }
}

fn number_of(text: &str) -> Constant {
    let whole = text.parse::<i64>().ok().map(Number::from);
    match whole.or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64)) {
        Some(number) => Constant::Number(number),
        None => Constant::Null,
    }
}
