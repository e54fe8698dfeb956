//! Values that never show themselves in logs, events or errors, and where they come from.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::reader::Field;
use super::values;

/// A secret is a line of text, a certificate chain some dozens of them; anything longer than this is the wrong file.
const LONGEST: u64 = 64 * 1024;

/// Text that prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; call it where it is used, never to keep it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where references in a configuration point to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// `"@file:x"` is relative to this, the folder of oobd.toml.
    pub beside: PathBuf,
    /// `"@secret:x"` is the file `x` in here. `None` when the file is checked away from the board:
    /// such secrets then count as present.
    pub secrets: Option<PathBuf>,
}

impl Folders {
    /// The folders for this configuration file and this state folder.
    #[must_use]
    pub fn of(config: &Path, state_dir: &Path) -> Self {
        Self {
            beside: config.parent().unwrap_or(Path::new("")).to_owned(),
            secrets: Some(state_dir.join("secrets")),
        }
    }
}

/// Resolves references, and remembers which bytes of the file they stood for.
pub(super) struct Resolver<'a> {
    folders: &'a Folders,
    resolved: RefCell<Vec<(Range<usize>, Secret)>>,
    /// Those that stand in the file itself.
    inline: RefCell<Vec<(Range<usize>, Secret)>>,
}

/// What stands at a secret key.
pub(super) enum Found {
    Text(Secret),
    /// A secret of the board, which is not here.
    Elsewhere,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(folders: &'a Folders) -> Self {
        Self {
            folders,
            resolved: RefCell::default(),
            inline: RefCell::default(),
        }
    }

    /// The references that were resolved, by their place in the file.
    pub(super) fn finish(self) -> Vec<(Range<usize>, Secret)> {
        self.resolved.into_inner()
    }

    /// Where secrets stand in the file, and all secrets, those it refers to as well.
    pub(super) fn secrets(self) -> (Vec<Range<usize>>, Vec<Secret>) {
        let inline = self.inline.into_inner();
        let places = inline.iter().map(|(place, _)| place.clone()).collect();
        let all = inline.into_iter().chain(self.resolved.into_inner());
        (places, all.map(|(_, secret)| secret).collect())
    }

    /// Reads a secret of one line written inline, as `"@secret:NAME"` or as `"@file:PATH"`.
    pub(super) fn secret(&self, field: &Field<'_>) -> Option<Found> {
        self.resolve(
            field,
            one_line,
            "put it into that file, on one line, or write it here",
        )
    }

    /// Reads a text of several lines, such as a PEM file, in the same three ways.
    pub(super) fn text(&self, field: &Field<'_>) -> Option<Found> {
        self.resolve(
            field,
            Ok,
            "put it there, or name another file as \"@file:PATH\"",
        )
    }

    fn resolve(
        &self,
        field: &Field<'_>,
        check: impl Fn(String) -> Result<String, String>,
        hint: &str,
    ) -> Option<Found> {
        let text = field.text()?;
        let path = if let Some(name) = text.strip_prefix("@secret:") {
            if let Err(message) = values::name(name) {
                field.wrong(format!("bad secret: {message}"));
                return None;
            }
            match &self.folders.secrets {
                Some(folder) => folder.join(name),
                None => return Some(Found::Elsewhere),
            }
        } else if let Some(path) = text.strip_prefix("@file:") {
            self.folders.beside.join(path)
        } else if text.starts_with('@') {
            field.wrong_so(
                "unknown kind of reference",
                "write \"@secret:NAME\" or \"@file:PATH\"",
            );
            return None;
        } else {
            let secret = Secret::new(text);
            let entry = (field.span(), secret.clone());
            self.inline.borrow_mut().push(entry);
            return Some(Found::Text(secret));
        };
        match read(&path).and_then(check).map(Secret::new) {
            Ok(secret) => {
                let entry = (field.span(), secret.clone());
                self.resolved.borrow_mut().push(entry);
                Some(Found::Text(secret))
            }
            Err(reason) => {
                field.wrong_so(
                    format!("cannot read the secret: {}: {reason}", path.display()),
                    hint,
                );
                None
            }
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    if !file
        .metadata()
        .map_err(|error| error.to_string())?
        .is_file()
    {
        return Err("not a plain file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LONGEST {
        return Err(format!("longer than {LONGEST} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())?;
    if text.trim_end_matches(['\r', '\n']).is_empty() {
        return Err("the file is empty".to_owned());
    }
    Ok(text)
}

fn one_line(text: String) -> Result<String, String> {
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err("the file is empty".to_owned());
    }
    if text.contains(['\n', '\r', '\0']) {
        return Err("more than one line".to_owned());
    }
    Ok(text.to_owned())
}
