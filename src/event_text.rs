//! Every event as one sentence for a person; the doors agree on the words. Knows no terminal.

use std::fmt;

use crate::event::{Breach, HotspotFault, Kind};

mod power;

impl fmt::Display for Kind {
    #[allow(clippy::too_many_lines)] // One line of words per kind: splitting it would hide the list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SupervisorStarted { version, .. } => write!(f, "oobd {version} started"),
            Self::SupervisorReady { after_ms } => {
                write!(
                    f,
                    "every door is open, {} after the start",
                    Seconds(*after_ms)
                )
            }
            Self::SupervisorStopped { reason } => write!(f, "oobd stopped: {reason}"),
            Self::OwnerFailed {
                owner,
                reason,
                restart_in_ms,
            } => {
                write!(
                    f,
                    "{owner} failed: {reason}; starts again in {}",
                    Seconds(*restart_in_ms)
                )
            }
            Self::ConfigApplied { restarted } => match restarted.as_slice() {
                [] => f.write_str("configuration applied; nothing had to restart"),
                names => write!(f, "configuration applied; restarted: {}", names.join(", ")),
            },
            Self::ConfigRefused { file, problems } => {
                write!(
                    f,
                    "{file} was not taken: {}",
                    Count(problems.len(), "problem")
                )?;
                match problems.first() {
                    Some(first) if problems.len() > 1 => write!(f, "; first: {first}"),
                    Some(first) => write!(f, ": {first}"),
                    None => Ok(()),
                }
            }
            Self::ConfigChanged {
                by,
                what,
                confirm_within,
            } => {
                write!(f, "{by} changed oobd.toml: {what}")?;
                match confirm_within {
                    Some(seconds) => {
                        write!(f, "; comes undone after {seconds} s unless confirmed")
                    }
                    None => Ok(()),
                }
            }
            Self::ConfigConfirmed { by } => write!(f, "{by} confirmed the configuration"),
            Self::ConfigReverted { by, reason } => {
                write!(
                    f,
                    "{by} put the configuration before back in force: {reason}"
                )
            }
            Self::JournalRecovered {
                segment,
                lost_bytes,
            } => {
                write!(
                    f,
                    "journal segment {segment} was cut short by {lost_bytes} bytes (power cut)"
                )
            }
            Self::LinkUp { interface } => write!(f, "{interface} has carrier"),
            Self::LinkDown { interface } => write!(f, "{interface} lost carrier"),
            Self::LinkAdded { interface } => write!(f, "{interface} appeared"),
            Self::LinkRemoved { interface } => write!(f, "{interface} is gone"),
            Self::LeaseAcquired {
                interface,
                address,
                gateway,
                ..
            } => {
                write!(f, "{interface} has the address {address}")?;
                match gateway {
                    Some(gateway) => write!(f, ", router {gateway}"),
                    None => f.write_str(", no router"),
                }
            }
            Self::LeaseLost { interface, reason } => {
                write!(f, "{interface} lost its address: {reason}")
            }
            Self::RouterFound {
                interface, router, ..
            } => {
                write!(f, "{interface} found the IPv6 router {router}")
            }
            Self::RouterLost { interface, router } => {
                write!(f, "{interface} lost the IPv6 router {router}")
            }
            Self::GuardBreached { breach, undone } => {
                write!(f, "the board could have become a gateway: {breach}")?;
                f.write_str(if *undone { "; undone" } else { "; NOT undone" })
            }
            Self::GuardRestored => f.write_str("the board is no gateway again"),
            Self::SupplicantLost { interface, reason } => {
                write!(f, "wpa_supplicant of {interface} is gone: {reason}")
            }
            Self::SupplicantFound { interface } => {
                write!(f, "wpa_supplicant of {interface} answers")
            }
            Self::HotspotSeen {
                uplink,
                ssid,
                bssid,
                signal_dbm,
                frequency_mhz,
            } => write!(
                f,
                "{uplink}: hotspot {ssid} seen ({bssid}, {signal_dbm} dBm, {frequency_mhz} MHz)"
            ),
            Self::HotspotLost { uplink, ssid } => write!(f, "{uplink}: hotspot {ssid} is gone"),
            Self::HotspotRefused {
                uplink,
                ssid,
                bssid,
                fault,
            } => {
                write!(f, "{uplink}: hotspot {ssid} ({bssid}) not used: {fault}")
            }
            Self::UplinkAssociated {
                uplink,
                ssid,
                bssid,
                security,
            } => {
                write!(f, "{uplink}: joined {ssid} ({bssid}, {security})")
            }
            Self::UplinkUp {
                uplink,
                address,
                after_ms,
            } => {
                write!(f, "{uplink} is up: {address}, after {}", Seconds(*after_ms))
            }
            Self::UplinkDown { uplink, reason } => write!(f, "{uplink} is down: {reason}"),
            Self::UplinkFailed {
                uplink,
                reason,
                retry_in_ms,
            } => {
                write!(
                    f,
                    "{uplink} failed: {reason}; tries again in {}",
                    Seconds(*retry_in_ms)
                )
            }
            Self::InternetFound { uplink, target } => {
                write!(f, "{uplink}: internet is there ({target} answers)")
            }
            Self::InternetLost { uplink, reason } => write!(f, "{uplink}: no internet: {reason}"),
            Self::OobEntered { uplink } => write!(f, "out-of-band access is on, through {uplink}"),
            Self::OobLeft { uplink } => write!(f, "out-of-band access is off, {uplink} is gone"),
            Self::ConsoleOpened { console, port } => {
                write!(f, "console {console} is open on {port}")
            }
            Self::ConsoleLost { console, reason } => {
                write!(f, "console {console} is gone: {reason}")
            }
            Self::SessionOpened {
                console,
                user,
                from,
                writer,
                ..
            } => {
                let does = if *writer { "types on" } else { "watches" };
                write!(f, "{user} ({from}) {does} console {console}")
            }
            Self::SessionClosed {
                console,
                user,
                reason,
                ..
            } => {
                write!(f, "{user} left console {console}: {reason}")
            }
            Self::ScreenOpened {
                machine,
                user,
                from,
                control,
            } => {
                let does = if *control { "types at" } else { "watches" };
                write!(f, "{user} ({from}) {does} the screen of {machine}")
            }
            Self::ScreenClosed { machine, user } => {
                write!(f, "{user} left the screen of {machine}")
            }
            Self::WriterChanged { console, user, .. } => {
                write!(f, "{user} types on console {console} now")
            }
            Self::BreakSent {
                console,
                user,
                millis,
            } => {
                write!(f, "{user} sent a break of {millis} ms on console {console}")
            }
            Self::SignInAccepted {
                door,
                user,
                from,
                method,
            } => {
                write!(f, "{user} signed in by {door} from {from} ({method})")
            }
            Self::SignInRefused {
                door,
                user,
                from,
                reason,
            } => {
                write!(
                    f,
                    "sign-in of {user} by {door} from {from} refused: {reason}"
                )
            }
            Self::ForwardOpened { user, from, to } => {
                write!(f, "{user} ({from}) opened a connection to {to}")
            }
            Self::ForwardRefused {
                user,
                from,
                to,
                reason,
            } => {
                write!(f, "{user} ({from}) got no connection to {to}: {reason}")
            }
            Self::ForwardClosed {
                user,
                to,
                sent,
                received,
            } => write!(
                f,
                "{user}'s connection to {to} ended: {sent} bytes sent, {received} received"
            ),
            Self::CommandGiven {
                actor,
                command,
                outcome,
            } => {
                write!(f, "{actor}: {command}: {outcome}")
            }
            Self::HostKeyReplaced { file, reason } => write!(
                f,
                "a new SSH host key was made, the old one lies in {file}: {reason}"
            ),
            Self::CertificateReplaced { file, reason } => write!(
                f,
                "a new HTTPS certificate was made, the old one lies in {file}: {reason}"
            ),
            Self::NameTaken {
                interface,
                name,
                by,
                now,
            } => write!(
                f,
                "{by} is called {name}.local already: on {interface} this board is found as {now}.local"
            ),
            Self::CertificateChanged {
                by,
                fingerprint,
                origin,
            } => {
                write!(
                    f,
                    "{by} changed the HTTPS certificate ({origin}): {fingerprint}"
                )
            }
            Self::CertificateExpired { fingerprint } => {
                write!(f, "the HTTPS certificate {fingerprint} is out of date")
            }
            Self::TranscriptFailed { console, reason } => {
                write!(f, "console {console} is no longer recorded: {reason}")
            }
            Self::TranscriptResumed {
                console,
                lost_bytes,
            } => write!(
                f,
                "console {console} is recorded again, {lost_bytes} bytes were not"
            ),
            Self::NoteWritten { actor, text } => write!(f, "{actor} notes: {text}"),
            Self::EventAcknowledged { event, by, note } => {
                write!(f, "{by} acknowledged event {event}")?;
                match note.as_str() {
                    "" => Ok(()),
                    note => write!(f, ": {note}"),
                }
            }
            Self::LineSet {
                console,
                user,
                order,
            } => write!(f, "console {console}: {user} had it {order}"),
            Self::SignalChanged {
                console,
                signal,
                on,
            } => {
                let way = if *on { "up" } else { "down" };
                write!(f, "console {console}: {signal} went {way}")
            }
            Self::CableUnplugged { console, signal } => write!(
                f,
                "console {console}: the cable or the device is gone ({signal} is down)"
            ),
            Self::CableBack { console, signal } => {
                write!(f, "console {console}: the device is back ({signal} is up)")
            }
            Self::PatternSeen {
                console,
                pattern,
                line,
                ..
            } => write!(f, "console {console}: {pattern}: {line}"),
            Self::ConsoleSilent { console, seconds } => {
                write!(f, "console {console} has been silent for {seconds} s")
            }
            Self::ConsoleHeard { console, seconds } => {
                write!(f, "console {console} speaks again after {seconds} s")
            }
            Self::DeviceLogin { console, user } => {
                write!(f, "console {console}: {user} signed in on the device")
            }
            Self::DeviceLogout { console, user } => {
                write!(f, "console {console}: {user} signed out of the device")
            }
            Self::LineFound { console, line } => {
                write!(f, "console {console}: the device speaks {line}")
            }
            Self::LineNotFound { console, reason } => {
                write!(f, "console {console}: no line settings found: {reason}")
            }
            Self::NameFound { console, name } => {
                write!(f, "console {console}: the device calls itself {name}")
            }
            Self::NameNotFound { console, reason } => {
                write!(f, "console {console}: the device told no name: {reason}")
            }
            Self::ExportFailed {
                console,
                to,
                reason,
            } => match console.as_str() {
                "*" => write!(f, "syslog {to} gets nothing: {reason}"),
                console => write!(f, "console {console} does not reach syslog {to}: {reason}"),
            },
            Self::ExportResumed {
                console,
                to,
                lost_bytes,
            } => match console.as_str() {
                "*" => write!(
                    f,
                    "syslog {to} gets everything again but for {lost_bytes} bytes"
                ),
                console => write!(
                    f,
                    "console {console} reaches syslog {to} again, {lost_bytes} bytes did not"
                ),
            },
            Self::PinMismatch {
                what,
                pinned,
                found,
            } => write!(
                f,
                "{what} is not who it was: pinned {pinned}, found {found}"
            ),
            Self::Pinned { what, fingerprint } => {
                write!(f, "{what} is trusted from now on: {fingerprint}")
            }
            Self::DetachStringTyped { console, bytes } => {
                write!(
                    f,
                    "{console}: everybody left, typed its on_last_detach ({bytes} bytes)"
                )
            }
            Self::EventsLeftOut { console, count } => write!(
                f,
                "console {console}: {count} more events of its device were left out"
            ),
            Self::OutletSwitching { .. }
            | Self::OutletSwitched { .. }
            | Self::OutletChanged { .. }
            | Self::PduLost { .. }
            | Self::PduFound { .. }
            | Self::UpsChanged { .. }
            | Self::UpsLost { .. }
            | Self::UpsFound { .. }
            | Self::MachineSwitching { .. }
            | Self::MachineSwitched { .. }
            | Self::MachineChanged { .. }
            | Self::MachineLost { .. }
            | Self::MachineFound { .. }
            | Self::MachineLogged { .. }
            | Self::IderOpened { .. }
            | Self::IderLost { .. }
            | Self::IderClosed { .. }
            | Self::CiraOpened { .. }
            | Self::CiraClosed { .. }
            | Self::AmtMistaken { .. } => power::write(self, f),
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forwarding(text) => write!(f, "forwarding was on ({text})"),
            Self::DefaultRoute(text) => write!(f, "a foreign default route ({text})"),
            Self::Rules(text) => write!(f, "wrong routing rules ({text})"),
            Self::Firewall(text) => write!(f, "the firewall was changed ({text})"),
            Self::Translation(text) => write!(f, "address translation or a bridge ({text})"),
            Self::Setting(text) => write!(f, "a kernel setting was changed ({text})"),
        }
    }
}

impl fmt::Display for HotspotFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("it has no encryption (open = true would allow it)"),
            Self::WrongPassphrase => f.write_str("it refused our passphrase"),
            Self::EvilTwin => f.write_str("it may be an evil twin of the real one"),
            Self::Rejected(why) => write!(f, "it rejected us ({why})"),
            Self::Security(what) => f.write_str(what),
        }
    }
}

/// Milliseconds as a person reads them.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            millis @ 0..1000 => write!(f, "{millis} ms"),
            millis @ 1000..10_000 => write!(f, "{}.{} s", millis / 1000, millis % 1000 / 100),
            millis => write!(f, "{} s", millis / 1000),
        }
    }
}

/// `1 problem`, `2 problems`.
struct Count(usize, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        for (kind, text) in [
            (
                Kind::SupervisorReady { after_ms: 1234 },
                "every door is open, 1.2 s after the start",
            ),
            (
                Kind::ConfigRefused {
                    file: "oobd.toml".into(),
                    problems: vec!["line 2, column 1: x: unknown key".into()],
                },
                "oobd.toml was not taken: 1 problem: line 2, column 1: x: unknown key",
            ),
            (
                Kind::GuardBreached {
                    breach: Breach::Forwarding("net.ipv4.ip_forward".into()),
                    undone: true,
                },
                "the board could have become a gateway: forwarding was on (net.ipv4.ip_forward); undone",
            ),
            (
                Kind::HotspotRefused {
                    uplink: "hotspot".into(),
                    ssid: "remote.it".into(),
                    bssid: "02:00:00:00:01:00".into(),
                    fault: HotspotFault::WrongPassphrase,
                },
                "hotspot: hotspot remote.it (02:00:00:00:01:00) not used: it refused our passphrase",
            ),
        ] {
            assert_eq!(kind.to_string(), text);
        }
    }
}
