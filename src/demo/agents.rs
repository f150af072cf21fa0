//! User agents as browsers and programs write them, with the versions that were current at a date. Not for reading them (`enrich`).

use std::fmt::Write;

use super::clock::{DAY, civil};
use super::rng::Rng;
use crmwatch_detectors::Millis;

/// What a person or a program comes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// Chrome; the number is a position in [`SYSTEMS`].
    Chrome(u8),
    /// Edge on Windows.
    Edge,
    /// Firefox; the number is a position in [`SYSTEMS`].
    Firefox(u8),
    /// Safari on a Mac.
    Safari,
    /// Safari on a telephone.
    Iphone,
    /// Chrome on a telephone; the number is a position in [`PHONES`].
    Android(u8),
    /// A program; the number is a position in [`PROGRAMS`].
    Program(u8),
}

/// Desktop systems.
pub const SYSTEMS: [&str; 3] =
    ["Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64"];
/// Telephones.
pub const PHONES: [&str; 3] = ["Pixel 8", "SM-S921B", "2201117TG"];
/// Programs.
pub const PROGRAMS: [&str; 10] = [
    "python-requests/2.32.3",
    "okhttp/4.12.0",
    "Apache-HttpClient/4.5.14 (Java/17.0.9)",
    "Go-http-client/1.1",
    "curl/8.5.0",
    "DataLoaderPartnerUI/61.0.0",
    "axios/1.7.7",
    "kube-probe/1.29",
    "Mozilla/5.0 zgrab/0.x",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
];

/// What automated attackers use.
pub const SCRIPT: Device = Device::Program(0);
/// A search engine.
pub const CRAWLER: Device = Device::Program(9);

/// A person's desk computer: what most have, then what some have.
pub fn desktop(rng: &mut Rng) -> Device {
    match rng.below(100) {
        0..48 => Device::Chrome(0),
        48..68 => Device::Edge,
        68..82 => Device::Chrome(1),
        82..90 => Device::Safari,
        90..96 => Device::Firefox(0),
        _ => Device::Firefox(2),
    }
}

/// A person's telephone.
pub fn phone(rng: &mut Rng) -> Device {
    if rng.chance(0.55) { Device::Iphone } else { Device::Android(rng.below(PHONES.len() as u64) as u8) }
}

/// A desk computer of another kind than this one.
pub fn other_than(device: Device, rng: &mut Rng) -> Device {
    loop {
        let other = desktop(rng);
        if other != device {
            return other;
        }
    }
}

/// The agent as it stood in a header at that time. `lag` is how many days after a release this machine upgrades.
pub fn write(device: Device, time: Millis, lag: u32, to: &mut String) {
    // Chrome 120 came on 2023-12-05; a release every four weeks, of which a machine takes one when its turn comes.
    const CHROME_120: i64 = 19_696;
    let releases = ((time.div_euclid(DAY) - i64::from(lag) - CHROME_120) / 28).max(0);
    let chrome = 120 + releases;
    let year = civil(time - i64::from(lag) * DAY).year;
    let safari = if year >= 2026 { 26 } else { year - 2007 };
    let _ = match device {
        Device::Chrome(system) => write!(
            to,
            "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{chrome}.0.0.0 Safari/537.36",
            SYSTEMS[usize::from(system)]
        ),
        Device::Edge => write!(
            to,
            "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{chrome}.0.0.0 Safari/537.36 Edg/{chrome}.0.0.0",
            SYSTEMS[0]
        ),
        Device::Firefox(system) => {
            let version = chrome + 1;
            write!(
                to,
                "Mozilla/5.0 ({}; rv:{version}.0) Gecko/20100101 Firefox/{version}.0",
                SYSTEMS[usize::from(system)]
            )
        }
        Device::Safari => write!(
            to,
            "Mozilla/5.0 ({}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{safari}.0 Safari/605.1.15",
            SYSTEMS[1]
        ),
        Device::Iphone => write!(
            to,
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{safari}.0 Mobile/15E148 Safari/604.1"
        ),
        Device::Android(phone) => write!(
            to,
            "Mozilla/5.0 (Linux; Android 14; {}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{chrome}.0.0.0 Mobile Safari/537.36",
            PHONES[usize::from(phone)]
        ),
        Device::Program(program) => write!(to, "{}", PROGRAMS[usize::from(program)]),
    };
}
