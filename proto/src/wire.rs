//! The little of protobuf's wire format that is read and written by hand, where that saves copies of long answers.

use prost::encoding::{encode_varint, encoded_len_varint};

/// Bytes of a length and of what it counts.
pub(crate) fn length_and(length: usize) -> usize {
    encoded_len_varint(length as u64) + length
}

/// A length in its shortest form, of at most 28 bits, and what follows.
pub(crate) fn read_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let shortest = *byte != 0 || index == 0;
            return Some((length, bytes.get(index + 1..)?)).filter(|_| shortest);
        }
    }
    None
}

/// The content of a field with a length, if such a one with this first byte is next.
pub(crate) fn take<'a>(tag: u8, bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = read_length(bytes.strip_prefix(&[tag])?)?;
    let (content, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some(content)
}

/// The same for a text.
pub(crate) fn take_text<'a>(tag: u8, bytes: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take(tag, bytes)?).ok()
}

/// First byte and length of a field.
pub(crate) fn put_head(tag: u8, length: usize, out: &mut Vec<u8>) {
    out.push(tag);
    encode_varint(length as u64, out);
}

/// A field with a length.
pub(crate) fn put(tag: u8, content: &[u8], out: &mut Vec<u8>) {
    put_head(tag, content.len(), out);
    out.extend_from_slice(content);
}
