//! House rules: what stands where, and what the documents say of the code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use riskgate::domain::event::EventKind;
use riskgate::domain::refusal::Code;
use syn::visit::Visit;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// What each floor may import of ours. Floors that are not named here may import everything.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &["domain"]),
    ("store", &["store", "domain", "clock"]),
    ("service", &["service", "domain", "store", "clock"]),
    ("auth", &["auth", "service", "domain", "clock"]),
    ("graphql", &["graphql", "service", "domain", "clock"]),
    ("outbound", &["outbound", "auth", "service", "clock"]),
    ("http", &["http", "graphql", "auth", "service", "clock", "lifecycle", "telemetry"]),
    ("worker", &["worker", "service", "lifecycle", "telemetry"]),
    ("config", &["config", "domain", "telemetry"]),
    ("clock", &[]),
    ("lifecycle", &[]),
    ("telemetry", &[]),
];

/// Crates that a floor must not name.
const MAY_NOT_NAME: &[(&str, &[&str])] = &[
    ("domain", &["sea_orm", "tokio", "async_graphql", "axum", "futures_util"]),
    ("store", &["async_graphql", "axum"]),
    ("service", &["sea_orm", "async_graphql", "axum"]),
    ("auth", &["sea_orm", "async_graphql", "axum", "reqwest"]),
    ("outbound", &["sea_orm", "async_graphql", "axum"]),
    ("graphql", &["sea_orm", "axum"]),
    ("http", &["sea_orm"]),
    ("worker", &["sea_orm", "async_graphql", "axum"]),
];

struct Roots(Vec<(String, Option<String>, usize)>);

impl Roots {
    fn push(&mut self, first: &syn::Ident, second: Option<&syn::Ident>) {
        self.0.push((first.to_string(), second.map(ToString::to_string), first.span().start().line));
    }
}

impl<'ast> Visit<'ast> for Roots {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if let syn::UseTree::Path(path) = &item.tree {
            let mut seconds = Vec::new();
            match &*path.tree {
                syn::UseTree::Path(inner) => seconds.push(&inner.ident),
                syn::UseTree::Name(inner) => seconds.push(&inner.ident),
                syn::UseTree::Group(group) => seconds.extend(group.items.iter().filter_map(|tree| match tree {
                    syn::UseTree::Path(inner) => Some(&inner.ident),
                    syn::UseTree::Name(inner) => Some(&inner.ident),
                    _ => None,
                })),
                _ => {}
            }
            for second in seconds {
                self.push(&path.ident, Some(second));
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut segments = path.segments.iter();
        if let Some(first) = segments.next() {
            self.push(&first.ident, segments.next().map(|segment| &segment.ident));
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        // Tests of a file may use what they need.
        let is_test = item.attrs.iter().any(|attribute| {
            attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Ident>().is_ok_and(|name| name == "test")
        });
        if !is_test {
            syn::visit::visit_item_mod(self, item);
        }
    }
}

#[test]
fn every_floor_imports_only_what_it_may() {
    let src = root().join("src");
    let mut offences = Vec::new();
    for file in rust_files(&src) {
        let relative = file.strip_prefix(&src).expect("below src");
        let floor = relative.iter().next().expect("a name").to_string_lossy().trim_end_matches(".rs").to_owned();
        let allowed = MAY_IMPORT.iter().find(|(name, _)| *name == floor).map(|(_, allowed)| *allowed);
        let banned = MAY_NOT_NAME.iter().find(|(name, _)| *name == floor).map_or(&[][..], |(_, banned)| *banned);
        let parsed = syn::parse_file(&std::fs::read_to_string(&file).expect("a file")).expect("Rust");
        let mut roots = Roots(Vec::new());
        roots.visit_file(&parsed);
        for (first, second, line) in roots.0 {
            let is_offence = match (first.as_str(), &second, allowed) {
                ("crate", Some(second), Some(allowed)) => !allowed.contains(&second.as_str()),
                _ => banned.contains(&first.as_str()),
            };
            if is_offence {
                offences.push(format!("{}:{line}: {first}::{}", relative.display(), second.unwrap_or_default()));
            }
        }
    }
    assert!(offences.is_empty(), "a floor imports what it may not:\n{}", offences.join("\n"));
}

/// Whatever makes an assignment, puts one among the rows of a plan, or makes a route by which one is made: where, and what.
struct Makers {
    file: String,
    function: String,
    found: Vec<String>,
}

impl Makers {
    fn push(&mut self, what: &str) {
        self.found.push(format!("{} {}: {what}", self.file, self.function));
    }
}

fn last_two(path: &syn::Path) -> String {
    let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    names[names.len().saturating_sub(2)..].join("::")
}

fn is_assignments(expression: &syn::Expr) -> bool {
    matches!(expression, syn::Expr::Field(field)
        if matches!(&field.member, syn::Member::Named(name) if name == "assignments"))
}

impl<'ast> Visit<'ast> for Makers {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function = item.sig.ident.to_string();
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function = item.sig.ident.to_string();
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_use_path(&mut self, path: &'ast syn::UsePath) {
        // Under another name the row would not be known here.
        if path.ident == "assignment" {
            self.push("another name");
        }
        syn::visit::visit_use_path(self, path);
    }

    fn visit_use_rename(&mut self, rename: &'ast syn::UseRename) {
        if rename.ident == "assignment" || rename.ident == "Route" {
            self.push("another name");
        }
    }

    fn visit_expr_struct(&mut self, item: &'ast syn::ExprStruct) {
        let name = last_two(&item.path);
        if ["assignment::Model", "assignment::ActiveModel"].contains(&name.as_str()) {
            self.push("an assignment");
        }
        if name.split("::").last() == Some("Route") {
            self.push("a route");
        }
        syn::visit::visit_expr_struct(self, item);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let reads = ["len", "iter"];
        if is_assignments(&call.receiver) && !reads.contains(&call.method.to_string().as_str()) {
            self.push("rows");
        }
        syn::visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_assign(&mut self, assign: &'ast syn::ExprAssign) {
        if is_assignments(&assign.left) {
            self.push("rows");
        }
        syn::visit::visit_expr_assign(self, assign);
    }

    fn visit_field_value(&mut self, field: &'ast syn::FieldValue) {
        if matches!(&field.member, syn::Member::Named(name) if name == "assignments") {
            self.push("rows");
        }
        syn::visit::visit_field_value(self, field);
    }
}

/// What makes assignments, rows of them and routes in these files, each under its own path.
fn makers<'a>(files: impl IntoIterator<Item = (String, &'a str)>) -> Vec<String> {
    let mut found = Vec::new();
    for (file, content) in files {
        let mut makers = Makers { file, function: "-".to_owned(), found: Vec::new() };
        makers.visit_file(&syn::parse_file(content).expect("Rust"));
        found.append(&mut makers.found);
    }
    found
}

#[test]
fn exactly_one_function_makes_an_assignment() {
    let src = root().join("src");
    let name = |file: &Path| file.strip_prefix(&src).expect("below src").display().to_string();
    let files: Vec<_> =
        rust_files(&src).iter().map(|file| (name(file), std::fs::read_to_string(file).expect("a file"))).collect();
    let wanted = [
        "domain/plan.rs append: rows",
        "domain/plan.rs change_assignment: rows",
        "domain/request.rs deliver: rows",
        "domain/request.rs deliver: an assignment",
        "domain/route.rs risk: a route",
    ];
    assert_eq!(makers(files.iter().map(|(file, content)| (file.clone(), content.as_str()))), wanted);
    // Rows are written by what a plan holds, never by a statement that names their table.
    for text in ["INTO assignment", "UPDATE assignment"] {
        assert_eq!(places(text), [""; 0], "{text}");
    }
}

#[test]
fn whoever_made_an_assignment_elsewhere_would_be_found() {
    for offence in [
        "fn f() { let row = assignment::Model { id }; }",
        "fn f() { let row = entity::assignment::ActiveModel { id }; }",
        "use entity::assignment::Model as Access;",
        "use entity::{assignment as access, stage};",
        "fn f() { plan.rows.assignments.extend(rows); }",
        "fn f() { plan.rows.assignments = rows; }",
        "fn f() { Rows { assignments: rows, ..Rows::default() } }",
        "fn f() { Route { stages: Vec::new(), ..route }.cleared() }",
    ] {
        assert_eq!(makers([("x.rs".to_owned(), offence)]).len(), 1, "{offence}");
    }
}

/// Where an expression of this text stands in `src`.
fn places(text: &str) -> Vec<String> {
    let src = root().join("src");
    let mut places = Vec::new();
    for file in rust_files(&src) {
        let content = std::fs::read_to_string(&file).expect("a file");
        let name = file.strip_prefix(&src).expect("below src").display().to_string();
        places.extend(content.lines().filter(|line| line.contains(text)).map(|_| name.clone()));
    }
    places
}

#[test]
fn no_assignment_is_made_without_the_word_of_the_planner() {
    let function = |file: &str, name: &str| {
        let parsed = syn::parse_file(&read(file)).expect("Rust");
        let mut found = None;
        for item in parsed.items {
            if let syn::Item::Fn(function) = item
                && function.sig.ident == name
            {
                found = Some(function);
            }
        }
        found.expect("the function")
    };
    let deliver = function("src/domain/request.rs", "deliver");
    assert!(matches!(deliver.vis, syn::Visibility::Inherited), "nobody outside the moves of a request calls it");
    let takes_the_word = deliver.sig.inputs.iter().any(|argument| {
        let syn::FnArg::Typed(argument) = argument else { return false };
        matches!(&*argument.ty, syn::Type::Path(path) if path.path.is_ident("Cleared"))
    });
    assert!(takes_the_word, "it spends a `Cleared`, by value");

    // A `Cleared` is made where a route is asked whether anything is left, and nowhere else: it has no other maker and no copy.
    let route = syn::parse_file(&read("src/domain/route.rs")).expect("Rust");
    let cleared = route.items.iter().find_map(|item| match item {
        syn::Item::Struct(item) if item.ident == "Cleared" => Some(item),
        _ => None,
    });
    let cleared = cleared.expect("the struct");
    assert!(
        cleared.fields.iter().all(|field| matches!(field.vis, syn::Visibility::Inherited)),
        "its field is its file's own"
    );
    let derives: Vec<_> = cleared.attrs.iter().filter(|attribute| attribute.path().is_ident("derive")).collect();
    let derived: Vec<_> =
        derives.iter().map(|attribute| attribute.parse_args::<syn::Ident>().expect("one").to_string()).collect();
    assert_eq!(derived, ["Debug"]);
    assert_eq!(places("Cleared(()"), ["domain/route.rs", "domain/route.rs"], "its definition, and `Route::cleared`");
    assert_eq!(places("for Cleared"), [""; 0]);
    let made = |item: &syn::Item| {
        matches!(item, syn::Item::Struct(item) if item.ident == "Route"
        && item.fields.iter().any(|field| matches!(field.vis, syn::Visibility::Inherited)))
    };
    assert!(route.items.iter().any(made), "a route is made by nobody but the planner");
}

#[test]
fn files_stay_small_enough_to_be_read() {
    let long: Vec<_> = ["src", "entity/src", "migration/src", "tests", "benches"]
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder)))
        .map(|file| (std::fs::read_to_string(&file).expect("a file").lines().count(), file))
        .filter(|(lines, _)| *lines > 650)
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn the_schema_file_is_what_the_program_prints() {
    assert!(read("schema.graphql") == riskgate::graphql::sdl(), "run: cargo run -- schema > schema.graphql");
}

#[test]
fn the_limits_of_the_doors_are_those_of_the_table() {
    let default = riskgate::http::Limits::default();
    let mut known = 0;
    for key in &riskgate::config::KEYS {
        let Some(name) = key.name.strip_prefix("limits.") else { continue };
        let value: u64 = key.default.parse().expect("a number");
        let mut limits = default.clone();
        if limits.set(name, value) {
            known += 1;
            assert_eq!(limits, default, "{name}");
            limits.set(name, value + 1);
            assert_ne!(limits, default, "{name}");
        }
    }
    assert_eq!(known, 12);
}

/// First cells of the rows of the tables of a document, without backticks and marks.
fn first_cells(document: &str) -> BTreeSet<String> {
    read(document).lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned)).collect()
}

#[test]
fn the_events_document_has_a_row_for_each_kind() {
    let documented = first_cells("docs/events.md");
    let known: BTreeSet<_> = EventKind::ALL.iter().map(|kind| kind.as_str().to_owned()).collect();
    assert_eq!(documented, known);
    let text = read("docs/events.md");
    for kind in EventKind::ALL {
        let row = text.lines().find(|line| line.starts_with(&format!("| `{}`", kind.as_str()))).expect("a row");
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[2..5], [kind.activity(), kind.category(), kind.result().as_str()], "{row}");
    }
}

#[test]
fn the_errors_document_has_a_row_for_each_code() {
    let documented = first_cells("docs/errors.md");
    let mut known: BTreeSet<_> = riskgate::telemetry::ERROR_CODES.iter().map(|code| (*code).to_owned()).collect();
    known.extend(Code::ALL.iter().map(|code| code.as_str().to_owned()));
    known.insert("INCOMPATIBLE_ACCESS".to_owned());
    assert_eq!(documented, known);
}

#[test]
fn what_the_documents_refer_to_is_there() {
    let mut missing = Vec::new();
    for document in
        ["README.md", "docs/architecture.md", "docs/security.md", "docs/operations.md", "docs/performance.md"]
    {
        let text = read(document);
        let files = text.split(['`', '(', ')']).filter(|part| {
            let is_path =
                ["src/", "tests/", "docs/", "scripts/", "benches/", "demo/"].iter().any(|top| part.starts_with(top));
            is_path && !part.contains(char::is_whitespace) && !part.contains('*')
        });
        missing.extend(files.filter(|file| !root().join(file).exists()).map(|file| format!("{document}: {file}")));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
