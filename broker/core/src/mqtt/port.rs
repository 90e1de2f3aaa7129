//! What the core and the edge say to each other about MQTT clients.
//!
//! A client is known by the Instance Number of its row in `Device.MQTT.Client.`. The core orders, the edge reports. What a
//! client does by itself: connect, try again with back-off, answer pings, subscribe again after a reconnect without a session.

use usp_proto::endpoint_id::EndpointId;
use usp_proto::record::{BadRecord, Record};

/// One order of the core to the edge.
#[derive(Clone, Debug)]
pub enum MqttOrder {
    /// Run this client with these settings from now on. If it runs already with others, it connects anew.
    Run {
        /// Instance Number of its row.
        client: u32,
        /// How.
        settings: Box<MqttSettings>,
    },
    /// End the client with a DISCONNECT. Nothing more is reported of it.
    Stop {
        /// Which.
        client: u32,
    },
    /// Disconnect and connect again at once: `ForceReconnect()`.
    Reconnect {
        /// Which.
        client: u32,
    },
    /// All topic filters that this client is to be subscribed to; replaces the former ones by difference.
    Topics {
        /// Which.
        client: u32,
        /// Every filter.
        filters: Vec<MqttFilter>,
    },
    /// Publish a Record. If the client is not connected or its outbox is full, the Record is dropped, the client
    /// connects anew, and `MqttEvent::Down` says so.
    Publish {
        /// Which.
        client: u32,
        /// What and where.
        publish: Box<MqttPublish>,
    },
}

/// One subscription at a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MqttFilter {
    /// MQTT topic filter.
    pub topic: String,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Whether the client cannot work without it: if the server refuses it, the client disconnects (TP-469 11.11).
    pub vital: bool,
}

/// A Record on its way out.
#[derive(Clone, Debug)]
pub struct MqttPublish {
    /// Topic, without any `/reply-to=` part.
    pub topic: String,
    /// The peer's answers are wanted here: Response Topic in 5.0, `/reply-to=` suffix in 3.1.1 (R-MQTT.24, R-MQTT.26).
    pub reply_to: Option<String>,
    /// 0, 1 or 2; the edge lowers it to what the server takes.
    pub qos: u8,
    /// The Record.
    pub record: Record,
    /// Equal for Records of which only the newest matters while they wait.
    pub merge: Option<u64>,
}

/// One report of the edge to the core.
#[derive(Clone, Debug)]
pub enum MqttEvent {
    /// The server has accepted us. Nothing is subscribed to yet, unless the server kept the session.
    Up(MqttUp),
    /// Every filter of the newest `Topics` order is subscribed to, or was refused.
    Subscribed {
        /// Filters that the server refused, with its reason.
        refused: Vec<(String, String)>,
    },
    /// The connection is gone, or could not be made. The client tries again by itself.
    Down {
        /// Which value `Device.MQTT.Client.{i}.Status` has meanwhile.
        status: MqttFailure,
        /// Why, for the log.
        reason: String,
    },
    /// A Record was dropped because the server takes no packet that long, and never will.
    TooLong {
        /// For whom it was.
        to: EndpointId,
        /// The msg_id of its Message.
        msg_id: String,
        /// Bytes of a packet that the server takes.
        max: usize,
    },
    /// A Record came in that could be decoded.
    Record {
        /// The Record.
        record: Box<Record>,
        /// Where the sender wants its answers: Response Topic, or `/reply-to=` with `%2F` decoded.
        reply_to: Option<String>,
    },
    /// A Record came in that cannot be used, but can be answered (R-MTP.5).
    BadRecord {
        /// What is wrong, and to whom to say so.
        bad: BadRecord,
        /// As in `Record`.
        reply_to: Option<String>,
    },
}

/// What CONNACK told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MqttUp {
    /// The client identifier in use: ours, or the one the server assigned (5.0).
    pub client_id: String,
    /// Whether the server kept a session of ours.
    pub session_present: bool,
    /// Response Information (5.0).
    pub response_information: Option<String>,
    /// Values of the User Property `subscribe-topic` (5.0).
    pub subscribe_topics: Vec<String>,
    /// Highest Quality of Service that the server takes.
    pub maximum_qos: u8,
    /// Seconds between keep-alives, where the server overruled ours (5.0).
    pub server_keep_alive: Option<u16>,
}

/// Why a client is not connected, as `Device.MQTT.Client.{i}.Status` spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MqttFailure {
    /// `Error_Misconfigured`: the settings cannot work, or the server refused them for good.
    Misconfigured,
    /// `Error_BrokerUnreachable`.
    Unreachable,
    /// `Connecting`: the connection was lost and is being made anew.
    Lost,
}

/// Everything an MQTT client needs to run: `Device.MQTT.Client.{i}.`
#[derive(Clone, PartialEq, Eq)]
pub struct MqttSettings {
    /// `Name` or `Alias`, for logs.
    pub name: String,
    /// `BrokerAddress`: host name or address.
    pub host: String,
    /// `BrokerPort`.
    pub port: u16,
    /// `ProtocolVersion`.
    pub version: MqttVersion,
    /// `ClientID`; empty: the server assigns one (5.0).
    pub client_id: String,
    /// `Username`; empty: none.
    pub username: String,
    /// `Password`; a secret.
    pub password: String,
    /// `CleanSession` (3.1.1) or `CleanStart` (5.0).
    pub clean: bool,
    /// `SessionExpiryInterval` in seconds (5.0).
    pub session_expiry: u32,
    /// `KeepAliveTime` in seconds; 0: none.
    pub keep_alive: u16,
    /// `ReceiveMaximum` (5.0).
    pub receive_maximum: Option<u16>,
    /// `RequestResponseInfo` (5.0).
    pub request_response_information: bool,
    /// `RequestProblemInfo` (5.0).
    pub request_problem_information: bool,
    /// Our Endpoint ID, for the User Property `usp-endpoint-id` (R-MQTT.9).
    pub endpoint_id: String,
    /// `ConnectRetryTime` in seconds.
    pub retry_time: u32,
    /// `ConnectRetryIntervalMultiplier` in thousandths.
    pub retry_multiplier: u32,
    /// `ConnectRetryMaxInterval` in seconds.
    pub retry_most: u32,
}

impl std::fmt::Debug for MqttSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MqttSettings")
            .field("name", &self.name)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// `Device.MQTT.Client.{i}.ProtocolVersion`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MqttVersion {
    /// `3.1.1`.
    V311,
    /// `5.0`.
    V5,
}

impl MqttVersion {
    /// As the data model spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V311 => "3.1.1",
            Self::V5 => "5.0",
        }
    }
}
