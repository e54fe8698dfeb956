//! `oobctl man DIR`, hidden: a manual page of each command, for packagers. Asks nobody. Only the program `oobctl` has it.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::file::write_atomically;

/// Everybody may read a manual.
const MODE: u32 = 0o644;

/// Writes the pages of section 1 into a folder, which is made; says which.
///
/// # Errors
/// What the file system says.
pub fn manual(folder: &Path) -> io::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder)?;
    let mut written = Vec::new();
    for (name, text) in pages()? {
        let path = folder.join(format!("{name}.1"));
        write_atomically(&path, &text, MODE)?;
        written.push(path);
    }
    Ok(written)
}

/// Name and text of each page.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = super::Args::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    page(command, &mut pages)?;
    Ok(pages)
}

fn page(command: Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let name = name.to_owned();
    // What is beside it, for SEE ALSO is clap's own; the date stays out, so that equal sources give equal pages.
    let subcommands: Vec<Command> = command.get_subcommands().cloned().collect();
    let mut text = Vec::new();
    Man::new(command)
        .title(name.to_uppercase())
        .source("oobd")
        .manual("oobd")
        .render(&mut text)?;
    pages.push((name, text));
    for command in subcommands {
        if !command.is_hide_set() {
            page(command, pages)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in [
            "oobctl",
            "oobctl-outlet",
            "oobctl-outlet-off",
            "oobctl-console-log",
        ] {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let written = manual(&folder.path().join("man1")).unwrap();
        assert_eq!(written.len(), pages.len());
        let (_, text) = pages
            .iter()
            .find(|(name, _)| name == "oobctl-outlet-off")
            .unwrap();
        crate::cli::golden::golden("oobctl-outlet-off.1", &String::from_utf8_lossy(text), 400);
    }
}
