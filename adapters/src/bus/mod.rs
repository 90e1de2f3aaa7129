//! What every bus has, whatever its protocol: queues, order of work, deadlines, back-off, supervision, statistics.
//!
//! A protocol brings two things. A [`Model`] per device is pure: it turns reads and writes of capabilities into
//! exchanges and answers into readings. A [`Medium`] per bus does the exchanges and is the only place with I/O.
//! Between them the [`Scheduler`](schedule::Scheduler) decides what goes over the bus next; it has no clock and no
//! socket, so that each of its rules is tested under virtual time. The [`worker`] ties them together, and [`supervise`]
//! restarts a worker that panics.
//!
//! A serial medium takes one exchange at a time: one worker has all its devices. A link that takes many (an MQTT
//! connection, CoAP over UDP) is kept by a task of its own and has a worker for each device, whose scheduler has that
//! one device: who is silent keeps nobody waiting. What devices say unasked reaches the worker by an [`ear`], over a
//! bounded [`mailbox`] for each device; so does the state of the link.
//!
//! What is unasked, always:
//!
//! - Each reading says how fresh it is. A word that is live counts as contact. What a server kept is a reading of unknown
//!   age: it is shown, but shows neither that the device is there nor that a write was done, and words that come while the
//!   link is down are not heard. A value that is put together is as old as the oldest of its parts.
//! - A point that was heard is not polled before its period is over, from when the oldest part of it was said.
//! - Nothing older follows something newer: what was heard before an answer is taken in before it, what cannot be asked
//!   for is looked up when the reply is made, and what is heard while others of a read are still asked for counts.
//! - A write that waits for its confirmation is confirmed by a live word that shows what was written, all of it new, and by
//!   nothing else that is said. A word that shows another value is no confirmation and no refusal: devices tell of steps on the way.
//! - Words are taken in their order. While the core takes nothing, what waits for it is one report in which the newest
//!   reading of a point wins; what was dropped for that is counted.
//! - A connection that cannot be made is a failure of each device behind it, and counts as an exchange without an answer: who was there
//!   is offline after as many as its mapping has for that. Who waits is answered at once all the same.
//! - When a shared link goes, its devices are offline for its reason. When it is back, they are polled at times spread
//!   over [`Medium::SPREAD`].

pub(crate) mod outlet;
pub(crate) mod statistics;
pub(crate) mod supervise;

#[cfg(any(feature = "bus", test))]
pub(crate) mod backoff;
#[cfg(any(feature = "bus", test))]
pub(crate) mod clock;
#[cfg(any(feature = "bus", test))]
pub(crate) mod counters;
#[cfg(any(feature = "bus", test))]
pub(crate) mod device;
#[cfg(any(feature = "bus", test))]
pub(crate) mod ear;
#[cfg(any(feature = "bus", test))]
pub(crate) mod health;
#[cfg(any(feature = "coap", feature = "links", test))]
pub(crate) mod mailbox;
#[cfg(any(feature = "bus", test))]
pub(crate) mod merge;
#[cfg(any(feature = "bus", test))]
pub(crate) mod plan;
#[cfg(any(feature = "bus", test))]
pub(crate) mod precedence;
#[cfg(any(feature = "bus", test))]
pub(crate) mod queue;
#[cfg(any(feature = "bus", test))]
pub(crate) mod read_job;
#[cfg(any(feature = "bus", test))]
pub(crate) mod schedule;
pub(crate) mod utilisation;
#[cfg(any(feature = "bus", test))]
pub(crate) mod worker;
#[cfg(any(feature = "bus", test))]
pub(crate) mod write_job;

#[cfg(test)]
pub(crate) mod fake;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use usp_mapping::mapping::{Bus, Device};
use usp_mapping::port::AdapterCall;

use self::outlet::Outlet;
use self::statistics::BusCounters;

/// Most calls that wait for one device; one more is answered [`QueueFull`](usp_mapping::port::DeviceFault::QueueFull).
#[cfg(any(feature = "bus", test))]
pub(crate) const QUEUE_PER_DEVICE: usize = 64;

/// Most calls on their way to a worker that has not yet looked at them.
pub(crate) const INBOX: usize = 256;

/// One bus of a site with what hangs on it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BusPlan {
    /// The medium, by the first of its names.
    pub(crate) bus: Bus,
    /// All buses of the site that are this medium.
    pub(crate) names: Vec<String>,
    /// In the order of the file.
    pub(crate) devices: Vec<Arc<Device>>,
}

/// A call and when it was received.
pub(crate) type Received = (Instant, AdapterCall);

/// What a worker shares with the rest of the process. It outlives a worker that panics.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) inbox: mpsc::Receiver<Received>,
    pub(crate) plan: watch::Receiver<Arc<BusPlan>>,
    pub(crate) outlet: Outlet,
    pub(crate) counters: Arc<BusCounters>,
    pub(crate) stop: CancellationToken,
    /// The medium serves other workers too, and whoever keeps it counts what concerns it.
    pub(crate) shared: bool,
}

#[cfg(any(feature = "bus", test))]
pub(crate) use contract::{Heard, Held, Medium, Model, Outcome, Understood, WriteStart};

#[cfg(any(feature = "bus", test))]
mod contract {
    use std::fmt::Debug;
    use std::time::{Duration, Instant};

    use usp_mapping::mapping::Device;
    use usp_mapping::port::{DeviceFault, PointId, Reading, Readings};
    use usp_mapping::value::Value;

    use crate::bus::ear::{Ear, Mark};
    use crate::bus::queue::Target;

    /// How an exchange ended, as the scheduler needs to know it.
    #[derive(Debug, PartialEq)]
    pub(crate) enum Outcome<A> {
        /// The device answered, be it with a refusal: it is there.
        Answered(A),
        /// The medium took it, and answered for itself: whether the device is there is not known by it.
        #[cfg_attr(not(feature = "links"), expect(dead_code, reason = "elsewhere nobody stands between"))]
        Taken(A),
        /// No answer that can be used: time-out, disconnection, garbage. What was to be sent may have been received: of a write
        /// nobody knows then whether it was done.
        Silent(DeviceFault),
        /// As [`Outcome::Silent`], but it was surely not received: there is no way to the device.
        Unsent(DeviceFault),
        /// As [`Outcome::Silent`], but to something else that had to go first: what was to be sent was not, and may be later.
        #[cfg_attr(
            not(any(feature = "modbus", test)),
            expect(dead_code, reason = "elsewhere what is wanted goes first")
        )]
        Held(DeviceFault),
    }

    /// Until when a device that sleeps is knocked at for what waits for it; `None`: nothing does.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    #[cfg_attr(not(any(feature = "zigbee", test)), expect(dead_code, reason = "elsewhere no device sleeps"))]
    pub(crate) struct Held {
        /// Somebody waits for it.
        pub(crate) wanted: Option<Instant>,
        /// A read for which nobody waits.
        pub(crate) reread: Option<Instant>,
    }

    /// What the answer to a read says.
    #[derive(Debug)]
    pub(crate) struct Understood<Ask> {
        /// The points that are done with.
        pub(crate) readings: Readings,
        /// Smaller reads for the points that are not, or such that teach something.
        pub(crate) again: Vec<Ask>,
    }

    impl<Ask> Default for Understood<Ask> {
        fn default() -> Self {
            Self { readings: Vec::new(), again: Vec::new() }
        }
    }

    /// What the device says unasked.
    #[derive(Debug, Default)]
    pub(crate) struct Heard {
        /// What it tells of its points, each with how fresh that is; those that it does not tell of are not there.
        pub(crate) readings: Readings,
        /// Whether the device itself has said something just now: it is there. Not so of what a server has kept for whoever
        /// comes.
        pub(crate) live: bool,
        /// Somebody who keeps count of the device says that it is there, or why it is not.
        pub(crate) presence: Option<Result<(), String>>,
        /// Why what was said does not show that it is there: the reason of one that is not.
        pub(crate) doubt: Option<String>,
        /// Why something that it said may be lost, and the points of which it cannot be asked at once.
        pub(crate) lost: Option<(&'static str, Vec<PointId>)>,
        /// It was away for a moment, and may have changed meanwhile: what is polled is due after so long.
        pub(crate) polls_in: Option<Duration>,
    }

    /// The first exchange of a write.
    #[derive(Debug)]
    pub(crate) enum WriteStart<Ask> {
        /// The write itself.
        Send(Ask),
        /// A read whose answer goes into [`Model::modify`] to make the write.
        #[cfg_attr(
            not(any(feature = "modbus", test)),
            expect(dead_code, reason = "only a register has neighbours in one word")
        )]
        Fetch(Ask),
    }

    /// One device as its protocol sees it. Pure: no clock, no I/O.
    pub(crate) trait Model: Sized + Send + 'static {
        /// One request on the wire, with all that the medium needs to send it.
        type Ask: Clone + Debug + Send;
        /// What came back for it.
        type Answer: Debug + Send;
        /// What it says unasked.
        type Word: Send;

        /// Makes the model of a device.
        fn new(device: &Device) -> Self;
        /// The fewest exchanges that read these points; points that cannot be read are left out.
        fn plan(&mut self, now: Instant, points: &[PointId]) -> Vec<Self::Ask>;
        /// The points that a planned read is for.
        fn points(&self, ask: &Self::Ask) -> Vec<PointId>;
        /// What the answer to a planned read says.
        fn understand(
            &mut self,
            now: Instant,
            ask: &Self::Ask,
            answer: Self::Answer,
        ) -> Understood<Self::Ask>;
        /// The device answers others but has left this read unanswered too often: smaller reads, or the end of it.
        fn unanswered(&mut self, now: Instant, ask: &Self::Ask, fault: &DeviceFault)
        -> Understood<Self::Ask>;
        /// A smaller read that shows whether the device or the read is at fault; `None`: there is none.
        fn sign_of_life(&self, ask: &Self::Ask) -> Option<Self::Ask>;
        /// How often a read is begun in vain, while others are answered, before it counts as unanswered.
        fn patience(&self, ask: &Self::Ask) -> u32;
        /// Whether there may be points that [`Model::rests`] leaves out.
        fn may_rest(&self) -> bool {
            true
        }
        /// Whether a point is left out of polling for now, because the device refuses it.
        fn rests(&self, now: Instant, point: PointId) -> bool;
        /// The device has been away.
        fn is_back(&mut self, now: Instant);
        /// How to write a value; an error is known before anything was sent.
        fn write(&self, target: Target, value: &Value) -> Result<WriteStart<Self::Ask>, DeviceFault>;
        /// Whether a write has to wait because the device sleeps: until it is heard, or the time of the write is over. Everything
        /// else goes on meanwhile.
        fn sleeps(&self, _: Instant) -> bool {
            false
        }
        /// Whether it sleeps as a rule: what it shows may be looked for in vain until it is heard.
        fn may_sleep(&self) -> bool {
            false
        }
        /// Why it is not known whether a write was received that a device which sleeps has not acknowledged: what it shows says so, once it
        /// is heard. `None`: it was received, or not.
        fn unsure(&mut self, _ask: &Self::Ask, _answer: &Self::Answer) -> Option<DeviceFault> {
            None
        }
        /// What of a device that sleeps is read once it is heard, after it may have said something in vain, and how long it is knocked at
        /// for that; `None`: it does not sleep, and is asked at once.
        fn reread(&self) -> Option<(Duration, Vec<PointId>)> {
            None
        }
        /// The medium may hold a write back until then, if the device cannot be reached at once; not beyond.
        fn hold(&self, _: &mut Self::Ask, _: Instant) {}
        /// The write that changes what was fetched into what is wanted.
        fn modify(
            &self,
            target: Target,
            value: &Value,
            fetched: Self::Answer,
        ) -> Result<Self::Ask, DeviceFault>;
        /// Whether a write was not done, and is to be begun again: the device does not know this way of writing, and there is
        /// another, which [`Model::write`] now gives; or it slept, and did not receive it.
        fn knows_better(&mut self, ask: &Self::Ask, answer: &Self::Answer) -> bool;
        /// What a device says that is at something else and has done nothing of a write, or of the read before it: the same is
        /// sent again in a while. `None`: it says something else.
        fn busy(&self, _ask: &Self::Ask, _answer: &Self::Answer) -> Option<DeviceFault> {
            None
        }
        /// Whether the answer to a write acknowledges it.
        fn acknowledge(&self, ask: &Self::Ask, answer: Self::Answer) -> Result<(), DeviceFault>;
        /// Whether an answer is a refusal of the protocol.
        fn refuses(&self, answer: &Self::Answer) -> bool;
        /// Whether a reading of `by` shows what was written to a point, as far as the wire can carry it.
        fn shows(&self, written: PointId, by: PointId, wanted: &Value, shown: &Value) -> bool;
        /// The connection was made anew.
        fn reconnected(&mut self);
        /// What a word of the device says.
        fn hear(&mut self, now: Instant, word: Self::Word) -> Heard;
        /// Whether the device says a point unasked, when it changes at least.
        fn tells(&self, point: PointId) -> bool;
        /// What it turned out not to say unasked although it should, and how often that is polled instead.
        fn unsaid(&self) -> &[(PointId, Duration)] {
            &[]
        }
        /// Whether it is given some time to say by itself that a write was done, before it is asked.
        fn says_so(&self, by: PointId) -> bool {
            self.tells(by)
        }
        /// Whether it has said before that it is what is written now, so that it has nothing to say: it is asked at once.
        fn shows_already(&self, _written: PointId, _by: PointId, _wanted: &Value) -> bool {
            false
        }
        /// What the device has last said of a point that it says unasked, and how long ago; of one that sleeps of any point.
        /// Asked for where it cannot be asked, or not now.
        fn known(&self, _: Instant, _: PointId) -> Option<Reading> {
            None
        }
        /// Whether somebody keeps count of it and says so: it need not be asked only to see whether it is there.
        fn is_watched(&self) -> bool {
            false
        }
        /// Whether nobody can know if it is there but by hearing it: it cannot be asked, and nobody keeps count of it. After
        /// the link was away it is believed to be where it was.
        fn is_taciturn(&self) -> bool;
        /// Pause after an answer of this device before it is asked again.
        fn guard(&self) -> Duration;
        /// Least time from one write to the next, whatever they write.
        fn write_rate(&self) -> Duration {
            Duration::ZERO
        }
        /// Pause after an answer of this device before anybody on the bus is asked.
        fn turnaround(&self) -> Duration;
    }

    /// The way to the devices of one bus; or of a link that many exchanges can use at once, the way to one device.
    ///
    /// Contract: a late reply never answers a later request. Where replies do not tell which request they are for, the
    /// connection is gone after any outcome but a clean answer ([`Medium::is_up`] is false), or the medium itself sees to
    /// it that what it sends cannot be answered by what is late. Both futures end within a bounded time of their own.
    pub(crate) trait Medium: Send + 'static {
        /// One request.
        type Ask: Send;
        /// What came back.
        type Answer: Send;
        /// Where what devices say unasked is heard.
        type Ear: Ear;

        /// After the link was away, its devices are polled within this time and not all at once.
        const SPREAD: Duration = Duration::ZERO;

        /// A read that is not answered yet may be given up for a write, and asked again after it: many devices never answer
        /// questions, and take orders all the same. An answer that comes too late is then a word like any other.
        const YIELDS: bool = false;

        /// Listens. There is one listener for each medium, which may outlive a connection.
        fn ear(&mut self) -> Self::Ear;
        /// Makes the connection; the error names the address in the user's words.
        fn connect(&mut self) -> impl Future<Output = Result<(), String>> + Send;
        /// Does one exchange.
        fn exchange(&mut self, ask: Self::Ask) -> impl Future<Output = Outcome<Self::Answer>> + Send;
        /// When the last exchange was answered, among what is heard: what was said before is older than the answer.
        fn answered(&self) -> Mark {
            Mark::default()
        }
        /// What waits for the device to be heard. The medium may see to it that it is.
        fn held(&mut self, _: Held) {}
        /// Whether the connection can take another exchange.
        fn is_up(&mut self) -> bool;
        /// How long whoever was asked last is left alone, because it may still say something; others are asked meanwhile.
        fn rest(&mut self) -> Option<Duration> {
            None
        }
    }
}
