//! What `crmwatch check` says of each mistake in a configuration, word for word. `UPDATE_GOLDEN=1` writes the files anew.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fmt::Write as _;
use std::path::Path;

use crmwatch::config::Config;

const SOURCE: &str = "[[source]]\nname = \"portal\"\npaths = [\"/var/log/nginx/crm.log*\"]\n";
const MAIL: &str = "\n[email]\nfrom = \"crmwatch@example.com\"\nto = [\"soc@example.com\"]\n";

/// The file holds the configuration and what is said of it, so that a reader sees both.
fn check(name: &str, text: &str) {
    let error = Config::parse(Path::new("crmwatch.toml"), text).expect_err(name);
    let mut told = String::new();
    for line in text.lines() {
        let _ = writeln!(told, "> {line}");
    }
    let _ = writeln!(told, "\n{error}");
    let path = format!("tests/golden/config_{name}.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(crate::repository::root().join(&path), &told).unwrap();
    }
    assert_eq!(told, crate::repository::text(&path), "{path} (UPDATE_GOLDEN=1 accepts the new words)");
}

#[test]
fn an_unknown_key_is_told_with_the_one_that_was_meant() {
    check("unknown_key", &format!("{SOURCE}fromat = \"auto\"\n"));
}

#[test]
fn an_unknown_section_is_told_with_those_there_are() {
    check("unknown_section", &format!("{SOURCE}\n[smtp]\nserver = \"smtps://mail.example.com\"\n"));
}

#[test]
fn a_value_of_the_wrong_type_is_told_with_the_right_one() {
    check("wrong_type", &format!("{SOURCE}\n[retention]\ndays = \"400\"\n"));
}

#[test]
fn a_length_of_time_without_a_unit_is_told_with_an_example() {
    check("wrong_duration", &format!("{SOURCE}lateness = \"10\"\n"));
}

#[test]
fn two_sources_of_one_name_are_told_at_the_second() {
    check("duplicate_source", &format!("{SOURCE}\n{SOURCE}"));
}

#[test]
fn a_source_without_paths_or_with_a_bad_name_or_pattern_is_told() {
    check("bad_source", "[[source]]\nname = \"my portal\"\n\n[[source]]\nname = \"b\"\npaths = [\"/var/log/[a\"]\n");
}

#[test]
fn an_unknown_format_zone_and_encoding_are_told_together() {
    check(
        "unknown_words",
        &format!(
            "locale = \"de\"\n{SOURCE}format = \"ngimx\"\ntimezone = \"Europe/Berlinn\"\nencoding = \"utf8mb4\"\n"
        ),
    );
}

#[test]
fn an_unknown_field_in_a_mapping_and_a_wrong_network_are_told() {
    check(
        "bad_mapping",
        &format!(
            "{SOURCE}trusted_proxies = [\"10.0.0.0/8\", \"10.0.0.0/40\"]\n[source.mapping]\n\"user.nane\" = \"actor\"\n"
        ),
    );
}

#[test]
fn an_unknown_detector_is_told_with_the_one_that_was_meant() {
    check("unknown_detector", &format!("{SOURCE}\n[detectors.bulk-exports]\nenabled = false\n"));
}

#[test]
fn an_unknown_setting_of_a_detector_is_told() {
    check("unknown_setting", &format!("{SOURCE}\n[detectors.bulk-export]\nfloor_records_per_huor = 10\n"));
}

#[test]
fn a_setting_of_a_rule_that_cannot_be_is_told() {
    check("wrong_setting", &format!("{SOURCE}\n[detectors.brute-force]\nthreshold = 0\n"));
}

#[test]
fn mail_in_the_clear_to_another_machine_is_refused() {
    check("plain_mail", &format!("{SOURCE}{MAIL}server = \"smtp://mail.example.com\"\n"));
}

#[test]
fn a_mail_server_without_a_scheme_and_an_address_that_is_none_are_told() {
    check(
        "bad_mail",
        &format!(
            "{SOURCE}\n[email]\nserver = \"mail.example.com\"\nfrom = \"crmwatch\"\nto = []\nmin_severity = \"urgent\"\n"
        ),
    );
}

#[test]
fn listening_beyond_this_machine_is_refused() {
    check("open_port", &format!("{SOURCE}\n[http]\nlisten = \"0.0.0.0:8787\"\n"));
}

#[test]
fn a_configuration_without_sources_is_no_configuration() {
    check("no_source", "locale = \"en\"\n");
}

#[test]
fn broken_toml_is_told_at_its_place() {
    check("broken_toml", "[[source]]\nname = \"portal\npaths = []\n");
}

#[test]
fn a_file_that_is_not_there_is_told_with_what_to_do() {
    let error = Config::load(Path::new("no/such/crmwatch.toml")).expect_err("not there");
    let path = "tests/golden/config_missing_file.txt";
    let told = format!("{error}\n");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(crate::repository::root().join(path), &told).unwrap();
    }
    assert_eq!(told, crate::repository::text(path), "{path} (UPDATE_GOLDEN=1 accepts the new words)");
}

#[test]
fn mistakes_in_a_format_of_ones_own_are_told_at_their_places() {
    let format = "\n[[format]]\nname = \"orders\"\n";
    check(
        "own_format_names",
        &format!(
            "{SOURCE}format = \"order\"\n{format}pattern = '$when|$user_nam|$op|$shop'\ntime = {{ field = \"wen\", format = \"%H:%M\" }}\nkeep = [\"sop\"]\n\
             defaults = {{ \"crm.object.typ\" = \"order\", \"crm.records\" = \"many\", \"event.action\" = \"exprot\" }}\n\
             actions = [\n  {{ field = \"opp\", equals = \"XP\", action = \"exprot\", outcome = \"succes\" }},\n  {{ field = \"op\", action = \"export\" }},\n  {{ field = \"op\", prefix = \"x\" }},\n]\n"
        ),
    );
    check(
        "own_format_shapes",
        &format!(
            "{SOURCE}{format}\n[[format]]\nname = \"nginx\"\npattern = '$remote_addr$remote_user'\n\n[[format]]\nname = \"orders\"\nregex = '(?P<user_name>\\w+) (?=x)'\n\n\
             [[format]]\nname = \"c\"\njson = {{ \"user.nam\" = \"who\" }}\ntime = {{ field = \"t\", format = \"epoc\" }}\n\n[[format]]\nname = \"d\"\nregex = '(?P<user>a'\n"
        ),
    );
    check("own_format_key", &format!("{SOURCE}{format}patern = '$user_name'\n"));
}
