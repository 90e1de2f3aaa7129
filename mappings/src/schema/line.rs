//! The section `line`.

#![expect(dead_code, reason = "only their schema is wanted")]

use schemars::JsonSchema;

use super::site::Parity;
use super::time::{Duration, Period};
use super::values::{
    AnyBaud, ChecksumForm, ChecksumPlace, Checksums, Count, DataBits, Endian, Flag, LengthWidth, LineText,
    MaxFrame, Several, StopBits,
};

/// How devices of this model speak on a serial line.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Line {
    /// What a frame begins with; with anything unless told otherwise.
    start: Option<LineText>,
    /// What a frame ends with, or a list of which any will do.
    end: Option<Several<LineText>>,
    /// How many bytes a frame has, or where it says so.
    length: Option<FrameLength>,
    /// How long a silence is that ends a frame.
    gap: Option<Duration>,
    /// What shows that a frame is whole; nothing unless told otherwise.
    checksum: Option<Checksum>,
    /// Most bytes of a frame; 4096 unless told otherwise.
    max: Option<MaxFrame>,
    /// What goes around a request; the same as around a frame unless told otherwise.
    request: Option<Request>,
    /// What the device says to a write, with `$value` and `$any`; nothing unless told otherwise.
    ack: Option<LineText>,
    /// What the device says when it refuses something.
    refusal: Option<Several<LineText>>,
    /// `true`: each request comes back before it is answered.
    echo: Option<Flag>,
    /// What is sent as it is each time that the line was opened.
    open: Option<Several<LineText>>,
    /// How often the device says something by itself: silent for three times as long it is offline.
    every: Option<Period>,
    /// How long an answer may take; `1s` unless told otherwise.
    timeout: Option<Period>,
    /// Pause between an answer and the next request; none unless told otherwise.
    pause: Option<Duration>,
    /// Speed that devices of this model are set to, in bits a second.
    baud: Option<AnyBaud>,
    /// Parity that they are set to; `none` unless told otherwise.
    parity: Option<Parity>,
    /// Data bits that they are set to; 8 unless told otherwise.
    data_bits: Option<DataBits>,
    /// Stop bits that they are set to; 1 unless told otherwise.
    stop_bits: Option<StopBits>,
}

/// What goes around a request.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Request {
    /// What it begins with.
    start: Option<LineText>,
    /// What it ends with.
    end: Option<Several<LineText>>,
    /// Its checksum.
    checksum: Option<Checksum>,
}

/// How many bytes a frame has.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub(super) enum FrameLength {
    /// As many as it says.
    Said(SaidLength),
    /// Always so many.
    Fixed(MaxFrame),
}

/// Where a frame says how long it is.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct SaidLength {
    /// Place of the length in it, from 0.
    at: Count,
    /// `u8` or `u16`; `u8` unless told otherwise.
    #[schemars(rename = "as")]
    width: Option<LengthWidth>,
    /// Order of the bytes of an `u16`: `big` or `little`.
    order: Option<Endian>,
    /// Bytes that it does not count.
    plus: Option<Count>,
}

/// A checksum: which, or also where and how it stands.
#[derive(JsonSchema)]
#[schemars(inline, untagged)]
pub(super) enum Checksum {
    /// With where and how.
    Placed(PlacedChecksum),
    /// Which.
    Kind(Checksums),
}

/// Where and how a checksum stands.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct PlacedChecksum {
    /// Which.
    kind: Checksums,
    /// `bytes` or `hex`; `bytes` unless told otherwise.
    #[schemars(rename = "as")]
    form: Option<ChecksumForm>,
    /// Order of its bytes: `big` or `little`; `big` unless told otherwise.
    order: Option<Endian>,
    /// `before_end` or `after_end`; `before_end` unless told otherwise.
    at: Option<ChecksumPlace>,
    /// Bytes at the beginning of the frame that it does not cover.
    skip: Option<Count>,
    /// Bytes right before it that it does not cover.
    cut: Option<Count>,
}
