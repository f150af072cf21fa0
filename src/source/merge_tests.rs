//! The merge against a plain sort of everything.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Merge, Next};
use crate::config::Config;
use crate::parse::web::Tables;
use crate::source::{Attributed, Followed};

/// The source of a configuration as short as can be.
fn followed(folder: &std::path::Path) -> Followed {
    let file = folder.join("crmwatch.toml");
    std::fs::write(&file, "[[source]]\nname = \"crm\"\npaths = [\"/nowhere/*.log\"]\nformat = \"json\"\n")
        .expect("written");
    let config = Config::load(&file).expect("a configuration");
    Followed { source: Arc::new(config.sources[0].clone()), tables: Arc::new(Tables::shipped()) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn events_of_many_files_come_by_time_then_file_then_offset(
        files in proptest::collection::vec(proptest::collection::vec((0i64..120, 0i64..90), 0..60), 1..6),
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut expected = Vec::new();
        let mut paths: Vec<PathBuf> = Vec::new();
        for (index, steps) in files.iter().enumerate() {
            let path = folder.path().join(format!("{index}.log"));
            let mut file = std::fs::File::create(&path).expect("created");
            let (mut clock, mut offset) = (1_700_000_000i64, 0u64);
            for (step, late) in steps {
                clock += step;
                let time = (clock - late) * 1000;
                let line = format!("{{\"@timestamp\":{time},\"event.action\":\"view\",\"user.name\":\"u\"}}\n");
                expected.push((time, index, offset));
                offset += line.len() as u64;
                file.write_all(line.as_bytes()).expect("written");
            }
            paths.push(path);
        }
        expected.sort_unstable();
        let followed = followed(folder.path());
        let one = |path: &PathBuf| Attributed { path: path.clone(), followed: followed.clone() };
        let attributed: Vec<Attributed> = paths.iter().map(one).collect();
        let mut merge = Merge::new(&attributed, 1_800_000_000_000);
        let mut given = Vec::new();
        loop {
            match merge.next().expect("no temporary file fails") {
                Next::Event(event) => {
                    let index = paths.iter().position(|path| *path.to_string_lossy() == *event.origin.path);
                    given.push((event.time, index.expect("one of the files"), event.offset));
                }
                Next::Again => given.clear(),
                Next::End => break,
            }
        }
        prop_assert_eq!(given, expected);
    }
}
