//! Everything that can happen to the broker.

use std::sync::Arc;

use usp_mapping::mapping::Site;
use usp_mapping::port::{AdapterReply, AdapterReport, BusReport};
use usp_proto::endpoint_id::EndpointId;
use usp_proto::record::{BadRecord, Record};

use crate::mqtt::port::MqttEvent;
use crate::output::BatchId;
use crate::proxied::figures::BusFigures;

/// One connection of one peer, numbered by the caller; never reused. Numbers from 2^63 on are the core's, for MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// One event for [`Broker::handle`](crate::Broker::handle).
#[derive(Clone, Debug)]
pub enum Input {
    /// A peer's transport is up and the peer has told its Endpoint ID (UDS handshake, WebSocket upgrade).
    Connected {
        /// The new connection.
        conn: ConnId,
        /// What is known of it.
        link: Link,
    },
    /// A Record came in and was decoded.
    Record {
        /// From where.
        conn: ConnId,
        /// The Record.
        record: Box<Record>,
    },
    /// A Record came in that cannot be used although it could be decoded far enough to answer it (R-MTP.5).
    /// What cannot even be decoded that far is the transport's own affair.
    BadRecord {
        /// From where.
        conn: ConnId,
        /// What is wrong, and to whom to say so.
        bad: BadRecord,
    },
    /// The connection is gone, whoever ended it. Comes exactly once for each `Connected`.
    Disconnected {
        /// Which.
        conn: ConnId,
        /// Why, for the log.
        reason: String,
    },
    /// An adapter answers a call.
    Reply(AdapterReply),
    /// A device reports.
    Report(AdapterReport),
    /// A bus reports of itself, or answers an [`Output::Bus`](crate::output::Output::Bus).
    Bus(BusReport),
    /// A batch is on disk, or could not be written.
    Stored {
        /// Which.
        batch: BatchId,
        /// `Err` names what failed; nothing of the batch was kept then.
        result: Result<(), String>,
    },
    /// An MQTT client reports.
    Mqtt {
        /// Instance Number of its row in `Device.MQTT.Client.`.
        client: u32,
        /// What.
        event: MqttEvent,
    },
    /// The devices of the site, at start and after each reload. The core answers nothing about proxied devices before
    /// the first of these.
    Site(Arc<Site>),
    /// Devices have come or gone though the files are the same: the whole site as it is now.
    Devices(Arc<Site>),
    /// The site or its mappings were read and have these errors; the former devices stay.
    SiteRefused(String),
    /// The site was read after this [`Output::Reload`](crate::output::Output::Reload) and those before it. Comes after
    /// the [`Site`](Self::Site) or [`SiteRefused`](Self::SiteRefused) that came of it.
    Reloaded(u64),
    /// What the adapters have counted, of all buses: at most once a second, and only when something has changed.
    Figures(Vec<BusFigures>),
    /// The process is about to end: say goodbye to everybody.
    Shutdown,
}

/// What is known of a connection when it comes up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Which transport.
    pub mtp: MtpKind,
    /// Which of our two sides it reached.
    pub side: Side,
    /// The peer's Endpoint ID, as its transport told it.
    pub peer: EndpointId,
    /// Whether the transport itself vouches for the peer (a local socket, a loopback address; over MQTT, a Controller whose
    /// row says so, see [`crate::mqtt`]). Off it, everybody is Untrusted.
    pub trusted: bool,
}

/// The transport of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MtpKind {
    /// UNIX domain socket.
    Uds,
    /// WebSocket.
    WebSocket,
    /// MQTT: made up by the core itself, never by the caller.
    Mqtt,
}

impl MtpKind {
    /// As the data model spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uds => "UDS",
            Self::WebSocket => "WebSocket",
            Self::Mqtt => "MQTT",
        }
    }
}

/// Which of the broker's two sides a connection reached: it has an Agent and a Controller (N-BRK.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Our Agent: the peer is a Controller.
    Agent,
    /// Our Controller: the peer is the Agent of a USP Service.
    Controller,
}
