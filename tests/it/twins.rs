//! One action that a web server and the CRM behind it both tell of is counted once through the whole pipeline, and so is a record that is
//! delivered again; both stay searchable. Not for which reports are of one action (`enrich/twins.rs`).

use std::fmt::Write as _;
use std::fs;

use crate::program::Ran;
use crate::running::House;

/// Fewer than the hundred deletions that `mass-delete` tells of; twice as many are more.
const DELETED: usize = 70;
/// Fewer refused logins than make a guess of the one that succeeds.
const REFUSED: usize = 6;

const SOURCES: &str = "[[source]]\nname = \"web\"\nformat = \"nginx\"\npaths = [\"web*.log\"]\n[[source]]\nname = \"crm\"\nformat = \"espocrm-records\"\npaths = [\"crm*.log\"]\n";

fn house() -> House {
    let house = House::new("");
    let folder = house.path().display().to_string();
    let sources = SOURCES.replace("[\"web", &format!("[\"{folder}/web")).replace("[\"crm", &format!("[\"{folder}/crm"));
    let text = fs::read_to_string(house.config()).expect("read") + &sources;
    fs::write(house.config(), text).expect("written");
    house
}

/// When, as the web server and as the CRM write it: some seconds apart for each action, more than reports of one may be.
fn moment(second: usize) -> (String, String) {
    let (hour, minute, second) = (9 + second / 3_600, second / 60 % 60, second % 60);
    (
        format!("02/Mar/2026:{hour:02}:{minute:02}:{second:02} +0000"),
        format!("2026-03-02 {hour:02}:{minute:02}:{second:02}"),
    )
}

/// What the web server writes, from a deletion's number on.
fn web(from: usize) -> String {
    let mut text = String::new();
    let mut line = |second: usize, request: &str, status: u16| {
        let (at, _) = moment(second);
        let _ = writeln!(text, r#"203.0.113.7 - mia [{at}] "{request} HTTP/1.1" {status} 20 "-" "Mozilla/5.0""#);
    };
    for number in 0..REFUSED {
        line(7 * number, "GET /api/v1/App/user", 401);
    }
    for number in from..from + DELETED {
        line(1_000 + 7 * number, &format!("DELETE /api/v1/Contact/65e2f0a1b2c3d{number:04}"), 200);
    }
    text
}

/// What the CRM writes of the same a second later, each record under an id of its own.
fn crm(from: usize) -> String {
    let mut text = String::new();
    for number in 0..REFUSED {
        let (_, at) = moment(7 * number + 1);
        let _ = writeln!(
            text,
            r#"{{"id":"auth{number:04}","username":"mia","ipAddress":"203.0.113.7","createdAt":"{at}","isDenied":true,"denialReason":"CREDENTIALS"}}"#
        );
    }
    for number in from..from + DELETED {
        let (_, at) = moment(1_001 + 7 * number);
        let _ = writeln!(
            text,
            r#"{{"id":"history{number:04}","userId":"65e2","userName":"mia","action":"delete","targetType":"Contact","targetId":"65e2f0a1b2c3d{number:04}","ipAddress":"203.0.113.7","createdAt":"{at}","authLogRecordId":"auth0001"}}"#
        );
    }
    text
}

/// Rules of the findings in which the deletions or the logins were too many.
#[track_caller]
fn told(ran: Ran) -> Vec<String> {
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let rules = ran.objects().into_iter().filter_map(|object| Some(object.get("rule")?.as_str()?.to_owned()));
    rules.filter(|rule| rule == "mass-delete").collect()
}

fn scan(house: &House, files: &[&str]) -> Ran {
    let paths: Vec<String> = files.iter().map(|file| house.path().join(file).display().to_string()).collect();
    let mut arguments = vec!["scan", "--json"];
    arguments.extend(paths.iter().map(String::as_str));
    house.run(&arguments)
}

#[track_caller]
fn found(house: &House, query: &str) -> usize {
    let ran = house.run(&["search", "--since", "2026-01-01", "-n", "10000", "--json", query]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    ran.out.lines().count()
}

#[test]
fn what_web_server_and_crm_both_tell_of_is_counted_once() {
    let house = house();
    fs::write(house.path().join("web.log"), web(0)).expect("written");
    fs::write(house.path().join("crm.log"), crm(0)).expect("written");
    assert_eq!(told(scan(&house, &["web.log", "crm.log"])), Vec::<String>::new(), "each deletion once");
    // The same number again, of other records, is twice as many.
    fs::write(house.path().join("crm2.log"), crm(DELETED)).expect("written");
    assert_eq!(told(scan(&house, &["web.log", "crm.log", "crm2.log"])), ["mass-delete"]);
}

#[test]
fn both_reports_of_one_action_stay_searchable() {
    let house = house();
    fs::write(house.path().join("web.log"), web(0)).expect("written");
    fs::write(house.path().join("crm.log"), crm(0)).expect("written");
    house.run_until(2 * (DELETED + REFUSED) as u64);
    assert_eq!(found(&house, "event.action:delete"), 2 * DELETED);
    assert_eq!(found(&house, "event.action:login event.outcome:failure"), 2 * REFUSED);
    assert_eq!(found(&house, "crm.duplicate:true"), DELETED + REFUSED);
}

#[test]
fn a_record_delivered_again_is_counted_once_and_stays_searchable() {
    let house = house();
    fs::write(house.path().join("crm.log"), crm(0)).expect("written");
    // A later export begins elsewhere and repeats what the earlier one had.
    let (first, rest) = (crm(0).lines().take(1).map(str::to_owned).collect::<String>(), crm(0));
    let later = rest.lines().rev().map(|line| format!("{line}\n")).collect::<String>();
    fs::write(house.path().join("crm-later.log"), &later).expect("written");
    assert!(later.ends_with(&format!("{first}\n")));
    assert_eq!(told(scan(&house, &["crm.log", "crm-later.log"])), Vec::<String>::new(), "each record once");
    house.run_until(2 * (DELETED + REFUSED) as u64);
    assert_eq!(found(&house, "event.action:delete"), 2 * DELETED);
    assert_eq!(found(&house, "crm.duplicate:true"), DELETED + REFUSED);
}
