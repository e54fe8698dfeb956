//! From the byte of a sensor to a number: analog formats, `M`, `B`, the exponents and the functions of the standard.
//! §36.3 and §43.1.

/// How the raw byte is to be read. §43.1, sensor units 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Unsigned,
    OnesComplement,
    TwosComplement,
}

impl Format {
    /// Of the two bits; `None` where the sensor has no number.
    #[must_use]
    pub fn from_bits(bits: u8) -> Option<Self> {
        match bits & 3 {
            0 => Some(Self::Unsigned),
            1 => Some(Self::OnesComplement),
            2 => Some(Self::TwosComplement),
            _ => None,
        }
    }

    fn read(self, raw: u8) -> f64 {
        let signed = f64::from(raw.cast_signed());
        match self {
            Self::Unsigned => f64::from(raw),
            // FFh is minus zero, FEh minus one.
            Self::OnesComplement if raw & 0x80 != 0 => signed + 1.0,
            Self::OnesComplement | Self::TwosComplement => signed,
        }
    }
}

/// The curve of a sensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linearity {
    pub format: Format,
    /// `M`, ten bits with sign.
    pub factor: i16,
    /// `B`, ten bits with sign.
    pub offset: i16,
    /// `K1`, of `B`: -8 to 7.
    pub offset_exponent: i8,
    /// `K2`, of the result: -8 to 7.
    pub result_exponent: i8,
    /// Which function comes last. 70h to 7Fh: the sensor's factors differ from reading to reading and are asked for.
    pub function: u8,
}

/// The upper two bits of a byte above another byte, as ten bits with sign.
fn ten_bits(low: u8, high: u8) -> i16 {
    let value = i16::from(low) | i16::from(high >> 6) << 8;
    if value & 0x200 == 0 {
        value
    } else {
        value - 0x400
    }
}

/// Four bits with sign.
fn nibble(bits: u8) -> i8 {
    (bits << 4).cast_signed() >> 4
}

impl Linearity {
    /// Of the six bytes from `M` to the exponents, as in a full record and in the answer to Get Sensor Reading Factors.
    #[must_use]
    pub fn parse(format: Format, function: u8, bytes: [u8; 6]) -> Self {
        let [m_low, m_high, b_low, b_high, _accuracy, exponents] = bytes;
        Self {
            format,
            factor: ten_bits(m_low, m_high),
            offset: ten_bits(b_low, b_high),
            offset_exponent: nibble(exponents),
            result_exponent: nibble(exponents >> 4),
            function: function & 0x7f,
        }
    }

    /// Do the factors differ from reading to reading?
    #[must_use]
    pub fn is_nonlinear(&self) -> bool {
        self.function >= 0x70
    }

    /// The number of a raw byte; `None` where the function has no value (the logarithm of zero) or is not of the standard.
    #[must_use]
    pub fn value(&self, raw: u8) -> Option<f64> {
        let power = |exponent: i8| 10f64.powi(i32::from(exponent));
        let offset = f64::from(self.offset) * power(self.offset_exponent);
        let x =
            (f64::from(self.factor) * self.format.read(raw) + offset) * power(self.result_exponent);
        let y = match self.function {
            0 | 0x70..=0x7f => x,
            1 => x.ln(),
            2 => x.log10(),
            3 => x.log2(),
            4 => x.exp(),
            5 => 10f64.powf(x),
            6 => x.exp2(),
            7 => x.recip(),
            8 => x.powi(2),
            9 => x.powi(3),
            10 => x.sqrt(),
            11 => x.cbrt(),
            _ => return None,
        };
        y.is_finite().then_some(y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(format: Format, function: u8, bytes: [u8; 6]) -> Linearity {
        Linearity::parse(format, function, bytes)
    }

    #[test]
    fn formats_read_the_same_byte_differently() {
        let one = [1, 0, 0, 0, 0, 0];
        for (format, raw, value) in [
            (Format::Unsigned, 0xfe, 254.0),
            (Format::OnesComplement, 0xfe, -1.0),
            (Format::OnesComplement, 0xff, 0.0),
            (Format::OnesComplement, 0x7f, 127.0),
            (Format::TwosComplement, 0xfe, -2.0),
            (Format::TwosComplement, 0x80, -128.0),
        ] {
            assert_eq!(
                curve(format, 0, one).value(raw),
                Some(value),
                "{format:?} {raw}"
            );
        }
    }

    #[test]
    fn factors_have_signs_and_exponents() {
        // 12 V: M 6, R -2.
        let volts = curve(Format::Unsigned, 0, [6, 0, 0, 0, 0, 0xe0]);
        assert!((volts.value(201).unwrap() - 12.06).abs() < 1e-9);
        // M -2, B 5 with K1 1, K2 0: -2 * 10 + 50.
        let falling = curve(Format::Unsigned, 0, [0xfe, 0xc0, 5, 0, 0, 0x01]);
        assert_eq!(falling.factor, -2);
        assert_eq!(falling.value(10), Some(30.0));
        // The widest numbers there are.
        let widest = curve(Format::Unsigned, 0, [0xff, 0x40, 0, 0x80, 0, 0x88]);
        assert_eq!((widest.factor, widest.offset), (511, -512));
        assert_eq!((widest.offset_exponent, widest.result_exponent), (-8, -8));
    }

    #[test]
    fn every_function_of_the_standard_is_there() {
        let raw = 4;
        for (function, value) in [
            (1, 4f64.ln()),
            (2, 4f64.log10()),
            (3, 2.0),
            (4, 4f64.exp()),
            (5, 10_000.0),
            (6, 16.0),
            (7, 0.25),
            (8, 16.0),
            (9, 64.0),
            (10, 2.0),
            (11, 4f64.cbrt()),
            (0x70, 4.0),
        ] {
            let curve = curve(Format::Unsigned, function, [1, 0, 0, 0, 0, 0]);
            let found = curve.value(raw).unwrap();
            assert!((found - value).abs() < 1e-9, "{function}: {found}");
        }
        let without = curve(Format::Unsigned, 7, [1, 0, 0, 0, 0, 0]);
        assert_eq!(without.value(0), None, "1/0");
        assert_eq!(curve(Format::Unsigned, 12, [1; 6]).value(1), None);
    }
}
