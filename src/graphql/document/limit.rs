//! Limits, before any rule is looked at: a validator's own work may grow faster than the document. Each fragment is measured once,
//! sums saturate, so this takes linear time whatever the document is. (One rule is looked at here because every value is: an input field
//! comes once. The validator does not see to it.)

use std::collections::{HashMap, HashSet};

use apollo_compiler::Name;
use apollo_compiler::ast::{
    Argument, Definition, DirectiveList, Document as Tree, FragmentDefinition, Selection, Value,
};
use apollo_compiler::response::{JsonMap, JsonValue};
use apollo_compiler::{Node, ast};
use async_graphql::Pos;

use super::Refusal;
use super::exact::Places;

/// How large a document, and what it asks for, may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tokens of the source, comments and commas included.
    pub tokens: usize,
    /// Fields below each other, fragments followed.
    pub depth: usize,
    /// Fields in all, each as often as its fragment is spread.
    pub fields: usize,
    /// Aliases, counted alike.
    pub aliases: usize,
    /// Directives, counted alike.
    pub directives: usize,
    /// Operations and fragments.
    pub definitions: usize,
    /// Entries of one list among arguments or variables.
    pub list_items: usize,
    /// Lists of the schema's parts below each other.
    pub introspection_depth: usize,
    /// Values that an answer can have: page sizes multiplied along the nesting.
    pub cost: u64,
    /// Errors told about one document.
    pub errors: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            tokens: 2_000,
            depth: 16,
            fields: 1_000,
            aliases: 50,
            directives: 50,
            definitions: 50,
            list_items: 1_000,
            introspection_depth: 2,
            cost: 100_000,
            errors: 5,
        }
    }
}

/// What a selection amounts to, its fragments followed.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    fields: usize,
    aliases: usize,
    directives: usize,
    depth: usize,
    /// Lists of parts of the schema below each other, as an introspection would meet them.
    lists: usize,
}

impl Size {
    fn beside(self, other: Size) -> Size {
        Size {
            fields: self.fields.saturating_add(other.fields),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            depth: self.depth.max(other.depth),
            lists: self.lists.max(other.lists),
        }
    }
}

struct Measure<'a> {
    limits: &'a Limits,
    places: &'a Places,
    fragments: HashMap<&'a Name, &'a Node<FragmentDefinition>>,
    /// Nothing stands for one that is being measured: a cycle, which the rules refuse.
    sizes: HashMap<&'a Name, Option<Size>>,
}

/// Is the document within the limits?
pub(super) fn measure(tree: &Tree, limits: &Limits, places: &Places) -> Result<(), Refusal> {
    if tree.definitions.len() > limits.definitions {
        return Err(Refusal::limit(format!("The document has more than {} definitions.", limits.definitions), None));
    }
    let fragments = tree.definitions.iter().filter_map(|definition| match definition {
        Definition::FragmentDefinition(fragment) => Some((&fragment.name, fragment)),
        _ => None,
    });
    let mut measure = Measure { limits, places, fragments: fragments.collect(), sizes: HashMap::new() };
    let mut total = Size::default();
    for definition in &tree.definitions {
        let (set, directives, variables): (_, _, &[_]) = match definition {
            Definition::OperationDefinition(operation) => {
                (&operation.selection_set, &operation.directives, &operation.variables)
            }
            Definition::FragmentDefinition(fragment) => (&fragment.selection_set, &fragment.directives, &[]),
            _ => continue,
        };
        let mut size = measure.set(set, 0)?.beside(measure.directives(directives)?);
        for variable in variables {
            size = size.beside(measure.directives(&variable.directives)?);
            if let Some(default) = &variable.default_value {
                measure.value(default)?;
            }
        }
        // A fragment counts where it is spread; by itself it only must not be too deep.
        let is_operation = matches!(definition, Definition::OperationDefinition(_));
        total = if is_operation { total.beside(size) } else { Size { depth: total.depth.max(size.depth), ..total } };
        measure.judge(total, definition.location().map(|span| places.find(span.offset())))?;
    }
    Ok(())
}

impl<'a> Measure<'a> {
    fn judge(&self, size: Size, at: Option<Pos>) -> Result<(), Refusal> {
        let limits = self.limits;
        let over = [
            (size.depth > limits.depth, format!("The document nests fields deeper than {}.", limits.depth)),
            (size.fields > limits.fields, format!("The document asks for more than {} fields.", limits.fields)),
            (size.aliases > limits.aliases, format!("The document has more than {} aliases.", limits.aliases)),
            (
                size.directives > limits.directives,
                format!("The document has more than {} directives.", limits.directives),
            ),
        ];
        match over.into_iter().find(|(is_over, _)| *is_over) {
            Some((_, text)) => Err(Refusal::limit(text, at)),
            None => Ok(()),
        }
    }

    /// `level` counts sets within sets: it bounds what every later walk nests.
    fn set(&mut self, set: &'a [Selection], level: usize) -> Result<Size, Refusal> {
        if level > self.limits.depth.saturating_mul(3) {
            let text = format!("The document nests fields deeper than {}.", self.limits.depth);
            return Err(Refusal::limit(text, None));
        }
        let mut total = Size::default();
        for selection in set {
            let size = match selection {
                Selection::Field(field) => self.field(field, level)?,
                Selection::InlineFragment(inline) => {
                    self.set(&inline.selection_set, level + 1)?.beside(self.directives(&inline.directives)?)
                }
                Selection::FragmentSpread(spread) => {
                    self.spread(&spread.fragment_name, level)?.beside(self.directives(&spread.directives)?)
                }
            };
            total = total.beside(size);
        }
        Ok(total)
    }

    fn field(&mut self, field: &'a Node<ast::Field>, level: usize) -> Result<Size, Refusal> {
        self.arguments(&field.arguments)?;
        let mut size = match &field.selection_set {
            Some(set) => self.set(set, level + 1)?,
            None => Size::default(),
        };
        match field.name.as_str() {
            "fields" | "interfaces" | "possibleTypes" | "inputFields" => size.lists += 1,
            "__schema" | "__type" => {
                let limit = self.limits.introspection_depth;
                if size.lists > limit {
                    let at = field.location().map(|span| self.places.find(span.offset()));
                    let text = format!("An introspection follows lists at most {limit} levels deep.");
                    return Err(Refusal::limit(text, at));
                }
            }
            _ => {}
        }
        size.fields = size.fields.saturating_add(1);
        size.aliases = size.aliases.saturating_add(usize::from(field.alias.is_some()));
        size.depth += 1;
        Ok(size.beside(self.directives(&field.directives)?))
    }

    fn spread(&mut self, name: &'a Name, level: usize) -> Result<Size, Refusal> {
        if let Some(known) = self.sizes.get(name) {
            return Ok(known.unwrap_or_default());
        }
        let Some(fragment) = self.fragments.get(name).copied() else { return Ok(Size::default()) };
        self.sizes.insert(name, None);
        let size = self.set(&fragment.selection_set, level + 1)?.beside(self.directives(&fragment.directives)?);
        self.sizes.insert(name, Some(size));
        Ok(size)
    }

    fn directives(&self, directives: &DirectiveList) -> Result<Size, Refusal> {
        for directive in directives.iter() {
            self.arguments(&directive.arguments)?;
        }
        Ok(Size { directives: directives.len(), ..Size::default() })
    }

    fn arguments(&self, arguments: &[Node<Argument>]) -> Result<(), Refusal> {
        arguments.iter().try_for_each(|argument| self.value(&argument.value))
    }

    fn value(&self, value: &Node<Value>) -> Result<(), Refusal> {
        match value.as_ref() {
            Value::List(items) => {
                if items.len() > self.limits.list_items {
                    let at = value.location().map(|span| self.places.find(span.offset()));
                    return Err(Refusal::limit(too_long(self.limits), at));
                }
                items.iter().try_for_each(|item| self.value(item))
            }
            Value::Object(fields) => {
                let mut names = HashSet::new();
                if let Some((name, inner)) = fields.iter().find(|(name, _)| !names.insert(name)) {
                    let at = inner.location().map(|span| self.places.find(span.offset()));
                    return Err(Refusal::invalid(format!("There can be only one input field named `{name}`."), at));
                }
                fields.iter().try_for_each(|(_, inner)| self.value(inner))
            }
            _ => Ok(()),
        }
    }
}

fn too_long(limits: &Limits) -> String {
    format!("A list of the input has more than {} entries.", limits.list_items)
}

/// Are the lists among the variables short enough?
pub(super) fn variables(variables: &JsonMap, limits: &Limits) -> Result<(), Refusal> {
    fn within(value: &JsonValue, limits: &Limits) -> bool {
        match value {
            JsonValue::Array(items) => {
                items.len() <= limits.list_items && items.iter().all(|item| within(item, limits))
            }
            JsonValue::Object(fields) => fields.values().all(|inner| within(inner, limits)),
            _ => true,
        }
    }
    match variables.values().all(|value| within(value, limits)) {
        true => Ok(()),
        false => Err(Refusal::limit(too_long(limits), None)),
    }
}
