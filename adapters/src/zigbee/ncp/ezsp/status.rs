//! What a coordinator says of how something went. Protocol 14 has one list of codes (`sl_status`) where there were two of one
//! byte before; what is told apart here is told in those of 14.

use super::super::Undelivered;

/// A code of `sl_status`, or one of Ember's own that is not told apart here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status(pub(super) u32);

/// Set in codes of Ember's own that have no other.
const EMBER: u32 = 0x8000_0000;

impl Status {
    pub(super) const OK: Self = Self(0);
    pub(super) const FAIL: Self = Self(0x01);
    const BUSY: Self = Self(0x04);
    pub(super) const NETWORK_UP: Self = Self(0x15);
    pub(super) const NETWORK_DOWN: Self = Self(0x16);
    pub(super) const NOT_JOINED: Self = Self(0x17);
    const ALLOCATION_FAILED: Self = Self(0x19);
    const NO_MORE_RESOURCE: Self = Self(0x1a);
    const NOT_FOUND: Self = Self(0x2d);
    const MESSAGE_TOO_LONG: Self = Self(0x38);
    const INDIRECT_TIMEOUT: Self = Self(0x41);
    const TRANSMIT_QUEUE_FULL: Self = Self(0x53);
    const INVALID_POWER: Self = Self(0x56);
    const DELIVERY_FAILED: Self = Self(0x0c02);
    const MESSAGE_LIMIT: Self = Self(0x0c03);
    const SOURCE_ROUTE_FAILURE: Self = Self(0x0c13);
    const MANY_TO_ONE_ROUTE_FAILURE: Self = Self(0x0c14);
    const NO_APS_ACK: Self = Self(0x0c20);
    const UNICAST_FAILURE: Self = Self(0x0c25);
    const NO_ROUTE: Self = Self(0x0c26);

    /// A code of one byte, of `EmberStatus`.
    pub(super) fn ember(code: u8) -> Self {
        match code {
            0x00 => Self::OK,
            0x01 => Self::FAIL,
            0x03 => Self::NOT_FOUND,
            0x18 => Self::ALLOCATION_FAILED,
            0x39 => Self::TRANSMIT_QUEUE_FULL,
            0x42 => Self::INDIRECT_TIMEOUT,
            0x66 => Self::DELIVERY_FAILED,
            0x72 => Self::MESSAGE_LIMIT,
            0x74 => Self::MESSAGE_TOO_LONG,
            0x8b => Self::INVALID_POWER,
            0x90 => Self::NETWORK_UP,
            0x91 => Self::NETWORK_DOWN,
            0x93 => Self::NOT_JOINED,
            0xa1 => Self::BUSY,
            0xa9 => Self::SOURCE_ROUTE_FAILURE,
            0xaa => Self::MANY_TO_ONE_ROUTE_FAILURE,
            0xb6 => Self::NOT_FOUND,
            0xc9 => Self::NO_APS_ACK,
            0xce => Self::UNICAST_FAILURE,
            0xcf => Self::NO_ROUTE,
            other => Self(EMBER | u32::from(other)),
        }
    }

    /// There is no room for it at the moment.
    pub(super) fn is_busy(self) -> bool {
        [
            Self::BUSY,
            Self::ALLOCATION_FAILED,
            Self::NO_MORE_RESOURCE,
            Self::MESSAGE_LIMIT,
            Self::TRANSMIT_QUEUE_FULL,
        ]
        .contains(&self)
    }

    /// In words.
    pub(super) fn words(self) -> String {
        let words = match self {
            Self::OK => "done",
            Self::FAIL => "it failed, without a reason",
            Self::NETWORK_UP => "the network is up",
            Self::NETWORK_DOWN => "the network is down",
            Self::NOT_JOINED => "it has no network",
            Self::NOT_FOUND => "there is none",
            Self::MESSAGE_TOO_LONG => "the message is too long",
            Self::INVALID_POWER => "it cannot send with that power",
            status if status.is_busy() => "it is busy",
            Self(code) if code & EMBER != 0 => return format!("Ember status 0x{:02x}", code & !EMBER),
            Self(code) => return format!("status 0x{code:04x}"),
        };
        words.to_owned()
    }

    /// Why a message was not delivered.
    pub(super) fn undelivered(self) -> Undelivered {
        match self {
            Self::DELIVERY_FAILED | Self::NO_APS_ACK => Undelivered::NotAcknowledged,
            Self::INDIRECT_TIMEOUT => Undelivered::Expired,
            Self::MESSAGE_TOO_LONG => Undelivered::TooLong,
            Self::NO_ROUTE
            | Self::UNICAST_FAILURE
            | Self::SOURCE_ROUTE_FAILURE
            | Self::MANY_TO_ONE_ROUTE_FAILURE => Undelivered::NoRoute,
            status if status.is_busy() => Undelivered::Busy,
            status => Undelivered::Refused(status.words()),
        }
    }
}
