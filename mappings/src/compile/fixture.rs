//! What a device holds and says in a test, and what it is sent, whatever its protocol.

use crate::ble::fixture as ble;
use crate::draft::{HeldDraft, SaidDraft};
use crate::line::fixture as line;
use crate::mapping::{ReadPoint, WritePoint, filter_matches};
use crate::modbus::Cells;
use crate::payload::said::Said;
use crate::port::DeviceFault;
use crate::transform::Raw;
use crate::zigbee::fixture as zigbee;

/// What a device holds and says, or was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fixture {
    cells: Cells,
    said: Said,
}

impl Fixture {
    pub(crate) fn new(held: &HeldDraft) -> Self {
        Self { cells: Cells::new(&held.runs), said: Said::new(&held.said) }
    }

    /// This with what was written later.
    pub(crate) fn extend(&mut self, later: &Self) {
        self.cells.extend(&later.cells);
        self.said.0.extend(later.said.0.iter().cloned());
    }

    /// What is not known at a place, and how to say it: `holding 41`, `holding: {41: 0}`.
    pub(crate) fn lacks(&self, point: &ReadPoint) -> Option<(String, String)> {
        let message = |kind: &str, place: &str, pick: &dyn std::fmt::Display| {
            (format!("{place} with {pick}"), format!("{kind}: {{\"{place}\": …}}"))
        };
        match point {
            ReadPoint::Modbus(point) => self.cells.lacks(point),
            ReadPoint::Mqtt(read) => match self.taken(point) {
                None => Some(message("messages", &read.topic, &read.pick)),
                Some(_) => None,
            },
            ReadPoint::Coap(read) => match self.taken(point) {
                None => Some(message("resources", &read.path, &read.pick)),
                Some(_) => None,
            },
            ReadPoint::Line(read) => match self.taken(point) {
                None => Some(line::lacks(read)),
                Some(_) => None,
            },
            ReadPoint::Ble(read) => match self.taken(point) {
                None => Some(ble::lacks(read)),
                Some(_) => None,
            },
            ReadPoint::Zigbee(read) => match self.taken(point) {
                None => Some(zigbee::lacks(read)),
                Some(_) => None,
            },
        }
    }

    /// The raw value at a place of which everything is known.
    pub(crate) fn raw(&self, point: &ReadPoint) -> Result<Raw, DeviceFault> {
        match point {
            ReadPoint::Modbus(point) => self.cells.raw(point),
            ReadPoint::Mqtt(_)
            | ReadPoint::Coap(_)
            | ReadPoint::Line(_)
            | ReadPoint::Ble(_)
            | ReadPoint::Zigbee(_) => self.taken(point).ok_or(DeviceFault::Unknown)?,
        }
    }

    fn taken(&self, point: &ReadPoint) -> Option<Result<Raw, DeviceFault>> {
        match point {
            ReadPoint::Modbus(_) => None,
            ReadPoint::Mqtt(read) => self.said.take(|topic| filter_matches(&read.topic, topic), &read.pick),
            ReadPoint::Coap(read) => self.said.take(|path| path == read.path, &read.pick),
            ReadPoint::Line(read) => line::taken(&self.said, read),
            ReadPoint::Ble(read) => ble::taken(&self.said, read),
            ReadPoint::Zigbee(read) => zigbee::taken(&self.said, read),
        }
    }

    /// What a device that held this is sent, or holds then, where a raw value was written.
    ///
    /// Errors: the value does not fit into a message.
    pub(crate) fn written(&self, point: &WritePoint, raw: &Raw) -> Result<Self, DeviceFault> {
        let said = |place: &str, body: Vec<u8>| Said(vec![(place.to_owned(), body)]);
        Ok(match point {
            WritePoint::Modbus { .. } => {
                Self { cells: self.cells.written(point, raw), said: Said::default() }
            }
            WritePoint::Mqtt(write) => {
                Self { cells: Cells::default(), said: said(&write.topic, write.put.body(raw)?) }
            }
            WritePoint::Coap(write) => {
                Self { cells: Cells::default(), said: said(&write.path, write.put.body(raw)?) }
            }
            WritePoint::Line(write) => Self { cells: Cells::default(), said: line::written(write, raw)? },
            WritePoint::Ble(write) => Self { cells: Cells::default(), said: ble::written(write, raw)? },
            WritePoint::Zigbee(write) => Self { cells: Cells::default(), said: zigbee::written(write, raw)? },
        })
    }

    /// In which this, that was sent, is not what was wanted.
    pub(crate) fn differences(&self, wanted: &Self) -> Vec<String> {
        let mut differences = self.cells.differences(&wanted.cells);
        let on_a_line = |said: &Said| said.0.iter().any(|(place, _)| place == line::SENT);
        let to_a_cluster = |said: &Said| said.0.iter().any(|(place, _)| zigbee::is_cluster(place));
        differences.extend(if on_a_line(&self.said) || on_a_line(&wanted.said) {
            line::differences(&self.said, &wanted.said)
        } else if ble::is_over_the_air(&self.said) || ble::is_over_the_air(&wanted.said) {
            ble::differences(&self.said, &wanted.said)
        } else if to_a_cluster(&self.said) || to_a_cluster(&wanted.said) {
            zigbee::differences(&self.said, &wanted.said)
        } else {
            self.said.differences(&wanted.said)
        });
        differences
    }
}

/// The messages of a test that the mapping takes nothing out of.
pub(crate) fn unused<'s>(said: &'s [SaidDraft], reads: &[&ReadPoint]) -> Vec<&'s SaidDraft> {
    let is_read = |place: &str| {
        reads.iter().any(|point| match point {
            ReadPoint::Modbus(_) => false,
            ReadPoint::Mqtt(read) => filter_matches(&read.topic, place),
            ReadPoint::Coap(read) => read.path == place,
            ReadPoint::Line(read) => line::is_place(read, place),
            ReadPoint::Ble(read) => ble::is_place(read, place),
            ReadPoint::Zigbee(read) => zigbee::is_place(read, place),
        })
    };
    said.iter().filter(|said| !is_read(&said.place.value)).collect()
}
