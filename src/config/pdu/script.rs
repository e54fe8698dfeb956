//! `script = { program = "/usr/local/bin/switch", outlets = ["1", "2"] }`: a program of the operator's.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::key;
use super::plug::read_password;
use crate::config::reader::Field;
use crate::config::secret::{Resolver, Secret};

/// Words before the verb.
const MOST_ARGS: usize = 32;
/// Outlets of one program: it is run once for each.
const MOST_OUTLETS: usize = 32;

/// A program that switches outlets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// An absolute path.
    pub program: PathBuf,
    /// Before the verb and the outlet.
    pub args: Vec<String>,
    pub outlets: Vec<String>,
    /// In its environment as `OOBD_PASSWORD`.
    pub password: Option<Secret>,
    /// It takes the verb `cycle`.
    pub cycles: bool,
    /// One run may take so long.
    pub limit: Duration,
}

impl Script {
    pub(super) fn read(field: &Field<'_>, resolver: &Resolver<'_>) -> Option<Self> {
        let mut table = field.table()?;
        let program = table.need("program", "write program = \"/usr/local/bin/…\"");
        let outlets = table.need("outlets", "write outlets = [\"1\", \"2\"]");
        let [args, password, cycles, limit] =
            ["args", "password", "cycles", "limit"].map(|key| table.take(key));
        table.finish();
        let program = program.and_then(|field| field.parsed(read_program));
        let args = args.map_or(Some(Vec::new()), |field| {
            words(&field, MOST_ARGS, |text| read_arg(text))
        });
        let password = password.map_or(Some(None), |field| read_password(&field, resolver));
        let cycles = cycles.map_or(Some(false), |field| field.flag());
        let second = Duration::from_secs;
        let limit = limit.map_or(Some(second(20)), |field| {
            field.duration(second(1)..=second(120))
        });
        let outlets = outlets.and_then(|field| {
            let outlets = words(&field, MOST_OUTLETS, key)?;
            if outlets.is_empty() {
                field.wrong("it switches no outlet");
                return None;
            }
            let mut sorted = outlets.clone();
            sorted.sort_unstable();
            if let Some(twice) = sorted.windows(2).find(|pair| pair.first() == pair.last()) {
                field.wrong(format!("`{}` stands here for the second time", twice[0]));
                return None;
            }
            Some(outlets)
        });
        Some(Self {
            program: program?,
            args: args?,
            outlets: outlets?,
            password: password?,
            cycles: cycles?,
            limit: limit?,
        })
    }
}

fn words(
    field: &Field<'_>,
    most: usize,
    read: impl Fn(&str) -> Result<String, String>,
) -> Option<Vec<String>> {
    let items = field.list()?;
    if items.len() > most {
        field.wrong(format!("more than {most}"));
        return None;
    }
    items.iter().map(|item| item.parsed(&read)).collect()
}

fn read_program(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    let plain = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !path.is_absolute() || !plain || text.len() > 255 || text.contains(char::is_control) {
        return Err(format!(
            "`{}` is no program; write its whole path as in \"/usr/local/bin/switch\"",
            text.escape_debug()
        ));
    }
    Ok(path.to_owned())
}

fn read_arg(text: &str) -> Result<String, String> {
    if text.len() > 255 || text.contains('\0') {
        return Err("a word has at most 255 characters".to_owned());
    }
    Ok(text.to_owned())
}
