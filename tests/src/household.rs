//! Simulated things on an MQTT server: what a home may have.

use std::net::SocketAddr;

use usp_simulators::mqtt_devices::{
    HomeAssistantDevice, ShellyPlug, TasmotaSwitch, ThingHandle, Zigbee2Mqtt, ZigbeeDevice, ZigbeeModel, run,
};

/// Id of the Shelly plug, which is its topic too.
pub const SHELLY: &str = "shellyplusplugs-d4d4da123456";

/// The things by what they are.
#[derive(Debug)]
pub struct Household {
    /// With `plug`, `hall motion`, `strip`, and `lamp`, which waits to join.
    pub zigbee: ThingHandle,
    /// `boiler`.
    pub tasmota: ThingHandle,
    /// [`SHELLY`].
    pub shelly: ThingHandle,
    /// `breeze1`.
    pub breeze: ThingHandle,
}

impl Household {
    /// At a server; time stands still for them.
    pub fn start(server: SocketAddr) -> Self {
        Self {
            zigbee: run(bridge(), server, true),
            tasmota: run(TasmotaSwitch::new("boiler", "A4CF12345678", "Boiler"), server, true),
            shelly: run(ShellyPlug::new(SHELLY, "Desk"), server, true),
            breeze: run(HomeAssistantDevice::new("breeze1", "Breeze"), server, true),
        }
    }

    /// Whether all are connected.
    pub fn is_there(&self) -> bool {
        [&self.zigbee, &self.tasmota, &self.shelly, &self.breeze].into_iter().all(ThingHandle::is_connected)
    }
}

fn bridge() -> Zigbee2Mqtt {
    let device = |model, last: u8, name| ZigbeeDevice::new(model, &zigbee_address(last), name);
    let devices = vec![
        device(ZigbeeModel::Plug, 1, "plug"),
        device(ZigbeeModel::Motion, 2, "hall motion"),
        device(ZigbeeModel::Strip, 3, "strip"),
    ];
    Zigbee2Mqtt::new("zigbee2mqtt", devices).with_waiting(device(ZigbeeModel::Light, 4, "lamp"))
}

/// IEEE address of one of them.
pub fn zigbee_address(last: u8) -> String {
    format!("0x00158d00000000{last:02x}")
}
