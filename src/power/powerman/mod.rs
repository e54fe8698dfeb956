//! powermand: nodes of PDUs that it has scripts for, over its line protocol. No sign-in; a cycle is ours, for powermand
//! makes one of an off and an on itself and shows nothing in between.
//!
//! Protocol: chaos/powerman `man/powerman.1.in`, `src/powermand/client_proto.h`: CR LF lines, a prompt without line end, codes of
//! three digits of which 1xx ends a reply well and 2xx badly.

use std::time::Duration;

use tokio::net::TcpStream;

use super::driver::{Doing, Driver, Fault, Reading, Standing};
use super::wire::{self, Wire};
use crate::config;
use crate::reset::Verb;

mod reply;

use reply::{Reply, is_node, outlets};

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

    fn look<'a>(&'a mut self, outlet: &'a str) -> Option<Doing<'a, Option<Standing>>> {
        Some(Box::pin(async move {
            if !is_node(outlet) {
                return Ok(None);
            }
            let reply = self.ask(&format!("status {outlet}"), true).await?;
            match reply.ended {
                Some((100..200 | 211, _)) => {
                    let mut outlets = outlets(&reply).into_iter();
                    let found = outlets.find(|read| read.key == outlet);
                    Ok(found.map(|read| (read.state, read.in_transition)))
                }
                Some((209, _)) => Ok(None),
                other => Err(refusal(other)),
            }
        }))
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
