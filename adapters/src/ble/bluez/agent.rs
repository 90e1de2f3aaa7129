//! Pairing, and the agent that BlueZ asks for passkeys.
//!
//! BlueZ asks the agent of whoever calls `Pair`. Ours says that it has a keyboard and nothing else: a device that shows or has a
//! passkey is paired with that, one that has neither without any. Where both sides would have to compare a number it refuses,
//! for nobody is there to look.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dbus::channel::{MatchingReceiver, Sender};
use dbus::message::MatchRule;
use dbus::nonblock::stdintf::org_freedesktop_dbus::Properties;
use dbus::nonblock::{Proxy, SyncConnection};
use dbus::{Message, Path};
use usp_mapping::mapping::{BleAddress, BlePair, Mac};

use super::{BLUEZ, CALL, DEVICE, Fault, Session, fault, locked};
use crate::secret;

const PATH: &str = "/org/usp_broker/agent";
const CAPABILITY: &str = "KeyboardOnly";

/// Pairing may take so long: somebody may have to press a button.
pub(in crate::ble) const PAIRING: Duration = Duration::from_secs(30);

/// Whom a passkey may be given for. It shows none.
#[derive(Default)]
pub(super) struct Agent {
    /// Devices that are being paired, and their passkeys.
    pairing: Mutex<BTreeMap<Mac, Option<u32>>>,
    /// Who BlueZ is on this bus: nobody else is told anything.
    owner: Mutex<Option<String>>,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Agent")
    }
}

impl Agent {
    /// Answers what BlueZ asks.
    pub(super) fn serve(self: Arc<Self>, bus: &SyncConnection) {
        let mut rule = MatchRule::new_method_call();
        rule.path = Path::new(PATH).ok();
        let answer = move |message: Message, bus: &SyncConnection| {
            // Whoever asked may be gone.
            bus.send(self.answer(&message)).ok();
            true
        };
        bus.start_receive(rule, Box::new(answer));
    }

    /// Tells BlueZ that it is there.
    pub(super) async fn register(&self, bus: &Arc<SyncConnection>) {
        let daemon = Proxy::new("org.freedesktop.DBus", "/org/freedesktop/DBus", CALL, Arc::clone(bus));
        let owner: Result<(String,), _> =
            daemon.method_call("org.freedesktop.DBus", "GetNameOwner", (BLUEZ,)).await;
        *locked(&self.owner) = owner.ok().map(|(owner,)| owner);
        let proxy = Proxy::new(BLUEZ, "/org/bluez", CALL, Arc::clone(bus));
        let path = Path::from(PATH);
        let manager = "org.bluez.AgentManager1";
        let registered: Result<(), _> = proxy.method_call(manager, "RegisterAgent", (path, CAPABILITY)).await;
        if let Err(error) = registered.map_err(|error| fault::words(&error)) {
            // Known already, or nothing can be paired, which is told where somebody wants it.
            tracing::debug!(%error, "no agent for pairing is registered");
        }
    }

    fn answer(&self, message: &Message) -> Message {
        let refused = |why: &'static std::ffi::CStr| {
            let name = dbus::strings::ErrorName::from("org.bluez.Error.Rejected");
            message.error(&name, why)
        };
        let device = message.get1::<Path<'_>>().and_then(|path| mac_of(&path));
        let is_bluez = message.sender().as_deref() == locked(&self.owner).as_deref();
        let device = device.filter(|_| is_bluez);
        let known = device.and_then(|mac| locked(&self.pairing).get(&mac).copied());
        match (message.member().as_deref(), known) {
            (Some("Release" | "Cancel"), _) => message.method_return(),
            (Some("RequestPasskey"), Some(Some(passkey))) => message.method_return().append1(passkey),
            (Some("RequestPinCode"), Some(Some(passkey))) => {
                message.method_return().append1(format!("{passkey:06}"))
            }
            // What was begun by us, and shows nobody anything.
            (Some("RequestAuthorization"), Some(None)) => message.method_return(),
            _ => refused(c"nobody is there to confirm it"),
        }
    }
}

/// The device that a path is of, on whichever radio.
fn mac_of(path: &Path<'_>) -> Option<Mac> {
    let device = path.rsplit('/').next()?.strip_prefix("dev_")?;
    Mac::parse(&device.replace('_', ":"))
}

impl Session {
    /// Pairs a device if it is to be paired and is not.
    ///
    /// Errors: why it cannot be, without its passkey.
    pub(super) async fn paired(&self, address: &BleAddress, pair: BlePair) -> Result<(), Fault> {
        let passkey = match pair {
            BlePair::Nothing => return Ok(()),
            BlePair::JustWorks => None,
            BlePair::Passkey => Some(passkey(address).await.map_err(Fault::Gone)?),
        };
        let path =
            self.device_path(address.mac).ok_or_else(|| Fault::Gone("there is no radio".to_owned()))?;
        let proxy = self.proxy(path, CALL);
        let is_paired =
            proxy.get::<bool>(DEVICE, "Paired").await.map_err(|error| fault::of_device(&error))?;
        if is_paired {
            return Ok(());
        }
        locked(&self.agent.pairing).insert(address.mac, passkey);
        let forget = Forget(&self.agent, address.mac);
        let pairing = Proxy::new(BLUEZ, proxy.path.clone(), PAIRING, Arc::clone(&self.wire.bus));
        let paired: Result<(), dbus::Error> = pairing.method_call(DEVICE, "Pair", ()).await;
        drop(forget);
        match paired {
            Ok(()) => {}
            Err(error) if error.name() == Some("org.bluez.Error.AlreadyExists") => {}
            Err(error) => return Err(Fault::Gone(format!("it cannot be paired: {}", fault::words(&error)))),
        }
        // So that it may connect by itself, and BlueZ keeps it.
        if let Err(error) = proxy.set(DEVICE, "Trusted", true).await {
            tracing::debug!(error = %fault::words(&error), "a device that was paired is not trusted");
        }
        Ok(())
    }
}

/// Nothing more is told of a device when this is dropped.
struct Forget<'a>(&'a Agent, Mac);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        locked(&self.0.pairing).remove(&self.1);
    }
}

/// The passkey of a device, read where it is kept.
async fn passkey(address: &BleAddress) -> Result<u32, String> {
    let place = address.passkey.as_ref().ok_or("it needs a passkey, and the site has none for it")?;
    let secret = secret::read(place).await?;
    let text = std::str::from_utf8(&secret.0).ok().map(str::trim);
    let is_passkey =
        |text: &&str| (1..=6).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
    let passkey = text.filter(is_passkey).and_then(|text| text.parse().ok());
    passkey.ok_or_else(|| format!("the passkey in {place} is none: it has to have up to six digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(member: &str, device: &str) -> Message {
        let path = Path::new(format!("/org/bluez/hci0/dev_{device}")).unwrap();
        let mut message =
            Message::new_method_call("a.b", PATH, "org.bluez.Agent1", member).unwrap().append1(path);
        message.set_serial(7);
        message
    }

    #[test]
    fn a_passkey_is_given_for_the_device_that_is_being_paired_alone() {
        let agent = Agent::default();
        let mac = Mac::parse("A4:C1:38:11:22:33").unwrap();
        let passkey = |device: &str| agent.answer(&asked("RequestPasskey", device)).get1::<u32>();
        assert_eq!(passkey("A4_C1_38_11_22_33"), None);
        agent.pairing.lock().unwrap().insert(mac, Some(123_456));
        assert_eq!(passkey("A4_C1_38_11_22_33"), Some(123_456));
        assert_eq!(passkey("A4_C1_38_11_22_34"), None);
        drop(Forget(&agent, mac));
        assert_eq!(passkey("A4_C1_38_11_22_33"), None);
        assert!(!format!("{agent:?}").contains("123456"));
    }

    #[test]
    fn nobody_but_bluez_is_told_a_passkey() {
        let agent = Agent::default();
        let mac = Mac::parse("A4:C1:38:11:22:33").unwrap();
        agent.pairing.lock().unwrap().insert(mac, Some(123_456));
        *agent.owner.lock().unwrap() = Some(":1.7".to_owned());
        assert_eq!(agent.answer(&asked("RequestPasskey", "A4_C1_38_11_22_33")).get1::<u32>(), None);
    }

    #[test]
    fn nobody_confirms_a_number() {
        let agent = Agent::default();
        let mac = Mac::parse("A4:C1:38:11:22:33").unwrap();
        agent.pairing.lock().unwrap().insert(mac, None);
        for (member, is_done) in
            [("RequestConfirmation", false), ("RequestPasskey", false), ("RequestAuthorization", true)]
        {
            let mut answer = agent.answer(&asked(member, "A4_C1_38_11_22_33"));
            assert_eq!(answer.as_result().is_ok(), is_done, "{member}");
        }
    }
}
