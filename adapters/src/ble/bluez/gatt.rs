//! A connected device: its characteristics, through `btleplug`.

use std::pin::Pin;

use btleplug::api::{Central, CharPropFlags, Characteristic, Peripheral as _, ValueNotification, WriteType};
use btleplug::platform::Peripheral;
use dbus::nonblock::stdintf::org_freedesktop_dbus::Properties;
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::time::timeout;
use usp_mapping::mapping::{BleAddress, BleChar, BleOptions, BleUuid, Mac};
use uuid::Uuid;

use super::{CALL, DEVICE, Fault, Session, fault, locked};

/// A connected device.
#[derive(Clone, Debug)]
pub(in crate::ble) struct Peer {
    device: Peripheral,
    chars: Vec<Characteristic>,
}

/// What a connected device notifies.
pub(in crate::ble) struct Notifications {
    stream: Option<Pin<Box<dyn Stream<Item = ValueNotification> + Send>>>,
    runtime: Handle,
}

impl Drop for Notifications {
    /// `btleplug` takes back then what it has asked D-Bus for, in a task that panics when D-Bus is gone: it is one of the session's
    /// thread, which has ended then.
    fn drop(&mut self) {
        let _entered = self.runtime.enter();
        self.stream = None;
    }
}

impl Notifications {
    /// The next one; `None`: there will be none any more.
    pub(in crate::ble) async fn next(&mut self) -> Option<(BleChar, Vec<u8>)> {
        self.stream.as_mut()?.next().await.map(notified)
    }

    /// The next one, if it is there already.
    pub(in crate::ble) fn next_now(&mut self) -> Option<(BleChar, Vec<u8>)> {
        self.stream.as_mut()?.next().now_or_never().flatten().map(notified)
    }
}

fn notified(notification: ValueNotification) -> (BleChar, Vec<u8>) {
    let (service, uuid) = (notification.service_uuid.as_u128(), notification.uuid.as_u128());
    let char = BleChar { service: Some(BleUuid(service)), uuid: BleUuid(uuid) };
    (char, notification.value)
}

impl Session {
    /// Connects a device, and has it notify these characteristics. Whoever waits no longer has to
    /// [`give_up`](Self::give_up).
    pub(in crate::ble) async fn connect(
        &self,
        address: &BleAddress,
        options: &BleOptions,
        notify: &[BleChar],
    ) -> Result<(Peer, Notifications), Fault> {
        let device = self.peripheral(address.mac).await?;
        self.paired(address, options.pair).await?;
        let made = match self.linked(device).await {
            // A connection that is refused is none.
            Err(Fault::Refused(why) | Fault::Gone(why) | Fault::Unsent(why)) => {
                Err(Fault::Gone(format!("it cannot be connected: {why}")))
            }
            Ok(device) => Peer::new(device, notify, &self.wire.runtime).await,
        };
        if made.is_err() {
            self.give_up(address.mac).await;
        }
        made
    }

    /// Makes the connection.
    async fn linked(&self, device: Peripheral) -> Result<Peripheral, Fault> {
        let work = async move {
            device.connect().await?;
            device.discover_services().await?;
            Ok(device)
        };
        let made: Result<_, btleplug::Error> = self.wire.run(work).await.map_err(Fault::Gone)?;
        made.map_err(|error| fault::of_peer(&error))
    }

    async fn peripheral(&self, mac: Mac) -> Result<Peripheral, Fault> {
        let no_radio = || Fault::Gone("there is no radio".to_owned());
        let central = locked(&self.radio).as_ref().map(|radio| radio.central.clone()).ok_or_else(no_radio)?;
        let all = self.wire.run(async move { central.peripherals().await }).await.map_err(Fault::Gone)?;
        let all = all.map_err(|error| fault::of_peer(&error))?;
        match all.into_iter().find(|device| device.address().into_inner() == mac.0) {
            Some(device) => Ok(device),
            None => Err(Fault::Gone(self.unheard(mac).await.to_owned())),
        }
    }

    /// Why `btleplug` has no such device: it leaves out one of which BlueZ says too little.
    async fn unheard(&self, mac: Mac) -> &'static str {
        let known = match self.device_path(mac) {
            Some(path) => self.proxy(path, CALL).get::<String>(DEVICE, "Address").await.is_ok(),
            None => false,
        };
        if known {
            "BlueZ does not say of it what is needed to connect it"
        } else {
            "the radio has not heard it: is it near, and awake?"
        }
    }

    /// Ends whatever there is of a connection.
    pub(in crate::ble) async fn give_up(&self, mac: Mac) {
        let Some(path) = self.device_path(mac) else { return };
        let proxy = self.proxy(path, CALL);
        // It may be gone already, or was not being paired.
        drop(proxy.method_call::<(), _, _, _>(DEVICE, "CancelPairing", ()).await);
        drop(proxy.method_call::<(), _, _, _>(DEVICE, "Disconnect", ()).await);
    }
}

impl Peer {
    async fn new(
        device: Peripheral,
        notify: &[BleChar],
        runtime: &Handle,
    ) -> Result<(Self, Notifications), Fault> {
        let chars = device.characteristics().into_iter().collect();
        let peer = Self { device, chars };
        let stream = peer.device.notifications().await.map_err(|error| fault::of_peer(&error))?;
        let notifications = Notifications { stream: Some(stream), runtime: runtime.clone() };
        for char in notify {
            let char = peer.char(char)?;
            peer.device.subscribe(char).await.map_err(|error| fault::of_peer(&error))?;
        }
        Ok((peer, notifications))
    }

    fn char(&self, wanted: &BleChar) -> Result<&Characteristic, Fault> {
        let (uuid, service) =
            (Uuid::from_u128(wanted.uuid.0), wanted.service.map(|it| Uuid::from_u128(it.0)));
        let is_it = |known: &&Characteristic| {
            known.uuid == uuid && service.is_none_or(|service| known.service_uuid == service)
        };
        let found = self.chars.iter().find(is_it);
        found.ok_or_else(|| Fault::Refused(format!("it has no {wanted}")))
    }

    /// Whether a characteristic can be read: there are such as are notified or indicated alone. One that is not there is found
    /// out by reading.
    pub(in crate::ble) fn is_readable(&self, char: &BleChar) -> bool {
        self.char(char).map_or(true, |char| char.properties.contains(CharPropFlags::READ))
    }

    /// Reads a characteristic.
    pub(in crate::ble) async fn read(&self, char: &BleChar) -> Result<Vec<u8>, Fault> {
        self.device.read(self.char(char)?).await.map_err(|error| fault::of_peer(&error))
    }

    /// Writes one.
    pub(in crate::ble) async fn write(
        &self,
        char: &BleChar,
        body: &[u8],
        response: bool,
    ) -> Result<(), Fault> {
        let how = if response { WriteType::WithResponse } else { WriteType::WithoutResponse };
        self.device.write(self.char(char)?, body, how).await.map_err(|error| fault::of_peer(&error))
    }

    /// Ends the connection.
    pub(in crate::ble) async fn disconnect(&self) {
        // It may be gone already.
        drop(timeout(CALL, self.device.disconnect()).await);
    }
}
