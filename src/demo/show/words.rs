//! What the demonstration says, as text. Everything that stems from a log is made harmless. Not for when it is said.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use crmwatch_detectors::{Finding, Millis, Reference, Severity};

use super::verdict::{Match, Tally, Verdict};
use crate::demo::{LOGS, Plan, Summary};
use crate::text::{cut, one_line, wrapped};

/// Columns of text.
const COLUMNS: usize = 110;
/// Columns of the names before it.
const MARGIN: usize = 13;

/// `1,234,567`.
pub(super) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes, in the unit that fits.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{} {}", number(count as u64), if count == 1 { one } else { more })
}

fn clock(time: Millis) -> String {
    chrono::DateTime::from_timestamp_millis(time).map_or_else(String::new, |time| time.format("%H:%M:%S").to_string())
}

fn day(time: Millis) -> String {
    chrono::DateTime::from_timestamp_millis(time).map_or_else(String::new, |time| time.format("%Y-%m-%d").to_string())
}

fn seconds(span: Millis) -> String {
    format!("{:.1} s", span.abs() as f64 / 1000.0)
}

fn paint(text: &str, code: &str, coloured: bool) -> String {
    if coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

fn severity(severity: Severity, coloured: bool) -> String {
    let code = match severity {
        Severity::Low => "36",
        Severity::Medium => "33",
        Severity::High => "31",
        Severity::Critical => "1;31",
    };
    paint(&format!("{:<8}", severity.word().to_uppercase()), code, coloured)
}

/// A named paragraph, wrapped, its further lines below the first.
fn paragraph(out: &mut String, name: &str, text: &str) {
    for (at, line) in wrapped(text, COLUMNS - MARGIN).iter().enumerate() {
        let name = if at == 0 { name } else { "" };
        let _ = writeln!(out, "  {name:<width$}{line}", width = MARGIN - 2);
    }
}

/// The first words.
pub(super) fn welcome(plan: &Plan, folder: &Path) -> String {
    let mut formats: Vec<&str> = LOGS.iter().map(|log| log.format).collect();
    formats.sort_unstable();
    formats.dedup();
    format!(
        "A demonstration: the daemon over the logs of an invented company of {} people, in {}.\n\
         Nothing leaves this machine. Everything lies in {}.\n\n",
        number(plan.users as u64),
        formats.join(", "),
        folder.display()
    )
}

/// What was written.
pub(super) fn written(plan: &Plan, summary: &Summary, took: f64) -> String {
    let mut out = String::new();
    paragraph(
        &mut out,
        "written",
        &format!(
            "{} days of work: {} lines, {} in {}, in {took:.1} s; hidden in them {} and {}",
            plan.days,
            number(summary.lines),
            size(summary.bytes),
            counted(summary.files, "file", "files"),
            counted(summary.attacks, "attack", "attacks"),
            counted(summary.oddities, "harmless oddity", "harmless oddities"),
        ),
    );
    out
}

/// The numbers of the fast-forward.
pub(super) struct Past<'p> {
    pub(super) days: u32,
    pub(super) lines: u64,
    pub(super) events: u64,
    pub(super) quarantined: u64,
    pub(super) index_bytes: u64,
    pub(super) took: f64,
    pub(super) memories: &'p [(String, u64)],
    pub(super) oddities: usize,
    pub(super) tally: &'p Tally,
}

/// What the past has taught, and what was found in it.
pub(super) fn past(past: &Past<'_>) -> String {
    let mut out = String::new();
    let rate = number((past.lines as f64 / past.took.max(0.001)) as u64);
    let quarantined = match past.quarantined {
        0 => "every line understood".to_owned(),
        count => format!("{} lines not understood and kept apart", number(count)),
    };
    let text = format!(
        "{} days in {:.1} s: {} lines ({rate} a second), {quarantined}; {} events indexed in {}",
        past.days,
        past.took,
        number(past.lines),
        number(past.events),
        size(past.index_bytes)
    );
    paragraph(&mut out, "read", &text);
    let habits: Vec<String> = past
        .memories
        .iter()
        .filter(|(owner, _)| !owner.starts_with("enrich."))
        .map(|(owner, count)| format!("{} {}", one_line(owner), number(*count)))
        .collect();
    if !habits.is_empty() {
        paragraph(&mut out, "learned", &format!("what is normal for whom, by detector: {}", habits.join(", ")));
    }
    let tally = past.tally;
    paragraph(
        &mut out,
        "found",
        &format!(
            "{} of {} planted; {}",
            tally.found,
            counted(tally.planted, "attack", "attacks"),
            findings(tally, past.oddities)
        ),
    );
    let kinds: Vec<String> =
        tally.families.iter().map(|(family, (planted, found))| format!("{family} {found}/{planted}")).collect();
    paragraph(&mut out, "", &kinds.join(", "));
    if !tally.unwatched.is_empty() {
        let kinds: Vec<&str> = tally.unwatched.keys().map(String::as_str).collect();
        let count = counted(tally.unwatched.values().sum(), "attack", "attacks");
        paragraph(&mut out, "", &format!("not found: {count} of kinds no rule watches for yet: {}", kinds.join(", ")));
    }
    paragraph(
        &mut out,
        "",
        "These are old news: recorded as historic, they are searchable, summed up in one message, and wake nobody.",
    );
    out.push('\n');
    out
}

fn findings(tally: &Tally, oddities: usize) -> String {
    let false_ones = match tally.false_findings {
        0 => "none of them false".to_owned(),
        count => format!("{count} of them about no attack"),
    };
    let odd = match (oddities, tally.by_oddities) {
        (0, _) => String::new(),
        (oddities, 0) => format!("; the {} set off none", counted(oddities, "oddity", "oddities")),
        (oddities, by) => format!("; {by} of these by the {}", counted(oddities, "oddity", "oddities")),
    };
    format!("{} of medium severity or above, {false_ones}{odd}", counted(tally.findings, "finding", "findings"))
}

/// What is to be seen from here on, and what to try meanwhile.
pub(super) fn live(program: &str, configuration: &Path, address: std::net::SocketAddr, lasts: Option<u64>) -> String {
    let end =
        lasts.map_or_else(|| "Ctrl-C ends it".to_owned(), |seconds| format!("it ends by itself after {seconds} s"));
    let configuration = crate::text::shell_word(&configuration.display().to_string());
    format!(
        "Live: the company goes on working. An attack begins every half minute, and is shown when it is found; {end}.\n\
         Try in another terminal:\n\
         \x20 {program} search --config {configuration} 'event.action:export'\n\
         \x20 {program} alerts --config {configuration}\n\
         \x20 {program} alerts --config {configuration} show 1\n\
         \x20 curl http://{address}/metrics\n\n"
    )
}

/// An attack begins.
pub(super) fn planted(family: &str, about: &str, id: &str, start: Millis, coloured: bool) -> String {
    let text = format!("{}  an attack begins: {family}, {} ({id})", clock(start), cut(&one_line(about), 60));
    format!("{}\n", paint(&text, "2", coloured))
}

/// What a finding is shown with.
pub(super) struct Shown<'s> {
    pub(super) finding: &'s Finding,
    /// The severity it had when it was last shown.
    pub(super) before: Option<Severity>,
    pub(super) verdict: Match,
    pub(super) seen: Millis,
    /// Whether it is about the past: some logs are delivered hours late.
    pub(super) past: bool,
}

/// A finding. Low ones, and those already shown, are one line.
pub(super) fn finding(shown: &Shown<'_>, labels: &Verdict, folder: &Path, coloured: bool) -> String {
    let Shown { finding, before, verdict, seen, past } = shown;
    let word = severity(finding.severity, coloured);
    let head = format!("{}  {word}  {}", clock(finding.time), paint(&one_line(&finding.rule), "1", coloured));
    let summary = one_line(&finding.summary.en);
    if *past {
        return format!("{head}  in a log that came late, of {}: {}\n", day(finding.time), cut(&summary, COLUMNS));
    }
    if let Some(before) = before {
        return format!("{head}  was {} before: {}\n", before.word(), cut(&summary, COLUMNS));
    }
    if finding.severity == Severity::Low {
        return format!("{head}  {}\n", cut(&summary, COLUMNS));
    }
    let mut out = format!("\n{head}  {}\n", cut(&one_line(finding.primary_value()), 60));
    paragraph(&mut out, "", &summary);
    paragraph(&mut out, "observed", &one_line(&finding.observed.en));
    paragraph(&mut out, "normal", &one_line(&finding.expected.en));
    if let Some(last) = finding.evidence.iter().last() {
        let path = Path::new(&*last.origin.path);
        let path = path.strip_prefix(folder).unwrap_or(path).display().to_string();
        let more = match finding.evidence.count().saturating_sub(1) {
            0 => String::new(),
            count => format!(" and {} before it", counted(count as usize, "event", "events")),
        };
        paragraph(&mut out, "evidence", &format!("{}:{}{more}", one_line(&path), last.line));
        if let Some(line) = line_of(last) {
            let _ =
                writeln!(out, "  {:<width$}| {}", "", cut(&one_line(&line), COLUMNS - MARGIN - 2), width = MARGIN - 2);
        }
    }
    let truth = match verdict {
        Match::Attack(number) => {
            let label = labels.label(*number);
            let delay = seen - label.deciding;
            let when = if delay < 0 { "before" } else { "after" };
            format!("yes: {} ({}), found {} {when} its deciding line", label.family, label.id, seconds(delay))
        }
        Match::Oddity(number) => {
            format!("no: a harmless oddity set it off, {} ({})", labels.label(*number).family, labels.label(*number).id)
        }
        Match::Nothing => "no: this finding is false".to_owned(),
    };
    let code = if matches!(verdict, Match::Attack(_)) { "32" } else { "35" };
    let _ = writeln!(out, "  {:<width$}{}", "planted", paint(&truth, code, coloured), width = MARGIN - 2);
    out
}

/// The text of a piece of evidence, read where it lies.
fn line_of(reference: &Reference) -> Option<String> {
    let mut file = File::open(&*reference.origin.path).ok()?;
    file.seek(SeekFrom::Start(reference.offset)).ok()?;
    let mut line = Vec::new();
    BufReader::new(file.take(4096)).read_until(b'\n', &mut line).ok()?;
    Some(String::from_utf8_lossy(&line).trim_end().to_owned())
}

/// The last words.
pub(super) fn farewell(tally: &Tally, lasted: f64) -> String {
    let mut out = String::from("\n");
    let under_way = match tally.under_way {
        0 => String::new(),
        count => format!(", {count} more under way"),
    };
    let median = tally
        .median_delay
        .map(|delay| {
            let when = if delay < 0 { "before" } else { "after" };
            format!(", half of them within {} {when} the deciding line", seconds(delay))
        })
        .unwrap_or_default();
    paragraph(
        &mut out,
        "live",
        &format!(
            "{lasted:.0} s: {} planted{under_way}, {} found{median}; {}",
            counted(tally.planted, "attack", "attacks"),
            tally.found,
            findings(tally, 0)
        ),
    );
    let missed: Vec<&str> = tally
        .families
        .iter()
        .filter(|(_, (planted, found))| found < planted)
        .map(|(family, _)| family.as_str())
        .collect();
    if !missed.is_empty() {
        paragraph(&mut out, "not found", &missed.join(", "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
    }
}
