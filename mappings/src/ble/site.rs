//! Radios and devices in a site file.

use super::{BleAdapter, BleRadio, Mac};
use crate::code::Code;
use crate::draft::At;
use crate::read::Report;
use crate::read::fields::Fields;
use crate::yaml::Node;

/// What a radio has beside its name.
pub(crate) const RADIO_KEYS: [&str; 1] = ["slots"];

impl Report<'_> {
    /// A bus that is a radio: `hci0`, or its address.
    pub(crate) fn ble_radio(&mut self, node: &Node, fields: &Fields<'_>) -> Option<At<BleRadio>> {
        let text = self.text(node)?;
        let given = text.value.as_str();
        let is_name = given.strip_prefix("hci").is_some_and(|number| {
            !number.is_empty() && number.len() <= 4 && number.bytes().all(|digit| digit.is_ascii_digit())
        });
        let address = Mac::parse(given).map(BleAdapter::Address);
        let adapter = address.or_else(|| is_name.then(|| BleAdapter::Name(given.to_owned())));
        let slots = fields.node("slots").and_then(|node| self.int(node, "`slots`", 1, 32));
        let Some(adapter) = adapter else {
            let error = self.error(Code::BusAddress, node.span, format!("`{given}` is no radio"));
            error.help(
                "write the name that BlueZ gives it, such as hci0, or its address, which stays the same",
            );
            return None;
        };
        let slots = slots.map_or(BleRadio::USUAL_SLOTS, |slots| slots.value);
        Some(At::new(BleRadio { adapter, slots }, node.span))
    }

    /// The address of a device.
    pub(crate) fn ble_mac(&mut self, node: &Node) -> Option<At<Mac>> {
        let text = self.spelling(node)?;
        let mac = Mac::parse(&text.value);
        if mac.is_none() {
            let message = format!("`{}` is no address of Bluetooth", text.value);
            let error = self.error(Code::BusAddress, node.span, message);
            error.help("write six times two hexadecimal digits, such as \"A4:C1:38:11:22:33\"");
        }
        mac.map(|mac| At::new(mac, node.span))
    }
}
