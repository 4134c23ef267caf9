//! From a document that holds to what the engine runs: fields gathered as the specification says (CollectFields), so that each
//! response key is worked on once; conditions decided, fragments dissolved, variables put in place. And what it can cost.

use std::collections::HashSet;

use apollo_compiler::ast::{DirectiveList, Type, Value};
use apollo_compiler::collections::IndexMap;
use apollo_compiler::executable::{Field, Operation, OperationType, Selection, SelectionSet};
use apollo_compiler::response::JsonMap;
use apollo_compiler::{Name, Node, Schema};
use async_graphql::parser::types as engine;
use async_graphql::{Name as Word, Positioned, Value as Constant};

use super::value::Values;
use super::{Document, Documents, Refusal};

/// Fields of a plan: types that a list may turn out to have multiply them.
const FIELDS_LIMIT: usize = 50_000;
/// Rows of a page that does not say how many.
const PAGE: u64 = 20;
/// The largest page.
const PAGE_LIMIT: u64 = 100;
/// What a list without pages is taken to hold.
const LIST: u64 = 5;
/// How many types the schema is taken to have.
const TYPES: u64 = 100;

/// What runs, and what it can cost.
pub(super) struct Planned {
    pub document: engine::ExecutableDocument,
    pub cost: u64,
    pub decisions: u64,
}

/// Plans one operation of a document.
pub(super) fn plan(
    front: &Documents,
    document: &Document,
    operation: &Operation,
    variables: &JsonMap,
) -> Result<Planned, Refusal> {
    let values = Values { schema: &front.schema, places: &document.places, variables };
    let mut planner = Planner { front, document, values, left: FIELDS_LIMIT, decisions: 0 };
    let (items, cost) = planner.set(operation.object_type(), &[&operation.selection_set])?;
    if cost > front.limits.cost {
        let text = format!(
            "This can cost {cost}, more than {}: ask for smaller pages, or for less in each row.",
            front.limits.cost
        );
        return Err(Refusal::limit(text, None));
    }
    let ty = match operation.operation_type {
        OperationType::Query => engine::OperationType::Query,
        OperationType::Mutation => engine::OperationType::Mutation,
        OperationType::Subscription => engine::OperationType::Subscription,
    };
    let selection_set = Positioned::new(items, Default::default());
    let definition =
        engine::OperationDefinition { ty, variable_definitions: Vec::new(), directives: Vec::new(), selection_set };
    let operations = engine::DocumentOperations::Single(Positioned::new(definition, Default::default()));
    Ok(Planned {
        document: engine::ExecutableDocument { operations, fragments: Default::default() },
        cost,
        decisions: planner.decisions,
    })
}

/// Fields by response key, in the order of their first appearance.
type Groups<'a> = IndexMap<&'a Name, Vec<&'a Node<Field>>>;

struct Planner<'a> {
    front: &'a Documents,
    document: &'a Document,
    values: Values<'a>,
    left: usize,
    decisions: u64,
}

impl<'a> Planner<'a> {
    fn schema(&self) -> &'a Schema {
        &self.front.schema
    }

    /// The selections of an object of type `of`, asked for by all of `sets` together, and what they cost.
    fn set(&mut self, of: &Name, sets: &[&'a SelectionSet]) -> Result<(engine::SelectionSet, u64), Refusal> {
        let narrowed = self.front.possible.get(of).filter(|_| sets.iter().any(|set| self.narrows(of, set)));
        let Some(possible) = narrowed else {
            return self.fields(of, sets);
        };
        // What an object is shows only when it runs: one branch for each type that it can be, and the dearest counts.
        let (mut items, mut dearest) = (Vec::new(), 0);
        for of in possible {
            let (selection_set, cost) = self.fields(of, sets)?;
            if selection_set.items.is_empty() {
                continue;
            }
            dearest = dearest.max(cost);
            let on = Positioned::new(Word::new(of.as_str()), Default::default());
            let fragment = engine::InlineFragment {
                type_condition: Some(Positioned::new(engine::TypeCondition { on }, Default::default())),
                directives: Vec::new(),
                selection_set: Positioned::new(selection_set, Default::default()),
            };
            let fragment = Positioned::new(fragment, Default::default());
            items.push(Positioned::new(engine::Selection::InlineFragment(fragment), Default::default()));
        }
        Ok((engine::SelectionSet { items }, dearest))
    }

    fn fields(&mut self, of: &Name, sets: &[&'a SelectionSet]) -> Result<(engine::SelectionSet, u64), Refusal> {
        let (mut groups, mut seen) = (Groups::default(), HashSet::new());
        for set in sets {
            self.collect(of, set, &mut groups, &mut seen);
        }
        let (mut items, mut cost) = (Vec::with_capacity(groups.len()), 0_u64);
        for group in groups.values() {
            let (item, dear) = self.field(of, group)?;
            items.push(item);
            cost = cost.saturating_add(dear);
        }
        Ok((engine::SelectionSet { items }, cost))
    }

    /// Does the set hold a fragment that only some of the objects of type `of` have?
    fn narrows(&self, of: &Name, set: &SelectionSet) -> bool {
        set.selections.iter().any(|selection| match selection {
            Selection::Field(_) => false,
            Selection::InlineFragment(inline) => {
                self.includes(&inline.directives)
                    && (inline.type_condition.as_ref().is_some_and(|on| !self.applies(on, of))
                        || self.narrows(of, &inline.selection_set))
            }
            Selection::FragmentSpread(spread) => {
                self.includes(&spread.directives)
                    && self.document.checked.fragments.get(&spread.fragment_name).is_some_and(|fragment| {
                        !self.applies(fragment.type_condition(), of) || self.narrows(of, &fragment.selection_set)
                    })
            }
        })
    }

    fn collect(&self, of: &Name, set: &'a SelectionSet, groups: &mut Groups<'a>, seen: &mut HashSet<&'a Name>) {
        for selection in &set.selections {
            match selection {
                Selection::Field(field) => {
                    if self.includes(&field.directives) {
                        groups.entry(field.response_name()).or_default().push(field);
                    }
                }
                Selection::InlineFragment(inline) => {
                    let applies = inline.type_condition.as_ref().is_none_or(|on| self.applies(on, of));
                    if applies && self.includes(&inline.directives) {
                        self.collect(of, &inline.selection_set, groups, seen);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    if !self.includes(&spread.directives) || !seen.insert(&spread.fragment_name) {
                        continue;
                    }
                    let Some(fragment) = self.document.checked.fragments.get(&spread.fragment_name) else { continue };
                    if self.applies(fragment.type_condition(), of) {
                        self.collect(of, &fragment.selection_set, groups, seen);
                    }
                }
            }
        }
    }

    fn applies(&self, condition: &Name, of: &Name) -> bool {
        condition == of || self.schema().is_subtype(condition, of)
    }

    /// Neither skipped nor left out.
    fn includes(&self, directives: &DirectiveList) -> bool {
        let holds = |name: &str| {
            let value = directives.get(name)?.specified_argument_by_name("if")?;
            match value.as_ref() {
                Value::Boolean(flag) => Some(*flag),
                Value::Variable(name) => self.values.variables.get(name.as_str())?.as_bool(),
                _ => None,
            }
        };
        !holds("skip").unwrap_or(false) && holds("include").unwrap_or(true)
    }

    /// A field, asked for as often as `group` says; all of them agree in name and arguments.
    fn field(
        &mut self,
        parent: &Name,
        group: &[&'a Node<Field>],
    ) -> Result<(Positioned<engine::Selection>, u64), Refusal> {
        let Some(field) = group.first() else { return Err(Refusal::invalid("an empty group of fields", None)) };
        let place = field.location().map(|span| self.document.places.find(span.offset())).unwrap_or_default();
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| Refusal::limit("The document asks for too many fields on too many types.", Some(place)))?;
        let mut arguments = Vec::with_capacity(field.arguments.len());
        for argument in &field.arguments {
            let Some(definition) = field.definition.argument_by_name(&argument.name) else { continue };
            if let Some(value) = self.values.read(&definition.ty, &argument.value)? {
                arguments.push((Word::new(argument.name.as_str()), value));
            }
        }
        let sets: Vec<&SelectionSet> = group.iter().filter_map(|field| field.selection_set.as_ref()).collect();
        let times = multiplier(parent, field, &arguments);
        self.decisions = self.decisions.saturating_add(decisions(field, &arguments));
        let (selection_set, inner) = match sets.is_empty() {
            true => (engine::SelectionSet::default(), 0),
            false => self.set(field.definition.ty.inner_named_type(), &sets)?,
        };
        let arguments = arguments
            .into_iter()
            .map(|(name, value)| (Positioned::new(name, place), Positioned::new(value.into_value(), place)));
        let planned = engine::Field {
            alias: field.alias.as_ref().map(|alias| Positioned::new(Word::new(alias.as_str()), place)),
            name: Positioned::new(Word::new(field.name.as_str()), place),
            arguments: arguments.collect(),
            directives: Vec::new(),
            selection_set: Positioned::new(selection_set, place),
        };
        let planned = engine::Selection::Field(Positioned::new(planned, place));
        Ok((Positioned::new(planned, place), inner.saturating_mul(times).saturating_add(1)))
    }
}

/// How many approval stages a field decides. It is asked once for each response key: aliases multiply nothing for nothing.
fn decisions(field: &Field, arguments: &[(Word, Constant)]) -> u64 {
    match field.name.as_str() {
        "decideApprovalStage" => 1,
        "decideApprovalStages" => match arguments.first() {
            Some((_, Constant::List(stages))) => stages.len() as u64,
            _ => 1,
        },
        _ => 0,
    }
}

/// How often what stands below a field can come.
fn multiplier(parent: &Name, field: &Field, arguments: &[(Word, Constant)]) -> u64 {
    let given = |name: &str| arguments.iter().find(|(word, _)| word == name).map(|(_, value)| value);
    if field.definition.argument_by_name("first").is_some() {
        let size = [given("first"), given("last")].into_iter().flatten().find_map(|value| match value {
            Constant::Number(number) => number.as_u64(),
            _ => None,
        });
        return size.unwrap_or(PAGE).min(PAGE_LIMIT);
    }
    if !matches!(field.definition.ty, Type::List(_) | Type::NonNullList(_)) {
        return 1;
    }
    let asked = arguments.iter().find_map(|(_, value)| match value {
        Constant::List(items) => u64::try_from(items.len()).ok(),
        _ => None,
    });
    match (parent.as_str(), field.name.as_str()) {
        ("__Schema", "types") => TYPES,
        (_, "args") if parent.starts_with("__") => 1,
        // The page's size has been counted.
        (_, "nodes" | "edges") if parent.ends_with("Connection") => 1,
        _ => asked.unwrap_or(LIST),
    }
}
