//! Salesforce Event Log Files: a CSV file for each type and hour, delivered hours later; only some types carry the user's name.

use std::fmt::Write;

use super::{HOUR, Line, PLAIN, Page};
use crate::demo::act::{Deed, Scope, Who};
use crate::demo::clock::{MINUTE, Rfc3339, civil};
use crate::demo::people::salesforce_id;

/// A type of event, with its own columns beside the common ones.
pub struct Type {
    /// `EVENT_TYPE`.
    pub name: &'static str,
    columns: &'static str,
}

const fn kind(name: &'static str, columns: &'static str) -> Type {
    Type { name, columns }
}

/// Every type written.
pub const TYPES: [Type; 11] = [
    kind("Login", r#","USER_NAME","LOGIN_STATUS","SOURCE_IP","BROWSER_TYPE","LOGIN_TYPE","TLS_PROTOCOL""#),
    kind("Logout", r#","USER_INITIATED_LOGOUT","SESSION_TYPE""#),
    kind("LightningPageView", r#","PAGE_ENTITY_TYPE","PAGE_ENTITY_ID","PAGE_CONTEXT","PAGE_URL","USER_AGENT""#),
    kind("Search", r#","SEARCH_QUERY","NUM_RESULTS","PREFIXES_SEARCHED""#),
    kind(
        "Report",
        r#","REPORT_ID","REPORT_ID_DERIVED","ROW_COUNT","NUMBER_COLUMNS","AVERAGE_ROW_SIZE","ORIGIN","DISPLAY_TYPE","RENDERING_TYPE""#,
    ),
    kind("ReportExport", r#","REPORT_DESCRIPTION","CLIENT_INFO""#),
    kind(
        "RestApi",
        r#","METHOD","STATUS_CODE","ROWS_PROCESSED","ENTITY_NAME","CONNECTED_APP_ID","USER_AGENT","RESPONSE_SIZE""#,
    ),
    kind(
        "BulkApi",
        r#","JOB_ID","BATCH_ID","ROWS_PROCESSED","NUMBER_FAILURES","OPERATION_TYPE","ENTITY_TYPE","SUCCESS""#,
    ),
    kind("LoginAs", r#","DELEGATED_USER_ID","DELEGATED_USER_ID_DERIVED","DELEGATED_USER_NAME","TARGET_USER_NAME""#),
    kind("ContentDistribution", r#","DELIVERY_ID","VERSION_ID","DELIVERY_LOCATION","ACTION""#),
    kind("PermissionUpdate", r#","DESCRIPTION","PERMISSION_TYPE","USER_NAME""#),
];

const COMMON: &str = r#""EVENT_TYPE","TIMESTAMP","REQUEST_ID","ORGANIZATION_ID","USER_ID","RUN_TIME","CPU_TIME","URI","SESSION_KEY","LOGIN_KEY","USER_TYPE","REQUEST_STATUS","DB_TOTAL_TIME","TIMESTAMP_DERIVED","USER_ID_DERIVED","CLIENT_IP","URI_ID_DERIVED""#;

const ORGANIZATION: &str = "00D5g000001LaRk";

pub(super) fn write<F: FnMut(Line)>(page: &mut Page<'_, F>) {
    let report = |id: u32| salesforce_id("00O", u64::from(id), 1);
    let contact = |id: u32| salesforce_id("003", u64::from(id), 2);
    let name = page.name().map(|name| name.into_owned()).unwrap_or_default();
    let agent = |page: &Page<'_, F>| {
        let mut agent = String::with_capacity(130);
        page.agent(&mut agent);
        agent
    };
    match page.act.deed {
        Deed::Login | Deed::WrongPassword | Deed::ProviderDown | Deed::FactorDenied => {
            let status = match page.act.deed {
                Deed::Login => "LOGIN_NO_ERROR",
                Deed::ProviderDown => "LOGIN_SAML_INVALID_IN_RESPONSE",
                Deed::FactorDenied => "LOGIN_TWOFACTOR_REQ",
                _ => "LOGIN_ERROR_INVALID_PASSWORD",
            };
            let own = format!(r#","{name}","{status}","{}","{}","A","TLSv1.3""#, page.act.ip, agent(page));
            row(page, 0, "/index.jsp", "", &own);
        }
        Deed::Logout => row(page, 1, "/secur/logout.jsp", "", r#","1","Aura""#),
        Deed::View(id) | Deed::Update(id) | Deed::Create(id) | Deed::Delete(id) => {
            let id = contact(id);
            let own = format!(
                r#","Contact","{}","one:recordHomeFlexipage2Wrapper","/lightning/r/Contact/{id}/view","{}""#,
                &id[..15],
                agent(page)
            );
            row(page, 2, "/aura", &id, &own);
        }
        Deed::List(number) => {
            let own = format!(
                r#","Contact","","force:objectHomeDesktop","/lightning/o/Contact/list?filterName=Recent&page={number}","{}""#,
                agent(page)
            );
            row(page, 2, "/aura", "", &own);
        }
        Deed::Search(found) => row(page, 3, "/aura", "", &format!(r#","""k{}*""","{found}","003""#, page.noise(900))),
        Deed::Report { id, rows } => run(page, &report(id), rows, "ReportRunFromLightning"),
        Deed::Export { id, rows } => {
            let id = report(id);
            run(page, &id, rows, "ReportExported");
            let description = format!(
                "?enc=UTF-8&xf=csv&runReportJson=%7B%22reportMetadata%22%3A%7B%22id%22%3A%22{id}%22%2C%22name%22%3A%22Pipeline+{}%22%2C%22scope%22%3A%22organization%22%7D%7D",
                &id[12..15]
            );
            let own = format!(r#","{description}","{}""#, agent(page));
            row(page, 5, &format!("/{}", &id[..15]), &id, &own);
        }
        Deed::Read { offset, rows } => {
            let uri = format!("/services/data/v61.0/query/01g5g00000AbCdE-{offset}");
            let own = format!(
                r#","GET","200","{rows}","Contact","0H45g000000{:04}","{}","{}""#,
                page.act.session % 9_999,
                agent(page),
                u64::from(rows) * 400
            );
            row(page, 6, &uri, "", &own);
        }
        Deed::Reconnoitre(number) => {
            let own = format!(r#","GET","200","1","Entity{number}__c","","{}","200""#, agent(page));
            row(page, 6, "/services/data/v61.0/query", "", &own);
        }
        Deed::Bulk(rows) => bulk(page, rows, "query"),
        Deed::BulkDelete(rows) => bulk(page, rows, "hardDelete"),
        Deed::BulkUpdate(rows) => bulk(page, rows, "update"),
        Deed::LoginAs { target } => {
            // The administrator stands in the delegated columns; the row's user is the one taken over.
            let Who::Person(admin) = page.act.who else { return };
            let (admin, taken) = (&page.company.people[admin as usize], &page.company.people[target as usize]);
            let own =
                format!(r#","{}","{}","{}","{}""#, &admin.salesforce[..15], admin.salesforce, admin.email, taken.email);
            row_of(page, 8, &taken.salesforce, "/servlet/servlet.su", "", &own);
        }
        Deed::Share(id, scope) => {
            if scope == Scope::Internal {
                return;
            }
            let own = format!(r#","05D5g00000{:05}","0685g00000{:05}","","INSERT""#, id % 99_999, id % 77_777);
            row(page, 9, "", "", &own);
        }
        Deed::Grant { target } => {
            let target = &page.company.people[target as usize].email;
            let own = format!(r#","Permission set View_All_Data assigned to {target}","PermissionSet","{name}""#);
            row(page, 10, "/lightning/setup/PermSets", "", &own);
        }
        _ => {}
    }
}

fn run<F: FnMut(Line)>(page: &mut Page<'_, F>, report: &str, rows: u32, origin: &str) {
    let own = format!(r#","{}","{report}","{rows}","12","410","{origin}","D","W""#, &report[..15]);
    row(page, 4, &format!("/{}", &report[..15]), report, &own);
}

fn bulk<F: FnMut(Line)>(page: &mut Page<'_, F>, rows: u32, operation: &str) {
    // A job's batches hold ten thousand records at most.
    let mut left = rows;
    let mut batch = 0;
    while left > 0 {
        let here = left.min(10_000);
        let own = format!(
            r#","7505g00000{:05}","7515g000{:02}{:05}","{here}","0","{operation}","Contact","1""#,
            page.act.session % 99_999,
            batch,
            page.act.session % 99_999
        );
        row(page, 7, "/services/async/61.0/job", "", &own);
        left -= here;
        batch += 1;
    }
}

fn row<F: FnMut(Line)>(page: &mut Page<'_, F>, kind: usize, uri: &str, record: &str, own: &str) {
    // Somebody whom Salesforce does not know has no id; the row is written all the same.
    let id = match page.act.who {
        Who::Person(index) => page.company.people[index as usize].salesforce.clone(),
        _ => String::new(),
    };
    row_of(page, kind, &id, uri, record, own);
}

fn row_of<F: FnMut(Line)>(page: &mut Page<'_, F>, kind: usize, user: &str, uri: &str, record: &str, own: &str) {
    let act = page.act;
    let hour = act.time.div_euclid(HOUR);
    let file = PLAIN + hour as usize * TYPES.len() + kind;
    let due = (hour + 3) * HOUR + kind as i64 * MINUTE;
    if page.writers.headers[kind] != hour {
        page.writers.headers[kind] = hour;
        (page.to)(Line { time: act.time, due, file, text: format!("{COMMON}{}", TYPES[kind].columns) });
    }
    let at = civil(act.time);
    let mut text = String::with_capacity(480);
    let status = if act.deed == Deed::WrongPassword { "F" } else { "S" };
    page.writers.count += 1;
    let _ = write!(
        text,
        r#""{}","{:04}{:02}{:02}{:02}{:02}{:02}.{:03}","4{:021x}","{ORGANIZATION}","{}","{}","{}","{uri}","{:016x}","{:016x}","Standard","{status}","{}","{}","{user}","{}","{record}""#,
        TYPES[kind].name,
        at.year,
        at.month,
        at.day,
        at.hour,
        at.minute,
        at.second,
        at.milli,
        page.writers.count,
        user.get(..15).unwrap_or(""),
        20 + page.noise(400),
        9 + page.noise(90),
        act.session.rotate_left(17),
        act.session,
        30_000_000 + page.noise(90_000_000),
        Rfc3339(act.time),
        act.ip,
    );
    text.push_str(own);
    (page.to)(Line { time: act.time, due, file, text });
}
