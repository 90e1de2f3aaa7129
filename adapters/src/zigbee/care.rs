//! Looking after a device: it is interviewed once, and set up for its mapping after each join and when its reports stay away.
//!
//! What was begun and not finished is begun again, after a pause that grows, when the device is heard; or after that pause alone if it is always
//! awake. What one that can be used said nothing to in its interview is asked again alone, when it is heard, after pauses that grow to a day. Each step is told, whether somebody waits for it or not.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use usp_mapping::mapping::Mapping;
use usp_mapping::port::{JoinStage, Newcomer, RadioAddress};
use usp_mapping::zigbee::zcl;

use super::board::{Board, Question as Message, Said};
use super::interview::{Interview, Outcome, Question};
use super::members::Known;
use super::model::first_questions;
use super::ncp::Ieee;
use super::setup::{self, Setup};
use super::word::Word;
use super::zdo;

/// How long each question of an interview may take once the device has been reached.
const ANSWER: Duration = Duration::from_secs(10);

/// Shortest and longest pause before a device that did not say what was asked is asked again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3600));

/// Longest pause before one that is set up is asked again what it said nothing to.
const SELDOM: Duration = Duration::from_secs(86_400);

/// How far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cared {
    /// All that was to be done is done.
    All,
    /// It can be used, and did not say all of itself.
    Lacking,
    /// It is not interviewed, or not set up.
    Not,
}

/// What a device is there for: the mapping that it is set up for; `Err`: there is none, and why.
pub(super) type Meant = Pin<Box<dyn Future<Output = Result<Arc<Mapping>, String>> + Send>>;

/// Knows what devices are there for.
pub(super) trait Purpose: Send + Sync {
    /// Of a device that has said this of itself.
    fn mapping(&self, ieee: Ieee, known: Known) -> Meant;
}

/// Where it is told how far a device is.
pub(super) type Tell<'t> = &'t (dyn Fn(Newcomer) + Send + Sync);

/// Does all that is to be done for a device.
pub(super) async fn care(board: &Board, ieee: Ieee, purpose: &dyn Purpose, tell: Tell<'_>) -> Cared {
    let known = match board.known(ieee) {
        Some(known) => ask_again(board, ieee, known).await,
        None => match interview(board, ieee, tell).await {
            Ok(known) => known,
            Err(why) => {
                tell(newcomer(ieee, None, JoinStage::Failed, why));
                return Cared::Not;
            }
        },
    };
    note_sleep(board, ieee, &known).await;
    let is_set_up = match purpose.mapping(ieee, known.clone()).await {
        Ok(mapping) => set_up(board, ieee, (&known, &mapping), tell).await,
        Err(why) => {
            // There is nothing to set it up for.
            if board.member(ieee).is_some_and(|member| member.set_up.is_none()) {
                tell(newcomer(ieee, Some(&known), JoinStage::Ready, why));
                board.shared().members.set_up(ieee, Some(0));
                board.changes.notify_one();
            }
            true
        }
    };
    let lacks = board.member(ieee).is_some_and(|member| !member.unanswered.is_empty());
    match (is_set_up, lacks) {
        (false, _) => Cared::Not,
        (true, true) => Cared::Lacking,
        (true, false) => Cared::All,
    }
}

/// Asks one that can be used already what it said nothing to before.
async fn ask_again(board: &Board, ieee: Ieee, known: Known) -> Known {
    let member = board.member(ieee).filter(|member| member.is_ready()).unwrap_or_default();
    if member.unanswered.is_empty() {
        return known;
    }
    let quiet = |_: Newcomer| {};
    let again = Interview::again(&known, &member.unanswered);
    match carry_out(board, ieee, again, &quiet).await {
        Ok(known) => known,
        Err(why) => {
            tracing::debug!(%ieee, why, "a device was not asked again");
            known
        }
    }
}

/// The coordinator keeps messages for longer for one that sleeps.
async fn note_sleep(board: &Board, ieee: Ieee, known: &Known) {
    let nwk = board.member(ieee).and_then(|member| member.nwk);
    if let (Some(coordinator), Some(nwk), false) = (board.coordinator(), nwk, known.node.listens)
        && let Err(why) = coordinator.is_sleepy(ieee, nwk).await
    {
        tracing::debug!(%ieee, %why, "the coordinator takes no note that a device sleeps");
    }
}

async fn interview(board: &Board, ieee: Ieee, tell: Tell<'_>) -> Result<Known, String> {
    carry_out(board, ieee, Interview::new(), tell).await
}

async fn carry_out(
    board: &Board,
    ieee: Ieee,
    mut interview: Interview,
    tell: Tell<'_>,
) -> Result<Known, String> {
    while let Some(question) = interview.next() {
        tell(newcomer(ieee, None, JoinStage::Interviewing, interview.progress()));
        let Some(nwk) = board.member(ieee).and_then(|member| member.nwk) else {
            interview.end("it has left the network".to_owned());
            break;
        };
        let asked = board.ask(ieee, &message(&question, nwk), ANSWER).await;
        let general = |frame: &zcl::Frame| frame.general().and_then(Result::ok);
        match asked {
            Ok(Said::Zdo(payload)) => interview.take(&Outcome::Zdo(&payload)),
            Ok(Said::Zcl(frame)) => match general(&frame) {
                Some(said) => interview.take(&Outcome::Zcl(said)),
                None => interview.take(&Outcome::Silence("its answer cannot be used".to_owned())),
            },
            Err(_) if board.member(ieee).is_none() => interview.end("it has left the network".to_owned()),
            Err(_) if board.coordinator().is_none() => interview.end("the coordinator is gone".to_owned()),
            Err(why) => interview.take(&Outcome::Silence(why.to_string())),
        }
    }
    let unanswered = interview.unanswered();
    let known = interview.finish()?;
    board.shared().members.interviewed(ieee, known.clone(), unanswered);
    board.changes.notify_one();
    Ok(known)
}

fn message(question: &Question, nwk: u16) -> Message {
    match question {
        Question::Node => Message::zdo(zdo::NODE_DESCRIPTOR, zdo::about(0, nwk)),
        Question::Endpoints => Message::zdo(zdo::ACTIVE_ENDPOINTS, zdo::about(0, nwk)),
        Question::Simple(endpoint) => {
            Message::zdo(zdo::SIMPLE_DESCRIPTOR, zdo::simple_descriptor(0, nwk, *endpoint))
        }
        Question::Read(endpoint, cluster, attributes) => {
            Message::zcl(*endpoint, *cluster, &zcl::read_attributes(None, attributes))
        }
    }
}

async fn set_up(board: &Board, ieee: Ieee, (known, mapping): (&Known, &Mapping), tell: Tell<'_>) -> bool {
    let digest = setup::digest(mapping, board.own());
    if board.member(ieee).is_none_or(|member| member.set_up == Some(digest)) {
        return true;
    }
    let mut setup = Setup::new(mapping, ieee, board.own());
    while let Some((question, is_told)) = setup.next() {
        tell(newcomer(ieee, Some(known), JoinStage::Interviewing, setup.progress()));
        let within = if is_told { Duration::ZERO } else { ANSWER };
        let asked = board.ask(ieee, &question.clone(), within).await;
        match &asked {
            Err(_) if board.member(ieee).is_none() => setup.end("it has left the network".to_owned()),
            Err(_) if board.coordinator().is_none() => setup.end("the coordinator is gone".to_owned()),
            asked => setup.take(asked.as_ref().map_err(ToString::to_string)),
        }
    }
    let unreported = setup.unreported();
    if board.shared().members.unreported(ieee, unreported.clone()) {
        board.tell(ieee, &Word::Unreported(unreported));
        board.changes.notify_one();
    }
    match setup.finish() {
        Ok(refused) => {
            for what in &refused {
                tracing::info!(bus = %board.bus, device = %ieee, what, "the device does not do it");
            }
            board.shared().members.set_up(ieee, Some(digest));
            board.expect_reports(ieee);
            board.changes.notify_one();
            first_words(board, ieee, mapping).await;
            tell(newcomer(ieee, Some(known), JoinStage::Ready, refused.join("; ")));
            true
        }
        Err(why) => {
            tell(newcomer(ieee, Some(known), JoinStage::Failed, why));
            false
        }
    }
}

/// A device says what it has: one that sleeps while it is awake, any other because what has changed between its first read and this moment
/// was not to be reported yet. What it does not say now it reports in its time.
pub(super) async fn first_words(board: &Board, ieee: Ieee, mapping: &Mapping) {
    for (endpoint, cluster, question) in first_questions(mapping) {
        match board.ask(ieee, &question, ANSWER).await {
            Ok(Said::Zcl(frame)) => board.tell_first(ieee, Word::frame(endpoint, cluster, frame)),
            Ok(Said::Zdo(_)) => {}
            Err(why) => {
                tracing::debug!(%ieee, %why, "a device that was set up was not read");
                return;
            }
        }
    }
}

/// How far a device is.
pub(super) fn newcomer(ieee: Ieee, known: Option<&Known>, stage: JoinStage, detail: String) -> Newcomer {
    let (manufacturer, model) =
        known.map(|known| (known.manufacturer.clone(), known.model.clone())).unwrap_or_default();
    Newcomer { address: RadioAddress(ieee.0), stage, manufacturer, model, detail }
}

/// Who is looked after when: pure.
#[derive(Debug, Default)]
pub(super) struct Rota {
    /// Those who are looked after at the moment.
    busy: BTreeSet<Ieee>,
    /// Those who were looked after in vain: not before when, and the pause after that.
    later: BTreeMap<Ieee, (Instant, Duration)>,
    /// Those for whom somebody wished it meanwhile.
    again: BTreeSet<Ieee>,
}

impl Rota {
    /// Somebody wishes that a device is looked after; whether that is to begin now.
    pub(super) fn wish(&mut self, now: Instant, ieee: Ieee) -> bool {
        if self.busy.contains(&ieee) {
            self.again.insert(ieee);
            return false;
        }
        if self.later.get(&ieee).is_some_and(|(at, _)| now < *at) {
            return false;
        }
        self.busy.insert(ieee)
    }

    /// A device joined, or is another one: what was in vain before says nothing.
    pub(super) fn anew(&mut self, ieee: Ieee) {
        self.later.remove(&ieee);
    }

    /// A device was looked after; whether that is to be done again at once.
    pub(super) fn done(&mut self, now: Instant, ieee: Ieee, cared: Cared) -> bool {
        self.busy.remove(&ieee);
        let again = self.again.remove(&ieee);
        let longest = match cared {
            Cared::All => {
                self.later.remove(&ieee);
                return again;
            }
            Cared::Lacking => SELDOM,
            Cared::Not => PAUSES.1,
        };
        let pause = self.later.get(&ieee).map_or(PAUSES.0, |(_, pause)| (*pause * 2).min(longest));
        self.later.insert(ieee, (now + pause, pause));
        false
    }

    /// Those whose pause is over.
    pub(super) fn due(&self, now: Instant) -> Vec<Ieee> {
        let due = self.later.iter().filter(|(_, (at, _))| *at <= now);
        due.map(|(ieee, _)| *ieee).filter(|ieee| !self.busy.contains(ieee)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_does_not_answer_is_asked_more_and_more_seldom() {
        let (mut rota, mut now, a) = (Rota::default(), Instant::now(), Ieee(1));
        let mut pauses = Vec::new();
        for _ in 0..9 {
            assert!(rota.wish(now, a));
            assert!(!rota.wish(now, a), "it is looked after already");
            assert!(!rota.done(now, a, Cared::Not));
            assert!(!rota.wish(now, a), "too soon");
            assert!(rota.due(now).is_empty());
            let began = now;
            while rota.due(now).is_empty() {
                now += Duration::from_secs(1);
            }
            pauses.push(now.saturating_duration_since(began).as_secs());
        }
        assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
        rota.anew(a);
        assert!(rota.wish(now, a), "it has joined again");
        assert!(!rota.done(now, a, Cared::All));
    }

    #[test]
    fn what_is_wished_meanwhile_is_done_afterwards() {
        let (mut rota, now, a) = (Rota::default(), Instant::now(), Ieee(1));
        assert!(rota.wish(now, a) && !rota.wish(now, a));
        assert!(rota.done(now, a, Cared::All), "once more");
        assert!(rota.wish(now, a));
        assert!(!rota.done(now, a, Cared::All));
    }
}
