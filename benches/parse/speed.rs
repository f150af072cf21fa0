//! Lines and bytes a second, and how often memory is asked for. Not for what a longer line costs (`length`).

use std::hint::black_box;

use crmwatch::parse::web::Tables;
use crmwatch::parse::{self, Grammar, Options};
use crmwatch_detectors::Event;

use super::lines::{LINES, Load, loads};
use super::on_processor;

const ROUNDS: usize = 60;
/// Lines after which a choice of format is settled.
const DECIDING: usize = 16;
/// As many events as the reader hands on at once.
const BATCH: usize = 5_000;

/// Prints a row for each load.
pub fn measure(names: &[&str]) {
    println!(
        "speed: one core; ns are the processor's, a line; auto: how much more than the named format; url: what the tables cost more;\n\
         event: an event over the line and nothing else; split: memchr; tree: serde_json::Value; asks: allocations an event, and fields"
    );
    println!(
        "{:<26} {:>6} {:>11} {:>6} {:>6} {:>7} {:>5} {:>6} {:>6} {:>6} {:>6} {:>7}  promised",
        "", "bytes", "lines/s", "MB/s", "ns", "auto", "url", "event", "split", "tree", "asks", "fields"
    );
    let tables = Tables::shipped();
    for load in loads(|name| names.is_empty() || names.iter().any(|wanted| name.contains(wanted))) {
        row(&load, &tables);
    }
}

fn row(load: &Load, tables: &Tables) {
    let mut named = f64::MAX;
    let mut ratio = f64::MAX;
    let (mut auto, mut url, mut event, mut split, mut tree) = (named, named, named, named, named);
    let json = load.lines[0].starts_with('{');
    for _ in 0..ROUNDS {
        let (one, other) = (read(load, load.format, None), read(load, "auto", None));
        named = named.min(one);
        auto = auto.min(other);
        ratio = ratio.min(other / one);
        url = url.min(read(load, load.format, Some(tables)));
        event = event.min(bare(load));
        split = split.min(splitting(load));
        if json {
            tree = tree.min(timed(|| {
                load.lines.iter().for_each(|line| drop(black_box(serde_json::from_str::<serde_json::Value>(line))));
            }));
        }
    }
    let bytes = load.lines.iter().map(String::len).sum::<usize>() as f64 / LINES as f64;
    let (asks, fields) = asked(load);
    let verdict = load.promise.map_or_else(String::new, |promise| {
        format!("{promise:.1} M/s{}", if 1e3 / named < promise { ": MISSED" } else { "" })
    });
    println!(
        "{:<26} {bytes:>6.0} {:>11.0} {:>6.0} {named:>6.0} {:>6.1}% {:>5.0} {event:>6.0} {split:>6.0} {:>6} {asks:>6.2} {fields:>7.1}  {verdict}",
        load.name,
        1e9 / named,
        bytes * 1e3 / named,
        100.0 * (auto / named - 1.0),
        url - named,
        if json { format!("{tree:.0}") } else { "-".to_owned() },
    );
}

/// Nanoseconds a line.
fn timed(run: impl FnOnce()) -> f64 {
    let before = on_processor();
    run();
    (on_processor() - before) as f64 / LINES as f64
}

fn options() -> Options {
    Options { year: 2026, ..Options::default() }
}

fn begin(load: &Load, format: &str, events: &mut Vec<Event>) -> Box<dyn Grammar> {
    let mut grammar = parse::grammar(format, &options()).expect("a format of the list");
    load.header.iter().for_each(|line| {
        grammar.parse(line, events);
    });
    grammar
}

fn read(load: &Load, format: &str, tables: Option<&Tables>) -> f64 {
    let mut events = Vec::with_capacity(BATCH + 100);
    let mut grammar = begin(load, format, &mut events);
    // In the first lines `auto` weighs the formats, once a file: that is no cost of a line.
    load.lines.iter().take(DECIDING).for_each(|line| {
        grammar.parse(line, &mut events);
    });
    events.clear();
    timed(|| {
        for line in &load.lines {
            let before = events.len();
            grammar.parse(line, &mut events);
            if let Some(tables) = tables {
                events[before..].iter_mut().for_each(|event| tables.apply(event));
            }
            if events.len() >= BATCH {
                black_box(&events);
                events.clear();
            }
        }
        events.clear();
    })
}

fn bare(load: &Load) -> f64 {
    let mut events = Vec::with_capacity(BATCH + 100);
    timed(|| {
        for line in &load.lines {
            events.push(Event::new(line));
            if events.len() >= BATCH {
                black_box(&events);
                events.clear();
            }
        }
        events.clear();
    })
}

fn splitting(load: &Load) -> f64 {
    let text = load.lines.join("\n");
    timed(|| {
        black_box(memchr::memchr_iter(b'\n', black_box(text.as_bytes())).count());
    })
}

/// Allocations and fields of an event, once the grammar's own buffers have their size.
fn asked(load: &Load) -> (f64, f64) {
    let mut events = Vec::with_capacity(2 * BATCH);
    let mut grammar = begin(load, load.format, &mut events);
    load.lines.iter().for_each(|line| {
        grammar.parse(line, &mut events);
    });
    events.clear();
    let ((asked, asked_again, _), ()) = alloc_counter::count_alloc(|| {
        load.lines.iter().for_each(|line| {
            grammar.parse(line, &mut events);
        });
    });
    let fields: usize = events.iter().map(|event| event.values().count()).sum();
    let count = events.len().max(1) as f64;
    ((asked + asked_again) as f64 / count, fields as f64 / count)
}
