//! Bluetooth's part of a mapping file as it was written.

use std::time::Duration;

use super::{BleConnect, BleMatch, BlePair, BleUuid, BthomePick};
use crate::draft::At;
use crate::line::LineText;

/// `ble`: how devices of this model behave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BleDraft {
    /// `timeout`.
    pub timeout: Option<At<Duration>>,
    /// `connect`.
    pub connect: Option<At<BleConnect>>,
    /// `idle`.
    pub idle: Option<At<Duration>>,
    /// `every`.
    pub every: Option<At<Duration>>,
    /// `pair`.
    pub pair: Option<At<BlePair>>,
    /// `match`.
    pub known_by: Option<At<BleMatch>>,
}

/// What is heard, read or written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlePlaceDraft {
    /// `bthome` of a read.
    pub bthome: Option<At<BthomePick>>,
    /// `nth` of `bthome`.
    pub nth: Option<At<u8>>,
    /// `service_data` of a read.
    pub service_data: Option<At<BleUuid>>,
    /// `manufacturer` of a read.
    pub manufacturer: Option<At<u16>>,
    /// `char`.
    pub char: Option<At<BleUuid>>,
    /// `service` of `char`.
    pub service: Option<At<BleUuid>>,
    /// `rssi` of a read.
    pub rssi: Option<At<bool>>,
    /// `notify` of a read.
    pub notify: Option<At<bool>>,
    /// `ask` of a read.
    pub ask: Option<At<BleAskDraft>>,
    /// `starts` of a read.
    pub starts: Option<At<Vec<Option<u8>>>>,
    /// `size` of a read.
    pub size: Option<At<u16>>,
    /// `response` of a write.
    pub response: Option<At<bool>>,
    /// `send` of a write.
    pub send: Option<At<LineText>>,
    /// `answer` of a write.
    pub answer: Option<At<BleAnswerDraft>>,
}

/// `answer` of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BleAnswerDraft {
    /// `char`; that which is written unless told otherwise.
    pub char: Option<BleUuid>,
    /// `service` of `char`.
    pub service: Option<BleUuid>,
    /// `starts`: how it begins when it was done.
    pub starts: Vec<Option<u8>>,
    /// `refusal`: how it begins when it was not, and what that means.
    pub refusals: Vec<(Vec<Option<u8>>, String)>,
}

/// `ask` of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BleAskDraft {
    /// `char`.
    pub char: BleUuid,
    /// `service`.
    pub service: Option<BleUuid>,
    /// `response`.
    pub response: bool,
    /// `send`.
    pub send: Vec<u8>,
}
