//! What comes in of devices unasked: their own words, and the state of a link that many of them share.
//!
//! A shared link is up, down for a reason, or being made for the first time. Always: who asks for the link waits while it
//! is made and for nothing else; a device hears of the link before it hears what came over it; the newest state is heard,
//! older ones that nobody has seen yet are not.

#[cfg(feature = "modbus")]
use std::convert::Infallible;

#[cfg(any(feature = "links", test))]
pub(crate) use shared::{LinkState, SharedEar, linked};

/// Something unasked.
#[derive(Debug)]
#[cfg_attr(
    not(any(feature = "links", test)),
    expect(dead_code, reason = "devices of serial lines say nothing")
)]
pub(crate) enum Said<W> {
    /// The device said this.
    Word(W),
    /// The link is there, perhaps for the second time.
    LinkUp,
    /// It is not, and why.
    LinkDown(String),
    /// The same of one that is made again without being asked for: each time that it is refused counts as an exchange without an
    /// answer.
    #[cfg_attr(not(any(feature = "line", test)), expect(dead_code, reason = "lines alone are made so"))]
    LinkRefused(String),
    /// What it was asked in passing was not answered, or its session has ended: perhaps it is gone.
    Doubt,
}

/// A moment, by how many things had been said until then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark(pub(crate) u64);

/// Listens to one device.
pub(crate) trait Ear: Send + 'static {
    /// What a device says.
    type Word: Send;

    /// The next thing that is said. Whoever stops waiting misses nothing.
    fn hear(&mut self) -> impl Future<Output = Said<Self::Word>> + Send;

    /// The next thing that was said before this moment, if it has not been heard yet.
    fn hear_before(&mut self, _: Mark) -> Option<Said<Self::Word>> {
        None
    }
}

/// Where devices speak only when they are asked.
#[cfg(feature = "modbus")]
#[derive(Debug)]
pub(crate) struct Deaf;

#[cfg(feature = "modbus")]
impl Ear for Deaf {
    type Word = Infallible;

    async fn hear(&mut self) -> Said<Infallible> {
        std::future::pending().await
    }
}

#[cfg(any(feature = "links", test))]
mod shared {
    use std::sync::Arc;

    use tokio::sync::watch;

    use super::{Ear, Mark, Said};
    use crate::bus::mailbox::{Letter, Mailbox};

    /// How a shared link is.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(crate) enum LinkState {
        /// It is being made for the first time.
        Opening,
        /// It can be used.
        Up,
        /// It cannot, and why, in the user's words.
        Down(String),
    }

    /// Listens to a device on a shared link.
    #[derive(Debug)]
    pub(crate) struct SharedEar<T> {
        link: watch::Receiver<LinkState>,
        letters: Arc<Mailbox<T>>,
    }

    impl<T> SharedEar<T> {
        /// Hears the present state of the link first.
        pub(crate) fn new(mut link: watch::Receiver<LinkState>, letters: Arc<Mailbox<T>>) -> Self {
            link.mark_changed();
            Self { link, letters }
        }
    }

    impl<T: Letter> Ear for SharedEar<T> {
        type Word = T;

        fn hear_before(&mut self, mark: Mark) -> Option<Said<T>> {
            // What is known of the link comes first, and what it brings is heard afterwards.
            let is_news = self.link.has_changed().unwrap_or(false);
            if is_news { None } else { self.letters.take_before(mark).map(Said::Word) }
        }

        async fn hear(&mut self) -> Said<T> {
            loop {
                tokio::select! {
                    biased;
                    state = next_state(&mut self.link) => match state {
                        LinkState::Opening => {}
                        LinkState::Up => return Said::LinkUp,
                        LinkState::Down(cause) => return Said::LinkDown(cause),
                    },
                    letter = self.letters.take() => return Said::Word(letter),
                }
            }
        }
    }

    async fn next_state(link: &mut watch::Receiver<LinkState>) -> LinkState {
        if link.changed().await.is_err() {
            // The link has ended with its bus, and so will whoever listens.
            std::future::pending::<()>().await;
        }
        link.borrow_and_update().clone()
    }

    /// Waits until it is known whether the link is there.
    pub(crate) async fn linked(link: &mut watch::Receiver<LinkState>) -> Result<(), String> {
        let state = link.wait_for(|state| *state != LinkState::Opening).await;
        match state.as_deref() {
            Ok(LinkState::Down(cause)) => Err(cause.clone()),
            Ok(LinkState::Up | LinkState::Opening) => Ok(()),
            Err(_) => Err("its bus has stopped".to_owned()),
        }
    }
}
