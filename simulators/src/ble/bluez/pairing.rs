//! Pairing.

use std::time::Duration;

use super::call::{Call, Done};
use super::said::{Ask, Body, Out, Refusal};
use super::{Bluez, Task};
use crate::ble::device::Pairing;
use crate::mischief::BleFault;

/// How long keys take to be exchanged.
const EXCHANGE: Duration = Duration::from_millis(60);

fn failed() -> Refusal {
    Refusal::new("org.bluez.Error.AuthenticationFailed", "Authentication Failed")
}

fn canceled() -> Refusal {
    Refusal::new("org.bluez.Error.AuthenticationCanceled", "Authentication Canceled")
}

fn rejected() -> Refusal {
    Refusal::new("org.bluez.Error.AuthenticationRejected", "Authentication Rejected")
}

impl Bluez {
    pub(super) fn pair(&mut self, call: &Call) -> Result<Done, Refusal> {
        if !self.adapter.powered {
            return Err(Refusal::not_ready());
        }
        let known = self.known.get_mut(&call.path).ok_or_else(|| Refusal::object(&call.path))?;
        known.temporary = false;
        if known.connecting.is_some() || known.pairing.is_some() {
            return Err(Refusal::in_progress());
        }
        if known.paired {
            return Err(Refusal::already_exists());
        }
        known.pairing = Some(call.message.clone());
        if known.connected {
            self.begin_pairing(&call.path);
        } else {
            self.start_link(&call.path);
        }
        Ok(Done::Later)
    }

    /// The link is there: keys are exchanged.
    pub(super) fn begin_pairing(&mut self, path: &str) {
        let call = self.known.get(path).and_then(|known| known.pairing.as_ref());
        let client = call.and_then(|call| Some(call.header().sender()?.to_string()));
        let (Some(client), Some(peer)) = (client, self.peer(path)) else { return };
        let outcome = match peer.device.pairing() {
            _ if peer.happens(&BleFault::RefusePairing) => Err(rejected()),
            Pairing::None => Err(failed()),
            Pairing::JustWorks => Ok(()),
            Pairing::Passkey(_) => match self.agents.of(&client).filter(|agent| agent.has_keyboard()) {
                None => Err(failed()),
                Some(agent) => {
                    let (client, agent) = (agent.client.clone(), agent.path.clone());
                    return self.out.push(Out::Ask(Ask { client, agent, device: path.to_owned() }));
                }
            },
        };
        self.after(EXCHANGE, Task::Paired(path.to_owned(), outcome));
    }

    /// An agent has said six digits, or refused to.
    pub(in crate::ble) fn agent_said(&mut self, path: &str, said: Result<u32, String>) {
        let Some(peer) = self.peer(path) else { return };
        let outcome = match (said, peer.device.pairing()) {
            (Ok(said), Pairing::Passkey(passkey)) if said == passkey => Ok(()),
            (Ok(_), _) => Err(failed()),
            (Err(name), _) if name.ends_with(".Canceled") => Err(canceled()),
            (Err(_), _) => Err(rejected()),
        };
        self.after(EXCHANGE, Task::Paired(path.to_owned(), outcome));
    }

    pub(super) fn paired(&mut self, path: &str, outcome: Result<(), Refusal>) {
        let Some(known) = self.known.get_mut(path).filter(|known| known.connected) else { return };
        let Some(call) = known.pairing.take() else { return };
        match outcome {
            Ok(()) => {
                self.bond(path);
                self.answer(call, Ok(Body::Nothing));
            }
            Err(refusal) => {
                self.answer(call, Err(refusal));
                self.break_link(path);
            }
        }
    }

    /// Keys are kept.
    pub(super) fn bond(&mut self, path: &str) {
        if let Some(known) = self.known.get_mut(path) {
            known.paired = true;
        }
        if let Some(peer) = self.peer(path) {
            peer.bonded = true;
        }
        self.device_changed(path, ["Paired", "Bonded"]);
    }

    pub(super) fn cancel_pairing(&mut self, path: &str) -> Result<Body, Refusal> {
        let known = self.known.get_mut(path).ok_or_else(|| Refusal::object(path))?;
        let call = known.pairing.take().ok_or_else(Refusal::does_not_exist)?;
        self.answer(call, Err(canceled()));
        self.break_link(path);
        Ok(Body::Nothing)
    }
}
