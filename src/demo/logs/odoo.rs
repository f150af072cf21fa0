//! Odoo's server log: logins with name and address, requests by address alone, deletions by user number.

use std::fmt::Write;

use super::{Line, Page};
use crate::demo::act::{Deed, Who};
use crate::demo::clock::MONTHS;

/// Odoo's position in the list of logs.
const LOG: usize = 3;
const USERS: &str = "odoo.addons.base.models.res_users";

pub(super) fn write<F: FnMut(Line)>(page: &mut Page<'_, F>) {
    let name = page.name().map(|name| name.into_owned()).unwrap_or_default();
    let ip = page.act.ip;
    let call = |model: &str, method: &str| format!("/web/dataset/call_kw/{model}/{method}");
    let (method, target) = match page.act.deed {
        Deed::Login => {
            entry(page, "INFO", USERS, &format!("Login successful for db:larkwood login:{name} from {ip}"));
            ("POST", "/web/session/authenticate".to_owned())
        }
        Deed::WrongPassword | Deed::ProviderDown => {
            entry(page, "INFO", USERS, &format!("Login failed for db:larkwood login:{name} from {ip}"));
            ("POST", "/web/session/authenticate".to_owned())
        }
        Deed::Logout => ("GET", "/web/session/logout".to_owned()),
        Deed::View(_) | Deed::Reconnoitre(_) => ("POST", call("res.partner", "web_read")),
        Deed::List(_) | Deed::Search(_) | Deed::Read { .. } => ("POST", call("res.partner", "web_search_read")),
        Deed::Update(_) | Deed::BulkUpdate(_) | Deed::Assign(_) => ("POST", call("res.partner", "web_save")),
        Deed::Create(_) => ("POST", call("res.partner", "create")),
        Deed::Report { .. } => ("POST", call("account.move", "web_read_group")),
        Deed::Export { .. } => ("POST", "/web/export/xlsx".to_owned()),
        Deed::Delete(id) => {
            deleted(page, &[id]);
            ("POST", call("res.partner", "unlink"))
        }
        Deed::BulkDelete(count) => {
            let first = 40_000 + page.noise(10_000) as u32;
            deleted(page, &(first..first + count.min(400)).collect::<Vec<_>>());
            ("POST", call("res.partner", "unlink"))
        }
        Deed::Probe(number) => ("GET", super::portal::PROBES[number as usize % super::portal::PROBES.len()].to_owned()),
        _ => return,
    };
    let at = page.writers.zones[LOG].civil(page.act.time);
    let status = if matches!(page.act.deed, Deed::Probe(_)) { 404 } else { 200 };
    let message = format!(
        "{ip} - - [{:02}/{}/{} {:02}:{:02}:{:02}] \"{method} {target} HTTP/1.1\" {status} - {} 0.{:03} 0.{:03}",
        at.day,
        MONTHS[at.month as usize - 1],
        at.year,
        at.hour,
        at.minute,
        at.second,
        4 + page.noise(40),
        2 + page.noise(90),
        5 + page.noise(300),
    );
    entry(page, "INFO", "werkzeug", &message);
}

fn deleted<F: FnMut(Line)>(page: &mut Page<'_, F>, ids: &[u32]) {
    let Who::Person(index) = page.act.who else { return };
    entry(
        page,
        "INFO",
        "odoo.models.unlink",
        &format!("User #{} deleted res.partner records with IDs: {ids:?}", index + 6),
    );
}

fn entry<F: FnMut(Line)>(page: &mut Page<'_, F>, level: &str, logger: &str, message: &str) {
    let at = page.writers.zones[LOG].civil(page.act.time);
    let mut text = String::with_capacity(220);
    let _ = write!(
        text,
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02},{:03} {} {level} larkwood {logger}: {message} ",
        at.year,
        at.month,
        at.day,
        at.hour,
        at.minute,
        at.second,
        at.milli,
        20 + page.act.session % 6,
    );
    page.line(LOG, text);
}
