//! What the URL tables promise, request by request.

use std::sync::LazyLock;

use crmwatch_detectors::{Event, Field};
use proptest::prelude::*;

use super::super::{FORMATS, Options, trial};
use super::Tables;

static SHIPPED: LazyLock<Tables> = LazyLock::new(Tables::shipped);

fn request_unread(request: &str, status: u16) -> Event {
    let line = format!(r#"203.0.113.7 - alice [02/Mar/2026:09:14:07 +0000] "{request} HTTP/1.1" {status} 5 "-" "x""#);
    let nginx = FORMATS.iter().find(|format| format.name == "nginx").expect("nginx is a format");
    let mut events = Vec::new();
    (nginx.grammar)(&Options::default()).parse(&line, &mut events);
    events.pop().expect("an access line")
}

fn request(what: &str, status: u16) -> Event {
    let mut event = request_unread(what, status);
    SHIPPED.apply(&mut event);
    event
}

#[track_caller]
fn check(what: &str, status: u16, action: &str, facts: &[(Field, &str)]) {
    let event = request(what, status);
    assert_eq!(event.text(Field::EventAction), Some(action), "{what} {status}");
    trial::holds(&event, facts, &format!("{what} {status}"));
}

#[test]
fn every_shipped_table_is_read_and_can_be_asked_for_by_name() {
    assert!(Tables::shipped().rules.len() > 200);
    for name in Tables::names() {
        let tables = Tables::load(&[name]).unwrap_or_else(|error| panic!("{error}"));
        assert!(!tables.rules.is_empty());
    }
}

#[test]
fn a_login_is_judged_by_method_and_state_as_far_as_they_tell() {
    let outcome = |what: &str, status, outcome: &str| check(what, status, "login", &[(Field::EventOutcome, outcome)]);
    outcome("POST /login", 302, "success");
    outcome("POST /login", 303, "success");
    outcome("POST /login", 401, "failure");
    outcome("POST /login", 403, "failure");
    outcome("POST /login", 200, "unknown");
    outcome("POST /login", 500, "unknown");
    outcome("POST /crm/login", 302, "success");
    outcome("POST /users/sign_in", 422, "failure");
    outcome("GET /login", 401, "failure");
    outcome("POST /api/v1/login", 200, "unknown");
    outcome("POST /api/v1/authenticate", 401, "failure");
    outcome("POST /oauth2/token", 200, "success");
    check("GET /login", 200, "http-request", &[]);
    check("GET /crm/login", 200, "http-request", &[]);
    check("POST /login", 404, "http-request", &[]);
    check("OPTIONS /login", 204, "http-request", &[]);
    check("GET /logout", 302, "logout", &[(Field::EventOutcome, "success"), (Field::EventCategory, "authentication")]);
}

#[test]
fn a_home_made_crm_is_understood() {
    let contacts = (Field::ObjectType, "contacts");
    check(
        "GET /crm/contacts/export?format=csv",
        200,
        "export",
        &[contacts, (Field::ExportFormat, "csv"), (Field::EventOutcome, "success"), (Field::EventCategory, "database")],
    );
    check("GET /crm/contacts/123", 200, "view", &[contacts, (Field::ObjectId, "123")]);
    check("GET /crm/contacts/9", 404, "view", &[(Field::EventOutcome, "failure")]);
    check("GET /crm/contacts?page=2", 200, "list", &[contacts]);
    check("GET /crm/contacts/?q=acme", 200, "search", &[contacts, (Field::Query, "acme")]);
    check("POST /crm/contacts", 201, "create", &[contacts]);
    check("PUT /crm/contacts/17", 200, "update", &[(Field::ObjectId, "17")]);
    check("DELETE /crm/contacts/17", 204, "delete", &[contacts, (Field::ObjectId, "17")]);
    check("DELETE /crm/contacts?ids=1,2,3", 204, "bulk-delete", &[(Field::Records, "3")]);
    check("POST /crm/contacts/bulk-delete", 200, "bulk-delete", &[contacts]);
    check("GET /crm/deals/7/attachments/plan.png", 200, "file-download", &[(Field::FileName, "plan.png")]);
    check("GET /crm/customers/export.xlsx", 200, "export", &[(Field::ObjectType, "customers")]);
    check("GET /api/v2/leads/0b5e7a52-61a5-4bd1-9a57-3c9b1c1d2e3f", 200, "view", &[(Field::ObjectType, "leads")]);
    check("GET /api/v2/whatever", 200, "api-call", &[(Field::EventCategory, "api")]);
    check("POST /users/7/impersonate", 302, "login-as", &[(Field::UserEffectiveId, "7"), (Field::UserTargetId, "7")]);
    check("PUT /users/7/roles", 200, "permission-change", &[(Field::UserTargetId, "7")]);
    check("POST /settings/mail", 200, "settings-change", &[]);
    check("GET /reports/55/export", 200, "export", &[(Field::ReportId, "55")]);
    check("POST /crm/contacts/17/owner", 200, "ownership-change", &[(Field::ObjectId, "17")]);
}

#[test]
fn pages_assets_and_foreign_paths_stay_web_requests() {
    for what in [
        "GET /",
        "GET /crm/static/app.js",
        "GET /crm/contacts/logo.png",
        "GET /web/static/src/a.CSS",
        "GET /favicon.ico",
        "GET /crm/dashboard",
        "GET /robots.txt",
        "HEAD /crm/contacts/export",
        "GET /phpmyadmin/index.php",
        "GET /a/b/c/d/e/f/g/crm/contacts",
    ] {
        check(what, 200, "http-request", &[(Field::EventCategory, "web"), (Field::ObjectType, "")]);
    }
}

#[test]
fn odoo_is_understood() {
    check("POST /web/login", 303, "login", &[(Field::EventOutcome, "success")]);
    check("POST /web/session/authenticate", 200, "login", &[(Field::EventOutcome, "unknown")]);
    check("POST /web/export/xlsx", 200, "export", &[(Field::ExportFormat, "xlsx")]);
    check("POST /web/dataset/call_kw/res.partner/web_search_read", 200, "list", &[(Field::ObjectType, "res.partner")]);
    check("POST /web/dataset/call_kw/res.partner/unlink", 200, "delete", &[(Field::ObjectType, "res.partner")]);
    check("POST /web/dataset/call_kw/res.partner/export_data", 200, "export", &[(Field::ObjectType, "res.partner")]);
    check("POST /web/dataset/call_kw/crm.lead/message_post", 200, "api-call", &[]);
    check("GET /web/content/77/plan.png?download=true", 200, "file-download", &[]);
    check("GET /web/image/77/plan.png", 200, "http-request", &[]);
    check("POST /web/database/backup", 200, "export", &[(Field::ObjectType, "database")]);
    check("POST /xmlrpc/2/object", 200, "api-call", &[]);
    check("GET /web/become", 303, "login-as", &[]);
}

#[test]
fn suitecrm_and_vtiger_are_understood_wherever_they_are_mounted() {
    check("POST /suite/index.php?entryPoint=export&module=Contacts", 200, "export", &[(Field::ObjectType, "Contacts")]);
    check("GET /index.php?entryPoint=export&module=Leads&uid=a1,b2", 200, "export", &[(Field::Records, "2")]);
    check("GET /index.php?entryPoint=download&id=0f3&type=Notes", 200, "file-download", &[(Field::ObjectId, "0f3")]);
    check(
        "GET /crm/index.php?module=Accounts&action=DetailView&record=ab-1",
        200,
        "view",
        &[(Field::ObjectId, "ab-1")],
    );
    check("GET /index.php?module=Accounts&action=index&parentTab=All", 200, "list", &[(Field::ObjectType, "Accounts")]);
    check("GET /index.php?module=Users&action=Logout", 302, "logout", &[]);
    check("POST /index.php?module=Users&action=Authenticate", 302, "login", &[(Field::EventOutcome, "unknown")]);
    check("POST /service/v4_1/rest.php", 200, "api-call", &[]);
    check("POST /Api/access_token", 401, "login", &[(Field::EventOutcome, "failure")]);
    check("DELETE /Api/V8/module/Contacts/ab-1", 200, "delete", &[(Field::ObjectId, "ab-1")]);
    check("POST /vt/index.php?module=Contacts&action=ExportData", 200, "export", &[(Field::ObjectType, "Contacts")]);
    check("GET /vt/index.php?module=Users&action=Login&login=error", 200, "login", &[(Field::EventOutcome, "failure")]);
    check("GET /vt/index.php?module=Contacts&view=Detail&record=12", 200, "view", &[(Field::ObjectId, "12")]);
    check("GET /vt/webservice.php?operation=query", 200, "list", &[]);
}

#[test]
fn espocrm_civicrm_and_a_proxied_salesforce_are_understood() {
    check("GET /api/v1/App/user", 401, "login", &[(Field::EventOutcome, "failure")]);
    check("POST /crm/api/v1/Export", 200, "export", &[]);
    check("GET /api/v1/Account?maxSize=20&offset=0", 200, "list", &[(Field::ObjectType, "Account")]);
    check("DELETE /api/v1/Account/65f0a1b2c3d4e5f60", 200, "delete", &[(Field::ObjectId, "65f0a1b2c3d4e5f60")]);
    check("GET /api/v1/Account/layout/list", 200, "api-call", &[]);
    check("GET /?entryPoint=download&id=65f0", 200, "file-download", &[(Field::ObjectId, "65f0")]);
    check("GET /civicrm/contact/view?reset=1&cid=202", 200, "view", &[(Field::ObjectId, "202")]);
    check("GET /civicrm/report/instance/4?output=csv", 200, "export", &[(Field::ExportFormat, "csv")]);
    check("POST /civicrm/ajax/api4/Contact/get", 200, "list", &[(Field::ObjectType, "Contact")]);
    check("GET /00O3X00000B4bTE?export=1&enc=UTF-8&xf=csv", 200, "export", &[(Field::ReportId, "00O3X00000B4bTE")]);
    check("GET /services/data/v58.0/query?q=SELECT+Id", 200, "api-call", &[(Field::Query, "SELECT+Id")]);
    check("POST /services/oauth2/token", 400, "login", &[(Field::EventOutcome, "failure")]);
}

#[test]
fn what_became_a_crm_action_is_still_found_as_a_web_request() {
    let event = request("GET /crm/contacts/export", 200);
    let categories: Vec<_> = event.all(Field::EventCategory).map(|value| value.to_string()).collect();
    assert_eq!(categories, ["database", "web"]);
}

#[test]
fn only_web_requests_are_touched() {
    let mut event = Event::new("");
    event.set(Field::EventAction, "view");
    event.set(Field::UrlPath, "/crm/contacts/export");
    let before = event.clone();
    Tables::shipped().apply(&mut event);
    assert_eq!(event, before);
}

#[test]
fn a_mistake_in_a_table_is_answered_with_its_line_and_a_mend() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.toml");
    let said = |text: &str| {
        std::fs::write(&file, text).expect("written");
        let error = Tables::load(&[file.to_str().expect("utf-8")]).expect_err("a mistake");
        error.to_string().replace(&*file.to_string_lossy(), "mine.toml")
    };
    let table = |path: &str, rest: &str| format!("# mine\n[[request]]\npath = \"{path}\"\n{rest}\n");
    for (text, line, words) in [
        (table("/a", "action = \"exprot\""), 4, "did you mean \"export\"?"),
        (table("a", "action = \"export\""), 3, "start with /"),
        (table("/{idd}", "action = \"export\""), 3, "use one of {id}"),
        (table("/{id", "action = \"export\""), 3, "never closes"),
        (table("/a", "action = \"export\"\nmethods = [\"FETCH\"]"), 5, "use GET, POST"),
        (table("/a", "action = \"export\"\nquery = { a = \"{x}\" }"), 5, "no capture {x}"),
        (table("/a", "action = \"export\"\nmethod = \"GET\""), 5, "a table is a list of [[request]]"),
    ] {
        let said = said(&text);
        assert!(said.starts_with(&format!("mine.toml:{line}: ")) && said.contains(words), "{said}");
    }
    let unknown = Tables::load(&["oddo"]).expect_err("no such table").to_string();
    assert_eq!(unknown, "there is no URL table \"oddo\"\n  = did you mean \"odoo\"?");
    assert!(Tables::load(&["/nowhere/x.toml"]).expect_err("no such file").to_string().contains("cannot be read"));
}

#[test]
fn an_own_table_comes_before_the_shipped_ones_named_after_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.toml");
    std::fs::write(&file, "[[request]]\npath = \"**/crm/{type}/{id}\"\naction = \"print\"\n").expect("written");
    let tables = Tables::load(&[file.to_str().expect("utf-8"), "generic"]).expect("both are read");
    let mut event = Event::new("");
    event.set(Field::EventAction, "http-request");
    event.set(Field::UrlPath, "/crm/contacts/7");
    tables.apply(&mut event);
    assert_eq!(event.text(Field::EventAction), Some("print"));
    assert_eq!(event.text(Field::ObjectId), Some("7"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_path_or_query_makes_it_panic(path in "[/a-z0-9.{}*=&|%é-]{0,80}", query in any::<String>()) {
        let mut event = Event::new("");
        event.set(Field::EventAction, "http-request");
        event.set(Field::UrlPath, &format!("/crm{path}"));
        event.set(Field::UrlQuery, &query);
        SHIPPED.apply(&mut event);
    }
}

#[test]
fn a_path_of_megabytes_costs_time_in_proportion() {
    super::super::hostile::grows_with_length("/crm", |text| {
        let mut event = Event::new("");
        event.set(Field::EventAction, "http-request");
        event.set(Field::UrlPath, text);
        event.set(Field::UrlQuery, &text.replace('/', "&"));
        SHIPPED.apply(&mut event);
    });
}
