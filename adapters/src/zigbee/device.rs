//! The way to one device: its share of the network.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::time::sleep_until;
use usp_mapping::mapping::Device;
use usp_mapping::port::{DeviceFault, DeviceId, PointId};
use usp_mapping::zigbee::zcl;

use super::board::{Board, Question, Said as Reply, Unanswered, ieee_of, now};
use super::hold::{Hold, Step};
use super::model::{Answer, Ask, clears, patience};
use super::ncp::Ieee;
use super::word::Word;
use crate::bus::ear::{Ear, LinkState, Mark, Said, SharedEar, linked};
use crate::bus::mailbox::Mailbox;
use crate::bus::{BusPlan, Ends, Medium, Outcome};

/// How long an answer to a knock may take: as long as parents keep a message.
const KNOCK: Duration = Duration::from_secs(8);

/// A device's share of the network. It listens for as long as it lives.
pub(crate) struct ZigbeeDevice {
    board: Arc<Board>,
    id: DeviceId,
    ieee: Ieee,
    link: watch::Receiver<LinkState>,
    plan: watch::Receiver<Arc<BusPlan>>,
    letters: Arc<Mailbox<Word>>,
    heard: watch::Receiver<Option<Instant>>,
    /// What its ear has found out, for what is held back.
    gone: Arc<Gone>,
    /// When the last answer came among what is heard.
    answered: Mark,
}

/// A device that sleeps has not received what was sent.
struct Missed;

/// Whether a device that sleeps counts as away, and what had been heard when something was sent last.
#[derive(Debug, Default)]
struct Gone {
    is_gone: AtomicBool,
    sending: AtomicU64,
    news: Notify,
}

impl Gone {
    fn set(&self, is_gone: bool) {
        self.is_gone.store(is_gone, Ordering::Relaxed);
        self.news.notify_waiters();
    }

    async fn wait(&self) {
        loop {
            let news = self.news.notified();
            if self.is_gone.load(Ordering::Relaxed) {
                return;
            }
            news.await;
        }
    }
}

impl ZigbeeDevice {
    /// Listens for the device of a worker.
    pub(crate) fn new(board: &Arc<Board>, ends: &Ends) -> Self {
        let plan = ends.plan.clone();
        let device = plan.borrow().devices.first().map(Arc::clone);
        let (letters, heard) = match &device {
            Some(device) => board.listen(device),
            None => (Arc::new(Mailbox::new(Arc::default())), watch::channel(None).1),
        };
        let ieee = device.as_ref().map_or(Ieee(0), |device| ieee_of(device));
        let id = device.map_or_else(|| DeviceId("".into()), |device| device.id.clone());
        let (link, gone) = (board.state.subscribe(), Arc::default());
        let (board, answered) = (Arc::clone(board), Mark::default());
        Self { board, id, ieee, link, plan, letters, heard, gone, answered }
    }

    /// Sends a question, once; `Err`: a device that sleeps did not receive it.
    async fn ask(&mut self, ask: &Ask) -> Result<Outcome<Answer>, Missed> {
        // What was said until now does not follow from it.
        self.gone.sending.store(self.letters.mark().0, Ordering::Relaxed);
        let within = if ask.is_told { Duration::ZERO } else { ask.timeout };
        let ends = (Some(&self.letters), ask.until);
        let asked = self.board.ask_by(self.ieee, &ask.question, within, ends).await;
        Ok(match asked {
            Ok((Reply::Zcl(frame), mark)) => {
                self.answered = mark;
                Outcome::Answered(Answer::Said(frame))
            }
            Ok((Reply::Zdo(_), _)) => Outcome::Silent(DeviceFault::Unknown),
            // It was delivered, and nothing more was to come.
            Err(Unanswered::Silent(DeviceFault::Timeout(_))) if ask.is_told => {
                Outcome::Answered(Answer::Sent)
            }
            Err(Unanswered::Unsent(DeviceFault::Expired)) => Outcome::Taken(Answer::Expired),
            Err(Unanswered::Missed) if ask.is_held => return Err(Missed),
            // That one that sleeps does not answer says nothing, nor what was not sent.
            Err(why @ (Unanswered::Missed | Unanswered::Unsent(_))) => {
                Outcome::Taken(Answer::Unreached(why.fault()))
            }
            Err(why) if ask.sleeps => Outcome::Taken(Answer::Unreached(why.fault())),
            Err(why) => Outcome::Silent(why.fault()),
        })
    }

    /// Holds a write back until the device is heard, then sends it.
    async fn hold(&mut self, ask: &Ask, until: Instant) -> Outcome<Answer> {
        let mut hold = Hold::new(now(), until);
        let (mut link, gone) = (self.link.clone(), Arc::clone(&self.gone));
        let lost = async {
            tokio::select! {
                _ = link.wait_for(|state| *state != LinkState::Up) => "the coordinator is gone",
                () = gone.wait() => "the device is gone",
            }
        };
        tokio::pin!(lost);
        loop {
            let heard_at = *self.heard.borrow_and_update();
            let wait = match hold.next(now(), heard_at) {
                // It was heard just now: that it does not answer says what it says of any other.
                Step::Send => match self.ask(&Ask { sleeps: false, ..ask.clone() }).await {
                    Ok(outcome) => return outcome,
                    Err(Missed) => {
                        hold.missed(now());
                        continue;
                    }
                },
                Step::Expired => return Outcome::Taken(Answer::Expired),
                Step::Knock => {
                    let mut heard = self.heard.clone();
                    let answered = tokio::select! {
                        why = &mut lost => return unsent(why),
                        () = sleep_until(until.into()) => continue,
                        _ = heard.changed() => true,
                        knocked = self.knock() => knocked,
                    };
                    if !answered {
                        hold.knocked(now());
                    }
                    continue;
                }
                Step::Wait(at) => at,
            };
            tokio::select! {
                why = &mut lost => return unsent(why),
                () = sleep_until(wait.into()) => {}
                _ = self.heard.changed() => {}
            }
        }
    }

    /// Asks for something that every device has and that changes nothing.
    async fn knock(&self) -> bool {
        let endpoint = self.board.known(self.ieee).and_then(|known| Some(known.endpoints.first()?.number));
        let frame = zcl::read_attributes(None, &[0x0000]);
        let question = Question::zcl(endpoint.unwrap_or(1), super::interview::BASIC, &frame);
        self.board.ask(self.ieee, &question, KNOCK).await.is_ok()
    }
}

fn unsent(why: &str) -> Outcome<Answer> {
    Outcome::Silent(DeviceFault::Unreachable(format!("{why}; it was not sent")))
}

impl Drop for ZigbeeDevice {
    fn drop(&mut self) {
        self.board.leave(&self.id, &self.letters);
    }
}

impl Medium for ZigbeeDevice {
    type Ask = Ask;
    type Answer = Answer;
    type Ear = ZigbeeEar;

    const SPREAD: Duration = Duration::from_secs(10);

    fn ear(&mut self) -> ZigbeeEar {
        let shared = SharedEar::new(self.link.clone(), Arc::clone(&self.letters));
        let gone = Arc::clone(&self.gone);
        let (plan, heard) = (self.plan.clone(), self.heard.clone());
        ZigbeeEar { shared, plan, heard, silent_at: None, over: Vec::new(), is_up: false, gone }
    }

    async fn connect(&mut self) -> Result<(), String> {
        linked(&mut self.link).await
    }

    async fn exchange(&mut self, ask: Ask) -> Outcome<Answer> {
        if let Some(until) = ask.until.filter(|_| ask.is_held) {
            return self.hold(&ask, until).await;
        }
        let missed = |Missed| Outcome::Taken(Answer::Unreached(Unanswered::Missed.fault()));
        self.ask(&ask).await.unwrap_or_else(missed)
    }

    fn answered(&self) -> Mark {
        self.answered
    }

    fn is_up(&mut self) -> bool {
        *self.link.borrow() == LinkState::Up
    }
}

/// Hears what a device says, that it says nothing, and that what it said is over.
#[derive(Debug)]
pub(crate) struct ZigbeeEar {
    shared: SharedEar<Word>,
    plan: watch::Receiver<Arc<BusPlan>>,
    heard: watch::Receiver<Option<Instant>>,
    /// When it will have been silent for too long.
    silent_at: Option<Instant>,
    /// What is over when, if it is not said again.
    over: Vec<(Instant, PointId)>,
    is_up: bool,
    gone: Arc<Gone>,
}

impl ZigbeeEar {
    fn device(&self) -> Option<Arc<Device>> {
        self.plan.borrow().devices.first().map(Arc::clone)
    }

    /// How long its device may be silent, and whether it sleeps.
    fn patience(&self) -> Option<(Duration, bool)> {
        self.device().and_then(|device| patience(&device))
    }

    /// It is there: its silence begins now.
    fn begin(&mut self) {
        self.silent_at = self.patience().map(|(patience, _)| now() + patience);
        self.gone.set(false);
    }

    fn note(&mut self, word: &Word) {
        match word {
            Word::Frame { endpoint, cluster, frame, .. } => {
                self.begin();
                let Some(device) = self.device() else { return };
                for (point, after) in clears(&device.mapping, *endpoint, *cluster, frame) {
                    self.over.retain(|(_, known)| *known != point);
                    self.over.extend(after.map(|after| (now() + after, point)));
                }
            }
            Word::Back => self.begin(),
            Word::Left(_) => {
                self.silent_at = None;
                self.gone.set(true);
            }
            Word::Unreported(_) | Word::Silent(_) | Word::Over(_) => {}
        }
    }

    /// What is told when nothing is heard until then.
    fn next_silence(&self) -> Option<(Instant, Option<PointId>)> {
        // What was over while the link was away is told when it is back.
        let over = self.over.iter().filter(|_| self.is_up);
        let over = over.map(|(at, point)| (*at, Some(*point))).min_by_key(|(at, _)| *at);
        let silent = self.silent_at.map(|at| (at, None));
        over.into_iter().chain(silent).min_by_key(|(at, _)| *at)
    }

    /// What follows from it; `None`: nothing, because it was heard after all.
    fn silence(&mut self, point: Option<PointId>) -> Option<Said<Word>> {
        if let Some(point) = point {
            self.over.retain(|(_, known)| *known != point);
            return Some(Said::Word(Word::Over(point)));
        }
        let (patience, sleeps) = self.patience()?;
        let heard_at = *self.heard.borrow();
        if let Some(until) = heard_at.map(|at| at + patience).filter(|until| *until > now()) {
            // It has answered questions meanwhile.
            self.silent_at = Some(until);
            return None;
        }
        if !sleeps {
            // It can be asked whether it is there.
            self.silent_at = Some(now() + patience);
            return Some(Said::Doubt);
        }
        // It is told once, until the device is heard again.
        self.silent_at = None;
        self.gone.set(true);
        Some(Said::Word(Word::Silent(patience)))
    }
}

impl Ear for ZigbeeEar {
    type Word = Word;

    fn hear_before(&mut self, mark: Mark) -> Option<Said<Word>> {
        let said = self.shared.hear_before(mark)?;
        if let Said::Word(word) = &said {
            self.note(word);
        }
        Some(said)
    }

    async fn hear(&mut self) -> Said<Word> {
        if let Some(Said::Word(word)) = self.hear_before(Mark(self.gone.sending.load(Ordering::Relaxed))) {
            return Said::Word(word.aged());
        }
        let said = loop {
            let next = self.next_silence();
            let silence = async {
                match next {
                    Some((at, point)) => {
                        sleep_until(at.into()).await;
                        point
                    }
                    None => std::future::pending().await,
                }
            };
            let over = tokio::select! {
                biased;
                said = self.shared.hear() => break said,
                point = silence => point,
            };
            if let Some(said) = self.silence(over) {
                return said;
            }
            if self.next_silence() == next {
                self.silent_at = None;
            }
        };
        match &said {
            Said::Word(word) => self.note(word),
            Said::LinkUp => {
                self.is_up = true;
                self.begin();
            }
            Said::LinkDown(_) => {
                self.is_up = false;
                self.silent_at = None;
            }
            Said::Doubt => {}
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};
    use usp_mapping::mapping::Bus;
    use usp_mapping::zigbee::zcl::Frame;

    use super::*;
    use crate::zigbee::tests::points::{SENSOR, site};

    const SECOND: Duration = Duration::from_secs(1);

    /// The coordinator is away just when motion would be over: it is over when that is back.
    #[tokio::test(start_paused = true)]
    async fn what_is_over_while_the_coordinator_is_away_is_told_afterwards() {
        let site = site(SENSOR);
        let bus: Bus = site.buses[0].clone();
        let devices = site.devices.into_iter().map(Arc::new).collect();
        let plan = watch::channel(Arc::new(BusPlan { names: vec![bus.name.clone()], bus, devices })).1;
        let (link, state) = watch::channel(LinkState::Up);
        let letters = Arc::new(Mailbox::new(Arc::default()));
        let shared = SharedEar::new(state, Arc::clone(&letters));
        let (heard, gone) = (watch::channel(None).1, Arc::default());
        let mut ear =
            ZigbeeEar { shared, plan, heard, silent_at: None, over: Vec::new(), is_up: false, gone };
        assert!(matches!(ear.hear().await, Said::LinkUp));
        letters.put(Word::frame(1, 0x0406, Frame::parse(&[0x18, 1, 0x0a, 0, 0, 0x18, 1]).unwrap()));
        assert!(matches!(ear.hear().await, Said::Word(Word::Frame { .. })));
        link.send_replace(LinkState::Down("unplugged".to_owned()));
        assert!(matches!(ear.hear().await, Said::LinkDown(_)));
        advance(100 * SECOND).await;
        assert!(timeout(SECOND, ear.hear()).await.is_err(), "nobody listens while it is away");
        link.send_replace(LinkState::Up);
        assert!(matches!(ear.hear().await, Said::LinkUp));
        let over = timeout(SECOND, ear.hear()).await.unwrap();
        assert!(matches!(over, Said::Word(Word::Over(PointId(0)))), "{over:?}");
    }
}
