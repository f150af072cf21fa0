//! The benchmark's log: a working day of a CRM with thousands of active users, as an nginx access log or as JSON lines of about 270
//! bytes. The same seed gives the same bytes. Not for attacks (`latency` writes its own).

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Nginx,
    Json,
}

impl Format {
    pub const ALL: [Format; 2] = [Format::Nginx, Format::Json];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Format::Nginx => "nginx",
            Format::Json => "json",
        }
    }
}

/// People who do something during the log.
pub const USERS: u64 = 5_000;
/// Between two lines: 5,000 people of whom each makes some 250 requests a day.
const PACE_MS: i64 = 69;

const AGENTS: [&str; 8] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
];
const OBJECTS: [&str; 4] = ["contacts", "accounts", "leads", "opportunities"];
/// The first two octets of networks of 64 times as many addresses, all of one country: these people do not travel.
const NETWORKS: [(u8, u8); 5] = [(79, 192), (84, 128), (87, 128), (91, 0), (93, 192)];

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn mixed(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Lines of one format, one after the other.
pub struct Lines {
    format: Format,
    random: Random,
    time: i64,
    line: String,
}

impl Lines {
    /// The first line is of `time` (milliseconds since 1970).
    pub fn new(format: Format, time: i64) -> Lines {
        Lines { format, random: Random(7), time, line: String::new() }
    }

    /// The next line, with its newline; `time` in place of the log's own where it is given.
    pub fn next(&mut self, time: Option<i64>) -> &str {
        self.time += PACE_MS;
        let time = time.unwrap_or(self.time);
        // Some people are busier than others: the square of a uniform choice.
        let choice = self.random.below(1 << 20);
        let user = (((choice * choice) >> 20) * USERS) >> 20;
        let own = mixed(user);
        // Most requests come from the person's usual address, the others from home.
        let home = u64::from(self.random.below(10) == 0);
        let place = mixed(own + home);
        let (first, second) = NETWORKS[(own % 5) as usize];
        let second = u64::from(second) + (place >> 8) % 64;
        let address = format!("{first}.{second}.{}.{}", (place >> 16) & 0xff, 1 + (place >> 24) % 254);
        let agent = AGENTS[(own >> 32) as usize % if home == 1 { AGENTS.len() } else { AGENTS.len() - 1 }];
        let request = self.request();
        let moment = chrono::DateTime::from_timestamp_millis(time).expect("a time of this century");
        let name = format!("u{user:04}.{:05x}", own & 0xf_ffff);
        self.line.clear();
        let Request { method, action, status, object, id, path, bytes } = request;
        let _ = match self.format {
            Format::Nginx => {
                let stamp = moment.format("%d/%b/%Y:%H:%M:%S +0000");
                let referrer = format!("https://crm.example.com/app/{object}");
                writeln!(
                    self.line,
                    r#"{address} - {name} [{stamp}] "{method} {path} HTTP/1.1" {status} {bytes} "{referrer}" "{agent}""#
                )
            }
            Format::Json => {
                let stamp = moment.format("%Y-%m-%dT%H:%M:%S%.3fZ");
                let outcome = if status < 400 { "success" } else { "failure" };
                let session = mixed(own ^ (time as u64 / 28_800_000));
                // As a program shortens it that logs what it made of the agent.
                let browser = agent.rsplit(' ').next().unwrap_or_default();
                let records = if action == "export" || action == "list" { bytes / 150 } else { 1 };
                writeln!(
                    self.line,
                    r#"{{"@timestamp":"{stamp}","user.name":"{name}","source.ip":"{address}","event.action":"{action}","event.outcome":"{outcome}","crm.object.type":"{object}","crm.object.id":"{id}","crm.records":{records},"session":"{session:016x}","agent":"{browser}"}}"#
                )
            }
        };
        &self.line
    }

    fn request(&mut self) -> Request {
        let object = OBJECTS[self.random.below(4) as usize];
        let id = format!("{:012x}", mixed(self.random.below(200_000)) >> 16);
        let bytes = 600 + self.random.below(9_000);
        let one = format!("/api/v1/{object}/{id}");
        let (method, action, status, path, bytes) = match self.random.below(1_000) {
            0..620 => ("GET", "view", 200, one, bytes),
            620..800 => {
                ("GET", "list", 200, format!("/api/v1/{object}?limit=50&offset={}", bytes / 50 * 50), bytes * 3)
            }
            800..880 => ("PUT", "update", 200, one, bytes / 4),
            880..940 => ("GET", "search", 200, format!("/api/v1/{object}?search={}", &id[..5]), bytes),
            940..970 => ("POST", "create", 201, format!("/api/v1/{object}"), bytes / 4),
            970..982 => ("POST", "login", 200, "/login".to_owned(), 420),
            982..985 => ("POST", "login", 401, "/login".to_owned(), 180),
            985..995 => ("GET", "view", 404, one, 120),
            995..998 => ("DELETE", "delete", 204, one, 0),
            _ => ("GET", "export", 200, format!("/api/v1/{object}/export?format=csv"), bytes * 10),
        };
        Request { method, action, status, object, id, path, bytes }
    }
}

struct Request {
    method: &'static str,
    action: &'static str,
    status: u16,
    object: &'static str,
    id: String,
    path: String,
    bytes: u64,
}

/// Writes a log whose last line is of `now`; gives its size.
pub fn write(path: &Path, format: Format, lines: u64, now: i64) -> io::Result<u64> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut log = Lines::new(format, now - i64::try_from(lines).unwrap_or(i64::MAX / PACE_MS) * PACE_MS);
    let mut size = 0;
    for _ in 0..lines {
        let line = log.next(None);
        size += line.len() as u64;
        out.write_all(line.as_bytes())?;
    }
    out.flush()?;
    Ok(size)
}
