//! `extends`: a mapping on top of another one.

use std::collections::{BTreeMap, VecDeque};

use super::top;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, SourceFile};
use crate::draft::At;
use crate::draft::site::Use;
use crate::library;
use crate::read::Report;
use crate::site::{NotFound, Resolve};
use crate::yaml::{self, Kind, Node, value, word};

/// Longest chain of files, the first included.
const MAX_FILES: usize = 8;

/// What is each file's own and never taken from another.
const OWN: [&str; 4] = ["uspmap", "profile", "version", "extends"];

/// The files of a chain, the first one first, and their trees in one, as far as they can be had; and why no further.
pub(super) fn resolve(
    file: &SourceFile,
    root: Node,
    find: &Resolve<'_>,
) -> (Vec<SourceFile>, Node, Vec<Diagnostic>) {
    let mut chain = Chain { files: vec![file.clone()], roots: vec![root], profiles: Vec::new() };
    let missing = chain.complete(find).err().unwrap_or_default();
    let whole = chain.roots.into_iter().rev().reduce(|base, own| merge(&base, own, true));
    // There is always the file itself.
    let whole = whole.unwrap_or(Node { kind: Kind::Map(Vec::new()), span: Default::default() });
    let whole = without(whole, "extends");
    (chain.files, if missing.is_empty() { whole } else { without_nulls(whole) }, missing)
}

struct Chain {
    files: Vec<SourceFile>,
    roots: Vec<Node>,
    /// Profile of each file that was extended.
    profiles: Vec<String>,
}

impl Chain {
    fn complete(&mut self, find: &Resolve<'_>) -> Result<(), Vec<Diagnostic>> {
        while let Some(wanted) = self.next()? {
            let base = self.base(&wanted, find)?;
            self.add(base, &wanted)?;
        }
        Ok(())
    }

    /// What the last file extends.
    fn next(&self) -> Result<Option<At<Use>>, Vec<Diagnostic>> {
        let Some(node) = self.roots.last().and_then(|root| value(root, "extends")) else { return Ok(None) };
        let mut report = Report::of(&self.files);
        let wanted = report.use_profile(node);
        if wanted.is_some() { Ok(wanted) } else { Err(report.found) }
    }

    fn base(&self, wanted: &At<Use>, find: &Resolve<'_>) -> Result<SourceFile, Vec<Diagnostic>> {
        let Use::Profile { name, .. } = &wanted.value else { return Err(Vec::new()) };
        let own = self.roots.first().and_then(|root| value(root, "profile")).and_then(word);
        let mut report = Report::of(&self.files);
        let at = wanted.span;
        if own == Some(name) || self.profiles.contains(name) {
            let chain: Vec<&str> = own
                .into_iter()
                .chain(self.profiles.iter().map(String::as_str))
                .chain([name.as_str()])
                .collect();
            let error = report.error(Code::ExtendsCircle, at, format!("`{name}` extends itself"));
            error.help(format!("the circle is {}: remove one `extends`", chain.join(" → ")));
            return Err(report.found);
        }
        if self.files.len() >= MAX_FILES {
            let message = format!("more than {MAX_FILES} files extend one another");
            report.error(Code::Extends, at, message).help("extend the model that has the most in common");
            return Err(report.found);
        }
        find(&wanted.value).map_err(|why| {
            let message = format!("`{}` cannot be extended", wanted.value);
            let error = report.error(Code::Extends, at, message);
            match &why {
                NotFound::Profile { known } => {
                    let others = known.iter().filter(|known| own != Some(known.as_str()));
                    error.help(library::advice(name, &others.cloned().collect::<Vec<_>>()));
                }
                NotFound::Version { found } => error.help(format!("there is {}", found.join(", "))),
                NotFound::Unreadable(why) => error.help(why.clone()),
            }
            report.found
        })
    }

    fn add(&mut self, file: SourceFile, wanted: &At<Use>) -> Result<(), Vec<Diagnostic>> {
        let root = yaml::read(&file).map_err(|found| {
            let mut report = Report::of(&self.files);
            let message = format!("`{}` cannot be extended: it is not YAML", wanted.value);
            report.error(Code::Extends, wanted.span, message).help("see its own diagnostic");
            report.found.extend(found);
            report.found
        })?;
        let place = u16::try_from(self.files.len()).unwrap_or(u16::MAX);
        self.files.push(file);
        let root = of_file(root, place);
        let mut report = Report::of(&self.files);
        report.language(value(&root, "uspmap"), top(&root), "uspmap", "a mapping");
        if !report.found.is_empty() {
            return Err(report.found);
        }
        self.profiles.extend(value(&root, "profile").and_then(word).map(str::to_owned));
        self.roots.push(root);
        Ok(())
    }
}

/// The tree with the place of its file in the chain.
fn of_file(node: Node, file: u16) -> Node {
    let kind = match node.kind {
        scalar @ Kind::Scalar { .. } => scalar,
        Kind::List(items) => Kind::List(items.into_iter().map(|item| of_file(item, file)).collect()),
        Kind::Map(entries) => Kind::Map(
            entries.into_iter().map(|(key, value)| (of_file(key, file), of_file(value, file))).collect(),
        ),
    };
    Node { kind, span: crate::diagnostic::Span { file, ..node.span } }
}

/// Maps are put together key by key, in the order of the base; the nearer file wins; a key that it sets to `null` is
/// taken out.
fn merge(base: &Node, own: Node, is_root: bool) -> Node {
    let Kind::Map(base_entries) = &base.kind else { return own };
    let span = own.span;
    let own_entries = match own.kind {
        Kind::Map(entries) => entries,
        kind => return Node { kind, span },
    };
    // Of equal keys, which are reported later, the first one first.
    let mut places: BTreeMap<String, VecDeque<usize>> = BTreeMap::new();
    for (at, (key, _)) in own_entries.iter().enumerate() {
        if let Some(key) = word(key) {
            places.entry(key.to_owned()).or_default().push_back(at);
        }
    }
    let mut own_entries: Vec<_> = own_entries.into_iter().map(Some).collect();
    let mut merged = Vec::new();
    for (key, value) in base_entries {
        let is_own = is_root && word(key).is_some_and(|key| OWN.contains(&key));
        let at = word(key).and_then(|key| places.get_mut(key)?.pop_front());
        match at.and_then(|at| own_entries.get_mut(at)?.take()) {
            Some((_, nearer)) if nearer.is_null() => {}
            Some((key, nearer)) => merged.push((key, merge(value, nearer, false))),
            None if is_own => {}
            None => merged.push((key.clone(), value.clone())),
        }
    }
    merged.extend(own_entries.into_iter().flatten());
    Node { kind: Kind::Map(merged), span }
}

/// Without the keys that take something out of a file that cannot be had.
fn without_nulls(node: Node) -> Node {
    let kind = match node.kind {
        Kind::Map(entries) => {
            let kept = entries.into_iter().filter(|(_, value)| !value.is_null());
            Kind::Map(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        other => other,
    };
    Node { kind, ..node }
}

fn without(root: Node, key: &str) -> Node {
    let kind = match root.kind {
        Kind::Map(entries) => {
            Kind::Map(entries.into_iter().filter(|(known, _)| word(known) != Some(key)).collect())
        }
        other => other,
    };
    Node { kind, ..root }
}
