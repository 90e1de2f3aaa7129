//! What is claimed: every case of TP-469 that is looked at, with a verdict that has to be true.
//!
//! `claims.txt` has a line for each: number, `claimed`, `shown` with the file whose tests show it,
//! or `waits` or `void` with the reason.

use std::collections::BTreeMap;

use crate::script::Number;

/// What is said of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It passes.
    Claimed,
    /// It passes as a test elsewhere, in this file of the repository.
    Shown(String),
    /// It will, once something is there.
    Waits(String),
    /// It does not apply.
    Void(String),
}

/// Reads `claims.txt`.
pub fn parse(text: &str) -> Result<BTreeMap<Number, Claim>, String> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut claims = BTreeMap::new();
    for line in lines {
        let (number, claim) = one(line).map_err(|why| format!("claims.txt: {line:?}: {why}"))?;
        if claims.insert(number, claim).is_some() {
            return Err(format!("claims.txt: {number} stands there twice"));
        }
    }
    Ok(claims)
}

fn one(line: &str) -> Result<(Number, Claim), String> {
    let mut words = line.splitn(3, char::is_whitespace);
    let number = words.next().unwrap_or_default().parse()?;
    let (claim, reason) = (words.next(), words.next().unwrap_or_default().trim().to_owned());
    match (claim, reason.is_empty()) {
        (Some("claimed"), true) => Ok((number, Claim::Claimed)),
        (Some("shown"), false) => Ok((number, Claim::Shown(reason))),
        (Some("waits"), false) => Ok((number, Claim::Waits(reason))),
        (Some("void"), false) => Ok((number, Claim::Void(reason))),
        _ => Err("claimed, shown with a file, or waits or void with a reason".to_owned()),
    }
}
