//! YAML text to a tree that keeps the place and the spelling of everything.
//!
//! A typed reader would stop at the first surprise; a tree lets the reader of the draft report all of them at once, and
//! the spelling tells `"on"` from `on`. Size and nesting are bounded, so that no text can exhaust memory or stack.

mod flow;
mod hint;
mod traps;

pub(crate) use self::traps::tag_before;

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Budget, DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy, Options, Spanned};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, MAX_BYTES, Nature, Severity, SourceFile, Span};

/// Deepest nesting of maps and lists.
pub(crate) const MAX_DEPTH: usize = 16;
/// Most values of a file.
pub(crate) const MAX_NODES: usize = 100_000;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Text as spelled; `plain` without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    /// In the order of the file, duplicates included.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// Nothing at all, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// In the words of a message.
    pub(crate) fn describe(&self) -> String {
        match &self.kind {
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
            Kind::Scalar { .. } if self.is_null() => "nothing".to_owned(),
            Kind::Scalar { text, .. } => format!("`{text}`"),
        }
    }
}

/// The value of a key in a map, of equal keys the first.
pub(crate) fn value<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let Kind::Map(entries) = &node.kind else { return None };
    entries.iter().find(|(known, _)| word(known) == Some(key)).map(|(_, value)| value)
}

/// The text of a single value.
pub(crate) fn word(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar { text, .. } => Some(text),
        Kind::List(_) | Kind::Map(_) => None,
    }
}

/// The tree of a file of ours, in which nothing is read otherwise than it looks.
///
/// Errors: it is not YAML, or has tags or spaces that are none.
pub(crate) fn read(file: &SourceFile) -> Result<Node, Vec<Diagnostic>> {
    let root = parse(file).map_err(|syntax| vec![*syntax])?;
    let found = traps::traps(file, &root);
    if found.is_empty() { Ok(root) } else { Err(found) }
}

/// The tree of a file, or the one reason why it has none.
pub(crate) fn parse(file: &SourceFile) -> Result<Node, Box<Diagnostic>> {
    if file.text().len() > MAX_BYTES {
        let message = format!("the file has more than {MAX_BYTES} bytes");
        let help = Some("divide it into several files".to_owned());
        let at = Span { line: 1, column: 1, ..Span::default() };
        return Err(Box::new(Diagnostic { help, ..error(file, Code::TooLarge, at, message) }));
    }
    match serde_saphyr::from_str_with_options::<Spanned<Any>>(file.text(), options()) {
        Ok(any) => Ok(node(file, any)),
        Err(cause) => Err(Box::new(syntax(file, &cause))),
    }
}

fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_depth = MAX_DEPTH;
    budget.flow_nesting_limit = MAX_DEPTH;
    budget.max_nodes = MAX_NODES;
    budget.max_events = 4 * MAX_NODES;
    budget.max_documents = 1;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.strict_booleans = true;
    options.duplicate_keys = DuplicateKeyPolicy::PassThrough;
    options.merge_keys = MergeKeyPolicy::AsOrdinary;
    options.non_finite_float_policy = NonFiniteFloatPolicy::AsString;
    options.alias_limits.max_total_replayed_events = MAX_NODES;
    options.with_snippet = false;
    options.emit_comments = false;
    options
}

fn syntax(file: &SourceFile, cause: &serde_saphyr::Error) -> Diagnostic {
    let span = cause
        .location()
        .map_or_else(Span::default, |at| file.span_at(to_usize(at.line()), to_usize(at.column())));
    let is_too_deep = cause.to_string().contains("recursion limit");
    if is_too_deep || matches!(cause.without_snippet(), serde_saphyr::Error::Budget { .. }) {
        let message = format!(
            "too much for one file: at most {MAX_NODES} values, nested at most {MAX_DEPTH} deep, in one YAML document"
        );
        let help = "divide it into several files, each one document (without `---` in between)".to_owned();
        return Diagnostic { help: Some(help), ..error(file, Code::TooLarge, span, message) };
    }
    let whole = cause.to_string();
    if let Some((code, message, help)) = alias(&whole) {
        return Diagnostic { help: Some(help.to_owned()), ..error(file, code, span, message) };
    }
    let message = whole.rsplit_once(" at line ").map_or(whole.as_str(), |(message, _)| message);
    let mut diagnostic = error(file, Code::Syntax, span, format!("not YAML: {message}"));
    let (help, fix) = hint::hint(file, span, message);
    diagnostic.span = fix.as_ref().map_or(span, |fix| fix.span);
    diagnostic.help = Some(help);
    diagnostic.fix = fix;
    diagnostic
}

/// What is wrong with an alias (`*name`), and what to do.
fn alias(message: &str) -> Option<(Code, String, &'static str)> {
    if message.contains("recursive references") {
        let message = "an alias (`*name`) stands in what it is the name of".to_owned();
        return Some((Code::Syntax, message, "write out what is meant: nothing can hold itself"));
    }
    let is_too_much = message.contains("alias") && message.contains("limit exceeded");
    let text = format!("aliases (`*name`) make more than {MAX_NODES} values of it");
    is_too_much.then_some((Code::TooLarge, text, "repeat less, or divide it into several files"))
}

fn error(file: &SourceFile, code: Code, span: Span, message: String) -> Diagnostic {
    let (severity, nature) = (Severity::Error, Nature::Own);
    Diagnostic { code, severity, nature, message, file: file.clone(), span, help: None, fix: None }
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn node(file: &SourceFile, any: Spanned<Any>) -> Node {
    let span = place(file, any.referenced);
    let defined = place(file, any.defined);
    let spelled = file.text().get(defined.start..defined.end).unwrap_or_default();
    let kind = match any.value {
        Any::Text(text) => {
            // A block scalar's span begins at its text; nothing plain ends in a line break.
            Kind::Scalar { plain: !spelled.starts_with(['"', '\'']) && !text.ends_with('\n'), text }
        }
        Any::Spelled => Kind::Scalar { text: spelled.trim().to_owned(), plain: true },
        Any::List(items) => Kind::List(items.into_iter().map(|item| node(file, item)).collect()),
        Any::Map(entries) => {
            Kind::Map(entries.into_iter().map(|(key, value)| (node(file, key), node(file, value))).collect())
        }
    };
    let span = flow::whole(file, span, &kind);
    Node { kind, span }
}

fn place(file: &SourceFile, location: serde_saphyr::Location) -> Span {
    let at = location.span();
    let start = to_usize(at.byte_offset().unwrap_or_default());
    let end = start.saturating_add(to_usize(at.byte_len().unwrap_or_default()));
    Span {
        start: file.floor(start),
        end: file.floor(end),
        line: to_usize(location.line()),
        column: to_usize(location.column()),
        file: 0,
    }
}

/// What serde sees. A number, a Boolean and nothing are taken from the text of the file, as they were spelled.
#[derive(Debug)]
enum Any {
    Text(String),
    Spelled,
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<Self>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

macro_rules! spelled {
    ($($name:ident: $type:ty),*) => {
        $(fn $name<E>(self, _: $type) -> Result<Any, E> { Ok(Any::Spelled) })*
    };
}

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Any;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list or a map")
    }

    spelled!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128, visit_f64: f64);

    fn visit_unit<E>(self) -> Result<Any, E> {
        Ok(Any::Spelled)
    }

    fn visit_none<E>(self) -> Result<Any, E> {
        Ok(Any::Spelled)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Any, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_str<E>(self, text: &str) -> Result<Any, E> {
        Ok(Any::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Any, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Any::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Any, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Any::Map(entries))
    }
}
