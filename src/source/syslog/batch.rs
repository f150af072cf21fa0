//! Messages on their way from a socket to the spool: one allocation for what came in one read. Not for sockets.

use std::net::IpAddr;

use crmwatch_detectors::Millis;

use super::framing::Frame;
use crate::source::Received;

/// Messages that came together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    at: Millis,
    bytes: Vec<u8>,
    messages: Vec<Message>,
}

#[derive(Debug)]
struct Message {
    /// Where it ends in the bytes.
    end: usize,
    peer: IpAddr,
    cut: u64,
    partial: bool,
}

impl Batch {
    /// Begins with what came now.
    pub(super) fn new(at: Millis) -> Batch {
        Batch { at, ..Batch::default() }
    }

    pub(super) fn add(&mut self, peer: IpAddr, frame: Frame<'_>) {
        self.bytes.extend_from_slice(frame.message);
        self.messages.push(Message { end: self.bytes.len(), peer, cut: frame.cut, partial: frame.partial });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Bytes of memory, about.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity() + self.messages.capacity() * size_of::<Message>()
    }

    /// Bytes of the messages.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn records(&self) -> impl Iterator<Item = Received<'_>> {
        let mut start = 0;
        self.messages.iter().map(move |message| {
            let payload = &self.bytes[start..message.end];
            start = message.end;
            Received { at: self.at, peer: Some(message.peer), payload, cut: message.cut, partial: message.partial }
        })
    }
}
