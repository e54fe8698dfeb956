//! What the file says of single outlets, and how other sections name them: `PDU/OUTLET`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::key;
use crate::config::reader::Field;
use crate::config::values;

/// `[pdu.rack.outlet.3]`: what one outlet is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wired {
    /// As the device's driver calls it.
    pub key: String,
    /// For people; empty when the file does not say.
    pub label: String,
    /// `appliance`, `switch`, `uplink`, or names of machines.
    pub feeds: Vec<String>,
}

/// One outlet, named from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OutletRef {
    pub pdu: String,
    pub outlet: String,
}

impl OutletRef {
    /// Reads `PDU/OUTLET`.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (pdu, outlet) = text.split_once('/').ok_or_else(|| {
            format!(
                "`{}` is no outlet; write PDU/OUTLET as in \"rack/3\"",
                text.escape_debug()
            )
        })?;
        values::name(pdu).map_err(|fault| fault.replace("the name", "the PDU"))?;
        Ok(Self {
            pdu: pdu.to_owned(),
            outlet: key(outlet)?,
        })
    }

    /// A field that holds one outlet or a list of them; each may stand there once.
    pub(in crate::config) fn read_all(field: &Field<'_>) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for item in items(field) {
            let Some(outlet) = item.parsed(Self::parse) else {
                continue;
            };
            if found.contains(&outlet) {
                item.wrong(format!("{outlet} stands here for the second time"));
            }
            found.push(outlet);
        }
        found
    }
}

/// As it is read.
impl fmt::Display for OutletRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pdu, self.outlet)
    }
}

/// The entries of a list, or the one value that stands in its place.
pub(in crate::config) fn items<'a>(field: &Field<'a>) -> Vec<Field<'a>> {
    if field.is_list() {
        return field.list().unwrap_or_default();
    }
    vec![field.clone()]
}

pub(super) fn read(field: &Field<'_>) -> Vec<Wired> {
    let named = field.table().map(|table| table.named());
    let mut wired: Vec<Wired> = Vec::new();
    for (name, field) in named.unwrap_or_default() {
        if let Err(fault) = key(&name.text()) {
            name.wrong(fault, None);
        }
        let Some(mut table) = field.table() else {
            continue;
        };
        let (label, feeds) = (table.take("label"), table.take("feeds"));
        table.finish();
        let said = label.as_ref().and_then(|field| field.parsed(read_label));
        let label_text = said.unwrap_or_default();
        if !label_text.is_empty()
            && let Some(first) = wired.iter().find(|other| other.label == label_text)
            && let Some(field) = &label
        {
            field.wrong(format!("outlet `{}` has this label already", first.key));
        }
        let feeds = feeds.and_then(|field| field.list()).unwrap_or_default();
        let feeds = feeds.iter().filter_map(|item| item.parsed(read_feed));
        wired.push(Wired {
            key: name.text(),
            label: label_text,
            feeds: feeds.collect(),
        });
    }
    wired
}

fn read_label(text: &str) -> Result<String, String> {
    if text.trim() != text || text.is_empty() || text.len() > 64 {
        return Err("a label has 1 to 64 characters and no blanks around them".to_owned());
    }
    if text.contains(|letter: char| letter.is_control() || letter == '/') {
        return Err("a label has no control characters and no `/`".to_owned());
    }
    Ok(text.to_owned())
}

fn read_feed(text: &str) -> Result<String, String> {
    values::name(text)?;
    Ok(text.to_owned())
}
