//! The SOAP interface from before WS-Man (Intel "Network Interface Guide"), as much as Debian's `amttool` asks for.

use crate::Shared;
use crate::http::Answer;

pub fn answer(_machine: &Shared, _path: &str, _text: &str) -> Answer {
    (404, String::new())
}
