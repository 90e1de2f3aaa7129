//! The Parameters of one object in a GetResp, kept as they travel.
//!
//! An answer of a Service is passed on, and may be long: names and values stay in one run of bytes, in the form that the
//! wire has them, so that reading and writing an object costs a copy and no piece of memory for each text.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Index;

use prost::bytes::{Buf, BufMut};
use prost::encoding::{self, DecodeContext, WireType, check_wire_type};
use prost::{DecodeError, Message};

use crate::wire::{length_and, put, put_head, read_length, take};

/// The values of one object: Parameter names and values (`GetResp.ResolvedPathResult`, R-GET.0).
#[derive(Clone, PartialEq, Default, Debug)]
pub struct ResolvedPathResult {
    /// The object, with a final dot.
    pub resolved_path: String,
    /// Its Parameters.
    pub result_params: Params,
}

/// Parameter names and values, in the order in which they were told. Of a name that is told twice the last value counts.
#[derive(Clone, Default)]
pub struct Params {
    /// Entries of a protobuf map, each with its tag and in canonical form.
    wire: Vec<u8>,
    count: usize,
}

const PATH_TAG: u32 = 1;
const PARAMS_TAG: u32 = 2;

/// First bytes of a map's entry, its key and its value: number and wire type.
const ENTRY: u8 = 0x12;
const NAME: u8 = 0x0a;
const VALUE: u8 = 0x12;

impl Params {
    /// How many were told.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds one.
    pub fn push(&mut self, name: &str, value: &str) {
        let texts = [(NAME, name), (VALUE, value)];
        let told = || texts.iter().filter(|(_, text)| !text.is_empty());
        let length: usize = told().map(|(_, text)| 1 + length_and(text.len())).sum();
        self.wire.reserve_exact(1 + length_and(length));
        put_head(ENTRY, length, &mut self.wire);
        told().for_each(|(tag, text)| put(*tag, text.as_bytes(), &mut self.wire));
        self.count += 1;
    }

    /// All of them, in their order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { left: &self.wire }
    }

    /// The value of one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().filter(|(known, _)| *known == name).last().map(|(_, value)| value)
    }

    /// Names, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    /// Values, in their order.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(_, value)| value)
    }

    /// Leaves out those for which `keep` says no.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        if !self.iter().all(|(name, value)| keep(name, value)) {
            *self = self.iter().filter(|(name, value)| keep(name, value)).collect();
        }
    }

    /// Bytes of all names and values together.
    pub fn text_len(&self) -> usize {
        let mut left = self.wire.as_slice();
        std::iter::from_fn(|| take_entry(&mut left)).map(|(name, value)| name.len() + value.len()).sum()
    }

    /// By name.
    pub fn to_map(&self) -> BTreeMap<&str, &str> {
        self.iter().collect()
    }

    /// Takes one entry as it stands on the wire, if it is there in one piece and in canonical form. Gives its length.
    fn take_canonical(&mut self, bytes: &[u8]) -> Option<usize> {
        let (length, rest) = read_length(bytes)?;
        let (name, value) = split(rest.get(..length)?)?;
        std::str::from_utf8(name).ok()?;
        std::str::from_utf8(value).ok()?;
        let taken = bytes.len() - rest.len() + length;
        self.wire.push(ENTRY);
        self.wire.extend_from_slice(bytes.get(..taken)?);
        self.count += 1;
        Some(taken)
    }
}

/// Name and value of an entry in canonical form: in this order, and without what is empty.
fn split(mut entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let name = take_told(NAME, &mut entry)?;
    let value = take_told(VALUE, &mut entry)?;
    entry.is_empty().then_some((name, value))
}

fn take_told<'a>(tag: u8, entry: &mut &'a [u8]) -> Option<&'a [u8]> {
    if entry.first() != Some(&tag) {
        return Some(&[]);
    }
    take(tag, entry).filter(|text| !text.is_empty())
}

/// The next entry of our own bytes.
fn take_entry<'a>(left: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    split(take(ENTRY, left)?)
}

/// Names and values.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    left: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = take_entry(&mut self.left)?;
        // Both were texts when they were taken in.
        Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?))
    }
}

impl<'a> IntoIterator for &'a Params {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<N: AsRef<str>, V: AsRef<str>> Extend<(N, V)> for Params {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, pairs: I) {
        pairs.into_iter().for_each(|(name, value)| self.push(name.as_ref(), value.as_ref()));
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Params {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut params = Self::default();
        params.extend(pairs);
        params
    }
}

impl<N: AsRef<str>, V: AsRef<str>, const COUNT: usize> From<[(N, V); COUNT]> for Params {
    fn from(pairs: [(N, V); COUNT]) -> Self {
        pairs.into_iter().collect()
    }
}

impl From<BTreeMap<String, String>> for Params {
    fn from(pairs: BTreeMap<String, String>) -> Self {
        pairs.into_iter().collect()
    }
}

impl Index<&str> for Params {
    type Output = str;

    #[expect(clippy::expect_used, reason = "as of every map: who is not sure asks `get`")]
    fn index(&self, name: &str) -> &str {
        self.get(name).expect("a Parameter with this name")
    }
}

/// As maps: the order means nothing.
impl PartialEq for Params {
    fn eq(&self, other: &Self) -> bool {
        self.wire == other.wire || self.to_map() == other.to_map()
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Message for ResolvedPathResult {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        if !self.resolved_path.is_empty() {
            encoding::string::encode(PATH_TAG, &self.resolved_path, buf);
        }
        buf.put_slice(&self.result_params.wire);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            PATH_TAG => encoding::string::merge(wire_type, &mut self.resolved_path, buf, ctx),
            PARAMS_TAG => {
                check_wire_type(WireType::LengthDelimited, wire_type)?;
                if let Some(taken) = self.result_params.take_canonical(buf.chunk()) {
                    buf.advance(taken);
                    return Ok(());
                }
                let mut entry = BTreeMap::<String, String>::new();
                let text = encoding::string::merge;
                encoding::btree_map::merge(text, text, &mut entry, buf, ctx)?;
                self.result_params.extend(entry);
                Ok(())
            }
            _ => encoding::skip_field(wire_type, tag, buf, ctx),
        }
    }

    fn encoded_len(&self) -> usize {
        let path = match self.resolved_path.as_str() {
            "" => 0,
            path => 1 + length_and(path.len()),
        };
        path + self.result_params.wire.len()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the schema alone would give.
    #[derive(Clone, PartialEq, ::prost::Message)]
    struct Generated {
        #[prost(string, tag = "1")]
        resolved_path: String,
        #[prost(btree_map = "string, string", tag = "2")]
        result_params: BTreeMap<String, String>,
    }

    fn both(pairs: &[(&str, &str)]) -> (ResolvedPathResult, Generated) {
        let path = "Device.X.".to_owned();
        let map = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let own = ResolvedPathResult {
            resolved_path: path.clone(),
            result_params: pairs.iter().copied().collect(),
        };
        (own, Generated { resolved_path: path, result_params: map })
    }

    #[test]
    fn the_bytes_are_those_of_the_schema() {
        let long = "x".repeat(200);
        let longer = "y".repeat(20_000);
        for pairs in [
            vec![],
            vec![("A", "1")],
            vec![("A", ""), ("B", "é"), ("Long", &long), ("Longer", &longer)],
            vec![("", "nameless")],
            vec![("", "")],
        ] {
            let (own, generated) = both(&pairs);
            let bytes = generated.encode_to_vec();
            assert_eq!(own.encode_to_vec(), bytes, "{pairs:?}");
            assert_eq!(own.encoded_len(), bytes.len());
            let decoded = ResolvedPathResult::decode(bytes.as_slice()).unwrap();
            assert_eq!((&decoded, decoded.result_params.len()), (&own, pairs.len()));
            assert_eq!(decoded.result_params.text_len(), pairs.iter().map(|(n, v)| n.len() + v.len()).sum());
        }
    }

    #[test]
    fn odd_forms_are_read_as_well() {
        // Value before name; an empty value spelt out; a length in two bytes where one would do; an unknown field.
        for entry in [
            &b"\x12\x06\x12\x01v\x0a\x01n"[..],
            b"\x12\x07\x0a\x81\x00n\x12\x01v",
            b"\x12\x86\x00\x0a\x01n\x12\x01v",
            b"\x12\x08\x0a\x01n\x12\x01v\x18\x07",
            b"\x0a\x00\x12\x06\x0a\x01n\x12\x01v\x1a\x00",
        ] {
            let (decoded, wanted) = (ResolvedPathResult::decode(entry), Generated::decode(entry));
            assert_eq!(wanted.unwrap().result_params, BTreeMap::from([("n".to_owned(), "v".to_owned())]));
            assert_eq!(decoded.unwrap().result_params, Params::from([("n", "v")]), "{entry:?}");
        }
        let spelt = ResolvedPathResult::decode(&b"\x12\x05\x0a\x01n\x12\x00"[..]).unwrap();
        assert_eq!(spelt.result_params, Params::from([("n", "")]));
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for bytes in [
            &b"\x12\x06\x0a\x01n\x12\x01"[..],
            b"\x12\x06\x0a\x01\xff\x12\x01v",
            b"\x12\x06\x0a\x02n\x12\x01v",
            b"\x12\x02\x0a\x05",
            b"\x10\x01",
            b"\x12",
        ] {
            assert!(ResolvedPathResult::decode(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn it_is_used_as_a_map() {
        let mut params = Params::from([("B", "2"), ("A", "1"), ("B", "3")]);
        assert_eq!((params.get("B"), &params["A"], params.get("C")), (Some("3"), "1", None));
        assert_eq!(params, Params::from([("A", "1"), ("B", "3")]));
        assert_ne!(params, Params::from([("A", "1"), ("B", "2")]));
        params.retain(|name, _| name != "B");
        assert_eq!(params.iter().collect::<Vec<_>>(), [("A", "1")]);
        assert_eq!(format!("{params:?}"), r#"{"A": "1"}"#);
    }
}
