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
const ADDRESSES: [&str; 6] = ["address", "register", "reg", "addr", "start", "register_address"];

/// What to do about a key that a map does not have.
pub(super) fn help(what: &str, key: &str, keys: &[&str], protocol: ProtocolKind) -> String {
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
        _ if ADDRESSES.contains(&key) && keys.contains(&"holding") => {
            "the address stands with its table: `input: 0`, `holding: 0`, `coil: 0` or `discrete: 0`"
                .to_owned()
        }
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
    let table = ADDRESSES.contains(&key).then_some("input");
    nearest(key, keys.iter().copied()).or(table).map(str::to_owned)
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
