//! The table of verdicts.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::bench::Via;
use crate::claims::Claim;
use crate::script::Number;

/// What came of each case, by transport; a failure with its reason.
#[derive(Default)]
pub struct Table {
    rows: BTreeMap<Number, Row>,
}

#[derive(Default)]
struct Row {
    title: String,
    verdicts: BTreeMap<Via, Result<(), String>>,
}

impl Table {
    /// Notes a verdict.
    pub fn put(&mut self, number: Number, title: &str, via: Via, verdict: Result<(), String>) {
        let row = self.rows.entry(number).or_default();
        title.clone_into(&mut row.title);
        row.verdicts.insert(via, verdict);
    }

    /// Number, title and verdict by transport; then the reasons, and what is not claimed.
    pub fn text(&self, claims: &BTreeMap<Number, Claim>) -> String {
        let mut out = format!("{:<6} {:<72}", "case", "title");
        for via in Via::ALL {
            out += &format!(" {:<5}", via.name());
        }
        out.push('\n');
        for (number, row) in &self.rows {
            writeln!(out, "{:<6} {:<72}{}", number.to_string(), row.title, verdicts(row)).unwrap();
        }
        for (number, claim) in claims {
            match claim {
                Claim::Waits(reason) => writeln!(out, "{:<6} waits: {reason}", number.to_string()).unwrap(),
                Claim::Void(reason) => writeln!(out, "{:<6} void: {reason}", number.to_string()).unwrap(),
                Claim::Shown(file) => writeln!(out, "{:<6} shown by {file}", number.to_string()).unwrap(),
                Claim::Claimed => {}
            }
        }
        out
    }

    /// What is claimed and failed.
    pub fn failures(&self, claims: &BTreeMap<Number, Claim>) -> Vec<String> {
        let claimed = self.rows.iter().filter(|(number, _)| claims.get(number) == Some(&Claim::Claimed));
        let all = claimed.flat_map(|(number, row)| {
            row.verdicts.iter().filter_map(move |(via, verdict)| {
                let why = verdict.as_ref().err()?;
                Some(format!("{number} over {}: {why}", via.name()))
            })
        });
        all.collect()
    }
}

fn verdicts(row: &Row) -> String {
    let one = |via: Via| match row.verdicts.get(&via) {
        None => "-",
        Some(Ok(())) => "pass",
        Some(Err(_)) => "FAIL",
    };
    Via::ALL.into_iter().map(|via| format!(" {:<5}", one(via))).collect()
}
