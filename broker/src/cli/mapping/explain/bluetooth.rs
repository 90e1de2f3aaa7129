//! What devices advertise, hold and are sent over Bluetooth.

use usp_mapping::mapping::{
    BleConnect, BleOptions, BlePair, BleRead, BleSource, BleWrite, Mapping, ReadPoint,
};

use super::messages::{HeardTold, MannerTold, SentTold};
use super::text::period;

/// When a device is connected, and how it is known to be there.
pub(super) fn manner(mapping: &Mapping, options: &BleOptions, asks_per_hour: f64) -> MannerTold {
    let timeout = period(options.timeout.as_millis());
    let connection = match options.connect {
        BleConnect::Never => "It is never connected: what it advertises is heard.".to_owned(),
        BleConnect::Keep => format!(
            "It is connected all the time and takes one of the radio's connections. A connection may take {}, and each exchange \
             {timeout}; nothing is sent again.",
            period(options.timeout.as_millis() * 3)
        ),
        BleConnect::OnDemand if !has_chars(mapping) => {
            "What it advertises is heard; nothing needs a connection.".to_owned()
        }
        BleConnect::OnDemand => format!(
            "It is connected when something is to be read or written, and until nobody has asked it for {}. A connection may take \
             {}, and each exchange {timeout}; nothing is sent again.",
            period(options.idle.as_millis()),
            period(options.timeout.as_millis() * 3)
        ),
    };
    let mut words = vec![connection];
    if asks_per_hour > 0.0 {
        words.push(format!("Polls ask it at most {asks_per_hour:.0} times an hour."));
    }
    words.push(match options.every.zip(options.patience()) {
        Some((every, patience)) => format!(
            "It is heard every {}, and is offline when nothing of it was heard for {}.",
            period(every.as_millis()),
            period(patience.as_millis())
        ),
        None if options.connect == BleConnect::Never => {
            "How often it is heard is not known, so that its silence says nothing.".to_owned()
        }
        None => "It is offline when it does not answer.".to_owned(),
    });
    words.extend(match options.pair {
        BlePair::Nothing => None,
        BlePair::JustWorks => Some("It is paired at the first connection; nobody confirms it.".to_owned()),
        BlePair::Passkey => {
            Some("It is paired at the first connection, with the passkey that the site names.".to_owned())
        }
    });
    MannerTold { timeout_ms: options.timeout.as_millis(), again_ms: Vec::new(), asks_per_hour, words }
}

/// Whether anything of a model is read or written over a connection.
fn has_chars(mapping: &Mapping) -> bool {
    let reads = mapping.points().filter_map(|point| point.read).flat_map(|read| read.places());
    let is_char = |place: &ReadPoint| matches!(place, ReadPoint::Ble(read) if read.char().is_some());
    let writes = mapping.capabilities.iter().any(|capability| capability.write.is_some());
    writes || !mapping.commands.is_empty() || reads.into_iter().any(is_char)
}

/// What is heard or read over Bluetooth.
pub(super) fn told(read: &BleRead, often: &str) -> HeardTold {
    let how = match (&read.ask, read.is_advertised(), read.notify) {
        (Some(ask), ..) => format!("notified; asked with {} to {} {often}", hex(&ask.body), ask.char),
        (None, true, _) => "advertised".to_owned(),
        (None, false, true) => format!("notified; read {often}"),
        (None, false, false) => format!("read {often}"),
    };
    let from = match read.from {
        BleSource::Rssi => "(radio)".to_owned(),
        _ => read.from.to_string(),
    };
    HeardTold { from, what: read.described(), how, points: Vec::new() }
}

/// Two digits for each byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// What writes a value.
pub(super) fn sent(write: &BleWrite, body: &[u8]) -> SentTold {
    let how = if write.response { "Write Request" } else { "Write Command" };
    let done = write.answer.as_ref().map(|it| format!(", done when {} tells something{}", it.char, it.done));
    let how = format!("{how}{}", done.unwrap_or_default());
    SentTold { to: write.char.to_string(), how, body: hex(body) }
}
