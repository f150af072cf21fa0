//! SuiteCRM: failed logins in its own log, with address and name; everything else in Apache's, which knows no user.

use std::fmt::Write;

use super::{Line, Page};
use crate::demo::act::Deed;
use crate::demo::clock::{MONTHS, WEEKDAYS, day_of, weekday};
use crate::demo::rng::guid;

/// Positions in the list of logs.
const OWN: usize = 4;
const WEB: usize = 5;

pub(super) fn write<F: FnMut(Line)>(page: &mut Page<'_, F>) {
    let some = page.noise(5_000);
    let record = |number: u32| guid(u64::from(number) + 500_000);
    let (method, target, status, bytes) = match page.act.deed {
        Deed::Login => ("POST", "/index.php".to_owned(), 302, 20),
        Deed::WrongPassword | Deed::ProviderDown => {
            failed(page);
            ("POST", "/index.php".to_owned(), 302, 24)
        }
        Deed::Logout => ("GET", "/index.php?module=Users&action=Logout".to_owned(), 302, 20),
        Deed::View(number) => (
            "GET",
            format!("/index.php?module=Contacts&action=DetailView&record={}", record(number)),
            200,
            31_000 + some,
        ),
        Deed::List(number) => {
            ("GET", format!("/index.php?module=Contacts&action=index&offset={}", (number - 1) * 20), 200, 44_000 + some)
        }
        Deed::Search(_) => {
            ("GET", "/index.php?module=Home&action=UnifiedSearch&query_string=k".to_owned(), 200, 12_000 + some)
        }
        Deed::Report { .. } => {
            ("GET", "/index.php?module=AOR_Reports&action=DetailView".to_owned(), 200, 38_000 + some)
        }
        Deed::Export { rows, .. } => {
            ("GET", "/index.php?entryPoint=export&module=Contacts".to_owned(), 200, u64::from(rows) * 211 + 700)
        }
        Deed::Read { rows, .. } => ("GET", "/Api/V8/module/Contacts".to_owned(), 200, u64::from(rows) * 900),
        Deed::Update(number) | Deed::Create(number) => {
            ("POST", format!("/index.php?module=Contacts&action=Save&record={}", record(number)), 302, 20)
        }
        Deed::Delete(number) => {
            ("GET", format!("/index.php?module=Contacts&action=Delete&record={}", record(number)), 302, 20)
        }
        Deed::Probe(number) => {
            ("GET", super::portal::PROBES[number as usize % super::portal::PROBES.len()].to_owned(), 404, 196)
        }
        _ => return,
    };
    // Everyday trouble of such an installation stands in its log as FATAL.
    if page.noise(300) == 7 {
        own(page, &guid(page.act.session).to_string(), "FATAL", "Mysqli_query failed.");
    }
    page.combined(WEB, None, method, &target, status, bytes);
}

fn failed<F: FnMut(Line)>(page: &mut Page<'_, F>) {
    let name = page.name().map(|name| name.into_owned()).unwrap_or_default();
    let message = format!("FAILED LOGIN:attempts[{}], ip[{}], username[{name}]", 1 + page.noise(3), page.act.ip);
    own(page, "-none-", "FATAL", &message);
}

fn own<F: FnMut(Line)>(page: &mut Page<'_, F>, user: &str, level: &str, message: &str) {
    let zone = &page.writers.zones[OWN];
    let at = zone.civil(page.act.time);
    let day = weekday(day_of(page.act.time + zone.offset(page.act.time)));
    let mut text = String::with_capacity(140);
    let _ = write!(
        text,
        "{} {} {:>2} {:02}:{:02}:{:02} {} [{}][{user}][{level}] {message}",
        WEEKDAYS[day],
        MONTHS[at.month as usize - 1],
        at.day,
        at.hour,
        at.minute,
        at.second,
        at.year,
        1_000 + page.noise(60),
    );
    page.line(OWN, text);
}
