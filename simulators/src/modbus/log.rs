//! What a server was asked.

use std::collections::VecDeque;

use super::pdu::{Exception, Request, Table};

/// As many requests are remembered.
pub const REMEMBERED: usize = 1024;

/// One request that came, and what was said to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// For whom.
    pub unit: u8,
    /// Function code.
    pub function: u8,
    /// What it read: table, start, count.
    pub read: Option<(Table, u16, u16)>,
    /// What it wrote: table, start, cells. Function 22 shows its register and no cells.
    pub written: Option<(Table, u16, Vec<u16>)>,
    /// The exception it was refused with, by the device or by a fault.
    pub refused: Option<Exception>,
}

impl Seen {
    /// Whether it meant to change something.
    pub fn is_write(&self) -> bool {
        self.written.is_some()
    }

    pub(crate) fn of(unit: u8, function: u8, request: Option<&Request>) -> Self {
        let mut seen = Self { unit, function, read: None, written: None, refused: None };
        if let Some(request) = request {
            seen.read = request.read;
            seen.written = request.write.clone();
            if let (Some((table, start, _)), Some(_)) = (request.read, request.masks) {
                seen.read = None;
                seen.written = Some((table, start, Vec::new()));
            }
        }
        seen
    }
}

/// The newest requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    seen: VecDeque<Seen>,
    total: u64,
}

impl Log {
    pub(crate) fn push(&mut self, seen: Seen) {
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(seen);
        self.total += 1;
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        self.seen.iter().cloned().collect()
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_are_remembered() {
        let mut log = Log::default();
        for index in 0..REMEMBERED + 5 {
            log.push(Seen::of((index % 256) as u8, 3, None));
        }
        assert_eq!(log.all().len(), REMEMBERED);
        assert_eq!(log.all()[0].unit, 5);
        assert_eq!(log.total(), REMEMBERED as u64 + 5);
    }
}
