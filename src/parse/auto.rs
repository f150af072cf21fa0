//! `format = "auto"`: tells the format from a file's first records and stays with it while it accepts them.
//! Not for the tests that tell the formats apart; each format has its own `sniff`.

use crmwatch_detectors::Event;

use super::explain::{Answer, Candidate, Choice};
use super::{FORMATS, Framing, Grammar, Options, Verdict};

/// As it stands in the configuration.
pub const NAME: &str = "auto";

/// A format less sure than this of a record is not tried.
const LEAST: u8 = 20;
/// So sure a format has to be to take over from one that accepts the records, too (a vendor's JSON from plain JSON).
const SURE: u8 = 90;
/// For so many records from the choice on, a surer format may still take over.
const TRIAL: u8 = 8;
/// Of a record only so much is looked at.
const LOOK: usize = 4_096;

/// Said of a record that no format knows.
pub const UNKNOWN: &str = "format-unknown";

struct Chosen {
    index: usize,
    grammar: Box<dyn Grammar>,
    /// Records until the choice is settled.
    trial: u8,
}

/// One file's reading in a format yet to be told.
pub struct Auto {
    options: Options,
    formats: &'static [super::Format],
    chosen: Option<Chosen>,
    /// Whether anybody asks why.
    explained: bool,
    choice: Option<Choice>,
}

impl Auto {
    /// Starts with nothing chosen.
    pub fn new(options: &Options) -> Auto {
        Auto::among(options, FORMATS)
    }

    /// Starts with nothing chosen, to choose among some of the formats.
    pub(super) fn among(options: &Options, formats: &'static [super::Format]) -> Auto {
        Auto { options: options.clone(), formats, chosen: None, explained: false, choice: None }
    }

    /// Whether a format is chosen.
    pub(super) fn has_chosen(&self) -> bool {
        self.chosen.is_some()
    }

    /// The formats that may fit, the surest first, each with how sure it is.
    fn ranked(&self, text: &str) -> Vec<(u8, usize)> {
        let text = head(text);
        let mut ranked: Vec<(u8, usize)> = self
            .formats
            .iter()
            .enumerate()
            .map(|(index, format)| ((format.sniff)(text), index))
            .filter(|(score, _)| *score >= LEAST)
            .collect();
        ranked.sort_by_key(|(score, index)| (std::cmp::Reverse(*score), *index));
        ranked
    }

    fn start(&self, index: usize) -> Chosen {
        Chosen { index, grammar: (self.formats[index].grammar)(&self.options), trial: TRIAL }
    }

    /// Tries the formats in order; the first that accepts the record is chosen. `least`: how sure it has to be.
    fn choose(&mut self, record: &str, least: u8, events: &mut Vec<Event>) -> Option<Verdict> {
        let before = events.len();
        let current = self.chosen.as_ref().map(|chosen| chosen.index);
        let ranked = self.ranked(record);
        let mut answers = Vec::new();
        let mut taken = None;
        for (score, index) in &ranked {
            if *score < least || Some(*index) == current {
                answers.push(Answer::NotAsked);
                continue;
            }
            let mut candidate = self.start(*index);
            match candidate.grammar.parse(record, events) {
                // A continuation of nothing, or something nobody knows: not this format's beginning.
                Verdict::Rejected(reason) => {
                    events.truncate(before);
                    answers.push(Answer::Refused(reason));
                }
                Verdict::Continuation => {
                    events.truncate(before);
                    answers.push(Answer::Refused("goes on from a record there is not"));
                }
                verdict => {
                    answers.push(Answer::Taken);
                    taken = Some((candidate, verdict));
                    break;
                }
            }
        }
        if self.explained {
            self.remember(&ranked, &answers);
        }
        let (candidate, verdict) = taken?;
        self.chosen = Some(candidate);
        Some(verdict)
    }

    fn remember(&mut self, ranked: &[(u8, usize)], answers: &[Answer]) {
        let answers = answers.iter().copied().chain(std::iter::repeat(Answer::NotAsked));
        let candidates = ranked.iter().zip(answers).map(|((score, index), answer)| Candidate {
            name: self.formats[*index].name,
            score: *score,
            answer,
        });
        let before = self.chosen.as_ref().map(|chosen| (self.formats[chosen.index].name, None));
        self.choice = Some(Choice { before, candidates: candidates.collect() });
    }

    /// How sure the chosen format is of a record.
    fn own(&self, record: &str) -> u8 {
        self.chosen.as_ref().map_or(0, |chosen| (self.formats[chosen.index].sniff)(head(record)))
    }

    /// The record is refused, or the choice is young: is another format surer of it?
    fn reconsider(&mut self, record: &str, least: u8, events: &mut Vec<Event>) -> Option<Verdict> {
        let least = least.max(self.own(record).saturating_add(1));
        self.choose(record, least, events)
    }
}

/// The beginning of a record, cut where a character ends.
fn head(text: &str) -> &str {
    if text.len() <= LOOK {
        return text;
    }
    let end = (0..=LOOK).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

impl Grammar for Auto {
    fn framing(&self, line: &[u8]) -> Framing {
        if let Some(chosen) = &self.chosen {
            return chosen.grammar.framing(line);
        }
        let text = String::from_utf8_lossy(&line[..line.len().min(LOOK)]);
        match self.ranked(&text).first() {
            Some((_, index)) => self.start(*index).grammar.framing(line),
            None => Framing::Lines,
        }
    }

    fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
        let Some(chosen) = &mut self.chosen else {
            if record.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}').is_empty() {
                return Verdict::Skipped;
            }
            // A directive or a remark before the first record says nothing of the format.
            // So does the bracket that begins an array.
            let bare = record.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}');
            let other =
                if bare.starts_with('#') || bare == "[" { Verdict::Skipped } else { Verdict::Rejected(UNKNOWN) };
            return self.choose(record, LEAST, events).unwrap_or(other);
        };
        let before = events.len();
        let verdict = chosen.grammar.parse(record, events);
        if chosen.trial == 0 && !matches!(verdict, Verdict::Rejected(_) | Verdict::Continuation) {
            return verdict;
        }
        chosen.trial = chosen.trial.saturating_sub(1);
        match verdict {
            Verdict::Rejected(reason) => {
                events.truncate(before);
                let verdict = self.reconsider(record, LEAST, events).unwrap_or(verdict);
                if let Some(Choice { before: Some((_, why)), .. }) = &mut self.choice {
                    *why = Some(reason);
                }
                verdict
            }
            Verdict::Parsed => {
                let mut other = Vec::new();
                match self.reconsider(record, SURE, &mut other) {
                    Some(verdict) => {
                        events.truncate(before);
                        events.append(&mut other);
                        verdict
                    }
                    None => verdict,
                }
            }
            // Logs in which anything goes on from the entry before would swallow a file that has become another.
            Verdict::Continuation => self.reconsider(record, SURE, events).unwrap_or(verdict),
            verdict => verdict,
        }
    }

    fn state(&self) -> String {
        self.chosen.as_ref().map_or_else(String::new, |chosen| {
            format!("{} {}\n{}", self.formats[chosen.index].name, chosen.trial, chosen.grammar.state())
        })
    }

    fn resume(&mut self, state: &str) {
        let Some((head, inner)) = state.split_once('\n') else { return };
        let (name, trial) = head.split_once(' ').unwrap_or((head, "0"));
        // A format this release no longer has is told anew from the next record.
        let Some(index) = self.formats.iter().position(|format| format.name == name) else { return };
        let mut chosen = self.start(index);
        chosen.trial = trial.parse().unwrap_or(0);
        chosen.grammar.resume(inner);
        self.chosen = Some(chosen);
    }

    fn format(&self) -> &'static str {
        self.chosen.as_ref().map_or(NAME, |chosen| chosen.grammar.format())
    }

    fn explain(&mut self) {
        self.explained = true;
    }

    fn choice(&mut self) -> Option<Choice> {
        self.choice.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Format, json_lines};

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_shipped_format_panic_or_leave_events_behind_a_refusal(
            lines in proptest::collection::vec(r#"([{\[]"(CreationTime|Operation|RecordType|log|message|event|user|a)":|"AuditData"|[\[\]{}",:\\ux0-9 -]|é|.){0,60}"#, 1..6),
        ) {
            let mut auto = Auto::new(&Options::default());
            let mut named: Vec<Box<dyn Grammar>> = super::FORMATS.iter().map(|format| (format.grammar)(&Options::default())).collect();
            for line in &lines {
                for grammar in named.iter_mut().map(|grammar| &mut **grammar).chain(std::iter::once(&mut auto as &mut dyn Grammar)) {
                    let mut events = Vec::new();
                    grammar.framing(line.as_bytes());
                    if let Verdict::Rejected(_) = grammar.parse(line, &mut events) {
                        proptest::prop_assert!(events.is_empty());
                    }
                    let state = grammar.state();
                    grammar.resume(&state);
                    proptest::prop_assert_eq!(grammar.state(), state);
                }
            }
        }
    }

    struct Letters(&'static str, usize);

    impl Grammar for Letters {
        fn parse(&mut self, record: &str, events: &mut Vec<Event>) -> Verdict {
            if record.starts_with('#') {
                self.1 += 1;
                return Verdict::Skipped;
            }
            if !record.starts_with(self.0) {
                return Verdict::Rejected("letters");
            }
            events.push(Event::new(record));
            Verdict::Parsed
        }
        fn state(&self) -> String {
            self.1.to_string()
        }
        fn resume(&mut self, state: &str) {
            self.1 = state.parse().expect("a number");
        }
        fn format(&self) -> &'static str {
            self.0
        }
    }

    const FORMATS: &[Format] = &[
        Format {
            name: "ab",
            about: "",
            sniff: |text| if text.starts_with("ab") { 95 } else { 0 },
            grammar: |_| Box::new(Letters("ab", 0)),
        },
        Format {
            name: "a",
            about: "",
            sniff: |text| if text.starts_with(['a', '#']) { 50 } else { 0 },
            grammar: |_| Box::new(Letters("a", 0)),
        },
        json_lines::FORMAT,
    ];

    fn auto() -> Auto {
        Auto::among(&Options::default(), FORMATS)
    }

    fn read(auto: &mut Auto, record: &str) -> (Verdict, &'static str, usize) {
        let mut events = Vec::new();
        let verdict = auto.parse(record, &mut events);
        (verdict, auto.format(), events.len())
    }

    #[test]
    fn the_first_record_decides_and_blank_lines_do_not() {
        let mut auto = auto();
        assert_eq!(read(&mut auto, ""), (Verdict::Skipped, NAME, 0));
        assert_eq!(read(&mut auto, "zzz"), (Verdict::Rejected(UNKNOWN), NAME, 0));
        assert_eq!(read(&mut auto, "ac"), (Verdict::Parsed, "a", 1));
        assert_eq!(read(&mut auto, "zzz"), (Verdict::Rejected("letters"), "a", 0));
    }

    #[test]
    fn a_surer_format_takes_over_while_the_choice_is_young_and_not_after() {
        let mut young = auto();
        read(&mut young, "ac");
        assert_eq!(read(&mut young, "ab"), (Verdict::Parsed, "ab", 1));
        let mut settled = auto();
        for _ in 0..20 {
            read(&mut settled, "ac");
        }
        assert_eq!(read(&mut settled, "ab"), (Verdict::Parsed, "a", 1));
    }

    #[test]
    fn a_file_that_changes_its_format_is_followed() {
        let mut auto = auto();
        for _ in 0..20 {
            read(&mut auto, "ac");
        }
        assert_eq!(read(&mut auto, r#"{"user":"mia","action":"login"}"#), (Verdict::Parsed, "json", 1));
        assert_eq!(read(&mut auto, "ac"), (Verdict::Parsed, "a", 1));
    }

    #[test]
    fn a_file_that_goes_from_an_access_log_to_json_and_back_loses_no_record() {
        let access = r#"203.0.113.7 - mia [02/Mar/2026:09:14:07 +0000] "GET / HTTP/1.1" 200 1 "-" "curl/8""#;
        let json = r#"{"time":"2026-03-02T09:14:07Z","user":"mia","action":"login"}"#;
        let mut auto = Auto::new(&Options::default());
        for (record, format) in [(access, "nginx"), (json, "json"), (access, "nginx"), (json, "json")] {
            for _ in 0..20 {
                assert_eq!(read(&mut auto, record), (Verdict::Parsed, format, 1));
            }
        }
    }

    #[test]
    fn a_log_whose_entries_go_on_over_lines_may_become_another_log() {
        let entry = "2026-03-02 09:14:07,000 1 INFO crm odoo.http: Traceback follows";
        let access = r#"203.0.113.7 - mia [02/Mar/2026:09:14:07 +0000] "GET / HTTP/1.1" 200 1 "-" "curl/8""#;
        let mut auto = Auto::new(&Options::default());
        for _ in 0..20 {
            assert_eq!(read(&mut auto, entry), (Verdict::Parsed, "odoo", 1));
            assert_eq!(read(&mut auto, "  File \"x.py\", line 7, in y"), (Verdict::Continuation, "odoo", 0));
        }
        assert_eq!(read(&mut auto, access), (Verdict::Parsed, "nginx", 1));
        assert_eq!(read(&mut auto, entry), (Verdict::Parsed, "odoo", 1));
    }

    #[test]
    fn a_settled_choice_asks_no_format_how_sure_it_is() {
        thread_local!(static ASKED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });
        const COUNTED: &[Format] = &[Format {
            name: "a",
            about: "",
            sniff: |_| {
                ASKED.set(ASKED.get() + 1);
                50
            },
            grammar: |_| Box::new(Letters("a", 0)),
        }];
        let mut auto = Auto::among(&Options::default(), COUNTED);
        for _ in 0..=TRIAL {
            read(&mut auto, "ac");
        }
        let asked = ASKED.get();
        for _ in 0..100 {
            read(&mut auto, "ac");
        }
        assert_eq!(ASKED.get(), asked);
    }

    #[test]
    fn who_asks_is_told_what_was_weighed() {
        let mut auto = auto();
        auto.explain();
        read(&mut auto, "ab");
        let candidate = |name, score, answer| Candidate { name, score, answer };
        let candidates = vec![candidate("ab", 95, Answer::Taken), candidate("a", 50, Answer::NotAsked)];
        assert_eq!(auto.choice(), Some(Choice { before: None, candidates }));
        assert_eq!(auto.choice(), None);
        read(&mut auto, "ac");
        let candidates = vec![candidate("a", 50, Answer::Taken)];
        assert_eq!(auto.choice(), Some(Choice { before: Some(("ab", Some("letters"))), candidates }));
    }

    #[test]
    fn the_choice_and_what_its_grammar_remembers_survive_a_restart() {
        let mut before = auto();
        read(&mut before, "#head");
        assert_eq!(before.state(), "a 8\n1");
        let mut after = auto();
        after.resume(&before.state());
        assert_eq!((after.format(), after.state()), ("a", before.state()));
        after.resume("gone 3\nx");
        assert_eq!(after.format(), "a");
    }

    #[test]
    fn records_over_several_lines_are_framed_before_anything_is_chosen() {
        assert_eq!(auto().framing(b"{"), Framing::Json);
        assert_eq!(auto().framing(b"{\"a\":1}"), Framing::Lines);
        assert_eq!(auto().framing(b"\xff\xfe"), Framing::Lines);
    }
}
