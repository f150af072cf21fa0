//! From the sockets of one source to its spool: what has arrived meanwhile is written and synced together. When the spool takes nothing,
//! the queue fills, and nobody reads his socket any more. Not for sockets.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::batch::Batch;
use crate::source::Inlet;

/// Batches between sockets and spool; each is what one read gave.
const QUEUE: usize = 64;
/// After a refusal of the spool.
const AGAIN: Duration = Duration::from_millis(200);
/// At the end, the spool is asked for so long; what it has not taken by then is lost, and counted.
const PATIENCE: Duration = Duration::from_secs(2);

/// The way of batches to the spool.
#[derive(Clone)]
pub(super) struct Chute {
    batches: mpsc::Sender<Batch>,
    memory: Rc<Cell<usize>>,
}

impl Chute {
    /// Hands on a batch, waiting for room. It counts as memory in use until it is in the spool.
    pub(super) async fn send(&self, batch: Batch) {
        if batch.is_empty() {
            return;
        }
        self.memory.set(self.memory.get() + batch.memory());
        // The other end outlives every sender.
        let _ = self.batches.send(batch).await;
    }

    /// Bytes that are received and not in the spool yet.
    pub(super) fn memory(&self) -> &Cell<usize> {
        &self.memory
    }
}

/// Writes what the sockets deliver; ends when the last of them has gone.
pub(super) struct Spooling {
    batches: mpsc::Receiver<Batch>,
    memory: Rc<Cell<usize>>,
    inlet: Inlet,
}

pub(super) fn spooling(inlet: Inlet) -> (Chute, Spooling) {
    let (sender, receiver) = mpsc::channel::<Batch>(QUEUE);
    let memory = Rc::new(Cell::new(0));
    (Chute { batches: sender, memory: Rc::clone(&memory) }, Spooling { batches: receiver, memory, inlet })
}

impl Spooling {
    /// `ending` says when the last chance has come.
    pub(super) async fn run(mut self, ending: watch::Receiver<bool>) {
        let mut ended: Option<Instant> = None;
        let mut waiting = Vec::new();
        // A spool that has no room for all of it may still have room for some.
        let mut together = QUEUE;
        loop {
            if waiting.is_empty() && self.batches.recv_many(&mut waiting, QUEUE).await == 0 {
                return;
            }
            let group: Vec<Batch> = waiting.drain(..together.min(waiting.len())).collect();
            let Some(mut refused) = self.write(group).await else {
                together = QUEUE;
                continue;
            };
            if *ending.borrow() && ended.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                self.give_up(&refused);
                continue;
            }
            if refused.len() == 1 {
                sleep(AGAIN).await;
            }
            together = 1;
            refused.append(&mut waiting);
            waiting = refused;
        }
    }

    /// Writes and syncs them together; gives back what the spool did not take.
    async fn write(&self, batches: Vec<Batch>) -> Option<Vec<Batch>> {
        let inlet = self.inlet.clone();
        let written = tokio::task::spawn_blocking(move || {
            let records: Vec<_> = batches.iter().flat_map(Batch::records).collect();
            let taken = inlet.offer(&records).is_ok();
            (batches, taken)
        });
        let (batches, taken) = written.await.expect("the spool does not panic");
        if !taken {
            return Some(batches);
        }
        self.forget(&batches);
        None
    }

    fn give_up(&self, batches: &[Batch]) {
        let messages = batches.iter().map(Batch::len).sum::<usize>() as u64;
        let bytes: usize = batches.iter().map(Batch::bytes).sum();
        self.inlet.refuse("stopped", messages);
        let source = self.inlet.source();
        tracing::error!(source, messages, bytes, "received, and lost: the spool took nothing until the end");
        self.forget(batches);
    }

    fn forget(&self, batches: &[Batch]) {
        let memory: usize = batches.iter().map(Batch::memory).sum();
        self.memory.set(self.memory.get().saturating_sub(memory));
    }
}
