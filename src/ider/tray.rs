//! What is inserted for a machine: the files, who did it, and what has gone over the drives in all sessions so far.

use std::path::Path;

use tokio::task::spawn_blocking;

use crate::amt::redirect::ider::{Ider, Kind as Drive, Medium, Moved, Start};
use crate::clock::Timestamp;
use crate::command::Command;
use crate::event::Kind;
use crate::fact::{self, IderDrive, IderPhase};
use crate::file::{IMAGES, inside};
use crate::machine::amt::IderStart;

/// A medium that is in.
struct Slot {
    file: String,
    medium: Medium,
    /// In the sessions before this one.
    before: Moved,
}

pub(super) struct Tray {
    by: String,
    inserted_at: Timestamp,
    phase: IderPhase,
    since: Timestamp,
    why: String,
    cd: Option<Slot>,
    floppy: Option<Slot>,
}

impl Tray {
    /// Opens the files that the command names. The text of an error is for a person.
    pub(super) async fn load(
        state: &Path,
        command: Command,
        by: String,
    ) -> Result<(Self, Start), String> {
        let Command::InsertIder {
            cd,
            floppy,
            writable,
            start,
            ..
        } = command
        else {
            return Err("this inserts nothing".into());
        };
        if cd.is_none() && floppy.is_none() {
            return Err("neither a CD nor a floppy is named".into());
        }
        if writable && floppy.is_none() {
            return Err("only a floppy can be written to, and none is named".into());
        }
        let images = state.join(IMAGES);
        let opening = spawn_blocking(move || {
            let cd = slot(&images, cd, Drive::Cd, false)?;
            Ok((cd, slot(&images, floppy, Drive::Floppy, writable)?))
        });
        let opened = opening.await.map_err(|error| error.to_string()).flatten();
        let (cd, floppy) = opened?;
        let now = Timestamp::now();
        let tray = Self {
            by,
            inserted_at: now,
            phase: IderPhase::Opening,
            since: now,
            why: String::new(),
            cd,
            floppy,
        };
        let start = match start {
            IderStart::Now => Start::Now,
            IderStart::Graceful => Start::Graceful,
            IderStart::Reboot => Start::Reboot,
        };
        Ok((tray, start))
    }

    pub(super) fn by(&self) -> &str {
        &self.by
    }

    /// For a sentence.
    pub(super) fn files(&self) -> String {
        let slots = [&self.cd, &self.floppy];
        let names: Vec<&str> = slots
            .into_iter()
            .flatten()
            .map(|slot| slot.file.as_str())
            .collect();
        names.join(" and ")
    }

    /// Of the CD and the floppy, those that the machine has not ejected.
    pub(super) fn media(&self) -> (Option<Medium>, Option<Medium>) {
        let medium = |slot: &Option<Slot>| {
            let slot = slot.as_ref().filter(|slot| !slot.before.out)?;
            Some(slot.medium.clone())
        };
        (medium(&self.cd), medium(&self.floppy))
    }

    /// `why` stays as it was when it is not given.
    pub(super) fn turn(&mut self, phase: IderPhase, why: Option<String>) {
        (self.phase, self.since) = (phase, Timestamp::now());
        if let Some(why) = why {
            self.why = why;
        }
    }

    pub(super) fn opened(&self, machine: &str) -> Kind {
        let file = |slot: &Option<Slot>| slot.as_ref().map(|slot| slot.file.clone());
        let floppy = self.floppy.as_ref();
        Kind::IderOpened {
            machine: machine.to_owned(),
            cd: file(&self.cd),
            floppy: file(&self.floppy),
            writable: floppy.is_some_and(|slot| slot.medium.is_writable()),
            by: self.by.clone(),
        }
    }

    /// Adds what has gone over a session that ends.
    pub(super) fn count(&mut self, ider: &Ider) {
        for (slot, drive) in [(&mut self.cd, Drive::Cd), (&mut self.floppy, Drive::Floppy)] {
            if let Some(slot) = slot {
                slot.before = sum(slot.before, ider.moved(drive));
            }
        }
    }

    /// Bytes read and written in the sessions that have ended.
    pub(super) fn moved(&self) -> (u64, u64) {
        let slots = [&self.cd, &self.floppy];
        let moved = slots.into_iter().flatten().map(|slot| slot.before);
        moved.fold((0, 0), |(read, written), one| {
            (read + one.read, written + one.written)
        })
    }

    pub(super) fn fact(&self, machine: &str, ider: Option<&Ider>) -> fact::Ider {
        let drive = |slot: &Option<Slot>, kind: Drive| {
            let slot = slot.as_ref()?;
            let now = ider.map(|ider| ider.moved(kind)).unwrap_or_default();
            let moved = sum(slot.before, now);
            Some(IderDrive {
                file: slot.file.clone(),
                bytes: slot.medium.length(),
                writable: slot.medium.is_writable(),
                out: moved.out,
                read: moved.read,
                written: moved.written,
                last_block: moved.last,
            })
        };
        fact::Ider {
            machine: machine.to_owned(),
            phase: self.phase,
            since: self.since,
            why: self.why.clone(),
            by: self.by.clone(),
            inserted_at: self.inserted_at,
            cd: drive(&self.cd, Drive::Cd),
            floppy: drive(&self.floppy, Drive::Floppy),
        }
    }
}

/// `now` comes after `before`.
fn sum(before: Moved, now: Moved) -> Moved {
    Moved {
        read: before.read + now.read,
        written: before.written + now.written,
        last: now.last.or(before.last),
        out: now.out || before.out,
    }
}

/// Opens one file. Blocks.
fn slot(
    images: &Path,
    file: Option<String>,
    drive: Drive,
    writable: bool,
) -> Result<Option<Slot>, String> {
    let Some(file) = file else { return Ok(None) };
    let images_dir = images.display();
    let Some(path) = inside(images, &file) else {
        let file = file.escape_debug();
        return Err(format!("{file} is no name of a file in {images_dir}"));
    };
    let medium = Medium::open(&path, drive, writable)
        .map_err(|error| format!("cannot use {}: {error}", path.display()))?;
    Ok(Some(Slot {
        file,
        medium,
        before: Moved::default(),
    }))
}
