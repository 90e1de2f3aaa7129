//! What is done to the tree of a mapping file before it is read: what it extends is put under it, what does not apply
//! is taken out, and parameters are put in their places. Whoever reads behind this sees a plain mapping, of which every
//! value still knows the file and the place that it comes from.

mod extends;
mod fill;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::code::Code;
use crate::compile::params::refuse;
use crate::compile::{Params, follow};
use crate::diagnostic::{Diagnostic, SourceFile, Span};
use crate::draft::{MappingDraft, ParamDraft, ParamKind};
use crate::read::{self, Report};
use crate::site::Resolve;
use crate::yaml::{self, Kind, MAX_NODES, Node};

/// Most sets of parameters that a file is checked with.
const MAX_SETS: usize = 64;

/// A mapping file and those that it extends, before its parameters are known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Source {
    /// The file itself, then those that it extends.
    files: Vec<SourceFile>,
    root: Node,
    params: Vec<ParamDraft>,
    /// Parameters that something depends on.
    used: BTreeSet<String>,
    /// Why not all is there that it extends.
    missing: Vec<Diagnostic>,
}

impl Source {
    /// Reads a file and those that it extends.
    ///
    /// Errors: it is not YAML. What it extends and cannot be had is left away, and [told](Self::missing).
    pub(crate) fn open(file: &SourceFile, resolve: &Resolve<'_>) -> Result<Arc<Self>, Vec<Diagnostic>> {
        let root = yaml::read(file)?;
        let (files, root, missing) = extends::resolve(file, root, resolve);
        if count(&root) > MAX_NODES {
            let mut report = Report::of(&files);
            let message = format!("with what it extends the file has more than {MAX_NODES} values");
            report.error(Code::TooLarge, root.span, message).help("divide it into several models");
            return Err(report.found);
        }
        // What is wrong with them is told when the whole is read.
        let params = Report::of(&files).params_of(&root);
        let mut used = BTreeSet::new();
        fill::mentioned(&root, &mut used);
        let gives = |param: &ParamDraft| param.gives.iter().any(|(name, _)| used.contains(&name.value));
        let through: Vec<String> =
            params.iter().filter(|param| gives(param)).map(|param| param.name.value.clone()).collect();
        used.extend(through);
        Ok(Arc::new(Self { files, root, params, used, missing }))
    }

    /// Why not all is there that it extends.
    pub(crate) fn missing(&self) -> &[Diagnostic] {
        &self.missing
    }

    pub(crate) fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// Whether anything depends on a parameter.
    pub(crate) fn uses(&self, param: &str) -> bool {
        self.used.contains(param)
    }

    /// The defaults of the parameters, and where there is none an admissible example.
    pub(crate) fn examples(&self) -> Params {
        Params::of(&self.params)
    }

    /// The mapping for a device with these parameters. It is there whenever the file is a map at all.
    pub(crate) fn draft(self: &Arc<Self>, params: &Params) -> (Option<MappingDraft>, Vec<Diagnostic>) {
        let mut report = Report::of(&self.files);
        let root = fill::expand(&mut report, &self.root, &self.params, params);
        let (mut draft, found) = read::mapping::read(self, root, params);
        if let Some(draft) = draft.as_mut().filter(|_| report.errors(0) > 0) {
            draft.flawed.whole = true;
        }
        report.found.extend(found);
        let mut found = report.found;
        if !self.missing.is_empty() {
            follow::drop_inherited(&mut found);
            found.extend(self.missing.iter().cloned());
        }
        (draft, found)
    }

    /// The sets of parameters that a file is checked with beside its defaults: every value of an `enum` and of a `bool`
    /// in turn.
    pub(crate) fn variations(&self) -> Vec<Params> {
        let examples = self.examples();
        let mut sets = Vec::new();
        for param in self.params.iter().filter(|param| self.uses(&param.name.value)) {
            let name = &param.name.value;
            let values: Vec<&str> = match &param.kind {
                ParamKind::Enum(words) => words.iter().map(String::as_str).collect(),
                ParamKind::Bool => vec!["false", "true"],
                ParamKind::Int(..) | ParamKind::Number(..) | ParamKind::Text(_) => Vec::new(),
            };
            for value in values.into_iter().filter(|value| examples.get(name) != Some(*value)) {
                sets.push(examples.with(name, value));
            }
        }
        sets.truncate(MAX_SETS);
        sets
    }

    /// The parameters that a test is run with; `None` when one of them is wrong, which is reported.
    pub(crate) fn of_test(
        &self,
        report: &mut Report<'_>,
        given: &[(crate::draft::At<String>, crate::draft::At<String>)],
    ) -> Option<Params> {
        let mut params = self.examples();
        for (name, value) in given {
            let Some(param) = self.params.iter().find(|param| param.name.value == name.value) else {
                let names: Vec<&str> = self.params.iter().map(|param| param.name.value.as_str()).collect();
                let error = report.error(
                    Code::TestShape,
                    name.span,
                    format!("there is no parameter `{}`", name.value),
                );
                error.suggest(&name.value, &names);
                return None;
            };
            if let Some((message, help)) = refuse(param, &value.value) {
                report.error(Code::TestShape, value.span, message).help(help);
                return None;
            }
            params.set(&name.value, &value.value);
        }
        Some(params)
    }
}

/// How many values a tree has.
fn count(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar { .. } => 1,
        Kind::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Kind::Map(entries) => 1 + entries.iter().map(|(key, value)| count(key) + count(value)).sum::<usize>(),
    }
}

/// The beginning of a tree, for what is said of the whole.
fn top(node: &Node) -> Span {
    Span { end: node.span.start, ..node.span }
}
