//! Reading a Record, and deciding what a bad one deserves (R-MTP.5).

use prost::Message as _;

use super::plain::Plain;
use super::probe::Probe;
use super::{BadRecord, Connect, DecodeFault, Record, RecordBody};
use crate::endpoint_id::EndpointId;
use crate::err_code::ErrCode;
use crate::message::{self, MessageFault};
use crate::usp_record::record::{PayloadSecurity, RecordType};
use crate::{usp, usp_record};

pub(super) fn decode(bytes: &[u8], known: &[&EndpointId]) -> Result<Record, DecodeFault> {
    match Plain::read(bytes).filter(|plain| is_version(plain.version)) {
        Some(plain) => {
            let envelope = Envelope::plain(&plain, known)?;
            let body = RecordBody::Message(envelope.message(plain.payload)?);
            Ok(Record { version: plain.version.to_owned(), to: envelope.to, from: envelope.from, body })
        }
        None => decode_any(bytes),
    }
}

/// Through the schema's types.
pub(super) fn decode_any(bytes: &[u8]) -> Result<Record, DecodeFault> {
    let raw = usp_record::Record::decode(bytes).map_err(|e| DecodeFault::Undecodable(e.to_string()))?;
    let envelope = Envelope::read(&raw)?;
    let record_type = raw.record_type.ok_or_else(|| unusable("it has no known record type"))?;
    let body = match record_type {
        RecordType::NoSessionContext(record) => RecordBody::Message(envelope.message(&record.payload)?),
        RecordType::SessionContext(record) => RecordBody::Session { session_id: record.session_id },
        other => envelope.in_order(None).and_then(|()| simple(other))?,
    };
    Ok(Record { version: raw.version, to: envelope.to, from: envelope.from, body })
}

fn parse_id(field: &str, text: &str) -> Result<EndpointId, DecodeFault> {
    EndpointId::parse(text).map_err(|e| unusable(format!("its {field} is no Endpoint ID: {e}")))
}

/// What stands outside of the content.
struct Envelope {
    to: EndpointId,
    from: EndpointId,
    /// What is wrong with it, in so far as the sender can be told.
    fault: Option<(ErrCode, String)>,
}

impl Envelope {
    /// Errors: without two Endpoint IDs nobody can be told anything.
    fn read(raw: &usp_record::Record) -> Result<Self, DecodeFault> {
        let to = parse_id("to_id", &raw.to_id)?;
        let from = parse_id("from_id", &raw.from_id)?;
        Ok(Self { to, from, fault: fault_of(raw) })
    }

    /// The same of the usual form.
    fn plain(plain: &Plain<'_>, known: &[&EndpointId]) -> Result<Self, DecodeFault> {
        let id = |field: &str, text: &str| {
            let known = known.iter().find(|id| id.as_str() == text);
            known.map_or_else(|| parse_id(field, text), |id| Ok((*id).clone()))
        };
        Ok(Self { to: id("to_id", plain.to)?, from: id("from_id", plain.from)?, fault: None })
    }

    /// Reads and checks a Message.
    fn message(&self, payload: &[u8]) -> Result<Box<usp::Msg>, DecodeFault> {
        if payload.is_empty() {
            return Err(unusable("its payload is empty"));
        }
        self.in_order(Some(payload))?;
        let msg = usp::Msg::decode(payload).map_err(|e| {
            self.bad(payload, ErrCode::INVALID_ARGUMENTS, format!("the Message cannot be decoded: {e}"))
        })?;
        match message::check(&msg) {
            Ok(()) => Ok(Box::new(msg)),
            Err(MessageFault::EmptyOneof { .. } | MessageFault::UnknownMsgType(_))
                if !message::is_request(&msg) =>
            {
                Ok(Box::new(msg))
            }
            Err(fault) => Err(self.bad(payload, code_of(&fault, payload), fault.to_string())),
        }
    }

    /// Errors: the envelope is wrong; with a payload that holds a request the sender is told.
    fn in_order(&self, payload: Option<&[u8]>) -> Result<(), DecodeFault> {
        match (&self.fault, payload) {
            (None, _) => Ok(()),
            (Some((code, text)), Some(payload)) => Err(self.bad(payload, *code, text.clone())),
            (Some((_, text)), None) => Err(unusable(text.clone())),
        }
    }

    fn bad(&self, payload: &[u8], code: ErrCode, text: String) -> DecodeFault {
        let probe = Probe::read(payload);
        match probe.msg_id() {
            Some(msg_id) if probe.is_request() => DecodeFault::Answer(BadRecord {
                from: self.from.clone(),
                to: self.to.clone(),
                msg_id: msg_id.to_owned(),
                code,
                text,
            }),
            _ => unusable(text),
        }
    }
}

/// An empty request and one of a later version look alike after decoding; the bytes tell them apart.
fn code_of(fault: &MessageFault, payload: &[u8]) -> ErrCode {
    match fault {
        MessageFault::UnknownMessage(_) if Probe::read(payload).is_empty_request() => {
            ErrCode::INVALID_ARGUMENTS
        }
        fault => fault.code(),
    }
}

fn fault_of(raw: &usp_record::Record) -> Option<(ErrCode, String)> {
    if !is_version(&raw.version) {
        return Some((
            ErrCode::INVALID_RECORD_VALUE,
            "the Record's version is not of the form `1.4`".to_owned(),
        ));
    }
    let session = matches!(raw.record_type, Some(RecordType::SessionContext(_)));
    if !raw.mac_signature.is_empty() && !session {
        // R-E2E.30: to take it for good unseen would be worse than not to take it.
        return Some((
            ErrCode::INVALID_RECORD_VALUE,
            "the Record has a mac_signature, and signatures cannot be verified here".to_owned(),
        ));
    }
    match PayloadSecurity::try_from(raw.payload_security) {
        Ok(PayloadSecurity::Plaintext) => None,
        Ok(PayloadSecurity::Tls12) if session => None,
        Ok(PayloadSecurity::Tls12) => Some((
            ErrCode::SECURE_SESSION_NOT_SUPPORTED,
            "payload_security TLS12 needs a Session Context".to_owned(),
        )),
        Err(_) => Some((
            ErrCode::INVALID_RECORD_VALUE,
            format!("payload_security {} is unknown", raw.payload_security),
        )),
    }
}

/// `Major.Minor`; higher ones than ours are fine.
fn is_version(text: &str) -> bool {
    let is_number = |n: &str| (1..=5).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit());
    text.split_once('.').is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

/// The record types without a Message.
fn simple(record_type: RecordType) -> Result<RecordBody, DecodeFault> {
    Ok(match record_type {
        RecordType::WebsocketConnect(_) => RecordBody::Connect(Connect::WebSocket),
        RecordType::UdsConnect(_) => RecordBody::Connect(Connect::Uds),
        RecordType::MqttConnect(record) => RecordBody::Connect(Connect::Mqtt {
            version: record.version.try_into().map_err(|_| unusable("its MQTT version is unknown"))?,
            subscribed_topic: record.subscribed_topic,
        }),
        RecordType::StompConnect(record) => RecordBody::Connect(Connect::Stomp {
            version: record.version.try_into().map_err(|_| unusable("its STOMP version is unknown"))?,
            subscribed_destination: record.subscribed_destination,
        }),
        RecordType::Disconnect(record) => {
            RecordBody::Disconnect { code: record.reason_code, reason: record.reason }
        }
        RecordType::NoSessionContext(_) | RecordType::SessionContext(_) => {
            return Err(unusable("it carries a payload"));
        }
    })
}

fn unusable(text: impl Into<String>) -> DecodeFault {
    DecodeFault::Unusable(text.into())
}
