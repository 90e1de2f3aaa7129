//! Endpoint IDs: the identity of a USP Endpoint (TR-369 "Endpoint Identifier", R-ARC.2a, R-ARC.5, R-ARC.6).
//!
//! `scheme ":" [authority-id] ":" instance-id`, for example `os::012345-hub1` or `proto::svc1`. An Endpoint ID is opaque: it is
//! compared as text, percent escapes and case included.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What stands before the Endpoint ID in the subjectAltName of a certificate.
pub const URN_PREFIX: &str = "urn:bbf:usp:id:";

/// The most characters an instance-id may have (R-ARC.6).
pub const MAX_INSTANCE_ID: usize = 50;

/// A valid Endpoint ID. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(Arc<str>);

/// Why a text is no Endpoint ID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointIdError {
    /// There are not two colons.
    #[error("an Endpoint ID has the form scheme:authority:instance (the authority may be empty)")]
    Form,
    /// The scheme is none of the standard's, or not in lower case.
    #[error("`{0}` is no scheme of an Endpoint ID")]
    Scheme(String),
    /// The authority does not fit the scheme.
    #[error("with the scheme `{scheme}` the authority must be {rule}")]
    Authority {
        /// The scheme.
        scheme: &'static str,
        /// What it asks for.
        rule: &'static str,
    },
    /// The instance is missing.
    #[error("the Endpoint ID has no instance")]
    NoInstance,
    /// The instance is too long (R-ARC.6).
    #[error("the instance has {0} characters, the most is {MAX_INSTANCE_ID}")]
    InstanceTooLong(usize),
    /// The instance has a character that is not allowed (R-ARC.5).
    #[error("the instance has {0:?}; letters, digits, `-`, `.`, `_` and %HH are allowed")]
    InstanceCharacter(char),
    /// The instance does not fit the scheme.
    #[error("with the scheme `{scheme}` the instance must be {rule}")]
    Instance {
        /// The scheme.
        scheme: &'static str,
        /// What it asks for.
        rule: &'static str,
    },
}

impl EndpointId {
    /// Reads an Endpoint ID.
    ///
    /// Errors: the text does not obey the rules of its scheme.
    pub fn parse(text: &str) -> Result<Self, EndpointIdError> {
        let (scheme, rest) = text.split_once(':').ok_or(EndpointIdError::Form)?;
        let (authority, instance) = rest.split_once(':').ok_or(EndpointIdError::Form)?;
        let scheme = Scheme::find(scheme)?;
        (scheme.authority.fits)(authority)
            .then_some(())
            .ok_or(EndpointIdError::Authority { scheme: scheme.name, rule: scheme.authority.words })?;
        check_instance(instance)?;
        (scheme.instance.fits)(instance)
            .then_some(())
            .ok_or(EndpointIdError::Instance { scheme: scheme.name, rule: scheme.instance.words })?;
        Ok(Self(text.into()))
    }

    /// Reads the URN of a certificate: the Endpoint ID after `urn:bbf:usp:id:`.
    ///
    /// Errors: as [`parse`](Self::parse); [`EndpointIdError::Form`] without the prefix.
    pub fn from_urn(urn: &str) -> Result<Self, EndpointIdError> {
        Self::parse(urn.strip_prefix(URN_PREFIX).ok_or(EndpointIdError::Form)?)
    }

    /// The URN form, as certificates have it.
    pub fn to_urn(&self) -> String {
        format!("{URN_PREFIX}{self}")
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scheme, for example `os`.
    pub fn scheme(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }

    /// The instance-id: all after the second colon.
    pub fn instance_id(&self) -> &str {
        self.0.splitn(3, ':').nth(2).unwrap_or_default()
    }
}

/// What a scheme asks of one of the two parts.
struct Rule {
    fits: fn(&str) -> bool,
    words: &'static str,
}

struct Scheme {
    name: &'static str,
    authority: Rule,
    instance: Rule,
}

const EMPTY: Rule = Rule { fits: str::is_empty, words: "empty" };
const ANY: Rule = Rule { fits: |_| true, words: "anything" };
const UP_TO_SIX: Rule = Rule {
    fits: |a| a.len() <= 6 && a.bytes().all(is_unreserved),
    words: "empty or 1 to 6 letters, digits, `-`, `.`, `_`",
};

/// Per-scheme rules (R-ARC.2a).
const SCHEMES: [Scheme; 12] = [
    Scheme {
        name: "oui",
        authority: Rule {
            fits: |a| is_hex(a) && matches!(a.len(), 6 | 7 | 9),
            words: "6, 7 or 9 hexadecimal digits",
        },
        instance: ANY,
    },
    Scheme {
        name: "cid",
        authority: Rule { fits: |a| is_hex(a) && a.len() == 6, words: "6 hexadecimal digits" },
        instance: ANY,
    },
    Scheme {
        name: "pen",
        authority: Rule { fits: is_enterprise_number, words: "a private enterprise number" },
        instance: ANY,
    },
    Scheme { name: "self", authority: UP_TO_SIX, instance: ANY },
    Scheme { name: "user", authority: UP_TO_SIX, instance: ANY },
    Scheme {
        name: "os",
        authority: EMPTY,
        instance: Rule { fits: is_oui_serial, words: "OUI-SerialNumber, the OUI as 6 hexadecimal digits" },
    },
    Scheme {
        name: "ops",
        authority: EMPTY,
        instance: Rule {
            fits: is_oui_class_serial,
            words: "OUI-ProductClass-SerialNumber, the OUI as 6 hexadecimal digits",
        },
    },
    Scheme { name: "uuid", authority: EMPTY, instance: Rule { fits: is_uuid, words: "a UUID (RFC 4122)" } },
    Scheme {
        name: "imei",
        authority: EMPTY,
        instance: Rule { fits: is_imei, words: "an IMEI of 14 to 16 digits" },
    },
    Scheme {
        name: "proto",
        authority: Rule {
            fits: |a| (UP_TO_SIX.fits)(a) && !a.contains('.'),
            words: "empty or 1 to 6 letters, digits, `-`, `_`",
        },
        instance: ANY,
    },
    Scheme { name: "doc", authority: UP_TO_SIX, instance: ANY },
    Scheme {
        name: "fqdn",
        authority: EMPTY,
        instance: Rule { fits: is_fqdn, words: "a fully qualified domain name without wildcards" },
    },
];

impl Scheme {
    fn find(name: &str) -> Result<&'static Self, EndpointIdError> {
        SCHEMES.iter().find(|s| s.name == name).ok_or_else(|| EndpointIdError::Scheme(shorten(name)))
    }
}

/// What a stranger sent is quoted in errors, but not at any length.
fn shorten(text: &str) -> String {
    text.chars().take(20).collect()
}

/// R-ARC.5 and R-ARC.6.
fn check_instance(instance: &str) -> Result<(), EndpointIdError> {
    if instance.is_empty() {
        return Err(EndpointIdError::NoInstance);
    }
    let mut chars = instance.chars();
    while let Some(c) = chars.next() {
        let fits = match c {
            '%' => [chars.next(), chars.next()].iter().all(|d| d.is_some_and(|d| d.is_ascii_hexdigit())),
            _ => c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'),
        };
        if !fits {
            return Err(EndpointIdError::InstanceCharacter(c));
        }
    }
    match instance.len() {
        0..=MAX_INSTANCE_ID => Ok(()),
        long => Err(EndpointIdError::InstanceTooLong(long)),
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_enterprise_number(text: &str) -> bool {
    is_digits(text) && text.parse::<u32>().is_ok()
}

fn is_oui_serial(text: &str) -> bool {
    text.split_once('-').is_some_and(|(oui, serial)| is_hex(oui) && oui.len() == 6 && !serial.is_empty())
}

fn is_oui_class_serial(text: &str) -> bool {
    is_oui_serial(text) && text.splitn(3, '-').filter(|part| !part.is_empty()).count() == 3
}

fn is_uuid(text: &str) -> bool {
    let groups = [8, 4, 4, 4, 12];
    text.split('-').map(|g| if is_hex(g) { g.len() } else { 0 }).eq(groups)
}

fn is_imei(text: &str) -> bool {
    is_digits(text) && (14..=16).contains(&text.len())
}

fn is_fqdn(text: &str) -> bool {
    let is_label = |l: &str| {
        !l.is_empty()
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.strip_suffix('.').unwrap_or(text).split('.').all(is_label)
}

impl FromStr for EndpointId {
    type Err = EndpointIdError;

    fn from_str(text: &str) -> Result<Self, EndpointIdError> {
        Self::parse(text)
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for EndpointId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for EndpointId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for EndpointId {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for EndpointId {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_has_a_good_form() {
        for good in [
            "oui:00256D:my-unique-bbf-id-42",
            "oui:ABCDEF0:x",
            "oui:ABCDEF012:x",
            "cid:3AA3F8:my-unique-usp-id-42",
            "pen:3561:my-unique-bbf-id-42",
            "self::my-Agent",
            "self:abc123:x",
            "user:root:ctrl",
            "os::012345-0123456789ABC",
            "ops::012345-Box-1",
            "ops::012345-Box-1-with-dashes",
            "uuid::f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "imei::990000862471854",
            "proto::svc1",
            "proto:a-b_:svc%201",
            "doc::agent%21",
            "fqdn::acs.example.net",
        ] {
            assert_eq!(EndpointId::parse(good).as_ref().map(EndpointId::as_str), Ok(good));
        }
    }

    #[test]
    fn every_rule_is_enforced() {
        let fifty_one = format!("proto::{}", "a".repeat(51));
        for (bad, why) in [
            ("", "form"),
            ("proto", "form"),
            ("proto:x", "form"),
            ("Proto::x", "`Proto` is no scheme"),
            ("oui:12345:x", "6, 7 or 9"),
            ("oui:00256G:x", "6, 7 or 9"),
            ("cid:1234567:x", "6 hexadecimal"),
            ("pen:x:y", "enterprise"),
            ("pen:99999999999:y", "enterprise"),
            ("self:1234567:x", "1 to 6"),
            ("os:1:012345-a", "empty"),
            ("os::12345-a", "OUI"),
            ("os::012345", "OUI"),
            ("ops::012345-a", "ProductClass"),
            ("ops::012345--a", "ProductClass"),
            ("uuid::f81d4fae7dec11d0a76500a0c91e6bf6", "UUID"),
            ("imei::12", "IMEI"),
            ("proto:a.b:x", "1 to 6"),
            ("fqdn::*.example.net", "'*'"),
            ("fqdn::a..b", "domain name"),
            ("proto::", "no instance"),
            ("proto::a b", "' '"),
            ("proto::a~b", "'~'"),
            ("proto::a%2", "'%'"),
            ("proto::a%zz", "'%'"),
            ("proto::a:b", "':'"),
            ("proto::ä", "'ä'"),
            (fifty_one.as_str(), "51 characters"),
        ] {
            let error = EndpointId::parse(bad).expect_err(bad).to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn certificates_have_a_urn() {
        let id = EndpointId::parse("os::012345-a").unwrap();
        assert_eq!(id.to_urn(), "urn:bbf:usp:id:os::012345-a");
        assert_eq!(EndpointId::from_urn(&id.to_urn()), Ok(id));
        assert_eq!(EndpointId::from_urn("os::012345-a"), Err(EndpointIdError::Form));
    }

    #[test]
    fn the_parts_can_be_had() {
        let id: EndpointId = "pen:3561:a".parse().unwrap();
        assert_eq!((id.scheme(), id.instance_id()), ("pen", "a"));
    }
}
