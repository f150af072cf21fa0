//! The stage as a whole: what people are told, how often, and that no crash loses or doubles it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crmwatch_detectors::finding::Evidence;
use crmwatch_detectors::manual::Manual;
use crmwatch_detectors::{Event, EventId, Finding, Identities, Origin, Reference, Sentence, Severity};
use proptest::prelude::*;

use super::*;
use crate::ledger::{Batch, IncidentFilter, Letter, NewSilence, Reason, Settlement};

const START: Millis = 1_772_442_847_000;
const MINUTE: Millis = 60_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    Fine,
    /// The server has the message, but its answer is lost.
    AnswerLost,
    Down,
    Refusing,
}

#[derive(Clone)]
struct Post {
    weather: Arc<Mutex<Weather>>,
    sent: Arc<Mutex<Vec<(String, Letter)>>>,
    limit: u32,
}

impl Post {
    fn new(limit: u32) -> Post {
        Post { weather: Arc::new(Mutex::new(Weather::Fine)), sent: Arc::default(), limit }
    }

    fn subjects(&self) -> Vec<String> {
        self.sent.lock().expect("whole").iter().map(|(_, letter)| letter.subject.clone()).collect()
    }
}

impl Channel for Post {
    fn name(&self) -> &'static str {
        "email"
    }

    fn least_severity(&self) -> Severity {
        Severity::Medium
    }

    fn max_per_hour(&self) -> u32 {
        self.limit
    }

    fn recipients(&self) -> Vec<String> {
        vec!["soc@example.com".to_owned()]
    }

    fn domain(&self) -> String {
        "example.com".to_owned()
    }

    fn send(&mut self, id: &str, letter: &Letter, recipients: &[String]) -> Result<Delivery, Failure> {
        let weather = *self.weather.lock().expect("whole");
        if matches!(weather, Weather::Fine | Weather::AnswerLost) {
            self.sent.lock().expect("whole").push((id.to_owned(), letter.clone()));
        }
        match weather {
            Weather::Fine => Ok(Delivery { accepted: recipients.to_vec(), ..Delivery::default() }),
            Weather::AnswerLost | Weather::Down => Err(Failure::Way("no answer".to_owned())),
            Weather::Refusing => Err(Failure::Never("552 no".to_owned())),
        }
    }
}

/// An index that has every event, each with the same line.
struct Index(&'static str);

impl EventLookup for Index {
    fn get(&self, ids: &[EventId]) -> Vec<Event> {
        ids.iter()
            .map(|id| {
                let mut event = Event::new(self.0);
                event.id = *id;
                event.time = START + i64::try_from(id.0 % 1000).expect("small") * 1000;
                event.line = 40 + u64::try_from(id.0 % 1000).expect("small");
                event.origin =
                    Arc::new(Origin { source: "portal".into(), path: "/var/log/crm/access.log".into(), lateness: 0 });
                event
            })
            .collect()
    }
}

struct House {
    folder: tempfile::TempDir,
    post: Post,
    stage: Option<AlertStage>,
    batch: u64,
    line: &'static str,
    locale: &'static str,
}

impl House {
    fn new(limit: u32) -> House {
        let folder = tempfile::tempdir().expect("a folder");
        let mut house = House { folder, post: Post::new(limit), stage: None, batch: 0, line: "a line", locale: "en" };
        house.reopen();
        house
    }

    fn reopen(&mut self) {
        self.stage = None;
        let alerts = Alerts {
            max_age: Duration::from_secs(24 * 3600),
            group_for: Duration::from_secs(24 * 3600),
            group_wait: Duration::from_secs(10),
            group_interval: Duration::from_secs(300),
            link: Some("https://crmwatch.example.com".to_owned()),
        };
        let mut settings = AlertSettings::new(alerts, self.locale);
        let manual = Manual::from_source(
            "//! Finds mass exports.\n//!\n//! # What to check\n//! - Ask the manager whether a migration\n//!   is going on.\n//! - Look where the file went.\n//!\n//! # False positives\n//! Month-end reports.\n",
        );
        let rule = Rule {
            id: "bulk-export".to_owned(),
            manual,
            severity: Severity::High,
            techniques: Vec::new(),
            settings: serde_json::json!({}),
        };
        settings.rules.put(vec![rule]);
        settings.zone_of = Box::new(|name| (name == "王小明").then_some(Tz::Asia__Shanghai));
        let channels: Vec<Box<dyn Channel>> = vec![Box::new(self.post.clone())];
        self.stage =
            Some(AlertStage::new(self.ledger(), settings, channels, Box::new(Index(self.line)), Metrics::new()));
    }

    fn ledger(&self) -> Ledger {
        Ledger::open(self.folder.path()).expect("opened")
    }

    fn record(&mut self, finding: &Finding, now: Millis) {
        self.batch += 1;
        let batch = Batch { number: self.batch, read_at: now, segments: Vec::new() };
        self.ledger().record_batch(&batch, &[], &[], &[(finding.clone(), 10 * MINUTE)]).expect("recorded");
    }

    fn work(&mut self, now: Millis) {
        self.stage.as_mut().expect("there").work(now).expect("worked");
    }

    /// Works every second for a while.
    fn run(&mut self, from: Millis, to: Millis) {
        let mut now = from;
        while now <= to {
            self.work(now);
            now += 1_000.max((to - from) / 400);
        }
    }

    fn open(&self) -> Vec<crate::ledger::Incident> {
        self.ledger().incidents(&IncidentFilter { all: true, limit: 1000, ..IncidentFilter::default() }).expect("read")
    }
}

fn finding(rule: &str, user: &str, severity: Severity, time: Millis, number: u128) -> Finding {
    let mut entity = Identities::default();
    entity.add("user.name", user);
    entity.add("source.ip", "203.0.113.7");
    let mut evidence = Evidence::default();
    for event in 0..8 {
        evidence.add(Reference { id: EventId(number * 1000 + event), origin: Arc::default(), line: 1, offset: 0 });
    }
    evidence.count_at_least(131);
    Finding {
        id: EventId(number),
        rule: rule.into(),
        severity,
        time,
        last_time: time,
        entity,
        primary: "user.name".into(),
        summary: Sentence::new(
            format!("Mass export by {user} - 4 812 contacts in 10 min"),
            format!("{user} 批量导出：10 分钟内 4 812 个联系人"),
        ),
        observed: Sentence::new("4 812 records in 10 min", "10 分钟内 4 812 条记录"),
        expected: Sentence::new("at most 120 in 10 min, as in the last 30 days", "过去 30 天内 10 分钟最多 120 条"),
        window: (time - 10 * MINUTE, time),
        evidence,
        techniques: vec!["T1530".into()],
        parts: vec![("own history".into(), 3.25)],
    }
}

#[test]
fn findings_of_one_person_become_one_incident_and_one_mail() {
    let mut house = House::new(60);
    house.record(&finding("bulk-export", "j.doe", Severity::High, START, 1), START);
    house.work(START);
    house.record(&finding("impossible-travel", "J.Doe", Severity::Medium, START - MINUTE, 2), START + 2_000);
    house.run(START + 2_000, START + 60_000);
    assert_eq!(house.open().len(), 1);
    assert_eq!(house.post.subjects(), ["[HIGH] Mass export by j.doe - 4 812 contacts in 10 min (incident 1)"]);
    let message = house.post.sent.lock().expect("whole")[0].1.clone();
    for part in
        ["impossible-travel", "crmwatch alerts show 1", "… and 127 more", "/var/log/crm/access.log:40", "a line"]
    {
        assert!(message.text.contains(part), "{part} is not in\n{}", message.text);
    }
}

#[test]
fn an_update_is_sent_when_it_became_worse_or_another_rule_joined_and_not_for_mere_counts() {
    let mut house = House::new(60);
    let mut one = finding("bulk-export", "j.doe", Severity::Medium, START, 1);
    house.record(&one, START);
    house.run(START, START + 20_000);
    one.last_time += MINUTE;
    one.evidence.count_at_least(500);
    house.record(&one, START + MINUTE);
    house.run(START + MINUTE, START + 20 * MINUTE);
    assert_eq!(house.post.subjects().len(), 1, "more of the same");
    one.last_time += MINUTE;
    one.severity = Severity::Critical;
    house.record(&one, START + 20 * MINUTE);
    house.run(START + 20 * MINUTE, START + 21 * MINUTE);
    house.record(&finding("mass-share", "j.doe", Severity::Low, START, 3), START + 21 * MINUTE);
    house.run(START + 21 * MINUTE, START + 24 * MINUTE);
    assert_eq!(house.post.subjects().len(), 2, "the interval holds the second update back");
    house.run(START + 24 * MINUTE, START + 27 * MINUTE);
    let sent = house.post.sent.lock().expect("whole").clone();
    assert_eq!(sent.len(), 3);
    assert!(
        sent[1].1.text.starts_with("Update 1 on incident 1: it is now CRITICAL, it was MEDIUM."),
        "{}",
        sent[1].1.text
    );
    assert!(sent[2].1.text.contains("new: mass-share"), "{}", sent[2].1.text);
    assert_eq!(sent[1].1.references, [sent[0].0.clone()]);
    assert_eq!(sent[2].1.references, [sent[0].0.clone(), sent[1].0.clone()]);
}

#[test]
fn a_clock_that_was_a_year_ahead_for_a_while_holds_no_message_back_for_a_year() {
    const YEAR: Millis = 365 * 24 * 60 * MINUTE;
    let mut house = House::new(2);
    *house.post.weather.lock().expect("whole") = Weather::Down;
    // One message is written and tried, one is only planned, when the clock comes back.
    house.record(&finding("bulk-export", "j.doe", Severity::High, START + YEAR, 1), START + YEAR);
    house.run(START + YEAR, START + YEAR + 20_000);
    house.record(&finding("bulk-export", "k.roe", Severity::High, START + YEAR + 20_000, 2), START + YEAR + 20_000);
    house.work(START + YEAR + 21_000);
    *house.post.weather.lock().expect("whole") = Weather::Fine;
    house.run(START + MINUTE, START + 3 * MINUTE);
    assert_eq!(house.post.subjects().len(), 2, "{:?}", house.post.subjects());
    // And what was sent while it was ahead does not count against the hour's limit for a year.
    house.record(&finding("bulk-export", "l.poe", Severity::High, START + 90 * MINUTE, 3), START + 90 * MINUTE);
    house.run(START + 90 * MINUTE, START + 92 * MINUTE);
    assert_eq!(house.post.subjects().len(), 3, "{:?}", house.post.subjects());
}

#[test]
fn a_message_whose_sending_cannot_be_written_down_is_not_sent_again_and_again() {
    let mut house = House::new(60);
    *house.post.weather.lock().expect("whole") = Weather::Down;
    house.record(&finding("bulk-export", "j.doe", Severity::High, START, 1), START);
    house.run(START, START + MINUTE);
    *house.post.weather.lock().expect("whole") = Weather::Fine;
    let other = house.ledger();
    other.connection.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let stage = house.stage.as_mut().expect("there");
    stage.ledger.connection.busy_timeout(Duration::ZERO).expect("set");
    for second in 0..200 {
        stage.work(START + 2 * MINUTE + second * 1_000).expect_err("nothing can be written");
    }
    assert_eq!(house.post.subjects().len(), 1, "what was written before goes out, once");
    other.connection.execute_batch("ROLLBACK").expect("free");
    house.run(START + 6 * MINUTE, START + 20 * MINUTE);
    assert_eq!(house.post.subjects().len(), 1);
    assert_eq!(house.ledger().waiting("email").expect("read").queued, 0);
}

#[test]
fn low_severity_wakes_nobody_until_it_rises() {
    let mut house = House::new(60);
    let mut one = finding("bulk-export", "j.doe", Severity::Low, START, 1);
    house.record(&one, START);
    house.run(START, START + MINUTE);
    assert!(house.post.subjects().is_empty());
    assert_eq!(house.open().len(), 1);
    one.severity = Severity::High;
    house.record(&one, START + MINUTE);
    house.run(START + MINUTE, START + 2 * MINUTE);
    assert_eq!(house.post.subjects().len(), 1);
}

#[test]
fn what_is_old_when_read_is_summed_up_in_one_mail_and_opens_no_incident() {
    let mut house = House::new(60);
    let old = START - 30 * 24 * 60 * MINUTE;
    for number in 1..=25 {
        let severity = if number == 7 { Severity::Critical } else { Severity::Medium };
        let user = format!("user{number}");
        house.record(
            &finding("bulk-export", &user, severity, old + i64::try_from(number).expect("small"), number),
            START,
        );
        house.work(START + i64::try_from(number).expect("small") * 1000);
    }
    house.run(START + 26_000, START + 20 * MINUTE);
    assert!(house.open().is_empty());
    assert_eq!(house.post.subjects(), ["[crmwatch] 25 old findings in the logs read now"]);
    let text = house.post.sent.lock().expect("whole")[0].1.text.clone();
    for part in ["MEDIUM · bulk-export · 24", "CRITICAL · bulk-export · 1", "user7", "woke nobody", "user25"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    // Lateness is on top of the age: 24 h and 9 min is not old where events may come 10 min late.
    house.record(&finding("bulk-export", "late", Severity::High, START - (24 * 60 + 9) * MINUTE, 99), START);
    house.run(START, START + MINUTE);
    assert_eq!(house.open().len(), 1);
}

#[test]
fn an_old_episode_that_goes_on_after_the_summary_is_news() {
    let mut house = House::new(60);
    let mut one = finding("bulk-export", "j.doe", Severity::High, START - 3 * 24 * 60 * MINUTE, 1);
    house.record(&one, START);
    one.last_time = START - MINUTE;
    house.record(&one, START + 1_000);
    house.run(START, START + 5 * MINUTE);
    assert!(house.open().is_empty(), "still the backlog of the start");
    one.last_time = START + 5 * MINUTE;
    house.record(&one, START + 5 * MINUTE);
    house.run(START + 5 * MINUTE, START + 6 * MINUTE);
    assert_eq!(house.open().len(), 1);
    assert_eq!(house.post.subjects().len(), 2);
}

#[test]
fn a_closed_incident_drops_what_waits_and_is_not_opened_again_by_old_news() {
    let mut house = House::new(60);
    *house.post.weather.lock().expect("whole") = Weather::Down;
    let mut one = finding("bulk-export", "j.doe", Severity::Medium, START, 1);
    house.record(&one, START);
    house.run(START, START + MINUTE);
    let closed = START + MINUTE;
    house.ledger().settle(1, Settlement::Close(Reason::Benign), "ann", Some("migration"), closed).expect("closed");
    *house.post.weather.lock().expect("whole") = Weather::Fine;
    one.last_time = START + 3 * MINUTE;
    house.record(&one, START + 3 * MINUTE);
    house.run(START + 3 * MINUTE, START + 100 * MINUTE);
    assert!(house.post.subjects().is_empty());
    assert_eq!(house.ledger().waiting("email").expect("read").queued, 0);
    one.severity = Severity::High;
    house.record(&one, START + 100 * MINUTE);
    house.run(START + 100 * MINUTE, START + 101 * MINUTE);
    let incidents = house.open();
    assert_eq!((incidents.len(), incidents[0].refers_to), (2, Some(1)), "worse than what was closed");
    assert_eq!(house.post.subjects(), ["[HIGH] Mass export by j.doe - 4 812 contacts in 10 min (incident 2)"]);
    let text = house.post.sent.lock().expect("whole")[0].1.text.clone();
    assert!(text.contains("goes on from incident 1") && text.contains("closed (it was\n  allowed)"), "{text}");
}

#[test]
fn a_silenced_finding_is_recorded_and_shown_but_makes_no_message() {
    let mut house = House::new(60);
    house.record(&finding("bulk-export", "backup", Severity::High, START, 1), START);
    house.work(START);
    let silence = NewSilence {
        rule: Some("bulk-export".to_owned()),
        entity: Some(("user.name".to_owned(), "BACKUP".to_owned())),
        until: START + 60 * MINUTE,
        who: "ann".to_owned(),
        reason: "nightly copy".to_owned(),
    };
    house.ledger().silence(&silence, START + 1_000).expect("made");
    house.record(&finding("bulk-export", "backup", Severity::Critical, START + MINUTE, 2), START + MINUTE);
    house.run(START + MINUTE, START + 2 * MINUTE);
    assert!(house.post.subjects().is_empty(), "also not for what came just before the silence");
    assert_eq!(house.ledger().findings_of(1).expect("read").len(), 2);
    assert!(house.ledger().findings_of(1).expect("read").iter().all(|row| row.silenced == Some(1)));
    house.record(&finding("mass-delete", "backup", Severity::High, START + 2 * MINUTE, 3), START + 2 * MINUTE);
    house.run(START + 2 * MINUTE, START + 3 * MINUTE);
    assert_eq!(house.post.subjects().len(), 1, "another rule is not silenced");
}

#[test]
fn beyond_the_hourly_limit_incidents_are_summed_up_and_the_worst_still_gets_through() {
    let mut house = House::new(8);
    for number in 1..=30 {
        let user = format!("user{number}");
        house.record(&finding("bulk-export", &user, Severity::Medium, START, number), START);
    }
    house.run(START, START + MINUTE);
    house.record(&finding("bulk-export", "boss", Severity::Critical, START, 77), START + MINUTE);
    house.run(START + MINUTE, START + 14 * MINUTE);
    let subjects = house.post.subjects();
    assert_eq!(subjects.iter().filter(|subject| subject.contains("(incident ")).count(), 7, "{subjects:?}");
    assert!(subjects.iter().any(|subject| subject.starts_with("[CRITICAL] Mass export by boss")), "{subjects:?}");
    assert!(subjects.contains(&"[MEDIUM] 24 more incidents beyond the hourly limit".to_owned()), "{subjects:?}");
    assert_eq!(subjects.len(), 8, "{subjects:?}");
}

#[test]
fn a_message_refused_for_good_is_parked_and_counted_and_can_be_tried_again() {
    let mut house = House::new(60);
    *house.post.weather.lock().expect("whole") = Weather::Refusing;
    house.record(&finding("bulk-export", "j.doe", Severity::High, START, 1), START);
    house.run(START, START + MINUTE);
    let text = house.stage.as_ref().expect("there").metrics.gather_text();
    assert!(text.contains("crmwatch_alerts_sent_total{channel=\"email\",result=\"parked\"} 1"), "{text}");
    assert!(text.contains("crmwatch_outbox_parked{channel=\"email\"} 1"), "{text}");
    *house.post.weather.lock().expect("whole") = Weather::Fine;
    house.run(START + MINUTE, START + 60 * MINUTE);
    assert!(house.post.subjects().is_empty());
    let parked = house.ledger().messages(true, 10).expect("read").remove(0);
    house.ledger().retry_message(parked.id, "ann", START + 60 * MINUTE).expect("again");
    house.work(START + 60 * MINUTE);
    assert_eq!(house.post.subjects().len(), 1);
}

#[test]
fn a_crowd_does_not_pull_its_victims_incidents_together() {
    let mut house = House::new(60);
    for (number, user) in [(1, "a"), (2, "b")] {
        house.record(&finding("impossible-travel", user, Severity::High, START, number), START);
    }
    let mut spray = finding("password-spray", "a", Severity::High, START, 3);
    spray.primary = "source.ip".into();
    for user in ["b", "c", "d", "e"] {
        spray.entity.add("user.name", user);
    }
    house.record(&spray, START);
    house.work(START);
    assert_eq!(house.open().len(), 3);
}

#[test]
fn it_works_on_a_signal_and_ends_when_told_to_with_nothing_left_unhandled() {
    let mut house = House::new(60);
    let now = clock();
    let (wake, woken) = crossbeam_channel::bounded(1);
    let stop = Arc::new(AtomicBool::new(false));
    let stage = house.stage.take().expect("there");
    let told = Arc::clone(&stop);
    let thread = std::thread::spawn(move || stage.run(&woken, &told));
    house.record(&finding("bulk-export", "j.doe", Severity::High, now, 1), now);
    wake.send(()).expect("heard");
    let begun = std::time::Instant::now();
    while house.open().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "no incident was opened");
        std::thread::sleep(Duration::from_millis(5));
    }
    stop.store(true, Ordering::Relaxed);
    house.record(&finding("mass-delete", "ann", Severity::High, now, 2), now);
    wake.try_send(()).ok();
    thread.join().expect("ended");
    assert!(house.ledger().unhandled_findings(10).expect("read").is_empty());
    assert!(house.post.subjects().is_empty(), "group_wait has not passed");
}

fn golden(name: &str, house: &House) {
    let sent = house.post.sent.lock().expect("whole");
    let mut shown = String::new();
    for (id, letter) in sent.iter() {
        shown.push_str(&format!(
            "Message-ID: {id}\nReferences: {}\nSubject: {}\n\n",
            letter.references.join(" "),
            letter.subject
        ));
        shown.push_str(&letter.text);
        shown.push_str("\n--- html ---\n");
        shown.push_str(&letter.html);
    }
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, &shown).expect("written");
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(wanted == shown, "{} differs; UPDATE_GOLDEN=1 writes it anew:\n{shown}", path.display());
    for line in shown.lines().take_while(|line| *line != "--- html ---").skip(3) {
        let copied = line.starts_with("    ") || line.starts_with("https://");
        assert!(copied || crate::text::width(line) <= 72, "{line}");
    }
}

#[test]
fn the_mail_reads_as_it_should() {
    let mut house = House::new(60);
    house.line = r#"203.0.113.7 - j.doe [02/Mar/2026:09:14:07 +0000] "GET /crm/export?list=contacts&ref=http://evil.example.com/x HTTP/1.1" 200 48211"#;
    house.reopen();
    house.record(
        &finding("impossible-travel", "j.doe", Severity::Medium, START - 5 * 60 * MINUTE, 4),
        START - 5 * 60 * MINUTE,
    );
    house.work(START - 5 * 60 * MINUTE);
    house
        .ledger()
        .settle(1, Settlement::Close(Reason::FalsePositive), "ann", None, START - 4 * 60 * MINUTE)
        .expect("closed");
    house.record(&finding("bulk-export", "j.doe", Severity::High, START, 0xabcd), START);
    house.run(START, START + 30_000);
    golden("mail_en.txt", &house);
}

#[test]
fn the_mail_reads_in_chinese_as_it_should() {
    let mut house = House::new(60);
    house.locale = "zh-CN";
    house.line = "10.0.0.8 - 王小明 导出 客户 4812 条";
    house.reopen();
    house.record(&finding("bulk-export", "王小明", Severity::High, START, 0xabcd), START);
    house.run(START, START + 30_000);
    golden("mail_zh.txt", &house);
}

#[test]
fn a_hostile_log_cannot_act_in_the_mail() {
    let mut house = House::new(60);
    house.line = "\u{1b}[2J<script>alert(1)</script>\r\nBcc: all@example.com\u{202e}https://evil.example.com/ \0'\"&";
    house.reopen();
    let hostile = "x'; rm -rf /\r\nBcc: all@example.com\u{202e}<img src=http://evil.example.com/p.png>";
    house.record(&finding("bulk-export", hostile, Severity::High, START, 0xabcd), START);
    house.run(START, START + 30_000);
    golden("mail_hostile.txt", &house);
    let sent = house.post.sent.lock().expect("whole");
    let letter = &sent[0].1;
    for text in [&letter.subject, &letter.text, &letter.html] {
        let acts = |one: char| (one.is_control() && one != '\n') || one == '\u{202e}';
        assert!(!text.contains(acts) && !text.contains("http://evil") && !text.contains("https://evil"), "{text}");
    }
    assert!(!letter.subject.contains('\n'));
    assert!(!letter.html.contains("<script") && !letter.html.contains("<img"));
}

#[derive(Debug, Clone)]
enum Step {
    Found { rule: usize, user: usize, severity: u8 },
    Grows { which: usize, severity: u8 },
    Absorb,
    CopyLines,
    Write,
    Deliver,
    SumUp,
    Crash,
    Weather(Weather),
    Passes(u32),
    Close(i64, Reason),
    Silence { rule: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3_usize, 0..4_usize, 0..4_u8).prop_map(|(rule, user, severity)| Step::Found { rule, user, severity }),
        3 => (0..20_usize, 0..4_u8).prop_map(|(which, severity)| Step::Grows { which, severity }),
        4 => Just(Step::Absorb),
        1 => Just(Step::CopyLines),
        4 => Just(Step::Write),
        4 => Just(Step::Deliver),
        1 => Just(Step::SumUp),
        3 => Just(Step::Crash),
        2 => prop_oneof![Just(Weather::Fine), Just(Weather::AnswerLost), Just(Weather::Down), Just(Weather::Refusing)]
            .prop_map(Step::Weather),
        4 => (1..1200_u32).prop_map(Step::Passes),
        1 => (1..6_i64, prop_oneof![Just(Reason::Benign), Just(Reason::TruePositive)]).prop_map(|(id, reason)| Step::Close(id, reason)),
        1 => (0..3_usize).prop_map(|rule| Step::Silence { rule }),
    ];
    proptest::collection::vec(step, 1..40)
}

const RULES: [&str; 3] = ["bulk-export", "mass-delete", "impossible-travel"];
const SEVERITIES: [Severity; 4] = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order, with a crash between any two steps: no finding is lost, no message is queued twice, and what a
    /// server got twice carries one id.
    #[test]
    fn no_finding_is_lost_and_no_message_is_doubled(steps in steps()) {
        let mut house = House::new(10_000);
        let mut now = START;
        let mut known: Vec<Finding> = Vec::new();
        for step in steps {
            let stage = house.stage.as_mut().expect("there");
            match step {
                Step::Found { rule, user, severity } => {
                    let number = known.len() as u128 + 1;
                    let user = ["ann", "bob", "cy", "di"][user];
                    let one = finding(RULES[rule], user, SEVERITIES[severity as usize], now, number);
                    house.record(&one, now);
                    known.push(one);
                }
                Step::Grows { which, severity } => {
                    if !known.is_empty() {
                        let index = which % known.len();
                        let one = &mut known[index];
                        one.severity = one.severity.max(SEVERITIES[severity as usize]);
                        one.last_time = now;
                        let one = one.clone();
                        house.record(&one, now);
                    }
                }
                Step::Absorb => stage.absorb(now).expect("absorbed"),
                Step::CopyLines => stage.copy_lines(now).expect("copied"),
                Step::Write => stage.write_due(now).expect("written"),
                Step::Deliver => stage.deliver(now).expect("delivered"),
                Step::SumUp => stage.sum_up_historic(now).expect("summed up"),
                Step::Crash => house.reopen(),
                Step::Weather(weather) => *house.post.weather.lock().expect("whole") = weather,
                Step::Passes(seconds) => now += Millis::from(seconds) * 1000,
                Step::Close(id, reason) => drop(house.ledger().settle(id, Settlement::Close(reason), "ann", None, now)),
                Step::Silence { rule } => {
                    let silence = NewSilence {
                        rule: Some(RULES[rule].to_owned()),
                        entity: None,
                        until: now + 5 * MINUTE,
                        who: "ann".to_owned(),
                        reason: "noise".to_owned(),
                    };
                    house.ledger().silence(&silence, now).expect("made");
                }
            }
        }
        *house.post.weather.lock().expect("whole") = Weather::Fine;
        for _ in 0..60 {
            house.work(now);
            now += 5 * MINUTE;
        }

        let ledger = house.ledger();
        let sent = house.post.sent.lock().expect("whole");
        let messages = ledger.messages(false, 10_000).expect("read");
        prop_assert!(messages.iter().all(|message| message.state != "queued"), "{:?}", messages);
        prop_assert!(ledger.unhandled_findings(10).expect("read").is_empty());
        for one in &known {
            let row = ledger.finding(&one.id.to_string()).expect("read").expect("kept");
            let id = row.incident.expect("in an incident");
            let incident = ledger.incident(id).expect("read").expect("there");
            prop_assert!(incident.severity >= one.severity || incident.state == crate::ledger::IncidentState::Closed);
            // Somebody was told, or it was silenced, refused, settled before, or too small.
            let told = sent.iter().any(|(message, _)| message.starts_with(&format!("<crmwatch.{id}.")));
            let excused = row.silenced.is_some()
                || one.severity < Severity::Medium
                || incident.state == crate::ledger::IncidentState::Closed
                || messages.iter().any(|message| message.incident == Some(id) && message.state == "parked");
            prop_assert!(told || excused, "nobody was told of {:?}", one.id);
        }
        let mut ids: Vec<&str> = messages.iter().map(|message| message.message_id.as_str()).collect();
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        prop_assert_eq!(ids.len(), count, "two messages with one id");
        for (id, letter) in sent.iter() {
            prop_assert!(ids.contains(&id.as_str()));
            prop_assert!(sent.iter().filter(|(other, _)| other == id).all(|(_, other)| other == letter));
        }
    }
}
