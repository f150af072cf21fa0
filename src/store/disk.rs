//! The directory of one index as tantivy sees it: the library's own on mapped files, with what it leaves out. Not for what the files hold.
//!
//! - A new `meta.json` is renamed into place and then the directory is synced: without that a power cut could bring the old one back.
//! - After one such write failed, every further one is refused, and no file is removed any more. The library goes on otherwise: a merge
//!   that ends after a failed commit would write the events of that commit under the payload of the one before it, and they would be read
//!   from the logs a second time.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tantivy::directory::error::{DeleteError, LockError, OpenDirectoryError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, Lock, MmapDirectory, WatchCallback, WatchHandle, WritePtr,
};

/// What a commit is: the file whose replacement makes it.
pub(super) const META: &str = "meta.json";

/// One index's files. Clones share whether a write has failed.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    files: MmapDirectory,
    failed: Arc<AtomicBool>,
}

impl Disk {
    pub(super) fn open(path: &Path) -> Result<Disk, OpenDirectoryError> {
        Ok(Disk { files: MmapDirectory::open(path)?, failed: Arc::default() })
    }

    fn refuse(&self) -> io::Result<()> {
        if self.failed.load(Ordering::Acquire) {
            return Err(io::Error::other(
                "an earlier commit failed; nothing more is written before the index is opened again",
            ));
        }
        Ok(())
    }

    fn noted<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            self.failed.store(true, Ordering::Release);
        }
        result
    }
}

impl Directory for Disk {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.files.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.refuse().map_err(|error| DeleteError::IoError { io_error: Arc::new(error), filepath: path.to_owned() })?;
        self.files.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.files.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        self.files.open_write(path)
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.files.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        if path != Path::new(META) {
            return self.files.atomic_write(path, data);
        }
        self.refuse()?;
        self.noted(self.files.atomic_write(path, data).and_then(|()| self.files.sync_directory()))
    }

    fn sync_directory(&self) -> io::Result<()> {
        // What was not synced once may be reported as synced the next time.
        self.refuse()?;
        self.noted(self.files.sync_directory())
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.files.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.files.watch(callback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_commit_that_failed_nothing_more_is_committed_or_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("index");
        std::fs::create_dir(&path).expect("made");
        let disk = Disk::open(&path).expect("opened");
        let other = disk.clone();
        disk.atomic_write(Path::new(META), b"one").expect("written");
        let away = folder.path().join("away");
        std::fs::rename(&path, &away).expect("the disk goes");
        disk.atomic_write(Path::new(META), b"two").expect_err("there is no disk");
        std::fs::rename(&away, &path).expect("the disk comes back");
        other.atomic_write(Path::new(META), b"three").expect_err("the library's other handle, as a merge has it");
        other.sync_directory().expect_err("refused");
        other.delete(Path::new(META)).expect_err("refused");
        assert_eq!(std::fs::read(path.join(META)).expect("read"), b"one");
        Disk::open(&path).expect("opened again").atomic_write(Path::new(META), b"four").expect("written");
    }
}
