//! Links: how they come up and break.

use std::time::Duration;

use zbus::OwnedVariant;

use super::call::{Call, Done};
use super::gatt::Gatt;
use super::object::{BATTERY1, DEVICE1};
use super::said::{Body, Refusal, Signal};
use super::{Bluez, Task};
use crate::ble::device::{At, att};
use crate::ble::uuid::Uuid;
use crate::mischief::BleFault;

/// How long a link takes to come up, and services to be found.
const STEP: Duration = Duration::from_millis(60);

/// How long the kernel looks for who is to be connected to.
const LOOKS: Duration = Duration::from_secs(20);

/// What connecting is told when nobody was found, and when whoever wanted it has given up.
const NOT_FOUND: &str = "le-connection-abort-by-local";
const CANCELED: &str = "br-connection-canceled";

const BATTERY: At = At { service: Uuid::short(0x180f), characteristic: Uuid::short(0x2a19) };

impl Bluez {
    pub(super) fn device_call(&mut self, call: &Call) -> Result<Done, Refusal> {
        match call.member.as_str() {
            "Connect" => self.connect(call),
            "Disconnect" => {
                self.break_link(&call.path);
                Ok(Body::Nothing.into())
            }
            "Pair" => self.pair(call),
            "CancelPairing" => self.cancel_pairing(&call.path).map(Done::from),
            _ => Err(Refusal::method(DEVICE1, &call.member)),
        }
    }

    pub(super) fn set_device(&mut self, path: &str, name: &str, value: OwnedVariant) -> Result<(), Refusal> {
        let known = self.known.get_mut(path).ok_or_else(|| Refusal::object(path))?;
        let name = match name {
            "Trusted" => {
                known.trusted = value.try_into().map_err(|_| Refusal::arguments())?;
                "Trusted"
            }
            "Blocked" => {
                known.blocked = value.try_into().map_err(|_| Refusal::arguments())?;
                "Blocked"
            }
            "Alias" => {
                let alias: String = value.try_into().map_err(|_| Refusal::arguments())?;
                known.alias = Some(alias).filter(|alias| !alias.is_empty());
                "Alias"
            }
            _ => return Err(Refusal::property(name)),
        };
        self.device_changed(path, [name]);
        Ok(())
    }

    fn connect(&mut self, call: &Call) -> Result<Done, Refusal> {
        if !self.adapter.powered {
            return Err(Refusal::failed("le-connection-adapter-not-powered"));
        }
        let known = self.known.get_mut(&call.path).ok_or_else(|| Refusal::object(&call.path))?;
        if known.connecting.is_some() || known.pairing.is_some() {
            return Err(Refusal::in_progress());
        }
        if known.connected && known.resolved {
            return Ok(Body::Nothing.into());
        }
        if known.blocked {
            return Err(Refusal::failed("le-connection-refused"));
        }
        known.temporary = false;
        known.connecting = Some(call.message.clone());
        self.start_link(&call.path);
        Ok(Done::Later)
    }

    /// Begins to connect.
    pub(super) fn start_link(&mut self, path: &str) {
        let until = self.now + LOOKS;
        if let Some(known) = self.known.get_mut(path) {
            known.looks_until = until;
        }
        let Some(peer) = self.peer(path) else {
            return self.after(LOOKS, Task::Fails(path.to_owned(), NOT_FOUND));
        };
        let slow = peer.faults.happen(|fault| matches!(fault, BleFault::SlowConnect(_)));
        let more = if let Some(BleFault::SlowConnect(time)) = slow { time } else { Duration::ZERO };
        if peer.happens(&BleFault::RefuseConnections) {
            self.after(STEP + more, Task::Fails(path.to_owned(), "le-connection-refused"));
        } else {
            self.after(STEP + more, Task::Up(path.to_owned()));
        }
    }

    pub(super) fn link_is_up(&mut self, path: &str) {
        let Some(until) = self.known.get(path).map(|known| known.looks_until) else { return };
        let there = self.peer(path).is_some_and(|peer| !peer.has(&BleFault::Silent));
        if !there {
            let task = if self.now < until {
                Task::Up(path.to_owned())
            } else {
                Task::Fails(path.to_owned(), NOT_FOUND)
            };
            return self.after(STEP, task);
        }
        if let Some(peer) = self.peer(path) {
            peer.linked = true;
            peer.links += 1;
            // What has changed meanwhile is nobody's news.
            peer.device.told();
        }
        if let Some(known) = self.known.get_mut(path) {
            known.connected = true;
        }
        self.device_changed(path, ["Connected"]);
        self.after(STEP, Task::Resolved(path.to_owned()));
    }

    pub(super) fn link_fails(&mut self, path: &str, why: &'static str) {
        let Some(known) = self.known.get_mut(path) else { return };
        let (connecting, pairing) = (known.connecting.take(), known.pairing.take());
        if let Some(call) = connecting {
            self.answer(call, Err(Refusal::failed(why)));
        }
        if let Some(call) = pairing {
            let refusal = Refusal::new("org.bluez.Error.ConnectionAttemptFailed", "Page Timeout");
            self.answer(call, Err(refusal));
        }
    }

    pub(super) fn resolved(&mut self, path: &str) {
        let Some(peer) = self.peer(path) else { return };
        let services = peer.device.services();
        let battery = peer.device.read(BATTERY).ok().and_then(|value| value.first().copied());
        let Some(known) = self.known.get_mut(path) else { return };
        let new = known.gatt.is_empty();
        if new {
            known.uuids.extend(services.iter().map(|service| service.uuid));
            known.gatt = Gatt::of(&services);
        }
        known.resolved = true;
        known.battery = battery;
        let (connecting, pairs) = (known.connecting.take(), known.pairing.is_some());
        let attributes = if new { known.attributes(path) } else { Default::default() };
        let battery = known.interfaces().remove(BATTERY1);
        for (path, interfaces) in attributes {
            self.signal(Signal::Added { path, interfaces });
        }
        if let Some(props) = battery {
            let interfaces = [(BATTERY1.to_owned(), props)].into();
            self.signal(Signal::Added { path: path.to_owned(), interfaces });
        }
        self.device_changed(path, ["UUIDs", "ServicesResolved"]);
        if let Some(call) = connecting {
            self.answer(call, Ok(Body::Nothing));
        }
        if pairs {
            self.begin_pairing(path);
        }
    }

    /// Ends a link, or the attempt to get one.
    pub(super) fn break_link(&mut self, path: &str) {
        self.later.retain(
            |(_, task)| !matches!(task, Task::Up(at) | Task::Fails(at, _) | Task::Resolved(at) if at == path),
        );
        let below = format!("{path}/");
        let under_way = self.later.extract_if(.., |(_, task)| match task {
            Task::Read(at, _) | Task::Write(at, ..) => at.starts_with(&below),
            _ => false,
        });
        let calls = under_way.filter_map(|(_, task)| match task {
            Task::Read(_, call) => Some(call),
            Task::Write(_, _, call) => call,
            _ => None,
        });
        let calls: Vec<_> = calls.collect();
        calls.into_iter().for_each(|call| self.answer(call, Err(Refusal::att(att::UNLIKELY))));
        self.link_fails(path, CANCELED);
        let now = self.now;
        let Some(known) = self.known.get_mut(path) else { return };
        if !known.connected {
            return;
        }
        known.connected = false;
        known.resolved = false;
        known.seen = now;
        known.gatt.link_broken();
        if known.battery.take().is_some() {
            let interfaces = vec![BATTERY1.to_owned()];
            self.signal(Signal::Removed { path: path.to_owned(), interfaces });
        }
        if let Some(peer) = self.peer(path) {
            peer.linked = false;
        }
        self.device_changed(path, ["ServicesResolved", "Connected"]);
    }

    /// Links to devices that are out of reach break.
    pub(super) fn break_links(&mut self) {
        let gone = |known: &super::Known| {
            let peer = known.peer.and_then(|number| self.peers.get(number));
            known.connected && peer.is_some_and(|peer| peer.has(&BleFault::Silent))
        };
        let paths: Vec<String> =
            self.known.iter().filter(|(_, known)| gone(known)).map(|(path, _)| path.clone()).collect();
        paths.iter().for_each(|path| self.break_link(path));
    }

    /// The link to a device breaks.
    pub(in crate::ble) fn drop_link(&mut self, number: usize) {
        let Some(peer) = self.peers.get(number) else { return };
        self.break_link(&super::path_of(peer.device.mac()));
    }
}
