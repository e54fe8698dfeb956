//! What devices that switch power answer.

#[path = "../../src/power/driver.rs"]
pub mod driver;
#[path = "../../src/power/powerman/reply.rs"]
mod reply;
#[path = "../../src/power/nut/words.rs"]
mod words;

use driver::OutletReading;
use words::{Abilities, Variables};

/// The lines of a `upsd`, as words; what they say of outlets; and the first refusal among them.
pub fn nut(lines: &str) -> (Vec<Vec<String>>, Vec<OutletReading>, Option<String>) {
    let (mut all, mut fault) = (Vec::new(), None);
    let (mut variables, mut can) = (Variables::new(), Abilities::default());
    for line in lines.lines() {
        match words::good(line) {
            Ok(words) => {
                if let [_, name, value, ..] = words.as_slice() {
                    variables.insert(name.clone(), value.clone());
                    can.commands.insert(name.clone());
                }
                all.push(words);
            }
            Err(error) => fault = Some(error.to_string()),
        }
    }
    (all, words::outlets(&variables, &can), fault)
}

/// A word as it is sent, read back.
pub fn requoted(word: &str) -> Vec<String> {
    words::split(&words::quote(word)).unwrap_or_default()
}

/// The outlets of a reply of powermand once it is whole, or why it is none.
pub fn powerman(lines: &str) -> Result<Option<Vec<OutletReading>>, String> {
    let mut whole = reply::Reply::default();
    for line in lines.lines() {
        if whole.take(line)? {
            return Ok(Some(reply::outlets(&whole)));
        }
    }
    Ok(None)
}
