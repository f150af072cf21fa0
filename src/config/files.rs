//! What the configuration names and detection needs as text: honeytokens and folders of Sigma rules. Not for their meaning.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crmwatch_detectors::Engine;
use crmwatch_detectors::allowance::Allowances;
use crmwatch_detectors::registry::SettingsError;
use crmwatch_detectors::sigma::Texts;

use super::Config;

/// A file or folder that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}; {what} names it")]
pub struct FileError {
    path: PathBuf,
    error: io::Error,
    what: &'static str,
}

/// Detection cannot be set up as configured.
#[derive(Debug, thiserror::Error)]
pub enum DetectionError {
    /// A file or folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// A setting or a rule.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl Config {
    /// The detectors as configured, with the operator's rules beside the shipped ones.
    pub fn engine(&self) -> Result<Engine, DetectionError> {
        self.engine_with(&self.rule_texts()?)
    }

    /// The detectors as configured, with other rules than those on disk.
    pub fn engine_with(&self, rules: &Texts) -> Result<Engine, DetectionError> {
        let mut engine = Engine::with_rules(&self.detector_settings()?, rules)?;
        engine.allow(Allowances::new(self.allowances.clone()));
        Ok(engine)
    }

    /// The detectors' settings, with the honeytokens of their file added.
    pub fn detector_settings(&self) -> Result<BTreeMap<String, serde_json::Value>, FileError> {
        let mut settings = self.detectors.clone();
        if let Some(path) = &self.honeytokens {
            let wrong = |error| FileError { path: path.clone(), error, what: "[honeytokens]" };
            let text = fs::read_to_string(path).map_err(wrong)?;
            let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
            let records: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
            let own = settings.entry("honeytoken-touched".to_owned()).or_insert_with(|| serde_json::json!({}));
            // Beside those that stand in the settings; what is no list there is told of when the detector is made.
            if let Some(own) = own.as_object_mut() {
                let listed = own.entry("records").or_insert_with(|| serde_json::json!([]));
                if let Some(listed) = listed.as_array_mut() {
                    listed.extend(records.into_iter().map(Into::into));
                }
            }
        }
        Ok(settings)
    }

    /// The operator's Sigma rules: name and text of every `.yml` and `.yaml` file in the folders and the folders within, in the order
    /// of their paths, and what their placeholders stand for.
    pub fn rule_texts(&self) -> Result<Texts, FileError> {
        rule_texts(&self.rule_directories, &self.rule_placeholders)
    }
}

/// The rules of some folders.
pub fn rule_texts(folders: &[PathBuf], placeholders: &BTreeMap<String, Vec<String>>) -> Result<Texts, FileError> {
    let mut texts = Texts { placeholders: placeholders.clone(), ..Texts::default() };
    let wrong = |path: &Path| {
        let path = path.to_owned();
        move |error| FileError { path, error, what: "[rules]" }
    };
    for folder in folders {
        let mut paths = Vec::new();
        if folder.is_file() {
            paths.push(folder.clone());
        } else {
            yaml_files(folder, DEPTH, &mut paths).map_err(wrong(folder))?;
        }
        paths.sort();
        for path in paths {
            let text = fs::read_to_string(&path).map_err(wrong(&path))?;
            texts.files.push((path.display().to_string(), text));
        }
    }
    Ok(texts)
}

/// Folders within folders beyond this are a mistake, or a circle of links.
const DEPTH: u8 = 12;

fn yaml_files(folder: &Path, depth: u8, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            match depth.checked_sub(1) {
                Some(depth) => yaml_files(&path, depth, paths)?,
                None => return Err(io::Error::other("folders lie too deep within each other")),
            }
        } else if path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml") && !hidden {
            paths.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honeytokens_of_the_file_come_beside_those_of_the_settings() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("planted.txt"), "# since May\n 003A \n\n003B\n").expect("written");
        let text = "[[source]]\nname = \"portal\"\npaths = [\"/x\"]\n[honeytokens]\nfile = \"planted.txt\"\n[detectors.honeytoken-touched]\nrecords = [\"001X\"]\nignore = [\"sync\"]\n";
        let config = Config::parse(&folder.path().join("crmwatch.toml"), text).expect("right");
        let settings = config.detector_settings().expect("the file is there");
        let own = serde_json::json!({"records": ["001X", "003A", "003B"], "ignore": ["sync"]});
        assert_eq!(settings["honeytoken-touched"], own);
    }
}
