//! Endpoints and devices in a site file.

use std::net::SocketAddr;

use super::{CoapEndpoint, CoapPsk};
use crate::code::Code;
use crate::draft::At;
use crate::mapping::BusAddress;
use crate::read::Report;
use crate::yaml::Node;

/// Usual port, and that with DTLS.
const PORTS: (u16, u16) = (5683, 5684);

impl Report<'_> {
    /// A bus that is a socket of our own: `any`, or the address that it has.
    pub(crate) fn coap_endpoint(&mut self, node: &Node) -> Option<At<CoapEndpoint>> {
        let text = self.text(node)?;
        if text.value == "any" {
            return Some(At::new(CoapEndpoint { local: None }, node.span));
        }
        let local = text.value.parse().ok().map(|ip| SocketAddr::new(ip, 0));
        if local.is_none() {
            let message = format!("`{}` is no address of this machine", text.value);
            let error = self.error(Code::BusAddress, node.span, message);
            error.help("write `any`, or the address of the network card towards the devices, such as \"192.168.1.2\", without a port; the devices have their `host` each");
        }
        local.map(|local| At::new(CoapEndpoint { local: Some(local) }, node.span))
    }

    /// Where a device is; without a port at the usual one.
    pub(crate) fn coap_host(&mut self, node: &Node, secure: bool) -> Option<At<BusAddress>> {
        let text = self.text(node)?;
        let port = if secure { PORTS.1 } else { PORTS.0 };
        let given = text.value.as_str();
        let bare =
            if given.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{given}]") } else { given.to_owned() };
        let found = crate::read::site::parse_address(given)
            .or_else(|| crate::read::site::parse_address(&format!("{bare}:{port}")));
        if found.is_none() {
            let message = format!("`{given}` is no host");
            let error = self.error(Code::BusAddress, node.span, message);
            error.help(
                "write an address or a name, such as \"192.168.1.7\", \"[fd00::7]:5683\" or \"lamp.lan\"",
            );
        }
        found.map(|address| At::new(address, node.span))
    }

    /// `psk: {identity: hub, key: "file:lamp.key"}`.
    pub(crate) fn psk(&mut self, node: &Node) -> Option<At<CoapPsk>> {
        let fields = self.fields(node, "`psk`", &["identity", "key"])?;
        for (key, help) in [
            ("identity", "the name that the key is known by to the device"),
            ("key", "where the key is: \"file:…\" or \"env:…\""),
        ] {
            if fields.key(key).is_none() {
                self.missing(node.span, "`psk`", key, help);
            }
        }
        let identity = fields.node("identity").and_then(|node| self.text(node));
        let key = fields.node("key").and_then(|node| self.secret(node, "`key`"));
        Some(At::new(CoapPsk { identity: identity?.value, key: key? }, node.span))
    }
}
