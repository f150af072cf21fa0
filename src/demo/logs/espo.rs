//! EspoCRM behind Apache: API calls with basic authentication, so the user field of the combined format is the CRM's user.

use super::{Line, Page};
use crate::demo::act::Deed;

/// Apache's position in the list of logs.
const LOG: usize = 6;

pub(super) fn write<F: FnMut(Line)>(page: &mut Page<'_, F>) {
    let name = page.name().map(|name| name.into_owned());
    let user = name.as_deref();
    let some = page.noise(1_900);
    let id = |number: u32| format!("{:017x}", u64::from(number) * 0x9e37_79b9 + 0x5f00_0000_0000);
    let (method, target, status, bytes) = match page.act.deed {
        Deed::Login => ("GET", "/api/v1/App/user".to_owned(), 200, 21_000 + some),
        Deed::WrongPassword | Deed::ProviderDown => ("GET", "/api/v1/App/user".to_owned(), 401, 381),
        Deed::Logout => ("POST", "/api/v1/App/action/destroyAuthToken".to_owned(), 200, 4),
        Deed::View(number) | Deed::Reconnoitre(number) => {
            ("GET", format!("/api/v1/Contact/{}", id(number)), 200, 1_700 + some)
        }
        Deed::List(number) => (
            "GET",
            format!("/api/v1/Contact?maxSize=20&offset={}&orderBy=createdAt&order=desc", (number - 1) * 20),
            200,
            15_000 + some,
        ),
        Deed::Read { offset, rows } => {
            ("GET", format!("/api/v1/Contact?maxSize={rows}&offset={offset}"), 200, u64::from(rows) * 760)
        }
        Deed::Search(found) => ("GET", format!("/api/v1/GlobalSearch?q=k{some}"), 200, 200 + 300 * u64::from(found)),
        Deed::Report { rows, .. } => {
            ("GET", "/api/v1/Report/action/run".to_owned(), 200, 240 * u64::from(rows.min(200)) + 900)
        }
        Deed::Export { rows, .. } => {
            // The answer names a file; the file follows.
            page.combined(LOG, user, "POST", "/api/v1/Contact/action/export", 200, 32);
            ("GET", format!("/?entryPoint=download&id={}", id(page.act.time as u32)), 200, u64::from(rows) * 168 + 900)
        }
        Deed::Update(number) => ("PUT", format!("/api/v1/Contact/{}", id(number)), 200, 1_500 + some),
        Deed::Create(_) => ("POST", "/api/v1/Contact".to_owned(), 200, 1_400 + some),
        Deed::Delete(number) => ("DELETE", format!("/api/v1/Contact/{}", id(number)), 200, 4),
        Deed::BulkDelete(_) | Deed::BulkUpdate(_) => ("POST", "/api/v1/MassAction".to_owned(), 200, 40),
        Deed::Probe(number) => {
            ("GET", super::portal::PROBES[number as usize % super::portal::PROBES.len()].to_owned(), 404, 196)
        }
        _ => return,
    };
    page.combined(LOG, user, method, &target, status, bytes);
}
