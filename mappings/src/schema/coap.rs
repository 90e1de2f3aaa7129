//! The section `coap`.

#![expect(dead_code, reason = "only their schema is wanted")]

use schemars::JsonSchema;

use super::time::Period;
use super::values::{Block, Flag};

/// How devices of this model behave on CoAP.
#[derive(JsonSchema)]
#[schemars(inline, deny_unknown_fields)]
pub(super) struct Coap {
    /// How long one exchange may take, retransmissions included; `5s` unless told otherwise.
    timeout: Option<Period>,
    /// `false`: requests are not confirmable messages.
    confirmable: Option<Flag>,
    /// Largest block of a body; 1024 unless told otherwise.
    block: Option<Block>,
    /// How long a device that is observed may say nothing before it is asked whether it is there; `5m` unless told otherwise.
    silence: Option<Period>,
}
