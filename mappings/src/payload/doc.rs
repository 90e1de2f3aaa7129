//! A document of JSON or CBOR, and what a pointer finds in it.

use super::pick::Pointer;
use crate::port::DeviceFault;
use crate::transform::Raw;

/// A document, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Doc {
    /// `null`, or CBOR's `undefined`.
    Null,
    /// A single value.
    Value(Raw),
    /// A value that is there and means nothing here, and why.
    Odd(String),
    /// A list.
    List(Vec<Self>),
    /// A map; of equal keys the last counts, as readers of JSON have it.
    Map(Vec<(Raw, Self)>),
}

/// Deepest nesting of a document.
pub(super) const MAX_DEPTH: usize = 32;

/// Most values of a document, keys not counted.
pub(super) const MAX_VALUES: usize = 65_536;

impl Doc {
    /// What a pointer leads to (RFC 6901, section 4); `None`: nothing is there.
    pub(super) fn at(&self, pointer: &Pointer) -> Option<&Self> {
        pointer.0.iter().try_fold(self, |doc, token| doc.member(token))
    }

    fn member(&self, token: &str) -> Option<&Self> {
        match self {
            Self::List(items) => items.get(index(token)?),
            Self::Map(entries) => {
                entries.iter().rev().find(|(key, _)| is_key(key, token)).map(|(_, doc)| doc)
            }
            Self::Null | Self::Value(_) | Self::Odd(_) => None,
        }
    }

    /// The value that this is.
    ///
    /// Errors: [`DeviceFault::Invalid`] for `null`, which devices say for "not known"; [`DeviceFault::Garbled`] for a
    /// list or a map.
    pub(super) fn raw(&self) -> Result<Raw, DeviceFault> {
        match self {
            Self::Value(raw) => Ok(raw.clone()),
            Self::Null => Err(DeviceFault::Invalid("the device has no reading".to_owned())),
            Self::Odd(why) => Err(DeviceFault::Invalid(why.clone())),
            Self::List(_) => Err(garbled("a list where a value was expected")),
            Self::Map(_) => Err(garbled("a map where a value was expected")),
        }
    }
}

/// An index as RFC 6901 spells it: without leading zeros.
fn index(token: &str) -> Option<usize> {
    let plain = token == "0" || !token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit());
    token.parse().ok().filter(|_| plain)
}

fn is_key(key: &Raw, token: &str) -> bool {
    match key {
        Raw::Text(text) => text == token,
        Raw::Int(number) => token.parse() == Ok(*number),
        _ => false,
    }
}

pub(super) fn garbled(why: &str) -> DeviceFault {
    DeviceFault::Garbled(why.to_owned())
}
