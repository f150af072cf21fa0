//! The lines of one log: each has a number of its own, whatever its format, and some are attacks. Not for files.

use std::io::Write as _;

use super::numbers::Numbers;

/// Lines longer than this are cut by the daemon; the number stands before that.
pub const MAX_LINE: usize = 4096;
/// Failed logins of one attack.
pub const FAILURES: u64 = 12;
/// The failure that makes the finding.
const DECIDING: u64 = 10;
/// One line in so many begins an attack.
const ATTACKS: u64 = 2_500;
/// One line in so many is longer than the daemon keeps.
const OVERLONG: u64 = 20_000;

/// How a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One object a line.
    Json,
    /// One object over several lines.
    Spread,
    /// An access log.
    Nginx,
    /// CSV under a header.
    Salesforce,
}

impl Format {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Format::Json | Format::Spread => "json",
            Format::Nginx => "nginx",
            Format::Salesforce => "salesforce-elf",
        }
    }

    /// What every file of the log begins with.
    pub fn header(self) -> &'static str {
        match self {
            Format::Salesforce => {
                "\"EVENT_TYPE\",\"TIMESTAMP\",\"REQUEST_ID\",\"USER_ID\",\"TIMESTAMP_DERIVED\",\"USER_NAME\",\"LOGIN_STATUS\",\"SOURCE_IP\",\"BROWSER_TYPE\"\n"
            }
            Format::Json | Format::Spread | Format::Nginx => "",
        }
    }
}

/// An attack that was written: the finding it must give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attack {
    /// Whose account.
    pub victim: String,
    /// The time of the failure that decides, in milliseconds.
    pub deciding: i64,
    /// Its lines lie in more than one file, whose order of reading is not that of writing.
    pub split: bool,
}

/// The lines of one log, one after the other.
pub struct Lines {
    format: Format,
    log: usize,
    crlf: bool,
    /// How many were given.
    pub number: u64,
    numbers: Numbers,
    attack: Option<(String, u64)>,
    split: bool,
    /// The attacks that are written whole.
    pub attacks: Vec<Attack>,
    begun: u64,
    stamp: (i64, String),
}

impl Lines {
    /// Those of the log with this number.
    pub fn new(format: Format, log: usize, crlf: bool, numbers: Numbers) -> Lines {
        let stamp = (i64::MIN, String::new());
        Lines {
            format,
            log,
            crlf,
            number: 0,
            numbers,
            attack: None,
            split: false,
            attacks: Vec::new(),
            begun: 0,
            stamp,
        }
    }

    /// A new file begins.
    pub fn rotated(&mut self) {
        self.split = self.attack.is_some();
        if self.split
            && let Some(last) = self.attacks.last_mut()
            && self.attack.as_ref().is_some_and(|(victim, _)| *victim == last.victim)
        {
            last.split = true;
        }
    }

    /// Adds the next line; `now` is its time. `calm`: no attack begins.
    pub fn push(&mut self, now: i64, calm: bool, out: &mut Vec<u8>) {
        if self.attack.is_none() && !calm && self.numbers.once_in(ATTACKS) {
            self.attack = Some((format!("victim{}x{}", self.log, self.begun), 0));
            self.begun += 1;
            self.split = false;
        }
        match self.attack.take() {
            // Others go on with their work meanwhile.
            Some((victim, failures)) if calm || self.numbers.below(3) > 0 => {
                let source = self.begun * 8 + self.log as u64;
                let address = format!("203.{}.{}.{}", source / 62_500 % 250, source / 250 % 250, 1 + source % 250);
                self.line(now, &victim, &address, true, out);
                if failures + 1 == DECIDING {
                    // An access log has whole seconds.
                    let deciding = if self.format == Format::Nginx { now - now % 1_000 } else { now };
                    self.attacks.push(Attack { victim: victim.clone(), deciding, split: self.split });
                }
                if failures + 1 < FAILURES {
                    self.attack = Some((victim, failures + 1));
                }
            }
            attack => {
                self.attack = attack;
                let user = self.numbers.below(900);
                let address = format!("10.{}.{}.{}", self.log, user / 250, 1 + user % 250);
                let name = format!("u{}x{user}", self.log);
                self.line(now, &name, &address, false, out);
            }
        }
    }

    fn line(&mut self, now: i64, user: &str, address: &str, failed: bool, out: &mut Vec<u8>) {
        self.number += 1;
        let Lines { log, number, format, .. } = *self;
        // What is spread over lines and longer than the daemon keeps is taken line by line, and only the first has the number.
        let one_line = format != Format::Spread && (format != Format::Salesforce || number % 50 != 0);
        let filler = match self.numbers.below(OVERLONG) {
            0 if one_line && !failed => MAX_LINE + self.numbers.index(60 * MAX_LINE),
            0..1_000 => self.numbers.index(1_500),
            other => other as usize % 60,
        };
        // Written to memory, which does not fail.
        let _ = match format {
            Format::Json | Format::Spread => {
                let (action, outcome) = if failed { ("login", "failure") } else { ("view", "success") };
                let stamp = self.stamp(now, "%Y-%m-%dT%H:%M:%S%.3fZ");
                let gap = if format == Format::Spread { "\n  " } else { "" };
                write!(
                    out,
                    r#"{{{gap}"n":"~{log}-{number}~",{gap}"@timestamp":"{stamp}",{gap}"event.action":"{action}","event.outcome":"{outcome}",{gap}"user.name":"{user}",{gap}"source.ip":"{address}",{gap}"filler":""#
                )
            }
            Format::Nginx => {
                let (request, status) = if failed { ("POST /login?n=", 401) } else { ("GET /line/", 200) };
                let stamp = self.stamp(now, "%d/%b/%Y:%H:%M:%S +0000");
                write!(
                    out,
                    r#"{address} - {user} [{stamp}] "{request}~{log}-{number}~ HTTP/1.1" {status} 12 "-" "Mozilla/5.0 "#
                )
            }
            Format::Salesforce => {
                let status = if failed { "LOGIN_ERROR_INVALID_PASSWORD" } else { "LOGIN_NO_ERROR" };
                let stamp = self.stamp(now, "%Y-%m-%dT%H:%M:%S%.3fZ");
                // A cell over two lines, now and then.
                let gap = if number % 50 == 0 { "a\nb \"\"c\"\" " } else { "" };
                write!(
                    out,
                    r#""Login","20260101000000.000","~{log}-{number}~","0055g0000{number:06}","{stamp}","{user}@crm.example","{status}","{address}","{gap}"#
                )
            }
        };
        out.resize(out.len() + filler, b'x');
        out.extend_from_slice(match format {
            Format::Json => b"\"}",
            Format::Spread => b"\"\n}",
            Format::Nginx | Format::Salesforce => b"\"",
        });
        out.extend_from_slice(if self.crlf { b"\r\n" } else { b"\n" });
    }

    fn stamp(&mut self, now: i64, form: &str) -> &str {
        if self.stamp.0 != now {
            let moment = chrono::DateTime::from_timestamp_millis(now).unwrap_or_default();
            self.stamp = (now, moment.format(form).to_string());
        }
        &self.stamp.1
    }
}

/// Log and number of a line, as it stands in its raw text.
pub fn number_of(raw: &str) -> Option<(usize, u64)> {
    let (_, rest) = raw.split_once('~')?;
    let (log, rest) = rest.split_once('-')?;
    let (number, _) = rest.split_once('~')?;
    Some((log.parse().ok()?, number.parse().ok()?))
}
