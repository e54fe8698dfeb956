//! The section `[cira]`: where machines with AMT call in. Without it nobody listens.

use super::https::{Pair, read_pair, take_pair};
use super::reader::Table;
use super::secret::Resolver;

/// What Intel's server takes, and most devices are set to.
const PORT: u16 = 4433;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cira {
    pub port: u16,
    /// `None`: the board makes a certificate itself.
    pub pair: Option<Pair>,
}

impl Cira {
    pub(super) fn read(mut table: Table<'_>, resolver: &Resolver<'_>) -> Self {
        let port = table.take("port");
        let pair = take_pair(&mut table);
        table.finish();
        let port = port.and_then(|field| field.number(1..=u16::MAX));
        Self {
            port: port.unwrap_or(PORT),
            pair: pair.and_then(|pair| read_pair(&pair, resolver)),
        }
    }
}
