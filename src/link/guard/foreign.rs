//! What the guard looks for in the nftables listing: our table unchanged, and no foreign rule that translates
//! addresses, copies packets to another link or accepts forwarding. Pure.

use serde_json::Value;

use super::findings::{Finding, Undo};
use crate::event::Breach;
use crate::link::firewall::{TABLE, ours};

/// Statements that send a packet somewhere its address does not say.
const TRANSLATIONS: [&str; 7] = [
    "masquerade",
    "snat",
    "dnat",
    "redirect",
    "tproxy",
    "fwd",
    "dup",
];
/// iptables targets of that kind, as `nft` names them when iptables-nft wrote the rule.
const TARGETS: [&str; 6] = ["MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP", "TEE"];

pub(super) fn firewall(items: &[Value], sealed: &Value) -> Vec<Finding> {
    let mut found = Vec::new();
    let text = match ours(items) {
        None => Some(format!("table inet {TABLE} is gone")),
        Some(now) if now != *sealed => Some(format!("table inet {TABLE} was changed")),
        Some(_) => None,
    };
    found.extend(text.map(|text| Finding {
        breach: Breach::Firewall(text),
        undo: Undo::LoadFirewall,
    }));
    let forward_chains: Vec<[&str; 3]> = items
        .iter()
        .filter_map(|item| item.get("chain"))
        .filter(|chain| chain["hook"] == "forward")
        .filter_map(|chain| place(chain, "name"))
        .collect();
    for item in items {
        if let Some(rule) = item.get("rule") {
            found.extend(foreign_rule(rule, &forward_chains));
        }
        if let Some(flowtable) = item.get("flowtable") {
            // It forwards established flows below every chain.
            found.extend(flow(flowtable));
        }
    }
    found
}

fn place<'a>(item: &'a Value, chain: &str) -> Option<[&'a str; 3]> {
    Some([
        item["family"].as_str()?,
        item["table"].as_str()?,
        item[chain].as_str()?,
    ])
}

fn foreign_rule(rule: &Value, forward_chains: &[[&str; 3]]) -> Option<Finding> {
    let at @ [family, table, chain] = place(rule, "chain")?;
    if (family, table) == ("inet", TABLE) {
        return None;
    }
    let expressions = rule["expr"].as_array()?;
    let translates = expressions.iter().find_map(|e| translation(e));
    let accepts =
        forward_chains.contains(&at) && expressions.iter().any(|e| e.get("accept").is_some());
    let what = translates.or(accepts.then_some("accept"))?;
    let handle = rule["handle"].as_u64()?.to_string();
    let arguments = ["delete", "rule", family, table, chain, "handle", &handle];
    Some(Finding {
        breach: Breach::Translation(format!("{what} in {family} {table} {chain}")),
        undo: Undo::Nft(arguments.iter().map(ToString::to_string).collect()),
    })
}

fn translation(expression: &Value) -> Option<&'static str> {
    let plain = TRANSLATIONS
        .iter()
        .find(|name| expression.get(**name).is_some());
    let name = expression["xt"]["name"].as_str();
    let target = TARGETS.iter().find(|target| Some(**target) == name);
    plain.or(target).copied()
}

fn flow(flowtable: &Value) -> Option<Finding> {
    let [family, table, name] = place(flowtable, "name")?;
    let arguments = ["delete", "flowtable", family, table, name];
    Some(Finding {
        breach: Breach::Translation(format!("flowtable {name} in {family} {table}")),
        undo: Undo::Nft(arguments.iter().map(ToString::to_string).collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(table: &str, chain: &str, expression: Value) -> Value {
        json!({"rule": {"family": "inet", "table": table, "chain": chain, "handle": 4, "expr": [expression]}})
    }

    #[test]
    fn what_translates_or_forwards_is_found_and_named() {
        let own = rule(TABLE, "forward", json!({"drop": null}));
        let sealed = ours(std::slice::from_ref(&own)).unwrap();
        let chain =
            json!({"chain": {"family": "inet", "table": "t", "name": "fw", "hook": "forward"}});
        for (expression, chain_name, want) in [
            (json!({"masquerade": null}), "post", Some("masquerade")),
            (json!({"dnat": {"addr": "10.0.0.1"}}), "pre", Some("dnat")),
            (
                json!({"xt": {"type": "target", "name": "MASQUERADE"}}),
                "post",
                Some("MASQUERADE"),
            ),
            (json!({"accept": null}), "fw", Some("accept")),
            (json!({"accept": null}), "input", None),
            (json!({"drop": null}), "fw", None),
        ] {
            let items = [
                own.clone(),
                chain.clone(),
                rule("t", chain_name, expression.clone()),
            ];
            let found = firewall(&items, &sealed);
            let text = found.first().map(Finding::text);
            match want {
                Some(want) => assert!(text.unwrap().starts_with(want), "{expression}"),
                None => assert_eq!(text, None, "{expression}"),
            }
        }
    }

    #[test]
    fn a_table_that_is_gone_or_changed_is_loaded_again() {
        let own = rule(TABLE, "forward", json!({"drop": null}));
        let sealed = ours(std::slice::from_ref(&own)).unwrap();
        for items in [
            vec![],
            vec![rule(TABLE, "forward", json!({"accept": null}))],
        ] {
            let found = firewall(&items, &sealed);
            assert!(matches!(found[0].undo, Undo::LoadFirewall), "{items:?}");
        }
        assert!(firewall(&[own], &sealed).is_empty());
    }
}
