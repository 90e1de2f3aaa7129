//! What is a serial line's own in the language: frames, templates of requests and replies, how a line is set.
//!
//! Everything that is said over a line is bytes. A text of a mapping stands for bytes too: each character up to U+00FF is
//! one, so that `"\x02"` and `"PWR?\r"` can be written as they are.

mod checksum;
mod compile;
mod draft;
pub(crate) mod fixture;
mod frame;
mod manner;
mod number;
pub(crate) mod read;
pub(crate) mod site;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;
use std::time::Duration;

pub use self::checksum::{Checksum, ChecksumKind};
pub use self::draft::{ChecksumDraft, FramingDraft, LengthDraft, LineDraft, LinePlaceDraft};
pub use self::frame::{Broken, Deframer, Framed, Framing, Limit};
pub use self::number::{HexKind, ValueForm, ValueText};
pub use self::text::{LineText, Piece, readable};

use crate::mapping::{BusAddress, Parity, SerialLine};
use crate::payload::{Body, Pick};
use crate::port::DeviceFault;
use crate::transform::{Raw, RawKind};

/// Where a value is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineRead {
    /// What asks for it; `None`: the device says it when it likes.
    pub ask: Option<LineAsk>,
    /// What the frame with it is like; `None`: any will do.
    pub says: Option<LineText>,
    /// What the value is in the frame.
    pub pick: LinePick,
    /// The device says it unasked too, although it can be asked.
    pub unasked: bool,
    /// How its device speaks.
    pub manner: Arc<LineManner>,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineAsk {
    /// As the mapping has it.
    pub body: Vec<u8>,
    /// As it goes over the wire.
    pub wire: Vec<u8>,
}

/// What a value is in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinePick {
    /// All of it.
    Whole(ValueText),
    /// Where `$value` stands in [`LineRead::says`].
    Said(ValueText),
    /// Where `$value` stands in this, which is somewhere in the frame.
    Find(LineText, ValueText),
    /// As in the body of a message.
    Body(Pick),
}

/// Where and how a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineWrite {
    /// The request; a `$value` in it stands for the value.
    pub send: LineText,
    /// How the value is put in.
    pub form: ValueForm,
    /// What the device says to it; `None`: nothing.
    pub ack: Option<LineText>,
    /// How its device speaks.
    pub manner: Arc<LineManner>,
}

/// How devices of a model speak: everything that a line has to know of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineManner {
    /// What they say.
    pub frames: Framing,
    /// What goes around a request.
    pub request: Framing,
    /// What they say when they refuse something.
    pub refusals: Vec<LineText>,
    /// Each request comes back before it is answered.
    pub echo: bool,
    /// What is sent, as it is, each time that the line was opened.
    pub opening: Vec<Vec<u8>>,
    /// How their port is set, unless the site says otherwise.
    pub usual: LineSettings,
}

/// How devices of a model behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineOptions {
    /// How long an answer may take.
    pub timeout: Duration,
    /// Pause between an answer and the next request.
    pub pause: Duration,
    /// How often the device says something by itself; `None`: that is not known.
    pub every: Option<Duration>,
    /// How they speak.
    pub manner: Arc<LineManner>,
}

impl LineOptions {
    /// How long a device that speaks by itself may be silent.
    pub fn patience(&self) -> Option<Duration> {
        self.every.map(|every| (every * 3).max(Duration::from_secs(2)))
    }
}

/// How a serial port is set; what is `None` is not said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineSettings {
    /// Bits a second.
    pub baud: Option<u32>,
    /// Parity bit of each character.
    pub parity: Option<Parity>,
    /// 7 or 8.
    pub data_bits: Option<u8>,
    /// 1 or 2.
    pub stop_bits: Option<u8>,
}

impl LineSettings {
    /// These, and those of the other where there are none.
    pub fn or(self, other: Self) -> Self {
        Self {
            baud: self.baud.or(other.baud),
            parity: self.parity.or(other.parity),
            data_bits: self.data_bits.or(other.data_bits),
            stop_bits: self.stop_bits.or(other.stop_bits),
        }
    }

    /// The line of a port; 9600 8N1 where nothing is said.
    pub fn line(self, port: &str) -> SerialLine {
        SerialLine {
            port: port.to_owned(),
            baud: self.baud.unwrap_or(9600),
            parity: self.parity.unwrap_or(Parity::None),
            data_bits: self.data_bits.unwrap_or(8),
            stop_bits: self.stop_bits.unwrap_or(1),
        }
    }
}

/// The way to the devices of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinePort {
    /// A serial port: the path of its device file.
    Serial(String),
    /// A serial device server that passes bytes on as they are: `host:port`.
    Tcp(BusAddress),
}

/// A line with how it is set, and how those on it speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineBus {
    /// Where it is.
    pub port: LinePort,
    /// How it is set.
    pub settings: LineSettings,
    /// How those on it speak; `None`: nobody is on it.
    pub manner: Option<Arc<LineManner>>,
}

impl LineRead {
    /// Whether the device says it without being asked.
    pub fn is_heard(&self) -> bool {
        self.unasked || self.ask.is_none()
    }

    /// What a frame says of it; `None`: nothing.
    pub fn take(&self, frame: &[u8]) -> Option<Result<Raw, DeviceFault>> {
        let said = match &self.says {
            Some(says) => says.matched(frame)?,
            None => None,
        };
        match &self.pick {
            LinePick::Said(text) => said.map(|value| text.raw(value)),
            LinePick::Find(find, text) => find.found(frame).map(|value| text.raw(value)),
            LinePick::Whole(text) => {
                Some(text::trimmed(frame)).filter(|it| !it.is_empty()).map(|it| text.raw(it))
            }
            LinePick::Body(pick) => Body::new(frame, None).take(pick).transpose(),
        }
    }

    /// Whether a frame is what is to be said here, be the value good or not.
    pub fn means(&self, frame: &[u8]) -> bool {
        match (&self.says, &self.pick) {
            (Some(says), _) => says.matched(frame).is_some(),
            (None, LinePick::Find(find, _)) => find.found(frame).is_some(),
            (None, LinePick::Body(_)) => !frame.is_empty(),
            (None, LinePick::Whole(_) | LinePick::Said(_)) => !text::trimmed(frame).is_empty(),
        }
    }

    /// What fits into it.
    pub fn raw_kind(&self) -> RawKind {
        match &self.pick {
            LinePick::Whole(text) | LinePick::Said(text) | LinePick::Find(_, text) => text.raw_kind(),
            LinePick::Body(pick) => pick.raw_kind(),
        }
    }

    /// What it is, for people: `$value in "PWR=$value"`.
    pub fn described(&self) -> String {
        let of = self.says.as_ref().map_or(String::new(), |says| format!(" of {says}"));
        match &self.pick {
            LinePick::Whole(text) => format!("all{of}{text}"),
            LinePick::Said(text) => {
                format!("{}{text}", self.says.as_ref().map_or(String::new(), ToString::to_string))
            }
            LinePick::Find(find, text) => format!("{find}{of}{text}"),
            LinePick::Body(pick) => format!("{pick}{of}"),
        }
    }
}

impl LineWrite {
    /// The request for a value, without and with what goes around it, and the value as it stands in it.
    ///
    /// Errors: the value does not fit.
    pub fn request(&self, raw: &Raw) -> Result<(LineAsk, Vec<u8>), DeviceFault> {
        let value = if self.send.has_value() { self.form.bytes(raw)? } else { Vec::new() };
        let body = self.send.filled(&value);
        let wire = self.manner.request.wrap(&body);
        Ok((LineAsk { body, wire }, value))
    }
}
