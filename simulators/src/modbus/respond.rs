//! What goes back over the wire for one request, faults included. Pure: waiting is written down, not done.

use std::time::Duration;

use crate::mischief::Fault;

use super::device::ModbusDevice;
use super::frame::{self, Frame};
use super::log::Seen;
use super::pdu::{self, Exception};
use super::rtu;

/// What a glitch on a line looks like to a receiver. It is no frame of either framing.
const NOISE: [u8; 5] = [0xff, 0x00, 0xfe, 0x5a, 0xc0];

/// One step of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Wait; nothing else of this connection is done meanwhile.
    Wait(Duration),
    /// Send these bytes after this time, and go on at once.
    Later(Duration, Vec<u8>),
    /// Close the connection.
    Close,
}

/// How frames are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// With the header of Modbus TCP.
    Tcp,
    /// With unit and checksum; the transaction number is only counted.
    Rtu,
}

impl Framing {
    fn bytes(self, frame: &Frame) -> Vec<u8> {
        match self {
            Self::Tcp => frame::bytes(frame),
            Self::Rtu => rtu::bytes(frame),
        }
    }
}

/// Answers one frame for a unit that may not exist. On a line nobody speaks for a unit that is not there.
pub(crate) fn respond(
    device: Option<&mut ModbusDevice>,
    asked: &Frame,
    framing: Framing,
) -> (Vec<Step>, Seen) {
    let function = asked.pdu.first().copied().unwrap_or(0);
    let request = pdu::parse(&asked.pdu);
    let mut seen = Seen::of(asked.unit, function, request.as_ref().ok());
    let mut device = device;
    if let Some(there) = &mut device {
        there.asked = there.asked.wrapping_add(1);
        device = device.filter(|device| !device.mischief.has(|fault| *fault == Fault::Dead));
    }
    let Some(device) = device else {
        if framing == Framing::Rtu {
            return (Vec::new(), seen);
        }
        seen.refused = Some(Exception::NO_TARGET);
        let answer = Frame { pdu: pdu::refusal(function, Exception::NO_TARGET), ..asked.clone() };
        return (vec![Step::Send(framing.bytes(&answer))], seen);
    };
    if device.mischief.happen(|fault| *fault == Fault::Silent).is_some() {
        return (Vec::new(), seen);
    }
    if device.mischief.happen(|fault| *fault == Fault::Disconnect).is_some() {
        return (vec![Step::Close], seen);
    }
    let outcome = match refused(device) {
        Some(exception) => Err(exception),
        None => request.and_then(|request| device.answer(&request)),
    };
    seen.refused = outcome.as_ref().err().copied();
    let pdu = outcome.unwrap_or_else(|exception| pdu::refusal(function, exception));
    let answer = Frame { pdu, ..asked.clone() };
    (steps(device, answer, framing), seen)
}

/// A refusal that a fault demands.
fn refused(device: &mut ModbusDevice) -> Option<Exception> {
    let third = device.asked.is_multiple_of(3);
    let refuses = |fault: &Fault| match fault {
        Fault::Exception(_) | Fault::Busy => true,
        Fault::Transient(_) => third,
        _ => false,
    };
    match device.mischief.happen(refuses)? {
        Fault::Exception(code) | Fault::Transient(code) => Some(Exception(code)),
        _ => Some(Exception::BUSY),
    }
}

/// The steps of an answer, spoiled by whatever fault of the wire is on.
fn steps(device: &mut ModbusDevice, mut answer: Frame, framing: Framing) -> Vec<Step> {
    let every_other = device.asked.is_multiple_of(2);
    let mischief = &mut device.mischief;
    let mut steps = Vec::new();
    if every_other && mischief.happen(|fault| *fault == Fault::Noise).is_some() {
        steps.push(Step::Send(NOISE.to_vec()));
    }
    if let Some(Fault::Slow(time)) = mischief.happen(|fault| matches!(fault, Fault::Slow(_))) {
        steps.push(Step::Wait(time));
    }
    if mischief.happen(|fault| *fault == Fault::WrongTransactionId).is_some() {
        answer.transaction = answer.transaction.wrapping_add(1000);
    }
    if mischief.happen(|fault| *fault == Fault::WrongUnit).is_some() {
        answer.unit = answer.unit.wrapping_add(1);
    }
    let mut bytes = framing.bytes(&answer);
    if mischief.happen(|fault| *fault == Fault::Garbled).is_some() {
        bytes = garbled(&answer, framing);
    }
    if let Some(Fault::Late(time)) = mischief.happen(|fault| matches!(fault, Fault::Late(_))) {
        steps.push(Step::Later(time, bytes));
        return steps;
    }
    if mischief.happen(|fault| *fault == Fault::DisconnectMidFrame).is_some() {
        bytes.truncate(bytes.len() / 2);
        steps.extend([Step::Send(bytes), Step::Close]);
        return steps;
    }
    let twice = mischief.happen(|fault| *fault == Fault::Duplicate).is_some();
    steps.extend(twice.then(|| Step::Send(bytes.clone())));
    steps.push(Step::Send(bytes));
    steps
}

/// An answer that makes no sense, each time in another of four ways.
fn garbled(answer: &Frame, framing: Framing) -> Vec<u8> {
    let mut spoiled = answer.clone();
    match answer.transaction % 4 {
        // On a line one bit is wrong; over TCP more bytes are announced than follow.
        0 if framing == Framing::Rtu => {
            let mut bytes = framing.bytes(answer);
            bytes.iter_mut().skip(2).take(1).for_each(|byte| *byte ^= 0x10);
            return bytes;
        }
        0 => spoiled.pdu.iter_mut().skip(1).for_each(|byte| *byte = byte.wrapping_add(0x5a)),
        // The answer to another function.
        1 => spoiled.pdu.iter_mut().take(1).for_each(|byte| *byte ^= 0x18),
        // Cut short.
        2 => spoiled.pdu.truncate(1),
        // Another protocol altogether.
        _ => return [&b"HTTP/1.0 500 "[..], &framing.bytes(answer)].concat(),
    }
    framing.bytes(&spoiled)
}
