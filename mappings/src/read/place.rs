//! Where a key belongs that stands in the wrong map.

use super::mapping::CAPABILITY_KEYS;
use super::protocol::{elsewhere, read_keys, write_keys};
use crate::mapping::ProtocolKind;
use crate::words::{nearest, suggestion};

/// Keys that would say something secret.
const SECRETS: [&str; 12] = [
    "password", "passwd", "pass", "secret", "token", "key", "api_key", "apikey", "pin", "username", "user",
    "login",
];

/// Other words for an address.
const ADDRESSES: [&str; 8] =
    ["address", "register", "reg", "addr", "start", "register_address", "start_address", "reg_address"];

/// Keys of other programs that have no like here: what they hold is said otherwise, so that another name alone would
/// not do. Each with a key of the map where it is looked for, and what to do.
const FOREIGN: [(&[&str], &str, &str); 18] = [
    (
        &ADDRESSES,
        "holding",
        "the address stands with its table: `input: 0`, `holding: 0`, `coil: 0` or `discrete: 0`",
    ),
    (
        &["register_type", "reg_type", "input_type", "function_code", "function", "table", "object_type"],
        "holding",
        "the table is the key of the address: `holding: 0` (function 3), `input: 0` (4), `coil: 0` (1) or `discrete: 0` (2)",
    ),
    (
        &[
            "byte_order",
            "word_order",
            "byteorder",
            "wordorder",
            "endianness",
            "endian",
            "swap",
            "swap_words",
            "word_swap",
        ],
        "order",
        "write `order: CDAB` where the words are swapped, `BADC` where the bytes in each word are, `DCBA` for both; without it `ABCD`",
    ),
    (
        &["bitmask", "mask"],
        "bits",
        "`bits` says which bits they are, from 0: the mask 0x10 is `bits: 4`, and 0x0c is `bits: 2..3`",
    ),
    (
        &["count", "size", "length", "quantity", "num_registers", "reg_count"],
        "registers",
        "`as` says how many registers it takes: `as: u32` takes two; `registers` is for texts, bytes and `bcd`",
    ),
    (
        &["options", "optionsmap", "states", "values", "enum", "mappings"],
        "map",
        "write `map: {0: Idle, 1: Running}`, the raw value first",
    ),
    (
        &["scan_interval", "update_interval", "poll_interval", "interval", "period", "polling", "refresh"],
        "class",
        "`poll` names a group of the section `poll` at the top: `poll: {slow: 60s}` there, and `poll: slow` here",
    ),
    (
        &["scan_interval", "update_interval", "poll_interval", "interval", "period", "polling"],
        "poll",
        "write `poll: {default: 10s}`, or with a name for each group",
    ),
    (
        &["precision", "decimals", "digits"],
        "scale",
        "`scale` says what one raw step is, such as `scale: 0.1`; nothing is rounded",
    ),
    (
        &["divisor", "divide", "divide_by", "div"],
        "scale",
        "`scale` is what the raw value is multiplied by: where the manual divides by 10, write `scale: 0.1`",
    ),
    (
        &["signed", "sign", "is_signed", "unsigned"],
        "registers",
        "`as` says it: `as: s16` has a sign, `as: u16` has none",
    ),
    (
        &["access", "rw", "read_only", "readonly", "writable", "writeable"],
        "class",
        "what has `write` can be set, and is a Control: `write: {}` writes where it is read; a Sensor has none",
    ),
    (
        &["range", "limits"],
        "valid",
        "of a LevelControl write `min: 5` and `max: 30`; `valid: [5, 30]` where a reading outside is none",
    ),
    (
        &["baud", "baudrate", "baud_rate", "parity", "stop_bits", "stopbits", "data_bits", "port", "host"],
        "mask_write",
        "a mapping has no bus: the site file says `plant: {modbus_rtu: /dev/ttyUSB0, baud: 9600, parity: even}`",
    ),
    (&["unit", "address", "id"], "mask_write", NO_ADDRESS),
    (
        &["host", "hostname", "ip", "ip_address", "address", "port", "url"],
        "modbus_tcp",
        "the kind of bus is the key of its address: `modbus_tcp: \"192.168.1.20:502\"`",
    ),
    (
        &["tcp", "modbus", "modbus-tcp", "modbustcp"],
        "modbus_tcp",
        "write `modbus_tcp: \"192.168.1.20:502\"`; `modbus_rtu_tcp` for RTU frames over TCP, `serial_line_tcp` and `zigbee_tcp` for other things behind a server",
    ),
    (
        &["rtu", "serial", "tty", "modbus-rtu", "modbusrtu"],
        "modbus_tcp",
        "write `modbus_rtu: /dev/ttyUSB0` with `baud` and `parity`; `serial_line` for what does not speak Modbus",
    ),
];

/// What to do about the address of a device in a mapping.
const NO_ADDRESS: &str = "a mapping has no address of a device: the site file says `unit: 1`";

/// Other words for the address of a device on its bus.
const UNITS: [&str; 6] = ["slave", "slave_id", "unit_id", "device_address", "slave_address", "modbus_id"];

/// What to do about a key that other programs have.
pub(super) fn foreign(key: &str, keys: &[&str]) -> Option<&'static str> {
    let found = FOREIGN.iter().find(|(words, beside, _)| words.contains(&key) && keys.contains(beside));
    let marks = ["holding", "class", "capabilities", "mask_write"];
    let is_mapping = marks.iter().any(|mark| keys.contains(mark));
    let unit = UNITS.contains(&key) && is_mapping;
    let unit = unit.then_some(NO_ADDRESS);
    found.map(|(.., help)| *help).or(unit)
}

/// What to do about a key that a map does not have.
pub(super) fn help(what: &str, key: &str, keys: &[&str], protocol: ProtocolKind) -> String {
    if let Some(help) = foreign(key, keys) {
        return help.to_owned();
    }
    if let Some(help) = of_another_protocol(what, key, protocol) {
        return help;
    }
    if nearest(key, keys.iter().copied()).is_some() {
        return suggestion(key, keys);
    }
    let belongs = |list: &[&str]| list.contains(&key);
    let (reads, writes) = (read_keys(protocol), write_keys(protocol));
    let in_point = what.contains("read") || what.contains("write");
    match key {
        "<<" => "the language has no merge keys; a whole value can be repeated with `*name`".to_owned(),
        _ if SECRETS.contains(&key) => {
            format!("remove it: nothing secret belongs into {what}, and nothing here needs it")
        }
        _ if what == "a capability" && belongs(&reads) && belongs(&writes) => {
            format!("`{key}` belongs into `read` (a `write` takes it from there) or `write`")
        }
        _ if what == "a capability" && belongs(&reads) => format!("`{key}` belongs into `read`"),
        _ if what == "a capability" && belongs(&writes) => format!("`{key}` belongs into `write`"),
        _ if in_point && belongs(&reads) => format!("`{key}` belongs into `read`"),
        _ if in_point && belongs(&writes) => format!("`{key}` belongs into `write`"),
        _ if in_point && belongs(&CAPABILITY_KEYS) => {
            format!("`{key}` belongs to the capability, beside {what}")
        }
        _ => suggestion(key, keys),
    }
}

/// Which key was meant; with an address any table will do.
pub(super) fn meant(key: &str, keys: &[&str]) -> Option<String> {
    if foreign(key, keys).is_some() && keys.contains(&"modbus_tcp") {
        return Some("modbus_tcp".to_owned());
    }
    if foreign(key, keys).is_some() {
        return ADDRESSES.contains(&key).then(|| "input".to_owned());
    }
    nearest(key, keys.iter().copied()).map(str::to_owned)
}

/// What to do about a key that points of another protocol have.
fn of_another_protocol(what: &str, key: &str, protocol: ProtocolKind) -> Option<String> {
    let is_point = ["`read`", "`write`", "a step", "`fingerprint`", "a capability"].contains(&what);
    let own = read_keys(protocol).contains(&key) || write_keys(protocol).contains(&key);
    let other = elsewhere(key, protocol).filter(|_| is_point && !own)?;
    let (name, section) = (other.name(), other.section());
    Some(match protocol {
        ProtocolKind::Modbus => format!(
            "`{key}` belongs to {name}: add `{section}: {{}}` to the file if its devices speak that, and remove what is of Modbus"
        ),
        _ => format!(
            "`{key}` belongs to {name}, and with `{}` this is a mapping for {}",
            protocol.section(),
            protocol.name()
        ),
    })
}
