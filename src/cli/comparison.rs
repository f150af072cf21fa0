//! Two runs of a backtest next to each other: which findings are new and which are gone, rule by rule, for people and as JSON. Not for
//! making the runs (`replay`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use crmwatch_detectors::{Finding, Millis, Severity};

use super::output;
use super::scan::text;
use crate::text::{cut, one_line};

/// How a finding of one run stands to the other run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Of both, or of the only one.
    Same,
    /// Of the tried one only.
    New,
    /// Of the one in force only.
    Gone,
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Change::Same => "same",
            Change::New => "new",
            Change::Gone => "gone",
        }
    }
}

/// What one rule did.
#[derive(Debug, Default)]
struct Row<'f> {
    severity: Option<Severity>,
    present: u64,
    tried: u64,
    new: u64,
    gone: u64,
    whom: BTreeMap<(&'f str, &'f str), u64>,
}

/// The findings of one run by rule and whom they are about. One that another setting has begin earlier is the same all the same.
struct Episodes<'f>(BTreeMap<(&'f str, &'f str), Vec<(Millis, Millis)>>);

impl<'f> Episodes<'f> {
    fn of(findings: &'f [Finding]) -> Episodes<'f> {
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for one in findings {
            all.entry((&*one.rule, one.primary_value())).or_default().push(stretch(one));
        }
        Episodes(all)
    }

    fn has(&self, finding: &Finding) -> bool {
        let (from, to) = stretch(finding);
        let of = self.0.get(&(&*finding.rule, finding.primary_value()));
        of.is_some_and(|all| all.iter().any(|(first, last)| *first <= to && *last >= from))
    }
}

fn stretch(finding: &Finding) -> (Millis, Millis) {
    (finding.window.0.min(finding.time), finding.last_time.max(finding.time))
}

/// Both runs next to each other.
pub(super) struct Comparison<'f> {
    rows: BTreeMap<&'f str, Row<'f>>,
    findings: Vec<(Change, &'f Finding)>,
    compared: bool,
}

impl<'f> Comparison<'f> {
    /// Of one run, or of the present one and the tried.
    pub(super) fn of(sides: &'f [Vec<Finding>]) -> Comparison<'f> {
        let (present, tried) = (sides.first().map_or(&[][..], Vec::as_slice), sides.get(1));
        let mut findings: Vec<(Change, &Finding)> = match tried {
            None => present.iter().map(|one| (Change::Same, one)).collect(),
            Some(tried) => {
                let (before, after) = (Episodes::of(present), Episodes::of(tried));
                let gone = present.iter().filter(|one| !after.has(one)).map(|one| (Change::Gone, one));
                let rest = tried.iter().map(|one| (if before.has(one) { Change::Same } else { Change::New }, one));
                gone.chain(rest).collect()
            }
        };
        findings.sort_by_key(|(_, one)| (one.time, one.id));
        let mut rows: BTreeMap<&str, Row<'_>> = BTreeMap::new();
        for (change, finding) in &findings {
            let row = rows.entry(&finding.rule).or_default();
            row.severity = row.severity.max(Some(finding.severity));
            row.present += u64::from(*change != Change::New);
            row.tried += u64::from(*change != Change::Gone);
            row.new += u64::from(*change == Change::New);
            row.gone += u64::from(*change == Change::Gone);
            *row.whom.entry((&finding.primary, finding.primary_value())).or_default() += 1;
        }
        Comparison { rows, findings, compared: tried.is_some() }
    }

    /// One line a rule.
    pub(super) fn table(&self, locale: &str) -> String {
        let chinese = locale == "zh-CN";
        let (empty, head) = match (chinese, self.compared) {
            (false, false) => ("nothing would have been found\n", ["rule", "severity", "found", "for whom"].to_vec()),
            (false, true) => (
                "nothing would have been found, neither as configured nor as tried\n",
                ["rule", "severity", "now", "tried", "new", "gone", "for whom"].to_vec(),
            ),
            (true, false) => ("不会有任何发现\n", ["规则", "级别", "发现", "涉及对象"].to_vec()),
            (true, true) => (
                "无论按现有配置还是按试用配置，都不会有任何发现\n",
                ["规则", "级别", "现有", "试用", "新增", "消失", "涉及对象"].to_vec(),
            ),
        };
        if self.rows.is_empty() {
            return empty.to_owned();
        }
        let mut lines: Vec<Vec<String>> = vec![head.into_iter().map(str::to_owned).collect()];
        for (rule, row) in &self.rows {
            let severity = row.severity.map(Severity::word).unwrap_or_default();
            let mut line = vec![one_line(rule).into_owned(), severity.to_owned(), row.present.to_string()];
            if self.compared {
                line.extend([row.tried, row.new, row.gone].map(|one| one.to_string()));
            }
            line.push(whom(row, chinese));
            lines.push(line);
        }
        aligned(&lines)
    }

    /// The findings; of two runs those that differ.
    pub(super) fn findings(&self, locale: &str, coloured: bool) -> String {
        let mut out = String::new();
        for (change, finding) in &self.findings {
            if self.compared && *change == Change::Same {
                continue;
            }
            let word = match (self.compared, locale == "zh-CN", change) {
                (false, ..) => "",
                (_, false, Change::New) => "NEW   ",
                (_, false, _) => "GONE  ",
                (_, true, Change::New) => "新增  ",
                (_, true, _) => "消失  ",
            };
            let _ = write!(out, "\n{word}{}", text(finding, locale, coloured).trim_end());
            out.push('\n');
        }
        out
    }

    /// Both as JSON lines.
    pub(super) fn json(&self, out: &mut impl Write, locale: &str, findings: bool) -> io::Result<()> {
        for (change, finding) in self.findings.iter().filter(|_| findings) {
            let mut object = finding.to_json(locale);
            object["change"] = change.word().into();
            output::json_line(out, &object)?;
        }
        for (rule, row) in &self.rows {
            let whom: Vec<_> = ranked(row)
                .into_iter()
                .map(|((name, value), count)| serde_json::json!({"name": name, "value": value, "findings": count}))
                .collect();
            let mut object = serde_json::json!({
                "rule": rule, "severity": row.severity.map(Severity::word), "findings": row.present, "whom": whom,
            });
            if self.compared {
                object["tried"] = row.tried.into();
                object["new"] = row.new.into();
                object["gone"] = row.gone.into();
            }
            output::json_line(out, &serde_json::json!({"replay": object}))?;
        }
        Ok(())
    }
}

/// Whom a rule named, the most often named first.
fn ranked<'f>(row: &Row<'f>) -> Vec<((&'f str, &'f str), u64)> {
    let mut all: Vec<_> = row.whom.iter().map(|(whom, count)| (*whom, *count)).collect();
    all.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(&right.0)));
    all
}

const NAMED: usize = 4;

fn whom(row: &Row<'_>, chinese: bool) -> String {
    let all = ranked(row);
    let shown: Vec<String> = all
        .iter()
        .take(NAMED)
        .map(|((_, value), count)| {
            let value = one_line(&cut(value, 60)).into_owned();
            if *count > 1 { format!("{value} ({count})") } else { value }
        })
        .collect();
    match (all.len().saturating_sub(NAMED), chinese) {
        (0, false) => shown.join(", "),
        (0, true) => shown.join("、"),
        (more, false) => format!("{} and {more} more", shown.join(", ")),
        (_, true) => format!("{} 等共 {} 个", shown.join("、"), all.len()),
    }
}

/// Columns as wide as their widest cell; the last one ends where it ends.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| lines.iter().map(|line| crate::text::width(&line[column])).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for line in lines {
        for (cell, width) in line.iter().zip(&widths).take(columns - 1) {
            let _ = write!(out, "{cell}{}  ", " ".repeat(width - crate::text::width(cell)));
        }
        let _ = writeln!(out, "{}", line[columns - 1]);
    }
    out
}
