//! Function 43/14, read device identification (MODBUS Application Protocol V1.1b3, section 6.21): the basic objects.

use super::pdu::Exception;

/// The answer to a request with this access code, from this object on: vendor (0), product code (1) and revision (2).
pub(super) fn answer(objects: &[String; 3], (code, first): (u8, u8)) -> Result<Vec<u8>, Exception> {
    let from = match code {
        // Basic, regular and extended streams: an object that is not there means the first.
        1..=3 if usize::from(first) < objects.len() => usize::from(first),
        1..=3 => 0,
        4 if usize::from(first) < objects.len() => usize::from(first),
        4 => return Err(Exception::ADDRESS),
        _ => return Err(Exception::VALUE),
    };
    let last = if code == 4 { from + 1 } else { objects.len() };
    let mut bytes = vec![43, 14, code, 0x81, 0, 0, (last - from) as u8];
    for (number, text) in objects.iter().enumerate().take(last).skip(from) {
        // Three texts of 64 leave room in a PDU of 253.
        let text: Vec<u8> = text.bytes().take(64).collect();
        bytes.extend([number as u8, text.len() as u8]);
        bytes.extend(text);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shaped as the example of the specification, section 6.21.
    #[test]
    fn basic_identification_as_a_stream_and_one_by_one() {
        let objects = ["acme", "meter", "1.2.0"].map(str::to_owned);
        let stream = b"\x2b\x0e\x01\x81\x00\x00\x03\x00\x04acme\x01\x05meter\x02\x051.2.0";
        assert_eq!(answer(&objects, (1, 0)).unwrap(), stream);
        assert_eq!(answer(&objects, (1, 9)).unwrap(), stream, "an unknown object means the first");
        assert_eq!(answer(&objects, (4, 1)).unwrap(), b"\x2b\x0e\x04\x81\x00\x00\x01\x01\x05meter");
        assert_eq!(answer(&objects, (4, 3)), Err(Exception::ADDRESS));
        assert_eq!(answer(&objects, (5, 0)), Err(Exception::VALUE));
    }
}
