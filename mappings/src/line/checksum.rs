//! Checksums: a closed list.
//!
//! Parameters and check values of the CRCs are those of the catalogue of parametrised CRC algorithms (Greg Cook).

/// Which checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumKind {
    /// All bytes, combined by exclusive or (NMEA 0183; the block check of IEC 62056-21).
    Xor8,
    /// The sum of all bytes, lower 8 bits.
    Sum8,
    /// What makes the sum of all bytes and this one 0 (8 bits).
    Sum8Zero,
    /// The sum of all bytes, lower 16 bits.
    Sum16,
    /// CRC-16/ARC, also called IBM (DSMR P1).
    Crc16Arc,
    /// CRC-16/MODBUS.
    Crc16Modbus,
    /// CRC-16/XMODEM (Davis).
    Crc16Xmodem,
    /// CRC-16/IBM-SDLC, also called X-25.
    Crc16X25,
    /// CRC-16/IBM-3740, also called CCITT-FALSE.
    Crc16CcittFalse,
}

/// A checksum, and where and how it stands in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// Which.
    pub kind: ChecksumKind,
    /// As hexadecimal digits; otherwise as bytes.
    pub hex: bool,
    /// The least significant byte comes first.
    pub little_endian: bool,
    /// It stands behind the end of the frame; otherwise before it.
    pub after_end: bool,
    /// Bytes at the beginning of a frame that it does not cover.
    pub skip: u16,
    /// Bytes right before it that it does not cover.
    pub cut: u16,
}

impl ChecksumKind {
    /// All of them, as mappings call them.
    pub const ALL: [(&'static str, Self); 9] = [
        ("xor8", Self::Xor8),
        ("sum8", Self::Sum8),
        ("sum8-zero", Self::Sum8Zero),
        ("sum16", Self::Sum16),
        ("crc16-arc", Self::Crc16Arc),
        ("crc16-modbus", Self::Crc16Modbus),
        ("crc16-xmodem", Self::Crc16Xmodem),
        ("crc16-x25", Self::Crc16X25),
        ("crc16-ccitt-false", Self::Crc16CcittFalse),
    ];

    /// As mappings call it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// How many bytes it has.
    pub fn width(self) -> usize {
        if matches!(self, Self::Xor8 | Self::Sum8 | Self::Sum8Zero) { 1 } else { 2 }
    }

    /// That of these bytes.
    pub fn of(self, bytes: &[u8]) -> u16 {
        let sum = || bytes.iter().fold(0u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
        match self {
            Self::Xor8 => bytes.iter().fold(0, |sum, byte| sum ^ u16::from(*byte)),
            Self::Sum8 => sum() & 0xff,
            Self::Sum8Zero => sum().wrapping_neg() & 0xff,
            Self::Sum16 => sum(),
            Self::Crc16Arc => reflected(bytes, 0xa001, 0),
            Self::Crc16Modbus => reflected(bytes, 0xa001, 0xffff),
            Self::Crc16X25 => !reflected(bytes, 0x8408, 0xffff),
            Self::Crc16Xmodem => straight(bytes, 0),
            Self::Crc16CcittFalse => straight(bytes, 0xffff),
        }
    }
}

/// Least significant bit first.
fn reflected(bytes: &[u8], polynomial: u16, start: u16) -> u16 {
    let step = |crc: u16| if crc & 1 == 1 { crc >> 1 ^ polynomial } else { crc >> 1 };
    bytes.iter().fold(start, |crc, byte| (0..8).fold(crc ^ u16::from(*byte), |crc, _| step(crc)))
}

/// Most significant bit first, with the polynomial 0x1021.
fn straight(bytes: &[u8], start: u16) -> u16 {
    let step = |crc: u16| if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 };
    bytes.iter().fold(start, |crc, byte| (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| step(crc)))
}

impl Checksum {
    /// How many bytes it takes in a frame.
    pub fn length(&self) -> usize {
        self.kind.width() * if self.hex { 2 } else { 1 }
    }

    /// As it stands behind these bytes.
    pub fn behind(&self, bytes: &[u8]) -> Vec<u8> {
        let end = bytes.len().saturating_sub(usize::from(self.cut));
        let sum = self.kind.of(bytes.get(usize::from(self.skip)..end).unwrap_or_default());
        let both = if self.little_endian { sum.to_le_bytes() } else { sum.to_be_bytes() };
        let sum: Vec<u8> = match self.kind.width() {
            1 => vec![sum.to_be_bytes()[1]],
            _ => both.to_vec(),
        };
        if self.hex { sum.iter().flat_map(|byte| format!("{byte:02X}").into_bytes()).collect() } else { sum }
    }

    /// Whether this is what stands behind these bytes. Digits may be large or small.
    pub fn is_right(&self, bytes: &[u8], given: &[u8]) -> bool {
        let right = self.behind(bytes);
        if self.hex { right.eq_ignore_ascii_case(given) } else { right == given }
    }
}
