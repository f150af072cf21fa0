//! Which source a file given by name belongs to, for `scan`: a file that a configured source's patterns name (or the rotated sibling of
//! one) is read as that source's, any other by the options of the command line. Not for finding files (`discover`).

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use glob::{MatchOptions, Pattern};

use super::Followed;
use crate::config::Source;

/// A file with what tells how it is read.
#[derive(Clone)]
pub struct Attributed {
    /// The file.
    pub path: PathBuf,
    /// Whose it is.
    pub followed: Followed,
}

/// A star does not reach into folders, as in a shell.
const MATCHING: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: false };

/// Attributes each file. The order is the canonical one of files: by the source's name, then by path.
pub fn attribute(files: Vec<PathBuf>, configured: &[Followed], otherwise: &Followed) -> Vec<Attributed> {
    let own: Vec<(Pattern, &Followed)> = configured.iter().flat_map(|followed| patterns(followed, "")).collect();
    let siblings: Vec<(Pattern, &Followed)> =
        configured.iter().flat_map(|followed| patterns(followed, "[.-]*")).collect();
    let mut all: Vec<Attributed> = files
        .into_iter()
        .map(|path| {
            let place = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
            let named = own.iter().chain(&siblings).find(|(pattern, _)| pattern.matches_path_with(&place, MATCHING));
            let followed = match named {
                Some((_, followed)) => (*followed).clone(),
                None => Followed {
                    source: Arc::new(Source { name: name_of(&place), ..Source::clone(&otherwise.source) }),
                    tables: Arc::clone(&otherwise.tables),
                },
            };
            Attributed { path, followed }
        })
        .collect();
    all.sort_by(|left, right| {
        (&left.followed.source.name, &left.path).cmp(&(&right.followed.source.name, &right.path))
    });
    all
}

/// The patterns of a source, each with an end added, by the folders' real paths: links and `..` must not hide that a file is meant.
fn patterns<'f>(followed: &'f Followed, end: &str) -> Vec<(Pattern, &'f Followed)> {
    let real = |written: &String| {
        let written = Path::new(written);
        let plain = |part: &Component<'_>| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
        let mut parts: Vec<Component<'_>> = written.components().collect();
        let fixed = parts.iter().take_while(|part| plain(part)).count().min(parts.len().saturating_sub(1));
        let open: PathBuf = parts.split_off(fixed).into_iter().collect();
        let folder: PathBuf = parts.into_iter().collect();
        let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
        // A folder that is not there holds none of the files.
        let folder = std::fs::canonicalize(folder).ok()?;
        let folder = Pattern::escape(folder.to_str()?.trim_end_matches('/'));
        Pattern::new(&format!("{folder}/{}{end}", open.to_str()?)).ok().map(|pattern| (pattern, followed))
    };
    followed.source.paths.iter().filter_map(real).collect()
}

/// The name of the source of a file nobody has configured: folder and name up to the first digit or dot, so that rotated siblings share it
/// and the logs of two programs do not.
fn name_of(path: &Path) -> String {
    let text =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = text(path.parent().and_then(Path::file_name));
    let file = text(path.file_name());
    let stem = file.split(|one: char| one.is_ascii_digit() || one == '.').next().unwrap_or_default();
    let stem = stem.trim_end_matches(['-', '_']);
    let name = match (folder.as_str(), stem) {
        ("", stem) => stem.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, stem) => format!("{folder}/{stem}"),
    };
    if name.is_empty() { "scan".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::web::Tables;

    fn followed(name: &str, paths: &[String]) -> Followed {
        let source = Source { paths: paths.to_vec(), ..Source::named(name) };
        Followed { source: Arc::new(source), tables: Arc::new(Tables::shipped()) }
    }

    /// The sources' names by file name, of files that lie in one folder.
    fn sources(patterns: &[(&str, &str)], files: &[&str]) -> Vec<(String, String)> {
        let folder = tempfile::tempdir().expect("a folder");
        // Sources are ordered by their names, and these are made of the folder's: it must not be a random one.
        let top = folder.path().join("top");
        let place = |name: &str| top.join(name);
        for file in files {
            std::fs::create_dir_all(place(file).parent().expect("a folder")).expect("made");
            std::fs::write(place(file), "").expect("written");
        }
        let configured: Vec<Followed> =
            patterns.iter().map(|(name, path)| followed(name, &[place(path).to_string_lossy().into_owned()])).collect();
        let paths = files.iter().map(|file| place(file)).collect();
        attribute(paths, &configured, &followed("scan", &[]))
            .into_iter()
            .map(|one| {
                let file = one.path.strip_prefix(&top).expect("inside").to_string_lossy().into_owned();
                (file, one.followed.source.name.clone())
            })
            .collect()
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(file, source)| ((*file).to_owned(), (*source).to_owned())).collect()
    }

    #[test]
    fn a_configured_file_and_its_rotated_siblings_belong_to_its_source() {
        let files = ["portal/access.log", "portal/access.log.1.gz", "portal/access.log-20260102", "portal/error.log"];
        let found = sources(&[("web", "portal/access.log")], &files);
        let expected = [
            ("portal/error.log", "portal/error"),
            ("portal/access.log", "web"),
            ("portal/access.log-20260102", "web"),
            ("portal/access.log.1.gz", "web"),
        ];
        assert_eq!(found, pairs(&expected));
    }

    #[test]
    fn a_file_named_by_one_source_is_not_taken_as_the_sibling_of_another() {
        let patterns = [("all", "logs/crm"), ("audit", "logs/crm.audit")];
        let expected = [("logs/crm", "all"), ("logs/crm.1", "all"), ("logs/crm.audit", "audit")];
        assert_eq!(sources(&patterns, &["logs/crm", "logs/crm.1", "logs/crm.audit"]), pairs(&expected));
    }

    #[test]
    fn a_star_stays_in_its_folder() {
        let found = sources(&[("sf", "logs/*.csv")], &["logs/a.csv", "logs/deep/b.csv"]);
        assert_eq!(found, pairs(&[("logs/deep/b.csv", "deep/b"), ("logs/a.csv", "sf")]));
    }

    #[test]
    fn without_configuration_rotated_siblings_are_one_source_and_other_logs_others() {
        let files = ["access.log", "access.log.1", "access-2026-01-02.log", "2026-01-02_Login.csv", "crm/access.log"];
        let found = sources(&[], &files);
        let expected = [
            ("2026-01-02_Login.csv", "top"),
            ("access-2026-01-02.log", "top/access"),
            ("access.log", "top/access"),
            ("access.log.1", "top/access"),
            ("crm/access.log", "crm/access"),
        ];
        assert_eq!(found, pairs(&expected));
    }
}
