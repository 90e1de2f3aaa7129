//! Checksums, bit by bit as their definitions have them: no table, no reflection of a whole register.

/// One bit after the other is taken into a register of 16 bits with this polynomial.
fn crc16(bytes: &[u8], polynomial: u16, start: u16, low_bit_first: bool) -> u16 {
    let mut register = start;
    for byte in bytes {
        for place in 0..8 {
            let bit = if low_bit_first { byte >> place & 1 } else { byte >> (7 - place) & 1 };
            let top = (register >> 15) as u8 & 1;
            register <<= 1;
            if top != bit {
                register ^= polynomial;
            }
        }
    }
    register
}

/// The checksum of this name as it stands behind these bytes, the most significant byte first; `None`: no such name.
pub fn of(name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let total: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
    let low = |number: u32| vec![(number & 0xff) as u8];
    let wide = |number: u16| vec![(number >> 8) as u8, (number & 0xff) as u8];
    let reflected = |polynomial, start| crc16(bytes, polynomial, start, true).reverse_bits();
    Some(match name {
        "xor8" => {
            let mut sum = 0;
            for byte in bytes {
                sum ^= byte;
            }
            vec![sum]
        }
        "sum8" => low(total),
        "sum8-zero" => low(256 - (total & 0xff)),
        "sum16" => wide((total & 0xffff) as u16),
        "crc16-arc" => wide(reflected(0x8005, 0)),
        "crc16-modbus" => wide(reflected(0x8005, 0xffff)),
        "crc16-x25" => wide(0xffff - reflected(0x1021, 0xffff)),
        "crc16-xmodem" => wide(crc16(bytes, 0x1021, 0, false)),
        "crc16-ccitt-false" => wide(crc16(bytes, 0x1021, 0xffff, false)),
        _ => return None,
    })
}

/// As upper-case digits.
pub fn digits(sum: &[u8]) -> String {
    sum.iter().map(|byte| format!("{byte:02X}")).collect()
}
