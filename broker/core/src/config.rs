//! What the core is told at its start. All of it is already checked.

use std::time::Duration;

use usp_proto::endpoint_id::EndpointId;

use crate::mqtt::port::MqttVersion;

/// The broker's settings.
#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// Our own Endpoint ID: Agent and Controller share it.
    pub endpoint_id: EndpointId,
    /// For `Device.DeviceInfo.`.
    pub identity: Identity,
    /// Any number fit to seed a generator; a different one at each start.
    pub entropy: u64,
    /// All bounds.
    pub limits: Limits,
    /// UNIX domain sockets, if they are on.
    pub uds: Option<UdsSettings>,
    /// The WebSocket server, if it is on.
    pub websocket: Option<WebSocketSettings>,
    /// Seeds for the first start.
    pub seed: Seed,
}

/// Who made this and what it is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// `Manufacturer`.
    pub manufacturer: String,
    /// `ManufacturerOUI`: six hexadecimal digits.
    pub oui: String,
    /// `ModelName`.
    pub model: String,
    /// `ProductClass`.
    pub product_class: String,
    /// `SerialNumber`.
    pub serial: String,
    /// `SoftwareVersion`.
    pub software_version: String,
    /// `HardwareVersion`.
    pub hardware_version: String,
}

/// All bounds of the core.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long a Service may take to answer its part of a request.
    pub service_timeout: Duration,
    /// A Service over MQTT that was silent for so long is asked whether it is there; zero: never.
    pub mqtt_service_silence: Duration,
    /// Services connected at a time.
    pub max_services: usize,
    /// Rows of `Device.LocalAgent.Controller.`.
    pub max_controllers: usize,
    /// Requests of one Controller that may be under way at a time.
    pub max_pending_per_controller: usize,
    /// Messages to one Service that may be unanswered at a time; what is more waits its turn.
    pub max_pending_per_service: usize,
    /// Paths or objects that one request may name.
    pub max_paths_per_request: usize,
    /// Paths that one Service may register.
    pub max_paths_per_service: usize,
    /// Bytes of one answer, as far as they are known before anything is done.
    pub max_answer_bytes: usize,
    /// Rows of `Device.LocalAgent.Subscription.`.
    pub max_subscriptions: usize,
    /// Undelivered notifications kept for one Controller.
    pub max_notifications_per_controller: usize,
    /// Notifications that one change may bring one Controller at once.
    pub max_notifications_at_once: usize,
    /// Rows of any other table that Controllers may add to.
    pub max_rows_per_table: usize,
    /// `multi_device_atomic = "refuse"`: all-or-nothing requests may touch one device only.
    pub refuse_multi_device_atomic: bool,
    /// Get over several owners: put a failed Service's error into the entry that has the values, instead of a further entry.
    pub merge_get_errors: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            service_timeout: Duration::from_secs(5),
            mqtt_service_silence: Duration::from_secs(60),
            max_services: 256,
            max_controllers: 256,
            max_pending_per_controller: 256,
            max_pending_per_service: 256,
            max_paths_per_request: 1024,
            max_paths_per_service: 1024,
            max_answer_bytes: 4 << 20,
            max_subscriptions: 4096,
            max_notifications_per_controller: 1024,
            max_notifications_at_once: 65_536,
            max_rows_per_table: 4096,
            refuse_multi_device_atomic: false,
            merge_get_errors: false,
        }
    }
}

/// `Device.UnixDomainSockets.`
#[derive(Clone, Debug)]
pub struct UdsSettings {
    /// Where Controllers connect.
    pub agent_path: String,
    /// Where Services connect.
    pub controller_path: String,
    /// Who may register what.
    pub trust: UdsTrust,
    /// Role of a Controller on `agent_path` that has no row of its own.
    pub local_role: String,
}

/// Who may register what over a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdsTrust {
    /// Whoever may open the socket may register whatever is not protected.
    Socket,
    /// `Device.USPServices.Trust.` decides.
    Table,
}

/// `Device.LocalAgent.MTP.{i}.WebSocket.`
#[derive(Clone, Debug)]
pub struct WebSocketSettings {
    /// The port that it listens on.
    pub port: u16,
    /// The resource.
    pub path: String,
    /// Seconds between pings.
    pub keep_alive: u32,
    /// Role of a trusted (loopback) Controller without a row of its own; `None`: it is unknown and Untrusted.
    pub local_role: Option<String>,
}

/// Rows for the first start and for FactoryReset().
#[derive(Clone, Debug, Default)]
pub struct Seed {
    /// Further roles, from `Role.3.` on.
    pub roles: Vec<RoleSeed>,
    /// MQTT clients.
    pub mqtt: Vec<MqttSeed>,
    /// Controllers.
    pub controllers: Vec<ControllerSeed>,
    /// Any other rows.
    pub objects: Vec<ObjectSeed>,
}

/// A row of `ControllerTrust.Role.`.
#[derive(Clone, Debug)]
pub struct RoleSeed {
    /// `Name`.
    pub name: String,
    /// Its Permission rows.
    pub permissions: Vec<PermissionSeed>,
}

/// A row of `Role.{i}.Permission.`.
#[derive(Clone, Debug)]
pub struct PermissionSeed {
    /// `Order`.
    pub order: u32,
    /// `Targets`.
    pub targets: Vec<String>,
    /// `Param`, four characters of `rwxn` or `-`.
    pub param: String,
    /// `Obj`.
    pub obj: String,
    /// `InstantiatedObj`.
    pub instantiated_obj: String,
    /// `CommandEvent`.
    pub command_event: String,
}

/// A row of `Controller.`.
#[derive(Clone, Debug)]
pub struct ControllerSeed {
    /// `EndpointID`.
    pub endpoint_id: EndpointId,
    /// Name of its role.
    pub role: String,
    /// Any of the row's own Parameters.
    pub params: Vec<(String, String)>,
    /// How it is reached over MQTT; `None`: it connects to us.
    pub mqtt: Option<ControllerMqttSeed>,
}

/// The row of `Controller.{i}.MTP.` by which the Agent reaches it over MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerMqttSeed {
    /// `name` of the [`MqttSeed`].
    pub client: String,
    /// `MQTT.Topic`: where it listens.
    pub topic: String,
}

/// A row of `Device.MQTT.Client.`, with the row of `LocalAgent.MTP.` that uses it.
#[derive(Clone, PartialEq, Eq)]
pub struct MqttSeed {
    /// `Name`.
    pub name: String,
    /// `BrokerAddress`.
    pub host: String,
    /// `BrokerPort`.
    pub port: u16,
    /// `ProtocolVersion`.
    pub version: MqttVersion,
    /// `LocalAgent.MTP.{i}.MQTT.ResponseTopicConfigured`; empty: the server tells one.
    pub response_topic: String,
    /// `ClientID`; empty: the server assigns one (5.0), or the Endpoint ID (3.1.1).
    pub client_id: String,
    /// `Username`; empty: none.
    pub username: String,
    /// `Password`; a secret.
    pub password: String,
    /// Any other of the row's own Parameters.
    pub params: Vec<(String, String)>,
}

impl std::fmt::Debug for MqttSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MqttSeed")
            .field("name", &self.name)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("version", &self.version)
            .field("response_topic", &self.response_topic)
            .finish_non_exhaustive()
    }
}

/// A row of any table: a path ending in a number makes or amends that row, one ending in a table adds a row.
#[derive(Clone, Debug)]
pub struct ObjectSeed {
    /// The path.
    pub path: String,
    /// Its Parameters.
    pub params: Vec<(String, String)>,
}
