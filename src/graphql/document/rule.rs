//! Rules of the specification that the validator sees otherwise.

use std::collections::{HashMap, HashSet};

use apollo_compiler::Name;
use apollo_compiler::ast::{Definition, Document as Tree, Value};
use apollo_compiler::executable::{ExecutableDocument, Selection, SelectionSet};
use apollo_compiler::validation::DiagnosticList;

use super::Refusal;
use super::exact::Places;

/// Variables whose default is null, by the name of their operation.
pub(super) type NullDefaults = HashMap<Option<Name>, Vec<Name>>;

/// Takes defaults that are null out of the tree. Such a variable may not stand where null may not (VariablesInAllowedPosition), which
/// the validator takes any default to allow; without one it knows. Whoever calls the operation puts the null back.
pub(super) fn take_null_defaults(tree: &mut Tree) -> NullDefaults {
    let mut taken = NullDefaults::new();
    for definition in &mut tree.definitions {
        let Definition::OperationDefinition(operation) = definition else { continue };
        let is_null = |default: &Value| matches!(default, Value::Null);
        let has_any = operation.variables.iter().any(|variable| {
            !variable.ty.is_non_null() && variable.default_value.as_ref().is_some_and(|default| is_null(default))
        });
        if !has_any {
            continue;
        }
        let operation = operation.make_mut();
        for variable in &mut operation.variables {
            if !variable.ty.is_non_null() && variable.default_value.as_ref().is_some_and(|default| is_null(default)) {
                variable.make_mut().default_value = None;
                taken.entry(operation.name.clone()).or_default().push(variable.name.clone());
            }
        }
    }
    taken
}

/// Is the only fault that a subscription has several fields at its root? The validator counts fields, the specification response keys:
/// see [`has_one_root`].
pub(super) fn are_only_of_doubled_roots(faults: &DiagnosticList) -> bool {
    faults.iter().all(|fault| fault.error.unstable_error_name() == Some("SubscriptionUsesMultipleFields"))
}

/// A subscription has one response key at its root (SingleRootField).
pub(super) fn has_one_root(document: &ExecutableDocument, places: &Places) -> Result<(), Refusal> {
    fn keys<'a>(
        document: &'a ExecutableDocument,
        set: &'a SelectionSet,
        seen: &mut HashSet<&'a Name>,
        found: &mut HashSet<&'a Name>,
    ) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    found.insert(field.response_name());
                }
                Selection::InlineFragment(inline) => keys(document, &inline.selection_set, seen, found),
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = document.fragments.get(&spread.fragment_name)
                        && seen.insert(&spread.fragment_name)
                    {
                        keys(document, &fragment.selection_set, seen, found);
                    }
                }
            }
        }
    }
    for operation in document.operations.iter().filter(|operation| operation.is_subscription()) {
        let mut found = HashSet::new();
        keys(document, &operation.selection_set, &mut HashSet::new(), &mut found);
        if found.len() > 1 {
            let at = operation.location().map(|span| places.find(span.offset()));
            return Err(Refusal::invalid("A subscription has one field at its root.", at));
        }
    }
    Ok(())
}
