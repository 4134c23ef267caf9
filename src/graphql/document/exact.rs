//! What the parser leaves open, so that a document is taken exactly as it is written. It stumbles over commas and comments in some
//! places, so it gets the source without them; it drops what it cannot place (a second value of an argument, say), so the tree is
//! printed again, and its tokens are compared with those of the source; it takes empty braces and input fields that come twice.

use std::collections::HashMap;

use apollo_compiler::ast::{Definition, Document as Tree, Selection as Branch};
use apollo_compiler::executable::{ExecutableDocument, Selection, SelectionSet};
use apollo_parser::{Lexer, TokenKind};
use async_graphql::Pos;

use super::Refusal;

/// A token that means something, and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    kind: TokenKind,
    text: &'a str,
    at: usize,
}

impl Token<'_> {
    fn is_same(&self, other: &Token<'_>) -> bool {
        // Strings are printed in other ways than they were written.
        self.kind == other.kind && (self.kind == TokenKind::StringValue || self.text == other.text)
    }
}

/// Longest escape in braces, in hexadecimal digits, as graphql-js has it; the specification sets none.
const ESCAPE_LIMIT: usize = 8;

/// A source, taken apart.
pub(super) struct Tokens<'a> {
    list: Vec<Token<'a>>,
    /// The source with blanks, byte by byte, for everything that means nothing.
    pub(super) plain: String,
}

/// The tokens of a source, white space, commas and comments left out; at most `limit`, commas and comments counted.
pub(super) fn tokens(source: &str, limit: usize) -> Result<Tokens<'_>, Refusal> {
    let mut tokens = Vec::new();
    let mut plain = source.as_bytes().to_vec();
    let mut count = 0_usize;
    for token in Lexer::new(source) {
        let token = token.map_err(|fault| {
            let text = format!("syntax error: {}", fault.message());
            Refusal::invalid(text, Some(Places::new(source).find(fault.index())))
        })?;
        let kind = token.kind();
        if matches!(kind, TokenKind::Whitespace | TokenKind::Comma | TokenKind::Comment) {
            for byte in plain.iter_mut().skip(token.index()).take(token.data().len()) {
                // Lines stay, for the places of errors.
                if !matches!(*byte, b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
        }
        if kind == TokenKind::Whitespace || kind == TokenKind::Eof {
            continue;
        }
        count += 1;
        if count > limit {
            let text = format!("The document has more than {limit} tokens.");
            return Err(Refusal::limit(text, Some(Places::new(source).find(token.index()))));
        }
        if kind == TokenKind::StringValue && has_long_escape(token.data()) {
            let text = format!("syntax error: an escape of more than {ESCAPE_LIMIT} digits");
            return Err(Refusal::invalid(text, Some(Places::new(source).find(token.index()))));
        }
        if kind != TokenKind::Comma && kind != TokenKind::Comment {
            tokens.push(Token { kind, text: token.data(), at: token.index() });
        }
    }
    // Whole tokens were blanked, so what is left is text.
    let plain = String::from_utf8(plain).map_err(|_| Refusal::invalid("syntax error: not UTF-8", None))?;
    Ok(Tokens { list: shorthand(tokens), plain })
}

fn has_long_escape(text: &str) -> bool {
    !text.starts_with("\"\"\"")
        && text.split("\\u{").skip(1).any(|rest| rest.bytes().take_while(u8::is_ascii_hexdigit).count() > ESCAPE_LIMIT)
}

/// Without the keyword of `query { … }`, which may be left out and is not printed.
fn shorthand(tokens: Vec<Token<'_>>) -> Vec<Token<'_>> {
    let mut depth = 0_usize;
    let mut kept = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::LCurly => depth += 1,
            TokenKind::RCurly => depth = depth.saturating_sub(1),
            _ => {}
        }
        let opens = tokens.get(at + 1).is_some_and(|next| next.kind == TokenKind::LCurly);
        let is_bare = depth == 0 && token.kind == TokenKind::Name && token.text == "query" && opens;
        // `fragment query { … }` has no type condition and does not parse.
        if !is_bare {
            kept.push(*token);
        }
    }
    kept
}

/// Does the tree say what the source says?
pub(super) fn compare(tree: &Tree, source: &Tokens<'_>, places: &Places) -> Result<(), Refusal> {
    if let Some(at) = empty_braces(tree) {
        return Err(Refusal::invalid("syntax error: braces with nothing in them", Some(places.find(at))));
    }
    let printed = tree.serialize().no_indent().to_string();
    let (source, printed) = (&source.list, tokens(&printed, usize::MAX)?.list);
    let mut pairs = source.iter().zip(&printed);
    let odd = match pairs.find(|(written, read)| !written.is_same(read)) {
        Some((written, _)) => written,
        None if source.len() == printed.len() => return Ok(()),
        None => match source.get(printed.len()) {
            Some(written) => written,
            None => return Err(Refusal::invalid("syntax error: unexpected end of the document", None)),
        },
    };
    Err(Refusal::invalid(format!("syntax error: unexpected {:?}", odd.text), Some(places.find(odd.at))))
}

/// Where braces stand with nothing in them.
fn empty_braces(tree: &Tree) -> Option<usize> {
    fn within(branches: &[Branch], at: usize) -> Option<usize> {
        if branches.is_empty() {
            return Some(at);
        }
        branches.iter().find_map(|branch| match branch {
            Branch::Field(field) => {
                let at = field.location().map_or(at, |span| span.offset());
                field.selection_set.as_ref().and_then(|inner| within(inner, at))
            }
            Branch::InlineFragment(inline) => {
                within(&inline.selection_set, inline.location().map_or(at, |span| span.offset()))
            }
            Branch::FragmentSpread(_) => None,
        })
    }
    tree.definitions.iter().find_map(|definition| {
        let at = definition.location().map_or(0, |span| span.offset());
        match definition {
            Definition::OperationDefinition(operation) => within(&operation.selection_set, at),
            Definition::FragmentDefinition(fragment) => within(&fragment.selection_set, at),
            _ => None,
        }
    })
}

/// Lines and columns of a source, by offset in bytes.
#[derive(Debug)]
pub(super) struct Places {
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
    /// Those of fields, found beforehand: an answer may name each.
    fields: HashMap<usize, Pos>,
    source: Box<str>,
}

impl Places {
    pub(super) fn new(source: &str) -> Places {
        let bytes = source.as_bytes();
        let is_end = |at: usize| bytes[at] == b'\n' || (bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
        let lines = std::iter::once(0).chain((0..bytes.len()).filter(|at| is_end(*at)).map(|at| at + 1)).collect();
        Places { lines, fields: HashMap::new(), source: source.into() }
    }

    /// Remembers where the fields stand.
    pub(super) fn learn(&mut self, document: &ExecutableDocument) {
        fn within(set: &SelectionSet, found: &mut Vec<usize>) {
            for selection in &set.selections {
                match selection {
                    Selection::Field(field) => {
                        found.extend(field.location().map(|span| span.offset()));
                        if let Some(inner) = &field.selection_set {
                            within(inner, found);
                        }
                    }
                    Selection::InlineFragment(inline) => within(&inline.selection_set, found),
                    Selection::FragmentSpread(_) => {}
                }
            }
        }
        let mut found = Vec::new();
        for operation in document.operations.iter() {
            within(&operation.selection_set, &mut found);
        }
        for fragment in document.fragments.values() {
            within(&fragment.selection_set, &mut found);
        }
        found.sort_unstable();
        // Column by column from the last one found: a document may be one long line.
        let (mut line, mut from, mut column) = (usize::MAX, 0, 1);
        for at in found {
            let of = self.lines.partition_point(|begin| *begin <= at) - 1;
            if of != line {
                (line, from, column) = (of, self.lines[of], 1);
            }
            column += self.source.get(from..at).map_or(0, |text| text.chars().count());
            from = at;
            self.fields.insert(at, Pos { line: line + 1, column });
        }
        // Of the source nothing more is asked.
        self.source = Box::default();
    }

    /// Line and column of an offset.
    pub(super) fn find(&self, offset: usize) -> Pos {
        if let Some(place) = self.fields.get(&offset) {
            return *place;
        }
        let line = self.lines.partition_point(|begin| *begin <= offset).max(1) - 1;
        let begin = self.lines.get(line).copied().unwrap_or_default();
        let column = self.source.get(begin..offset).map_or(1, |text| text.chars().count() + 1);
        Pos { line: line + 1, column }
    }
}
