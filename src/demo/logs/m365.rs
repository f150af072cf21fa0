//! Microsoft 365's unified audit log: sign-ins of everybody, and Dynamics for those who work in it. Delivered minutes late.

use std::fmt::Write;

use super::{Line, Page, second};
use crate::demo::act::{Deed, Scope, Who};
use crate::demo::clock::Rfc3339;
use crate::demo::rng::guid;

/// The audit log's position in the list of logs.
const LOG: usize = 2;

const TENANT: &str = "0d1f6e0e-5b2c-4e0f-9b76-0b6f3f5d1c11";

pub(super) fn write<F: FnMut(Line)>(page: &mut Page<'_, F>) {
    let target = |page: &Page<'_, F>, index: u32| page.company.people[index as usize].email.clone();
    match page.act.deed {
        Deed::Login => sign_in(page, "UserLoggedIn", "Success", ""),
        Deed::WrongPassword => sign_in(
            page,
            "UserLoginFailed",
            "Failed",
            r#","ErrorNumber":"50126","LogonError":"InvalidUserNameOrPassword""#,
        ),
        Deed::ProviderDown => {
            sign_in(page, "UserLoginFailed", "Failed", r#","ErrorNumber":"90033","LogonError":"TransientError""#)
        }
        Deed::FactorDenied => sign_in(
            page,
            "UserLoginFailed",
            "Success",
            r#","ErrorNumber":"500121","LogonError":"AuthenticationFailedSasError""#,
        ),
        Deed::FactorRemoved => directory(page, "User deleted security info", ""),
        Deed::Consent(app) => directory(
            page,
            "Consent to application.",
            &format!(
                r#","ObjectId":"app-{app}","ModifiedProperties":[{{"Name":"ConsentAction.Permissions","NewValue":"Contacts.Read offline_access","OldValue":""}}]"#
            ),
        ),
        Deed::Token => directory(page, "Add service principal credentials.", r#","ObjectId":"crm-reader""#),
        Deed::Grant { target: index } => {
            let target = target(page, index);
            directory(
                page,
                "Add member to role.",
                &format!(
                    r#","ObjectId":"{target}","ModifiedProperties":[{{"Name":"Role.DisplayName","NewValue":"Dynamics 365 Administrator","OldValue":""}}]"#
                ),
            );
        }
        Deed::View(id) => dynamics(page, "Retrieve", id, 0),
        Deed::List(_) | Deed::Search(_) => dynamics(page, "RetrieveMultiple", 0, 20),
        Deed::Read { rows, .. } | Deed::Bulk(rows) => dynamics(page, "RetrieveMultiple", 0, rows),
        Deed::Report { rows, .. } => dynamics(page, "ExecuteFetch", 0, rows.min(100)),
        Deed::Export { rows, .. } => dynamics(page, "ExportToExcel", 0, rows),
        Deed::Update(id) => dynamics(page, "Update", id, 0),
        Deed::Create(id) => dynamics(page, "Create", id, 0),
        Deed::Delete(id) => dynamics(page, "Delete", id, 0),
        Deed::BulkDelete(_) => dynamics(page, "BulkDelete", 0, 0),
        Deed::Share(id, Scope::Internal | Scope::External) => dynamics(page, "GrantAccess", id, 0),
        Deed::Assign(id) => dynamics(page, "Assign", id, 0),
        Deed::AuditOff => dynamics(page, "DeleteAuditData", 0, 0),
        _ => {}
    }
}

fn head<F: FnMut(Line)>(page: &mut Page<'_, F>, operation: &str, kind: u8, workload: &str, result: &str) -> String {
    let name = page.name().map(|name| name.into_owned()).unwrap_or_else(|| "Not Available".to_owned());
    page.writers.count += 1;
    let stamp = Rfc3339(second(page.act.time)).to_string();
    let key = match page.act.who {
        Who::Person(index) => format!("10032{:011X}", u64::from(index) + 0xa700_0000),
        _ => "Not Available".to_owned(),
    };
    let mut text = String::with_capacity(900);
    // The stamp stands without zone and fraction, as the service writes it.
    let _ = write!(
        text,
        r#"{{"CreationTime":"{}","Id":"{}","Operation":"{operation}","OrganizationId":"{TENANT}","RecordType":{kind},"ResultStatus":"{result}","UserKey":"{key}","UserType":0,"Version":1,"Workload":"{workload}","ClientIP":"{}","UserId":"{name}""#,
        &stamp[..19],
        guid(page.writers.count ^ 0x3656_0000_0000),
        page.act.ip,
    );
    text
}

fn sign_in<F: FnMut(Line)>(page: &mut Page<'_, F>, operation: &str, result: &str, error: &str) {
    let mut text = head(page, operation, 15, "AzureActiveDirectory", result);
    let _ = write!(
        text,
        r#"{error},"ObjectId":"00000007-0000-0000-c000-000000000000","ExtendedProperties":[{{"Name":"UserAgent","Value":""#
    );
    page.agent(&mut text);
    let _ = write!(
        text,
        r#""}},{{"Name":"RequestType","Value":"OAuth2:Authorize"}}],"DeviceProperties":[{{"Name":"SessionId","Value":"{}"}}]}}"#,
        guid(page.act.session)
    );
    page.line(LOG, text);
}

fn directory<F: FnMut(Line)>(page: &mut Page<'_, F>, operation: &str, more: &str) {
    let mut text = head(page, operation, 8, "AzureActiveDirectory", "Success");
    text.push_str(more);
    text.push('}');
    page.line(LOG, text);
}

fn dynamics<F: FnMut(Line)>(page: &mut Page<'_, F>, message: &str, id: u32, rows: u32) {
    /// Ids that fit into one record of about 3 kB, and how many records the service writes before it gives up.
    const IDS: u32 = 40;
    const PARTS: u32 = 5;
    let correlation = guid(page.act.session ^ page.act.time as u64);
    let entity =
        if id == 0 { "00000000-0000-0000-0000-000000000000".to_owned() } else { guid(u64::from(id)).to_string() };
    let parts = rows.div_ceil(IDS).clamp(1, PARTS);
    for part in 0..parts {
        let mut text = head(page, "CrmDefaultActivity", 21, "CRM", "Success");
        let _ = write!(
            text,
            r#","CrmOrganizationUniqueName":"org1a2b3c","InstanceUrl":"https://larkwood.crm4.dynamics.com/","ItemType":"contact","EntityName":"contact","EntityId":"{entity}","Message":"{message}","CorrelationId":"{correlation}","UserAgent":""#
        );
        page.agent(&mut text);
        text.push('"');
        if rows > 0 {
            text.push_str(r#","Query":"<fetch><entity name=\"contact\"/></fetch>","QueryResults":""#);
            for nth in part * IDS..((part + 1) * IDS).min(rows) {
                let _ = write!(
                    text,
                    "{}{}",
                    if nth % IDS == 0 { "" } else { "," },
                    guid(page.act.session ^ u64::from(nth))
                );
            }
            text.push('"');
        }
        text.push('}');
        page.line(LOG, text);
    }
}
