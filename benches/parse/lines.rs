//! The lines that are read: of the formats with a promise, as programs write them, each line another; of the others, those of
//! `tests/formats` again and again. Not for measuring.

use std::path::Path;

use crmwatch::parse::FORMATS;

/// Lines of a round: few enough for a round to go by undisturbed now and then.
pub const LINES: u64 = 5_000;

/// Lines of one kind.
pub struct Load {
    /// The row's name.
    pub name: String,
    /// The format that reads them.
    pub format: &'static str,
    /// What has to be read before them: a heading.
    pub header: Vec<String>,
    pub lines: Vec<String>,
    /// Millions of lines a second that are promised.
    pub promise: Option<f64>,
}

const AGENT: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36";

/// What differs from line to line.
struct Turn {
    user: String,
    ip: String,
    id: String,
    number: u64,
    hour: u64,
    minute: u64,
    second: u64,
    millis: u64,
}

impl Turn {
    fn of(line: u64) -> Turn {
        let mixed = line.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        Turn {
            user: format!("{}.{:04}@example.com", ["mia", "ben", "chen.wei", "d"][mixed as usize % 4], mixed % 5_000),
            ip: format!("203.0.{}.{}", mixed % 251, 1 + mixed / 251 % 250),
            id: format!("{:012x}", mixed & 0xffff_ffff_ffff),
            number: mixed % 90_000,
            hour: line / 3_600 % 24,
            minute: line / 60 % 60,
            second: line % 60,
            millis: mixed % 1_000,
        }
    }
}

type Line = fn(&Turn) -> String;

/// Name, format, millions of lines a second that are promised, heading, line.
const WRITTEN: &[(&str, &str, Option<f64>, &str, Line)] = &[
    ("combined", "nginx", Some(1.5), "", combined),
    ("json, an application's", "json", Some(0.7), "", application),
    ("json, ECS", "json", Some(0.7), "", ecs),
    ("json, nginx's", "json", Some(0.7), "", nginx_json),
    ("elf, Login", "salesforce-elf", Some(0.8), LOGIN, login),
    ("elf, ReportExport", "salesforce-elf", Some(0.8), EXPORT, export),
    ("syslog, RFC 3164", "syslog", Some(1.5), "", rfc3164),
    ("syslog, RFC 5424", "syslog", Some(1.5), "", rfc5424),
    ("syslog, access lines", "syslog", None, "", carried),
    ("cef", "cef", Some(0.7), "", cef),
    ("cef in syslog", "cef", None, "", cef_in_syslog),
];

/// The loads whose name is wanted: those with a promise first, then one of each format.
pub fn loads(wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = Load> {
    let written: Vec<Load> = WRITTEN.iter().filter(|(name, ..)| wanted(name)).map(written).collect();
    let fixtures = FORMATS.iter().filter(|format| wanted(format.name)).map(|format| fixture(format.name));
    let fixtures: Vec<Load> = fixtures.collect();
    written.into_iter().chain(fixtures)
}

fn written((name, format, promise, header, line): &(&str, &'static str, Option<f64>, &str, Line)) -> Load {
    Load {
        name: (*name).to_owned(),
        format,
        header: (!header.is_empty()).then(|| (*header).to_owned()).into_iter().collect(),
        lines: (0..LINES).map(|number| line(&Turn::of(number))).collect(),
        promise: *promise,
    }
}

/// Formats whose lines mean nothing without the first one.
pub const HEADED: [&str; 6] = ["salesforce-elf", "zoho", "vtiger-logins", "jiandaoyun-log", "audit-csv", "iis"];

/// The lines of a format in `tests/formats`.
pub fn of_format(format: &str) -> String {
    let pattern = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/formats/{format}.*"));
    let path = glob::glob(pattern.to_str().expect("a UTF-8 path")).expect("a pattern").flatten().next();
    std::fs::read_to_string(path.expect("every format has lines")).expect("readable")
}

fn fixture(format: &'static str) -> Load {
    let text = of_format(format);
    let mut lines = text.lines().map(str::to_owned);
    let header = lines.by_ref().take(usize::from(HEADED.contains(&format))).collect();
    let own: Vec<String> = lines.collect();
    let lines = own.iter().cycle().take(LINES as usize).cloned().collect();
    Load { name: format!("({format})"), format, header, lines, promise: None }
}

fn combined(turn: &Turn) -> String {
    let Turn { ip, id, number, hour, minute, second, .. } = turn;
    format!(
        r#"{ip} - - [02/Mar/2026:{hour:02}:{minute:02}:{second:02} +0000] "GET /index.php?module=Contacts&action=DetailView&record={id} HTTP/1.1" 200 {number} "https://crm.example.com/index.php?module=Contacts&action=index" "{AGENT}""#
    )
}

fn application(turn: &Turn) -> String {
    let Turn { user, ip, id, number, hour, minute, second, millis } = turn;
    format!(
        r#"{{"time":"2026-03-02T{hour:02}:{minute:02}:{second:02}.{millis:03}Z","level":"info","msg":"record viewed","user":"{user}","ip":"{ip}","action":"contact.view","object":"contact","id":"{id}","records":1,"request_id":"{id}-{number}","duration_ms":{millis},"ok":true}}"#
    )
}

fn ecs(turn: &Turn) -> String {
    let Turn { user, ip, id, number, hour, minute, second, millis } = turn;
    format!(
        r#"{{"@timestamp":"2026-03-02T{hour:02}:{minute:02}:{second:02}.{millis:03}Z","event":{{"action":"view","outcome":"success","id":"{id}-{number}"}},"user":{{"name":"{user}"}},"source":{{"ip":"{ip}"}},"crm":{{"object":{{"type":"contacts","id":"{id}"}},"records":1}},"session":{{"id":"{number:016x}"}},"ecs":{{"version":"8.11"}}}}"#
    )
}

fn nginx_json(turn: &Turn) -> String {
    let Turn { ip, id, number, hour, minute, second, millis, .. } = turn;
    format!(
        r#"{{"time_iso8601":"2026-03-02T{hour:02}:{minute:02}:{second:02}+00:00","remote_addr":"{ip}","remote_user":"","request_method":"GET","request_uri":"/index.php?module=Contacts&action=DetailView&record={id}","server_protocol":"HTTP/1.1","status":200,"body_bytes_sent":{number},"request_time":0.{millis:03},"http_referer":"https://crm.example.com/","http_user_agent":"{AGENT}","host":"crm.example.com"}}"#
    )
}

const LOGIN: &str = r#""EVENT_TYPE","TIMESTAMP","REQUEST_ID","ORGANIZATION_ID","USER_ID","RUN_TIME","CPU_TIME","URI","SESSION_KEY","LOGIN_KEY","USER_TYPE","REQUEST_STATUS","DB_TOTAL_TIME","BROWSER_TYPE","API_TYPE","API_VERSION","USER_NAME","TLS_PROTOCOL","CIPHER_SUITE","AUTHENTICATION_METHOD_REFERENCE","TIMESTAMP_DERIVED","USER_ID_DERIVED","CLIENT_IP","URI_ID_DERIVED","LOGIN_STATUS","SOURCE_IP""#;

fn login(turn: &Turn) -> String {
    let Turn { user, ip, id, number, hour, minute, second, millis } = turn;
    format!(
        r#""Login","20260302{hour:02}{minute:02}{second:02}.{millis:03}","4{id}PyAPFl1","00D5g000000NoRd","0055g00000{number:05}","{millis}","30","/index.jsp","","{id}II6f","Standard","Success","{number}102","{AGENT}","","9998.0","{user}","TLSv1.3","ECDHE-RSA-AES256-GCM-SHA384","","2026-03-02T{hour:02}:{minute:02}:{second:02}.{millis:03}Z","0055g00000{number:05}AAB","{ip}","","LOGIN_NO_ERROR","{ip}""#
    )
}

const EXPORT: &str = r#""EVENT_TYPE","TIMESTAMP","REQUEST_ID","ORGANIZATION_ID","USER_ID","RUN_TIME","CPU_TIME","URI","SESSION_KEY","LOGIN_KEY","USER_TYPE","REQUEST_STATUS","DB_TOTAL_TIME","TIMESTAMP_DERIVED","USER_ID_DERIVED","CLIENT_IP","URI_ID_DERIVED","REPORT_DESCRIPTION","CLIENT_INFO""#;

fn export(turn: &Turn) -> String {
    let Turn { ip, id, number, hour, minute, second, millis, .. } = turn;
    format!(
        r#""ReportExport","20260302{hour:02}{minute:02}{second:02}.{millis:03}","4{id}PyAPFl1","00D5g000000NoRd","0055g00000{number:05}","{millis}","30","/00O5g000004PipE","{id}cJIR","{id}II6f","Standard","S","{number}102","2026-03-02T{hour:02}:{minute:02}:{second:02}.{millis:03}Z","0055g00000{number:05}AAB","{ip}","","?enc=UTF-8&xf=csv&reportName=Pipeline","{AGENT}""#
    )
}

fn rfc3164(turn: &Turn) -> String {
    let Turn { user, ip, number, hour, minute, second, .. } = turn;
    format!(
        "<38>Mar  2 {hour:02}:{minute:02}:{second:02} crm-web-1 sshd[{number}]: Failed password for invalid user {user} from {ip} port {number} ssh2"
    )
}

fn rfc5424(turn: &Turn) -> String {
    let Turn { user, id, number, hour, minute, second, millis, .. } = turn;
    format!(
        r#"<134>1 2026-03-02T{hour:02}:{minute:02}:{second:02}.{millis:03}Z crm-web-1.example.com crm-worker {number} ID47 [meta sequenceId="{number}"] job {id} of {user} finished in {millis} ms"#
    )
}

fn carried(turn: &Turn) -> String {
    let Turn { hour, minute, second, .. } = turn;
    format!("<134>Mar  2 {hour:02}:{minute:02}:{second:02} crm-web-1 nginx: {}", combined(turn))
}

fn cef(turn: &Turn) -> String {
    let Turn { user, ip, id, number, millis, hour, minute, second } = turn;
    format!(
        "CEF:0|Acme|CRM Suite|1.0|100|Report exported|5|rt=Mar 02 2026 {hour:02}:{minute:02}:{second:02}.{millis:03} src={ip} spt={number} suser={user} act=export outcome=success request=https://crm.example.com/r?id\\={id} requestMethod=GET cs1=All Contacts cs1Label=Report cn1={number} cn1Label=Rows externalId={id}{number} dhost=crm.example.com msg=Report exported by {user}"
    )
}

fn cef_in_syslog(turn: &Turn) -> String {
    let Turn { hour, minute, second, .. } = turn;
    format!("<134>Mar  2 {hour:02}:{minute:02}:{second:02} gateway {}", cef(turn))
}
