//! The codecs against what zlib and a firmware make, cut at every byte, and against anything.

use proptest::prelude::*;

use super::frame::{Frame, Picture};
use super::inflate::Inflate;
use super::{Bad, Client, Format, Input, Server, png, zrle};

/// Of zlib 1.2.13, level 9 with two sync flushes, and with the strategy of fixed codes: some letters, a thousand x, every
/// byte.
const FIRST: &str = concat!(
    "78daec8fc101043108025ba135c022aefc1b769bb8c7e5118de2481a49714e77aa2e67b5142d32de896dd9f44a98ce37397d8a560ac1d1",
    "66ba118f661806094c0d65b6ac1ca1e93274ab31def2d83a5f079a07a2076641dfc6d1405762e7e91142c6b681a09ffa610eae5d79b461",
    "c16355831c43b8e33fcec864c3ced6bddb6ea09b8961f9d71cf4fcf99f9f3a5f000000ffff",
);
const SECOND: &str = concat!(
    "1a05a38016808191899985958d9d83938b9b87978f5f4050485844544c5c42524a5a46564e5e4151495945554d5d43534b5b47574fdfc0",
    "d0c8d8c4d4ccdcc2d2cadac6d6cedec1d1c9d9c5d5cdddc3d3cbdbc7d7cf3f2030283824342c3c22322a3a26362e3e015822a5a4a6a567",
    "646665e7e4e6e5171416159794969557545655d7d4d6d537343635b7b4b6b577747675f7f4f6f54f983869f294a9d3a6cf98396bf69cb9",
    "f3e62f58b868f192a5cb96af58b96af59ab5ebd66fd8b869f396addbb6efd8b96bf79ebdfbf61f3878e8f091a3c78e9f3879eaf499b3e7",
    "ce5fb878e9f295abd7aedfb879ebf69dbbf7ee3f78f8e8f193a7cf9ebf78f9eaf59bb7efde7ff8f8e9f397afdfbefff8f9ebf79fbffffe",
    "03000000ffff",
);
const FIXED: &str = concat!(
    "78014b4e525050484a4c4a51484951485648494a4954484e060a262a0059407e52526262a2426222502e194881d425a6809403e5818289",
    "0a49c94013129314407a92415a1241a62502cd48041a09344c213909280cb405249ca40054930c6201d581c480da9393811c90758929c9",
    "2083406e00d289208381162443245280124075c9403a19e426b042a0c9406727020d01aa07a9069b09325c01442481d526012d003b5501",
    "64480a5013d07540ff2426814c06b240c6829c9502b12d0564500ac811206381fe02b9203925b162148c825130ec01032313330b2b1b3b",
    "072717370f2f1fbf80a090b088a898b884a494b48cac9cbc82a292b28aaa9aba86a696b68eae9ebe81a191b189a999b985a595b58dad9d",
    "bd83a393b38bab9bbb87a797b78faf9f7f4060507048685878446454744c6c5c7c02b0444a494d4bcfc8cccacec9cdcb2f282c2a2e292d",
    "2bafa8acaaaea9adab6f686c6a6e696d6befe8eceaeee9edeb9f3071d2e42953a74d9f3173d6ec3973e7cd5fb070d1e2254b972d5fb172",
    "d5ea356bd7addfb071d3e62d5bb76ddfb173d7ee3d7bf7ed3f70f0d0e123478f1d3f71f2d4e93367cf9dbf70f1d2e52b57af5dbf71f3d6",
    "ed3b77efdd7ff0f0d1e3274f9f3d7ff1f2d5eb376fdfbdfff0f1d3e72f5fbf7dfff1f3d7ef3f7ffffd07003536aff8",
);
const LETTERS: &str = concat!(
    "63622020206261626420646420632064626461206363622020612064612020646262626161612061616320646320616164206464616462",
    "64206420646161632061206263202020616220622020616361202064616162642061636220616464202063632063626120202020626264",
    "20616220636120636264206164616120206262626320636361646120646120616463616220626264612061622061632020202061206361",
    "20616463616420626261646163642062636261616162206262646261206420636162632062206120202061612020626220616461202061",
    "64616220626362616263636161632061202061642062646462616163626320646162612061646263206164616363612063642061206361",
    "20642020206164646120616320622062202063612061636461",
);

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .map(|digit| char::from(digit).to_digit(16).unwrap().try_into().unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn plain() -> Vec<u8> {
    let every: Vec<u8> = (0..=255).collect();
    [bytes(LETTERS), vec![b'x'; 1000], every].concat()
}

#[test]
fn a_stream_is_inflated_however_it_is_cut() {
    let whole = [bytes(FIRST), bytes(SECOND)].concat();
    for size in [1, 2, 3, 7, 100, whole.len()] {
        let mut inflate = Inflate::default();
        let pieces = whole
            .chunks(size)
            .map(|piece| inflate.feed(piece, 4096).unwrap());
        assert_eq!(pieces.collect::<Vec<_>>().concat(), plain(), "{size}");
    }
    let mut inflate = Inflate::default();
    assert_eq!(
        inflate.feed(&bytes(FIRST), 4096).unwrap(),
        plain()[..700],
        "a flush gives all that there is"
    );
    assert_eq!(
        Inflate::default().feed(&bytes(FIXED), 4096).unwrap(),
        plain()
    );
    assert_eq!(
        Inflate::default().feed(&whole, 100),
        Err(Bad::Long("compressed data"))
    );
}

/// The bytes of a firmware until it shows its screen: 800 by 600, RGB565 (MeshCommander#91).
fn greeting() -> Vec<u8> {
    let mut said = b"RFB 004.000\n\x02\x01\x80\0\0\0\0".to_vec();
    said.extend([3, 0x20, 2, 0x58]);
    said.extend(Format::RGB565.encode());
    said.extend(b"\0\0\0\x10Intel(r) AMT KVM");
    said
}

/// Place, size, encoding, data.
type Rectangle = (u16, u16, u16, u16, i32, Vec<u8>);

/// An update of these rectangles.
fn update(rectangles: &[Rectangle]) -> Vec<u8> {
    let mut said = vec![0, 0, 0, u8::try_from(rectangles.len()).unwrap()];
    for (x, y, width, height, kind, data) in rectangles {
        said.extend(
            [x, y, width, height]
                .into_iter()
                .flat_map(|number| number.to_be_bytes()),
        );
        said.extend(kind.to_be_bytes());
        said.extend(data);
    }
    said
}

/// ZRLE of these bytes in a stored block.
fn stored(first: bool, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let mut out = if first { vec![0x78, 1] } else { Vec::new() };
    out.push(0);
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(data);
    let count = u32::try_from(out.len()).unwrap();
    [&count.to_be_bytes()[..], &out].concat()
}

const RED: u32 = 0x00ff_0000;
const BLUE: u32 = 0x0000_00ff;
const WHITE: u32 = 0x00ff_ffff;

/// Raw, and every kind of tile of ZRLE, then another size.
fn session() -> Vec<u8> {
    let (red, blue, white) = ([0, 0xf8], [0x1f, 0], [0xff, 0xff]);
    let solid = [&[1][..], &red].concat();
    let packed = [&[2][..], &red, &blue, &[0b1000_0000, 0b0100_0000]].concat();
    let runs = [&[128][..], &white, &[2], &blue, &[0]].concat();
    let indexed = [&[130][..], &red, &white, &[0x81, 1, 0x00, 0x00]].concat();
    let raw = [&[0][..], &red, &blue].concat();
    [
        greeting(),
        update(&[
            (0, 0, 2, 1, 0, [red, blue].concat()),
            (64, 0, 3, 2, 16, stored(true, &solid)),
        ]),
        update(&[
            (0, 10, 2, 2, 16, stored(false, &packed)),
            (4, 10, 4, 1, 16, stored(false, &runs)),
            (8, 10, 4, 1, 16, stored(false, &indexed)),
            (12, 10, 2, 1, 16, stored(false, &raw)),
        ]),
    ]
    .concat()
}

fn row(frame: &Frame, x: usize, y: usize, count: usize) -> Vec<u32> {
    frame.row(x, y, count).to_vec()
}

#[test]
fn a_screen_is_drawn_however_the_network_cuts_it() {
    let said = session();
    for size in [1, 3, said.len()] {
        let (mut client, mut frame) = (Client::default(), Frame::default());
        let mut updates = 0;
        let mut answers = Vec::new();
        for piece in said.chunks(size) {
            updates += client.feed(piece, &mut frame).unwrap();
            client.go_on(&frame);
            answers.extend(client.said());
        }
        assert!(!client.is_done());
        assert_eq!((updates, frame.size()), (2, (800, 600)));
        assert_eq!(row(&frame, 0, 0, 3), [RED, BLUE, 0]);
        assert_eq!(row(&frame, 63, 1, 5), [0, RED, RED, RED, 0]);
        assert_eq!(
            [row(&frame, 0, 10, 2), row(&frame, 0, 11, 2)].concat(),
            [BLUE, RED, RED, BLUE]
        );
        assert_eq!(row(&frame, 4, 10, 4), [WHITE, WHITE, WHITE, BLUE]);
        assert_eq!(row(&frame, 8, 10, 4), [WHITE, WHITE, RED, RED]);
        assert_eq!(row(&frame, 12, 10, 2), [RED, BLUE]);
        assert!(answers.starts_with(b"RFB 003.008\n\x01\x01\0\0\0\0"));
        // Whole at first, then what changes.
        assert!(answers.ends_with(&[3, 1, 0, 0, 0, 0, 3, 0x20, 2, 0x58]));
    }
}

#[test]
fn another_size_is_asked_for_as_a_whole() {
    let (mut client, mut frame) = (Client::default(), Frame::default());
    client.feed(&session(), &mut frame).unwrap();
    client.said();
    client
        .feed(&update(&[(0, 0, 3840, 2160, -223, vec![])]), &mut frame)
        .unwrap();
    assert_eq!(frame.size(), (3840, 2160));
    assert!(client.is_done());
    client.go_on(&frame);
    let said = client.said();
    // Too many pixels for sixteen bits each.
    assert_eq!(said[4..20], Format::RGB332.encode());
    assert!(said.ends_with(&[3, 0, 0, 0, 0, 0, 0x0f, 0, 8, 0x70]));
    client
        .feed(&update(&[(1, 0, 2, 1, 0, vec![0xe0, 0x03])]), &mut frame)
        .unwrap();
    assert_eq!(row(&frame, 0, 0, 4), [0, RED, BLUE, 0]);
}

#[test]
fn what_is_no_screen_ends_it() {
    let after = |said: &[u8]| {
        let (mut client, mut frame) = (Client::default(), Frame::default());
        client
            .feed(&[&session()[..], said].concat(), &mut frame)
            .unwrap_err()
    };
    assert_eq!(after(&update(&[(799, 0, 2, 1, 0, vec![])])), Bad::Edge);
    assert_eq!(
        after(&update(&[(0, 0, 0, 9, -223, vec![])])),
        Bad::Size(0, 9)
    );
    assert_eq!(
        after(&update(&[(0, 0, 65535, 65535, -223, vec![])])),
        Bad::Size(65535, 65535)
    );
    assert_eq!(after(&update(&[(0, 0, 1, 1, 7, vec![])])), Bad::Encoding(7));
    assert_eq!(
        after(&update(&[(
            0,
            0,
            2,
            2,
            16,
            stored(false, &[128, 0, 0, 255, 255])
        )])),
        Bad::Tile
    );
    assert_eq!(after(&[9]), Bad::Kind(9));
    let mut client = Client::default();
    let refused = client.feed(b"RFB 003.008\n\0\0\0\0\x02no", &mut Frame::default());
    assert_eq!(refused, Err(Bad::Refused("no".into())));
}

/// A viewer that has shaken hands and wants these bytes.
fn viewer_of(frame: &Frame, said: &[u8]) -> Server {
    let mut server = Server::new("db1");
    server.feed(b"RFB 003.008\n\x01\x01", frame).unwrap();
    server.feed(said, frame).unwrap();
    server
}

/// The same, of a screen of 800×600.
fn viewer(frame: &Frame, said: &[u8]) -> Server {
    let mut server = viewer_of(frame, &[]);
    let greeted = server.said();
    assert!(greeted.starts_with(b"RFB 003.008\n\x01\x01\0\0\0\0\x03\x20\x02\x58"));
    assert!(greeted.ends_with(b"\0\0\0\x03db1"));
    server.feed(said, frame).unwrap();
    server
}

const ZRLE: [u8; 8] = [2, 0, 0, 1, 0, 0, 0, 16];
const ALL: [u8; 10] = [3, 0, 0, 0, 0, 0, 3, 0x20, 2, 0x58];
const MORE: [u8; 10] = [3, 1, 0, 0, 0, 0, 3, 0x20, 2, 0x58];

#[test]
fn a_viewer_gets_all_of_it_and_then_what_changes() {
    let (mut client, mut frame) = (Client::default(), Frame::default());
    client.feed(&session(), &mut frame).unwrap();
    let mut server = viewer(&frame, &ALL);
    // A client that draws what another one was sent draws the same.
    let mut seen = 0;
    while let Some(update) = server.update(&frame) {
        assert_eq!(update[..2], [0, 0]);
        seen += u16::from_be_bytes([update[2], update[3]]);
        assert!(update.len() < 160 * 1024);
        server.feed(&MORE, &frame).unwrap();
    }
    assert_eq!(seen, 13 * 10, "every tile once");
    client
        .feed(&update(&[(70, 70, 1, 1, 0, vec![0x1f, 0])]), &mut frame)
        .unwrap();
    let update = server.update(&frame).unwrap();
    assert_eq!(
        update[..16],
        [0, 0, 0, 1, 0, 64, 0, 64, 0, 64, 0, 64, 0, 0, 0, 0]
    );
    let pixel = 16 + (6 * 64 + 6) * 4;
    assert_eq!(update[pixel..pixel + 4], [0xff, 0, 0, 0]);
    assert_eq!(server.update(&frame), None, "it has not asked again");
}

/// What a viewer of this format shows after these updates, all of them ZRLE.
fn drawn(updates: &[Vec<u8>], format: Format, frame: &mut Frame) {
    let mut inflate = Inflate::default();
    for update in updates {
        let number = |at: usize| usize::from(u16::from_be_bytes([update[at], update[at + 1]]));
        let mut at = 4;
        for _ in 0..number(2) {
            let place = (number(at), number(at + 2), number(at + 4), number(at + 6));
            assert_eq!(update[at + 8..at + 12], [0, 0, 0, 16]);
            let length = number(at + 12) << 16 | number(at + 14);
            let plain = inflate.feed(&update[at + 16..at + 16 + length], 1 << 20);
            zrle::draw(&plain.unwrap(), format, place, frame).unwrap();
            at += 16 + length;
        }
        assert_eq!(at, update.len());
    }
}

/// A frame with tiles of one colour, of few, of sixteen, of seventeen and of many.
fn motley() -> Frame {
    let mut frame = Frame::default();
    frame.resize(333, 70).unwrap();
    let blue = |number: usize| u32::try_from(number % 32 * 255 / 31).unwrap();
    for line in 0..70 {
        let colours = |x: usize| match x / 64 {
            0 => blue(7),
            1 => blue(x % 3),
            2 => blue(x % 16),
            3 => blue(x % 17),
            4 => blue(x % 2) << 16,
            _ => blue(x * line) << 16 | blue(x + line),
        };
        frame.put(0, line, &(0..333).map(colours).collect::<Vec<_>>());
    }
    frame
}

#[test]
fn a_viewer_that_would_rather_have_it_gets_zrle_and_draws_the_same() {
    for format in [Format::RGB565, Format::RGB332] {
        let frame = motley();
        let wants = [&[0, 0, 0, 0][..], &format.encode(), &ZRLE, &ALL].concat();
        let mut server = viewer_of(&frame, &wants);
        let mut updates = Vec::new();
        while let Some(update) = server.update(&frame) {
            updates.push(update);
            server.feed(&MORE, &frame).unwrap();
        }
        let mut shown = Frame::default();
        shown.resize(333, 70).unwrap();
        drawn(&updates, format, &mut shown);
        for line in 0..70 {
            let coarse = |colour: &u32| {
                let mut bytes = Vec::new();
                format.write(&[*colour], &mut bytes);
                format.read(&bytes)
            };
            let wanted: Vec<u32> = frame.row(0, line, 333).iter().map(coarse).collect();
            assert_eq!(shown.row(0, line, 333), wanted, "line {line}");
        }
        let bytes: usize = updates.iter().map(Vec::len).sum();
        assert!(bytes < 333 * 70 * format.bytes / 2, "{bytes} bytes");
    }
}

#[test]
fn the_byte_that_no_colour_uses_is_left_out() {
    let compact = |format: Format| {
        let mut bytes = Vec::new();
        format.write_parts(&[0x0011_2233], format.compact(), &mut bytes);
        bytes
    };
    let rgb = Format::RGB888;
    assert_eq!(compact(rgb), [0x33, 0x22, 0x11]);
    let big_endian = true;
    assert_eq!(compact(Format { big_endian, ..rgb }), [0x11, 0x22, 0x33]);
    let shift = [24, 16, 8];
    assert_eq!(compact(Format { shift, ..rgb }), [0x33, 0x22, 0x11]);
    let shift = [24, 8, 0];
    assert_eq!(compact(Format { shift, ..rgb }), [0x33, 0x22, 0, 0x11]);
    assert_eq!(compact(Format { depth: 32, ..rgb }), [0x33, 0x22, 0x11, 0]);
    assert_eq!(compact(Format::RGB332).len(), 1);
}

#[test]
fn what_a_viewer_names_first_is_what_it_gets() {
    let frame = motley();
    let of = |list: &[u8]| {
        let said = [list, &ALL].concat();
        viewer_of(&frame, &said).update(&frame).unwrap()[15]
    };
    assert_eq!(of(&ZRLE), 16);
    assert_eq!(of(&[2, 0, 0, 2, 0, 0, 0, 16, 0, 0, 0, 0]), 16);
    assert_eq!(of(&[2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 16]), 0);
    assert_eq!(of(&[2, 0, 0, 1, 0, 0, 0, 7]), 0, "Raw is for all");
}

#[test]
fn a_screen_that_changes_all_the_time_is_shown_to_its_lower_edge() {
    let mut frame = Frame::default();
    frame.resize(800, 600).unwrap();
    let mut server = viewer(&frame, &ALL);
    let mut bottom = 0;
    // Fifteen updates are one picture.
    for round in 1..=30_u32 {
        for line in 0..600 {
            frame.put(0, line, &[round; 800]);
        }
        let update = server.update(&frame).unwrap();
        let count = u16::from_be_bytes([update[2], update[3]]);
        let mut at = 4;
        for _ in 0..count {
            let number = |at: usize| usize::from(u16::from_be_bytes([update[at], update[at + 1]]));
            bottom += usize::from(number(at + 2) == 576);
            at += 12 + number(at + 4) * number(at + 6) * 4;
        }
        server.feed(&MORE, &frame).unwrap();
    }
    assert!(bottom >= 13, "{bottom} tiles of the last row");
}

#[test]
fn a_viewer_has_its_own_format_and_does_things() {
    let (mut client, mut frame) = (Client::default(), Frame::default());
    client.feed(&session(), &mut frame).unwrap();
    let mut server = viewer(&frame, &[]);
    let format = [&[0, 0, 0, 0][..], &Format::RGB332.encode()].concat();
    let resizes = [2, 0, 0, 1, 0xff, 0xff, 0xff, 0x21];
    let keys = [
        4, 1, 0, 0, 0, 0, 0xff, 0xe3, 5, 4, 1, 2, 0, 9, 6, 0, 0, 0, 0, 0, 0, 2, b'h', b'i',
    ];
    let said = [&format[..], &resizes, &keys, &ALL].concat();
    let mut did = Vec::new();
    for piece in said.chunks(5) {
        did.extend(server.feed(piece, &frame).unwrap());
    }
    let keysym = 0xffe3;
    assert_eq!(
        did,
        [
            Input::Key { down: true, keysym },
            Input::Pointer {
                buttons: 4,
                x: 258,
                y: 9
            }
        ]
    );
    let update = server.update(&frame).unwrap();
    assert_eq!(update[16..18], [0xe0, 3], "a byte per pixel, red and blue");
    frame.resize(640, 480).unwrap();
    server.feed(&MORE, &frame).unwrap();
    assert_eq!(
        server.update(&frame).unwrap(),
        [
            0, 0, 0, 1, 0, 0, 0, 0, 2, 0x80, 1, 0xe0, 0xff, 0xff, 0xff, 0x21
        ]
    );
    assert_eq!(server.feed(&[77], &frame), Err(Bad::Kind(77)));
}

#[test]
fn a_picture_is_a_png_that_inflates_to_its_rows() {
    let picture = Picture::default();
    let mut client = Client::default();
    client.feed(&session(), &mut picture.lock()).unwrap();
    picture.tell();
    assert_eq!(*picture.updates().borrow(), 1);
    let file = png::encode(&picture.lock());
    assert!(file.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x03\x20\0\0\x02\x58\x08\x02"));
    assert!(file.len() < 40_000, "{} bytes", file.len());
    let data = 8 + 25 + 8;
    let length = u32::from_be_bytes(file[data - 8..data - 4].try_into().unwrap());
    let rows = Inflate::default()
        .feed(
            &file[data..data + usize::try_from(length).unwrap()],
            2 << 20,
        )
        .unwrap();
    assert_eq!(rows.len(), 600 * (1 + 800 * 3));
    assert_eq!(rows[..7], [2, 0xff, 0, 0, 0, 0, 0xff]);
}

proptest! {
    #[test]
    fn nothing_that_anybody_says_panics(bent in any::<prop::sample::Index>(), byte: u8, more in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut said = session();
        *bent.get_mut(&mut said) = byte;
        let mut frame = Frame::default();
        let _ = Client::default().feed(&[said, more.clone()].concat(), &mut frame);
        let _ = Inflate::default().feed(&[&[0x78, 0x9c][..], &more].concat(), 1 << 20);
        let mut frame = Frame::default();
        frame.resize(800, 600).unwrap();
        let mut server = viewer(&frame, &[]);
        let _ = server.feed(&more, &frame);
        let _ = server.update(&frame);
    }
}
