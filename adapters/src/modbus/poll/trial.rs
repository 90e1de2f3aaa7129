//! What is tried to find out why a read failed whose halves are good: something at the cut, or its length.

use usp_mapping::mapping::ModbusTable;

use super::learnt::Cause;
use super::{Block, Placed, Span, reach, seams, start};

/// Most reads that wait for their halves.
const HALVED: usize = 64;

/// Lengths at which devices like to end.
const ROUND: [u32; 26] = [
    2, 4, 6, 8, 10, 12, 16, 20, 24, 25, 30, 32, 40, 48, 50, 60, 64, 80, 96, 100, 120, 125, 128, 250, 256,
    1000,
];

/// Why a read failed.
#[derive(Debug)]
pub(super) enum Finding {
    /// Something in this span.
    Fault(Span, Cause),
    /// The length of this read; or, where longer ones are answered, something in this span.
    Length(Block, Span, Cause),
}

/// A read that failed and was cut.
#[derive(Debug)]
struct Halved {
    block: Block,
    /// Before this point; `None`: into points that overlap.
    at: Option<usize>,
    cause: Cause,
    /// The short read across the cut that is under way.
    crossing: Option<Span>,
}

/// What is being found out.
#[derive(Debug, Default)]
pub(super) struct Trials {
    halved: Vec<Halved>,
    /// A read that was too long, from which shorter ones are made.
    search: Option<(Block, Cause)>,
}

impl Trials {
    pub(super) fn is_empty(&self) -> bool {
        self.halved.is_empty() && self.search.is_none()
    }

    /// Takes note that a read was cut in two before its point `at`, or into single points that overlap.
    pub(super) fn halved(&mut self, block: &Block, at: Option<usize>, cause: Cause) {
        self.halved.retain(|other| other.block.span() != block.span());
        if self.halved.len() < HALVED {
            self.halved.push(Halved { block: block.clone(), at, cause, crossing: None });
        }
    }

    /// A narrower read has failed: that is why the wider ones did.
    pub(super) fn explain(&mut self, span: &Span) {
        self.halved.retain(|wider| wider.block.span() == *span || !wider.block.span().covers(span));
    }

    /// Settles those whose halves are good, after a read of `answered`. A short read across a cut may be needed first.
    pub(super) fn settle(
        &mut self,
        answered: &Span,
        is_good: impl Fn(&Span) -> bool,
        is_too_long: impl Fn(&Span) -> bool,
        settled: &mut Vec<Finding>,
    ) -> Option<Block> {
        let mut crossing = None;
        self.halved.retain_mut(|halved| {
            if !halved.has_good_halves(&is_good) {
                return true;
            }
            if is_too_long(&halved.block.span()) {
                return false;
            }
            if halved.at.is_none() {
                settled.push(halved.too_long(&is_good));
                return false;
            }
            match halved.crossing {
                Some(across) if answered.covers(&across) => {
                    settled.push(halved.too_long(&is_good));
                    return false;
                }
                Some(_) => return true,
                None if crossing.is_some() => return true,
                None => {}
            }
            match halved.across().filter(|across| across.span() != halved.block.span()) {
                Some(across) => {
                    halved.crossing = Some(across.span());
                    crossing = Some(across);
                    true
                }
                None => {
                    let cut = halved.cut(&is_good);
                    let seam = is_good(&cut);
                    let fault = Finding::Fault(cut, halved.cause);
                    settled.push(if seam { halved.too_long(&is_good) } else { fault });
                    false
                }
            }
        });
        crossing
    }

    /// Begins to look for the greatest length, with shorter reads of what `block` was too long for.
    pub(super) fn search(&mut self, block: Block, cause: Cause) {
        self.search = Some((block, cause));
    }

    /// The next length to try, where `known` says what is answered and what is not. It ends when there is none between.
    pub(super) fn next_length(&mut self, known: impl Fn(ModbusTable) -> Option<(u32, u32)>) -> Option<Block> {
        let (block, cause) = self.search.as_ref()?;
        let between = known(block.table);
        let points = between.and_then(|(answered, failed)| {
            let target = target(answered, failed, *cause)?;
            beginning(&block.points, answered, failed, target)
        });
        let next = points.and_then(Block::of).map(|block| Block { trial: true, ..block });
        if next.is_none() {
            self.search = None;
        }
        next
    }
}

impl Halved {
    fn halves(&self) -> (&[Placed], &[Placed]) {
        self.block.points.split_at(self.at.unwrap_or(0).min(self.block.points.len()))
    }

    fn has_good_halves(&self, is_good: impl Fn(&Span) -> bool) -> bool {
        if self.at.is_none() {
            return self.block.points.iter().all(|(_, point)| is_good(&Span::of(point)));
        }
        let (left, right) = self.halves();
        [left, right].into_iter().filter_map(Block::of).all(|half| is_good(&half.span()))
    }

    /// The shortest read across the cut.
    fn across(&self) -> Option<Block> {
        let (left, right) = self.halves();
        let from = seams(left).last().copied().unwrap_or(0);
        let to = seams(right).first().copied().unwrap_or(right.len());
        Block::of(self.block.points.get(from..left.len() + to)?)
    }

    fn too_long(&self, is_good: impl Fn(&Span) -> bool) -> Finding {
        Finding::Length(self.block.clone(), self.cut(is_good), self.cause)
    }

    /// What nobody wants at the cut, or the cut itself.
    fn cut(&self, is_good: impl Fn(&Span) -> bool) -> Span {
        if self.at.is_none() {
            return self.block.span();
        }
        let (left, right) = self.halves();
        let from = reach(left);
        let to = right.first().map_or(from, |(_, point)| start(point));
        let gap = Span { table: self.block.table, from, to };
        if from < to && !is_good(&gap) {
            gap
        } else {
            Span { from: from.saturating_sub(1), to: to + 1, ..gap }
        }
    }
}

/// A round length between the two. What costs time-outs is not found out to the last register.
fn target(answered: u32, failed: u32, cause: Cause) -> Option<u32> {
    let round: Vec<_> = ROUND.into_iter().filter(|length| (answered + 1..failed).contains(length)).collect();
    match round.get(round.len() / 2) {
        Some(length) => Some(*length),
        None if cause == Cause::Silent || answered + 1 >= failed => None,
        None => Some(answered + (failed - answered) / 2),
    }
}

/// The first points, as many as come nearest to `target` and lie between the two.
fn beginning(points: &[Placed], answered: u32, failed: u32, target: u32) -> Option<&[Placed]> {
    let (_, first) = points.first()?;
    let lengths = seams(points).into_iter().map(|at| {
        let beginning = points.get(..at).unwrap_or_default();
        (reach(beginning) - start(first), beginning)
    });
    let lengths: Vec<_> = lengths.filter(|(length, _)| (answered + 1..failed).contains(length)).collect();
    let below = lengths.iter().rfind(|(length, _)| *length <= target);
    below.or(lengths.first()).map(|(_, beginning)| *beginning)
}
