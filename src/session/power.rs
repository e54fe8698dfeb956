//! `~p`: the power of what hangs on a console. The menu is here; how outlets are read and switched a door brings ([`Power`]).

use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::reset::{PowerState, Verb};

/// An outlet that powers the device on a console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    pub pdu: String,
    pub outlet: String,
    /// May be empty.
    pub label: String,
    pub state: PowerState,
    pub in_transition: bool,
}

/// What is being done, and in the end lines about it.
pub type Doing = Pin<Box<dyn Future<Output = Vec<String>> + Send>>;

/// The outlets of consoles as one person may use them.
pub trait Power: Debug + Send + Sync {
    /// Those that are bound to the console and that this person may see, as they stand now.
    fn outlets(&self, console: &str) -> Vec<Bound>;

    /// Has all of them switched with the person's rights and waits for the outcomes. Given up half-way, it is done all the same.
    fn switch(&self, outlets: &[Bound], verb: Verb) -> Doing;
}

/// The menu of one session, and what was ordered by it. Its words are lines for the person.
pub struct Panel {
    console: String,
    power: Option<Arc<dyn Power>>,
    /// Has the keys while it is open.
    menu: Option<Menu>,
    /// Being switched.
    doing: Option<Doing>,
}

impl Debug for Panel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Panel");
        text.field("console", &self.console)
            .field("menu", &self.menu);
        text.finish_non_exhaustive()
    }
}

impl Panel {
    /// Closed. Without `power` the door has none to offer.
    #[must_use]
    pub fn new(console: &str, power: Option<Arc<dyn Power>>) -> Self {
        Self {
            console: console.to_owned(),
            power,
            menu: None,
            doing: None,
        }
    }

    /// Do keys belong to it now?
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.menu.is_some()
    }

    /// Opens it, if there is anything to switch.
    pub fn open(&mut self) -> Vec<String> {
        if self.doing.is_some() {
            return vec!["power: the last order is under way".into()];
        }
        let (menu, lines) = Menu::open(&self.console, self.power.as_ref());
        self.menu = menu;
        lines
    }

    /// Closes it. What was ordered goes on.
    pub fn close(&mut self) {
        self.menu = None;
    }

    /// Gives it keys while it is open, and says what they led to. What follows its end is the device's: the rest comes back.
    pub fn take<'k>(&mut self, keys: &'k [u8]) -> (Vec<String>, &'k [u8]) {
        let (mut lines, mut rest) = (Vec::new(), keys);
        while let Some(menu) = &mut self.menu {
            let Some((key, more)) = rest.split_first() else {
                break;
            };
            rest = more;
            match menu.take(*key) {
                Step::Say(text) => lines.push(format!("power: {text}")),
                Step::Close => {
                    self.menu = None;
                    lines.push("power: left as it is".into());
                }
                Step::Do(verb, outlets) => {
                    self.menu = None;
                    lines.push(format!("power: {verb} …"));
                    let power = self.power.as_ref();
                    self.doing = power.map(|power| power.switch(&outlets, verb));
                }
            }
        }
        (lines, rest)
    }

    /// Waits for the end of what was ordered, for ever if nothing was. Cancel-safe: what is being done is kept.
    pub async fn over(&mut self) -> Vec<String> {
        let Some(doing) = &mut self.doing else {
            return std::future::pending().await;
        };
        let lines = doing.await;
        self.doing = None;
        lines
    }
}

/// An open menu: the keys are its own until it is closed.
#[derive(Debug)]
struct Menu {
    outlets: Vec<Bound>,
    /// Asked for, and to be confirmed.
    wanted: Option<Verb>,
}

/// What a key in the menu leads to.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Say(String),
    /// Closes the menu.
    Do(Verb, Vec<Bound>),
    Close,
}

impl Menu {
    /// The menu and its first lines; without any outlet there is none.
    fn open(console: &str, power: Option<&Arc<dyn Power>>) -> (Option<Self>, Vec<String>) {
        let Some(power) = power else {
            return (None, vec![super::act::power_hint(console)]);
        };
        let outlets = power.outlets(console);
        if outlets.is_empty() {
            return (None, vec![format!("no outlet is bound to {console}")]);
        }
        let mut lines: Vec<String> = outlets.iter().map(Bound::line).collect();
        lines.push("power: o on, f off, c cycle; any other key leaves".into());
        let menu = Self {
            outlets,
            wanted: None,
        };
        (Some(menu), lines)
    }

    fn take(&mut self, key: u8) -> Step {
        if let Some(verb) = self.wanted.take() {
            return match key {
                b'y' | b'Y' => Step::Do(verb, std::mem::take(&mut self.outlets)),
                _ => Step::Close,
            };
        }
        let verb = match key.to_ascii_lowercase() {
            b'o' => return Step::Do(Verb::On, std::mem::take(&mut self.outlets)),
            b'f' => Verb::ForceOff,
            b'c' => Verb::PowerCycle,
            _ => return Step::Close,
        };
        self.wanted = Some(verb);
        let names: Vec<String> = self.outlets.iter().map(Bound::name).collect();
        Step::Say(format!("{} {}? y does it", said(verb), names.join(", ")))
    }
}

impl Bound {
    /// `PDU/OUTLET`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.pdu, self.outlet)
    }

    fn line(&self) -> String {
        let label = if self.label.is_empty() {
            String::new()
        } else {
            format!(" ({})", crate::access::printable(&self.label))
        };
        let moves = if self.in_transition {
            ", and on its way"
        } else {
            ""
        };
        format!("power: {}{label} is {}{moves}", self.name(), self.state)
    }
}

fn said(verb: Verb) -> &'static str {
    match verb {
        Verb::ForceOff => "switch off",
        Verb::PowerCycle => "cycle",
        _ => "switch on",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn menu() -> Menu {
        let bound = |outlet: &str| Bound {
            pdu: "rack".into(),
            outlet: outlet.into(),
            label: String::new(),
            state: PowerState::On,
            in_transition: false,
        };
        Menu {
            outlets: vec![bound("3"), bound("4")],
            wanted: None,
        }
    }

    #[test]
    fn what_cuts_is_asked_twice() {
        let mut open = menu();
        assert_eq!(
            open.take(b'c'),
            Step::Say("cycle rack/3, rack/4? y does it".into())
        );
        assert_eq!(open.take(b'y'), Step::Do(Verb::PowerCycle, menu().outlets));
        let mut open = menu();
        assert!(matches!(open.take(b'F'), Step::Say(_)));
        assert_eq!(open.take(b'f'), Step::Close);
        assert_eq!(menu().take(b'o'), Step::Do(Verb::On, menu().outlets));
        for key in [b'\r', b'x', 3, 0x1b, b'y'] {
            assert_eq!(menu().take(key), Step::Close);
        }
    }
}
