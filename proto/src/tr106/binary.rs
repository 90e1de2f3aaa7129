//! base64 and hexBinary.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes base64 with padding (RFC 4648 section 4).
pub fn base64_encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let sextet = (word >> (18 - 6 * place)) & 0x3f;
            let digit = ALPHABET.get(sextet as usize).copied().unwrap_or(b'=');
            out.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// Reads base64 with padding; `None` if it is none. White space is skipped, as in XML.
pub fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let padding = digits.iter().rev().take(3).take_while(|b| **b == b'=').count();
    let (data, _) = digits.split_at_checked(digits.len().checked_sub(padding)?)?;
    if !digits.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() / 4 * 3);
    for chunk in data.chunks(4) {
        let mut word = 0u32;
        for digit in chunk {
            word = word << 6 | sextet(*digit)?;
        }
        word <<= 6 * (4 - chunk.len());
        let [_, bytes @ ..] = word.to_be_bytes();
        let (bytes, unused) = bytes.split_at_checked(chunk.len() * 3 / 4)?;
        // Bits that belong to no byte must be zero: each value has one form.
        if unused.iter().any(|b| *b != 0) {
            return None;
        }
        out.extend(bytes);
    }
    Some(out)
}

fn sextet(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// Writes hexBinary, in upper case.
pub fn hex_encode(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase();
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 0x0f)]).collect()
}

/// Reads hexBinary; `None` if it is none.
pub fn hex_decode(text: &str) -> Option<Vec<u8>> {
    let nibble = |b: u8| char::from(b).to_digit(16).and_then(|n| u8::try_from(n).ok());
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_4648() {
        for (plain, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64_encode(plain.as_bytes()), text);
            assert_eq!(base64_decode(text).as_deref(), Some(plain.as_bytes()));
        }
        assert_eq!(base64_decode("Zm9v\nYg=="), Some(b"foob".to_vec()));
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for bad in ["Z", "Zg", "Zg=", "Z===", "====", "Zh==", "Zm9=", "Zg==Zg==", "Zm-_", "=m9v"] {
            assert_eq!(base64_decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn hex_goes_both_ways() {
        assert_eq!(hex_encode(&[0x00, 0xab, 0xff]), "00ABFF");
        assert_eq!(hex_decode("00aBFf"), Some(vec![0x00, 0xab, 0xff]));
        assert_eq!(hex_decode(""), Some(Vec::new()));
        assert_eq!(["0", "0g", "ä"].map(hex_decode), [None, None, None]);
    }
}
