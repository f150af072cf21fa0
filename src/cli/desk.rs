//! Asking the state directory: through the running daemon's socket, or on the stopped one's directory under the same lock.

use std::io;
use std::path::Path;

use anyhow::Context;

use crate::api::desk::{Answer, Question, answer};
use crate::pipeline;
use crate::store::{Store, StoreOptions};

/// Asks, and gives each line of the answer.
pub(super) fn ask(
    state_dir: &Path,
    locale: &str,
    question: &Question,
    take: &mut dyn FnMut(Answer) -> io::Result<()>,
) -> anyhow::Result<()> {
    let asked = pipeline::ask(state_dir, question, take)
        .with_context(|| format!("cannot ask the daemon through {}", state_dir.join(pipeline::SOCKET).display()))?;
    if asked {
        return Ok(());
    }
    if !state_dir.is_dir() {
        anyhow::bail!(
            "{} does not exist: the daemon has never run with this configuration (state_dir)",
            state_dir.display()
        );
    }
    let _lock = pipeline::lock(state_dir)?;
    let store = Store::open(state_dir, StoreOptions::default())?;
    let who = format!("uid {}", rustix::process::getuid().as_raw());
    answer(question, &store, state_dir, locale, &who, take)?;
    Ok(())
}
