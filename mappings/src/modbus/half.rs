//! IEEE 754 binary16: 1 bit of sign, 5 of exponent (bias 15), 10 of fraction.

/// The bits of a half-precision float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Half(pub(crate) u16);

impl Half {
    /// The same number, exactly.
    pub(crate) fn to_f64(self) -> f64 {
        let fraction = f64::from(self.0 & 0x3ff);
        let magnitude = match self.0 >> 10 & 0x1f {
            0 => fraction * 2f64.powi(-24),
            0x1f if fraction == 0.0 => f64::INFINITY,
            0x1f => f64::NAN,
            exponent => (fraction + 1024.0) * 2f64.powi(i32::from(exponent) - 25),
        };
        if self.0 & 0x8000 == 0 { magnitude } else { -magnitude }
    }

    /// The nearest half, the even one of two; an infinity for what is too large.
    pub(crate) fn nearest(number: f64) -> Self {
        let sign = if number.is_sign_negative() { 0x8000 } else { 0 };
        let size = number.abs();
        let bits = if size.is_nan() {
            0x7e00
        } else if size >= 65_520.0 {
            0x7c00
        } else {
            // Below the smallest normal number all have the exponent of that one.
            let exponent = size.log2().floor().clamp(-14.0, 15.0) as i32;
            let units = (size * 2f64.powi(10 - exponent)).round_ties_even() as u16;
            // Units that reach the next power of two carry into the exponent by themselves.
            let biased = u16::try_from(exponent + 14).unwrap_or_default() << 10;
            biased + units
        };
        Self(sign | bits)
    }

    /// The shortest decimal that reads back as the same half.
    pub(crate) fn shortest(self) -> String {
        let exact = self.to_f64();
        let candidates = (0..8).map(|digits| format!("{exact:.digits$e}"));
        let same = |text: &String| text.parse().is_ok_and(|number: f64| Self::nearest(number) == self);
        let text = candidates.into_iter().find(same).unwrap_or_else(|| exact.to_string());
        text.parse::<f64>().unwrap_or(exact).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// IEEE 754-2019, 3.6 (binary16); the values are those that its definition gives.
    #[test]
    fn the_published_values() {
        for (bits, number) in [
            (0x0000, 0.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x03ff, 6.097_555_160_522_461e-5),
            (0x0400, 6.103_515_625e-5),
            (0x3555, 0.333_251_953_125),
            (0x3bff, 0.999_511_718_75),
            (0x3c00, 1.0),
            (0x3c01, 1.000_976_562_5),
            (0x4248, 3.140_625),
            (0x7bff, 65504.0),
            (0xc000, -2.0),
        ] {
            assert_eq!(Half(bits).to_f64(), number, "{bits:#06x}");
            assert_eq!(Half::nearest(number), Half(bits), "{number}");
        }
        assert!(Half(0x7c00).to_f64().is_infinite() && Half(0x7e00).to_f64().is_nan());
        assert_eq!(Half::nearest(65_519.9), Half(0x7bff));
        assert_eq!(Half::nearest(65_520.0), Half(0x7c00));
    }

    #[test]
    fn the_shortest_decimal_reads_back() {
        assert_eq!(Half::nearest(1.1).shortest(), "1.1");
        assert_eq!(Half::nearest(-21.4).shortest(), "-21.4");
        assert_eq!(Half(0x7bff).shortest(), "65500");
        for bits in (0..=0xffff).filter(|bits| bits >> 10 & 0x1f != 0x1f) {
            let half = Half(bits);
            assert_eq!(Half::nearest(half.to_f64()), half, "{bits:#06x}");
            let text = half.shortest();
            assert_eq!(Half::nearest(text.parse().expect("a number")), half, "{bits:#06x} {text}");
        }
    }
}
