//! The files of the repository as tests read them. Not for what is demanded of them.

#![allow(clippy::unwrap_used, reason = "a test")]

/// The repository's root.
pub fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the repository.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files under a folder of the repository that end so, in order of their names.
pub fn files(folder: &str, ending: &str) -> Vec<std::path::PathBuf> {
    let pattern = format!("{}/{folder}/**/*{ending}", root().display());
    glob::glob(&pattern).unwrap().flatten().filter(|path| path.is_file()).collect()
}
