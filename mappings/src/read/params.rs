//! `params`: what a site may say about one device.

use super::Report;
use super::fields::MAX_NAMED;
use crate::code::Code;
use crate::draft::{At, GivesDraft, ParamDraft, ParamKind};
use crate::yaml::{self, Node};

impl Report<'_> {
    pub(super) fn params(&mut self, node: &Node) -> Vec<ParamDraft> {
        let named = self.named(node, "`params`");
        named.into_iter().filter_map(|(name, node)| self.param(name, node)).collect()
    }

    /// The parameters of a mapping that is not read otherwise.
    pub(crate) fn params_of(mut self, root: &Node) -> Vec<ParamDraft> {
        let yaml::Kind::Map(entries) = &root.kind else { return Vec::new() };
        let is_it = |key: &Node| matches!(&key.kind, yaml::Kind::Scalar { text, .. } if text == "params");
        let node = entries.iter().find(|(key, _)| is_it(key)).map(|(_, node)| node);
        node.map(|node| self.params(node)).unwrap_or_default()
    }

    fn param(&mut self, name: At<String>, node: &Node) -> Option<ParamDraft> {
        self.name(&name, "a parameter");
        let (kind, default) = self.typed(&name, node, "a parameter", &[])?;
        let gives = match &node.kind {
            yaml::Kind::Map(entries) => entries
                .iter()
                .find(|(key, _)| matches!(&key.kind, yaml::Kind::Scalar { text, .. } if text == "gives")),
            _ => None,
        };
        let gives = gives.map(|(_, node)| self.gives(node, &kind)).unwrap_or_default();
        Some(ParamDraft { name, kind, default, gives })
    }

    /// `gives: {base: [0, 100, 200]}`: one value for each that the parameter may have.
    fn gives(&mut self, node: &Node, kind: &ParamKind) -> Vec<GivesDraft> {
        let wanted = match kind {
            ParamKind::Enum(words) => Some(words.len()),
            ParamKind::Bool => Some(2),
            ParamKind::Int(min, max) => {
                max.checked_sub(*min).and_then(|span| usize::try_from(span).ok()?.checked_add(1))
            }
            ParamKind::Number(..) | ParamKind::Text(_) => None,
        };
        let mut gives = Vec::new();
        for (name, node) in self.named(node, "`gives`") {
            self.name(&name, "a parameter");
            let items = self.list(node, "a list of values");
            if wanted != Some(items.len()) || items.len() > MAX_NAMED {
                let message = format!("`{}` has {} values", name.value, items.len());
                let error = self.error(Code::ParamGives, node.span, message);
                match wanted {
                    Some(wanted) => {
                        error.help(format!("it needs {wanted}: one for each value of the parameter"))
                    }
                    None => error.help("`gives` belongs to parameters with `enum`, `int` or `bool`"),
                }
            }
            let plain = |item: &Node| matches!(item.kind, yaml::Kind::Scalar { plain: true, .. });
            let values = items.iter().filter_map(|item| Some((self.spelling(item)?, plain(item)))).collect();
            gives.push((name, values));
        }
        gives
    }

    pub(super) fn int_range(&mut self, node: &Node) -> Option<ParamKind> {
        let (min, max) = self.pair(node, "`int`", "int: [1, 8]")?;
        let ends = [min, max].map(|end| self.int::<i64>(end, "an end", i64::MIN.into(), i64::MAX.into()));
        let [Some(min), Some(max)] = ends else { return None };
        self.ascending(node.span, "`int`", min.value, max.value);
        Some(ParamKind::Int(min.value, max.value))
    }
}
