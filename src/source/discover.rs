//! Which files the patterns name at this moment, each file once however many names lead to it. Not for what has been read of them.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Index of the source whose pattern named it first.
    pub source: usize,
    /// Its path.
    pub path: PathBuf,
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// Size in bytes.
    pub size: u64,
    /// Modification time in nanoseconds.
    pub modified: i128,
}

impl Found {
    fn of(source: usize, path: PathBuf) -> io::Result<Option<Found>> {
        let metadata = std::fs::metadata(&path)?;
        Ok(metadata.is_file().then(|| Found {
            source,
            path,
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
        }))
    }
}

/// What a look at the folders gave.
#[derive(Debug, Default)]
pub struct Listing {
    /// The files, those changed longest ago first: after a pause rotated files are finished before the live one.
    pub files: Vec<Found>,
    /// Paths that could not be looked at, and why.
    pub unreadable: Vec<(PathBuf, String)>,
    /// Sources none of whose patterns names a file.
    pub empty: Vec<usize>,
}

/// Looks at all patterns of all sources.
pub fn list<'p>(sources: impl Iterator<Item = &'p [String]>) -> Listing {
    let mut listing = Listing::default();
    let mut seen = BTreeSet::new();
    for (index, patterns) in sources.enumerate() {
        let before = seen.len();
        let mut any = false;
        for pattern in patterns {
            let Ok(paths) = glob::glob(pattern) else { continue };
            for entry in paths {
                let found = match entry {
                    Ok(path) => Found::of(index, path.clone()).map_err(|error| (path, error.to_string())),
                    Err(error) => Err((error.path().to_owned(), error.error().to_string())),
                };
                match found {
                    Ok(Some(found)) => {
                        any = true;
                        if seen.insert((found.device, found.inode)) {
                            listing.files.push(found);
                        }
                    }
                    Ok(None) => {}
                    // A file that went away between the look at the folder and the look at the file, or a dangling link.
                    Err((path, _)) if !path.exists() && path.parent().is_some_and(Path::exists) => {}
                    Err(wrong) => listing.unreadable.push(wrong),
                }
            }
        }
        if !any && seen.len() == before {
            listing.empty.push(index);
        }
    }
    listing.files.sort_by(|left, right| (left.modified, &left.path).cmp(&(right.modified, &right.path)));
    listing
}

/// Files beside a path whose names start like it: where a rotated log goes when the pattern does not follow it.
pub fn siblings(path: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let stem = name.split('.').next().unwrap_or(name);
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|other| other.starts_with(stem)))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}
