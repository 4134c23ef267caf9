//! Values for the engine: variables put in place, and our own scalars read, which the rules of the language leave to their owner.

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::executable::{ExecutableDocument, Operation, Selection, SelectionSet};
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
    /// Do all literals of a document hold, also where nothing runs?
    pub(super) fn check(&self, document: &ExecutableDocument) -> Result<(), Refusal> {
        for operation in document.operations.iter() {
            for variable in &operation.variables {
                if let Some(default) = &variable.default_value {
                    self.read(&variable.ty, default)?;
                }
            }
            self.check_set(&operation.selection_set)?;
        }
        document.fragments.values().try_for_each(|fragment| self.check_set(&fragment.selection_set))
    }

    fn check_set(&self, set: &SelectionSet) -> Result<(), Refusal> {
        set.selections.iter().try_for_each(|selection| match selection {
            Selection::Field(field) => {
                for argument in &field.arguments {
                    if let Some(definition) = field.definition.argument_by_name(&argument.name) {
                        self.read(&definition.ty, &argument.value)?;
                    }
                }
                field.selection_set.as_ref().map_or(Ok(()), |inner| self.check_set(inner))
            }
            Selection::InlineFragment(inline) => self.check_set(&inline.selection_set),
            Selection::FragmentSpread(_) => Ok(()),
        })
    }

    /// Do the variables hold, also those that nothing of what runs uses?
    pub(super) fn check_variables(&self, operation: &Operation) -> Result<(), Refusal> {
        operation.variables.iter().try_for_each(|variable| {
            let place = variable.location().map(|span| self.places.find(span.offset()));
            match self.variables.get(variable.name.as_str()) {
                Some(given) => self.given(&variable.ty, given, place).map(drop),
                None => Ok(()),
            }
        })
    }

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
            Value::List(items) if of.is_list() || !self.is_scalar(of) => {
                let inner = of.item_type();
                let read = |item| Ok(self.read(inner, item)?.unwrap_or(Constant::Null));
                return Ok(Some(Constant::List(items.iter().map(read).collect::<Result<_, Refusal>>()?)));
            }
            Value::Object(fields) if !self.is_scalar(of) => {
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
            Value::List(_) => Constant::List(Vec::new()),
            Value::Object(_) => Constant::Object(IndexMap::new()),
            Value::Null => Constant::Null,
            Value::Enum(name) => Constant::Enum(Name::new(name.as_str())),
            Value::String(text) => Constant::String(text.clone()),
            Value::Boolean(flag) => Constant::Boolean(*flag),
            Value::Int(number) => number_of(number.as_str()),
            Value::Float(number) => number_of(number.as_str()),
        };
        self.scalar(of, constant, place()).map(Some)
    }

    fn given(&self, of: &Type, value: &JsonValue, place: Option<Pos>) -> Result<Constant, Refusal> {
        let constant = match value {
            JsonValue::Array(items) if of.is_list() || !self.is_scalar(of) => {
                let read = |item| self.given(of.item_type(), item, place);
                return Ok(Constant::List(items.iter().map(read).collect::<Result<_, Refusal>>()?));
            }
            JsonValue::Object(fields) if !self.is_scalar(of) => {
                let mut object = IndexMap::with_capacity(fields.len());
                for (name, inner) in fields {
                    // Coercion has refused what the type does not have.
                    if let Some(of) = self.field_type(of, name.as_str()) {
                        object.insert(Name::new(name.as_str()), self.given(of, inner, place)?);
                    }
                }
                return Ok(Constant::Object(object));
            }
            // A scalar of ours that is neither text nor number.
            JsonValue::Array(_) => Constant::List(Vec::new()),
            JsonValue::Object(_) => Constant::Object(IndexMap::new()),
            JsonValue::Null => Constant::Null,
            JsonValue::Bool(flag) => Constant::Boolean(*flag),
            JsonValue::Number(number) => Constant::Number(number.clone()),
            JsonValue::String(text) => Constant::String(text.as_str().to_owned()),
        };
        self.scalar(of, constant, place)
    }

    fn is_scalar(&self, of: &Type) -> bool {
        matches!(self.schema.types.get(of.inner_named_type()), Some(ExtendedType::Scalar(_)))
    }

    fn field_type(&self, of: &Type, field: &str) -> Option<&Type> {
        match self.schema.types.get(of.inner_named_type())? {
            ExtendedType::InputObject(definition) => definition.fields.get(field).map(|field| &*field.ty),
            _ => None,
        }
    }

    /// The value as its scalar has it.
    fn scalar(&self, of: &Type, value: Constant, place: Option<Pos>) -> Result<Constant, Refusal> {
        let name = of.inner_named_type().as_str();
        match value {
            Constant::Null => Ok(Constant::Null),
            // An id may be written as a number; it is a text all the same.
            Constant::Number(number) if name == "ID" => Ok(Constant::String(match number.as_f64() {
                Some(whole) if number.is_f64() => format!("{whole:.0}"),
                _ => number.to_string(),
            })),
            value => match scalar::fault(name, &value) {
                Some(fault) => Err(Refusal::invalid(format!("This is no {name}: {fault}."), place)),
                None => Ok(value),
            },
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

/// Numbers without a fraction as whole numbers: JSON has only one kind, and `5.0` is `5`.
pub(super) fn whole(variables: &JsonMap) -> JsonMap {
    fn value(given: &JsonValue) -> JsonValue {
        match given {
            JsonValue::Number(number) => match number.as_f64() {
                // Above this a double does not tell whole numbers apart.
                Some(double) if number.is_f64() && double.fract() == 0.0 && double.abs() < 9_007_199_254_740_992.0 => {
                    JsonValue::from(double as i64)
                }
                _ => given.clone(),
            },
            JsonValue::Array(items) => JsonValue::Array(items.iter().map(value).collect()),
            JsonValue::Object(fields) => JsonValue::Object(whole(fields)),
            _ => given.clone(),
        }
    }
    variables.iter().map(|(name, given)| (name.clone(), value(given))).collect()
}
