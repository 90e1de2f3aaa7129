//! Chance that can be repeated.

/// SplitMix64.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below a number.
    pub(super) fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(most.max(1)).unwrap()).unwrap()
    }

    /// So many random bytes, or fewer.
    pub(super) fn bytes(&mut self, most: usize) -> Vec<u8> {
        let count = self.below(most) + 1;
        (0..count).map(|_| self.roll().to_le_bytes()[0]).collect()
    }

    /// Some bytes changed, or the end cut off.
    pub(super) fn damage(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= self.roll().to_le_bytes()[0];
            }
        }
        if self.below(3) == 0 {
            let end = self.below(bytes.len());
            bytes.truncate(end);
        }
        bytes
    }
}
