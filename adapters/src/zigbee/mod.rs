//! Zigbee devices behind a coordinator of this hub: a stick on a serial port, or one that is reached over TCP.
//!
//! [`ncp`] speaks to the coordinator. What is pure is by itself: [`network`] says which network the coordinator is to have,
//! [`members`] who is in it, [`interview`] what a new device is asked, [`setup`] how it is set up, [`talks`] which answer is for which question,
//! [`hold`] when something for a sleeping device is sent, [`vigil`] whether a device still reports, [`recheck`] when all are read because something got lost, [`joining`] who came while the network was open, and [`model`] turns
//! points into questions and what is said into readings. [`link`] keeps the coordinator and [`session`] runs it while it is
//! there, [`care`] looks after devices, [`discover`] finds those of whom nothing is kept, [`hearing`] takes in what they say, [`clerk`] keeps and adopts; [`board`] is what all of them share. Frames and
//! data types are those of `usp-mapping`, whose tests of mappings use them too.
//!
//! Always:
//!
//! - What a device is asked is sent once. Of a message that was not acknowledged nobody knows whether it arrived: whoever sent it is told so, and a
//!   write is then verified by what the device shows.
//! - What comes late answers nothing: numbers of transactions that were not answered rest for a minute.
//! - A write to a device that sleeps waits until it is heard, and never leaves after its time is over.
//! - A coordinator that holds another network than this hub's is left as it is, and not used.
//! - Keys are in the coordinator and in the [`Keeper`](crate::Keeper), and nowhere else: they are [`ncp::Key`]s, which show nothing.

mod board;
mod bring_up;
mod bytes;
mod care;
mod clerk;
mod device;
mod discover;
mod hearing;
mod hold;
mod interview;
mod joining;
mod kept;
mod link;
mod members;
mod model;
pub(crate) mod ncp;
mod network;
mod recheck;
pub mod scan;
mod session;
mod setup;
mod talks;
#[cfg(test)]
mod tests;
mod vigil;
mod word;
mod zdo;

pub(crate) use link::ZigbeeLink;
