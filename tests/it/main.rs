//! Everything that is tested from outside: what is shipped beside the program, what the command line says, and how the house is built.
//! One binary, a module a matter. Not for what one module promises; that is tested where it is.

#![allow(clippy::unwrap_used, reason = "a test")]

mod golden;
mod house;
mod observability;
mod shipped_config;

/// The repository's root.
fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the repository.
fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files under a folder of the repository that end so, in order of their names.
fn files(folder: &str, ending: &str) -> Vec<std::path::PathBuf> {
    let pattern = format!("{}/{folder}/**/*{ending}", root().display());
    glob::glob(&pattern).unwrap().flatten().filter(|path| path.is_file()).collect()
}
