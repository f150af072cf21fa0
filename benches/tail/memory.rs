//! Anonymous memory of reading, each case in a process of its own. Not for the daemon's whole memory (`end_to_end` tells that).

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crmwatch::config::Source;
use crmwatch::parse::web::Tables;
use crmwatch::source::{Followed, Reading, Tailer};

use super::{Outcome, speed};

/// The word that makes this program the child.
pub const CHILD: &str = "--read";

const GIGABYTE: usize = 1 << 30;
const FILES: usize = 10_000;

/// Makes the files of a case.
type Case = fn(&Path) -> std::io::Result<()>;

/// Prints the figures.
pub fn measure(folder: &Path) -> Outcome {
    println!(
        "memory: greatest anonymous memory of a process that reads and parses, above what it had before the first line"
    );
    let cases: [(&str, Case); 4] = [
        ("a line of 1 GiB between two others", long_line),
        ("10,000 files of 100 lines", files),
        ("a backlog of 3,000,000 lines", backlog),
        ("10,000 files, each with a line begun", begun),
    ];
    for (name, make) in cases {
        let place = folder.join("logs");
        fs::create_dir(&place)?;
        make(&place)?;
        let output = Command::new(std::env::current_exe()?).arg(CHILD).arg(&place).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        println!("{name:<44} {}", String::from_utf8_lossy(&output.stdout).trim_end());
        fs::remove_dir_all(&place)?;
    }
    Ok(())
}

fn long_line(folder: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, fs::File::create(folder.join("a.log"))?);
    out.write_all(b"{\"user.name\":\"a\"}\n{\"user.name\":\"")?;
    let part = vec![b'x'; 1 << 20];
    for _ in 0..GIGABYTE / part.len() {
        out.write_all(&part)?;
    }
    out.write_all(b"\"}\n{\"user.name\":\"b\"}\n")?;
    out.flush()
}

fn files(folder: &Path) -> std::io::Result<()> {
    for number in 0..FILES {
        let line = format!(
            "{{\"@timestamp\":\"2026-01-01T00:00:00Z\",\"user.name\":\"u{number}\",\"event.action\":\"view\"}}\n"
        );
        fs::write(folder.join(format!("{number}.log")), line.repeat(100))?;
    }
    Ok(())
}

fn begun(folder: &Path) -> std::io::Result<()> {
    for number in 0..FILES {
        let text = format!("{{\"user.name\":\"u{number}\"}}\n{{\"user.name\":\"{}", "x".repeat(20_000));
        fs::write(folder.join(format!("{number}.log")), text)?;
    }
    Ok(())
}

fn backlog(folder: &Path) -> std::io::Result<()> {
    speed::write(&folder.join("a.log"), true, 3_000_000).map(drop)
}

fn anonymous() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Reads the folder's files to their ends and prints the greatest memory.
pub fn child(folder: &Path) -> Outcome {
    let source = Source {
        paths: vec![folder.join("*.log").to_string_lossy().into_owned()],
        format: "json".to_owned(),
        ..Source::named("bench")
    };
    let followed = Followed { source: Arc::new(source), tables: Arc::new(Tables::shipped()) };
    let mut tailer = Tailer::new(vec![followed], BTreeMap::new());
    let (mut notices, mut reading) = (Vec::new(), Reading::default());
    let before = anonymous();
    let (mut most, mut lines, mut idle) = (before, 0, 0);
    while idle < 3 {
        let now = crmwatch::pipeline::now();
        if reading.segments.is_empty() {
            tailer.look(now, &mut notices);
        }
        reading.read_at = now;
        let more = tailer.read(now, &mut reading, &mut notices);
        most = most.max(anonymous());
        lines += reading.events.len();
        reading = Reading { events: std::mem::take(&mut reading.events), ..Reading::default() };
        reading.events.clear();
        notices.clear();
        drop(tailer.changed());
        idle = if more { 0 } else { idle + 1 };
    }
    println!("{:>8.1} MB   ({lines} events)", (most - before) as f64 / 1e6);
    Ok(())
}
