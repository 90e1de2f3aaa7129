//! Asking a new device who it is and what it can do: pure.
//!
//! ```text
//! node descriptor → active endpoints → a simple descriptor of each → manufacturer and model (Basic)
//!                 → what says what its values mean (`usp_mapping::adopt::zigbee::wanted`)
//! ```
//!
//! Each question is asked up to [`ATTEMPTS`] times; what is not known after that ends the interview, but for the descriptors of
//! single endpoints, names and what values mean, without which a device can still be used: those that met with silence are kept, and asked
//! once more now and then. Endpoints that no cluster of home automation can be on (0, 241
//! and more) are not asked for. A device that leaves ends it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use usp_mapping::adopt::zigbee::wanted;
use usp_mapping::transform::Raw;
use usp_mapping::zigbee::zcl::{General, Record, Status, ZclValue};

use super::members::Known;
use super::ncp::Ieee;
use super::zdo::{self, Endpoint, Node};

/// How often each question is asked.
pub(super) const ATTEMPTS: u32 = 4;

/// Most endpoints that are looked at.
const MOST_ENDPOINTS: usize = 16;

/// Longest name that is taken.
const LONGEST: usize = 64;

/// Basic, and its attributes.
pub(super) const BASIC: u16 = 0x0000;
pub(super) const MANUFACTURER_NAME: u16 = 0x0004;
pub(super) const MODEL_IDENTIFIER: u16 = 0x0005;
pub(super) const POWER_SOURCE: u16 = 0x0007;

/// Attributes in one question: the values of so many fit into one answer.
const AT_ONCE: usize = 4;

/// What a device says of an attribute that it does not have (ZCL, table 2-11).
const UNSUPPORTED: Status = Status(0x86);

/// What is asked next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Node,
    Endpoints,
    Simple(u8),
    /// Attributes of a cluster on an endpoint.
    Read(u8, u16, Vec<u16>),
}

/// What came of a question.
#[derive(Debug)]
pub(super) enum Outcome<'a> {
    /// The device object's answer.
    Zdo(&'a [u8]),
    Zcl(General),
    /// Nothing: why.
    Silence(String),
}

/// One interview.
#[derive(Debug)]
pub(super) struct Interview {
    node: Option<Node>,
    /// Those that are still to be looked at, the last first.
    waiting: Option<Vec<u8>>,
    endpoints: Vec<Endpoint>,
    total: usize,
    /// What is still to be read, once all endpoints are known.
    reads: Option<VecDeque<(u8, u16, Vec<u16>)>>,
    held: BTreeMap<(u8, u16, u16), Raw>,
    /// What it has said not to have.
    lacks: BTreeSet<(u8, u16, u16)>,
    attempts: u32,
    /// How often each question is asked.
    most: u32,
    /// What it said nothing to, and is done without.
    unanswered: Vec<Question>,
    /// Why it came to nothing.
    failed: Option<String>,
}

impl Interview {
    /// One that has not begun.
    pub(super) fn new() -> Self {
        Self {
            node: None,
            waiting: None,
            endpoints: Vec::new(),
            total: 0,
            reads: None,
            held: BTreeMap::new(),
            lacks: BTreeSet::new(),
            attempts: 0,
            most: ATTEMPTS,
            unanswered: Vec::new(),
            failed: None,
        }
    }

    /// The rest of one, of a device that said nothing to these questions. Each is asked once.
    pub(super) fn again(known: &Known, questions: &[Question]) -> Self {
        let (mut waiting, mut reads) = (Vec::new(), VecDeque::new());
        for question in questions {
            match question {
                Question::Simple(endpoint) => waiting.push(*endpoint),
                Question::Read(endpoint, cluster, ids) => reads.push_back((*endpoint, *cluster, ids.clone())),
                Question::Node | Question::Endpoints => {}
            }
        }
        let texts = [(MANUFACTURER_NAME, &known.manufacturer), (MODEL_IDENTIFIER, &known.model)];
        let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let mut held = known.held.clone();
        held.extend(texts.map(|(id, text)| ((0, BASIC, id), Raw::Text(text.clone()))));
        held.extend(known.power_source.map(|source| ((0, BASIC, POWER_SOURCE), Raw::Int(source.into()))));
        let (endpoints, lacks, total) = (known.endpoints.clone(), known.lacks.clone(), waiting.len());
        let (node, waiting, reads) = (Some(known.node), Some(waiting), Some(reads));
        Self { node, waiting, endpoints, total, reads, held, lacks, most: 1, ..Self::new() }
    }

    /// What it said nothing to.
    pub(super) fn unanswered(&self) -> Vec<Question> {
        self.unanswered.clone()
    }

    /// What to ask; `None`: it is over.
    pub(super) fn next(&self) -> Option<Question> {
        if self.failed.is_some() {
            return None;
        }
        match (&self.node, &self.waiting) {
            (None, _) => Some(Question::Node),
            (Some(_), None) => Some(Question::Endpoints),
            (Some(_), Some(waiting)) => match waiting.last() {
                Some(endpoint) => Some(Question::Simple(*endpoint)),
                None => {
                    let (endpoint, cluster, attributes) = self.reads.as_ref()?.front()?.clone();
                    Some(Question::Read(endpoint, cluster, attributes))
                }
            },
        }
    }

    /// All endpoints are known: what is to be read of them.
    fn plan_reads(&mut self) {
        let Ok(known) = self.known() else { return };
        let is_known =
            |id: &u16| self.held.keys().any(|(_, cluster, held)| (*cluster, *held) == (BASIC, *id));
        let mut names = vec![MANUFACTURER_NAME, MODEL_IDENTIFIER, POWER_SOURCE];
        names.retain(|id| !is_known(id));
        let basic = known.endpoints.iter().find(|endpoint| endpoint.inputs.contains(&BASIC));
        let basic = basic.filter(|_| !names.is_empty());
        let mut reads: VecDeque<_> = basic.map(|basic| (basic.number, BASIC, names)).into_iter().collect();
        for (endpoint, cluster, attributes) in wanted(&known.described(Ieee(0))) {
            let at = |id: &u16| (endpoint, cluster, *id);
            let is_open = |id: &u16| !self.held.contains_key(&at(id)) && !self.lacks.contains(&at(id));
            let open: Vec<u16> = attributes.iter().copied().filter(is_open).collect();
            reads.extend(open.chunks(AT_ONCE).map(|some| (endpoint, cluster, some.to_vec())));
        }
        self.reads = Some(reads);
    }

    /// How far it is, for people.
    pub(super) fn progress(&self) -> String {
        let again =
            if self.attempts > 0 { format!(", attempt {}", self.attempts + 1) } else { String::new() };
        let what = match self.next() {
            Some(Question::Node) => "asked what kind of device it is".to_owned(),
            Some(Question::Endpoints) => "asked for its endpoints".to_owned(),
            Some(Question::Simple(_)) => {
                format!("asked for endpoint {} of {}", self.endpoints.len() + 1, self.total)
            }
            Some(Question::Read(_, BASIC, _)) => "asked for its manufacturer and model".to_owned(),
            Some(Question::Read(endpoint, cluster, _)) => {
                format!("asked what cluster 0x{cluster:04x} of endpoint {endpoint} means")
            }
            None => "interviewed".to_owned(),
        };
        format!("{what}{again}")
    }

    /// Takes in what came of the question that [`Interview::next`] gives.
    pub(super) fn take(&mut self, outcome: &Outcome<'_>) {
        let Some(question) = self.next() else { return };
        let is_silent = matches!(outcome, Outcome::Silence(_));
        match self.understood(question.clone(), outcome) {
            Ok(()) => self.attempts = 0,
            Err(_) if self.attempts + 1 < self.most => self.attempts += 1,
            Err(why) => {
                self.attempts = 0;
                self.do_without(&question, why);
                self.unanswered.extend(is_silent.then_some(question));
            }
        }
    }

    /// The device is gone, or the network is.
    pub(super) fn end(&mut self, why: String) {
        self.failed = Some(why);
    }

    fn understood(&mut self, question: Question, outcome: &Outcome<'_>) -> Result<(), String> {
        match (question, outcome) {
            (_, Outcome::Silence(why)) => Err(why.clone()),
            (Question::Read(endpoint, cluster, asked), Outcome::Zcl(said)) => {
                self.reads.as_mut().map(VecDeque::pop_front);
                match said {
                    General::ReadResponse(records) => self.told((endpoint, cluster), &asked, records),
                    // The whole question was refused: each attribute may be there all the same.
                    _ => self.ask_singly((endpoint, cluster), &asked, &BTreeSet::new()),
                }
                Ok(())
            }
            (question, Outcome::Zdo(payload)) => self.described(&question, payload),
            _ => Err("its answer is one to something else".to_owned()),
        }
    }

    /// Takes in an answer, and asks singly for what it leaves out: it ends where no more fits into the frame.
    fn told(&mut self, (endpoint, cluster): (u8, u16), asked: &[u16], records: &[Record]) {
        self.held.extend(values(endpoint, cluster, records));
        let lacks = records.iter().filter(|record| matches!(record.value, Err(UNSUPPORTED)));
        self.lacks.extend(lacks.map(|record| (endpoint, cluster, record.id)));
        let told: BTreeSet<u16> = records.iter().map(|record| record.id).collect();
        self.ask_singly((endpoint, cluster), asked, &told);
    }

    fn ask_singly(&mut self, (endpoint, cluster): (u8, u16), asked: &[u16], told: &BTreeSet<u16>) {
        // What is asked for alone and not told is not asked for again.
        let missing = asked.iter().filter(|id| asked.len() > 1 && !told.contains(id));
        for id in missing {
            self.reads.get_or_insert_default().push_back((endpoint, cluster, vec![*id]));
        }
    }

    fn described(&mut self, question: &Question, payload: &[u8]) -> Result<(), String> {
        let cut_off = || "its answer is cut off".to_owned();
        let (status, rest) = zdo::answer(payload).ok_or_else(cut_off)?;
        if status != zdo::SUCCESS {
            return Err(zdo::words(status));
        }
        match question {
            Question::Node => self.node = Some(zdo::node(rest).ok_or_else(cut_off)?),
            Question::Endpoints => {
                let mut all = zdo::endpoints(rest).ok_or_else(cut_off)?;
                all.retain(|number| (1..=240).contains(number));
                all.truncate(MOST_ENDPOINTS);
                all.reverse();
                self.total = all.len();
                self.waiting = Some(all);
                self.was_last();
            }
            Question::Simple(number) => {
                let endpoint = zdo::endpoint(rest).filter(|endpoint| endpoint.number == *number);
                self.endpoints.push(endpoint.ok_or_else(cut_off)?);
                self.waiting.as_mut().map(Vec::pop);
                self.was_last();
            }
            Question::Read(..) => return Err(cut_off()),
        }
        Ok(())
    }

    /// Goes on if there is no endpoint more to look at.
    fn was_last(&mut self) {
        if self.waiting.as_ref().is_some_and(Vec::is_empty) {
            self.plan_reads();
        }
    }

    /// A question that is not answered.
    fn do_without(&mut self, question: &Question, why: String) {
        match question {
            Question::Node => self.failed = Some(format!("it does not say what kind of device it is: {why}")),
            Question::Endpoints => self.failed = Some(format!("it does not tell its endpoints: {why}")),
            Question::Simple(_) => {
                self.waiting.as_mut().map(Vec::pop);
                if self.endpoints.is_empty() && self.waiting.as_ref().is_some_and(Vec::is_empty) {
                    self.failed = Some(format!("it describes none of its endpoints: {why}"));
                }
                self.was_last();
            }
            Question::Read(..) => drop(self.reads.as_mut().map(VecDeque::pop_front)),
        }
    }

    /// What is known at the end.
    ///
    /// Errors: it came to nothing, and why.
    pub(super) fn finish(self) -> Result<Known, String> {
        match &self.failed {
            Some(why) => Err(why.clone()),
            None => self.known(),
        }
    }

    /// What is known so far.
    fn known(&self) -> Result<Known, String> {
        let node = self.node.ok_or_else(|| "it was not asked".to_owned())?;
        let basic =
            |attribute| self.held.iter().find(|((_, cluster, id), _)| (*cluster, *id) == (BASIC, attribute));
        let text = |attribute| match basic(attribute) {
            Some((_, Raw::Text(text))) => plain(text),
            Some((_, Raw::Bytes(bytes))) => plain(&String::from_utf8_lossy(bytes)),
            _ => String::new(),
        };
        let power_source = match basic(POWER_SOURCE) {
            Some((_, Raw::Int(number))) => u8::try_from(*number).ok(),
            _ => None,
        };
        Ok(Known {
            node,
            endpoints: self.endpoints.clone(),
            manufacturer: text(MANUFACTURER_NAME),
            model: text(MODEL_IDENTIFIER),
            power_source,
            held: self
                .held
                .iter()
                .filter(|((_, cluster, _), _)| *cluster != BASIC)
                .map(|(at, raw)| (*at, raw.clone()))
                .collect(),
            lacks: self.lacks.iter().filter(|(_, cluster, _)| *cluster != BASIC).copied().collect(),
        })
    }
}

/// The values that an answer has.
fn values(endpoint: u8, cluster: u16, records: &[Record]) -> BTreeMap<(u8, u16, u16), Raw> {
    let value = |record: &Record| match &record.value {
        Ok((_, ZclValue::Raw(raw))) => Some(((endpoint, cluster, record.id), raw.clone())),
        _ => None,
    };
    records.iter().filter_map(value).collect()
}

/// Without NULs and blanks at its end, and with nothing that does anything to a terminal.
fn plain(text: &str) -> String {
    let text = text.trim_end_matches(['\0', ' ']).chars().take(LONGEST);
    text.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use usp_mapping::zigbee::zcl::Frame;

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.split(' ').map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect()
    }

    const NODE: &str = "01 00 34 12 01 40 8e 7c 11 52 52 00 00 2c 52 00 00";

    fn zdo(interview: &mut Interview, hex: &str) {
        interview.take(&Outcome::Zdo(&bytes(hex)));
    }

    #[test]
    fn a_device_says_who_it_is() {
        let mut interview = Interview::new();
        assert_eq!(interview.next(), Some(Question::Node));
        zdo(&mut interview, NODE);
        assert_eq!(interview.next(), Some(Question::Endpoints));
        zdo(&mut interview, "02 00 34 12 03 01 02 f2");
        assert_eq!(interview.next(), Some(Question::Simple(1)), "green power is not asked");
        zdo(&mut interview, "03 00 34 12 0c 01 04 01 51 00 01 02 00 00 06 00 00");
        assert_eq!(interview.progress(), "asked for endpoint 2 of 2");
        zdo(&mut interview, "04 00 34 12 0a 02 04 01 51 00 01 01 06 00 00");
        assert!(matches!(interview.next(), Some(Question::Read(1, BASIC, _))));
        let said = Frame::parse(&bytes("18 05 01 04 00 00 42 04 41 43 4d 45 05 00 00 42 03 50 31 00"));
        interview.take(&Outcome::Zcl(said.unwrap().general().unwrap().unwrap()));
        assert_eq!(interview.next(), Some(Question::Read(1, BASIC, vec![POWER_SOURCE])), "it was left out");
        let said = Frame::parse(&bytes("18 06 01 07 00 86"));
        interview.take(&Outcome::Zcl(said.unwrap().general().unwrap().unwrap()));
        assert_eq!(interview.next(), None);
        let known = interview.finish().unwrap();
        assert_eq!((known.manufacturer.as_str(), known.model.as_str()), ("ACME", "P1"));
        assert_eq!(known.endpoints.len(), 2);
    }

    #[test]
    fn what_is_needed_is_asked_four_times() {
        let mut interview = Interview::new();
        for attempt in 1..=ATTEMPTS {
            assert_eq!(interview.next(), Some(Question::Node), "{attempt}");
            interview.take(&Outcome::Silence("no answer within 10 s".to_owned()));
        }
        assert_eq!(interview.next(), None);
        let why = interview.finish().unwrap_err();
        assert_eq!(why, "it does not say what kind of device it is: no answer within 10 s");
    }

    #[test]
    fn what_is_not_needed_is_done_without() {
        let mut interview = Interview::new();
        zdo(&mut interview, NODE);
        zdo(&mut interview, "02 00 34 12 02 01 02");
        for _ in 0..ATTEMPTS {
            assert_eq!(interview.next(), Some(Question::Simple(1)));
            zdo(&mut interview, "03 82 34 12 00");
        }
        zdo(&mut interview, "04 00 34 12 0a 02 04 01 51 00 01 01 00 00 00");
        for _ in 0..ATTEMPTS {
            assert!(matches!(interview.next(), Some(Question::Read(2, BASIC, _))));
            interview.take(&Outcome::Silence("no answer".to_owned()));
        }
        let known = interview.finish().unwrap();
        assert_eq!((known.endpoints.len(), known.model.as_str()), (1, ""));
    }

    /// One endpoint and the names met with silence, and what an endpoint is was refused: the latter is answered.
    #[test]
    fn what_met_with_silence_is_asked_again_and_nothing_else() {
        let mut interview = Interview::new();
        zdo(&mut interview, NODE);
        zdo(&mut interview, "02 00 34 12 03 01 02 03");
        zdo(&mut interview, "03 00 34 12 0a 01 04 01 51 00 01 01 00 00 00");
        (0..ATTEMPTS).for_each(|_| interview.take(&Outcome::Silence("no answer".to_owned())));
        (0..ATTEMPTS).for_each(|_| zdo(&mut interview, "05 82 34 12 00"));
        (0..ATTEMPTS).for_each(|_| interview.take(&Outcome::Silence("no answer".to_owned())));
        let names = Question::Read(1, BASIC, vec![MANUFACTURER_NAME, MODEL_IDENTIFIER, POWER_SOURCE]);
        let unanswered = interview.unanswered();
        assert_eq!(unanswered, [Question::Simple(2), names.clone()]);
        let known = interview.finish().unwrap();

        let mut again = Interview::again(&known, &unanswered);
        assert_eq!(again.next(), Some(Question::Simple(2)));
        again.take(&Outcome::Silence("no answer".to_owned()));
        assert_eq!(again.next(), Some(names), "each is asked once");
        let said =
            Frame::parse(&bytes("18 05 01 04 00 00 42 04 41 43 4d 45 05 00 00 42 02 50 31 07 00 00 30 01"));
        again.take(&Outcome::Zcl(said.unwrap().general().unwrap().unwrap()));
        assert_eq!((again.next(), again.unanswered()), (None, vec![Question::Simple(2)]));
        let known = again.finish().unwrap();
        assert_eq!((known.manufacturer.as_str(), known.model.as_str()), ("ACME", "P1"));

        // Names that are known stay so, and a new endpoint is asked what its values mean.
        let mut again = Interview::again(&known, &[Question::Simple(2)]);
        zdo(&mut again, "06 00 34 12 0a 02 04 01 51 00 01 01 02 07 00");
        assert!(matches!(again.next(), Some(Question::Read(2, 0x0702, _))));
        let known = again.known().unwrap();
        assert_eq!((known.endpoints.len(), known.model.as_str(), known.power_source), (2, "P1", Some(1)));
    }

    /// An answer ends where no more fits: what is missing is not what the device lacks.
    #[test]
    fn what_an_answer_leaves_out_is_asked_singly() {
        let mut interview = Interview::new();
        zdo(&mut interview, NODE);
        zdo(&mut interview, "02 00 34 12 01 01");
        zdo(&mut interview, "03 00 34 12 0a 01 04 01 51 00 01 01 02 07 00");
        let zcl = |interview: &mut Interview, hex: &str| {
            let frame = Frame::parse(&bytes(hex)).unwrap();
            interview.take(&Outcome::Zcl(frame.general().unwrap().unwrap()));
        };
        assert_eq!(interview.next(), Some(Question::Read(1, 0x0702, vec![0x0000, 0x0001, 0x0300, 0x0301])));
        // The sum, and that it counts nothing in the other direction; the rest did not fit.
        zcl(&mut interview, "18 01 01 00 00 00 25 39 30 00 00 00 00 01 00 86");
        zcl(&mut interview, "18 02 01 02 03 00 22 e8 03 00 06 03 86 00 04 86");
        assert_eq!(interview.next(), Some(Question::Read(1, 0x0702, vec![0x0300])));
        zcl(&mut interview, "18 03 01 00 03 00 30 00");
        assert_eq!(interview.next(), Some(Question::Read(1, 0x0702, vec![0x0301])));
        // Nothing at all, which ends it.
        zcl(&mut interview, "18 04 0b 00 81");
        assert_eq!(interview.next(), None);
        let known = interview.finish().unwrap();
        assert_eq!(known.held.get(&(1, 0x0702, 0x0302)), Some(&Raw::Int(1000)));
        assert_eq!(known.held.get(&(1, 0x0702, 0x0300)), Some(&Raw::Int(0)));
        assert!(known.lacks.contains(&(1, 0x0702, 0x0001)) && !known.lacks.contains(&(1, 0x0702, 0x0301)));
    }

    #[test]
    fn one_that_leaves_is_not_asked_any_more() {
        let mut interview = Interview::new();
        zdo(&mut interview, NODE);
        interview.end("it has left the network".to_owned());
        assert_eq!(interview.next(), None);
        assert_eq!(interview.finish().unwrap_err(), "it has left the network");
    }
}
