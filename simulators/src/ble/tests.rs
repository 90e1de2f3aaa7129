//! The fake BlueZ as its clients see it, over its own bus.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use zbus::{Connection, Message, MessageStream, OwnedObjectPath, OwnedVariant};

use super::household::PASSKEY;
use super::*;
use crate::mischief::{BleFault, Order};

const EVERY: Duration = Duration::from_millis(100);
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const ADAPTER: &str = "/org/bluez/hci0";
const LOCK: &str = "/org/bluez/hci0/dev_A4_C1_38_00_00_07";
const ATTIC: &str = "/org/bluez/hci0/dev_A4_C1_38_00_00_02";

type Props = HashMap<String, OwnedVariant>;
type Objects = HashMap<OwnedObjectPath, HashMap<String, Props>>;

/// A client, and all signals that BlueZ sends it.
struct Client {
    connection: Connection,
    signals: MessageStream,
}

impl Client {
    async fn of(radio: &Radio) -> Self {
        let connection = zbus::connection::Builder::address(radio.address()).build().await.unwrap();
        let signals = MessageStream::from(&connection);
        let bus = Some("org.freedesktop.DBus");
        let rule = "type='signal',sender='org.bluez'";
        connection.call_method(bus, "/org/freedesktop/DBus", bus, "AddMatch", &rule).await.unwrap();
        Self { connection, signals }
    }

    async fn call<B>(&self, path: &str, interface: &str, member: &str, body: &B) -> Result<Message, String>
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        let call = self.connection.call_method(Some("org.bluez"), path, Some(interface), member, body).await;
        call.map_err(|error| match error {
            zbus::Error::MethodError(name, text, _) => format!("{name}: {}", text.unwrap_or_default()),
            other => other.to_string(),
        })
    }

    async fn adapter(&self, member: &str) -> Result<(), String> {
        self.call(ADAPTER, "org.bluez.Adapter1", member, &()).await.map(drop)
    }

    async fn device(&self, path: &str, member: &str) -> Result<(), String> {
        self.call(path, "org.bluez.Device1", member, &()).await.map(drop)
    }

    async fn property<T: TryFrom<OwnedVariant>>(&self, path: &str, interface: &str, name: &str) -> Option<T> {
        let reply = self.call(path, PROPERTIES, "Get", &(interface, name)).await.ok()?;
        let value: OwnedVariant = reply.body().deserialize().ok()?;
        T::try_from(value).ok()
    }

    async fn objects(&self) -> Objects {
        let manager = "org.freedesktop.DBus.ObjectManager";
        let reply = self.call("/", manager, "GetManagedObjects", &()).await.unwrap();
        reply.body().deserialize().unwrap()
    }

    /// The path of a characteristic.
    async fn characteristic(&self, device: &str, uuid: Uuid) -> String {
        let objects = self.objects().await;
        let is_it = |(path, interfaces): &(&OwnedObjectPath, &HashMap<String, Props>)| {
            let props = interfaces.get("org.bluez.GattCharacteristic1");
            let own = props.and_then(|props| String::try_from(props["UUID"].clone()).ok());
            path.as_str().starts_with(device) && own == Some(uuid.to_string())
        };
        objects.iter().find(is_it).expect("a characteristic").0.to_string()
    }

    async fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let options = Props::new();
        let reply = self.call(path, "org.bluez.GattCharacteristic1", "ReadValue", &options).await?;
        Ok(reply.body().deserialize().unwrap())
    }

    async fn write(&self, path: &str, value: &[u8], kind: &str) -> Result<(), String> {
        let options = HashMap::from([("type", zbus::Variant::from(kind))]);
        self.call(path, "org.bluez.GattCharacteristic1", "WriteValue", &(value, options)).await.map(drop)
    }

    /// Waits for a signal of this kind about this object.
    async fn signal(&mut self, member: &str, path: &str, wanted: impl Fn(&Message) -> bool) -> Message {
        let search = async {
            while let Some(message) = self.signals.next().await {
                let message = message.unwrap();
                let header = message.header();
                let about = header.path().map(ToString::to_string).unwrap_or_default();
                let is_it =
                    header.member().is_some_and(|is| *is == member) && (about == path || path.is_empty());
                if is_it && wanted(&message) {
                    return message.clone();
                }
            }
            panic!("the bus is gone");
        };
        tokio::time::timeout(Duration::from_secs(60), search).await.expect(member)
    }

    /// Waits until a property of an interface changes to this.
    async fn changed<T>(&mut self, path: &str, name: &str, value: T)
    where
        T: TryFrom<OwnedVariant> + PartialEq,
    {
        self.signal("PropertiesChanged", path, |message| {
            let body = message.body();
            let (_, mut changed, _): (String, Props, Vec<String>) = body.deserialize().unwrap();
            changed.remove(name).and_then(|is| T::try_from(is).ok()).is_some_and(|is| is == value)
        })
        .await;
    }

    async fn found(&mut self, path: &str) {
        while !self.objects().await.keys().any(|known| known.as_str() == path) {
            self.signal("InterfacesAdded", "/", |_| true).await;
        }
    }
}

async fn radio() -> Radio {
    Radio::start(None, household(EVERY, true)).await.unwrap()
}

#[tokio::test]
async fn discovery_is_each_clients_own() {
    let radio = radio().await;
    let (mut one, other) = (Client::of(&radio).await, Client::of(&radio).await);
    assert!(!one.objects().await.keys().any(|path| path.as_str() == ATTIC), "nobody listens yet");
    let refused = one.adapter("StopDiscovery").await.unwrap_err();
    assert_eq!(refused, "org.bluez.Error.Failed: No discovery started");
    one.adapter("StartDiscovery").await.unwrap();
    let refused = one.adapter("StartDiscovery").await.unwrap_err();
    assert_eq!(refused, "org.bluez.Error.InProgress: In Progress");
    one.found(ATTIC).await;
    other.adapter("StartDiscovery").await.unwrap();
    other.adapter("StopDiscovery").await.unwrap();
    let discovering = one.property::<bool>(ADAPTER, "org.bluez.Adapter1", "Discovering").await;
    assert_eq!(discovering, Some(true));

    // It ends with who wanted it, and what cannot be connected to is forgotten.
    let mut third = Client::of(&radio).await;
    one.connection.close().await.unwrap();
    third.changed(ADAPTER, "Discovering", false).await;
    assert!(!third.objects().await.keys().any(|path| path.as_str() == ATTIC));
}

#[tokio::test]
async fn duplicates_are_told_to_who_wants_them() {
    let radio = radio().await;
    let mut client = Client::of(&radio).await;
    let filter = HashMap::from([("DuplicateData", zbus::Variant::from(true))]);
    client.call(ADAPTER, "org.bluez.Adapter1", "SetDiscoveryFilter", &filter).await.unwrap();
    client.adapter("StartDiscovery").await.unwrap();
    client.found(ATTIC).await;
    for _ in 0..3 {
        client
            .signal("PropertiesChanged", ATTIC, |message| {
                let body = message.body();
                let (_, changed, _): (String, Props, Vec<String>) = body.deserialize().unwrap();
                changed.contains_key("ServiceData") && changed.contains_key("RSSI")
            })
            .await;
    }
}

#[tokio::test]
async fn what_is_protected_wants_a_pairing() {
    let radio = radio().await;
    let mut client = Client::of(&radio).await;
    client.adapter("StartDiscovery").await.unwrap();
    client.found(LOCK).await;
    let services = |objects: &Objects| objects.keys().any(|path| path.as_str().contains("/service"));
    assert!(!services(&client.objects().await), "services are known of a link alone");
    client.device(LOCK, "Connect").await.unwrap();
    assert!(services(&client.objects().await));
    let state = client.characteristic(LOCK, lock::STATE).await;
    let refused = client.read(&state).await.unwrap_err();
    assert_eq!(refused, "org.bluez.Error.NotPermitted: Not paired");
    // Without an agent nobody can say the passkey, and the link is gone.
    let refused = client.device(LOCK, "Pair").await.unwrap_err();
    assert_eq!(refused, "org.bluez.Error.AuthenticationFailed: Authentication Failed");
    client.changed(LOCK, "Connected", false).await;
    assert_eq!(client.read(&state).await.unwrap_err(), "org.bluez.Error.Failed: Not connected");
    assert!(!radio.handle().is_paired("lock"));
}

/// Says a passkey when it is asked.
struct Agent(u32);

#[zbus::interface(name = "org.bluez.Agent1")]
impl Agent {
    fn request_passkey(&self, _device: OwnedObjectPath) -> u32 {
        self.0
    }
}

async fn agent(client: &Client, passkey: u32) {
    client.connection.object_server().at("/agent", Agent(passkey)).await.unwrap();
    let body = (zbus::ObjectPath::try_from("/agent").unwrap(), "KeyboardDisplay");
    client.call("/org/bluez", "org.bluez.AgentManager1", "RegisterAgent", &body).await.unwrap();
}

#[tokio::test]
async fn a_lock_is_paired_with_and_turned() {
    let radio = radio().await;
    let handle = radio.handle();
    let mut client = Client::of(&radio).await;
    agent(&client, PASSKEY).await;
    client.adapter("StartDiscovery").await.unwrap();
    client.found(LOCK).await;
    client.device(LOCK, "Pair").await.unwrap();
    assert!(handle.is_paired("lock"));
    let refused = client.device(LOCK, "Pair").await.unwrap_err();
    assert_eq!(refused, "org.bluez.Error.AlreadyExists: Already Exists");
    let state = client.characteristic(LOCK, lock::STATE).await;
    let command = client.characteristic(LOCK, lock::COMMAND).await;
    assert_eq!(client.read(&state).await, Ok(vec![1]));
    client.call(&state, "org.bluez.GattCharacteristic1", "StartNotify", &()).await.unwrap();
    client.write(&command, &[0], "request").await.unwrap();
    client.changed(&state, "Value", vec![2_u8]).await;
    client.changed(&state, "Value", vec![0_u8]).await;
    assert_eq!(handle.get("lock", "locked").as_deref(), Some("false"));
    assert_eq!(client.read(&state).await, Ok(vec![0]));
    assert_eq!(client.property::<u8>(LOCK, "org.bluez.Battery1", "Percentage").await, Some(76));

    // Written and acknowledged, and not done.
    handle.fault("lock", Order::times(BleFault::Frozen, 1)).unwrap();
    client.write(&command, &[1], "request").await.unwrap();
    assert_eq!(client.read(&state).await, Ok(vec![0]));
    let refused = client.write(&command, &[7], "request").await.unwrap_err();
    assert_eq!(refused, "org.bluez.Error.Failed: Operation failed with ATT error: 0x80");
    // A command that the device does not know is nobody's error.
    client.write(&command, &[1], "command").await.unwrap();
    assert_eq!(client.read(&state).await, Ok(vec![0]));

    handle.fault("lock", BleFault::DisconnectMidWrite).unwrap();
    let refused = client.write(&command, &[1], "request").await.unwrap_err();
    assert_eq!(refused, "org.bluez.Error.Failed: Operation failed with ATT error: 0x0e");
    client.changed(LOCK, "Connected", false).await;
    assert_eq!(handle.get("lock", "locked").as_deref(), Some("false"));

    handle.clear_all();
    handle.fault("lock", BleFault::RefuseConnections).unwrap();
    let refused = client.device(LOCK, "Connect").await.unwrap_err();
    assert_eq!(refused, "org.bluez.Error.Failed: le-connection-refused");
}

#[tokio::test]
async fn a_wrong_passkey_pairs_nothing() {
    let radio = radio().await;
    let mut client = Client::of(&radio).await;
    agent(&client, PASSKEY + 1).await;
    client.adapter("StartDiscovery").await.unwrap();
    client.found(LOCK).await;
    let refused = client.device(LOCK, "Pair").await.unwrap_err();
    assert_eq!(refused, "org.bluez.Error.AuthenticationFailed: Authentication Failed");
    assert!(!radio.handle().is_paired("lock"));
}

/// Who has the name `org.bluez` on the bus.
async fn owner(address: &str) -> Option<String> {
    let connection = zbus::connection::Builder::address(address).build().await.ok()?;
    let bus = Some("org.freedesktop.DBus");
    let reply = connection.call_method(bus, "/org/freedesktop/DBus", bus, "GetNameOwner", &"org.bluez").await;
    reply.ok()?.body().deserialize().ok()
}

async fn until(what: &str, mut wanted: impl AsyncFnMut() -> bool) {
    let search = async {
        while !wanted().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), search).await.expect(what);
}

#[tokio::test]
async fn daemons_crash_and_come_back() {
    let radio = radio().await;
    let (handle, address) = (radio.handle(), radio.address().to_owned());
    let first = owner(&address).await.expect("BlueZ");
    handle.fault_all(BleFault::BluetoothdKilled);
    until("BlueZ to be gone", async || owner(&address).await.is_none()).await;
    handle.clear_all();
    until("BlueZ to be back", async || owner(&address).await.is_some_and(|owner| owner != first)).await;
    handle.fault_all(BleFault::DbusKilled);
    let socket = address.trim_start_matches("unix:path=").to_owned();
    let is_open = || std::os::unix::net::UnixStream::connect(&socket).is_ok();
    until("the bus to be gone", async || !is_open()).await;
    handle.clear_all();
    until("both to be back", async || owner(&address).await.is_some()).await;
    radio.stop().await;
    assert!(!is_open(), "a daemon has been left");
}
