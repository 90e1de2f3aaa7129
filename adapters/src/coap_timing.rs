//! How messages of CoAP are sent again, for whoever explains it; see RFC 7252, section 4.8.

use std::time::Duration;

/// After so long without an acknowledgement a message is sent again, at first; up to half as much longer, by chance.
/// RFC 7252, 4.8.1 has 2 s for the open Internet and allows 1 s; these are devices of one home.
pub const ACK_TIMEOUT: Duration = Duration::from_secs(1);

/// A message is sent so many times again (RFC 7252, 4.8).
pub const MAX_RETRANSMIT: u8 = 4;

/// Longest time for all blocks of one transfer.
pub const TRANSFER: Duration = Duration::from_secs(30);
