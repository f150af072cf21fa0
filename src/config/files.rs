//! What the configuration names and detection needs as text: honeytokens and folders of Sigma rules. Not for their meaning.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crmwatch_detectors::Engine;
use crmwatch_detectors::allowance::Allowances;
use crmwatch_detectors::registry::SettingsError;

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
        let mut engine = Engine::with_rules(&self.detector_settings()?, &self.rule_texts()?)?;
        engine.allow(Allowances::new(self.allowances.clone()));
        Ok(engine)
    }

    /// The detectors' settings, with the honeytokens of their file.
    pub fn detector_settings(&self) -> Result<BTreeMap<String, serde_json::Value>, FileError> {
        let mut settings = self.detectors.clone();
        if let Some(path) = &self.honeytokens {
            let wrong = |error| FileError { path: path.clone(), error, what: "[honeytokens]" };
            let text = fs::read_to_string(path).map_err(wrong)?;
            let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
            let records: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
            let own = settings.entry("honeytoken-touched".to_owned()).or_insert_with(|| serde_json::json!({}));
            if let Some(own) = own.as_object_mut() {
                own.insert("records".to_owned(), records.into());
            }
        }
        Ok(settings)
    }

    /// The operator's Sigma rules: name and text of every `.yml` and `.yaml` file, in the order of their paths.
    pub fn rule_texts(&self) -> Result<Vec<(String, String)>, FileError> {
        let mut texts = Vec::new();
        for folder in &self.rule_directories {
            for path in
                yaml_files(folder).map_err(|error| FileError { path: folder.clone(), error, what: "[rules]" })?
            {
                let text = fs::read_to_string(&path);
                let text = text.map_err(|error| FileError { path: path.clone(), error, what: "[rules]" })?;
                texts.push((path.display().to_string(), text));
            }
        }
        Ok(texts)
    }
}

fn yaml_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml"));
    paths.sort();
    Ok(paths)
}
