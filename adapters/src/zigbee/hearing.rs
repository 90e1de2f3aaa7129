//! What comes in from the network: answers for whoever asked, words for the workers of devices, and what the host itself has to say to
//! them.

use usp_mapping::zigbee::clusters::answers::is_answer;
use usp_mapping::zigbee::zcl::{Direction, Frame, Status, default_response};

use super::board::{Board, Looked, Said, now, spawn_send};
use super::ncp::{Aps, HOME_AUTOMATION, HOST_ENDPOINT, Ieee, Message, To, ZDO};
use super::talks::Reply;
use super::word::Word;
use super::zdo;
use crate::bus::statistics::Signal;

/// IAS zone: a sensor asks to be enrolled with command 1, which is answered by command 0.
const IAS_ZONE: u16 = 0x0500;
const ENROLL_REQUEST: u8 = 0x01;

/// Number of a zone; there is no panel here that tells zones apart by it.
pub(super) const ZONE: u8 = 1;

/// Over-the-air upgrades and the time: the host serves neither.
const NOT_SERVED: [u16; 2] = [0x0019, 0x000a];

/// What follows for who is in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    Nothing,
    /// A device says that it is there now: new, or back.
    Announced(Ieee, u16),
}

impl Board {
    /// Takes a message in.
    pub(super) fn hear(&self, message: &Message) -> Follows {
        if message.profile == ZDO {
            return self.hear_object(message);
        }
        let Some(from) = self.sender(message) else {
            self.who_is(message.from);
            return Follows::Nothing;
        };
        let frame = Frame::parse(&message.payload);
        self.note(from, message, frame.as_ref().is_ok_and(is_report));
        match frame {
            Ok(frame) => self.hear_frame(from, message, frame),
            Err(why) => tracing::debug!(%from, %why, "a message of a device cannot be used"),
        }
        Follows::Nothing
    }

    /// Who says it. A coordinator that tells the IEEE address knows it from the message itself.
    fn sender(&self, message: &Message) -> Option<Ieee> {
        let mut shared = self.shared();
        if let Some(ieee) = message.ieee.filter(|ieee| shared.members.get(*ieee).is_some()) {
            shared.members.found(ieee, message.from);
            return Some(ieee);
        }
        shared.members.at(message.from)
    }

    /// It was heard, with a report or something else, and how well.
    fn note(&self, from: Ieee, message: &Message, is_report: bool) {
        let signal = Signal { quality: Some(message.lqi), strength: message.rssi };
        let mut shared = self.shared();
        shared.members.heard(from, now());
        shared.failing.remove(&from);
        for (id, listener) in shared.listeners.iter().filter(|(_, listener)| listener.ieee == from) {
            listener.heard.send_replace(Some(now()));
            self.counters.signal(id, signal);
        }
        if shared.misses_reports(from, is_report) {
            tracing::info!(bus = %self.bus, device = %from, "its reports stay away: it is set up again");
            shared.members.set_up(from, None);
        }
        let member = shared.members.get(from);
        let is_unfinished = member.is_some_and(|member| !member.is_ready() || !member.unanswered.is_empty());
        drop(shared);
        if is_unfinished {
            self.wish(from);
        }
    }

    fn hear_object(&self, message: &Message) -> Follows {
        let payload = &message.payload;
        if message.cluster == zdo::ANNOUNCE {
            return zdo::announce(payload)
                .map_or(Follows::Nothing, |said| Follows::Announced(said.ieee, said.nwk));
        }
        if let zdo::NWK_ADDRESS | zdo::IEEE_ADDRESS = message.cluster & !zdo::RESPONSE
            && message.cluster & zdo::RESPONSE != 0
        {
            return self.hear_address(message.from, payload);
        }
        let Some(from) = self.sender(message) else {
            if message.cluster & zdo::RESPONSE != 0 {
                self.who_is(message.from);
            }
            return Follows::Nothing;
        };
        self.note(from, message, false);
        let reply = Reply::Zdo { cluster: message.cluster, payload };
        let waits = self.shared().talks.answered(from, &reply);
        if let Some(waits) = waits {
            waits.answer(Said::Zdo(payload.clone()));
        }
        Follows::Nothing
    }

    /// Somebody says who is where.
    fn hear_address(&self, from: u16, payload: &[u8]) -> Follows {
        let Some((zdo::SUCCESS, rest)) = zdo::answer(payload) else { return Follows::Nothing };
        let Some((ieee, nwk)) = zdo::addresses(rest) else { return Follows::Nothing };
        let mut shared = self.shared();
        // Nobody else's word takes an address from anybody, unless it was asked for.
        let was_asked =
            [Looked::Where(ieee), Looked::Who(nwk)].iter().any(|it| shared.looked.contains_key(it));
        if from != nwk && !was_asked {
            return Follows::Nothing;
        }
        let was_member = shared.members.get(ieee).is_some();
        if was_member {
            shared.members.found(ieee, nwk);
            drop(shared);
            self.changes.notify_one();
            return Follows::Nothing;
        }
        drop(shared);
        // It is in the network, and nobody here knew.
        Follows::Announced(ieee, nwk)
    }

    fn hear_frame(&self, from: Ieee, message: &Message, frame: Frame) {
        let (endpoint, cluster) = (message.src_endpoint, message.cluster);
        let reply = Reply::Zcl { endpoint, cluster, frame: &frame };
        let waits = self.shared().talks.answered(from, &reply);
        if let Some(waits) = waits {
            waits.answer(Said::Zcl(frame));
            return;
        }
        self.answer(message, &frame);
        if frame.is_specific || is_report(&frame) {
            self.tell(from, &Word::frame(endpoint, cluster, frame));
        }
    }

    /// What the host has to say to a frame that nobody waits for.
    fn answer(&self, message: &Message, frame: &Frame) {
        let is_enrolment =
            message.cluster == IAS_ZONE && frame.is_specific && frame.command == ENROLL_REQUEST;
        let is_for_us = !message.broadcast && message.group.is_none();
        let reply = if is_enrolment && frame.direction == Direction::ToClient {
            if self.only_looks {
                return;
            }
            enrolled(frame.sequence)
        } else if is_for_us && !frame.no_default_response && !is_response(frame, message.cluster) {
            let unserved =
                NOT_SERVED.contains(&message.cluster) || !frame.is_specific && frame.command != 0x0a;
            default_response(frame, if unserved { Status(0xc3) } else { Status::SUCCESS })
        } else {
            return;
        };
        let Some(coordinator) = self.coordinator() else { return };
        let message = Aps {
            to: To::Device(message.from),
            profile: HOME_AUTOMATION,
            cluster: message.cluster,
            src_endpoint: HOST_ENDPOINT,
            dst_endpoint: message.src_endpoint,
            sequence: frame.sequence,
            payload: reply.bytes(),
            ack: false,
        };
        spawn_send(coordinator, message);
    }
}

/// Report Attributes.
fn is_report(frame: &Frame) -> bool {
    !frame.is_specific && frame.command == 0x0a
}

/// Whether it answers something, if late: nothing is said to that.
fn is_response(frame: &Frame, cluster: u16) -> bool {
    match frame.is_specific {
        true => {
            frame.direction == Direction::ToClient
                && frame.manufacturer.is_none()
                && is_answer(cluster, frame.command)
        }
        false => matches!(frame.command, 0x01 | 0x04 | 0x07 | 0x09 | 0x0b | 0x0d),
    }
}

/// The answer to a sensor that asks to be enrolled: it is (ZCL 8.2.2.3.1).
pub(super) fn enrolled(sequence: u8) -> Frame {
    Frame {
        manufacturer: None,
        is_specific: true,
        direction: Direction::ToServer,
        no_default_response: true,
        sequence,
        command: 0x00,
        payload: vec![0x00, ZONE],
    }
}
