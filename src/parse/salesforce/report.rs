//! `REPORT_DESCRIPTION` of a report export: a query string with the report as percent-encoded JSON. Not for the number of rows, which it lacks.

use std::borrow::Cow;

use crmwatch_detectors::{Event, Field, Value};
use serde_json::Value as Json;

use super::map;

/// Undoes percent-encoding; `+` is a blank only in form data. What does not decode to text is left as it is.
pub(super) fn percent_decoded(text: &str, form: bool) -> Cow<'_, str> {
    let plus = form && text.contains('+');
    if !plus && !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digit = |offset: usize| bytes.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
        match (byte, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (b'+', ..) if form => {
                out.push(b' ');
                at += 1;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Name, id, object, columns and form of the export.
pub(super) fn describe(event: &mut Event, description: &str) {
    for pair in description.trim_start_matches('?').split('&') {
        let Some((key, value)) = pair.split_once('=') else { continue };
        let value = percent_decoded(value, true);
        match key {
            "xf" => event.set(Field::ExportFormat, &value),
            "enc" => event.set_other("salesforce.export_charset", Value::Text(&value)),
            "runReportJson" => {
                if let Ok(json) = serde_json::from_str::<Json>(&value) {
                    metadata(event, json.get("reportMetadata").unwrap_or(&json));
                }
            }
            _ => {}
        }
    }
}

fn metadata(event: &mut Event, report: &Json) {
    let text = |key: &str| report.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
    if let Some(name) = text("name") {
        event.set(Field::ReportName, name);
    }
    if let Some(id) = text("id") {
        event.set(Field::ReportId, &map::long_id(id));
    }
    let label = report.get("reportType").and_then(|kind| kind.get("label").or_else(|| kind.get("type")));
    if let Some(label) = label.and_then(Json::as_str) {
        event.set(Field::ObjectType, label);
    }
    if let Some(columns) = report.get("detailColumns").and_then(Json::as_array) {
        event.set_integer(Field::Columns, columns.len() as i64);
    }
    if let Some(scope) = text("scope") {
        event.set_other("salesforce.report_scope", Value::Text(scope));
    }
}
