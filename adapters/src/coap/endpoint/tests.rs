//! A conversation with a device that the test plays, on a clock that the test moves.

use super::request::Manner;
use super::*;
use crate::coap::message::Block;

const S: Duration = Duration::from_secs(1);
const WITHIN: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(300);

/// The endpoint and what the test sees of it.
struct Talk {
    now: Instant,
    endpoint: Endpoint,
}

impl Talk {
    fn new() -> Self {
        Self { now: Instant::now(), endpoint: Endpoint::new() }
    }

    fn resource(path: &str) -> Resource {
        Resource { path: vec![path.to_owned()], ..Resource::default() }
    }

    /// Asks for a resource; the message that goes out.
    fn get(&mut self, path: &str) -> Message {
        self.endpoint.request(self.now, Request::get(Self::resource(path), Manner::new(WITHIN)));
        self.sent()
    }

    /// A poll of something that is observed.
    fn observe(&mut self, path: &str) -> Message {
        let request = Request { observe: true, ..Request::get(Self::resource(path), Manner::new(WITHIN)) };
        self.endpoint.request(self.now, request);
        self.sent()
    }

    /// The one message that goes out.
    fn sent(&mut self) -> Message {
        let message = self.sends().expect("a message");
        assert_eq!(self.endpoint.poll_transmit(self.now), None, "one message");
        message
    }

    fn sends(&mut self) -> Option<Message> {
        self.endpoint.poll_transmit(self.now).map(|bytes| Message::parse(&bytes).unwrap())
    }

    fn hear(&mut self, message: &Message) {
        self.endpoint.handle_datagram(self.now, &message.to_bytes());
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
        }
        self.now = end;
    }

    fn event(&mut self) -> Option<Event> {
        self.endpoint.poll_event()
    }

    /// Text of the answer, or of the notification.
    fn told(&mut self) -> Option<String> {
        match self.event()? {
            Event::Answered(response) => Some(String::from_utf8(response.body).unwrap()),
            Event::Notified(resource, response) => {
                Some(format!("{}={}", resource.path.join("/"), String::from_utf8(response.body).unwrap()))
            }
            Event::Failed(failure) => Some(format!("{failure:?}")),
            Event::Lost(resource, _) => Some(format!("{} lost", resource.path.join("/"))),
            Event::Silent => Some("silent".to_owned()),
        }
    }
}

/// A response in the acknowledgement.
fn ack(request: &Message, text: &str) -> Message {
    Message {
        kind: Kind::Acknowledgement,
        code: Code(0x45),
        options: Vec::new(),
        payload: text.as_bytes().to_vec(),
        ..request.clone()
    }
}

/// A response in a message of its own.
fn separate(request: &Message, id: u16, text: &str) -> Message {
    Message { kind: Kind::Confirmable, id, ..ack(request, text) }
}

fn numbered(message: Message, number: u32) -> Message {
    message.with_number(option::OBSERVE, number)
}

fn empty_ack(request: &Message) -> Message {
    Message::empty(Kind::Acknowledgement, request.id)
}

/// Talks until something is observed with number `number`, and gives the registration.
fn observed(talk: &mut Talk, path: &str, number: u32) -> Message {
    let request = talk.observe(path);
    assert_eq!(request.number(option::OBSERVE), Some(0));
    talk.hear(&numbered(ack(&request, "first"), number));
    assert_eq!(talk.told().as_deref(), Some("first"));
    request
}

#[test]
fn a_piggybacked_answer_ends_the_exchange() {
    let mut talk = Talk::new();
    let request = talk.get("a");
    assert_eq!((request.kind, request.code), (Kind::Confirmable, Code::GET));
    talk.hear(&ack(&request, "21.5"));
    assert_eq!(talk.told().as_deref(), Some("21.5"));
    assert_eq!(talk.endpoint.poll_timeout(), None);
    assert!(!talk.endpoint.is_busy());
}

#[test]
fn an_answer_may_come_in_a_message_of_its_own() {
    let mut talk = Talk::new();
    let request = talk.get("a");
    talk.hear(&empty_ack(&request));
    talk.pass(4 * S);
    assert_eq!(talk.sends(), None, "what is acknowledged is not sent again");
    talk.hear(&separate(&request, 900, "late"));
    assert_eq!(talk.told().as_deref(), Some("late"));
    assert_eq!(talk.sent(), Message::empty(Kind::Acknowledgement, 900));
    talk.hear(&separate(&request, 900, "late"));
    assert_eq!(talk.event(), None, "a copy says nothing new");
    assert_eq!(talk.sent(), Message::empty(Kind::Acknowledgement, 900), "but is acknowledged again");
}

#[test]
fn an_answer_before_its_acknowledgement_counts_too() {
    let mut talk = Talk::new();
    let request = talk.get("a");
    talk.hear(&Message { kind: Kind::NonConfirmable, ..separate(&request, 900, "early") });
    assert_eq!(talk.told().as_deref(), Some("early"));
    assert_eq!(talk.sends(), None, "nobody confirms a non-confirmable message");
    talk.hear(&empty_ack(&request));
    assert_eq!(talk.event(), None);
}

#[test]
fn silence_is_asked_again_with_growing_pauses_and_ends_in_time() {
    let mut talk = Talk::new();
    let start = talk.now;
    let request = Request::get(Talk::resource("a"), Manner::new(120 * S));
    talk.endpoint.request(talk.now, request);
    let first = talk.sent();
    let mut at = Vec::new();
    while talk.event().is_none() {
        talk.now = talk.endpoint.poll_timeout().unwrap();
        talk.endpoint.handle_timeout(talk.now);
        if let Some(again) = talk.sends() {
            assert_eq!(again, first, "the same message");
            at.push(talk.now - start);
        }
    }
    assert_eq!(at.len(), usize::from(MAX_RETRANSMIT));
    assert!((S..=S * 3 / 2).contains(&at[0]), "{at:?}");
    for (n, pair) in at.windows(2).enumerate() {
        assert_eq!(pair[1] - pair[0], at[0] * (2 << n), "they double");
    }
    assert_eq!(talk.now - start, 120 * S);
}

#[test]
fn what_need_not_be_confirmed_is_sent_once() {
    let mut talk = Talk::new();
    let manner = Manner { confirmable: false, ..Manner::new(WITHIN) };
    talk.endpoint.request(talk.now, Request::get(Talk::resource("a"), manner));
    assert_eq!(talk.sent().kind, Kind::NonConfirmable);
    talk.pass(WITHIN);
    assert_eq!(talk.sends(), None);
    assert_eq!(talk.event(), Some(Event::Failed(Failure::Timeout(WITHIN))));
}

#[test]
fn a_rejected_message_is_known_at_once() {
    let mut talk = Talk::new();
    let request = talk.get("a");
    talk.hear(&Message::empty(Kind::Reset, request.id.wrapping_add(1)));
    assert_eq!(talk.event(), None, "of another message");
    talk.hear(&Message::empty(Kind::Reset, request.id));
    assert_eq!(talk.event(), Some(Event::Failed(Failure::Reset)));
}

/// The system says that nobody hears it: the first time it was surely not received, and later it may have been before.
#[test]
fn what_was_sent_once_and_did_not_arrive_was_not_received() {
    let mut talk = Talk::new();
    let cause = || "nobody listens there".to_owned();
    talk.get("a");
    talk.endpoint.handle_unreachable(talk.now, &cause());
    assert_eq!(talk.event(), Some(Event::Failed(Failure::Unsent(cause()))));
    talk.get("a");
    talk.pass(4 * S);
    assert!(talk.sends().is_some(), "again");
    talk.endpoint.handle_unreachable(talk.now, &cause());
    assert_eq!(talk.event(), Some(Event::Failed(Failure::Unreachable(cause()))));
    let request = talk.get("a");
    talk.hear(&Message::empty(Kind::Acknowledgement, request.id));
    talk.endpoint.handle_unreachable(talk.now, &cause());
    assert_eq!(talk.event(), Some(Event::Failed(Failure::Unreachable(cause()))), "it was acknowledged");
    talk.endpoint.request(talk.now, Request::get(Talk::resource("a"), Manner::new(WITHIN)));
    talk.endpoint.handle_unreachable(talk.now, &cause());
    assert_eq!(talk.event(), Some(Event::Failed(Failure::Unsent(cause()))));
    assert_eq!(talk.sends(), None, "nor is it sent now");
}

/// The system says that a datagram did not arrive, and not which.
#[test]
fn what_may_be_said_of_another_datagram_says_nothing_of_this_one() {
    let cause = || "nobody listens there".to_owned();
    let (unsent, unknown) = (Failure::Unsent(cause()), Failure::Unreachable(cause()));
    let mut talk = Talk::new();
    talk.get("a");
    talk.pass(WITHIN);
    assert_eq!(talk.event(), Some(Event::Failed(Failure::Timeout(WITHIN))));
    while talk.sends().is_some() {}
    let ends = |talk: &mut Talk| {
        talk.endpoint.handle_unreachable(talk.now, &cause());
        talk.event()
    };
    talk.get("b");
    assert_eq!(ends(&mut talk), Some(Event::Failed(unknown.clone())), "the first was not answered");
    talk.pass(STRAY);
    talk.get("b");
    assert_eq!(ends(&mut talk), Some(Event::Failed(unsent.clone())), "so late nothing is said of the first");
    let request = talk.get("b");
    talk.hear(&ack(&request, "new"));
    assert_eq!(talk.told().as_deref(), Some("new"));
    talk.get("b");
    assert_eq!(ends(&mut talk), Some(Event::Failed(unsent.clone())), "the others were answered");
    talk.hear(&Message::empty(Kind::Confirmable, 5));
    assert_eq!(talk.sent(), Message::empty(Kind::Reset, 5));
    talk.get("b");
    assert_eq!(ends(&mut talk), Some(Event::Failed(unknown)), "our answer to a ping is answered by nobody");
}

/// It says so of what it was to send itself.
#[test]
fn what_cannot_be_sent_is_surely_not_received() {
    let cause = || "no route to the host".to_owned();
    let (unsent, unknown) = (Failure::Unsent(cause()), Failure::Unreachable(cause()));
    let mut talk = Talk::new();
    let ends = |talk: &mut Talk| {
        talk.endpoint.handle_unsent(talk.now, &cause());
        talk.event()
    };
    talk.hear(&Message::empty(Kind::Confirmable, 5));
    assert!(talk.sends().is_some(), "a datagram before it");
    talk.get("a");
    assert_eq!(ends(&mut talk), Some(Event::Failed(unsent)));
    talk.get("a");
    talk.pass(4 * S);
    assert!(talk.sends().is_some(), "again");
    assert_eq!(ends(&mut talk), Some(Event::Failed(unknown.clone())), "the first time it was sent");
    while talk.sends().is_some() {}
    talk.get("a");
    talk.hear(&Message::empty(Kind::Confirmable, 6));
    assert!(talk.sends().is_some(), "the answer to a ping");
    assert_eq!(ends(&mut talk), Some(Event::Failed(unknown)), "it is that which could not be sent");
}

#[test]
fn nothing_late_answers_another_request() {
    let mut talk = Talk::new();
    let first = talk.get("a");
    talk.pass(WITHIN);
    assert_eq!(talk.event(), Some(Event::Failed(Failure::Timeout(WITHIN))));
    while talk.sends().is_some() {}
    let second = talk.get("b");
    assert_ne!((first.id, first.token), (second.id, second.token));
    talk.hear(&ack(&first, "old"));
    talk.hear(&separate(&first, 77, "old"));
    assert_eq!(talk.sent(), Message::empty(Kind::Reset, 77), "nobody waits for it");
    talk.hear(&Message { token: first.token, ..ack(&second, "mixed up") });
    talk.hear(&Message { id: first.id, ..ack(&second, "mixed up") });
    assert_eq!(talk.event(), None);
    talk.hear(&ack(&second, "new"));
    assert_eq!(talk.told().as_deref(), Some("new"));
}

#[test]
fn garbage_is_told_apart_from_silence_and_rejected() {
    let mut talk = Talk::new();
    talk.get("a");
    talk.endpoint.handle_datagram(talk.now, b"\xffHTTP/1.1 400 Bad Request");
    talk.endpoint.handle_datagram(talk.now, &[0x40, 0x45, 1, 2, 0xff]);
    assert_eq!(talk.sent(), Message::empty(Kind::Reset, 0x0102));
    talk.pass(WITHIN);
    assert!(matches!(talk.event(), Some(Event::Failed(Failure::Garbled(_)))));
}

#[test]
fn requests_and_pings_of_the_device_are_rejected() {
    let mut talk = Talk::new();
    talk.hear(&Message::empty(Kind::Confirmable, 5));
    assert_eq!(talk.sent(), Message::empty(Kind::Reset, 5), "the answer to a ping");
    talk.hear(&Message { code: Code::GET, ..Message::empty(Kind::Confirmable, 6) });
    assert_eq!(talk.sent(), Message::empty(Kind::Reset, 6));
    talk.hear(&Message { code: Code::GET, ..Message::empty(Kind::NonConfirmable, 7) });
    assert_eq!(talk.sends(), None);
}

#[test]
fn an_option_that_must_be_understood_and_is_not_spoils_an_answer() {
    let mut talk = Talk::new();
    let request = talk.get("a");
    let strange = Message { options: vec![(9, vec![1])], ..ack(&request, "21") };
    talk.hear(&strange);
    talk.hear(&Message { kind: Kind::Confirmable, id: 8, ..strange });
    assert_eq!(talk.sent(), Message::empty(Kind::Reset, 8));
    talk.pass(WITHIN);
    assert!(matches!(talk.event(), Some(Event::Failed(Failure::Garbled(_)))));
}

#[test]
fn each_block_is_asked_for_with_a_token_of_its_own() {
    let mut talk = Talk::new();
    let first = talk.get("a");
    let block = |number, more| Block { number, more, exponent: 0 }.value();
    talk.hear(&ack(&first, "0123456789abcdef").with_number(option::BLOCK2, block(0, true)));
    let second = talk.sent();
    assert_eq!(second.number(option::BLOCK2), Some(block(1, false)));
    assert_ne!((second.id, second.token), (first.id, first.token));
    talk.hear(&ack(&first, "0123456789abcdef").with_number(option::BLOCK2, block(0, true)));
    assert_eq!(talk.sends(), None, "a copy of the first block");
    talk.hear(&ack(&second, "gh").with_number(option::BLOCK2, block(1, false)));
    assert_eq!(talk.told().as_deref(), Some("0123456789abcdefgh"));
}

#[test]
fn blocks_without_end_end() {
    let mut talk = Talk::new();
    let mut request = talk.get("a");
    let start = talk.now;
    for number in 0.. {
        talk.pass(4 * S);
        while talk.sends().is_some() {}
        if let Some(event) = talk.event() {
            assert!(matches!(event, Event::Failed(Failure::Timeout(_))), "{event:?}");
            break;
        }
        let block = Block { number, more: true, exponent: 0 }.value();
        talk.hear(&ack(&request, "0123456789abcdef").with_number(option::BLOCK2, block));
        request = talk.sent();
    }
    assert!(talk.now - start <= TRANSFER + 5 * S);
}

#[test]
fn what_is_observed_is_told_and_acknowledged() {
    let mut talk = Talk::new();
    let request = observed(&mut talk, "t", 10);
    talk.hear(&numbered(separate(&request, 50, "21"), 11));
    assert_eq!(talk.told().as_deref(), Some("t=21"));
    assert_eq!(talk.sent(), Message::empty(Kind::Acknowledgement, 50));
    talk.hear(&numbered(Message { kind: Kind::NonConfirmable, ..separate(&request, 51, "22") }, 12));
    assert_eq!(talk.told().as_deref(), Some("t=22"));
    assert_eq!(talk.sends(), None);
}

#[test]
fn what_is_out_of_order_or_repeated_is_not_told() {
    let mut talk = Talk::new();
    let request = observed(&mut talk, "t", 10);
    talk.hear(&numbered(separate(&request, 52, "22"), 12));
    assert_eq!(talk.told().as_deref(), Some("t=22"));
    talk.sent();
    talk.hear(&numbered(separate(&request, 51, "21"), 11));
    talk.hear(&numbered(separate(&request, 52, "22"), 12));
    assert_eq!(talk.event(), None);
    assert_eq!([talk.sends().unwrap().id, talk.sends().unwrap().id], [51, 52], "but acknowledged");
}

#[test]
fn a_poll_of_what_was_just_told_leaves_the_registration_alone() {
    let mut talk = Talk::new();
    let registration = observed(&mut talk, "t", 10);
    let poll = talk.observe("t");
    assert_eq!(poll.number(option::OBSERVE), None);
    assert_ne!(poll.token, registration.token);
    talk.hear(&ack(&poll, "21"));
    talk.told();
    talk.pass(20 * S);
    let renewal = talk.observe("t");
    assert_eq!((renewal.number(option::OBSERVE), renewal.token), (Some(0), registration.token));
}

#[test]
fn when_its_time_is_over_it_is_registered_again() {
    let mut talk = Talk::new();
    let request = talk.observe("t");
    talk.hear(&numbered(ack(&request, "1"), 10).with_number(option::MAX_AGE, 20));
    talk.told();
    talk.pass(24 * S);
    assert_eq!((talk.sends(), talk.event()), (None, None));
    talk.pass(2 * S);
    let again = talk.sent();
    assert_eq!((again.number(option::OBSERVE), again.token), (Some(0), request.token));
    assert_eq!(talk.told().as_deref(), Some("t lost"));
    talk.hear(&numbered(ack(&again, "2"), 3));
    assert_eq!(talk.told().as_deref(), Some("t=2"), "whatever its number: it may have restarted");
}

#[test]
fn an_observation_that_the_device_ends_is_tried_again_later() {
    let mut talk = Talk::new();
    let request = observed(&mut talk, "t", 10);
    talk.hear(&Message { code: Code(0x84), ..separate(&request, 60, "") });
    assert_eq!(talk.told().as_deref(), Some("t lost"));
    talk.sent();
    talk.pass(4 * S);
    assert_eq!(talk.sends(), None);
    talk.pass(S);
    let again = talk.sent();
    talk.hear(&numbered(ack(&again, "back"), 1));
    assert_eq!(talk.told().as_deref(), Some("t=back"));
}

#[test]
fn a_device_that_was_away_is_told_again_what_to_tell() {
    let mut talk = Talk::new();
    let one = talk.observe("one");
    talk.hear(&numbered(ack(&one, "1"), 1).with_number(option::MAX_AGE, 86_400));
    let two = talk.observe("two");
    talk.hear(&numbered(ack(&two, "2"), 1).with_number(option::MAX_AGE, 86_400));
    talk.get("three");
    talk.pass(WITHIN);
    while talk.sends().is_some() {}
    while talk.event().is_some() {}
    let request = talk.get("three");
    talk.hear(&ack(&request, "3"));
    let again = talk.sent();
    assert_eq!((again.number(option::OBSERVE), again.token), (Some(0), one.token));
    talk.hear(&numbered(ack(&again, "1"), 1));
    assert_eq!(talk.sent().token, two.token);
}

#[test]
fn a_device_that_does_not_tell_is_only_polled() {
    let mut talk = Talk::new();
    let request = talk.observe("t");
    talk.hear(&ack(&request, "1"));
    assert_eq!(talk.told().as_deref(), Some("1"));
    assert_eq!(talk.endpoint.poll_timeout(), None);
}

#[test]
fn the_rest_of_a_notification_is_fetched() {
    let mut talk = Talk::new();
    let request = observed(&mut talk, "t", 10);
    let block = |number, more| Block { number, more, exponent: 0 }.value();
    let first = numbered(separate(&request, 60, "0123456789abcdef"), 11);
    talk.hear(&first.with_number(option::BLOCK2, block(0, true)));
    assert_eq!(talk.sends().unwrap().kind, Kind::Acknowledgement);
    let rest = talk.sent();
    assert_eq!((rest.number(option::OBSERVE), rest.number(option::BLOCK2)), (None, Some(block(1, false))));
    talk.hear(&ack(&rest, "gh").with_number(option::BLOCK2, block(1, false)));
    assert_eq!(talk.told().as_deref(), Some("t=0123456789abcdefgh"));
}

#[test]
fn the_rest_of_an_older_notification_does_not_overtake_a_newer() {
    let mut talk = Talk::new();
    let request = observed(&mut talk, "t", 10);
    let block = |number, more| Block { number, more, exponent: 0 }.value();
    let first = numbered(separate(&request, 60, "0123456789abcdef"), 11);
    talk.hear(&first.with_number(option::BLOCK2, block(0, true)));
    talk.sends();
    let rest = talk.sent();
    talk.hear(&numbered(separate(&request, 61, "new"), 12));
    assert_eq!(talk.told().as_deref(), Some("t=new"));
    talk.hear(&ack(&rest, "gh").with_number(option::BLOCK2, block(1, false)));
    assert_eq!(talk.event(), None);
}

#[test]
fn what_nobody_watches_is_told_so() {
    let mut talk = Talk::new();
    let request = observed(&mut talk, "t", 10);
    talk.endpoint.keep_watching(&[]);
    let leave = talk.sent();
    assert_eq!((leave.number(option::OBSERVE), leave.token), (Some(1), request.token));
    assert_eq!(leave.kind, Kind::NonConfirmable);
    talk.hear(&numbered(separate(&request, 61, "new"), 12));
    assert_eq!(talk.sent(), Message::empty(Kind::Reset, 61));
    talk.hear(&numbered(Message { kind: Kind::NonConfirmable, ..separate(&request, 62, "new") }, 13));
    assert_eq!(talk.sent(), Message::empty(Kind::Reset, 62));
    assert_eq!(talk.event(), None);
}

#[test]
fn a_flood_of_notifications_is_bounded() {
    let mut talk = Talk::new();
    let request = observed(&mut talk, "t", 10);
    for number in 0..1000 {
        talk.hear(&numbered(separate(&request, number, "x"), 11 + u32::from(number)));
        while talk.sends().is_some() {}
    }
    let told = std::iter::from_fn(|| talk.event()).count();
    assert_eq!(told, EVENTS);
}

#[test]
fn a_caller_comes_before_what_is_observed_and_one_exchange_is_under_way() {
    let mut talk = Talk::new();
    let request = talk.observe("t");
    talk.hear(&numbered(ack(&request, "1"), 10).with_number(option::MAX_AGE, 0));
    talk.told();
    talk.pass(6 * S);
    let registration = talk.sent();
    talk.endpoint.request(talk.now, Request::get(Talk::resource("a"), Manner::new(WITHIN)));
    assert_eq!(talk.sends(), None, "one at a time");
    talk.hear(&numbered(ack(&registration, "2"), 11));
    let request = talk.sent();
    talk.hear(&ack(&request, "21"));
    let told: Vec<_> = std::iter::from_fn(|| talk.told()).collect();
    assert_eq!(told, ["t lost", "t=2", "21"]);
}

#[test]
fn a_device_that_is_observed_is_looked_for_however_long_its_word_is_fresh() {
    let mut talk = Talk::new();
    let request = talk.observe("t");
    let day = numbered(ack(&request, "first"), 1).with_number(option::MAX_AGE, 86_400);
    talk.hear(&day);
    assert_eq!(talk.told().as_deref(), Some("first"));
    talk.pass(SILENCE - S);
    assert_eq!(talk.sends(), None);
    talk.pass(S);
    let looks = talk.sent();
    assert_eq!((looks.number(option::OBSERVE), looks.token), (Some(0), request.token));
    talk.hear(&numbered(ack(&looks, "again"), 2).with_number(option::MAX_AGE, 86_400));
    assert_eq!(talk.told().as_deref(), Some("t=again"));
    // One that sleeps for longer says so in its mapping.
    talk.endpoint.set_silence(2 * SILENCE);
    talk.pass(2 * SILENCE - S);
    assert_eq!(talk.sends(), None);
    talk.pass(S + WITHIN);
    assert_eq!(talk.told().as_deref(), Some("silent"), "it is gone, or does not know the session");
}

#[test]
fn that_an_observation_cannot_be_made_again_is_told() {
    let mut talk = Talk::new();
    observed(&mut talk, "t", 1);
    talk.pass(66 * S + WITHIN);
    assert_eq!(talk.told().as_deref(), Some("t lost"));
    assert_eq!(talk.told().as_deref(), Some("silent"));
}
