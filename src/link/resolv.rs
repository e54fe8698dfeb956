//! `run/resolv.conf`: the LAN's name servers, never an uplink's. Owns that file only.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;

use super::Error;
use crate::file::write_atomically;

/// glibc and musl read no more than three.
const MOST: usize = 3;

/// Replaces the file in one step when its text differs.
///
/// # Errors
/// [`Error::File`].
pub(super) fn write(dir: &Path, lan: &str, servers: &[IpAddr]) -> Result<(), Error> {
    let path = dir.join("resolv.conf");
    let text = text(lan, servers);
    if std::fs::read_to_string(&path).is_ok_and(|now| now == text) {
        return Ok(());
    }
    write_atomically(&path, text.as_bytes(), 0o644).map_err(|source| Error::File {
        path: path.display().to_string(),
        source,
    })
}

fn text(lan: &str, servers: &[IpAddr]) -> String {
    let mut text = String::from(
        "# Written by oobd: the name servers of the LAN. An uplink's are never used.\n",
    );
    for server in servers.iter().take(MOST) {
        let _ = match server {
            IpAddr::V6(six) if six.is_unicast_link_local() => {
                writeln!(text, "nameserver {six}%{lan}")
            }
            other => writeln!(text, "nameserver {other}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_servers_and_a_scope_where_one_is_needed() {
        let servers: Vec<IpAddr> = ["10.0.0.1", "fe80::1", "fd00::1", "10.0.0.4"]
            .iter()
            .map(|server| server.parse().unwrap())
            .collect();
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "eth0", &servers).unwrap();
        let text = std::fs::read_to_string(dir.path().join("resolv.conf")).unwrap();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "nameserver 10.0.0.1",
                "nameserver fe80::1%eth0",
                "nameserver fd00::1"
            ]
        );
        write(dir.path(), "eth0", &[]).unwrap();
        assert!(
            !std::fs::read_to_string(dir.path().join("resolv.conf"))
                .unwrap()
                .contains("nameserver")
        );
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = write(Path::new("/nonexistent/run"), "eth0", &[]).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/run"), "{error}");
    }
}
