//! The API gateway: JSON lines with ECS keys, written by an ECS logger, so the richest of the logs.

use std::fmt::Write;

use super::{Line, Page};
use crate::demo::act::{Deed, Scope};
use crate::demo::clock::Rfc3339;

/// The gateway's position in the list of logs.
const LOG: usize = 1;

pub(super) fn write<F: FnMut(Line)>(page: &mut Page<'_, F>) {
    let mut text = String::with_capacity(520);
    let (action, outcome) = words(page.act.deed);
    let _ = write!(
        text,
        r#"{{"@timestamp":"{}","ecs.version":"8.11.0","event.dataset":"gateway","event.action":"{action}","event.outcome":"{outcome}""#,
        Rfc3339(page.act.time)
    );
    if let Some(name) = page.name() {
        let _ = write!(text, r#","user.name":"{name}""#);
    }
    let _ = write!(
        text,
        r#","source.ip":"{}","session.id":"{:016x}","http.request.id":"r{:x}","service.name":"crm-api","#,
        page.act.ip, page.act.session, page.writers.count
    );
    detail(page, &mut text);
    text.push_str(r#""user_agent.original":""#);
    page.agent(&mut text);
    text.push_str("\"}");
    page.line(LOG, text);
}

fn words(deed: Deed) -> (&'static str, &'static str) {
    let action = match deed {
        Deed::Login => "login",
        Deed::WrongPassword | Deed::ProviderDown => return ("login", "failure"),
        Deed::FactorDenied => return ("mfa-denied", "failure"),
        Deed::FactorRemoved => "mfa-removed",
        Deed::Logout => "logout",
        Deed::View(_) => "view",
        Deed::List(_) => "list",
        Deed::Search(_) => "search",
        Deed::Update(_) | Deed::BulkUpdate(_) => "update",
        Deed::Create(_) => "create",
        Deed::Delete(_) => "delete",
        Deed::BulkDelete(_) => "bulk-delete",
        Deed::Report { .. } => "report-run",
        Deed::Export { .. } => "export",
        Deed::Read { .. } | Deed::Reconnoitre(_) => "api-call",
        Deed::Bulk(_) => "bulk-api",
        Deed::Share(..) => "share",
        Deed::Assign(_) => "ownership-change",
        Deed::Grant { .. } => "permission-change",
        Deed::LoginAs { .. } => "login-as",
        Deed::Consent(_) => "oauth-grant",
        Deed::Token => "token-create",
        Deed::AuditOff => "audit-disable",
        Deed::Probe(_) | Deed::Inject { .. } => return ("http-request", "failure"),
        Deed::Health => "http-request",
    };
    (action, "success")
}

fn detail<F: FnMut(Line)>(page: &Page<'_, F>, text: &mut String) {
    let person = |index: u32| page.company.people[index as usize].login.as_str();
    let _ = match page.act.deed {
        Deed::View(id) | Deed::Update(id) | Deed::Create(id) | Deed::Delete(id) => {
            write!(
                text,
                r#""crm.object.type":"contact","crm.object.id":"{id}","crm.records":1,"url.path":"/v2/contacts/{id}","#
            )
        }
        Deed::Assign(id) => {
            write!(
                text,
                r#""crm.object.type":"contact","crm.object.id":"{id}","crm.records":1,"crm.owner":"queue-{}","#,
                page.act.session % 9
            )
        }
        Deed::List(number) => {
            write!(
                text,
                r#""crm.object.type":"contact","crm.records":50,"url.path":"/v2/contacts","url.query":"page={number}","#
            )
        }
        Deed::Search(found) => write!(text, r#""crm.object.type":"contact","crm.records":{found},"crm.query":"k*","#),
        Deed::BulkDelete(count) | Deed::BulkUpdate(count) => {
            write!(text, r#""crm.object.type":"contact","crm.records":{count},"url.path":"/v2/contacts/batch","#)
        }
        Deed::Report { id, rows } => {
            write!(
                text,
                r#""crm.object.type":"report","crm.report.id":"{id}","crm.report.name":"Report {id}","crm.records":{rows},"#
            )
        }
        Deed::Export { id, rows } => write!(
            text,
            r#""crm.object.type":"contact","crm.report.id":"{id}","crm.report.name":"Report {id}","crm.records":{rows},"crm.export.format":"csv","crm.bytes":{},"url.path":"/v2/exports","#,
            u64::from(rows) * 190
        ),
        Deed::Read { offset, rows } => write!(
            text,
            r#""crm.object.type":"contact","crm.records":{rows},"url.path":"/v2/contacts","url.query":"offset={offset}&limit={rows}","http.request.method":"GET","http.response.status_code":200,"http.response.body.bytes":{},"#,
            u64::from(rows) * 420
        ),
        Deed::Bulk(rows) => {
            write!(text, r#""crm.object.type":"contact","crm.records":{rows},"url.path":"/v2/bulk/query","#)
        }
        Deed::Reconnoitre(id) => write!(
            text,
            r#""crm.object.type":"entity-{id}","crm.records":1,"crm.query":"SELECT COUNT() FROM entity_{id}","url.path":"/v2/query","#
        ),
        Deed::Share(id, scope) => {
            let (scope, recipient) = match scope {
                Scope::Internal => ("internal", "team@larkwood.example"),
                Scope::External => ("external", "drop@fastmail-box.example"),
                Scope::Public => ("public", "anyone"),
            };
            write!(
                text,
                r#""crm.object.type":"contact","crm.object.id":"{id}","crm.share.scope":"{scope}","crm.share.recipient":"{recipient}","#
            )
        }
        Deed::Grant { target } => {
            write!(text, r#""user.target.name":"{}","crm.permission":"view-all-data","#, person(target))
        }
        Deed::LoginAs { target } => write!(text, r#""user.effective.name":"{}","#, person(target)),
        Deed::Consent(app) => write!(
            text,
            r#""crm.oauth.client.id":"app-{app}","crm.oauth.client.name":"Data Loader {app}","crm.oauth.scopes":"full refresh_token","#
        ),
        Deed::Token => write!(text, r#""crm.object.type":"api-token","#),
        Deed::AuditOff => write!(text, r#""crm.object.type":"audit-settings","#),
        Deed::Probe(number) => write!(
            text,
            r#""url.path":"{}","http.response.status_code":404,"#,
            super::portal::PROBES[number as usize % super::portal::PROBES.len()]
        ),
        Deed::Inject { number, answered } => {
            let target = super::portal::injection(number);
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            let status = if answered { 500 } else { 400 };
            write!(text, r#""url.path":"{path}","url.query":"{query}","http.response.status_code":{status},"#)
        }
        _ => Ok(()),
    };
}
