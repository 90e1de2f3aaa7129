//! The queue inside an outbox.

use std::collections::VecDeque;

/// Numbered, in the order of their numbers. One that is taken out of the middle leaves a gap; neither end is a gap, and
/// there are never many more gaps than others.
#[derive(Debug)]
pub(super) struct Line<T> {
    pub(super) places: VecDeque<(u64, Option<T>)>,
    filled: usize,
}

fn is_gap<T>((_, item): &(u64, Option<T>)) -> bool {
    item.is_none()
}

/// Gaps that there may be however few others there are.
pub(super) const GAPS: usize = 64;

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { places: VecDeque::new(), filled: 0 }
    }
}

impl<T> Line<T> {
    pub(super) fn len(&self) -> usize {
        self.filled
    }

    pub(super) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.places.front().map(|(number, _)| *number)
    }

    pub(super) fn last(&self) -> Option<u64> {
        self.places.back().map(|(number, _)| *number)
    }

    pub(super) fn get(&self, number: u64) -> Option<&T> {
        self.places.get(self.place(number)?)?.1.as_ref()
    }

    #[cfg(test)]
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|(_, item)| item.as_ref())
    }

    /// The number is higher than all before it.
    pub(super) fn push(&mut self, number: u64, item: T) {
        self.places.push_back((number, Some(item)));
        self.filled += 1;
    }

    pub(super) fn pop_first(&mut self) -> Option<(u64, T)> {
        let number = self.first()?;
        Some((number, self.remove(number)?))
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<T> {
        let place = self.place(number)?;
        let taken = self.places.get_mut(place)?.1.take()?;
        self.filled -= 1;
        while self.places.front().is_some_and(is_gap) {
            self.places.pop_front();
        }
        while self.places.back().is_some_and(is_gap) {
            self.places.pop_back();
        }
        if self.places.len() > 2 * self.filled + GAPS {
            self.places.retain(|place| !is_gap(place));
        }
        if self.places.is_empty() {
            // One long wait does not keep its memory.
            self.places.shrink_to(GAPS);
        }
        Some(taken)
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.places.binary_search_by_key(&number, |(number, _)| *number).ok()
    }
}
