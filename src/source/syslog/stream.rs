//! One TCP or TLS connection, from its first byte to its end. Not for accepting it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::server::TlsStream;

use super::batch::Batch;
use super::framing::Deframer;
use super::serve::{Ending, now};
use super::spooling::Chute;

/// Read at once.
const READ: usize = 16 << 10;
/// Where more than this is in memory and not in the spool, long messages are cut to `SHORT`: a thousand connections that each hold a
/// message of a megabyte must not take a gigabyte.
const MEMORY: usize = 24 << 20;
/// What the RFCs ask every receiver to take.
const SHORT: usize = 8 << 10;
/// At the end: nothing for so long means that nothing is on its way.
const QUIET: Duration = Duration::from_millis(300);
/// At the end: no sender holds it up for longer.
const FAREWELL: Duration = Duration::from_secs(2);

thread_local! {
    /// All connections read into the same bytes, since each takes out at once what it got.
    static BYTES: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// A connection whose other end can be told that nobody will go on listening.
pub(super) trait HalfClose {
    /// Ends our direction, and leaves theirs open. Under TLS, too, it is the bare end of the connection: senders that only look whether there
    /// is something to read would take an alert for a sign of life.
    fn half_close(&self);
}

impl HalfClose for TcpStream {
    fn half_close(&self) {
        let _ = rustix::net::shutdown(self, rustix::net::Shutdown::Write);
    }
}

impl HalfClose for TlsStream<TcpStream> {
    fn half_close(&self) {
        self.get_ref().0.half_close();
    }
}

/// Reads a connection to its end. When the program ends, it says so first (half of the connection is closed, which senders that look
/// notice before they send more), and takes in what was on its way.
pub(super) async fn converse<S>(mut stream: S, peer: IpAddr, longest: usize, chute: Chute, mut ending: Ending)
where
    S: AsyncRead + HalfClose + Unpin,
{
    let mut conversation = Conversation { peer, longest, deframer: Deframer::new(longest), held: 0, chute };
    loop {
        match ending.unless(read(&mut stream, &mut conversation)).await {
            Some(Some(batch)) => conversation.chute.send(batch).await,
            Some(None) => break,
            None => {
                let until = Instant::now() + FAREWELL;
                stream.half_close();
                while let Ok(Ok(Some(batch))) =
                    timeout_at(until, timeout(QUIET, read(&mut stream, &mut conversation))).await
                {
                    conversation.chute.send(batch).await;
                }
                break;
            }
        }
    }
    let mut last = Batch::new(now());
    conversation.deframer.finish(|frame| last.add(peer, frame));
    conversation.account();
    conversation.chute.send(last).await;
}

struct Conversation {
    peer: IpAddr,
    longest: usize,
    deframer: Deframer,
    /// What the deframer held when last looked at.
    held: usize,
    chute: Chute,
}

impl Conversation {
    fn push(&mut self, bytes: &[u8]) -> Batch {
        let crowded = self.chute.memory().get() > MEMORY;
        self.deframer.keep(if crowded { self.held.max(SHORT).min(self.longest) } else { self.longest });
        let mut batch = Batch::new(now());
        self.deframer.push(bytes, |frame| batch.add(self.peer, frame));
        self.account();
        batch
    }

    fn account(&mut self) {
        let memory = self.chute.memory();
        memory.set((memory.get() + self.deframer.held()).saturating_sub(self.held));
        self.held = self.deframer.held();
    }
}

/// What one read gives, nothing at the end of the connection; a connection that breaks has ended.
async fn read<S: AsyncRead + Unpin>(stream: &mut S, conversation: &mut Conversation) -> Option<Batch> {
    poll_fn(|context| {
        BYTES.with_borrow_mut(|bytes| {
            let mut buffer = ReadBuf::new(bytes);
            match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(error)) => {
                    tracing::debug!(peer = %conversation.peer, %error, "a syslog connection broke");
                    Poll::Ready(None)
                }
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => Poll::Ready(None),
                Poll::Ready(Ok(())) => Poll::Ready(Some(conversation.push(buffer.filled()))),
            }
        })
    })
    .await
}
