//! A projector that answers ESC/VP21: requests end with CR, each answer with a colon.
//!
//! Source: Epson, "ESC/VP21 Command User's Guide for Business Projectors", section 2.

use std::collections::BTreeMap;
use std::time::Duration;

use super::LineDevice;

/// A projector in standby.
pub struct Projector {
    state: BTreeMap<&'static str, String>,
}

/// What can be asked, and what it is at first.
const FIRST: [(&str, &str); 6] =
    [("PWR", "00"), ("SOURCE", "30"), ("MUTE", "OFF"), ("VOL", "121"), ("LAMP", "1234"), ("ERR", "00")];

impl Default for Projector {
    fn default() -> Self {
        Self { state: FIRST.iter().map(|(name, value)| (*name, (*value).to_owned())).collect() }
    }
}

impl Projector {
    fn put(&mut self, name: &str, value: &str) -> bool {
        let Some((key, _)) = FIRST.iter().find(|(known, _)| *known == name) else { return false };
        let (value, fits) = match *key {
            "PWR" => (if value == "ON" { "01" } else { "00" }, value == "ON" || value == "OFF"),
            "MUTE" => (value, value == "ON" || value == "OFF"),
            "VOL" => (value, value.parse::<u8>().is_ok()),
            "SOURCE" => (value, value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_hexdigit())),
            _ => return false,
        };
        if fits {
            self.state.insert(key, value.to_owned());
        }
        fits
    }
}

impl LineDevice for Projector {
    fn request(&mut self, heard: &mut Vec<u8>) -> Option<Vec<u8>> {
        let end = heard.iter().position(|byte| *byte == b'\r')?;
        Some(heard.drain(..=end).collect())
    }

    fn answer(&mut self, request: &[u8], frozen: bool) -> Option<Vec<u8>> {
        let text = String::from_utf8_lossy(request);
        let text = text.trim();
        let known = match (text, text.strip_suffix('?'), text.split_once(' ')) {
            ("", ..) => Some(String::new()),
            (_, Some(name), _) => self.state.get(name).map(|value| format!("{name}={value}\r")),
            (_, None, Some((name, value))) if frozen => {
                FIRST.iter().any(|(known, _)| *known == name && !value.is_empty()).then(String::new)
            }
            (_, None, Some((name, value))) => self.put(name, value).then(String::new),
            _ => None,
        };
        Some(format!("{}:", known.unwrap_or_else(|| "ERR\r".to_owned())).into_bytes())
    }

    fn refusal(&self) -> Option<Vec<u8>> {
        Some(b"ERR\r:".to_vec())
    }

    fn every(&self) -> Option<Duration> {
        None
    }

    fn telegrams(&mut self, _: Duration) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// There is no checksum: a letter of the answer is another one.
    fn spoiled(&self, mut frame: Vec<u8>) -> Vec<u8> {
        if let Some(first) = frame.first_mut() {
            *first ^= 0x20;
        }
        frame
    }

    fn reboot(&mut self) {
        *self = Self::default();
    }

    fn get(&self, name: &str) -> Option<String> {
        self.state.get(name).cloned()
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let known = FIRST.iter().find(|(known, _)| *known == name).ok_or(format!("there is no {name}"))?;
        self.state.insert(known.0, value.to_owned());
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        FIRST.iter().map(|(name, _)| (*name).to_owned()).collect()
    }
}
