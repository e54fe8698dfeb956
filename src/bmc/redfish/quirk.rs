//! What is known of controllers that say one thing and do another. By what the service root says; asks nobody.

use super::read::Root;

/// How to treat a controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Quirks {
    /// Its `$expand` leaves out properties, or takes minutes: members are read one by one.
    pub(super) no_expand: bool,
    /// It shows the machine virtual media as a USB drive: booting from them needs `UsbCd`.
    pub(super) usb_cd: bool,
    /// It refuses changes without a session.
    pub(super) session_only: bool,
}

const NONE: Quirks = Quirks {
    no_expand: false,
    usb_cd: false,
    session_only: false,
};

/// A word of vendor or product, the beginning of the version (all when empty), and what is known.
const TABLE: &[(&str, &str, Quirks)] = &[
    // NVIDIA nv-redfish:redfish/src/bmc_quirks.rs: expanded members lack required properties.
    (
        "ami",
        "",
        Quirks {
            no_expand: true,
            ..NONE
        },
    ),
    // openstack/sushy: boot from virtual media on X11 and X12.
    (
        "supermicro",
        "",
        Quirks {
            no_expand: true,
            usb_cd: true,
            ..NONE
        },
    ),
    // mrlhansen/idrac_exporter, xClarity: an entity tag and a session with every change.
    (
        "lenovo",
        "",
        Quirks {
            session_only: true,
            ..NONE
        },
    ),
    // iDRAC 8 says it expands and answers with references.
    (
        "dell",
        "1.0",
        Quirks {
            no_expand: true,
            ..NONE
        },
    ),
];

impl Quirks {
    /// All that is known of this service.
    pub(super) fn of(root: &Root) -> Self {
        let named = [&root.vendor, &root.product];
        let words: Vec<String> = named
            .into_iter()
            .flatten()
            .flat_map(|name| name.split(|c: char| !c.is_ascii_alphanumeric()))
            .map(str::to_ascii_lowercase)
            .collect();
        let version = root.version.as_deref().unwrap_or_default();
        let fitting = TABLE.iter().filter(|(word, begins, _)| {
            words.iter().any(|had| had == word) && version.starts_with(begins)
        });
        fitting.fold(NONE, |sum, (_, _, quirks)| Self {
            no_expand: sum.no_expand || quirks.no_expand,
            usb_cd: sum.usb_cd || quirks.usb_cd,
            session_only: sum.session_only || quirks.session_only,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendors_are_known_by_whole_words() {
        let of = |vendor: &str, product: &str, version: &str| {
            Quirks::of(&Root {
                vendor: Some(vendor.to_owned()),
                product: Some(product.to_owned()),
                version: Some(version.to_owned()),
                ..Root::default()
            })
        };
        assert!(of("AMI", "AMI Redfish Server", "1.8.0").no_expand);
        assert_eq!(of("Miami Corp.", "", "1.8.0"), Quirks::default());
        assert!(of("", "Supermicro X11", "1.0.1").usb_cd);
        assert!(of("Dell", "Integrated Dell Remote Access Controller", "1.0.2").no_expand);
        assert!(!of("Dell", "", "1.17.0").no_expand);
    }
}
