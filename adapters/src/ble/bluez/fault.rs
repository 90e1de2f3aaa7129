//! What errors of BlueZ and D-Bus mean, in the user's words.

use std::error::Error;

/// Why something that a device was asked came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ble) enum Fault {
    /// The device does not do it.
    Refused(String),
    /// The device, or the way to it, is gone: what it was asked it may have received.
    Gone(String),
    /// It was not asked: it is not connected, or nobody is there who could ask it.
    Unsent(String),
}

/// Errors that a device has answered with, as BlueZ calls them.
const REFUSALS: [&str; 6] = [
    "NotPermitted",
    "NotAuthorized",
    "NotSupported",
    "InvalidValueLength",
    "InvalidOffset",
    "InvalidArguments",
];

/// Errors with which nothing was begun, as BlueZ and D-Bus call them. One that comes for a bluetoothd that ended meanwhile is
/// `NoReply`.
const UNSENT: [&str; 10] = [
    "ServiceUnknown",
    "NameHasNoOwner",
    "SpawnFailed",
    "AccessDenied",
    "UnknownObject",
    "UnknownMethod",
    "UnknownInterface",
    "NotReady",
    "NotConnected",
    "InProgress",
];

/// What BlueZ says of an exchange that was under way when the connection broke off.
const BROKEN_OFF: &str = "ATT error: 0x0e";

/// What it says of one that is to begin, and there is no connection.
const NOT_CONNECTED: &str = "Not connected";

/// Nobody knows more.
const NO_ANSWER: &str = "it does not answer: is it near, awake, and connected to nobody else?";

/// Why BlueZ could not connect a device, as it calls that behind `le-connection-` or `br-connection-`.
const UNCONNECTED: [(&str, &str); 9] = [
    ("abort-by-local", NO_ANSWER),
    ("page-timeout", NO_ANSWER),
    ("timeout", NO_ANSWER),
    ("refused", "it refused the connection"),
    ("abort-by-remote", "it broke the connection off"),
    ("terminated-by-remote", "it broke the connection off"),
    ("canceled", "the connection was given up"),
    ("adapter-not-powered", "the radio is switched off"),
    ("concurrent-connection-limit", "the radio has no connection left"),
];

/// An error as it came over D-Bus. Its name and text are what somebody else has written.
#[derive(Clone, Copy, Debug)]
struct Said<'e> {
    name: &'e str,
    message: &'e str,
}

impl<'e> Said<'e> {
    fn of(error: &'e dbus::Error) -> Self {
        Self { name: error.name().unwrap_or_default(), message: error.message().unwrap_or_default() }
    }

    /// Its name without whose it is.
    fn kind(&self) -> &'e str {
        self.name.rsplit('.').next().unwrap_or_default()
    }
}

/// What is meant by an error of D-Bus.
pub(super) fn words(error: &dbus::Error) -> String {
    words_of(Said::of(error))
}

fn words_of(error: Said<'_>) -> String {
    let message = error.message;
    match error.kind() {
        "ServiceUnknown" | "NameHasNoOwner" | "SpawnFailed" => "bluetoothd is not running".to_owned(),
        "AccessDenied" => {
            "D-Bus does not let this user talk to BlueZ: it has to be in the group bluetooth".to_owned()
        }
        "NoReply" | "Timeout" | "TimedOut" | "Disconnected" => "BlueZ does not answer".to_owned(),
        "UnknownObject" | "UnknownMethod" | "UnknownInterface" => {
            "BlueZ does not know it any more".to_owned()
        }
        "NotReady" => "the radio is switched off".to_owned(),
        "InProgress" => "BlueZ is busy with it".to_owned(),
        "NotConnected" => "it is not connected".to_owned(),
        "AuthenticationFailed" | "AuthenticationRejected" => {
            "it does not let itself be paired, or the passkey is wrong".to_owned()
        }
        "AuthenticationTimeout" | "AuthenticationCanceled" => "pairing was not completed".to_owned(),
        "ConnectionAttemptFailed" => NO_ANSWER.to_owned(),
        name if message.is_empty() => shortened(name),
        _ => unconnected(message).map_or_else(|| shortened(message), str::to_owned),
    }
}

fn unconnected(message: &str) -> Option<&'static str> {
    let why = message.strip_prefix("le-connection-").or_else(|| message.strip_prefix("br-connection-"))?;
    UNCONNECTED.into_iter().find(|(known, _)| *known == why).map(|(_, words)| words)
}

/// Why D-Bus itself cannot be reached.
pub(super) fn of_bus(error: &str) -> String {
    let why = [
        ("No such file or directory", "its socket is not there"),
        ("entity not found", "its socket is not there"),
        ("Connection refused", "nobody listens at its socket"),
        ("Permission denied", "Permission denied for its socket"),
    ];
    let known = why.into_iter().find(|(said, _)| error.contains(said)).map(|(_, why)| why.to_owned());
    known.unwrap_or_else(|| shortened(error.split_once(" (os error ").map_or(error, |(words, _)| words)))
}

/// What others say may be long, and have line ends.
fn shortened(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

/// What is meant by an error of D-Bus about a device.
pub(super) fn of_device(error: &dbus::Error) -> Fault {
    of_said(Said::of(error))
}

fn of_said(error: Said<'_>) -> Fault {
    let (kind, message) = (error.kind(), error.message);
    if message.contains(BROKEN_OFF) {
        return Fault::Gone("the connection broke off".to_owned());
    }
    if REFUSALS.contains(&kind) || kind == "Failed" && message.contains("ATT error") {
        return Fault::Refused(shortened(if message.is_empty() { kind } else { message }));
    }
    let is_unsent = UNSENT.contains(&kind) || kind == "Failed" && message == NOT_CONNECTED;
    if is_unsent { Fault::Unsent(words_of(error)) } else { Fault::Gone(words_of(error)) }
}

/// What is meant by an error of `btleplug`.
pub(super) fn of_peer(error: &btleplug::Error) -> Fault {
    if let btleplug::Error::Other(other) = error {
        let mut cause: Option<&(dyn Error + 'static)> = Some(other.as_ref());
        while let Some(known) = cause {
            if let Some(error) = known.downcast_ref::<dbus::Error>() {
                return of_device(error);
            }
            cause = known.source();
        }
        let shown = format!("{other:?}");
        return said_in(&shown).map_or_else(|| by_text(&other.to_string()), of_said);
    }
    let words = shortened(&error.to_string());
    match error {
        btleplug::Error::NotConnected | btleplug::Error::DeviceNotFound => Fault::Unsent(words),
        _ => Fault::Gone(words),
    }
}

/// The error of D-Bus within one that does not have it among its causes, as `bluez-async` makes them: it can be seen there all the
/// same, as `D-Bus error: MESSAGE (NAME)`.
fn said_in(shown: &str) -> Option<Said<'_>> {
    let (message, name) = shown.split_once("D-Bus error: ")?.1.rsplit_once(" (")?;
    let name = name.trim_end_matches(')');
    let is_name = name.contains('.') && name.chars().all(|c| c.is_ascii_alphanumeric() || "._".contains(c));
    is_name.then_some(Said { name, message })
}

/// Where the error of D-Bus is not among the causes its text is.
fn by_text(text: &str) -> Fault {
    if text.contains(BROKEN_OFF) {
        return Fault::Gone("the connection broke off".to_owned());
    }
    let is_refusal = REFUSALS.iter().any(|name| text.contains(name)) || text.contains("ATT error");
    if is_refusal { Fault::Refused(shortened(text)) } else { Fault::Gone(shortened(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, message: &str) -> Fault {
        of_device(&dbus::Error::new_custom(name, message))
    }

    #[test]
    fn why_there_is_no_d_bus_is_told_without_numbers() {
        for (said, told) in [
            ("I/O error: No such file or directory (os error 2)", "its socket is not there"),
            ("I/O error: Permission denied (os error 13)", "Permission denied for its socket"),
            ("I/O error: Connection refused (os error 111)", "nobody listens at its socket"),
            ("I/O error: Broken pipe (os error 32)", "I/O error: Broken pipe"),
        ] {
            assert_eq!(of_bus(said), told);
        }
    }

    #[test]
    fn what_a_device_refuses_is_told_from_what_is_gone() {
        for (name, message) in [
            ("org.bluez.Error.NotPermitted", "Write not permitted"),
            ("org.bluez.Error.Failed", "Operation failed with ATT error: 0x80"),
        ] {
            assert_eq!(of(name, message), Fault::Refused(message.to_owned()));
        }
        let broken = of("org.bluez.Error.Failed", "Operation failed with ATT error: 0x0e");
        assert_eq!(broken, Fault::Gone("the connection broke off".to_owned()));
        assert_eq!(of("org.bluez.Error.Failed", "Not connected"), Fault::Unsent("Not connected".to_owned()));
        let unknown = of("org.freedesktop.DBus.Error.UnknownObject", "Method \"x\" …");
        assert_eq!(unknown, Fault::Unsent("BlueZ does not know it any more".to_owned()));
        let killed = of("org.freedesktop.DBus.Error.NoReply", "Message recipient disconnected …");
        assert_eq!(killed, Fault::Gone("BlueZ does not answer".to_owned()), "it may have done it before");
    }

    /// As `bluez-async` hands it on: transparent, so that what it is made of is none of its causes.
    #[derive(Debug, thiserror::Error)]
    enum Wrapped {
        #[error(transparent)]
        DbusError(dbus::Error),
    }

    fn through_btleplug(name: &str, message: &str) -> Fault {
        let error = Wrapped::DbusError(dbus::Error::new_custom(name, message));
        of_peer(&btleplug::Error::Other(Box::new(error)))
    }

    #[test]
    fn what_is_refused_is_known_through_btleplug_too() {
        for (name, message) in [
            ("org.bluez.Error.NotPermitted", "Read not permitted"),
            ("org.bluez.Error.NotPermitted", "Write not permitted"),
            ("org.bluez.Error.NotAuthorized", "Operation Not Authorized"),
            ("org.bluez.Error.InvalidValueLength", "Invalid Length (of it)"),
            ("org.bluez.Error.Failed", "Operation failed with ATT error: 0x80"),
        ] {
            assert_eq!(through_btleplug(name, message), Fault::Refused(message.to_owned()));
        }
        let gone = through_btleplug("org.bluez.Error.Failed", "Not connected");
        assert_eq!(gone, Fault::Unsent("Not connected".to_owned()));
        let gone = through_btleplug("org.freedesktop.DBus.Error.ServiceUnknown", "The name …");
        assert_eq!(gone, Fault::Unsent("bluetoothd is not running".to_owned()));
        for odd in ["D-Bus error: x", "D-Bus error: x (a b)", "DbusError(D-Bus error:  ())"] {
            assert!(said_in(odd).is_none(), "{odd}");
        }
    }

    /// Whose text is what somebody else has made up.
    struct MadeUp(String);

    impl std::fmt::Debug for MadeUp {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(&self.0)
        }
    }

    impl std::fmt::Display for MadeUp {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(&self.0)
        }
    }

    impl Error for MadeUp {}

    /// They come from whoever is on the bus.
    #[test]
    fn a_name_that_is_none_for_d_bus_is_told_all_the_same() {
        let long = format!("a.{}", "b".repeat(300));
        let names =
            ["a..b", ".a", "a.", "..", "a.1b", "1a.b", "a.b-c", "ä.ö", "", "a", "a.b\0", long.as_str()];
        for name in names {
            for message in ["it is odd", "", "a \0 (b) D-Bus error: (", "\u{1b}[2J"] {
                let text = format!("D-Bus error: {message} ({name})");
                let (Fault::Gone(why) | Fault::Unsent(why) | Fault::Refused(why)) =
                    of_peer(&btleplug::Error::Other(Box::new(MadeUp(text))));
                assert!(why.chars().count() <= 200 && !why.contains(char::is_control), "{why:?}");
            }
        }
        let refused = "D-Bus error: Read not permitted (org.bluez..NotPermitted)".to_owned();
        let refused = of_peer(&btleplug::Error::Other(Box::new(MadeUp(refused))));
        assert_eq!(refused, Fault::Refused("Read not permitted".to_owned()));
    }

    #[test]
    fn why_nothing_is_connected_is_told_in_words() {
        for (said, told) in [
            ("le-connection-abort-by-local", "does not answer"),
            ("br-connection-canceled", "given up"),
            ("le-connection-refused", "refused the connection"),
            ("le-connection-odd", "le-connection-odd"),
        ] {
            let Fault::Gone(why) = through_btleplug("org.bluez.Error.Failed", said) else { panic!("{said}") };
            assert!(why.contains(told), "{why}");
        }
    }

    #[test]
    fn errors_are_in_the_users_words() {
        let error = dbus::Error::new_custom("org.freedesktop.DBus.Error.ServiceUnknown", "The name …");
        assert_eq!(words(&error), "bluetoothd is not running");
        let long = dbus::Error::new_custom("org.bluez.Error.Failed", &"x\n".repeat(1000));
        assert_eq!(words(&long).chars().count(), 200);
    }
}
