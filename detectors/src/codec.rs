//! The stored form of an event, bytes that the store keeps and reads back whole. Versioned; not for people or other programs (see `json`).

use std::net::IpAddr;
use std::sync::Arc;

use crate::event::{Event, EventId, Key, Origin, Slot, Span};
use crate::field::Field;

const VERSION: u8 = 1;

/// Why stored bytes are no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer program.
    #[error("stored event has form {0}, this program reads up to {VERSION}; use the newer program that wrote it")]
    Version(u8),
    /// Damaged bytes.
    #[error("stored event is damaged: restore the partition it lies in from a backup")]
    Damaged,
}

/// Appends the stored form of the event to `out`.
pub fn encode(event: &Event, out: &mut Vec<u8>) {
    out.push(VERSION);
    out.extend_from_slice(&event.id.0.to_le_bytes());
    signed(event.time, out);
    text(&event.origin.source, out);
    text(&event.origin.path, out);
    signed(event.origin.lateness, out);
    unsigned(event.line, out);
    unsigned(event.offset, out);
    match &event.raw_bytes {
        None => out.push(0),
        Some(bytes) => {
            out.push(1);
            unsigned(bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
    }
    unsigned(u64::from(event.raw_end), out);
    text(&event.text, out);
    unsigned(event.values.len() as u64, out);
    for (key, slot) in &event.values {
        match key.field {
            Some(field) => out.push(field as u8),
            None => {
                out.push(0);
                span(key.name(), out);
            }
        }
        match slot {
            Slot::Text(part) => {
                out.push(0);
                span(*part, out);
            }
            Slot::Integer(number) => {
                out.push(1);
                signed(*number, out);
            }
            Slot::Float(number) => {
                out.push(2);
                out.extend_from_slice(&number.to_le_bytes());
            }
            Slot::Bool(flag) => out.push(3 + u8::from(*flag)),
            Slot::V4(ip) => {
                out.push(5);
                out.extend_from_slice(&ip.octets());
            }
            Slot::V6(at) => {
                out.push(6);
                out.extend_from_slice(&event.addresses[*at as usize].octets());
            }
        }
    }
}

/// Reads an event back. Fields of numbers this program does not know are left out.
pub fn decode(bytes: &[u8]) -> Result<Event, DecodeError> {
    let mut input = Input(bytes);
    match input.byte()? {
        VERSION => {}
        newer => return Err(DecodeError::Version(newer)),
    }
    let id = EventId(u128::from_le_bytes(input.array()?));
    let time = input.signed()?;
    let origin = Origin { source: input.text()?.into(), path: input.text()?.into(), lateness: input.signed()? };
    let line = input.unsigned()?;
    let offset = input.unsigned()?;
    let raw_bytes = match input.byte()? {
        0 => None,
        _ => {
            let length = input.length()?;
            Some(input.take(length)?.into())
        }
    };
    let raw_end = u32::try_from(input.unsigned()?).map_err(|_| DecodeError::Damaged)?;
    let mut event = Event::new(input.text()?);
    if !event.text.is_char_boundary(raw_end as usize) {
        return Err(DecodeError::Damaged);
    }
    event.id = id;
    event.time = time;
    event.origin = Arc::new(origin);
    event.line = line;
    event.offset = offset;
    event.raw_bytes = raw_bytes;
    event.raw_end = raw_end;
    for _ in 0..input.unsigned()? {
        let key = match input.byte()? {
            0 => Some(Key::other(input.span(&event.text)?, &event.text)),
            number => Field::from_number(number).map(Key::known),
        };
        let slot = match input.byte()? {
            0 => Slot::Text(input.span(&event.text)?),
            1 => Slot::Integer(input.signed()?),
            2 => Slot::Float(f64::from_le_bytes(input.array()?)),
            flag @ 3..=4 => Slot::Bool(flag == 4),
            5 => event.address(IpAddr::from(input.array::<4>()?)),
            6 => event.address(IpAddr::from(input.array::<16>()?)),
            _ => return Err(DecodeError::Damaged),
        };
        if let Some(key) = key {
            event.values.push((key, slot));
        }
    }
    event.index();
    Ok(event)
}

fn unsigned(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn signed(number: i64, out: &mut Vec<u8>) {
    unsigned(((number << 1) ^ (number >> 63)) as u64, out);
}

fn text(text: &str, out: &mut Vec<u8>) {
    unsigned(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

fn span(span: Span, out: &mut Vec<u8>) {
    unsigned(u64::from(span.start), out);
    unsigned(u64::from(span.end - span.start), out);
}

struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], DecodeError> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(DecodeError::Damaged)?;
        self.0 = tail;
        Ok(head)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| DecodeError::Damaged)
    }

    fn unsigned(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(DecodeError::Damaged)
    }

    fn signed(&mut self) -> Result<i64, DecodeError> {
        let number = self.unsigned()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn length(&mut self) -> Result<usize, DecodeError> {
        usize::try_from(self.unsigned()?).map_err(|_| DecodeError::Damaged)
    }

    fn text(&mut self) -> Result<&'b str, DecodeError> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| DecodeError::Damaged)
    }

    fn span(&mut self, text: &str) -> Result<Span, DecodeError> {
        let start = self.unsigned()?;
        let end = start.checked_add(self.unsigned()?).ok_or(DecodeError::Damaged)?;
        let (first, last) = (start as usize, end as usize);
        if end > u64::from(u32::MAX) || text.get(first..last).is_none() {
            return Err(DecodeError::Damaged);
        }
        Ok(Span { start: start as u32, end: end as u32 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Value;

    fn sample() -> Event {
        let raw = "203.0.113.7 alice 导出";
        let mut event = Event::new(raw);
        event.id = EventId(42);
        event.time = -7;
        event.origin = Arc::new(Origin { source: "portal".into(), path: "/var/log/a".into(), lateness: 600_000 });
        event.set_ip(Field::SourceIp, "203.0.113.7".parse().expect("an address"));
        event.set_part(Field::UserName, raw, &raw[12..17]);
        event.set_integer(Field::Records, i64::MIN);
        event.set_float(Field::SourceLat, 1.5);
        event.set_bool(Field::Partial, false);
        event.set_other("组", Value::Text("x"));
        event.raw_bytes = Some(vec![0xff, 0x00].into());
        event
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let mut bytes = Vec::new();
        encode(&sample(), &mut bytes);
        let back = decode(&bytes).expect("whole");
        assert_eq!(back, sample());
        assert_eq!(back.text(Field::UserName), Some("alice"));
        assert_eq!(back.origin, sample().origin);
        assert_eq!(back.raw_bytes, sample().raw_bytes);
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_refused_and_never_panic(position in 0usize..200, byte: u8, cut in 0usize..200) {
            let mut bytes = Vec::new();
            encode(&sample(), &mut bytes);
            let position = position % bytes.len();
            bytes[position] = byte;
            bytes.truncate(bytes.len().saturating_sub(cut % 20));
            let _ = decode(&bytes);
        }
    }
}
