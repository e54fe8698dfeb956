//! powermand: nodes of PDUs that it has scripts for, over its line protocol. No sign-in; a cycle is ours, for powermand
//! makes one of an off and an on itself and shows nothing in between.
//!
//! Protocol: chaos/powerman `man/powerman.1.in`, `src/powermand/client_proto.h`: CR LF lines, a prompt without line end, codes of
//! three digits of which 1xx ends a reply well and 2xx badly.

use std::time::Duration;

use tokio::net::TcpStream;

use super::driver::{Doing, Driver, Fault, OutletReading, Reading};
use super::wire::{self, Wire};
use crate::config;
use crate::reset::{PowerState, Verb};

/// What comes before the next command, without a line end.
const PROMPT: &str = "powerman> ";
/// Nodes that are taken; a cluster may have more.
const MOST_NODES: usize = 1024;
/// Lines of one reply, told nodes and telemetry together.
const MOST_LINES: usize = 4096;

/// A reply so far.
#[derive(Debug, Default)]
pub(super) struct Reply {
    lines: usize,
    /// `303 NODE: VALUE`, in their order.
    pub(super) values: Vec<(String, String)>,
    /// How it ended, once it has: the code and its text.
    pub(super) ended: Option<(u16, String)>,
}

impl Reply {
    /// Takes a line in. `true` once the reply is whole.
    ///
    /// # Errors
    /// The line is none of this protocol, or the reply is too long.
    pub(super) fn take(&mut self, line: &str) -> Result<bool, String> {
        self.lines += 1;
        if self.lines > MOST_LINES {
            return Err(format!("a reply of more than {MOST_LINES} lines"));
        }
        let mut line = line;
        while let Some(rest) = line.strip_prefix(PROMPT) {
            line = rest;
        }
        let odd = || {
            let shown: String = line.chars().take(40).collect();
            format!("no line of powerman: `{}`", shown.escape_debug())
        };
        let (code, text) = line.split_at_checked(3).ok_or_else(odd)?;
        let text = text.strip_prefix(' ').unwrap_or(text);
        let digits = code.bytes().all(|byte| byte.is_ascii_digit());
        let code: u16 = match code.parse() {
            Ok(code) if digits && code < 400 => code,
            _ => return Err(odd()),
        };
        match code {
            100..300 => {
                self.ended = Some((code, text.chars().take(200).collect()));
                return Ok(true);
            }
            303 if self.values.len() < MOST_NODES => {
                let (node, value) = text.split_once(": ").ok_or_else(odd)?;
                self.values.push((node.to_owned(), value.to_owned()));
            }
            // The greeting, help, device states, telemetry.
            _ => {}
        }
        Ok(false)
    }
}

/// The outlets of a reply to `status`.
pub(super) fn outlets(reply: &Reply) -> Vec<OutletReading> {
    let outlet = |(node, value): &(String, String)| {
        is_node(node).then(|| OutletReading {
            key: node.clone(),
            state: match value.trim() {
                "on" => PowerState::On,
                "off" => PowerState::Off,
                _ => PowerState::Unknown,
            },
            ..OutletReading::default()
        })
    };
    reply.values.iter().filter_map(outlet).collect()
}

/// A name that stands for itself in a command, where brackets and commas make lists.
fn is_node(name: &str) -> bool {
    let good = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    !name.is_empty() && name.len() <= 32 && name.chars().all(good)
}

pub(super) struct Powerman {
    config: config::Powerman,
    lan: String,
    wire: Option<Wire<TcpStream>>,
}

impl Powerman {
    pub(super) fn new(config: config::Powerman, lan: &str) -> Self {
        Self {
            config,
            lan: lan.to_owned(),
            wire: None,
        }
    }

    /// A connection on which ranges are written out.
    async fn open(&self) -> Result<Wire<TcpStream>, Fault> {
        let mut wire = Wire::new(wire::connect(&self.lan, self.config.host).await?);
        let greeting = wire.line().await?;
        if !greeting.starts_with("001 ") {
            return Err(Fault::Odd("it does not greet as powerman does".into()));
        }
        // It is a switch with two positions.
        for _ in 0..2 {
            let reply = ask(&mut wire, "exprange").await?;
            match reply.ended {
                Some((105, text)) if text.ends_with("ON") => return Ok(wire),
                Some((105, _)) => {}
                other => return Err(refusal(other)),
            }
        }
        Err(Fault::Odd("it does not write ranges out".into()))
    }

    /// Asks on the connection there is, or on a fresh one. One that has gone stale since is opened anew, if `again`.
    async fn ask(&mut self, command: &str, again: bool) -> Result<Reply, Fault> {
        if let Some(mut wire) = self.wire.take() {
            match ask(&mut wire, command).await {
                Ok(reply) => {
                    self.wire = Some(wire);
                    return Ok(reply);
                }
                Err(Fault::Silent(_)) if again => {}
                Err(fault) => return Err(fault),
            }
        }
        let mut wire = self.open().await?;
        let reply = ask(&mut wire, command).await?;
        self.wire = Some(wire);
        Ok(reply)
    }
}

async fn ask(wire: &mut Wire<TcpStream>, command: &str) -> Result<Reply, Fault> {
    wire.send(&format!("{command}\r\n")).await?;
    let mut reply = Reply::default();
    loop {
        let line = wire.line().await?;
        if reply.take(&line).map_err(Fault::Odd)? {
            return Ok(reply);
        }
    }
}

/// What an end that is not 1xx says.
fn refusal(ended: Option<(u16, String)>) -> Fault {
    let (code, text) = ended.unwrap_or_default();
    let said = format!("powerman says {code} {}", text.escape_debug());
    match code {
        // No such node; cannot be done on this device.
        209 | 213 => Fault::NotPossible(said),
        _ => Fault::Odd(said),
    }
}

impl Driver for Powerman {
    fn read(&mut self) -> Doing<'_, Reading> {
        Box::pin(async {
            let reply = self.ask("status", true).await?;
            match reply.ended {
                // With errors: what could not be read is unknown.
                Some((100..200 | 211, _)) => Ok(Reading {
                    outlets: outlets(&reply),
                }),
                other => Err(refusal(other)),
            }
        })
    }

    fn switch<'a>(&'a mut self, outlet: &'a str, verb: Verb, _off: Duration) -> Doing<'a, ()> {
        Box::pin(async move {
            if !is_node(outlet) {
                return Err(Fault::NotPossible("no name of a node".into()));
            }
            let word = match verb {
                Verb::On => "on",
                Verb::ForceOff => "off",
                _ => return Err(Fault::NotPossible(format!("powerman has no {verb}"))),
            };
            let reply = self.ask(&format!("{word} {outlet}"), false).await?;
            match reply.ended {
                Some((100..200, _)) => Ok(()),
                other => Err(refusal(other)),
            }
        })
    }

    /// Its scripts wait for slow devices.
    fn limit(&self) -> Duration {
        Duration::from_secs(30)
    }
}
