//! Wakes the reader when something changes in a watched folder. Only a wake-up: a lost one costs latency, never data, since the reader
//! looks at every file's size and at the folders once a second all the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crossbeam_channel::{Receiver, Sender, bounded};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// Watches folders.
pub(super) struct Wake {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    sender: Sender<()>,
    receiver: Receiver<()>,
}

impl Wake {
    pub(super) fn new() -> Wake {
        let (sender, receiver): (Sender<()>, Receiver<()>) = bounded(1);
        // An overflow of the kernel's queue comes as an event without paths: it wakes like any other.
        let by_kernel = sender.clone();
        let watcher = notify::recommended_watcher(move |_| {
            let _ = by_kernel.try_send(());
        });
        let watcher = watcher
            .map_err(|error| tracing::warn!(%error, "no wake-ups from the kernel; files are looked at once a second"))
            .ok();
        Wake { watcher, watched: BTreeSet::new(), sender, receiver }
    }

    /// Watches the folders of these files, too. A folder that cannot be watched (network file systems, limits) is polled.
    pub(super) fn watch<'p>(&mut self, files: impl Iterator<Item = &'p Path>) {
        let Some(watcher) = &mut self.watcher else { return };
        for folder in files.filter_map(Path::parent) {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            if self.watched.contains(folder) || !folder.is_dir() {
                continue;
            }
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(folder = %folder.display(), %error, "no wake-ups for this folder; it is looked at once a second");
                }
            }
            self.watched.insert(folder.to_owned());
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
}
