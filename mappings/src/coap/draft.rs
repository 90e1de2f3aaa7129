//! CoAP's part of a mapping file as it was written.

use std::time::Duration;

use super::CoapMethod;
use crate::draft::At;
use crate::payload::BodyFormat;

/// `coap`: how devices of this model behave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoapDraft {
    /// `timeout`.
    pub timeout: Option<At<Duration>>,
    /// `confirmable`.
    pub confirmable: Option<At<bool>>,
    /// `block`.
    pub block: Option<At<u16>>,
    /// `silence`.
    pub silence: Option<At<Duration>>,
}

/// Which resource, and how it is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoapPlaceDraft {
    /// `path`.
    pub path: Option<At<String>>,
    /// `observe` of a read.
    pub observe: Option<At<bool>>,
    /// `accept` of a read.
    pub accept: Option<At<BodyFormat>>,
    /// `method` of a write.
    pub method: Option<At<CoapMethod>>,
}
