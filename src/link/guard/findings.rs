//! What the guard looks for in switches, rules, routes and links, and how each finding is undone. Changes nothing.

use netlink_packet_route::route::{RouteMessage, RouteType};
use netlink_packet_route::rule::RuleMessage;

use crate::event::Breach;
use crate::link::Error;
use crate::link::netlink::{Link, Netlink};
use crate::link::plan::{MAIN_TABLE, PRIORITY_END, PRIORITY_FROM, Plan, ROUTE_PROTOCOL};
use crate::link::rules::{Action, Family, Rule};
use crate::link::settings::{self, Setting};

/// A breach and its remedy.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub breach: Breach,
    pub undo: Undo,
}

#[derive(Clone, Debug)]
pub(super) enum Undo {
    /// There is no remedy; it is reported.
    Nothing,
    Switches(Vec<Setting>),
    AddRule(Rule),
    DeleteRule(RuleMessage),
    DeleteRoute(RouteMessage),
    Release(Link),
    LoadFirewall,
    /// Arguments for nft.
    Nft(Vec<String>),
}

impl Finding {
    /// Names the finding: the same text is the same breach.
    pub(super) fn text(&self) -> String {
        match &self.breach {
            Breach::Forwarding(text)
            | Breach::DefaultRoute(text)
            | Breach::Rules(text)
            | Breach::Firewall(text)
            | Breach::Translation(text)
            | Breach::Setting(text) => text.clone(),
        }
    }
}

/// Forwarding on any interface, and every switch of the recipe. `all` switches every link on at once: that is one
/// breach, not one per link.
pub(super) fn switches(plan: &Plan) -> Result<Vec<Finding>, Error> {
    let forwarding = settings::forwarding();
    let mut found = Vec::new();
    for family in ["ipv4/", "ipv6/"] {
        let of_family = forwarding
            .iter()
            .filter(|setting| setting.path.starts_with(family));
        let on = wrong(of_family)?;
        let all = on.iter().position(|(setting, _)| {
            setting.path == "ipv4/ip_forward" || setting.path == "ipv6/conf/all/forwarding"
        });
        if let Some(all) = all {
            let (setting, value) = &on[all];
            let breach = Breach::Forwarding(setting.named(value));
            let undo = Undo::Switches(on.iter().map(|(setting, _)| setting.clone()).collect());
            found.push(Finding { breach, undo });
        } else {
            found.extend(on.into_iter().map(|(setting, value)| Finding {
                breach: Breach::Forwarding(setting.named(&value)),
                undo: Undo::Switches(vec![setting]),
            }));
        }
    }
    let recipe = settings::wanted(plan);
    let others = recipe
        .iter()
        .filter(|setting| !forwarding.contains(setting));
    found.extend(wrong(others)?.into_iter().map(|(setting, value)| Finding {
        breach: Breach::Setting(setting.named(&value)),
        undo: Undo::Switches(vec![setting]),
    }));
    Ok(found)
}

fn wrong<'a>(settings: impl Iterator<Item = &'a Setting>) -> Result<Vec<(Setting, String)>, Error> {
    let mut found = Vec::new();
    for setting in settings {
        if let Some(value) = setting.read()?
            && value != setting.value
        {
            found.push((setting.clone(), value));
        }
    }
    Ok(found)
}

/// Rules of ours that are missing, and foreign ones that are asked before the list ends.
pub(super) async fn rules(plan: &Plan, kernel: &Netlink) -> Result<Vec<Finding>, Error> {
    let actual = kernel.rules().await?;
    let wanted = plan.rules();
    let mut found = Vec::new();
    for rule in &wanted {
        if !actual.iter().any(|(there, _)| there == rule) {
            let breach = Breach::Rules(format!("missing: {rule}"));
            found.push(Finding {
                breach,
                undo: Undo::AddRule(rule.clone()),
            });
        }
    }
    for (rule, message) in actual {
        if rule.priority <= PRIORITY_END && !wanted.contains(&rule) && !expected(plan, &rule) {
            let breach = Breach::Rules(format!("foreign: {rule}"));
            found.push(Finding {
                breach,
                undo: Undo::DeleteRule(message),
            });
        }
    }
    Ok(found)
}

/// The kernel's own first rule, and the source rules that the owner `link` writes.
fn expected(plan: &Plan, rule: &Rule) -> bool {
    let local = Rule::new(rule.family, 0, Action::Table(255));
    let from = rule.family == Family::V4
        && rule.priority == PRIORITY_FROM
        && rule.source.is_some_and(|(_, length)| length == 32)
        && plan
            .ways
            .iter()
            .any(|way| rule.action == Action::Table(way.table));
    let source_only = Rule {
        source: None,
        ..rule.clone()
    };
    *rule == local
        || (from && source_only == Rule::new(Family::V4, PRIORITY_FROM, rule.action.clone()))
}

/// Default routes outside our tables, halves of one, and anything in `main` that leads into an uplink.
pub(super) async fn routes(plan: &Plan, kernel: &Netlink) -> Result<Vec<Finding>, Error> {
    let links = kernel.links().await?;
    let name = |index: Option<u32>| {
        links
            .iter()
            .find(|link| Some(link.index) == index)
            .map_or("?", |link| link.name.as_str())
    };
    let mut found = Vec::new();
    for (route, message) in kernel.routes().await? {
        if plan.owns_table(route.table) || route.kind != RouteType::Unicast {
            continue;
        }
        // The kernel makes fe80::/64 and ff00::/8 for every link; both stay on the link.
        let on_link =
            route.gateway.is_none() && (route.protocol == 2 || route.protocol == ROUTE_PROTOCOL);
        let into_uplink =
            route.table == MAIN_TABLE && plan.way(name(route.index)).is_some() && !on_link;
        if route.prefix <= 1 || into_uplink {
            let by = route
                .gateway
                .map(|gateway| format!(" via {gateway}"))
                .unwrap_or_default();
            let text = format!(
                "{}/{}{by} dev {} table {}",
                route.destination,
                route.prefix,
                name(route.index),
                route.table
            );
            found.push(Finding {
                breach: Breach::DefaultRoute(text),
                undo: Undo::DeleteRoute(message),
            });
        }
    }
    Ok(found)
}

/// A bridge, bond or VRF that has swallowed a link of ours: frames would pass below every rule.
pub(super) async fn links(plan: &Plan, kernel: &Netlink) -> Result<Vec<Finding>, Error> {
    let links = kernel.links().await?;
    let swallowed = links.iter().filter(|link| plan.knows(&link.name));
    let found = swallowed.filter_map(|link| {
        let controller = link.controller?;
        let by = links.iter().find(|other| other.index == controller);
        let by = by.map_or("?", |other| other.name.as_str());
        Some(Finding {
            breach: Breach::Translation(format!("{} is enslaved to {by}", link.name)),
            undo: Undo::Release(link.clone()),
        })
    });
    Ok(found.collect())
}
