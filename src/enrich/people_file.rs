//! Reads `people.csv`: columns `user, aliases, role, department, country, timezone, status, last_day` in any order, all but `user` optional.
//! Every mistake is told with its line and what mends it, all of them together. Not for matching names (`people`).

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use crmwatch_detectors::{Person, Status};

use crate::config::nearest;

const COLUMNS: [&str; 8] = ["user", "aliases", "role", "department", "country", "timezone", "status", "last_day"];
/// More mistakes are not listed; they are one mistake, made throughout.
const MOST_MISTAKES: usize = 20;

/// One mistake in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// From 1; 0 where it is the file's as a whole.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What mends it.
    pub mend: String,
}

/// The mistakes of a people file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeopleError {
    /// The file.
    pub file: PathBuf,
    /// In the order of their lines.
    pub mistakes: Vec<Mistake>,
}

impl std::error::Error for PeopleError {}

impl fmt::Display for PeopleError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mistake) in self.mistakes.iter().enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            let file = self.file.display();
            match mistake.line {
                0 => write!(out, "{file}: {}", mistake.message)?,
                line => write!(out, "{file}:{line}: {}", mistake.message)?,
            }
            write!(out, "\n  = {}", mistake.mend)?;
        }
        Ok(())
    }
}

/// Reads the file.
pub fn load(file: &Path) -> Result<Vec<Person>, PeopleError> {
    let whole = |message: String, mend: &str| PeopleError {
        file: file.to_owned(),
        mistakes: vec![Mistake { line: 0, message, mend: mend.to_owned() }],
    };
    let bytes = std::fs::read(file).map_err(|error| {
        whole(format!("cannot read the people file: {error}"), "correct [people] file, or let crmwatch's user read it")
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        whole(format!("line {line} is not UTF-8"), "save it as \"CSV UTF-8\"")
    })?;
    parse(&text).map_err(|mistakes| PeopleError { file: file.to_owned(), mistakes })
}

/// Reads the file's text.
pub fn parse(text: &str) -> Result<Vec<Person>, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let mut people = Vec::new();
    let mut lines_of_users: HashMap<String, usize> = HashMap::new();
    let mut rows = Rows { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
    let columns = match rows.next() {
        Some(Ok((line, cells))) => columns(line, &cells)?,
        Some(Err(mistake)) => return Err(vec![mistake]),
        None => return Err(vec![no_user_column(0)]),
    };
    for row in rows {
        if mistakes.len() >= MOST_MISTAKES {
            break;
        }
        let (line, cells) = match row {
            Ok(row) => row,
            Err(mistake) => {
                mistakes.push(mistake);
                continue;
            }
        };
        match person(line, &columns, &cells) {
            Ok(person) => match lines_of_users.insert(person.user.to_lowercase(), line) {
                None => people.push(person),
                Some(first) => mistakes.push(Mistake {
                    line,
                    message: format!("user {:?} stands on line {first} already", person.user),
                    mend: "keep one line for a person and put other names into aliases, separated by ;".to_owned(),
                }),
            },
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if mistakes.is_empty() { Ok(people) } else { Err(mistakes) }
}

fn no_user_column(line: usize) -> Mistake {
    Mistake {
        line,
        message: "there is no column `user`".to_owned(),
        mend: format!("start the file with a line of column names, of {}", COLUMNS.join(", ")),
    }
}

/// For each cell of a row, which column it is; columns of other names are passed over.
fn columns(line: usize, header: &[String]) -> Result<Vec<Option<&'static str>>, Vec<Mistake>> {
    let names: Vec<String> = header.iter().map(|cell| cell.trim().to_lowercase().replace([' ', '-'], "_")).collect();
    let mut mistakes = Vec::new();
    let missing: Vec<&str> = COLUMNS.into_iter().filter(|column| !names.iter().any(|name| name == column)).collect();
    for (position, name) in names.iter().enumerate() {
        if names[..position].contains(name) && COLUMNS.contains(&name.as_str()) {
            let message = format!("column `{name}` stands there twice");
            mistakes.push(Mistake { line, message, mend: "take one away".to_owned() });
        } else if !COLUMNS.contains(&name.as_str())
            && let Some(meant) = nearest(name, missing.iter().copied())
        {
            let message = format!("there is no column {name:?}");
            mistakes.push(Mistake { line, message, mend: format!("did you mean `{meant}`?") });
        }
    }
    if mistakes.is_empty() && missing.contains(&"user") {
        mistakes.push(no_user_column(line));
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    Ok(names.iter().map(|name| COLUMNS.into_iter().find(|column| column == name)).collect())
}

fn person(line: usize, columns: &[Option<&'static str>], cells: &[String]) -> Result<Person, Mistake> {
    let mistake = |message: String, mend: &str| Mistake { line, message, mend: mend.to_owned() };
    if cells.len() > columns.len() {
        let message = format!("{} cells under {} column names", cells.len(), columns.len());
        return Err(mistake(message, "put a cell that holds a comma in double quotes; separate aliases by ;"));
    }
    let mut person = Person::default();
    for (column, cell) in columns.iter().zip(cells) {
        let cell = cell.trim();
        let Some(column) = column.filter(|_| !cell.is_empty()) else { continue };
        match column {
            "user" => person.user = cell.into(),
            "aliases" => {
                person.aliases =
                    cell.split(';').map(str::trim).filter(|alias| !alias.is_empty()).map(Box::from).collect();
            }
            "role" => person.role = Some(cell.into()),
            "department" => person.department = Some(cell.into()),
            "country" => {
                if cell.len() != 2 || !cell.bytes().all(|byte| byte.is_ascii_alphabetic()) {
                    return Err(mistake(format!("country {cell:?} is no code"), "write two letters: DE, CN, US"));
                }
                person.country = Some(cell.to_ascii_uppercase().into());
            }
            "timezone" => {
                person.timezone = Some(cell.parse().map_err(|_| {
                    mistake(
                        format!("there is no time zone {cell:?}"),
                        "write a name like Europe/Berlin or Asia/Shanghai",
                    )
                })?);
            }
            "status" => {
                person.status = match cell.to_ascii_lowercase().as_str() {
                    "active" => Status::Active,
                    "notice" => Status::Notice,
                    "disabled" => Status::Disabled,
                    _ => {
                        return Err(mistake(
                            format!("there is no status {cell:?}"),
                            "write active, notice or disabled",
                        ));
                    }
                };
            }
            _ => {
                person.last_day = Some(
                    NaiveDate::parse_from_str(cell, "%Y-%m-%d")
                        .map_err(|_| mistake(format!("last_day {cell:?} is no day"), "write it as 2026-03-31"))?,
                );
            }
        }
    }
    if person.user.is_empty() {
        return Err(mistake(
            "the user is missing".to_owned(),
            "write the person's e-mail address or login into column user",
        ));
    }
    Ok(person)
}

/// Rows of a CSV (RFC 4180) with the line each starts on; empty ones are passed over.
struct Rows<'t> {
    rest: &'t str,
    line: usize,
}

impl Iterator for Rows<'_> {
    type Item = Result<(usize, Vec<String>), Mistake>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let line = self.line;
            match self.row() {
                Err(mistake) => {
                    // Where a quote does not end there is no telling where the next row starts.
                    self.rest = "";
                    return Some(Err(mistake));
                }
                Ok(cells) if cells.iter().all(|cell| cell.trim().is_empty()) => {}
                Ok(cells) => return Some(Ok((line, cells))),
            }
        }
        None
    }
}

impl Rows<'_> {
    fn row(&mut self) -> Result<Vec<String>, Mistake> {
        let start = self.line;
        let mut cells = vec![String::new()];
        let mut quoted = false;
        let mut letters = self.rest.char_indices().peekable();
        let mut end = self.rest.len();
        while let Some((position, letter)) = letters.next() {
            if letter == '\n' {
                self.line += 1;
            }
            let cell = cells.last_mut().expect("there is a first cell");
            match letter {
                '"' if quoted && letters.next_if(|(_, next)| *next == '"').is_some() => cell.push('"'),
                '"' if quoted => quoted = false,
                '"' if cell.trim().is_empty() => {
                    cell.clear();
                    quoted = true;
                }
                ',' if !quoted => cells.push(String::new()),
                '\n' if !quoted => {
                    end = position + 1;
                    break;
                }
                _ => cell.push(letter),
            }
        }
        if quoted {
            return Err(Mistake {
                line: start,
                message: "a cell that starts with a double quote does not end with one".to_owned(),
                mend: "close it, or write a quote within a quoted cell as two".to_owned(),
            });
        }
        self.rest = &self.rest[end..];
        Ok(cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let mistakes = parse(text).expect_err("a mistake");
        mistakes
            .into_iter()
            .map(|mistake| format!("{}: {} = {}", mistake.line, mistake.message, mistake.mend))
            .collect()
    }

    #[test]
    fn columns_come_in_any_order_with_mark_quotes_and_windows_line_ends() {
        let text = "\u{feff}Status,last_day,user,Aliases,department,employee number,timezone,country,role\r\n\
                    notice,2026-03-31,alice@example.com,a.smith; 王芳 ;,\"Sales, \"\"EMEA\"\"\",7,Asia/Shanghai,cn,sales\r\n\
                    \r\n\
                    ,,bob\r\n";
        let people = parse(text).expect("a good file");
        assert_eq!(people.len(), 2);
        let alice = &people[0];
        assert_eq!(&*alice.user, "alice@example.com");
        assert_eq!(alice.aliases, ["a.smith".into(), "王芳".into()]);
        assert_eq!(alice.department.as_deref(), Some("Sales, \"EMEA\""));
        assert_eq!((alice.status, alice.last_day), (Status::Notice, NaiveDate::from_ymd_opt(2026, 3, 31)));
        assert_eq!((alice.timezone, alice.country.as_deref()), (Some(chrono_tz::Asia::Shanghai), Some("CN")));
        assert_eq!(people[1], Person { user: "bob".into(), ..Person::default() });
    }

    #[test]
    fn every_mistake_is_told_with_its_line_and_its_mend() {
        let found = mistakes(
            "user,status,last_day,timezone,country\n\
             a,retired\n\
             \"b\nb\",active,31.03.2026\n\
             c,,,Mars/Base\n\
             d,,,,Germany\n\
             ,active\n\
             e,active,,,,,one more\n\
             A,active\n\
             f\nF\n",
        );
        let starts = ["2: there is no status", "3: last_day", "5: there is no time zone", "6: country", "7: the user"];
        for (found, start) in found.iter().zip(starts) {
            assert!(found.starts_with(start), "{found}");
        }
        assert_eq!(found.len(), 7, "{found:?}");
        assert!(found[5].starts_with("8: 7 cells under 5 column names"));
        assert!(found[6].starts_with("11: user \"F\" stands on line 10 already"));
    }

    #[test]
    fn a_mistyped_column_leads_to_the_one_meant() {
        assert_eq!(mistakes("usr,role\n"), ["1: there is no column \"usr\" = did you mean `user`?"]);
        assert!(mistakes("name,mail\n")[0].contains("no column `user`"));
        assert!(mistakes("")[0].contains("no column `user`"));
        assert!(mistakes("user,user\n")[0].contains("twice"));
    }

    #[test]
    fn an_open_quote_is_named_where_it_opens() {
        assert!(mistakes("user\na\n\"b\nc\n")[0].starts_with("3: a cell that starts"));
    }

    #[test]
    fn a_file_that_cannot_be_used_says_who_can_mend_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("people.csv");
        assert!(load(&file).expect_err("missing").to_string().contains("cannot read the people file"));
        std::fs::write(&file, b"user\n\xcd\xf5\n").expect("written");
        let shown = load(&file).expect_err("not UTF-8").to_string();
        assert!(shown.contains("line 2 is not UTF-8\n  = save it as"), "{shown}");
    }
}
