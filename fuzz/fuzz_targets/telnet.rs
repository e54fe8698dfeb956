//! The telnet and RFC 2217 codec: splits change nothing, what is written is read back the same, two ends that answer each
//! other fall silent, and what a peer sends costs bounded memory.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use oobd_fuzz::Reads;
use oobd_fuzz::telnet::comport::{Message, Side};
use oobd_fuzz::telnet::{
    BINARY, COM_PORT, ECHO, Fold, IAC, Item, LONGEST_SUB, NAWS, Options, Parser, SGA, Unfold, Verb, escape, window_size,
};

/// All items of these reads, neighbouring data as one.
fn items(reads: impl Iterator<Item = Bytes>) -> Vec<Item> {
    let mut parser = Parser::default();
    let (mut items, mut data) = (Vec::new(), Vec::new());
    for mut input in reads {
        while let Some(item) = parser.next(&mut input) {
            if let Item::Data(piece) = &item {
                assert!(!piece.is_empty());
                data.extend_from_slice(piece);
                continue;
            }
            if !data.is_empty() {
                items.push(Item::Data(std::mem::take(&mut data).into()));
            }
            items.push(item);
        }
        assert!(input.is_empty(), "the parser left something");
    }
    if !data.is_empty() {
        items.push(Item::Data(data.into()));
    }
    items
}

/// A message that was understood is written and read back as the same.
fn comport(payload: &[u8]) {
    for side in [Side::Client, Side::Server] {
        let Some(message) = Message::parse(side, payload) else { continue };
        let mut wire = Vec::new();
        message.write(side, &mut wire);
        match &items([wire.into()].into_iter())[..] {
            [Item::Sub(COM_PORT, again)] => assert_eq!(Message::parse(side, again).as_ref(), Some(&message)),
            // A signature may be as long as the longest payload; with its code it still fits.
            other => panic!("{message:?} was written as {other:?}"),
        }
    }
}

/// The peer's words to one end, and its answers to another end and back, until nobody has more to say.
fn negotiate(words: &[(Verb, u8)]) {
    let mut near = Options::new(&[BINARY, ECHO, SGA, COM_PORT], &[BINARY, SGA, NAWS, COM_PORT]);
    let mut far = Options::new(&[BINARY, NAWS], &[BINARY, ECHO, SGA]);
    for (at, &(verb, option)) in words.iter().enumerate() {
        let mut said = match at % 4 {
            1 => near.offer(option, verb == Verb::Will),
            3 => near.ask(option, verb == Verb::Do),
            _ => near.hear(verb, option).answer,
        };
        let mut rounds = 0;
        while let Some((verb, option)) = said {
            said = far.hear(verb, option).answer.and_then(|(verb, option)| near.hear(verb, option).answer);
            rounds += 1;
            assert!(rounds < 8, "two ends never fall silent over option {option}");
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let all: Bytes = Reads::new(data, 64).flat_map(|(_, read)| read.to_vec()).collect();
    let whole = items([all.clone()].into_iter());
    let split = Reads::new(data, 64).map(|(_, read)| Bytes::copy_from_slice(read));
    assert_eq!(whole, items(split), "a split changed what was said");
    let single = (0..all.len()).map(|at| all.slice(at..=at));
    assert_eq!(whole, items(single), "single bytes changed what was said");

    let mut words = Vec::new();
    for item in &whole {
        match item {
            Item::Data(_) => {}
            Item::Command(byte) => assert!(*byte != IAC && Verb::from_byte(*byte).is_none()),
            Item::Negotiate(verb, option) => words.push((*verb, *option)),
            Item::Sub(option, payload) => {
                assert!(payload.len() <= LONGEST_SUB);
                match *option {
                    NAWS => assert_eq!(window_size(payload).is_some(), payload.len() == 4),
                    COM_PORT => comport(payload),
                    _ => {}
                }
            }
        }
    }
    negotiate(&words);
    comport(&all[..all.len().min(LONGEST_SUB)]);

    // Data survives the way out and in again.
    let mut wire = Vec::new();
    escape(&all, &mut wire);
    let back = items([wire.into()].into_iter());
    match &back[..] {
        [] => assert!(all.is_empty()),
        [Item::Data(back)] => assert_eq!(*back, all),
        other => panic!("data became {other:?}"),
    }
    let (mut fold, mut split) = (Fold::default(), Fold::default());
    let folded = fold.fold(all.clone());
    let pieces: Vec<u8> = Reads::new(data, 64).flat_map(|(_, read)| split.fold(Bytes::copy_from_slice(read))).collect();
    assert_eq!(folded, pieces, "a split changed the line ends");
    let (mut unfold, mut out) = (Unfold::default(), Vec::new());
    for (_, read) in Reads::new(data, 64) {
        unfold.unfold(read, &mut out);
    }
    // The client takes the NUL after each CR away.
    let mut after_cr = false;
    out.retain(|&byte| !(std::mem::replace(&mut after_cr, byte == b'\r') && byte == 0));
    assert_eq!(out[..], all[..], "a client without BINARY would not get the device's bytes back");
});
