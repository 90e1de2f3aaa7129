//! What the two ways of framing have in common.

use std::time::Instant;

/// What comes out of a framing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A whole frame of what is carried.
    Frame(Vec<u8>),
    /// The coordinator has been reset, as it was asked to.
    Ready,
    /// It cannot be spoken to any more, or not before a reset: why.
    Gone(String),
}

/// A framing: bytes and time in, bytes and events out.
pub(super) trait Framing: Send + 'static {
    /// What is damaged is sent again, until it has come.
    const REPEATS: bool;

    /// Bytes came.
    fn hear(&mut self, now: Instant, bytes: &[u8]);

    /// Sends a frame. Nothing that was sent before waits still.
    fn say(&mut self, now: Instant, frame: Vec<u8>);

    /// The other side may have lost its place in a frame: what is sent brings it back.
    fn resynchronize(&mut self) {}

    /// Resets the coordinator. [`Event::Ready`] or [`Event::Gone`] follows.
    fn reset(&mut self, now: Instant);

    /// Time has passed.
    fn tick(&mut self, now: Instant);

    /// When it wants to be told of the time.
    fn wake(&self) -> Option<Instant>;

    /// What is to be written now.
    fn output(&mut self) -> Vec<u8>;

    /// How many frames could not be understood since the last time.
    fn garbled(&mut self) -> u64;

    /// What has happened.
    fn event(&mut self) -> Option<Event>;
}
