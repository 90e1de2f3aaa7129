//! A set of registers and bits, as spans that do not touch.

use std::collections::BTreeMap;

use usp_mapping::mapping::ModbusTable;

use super::Span;

/// Most spans that are kept; what is more is as if it had not been added.
const MOST: usize = 1024;

/// Ends by beginnings.
#[derive(Debug, Default)]
pub(super) struct Spans(BTreeMap<(ModbusTable, u32), u32>);

impl Spans {
    /// Adds all of a span.
    pub(super) fn add(&mut self, span: Span) {
        let Span { table, mut from, mut to } = span;
        for ((_, start), end) in self.touching(&span) {
            (from, to) = (from.min(start), to.max(end));
            self.0.remove(&(table, start));
        }
        if self.0.len() < MOST {
            self.0.insert((table, from), to);
        }
    }

    /// Takes all of a span out.
    pub(super) fn remove(&mut self, span: Span) {
        for ((table, from), to) in self.touching(&span) {
            self.0.remove(&(table, from));
            let (before, after) = ((from, to.min(span.from)), (from.max(span.to), to));
            let rest = [before, after].into_iter().filter(|(from, to)| from < to);
            self.0.extend(rest.map(|(from, to)| ((table, from), to)));
        }
    }

    /// Whether all of a span is in it.
    pub(super) fn covers(&self, span: &Span) -> bool {
        let before = self.0.range((span.table, 0)..=(span.table, span.from)).next_back();
        before.is_some_and(|(_, end)| span.to <= *end)
    }

    fn touching(&self, span: &Span) -> Vec<((ModbusTable, u32), u32)> {
        let before = self.0.range((span.table, 0)..=(span.table, span.to)).rev();
        before.take_while(|(_, end)| **end >= span.from).map(|(start, end)| (*start, *end)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_set_of_registers(steps in prop::collection::vec((any::<bool>(), 0u32..20, 0u32..6), 0..30)) {
            let (mut spans, mut plain) = (Spans::default(), std::collections::BTreeSet::new());
            let span = |from, to| Span { table: ModbusTable::Input, from, to };
            for (add, from, len) in steps {
                if add {
                    spans.add(span(from, from + len + 1));
                    plain.extend(from..=from + len);
                } else {
                    spans.remove(span(from, from + len + 1));
                    plain.retain(|at| !(from..=from + len).contains(at));
                }
                for (from, to) in (0..26).flat_map(|from| (from + 1..=26).map(move |to| (from, to))) {
                    let covered = (from..to).all(|at| plain.contains(&at));
                    prop_assert_eq!(spans.covers(&span(from, to)), covered, "{} to {}", from, to);
                }
            }
        }
    }
}
