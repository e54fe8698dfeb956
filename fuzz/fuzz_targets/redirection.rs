//! What an AMT device sends in a redirection session: nothing panics, every byte is in one message or waits for the rest of
//! its own, and how the network cuts it changes nothing. What a host asks of our drives stays on the medium.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oobd_fuzz::Reads;
use oobd_fuzz::amt::redirect::auth;
use oobd_fuzz::amt::redirect::message::{Bad, Service, Splitter, kind};
use oobd_fuzz::amt::redirect::scsi::{Act, Drive, Kind, Span};

/// The messages, what is left, and why it ended.
fn split<'a>(service: Service, reads: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, Result<usize, Bad>) {
    let mut splitter = Splitter::new(service);
    let mut found = Vec::new();
    for read in reads {
        splitter.push(read);
        loop {
            match splitter.next_message() {
                Ok(Some(message)) => {
                    if let Some(challenge) = auth::challenge(&message) {
                        let _ = auth::answer("admin", "password", &challenge, "cnonce");
                    }
                    found.push(message.bytes().to_vec());
                }
                Ok(None) => break,
                Err(bad) => return (found, Err(bad)),
            }
        }
    }
    (found, Ok(splitter.into_rest().len()))
}

/// Has two drives answer the commands among these.
fn drive(messages: &[Vec<u8>]) {
    const BLOCKS: u32 = 100;
    let mut cd = Drive::new(Kind::Cd, Some(BLOCKS), false);
    let mut floppy = Drive::new(Kind::Floppy, Some(BLOCKS), true);
    for message in messages.iter().filter(|message| message[0] == kind::IDER_COMMAND) {
        let kind = Kind::of(message[14]);
        let drive = if kind == Kind::Cd { &mut cd } else { &mut floppy };
        match drive.answer(&message[16..]) {
            Act::Read(Span { at, length }) | Act::Write(Span { at, length }) => {
                assert!(length > 0 && at + length <= u64::from(BLOCKS * kind.block()));
            }
            Act::Say(said) => assert!(!said.is_empty() && said.len() < 256),
            Act::Good | Act::Fail(_) => {}
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&kind, data)) = data.split_first() else { return };
    let service = [Service::Sol, Service::Kvm, Service::Ider][usize::from(kind % 3)];
    let whole: Vec<u8> = Reads::new(data, 64).flat_map(|(_, read)| read.to_vec()).collect();
    let cut = split(service, Reads::new(data, 64).map(|(_, read)| read));
    let at_once = split(service, std::iter::once(&whole[..]));
    assert_eq!(cut, at_once);
    drive(&cut.0);
    if let Ok(left) = cut.1 {
        assert_eq!(cut.0.iter().map(Vec::len).sum::<usize>() + left, whole.len());
    }
});
