//! Every Prometheus metric, in one place, with its help text. Not for deciding what its value is: whoever knows it sets it.
//!
//! No label ever holds what a log says: never a user, an address or a path. Sources, formats, rules and channels come from the
//! configuration, reasons and causes from the code; rules, which an operator may add by the folder, are capped besides.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crmwatch_detectors::{Millis, Severity};
use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// A kind of metric that can be made from its line in the table below.
trait Made: Collector + Clone + Sized + 'static {
    fn made(name: &str, help: &str, labels: &[&str]) -> Self;
}

macro_rules! made {
    ($($kind:ident: |$name:ident, $help:ident, $labels:ident| $make:expr;)*) => {
        $(impl Made for $kind {
            fn made($name: &str, $help: &str, $labels: &[&str]) -> $kind {
                $make.expect("names and labels of the table are valid")
            }
        })*
    };
}

made! {
    IntCounter: |name, help, _labels| IntCounter::new(name, help);
    IntGauge: |name, help, _labels| IntGauge::new(name, help);
    Gauge: |name, help, _labels| Gauge::new(name, help);
    IntCounterVec: |name, help, labels| IntCounterVec::new(Opts::new(name, help), labels);
    IntGaugeVec: |name, help, labels| IntGaugeVec::new(Opts::new(name, help), labels);
    Histogram: |name, help, _labels| Histogram::with_opts(HistogramOpts::new(name, help).buckets(SECONDS.to_vec()));
}

/// Buckets of everything that is timed.
const SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

macro_rules! metrics {
    ($($field:ident: $kind:ident = $name:literal [$($label:literal),*] $help:literal;)*) => {
        /// The metrics' handles. Cheap to clone.
        #[derive(Clone)]
        pub struct Metrics {
            registry: Registry,
            rules: Arc<Mutex<BTreeSet<String>>>,
            $(#[doc = $help] pub $field: $kind,)*
        }

        /// The name of every metric, as `/metrics` shows it: what dashboards and rules may speak of.
        pub const NAMES: &[&str] = &[$(concat!("crmwatch_", $name),)*];

        impl Metrics {
            fn make() -> Metrics {
                let registry = Registry::new();
                $(
                    let $field = $kind::made(concat!("crmwatch_", $name), $help, &[$($label),*]);
                    registry.register(Box::new($field.clone())).expect("each name stands once in the table");
                )*
                Metrics { registry, rules: Arc::default(), $($field,)* }
            }
        }
    };
}

metrics! {
    lines_read_total: IntCounterVec = "lines_read_total" ["source"] "Lines read.";
    bytes_read_total: IntCounterVec = "bytes_read_total" ["source"] "Bytes of whole records read, decompressed.";
    events_parsed_total: IntCounterVec = "events_parsed_total" ["source", "format"] "Events built from records.";
    quarantined_total: IntCounterVec = "quarantined_total" ["source", "reason"] "Records no parser accepted, kept with their reason.";
    duplicates_total: IntCounterVec = "duplicates_total" ["source"] "Copies of events already delivered: indexed, not given to detectors.";
    lines_cut_total: IntCounterVec = "lines_cut_total" ["source"] "Lines longer than max_line, cut and marked.";
    lost_bytes_total: IntCounterVec = "lost_bytes_total" ["source", "cause"] "Bytes that can no longer be read, as far as they can be known.";
    zero_bytes_total: IntCounterVec = "zero_bytes_total" ["source"] "Zeros before a record that were passed over: holes left by a truncation, or by a power cut.";
    source_lag_bytes: IntGaugeVec = "source_lag_bytes" ["source"] "Bytes written to the source's files and not read yet.";
    source_last_event_timestamp_seconds: IntGaugeVec = "source_last_event_timestamp_seconds" ["source"] "Time of the source's newest event.";
    source_last_read_timestamp_seconds: IntGaugeVec = "source_last_read_timestamp_seconds" ["source"] "When a record of the source was last read.";
    truncations_total: IntCounterVec = "truncations_total" ["source"] "Files found shorter than, or different from, what was read.";
    rotations_total: IntCounterVec = "rotations_total" ["source"] "Files renamed and begun anew.";
    files_open: IntGaugeVec = "files_open" ["source"] "Files being followed.";
    held_deleted_bytes: IntGaugeVec = "held_deleted_bytes" ["source"] "Unread bytes of deleted files that are kept open until they are read.";
    inotify_available: IntGauge = "inotify_available" [] "1 if the kernel tells at once what changes in the watched folders, 0 if files are looked at once a second.";
    received_total: IntCounterVec = "received_total" ["source", "transport"] "Records received and on the disk, by how they travelled.";
    connections: IntGaugeVec = "connections" ["source"] "Syslog connections that are open.";
    refused_total: IntCounterVec = "refused_total" ["source", "cause"] "Records or requests not taken in: spool full, fault of the disk, no or a wrong token, ...";
    spool_bytes: IntGaugeVec = "spool_bytes" ["source"] "Bytes in the source's spool: received and not read yet, or possibly to be read again.";
    spool_capacity_bytes: IntGaugeVec = "spool_capacity_bytes" ["source"] "Bytes the source's spool may hold; beyond, nothing is taken in.";
    queue_depth: IntGaugeVec = "queue_depth" ["queue"] "What waits between two stages.";
    queue_capacity: IntGaugeVec = "queue_capacity" ["queue"] "What may wait between two stages.";
    pipeline_heartbeat_timestamp_seconds: IntGauge = "pipeline_heartbeat_timestamp_seconds" [] "When the pipeline last completed a turn.";
    pipeline_stopped: IntGauge = "pipeline_stopped" [] "1 while nothing is read because of a fault; it goes on by itself when the fault has passed.";
    pipeline_faults_total: IntCounterVec = "pipeline_faults_total" ["part"] "Times reading stopped: ledger, index, logs (cannot be read again), state, configuration, defect.";
    alert_stage_faults_total: IntCounterVec = "alert_stage_faults_total" ["cause"] "Times alerts could not be worked on: ledger (tried again), defect (begun anew).";
    clock_doubted: IntGauge = "clock_doubted" [] "1 while the clock is more than a day from what it was: no event is dropped for its age.";
    batches_total: IntCounter = "batches_total" [] "Batches recorded in the journal.";
    recovered_batches_total: IntCounter = "recovered_batches_total" [] "Batches read again after a crash.";
    journal_seconds: Histogram = "journal_seconds" [] "Time to make a batch durable in the ledger.";
    commit_seconds: Histogram = "commit_seconds" [] "Time to commit the index.";
    snapshot_seconds: Histogram = "snapshot_seconds" [] "Time to save what detectors and enrichment remember.";
    last_commit_timestamp_seconds: IntGauge = "last_commit_timestamp_seconds" [] "When the index was last committed, or had nothing to commit.";
    detector_state_entries: IntGaugeVec = "detector_state_entries" ["owner"] "Entries a detector or a part of enrichment remembers.";
    memory_lost_total: IntCounterVec = "memory_lost_total" ["owner"] "Saved pieces of memory that could not be read at a start; they are learned again.";
    index_bytes: IntGauge = "index_bytes" [] "Size of the index on disk.";
    index_events: IntGauge = "index_events" [] "Events in the index.";
    partitions: IntGauge = "partitions" [] "Partitions of the index.";
    partitions_unreadable: IntGauge = "partitions_unreadable" [] "Partitions that cannot be read, and so not searched; the log names them.";
    oldest_event_timestamp_seconds: IntGauge = "oldest_event_timestamp_seconds" [] "Time of the oldest event kept.";
    retention_dropped_events_total: IntCounterVec = "retention_dropped_events_total" ["reason"] "Events dropped by retention: too old (age), too many bytes (size), too little free space (space).";
    storage_free_bytes: IntGauge = "storage_free_bytes" [] "Free bytes of the state directory's file system.";
    storage_min_free_bytes: IntGauge = "storage_min_free_bytes" [] "What must stay free there; below it the oldest partition goes.";
    findings_total: IntCounterVec = "findings_total" ["rule", "severity", "historic"] "Findings, as the alert stage first saw them.";
    findings_suppressed_total: IntCounterVec = "findings_suppressed_total" ["rule", "by"] "Findings not made because the operator knows better: allow, travel, maintenance.";
    incidents_open: IntGaugeVec = "incidents_open" ["severity"] "Incidents nobody has closed.";
    outbox_messages: IntGaugeVec = "outbox_messages" ["channel"] "Messages waiting to be sent.";
    outbox_parked: IntGaugeVec = "outbox_parked" ["channel"] "Messages refused for good that still concern an open incident.";
    outbox_oldest_seconds: IntGaugeVec = "outbox_oldest_seconds" ["channel"] "How long the oldest waiting message has been due.";
    alerts_sent_total: IntCounterVec = "alerts_sent_total" ["channel", "result"] "Attempts to send: sent, retry, parked.";
    alerts_suppressed_total: IntCounterVec = "alerts_suppressed_total" ["channel", "reason"] "Messages not sent on their own: limit (summed up), silence, severity, settled.";
    last_successful_mail_timestamp_seconds: IntGauge = "last_successful_mail_timestamp_seconds" [] "When a mail was last accepted by the server; 0 if never since the start.";
    config_last_reload_successful: IntGauge = "config_last_reload_successful" [] "1 if the configuration in force is the one on disk when last asked to reload, 0 if that one was refused.";
    config_last_reload_timestamp_seconds: IntGauge = "config_last_reload_timestamp_seconds" [] "When the configuration in force was loaded.";
    country_database_timestamp_seconds: IntGauge = "country_database_timestamp_seconds" [] "Of which day the country database in use is; 0 where that is not known.";
    build_info: IntGaugeVec = "build_info" ["version", "country_database"] "Always 1; which program this is and of which date its country database.";
}

/// So many different rules are told apart; findings of further ones count as `other`.
const RULES_KEPT: usize = 500;

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Metrics {
    /// A registry of its own with every metric, and the process's own numbers.
    pub fn new() -> Metrics {
        let metrics = Metrics::make();
        #[cfg(target_os = "linux")]
        metrics
            .registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("the process's names are its own");
        for part in ["ledger", "index", "logs", "state", "configuration", "defect"] {
            metrics.pipeline_faults_total.with_label_values(&[part]);
        }
        for cause in ["ledger", "defect"] {
            metrics.alert_stage_faults_total.with_label_values(&[cause]);
        }
        metrics.config_last_reload_successful.set(1);
        metrics.set_country_database("none");
        for severity in [Severity::Low, Severity::Medium, Severity::High, Severity::Critical] {
            metrics.incidents_open.with_label_values(&[severity.word()]).set(0);
        }
        metrics
    }

    /// Says of which date the country database is.
    pub fn set_country_database(&self, date: &str) {
        self.build_info.reset();
        self.build_info.with_label_values(&[env!("CARGO_PKG_VERSION"), date]).set(1);
        // A rule cannot reckon with a label, so the day stands there as a number too.
        let day = chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d").ok().and_then(|day| day.and_hms_opt(0, 0, 0));
        self.country_database_timestamp_seconds.set(day.map_or(0, |day| day.and_utc().timestamp()));
    }

    /// The handles of one source, made once.
    pub fn source(&self, name: &str) -> SourceMetrics {
        SourceMetrics {
            lines_read: self.lines_read_total.with_label_values(&[name]),
            bytes_read: self.bytes_read_total.with_label_values(&[name]),
            duplicates: self.duplicates_total.with_label_values(&[name]),
            lines_cut: self.lines_cut_total.with_label_values(&[name]),
            zero_bytes: self.zero_bytes_total.with_label_values(&[name]),
            lag_bytes: self.source_lag_bytes.with_label_values(&[name]),
            last_event: self.source_last_event_timestamp_seconds.with_label_values(&[name]),
            last_read: self.source_last_read_timestamp_seconds.with_label_values(&[name]),
            truncations: self.truncations_total.with_label_values(&[name]),
            rotations: self.rotations_total.with_label_values(&[name]),
            files_open: self.files_open.with_label_values(&[name]),
            held_deleted_bytes: self.held_deleted_bytes.with_label_values(&[name]),
            events_parsed: self.events_parsed_total.clone(),
            quarantined: self.quarantined_total.clone(),
            lost_bytes: self.lost_bytes_total.clone(),
            name: name.into(),
        }
    }

    /// The handles of one channel, all shown from the start, so that a rate over them is right.
    pub fn channel(&self, name: &str) {
        self.outbox_messages.with_label_values(&[name]);
        self.outbox_parked.with_label_values(&[name]);
        self.outbox_oldest_seconds.with_label_values(&[name]);
        for result in ["sent", "retry", "parked"] {
            self.alerts_sent_total.with_label_values(&[name, result]);
        }
        for reason in ["limit", "silence", "severity", "settled"] {
            self.alerts_suppressed_total.with_label_values(&[name, reason]);
        }
    }

    /// The label of a rule: its id, as long as there are not too many.
    fn rule_label<'r>(&self, rule: &'r str) -> &'r str {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        if rules.contains(rule) {
            rule
        } else if rules.len() < RULES_KEPT {
            rules.insert(rule.to_owned());
            rule
        } else {
            "other"
        }
    }

    /// Counts a finding that was not made because of what the operator knows.
    pub fn suppressed(&self, rule: &str, by: &str) {
        self.findings_suppressed_total.with_label_values(&[self.rule_label(rule), by]).inc();
    }

    /// Counts a finding.
    pub fn found(&self, rule: &str, severity: Severity, historic: bool) {
        let rule = self.rule_label(rule);
        let historic = if historic { "true" } else { "false" };
        self.findings_total.with_label_values(&[rule, severity.word(), historic]).inc();
    }

    /// The queue between two stages: its depth's handle. The capacity is set at once.
    pub fn queue(&self, name: &'static str, capacity: usize) -> IntGauge {
        self.queue_capacity.with_label_values(&[name]).set(i64::try_from(capacity).unwrap_or(i64::MAX));
        self.queue_depth.with_label_values(&[name])
    }

    /// What `/metrics` answers: Prometheus's text format 0.0.4.
    pub fn gather_text(&self) -> String {
        let mut text = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            Ok(()) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) => format!("# the metrics cannot be written: {error}\n"),
        }
    }
}

/// Cached handles of one source. Cheap to clone.
#[derive(Clone)]
pub struct SourceMetrics {
    name: Arc<str>,
    /// Lines read.
    pub lines_read: IntCounter,
    /// Bytes of whole records read.
    pub bytes_read: IntCounter,
    /// Copies of events already delivered.
    pub duplicates: IntCounter,
    /// Lines cut at `max_line`.
    pub lines_cut: IntCounter,
    /// Bytes not read yet.
    pub lag_bytes: IntGauge,
    /// Newest event, seconds.
    pub last_event: IntGauge,
    /// When last read, seconds.
    pub last_read: IntGauge,
    /// Zeros passed over.
    pub zero_bytes: IntCounter,
    /// Truncations noticed.
    pub truncations: IntCounter,
    /// Rotations noticed.
    pub rotations: IntCounter,
    /// Files followed.
    pub files_open: IntGauge,
    /// Unread bytes of deleted files.
    pub held_deleted_bytes: IntGauge,
    events_parsed: IntCounterVec,
    quarantined: IntCounterVec,
    lost_bytes: IntCounterVec,
}

impl SourceMetrics {
    /// The counter of events of one format; keep it where lines are many.
    pub fn events_parsed(&self, format: &'static str) -> IntCounter {
        self.events_parsed.with_label_values(&[&*self.name, format])
    }

    /// The counter of quarantined records of one reason.
    pub fn quarantined(&self, reason: &'static str) -> IntCounter {
        self.quarantined.with_label_values(&[&*self.name, reason])
    }

    /// The counter of lost bytes of one cause.
    pub fn lost_bytes(&self, cause: &'static str) -> IntCounter {
        self.lost_bytes.with_label_values(&[&*self.name, cause])
    }

    /// Moves the newest event's time forward, never back.
    pub fn saw_event(&self, time: Millis) {
        let seconds = time.div_euclid(1000);
        if seconds > self.last_event.get() {
            self.last_event.set(seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_contracted_is_shown_under_its_name_and_labels() {
        let metrics = Metrics::new();
        let source = metrics.source("portal");
        source.lines_read.inc_by(3);
        source.events_parsed("nginx").inc_by(2);
        source.quarantined("no-format").inc();
        source.lost_bytes("truncated").inc_by(7);
        source.saw_event(1_700_000_000_500);
        source.saw_event(1_600_000_000_000);
        metrics.channel("email");
        metrics.queue("batches", 8).set(2);
        metrics.found("bulk-export", Severity::High, false);
        metrics.suppressed("bulk-export", "travel");
        metrics.commit_seconds.observe(0.02);
        let text = metrics.gather_text();
        for line in [
            "crmwatch_lines_read_total{source=\"portal\"} 3",
            "crmwatch_events_parsed_total{format=\"nginx\",source=\"portal\"} 2",
            "crmwatch_quarantined_total{reason=\"no-format\",source=\"portal\"} 1",
            "crmwatch_source_lag_bytes{source=\"portal\"} 0",
            "crmwatch_source_last_event_timestamp_seconds{source=\"portal\"} 1700000000",
            "crmwatch_findings_total{historic=\"false\",rule=\"bulk-export\",severity=\"high\"} 1",
            "crmwatch_findings_suppressed_total{by=\"travel\",rule=\"bulk-export\"} 1",
            "crmwatch_outbox_messages{channel=\"email\"} 0",
            "crmwatch_outbox_oldest_seconds{channel=\"email\"} 0",
            "crmwatch_alerts_sent_total{channel=\"email\",result=\"parked\"} 0",
            "crmwatch_queue_depth{queue=\"batches\"} 2",
            "crmwatch_queue_capacity{queue=\"batches\"} 8",
            "crmwatch_commit_seconds_bucket{le=\"0.025\"} 1",
            "crmwatch_lost_bytes_total{cause=\"truncated\",source=\"portal\"} 7",
            "crmwatch_config_last_reload_successful 1",
            "crmwatch_build_info{country_database=\"none\",version=",
            "process_resident_memory_bytes",
        ] {
            assert!(text.lines().any(|one| one.starts_with(line)), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn the_day_of_the_country_database_can_be_reckoned_with() {
        let metrics = Metrics::new();
        metrics.set_country_database("2026-06-17");
        assert_eq!(metrics.country_database_timestamp_seconds.get(), 1_781_654_400);
        metrics.set_country_database("none");
        assert_eq!(metrics.country_database_timestamp_seconds.get(), 0);
    }

    #[test]
    fn the_names_are_those_that_are_shown() {
        let metrics = Metrics::new();
        let shown = metrics.gather_text();
        for line in shown.lines().filter_map(|line| line.strip_prefix("# TYPE crmwatch_")) {
            let name = line.split(' ').next().expect("a name");
            assert!(NAMES.contains(&format!("crmwatch_{name}").as_str()), "{name}");
        }
    }

    #[test]
    fn a_flood_of_rules_does_not_become_a_flood_of_series() {
        let metrics = Metrics::new();
        for number in 0..10_000 {
            metrics.found(&format!("rule-{number}"), Severity::Low, true);
        }
        let series = metrics.gather_text().lines().filter(|line| line.starts_with("crmwatch_findings_total{")).count();
        assert_eq!(series, RULES_KEPT + 1);
    }
}
