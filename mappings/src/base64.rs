//! Base64 with padding (RFC 4648 §4), the text form of TR-106 `base64`.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().enumerate().fold(0u32, |sum, (at, byte)| sum | u32::from(*byte) << (16 - 8 * at));
        for place in 0..4 {
            let sextet = (group >> (18 - 6 * place) & 0x3f) as usize;
            out.push(if place <= chunk.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    out
}

pub(crate) fn decode(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    if !text.len().is_multiple_of(4) || digits.len() % 4 == 1 {
        return Err("not base64: its length is no multiple of four".to_owned());
    }
    let mut out = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.as_bytes().chunks(4) {
        let mut group = 0u32;
        for (place, digit) in chunk.iter().enumerate() {
            group |= sextet(*digit)? << (18 - 6 * place);
        }
        out.extend(group.to_be_bytes().get(1..chunk.len()).unwrap_or_default());
    }
    Ok(out)
}

fn sextet(digit: u8) -> Result<u32, String> {
    let found = ALPHABET.iter().zip(0u32..).find(|(letter, _)| **letter == digit);
    found
        .map(|(_, value)| value)
        .ok_or_else(|| format!("not base64: `{}`", char::from(digit).escape_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648 §10.
    #[test]
    fn the_vectors_of_the_rfc() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(plain.as_bytes()), coded);
            assert_eq!(decode(coded), Ok(plain.as_bytes().to_vec()));
        }
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["a", "=", "====", "Zg=", "Zg", "Z===", "Zm9v!!!!", "Zm=v", "é==="] {
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
