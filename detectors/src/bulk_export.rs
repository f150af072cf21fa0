//! Somebody takes far more data out of the CRM than he, his peers and the organisation normally do.
//!
//! # What it finds
//! A person, account or program that takes out an unusual number of records within an hour or a day, over all ways together: exports,
//! reports, printouts, downloads, lists paged through, bulk jobs and API calls. Many small exports add up.
//!
//! # Why it matters
//! The customer base is what a thief or a leaver wants from a CRM, and the export button is the shortest way. Once it is out it cannot be called back.
//!
//! # How it decides
//! Every event is counted in records: exports and bulk jobs in full, a report by half, five rows of a list as one, wide tables more; where only
//! bytes are known, 350 are one record. From the sixty-first page turned within an hour on, rows count in full: nobody reads so fast. Records that are
//! written back in bulk after being read are worked on and not taken out. Failed requests do not count. The sums of the last hour and the last day slide with the events' own
//! times, so there are no edges to hide between. Where an export is answered with the name of a file, the file fetched within ten minutes counts by its size. Nothing below `floor_records_per_hour` and `floor_records_per_day` is ever reported.
//! Above, these points are added: how improbable the amount is by the entity's own history, which starts from that of its role, department or
//! organisation (up to 6, and not more than 2
//! beyond its rarity among peers; less where its own days are few or several of theirs have reached it), or how often it doubles the largest day so far (up to 4); how improbable the number of exports is (up to 6); how
//! far above the floor (up to 5, less where peers reach it); more than 99.5 in 100
//! of the peers 2; a way or kind of data never used before 1.5 each and a report 0.5, up to 3 (half in the first three days); pages turned faster than anybody reads 2; no past at all 2; a leaver 3 (half without a past); outside working hours 1; from a hosting network 2; a program at an hour it
//! never worked 2. From `alert_score` it is an alert, and beyond `ceiling_records_per_day` whatever the points. Ten times the floor and far above the
//! usual is high, above the ceiling critical; in an organisation's first three days medium below the ceiling, and of a program that uses no new way or kind
//! of data always. A window that raised an alert teaches nothing until its incident is closed, or for 14 days, and then only clipped.
//!
//! # False positives
//! The first large export of somebody who will do so from now on; a migration; a first quarterly report. Silent are: what the entity has itself done before
//! (up to a quarter more than its largest window, slowly forgotten, so a month end is quiet from the second month), what it did at
//! the same hour on two earlier days (a nightly job is quiet from the third night; one the people file calls an integration from the first, up to ten
//! times the ceiling), what 99 of 100 of its own days of five or more hold, what was reported
//! on two days of the last 30 and is not half as large again, a program's first night below the ceiling,
//! and whoever is listed under `expected_exporters`.
//!
//! # What to check
//! Which records went out, in which format, and to which device. Ask the person and his manager what they were for. If nobody
//! knows: end the sessions, revoke tokens, keep the logs, and look for mails or uploads that followed.
//!
//! # Settings
//! - `floor_records_per_hour` (1000), `floor_records_per_day` (5000): less is never reported.
//! - `ceiling_records_per_day` (100000): more is reported unless it is routine.
//! - `alert_score` (8): points that make an alert.
//! - `records_when_unknown` (100): what an export counts as whose size the log does not tell.
//! - `sensitive_objects` ({}): kinds of records that count more or less, such as { "contact" = 2.0 }, by name in lower case.
//! - `expected_exporters` ([]): users, e-mail addresses or apps that are known to take out everything; measured and never reported.
//! - `capacity` (200000): entities remembered.

mod exporter;
pub(crate) mod judge;
#[cfg(test)]
mod tests;
mod volume;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::baseline::stable_hash;
use crate::detector::{Context, Detector, RestoreError, Rule};
use crate::entity::{entity_key, primary_field};
use crate::event::{Event, Millis};
use crate::field::Field;
use crate::finding::{Detection, Identities, Sentence, Severity};
use crate::keyed::Keyed;
use crate::manual::Manual;
use crate::memory::Shelf;
use crate::wording::{figure, moment};
use exporter::{Exporter, Group, HOUR, Told, hour_of};
use judge::{DAY_WINDOW, Verdict, Windows, judge, prior};

/// The rule's id.
pub const ID: &str = "bulk-export";
const TECHNIQUES: [&str; 2] = ["T1567", "T1530"];
/// For how long a new way or kind of data stays new, in seconds.
const RIPE: u32 = 86_400;
const KNOWN: usize = 48;
/// What goes on over a working day is one episode.
const EPISODE: Millis = 6 * HOUR;
/// References kept of an entity that takes out little, and of one that comes near the floor.
const FEW: usize = 16;
const MANY: usize = 100;

/// `[detectors.bulk-export]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    floor_records_per_hour: f64,
    floor_records_per_day: f64,
    ceiling_records_per_day: f64,
    alert_score: f64,
    records_when_unknown: f64,
    sensitive_objects: BTreeMap<String, f64>,
    expected_exporters: Vec<String>,
    capacity: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            floor_records_per_hour: 1_000.0,
            floor_records_per_day: 5_000.0,
            ceiling_records_per_day: 100_000.0,
            alert_score: 8.0,
            records_when_unknown: 100.0,
            sensitive_objects: BTreeMap::new(),
            expected_exporters: Vec::new(),
            capacity: 200_000,
        }
    }
}

/// The detector.
pub struct BulkExport {
    settings: Settings,
    exporters: Keyed<Exporter>,
    groups: Keyed<Group>,
    /// When something of an exporter may be learned, and whose. Made again from the exporters when they are restored.
    due: BTreeSet<(u32, Box<str>)>,
    rule: Arc<str>,
}

impl BulkExport {
    /// Makes it from its settings.
    pub fn build(settings: &serde_json::Value) -> Result<Box<dyn Detector>, serde_json::Error> {
        let mut settings: Settings = serde_json::from_value(settings.clone())?;
        settings.expected_exporters.iter_mut().for_each(|name| *name = name.to_lowercase());
        Ok(Box::new(BulkExport {
            exporters: Keyed::new(ID, settings.capacity),
            groups: Keyed::new(ID, 10_000),
            due: BTreeSet::new(),
            rule: ID.into(),
            settings,
        }))
    }

    /// Learns every window that ended before the watermark.
    fn close(&mut self, watermark: Millis) {
        let hour = hour_of(watermark);
        while self.due.first().is_some_and(|(due, _)| *due <= hour) {
            let (_, key) = self.due.pop_first().expect("there is a first");
            let Some(known) = self.exporters.get(&key) else { continue };
            if !known.cells.iter().any(|cell| cell.due <= hour) {
                continue;
            }
            let groups = known.groups.clone();
            let own_prior = prior(groups.iter().filter_map(|group| self.groups.get(group)));
            let (lessons, dues) = self.exporters.touch(&key, Millis::MIN).close(hour, &own_prior);
            for group in &groups {
                let group = self.groups.touch(group, watermark);
                lessons.iter().for_each(|lesson| group.learn(lesson));
            }
            self.due.extend(dues.into_iter().map(|due| (due, key.clone())));
        }
    }

    fn expected(&self, event: &Event) -> bool {
        !self.settings.expected_exporters.is_empty()
            && [
                Field::Person,
                Field::UserName,
                Field::UserId,
                Field::UserEmail,
                Field::OauthClientId,
                Field::OauthClientName,
            ]
            .into_iter()
            .filter_map(|field| event.text(field))
            .any(|name| self.settings.expected_exporters.contains(&name.to_lowercase()))
    }
}

/// Whether an event is the download of a file that an export just before has made.
fn awaited(event: &Event, context: &Context) -> bool {
    event.text(Field::EventAction) == Some("file-download")
        && context.habits.is_some_and(|habits| habits.awaits_file(event))
}

/// The records one event took out, weighted as this rule does without an operator's settings, and whether it was an act of exporting.
pub(crate) fn taken_out(event: &Event, context: &Context) -> Option<(f64, bool)> {
    static DEFAULTS: std::sync::LazyLock<Settings> = std::sync::LazyLock::new(Settings::default);
    let awaited = awaited(event, context);
    volume::of(event, false, awaited, &DEFAULTS).map(|volume| (volume.records, volume.export || awaited))
}

/// What an event shows of ways and kinds of data.
fn kinds(event: &Event) -> [Option<u32>; 4] {
    [Field::EventAction, Field::ObjectType, Field::ReportId, Field::OauthClientId]
        .map(|field| event.text(field).filter(|text| !text.is_empty()).map(|text| stable_hash(text) ^ field as u32))
}

/// What each is worth when it is new. Another report is everyday life; another way, kind of record or app is not.
const KIND_POINTS: [f64; 4] = [1.5, 1.5, 0.5, 1.5];

/// The groups of an exporter, the widest first.
fn groups_of(event: &Event, program: bool) -> Vec<Box<str>> {
    let organisation = event.text(Field::OrganizationId).unwrap_or_default();
    if program {
        return vec![format!("{organisation}/programs").into()];
    }
    let mut groups: Vec<Box<str>> = vec![format!("{organisation}/people").into()];
    let person = event.person.as_deref();
    if let Some(department) = person.and_then(|person| person.department.as_deref()) {
        groups.push(format!("{organisation}/department/{department}").into());
    }
    if let Some(role) = person.and_then(|person| person.role.as_deref()) {
        groups.push(format!("{organisation}/role/{role}").into());
    }
    groups
}

impl Detector for BulkExport {
    fn id(&self) -> &'static str {
        ID
    }

    fn rules(&self) -> Vec<Rule> {
        vec![Rule {
            id: ID.to_owned(),
            manual: Manual::from_source(include_str!("bulk_export.rs")),
            severity: Severity::Medium,
            techniques: TECHNIQUES.map(str::to_owned).to_vec(),
            settings: serde_json::to_value(&self.settings).expect("settings are plain data"),
        }]
    }

    fn actions(&self) -> &'static [&'static str] {
        // A login and a view say who is a person, an update what was only worked on.
        const OUT: &[&str] = &[
            "export",
            "bulk-api",
            "report-run",
            "file-download",
            "print",
            "list",
            "search",
            "api-call",
            "update",
            "login",
            "view",
        ];
        OUT
    }

    fn observe(&mut self, event: &Event, context: &Context, out: &mut Vec<Detection>) {
        self.close(context.watermark);
        let key = entity_key(event);
        if key.is_empty() {
            return;
        }
        // Who works through a browser is a person, whatever else runs under that name.
        let browser = volume::browser(event);
        if browser && self.exporters.get(&key).is_none_or(|known| !known.human) {
            self.exporters.touch(&key, event.time).human = true;
        }
        if let Some(written) = volume::written(event)
            && let Some(known) = self.exporters.get(&key)
        {
            // Only what was read and not yet written back: a change beforehand excuses no export.
            let open = known.ring.sum(event.time, HOUR).amount - known.written.sum(event.time, HOUR).amount;
            if open > 0.0 {
                self.exporters.touch(&key, event.time).written.add(event.time, written.min(open), 0);
            }
        }
        let harvest =
            volume::page(event).is_some_and(|page| self.exporters.touch(&key, event.time).pages.turn(page, event.time));
        let exported = awaited(event, context);
        let Some(volume) = volume::of(event, harvest, exported, &self.settings) else { return };
        let seconds = u32::try_from((event.time / 1_000).max(0)).unwrap_or(u32::MAX);
        let exporter = self.exporters.touch(&key, event.time);
        if volume::program(event) || key.starts_with("app:") {
            exporter.program = true;
        } else if browser || !event.has(Field::UserAgent) {
            exporter.human = true;
        }
        let is_program = exporter.program && !exporter.human;
        exporter.ring.add(event.time, volume.records, u32::from(volume.export));
        exporter.told.since += volume.records;
        let dues = exporter.open(event.time, volume.records, volume.export);
        self.due.extend(dues.into_iter().flatten().map(|due| (due, Box::from(key.as_ref()))));
        let mut fresh = 0.0;
        // The file of an export is no way of its own.
        for (kind, points) in kinds(event).into_iter().zip(KIND_POINTS).skip(usize::from(exported)) {
            let Some(kind) = kind else { continue };
            exporter.known.note(kind, seconds, KNOWN);
            if !exporter.known.known(kind, seconds, RIPE) {
                fresh += points;
            }
        }
        if exporter.groups.is_empty()
            || exporter.groups[0].ends_with("/programs") != is_program
            || event.person.is_some()
        {
            let groups = groups_of(event, is_program);
            if exporter.groups != groups {
                exporter.groups = groups;
            }
        }
        let hour = exporter.ring.sum(event.time, HOUR).amount;
        let day = exporter.ring.sum(event.time, DAY_WINDOW).amount;
        let near =
            hour * 4.0 >= self.settings.floor_records_per_hour || day * 4.0 >= self.settings.floor_records_per_day;
        exporter.trail.add(event, 24 * HOUR, if near { MANY } else { FEW });
        if !near || self.expected(event) {
            return;
        }
        let organisation_days = context.habits.map_or(0.0, |habits| habits.age_days(event.time));
        self.decide(event, &key, (fresh, harvest), (is_program, organisation_days), out);
    }

    fn settle(&mut self, verdict: &crate::Verdict) {
        if &*verdict.rule != ID {
            return;
        }
        for subject in &verdict.subjects {
            if self.exporters.get(subject).is_some_and(Exporter::was_reported) {
                let exporter = self.exporters.touch(subject, Millis::MIN);
                let dues = exporter.settle(verdict.from, verdict.to, verdict.harmless);
                self.due.extend(dues.into_iter().map(|due| (due, Box::from(subject.as_str()))));
            }
        }
    }

    fn memory(&mut self) -> Vec<Shelf<'_>> {
        vec![Shelf::under("x/", &mut self.exporters), Shelf::under("g/", &mut self.groups)]
    }

    fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), RestoreError> {
        match key.split_at_checked(2) {
            Some(("x/", rest)) => {
                self.exporters.restore(rest, value)?;
                let cells = self.exporters.get(rest).map(|exporter| exporter.cells.iter().map(|cell| cell.due));
                let dues: Vec<u32> = cells.into_iter().flatten().collect();
                self.due.extend(dues.into_iter().map(|due| (due, rest.into())));
                Ok(())
            }
            Some(("g/", rest)) => self.groups.restore(rest, value),
            _ => Err(RestoreError { owner: ID.to_owned(), key: key.to_owned() }),
        }
    }
}

impl BulkExport {
    fn decide(
        &mut self,
        event: &Event,
        key: &str,
        (fresh, harvest): (f64, bool),
        (is_program, organisation_days): (bool, f64),
        out: &mut Vec<Detection>,
    ) {
        let Some(exporter) = self.exporters.get(key) else { return };
        let windows = Windows::of(exporter, event.time);
        let groups: Vec<&Group> = exporter.groups.iter().filter_map(|group| self.groups.get(group)).collect();
        let Some(verdict) =
            judge(exporter, &groups, event, &windows, (fresh, harvest, is_program, organisation_days), &self.settings)
        else {
            return;
        };
        let from = event.time.saturating_sub(if verdict.by_day { DAY_WINDOW } else { HOUR });
        let amount = verdict.amount;
        let told = exporter.told;
        // Told again when it grows by half, gets worse, or ten minutes have passed.
        let again = event.time.abs_diff(told.time) >= 600_000
            || amount >= 1.5 * told.amount
            || verdict.severity as u8 > told.severity;
        let detection = again.then(|| self.detection(event, key, exporter, &windows, &verdict, from));
        let exporter = self.exporters.touch(key, event.time);
        exporter.mark(from, event.time);
        exporter.report(event.time, windows.hour.amount, windows.day.amount);
        if let Some(detection) = detection {
            exporter.told = Told { time: event.time, amount, severity: verdict.severity as u8, since: 0.0 };
            out.push(detection);
        }
    }

    fn detection(
        &self,
        event: &Event,
        key: &str,
        exporter: &Exporter,
        windows: &Windows,
        verdict: &Verdict,
        from: Millis,
    ) -> Detection {
        let mut entity = Identities::default();
        entity.add_event(event);
        let primary = primary_field(event);
        if primary == Field::SessionId
            && let Some(session) = event.text(Field::SessionId)
        {
            entity.add(Field::SessionId.name(), session);
        }
        let who = event
            .text(Field::Person)
            .or(event.text(Field::UserName))
            .or(event.text(Field::UserId))
            .or(event.text(Field::OauthClientName))
            .unwrap_or_else(|| key.split_once(':').map_or(key, |(_, name)| name));
        let total = if verdict.by_day { windows.day } else { windows.hour };
        let (span, span_zh) = if verdict.by_day { ("a day", "一天") } else { ("an hour", "一小时") };
        let (within, within_zh) = if verdict.by_day { ("24 hours", "24 小时") } else { ("one hour", "一小时") };
        let until = moment(event.time);
        let (amount, usual) = (figure(verdict.amount), figure(verdict.usual_most));
        let summary = Sentence::new(
            format!(
                "{who} took about {amount} records out within {within} up to {until}; {usual} in {span} would be the most to expect."
            ),
            format!(
                "{who} 在截至 {until} 的{within_zh}内导出约 {amount} 条记录；按以往情况，{span_zh}最多约 {usual} 条。"
            ),
        );
        let observed = Sentence::new(
            format!(
                "about {amount} records within {within} over {} exports, reports and downloads; {} in the last 10 minutes, {} in the last 7 days",
                total.actions,
                figure(windows.burst.amount),
                figure(windows.week.amount)
            ),
            format!(
                "{within_zh}内约 {amount} 条记录，共 {} 次导出、报表和下载；最近 10 分钟 {} 条，最近 7 天 {} 条",
                total.actions,
                figure(windows.burst.amount),
                figure(windows.week.amount)
            ),
        );
        let peers = figure(verdict.usual_of_peers);
        let history = exporter.days.weight();
        let expected = if history < 1.0 {
            Sentence::new(
                format!("there is no history of this one yet; others like it stay below {peers} records in {span}"),
                format!("该对象尚无历史记录；同类对象{span_zh}内少于 {peers} 条"),
            )
        } else {
            Sentence::new(
                format!(
                    "99 of 100 times this one stays below {usual} records in {span}, and others like it below {peers}"
                ),
                format!("该对象 99% 的情况下{span_zh}内少于 {usual} 条，同类对象少于 {peers} 条"),
            )
        };
        let mut evidence = exporter.trail.references(from, event.time);
        evidence.retain(|reference| reference.id != event.id);
        Detection {
            rule: self.rule.clone(),
            severity: verdict.severity,
            entity,
            primary: primary.name(),
            subject: key.to_owned(),
            summary,
            observed,
            expected,
            window: (from, event.time),
            evidence_count: total.events.max(evidence.len() as u64 + 1),
            evidence,
            techniques: TECHNIQUES.to_vec(),
            parts: verdict.parts.clone(),
            quiet: EPISODE,
        }
    }
}
