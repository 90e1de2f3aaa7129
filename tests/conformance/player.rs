//! A test Controller: sends requests, takes answers and notifications, and keeps what nobody asked for.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use usp_proto::endpoint_id::EndpointId;
use usp_proto::message;
use usp_proto::record::{Record, RecordBody};
use usp_proto::usp::request::ReqType;
use usp_proto::usp::response::RespType;
use usp_proto::usp::{GetSupportedProtocol, Msg, Notify, NotifyResp, body};

use crate::ask;
use crate::bench::AGENT;
use crate::fault::Fault;
use crate::link::{Event, Events, Link};
use crate::show;

/// One connected Controller.
pub struct Player {
    link: Box<dyn Link>,
    events: Events,
    own: EndpointId,
    asked: BTreeMap<String, ReqType>,
    number: usize,
    answer: Option<(String, Vec<String>)>,
    /// Notifications that came, and when.
    pub told: VecDeque<(Instant, String)>,
    /// What came unasked.
    pub strays: Vec<String>,
    /// Whether notifications stay unanswered.
    pub mute: bool,
    /// Rows that were added.
    pub created: Vec<String>,
    /// What breaks the Agent.
    pub fault: Option<Fault>,
    /// How long an answer may take.
    pub patience: Duration,
}

impl Player {
    /// On an open connection.
    fn new(own: &str, (link, events): (Box<dyn Link>, Events)) -> Self {
        Self {
            link,
            events,
            own: own.parse().unwrap(),
            asked: BTreeMap::new(),
            number: 0,
            answer: None,
            told: VecDeque::new(),
            strays: Vec::new(),
            mute: false,
            created: Vec::new(),
            fault: None,
            patience: usp_tests::wait::PATIENCE,
        }
    }

    /// The same, once the Agent has answered. It refuses a second connection with the same Endpoint ID.
    pub fn ready(own: &str, connection: (Box<dyn Link>, Events)) -> std::io::Result<Self> {
        let mut player = Self::new(own, connection);
        player.barrier().map_err(std::io::Error::other)?;
        Ok(player)
    }

    /// From now on the Agent is broken, also in what it has told already.
    pub fn suffer(&mut self, mut fault: Fault) {
        let told = std::mem::take(&mut self.told);
        self.told = told.into_iter().filter_map(|(at, line)| Some((at, fault.retold(line)?))).collect();
        self.fault = Some(fault);
    }

    /// Sends a request; the lines of its answer. None is waited for where none is wanted.
    pub fn ask(&mut self, line: &str) -> Result<Vec<String>, String> {
        self.request(ask::request(line)?)
    }

    /// Sends a request; the lines of its answer.
    pub fn request(&mut self, request: ReqType) -> Result<Vec<String>, String> {
        self.number += 1;
        let id = format!("tp-{}", self.number);
        if let Some(lie) = self.fault.as_mut().and_then(|fault| fault.instead(&id, &request)) {
            return Ok(show::lines(&lie));
        }
        let wanted = !matches!(&request, ReqType::Operate(operate) if !operate.send_resp);
        let unasked = self.fault.as_mut().filter(|_| !wanted).and_then(|fault| fault.unasked(&id, &request));
        let msg = message::request(&id, request.clone());
        if wanted {
            self.asked.insert(id.clone(), request);
        }
        self.send(&Record::message(self.own.clone(), AGENT.parse().unwrap(), msg).encode())?;
        if wanted {
            return self.wait_for(&id);
        }
        // An answer that comes all the same is one that nobody asked for.
        unasked.map_or(Ok(()), |msg| self.take_message(Instant::now(), &msg)).map(|()| Vec::new())
    }

    /// Sends the bytes of a Record.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.link.send(bytes).map_err(|error| format!("sending: {error}"))
    }

    fn wait_for(&mut self, id: &str) -> Result<Vec<String>, String> {
        let until = Instant::now() + self.patience;
        loop {
            if let Some((_, lines)) = self.answer.take_if(|(answered, _)| answered == id) {
                return Ok(lines);
            }
            if !self.pump(until)? {
                return Err("no answer came".to_owned());
            }
        }
    }

    /// Takes in one event; false: none came in time.
    pub fn pump(&mut self, until: Instant) -> Result<bool, String> {
        match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((at, Event::Record(bytes))) => self.take(at, &bytes).map(|()| true),
            Ok((_, Event::Pong(_))) => Ok(true),
            Ok((_, event @ (Event::Close(_) | Event::Ended))) => {
                Err(format!("the connection ended: {event:?}"))
            }
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => Ok(false),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                Err("the connection has ended".to_owned())
            }
        }
    }

    fn take(&mut self, at: Instant, bytes: &[u8]) -> Result<(), String> {
        let record = Record::decode(bytes).map_err(|fault| format!("a bad Record came: {fault}"))?;
        if record.to != self.own || record.from.as_str() != AGENT {
            self.strays.push(format!("a Record from {} to {}", record.from, record.to));
        }
        let msg = match record.body {
            RecordBody::Message(msg) => msg,
            RecordBody::Connect(_) | RecordBody::Disconnect { .. } => return Ok(()),
            RecordBody::Session { .. } => {
                return Err("a Session Context, where none was used (R-MSG.0a)".to_owned());
            }
        };
        // Whatever a fault makes of it: these rows are to be deleted.
        let lines = show::lines(&msg);
        let rows = lines.iter().filter_map(|line| line.split(": created ").nth(1)?.split(' ').next());
        self.created.extend(rows.map(str::to_owned));
        let request = self.asked.get(message::msg_id(&msg));
        let arriving = match &mut self.fault {
            Some(fault) => fault.arriving(*msg, request),
            None => vec![*msg],
        };
        arriving.into_iter().try_for_each(|msg| self.take_message(at, &msg))
    }

    fn take_message(&mut self, at: Instant, msg: &Msg) -> Result<(), String> {
        let id = message::msg_id(msg).to_owned();
        let mut lines = show::lines(msg);
        if let Some(fault) = &mut self.fault {
            lines = fault.told(lines);
        }
        if let Some(body::MsgBody::Request(request)) = message::body(msg)
            && let Some(ReqType::Notify(notify)) = &request.req_type
        {
            self.told.push_back((at, lines.concat()));
            return self.answer_notify(&id, notify);
        }
        if self.asked.remove(&id).is_some() {
            self.answer = Some((id, lines));
        } else {
            self.strays.push(format!("{} for {id}", message::name(msg)));
        }
        Ok(())
    }

    fn answer_notify(&mut self, id: &str, notify: &Notify) -> Result<(), String> {
        if self.mute || !notify.send_resp {
            return Ok(());
        }
        let response = NotifyResp { subscription_id: notify.subscription_id.clone() };
        let msg = message::response(id, RespType::NotifyResp(response));
        self.send(&Record::message(self.own.clone(), AGENT.parse().unwrap(), msg).encode())
    }

    /// After this everything has come that was on its way.
    pub fn barrier(&mut self) -> Result<(), String> {
        self.request(ReqType::GetSupportedProtocol(GetSupportedProtocol {
            controller_supported_protocol_versions: "1.4".to_owned(),
        }))
        .map(drop)
    }

    /// The one value of a Get.
    pub fn value(&mut self, path: &str) -> String {
        let lines = self.ask(&format!("get {path}")).unwrap();
        let value = lines.iter().find_map(|line| line.split_once('=').filter(|_| !line.ends_with(':')));
        value.unwrap_or_else(|| panic!("{path}: {lines:?}")).1.to_owned()
    }

    /// The one row of a search.
    pub fn row(&mut self, path: &str) -> String {
        let lines = self.ask(&format!("get {path}")).unwrap();
        let row = lines.get(2).and_then(|line| line.split(' ').next());
        row.unwrap_or_else(|| panic!("{path}: {lines:?}")).to_owned()
    }
}
