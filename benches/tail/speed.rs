//! Reading, splitting, parsing: lines a second, beside what the bare parts cost. Not for what comes after the reader.

use std::fs;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crmwatch::config::Source;
use crmwatch::parse::Framing;
use crmwatch::parse::web::Tables;
use crmwatch::source::{Followed, Found, Input, Reading, Scan, Tailer, Units};

use super::Outcome;

const LINES: u64 = 1_000_000;
/// As much as the tailer reads of a file in one turn.
const CHUNK: usize = 256 << 10;

/// A log of lines of about 120 or 270 bytes, as an access log or as JSON.
pub fn write(path: &Path, json: bool, lines: u64) -> std::io::Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 20, fs::File::create(path)?);
    let begin = crmwatch::pipeline::now() - 86_400_000;
    let mut size = 0;
    let mut line = Vec::new();
    for number in 0..lines {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let moment = chrono::DateTime::from_timestamp_millis(begin + number as i64 * 50).unwrap_or_default();
        let (user, net, host) = (mixed % 5_000, mixed % 251, 1 + mixed % 250);
        line.clear();
        if json {
            let stamp = moment.format("%Y-%m-%dT%H:%M:%S%.3fZ");
            write!(
                line,
                r#"{{"@timestamp":"{stamp}","user.name":"u{user:04}.{:05x}","source.ip":"79.200.{net}.{host}","event.action":"view","event.outcome":"success","crm.object.type":"contacts","crm.object.id":"{:012x}","crm.records":1,"session":"{:016x}","agent":"Safari/537.36"}}"#,
                user * 7919 % 0xf_ffff,
                mixed & 0xffff_ffff_ffff,
                mixed.wrapping_mul(31)
            )?;
        } else {
            let stamp = moment.format("%d/%b/%Y:%H:%M:%S +0000");
            write!(
                line,
                r#"79.200.{net}.{host} - u{user:04} [{stamp}] "GET /api/v1/contacts/{:08x} HTTP/1.1" 200 {} "-" "curl/8.5""#,
                mixed as u32,
                mixed % 9_000
            )?;
        }
        line.push(b'\n');
        size += line.len() as u64;
        out.write_all(&line)?;
    }
    out.flush()?;
    Ok(size)
}

/// Time on the clock, and time of the processor, of this thread.
struct Watch(Instant, u64);

fn on_processor() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl Watch {
    fn start() -> Watch {
        Watch(Instant::now(), on_processor())
    }

    fn stop(self) -> (Duration, Duration) {
        (self.0.elapsed(), Duration::from_nanos(on_processor() - self.1))
    }
}

/// Two runs, of which the better counts: what disturbs a run only makes it slower.
fn best(mut run: impl FnMut() -> std::io::Result<u64>) -> std::io::Result<(u64, Duration, Duration)> {
    let mut best: Option<(u64, Duration, Duration)> = None;
    for _ in 0..2 {
        let watch = Watch::start();
        let lines = run()?;
        let (clock, processor) = watch.stop();
        if best.is_none_or(|(_, _, before)| processor < before) {
            best = Some((lines, clock, processor));
        }
    }
    best.ok_or_else(|| std::io::Error::other("nothing was measured"))
}

/// Prints the figures.
pub fn measure(folder: &Path) -> Outcome {
    println!("speed: {LINES} lines, file in the page cache, one thread");
    println!("{:<44} {:>12} {:>9} {:>14}", "", "lines/s", "MB/s", "cpu ns a line");
    for (json, format) in [(false, "nginx"), (true, "json")] {
        let path = folder.join(format);
        let size = write(&path, json, LINES)?;
        let show = |what: &str, (lines, clock, processor): (u64, Duration, Duration)| {
            println!(
                "{:<44} {:>12.0} {:>9.0} {:>14.0}",
                format!("{format}, {} bytes a line: {what}", size / LINES),
                lines as f64 / clock.as_secs_f64(),
                size as f64 / 1e6 / clock.as_secs_f64(),
                processor.as_nanos() as f64 / lines as f64
            );
        };
        let bytes = fs::read(&path)?;
        show("memchr alone", best(|| Ok(memchr::memchr_iter(b'\n', black_box(&bytes)).count() as u64))?);
        show("reading and splitting", best(|| split(&path))?);
        if json {
            show(
                "serde_json to a tree",
                best(|| {
                    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                    let read = |line| black_box(serde_json::from_slice::<serde_json::Value>(line)).is_ok();
                    Ok(lines.map(|line| u64::from(read(line))).sum())
                })?,
            );
        }
        drop(bytes);
        show("reader, to finished events", best(|| read(&path, format))?);
    }
    Ok(())
}

/// What the reader does with a file before it parses.
fn split(path: &Path) -> std::io::Result<u64> {
    let mut input = Input::open(path)?;
    let mut buffer = vec![0; CHUNK];
    let (mut offset, mut lines) = (0, 0);
    loop {
        let filled = input.read_at(&mut buffer, offset)?;
        let bytes = &buffer[..filled];
        let mut at = 0;
        while let Found::End(end) = Scan::new(Framing::Lines, Units::Single).on(&bytes[at..]) {
            black_box(&bytes[at..at + end]);
            lines += 1;
            at += end + 1;
        }
        if at == 0 {
            return Ok(lines);
        }
        offset += at as u64;
    }
}

/// The tailer, as the reader's thread drives it; events go when their batch is whole.
fn read(path: &Path, format: &str) -> std::io::Result<u64> {
    let source = Source {
        paths: vec![path.to_string_lossy().into_owned()],
        format: format.to_owned(),
        ..Source::named("bench")
    };
    let followed = Followed { source: Arc::new(source), tables: Arc::new(Tables::shipped()) };
    let mut tailer = Tailer::new(vec![followed], Default::default());
    let mut notices = Vec::new();
    let now = crmwatch::pipeline::now();
    tailer.look(now, &mut notices);
    let mut reading = Reading { read_at: now, ..Reading::default() };
    let mut lines = 0;
    loop {
        let more = tailer.read(now, &mut reading, &mut notices);
        lines += reading.events.len() as u64;
        reading.events.clear();
        reading.segments.clear();
        black_box(tailer.changed());
        if !more {
            return Ok(lines);
        }
    }
}
