//! What sessions and commands ask of the owner: join, leave, take the keyboard, break, disconnect.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Link, Owner, SESSIONS_MAX};
use crate::command::{Actor, Ask, Attach, Attachment, Command, Refusal, Reply};
use crate::console::breaks::{self, Answer, Asked, Over, Stage};
use crate::console::desk::Refused;
use crate::console::hunt::Goal;
use crate::console::outbox::Then;
use crate::console::ring::length;
use crate::console::session::{self, Report, Typed};
use crate::event::Kind;
use crate::fact::PortPhase;
use crate::fault;

impl Owner<'_> {
    pub(super) fn report(&mut self, report: Report, typing: &mut mpsc::Receiver<Typed>) {
        match report {
            Report::Break { session, millis } => {
                if !self.desk.writes(session) {
                    return self
                        .desk
                        .tell_one(session, "you are watching: no break sent");
                }
                let user = self.desk.user(session).unwrap_or_default().to_owned();
                let answer = Answer::Never;
                let length = Some(breaks::length(millis));
                let asked = Asked { user, answer };
                if let Err((refusal, _)) = self.start_break(length, asked, typing) {
                    self.desk.tell_one(session, &refusal.to_string());
                }
            }
            Report::TakeWriter { session } => {
                if let Err(refused) = self.take_writer(session, None, typing) {
                    self.desk.tell_one(session, refused.sentence());
                }
            }
            Report::Who { session } => self.desk.tell_who(session),
            Report::Idle { session } => {
                self.desk.end(session, "nothing was typed for too long");
            }
            Report::Ended { session, reason } => self.ended(session, reason),
        }
    }

    /// `giver` is who gives the keyboard, if the session does not take it.
    fn take_writer(
        &mut self,
        session: u64,
        giver: Option<&str>,
        typing: &mut mpsc::Receiver<Typed>,
    ) -> Result<(), Refused> {
        let user = self.desk.take_writer(session, giver)?;
        let event = Kind::WriterChanged {
            console: self.name.clone(),
            session,
            user: user.to_owned(),
        };
        // What the one before had queued must not run into what the new one types.
        self.discard(typing);
        self.publish(event, Then::Nothing);
        self.changed();
        Ok(())
    }

    pub(super) fn ended(&mut self, session: u64, reason: String) {
        let Some(left) = self.desk.remove(session) else {
            return;
        };
        let event = Kind::SessionClosed {
            console: self.name.clone(),
            session: left.session,
            user: left.user,
            reason,
        };
        self.publish(event, Then::Nothing);
        self.follow_sessions();
        self.changed();
        if self.desk.is_empty() {
            self.type_parting();
        }
    }

    /// Everybody has left: types what the configuration says, if anybody typed before.
    fn type_parting(&mut self) {
        let typed = std::mem::take(&mut self.typed_since);
        let Some(parting) = self.parting.clone().filter(|_| typed) else {
            return;
        };
        // A board that stops is about to close the port; nothing would go out.
        if self.context.stop.is_cancelled() || !matches!(self.link, Link::Open(_)) {
            return;
        }
        let bytes = length(parting.len());
        // Behind what the last one typed and the port has not taken yet.
        self.output = Bytes::from([&self.output[..], parting.as_bytes()].concat());
        self.parting_waits = true;
        self.gather_until = None;
        let console = self.name.clone();
        self.publish(Kind::DetachStringTyped { console, bytes }, Then::Nothing);
    }

    pub(super) fn ask(&mut self, ask: Ask, typing: &mut mpsc::Receiver<Typed>) {
        match ask {
            Ask::Attach { request, reply } => {
                if self.desk.facts().len() >= SESSIONS_MAX {
                    let refusal = Refusal::Busy {
                        what: format!("console {}", self.name),
                        why: format!("it has {SESSIONS_MAX} sessions"),
                    };
                    // The asker may have left.
                    return drop(reply.send(Err(refusal)));
                }
                if let Some(why) = self.desk.closed() {
                    let what = format!("console {}", self.name);
                    return drop(reply.send(Err(Refusal::Busy { what, why })));
                }
                self.attach(request, reply);
            }
            Ask::Command {
                actor,
                command,
                reply,
            } => match command {
                Command::KickSession { session, .. } => {
                    let known = self.desk.end(session, &format!("disconnected by {actor}"));
                    let answer = known
                        .then_some(Reply::Done)
                        .ok_or_else(|| Refusal::Unknown {
                            what: format!("session {session} on console {}", self.name),
                        });
                    drop(reply.send(answer));
                }
                Command::GiveWriter { session, .. } => {
                    let given = self.take_writer(session, Some(&actor.to_string()), typing);
                    let answer = given
                        .map(|()| Reply::Done)
                        .map_err(|refused| match refused {
                            Refused::Unknown => Refusal::Unknown {
                                what: format!("session {session} on console {}", self.name),
                            },
                            other => {
                                Refusal::Failed(format!("session {session}: {}", other.reason()))
                            }
                        });
                    drop(reply.send(answer));
                }
                Command::SendBreak { millis, .. } => {
                    let user = match actor {
                        Actor::User { name, .. } | Actor::Owner(name) => name,
                    };
                    let answer = Answer::Over(reply);
                    let length = Some(breaks::length(millis));
                    let asked = Asked { user, answer };
                    if let Err((refusal, asked)) = self.start_break(length, asked, typing) {
                        asked.answer.refuse(refusal);
                    }
                }
                Command::SetLine { order, .. } => self.set_line(actor, order, reply, typing),
                Command::ResetCounters { .. } => self.reset_counters(reply),
                Command::FindLine { .. } => self.find(Goal::Line, reply),
                Command::FindName { .. } => self.find(Goal::Name, reply),
                Command::TrustHost { .. } => drop(reply.send(self.trust().map(Reply::Said))),
                _ => {
                    let text = format!("a console cannot do this: {command:?}");
                    drop(reply.send(Err(Refusal::Failed(text))));
                }
            },
        }
    }

    pub(super) fn attach(
        &mut self,
        request: Attach,
        reply: oneshot::Sender<Result<Attachment, Refusal>>,
    ) {
        let (user, from) = (request.user.clone(), request.from.clone());
        if std::mem::take(&mut self.parting_waits) {
            // The port has not taken it yet; it must not run into what this one types.
            self.output = Bytes::new();
        }
        self.hunts.cut();
        let (attachment, wire) = self.desk.attach(request);
        if self.phase != PortPhase::Open {
            self.desk.tell_one(wire.session, &self.away_notice());
        }
        let event = Kind::SessionOpened {
            console: self.name.clone(),
            session: wire.session,
            user,
            from,
            writer: attachment.writer,
        };
        self.context.tracker.spawn(session::run(wire));
        self.publish(event, Then::Attach(reply, Box::new(attachment)));
        self.follow_sessions();
        self.changed();
    }

    /// Without a length whoever asked ends it.
    pub(super) fn start_break(
        &mut self,
        length: Option<Duration>,
        asked: Asked,
        typing: &mut mpsc::Receiver<Typed>,
    ) -> Result<(), (Refusal, Asked)> {
        let Link::Open(port) = &mut self.link else {
            return Err((Refusal::Failed(self.away_notice()), asked));
        };
        if self.breaking.is_some() {
            let refusal = Refusal::Busy {
                what: format!("console {}", self.name),
                why: "a break is being sent".into(),
            };
            return Err((refusal, asked));
        }
        let control = match port.control() {
            Ok(control) => control,
            Err(error) => return Err((Refusal::Failed(fault::chain(&error)), asked)),
        };
        port.discard_output();
        self.discard(typing);
        let cut = CancellationToken::new();
        self.breaking = Some(cut.clone());
        let (gate, broken) = (self.book.gate.clone(), self.broken.clone());
        let held = breaks::hold(control, gate, length, cut, asked, broken);
        self.context.tracker.spawn(held);
        Ok(())
    }

    pub(super) fn break_stage(&mut self, stage: Stage) {
        match stage {
            Stage::Begun(asker) => {
                self.standing.send_modify(|state| state.breaking = true);
                self.changed();
                if let Some(reply) = asker {
                    drop(reply.send(Ok(self.line_reply())));
                }
            }
            Stage::Over(over) => self.break_over(over),
        }
    }

    fn break_over(&mut self, over: Over) {
        self.breaking = None;
        self.standing.send_modify(|state| state.breaking = false);
        self.changed();
        for reply in std::mem::take(&mut self.break_enders) {
            drop(reply.send(Ok(self.line_reply())));
        }
        let Asked { user, answer } = over.asked;
        if let Some(fault) = over.fault {
            tracing::warn!(console = self.name, fault, "no break");
            let text = format!("no break was sent: {fault}");
            self.desk.tell_all(&text);
            answer.refuse(Refusal::Failed(text));
            return;
        }
        let millis = u64::try_from(over.length.as_millis()).unwrap_or(u64::MAX);
        self.desk
            .tell_all(&format!("{user} sent a break of {millis} ms"));
        let event = Kind::BreakSent {
            console: self.name.clone(),
            user,
            millis,
        };
        let then = match answer {
            Answer::Over(reply) => Then::Reply(reply),
            Answer::Never | Answer::Begun(_) => Then::Nothing,
        };
        self.publish(event, then);
    }
}
