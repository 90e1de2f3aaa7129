//! What a coordinator keeps of its network (Z-Stack's `nwkIB_t`), as it is in its memory: packed, or aligned to two bytes on
//! other processors.

use super::super::bytes::Read;
use super::super::{Ieee, Network};

/// Where its parts are.
struct Layout {
    length: usize,
    channel: usize,
    pan_id: usize,
    channels: usize,
    ext_pan_id: usize,
    has_key: usize,
    update_id: usize,
}

/// Of a CC2531.
const PACKED: Layout = Layout {
    length: 110,
    channel: 22,
    pan_id: 33,
    channels: 36,
    ext_pan_id: 53,
    has_key: 61,
    update_id: 109,
};

/// Of ARM processors.
const ALIGNED: Layout = Layout {
    length: 116,
    channel: 24,
    pan_id: 36,
    channels: 40,
    ext_pan_id: 57,
    has_key: 65,
    update_id: 114,
};

/// What is known of a network.
pub(super) struct Nib {
    bytes: Vec<u8>,
    layout: &'static Layout,
}

impl Nib {
    /// `None`: it has another form than is known.
    pub(super) fn new(bytes: Vec<u8>) -> Option<Self> {
        let layout = [&PACKED, &ALIGNED].into_iter().find(|layout| layout.length == bytes.len())?;
        Some(Self { bytes, layout })
    }

    /// Whether structures in memory are packed.
    pub(super) fn is_packed(&self) -> bool {
        self.layout.length == PACKED.length
    }

    fn at(&self, place: usize) -> Read<'_> {
        Read(self.bytes.get(place..).unwrap_or_default())
    }

    /// The network, if there is one.
    pub(super) fn network(&self) -> Option<Network> {
        let network = Network {
            pan_id: self.at(self.layout.pan_id).u16()?,
            ext_pan_id: self.at(self.layout.ext_pan_id).ieee()?,
            channel: self.at(self.layout.channel).u8()?,
            update_id: self.at(self.layout.update_id).u8()?,
        };
        let has_key = self.at(self.layout.has_key).u8()? != 0;
        // 0xfffe and 0xffff are none.
        (has_key && network.channel != 0 && network.pan_id < 0xfffe).then_some(network)
    }

    /// Puts another network in.
    pub(super) fn set(&mut self, network: &Network) {
        let channels = 1_u32.checked_shl(network.channel.into()).unwrap_or_default();
        self.put(self.layout.pan_id, &network.pan_id.to_le_bytes());
        self.put(self.layout.ext_pan_id, &network.ext_pan_id.0.to_le_bytes());
        self.put(self.layout.channel, &[network.channel]);
        self.put(self.layout.channels, &channels.to_le_bytes());
        self.put(self.layout.update_id, &[network.update_id]);
    }

    fn put(&mut self, place: usize, value: &[u8]) {
        if let Some(bytes) = self.bytes.get_mut(place..place + value.len()) {
            bytes.copy_from_slice(value);
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The extended PAN ID that stands for every network.
pub(super) const EVERY: Ieee = Ieee(u64::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// Of a CC2652R and of a CC2531, as they were read from them.
    #[test]
    fn both_forms_are_read_as_recorded() {
        let aligned = "600502330f33001e0000000105018f000700020d1e0000000f00000000000000000000000244080000800000\
                       0f0f0400010000000100000000a083e6b5a838baa20100000000000000000000000000000000000000000000000000\
                       00000000000000000000000f050001780a0100000000000000";
        let packed = "e20502101410001e0000000105018f070002051e00000f00000000000000000000abb608008000000f0f04000100000001\
                      00000000b22d773c463292620100000000000000000000000000000000000000000000000000000000000000000000\
                      00003c030001780a010000cd0000";
        let mut nib = Nib::new(hex(aligned)).unwrap();
        let network =
            Network { pan_id: 0x4402, ext_pan_id: Ieee(0xa2ba_38a8_b5e6_83a0), channel: 15, update_id: 0 };
        assert_eq!((nib.network(), nib.is_packed()), (Some(network), false));
        let other = Network { pan_id: 0x1a2b, ext_pan_id: Ieee(7), channel: 25, update_id: 3 };
        nib.set(&other);
        assert_eq!(nib.network(), Some(other));
        assert_eq!(nib.bytes()[40..44], [0, 0, 0, 2]);
        let nib = Nib::new(hex(packed)).unwrap();
        let network =
            Network { pan_id: 0xb6ab, ext_pan_id: Ieee(0x6292_3246_3c77_2db2), channel: 15, update_id: 0 };
        assert_eq!((nib.network(), nib.is_packed()), (Some(network), true));
        assert!(Nib::new(vec![0; 111]).is_none());
    }
}
