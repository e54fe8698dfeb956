//! Policy routing rules as values that compare: what the kernel reports is normalised first. Never talks to the kernel.

use std::fmt;
use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Family {
    V4,
    V6,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Table(u32),
    Unreachable,
    Other(String),
}

/// One rule. Two rules that treat packets alike are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Rule {
    pub family: Family,
    pub priority: u32,
    pub action: Action,
    /// Value and mask.
    pub mark: Option<(u32, u32)>,
    /// Sockets bound to this interface.
    pub output: Option<String>,
    pub source: Option<(IpAddr, u8)>,
    /// Ignore routes whose prefix is this long or shorter.
    pub suppress_prefix: Option<u32>,
    /// Selectors we never use, as text; a rule that has any is not ours.
    pub strange: Vec<String>,
}

impl Rule {
    #[must_use]
    pub(super) fn new(family: Family, priority: u32, action: Action) -> Self {
        Self {
            family,
            priority,
            action,
            mark: None,
            output: None,
            source: None,
            suppress_prefix: None,
            strange: Vec::new(),
        }
    }

    /// Reads a rule of a dump; `None` for families that are not IP.
    #[must_use]
    pub(super) fn read(message: &RuleMessage) -> Option<Self> {
        let header = &message.header;
        let family = match header.family {
            AddressFamily::Inet => Family::V4,
            AddressFamily::Inet6 => Family::V6,
            _ => return None,
        };
        let mut rule = Self::new(family, 0, Action::Unreachable);
        let mut table = u32::from(header.table);
        let (mut mark, mut mask) = (0, u32::MAX);
        for attribute in &message.attributes {
            match attribute {
                RuleAttribute::Priority(value) => rule.priority = *value,
                RuleAttribute::Table(value) => table = *value,
                RuleAttribute::FwMark(value) => mark = *value,
                RuleAttribute::FwMask(value) => mask = *value,
                RuleAttribute::Oifname(name) => rule.output = Some(name.clone()),
                RuleAttribute::Source(address) => rule.source = Some((*address, header.src_len)),
                // The kernel reports "none" as all ones, and who made the rule; neither changes what it does.
                RuleAttribute::SuppressPrefixLen(u32::MAX)
                | RuleAttribute::SuppressIfGroup(u32::MAX)
                | RuleAttribute::Protocol(_) => {}
                RuleAttribute::SuppressPrefixLen(length) => rule.suppress_prefix = Some(*length),
                other => rule.strange.push(format!("{other:?}")),
            }
        }
        // `mark 0 mask 0` is how the kernel reports a rule without a mark in some versions.
        let marked = message
            .attributes
            .iter()
            .any(|a| matches!(a, RuleAttribute::FwMark(_)));
        rule.mark = (marked && mask != 0).then_some((mark, mask));
        if header.flags.contains(RuleFlags::Invert) {
            rule.strange.push("not".into());
        }
        if header.tos != 0 {
            rule.strange.push(format!("tos {}", header.tos));
        }
        rule.action = match header.action {
            RuleAction::ToTable => Action::Table(table),
            RuleAction::Unreachable => Action::Unreachable,
            other => Action::Other(format!("{other:?}").to_lowercase()),
        };
        Some(rule)
    }

    /// The message that adds (or deletes) this rule.
    #[must_use]
    pub(super) fn message(&self) -> RuleMessage {
        let mut message = RuleMessage::default();
        message.header.family = match self.family {
            Family::V4 => AddressFamily::Inet,
            Family::V6 => AddressFamily::Inet6,
        };
        let attributes = &mut message.attributes;
        attributes.push(RuleAttribute::Priority(self.priority));
        match self.action {
            Action::Table(table) => {
                message.header.action = RuleAction::ToTable;
                attributes.push(RuleAttribute::Table(table));
            }
            // A rule of ours never has another action; unreachable is the one that fails closed.
            Action::Unreachable | Action::Other(_) => {
                message.header.action = RuleAction::Unreachable;
            }
        }
        if let Some((mark, mask)) = self.mark {
            attributes.push(RuleAttribute::FwMark(mark));
            attributes.push(RuleAttribute::FwMask(mask));
        }
        if let Some(output) = &self.output {
            attributes.push(RuleAttribute::Oifname(output.clone()));
        }
        if let Some((address, length)) = self.source {
            message.header.src_len = length;
            attributes.push(RuleAttribute::Source(address));
        }
        if let Some(length) = self.suppress_prefix {
            attributes.push(RuleAttribute::SuppressPrefixLen(length));
        }
        message
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = match self.family {
            Family::V4 => "-4",
            Family::V6 => "-6",
        };
        write!(f, "ip {family} rule {}:", self.priority)?;
        if let Some((address, length)) = self.source {
            write!(f, " from {address}/{length}")?;
        }
        if let Some((mark, mask)) = self.mark {
            write!(f, " fwmark {mark:#x}/{mask:#x}")?;
        }
        if let Some(output) = &self.output {
            write!(f, " oif {output}")?;
        }
        for strange in &self.strange {
            write!(f, " {strange}")?;
        }
        match &self.action {
            Action::Table(table) => write!(f, " lookup {table}")?,
            Action::Unreachable => f.write_str(" unreachable")?,
            Action::Other(other) => write!(f, " {other}")?,
        }
        if let Some(length) = self.suppress_prefix {
            write!(f, " suppress_prefixlength {length}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::plan::{Plan, tests as samples};

    #[test]
    fn every_rule_of_the_plan_survives_its_own_message() {
        let uplinks = [
            samples::uplink(0, "wlan0", &[]),
            samples::uplink(1, "wlan1", &[]),
        ];
        let plan = Plan::new(&samples::lan("eth0"), &uplinks, samples::DOORS).unwrap();
        let mut rules = plan.rules();
        rules.push(plan.answer_rule(&plan.ways[0], "172.20.10.12".parse().unwrap()));
        for rule in rules {
            let mut message = rule.message();
            // What the kernel adds when it reports a rule.
            message
                .attributes
                .push(RuleAttribute::SuppressIfGroup(u32::MAX));
            if rule.suppress_prefix.is_none() {
                message
                    .attributes
                    .push(RuleAttribute::SuppressPrefixLen(u32::MAX));
            }
            assert_eq!(Rule::read(&message), Some(rule));
        }
    }

    #[test]
    fn a_rule_with_a_selector_we_never_use_is_strange() {
        let mut message = Rule::new(Family::V4, 1300, Action::Table(50)).message();
        message
            .attributes
            .push(RuleAttribute::Iifname("eth0".into()));
        let rule = Rule::read(&message).unwrap();
        assert!(!rule.strange.is_empty(), "{rule}");
    }
}
