//! Which files the patterns name at this moment. Not for what has been read of them.
//!
//! A look costs one `getdents` for some hundred names and one `fstatat` for each that fits, and allocates nothing for them: with thousands
//! of quiet files this is what the tailer does all day.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Stat};

/// A file as a look finds it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'e> {
    /// Index of the source whose pattern names it first.
    pub source: usize,
    /// The folder, as the pattern writes it.
    pub folder: &'e Path,
    /// Its name there.
    pub name: &'e OsStr,
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// Size in bytes.
    pub size: u64,
    /// Modification time in nanoseconds.
    pub modified: i64,
}

/// An [`Entry`] to be kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Modification time in nanoseconds. First, since files are taken in by it: after a pause rotated files are finished before the live one.
    pub modified: i64,
    /// Index of the source whose pattern names it first.
    pub source: usize,
    /// Its path.
    pub path: PathBuf,
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// Size in bytes.
    pub size: u64,
}

impl Entry<'_> {
    /// To be kept.
    pub fn found(&self) -> Found {
        let Entry { source, device, inode, size, modified, .. } = *self;
        Found { modified, source, path: self.folder.join(self.name), device, inode, size }
    }
}

/// How a look went.
#[derive(Debug, Default)]
pub struct Look {
    /// Paths that could not be looked at, and why.
    pub unreadable: Vec<(PathBuf, io::Error)>,
    /// Sources none of whose patterns names a file.
    pub empty: Vec<usize>,
    /// A folder could not be listed to its end: what was not seen may still be there.
    pub partial: bool,
}

/// The patterns of all sources, taken apart.
pub struct Patterns {
    patterns: Vec<Pattern>,
    sources: usize,
    /// The folders of the last look, each with the sources that look there.
    folders: Vec<(PathBuf, Vec<usize>)>,
    buffer: Vec<MaybeUninit<u8>>,
}

struct Pattern {
    source: usize,
    folder: PathBuf,
    /// The folder's name is a pattern itself.
    wild: Option<glob::Pattern>,
    name: Name,
}

/// What the names in a folder are compared with; the common forms without the cost of the general one.
enum Name {
    Exactly(Vec<u8>),
    StartsWith(Vec<u8>),
    Pattern(Vec<u8>, glob::Pattern),
    Nothing,
}

impl Name {
    fn of(text: &str) -> Name {
        let literal = text.find(['*', '?', '[']).map_or(text, |at| &text[..at]);
        match &text[literal.len()..] {
            "" => Name::Exactly(text.into()),
            "*" => Name::StartsWith(literal.into()),
            // In the glob crate this names folders only.
            "**" if literal.is_empty() => Name::Nothing,
            _ => glob::Pattern::new(text).map_or(Name::Nothing, |pattern| Name::Pattern(literal.into(), pattern)),
        }
    }

    fn matches(&self, name: &[u8]) -> bool {
        match self {
            Name::Exactly(text) => name == text,
            Name::StartsWith(start) => name.starts_with(start),
            Name::Pattern(start, pattern) => name.starts_with(start) && pattern.matches(&String::from_utf8_lossy(name)),
            Name::Nothing => false,
        }
    }
}

impl Patterns {
    /// The patterns of each source in turn.
    pub fn new<'p>(sources: impl Iterator<Item = &'p [String]>) -> Patterns {
        let mut patterns = Vec::new();
        let mut count = 0;
        for (source, texts) in sources.enumerate() {
            count += 1;
            for text in texts {
                let (folder, name) = text
                    .rsplit_once('/')
                    .map_or(("", text.as_str()), |(folder, name)| (if folder.is_empty() { "/" } else { folder }, name));
                let wild = folder.contains(['*', '?', '[']).then(|| glob::Pattern::new(folder).ok()).flatten();
                patterns.push(Pattern { source, folder: folder.into(), wild, name: Name::of(name) });
            }
        }
        let buffer = vec![MaybeUninit::uninit(); 64 << 10];
        Patterns { patterns, sources: count, folders: Vec::new(), buffer }
    }

    /// The folders of the last look in which one of the sources asked for looks.
    pub fn folders(&self, asked: impl Fn(usize) -> bool) -> Vec<PathBuf> {
        let looked = self.folders.iter().filter(|(_, sources)| sources.iter().any(|source| asked(*source)));
        looked.map(|(folder, _)| folder.clone()).collect()
    }

    /// Looks at all folders, and shows each file that a pattern names, by each of its names.
    pub fn look(&mut self, visit: &mut dyn FnMut(&Entry<'_>)) -> Look {
        let mut look = Look::default();
        let mut seen = vec![false; self.sources];
        let mut folders: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
        for (index, pattern) in self.patterns.iter().enumerate() {
            if pattern.wild.is_none() {
                folders.entry(pattern.folder.clone()).or_default().push(index);
                continue;
            }
            // In the glob crate `a/**` is every folder beneath `a`; where files are meant it is `a`, too.
            let base =
                (pattern.folder.file_name() == Some(OsStr::new("**"))).then(|| pattern.folder.parent()).flatten();
            let places = std::iter::once(pattern.folder.as_path()).chain(base);
            for folder in places.filter_map(|place| glob::glob(&place.to_string_lossy()).ok()).flatten() {
                match folder {
                    Ok(folder) => folders.entry(folder).or_default().push(index),
                    Err(error) => {
                        look.partial = true;
                        let path = error.path().to_owned();
                        look.unreadable.push((path, error.into()));
                    }
                }
            }
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        for (folder, patterns) in &folders {
            let mut show = |entry: &Entry<'_>| {
                seen[entry.source] = true;
                visit(entry);
            };
            if let Err(error) = self.list(folder, patterns, &mut buffer, &mut show, &mut look) {
                look.partial = true;
                look.unreadable.push((folder.clone(), error));
            }
        }
        self.buffer = buffer;
        let sources = |patterns: Vec<usize>| patterns.into_iter().map(|at| self.patterns[at].source).collect();
        self.folders = folders.into_iter().map(|(folder, patterns)| (folder, sources(patterns))).collect();
        look.empty = (0..self.sources).filter(|source| !seen[*source]).collect();
        look
    }

    fn list(
        &self,
        folder: &Path,
        patterns: &[usize],
        buffer: &mut [MaybeUninit<u8>],
        show: &mut dyn FnMut(&Entry<'_>),
        look: &mut Look,
    ) -> io::Result<()> {
        let place = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = match rustix::fs::open(place, flags, Mode::empty()) {
            Ok(descriptor) => descriptor,
            Err(error) if is_absent(error) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let mut visit = |name: &OsStr| {
            let Some(pattern) =
                patterns.iter().map(|at| &self.patterns[*at]).find(|one| one.name.matches(name.as_bytes()))
            else {
                return;
            };
            match rustix::fs::statat(&descriptor, name, AtFlags::empty()) {
                Ok(stat) if is_file(&stat) => show(&entry(pattern.source, folder, name, &stat)),
                // A file that went away since it was listed, or a dangling link.
                Ok(_) => {}
                Err(error) if is_absent(error) => {}
                Err(error) => look.unreadable.push((folder.join(name), error.into())),
            }
        };
        let exact = |at: &usize| match &self.patterns[*at].name {
            Name::Exactly(name) => Some(name.clone()),
            _ => None,
        };
        if let Some(mut names) = patterns.iter().map(exact).collect::<Option<Vec<_>>>() {
            names.sort_unstable();
            names.dedup();
            names.iter().for_each(|name| visit(OsStr::from_bytes(name)));
            return Ok(());
        }
        let mut entries = RawDir::new(&descriptor, buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            if entry.file_type() != FileType::Directory {
                visit(OsStr::from_bytes(entry.file_name().to_bytes()));
            }
        }
        Ok(())
    }

    /// The file of a path, if a pattern names it and it is there.
    pub fn at(&self, path: &Path) -> Option<Found> {
        let (folder, name) = (path.parent()?, path.file_name()?);
        let matching = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
        let pattern = self.patterns.iter().find(|pattern| {
            let here = match &pattern.wild {
                Some(wild) => {
                    let base = pattern.folder.file_name() == Some(OsStr::new("**"));
                    wild.matches_path_with(folder, matching) || (base && pattern.folder.parent() == Some(folder))
                }
                None => pattern.folder == folder,
            };
            here && pattern.name.matches(name.as_bytes())
        })?;
        let stat = rustix::fs::stat(path).ok()?;
        is_file(&stat).then(|| entry(pattern.source, folder, name, &stat).found())
    }
}

fn is_absent(error: rustix::io::Errno) -> bool {
    matches!(error, rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR)
}

fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "the fields' types differ between platforms")]
fn entry<'e>(source: usize, folder: &'e Path, name: &'e OsStr, stat: &Stat) -> Entry<'e> {
    let modified = (stat.st_mtime as i64).saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec as i64);
    Entry {
        source,
        folder,
        name,
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        size: stat.st_size as u64,
        modified,
    }
}

/// Files beside a path whose names start like it: where a rotated log goes when the pattern does not follow it.
pub fn siblings(path: &Path) -> Vec<PathBuf> {
    siblings_with_inodes(path).into_iter().map(|(path, _)| path).collect()
}

/// The folder of a path, and what the names of its siblings start with.
pub fn family(path: &Path) -> (PathBuf, String) {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    (path.parent().unwrap_or(Path::new("")).to_owned(), name.split('.').next().unwrap_or(name).to_owned())
}

/// The same, with their inodes; a symbolic link has one of its own.
pub fn siblings_with_inodes(path: &Path) -> Vec<(PathBuf, u64)> {
    use std::os::unix::fs::DirEntryExt;
    if path.file_name().and_then(|name| name.to_str()).is_none() {
        return Vec::new();
    }
    let (folder, stem) = family(path);
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut siblings: Vec<(PathBuf, u64)> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|other| other.starts_with(&stem)))
        .map(|entry| (entry.path(), entry.ino()))
        .collect();
    siblings.sort_unstable();
    siblings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn a_look_finds_what_the_glob_crate_finds() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        for folder in ["a", "b/c", "b/d.log", ".hidden"] {
            fs::create_dir_all(root.join(folder)).expect("made");
        }
        for file in
            ["app.log", "app.log.1", "app-2.log", ".app.log", "a/app.log", "b/x1.log", "b/c/x2.log", ".hidden/x.log"]
        {
            fs::write(root.join(file), file).expect("written");
        }
        std::os::unix::fs::symlink("app.log", root.join("link.log")).expect("linked");
        std::os::unix::fs::symlink("nowhere", root.join("dangling.log")).expect("linked");
        for pattern in [
            "app.log",
            "app.log*",
            "*.log",
            "app?2.log",
            "[a-b]*",
            "*/app.log",
            "b/**/*.log",
            "**/*.log",
            "none/*",
            "*/*/x*",
            "**",
        ] {
            let whole = root.join(pattern).to_string_lossy().into_owned();
            let wanted: BTreeSet<PathBuf> =
                glob::glob(&whole).expect("a pattern").flatten().filter(|path| path.is_file()).collect();
            let texts = [whole.clone()];
            let mut patterns = Patterns::new(std::iter::once(&texts[..]));
            let mut seen = BTreeSet::new();
            let look = patterns.look(&mut |entry| {
                seen.insert(entry.folder.join(entry.name));
            });
            assert_eq!(seen, wanted, "{pattern}");
            assert_eq!(look.empty.is_empty(), !wanted.is_empty(), "{pattern}");
            assert!(look.unreadable.is_empty() && !look.partial, "{pattern}: {look:?}");
            for path in wanted {
                assert_eq!(patterns.at(&path).map(|found| found.path), Some(path), "{pattern}");
            }
        }
    }
}
