//! What an AMT device sends that called in: nothing panics, how the network cuts it changes nothing, and no text and no data is
//! longer than what is promised to be kept.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oobd_fuzz::Reads;
use oobd_fuzz::amt::apf::message::{Bad, Message, Splitter, WINDOW};

/// The messages, and why it ended.
fn split<'a>(reads: impl Iterator<Item = &'a [u8]>) -> (Vec<Message>, Option<Bad>) {
    let (mut splitter, mut found) = (Splitter::default(), Vec::new());
    for read in reads {
        splitter.push(read);
        loop {
            match splitter.next_message() {
                Ok(Some(message)) => found.push(message),
                Ok(None) => break,
                Err(bad) => return (found, Some(bad)),
            }
        }
    }
    (found, None)
}

fuzz_target!(|data: &[u8]| {
    let whole: Vec<u8> = Reads::new(data, 64).flat_map(|(_, read)| read.to_vec()).collect();
    let cut = split(Reads::new(data, 64).map(|(_, read)| read));
    assert_eq!(cut, split(std::iter::once(&whole[..])));
    for message in cut.0 {
        match message {
            Message::ServiceRequest { name } => assert!(name.len() <= 256),
            Message::SignIn { user, password } => assert!(user.len() <= 256 && password.unwrap_or_default().len() <= 256),
            Message::Data { data, .. } => assert!(data.len() <= WINDOW as usize),
            _ => {}
        }
    }
});
