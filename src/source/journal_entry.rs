//! An entry of the systemd journal, as `journalctl --output=json` writes it: the message is what the source's format parses, the rest says
//! where it came from. Not for running journalctl (`journal_follow`).

use std::borrow::Cow;

use crmwatch_detectors::{Event, Field, Millis};
use serde_json::{Map, Value};

/// An entry, opened.
pub(super) struct Entry {
    /// What the program wrote.
    pub(super) message: Vec<u8>,
    /// When the journal took it in.
    pub(super) at: Option<Millis>,
    fields: Map<String, Value>,
}

/// The journal's fields that say where a message came from. None of them overwrites what the message itself says.
const PLACES: [(&str, Field); 6] = [
    ("_HOSTNAME", Field::HostName),
    ("SYSLOG_IDENTIFIER", Field::ProcessName),
    ("_COMM", Field::ProcessName),
    ("_SYSTEMD_UNIT", Field::ServiceName),
    ("_SYSTEMD_USER_UNIT", Field::ServiceName),
    ("CONTAINER_NAME", Field::ServiceName),
];

impl Entry {
    /// Opens an entry; nothing where it is none.
    pub(super) fn open(bytes: &[u8]) -> Option<Entry> {
        let Value::Object(fields) = serde_json::from_slice(bytes).ok()? else { return None };
        let message = content(fields.get("MESSAGE")?)?;
        let at = number(fields.get("__REALTIME_TIMESTAMP")).map(|micros| micros / 1_000);
        Some(Entry { message, at, fields })
    }

    /// Tells the event where it came from.
    pub(super) fn place(&self, event: &mut Event) {
        for (name, field) in PLACES {
            if !event.has(field)
                && let Some(Value::String(text)) = self.fields.get(name)
            {
                event.set(field, text);
            }
        }
        let pid = number(self.fields.get("_PID")).or_else(|| number(self.fields.get("SYSLOG_PID")));
        if let Some(pid) = pid.filter(|_| !event.has(Field::ProcessPid)) {
            event.set_integer(Field::ProcessPid, pid);
        }
    }
}

fn number(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_i64(),
        _ => None,
    }
}

/// Text; bytes as a list of numbers where they are no UTF-8; a list of such where the field was given several times.
fn content(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Array(items) if items.iter().all(Value::is_number) => {
            items.iter().map(|item| item.as_u64().and_then(|byte| u8::try_from(byte).ok())).collect()
        }
        Value::Array(items) => Some(items.iter().map(content).collect::<Option<Vec<_>>>()?.join(&b'\n')),
        _ => None,
    }
}

/// The entry's cursor, without reading the rest of it.
pub(super) fn cursor(line: &[u8]) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct Cursor<'c> {
        #[serde(rename = "__CURSOR", borrow)]
        cursor: Cow<'c, str>,
    }
    serde_json::from_slice::<Cursor<'_>>(line).ok().map(|one| one.cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_with_its_place_and_time_also_where_it_is_no_text() {
        let line = br#"{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1700000000123456","_HOSTNAME":"crm1","_SYSTEMD_UNIT":"odoo.service","_PID":"812","MESSAGE":[104,255,10]}"#;
        assert_eq!(cursor(line).as_deref(), Some("s=1;i=2"));
        let entry = Entry::open(line).expect("an entry");
        assert_eq!((entry.message.as_slice(), entry.at), (&b"h\xff\n"[..], Some(1_700_000_000_123)));
        let mut event = Event::new("h");
        event.set(Field::HostName, "its own");
        entry.place(&mut event);
        assert_eq!(event.text(Field::HostName), Some("its own"));
        assert_eq!(event.text(Field::ServiceName), Some("odoo.service"));
        let twice = Entry::open(br#"{"MESSAGE":["a","b"]}"#).expect("an entry");
        assert_eq!(twice.message, b"a\nb");
        for none in [&b"{}"[..], b"[]", br#"{"MESSAGE":null}"#, br#"{"MESSAGE":[256]}"#, b"x"] {
            assert!(Entry::open(none).is_none());
        }
    }
}
