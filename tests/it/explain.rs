//! What `crmwatch parse --explain` tells, word for word. `UPDATE_GOLDEN=1` writes the files anew.

use crate::program::run;

/// `input`: a log beside the explanation.
fn explained(input: &str, code: i32, arguments: &[&str]) {
    let log = format!("tests/golden/explain/{input}.log");
    let ran = run(&[&["parse", "--explain"], arguments, &[log.as_str()]].concat());
    assert_eq!(ran.code, Some(code), "{}", ran.err);
    assert_eq!(ran.err, "");
    let path = format!("tests/golden/explain/{input}.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(crate::repository::root().join(&path), &ran.out).expect("written");
    }
    assert_eq!(ran.out, crate::repository::text(&path), "{path} (UPDATE_GOLDEN=1 accepts the new words)");
}

const FORMATS: &str = "tests/golden/explain/orders.toml";

#[test]
fn a_pattern_of_ones_own_is_explained_with_its_variables_and_where_a_line_fails() {
    explained("orders", 2, &["--format-file", FORMATS, "--format", "orders"]);
}

#[test]
fn an_expression_of_ones_own_is_explained_with_the_part_that_does_not_fit() {
    explained("tickets", 2, &["--format-file", FORMATS, "--format", "tickets"]);
}

#[test]
fn a_mapping_of_keys_is_explained_with_the_time_that_is_missing_or_wrong() {
    explained("portal", 2, &["--format-file", FORMATS, "--format", "portal"]);
}

#[test]
fn a_file_that_changes_its_format_is_explained_with_what_was_weighed() {
    explained("changes", 2, &[]);
}

#[test]
fn a_file_of_several_formats_asks_which_and_a_wrong_one_is_told_with_its_place() {
    let log = "tests/golden/explain/orders.log";
    let ran = run(&["parse", "--format-file", FORMATS, log]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("name one with --format (orders, tickets, portal)"), "{}", ran.err);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("own.toml");
    std::fs::write(&path, "[[format]]\nname = \"x\"\npattern = '$user_nam'\n").expect("written");
    let path = path.to_str().expect("UTF-8");
    for command in ["parse", "scan"] {
        let ran = run(&[command, "--format-file", path, log]);
        assert_eq!(ran.code, Some(78), "{command}");
        assert!(ran.err.contains("own.toml:3:12: user_nam means nothing known"), "{}", ran.err);
        assert!(ran.err.contains("did you mean user_name?"), "{}", ran.err);
    }
}

#[test]
fn every_format_that_the_guide_shows_is_right() {
    let guide = crate::repository::text("docs/formats-guide.md");
    let shown: Vec<&str> =
        guide.split("```toml\n").skip(1).map(|rest| rest.split("```").next().expect("text")).collect();
    assert_eq!(shown.len(), 4);
    for text in shown {
        let formats = crmwatch::config::parse_formats(std::path::Path::new("docs/formats-guide.md"), text);
        assert_eq!(formats.unwrap_or_else(|error| panic!("{error}")).len(), 1);
    }
}
