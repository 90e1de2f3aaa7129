//! Where a key belongs that stands in the wrong map.

use super::mapping::CAPABILITY_KEYS;
use super::point::{READ_KEYS, WRITE_KEYS};
use crate::words::{nearest, suggestion};

/// Keys that would say something secret.
const SECRETS: [&str; 12] = [
    "password", "passwd", "pass", "secret", "token", "key", "api_key", "apikey", "pin", "username", "user",
    "login",
];

/// Other words for an address.
const ADDRESSES: [&str; 6] = ["address", "register", "reg", "addr", "start", "register_address"];

/// What to do about a key that a map does not have.
pub(super) fn help(what: &str, key: &str, keys: &[&str]) -> String {
    if nearest(key, keys.iter().copied()).is_some() {
        return suggestion(key, keys);
    }
    let belongs = |list: &[&str]| list.contains(&key);
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
        _ if what == "a capability" && belongs(&READ_KEYS) && belongs(&WRITE_KEYS) => {
            format!("`{key}` belongs into `read` (a `write` takes it from there) or `write`")
        }
        _ if what == "a capability" && belongs(&READ_KEYS) => format!("`{key}` belongs into `read`"),
        _ if what == "a capability" && belongs(&WRITE_KEYS) => format!("`{key}` belongs into `write`"),
        _ if in_point && belongs(&READ_KEYS) => format!("`{key}` belongs into `read`"),
        _ if in_point && belongs(&WRITE_KEYS) => format!("`{key}` belongs into `write`"),
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
