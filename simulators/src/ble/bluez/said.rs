//! What goes out over D-Bus.

use std::collections::BTreeMap;

use zbus::{Message, OwnedVariant};

/// Properties of an interface.
pub(in crate::ble) type Props = BTreeMap<String, OwnedVariant>;

/// Interfaces of an object.
pub(in crate::ble) type Interfaces = BTreeMap<String, Props>;

/// Something to be sent.
pub(in crate::ble) enum Out {
    Reply(Message, Body),
    Error(Message, Refusal),
    Signal(Signal),
    Ask(Ask),
}

/// What a reply says.
pub(in crate::ble) enum Body {
    Nothing,
    Bytes(Vec<u8>),
    Text(String),
    Texts(Vec<String>),
    Variant(OwnedVariant),
    Props(Props),
    /// All objects, by path.
    Objects(BTreeMap<String, Interfaces>),
}

/// A signal of an object.
pub(in crate::ble) enum Signal {
    /// Properties of an interface have changed, or are gone.
    Changed { path: String, interface: &'static str, props: Props, gone: Vec<&'static str> },
    /// An object has come, or interfaces of it.
    Added { path: String, interfaces: Interfaces },
    /// An object has gone, or interfaces of it.
    Removed { path: String, interfaces: Vec<String> },
}

/// An agent is asked for the passkey of a device.
pub(in crate::ble) struct Ask {
    pub(in crate::ble) client: String,
    pub(in crate::ble) agent: String,
    pub(in crate::ble) device: String,
}

/// An error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ble) struct Refusal {
    pub(in crate::ble) name: &'static str,
    pub(in crate::ble) text: String,
}

impl Refusal {
    pub(super) fn new(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, text: text.into() }
    }

    pub(super) fn failed(text: impl Into<String>) -> Self {
        Self::new("org.bluez.Error.Failed", text)
    }

    pub(super) fn in_progress() -> Self {
        Self::new("org.bluez.Error.InProgress", "In Progress")
    }

    pub(super) fn not_ready() -> Self {
        Self::new("org.bluez.Error.NotReady", "Resource Not Ready")
    }

    pub(super) fn does_not_exist() -> Self {
        Self::new("org.bluez.Error.DoesNotExist", "Does Not Exist")
    }

    pub(super) fn already_exists() -> Self {
        Self::new("org.bluez.Error.AlreadyExists", "Already Exists")
    }

    pub(super) fn not_supported() -> Self {
        Self::new("org.bluez.Error.NotSupported", "Operation is not supported")
    }

    pub(super) fn not_permitted(text: &'static str) -> Self {
        Self::new("org.bluez.Error.NotPermitted", text)
    }

    pub(super) fn arguments() -> Self {
        Self::new("org.bluez.Error.InvalidArguments", "Invalid arguments in method call")
    }

    pub(super) fn method(interface: &str, member: &str) -> Self {
        let text = format!("Method \"{member}\" on interface \"{interface}\" doesn't exist");
        Self::new("org.freedesktop.DBus.Error.UnknownMethod", text)
    }

    pub(super) fn object(path: &str) -> Self {
        Self::new("org.freedesktop.DBus.Error.UnknownObject", format!("Unknown object '{path}'"))
    }

    pub(super) fn property(name: &str) -> Self {
        Self::new("org.freedesktop.DBus.Error.InvalidArgs", format!("No such property '{name}'"))
    }

    /// What an error of the Attribute Protocol is called.
    pub(super) fn att(code: u8) -> Self {
        match code {
            0x02 => Self::not_permitted("Read not permitted"),
            0x03 => Self::not_permitted("Write not permitted"),
            0x05 | 0x0c | 0x0f => Self::not_permitted("Not paired"),
            0x0d => Self::new("org.bluez.Error.InvalidArguments", "Invalid Length"),
            0x08 => Self::new("org.bluez.Error.NotAuthorized", "Operation Not Authorized"),
            code => Self::failed(format!("Operation failed with ATT error: 0x{code:02x}")),
        }
    }
}
