//! Wakes the reader when something changes in a watched folder, and says where. Only a hint: a lost one costs latency, never data, since
//! the reader looks at the folders once a second all the same.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::metrics::Metrics;

/// Paths remembered between two turns of the reader; beyond it everything is looked at.
const PATHS: usize = 1_000;
/// What the kernel refused (it allows so many watches) is asked for again after this.
const AGAIN: Duration = Duration::from_secs(60);

/// What was told since the last time.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// Where something changed; true where it may be more than content that was added: a new name, a new file.
    pub(super) paths: BTreeMap<PathBuf, bool>,
    /// Something changed that was not told: the kernel's queue ran over, or this did.
    pub(super) everything: bool,
}

impl Hints {
    /// Takes in what the kernel told; false for what changes nothing, such as the reader's own opening of a file.
    fn take_in(&mut self, told: notify::Result<notify::Event>) -> bool {
        let Ok(event) = told else {
            self.everything = true;
            return true;
        };
        // A queue that ran over comes as an event without paths.
        if event.need_rescan() || (event.paths.is_empty() && !event.kind.is_access()) {
            self.everything = true;
            return true;
        }
        let content = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Modify(ModifyKind::Data(_)) => true,
            EventKind::Access(_) => return false,
            _ => false,
        };
        for path in event.paths {
            if self.paths.len() >= PATHS && !self.paths.contains_key(&path) {
                self.everything = true;
                break;
            }
            *self.paths.entry(path).or_default() |= !content;
        }
        true
    }
}

/// Watches folders.
pub(super) struct Wake {
    watcher: Option<RecommendedWatcher>,
    /// Watched folders, by device and inode: one that was made anew must be watched anew. Nothing for one that cannot be.
    watched: BTreeMap<PathBuf, Option<(u64, u64)>>,
    refused: Option<Instant>,
    said: bool,
    sender: Sender<()>,
    receiver: Receiver<()>,
    hints: Arc<Mutex<Hints>>,
}

impl Wake {
    pub(super) fn new() -> Wake {
        let (sender, receiver) = bounded(1);
        let hints = Arc::default();
        let (watched, refused, said) = (BTreeMap::new(), None, false);
        Wake { watcher: None, watched, refused, said, sender, receiver, hints }
    }

    /// Watches these folders, too. One that cannot be watched (network file systems, limits) is looked at once a second.
    pub(super) fn watch(&mut self, folders: &[PathBuf], metrics: &Metrics) {
        if self.refused.is_some_and(|refused| refused.elapsed() < AGAIN) {
            return;
        }
        if self.refused.take().is_some() {
            self.watched.retain(|_, identity| identity.is_some());
        }
        if self.watcher.is_none() {
            let (sender, hints) = (self.sender.clone(), Arc::clone(&self.hints));
            let made = notify::recommended_watcher(move |told| {
                if hints.lock().unwrap_or_else(PoisonError::into_inner).take_in(told) {
                    let _ = sender.try_send(());
                }
            });
            match made {
                Ok(watcher) => self.watcher = Some(watcher),
                Err(error) => return self.refuse(Path::new(""), &error, metrics),
            }
        }
        for folder in folders {
            let place = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let Ok(metadata) = std::fs::metadata(place) else { continue };
            let identity = Some((metadata.dev(), metadata.ino()));
            if self.watched.get(folder) == Some(&identity) {
                continue;
            }
            let Some(watcher) = &mut self.watcher else { return };
            if self.watched.contains_key(folder) {
                let _ = watcher.unwatch(place);
            }
            match watcher.watch(place, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(folder.clone(), identity);
                }
                Err(error) => {
                    self.watched.insert(folder.clone(), None);
                    return self.refuse(folder, &error, metrics);
                }
            }
        }
        self.watched.retain(|folder, _| folders.contains(folder));
        metrics.inotify_available.set(1);
        self.said = false;
    }

    fn refuse(&mut self, folder: &Path, error: &notify::Error, metrics: &Metrics) {
        metrics.inotify_available.set(0);
        self.refused = Some(Instant::now());
        if !std::mem::replace(&mut self.said, true) {
            tracing::warn!(
                folder = %folder.display(), %error,
                "the kernel tells of no changes here (see fs.inotify.max_user_watches and max_user_instances); files are looked at once a second"
            );
        }
    }

    /// Wakes it from elsewhere.
    pub(super) fn sender(&self) -> &Sender<()> {
        &self.sender
    }

    /// Ready when something changed.
    pub(super) fn receiver(&self) -> &Receiver<()> {
        &self.receiver
    }

    /// What was told since the last time.
    pub(super) fn hints(&self) -> Hints {
        std::mem::take(&mut *self.hints.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, Flag};

    use super::*;

    fn event(kind: EventKind, path: &str) -> notify::Event {
        notify::Event::new(kind).add_path(path.into())
    }

    #[test]
    fn a_queue_that_ran_over_and_an_error_make_everything_looked_at() {
        let mut hints = Hints::default();
        assert!(hints.take_in(Ok(notify::Event::new(EventKind::Other).set_flag(Flag::Rescan))));
        assert!(hints.everything && hints.paths.is_empty());
        let mut hints = Hints::default();
        assert!(hints.take_in(Err(notify::Error::generic("told nothing"))));
        assert!(hints.everything);
    }

    #[test]
    fn more_paths_than_are_remembered_make_everything_looked_at() {
        let mut hints = Hints::default();
        for number in 0..=PATHS {
            hints.take_in(Ok(event(EventKind::Create(CreateKind::File), &format!("/l/{number}"))));
        }
        assert!(hints.everything);
        assert_eq!(hints.paths.len(), PATHS);
    }

    #[test]
    fn opening_a_file_wakes_nobody_and_writing_to_it_names_it() {
        let mut hints = Hints::default();
        assert!(!hints.take_in(Ok(event(EventKind::Access(AccessKind::Open(AccessMode::Any)), "/l/a"))));
        assert!(hints.take_in(Ok(event(EventKind::Modify(ModifyKind::Data(DataChange::Any)), "/l/a"))));
        assert!(hints.take_in(Ok(event(EventKind::Create(CreateKind::File), "/l/b"))));
        let told: Vec<(PathBuf, bool)> = hints.paths.into_iter().collect();
        assert_eq!(told, [("/l/a".into(), false), ("/l/b".into(), true)]);
        assert!(!hints.everything);
    }
}
