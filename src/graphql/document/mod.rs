//! The front: every document is read, limited and validated here, and its variables coerced, before anything of it runs. What the
//! engine gets afterwards is a plan without variables, fragments on the object's own type, skipped fields or repeated response keys, so
//! that none of the rules the engine does not know can matter.
//!
//! The rules are those of the GraphQL specification, September 2025, as apollo-compiler implements them, and three more that it
//! leaves open: see [`exact`]. Nothing here takes longer than linear time in the document before the limits have been looked at.

mod exact;
mod limit;
mod list;
mod plan;
mod rule;
mod value;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use apollo_compiler::ast::Document as Tree;
use apollo_compiler::diagnostic::Diagnostic;
use apollo_compiler::executable::{ExecutableDocument, Operation as Definition, OperationType};
use apollo_compiler::parser::Parser;
use apollo_compiler::response::{JsonMap, JsonValue};
use apollo_compiler::validation::{DiagnosticData, DiagnosticList, Valid};
use apollo_compiler::{Name, Node, Schema};
use async_graphql::{Pos, Request, ServerError};
use lru::LruCache;
use sha2::{Digest, Sha256};

pub use limit::Limits;

use plan::Planned;
use rule::NullDefaults;
use value::Values;

/// Longest text of an error about a document, in characters: some quote the client's own words.
const MESSAGE_LIMIT: usize = 200;
/// So deep may the parser nest; what is meant for clients is [`Limits::depth`].
const RECURSION_LIMIT: usize = 100;
/// Documents kept, and bytes of their sources; what is made of a source takes about thirty times its room.
const KEPT_DOCUMENTS: usize = 1_000;
const KEPT_BYTES: usize = 1024 * 1024;

/// Why a document, or a call of it, does not run.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The code of each error.
    pub code: &'static str,
    /// What is wrong, with the places.
    pub errors: Vec<ServerError>,
}

impl Refusal {
    fn invalid(message: impl Into<String>, place: Option<Pos>) -> Refusal {
        Refusal { code: "BAD_USER_INPUT", errors: vec![error(message, place)] }
    }

    fn limit(message: impl Into<String>, place: Option<Pos>) -> Refusal {
        Refusal { code: "LIMIT_EXCEEDED", errors: vec![error(message, place)] }
    }
}

fn error(message: impl Into<String>, place: Option<Pos>) -> ServerError {
    let mut message = message.into();
    if let Some((end, _)) = message.char_indices().nth(MESSAGE_LIMIT) {
        message.truncate(end);
        message.push('…');
    }
    ServerError::new(message, place)
}

/// The SHA-256 of a source.
pub type Hash = [u8; 32];

fn hash_of(source: &str) -> Hash {
    Sha256::digest(source.as_bytes()).into()
}

/// A document that may run.
pub struct Document {
    hash: Hash,
    checked: Valid<ExecutableDocument>,
    /// Variables whose default is null, by operation.
    null_defaults: NullDefaults,
    places: exact::Places,
    bytes: usize,
}

/// Reads documents for one schema, and keeps those that were good.
pub struct Documents {
    schema: Valid<Schema>,
    /// For comparing lists.
    measuring: Valid<Schema>,
    possible: HashMap<Name, Vec<Name>>,
    limits: Limits,
    trusted: Option<HashMap<Hash, Arc<Document>>>,
    kept: Mutex<Kept>,
}

struct Kept {
    documents: LruCache<Hash, Arc<Document>>,
    bytes: usize,
}

/// What the cache holds, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSize {
    /// Documents.
    pub documents: usize,
    /// Bytes of their sources.
    pub bytes: usize,
}

impl Documents {
    /// For the schema that `sdl` describes. Where `trusted` is given, only those documents run.
    ///
    /// # Errors
    /// One line: the schema does not hold, or which trusted document does not.
    pub fn new(sdl: &str, limits: Limits, trusted: Option<Vec<String>>) -> Result<Documents, String> {
        let schema = Schema::parse_and_validate(sdl, "schema.graphql")
            .map_err(|fault| format!("the schema does not hold: {}", first_line(&fault.errors)))?;
        let measuring = list::measuring(&schema).ok_or("the schema does not hold with an argument more")?;
        let possible = possible_types(&schema);
        let documents = LruCache::unbounded();
        let kept = Mutex::new(Kept { documents, bytes: 0 });
        let mut front = Documents { schema, measuring, possible, limits, trusted: None, kept };
        if let Some(sources) = trusted {
            let mut known = HashMap::new();
            for source in sources {
                let document = front.read(&source, hash_of(&source)).map_err(|refusal| {
                    let what = refusal.errors.first().map(|error| error.message.as_str()).unwrap_or_default();
                    let start: String = source.chars().take(60).collect();
                    format!("a trusted document is not good: {what} (it begins {start:?})")
                })?;
                known.insert(document.hash, Arc::new(document));
            }
            front.trusted = Some(known);
        }
        Ok(front)
    }

    /// A document that was seen before, or is trusted.
    pub fn known(&self, hash: &Hash) -> Option<Arc<Document>> {
        match &self.trusted {
            Some(trusted) => trusted.get(hash).cloned(),
            None => self.kept().documents.get(hash).cloned(),
        }
    }

    /// Does only what was listed beforehand run?
    pub fn is_closed(&self) -> bool {
        self.trusted.is_some()
    }

    /// The document of a source, read where it is new. The second value: it was known.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn find(&self, source: &str) -> Result<(Arc<Document>, bool), Refusal> {
        let hash = hash_of(source);
        if let Some(document) = self.known(&hash) {
            return Ok((document, true));
        }
        if self.is_closed() {
            let text = "Only the documents that were registered with this installation run here.";
            return Err(Refusal { code: "FORBIDDEN", errors: vec![error(text, None)] });
        }
        let document = Arc::new(self.read(source, hash)?);
        self.keep(document.clone());
        Ok((document, false))
    }

    fn keep(&self, document: Arc<Document>) {
        // A large one would push out many; it is read again.
        if document.bytes > KEPT_BYTES / 16 {
            return;
        }
        let mut kept = self.kept();
        kept.bytes += document.bytes;
        if let Some(old) = kept.documents.put(document.hash, document) {
            kept.bytes -= old.bytes;
        }
        while kept.bytes > KEPT_BYTES || kept.documents.len() > KEPT_DOCUMENTS {
            let Some((_, oldest)) = kept.documents.pop_lru() else { break };
            kept.bytes -= oldest.bytes;
        }
    }

    /// How much is kept.
    pub fn size(&self) -> CacheSize {
        let kept = self.kept();
        CacheSize { documents: kept.documents.len(), bytes: kept.bytes }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a source: tokens, tree, limits, rules.
    fn read(&self, source: &str, hash: Hash) -> Result<Document, Refusal> {
        let tokens = exact::tokens(source, self.limits.tokens)?;
        let mut parser = Parser::new().recursion_limit(RECURSION_LIMIT);
        let parsed = parser.parse_ast(&tokens.plain, "document");
        if parser.recursion_reached() > RECURSION_LIMIT {
            return Err(Refusal::limit("The document nests too deep.", None));
        }
        let mut tree = parsed.map_err(|fault| self.told(fault.errors.iter()))?;
        let mut places = exact::Places::new(source);
        exact::compare(&tree, &tokens, &places)?;
        limit::measure(&tree, &self.limits, &places)?;
        let null_defaults = rule::take_null_defaults(&mut tree);
        let listed = list::are_to_be_compared(&tree).then(|| tree.clone());
        let checked = match tree.to_executable_validate(&self.schema) {
            Ok(checked) => checked,
            Err(fault) => {
                if !rule::are_only_of_doubled_roots(&fault.errors) {
                    return Err(self.told(fault.errors.iter()));
                }
                Valid::assume_valid(fault.partial)
            }
        };
        rule::has_one_root(&checked, &places)?;
        if let Some(tree) = listed {
            self.lists_agree(tree)?;
        }
        Values { schema: &self.schema, places: &places, variables: &JsonMap::new() }.check(&checked)?;
        places.learn(&checked);
        Ok(Document { hash, checked, null_defaults, places, bytes: source.len() })
    }

    /// See [`list`].
    fn lists_agree(&self, tree: Tree) -> Result<(), Refusal> {
        let Err(fault) = list::measured(tree).to_executable_validate(&self.measuring) else { return Ok(()) };
        let refusal = self.told(fault.errors.iter().filter(|fault| list::is_conflict(fault.error)));
        if refusal.errors.is_empty() { Ok(()) } else { Err(refusal) }
    }

    fn told<'a>(&self, faults: impl Iterator<Item = Diagnostic<'a, DiagnosticData>>) -> Refusal {
        let errors = faults.take(self.limits.errors.max(1)).map(|fault| {
            let json = fault.to_json();
            let place = json.locations.first().map(|at| Pos { line: at.line, column: at.column });
            error(json.message, place)
        });
        Refusal { code: "BAD_USER_INPUT", errors: errors.collect() }
    }

    /// A call of one operation of a document: which, with which variables.
    ///
    /// # Errors
    /// [`Refusal`]: there is no such operation, a variable does not coerce, or it costs too much.
    pub fn call(
        self: &Arc<Self>,
        document: Arc<Document>,
        name: Option<&str>,
        variables: &JsonMap,
    ) -> Result<Call, Refusal> {
        let unknown = || match name {
            Some(name) => format!("The document has no operation named {name:?}."),
            None if document.checked.operations.is_empty() => "The document has no operation.".to_owned(),
            None => "The document has several operations: `operationName` must say which.".to_owned(),
        };
        let definition = document.checked.operations.get(name).map_err(|_| Refusal::invalid(unknown(), None))?.clone();
        limit::variables(variables, &self.limits)?;
        let mut given = value::whole(variables);
        for name in document.null_defaults.get(&definition.name).into_iter().flatten() {
            if !given.contains_key(name.as_str()) {
                given.insert(name.as_str(), JsonValue::Null);
            }
        }
        let variables = apollo_compiler::request::coerce_variable_values(&self.schema, &definition, &given)
            .map_err(|fault| {
                let at = fault.location().map(|span| document.places.find(span.offset()));
                Refusal::invalid(fault.message().to_string(), at)
            })?
            .into_inner();
        Values { schema: &self.schema, places: &document.places, variables: &variables }
            .check_variables(&definition)?;
        let mut call =
            Call { documents: self.clone(), document, definition, variables, planned: None, cost: 0, decisions: 0 };
        let planned = call.plan()?;
        (call.cost, call.decisions) = (planned.cost, planned.decisions);
        call.planned = Some(Box::new(planned));
        Ok(call)
    }
}

/// The object types that each abstract type can turn out to be.
fn possible_types(schema: &Schema) -> HashMap<Name, Vec<Name>> {
    let implementers = schema.implementers_map();
    let mut possible = HashMap::new();
    for (name, definition) in &schema.types {
        if definition.is_union() || definition.is_interface() {
            let mut members: Vec<Name> = match (definition.as_union(), implementers.get(name)) {
                (Some(union), _) => union.members.iter().map(|member| member.as_ref().clone()).collect(),
                (None, Some(implementers)) => implementers.objects.iter().cloned().collect(),
                (None, None) => Vec::new(),
            };
            members.sort();
            possible.insert(name.clone(), members);
        }
    }
    possible
}

fn first_line(faults: &DiagnosticList) -> String {
    faults.iter().next().map(|fault| fault.to_json().message).unwrap_or_default()
}

/// One operation of a document with its variables: what runs, once or, for a subscription, at each event.
pub struct Call {
    documents: Arc<Documents>,
    document: Arc<Document>,
    definition: Node<Definition>,
    variables: JsonMap,
    planned: Option<Box<Planned>>,
    cost: u64,
    decisions: u64,
}

impl Call {
    /// Query, mutation or subscription.
    pub fn kind(&self) -> OperationType {
        self.definition.operation_type
    }

    /// What the operation is called.
    pub fn name(&self) -> Option<&str> {
        self.definition.name.as_ref().map(|name| name.as_str())
    }

    /// The SHA-256 of its document, in hexadecimal digits.
    pub fn document(&self) -> String {
        self.document.hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// How many values the answer can have at most, by page sizes and guesses for lists without pages.
    pub fn cost(&self) -> u64 {
        self.cost
    }

    /// How many approval stages it decides.
    pub fn decisions(&self) -> u64 {
        self.decisions
    }

    /// What the engine runs.
    ///
    /// # Errors
    /// As [`Documents::call`]; none where that has passed.
    pub fn request(&mut self) -> Result<Request, Refusal> {
        let planned = match self.planned.take() {
            Some(planned) => *planned,
            None => self.plan()?,
        };
        let mut request = Request::new(String::new());
        request.set_parsed_query(planned.document);
        Ok(request)
    }

    fn plan(&self) -> Result<Planned, Refusal> {
        plan::plan(&self.documents, &self.document, &self.definition, &self.variables)
    }
}
