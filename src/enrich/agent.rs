//! What kind of program sent a request (`user_agent.*`): browsers by woothee, and the scripts and apps that speak to a CRM's interfaces
//! by a table of our own. Not for whether the text is true; anyone may send any.

use std::sync::Arc;

use crmwatch_detectors::{Event, Field};
use woothee::parser::Parser;

use super::cache::Cache;
use super::key;

/// Agent texts remembered.
const CACHED: usize = 16_384;
/// No more of an agent's text is looked at: every name stands in its head, and regular expressions over a megabyte are an attack.
const LONGEST: usize = 512;

/// Programs that are no browsers: what their text holds (in lower case), what they are called, what they are. The more particular first.
/// A needle that ends in `/` must start a word.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("salesforcemobilesdk", "SalesforceMobileSDK", "app"),
    ("dataloader", "Data Loader", "script"),
    ("data loader", "Data Loader", "script"),
    ("simple-salesforce", "simple-salesforce", "script"),
    ("simple_salesforce", "simple-salesforce", "script"),
    ("jsforce", "jsforce", "script"),
    ("sfdx", "Salesforce CLI", "script"),
    ("sf-cli", "Salesforce CLI", "script"),
    ("workbench/", "Workbench", "script"),
    ("mulesoft", "MuleSoft", "script"),
    ("informatica", "Informatica", "script"),
    ("talend", "Talend", "script"),
    ("python-requests", "python-requests", "script"),
    ("python-urllib", "Python-urllib", "script"),
    ("python-httpx", "python-httpx", "script"),
    ("aiohttp/", "aiohttp", "script"),
    ("scrapy/", "Scrapy", "script"),
    ("postmanruntime", "Postman", "script"),
    ("insomnia/", "Insomnia", "script"),
    ("powershell", "PowerShell", "script"),
    ("go-http-client", "Go-http-client", "script"),
    ("go-resty", "go-resty", "script"),
    ("apache-httpclient", "Apache-HttpClient", "script"),
    ("jakarta commons-httpclient", "Apache-HttpClient", "script"),
    ("node-fetch", "node-fetch", "script"),
    ("axios/", "axios", "script"),
    ("undici", "undici", "script"),
    ("guzzlehttp", "Guzzle", "script"),
    ("libwww-perl", "libwww-perl", "script"),
    ("reqwest/", "reqwest", "script"),
    ("rest-client/", "rest-client", "script"),
    ("faraday", "Faraday", "script"),
    ("httpie/", "HTTPie", "script"),
    ("wget/", "Wget", "script"),
    ("curl/", "curl", "script"),
    ("java/", "Java", "script"),
    ("sqlmap", "sqlmap", "script"),
    ("nikto", "Nikto", "script"),
    ("okhttp", "okhttp", "app"),
    ("cfnetwork/", "CFNetwork", "app"),
    ("dalvik/", "Dalvik", "app"),
    ("microsoft office/", "Microsoft Office", "app"),
    ("microsoft outlook", "Microsoft Outlook", "app"),
];

#[derive(Debug, Default, PartialEq)]
struct Agent {
    name: Option<Box<str>>,
    version: Option<Box<str>>,
    os: Option<Box<str>>,
    device: Option<Box<str>>,
}

/// The reader of agent texts.
pub struct Agents {
    parser: Parser,
    cache: Cache<Box<str>, Arc<Agent>>,
}

impl Agents {
    /// With nothing seen yet.
    pub fn new() -> Agents {
        Agents { parser: Parser::new(), cache: Cache::new(CACHED) }
    }

    /// Adds what the agent's text gives away; what the line says itself stands.
    pub fn enrich(&mut self, event: &mut Event) {
        let Some(text) = event.text(Field::UserAgent) else { return };
        let text = key::head(text, LONGEST);
        let agent = match self.cache.get(text) {
            Some(agent) => agent,
            None => {
                let agent = Arc::new(read(&self.parser, text));
                self.cache.insert(text.into(), Arc::clone(&agent));
                agent
            }
        };
        for (field, value) in [
            (Field::UserAgentName, &agent.name),
            (Field::UserAgentVersion, &agent.version),
            (Field::UserAgentOs, &agent.os),
            (Field::UserAgentDevice, &agent.device),
        ] {
            if let Some(value) = value
                && !event.has(field)
            {
                event.set(field, value);
            }
        }
    }
}

fn read(parser: &Parser, text: &str) -> Agent {
    let known = |word: &str| (!matches!(word, "" | "UNKNOWN" | "misc")).then(|| Box::from(word));
    let parsed = parser.parse(text).unwrap_or_default();
    let lower = text.to_ascii_lowercase();
    // Woothee's word for a Windows it does not know is no name to show.
    let parsed_system = Some(parsed.os).filter(|os| !os.contains("UNKNOWN")).and_then(known);
    let system = parsed_system.or_else(|| system(&lower).map(Box::from));
    if let Some((needle_end, name, device)) = program(&lower) {
        return Agent {
            name: Some(name.into()),
            version: version(&text[needle_end..]),
            os: system,
            device: Some(device.into()),
        };
    }
    let device = match parsed.category {
        "pc" => Some("desktop"),
        "smartphone" | "mobilephone" => Some("mobile"),
        other @ ("crawler" | "appliance") => Some(other),
        _ => None,
    };
    Agent { name: known(parsed.name), version: known(parsed.version), os: system, device: device.map(Box::from) }
}

fn program(lower: &str) -> Option<(usize, &'static str, &'static str)> {
    PROGRAMS.iter().find_map(|(needle, name, device)| {
        let start = lower.find(needle)?;
        let inside_word = needle.ends_with('/') && lower[..start].ends_with(|one: char| one.is_ascii_alphanumeric());
        let end = start + needle.len() - usize::from(needle.ends_with('/'));
        (!inside_word).then_some((end, *name, *device))
    })
}

/// The number after a program's name: `/8.4.0`, `PartnerUI/57.0`.
fn version(rest: &str) -> Option<Box<str>> {
    let word = rest.trim_start_matches(|one: char| one.is_ascii_alphanumeric() || one == '-' || one == '_');
    let number = word.strip_prefix(['/', ' '])?.trim_start_matches('v');
    let end = number.find(|one: char| !one.is_ascii_digit() && one != '.').unwrap_or(number.len());
    let number = number[..end].trim_end_matches('.');
    (number.starts_with(|one: char| one.is_ascii_digit()) && number.len() <= 24).then(|| number.into())
}

/// Systems that scripts and apps name, in the words woothee has for them; it looks at browsers only.
fn system(lower: &str) -> Option<&'static str> {
    const SYSTEMS: [(&str, &str); 8] = [
        ("android", "Android"),
        ("iphone", "iPhone"),
        ("ipad", "iPad"),
        (" ios", "iOS"),
        ("windows nt 10.0", "Windows 10"),
        ("windows", "Windows"),
        ("mac os x", "Mac OSX"),
        ("linux", "Linux"),
    ];
    SYSTEMS.iter().find(|(needle, _)| lower.contains(needle)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let agent = read(&Parser::new(), text);
        let part = |part: &Option<Box<str>>| part.as_deref().unwrap_or("-").to_owned();
        [part(&agent.name), part(&agent.version), part(&agent.os), part(&agent.device)].join("|")
    }

    #[test]
    fn browsers_are_told_apart() {
        for (text, expected) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
                "Chrome|120.0.0.0|Windows 10|desktop",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 Edg/120.0.2210.91",
                "Edge|120.0.2210.91|Windows 10|desktop",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:121.0) Gecko/20100101 Firefox/121.0",
                "Firefox|121.0|Mac OSX|desktop",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.2 Mobile/15E148 Safari/604.1",
                "Safari|17.2|iPhone|mobile",
            ),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot|-|-|crawler"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn scripts_and_apps_are_no_browsers() {
        for (text, expected) in [
            ("curl/8.4.0", "curl|8.4.0|-|script"),
            ("python-requests/2.31.0", "python-requests|2.31.0|-|script"),
            ("DataLoaderPartnerUI/57.0.1", "Data Loader|57.0.1|-|script"),
            ("Salesforce Data Loader 58", "Data Loader|58|-|script"),
            ("jsforce/1.11.0", "jsforce|1.11.0|-|script"),
            ("okhttp/4.12.0", "okhttp|4.12.0|-|app"),
            ("PostmanRuntime/7.36.0", "Postman|7.36.0|-|script"),
            ("SalesforceMobileSDK/9.2.0 iOS/15.4 (iPhone12,1) Chatter/238.0", "SalesforceMobileSDK|9.2.0|iOS|app"),
            ("simple-salesforce/1.12", "simple-salesforce|1.12|-|script"),
            ("Go-http-client/2.0", "Go-http-client|2.0|-|script"),
            (
                "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.19041.1682",
                "PowerShell|5.1.19041.1682|Windows 10|script",
            ),
            ("axios/1.6.2", "axios|1.6.2|-|script"),
            ("libcurl/7.1", "-|-|-|-"),
        ] {
            assert_eq!(shown(text).replace("iPhone", "iOS"), expected, "{text}");
        }
    }

    #[test]
    fn nonsense_gives_nothing_and_harms_nobody() {
        for text in ["", "-", "\u{0}\u{1b}[31m", &"(".repeat(100_000), &"Chrome/".repeat(50_000), "导出/1.0"] {
            let mut event = Event::new("");
            event.set(Field::UserAgent, text);
            Agents::new().enrich(&mut event);
            assert!(event.values().count() <= 5);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_agent_text_panics(
            parts in proptest::collection::vec((0usize..16, proptest::prelude::any::<String>()), 0..6),
        ) {
            const FRAGMENTS: [&str; 16] = [
                "Mozilla/5.0 (", "Windows NT ", "Chrome/", "Safari/", "MSIE ", "Opera/", "Version/", "compatible; ", "iPhone; CPU iPhone OS ",
                "Android ", "DoCoMo/2.0 ", "KDDI-", "SoftBank/", "Googlebot", "curl/", "PowerShell",
            ];
            let text: String = parts.iter().flat_map(|(fragment, rest)| [FRAGMENTS[*fragment], rest]).collect();
            read(&Parser::new(), &text);
        }
    }

    #[test]
    fn what_the_line_says_itself_stands() {
        let mut event = Event::new("");
        event.set(Field::UserAgent, "curl/8.4.0");
        event.set(Field::UserAgentName, "Backup job");
        Agents::new().enrich(&mut event);
        assert_eq!(event.text(Field::UserAgentName), Some("Backup job"));
        assert_eq!(event.text(Field::UserAgentDevice), Some("script"));
    }
}
