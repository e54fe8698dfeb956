//! The nftables table `inet oobd`: its text, loading it in one transaction, reading it back.
//! Never touches another table (the guard does, by [`run`]).

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::Error;
use super::plan::{MARK_MASK, Plan, Way};

/// Name of our table.
pub(super) const TABLE: &str = "oobd";
/// nft answers in milliseconds; a board short of memory or a flash that hangs may take this long.
const LIMIT: Duration = Duration::from_secs(10);

/// The whole table. Loaded as it stands by `nft -f -`: the old table goes and the new one comes in one transaction.
///
/// Only the LAN is trusted: an interface that is neither LAN nor uplink (a second socket, a phone's cable, an uplink just
/// taken out of the configuration) is as shut as an uplink without doors.
///
/// Packets that come in by an uplink are marked before routing. With `tcp_fwmark_accept`, `fwmark_reflect` and
/// `src_valid_mark` the kernel then answers them by the same uplink, IPv4 and IPv6 alike, and needs no source rule.
#[must_use]
pub(super) fn text(plan: &Plan) -> String {
    let (mut marks, mut doors, mut marked) = (String::new(), String::new(), String::new());
    for way in &plan.ways {
        let Way {
            interface,
            mark,
            ports,
            mdns,
            ..
        } = way;
        let _ = writeln!(marks, "  iifname \"{interface}\" meta mark set {mark:#x}");
        let _ = writeln!(
            marked,
            "  oifname \"{interface}\" meta mark & {MARK_MASK:#x} == {mark:#x} accept"
        );
        if *mdns {
            for group in ["ip daddr 224.0.0.251", "ip6 daddr ff02::fb"] {
                let _ = writeln!(
                    doors,
                    "  iifname \"{interface}\" {group} udp dport 5353 accept"
                );
            }
        }
        if !ports.is_empty() {
            let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
            let _ = writeln!(
                doors,
                "  iifname \"{interface}\" tcp dport {{ {} }} ct state new accept",
                ports.join(", ")
            );
        }
    }
    let lan = &plan.lan;
    format!(
        "table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
 set trusted {{ type ifname; elements = {{ \"lo\", \"{lan}\" }}; }}
 chain prerouting {{
  type filter hook prerouting priority -300; policy accept;
  iifname \"lo\" accept
  fib daddr . iif type != {{ local, broadcast, multicast }} counter drop
{marks} }}
 chain input {{
  type filter hook input priority 0; policy accept;
  iifname @trusted accept
  ct state established,related accept
  ct state invalid counter drop
  icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert }} ip6 hoplimit 255 accept
  icmpv6 type packet-too-big accept
  udp sport 67 udp dport 68 accept
{doors}  counter drop
 }}
 chain forward {{
  type filter hook forward priority 0; policy drop;
  counter drop
 }}
 chain output {{
  type filter hook output priority 0; policy accept;
  oifname @trusted accept
{marked}  ct state established,related ct direction reply accept
  udp sport 68 udp dport 67 accept
  icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld2-listener-report }} accept
  counter reject with icmpx admin-prohibited
 }}
}}
"
    )
}

/// Checks the text first (`nft -c`), so that an nft too old for it never leaves a half-made state, then loads it.
///
/// # Errors
/// [`Error::Nft`] with nft's own words.
pub(super) async fn load(plan: &Plan) -> Result<(), Error> {
    let text = text(plan);
    run(&["-c", "-f", "-"], &text).await?;
    run(&["-f", "-"], &text).await?;
    Ok(())
}

/// Our table as nft reports it, without what changes by itself; `None` when there is no such table.
///
/// # Errors
/// [`Error::Nft`] when nft cannot be run or talks something else than JSON.
pub(super) async fn read() -> Result<Option<Value>, Error> {
    let all = list().await?;
    Ok(ours(&all))
}

/// Everything nft knows.
///
/// # Errors
/// As [`read`].
pub(super) async fn list() -> Result<Vec<Value>, Error> {
    let out = run(&["-j", "list", "ruleset"], "").await?;
    let mut parsed: Value = serde_json::from_slice(&out).map_err(|error| Error::Nft {
        what: "-j list ruleset".into(),
        said: error.to_string(),
    })?;
    match parsed.get_mut("nftables").map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(Error::Nft {
            what: "-j list ruleset".into(),
            said: "no `nftables` list in the answer".into(),
        }),
    }
}

/// Our table out of a listing: handles and counts taken away, the rest is compared as it stands.
#[must_use]
pub(super) fn ours(items: &[Value]) -> Option<Value> {
    let mine: Vec<Value> = items
        .iter()
        .filter(|item| {
            item.as_object().into_iter().flatten().any(|(kind, body)| {
                let table = if kind == "table" { "name" } else { "table" };
                body["family"] == "inet" && body[table] == TABLE
            })
        })
        .map(|item| {
            let mut item = item.clone();
            settle(&mut item);
            item
        })
        .collect();
    (!mine.is_empty()).then_some(Value::Array(mine))
}

fn settle(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("handle");
            if let Some(Value::Object(counter)) = map.get_mut("counter") {
                counter.clear();
            }
            map.values_mut().for_each(settle);
        }
        Value::Array(list) => list.iter_mut().for_each(settle),
        _ => {}
    }
}

/// Packets dropped or rejected by each chain of ours since the table was loaded.
#[must_use]
pub(super) fn dropped(items: &[Value]) -> std::collections::BTreeMap<String, u64> {
    let mut counts = std::collections::BTreeMap::new();
    let rules = items
        .iter()
        .filter_map(|item| item.get("rule"))
        .filter(|rule| rule["family"] == "inet" && rule["table"] == TABLE);
    for rule in rules {
        let (Some(chain), Some(expressions)) = (rule["chain"].as_str(), rule["expr"].as_array())
        else {
            continue;
        };
        let packets: u64 = expressions
            .iter()
            .filter_map(|e| e["counter"]["packets"].as_u64())
            .sum();
        *counts.entry(chain.to_owned()).or_insert(0) += packets;
    }
    counts
}

/// Runs nft and returns what it printed.
///
/// # Errors
/// [`Error::Nft`] when it cannot be started, says no, or takes longer than 10 s.
pub(super) async fn run(arguments: &[&str], input: &str) -> Result<Vec<u8>, Error> {
    let what = || arguments.join(" ");
    let failed = |said: String| Error::Nft { what: what(), said };
    let work = async {
        let mut child = Command::new("nft")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let output = timeout(LIMIT, work)
        .await
        .map_err(|_| failed(format!("no answer within {} s", LIMIT.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(failed(said.trim().chars().take(400).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DoorName, DoorPorts};
    use crate::link::plan::tests as samples;

    fn plan(uplinks: &[crate::config::Uplink]) -> Plan {
        let doors = DoorPorts {
            ssh: 2222,
            https: 8443,
            mdns: true,
        };
        Plan::new(&samples::lan("eth0"), uplinks, doors).unwrap()
    }

    #[test]
    fn doors_open_on_their_own_uplink_only() {
        let uplinks = [
            samples::uplink(0, "wlan0", &[DoorName::Ssh]),
            samples::uplink(1, "wlan1", &[]),
            samples::uplink(2, "wlan2", &[DoorName::Ssh, DoorName::Https]),
        ];
        let text = text(&plan(&uplinks));
        assert!(
            text.contains("iifname \"wlan0\" tcp dport { 2222 } ct state new accept"),
            "{text}"
        );
        assert!(!text.contains("iifname \"wlan1\" tcp dport"), "{text}");
        for (interface, told) in [("wlan0", true), ("wlan1", false)] {
            let rule = format!("iifname \"{interface}\" ip6 daddr ff02::fb udp dport 5353 accept");
            assert_eq!(text.contains(&rule), told, "{text}");
        }
        assert!(
            text.contains("iifname \"wlan2\" tcp dport { 2222, 8443 } ct state new accept"),
            "{text}"
        );
        assert!(
            text.contains("oifname \"wlan1\" meta mark & 0xff00 == 0x200 accept"),
            "{text}"
        );
        assert!(text.contains("elements = { \"lo\", \"eth0\" }"), "{text}");
    }

    #[test]
    fn a_board_without_uplinks_has_a_table_too() {
        let text = text(&plan(&[]));
        assert!(text.contains("policy drop"), "{text}");
    }

    #[test]
    fn counts_and_handles_do_not_make_a_difference_but_a_rule_does() {
        let listing = |packets: u64, handle: u64, verdict: &str| {
            vec![
                serde_json::json!({"metainfo": {"version": "1.0.6"}}),
                serde_json::json!({"table": {"family": "inet", "name": "oobd", "handle": handle}}),
                serde_json::json!({"table": {"family": "ip", "name": "oobd", "handle": 9}}),
                serde_json::json!({"rule": {"family": "inet", "table": "oobd", "chain": "forward", "handle": handle,
                    "expr": [{"counter": {"packets": packets, "bytes": packets * 80}}, {verdict: null}]}}),
            ]
        };
        let before = listing(0, 3, "drop");
        assert_eq!(ours(&before), ours(&listing(7, 12, "drop")));
        assert_ne!(ours(&before), ours(&listing(0, 3, "accept")));
        assert_eq!(ours(&before[..1]), None);
        assert_eq!(dropped(&listing(7, 12, "drop"))["forward"], 7);
    }
}
