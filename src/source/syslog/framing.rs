//! Where one syslog message ends and the next begins on a TCP or TLS connection (RFC 6587, RFC 5425). A pure state machine over bytes:
//! the same bytes give the same frames however they are cut into reads. Not for sockets, nor for what a message says.
//!
//! Octet counting (`LEN SP MSG`) and the trailer (LF, CR LF or NUL) are told apart message by message: a digit 1 to 9 begins a count,
//! anything else a message that a trailer ends. Memory is bounded by the longest message kept; what is beyond is counted and dropped.

use memchr::memchr2;

/// A count has no more digits than this; more are text.
const DIGITS: usize = 10;

/// One message, or what there is of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'b> {
    /// Without count and trailer. Never empty.
    pub message: &'b [u8],
    /// Bytes of it that were dropped because it was longer than what is kept.
    pub cut: u64,
    /// The connection ended within it.
    pub partial: bool,
}

/// What the bytes that come next are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// The first byte of a message, or what separates two of them.
    Start,
    /// Digits of a count; `held` has those that came.
    Count,
    /// So many more bytes of a counted message.
    Counted(u64),
    /// A message that ends at its trailer.
    Trailed,
}

/// One connection's framing.
#[derive(Debug)]
pub struct Deframer {
    /// Longer messages are kept up to here.
    longest: usize,
    expected: Expected,
    /// What came of the message so far.
    held: Vec<u8>,
    cut: u64,
}

impl Deframer {
    /// Begins a connection. A message is kept up to `longest` bytes.
    pub fn new(longest: usize) -> Deframer {
        Deframer { longest: longest.max(1), expected: Expected::Start, held: Vec::new(), cut: 0 }
    }

    /// Bytes of memory that the message in the making takes.
    pub fn held(&self) -> usize {
        self.held.capacity()
    }

    /// From now on, messages are kept up to this length; the one in the making, too, as far as it has not come yet.
    pub fn keep(&mut self, longest: usize) {
        self.longest = longest.max(1);
    }

    /// Takes what was read and gives every message that is complete.
    pub fn push(&mut self, mut bytes: &[u8], mut give: impl FnMut(Frame<'_>)) {
        while !bytes.is_empty() {
            bytes = match self.expected {
                Expected::Start => self.start(bytes),
                Expected::Count => self.count(bytes),
                Expected::Counted(left) => self.counted(bytes, left, &mut give),
                Expected::Trailed => self.trailed(bytes, &mut give),
            };
        }
    }

    /// The connection is closed: gives what came of an unfinished message.
    pub fn finish(&mut self, mut give: impl FnMut(Frame<'_>)) {
        if self.expected == Expected::Count {
            self.no_count();
        }
        let message = if self.cut == 0 { without_return(&self.held) } else { &self.held };
        if !message.is_empty() {
            give(Frame { message, cut: self.cut, partial: true });
        }
        self.next();
    }

    fn next(&mut self) {
        self.expected = Expected::Start;
        self.cut = 0;
        // A rare long message must not be paid for as long as the connection lasts.
        self.held = Vec::new();
    }

    /// Blanks and trailers between messages are nobody's: senders end counted messages with a newline, too.
    fn start<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        match bytes[0] {
            b'\n' | b'\r' | 0 | b' ' => return &bytes[1..],
            b'1'..=b'9' => self.expected = Expected::Count,
            _ => self.expected = Expected::Trailed,
        }
        bytes
    }

    /// `LEN SP`; where it turns out to be none, the digits are the beginning of a message that a trailer ends.
    fn count<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        match bytes[0] {
            digit @ b'0'..=b'9' if self.held.len() < DIGITS => {
                self.held.push(digit);
                &bytes[1..]
            }
            b' ' => {
                let count = self.held.iter().fold(0, |sum: u64, digit| sum * 10 + u64::from(digit - b'0'));
                self.held.clear();
                self.expected = Expected::Counted(count);
                &bytes[1..]
            }
            _ => {
                self.no_count();
                bytes
            }
        }
    }

    /// The digits that came are the beginning of a text.
    fn no_count(&mut self) {
        let digits = std::mem::take(&mut self.held);
        self.hold(&digits);
        self.expected = Expected::Trailed;
    }

    fn counted<'b>(&mut self, bytes: &'b [u8], left: u64, give: &mut impl FnMut(Frame<'_>)) -> &'b [u8] {
        let begun = !self.held.is_empty() || self.cut > 0;
        // What is counted begins with `<PRI>`. A number before anything else was no count, or a wrong count has led into the midst of a
        // message: it is a text that goes on to its trailer, and what follows is told anew.
        if !begun && bytes[0] != b'<' {
            self.hold(format!("{left} ").as_bytes());
            self.expected = Expected::Trailed;
            return bytes;
        }
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let (mine, rest) = bytes.split_at(here);
        let left = left - here as u64;
        if left > 0 {
            self.hold(mine);
            self.expected = Expected::Counted(left);
        } else {
            self.complete(mine, give);
        }
        rest
    }

    fn trailed<'b>(&mut self, bytes: &'b [u8], give: &mut impl FnMut(Frame<'_>)) -> &'b [u8] {
        match memchr2(b'\n', 0, bytes) {
            Some(end) => {
                self.complete(&bytes[..end], give);
                &bytes[end + 1..]
            }
            None => {
                self.hold(bytes);
                &[]
            }
        }
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = self.longest.saturating_sub(self.held.len()).min(bytes.len());
        self.held.extend_from_slice(&bytes[..room]);
        self.cut += (bytes.len() - room) as u64;
    }

    /// The message ends with these bytes. One that came in a single read is not copied.
    fn complete(&mut self, last: &[u8], give: &mut impl FnMut(Frame<'_>)) {
        let mut cut = self.cut;
        let message = if self.held.is_empty() {
            let kept = last.len().min(self.longest);
            cut += (last.len() - kept) as u64;
            &last[..kept]
        } else {
            self.hold(last);
            cut = self.cut;
            &self.held
        };
        let message = if cut == 0 { without_return(message) } else { message };
        if !message.is_empty() {
            give(Frame { message, cut, partial: false });
        }
        self.next();
    }
}

/// Without what a sender puts at the end of a message besides its trailer.
fn without_return(message: &[u8]) -> &[u8] {
    let end = message.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n' | 0)).map_or(0, |last| last + 1);
    &message[..end]
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
