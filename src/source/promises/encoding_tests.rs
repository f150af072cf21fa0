//! Encodings of logs: UTF-16 with and without a mark, Chinese and Japanese ones, and reading on in the middle of such a file.

use std::fs;

use encoding_rs::{BIG5, GB18030, SHIFT_JIS};

use super::*;

fn utf16(text: &str, little: bool) -> Vec<u8> {
    text.encode_utf16().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
}

fn mark(little: bool) -> &'static [u8] {
    if little { b"\xff\xfe" } else { b"\xfe\xff" }
}

fn world(encoding: &str, format: &str) -> World {
    World::of(|folder| {
        let other = source("app", folder, &["app.log*"]);
        vec![Source { encoding: encoding.to_owned(), format: format.to_owned(), ..other }]
    })
}

/// Lines that hold the newline's byte in other characters, surrogates, and a mark in their midst.
const TEXTS: [&str; 5] = ["ਊ ऊ Ċ ఊ", "😀 one 𝄞", "用户 登录\u{feff} 成功", "", "plain"];

impl World {
    /// Lines of the texts, expected to be seen.
    fn texts(&mut self, end: &str) -> String {
        let mut all = String::new();
        for text in TEXTS {
            self.number += 1;
            let line = format!("{{\"@timestamp\":\"2026-03-02T09:14:07Z\",\"n\":{},\"text\":\"{text}\"}}", self.number);
            all += &format!("{line}{end}");
            self.written.push(line);
        }
        all
    }

    fn parsed(&self) -> bool {
        self.events.iter().all(|event| !event.has(crmwatch_detectors::Field::QuarantineReason))
    }
}

// logstash-input-file#226; opentelemetry-collector-contrib#39011, #14615; fluent-bit#9321.
#[test]
fn utf_16_with_a_mark_is_read_in_either_order_with_either_line_end_and_in_any_pieces() {
    for little in [true, false] {
        for end in ["\n", "\r\n"] {
            let mut world = world("auto", "json");
            let bytes = [mark(little), &utf16(&world.texts(end), little)].concat();
            for piece in bytes.chunks(7) {
                world.raw("app.log", piece);
                world.settle();
            }
            assert!(world.parsed());
            assert!(world.events.iter().all(|event| event.raw_bytes.is_none()));
            world.exactly_once();
        }
    }
}

#[test]
fn utf_16_without_a_mark_is_read_where_it_was_named() {
    for (name, little) in [("utf-16le", true), ("utf-16be", false), ("utf-16", true)] {
        let mut world = world(name, "json");
        let bytes = utf16(&world.texts("\n"), little);
        world.raw("app.log", &bytes);
        world.exactly_once();
        assert!(world.parsed());
    }
}

#[test]
fn after_a_restart_in_the_middle_of_utf_16_reading_goes_on_in_it() {
    for little in [true, false] {
        let mut world = world("auto", "json");
        world.raw("app.log", mark(little));
        for _ in 0..8 {
            let bytes = utf16(&world.texts("\r\n"), little);
            let (first, second) = bytes.split_at(bytes.len() / 2 + 1);
            world.raw("app.log", first);
            world.settle();
            world.restart();
            world.raw("app.log", second);
            world.settle();
        }
        world.exactly_once();
        assert!(world.parsed());
    }
}

#[test]
fn the_mark_counts_at_the_very_beginning_only_and_belongs_to_no_line() {
    let mut world = world("auto", "json");
    let text = world.texts("\n");
    world.raw("app.log", &[mark(true), &utf16(&text, true)].concat());
    world.settle();
    // A writer that opens the file anew writes its mark again.
    let text = world.texts("\n");
    world.raw("app.log", &[mark(true), &utf16(&text, true)].concat());
    world.settle();
    let again = world.seen.iter().filter(|line| line.starts_with('\u{feff}')).count();
    assert_eq!(again, 1, "only what stands inside the file is part of a line");
    for line in &mut world.seen {
        *line = line.trim_start_matches('\u{feff}').to_owned();
    }
    world.exactly_once();
}

#[test]
fn a_torn_unit_at_the_end_of_a_dead_file_is_kept_with_its_bytes() {
    let mut world = world("auto", "json");
    let text = world.texts("\n");
    world.raw("app.log", &[mark(true), &utf16(&text, true), b"h\0i"].concat());
    world.settle();
    assert_eq!(world.seen.len(), TEXTS.len());
    world.remove("app.log");
    world.settle();
    let last = world.events.last().expect("the rest");
    assert_eq!((last.raw(), last.raw_bytes.as_deref()), ("h\u{fffd}", Some(&b"h\0i"[..])));
}

#[test]
fn an_over_long_line_of_utf_16_is_cut_between_characters() {
    let mut world = World::of(|folder| vec![Source { max_line: 1_025, ..source("app", folder, &["app.log*"]) }]);
    let long = "张".repeat(4_000);
    world.raw("app.log", &[mark(false), &utf16(&format!("{long}\nshort\n"), false)].concat());
    world.settle();
    assert_eq!(world.seen, ["张".repeat(511), "short".to_owned()]);
    assert!(world.events.iter().all(|event| event.raw_bytes.is_none()));
}

#[test]
fn records_of_several_lines_are_whole_in_utf_16() {
    for little in [true, false] {
        let mut world = world("auto", "json");
        let record =
            "{\n  \"@timestamp\": \"2026-03-02T09:14:07Z\",\n  \"text\": \"}ਊ\\\"\",\n  \"items\": [\n    1\n  ]\n}";
        let bytes = [mark(little), &utf16(&format!("{record}\n{record}\n"), little)].concat();
        for piece in bytes.chunks(33) {
            world.raw("app.log", piece);
            world.settle();
        }
        world.written = vec![record.to_owned(); 2];
        world.exactly_once();

        let mut world = self::world("auto", "salesforce-elf");
        let header = "\"EVENT_TYPE\",\"TIMESTAMP\",\"NOTE\"";
        let row = "\"Login\",\"20260302091407.000\",\"line\nਊ \"\"quoted\"\"\nend\"";
        let bytes = [mark(little), &utf16(&format!("{header}\r\n{row}\r\n{row}\r\n"), little)].concat();
        for piece in bytes.chunks(33) {
            world.raw("app.log", piece);
            world.settle();
            world.restart();
        }
        world.written = vec![row.to_owned(); 2];
        world.exactly_once();
        assert!(world.parsed());
    }
}

#[test]
fn records_of_several_lines_are_whole_where_backslash_and_brace_are_parts_of_characters() {
    let cases = [
        (GB18030, "auto", "俓俒俔倇倉"),
        (GB18030, "gb18030", "俓俒俔倇倉"),
        (BIG5, "big5", "功許蓋"),
        (SHIFT_JIS, "shift_jis", "表ソ能"),
    ];
    for (encoding, label, characters) in cases {
        let mut world = world(label, "json");
        for character in characters.chars() {
            let record = format!(
                "{{\n\"@timestamp\":\"2026-03-02T09:14:07Z\",\n\"{character}\":\"{character}\",\"b\":[\n\"{character}\"]}}"
            );
            world.raw("app.log", &encoding.encode(&format!("{record}\n")).0);
            world.written.push(record);
            world.settle();
        }
        world.exactly_once();
        assert!(world.parsed(), "{label}");
    }
}

#[test]
fn lines_of_gb18030_and_utf_8_in_one_file_are_each_read_as_what_they_are() {
    let mut world = World::new();
    for text in ["用户 登录 成功", "张伟 导出 客户"] {
        let line = format!("{{\"text\":\"{text}\"}}");
        world.raw("app.log", &GB18030.encode(&format!("{line}\n")).0);
        world.raw("app.log", format!("{line}\n").as_bytes());
        world.written.extend([line.clone(), line]);
    }
    world.exactly_once();
}

#[test]
fn an_old_encoding_is_forgotten_with_its_file() {
    let mut world = World::new();
    let text = world.texts("\n");
    world.raw("app.log", &[mark(true), &utf16(&text, true)].concat());
    world.settle();
    let text = world.texts("\n");
    fs::write(world.path("app.log"), &text[..1]).expect("written");
    world.settle();
    world.raw("app.log", &text.as_bytes()[1..]);
    world.settle();
    world.seen_exactly_once();
}
