//! What people say of incidents reaches the detectors while the daemon runs: what was called harmless is usual from then on, also after a
//! kill; what nobody judged is found again.

use std::fs;
use std::io::Write as _;

use crmwatch::ledger::{IncidentFilter, Ledger};
use crmwatch_detectors::Severity;

use crate::program::run;
use crate::running::{House, stop};

/// Somebody deletes four hundred records at once, so many hours ago.
fn deletes(house: &House, user: &str, hours_ago: i64) {
    let time = (chrono::Utc::now() - chrono::TimeDelta::hours(hours_ago)).format("%Y-%m-%dT%H:%M:%SZ");
    let mut file = fs::OpenOptions::new().create(true).append(true).open(house.log()).expect("opened");
    writeln!(
        file,
        "{{\"@timestamp\":\"{time}\",\"event.action\":\"bulk-delete\",\"event.outcome\":\"success\",\"user.name\":\"{user}\",\"crm.records\":400}}"
    )
    .expect("written");
}

/// Whose deleting was found, once for each time.
fn found(house: &House) -> Vec<String> {
    let rows = Ledger::open(&house.state())
        .and_then(|ledger| ledger.findings_between(i64::MIN, i64::MAX, Severity::Low))
        .expect("read");
    let mut users: Vec<String> = rows
        .iter()
        .filter(|row| &*row.finding.rule == "mass-delete")
        .map(|row| row.finding.primary_value().to_owned())
        .collect();
    users.sort_unstable();
    users
}

#[test]
fn what_was_called_harmless_is_usual_from_then_on_though_the_daemon_is_killed() {
    let house = House::new("[alerts]\nmax_age = \"30d\"");
    let mut child = house.start_and_wait();
    let users = ["ann", "ben", "eve"];
    users.iter().for_each(|user| deletes(&house, user, 72));
    let incidents = || {
        let ledger = Ledger::open(&house.state()).expect("opened");
        ledger.incidents(&IncidentFilter { all: true, limit: 9, ..IncidentFilter::default() }).expect("read")
    };
    house.wait_until("there are three incidents", || incidents().len() == 3);
    for (user, reason) in [("ann", "benign"), ("eve", "true-positive")] {
        let one = incidents().into_iter().find(|one| one.primary_value == user).expect("an incident");
        let config = house.config();
        let ran =
            run(&["alerts", "--config", &config.to_string_lossy(), "close", &one.id.to_string(), "--reason", reason]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
    let heard = || house.told().matches("a verdict is heard").count();
    house.wait_until("the detectors have heard it", || heard() == 2);
    child.kill().expect("killed");
    child.wait().expect("ended");
    users.iter().for_each(|user| deletes(&house, user, 2));
    let mut child = house.start_and_wait();
    house.wait_for(6);
    assert!(stop(&mut child).success(), "{}", house.told());
    assert_eq!(found(&house), ["ann", "ben", "ben", "eve", "eve"]);
    assert_eq!(heard(), 2, "what was heard is not asked for again");
}
