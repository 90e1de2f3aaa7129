//! What objects say of themselves.

use std::fmt::Write as _;

use super::object::{ADAPTER1, AGENT_MANAGER1, CHARACTERISTIC1, DESCRIPTOR1, DEVICE1};
use super::said::Interfaces;

/// Methods of an interface: name, and arguments as `in:type` and `out:type`.
fn methods(interface: &str) -> &'static [(&'static str, &'static [(&'static str, &'static str)])] {
    match interface {
        ADAPTER1 => &[
            ("StartDiscovery", &[]),
            ("StopDiscovery", &[]),
            ("SetDiscoveryFilter", &[("in", "a{sv}")]),
            ("RemoveDevice", &[("in", "o")]),
            ("GetDiscoveryFilters", &[("out", "as")]),
        ],
        DEVICE1 => &[("Connect", &[]), ("Disconnect", &[]), ("Pair", &[]), ("CancelPairing", &[])],
        AGENT_MANAGER1 => &[
            ("RegisterAgent", &[("in", "o"), ("in", "s")]),
            ("UnregisterAgent", &[("in", "o")]),
            ("RequestDefaultAgent", &[("in", "o")]),
        ],
        CHARACTERISTIC1 => &[
            ("ReadValue", &[("in", "a{sv}"), ("out", "ay")]),
            ("WriteValue", &[("in", "ay"), ("in", "a{sv}")]),
            ("StartNotify", &[]),
            ("StopNotify", &[]),
        ],
        DESCRIPTOR1 => &[
            ("ReadValue", &[("in", "a{sv}"), ("out", "ay")]),
            ("WriteValue", &[("in", "ay"), ("in", "a{sv}")]),
        ],
        _ => &[],
    }
}

/// An object and the names of those below it.
pub(super) fn xml(object: &Interfaces, children: &[String]) -> String {
    let mut xml = "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n\
         \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n<node>"
        .to_owned();
    xml += "<interface name=\"org.freedesktop.DBus.Introspectable\"><method name=\"Introspect\">\
        <arg name=\"xml\" type=\"s\" direction=\"out\"/></method></interface>";
    // Writing to a String cannot fail.
    for (interface, props) in object {
        write!(xml, "<interface name=\"{interface}\">").ok();
        for (name, arguments) in methods(interface) {
            write!(xml, "<method name=\"{name}\">").ok();
            for (direction, kind) in *arguments {
                write!(xml, "<arg type=\"{kind}\" direction=\"{direction}\"/>").ok();
            }
            xml += "</method>";
        }
        for (name, value) in props {
            let kind = value.value_signature();
            write!(xml, "<property name=\"{name}\" type=\"{kind}\" access=\"read\"/>").ok();
        }
        xml += "</interface>";
    }
    for child in children {
        write!(xml, "<node name=\"{child}\"/>").ok();
    }
    xml + "</node>"
}
