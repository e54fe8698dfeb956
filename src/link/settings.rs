//! The kernel switches (sysctls) of the recipe: which value each must have, writing and reading them back.

use std::path::PathBuf;

use super::Error;
use super::plan::Plan;

/// Where the kernel keeps them.
const ROOT: &str = "/proc/sys/net";

/// One switch: path under `/proc/sys/net` and the value it must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub path: String,
    pub value: &'static str,
}

/// Per interface and for `all` and `default`. Newer kernels have some that older ones lack: those are skipped there.
const IPV4: [(&str, &str); 14] = [
    ("forwarding", "0"),
    ("mc_forwarding", "0"),
    ("bc_forwarding", "0"),
    // Strict, with the mark taken into account: an uplink's packets are looked up in the uplink's table.
    ("rp_filter", "1"),
    ("src_valid_mark", "1"),
    // The strong host model for ARP: answer and ask with the address of this very link only.
    ("arp_ignore", "1"),
    ("arp_announce", "2"),
    ("arp_filter", "0"),
    ("proxy_arp", "0"),
    ("accept_redirects", "0"),
    ("secure_redirects", "0"),
    ("send_redirects", "0"),
    ("accept_source_route", "0"),
    ("route_localnet", "0"),
];

const IPV6: [(&str, &str); 9] = [
    ("forwarding", "0"),
    ("force_forwarding", "0"),
    ("mc_forwarding", "0"),
    ("proxy_ndp", "0"),
    ("accept_redirects", "0"),
    ("accept_source_route", "0"),
    // The kernel would write an advertised default route into `main`, and on-link prefixes as well:
    // `link::router` reads advertisements instead and writes into the link's own table.
    ("accept_ra", "0"),
    ("accept_ra_defrtr", "0"),
    ("accept_ra_rt_info_max_plen", "0"),
];

const GLOBAL: [(&str, &str); 4] = [
    ("ipv4/ip_forward", "0"),
    // Answers leave with the mark of what they answer, that is by the uplink it came in by.
    ("ipv4/tcp_fwmark_accept", "1"),
    ("ipv4/fwmark_reflect", "1"),
    ("ipv6/fwmark_reflect", "1"),
];

/// Every switch of the recipe, `all` and `default` before the links (`all` overwrites some of theirs).
#[must_use]
pub(super) fn wanted(plan: &Plan) -> Vec<Setting> {
    let mut settings: Vec<Setting> = GLOBAL
        .iter()
        .map(|(path, value)| Setting {
            path: (*path).into(),
            value,
        })
        .collect();
    let names = ["all", "default", plan.lan.as_str()];
    for name in names
        .into_iter()
        .chain(plan.ways.iter().map(|way| way.interface.as_str()))
    {
        settings.extend(of(name));
    }
    settings
}

/// The switches of one interface.
#[must_use]
pub(super) fn of(interface: &str) -> Vec<Setting> {
    let four = IPV4.iter().map(move |(key, value)| ("ipv4", key, value));
    let six = IPV6.iter().map(move |(key, value)| ("ipv6", key, value));
    four.chain(six)
        .map(|(family, key, value)| Setting {
            path: format!("{family}/conf/{interface}/{key}"),
            value,
        })
        .collect()
}

impl Setting {
    fn file(&self) -> PathBuf {
        PathBuf::from(ROOT).join(&self.path)
    }

    /// As `sysctl` names it: `net.ipv4.ip_forward = 1`.
    #[must_use]
    pub(super) fn named(&self, value: &str) -> String {
        format!("net.{} = {value}", self.path.replace('/', "."))
    }

    /// The value now; `None` when this kernel (or this moment) has no such switch or interface.
    ///
    /// # Errors
    /// [`Error::Setting`] when it is there and cannot be read.
    pub(super) fn read(&self) -> Result<Option<String>, Error> {
        match std::fs::read_to_string(self.file()) {
            Ok(value) => Ok(Some(value.trim().to_owned())),
            Err(error) if gone(&error) => Ok(None),
            Err(source) => Err(self.failed("read", source)),
        }
    }

    /// Brings the switch to its value; writes only when it differs, because writing `forwarding` has side effects.
    ///
    /// # Errors
    /// [`Error::Setting`] when it exists and does not take the value.
    pub(super) fn apply(&self) -> Result<(), Error> {
        match self.read()? {
            None => return Ok(()),
            Some(value) if value == self.value => return Ok(()),
            Some(_) => {}
        }
        #[allow(clippy::disallowed_methods, reason = "a sysctl is no file on flash")]
        let written = std::fs::write(self.file(), self.value);
        match written {
            Ok(()) => {}
            Err(error) if gone(&error) => return Ok(()),
            // `mc_forwarding` shows a routing daemon and cannot be written; reading back below tells the truth.
            Err(error)
                if error.kind() == std::io::ErrorKind::PermissionDenied
                    && self.path.ends_with("mc_forwarding") => {}
            Err(source) => return Err(self.failed("write", source)),
        }
        match self.read()? {
            Some(value) if value != self.value => Err(self.failed(
                "keep",
                std::io::Error::other(format!("it reads {value} after writing {}", self.value)),
            )),
            _ => Ok(()),
        }
    }

    fn failed(&self, verb: &'static str, source: std::io::Error) -> Error {
        Error::Setting {
            verb,
            name: self.named(self.value),
            source,
        }
    }
}

/// An interface may go away between the listing and the reading.
fn gone(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound)
        || matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO))
}

/// Every forwarding switch of every interface, ours or not.
#[must_use]
pub(super) fn forwarding() -> Vec<Setting> {
    let mut found = vec![Setting {
        path: "ipv4/ip_forward".into(),
        value: "0",
    }];
    for family in ["ipv4", "ipv6"] {
        let Ok(entries) = std::fs::read_dir(format!("{ROOT}/{family}/conf")) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            for key in ["forwarding", "force_forwarding", "bc_forwarding"] {
                found.push(Setting {
                    path: format!("{family}/conf/{name}/{key}"),
                    value: "0",
                });
            }
        }
    }
    found
}

/// Brings all of them to their values; the first failure is reported after the rest was tried.
///
/// # Errors
/// [`Error::Setting`].
pub(super) fn apply_all(settings: &[Setting]) -> Result<(), Error> {
    let mut first = Ok(());
    for setting in settings {
        let outcome = setting.apply();
        if first.is_ok() {
            first = outcome;
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::plan::tests as samples;

    #[test]
    fn all_and_default_come_before_the_links() {
        let plan = Plan::new(
            &samples::lan("eth0"),
            &[samples::uplink(0, "wlan0", &[])],
            samples::DOORS,
        )
        .unwrap();
        let paths: Vec<String> = wanted(&plan).into_iter().map(|s| s.path).collect();
        let at = |path: &str| paths.iter().position(|p| p == path).unwrap();
        assert!(at("ipv6/conf/all/forwarding") < at("ipv6/conf/default/accept_ra"));
        assert!(at("ipv6/conf/default/accept_ra") < at("ipv6/conf/wlan0/accept_ra"));
        assert!(at("ipv4/conf/eth0/rp_filter") < at("ipv4/conf/wlan0/rp_filter"));
    }

    #[test]
    fn a_switch_this_kernel_lacks_is_none_and_no_error() {
        let setting = Setting {
            path: "ipv4/conf/nosuch0/rp_filter".into(),
            value: "1",
        };
        assert_eq!(setting.read().unwrap(), None);
        setting.apply().unwrap();
    }
}
