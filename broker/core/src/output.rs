//! Everything the broker asks its caller to do.

use std::fmt;
use std::sync::Arc;

use usp_mapping::port::{AdapterCall, BusCall};
use usp_proto::record::Record;

use crate::input::ConnId;
use crate::mqtt::port::MqttOrder;

/// Name of the single value that says, once it is on disk, that `Device.FactoryReset()` was promised: whoever starts next
/// empties the store before using it. Emptying it takes the value away.
pub const RESET_PENDING: &str = "reset_pending";

/// One store transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchId(pub u64);

/// One order from [`Broker::poll_output`](crate::Broker::poll_output). They are to be carried out in the order in which
/// they come.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send a Record. If the connection's outbox is full, the caller closes that connection and says so with
    /// [`Input::Disconnected`](crate::input::Input::Disconnected); of Records with equal `merge` that still wait there
    /// the newest may stand for all, in its own place.
    Send {
        /// Where.
        conn: ConnId,
        /// What.
        record: Box<Record>,
        /// Equal for Records of which only the newest matters (ValueChange of one Parameter for one Subscription).
        merge: Option<u64>,
    },
    /// Send what waits in the outbox, then close. `Disconnected` follows as for any other end.
    Close {
        /// Which.
        conn: ConnId,
        /// Why; the transport says it in its own way.
        why: CloseReason,
    },
    /// Hand this to the adapters. The reply comes as [`Input::Reply`](crate::input::Input::Reply).
    Call(AdapterCall),
    /// Hand this to the adapters. What becomes of it comes as [`Input::Bus`](crate::input::Input::Bus).
    Bus(BusCall),
    /// Hand this to the MQTT clients.
    Mqtt(MqttOrder),
    /// Write all of this in one transaction, durably, then say [`Input::Stored`](crate::input::Input::Stored).
    /// There is never more than one batch under way.
    Store {
        /// Its number.
        batch: BatchId,
        /// What, in order.
        ops: Vec<StoreOp>,
    },
    /// Read the site and its mappings again, then say [`Input::Reloaded`](crate::input::Input::Reloaded) with this number.
    /// Several of these may be answered by one reading that began after the last of them.
    Reload(u64),
    /// End the process in an orderly way: everything above has been said. Supervision starts it again.
    Restart(RestartCause),
}

/// Why a connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The Endpoint ID is in use on another connection of this kind (UDS: Error frame).
    EndpointInUse,
    /// A newer connection of the same Endpoint took this one's place (WebSocket, R-WS.4).
    Replaced,
    /// A limit of the configuration; the text names it.
    Limit(String),
    /// Who has a row may not be connected, or not in this way; the text says why.
    Forbidden(String),
    /// The peer broke the protocol; the text says how.
    Protocol(String),
    /// The broker is shutting down.
    Shutdown,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndpointInUse => "this Endpoint ID is in use on another connection",
            Self::Replaced => "a newer connection of the same Endpoint ID took over",
            Self::Limit(text) | Self::Forbidden(text) | Self::Protocol(text) => text,
            Self::Shutdown => "the broker is shutting down",
        })
    }
}

/// Why the process is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestartCause {
    /// `Device.Reboot()`.
    Reboot,
    /// `Device.FactoryReset()`: the caller also empties the store; [`RESET_PENDING`] is in it.
    FactoryReset,
}

/// One change to what is kept on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreOp {
    /// Creates or replaces a row with all its stored Parameters.
    PutRow {
        /// Object instance path with its final dot, e.g. `Device.LocalAgent.Subscription.3.`.
        path: String,
        /// Name and text value; replaces all former ones.
        params: Vec<(String, String)>,
    },
    /// Removes a row. Its sub-objects have rows of their own.
    DeleteRow {
        /// As above.
        path: String,
    },
    /// Remembers the highest Instance Number ever given in a table, so that none is given twice.
    PutHighest {
        /// Table path with its final dot.
        table: String,
        /// The number.
        number: u32,
    },
    /// A row is gone for good: what the tables below it have given does not matter any more.
    ForgetNumbers {
        /// Its path with the final dot.
        below: String,
    },
    /// Ties an Instance Number to a stable identity (device, capability).
    PutIdentity {
        /// Table path with its final dot.
        table: Arc<str>,
        /// The identity in that table.
        id: Arc<str>,
        /// Its number.
        number: u32,
    },
    /// Keeps a notification until it is delivered.
    PutNotification {
        /// Chosen by the core.
        id: u64,
        /// The core's own encoding.
        bytes: Vec<u8>,
    },
    /// It was delivered, or expired.
    DeleteNotification {
        /// As above.
        id: u64,
    },
    /// A single value under a name of its own.
    PutMeta {
        /// The name.
        key: String,
        /// The value.
        value: String,
    },
}

/// Everything that was on disk at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Every row with its Parameters.
    pub rows: Vec<(String, Vec<(String, String)>)>,
    /// Highest number by table.
    pub highest: Vec<(String, u32)>,
    /// Table, identity, number.
    pub identities: Vec<(String, String, u32)>,
    /// Undelivered notifications, oldest first.
    pub notifications: Vec<(u64, Vec<u8>)>,
    /// Single values.
    pub meta: Vec<(String, String)>,
}
