//! Fields of one response key must have the same arguments (FieldsInSetCanMerge). The validator compares two lists only as far as the
//! shorter one goes. So where lists stand under the same response key, the document is validated once more, against a schema in which
//! every field takes one text more, and with the lengths of its lists as that text.

use std::collections::HashSet;

use apollo_compiler::ast::{Argument, Definition, Document as Tree, InputValueDefinition, Selection, Value};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::{DiagnosticData, Valid};
use apollo_compiler::{Name, Node, Schema, name};

const LENGTHS: Name = name!("_lengths");

/// The schema with that argument on every field; none where it does not hold.
pub(super) fn measuring(schema: &Valid<Schema>) -> Option<Valid<Schema>> {
    let mut schema = schema.clone().into_inner();
    let lengths = Node::new(InputValueDefinition {
        description: None,
        name: LENGTHS,
        ty: Node::new(apollo_compiler::ty!(String)),
        default_value: None,
        directives: Default::default(),
    });
    for definition in schema.types.values_mut().filter(|definition| !definition.is_built_in()) {
        let fields = match definition {
            ExtendedType::Object(object) => &mut object.make_mut().fields,
            ExtendedType::Interface(interface) => &mut interface.make_mut().fields,
            _ => continue,
        };
        for field in fields.values_mut() {
            field.make_mut().arguments.push(lengths.clone());
        }
    }
    schema.validate().ok()
}

/// Do lists stand in the arguments of several fields of one response key?
pub(super) fn are_to_be_compared(tree: &Tree) -> bool {
    fn within<'a>(set: &'a [Selection], seen: &mut HashSet<&'a Name>) -> bool {
        set.iter().any(|selection| match selection {
            Selection::Field(field) => {
                let has_list = field.arguments.iter().any(|argument| lengths(&argument.value).is_some());
                (has_list && !seen.insert(field.response_name()))
                    || field.selection_set.as_deref().is_some_and(|inner| within(inner, seen))
            }
            Selection::InlineFragment(inline) => within(&inline.selection_set, seen),
            Selection::FragmentSpread(_) => false,
        })
    }
    let mut seen = HashSet::new();
    tree.definitions.iter().any(|definition| match definition {
        Definition::OperationDefinition(operation) => within(&operation.selection_set, &mut seen),
        Definition::FragmentDefinition(fragment) => within(&fragment.selection_set, &mut seen),
        _ => false,
    })
}

/// Writes the lengths of its lists beside the arguments of each field.
pub(super) fn measured(mut tree: Tree) -> Tree {
    fn within(set: &mut [Selection]) {
        for selection in set {
            match selection {
                Selection::Field(field) => {
                    let mut texts: Vec<String> = field
                        .arguments
                        .iter()
                        .filter_map(|argument| Some(format!("{}{}", argument.name, lengths(&argument.value)?)))
                        .collect();
                    texts.sort_unstable();
                    let field = field.make_mut();
                    if !texts.is_empty() {
                        let value = Node::new(Value::String(texts.concat()));
                        field.arguments.push(Node::new(Argument { name: LENGTHS, value }));
                    }
                    within(field.selection_set.as_deref_mut().unwrap_or_default());
                }
                Selection::InlineFragment(inline) => within(&mut inline.make_mut().selection_set),
                Selection::FragmentSpread(_) => {}
            }
        }
    }
    for definition in &mut tree.definitions {
        match definition {
            Definition::OperationDefinition(operation) => within(&mut operation.make_mut().selection_set),
            Definition::FragmentDefinition(fragment) => within(&mut fragment.make_mut().selection_set),
            _ => {}
        }
    }
    tree
}

/// Is it the fault that was looked for?
pub(super) fn is_conflict(fault: &DiagnosticData) -> bool {
    fault.unstable_error_name() == Some("ConflictingFieldArgument")
}

/// How long the lists of a value are, whatever the order of an object's fields; nothing where there are none.
fn lengths(value: &Value) -> Option<String> {
    match value {
        Value::List(items) => Some(format!("[{}]", items.iter().map(|item| part(item)).collect::<String>())),
        Value::Object(fields) => {
            let inner = |(name, value): &(Name, Node<Value>)| Some(format!("{name}{}", lengths(value)?));
            let mut texts: Vec<String> = fields.iter().filter_map(inner).collect();
            texts.sort_unstable();
            (!texts.is_empty()).then(|| format!("{{{}}}", texts.concat()))
        }
        _ => None,
    }
}

fn part(item: &Value) -> String {
    lengths(item).unwrap_or_else(|| "_".to_owned())
}
