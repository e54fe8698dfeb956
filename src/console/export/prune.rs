//! Drops the oldest of what consoles left behind that oobd.toml no longer names, when all of it takes too much. Blocking.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::transcript::Error;

/// A file of a console that is no more.
struct Left {
    path: PathBuf,
    bytes: u64,
    changed: SystemTime,
}

/// Makes the left-behind fit into what `total` has beyond the quotas; gives back how many bytes went.
///
/// # Errors
/// [`Error::Io`]; what was dropped before stays dropped.
pub(super) fn prune(state: &Path, quotas: &[(String, u64)], total: u64) -> Result<u64, Error> {
    let root = state.join("consoles");
    let promised: u64 = quotas.iter().map(|(_, quota)| quota).sum();
    let room = total.saturating_sub(promised);
    let mut left = Vec::new();
    let dirs = match fs::read_dir(&root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        list => list.map_err(Error::io("list", &root))?,
    };
    for dir in dirs {
        let dir = dir.map_err(Error::io("list", &root))?;
        let name = dir.file_name();
        let kept = quotas.iter().any(|(kept, _)| name == kept.as_str());
        if !kept && dir.path().is_dir() {
            gather(&dir.path(), &mut left)?;
        }
    }
    left.sort_by_key(|file| file.changed);
    let mut used: u64 = left.iter().map(|file| file.bytes).sum();
    let before = used;
    for file in left {
        if used <= room {
            break;
        }
        match fs::remove_file(&file.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", &file.path)(error));
            }
            _ => used = used.saturating_sub(file.bytes),
        }
        if let Some(dir) = file.path.parent() {
            // Only when nothing but the lock is in it, and nobody cares if not.
            let empty = fs::read_dir(dir).is_ok_and(|mut list| {
                list.all(|entry| entry.is_ok_and(|entry| entry.file_name() == "lock"))
            });
            if empty {
                let _ = fs::remove_file(dir.join("lock"));
                let _ = fs::remove_dir(dir);
            }
        }
    }
    Ok(before.saturating_sub(used))
}

/// Adds a transcript's own files; others are left alone.
fn gather(dir: &Path, left: &mut Vec<Left>) -> Result<(), Error> {
    let list = fs::read_dir(dir).map_err(Error::io("list", dir))?;
    for entry in list {
        let entry = entry.map_err(Error::io("list", dir))?;
        let path = entry.path();
        let ours = path
            .extension()
            .is_some_and(|end| end == "log" || end == "idx");
        let Ok(meta) = entry.metadata() else { continue };
        if ours && meta.is_file() {
            let changed = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let bytes = meta.len();
            left.push(Left {
                path,
                bytes,
                changed,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_the_left_behind_goes_and_nothing_that_is_named() {
        let state = tempfile::tempdir().unwrap();
        let file = |console: &str, name: &str, age: u64| {
            let dir = state.path().join("consoles").join(console);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join(name), [0; 1000]).unwrap();
            let time = SystemTime::now() - std::time::Duration::from_secs(age);
            let file = fs::File::options()
                .write(true)
                .open(dir.join(name))
                .unwrap();
            file.set_modified(time).unwrap();
        };
        file("core", "00000000000000000000.log", 9999);
        file("old", "00000000000000000000.log", 500);
        file("old", "lock", 500);
        file("older", "00000000000000000000.log", 900);
        file("older", "00000000000000000000.idx", 899);
        file("older", "note.txt", 2000);
        let quotas = [("core".to_owned(), 1000)];
        assert_eq!(prune(state.path(), &quotas, 4000).unwrap(), 0);
        assert_eq!(prune(state.path(), &quotas, 3999).unwrap(), 1000);
        assert_eq!(prune(state.path(), &quotas, 1000).unwrap(), 2000);
        let there = |path: &str| state.path().join("consoles").join(path).exists();
        assert!(there("core/00000000000000000000.log") && there("older/note.txt"));
        assert!(!there("old"));
        assert_eq!(prune(&state.path().join("none"), &quotas, 0).unwrap(), 0);
    }
}
