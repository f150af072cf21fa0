//! From the sockets of one source to its spool: what has arrived meanwhile is written and synced together. When the spool takes nothing,
//! the queue fills, and nobody reads his socket any more. Not for sockets.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::batch::Batch;
use crate::source::Inlet;

/// Batches between sockets and spool; each is what one read gave.
const QUEUE: usize = 64;
/// After a refusal of the spool.
const AGAIN: Duration = Duration::from_millis(200);
/// At the end, the spool is asked for so long; what it has not taken by then is lost, and counted.
const PATIENCE: Duration = Duration::from_secs(3);

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
    pub(super) async fn run(mut self, ending: tokio::sync::watch::Receiver<bool>) {
        let mut ended: Option<Instant> = None;
        loop {
            let mut batches = Vec::new();
            if self.batches.recv_many(&mut batches, QUEUE).await == 0 {
                return;
            }
            let memory: usize = batches.iter().map(Batch::memory).sum();
            loop {
                let inlet = self.inlet.clone();
                let written = tokio::task::spawn_blocking(move || {
                    let records: Vec<_> = batches.iter().flat_map(Batch::records).collect();
                    let taken = inlet.offer(&records).is_ok();
                    (batches, taken)
                });
                let Ok((back, taken)) = written.await else { break };
                if taken {
                    break;
                }
                batches = back;
                if *ending.borrow() && ended.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                    let count = batches.iter().map(Batch::len).sum::<usize>() as u64;
                    let bytes = batches.iter().map(Batch::bytes).sum::<usize>() as u64;
                    self.inlet.refuse("stopped", count);
                    tracing::error!(
                        source = self.inlet.source(),
                        messages = count,
                        bytes,
                        "received, and lost: the spool took nothing until the end"
                    );
                    break;
                }
                sleep(AGAIN).await;
            }
            self.memory.set(self.memory.get().saturating_sub(memory));
        }
    }
}
