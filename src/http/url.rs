//! Where a device answers: scheme, address or the name of its tunnel, path. Looks up no names: the board has none to ask about its LAN.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::stream::pin_name;

/// Longest URL; devices hand out links of some hundred bytes.
const LONGEST: usize = 8 * 1024;

/// Why a text is no URL of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    #[error("it begins neither with http:// nor with https://")]
    Scheme,
    #[error("its host is no IP address, and names are not looked up")]
    Host,
    #[error("its port is no number from 1 to 65535")]
    Port,
    #[error("it has a user name in it")]
    User,
    #[error("it holds control characters")]
    Control,
    #[error("it is longer than {LONGEST} bytes")]
    Long,
}

/// A URL of a device. Shown without its query, which may hold a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    tls: bool,
    address: SocketAddr,
    /// Stands for the address of a device that has none of its own.
    name: Option<Arc<str>>,
    /// Path and query; begins with `/`, visible ASCII only.
    target: String,
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{}://{}{path}", self.scheme(), self.authority())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Url {
    /// Reads `http://10.0.0.9`, `https://[fd00::9]:8443/prefix` and the like. What a path may not hold is escaped; a fragment
    /// is dropped.
    ///
    /// # Errors
    /// [`BadUrl`]
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        check(text)?;
        let after = |scheme: &str| {
            let head = text.get(..scheme.len())?;
            head.eq_ignore_ascii_case(scheme)
                .then(|| text.get(scheme.len()..))?
        };
        let (tls, rest) = match (after("https://"), after("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(BadUrl::Scheme),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        Ok(Self {
            tls,
            address: address(authority, if tls { 443 } else { 80 })?,
            name: None,
            target: escaped(target),
        })
    }

    /// The root of what answers at this address.
    #[must_use]
    pub fn of(tls: bool, address: SocketAddr) -> Self {
        Self {
            tls,
            address,
            name: None,
            target: "/".into(),
        }
    }

    /// The root of what answers at a port of a device that has no address, but a name and a way to it.
    #[must_use]
    pub fn named(tls: bool, name: &str, port: u16) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::of(tls, (Ipv4Addr::LOCALHOST, port).into())
        }
    }

    /// The root of what answers so many ports above this one.
    #[must_use]
    pub fn above(&self, ports: u16) -> Self {
        let mut above = self.clone();
        above
            .address
            .set_port(self.address.port().saturating_add(ports));
        above.target = "/".into();
        above
    }

    /// Name of the key that answers here among the pins.
    #[must_use]
    pub fn pin_name(&self) -> String {
        match &self.name {
            Some(name) => format!("tls {name}:{}", self.address.port()),
            None => pin_name(self.address),
        }
    }

    /// The URL that a reference on this page means: a whole URL, a path from the root, or a path beside this one.
    ///
    /// # Errors
    /// [`BadUrl`]
    pub fn join(&self, reference: &str) -> Result<Self, BadUrl> {
        check(reference)?;
        let head = reference.split(['/', '?', '#']).next().unwrap_or_default();
        if head.ends_with(':') {
            return Self::parse(reference);
        }
        if reference.starts_with("//") {
            return Self::parse(&format!("{}:{reference}", self.scheme()));
        }
        let path = self.target.split('?').next().unwrap_or("/");
        let target = if reference.starts_with('/') {
            escaped(reference)
        } else if reference.starts_with('?') {
            escaped(&format!("{path}{reference}"))
        } else {
            let folder = path.rfind('/').and_then(|end| path.get(..=end));
            escaped(&format!("{}{reference}", folder.unwrap_or("/")))
        };
        Ok(Self {
            target,
            ..self.clone()
        })
    }

    /// Is it spoken to over TLS?
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Path and query, as a request names them.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Host and port as the `Host` header has them: an IPv6 address in brackets, the usual port left out (RFC 9110 §7.2).
    #[must_use]
    pub fn authority(&self) -> String {
        let usual = if self.tls { 443 } else { 80 };
        if let Some(name) = &self.name {
            return format!("{name}:{}", self.address.port());
        }
        match (self.address.ip(), self.address.port()) {
            (IpAddr::V4(ip), port) if port == usual => ip.to_string(),
            (IpAddr::V6(ip), port) if port == usual => format!("[{ip}]"),
            _ => self.address.to_string(),
        }
    }

    fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }
}

fn check(text: &str) -> Result<(), BadUrl> {
    if text.len() > LONGEST {
        return Err(BadUrl::Long);
    }
    if text.chars().any(char::is_control) {
        return Err(BadUrl::Control);
    }
    Ok(())
}

fn address(authority: &str, usual: u16) -> Result<SocketAddr, BadUrl> {
    if authority.contains('@') {
        return Err(BadUrl::User);
    }
    let (host, port) = if let Some(inner) = authority.strip_prefix('[') {
        let (host, rest) = inner.split_once(']').ok_or(BadUrl::Host)?;
        let host: Ipv6Addr = host.parse().map_err(|_| BadUrl::Host)?;
        let port = match rest.strip_prefix(':') {
            Some(port) => port,
            None if rest.is_empty() => "",
            None => return Err(BadUrl::Host),
        };
        (IpAddr::V6(host), port)
    } else {
        let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
        (host.parse().map_err(|_| BadUrl::Host)?, port)
    };
    let port = match port {
        "" => usual,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| BadUrl::Port)?
        }
        _ => return Err(BadUrl::Port),
    };
    if port == 0 {
        return Err(BadUrl::Port);
    }
    Ok(SocketAddr::new(host, port))
}

/// Begins with `/`, has no fragment, and what may not stand in a request line is written as `%` and two hex digits.
fn escaped(target: &str) -> String {
    use fmt::Write as _;
    let target = target.split('#').next().unwrap_or_default();
    let mut out = String::with_capacity(target.len() + 1);
    if !target.starts_with('/') {
        out.push('/');
    }
    for byte in target.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_devices_are_read() {
        for (text, tls, address, target, authority) in [
            ("http://10.0.0.9", false, "10.0.0.9:80", "/", "10.0.0.9"),
            ("HTTPS://10.0.0.9/", true, "10.0.0.9:443", "/", "10.0.0.9"),
            (
                "https://10.0.0.9:80/a b?c=\u{e9}#d",
                true,
                "10.0.0.9:80",
                "/a%20b?c=%C3%A9",
                "10.0.0.9:80",
            ),
            (
                "http://[fd00::9]?x",
                false,
                "[fd00::9]:80",
                "/?x",
                "[fd00::9]",
            ),
            (
                "https://[fd00:0::9]:8443/x%20y",
                true,
                "[fd00::9]:8443",
                "/x%20y",
                "[fd00::9]:8443",
            ),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!(url.tls, tls, "{text}");
            assert_eq!(url.address, address.parse().unwrap(), "{text}");
            assert_eq!(url.target, target, "{text}");
            assert_eq!(url.authority(), authority, "{text}");
        }
    }

    #[test]
    fn other_urls_are_refused() {
        for (text, why) in [
            ("", BadUrl::Scheme),
            ("10.0.0.9", BadUrl::Scheme),
            ("ftp://10.0.0.9", BadUrl::Scheme),
            ("http://", BadUrl::Host),
            ("http:///x", BadUrl::Host),
            ("http://bmc.example/", BadUrl::Host),
            ("http://[fe80::1%25eth0]/", BadUrl::Host),
            ("http://[fd00::9", BadUrl::Host),
            ("http://[fd00::9]x", BadUrl::Host),
            ("http://fd00::9/", BadUrl::Host),
            ("http://10.0.0.9:0/", BadUrl::Port),
            ("http://10.0.0.9:65536/", BadUrl::Port),
            ("http://10.0.0.9:+80/", BadUrl::Port),
            ("http://root:x@10.0.0.9/", BadUrl::User),
            ("http://10.0.0.9/\r\nX: y", BadUrl::Control),
        ] {
            assert_eq!(Url::parse(text), Err(why), "{text}");
        }
        let long = format!("http://10.0.0.9/{}", "x".repeat(LONGEST));
        assert_eq!(Url::parse(&long), Err(BadUrl::Long));
    }

    #[test]
    fn references_are_read_from_where_they_stand() {
        let base = Url::parse("https://10.0.0.9:8443/a/b?c").unwrap();
        for (reference, means) in [
            ("/x?y", "https://10.0.0.9:8443/x?y"),
            ("x", "https://10.0.0.9:8443/a/x"),
            ("?z", "https://10.0.0.9:8443/a/b?z"),
            ("", "https://10.0.0.9:8443/a/"),
            ("//10.0.0.8/x", "https://10.0.0.8/x"),
            ("http://10.0.0.9/x", "http://10.0.0.9/x"),
            ("x:y", "https://10.0.0.9:8443/a/x:y"),
        ] {
            let url = base.join(reference).unwrap();
            assert_eq!(url, Url::parse(means).unwrap(), "{reference}");
        }
        assert_eq!(base.join("http://elsewhere/"), Err(BadUrl::Host));
        assert_eq!(base.to_string(), "https://10.0.0.9:8443/a/b");
    }
}
