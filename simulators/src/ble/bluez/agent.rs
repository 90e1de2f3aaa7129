//! Who answers when a passkey is needed.

use std::collections::BTreeMap;

use zbus::OwnedObjectPath;

use super::Bluez;
use super::call::Call;
use super::object::AGENT_MANAGER1;
use super::said::{Body, Refusal};

/// What an agent can be asked for.
const CAPABILITIES: [&str; 6] =
    ["", "DisplayOnly", "DisplayYesNo", "KeyboardOnly", "NoInputNoOutput", "KeyboardDisplay"];

/// A client's agent.
#[derive(Clone)]
pub(super) struct Agent {
    pub(super) client: String,
    pub(super) path: String,
    capability: String,
}

impl Agent {
    /// Whether a person behind it could type six digits.
    pub(super) fn has_keyboard(&self) -> bool {
        matches!(self.capability.as_str(), "" | "KeyboardOnly" | "KeyboardDisplay")
    }
}

/// All agents, by client.
#[derive(Default)]
pub(super) struct Agents {
    all: BTreeMap<String, Agent>,
    /// Whose is asked for those who have none.
    usual: Option<String>,
}

impl Agents {
    /// Who is asked for a client: its own agent, or the default one.
    pub(super) fn of(&self, client: &str) -> Option<&Agent> {
        self.all.get(client).or_else(|| self.all.get(self.usual.as_deref()?))
    }

    pub(super) fn left(&mut self, client: &str) {
        self.all.remove(client);
        self.usual.take_if(|usual| usual == client);
    }
}

impl Bluez {
    pub(super) fn agent_call(&mut self, call: &Call) -> Result<Body, Refusal> {
        let client = call.client.clone();
        let owns =
            |agents: &Agents, path: &str| agents.all.get(&client).is_some_and(|agent| agent.path == path);
        match call.member.as_str() {
            "RegisterAgent" => {
                let (path, capability): (OwnedObjectPath, String) = call.arguments()?;
                if self.agents.all.contains_key(&client) {
                    return Err(Refusal::already_exists());
                }
                if !CAPABILITIES.contains(&capability.as_str()) {
                    return Err(Refusal::arguments());
                }
                let agent = Agent { client: client.clone(), path: path.to_string(), capability };
                self.agents.all.insert(client, agent);
            }
            "UnregisterAgent" => {
                let path: OwnedObjectPath = call.arguments()?;
                if !owns(&self.agents, path.as_str()) {
                    return Err(Refusal::does_not_exist());
                }
                self.agents.left(&client);
            }
            "RequestDefaultAgent" => {
                let path: OwnedObjectPath = call.arguments()?;
                if !owns(&self.agents, path.as_str()) {
                    return Err(Refusal::does_not_exist());
                }
                self.agents.usual = Some(client);
            }
            _ => return Err(Refusal::method(AGENT_MANAGER1, &call.member)),
        }
        Ok(Body::Nothing)
    }
}
