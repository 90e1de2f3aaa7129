//! Devices with a way of their own to speak over a serial line: one task for each line, a worker for each device.
//!
//! [`model`] is pure: it turns points into requests and what is said into readings. [`conversation`] is pure too: it cuts what
//! comes in into frames, knows which of them answers the request that is under way, and when a line may be used again.
//! [`link`] keeps the line open and drives the conversation; [`wire`] is a port or a connection; [`board`] is what the line and
//! its devices share. What a frame is and what a pattern means is said in `usp-mapping`, whose tests of mappings use it too.
//!
//! No thread is needed: unlike those of Modbus RTU, these frames are told apart by what is in them or by silences that a
//! runtime's timers can measure.
//!
//! Always:
//!
//! - One request at a time. An answer is what the mapping says that an answer is like; everything else is heard, and is an
//!   answer to nobody.
//! - A late answer answers nothing else. After a request that was not answered the line is not used before its answer has had
//!   as much time once more; for ten times as long (5 s at least) the first frame that would answer it too is taken for its
//!   own ([`debts`]). A later request from which a frame was kept in this way, and that gets no other, fails: the device may
//!   have lost the earlier one or be late with this one. Nothing is sent then until no answer can be owed any more.
//! - A frame whose checksum is wrong, that broke off or has no end gives no reading: it is counted. What came since a device
//!   was understood last, and was of no use, is the reason that is told when it counts as silent ([`useless`]).
//! - A device that speaks by itself at known intervals is offline when it has not been heard for three of them.
//! - A port that vanishes is looked for, by the same name, until it is there again; on the way nothing is kept of what came
//!   before.

mod board;
mod conversation;
mod debts;
mod device;
mod link;
mod model;
#[cfg(test)]
mod tests;
mod useless;
mod wire;

pub(crate) use link::LineLink;
