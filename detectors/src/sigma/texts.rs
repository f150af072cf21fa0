//! The texts an operator's rules are made of, as they are handed in, kept and compared. Not for reading folders (the caller does) nor
//! for what the texts mean (`load`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Rules beside the shipped ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Texts {
    /// File name and text, in their order.
    pub files: Vec<(String, String)>,
    /// What `%name%` stands for in a value with the modifier `expand`.
    #[serde(default)]
    pub placeholders: BTreeMap<String, Vec<String>>,
}

impl Texts {
    /// The shipped rules, then these.
    pub fn with_shipped(&self) -> Texts {
        let shipped = super::SHIPPED.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned()));
        Texts { files: shipped.chain(self.files.iter().cloned()).collect(), placeholders: self.placeholders.clone() }
    }

    /// One file.
    pub fn one(file: &str, text: &str) -> Texts {
        Texts { files: vec![(file.to_owned(), text.to_owned())], placeholders: BTreeMap::new() }
    }
}
