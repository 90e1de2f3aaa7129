//! Keeps the scan of a radio going. Pure: whoever drives it has the clock and talks to D-Bus.
//!
//! States, and what follows:
//!
//! | state | what is so | what is done |
//! |---|---|---|
//! | [`Apart`](State::Apart) | no connection to D-Bus | one is made, with growing pauses |
//! | [`Opening`](State::Opening) | it is being made | |
//! | [`Waiting`](State::Waiting) | D-Bus is there, and nobody scans: no bluetoothd, no such radio, it is off, or it refuses | tried again with growing pauses, and at once when what was missing appears |
//! | [`Starting`](State::Starting) | the scan is being started | |
//! | [`Scanning`](State::Scanning) | it goes on | looked after every [`LOOK`] |
//!
//! Always:
//!
//! - Devices are told that the link is there only while the scan goes on, and why if not. A scan that is started again because
//!   it ended or fell silent does not take them away unless that fails.
//! - A scan that has ended by itself is started again at once.
//! - A scan from which nothing was heard for as long as the most talkative device may be silent is ended and started again: after
//!   twice that time the next time, and so on up to an hour, because perhaps nobody is near.
//! - When it is started again because of that, all who advertise are listened to, strangers too. If nobody is heard for as long as
//!   two of the devices may be silent the radio is deaf, which is told, until anybody is heard.
//! - A look that is not answered twice means that D-Bus or bluetoothd hangs: the connection is given up and made anew. Nothing
//!   else would show that, because no call ends.

use std::time::{Duration, Instant};

use crate::bus::backoff::{Backoff, Jitter};
use crate::bus::ear::LinkState;

use super::rhythm::Silence;

/// How often a scan is looked after.
pub(super) const LOOK: Duration = Duration::from_secs(10);

/// Pauses between attempts.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A scan that has lasted so long was a good one: the next pause is the shortest again.
const GOOD: Duration = Duration::from_secs(20);

/// While something is missing whose appearance would be told, it is looked for all the same so seldom.
const SELDOM: Duration = Duration::from_secs(60);

/// Longest time after which a silent scan is started again.
const DEAF: Duration = Duration::from_secs(3600);

/// Where strangers were heard, though none of the devices, nobody is missed before this time.
const STRANGERS: Duration = Duration::from_secs(600);

/// Looks without an answer after which nothing more is waited for.
const UNANSWERED: u32 = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Apart { at: Instant },
    Opening,
    Waiting { at: Instant },
    Starting,
    Scanning(Scan),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Scan {
    since: Instant,
    /// When it is to be looked after.
    look_at: Instant,
    /// A look is under way.
    looking: bool,
    /// Looks in a row that were not answered.
    unanswered: u32,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The connection to D-Bus is there, or cannot be made.
    Opened(Result<(), String>),
    /// It is lost.
    Lost(String),
    /// bluetoothd is there now, or is no longer.
    Service(bool),
    /// The radio was switched on or off.
    Powered(bool),
    /// There is a radio that was not there, be it this one or another; or this one was pulled out.
    Radio(bool),
    /// The scan was started, or could not be.
    Started(Result<(), String>),
    /// The radio says whether it scans.
    Discovering(bool),
    /// A look was answered with whether the radio scans; or not at all.
    Looked(Option<bool>),
}

impl Event {
    /// Why nothing more is heard; `None`: something may be.
    pub(super) fn is_end(&self) -> Option<String> {
        match self {
            Self::Lost(why) => Some(why.clone()),
            Self::Service(false) => Some("bluetoothd has ended".to_owned()),
            Self::Powered(false) => Some("the radio was switched off".to_owned()),
            Self::Radio(false) => Some("the radio was pulled out".to_owned()),
            _ => None,
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Give up a connection to D-Bus if there is one, and make another.
    Open,
    /// Start the scan.
    Start,
    /// End it and start it.
    Restart,
    /// See whether the radio scans.
    Look,
}

/// The keeper of a scan.
#[derive(Debug)]
pub(super) struct Vigil {
    state: State,
    link: LinkState,
    backoff: Backoff,
    /// When any device was heard the last time.
    heard: Instant,
    /// How often the scan was started again since then.
    deaf: u32,
    /// When anybody was heard the last time, be it a stranger.
    stirred: Instant,
    /// Started again because nothing was heard.
    silent: bool,
    /// Since when the first scan goes on that was started again because of that.
    again: Option<Instant>,
    /// Why the radio seems to hear nothing at all.
    hears_nothing: Option<String>,
    /// Why the last scan had to be started again.
    pub(super) told: Option<String>,
}

impl Vigil {
    /// Nothing is there yet.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            state: State::Apart { at: now },
            link: LinkState::Opening,
            backoff: Backoff::new(PAUSES.0, PAUSES.1),
            heard: now,
            deaf: 0,
            stirred: now,
            silent: false,
            again: None,
            hears_nothing: None,
            told: None,
        }
    }

    /// What devices are told.
    pub(super) fn link(&self) -> &LinkState {
        &self.link
    }

    /// A device was heard.
    pub(super) fn heard(&mut self, at: Instant) {
        if at > self.heard {
            self.heard = at;
            self.deaf = 0;
            self.forget_silence();
        }
    }

    /// Anybody was heard, be it a stranger.
    pub(super) fn stirred(&mut self, at: Instant) {
        if at > self.stirred {
            self.stirred = at;
            self.hears_nothing = None;
        }
    }

    /// Whether it is of use to hear strangers.
    pub(super) fn is_curious(&self) -> bool {
        self.silent
    }

    /// Why the radio seems to hear nothing, though it scans.
    pub(super) fn hears_nothing(&self) -> Option<&str> {
        self.hears_nothing.as_deref()
    }

    fn forget_silence(&mut self) {
        (self.silent, self.again, self.hears_nothing) = (false, None, None);
    }

    /// Something has happened.
    pub(super) fn handle(&mut self, now: Instant, event: Event, jitter: &mut Jitter) {
        match (event, &mut self.state) {
            (Event::Opened(Ok(())), _) => self.state = State::Waiting { at: now },
            (Event::Opened(Err(why)) | Event::Lost(why), _) => {
                let at = self.pause(now, jitter);
                self.down(why, State::Apart { at });
            }
            (_, State::Apart { .. } | State::Opening) => {}
            (Event::Service(false), _) => {
                self.down("bluetoothd is not running".to_owned(), State::Waiting { at: now + SELDOM });
            }
            (Event::Powered(false), _) => {
                self.down("the radio is switched off".to_owned(), State::Waiting { at: now + SELDOM });
            }
            (Event::Radio(false), _) => {
                self.down("the radio was pulled out".to_owned(), State::Waiting { at: now + SELDOM });
            }
            (Event::Service(true) | Event::Powered(true) | Event::Radio(true), State::Waiting { at }) => {
                *at = now;
            }
            (Event::Started(Ok(())), _) => {
                let scan = Scan { since: now, look_at: now + LOOK, looking: false, unanswered: 0 };
                self.state = State::Scanning(scan);
                if self.silent {
                    self.again = self.again.or(Some(now));
                } else {
                    self.heard = now;
                }
                self.link = LinkState::Up;
            }
            (Event::Started(Err(why)), _) => {
                let at = self.pause(now, jitter);
                self.down(why, State::Waiting { at });
            }
            // It may be of a scan that was ended to begin this one.
            (Event::Discovering(false), State::Scanning(scan)) => scan.look_at = now,
            (Event::Looked(Some(false)), State::Scanning(_)) => {
                let at = if self.is_young(now) { self.pause(now, jitter) } else { now };
                self.told = Some("the scan has ended".to_owned());
                self.state = State::Waiting { at };
            }
            (Event::Looked(Some(true)), State::Scanning(scan)) => {
                (scan.looking, scan.unanswered, scan.look_at) = (false, 0, now + LOOK);
                if now.saturating_duration_since(scan.since) >= GOOD {
                    self.backoff.reset();
                }
            }
            (Event::Looked(None), State::Scanning(scan)) => {
                (scan.looking, scan.look_at) = (false, now + LOOK / 4);
                scan.unanswered += 1;
                if scan.unanswered >= UNANSWERED {
                    self.down("D-Bus or bluetoothd does not answer".to_owned(), State::Apart { at: now });
                }
            }
            _ => {}
        }
    }

    /// A scan that ends again and again is not started at once each time.
    fn is_young(&self, now: Instant) -> bool {
        matches!(&self.state, State::Scanning(scan) if now.saturating_duration_since(scan.since) < GOOD)
    }

    fn pause(&mut self, now: Instant, jitter: &mut Jitter) -> Instant {
        now + self.backoff.next(jitter)
    }

    fn down(&mut self, why: String, state: State) {
        self.state = state;
        self.forget_silence();
        self.link = LinkState::Down(why);
    }

    /// What to do now. `silence`: how long nothing may be heard, if anybody knows.
    pub(super) fn poll(&mut self, now: Instant, silence: Option<Silence>) -> Option<Order> {
        self.judge(now, silence);
        if self.wakes_at(silence).is_none_or(|at| at > now) {
            return None;
        }
        let deaf_at = self.deaf_at(silence);
        match &mut self.state {
            State::Apart { .. } => {
                self.state = State::Opening;
                Some(Order::Open)
            }
            State::Waiting { .. } => {
                self.state = State::Starting;
                Some(Order::Start)
            }
            State::Scanning(_) if deaf_at.is_some_and(|at| at <= now) => {
                self.deaf += 1;
                self.silent = true;
                self.told = Some("nothing was heard".to_owned());
                self.state = State::Starting;
                Some(Order::Restart)
            }
            State::Scanning(scan) => {
                scan.looking = true;
                Some(Order::Look)
            }
            State::Opening | State::Starting => None,
        }
    }

    /// When to poll at the latest.
    pub(super) fn wakes_at(&self, silence: Option<Silence>) -> Option<Instant> {
        match &self.state {
            State::Apart { at } | State::Waiting { at } => Some(*at),
            State::Opening | State::Starting => None,
            State::Scanning(scan) if scan.looking => None,
            State::Scanning(scan) => {
                let silent = [self.deaf_at(silence), self.hears_nothing_at(silence)];
                silent.into_iter().flatten().chain([scan.look_at]).min()
            }
        }
    }

    /// When the scan will have been silent for too long.
    fn deaf_at(&self, silence: Option<Silence>) -> Option<Instant> {
        let patience = silence?.odd;
        let State::Scanning(scan) = &self.state else { return None };
        let times = 1u32.checked_shl(self.deaf.min(16)).unwrap_or(u32::MAX);
        Some(self.heard.max(scan.since) + patience.saturating_mul(times).min(DEAF))
    }

    /// When nobody at all will have been heard for too long since the scan was started again.
    fn hears_nothing_at(&self, silence: Option<Silence>) -> Option<Instant> {
        let (again, common) = (self.again?, silence?.common);
        let is_told = self.hears_nothing.is_some() || !matches!(self.state, State::Scanning(_));
        // Who has heard strangers is not deaf, and they may be few.
        let common = if self.stirred > self.heard { common.max(STRANGERS) } else { common };
        (!is_told).then(|| self.stirred.max(again) + common)
    }

    fn judge(&mut self, now: Instant, silence: Option<Silence>) {
        if self.hears_nothing_at(silence).is_some_and(|at| at <= now) {
            let seconds = now.saturating_duration_since(self.heard.max(self.stirred)).as_secs();
            self.hears_nothing = Some(format!(
                "the radio scans and has heard nobody for {seconds} s, though its scan was started again: it hangs, or nobody is near"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const SILENCE: Silence = Silence { odd: Duration::from_secs(20), common: Duration::from_secs(30) };

    struct Night {
        vigil: Vigil,
        now: Instant,
        jitter: Jitter,
        silence: Option<Silence>,
    }

    impl Night {
        fn new() -> Self {
            let now = Instant::now();
            Self { vigil: Vigil::new(now), now, jitter: Jitter::seeded(1), silence: Some(SILENCE) }
        }

        /// One whose scan goes on.
        fn scanning() -> Self {
            let mut night = Self::new();
            assert_eq!(night.order(), Some(Order::Open));
            night.happens(Event::Opened(Ok(())));
            assert_eq!(night.order(), Some(Order::Start));
            night.happens(Event::Started(Ok(())));
            assert_eq!(*night.vigil.link(), LinkState::Up);
            night
        }

        fn happens(&mut self, event: Event) {
            self.vigil.handle(self.now, event, &mut self.jitter);
        }

        fn order(&mut self) -> Option<Order> {
            self.vigil.poll(self.now, self.silence)
        }

        /// Waits for the next order.
        fn next(&mut self) -> (Duration, Order) {
            let before = self.now;
            self.now = self.vigil.wakes_at(self.silence).expect("something is to be done").max(self.now);
            (self.now - before, self.order().expect("an order"))
        }

        /// Waits for the next order, however often it is only thought about before.
        fn wait(&mut self) -> Order {
            loop {
                self.now = self.vigil.wakes_at(self.silence).expect("something is to be done").max(self.now);
                if let Some(order) = self.order() {
                    return order;
                }
            }
        }

        /// Waits for so long, in which nobody hangs.
        fn passes(&mut self, time: Duration) {
            let until = self.now + time;
            while let Some(at) = self.vigil.wakes_at(self.silence).filter(|at| *at <= until) {
                self.now = at.max(self.now);
                match self.order() {
                    Some(Order::Look) => self.happens(Event::Looked(Some(true))),
                    Some(Order::Restart) => self.happens(Event::Started(Ok(()))),
                    None => {}
                    other => panic!("{other:?}"),
                }
            }
            self.now = until;
        }

        fn why(&self) -> Option<&str> {
            match self.vigil.link() {
                LinkState::Down(why) => Some(why),
                LinkState::Opening | LinkState::Up => None,
            }
        }
    }

    #[test]
    fn what_cannot_be_opened_is_tried_again_with_growing_pauses() {
        let mut night = Night::new();
        assert_eq!(night.order(), Some(Order::Open));
        assert_eq!(night.order(), None, "it is under way");
        let mut pauses = Vec::new();
        for _ in 0..8 {
            night.happens(Event::Opened(Err("no D-Bus".to_owned())));
            assert_eq!(night.why(), Some("no D-Bus"));
            let (pause, order) = night.next();
            assert_eq!(order, Order::Open);
            pauses.push(pause);
        }
        assert!(
            pauses[0] <= 2 * SECOND && pauses[7] >= 15 * SECOND && pauses[7] <= 45 * SECOND,
            "{pauses:?}"
        );
    }

    #[test]
    fn bluetoothd_comes_back_and_is_used_at_once() {
        let mut night = Night::scanning();
        night.happens(Event::Service(false));
        assert_eq!(night.why(), Some("bluetoothd is not running"));
        night.now += SECOND;
        assert_eq!(night.order(), None);
        night.happens(Event::Service(true));
        assert_eq!(night.order(), Some(Order::Start));
        night.happens(Event::Started(Ok(())));
        assert_eq!(night.why(), None);
    }

    /// It is switched on a moment later, which is told too.
    #[test]
    fn a_radio_that_was_pulled_out_is_used_at_once_when_it_is_back() {
        let mut night = Night::scanning();
        night.happens(Event::Powered(false));
        night.happens(Event::Radio(false));
        assert_eq!(night.why(), Some("the radio was pulled out"));
        night.now += 5 * SECOND;
        assert_eq!(night.order(), None);
        night.happens(Event::Radio(true));
        assert_eq!(night.order(), Some(Order::Start));
        night.happens(Event::Started(Err("the radio hci0 is switched off".to_owned())));
        assert_eq!(night.order(), None);
        night.happens(Event::Powered(true));
        assert_eq!(night.order(), Some(Order::Start));
        night.happens(Event::Started(Ok(())));
        assert_eq!(night.why(), None);
        night.happens(Event::Radio(true));
        assert_eq!(night.order(), None, "another one");
        assert_eq!(night.why(), None);
    }

    #[test]
    fn a_lost_bus_is_opened_anew() {
        let mut night = Night::scanning();
        night.happens(Event::Lost("the connection to D-Bus is lost".to_owned()));
        assert!(night.why().is_some());
        night.happens(Event::Service(true));
        let (pause, order) = night.next();
        assert!(order == Order::Open && pause <= 2 * SECOND);
    }

    #[test]
    fn a_scan_that_has_ended_is_started_again_without_taking_devices_away() {
        let mut night = Night::scanning();
        night.now += 60 * SECOND;
        night.vigil.heard(night.now);
        night.happens(Event::Discovering(false));
        assert_eq!(night.next(), (Duration::ZERO, Order::Look));
        night.happens(Event::Looked(Some(false)));
        assert_eq!(night.why(), None);
        assert_eq!(night.next(), (Duration::ZERO, Order::Start));
        night.happens(Event::Started(Ok(())));
        night.happens(Event::Looked(Some(false)));
        assert!(night.next().0 > Duration::ZERO, "not again and again at once");
    }

    #[test]
    fn a_silent_scan_is_started_again_more_and_more_seldom() {
        let mut night = Night::scanning();
        let mut restarts = Vec::new();
        let mut silent = Duration::ZERO;
        while restarts.len() < 3 {
            let before = night.now;
            let order = night.wait();
            silent += night.now - before;
            match order {
                Order::Look => night.happens(Event::Looked(Some(true))),
                Order::Restart => {
                    restarts.push(std::mem::take(&mut silent));
                    night.happens(Event::Started(Ok(())));
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(night.why(), None);
        }
        assert_eq!(restarts, [20 * SECOND, 40 * SECOND, 80 * SECOND]);
        night.vigil.heard(night.now);
        assert_eq!(night.vigil.deaf, 0);
    }

    /// First the scan is started again, then it is told: by the time that two devices may be silent, no sooner.
    #[test]
    fn a_radio_that_hears_nobody_is_told_until_anybody_is_heard() {
        let mut night = Night::scanning();
        night.passes(49 * SECOND);
        assert!(night.vigil.is_curious() && night.vigil.hears_nothing().is_none());
        night.passes(SECOND);
        assert!(night.vigil.hears_nothing().is_some_and(|why| why.contains("heard nobody for 50 s")));
        assert_eq!(night.why(), None, "connections go on");
        night.passes(600 * SECOND);
        assert!(night.vigil.hears_nothing().is_some_and(|why| why.contains("for 50 s")), "it stays the same");
        night.vigil.heard(night.now);
        assert!(night.vigil.hears_nothing().is_none() && !night.vigil.is_curious());
        night.passes(49 * SECOND);
        night.happens(Event::Powered(false));
        night.happens(Event::Powered(true));
        assert_eq!(night.order(), Some(Order::Start));
        night.happens(Event::Started(Ok(())));
        night.passes(49 * SECOND);
        assert!(night.vigil.hears_nothing().is_none(), "it has only just begun to scan");
    }

    /// They show that the radio hears; but where they are few they are not waited for.
    #[test]
    fn who_hears_strangers_is_not_deaf() {
        let mut night = Night::scanning();
        night.passes(30 * SECOND);
        night.vigil.stirred(night.now);
        night.passes(STRANGERS - SECOND);
        assert!(night.vigil.hears_nothing().is_none() && night.vigil.is_curious());
        night.passes(SECOND);
        assert!(night.vigil.hears_nothing().is_some());
        night.vigil.stirred(night.now);
        assert!(night.vigil.hears_nothing().is_none());
    }

    #[test]
    fn who_hears_something_restarts_nothing() {
        let mut night = Night::scanning();
        for _ in 0..100 {
            let (_, order) = night.next();
            assert_eq!(order, Order::Look);
            night.happens(Event::Looked(Some(true)));
            night.vigil.heard(night.now);
        }
        night.silence = None;
        for _ in 0..100 {
            assert_eq!(night.next().1, Order::Look, "of nobody is it known how often it speaks");
            night.happens(Event::Looked(Some(true)));
        }
    }

    #[test]
    fn what_hangs_is_given_up() {
        let mut night = Night::scanning();
        night.silence = None;
        for _ in 0..UNANSWERED {
            assert_eq!(night.next().1, Order::Look);
            assert_eq!(night.why(), None);
            night.happens(Event::Looked(None));
        }
        assert_eq!(night.why(), Some("D-Bus or bluetoothd does not answer"));
        assert_eq!(night.next(), (Duration::ZERO, Order::Open));
    }

    #[test]
    fn a_radio_that_is_switched_on_is_used() {
        let mut night = Night::scanning();
        night.happens(Event::Powered(false));
        night.happens(Event::Discovering(false));
        assert_eq!(night.why(), Some("the radio is switched off"));
        night.happens(Event::Powered(true));
        assert_eq!(night.next(), (Duration::ZERO, Order::Start));
    }
}
