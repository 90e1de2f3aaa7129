//! What a coordinator says of how something went (Z-Stack's `ZStatus_t`).

use super::super::Undelivered;

/// A status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status(pub(super) u8);

impl Status {
    pub(super) const OK: Self = Self(0x00);
    /// An item of memory was not there, and is now.
    pub(super) const WAS_NOT_THERE: Self = Self(0x09);
    /// An endpoint is there already.
    pub(super) const DUPLICATE: Self = Self(0xb8);
    const NO_ROUTE: Self = Self(0xcd);

    /// There is no room for it at the moment.
    pub(super) fn is_busy(self) -> bool {
        // No memory, buffers full, no resources, the channel is never free.
        matches!(self.0, 0x10 | 0x11 | 0x13 | 0x1a | 0xe1 | 0xf1)
    }

    /// A route may help.
    pub(super) fn wants_route(self) -> bool {
        self == Self::NO_ROUTE
    }

    /// In words.
    pub(super) fn words(self) -> String {
        let words = match self.0 {
            0x00 => "done",
            0x01 => "it failed, without a reason",
            0x02 => "it does not take these values",
            0x0a => "its memory is damaged; its firmware has to be written anew",
            0x0c => "its memory has another form than is known",
            0xb8 => "it is there already",
            _ if self.is_busy() => "it is busy",
            code => return format!("status 0x{code:02x}"),
        };
        words.to_owned()
    }

    /// Why a message was not delivered.
    pub(super) fn undelivered(self) -> Undelivered {
        match self.0 {
            // By the device, by the next on the way.
            0xb7 | 0xcc | 0xe9 => Undelivered::NotAcknowledged,
            0xf0 => Undelivered::Expired,
            0xc8 | 0xcd => Undelivered::NoRoute,
            0xe5 => Undelivered::TooLong,
            _ if self.is_busy() => Undelivered::Busy,
            _ => Undelivered::Refused(self.words()),
        }
    }
}
