//! Records: the envelope of every exchange between two Endpoints (TR-369 "Records", R-ENC.1 to R-ENC.5, R-MTP.4b).
//!
//! A Message travels in one piece and in plain text (no Session Context). Records of a Session Context are recognised, so
//! that they can be refused properly (R-E2E.6a), and not processed.

mod decode;
mod plain;
mod probe;
#[cfg(test)]
mod tests;

use plain::Outline;
use prost::Message as _;

use crate::endpoint_id::EndpointId;
use crate::err_code::ErrCode;
use crate::usp_record::mqtt_connect_record::MqttVersion;
use crate::usp_record::record::RecordType;
use crate::{USP_VERSION, usp, usp_record};

/// One Record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The sender's USP version, `Major.Minor`.
    pub version: String,
    /// For whom it is. Whether that is us is for the receiver to check (R-E2E.1).
    pub to: EndpointId,
    /// From whom it says it is.
    pub from: EndpointId,
    /// What it carries.
    pub body: RecordBody,
}

/// What a Record carries.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordBody {
    /// A whole Message.
    Message(Box<usp::Msg>),
    /// First Record of an Agent on a channel (R-MTP.6).
    Connect(Connect),
    /// The sender is about to leave (R-MTP.7).
    Disconnect {
        /// A code of the 71xx range, or 0.
        code: u32,
        /// In words.
        reason: String,
    },
    /// A part of a Session Context; its payload is dropped. The answer is a Disconnect with 7106 (R-E2E.6a).
    Session {
        /// Which context.
        session_id: u64,
    },
}

/// A Connect Record, by transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connect {
    /// UNIX domain socket.
    Uds,
    /// WebSocket.
    WebSocket,
    /// MQTT.
    Mqtt {
        /// Which MQTT the Agent speaks.
        version: MqttVersion,
        /// Where it listens.
        subscribed_topic: String,
    },
    /// STOMP (there is version 1.2 alone).
    Stomp {
        /// Which STOMP the Agent speaks.
        version: usp_record::stomp_connect_record::StompVersion,
        /// Where it listens.
        subscribed_destination: String,
    },
}

/// Why bytes gave no usable Record, by what the receiver owes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    /// The bytes are no Record at all. The transport closes the connection (R-WS.16, R-UDS.23).
    #[error("the bytes are no USP Record: {0}")]
    Undecodable(String),
    /// A Record that cannot be used or answered: it is discarded (R-ENC.4, R-MTP.5).
    #[error("the Record is of no use: {0}")]
    Unusable(String),
    /// The sender can be told, and should be (R-MTP.5).
    #[error("{0}")]
    Answer(BadRecord),
}

/// A Record whose sender is to be told what is wrong with it (R-MTP.5). Whether it was meant for us is not yet known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{from} sent a bad request {msg_id:?}: {code}: {text}")]
pub struct BadRecord {
    /// Who sent it.
    pub from: EndpointId,
    /// For whom it was.
    pub to: EndpointId,
    /// The request's msg_id, for the Error.
    pub msg_id: String,
    /// What kind of fault.
    pub code: ErrCode,
    /// In words.
    pub text: String,
}

impl BadRecord {
    /// The Record that tells the sender.
    pub fn answer(&self) -> Record {
        let error = crate::message::error(&self.msg_id, self.code, &self.text, Vec::new());
        Record::message(self.to.clone(), self.from.clone(), error)
    }
}

impl Record {
    /// A Record that carries a Message.
    pub fn message(from: EndpointId, to: EndpointId, msg: usp::Msg) -> Self {
        Self::new(from, to, RecordBody::Message(Box::new(msg)))
    }

    /// A Connect Record.
    pub fn connect(from: EndpointId, to: EndpointId, connect: Connect) -> Self {
        Self::new(from, to, RecordBody::Connect(connect))
    }

    /// A Disconnect Record (R-MTP.9).
    pub fn disconnect(from: EndpointId, to: EndpointId, code: ErrCode, reason: &str) -> Self {
        Self::new(from, to, RecordBody::Disconnect { code: code.0, reason: reason.to_owned() })
    }

    fn new(from: EndpointId, to: EndpointId, body: RecordBody) -> Self {
        Self { version: USP_VERSION.to_owned(), to, from, body }
    }

    /// The Message inside, if it carries one.
    pub fn msg(&self) -> Option<&usp::Msg> {
        match &self.body {
            RecordBody::Message(msg) => Some(msg),
            RecordBody::Connect(_) | RecordBody::Disconnect { .. } | RecordBody::Session { .. } => None,
        }
    }

    /// The bytes. The same Record always gives the same bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode_to(&mut bytes, |_, _| {});
        bytes
    }

    /// Adds the bytes to others; `head` is called before, with their number.
    pub fn encode_to(&self, out: &mut Vec<u8>, head: impl FnOnce(&mut Vec<u8>, usize)) {
        if let Some(outline) = Outline::of(self) {
            head(out, outline.len());
            return outline.write(out);
        }
        let bytes = self.encode_any();
        head(out, bytes.len());
        out.extend(bytes);
    }

    /// Through the schema's types.
    fn encode_any(&self) -> Vec<u8> {
        usp_record::Record {
            version: self.version.clone(),
            to_id: self.to.as_str().to_owned(),
            from_id: self.from.as_str().to_owned(),
            record_type: Some(self.record_type()),
            ..Default::default()
        }
        .encode_to_vec()
    }

    fn record_type(&self) -> RecordType {
        match &self.body {
            RecordBody::Message(msg) => RecordType::NoSessionContext(usp_record::NoSessionContextRecord {
                payload: msg.encode_to_vec(),
            }),
            RecordBody::Connect(connect) => connect.record_type(),
            RecordBody::Disconnect { code, reason } => RecordType::Disconnect(usp_record::DisconnectRecord {
                reason: reason.clone(),
                reason_code: *code,
            }),
            RecordBody::Session { session_id } => {
                RecordType::SessionContext(usp_record::SessionContextRecord {
                    session_id: *session_id,
                    ..Default::default()
                })
            }
        }
    }

    /// Reads the bytes of one Record, and the Message inside.
    ///
    /// Errors: see [`DecodeFault`]. A response is passed on even if results in it are incomplete: who asked knows best what to make of it.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeFault> {
        decode::decode(bytes, &[])
    }

    /// The same; `known` are Endpoint IDs that are to be expected, which need no memory of their own then.
    ///
    /// Errors: as [`decode`](Self::decode).
    pub fn decode_among(bytes: &[u8], known: &[&EndpointId]) -> Result<Self, DecodeFault> {
        decode::decode(bytes, known)
    }
}

impl Connect {
    fn record_type(&self) -> RecordType {
        match self {
            Self::Uds => RecordType::UdsConnect(usp_record::UdsConnectRecord {}),
            Self::WebSocket => RecordType::WebsocketConnect(usp_record::WebSocketConnectRecord {}),
            Self::Mqtt { version, subscribed_topic } => {
                RecordType::MqttConnect(usp_record::MqttConnectRecord {
                    version: (*version).into(),
                    subscribed_topic: subscribed_topic.clone(),
                })
            }
            Self::Stomp { version, subscribed_destination } => {
                RecordType::StompConnect(usp_record::StompConnectRecord {
                    version: (*version).into(),
                    subscribed_destination: subscribed_destination.clone(),
                })
            }
        }
    }
}
