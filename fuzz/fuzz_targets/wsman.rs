//! Replies of an Intel AMT device: whatever it sends, the reader ends, keeps within its limits, and what is written back of it
//! is read again as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oobd_fuzz::amt::wsman::envelope::{answer, body, request, written};
use oobd_fuzz::amt::wsman::xml::{Element, escaped, parse};

/// Longest way from the root to a leaf that the reader takes.
const DEPTH: usize = 32;

fn depth(element: &Element) -> usize {
    1 + element.children.iter().map(depth).max().unwrap_or(0)
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let quoted = parse(&format!("<a k=\"{0}\">{0}</a>", escaped(&text)));
    assert!(quoted.is_ok(), "what is escaped is no XML");
    let Ok(root) = parse(&text) else { return };
    assert!(depth(&root) <= DEPTH, "too deep");
    let _ = (root.number("ReturnValue"), root.flag("NoMoreRecords"), root.attribute("Name"));
    let Ok(Some(found)) = answer(root) else { return };
    // Names come from the device's own schema: what would not stand in a tag is not one.
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !plain(&found.name) || !found.children.iter().all(|child| plain(&child.name) && !child.name.is_empty()) {
        return;
    }
    let fields = written(&found, &[("BIOSSetup", "true")], &["OptionsCleared"]);
    let text = request("act", "urn:x", 1, &[("Name", "x")], &body("c", "urn:x", &fields));
    let Ok(Ok(Some(again))) = parse(&text).map(answer) else { panic!("what was written is no request: {text}") };
    assert!(again.children.len() <= found.children.len());
});
