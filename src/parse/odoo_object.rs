//! Odoo's entries as objects, one a line, as OCA's `logging_json` and python's usual JSON loggers write them. Not for what an entry means
//! (`odoo`), nor for JSON that only carries a whole line (`json_lines`).

use std::borrow::Cow;

use chrono_tz::Tz;
use crmwatch_detectors::{Event, Millis};

use super::json::{Reader, Value, Visitor};
use super::json_lines::keep;
use super::vendor::{has_all, moment};

/// What an entry says of itself.
#[derive(Default)]
pub(super) struct Object<'r> {
    stamp: Cow<'r, str>,
    pub(super) pid: Option<i64>,
    pub(super) level: Cow<'r, str>,
    pub(super) database: Cow<'r, str>,
    pub(super) logger: Cow<'r, str>,
    pub(super) message: Cow<'r, str>,
    others: Vec<(String, Cow<'r, str>)>,
}

/// Whether a record has the keys of such an entry.
pub(super) fn is_one(record: &str) -> bool {
    record.starts_with('{')
        && has_all(record, &["\"levelname\"", "\"name\"", "\"message\""])
        && (has_all(record, &["\"dbname\""]) || has_all(record, &["\"odoo."]))
}

/// The entry; nothing where the record is no object, or has no logger.
pub(super) fn read<'r>(reader: &mut Reader, record: &'r str) -> Option<Object<'r>> {
    let mut object = Object::default();
    let rest = reader.read(record, &mut object).ok()?;
    (rest.trim_ascii().is_empty() && !object.logger.is_empty()).then_some(object)
}

impl Object<'_> {
    /// When it was written; python's stamp has no zone.
    pub(super) fn time(&self, zone: Tz) -> Option<Millis> {
        moment(&self.stamp, zone)
    }

    /// What else the logger was told to write, under its own names.
    pub(super) fn rest(&self, event: &mut Event, raw: &str) {
        for (name, text) in &self.others {
            keep(event, raw, name, Value::Decoded(text), false);
        }
    }
}

impl<'r> Visitor<'r> for Object<'r> {
    fn value(&mut self, path: &str, value: Value<'r, '_>, _listed: bool) {
        match path {
            "asctime" | "timestamp" | "@timestamp" => self.stamp = value.held(),
            "created" if self.stamp.is_empty() => self.stamp = value.held(),
            "pid" => self.pid = value.integer(),
            "process" => self.pid = self.pid.or(value.integer()),
            "levelname" => self.level = value.held(),
            "dbname" => self.database = value.held(),
            "name" => self.logger = value.held(),
            "message" => self.message = value.held(),
            _ if super::absent(value.text()) => {}
            _ => self.others.push((path.to_owned(), value.held())),
        }
    }
}
