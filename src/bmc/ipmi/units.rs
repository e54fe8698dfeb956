//! Units of readings as people write them. §43.17 table 43-15.

/// Of the base unit; empty where it says nothing.
fn base(unit: u8) -> &'static str {
    match unit {
        1 => "°C",
        2 => "°F",
        3 => "K",
        4 => "V",
        5 => "A",
        6 => "W",
        7 => "J",
        8 => "C",
        9 => "VA",
        10 => "nit",
        11 => "lm",
        12 => "lx",
        13 => "cd",
        14 => "kPa",
        15 => "psi",
        16 => "N",
        17 => "CFM",
        18 => "RPM",
        19 => "Hz",
        20 => "µs",
        21 => "ms",
        22 => "s",
        23 => "min",
        24 => "h",
        25 => "d",
        26 => "weeks",
        27 => "mil",
        28 => "in",
        29 => "ft",
        30 => "cu in",
        31 => "cu ft",
        32 => "mm",
        33 => "cm",
        34 => "m",
        35 => "cu cm",
        36 => "cu m",
        37 => "l",
        38 => "fl oz",
        39 => "rad",
        40 => "sr",
        41 => "rev",
        42 => "cycles",
        43 => "gravities",
        44 => "oz",
        45 => "lb",
        46 => "ft-lb",
        47 => "oz-in",
        48 => "G",
        49 => "Gb",
        50 => "H",
        51 => "mH",
        52 => "F",
        53 => "µF",
        54 => "Ω",
        55 => "S",
        56 => "mol",
        57 => "Bq",
        58 => "ppm",
        60 => "dB",
        61 => "dBA",
        62 => "dBC",
        63 => "Gy",
        64 => "Sv",
        65 => "color temp °K",
        66 => "bit",
        67 => "kbit",
        68 => "Mbit",
        69 => "Gbit",
        70 => "B",
        71 => "kB",
        72 => "MB",
        73 => "GB",
        74 => "words",
        75 => "dwords",
        76 => "qwords",
        77 => "cache lines",
        78 => "hits",
        79 => "misses",
        80 => "retries",
        81 => "resets",
        82 => "overruns",
        83 => "underruns",
        84 => "collisions",
        85 => "packets",
        86 => "messages",
        87 => "characters",
        88 => "errors",
        89 => "correctable errors",
        90 => "uncorrectable errors",
        91 => "fatal errors",
        92 => "g",
        _ => "",
    }
}

/// Of units 1 to 3 of a record.
#[must_use]
pub(super) fn unit(units: [u8; 3]) -> String {
    let [flags, unit, modifier] = units;
    let mut out = String::new();
    if flags & 1 != 0 {
        out.push('%');
    }
    if unit > 1 || flags & 1 == 0 {
        out.push_str(base(unit));
    }
    match flags >> 1 & 3 {
        1 => {
            out.push('/');
            out.push_str(base(modifier));
        }
        2 => {
            out.push('·');
            out.push_str(base(modifier));
        }
        _ => {}
    }
    out.push_str(match flags >> 3 & 7 {
        1 => "/µs",
        2 => "/ms",
        3 => "/s",
        4 => "/min",
        5 => "/h",
        6 => "/d",
        _ => "",
    });
    out
}

#[cfg(test)]
mod tests {
    use super::unit;

    #[test]
    fn units_read_as_people_write_them() {
        assert_eq!(unit([0, 1, 0]), "°C");
        assert_eq!(unit([0, 18, 0]), "RPM");
        assert_eq!(unit([1, 0, 0]), "%");
        assert_eq!(unit([0x18, 70, 0]), "B/s");
        assert_eq!(unit([2, 37, 23]), "l/min");
        assert_eq!(unit([0, 0, 0]), "");
    }
}
