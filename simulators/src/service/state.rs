//! What the Service's connection and its handle share: the Service, its faults, and what waits to be sent. No sockets.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::sync::oneshot;
use usp_proto::usp::Msg;
use usp_proto::usp::body::MsgBody;
use usp_proto::usp::request::ReqType;

use super::core::Core;
use super::fault::Fault;
use super::message;
use crate::mischief::{Mischief, ServiceFault};

/// As many requests are remembered, held back while stalled, and as many Messages wait to be sent; older ones go.
const BOUND: usize = 1024;

/// What the connection has to do next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Send(Msg),
    /// Send a Record that cannot be decoded.
    SendGarbage,
    Wait(Duration),
    Close,
}

pub(crate) struct State {
    pub(crate) core: Core,
    pub(crate) mischief: Mischief<ServiceFault>,
    pub(crate) connected: bool,
    /// Close the connection as soon as possible.
    pub(crate) close: bool,
    held: VecDeque<Msg>,
    outbox: VecDeque<Msg>,
    seen: VecDeque<Msg>,
    total: u64,
    pending: BTreeMap<String, oneshot::Sender<Msg>>,
    asked: u64,
}

impl State {
    pub(crate) fn new(core: Core) -> Self {
        Self {
            core,
            mischief: Mischief::default(),
            connected: false,
            close: false,
            held: VecDeque::new(),
            outbox: VecDeque::new(),
            seen: VecDeque::new(),
            total: 0,
            pending: BTreeMap::new(),
            asked: 0,
        }
    }

    /// A Message came.
    pub(crate) fn receive(&mut self, message: Msg) -> Vec<Action> {
        let body = message.body.as_ref().and_then(|body| body.msg_body.as_ref());
        if !matches!(body, Some(MsgBody::Request(_))) {
            if let Some(waiting) = self.pending.remove(message::msg_id(&message)) {
                // Whoever asked may have lost interest.
                drop(waiting.send(message));
            }
            return Vec::new();
        }
        push(&mut self.seen, message.clone());
        self.total += 1;
        if self.mischief.happen(|fault| *fault == ServiceFault::Stall).is_some() {
            push(&mut self.held, message);
            return Vec::new();
        }
        self.answer(&message)
    }

    /// What is due: what was held back while stalled, then what waits to be sent.
    pub(crate) fn due(&mut self) -> Vec<Action> {
        if self.stalled() {
            return Vec::new();
        }
        let held: Vec<Msg> = self.held.drain(..).collect();
        let mut actions: Vec<Action> = held.iter().flat_map(|message| self.answer(message)).collect();
        let waiting: Vec<Msg> = self.outbox.drain(..).collect();
        actions.extend(waiting.into_iter().map(|message| self.spoiled(message)));
        actions
    }

    /// Time passes, unless the Service is stalled.
    pub(crate) fn tick(&mut self, time: Duration) {
        if !self.stalled() {
            let messages = self.core.tick(time);
            self.queue(messages);
        }
    }

    /// Puts Messages where the connection finds them. Without one they are lost, as they are with real Services that
    /// do not retry.
    pub(crate) fn queue(&mut self, messages: Vec<Msg>) {
        if self.connected {
            messages.into_iter().for_each(|message| push(&mut self.outbox, message));
        }
    }

    /// Asks the Broker something; the answer comes through the channel, which closes with the connection.
    pub(crate) fn ask(&mut self, content: ReqType) -> oneshot::Receiver<Msg> {
        self.asked += 1;
        let id = format!("ask-{}", self.asked);
        let (answer, receiver) = oneshot::channel();
        if self.connected {
            self.queue(vec![message::request(&id, content)]);
            self.pending.insert(id, answer);
        }
        receiver
    }

    /// The connection is gone, and with it whatever was on its way.
    pub(crate) fn disconnected(&mut self) {
        self.connected = false;
        self.close = false;
        self.held.clear();
        self.outbox.clear();
        self.pending.clear();
    }

    pub(crate) fn seen(&self) -> Vec<Msg> {
        self.seen.iter().cloned().collect()
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    fn stalled(&self) -> bool {
        self.mischief.has(|fault| *fault == ServiceFault::Stall)
    }

    fn answer(&mut self, asked: &Msg) -> Vec<Action> {
        if self.mischief.happen(|fault| *fault == ServiceFault::Die).is_some() {
            return vec![Action::Close];
        }
        if self.mischief.happen(|fault| *fault == ServiceFault::Drop).is_some() {
            return Vec::new();
        }
        let mut actions = Vec::new();
        if let Some(ServiceFault::Slow(time)) =
            self.mischief.happen(|fault| matches!(fault, ServiceFault::Slow(_)))
        {
            actions.push(Action::Wait(time));
        }
        if self.mischief.happen(|fault| *fault == ServiceFault::Garbled).is_some() {
            actions.push(Action::SendGarbage);
            return actions;
        }
        let messages = match self.mischief.happen(|fault| matches!(fault, ServiceFault::Error(_))) {
            Some(ServiceFault::Error(code)) => {
                vec![message::refusal(
                    message::msg_id(asked),
                    Fault::new(code, "refused by a simulated fault"),
                )]
            }
            _ => self.core.handle(asked),
        };
        for message in messages {
            let twice = self.mischief.happen(|fault| *fault == ServiceFault::Duplicate).is_some();
            let action = self.spoiled(message);
            actions.extend(twice.then(|| action.clone()));
            actions.push(action);
        }
        actions
    }

    /// A Message with whatever fault of its identifiers is on.
    fn spoiled(&mut self, mut message: Msg) -> Action {
        let notify = matches!(message::content(&message), Some(ReqType::Notify(_)));
        if notify && self.mischief.happen(|fault| *fault == ServiceFault::WrongSubscriptionId).is_some() {
            if let Some(MsgBody::Request(request)) =
                message.body.as_mut().and_then(|body| body.msg_body.as_mut())
                && let Some(ReqType::Notify(notify)) = &mut request.req_type
            {
                notify.subscription_id = format!("not-{}", notify.subscription_id);
            }
        } else if message::content(&message).is_none()
            && self.mischief.happen(|fault| *fault == ServiceFault::UnknownMsgId).is_some()
            && let Some(header) = &mut message.header
        {
            header.msg_id = format!("not-{}", header.msg_id);
        }
        Action::Send(message)
    }
}

fn push(queue: &mut VecDeque<Msg>, message: Msg) {
    if queue.len() == BOUND {
        queue.pop_front();
    }
    queue.push_back(message);
}

#[cfg(test)]
mod tests {
    use usp_proto::usp::Get;

    use super::*;
    use crate::mischief::Order;

    fn state(faults: &[&str]) -> State {
        let mut state = State::new(Core::new("Device.X_T.", "self::svc", 1, false, Duration::ZERO));
        state.connected = true;
        faults.iter().for_each(|fault| state.mischief.start(fault.parse().unwrap()));
        state
    }

    fn ask(id: &str) -> Msg {
        let get = Get { param_paths: vec!["Device.X_T.Mode".into()], max_depth: 0 };
        message::request(id, ReqType::Get(get))
    }

    fn id(action: &Action) -> &str {
        match action {
            Action::Send(message) => message::msg_id(message),
            Action::SendGarbage => "garbage",
            Action::Wait(_) => "wait",
            Action::Close => "close",
        }
    }

    fn ids(actions: &[Action]) -> Vec<&str> {
        actions.iter().map(id).collect()
    }

    #[test]
    fn each_fault_does_what_it_says() {
        for (fault, expected) in [
            ("slow=20", vec!["wait", "1"]),
            ("drop", vec![]),
            ("duplicate", vec!["1", "1"]),
            ("unknown_msg_id", vec!["not-1"]),
            ("garbled", vec!["garbage"]),
            ("die", vec!["close"]),
            ("stall", vec![]),
        ] {
            let mut state = state(&[fault]);
            assert_eq!(ids(&state.receive(ask("1"))), expected, "{fault}");
            assert_eq!(state.total(), 1);
        }
        let refused = state(&["error=7005"]).receive(ask("1"));
        assert!(format!("{refused:?}").contains("7005"));
    }

    #[test]
    fn a_stall_holds_back_and_its_end_lets_go() {
        let mut state = state(&["stall"]);
        assert!(state.receive(ask("1")).is_empty());
        let changed = state.core.set("Device.X_T.Mode", "Off").unwrap();
        state.queue(changed);
        assert!(state.due().is_empty());
        state.mischief.clear();
        assert_eq!(ids(&state.due()), ["1"]);
        assert!(state.due().is_empty());
    }

    #[test]
    fn a_counted_fault_ends() {
        let mut state = state(&[]);
        state.mischief.start(Order::times(ServiceFault::Drop, 1));
        assert!(state.receive(ask("1")).is_empty());
        assert_eq!(ids(&state.receive(ask("2"))), ["2"]);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut state = state(&["stall"]);
        (0..BOUND + 10).for_each(|id| assert!(state.receive(ask(&id.to_string())).is_empty()));
        state.mischief.clear();
        let actions = state.due();
        assert_eq!((actions.len(), ids(&actions)[0]), (BOUND, "10"));
        assert_eq!(state.seen().len(), BOUND);
    }
}
