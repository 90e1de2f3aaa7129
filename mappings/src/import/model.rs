//! What every format is turned into before it is written as a mapping.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rust_decimal::Decimal;

use super::LeftOut;
use crate::mapping::Class;
use crate::read::is_boolean_word;

/// One device.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// `vendor.model`; made from the names if the file has none that fit.
    pub(super) profile: String,
    pub(super) device_type: Option<&'static str>,
    pub(super) description: String,
    pub(super) timeout: Option<Duration>,
    pub(super) guard: Option<Duration>,
    pub(super) max_registers: Option<u16>,
    pub(super) max_gap: Option<u16>,
    /// Parameters that the site gives: name, values, default.
    pub(super) params: Vec<(String, Vec<i128>, i128)>,
    pub(super) capabilities: Vec<Capability>,
    /// Where it is: the bus as a site file has it, and the unit.
    pub(super) place: Option<(String, String, u8)>,
}

/// One capability.
#[derive(Clone, Debug)]
pub(super) struct Capability {
    /// Line of the foreign file.
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) class: Class,
    /// `type`; chosen from the unit if the file says nothing.
    pub(super) kind: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) read: Option<Point>,
    pub(super) write: Option<Point>,
    pub(super) poll: Poll,
    pub(super) range: Option<(Decimal, Decimal)>,
    pub(super) step: Option<Decimal>,
    /// Whether it only grows.
    pub(super) monotonic: bool,
    /// What the parameters have to be, for it to be there.
    pub(super) when: Vec<(String, Vec<i128>)>,
}

/// How often it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Poll {
    Every(Duration),
    OnDemand,
}

/// Where a value is and what it means.
#[derive(Clone, Debug, Default)]
pub(super) struct Point {
    /// `input`, `holding`, `coil`, `discrete`.
    pub(super) table: &'static str,
    pub(super) address: u16,
    pub(super) encoding: &'static str,
    /// Of BCD and texts, which have any width.
    pub(super) registers: Option<u16>,
    pub(super) order: &'static str,
    pub(super) bits: Option<(u8, u8)>,
    /// Raw values and what they are called; `true` and `false` of binary classes as well.
    pub(super) map: Vec<(i128, String)>,
    pub(super) map_default: Option<String>,
    pub(super) scale: Option<Decimal>,
    pub(super) offset: Option<Decimal>,
    pub(super) invert: bool,
    pub(super) invalid: Vec<i128>,
    pub(super) function: Option<u8>,
    pub(super) keeps_other_bits: Option<bool>,
}

impl Point {
    /// A bit or a plain register.
    pub(super) fn at(table: &'static str, address: u16) -> Self {
        Self { table, address, ..Self::default() }
    }

    pub(super) fn is_text(&self) -> bool {
        self.encoding == "string"
    }

    pub(super) fn is_bit(&self) -> bool {
        matches!(self.table, "coil" | "discrete")
    }

    /// Multiplies what comes out of it.
    pub(super) fn multiply(&mut self, factor: Decimal) {
        let times =
            |number: Option<Decimal>| number.map(|number| number.checked_mul(factor).unwrap_or(number));
        self.scale = times(Some(self.scale.unwrap_or(Decimal::ONE)));
        self.offset = times(self.offset);
    }

    /// Adds to what comes out of it.
    pub(super) fn add(&mut self, offset: Decimal) {
        self.offset = self.offset.unwrap_or(Decimal::ZERO).checked_add(offset);
    }

    /// Takes the bits that a mask has, if they are next to each other.
    pub(super) fn mask(&mut self, mask: i128) -> bool {
        let first = mask.trailing_zeros();
        let width = mask.count_ones();
        let fits = mask > 0 && mask >> first == (1_i128 << width) - 1 && first + width <= 64;
        if fits && let (Ok(first), Ok(last)) = (u8::try_from(first), u8::try_from(first + width - 1)) {
            self.bits = Some((first, last));
        }
        fits
    }
}

impl Capability {
    /// With nothing but its place.
    pub(super) fn new(line: usize, name: &str, class: Class, period: Duration) -> Self {
        Self {
            line,
            name: name.to_owned(),
            description: String::new(),
            class,
            kind: None,
            unit: None,
            read: None,
            write: None,
            poll: Poll::Every(period),
            range: None,
            step: None,
            monotonic: false,
            when: Vec::new(),
        }
    }
}

/// What is left out, as it comes up.
#[derive(Debug, Default)]
pub(super) struct Notes {
    found: Vec<LeftOut>,
    jinja: Option<usize>,
}

impl Notes {
    pub(super) fn add(&mut self, line: usize, what: impl Into<String>, why: impl Into<String>) {
        self.found.push(LeftOut { line, what: what.into(), why: why.into() });
    }

    /// Remembers the first line that only Jinja understands.
    pub(super) fn has_jinja(&mut self, line: usize) {
        self.jinja.get_or_insert(line);
    }

    pub(super) fn jinja(&self) -> Option<usize> {
        self.jinja
    }

    pub(super) fn first(&self) -> Option<String> {
        self.found.first().map(|left| format!("{}: {}", left.what, left.why))
    }

    pub(super) fn all(&self) -> &[LeftOut] {
        &self.found
    }

    pub(super) fn sorted(mut self) -> Vec<LeftOut> {
        self.found.sort();
        self.found.dedup();
        folded(self.found)
    }
}

/// So often a key is told of singly.
const SINGLY: usize = 4;

/// What is left out of very many things for the same reason is told once, where it is first.
fn folded(found: Vec<LeftOut>) -> Vec<LeftOut> {
    let key = |left: &LeftOut| {
        let (_, key) = left.what.rsplit_once(": ")?;
        Some((key.to_owned(), left.why.clone()))
    };
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for key in found.iter().filter_map(key) {
        *counts.entry(key).or_default() += 1;
    }
    let mut told = BTreeSet::new();
    let mut kept = Vec::new();
    for mut left in found {
        let often = key(&left)
            .and_then(|key| Some((counts.get(&key).copied().filter(|count| *count > SINGLY)?, key)));
        if let Some((count, key)) = often {
            if !told.insert(key) {
                continue;
            }
            left.what = format!("{}, and {} more like it", left.what, count - 1);
        }
        kept.push(left);
    }
    kept
}

/// A name of small letters, digits and hyphens, beginning with a letter.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    let slug: String = slug.trim_end_matches('-').chars().take(56).collect();
    match slug.chars().next() {
        None => "point".to_owned(),
        // A key like `off` is a Boolean to some readers of YAML.
        Some(_) if is_boolean_word(&slug) => format!("point-{slug}"),
        Some(first) if first.is_ascii_digit() => format!("n{slug}"),
        Some(_) => slug.trim_end_matches('-').to_owned(),
    }
}

/// The text, or the first of `text-2`, `text-3`, … that is not taken; it is taken then.
pub(super) fn unique(taken: &mut BTreeSet<String>, text: &str, gap: &str) -> String {
    let mut candidate = text.to_owned();
    let mut number = 2;
    while !taken.insert(candidate.clone()) {
        candidate = format!("{text}{gap}{number}");
        number += 1;
    }
    candidate
}

/// Gives each device a profile of its own.
pub(super) fn tell_apart(models: &mut [Model]) {
    let mut taken = BTreeSet::new();
    for model in models {
        model.profile = unique(&mut taken, &model.profile, "-");
    }
}
