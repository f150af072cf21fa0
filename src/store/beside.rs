//! Files that belong to a commit and are too large to be written with each: they stand beside the index, are durable before the commit that
//! names them, and go along to the next partition. Not for what is in them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::partition::sync;
use super::{Store, StoreError, Writer};

/// What their names begin with.
const PREFIX: &str = "positions-";

/// Whether a file in a partition is one of them.
pub(super) fn is_beside(name: &str) -> bool {
    name.starts_with(PREFIX) && name.ends_with(".json")
}

impl Store {
    /// Reads a file beside the index that is written to.
    pub fn beside(&self, name: &str) -> io::Result<String> {
        read(&self.shared.newest().path, name)
    }
}

/// Reads such a file of a partition. A name that is none of theirs leads nowhere.
pub fn read(partition: &Path, name: &str) -> io::Result<String> {
    if !is_beside(name) || name.contains('/') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no name of a file beside the index"));
    }
    fs::read_to_string(partition.join(name))
}

impl Writer {
    /// Puts a file beside the index, durably; a commit may then name it.
    pub fn put_beside(&mut self, name: &str, text: &str) -> Result<(), StoreError> {
        let partition = self.folder().to_owned();
        let path = partition.join(name);
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(StoreError::io("write", &path))?;
        sync(&partition)
    }

    /// Removes those that the last commit does not name any more. One that stays does no harm.
    pub fn tidy_beside(&mut self, named: Option<&str>) {
        for file in fs::read_dir(self.folder()).into_iter().flatten().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if is_beside(&name) && Some(name.as_str()) != named {
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

/// Gives a new partition what stands beside the one it goes on from: its first commit names the same.
pub(super) fn take_along(from: &Path, to: &Path) -> Result<(), StoreError> {
    for file in fs::read_dir(from).map_err(StoreError::io("list", from))? {
        let file = file.map_err(StoreError::io("list", from))?;
        if is_beside(&file.file_name().to_string_lossy()) {
            let target = to.join(file.file_name());
            // They are never changed, so one file may have two names; where that cannot be, there are two.
            if fs::hard_link(file.path(), &target).is_err() {
                fs::copy(file.path(), &target)
                    .and_then(|_| File::open(&target)?.sync_all())
                    .map_err(StoreError::io("copy", &target))?;
            }
        }
    }
    Ok(())
}
