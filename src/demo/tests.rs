//! What the simulation promises to those who measure by it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::*;

/// 2026-03-27, a Friday evening.
const END: Millis = 1_774_638_000_000;

fn plan(seed: u64) -> Plan {
    Plan { seed, users: 90, days: 21, end: END }
}

fn labels(company: &Company) -> Vec<serde_json::Value> {
    company.incidents().iter().enumerate().map(|(number, one)| one.label(number, company.people())).collect()
}

fn time(label: &serde_json::Value, key: &str) -> Millis {
    chrono::DateTime::parse_from_rfc3339(label[key].as_str().unwrap()).unwrap().timestamp_millis()
}

fn words(label: &serde_json::Value) -> Vec<String> {
    let entity = label["entity"].as_object().unwrap();
    entity.values().flat_map(|list| list.as_array().unwrap()).map(|word| word.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_same_plan_gives_the_same_bytes_and_another_seed_others() {
    let small = |seed| Company::new(&Plan { users: 30, days: 6, ..plan(seed) }).events().collect::<Vec<_>>();
    assert!(small(1) == small(1));
    assert!(small(1) != small(2));
}

#[test]
fn time_never_goes_back_within_a_file_and_every_log_is_written() {
    let mut last: BTreeMap<usize, Millis> = BTreeMap::new();
    let mut sources: BTreeSet<&str> = BTreeSet::new();
    let company = Company::new(&plan(3));
    let begin = company.begin();
    for line in company.events() {
        assert!(!line.text.contains('\n'), "{}", line.text);
        assert!((begin..=END).contains(&line.time) && line.due >= line.time);
        let before = last.insert(line.file, line.time).unwrap_or(line.time);
        assert!(before <= line.time, "{}: {}", path(line.file).display(), line.text);
        sources.insert(source_of(line.file));
    }
    assert_eq!(sources, LOGS.iter().map(|log| log.name).collect());
}

#[test]
fn every_label_has_lines_of_its_entity_in_its_sources_at_its_times() {
    let company = Company::new(&plan(4));
    let labels = labels(&company);
    let mut missing: Vec<(usize, Vec<String>, BTreeSet<String>)> = labels
        .iter()
        .enumerate()
        .filter(|(_, label)| label.get("attack").is_some() && label["family"] != "source-silent")
        .map(|(at, label)| {
            let sources =
                label["sources"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect();
            (at, words(label), sources)
        })
        .collect();
    assert!(missing.len() >= 30, "only {} attacks", missing.len());
    // The deciding line is looked for as well as any line.
    let mut deciding: BTreeSet<usize> = missing.iter().map(|(at, ..)| *at).collect();
    for line in company.events() {
        missing.retain(|(at, words, sources)| {
            let label = &labels[*at];
            let inside = (time(label, "start")..=time(label, "end")).contains(&line.time);
            if !inside
                || !sources.contains(source_of(line.file))
                || !words.iter().any(|word| line.text.contains(word.as_str()))
            {
                return true;
            }
            if line.time >= time(label, "deciding") {
                deciding.remove(at);
            }
            deciding.contains(at)
        });
    }
    let left: Vec<_> = missing.iter().map(|(at, ..)| &labels[*at]).collect();
    assert!(left.is_empty(), "no lines for {left:#?}");
}

#[test]
fn a_log_that_falls_silent_has_no_line_meanwhile_and_only_announced_pauses_are_configured() {
    let company = Company::new(&plan(4));
    let silences = company.silences.clone();
    assert!(silences.iter().any(|one| !one.planned) && silences.iter().any(|one| one.planned));
    let mut spoke = BTreeMap::new();
    for line in company.events() {
        let hidden =
            silences.iter().find(|one| one.log.name == source_of(line.file) && (one.from..one.to).contains(&line.time));
        assert!(hidden.is_none(), "{}", line.text);
        *spoke.entry(source_of(line.file)).or_insert(0) += 1;
    }
    assert!(silences.iter().all(|one| spoke.contains_key(one.log.name)));
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &plan(4)).unwrap();
    let configuration = crate::config::Config::load(&folder.path().join("crmwatch.toml")).unwrap();
    let planned = silences.iter().filter(|one| one.planned).count();
    assert_eq!(configuration.allowances.len(), planned + 1, "the pauses, and the company's own scanner");
}

#[test]
fn labels_name_known_people_sources_severities_and_rules() {
    let company = Company::new(&plan(5));
    let people: BTreeSet<&str> = company.people().iter().map(|person| person.email.as_str()).collect();
    let sources: BTreeSet<&str> = LOGS.iter().map(|log| log.name).collect();
    let peace = scene::peace(&company) * DAY - DAY;
    for label in labels(&company) {
        let (start, deciding, end) = (time(&label, "start"), time(&label, "deciding"), time(&label, "end"));
        assert!(start <= deciding && deciding <= end && end <= END, "{label}");
        for source in label["sources"].as_array().unwrap() {
            assert!(sources.contains(source.as_str().unwrap()), "{label}");
        }
        assert!(!label["sources"].as_array().unwrap().is_empty(), "{label}");
        for email in label["entity"].get("user.email").and_then(|list| list.as_array()).into_iter().flatten() {
            assert!(people.contains(email.as_str().unwrap()), "{label}");
        }
        if label.get("attack").is_some() {
            assert!(start >= peace, "an attack while the company is still learnt: {label}");
            assert!(label["rules"].as_array().unwrap().contains(&label["family"]), "{label}");
            assert!(crmwatch_detectors::Severity::from_word(label["severity"].as_str().unwrap()).is_some());
        } else {
            assert!(label["severity"].is_null() && label["benign"].is_string(), "{label}");
        }
    }
}

#[test]
fn every_variant_of_every_family_finds_its_place_in_a_company_of_hundreds() {
    let company = Company::new(&Plan { users: 300, days: 28, ..plan(6) });
    let mut families: BTreeMap<&str, usize> = BTreeMap::new();
    let mut oddities: BTreeSet<&str> = BTreeSet::new();
    for incident in company.incidents() {
        match incident.severity {
            Some(_) => *families.entry(incident.family).or_default() += 1,
            None => drop(oddities.insert(incident.family)),
        }
    }
    assert_eq!(families.len(), attacks::FAMILIES.len(), "{families:?}");
    let variants: usize = attacks::FAMILIES.iter().map(|family| family.len()).sum();
    assert!(families.values().sum::<usize>() >= variants, "{families:?}");
    assert!(oddities.len() >= 14, "{oddities:?}");
}

#[test]
fn every_row_of_the_people_file_is_whole_and_no_name_means_two() {
    let company = Company::new(&Plan { users: 3_000, ..plan(7) });
    let columns = people::HEADER.split(',').count();
    let mut names: BTreeMap<String, u32> = BTreeMap::new();
    for person in company.people() {
        let row = person.row();
        let cells: Vec<&str> = row.split(',').collect();
        assert_eq!(cells.len(), columns, "{row}");
        assert!(cells[5].parse::<chrono_tz::Tz>().is_ok(), "{row}");
        assert!(["active", "notice", "disabled"].contains(&cells[6]), "{row}");
        assert!(cells[7].is_empty() || cells[7].parse::<chrono::NaiveDate>().is_ok(), "{row}");
        let local = person.email.split('@').next().unwrap();
        for name in person.names().into_iter().chain([local]) {
            let before = names.insert(name.to_lowercase(), person.index).unwrap_or(person.index);
            assert_eq!(before, person.index, "{name} is two people");
        }
    }
}

#[test]
fn the_folder_holds_logs_people_labels_and_a_configuration_that_names_each_log() {
    let folder = tempfile::tempdir().unwrap();
    let small = Plan { users: 40, days: 6, ..plan(8) };
    let summary = write(folder.path(), &small).unwrap();
    let mut bytes = 0;
    for log in LOGS {
        let pattern = folder.path().join(log.paths);
        let files: Vec<_> = glob::glob(pattern.to_str().unwrap()).unwrap().map(Result::unwrap).collect();
        assert!(!files.is_empty(), "{}", log.name);
        bytes += files.iter().map(|file| fs::metadata(file).unwrap().len()).sum::<u64>();
    }
    assert_eq!(bytes, summary.bytes);
    let labels = fs::read_to_string(folder.path().join("labels.jsonl")).unwrap();
    assert_eq!(labels.lines().count(), summary.attacks + summary.oddities);
    let people = fs::read_to_string(folder.path().join("people.csv")).unwrap();
    assert_eq!(people.lines().count(), summary.people + 1);
    let configuration = crate::config::Config::load(&folder.path().join("crmwatch.toml")).unwrap();
    assert_eq!(configuration.sources.len(), LOGS.len());
    assert_eq!(configuration.state_dir, folder.path().join("state"));
    for source in &configuration.sources {
        assert!(crate::parse::format(&source.format).is_some(), "there is no parser of {}", source.format);
    }
    assert_eq!(
        fs::read_to_string(folder.path().join("honeytokens.txt")).unwrap().lines().count(),
        scene::HONEYTOKENS.len()
    );
}

#[test]
fn live_goes_on_where_the_history_ends_and_loses_no_line_of_it() {
    let small = Plan { users: 40, days: 6, ..plan(9) };
    let folder = tempfile::tempdir().unwrap();
    let (history, mut live) = open(folder.path(), &small).unwrap();
    let mut labels = Vec::new();
    let mut now = END;
    for _ in 0..60 {
        now += 5_000;
        labels.extend(live.append_until(now).unwrap());
    }
    assert!(labels.len() >= 5, "{} attacks in five minutes", labels.len());
    let (late, _) = live.until(now + 4 * 3_600_000);
    // Everything of the history that was not delivered at its end has come by now.
    let whole = tempfile::tempdir().unwrap();
    let all = write(whole.path(), &small).unwrap();
    let portal = |dir: &tempfile::TempDir| fs::read_to_string(dir.path().join("portal/access.log")).unwrap();
    assert!(portal(&folder).starts_with(&portal(&whole)), "the history differs");
    let held = late.iter().filter(|line| line.time <= END).count() as u64;
    assert!(history.lines < all.lines && held > 0 && history.lines + held <= all.lines);
    for label in &labels {
        assert!(time(label, "start") > END);
    }
    assert!(fs::read_to_string(folder.path().join("labels.jsonl")).unwrap().lines().count() >= labels.len());
}

#[test]
fn live_attacks_take_turns_among_the_families_asked_for_on_a_sunday_night_too() {
    // 2026-03-29, a Sunday, before dawn in Europe.
    let small = Plan { users: 120, days: 6, end: END + 30 * 3_600_000, ..plan(11) };
    let folder = tempfile::tempdir().unwrap();
    let (_, mut live) = open(folder.path(), &small).unwrap();
    live.only(["bulk-export", "brute-force", "password-spray"].map(str::to_owned).into());
    live.next_attack_at(small.end + 60_000);
    assert!(live.until(small.end + 59_000).1.is_empty());
    let (_, labels) = live.until(small.end + 400_000);
    let families: BTreeSet<&str> = labels.iter().map(|label| label["family"].as_str().unwrap()).collect();
    assert!(
        families.len() >= 2 && families.is_subset(&["bulk-export", "brute-force", "password-spray"].into()),
        "{families:?}"
    );
}

#[test]
fn a_person_who_is_away_leaves_no_line_from_the_usual_places() {
    let company = Company::new(&Plan { users: 200, days: 21, ..plan(10) });
    let absent: Vec<_> = company.changes.iter().filter(|(_, change)| matches!(change, Change::Absent)).collect();
    assert!(!absent.is_empty());
    for (&(person, day), _) in absent {
        assert!(company.sessions(&company.people[person as usize], day).is_empty());
    }
}
