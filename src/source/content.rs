//! What is remembered of a file's content, so that it is known again: its first bytes, the bytes before the offset, and marks on the way
//! there. Not for which file is meant (`identity`).

use std::io;

use super::input::Input;
use super::position::{Digest, MARKS, Mark, PREFIX, Position, TAIL, digest};

/// How much of a copy is read at once when its end is looked for.
const CHUNK: usize = 64 << 10;

/// No header is longer than this, less what is remembered of the bytes before an offset.
const HEADERS: u64 = 4096;

/// What is remembered of the content before an offset.
#[derive(Debug, Default, Clone)]
pub struct Content {
    prefix: Vec<u8>,
    tail: Vec<u8>,
    marks: Vec<Mark>,
    /// While nothing was read: the first bytes there were.
    beginning: Vec<u8>,
}

impl Content {
    /// Reads what is to be remembered of a file that was read up to an offset.
    pub fn before(offset: u64, input: &mut Input, marks: Vec<Mark>) -> io::Result<Content> {
        let mut prefix = vec![0; usize::try_from(offset).unwrap_or(PREFIX).min(PREFIX)];
        let count = input.read_at(&mut prefix, 0)?;
        prefix.truncate(count);
        let mut tail = vec![0; usize::try_from(offset).unwrap_or(TAIL).min(TAIL)];
        let from = offset - tail.len() as u64;
        let count = input.read_at(&mut tail, from)?;
        tail.truncate(count);
        let mut beginning = vec![0; if offset == 0 { PREFIX } else { 0 }];
        let count = input.read_at(&mut beginning, 0)?;
        beginning.truncate(count);
        let mut content = Content { prefix, tail, marks, beginning };
        content.mark(offset);
        Ok(content)
    }

    /// Bytes were taken in; `offset` is where they began.
    pub fn advance(&mut self, offset: u64, taken: &[u8]) {
        self.beginning = Vec::new();
        if self.prefix.len() < PREFIX && self.prefix.len() as u64 == offset {
            let room = PREFIX - self.prefix.len();
            self.prefix.extend_from_slice(&taken[..taken.len().min(room)]);
        }
        if taken.len() >= TAIL {
            self.tail.clear();
            self.tail.extend_from_slice(&taken[taken.len() - TAIL..]);
        } else {
            self.tail.extend_from_slice(taken);
            let surplus = self.tail.len().saturating_sub(TAIL);
            self.tail.drain(..surplus);
        }
        self.mark(offset + taken.len() as u64);
    }

    /// The marks on the way to the offset, to be handed to [`Content::before`].
    pub fn into_marks(self) -> Vec<Mark> {
        self.marks
    }

    /// Remembers the offset. Old marks thin out: one is left from the beginning, and half of those before the last few turns.
    fn mark(&mut self, offset: u64) {
        if offset == 0 || self.marks.last().is_some_and(|last| last.offset == offset) {
            return;
        }
        if self.marks.len() >= MARKS {
            let mut number = 0;
            self.marks.retain(|_| {
                number += 1;
                number % 2 == 1 || number > MARKS / 2
            });
        }
        self.marks.push(Mark { offset, tail: Mark::of(&self.tail) });
    }

    /// Whether the bytes before the offset are still those that were read.
    pub fn holds(&self, offset: u64, input: &mut Input) -> io::Result<bool> {
        if offset == 0 {
            let mut now = [0; PREFIX];
            let now = &mut now[..self.beginning.len()];
            let count = input.read_at(now, 0)?;
            return Ok(now[..count] == self.beginning[..]);
        }
        let mut now = [0; TAIL];
        let now = &mut now[..self.tail.len()];
        let count = input.read_at(now, offset - self.tail.len() as u64)?;
        Ok(now[..count] == self.tail[..])
    }

    /// Where a file ends that ends within the first bytes, if they are the same; nothing where it is longer.
    pub fn within_prefix(&self, input: &mut Input) -> io::Result<Option<Option<u64>>> {
        let mut head = [0; PREFIX];
        let head = &mut head[..self.prefix.len()];
        let count = input.read_at(head, 0)?;
        if head[..count] != self.prefix[..count] {
            return Ok(Some(None));
        }
        Ok((count < head.len()).then_some((count > 0).then_some(count as u64)))
    }

    /// The first bytes that are remembered: of those read, or of those there were while nothing was read.
    pub fn head(&self) -> &[u8] {
        if self.prefix.is_empty() { &self.beginning } else { &self.prefix }
    }

    /// Puts it into a position.
    pub fn describe(&self, position: &mut Position) {
        // Of a file of which nothing was read its first bytes are all that tells it from one that has got its inode.
        let prefix = self.head();
        position.prefix_length = prefix.len();
        position.prefix = digest(prefix);
        position.tail_length = self.tail.len();
        position.tail = digest(&self.tail);
        position.marks.clone_from(&self.marks);
    }
}

impl Position {
    /// Whether the content of a file goes on from here: its head is the one remembered, it is long enough, and the bytes before the
    /// offset are the same. A position with nothing read says nothing about content.
    pub fn fits(&self, input: &mut Input) -> io::Result<bool> {
        if self.offset == 0 {
            return Ok(false);
        }
        if !self.heads(input)? {
            return Ok(false);
        }
        Ok(tail_of(input, self.offset, self.tail_length)? == Some(self.tail))
    }

    /// Whether a file holds what was read, or, where nothing was, begins with what was seen.
    pub fn holds(&self, input: &mut Input) -> io::Result<bool> {
        if self.offset == 0 { Ok(self.prefix_length > 0 && self.heads(input)?) } else { self.fits(input) }
    }

    /// Whether a file with this head can be a copy of what was read here, or of the beginning of it.
    pub fn begins_alike(&self, head: &[u8]) -> bool {
        match head.get(..self.prefix_length) {
            Some(head) => digest(head) == self.prefix,
            None => !self.marks.is_empty(),
        }
    }

    /// Whether a file begins with the bytes that are remembered.
    pub fn heads(&self, input: &mut Input) -> io::Result<bool> {
        let mut head = [0; PREFIX];
        let Some(head) = head.get_mut(..self.prefix_length) else { return Ok(false) };
        Ok(input.read_at(head, 0)? == head.len() && (head.is_empty() || digest(head) == self.prefix))
    }

    /// Where a file ends that is a copy of what was read here and ends before the offset; nothing if it is no such copy.
    ///
    /// `copytruncate` makes them: what is written between the copy and the truncation may have been read here and is not in the copy.
    /// The last mark the copy is long enough for must hold, and its head. Files with one header are alike up to there: unless this was seen to
    /// be a copy while the original was there, it must end at a mark, or hold one that lies beyond all headers.
    pub fn shorter_copy(&self, input: &mut Input, seen_to_be: bool) -> io::Result<Option<u64>> {
        let mut head = [0; PREFIX];
        let count = input.read_at(&mut head, 0)?;
        let head_holds = count >= self.prefix_length && digest(&head[..self.prefix_length]) == self.prefix;
        for mark in self.marks.iter().rev() {
            let length = usize::try_from(mark.offset).unwrap_or(TAIL).min(TAIL);
            let mut tail = [0; TAIL];
            let tail = &mut tail[..length];
            if input.read_at(tail, mark.offset - length as u64)? < length {
                continue;
            }
            if Mark::of(tail) != mark.tail || (mark.offset >= self.prefix_length as u64 && !head_holds) {
                return Ok(None);
            }
            let mut end = mark.offset;
            let mut chunk = vec![0; CHUNK];
            while end < self.offset {
                match input.read_at(&mut chunk, end)? {
                    0 => return Ok((seen_to_be || end == mark.offset || mark.offset > HEADERS).then_some(end)),
                    count => end += count as u64,
                }
            }
            return Ok(None);
        }
        Ok(None)
    }
}

fn tail_of(input: &mut Input, offset: u64, length: usize) -> io::Result<Option<Digest>> {
    let mut tail = [0; TAIL];
    let (Some(tail), Some(from)) = (tail.get_mut(..length), offset.checked_sub(length as u64)) else { return Ok(None) };
    Ok((input.read_at(tail, from)? == tail.len()).then(|| digest(tail)))
}
