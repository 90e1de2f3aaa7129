//! The way to one device: its share of the network.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout_at};
use usp_mapping::mapping::Device;
use usp_mapping::port::{DeviceFault, DeviceId, PointId};
use usp_mapping::zigbee::zcl;

use super::board::{Board, Question, Said as Reply, Unanswered, ieee_of, now};
use super::hold::{Hold, Step};
use super::model::{Answer, Ask, PAUSES, clears, patience};
use super::ncp::Ieee;
use super::word::Word;
use crate::bus::ear::{Ear, LinkState, Mark, Said, SharedEar, linked};
use crate::bus::mailbox::Mailbox;
use crate::bus::{BusPlan, Ends, Held, Medium, Outcome};

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
    shares: Arc<Shares>,
    /// When the last answer came among what is heard.
    answered: Mark,
}

/// What a device's way and its ear share.
#[derive(Debug, Default)]
struct Shares {
    /// What had been heard when something was sent last.
    sending: AtomicU64,
    /// What waits for the device to be heard.
    held: Mutex<Held>,
}

impl Shares {
    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        // It is whole after each operation.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
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
        let (link, shares) = (board.state.subscribe(), Arc::default());
        let (board, answered) = (Arc::clone(board), Mark::default());
        Self { board, id, ieee, link, plan, letters, heard, shares, answered }
    }

    /// Sends a question, once.
    async fn ask(&mut self, ask: &Ask) -> Outcome<Answer> {
        // What was said until now does not follow from it.
        self.shares.sending.store(self.letters.mark().0, Ordering::Relaxed);
        let within = if ask.is_told { Duration::ZERO } else { ask.timeout };
        let ends = (Some(&self.letters), ask.until);
        let asked = self.board.ask_by(self.ieee, &ask.question, within, ends).await;
        match asked {
            Ok((Reply::Zcl(frame), mark)) => {
                self.answered = mark;
                Outcome::Answered(Answer::of(&ask.question, frame))
            }
            Ok((Reply::Zdo(_), _)) => Outcome::Silent(DeviceFault::Unknown),
            // It was delivered, and nothing more was to come.
            Err(Unanswered::Silent(DeviceFault::Timeout(_))) if ask.is_told => {
                Outcome::Answered(Answer::Sent)
            }
            Err(Unanswered::Unsent(DeviceFault::Expired)) => Outcome::Taken(Answer::Expired),
            // It has as long as it had: nothing was done.
            Err(Unanswered::Missed) if ask.is_held => Outcome::Taken(Answer::Missed),
            Err(Unanswered::Unsent(fault)) if ask.is_held && !matches!(fault, DeviceFault::Unwritable(_)) => {
                Outcome::Taken(Answer::Missed)
            }
            Err(Unanswered::Unsure(fault)) if ask.is_held => Outcome::Taken(Answer::Unsure(fault)),
            // That one that sleeps does not answer says nothing, nor what was not sent; that it has left is heard.
            Err(why @ (Unanswered::Missed | Unanswered::Unsent(_))) => {
                Outcome::Taken(Answer::Unreached(why.fault()))
            }
            Err(Unanswered::Left) => Outcome::Taken(Answer::Unreached(perhaps(Unanswered::Left.fault()))),
            Err(why) if ask.sleeps => Outcome::Taken(Answer::Unreached(perhaps(why.fault()))),
            Err(why) => Outcome::Silent(why.fault()),
        }
    }
}

/// It may have been received.
fn perhaps(fault: DeviceFault) -> DeviceFault {
    match fault {
        DeviceFault::Unreachable(_) => DeviceFault::Unsettled(fault.to_string()),
        other => other,
    }
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
        let (plan, heard, shares) = (self.plan.clone(), self.heard.clone(), Arc::clone(&self.shares));
        ZigbeeEar::new((Arc::clone(&self.board), self.ieee), shared, plan, heard, shares)
    }

    async fn connect(&mut self) -> Result<(), String> {
        linked(&mut self.link).await
    }

    async fn exchange(&mut self, ask: Ask) -> Outcome<Answer> {
        self.ask(&ask).await
    }

    fn answered(&self) -> Mark {
        self.answered
    }

    fn held(&mut self, held: Held) {
        *self.shares.held() = held;
    }

    fn is_up(&mut self) -> bool {
        *self.link.borrow() == LinkState::Up
    }
}

/// Hears what a device says, that it says nothing, and that what it said is over.
#[derive(Debug)]
pub(crate) struct ZigbeeEar {
    board: Arc<Board>,
    ieee: Ieee,
    shared: SharedEar<Word>,
    plan: watch::Receiver<Arc<BusPlan>>,
    heard: watch::Receiver<Option<Instant>>,
    /// When it will have been silent for too long.
    silent_at: Option<Instant>,
    /// What is over when, if it is not said again.
    over: Vec<(Instant, PointId)>,
    is_up: bool,
    shares: Arc<Shares>,
    /// Something waits for the device, and whether somebody does.
    hold: Option<(Hold, bool)>,
    /// It is knocked at for what nobody waits for.
    knocks: Option<JoinHandle<()>>,
}

impl ZigbeeEar {
    fn new(
        (board, ieee): (Arc<Board>, Ieee),
        shared: SharedEar<Word>,
        plan: watch::Receiver<Arc<BusPlan>>,
        heard: watch::Receiver<Option<Instant>>,
        shares: Arc<Shares>,
    ) -> Self {
        let (over, is_up, silent_at, hold, knocks) = (Vec::new(), false, None, None, None);
        Self { board, ieee, shared, plan, heard, silent_at, over, is_up, shares, hold, knocks }
    }

    /// What is to be done for what waits; `None`: nothing does.
    fn holds(&mut self) -> Option<Step> {
        let Held { wanted, reread } = *self.shares.held();
        match (wanted.max(reread), &mut self.hold) {
            (Some(until), Some((hold, is_wanted))) if *is_wanted || wanted.is_none() => {
                (hold.until, *is_wanted) = (until, wanted.is_some());
            }
            // Whoever waits now does not wait for the pause of something else to be over.
            (Some(until), _) => self.hold = Some((Hold::new(now(), until), wanted.is_some())),
            (None, _) => self.hold = None,
        }
        let heard_at = *self.heard.borrow();
        self.hold.as_ref().map(|(hold, _)| hold.next(now(), heard_at))
    }

    /// Does what is to be done for what waits. Whether the device is awake, or until when nothing is to be done.
    fn knock(&mut self) -> Result<(), Option<Instant>> {
        loop {
            let step = self.holds();
            let (Some(step), Some((hold, is_wanted))) = (step, &mut self.hold) else { return Err(None) };
            match step {
                Step::Awake => {
                    hold.told(*self.heard.borrow());
                    return Ok(());
                }
                Step::Knock => {
                    hold.knocked(now() + KNOCK);
                    let is_wanted = *is_wanted;
                    self.begin_knock(is_wanted);
                }
                Step::Wait(at) => return Err(Some(at)),
                Step::Over => return Err(None),
            }
        }
    }

    /// What nobody waits for waits its turn, and is no hurry.
    fn begin_knock(&mut self, is_wanted: bool) {
        let (board, ieee) = (Arc::clone(&self.board), self.ieee);
        if is_wanted {
            tokio::spawn(async move { knock(&board, ieee).await });
            return;
        }
        if self.knocks.as_ref().is_some_and(|knocks| !knocks.is_finished()) {
            return;
        }
        let (shares, heard_at) = (Arc::clone(&self.shares), *self.heard.borrow());
        let heard = self.heard.clone();
        self.knocks = Some(tokio::spawn(async move {
            let Some(until) = shares.held().reread else { return };
            let Ok(Ok(_place)) = timeout_at(until.into(), board.patience.acquire()).await else { return };
            let is_over = shares.held().reread.is_none() || *heard.borrow() != heard_at;
            if !is_over {
                knock(&board, ieee).await;
            }
        }));
    }

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
    }

    /// Its link is back. Its silence began when it was heard last, but whoever had something to say meanwhile is given the time to say it
    /// again.
    fn resume(&mut self) {
        let Some((patience, _)) = self.patience() else { return };
        let heard_at = *self.heard.borrow();
        let again = now() + patience / PAUSES;
        self.silent_at = Some(heard_at.map_or(now() + patience, |at| (at + patience).max(again)));
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
            Word::Left(_) => self.silent_at = None,
            Word::Unreported(_)
            | Word::Awake
            | Word::Silent(_)
            | Word::Over(_)
            | Word::Lost(_)
            | Word::Reread => {}
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
        if let Some(Said::Word(word)) = self.hear_before(Mark(self.shares.sending.load(Ordering::Relaxed))) {
            return Said::Word(word.aged());
        }
        let said = loop {
            let knock_at = match self.knock() {
                Ok(()) => return Said::Word(Word::Awake),
                Err(until) => until,
            };
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
                () = sleep_until(knock_at.unwrap_or_else(now).into()), if knock_at.is_some() => continue,
                Ok(()) = self.heard.changed(), if knock_at.is_some() => continue,
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
                self.resume();
            }
            Said::LinkDown(_) | Said::LinkRefused(_) => {
                self.is_up = false;
                self.silent_at = None;
            }
            Said::Doubt => {}
        }
        said
    }
}

/// Asks for something that every device has and that changes nothing. What matters is that it is heard.
async fn knock(board: &Board, ieee: Ieee) {
    let endpoint = board.known(ieee).and_then(|known| Some(known.endpoints.first()?.number));
    let frame = zcl::read_attributes(None, &[0x0000]);
    let question = Question::zcl(endpoint.unwrap_or(1), super::interview::BASIC, &frame);
    board.ask(ieee, &question, KNOCK).await.ok();
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};
    use usp_mapping::mapping::Bus;
    use usp_mapping::zigbee::zcl::Frame;

    use super::*;
    use crate::zigbee::members::Members;
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
        let (heard, shares) = (watch::channel(None).1, Arc::default());
        let board = Board::new("mesh", Arc::default(), Members::default(), false);
        let mut ear = ZigbeeEar::new((board, Ieee(1)), shared, plan, heard, shares);
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
